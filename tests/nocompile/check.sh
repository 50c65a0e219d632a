#!/bin/sh
# SPDX-License-Identifier: MIT
# check.sh COMPILER FILE: each `// expect: REGEX` line of FILE alone must be rejected with a message that matches
# and that names the line; without all of them FILE must compile. No warning is turned into an error by us.
set -eu
compiler=$1 file=$2
include=$(cd "$(dirname "$0")/../../include" && pwd)
command -v "$compiler" >/dev/null || exit 77
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
case=$dir/case.c
lines=$(grep -n '// expect: ' "$file" | cut -d: -f1)
[ -n "$lines" ] || { echo "$file expects nothing"; exit 1; }

# only N: FILE with line N and none of the other expect lines, all at their places.
only() { awk -v n="$1" '!/\/\/ expect: / || NR == n { print; next } { print "" }' "$file" >"$case"; }
compile() { LC_ALL=C "$compiler" -std=gnu11 -fsyntax-only "$@" -I"$include" "$case"; }

status=0
only 0
compile -Wall -Wextra -Werror || { echo "$file: does not compile without the bad lines"; exit 1; }
for n in $lines; do
    only "$n"
    text=$(sed -n "${n}s|.*// expect: ||p" "$file")
    if compile >"$dir/out" 2>&1; then
        echo "$file:$n: compiles"
        status=1
    elif ! grep -q "^$case:$n:" "$dir/out"; then
        echo "$file:$n: the message does not name the line:"
        status=1
        cat "$dir/out"
    elif ! grep 'error:' "$dir/out" | grep -Eq "$text"; then
        echo "$file:$n: no error matches: $text"
        status=1
        cat "$dir/out"
    fi
done
exit $status
