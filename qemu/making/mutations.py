"""The changes of one line each that qemu/mutants.py tries, and those that a reader has named."""

import hashlib
import re
from dataclasses import dataclass
from typing import Iterator, List

import cases

WHOLE = ("arch/x86/sev/*", "arch/x86/sev32/*", "arch/x86/sev64/*", "arch/x86/entry/long_mode.S",
         "boot/confidential.cpp")
BRANCHES = ("arch/x86/entry/entry32.S", "arch/x86/entry/entry64.S", "arch/x86/entry/isr32.inc",
            "arch/x86/entry/isr64.S")
_IS_SEV = re.compile(r"sev|SEV|GHCB|VC_|isr32_29|isr32_13")
_LINES_BEHIND = 5  # of a line of an entry that is about SEV

_INVERSE = {a: b for pair in (("e", "ne"), ("z", "nz"), ("c", "nc"), ("s", "ns"), ("b", "ae"),
                              ("a", "be"), ("l", "ge"), ("g", "le")) for a, b in (pair, pair[::-1])}


@dataclass(frozen=True)
class Mutant:
    path: str
    line: int
    kind: str
    old: str  # a line, or as many as it has
    new: str
    block: str  # what it stands in: a verdict holds as long as that is so

    @property
    def key(self) -> str:
        return f"{self.path}:{self.block}:{self.kind}:{self.new.strip()}"

    def __str__(self) -> str:
        return f"{self.path}:{self.line + 1}: {self.kind}: `{self.old.strip()}`"

    def applied(self, text: str) -> str:
        lines, count = text.split("\n"), self.old.count("\n") + 1
        assert "\n".join(lines[self.line:self.line + count]) == self.old, str(self)
        return "\n".join(lines[:self.line] + [self.new] + lines[self.line + count:])


def mutants_of(path: str) -> Iterator[Mutant]:
    change = _changes_of_assembly if path.endswith((".S", ".inc")) else _changes_of_cpp
    lines = (cases.ROOT / path).read_text().split("\n")
    blocks = _blocks(lines)
    for number, line in enumerate(lines):
        if path in BRANCHES and not any(
                _IS_SEV.search(near) for near in lines[max(0, number - _LINES_BEHIND):number + 1]):
            continue
        for kind, new in change(line):
            if new != line:
                yield Mutant(path, number, kind, line, new, blocks[number])


def named_mutant(kind: str, path: str, old: str, new: str) -> Mutant:
    """A change of whole lines that stand in the file once, each without its indentation."""
    lines = (cases.ROOT / path).read_text().split("\n")
    wanted = old.split("\n")
    found = [number for number in range(len(lines) - len(wanted) + 1)
             if [line.strip() for line in lines[number:number + len(wanted)]] == wanted]
    assert len(found) == 1, f"{path} has {old!r} {len(found)} times"
    start = found[0]
    return Mutant(path, start, kind, "\n".join(lines[start:start + len(wanted)]), new,
                  _blocks(lines)[start])


def _blocks(lines: List[str]) -> List[str]:
    """For each line what tells where it stands, whatever else of the file is changed: the text of
    its function, or of the piece from one empty line to the next that ends in the first column,
    and the line's place in it."""
    starts = [0] + [number for number in range(1, len(lines))
                    if not lines[number - 1].strip() and re.match(r"\S", lines[number])]
    ends = starts[1:] + [len(lines)]
    return [f"{hashlib.sha1(chr(10).join(lines[start:end]).rstrip().encode()).hexdigest()[:12]}:"
            f"{number - start}" for start, end in zip(starts, ends)
            for number in range(start, end)]


def _changes_of_cpp(line: str) -> Iterator[tuple]:
    code = line.split("//")[0].rstrip()
    if not code.strip() or code.lstrip().startswith(("#", "/*", "*", "namespace", "static_assert",
                                                     "using", "template", "extern")):
        return
    if match := re.match(r"^(\s*(?:\} else )?(?:if|while) )\((.*)\)( \{)?$", code):
        head, condition, tail = match[1], match[2], match[3] or ""
        yield "condition negated", f"{head}(!({condition})){tail}"
        yield "condition dropped", f"{head}(({condition}) && false){tail}"
    for old, new in ((" == ", " != "), (" != ", " == "), (" < ", " <= "), (" <= ", " < "),
                     (" > ", " >= "), (" >= ", " > "), (" && ", " || "), (" || ", " && ")):
        for match in re.finditer(re.escape(old), code):
            yield f"{old.strip()} is {new.strip()}", code[:match.start()] + new + code[match.end():]
    for match in re.finditer(r"(?<![\w.])(0x[0-9a-fA-F]+|\d+)(?![\w.])", code):
        other = str(int(match[0], 0) ^ 1)
        yield "constant changed", code[:match.start()] + other + code[match.end():]
    if re.match(r"^\s*return [^;]+;$", code) and "{" not in code:
        value = code.strip()[len("return "):-1]
        if re.search(r"==|!=|&&|\|\||^!| [<>]=? ", value):
            yield "result negated", code.replace(value, f"!({value})")
    if re.match(r"^\s*[\w:.>\-\[\]()*&, ]+(\(.*\)| [|&^+-]?= .+|\+\+|--);$", code) and not re.match(
            r"^\s*(return|break|const|constexpr|auto|uint\w+|unsigned|bool|static|asm)\b", code):
        yield "statement removed", ";"


def _changes_of_assembly(line: str) -> Iterator[tuple]:
    code = line.split("//")[0].rstrip()
    match = re.match(r"^(\s*(?:\w+:)?\s+)([a-z]\w*)\b(.*)$", code)
    if not match or match[2] in ("rep", "globl"):
        return
    head, operation, operands = match.groups()
    yield "instruction removed", head
    if operation.startswith("j") and operation[1:] in _INVERSE:
        yield "jump inverted", f"{head}j{_INVERSE[operation[1:]]}{operands}"
    for start, operand in _operands(operands):
        if operand.startswith("$"):
            changed = f"$({operand[1:]}) ^ 1"
        elif displacement := re.match(r"(\d+)(?=\(%)", operand):
            changed = f"{int(displacement[1]) ^ 8}{operand[displacement.end():]}"
        else:
            continue
        yield "constant changed", (head + operation + operands[:start] + changed +
                                   operands[start + len(operand):])


def _operands(text: str) -> Iterator[tuple]:
    """Each operand with its place; a comma in brackets divides none."""
    depth, start = 0, 0
    for place, character in enumerate(text + ","):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            operand = text[start:place]
            yield place - len(operand.lstrip()), operand.strip()
            start = place + 1
