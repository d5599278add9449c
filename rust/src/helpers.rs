//! The helpers of `prologue/kernel.h`, as safe methods and iterators. They believe what the
//! contract promises of a handoff that Prologue has made, and nothing else.

use crate::{Handoff, Module, Range, HANDOFF_MAGIC};
use core::mem::size_of;
use core::slice;

/// The physical address of a page that is RAM and is seen by the kernel: see [`Handoff::seen`].
pub type Seen = *mut u8;

/// A slice that may have no place if it has nothing in it.
unsafe fn slice_of<T>(start: *const T, count: u64) -> &'static [T] {
    if count == 0 {
        &[]
    } else {
        slice::from_raw_parts(start, count as usize)
    }
}

impl Range {
    pub fn bytes(&self) -> u64 {
        self.end - self.start
    }
}

impl Module {
    /// The text that the loader gave, without its NUL.
    pub fn cmdline(&self) -> &'static [u8] {
        unsafe { slice_of(self.cmdline, self.cmdline_bytes) }
    }

    /// Is `name` the first word of its text, or the end of a path there?
    pub fn is_called(&self, name: &str) -> bool {
        let word = first_word(self.cmdline());
        let name = first_word(name.as_bytes());
        !name.is_empty()
            && word.ends_with(name)
            && (word.len() == name.len() || word[word.len() - name.len() - 1] == b'/')
    }
}

fn first_word(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == b' ').next().unwrap_or(&[])
}

impl Handoff {
    /// That it is one, and has all the fields that this crate knows of.
    pub fn is_good(&self) -> bool {
        self.magic == HANDOFF_MAGIC && self.size as usize >= size_of::<Handoff>()
    }

    /// The memory map: sorted, page-aligned, without overlaps.
    pub fn memory(&self) -> &'static [Range] {
        unsafe { slice_of(self.memory, self.memory_count) }
    }

    /// The ranges of one type, in ascending order.
    pub fn ranges_of(&self, kind: u32) -> impl Iterator<Item = &'static Range> {
        self.memory().iter().filter(move |range| range.kind == kind)
    }

    /// How much memory there is of one type.
    pub fn bytes_of(&self, kind: u32) -> u64 {
        self.ranges_of(kind).map(Range::bytes).sum()
    }

    /// The command line, without its NUL.
    pub fn cmdline(&self) -> &'static [u8] {
        unsafe { slice_of(self.cmdline, self.cmdline_bytes) }
    }

    pub fn modules(&self) -> &'static [Module] {
        unsafe { slice_of(self.modules, self.module_count) }
    }

    /// The first module of that name.
    pub fn module(&self, name: &str) -> Option<&'static Module> {
        self.modules().iter().find(|module| module.is_called(name))
    }

    /// Where RAM at a physical address is seen: in the direct map or, where there is none, in the
    /// identity map. That there is RAM is for the memory map to say.
    pub fn seen(&self, phys: u64) -> Option<Seen> {
        if phys < self.direct_map_bytes {
            Some(self.direct_map.wrapping_add(phys) as Seen)
        } else if phys < self.identity_bytes {
            Some(phys as Seen)
        } else {
            None
        }
    }

    /// A module's bytes; none where all of it is not seen.
    ///
    /// # Safety
    /// Nobody may have written to the module, or given its memory away.
    pub unsafe fn bytes_of_module(&self, module: &Module) -> Option<&'static [u8]> {
        let last = module.start.checked_add(module.bytes.max(1) - 1)?;
        let start = self.seen(module.start)?;
        let is_whole = self.seen(last)? as u64 == start as u64 + (last - module.start);
        is_whole.then(|| slice_of(start, module.bytes))
    }

    /// The name and value of each option in the command line.
    pub fn options(&self) -> Options {
        Options { rest: self.cmdline() }
    }

    /// The value of `key=value` in the command line; "" for a word that is the key alone. The
    /// last one wins.
    pub fn option(&self, key: &str) -> Option<&'static [u8]> {
        let is_it = |name: &[u8]| {
            name.len() == key.len()
                && name.iter().zip(key.as_bytes()).all(|(&a, &b)| underscored(a) == underscored(b))
        };
        self.options().filter(|(name, _)| is_it(name)).last().map(|(_, value)| value)
    }
}

fn underscored(byte: u8) -> u8 {
    if byte == b'-' {
        b'_'
    } else {
        byte
    }
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// The words of a command line by Linux's rules, as `prologue_option` has them: blanks part
/// them, but not between quotes; `--` ends them.
#[derive(Clone, Debug)]
pub struct Options {
    rest: &'static [u8],
}

impl Iterator for Options {
    type Item = (&'static [u8], &'static [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.rest.iter().position(|byte| !is_space(byte))?;
        let text = &self.rest[start..];
        let quoted = text[0] == b'"';
        let text = &text[quoted as usize..];
        let mut in_quotes = quoted;
        let mut equals = None;
        let mut bytes = 0;
        while bytes != text.len() && (in_quotes || !is_space(&text[bytes])) {
            if text[bytes] == b'=' && equals.is_none() && bytes != 0 {
                equals = Some(bytes);
            }
            in_quotes ^= text[bytes] == b'"';
            bytes += 1;
        }
        self.rest = &text[bytes..];
        let mut word = &text[..bytes];
        if !quoted && word == b"--" {
            self.rest = &[];
            return None;
        }
        if quoted && word.ends_with(b"\"") {
            word = &word[..word.len() - 1];
        }
        let at = match equals {
            Some(at) => at,
            None => return Some((word, &[])),
        };
        let (name, mut value) = (&word[..at], &word[at + 1..]);
        if value.starts_with(b"\"") {
            value = &value[1..];
            value = value.strip_suffix(b"\"").unwrap_or(value);
        }
        Some((name, value))
    }
}
