#!/bin/sh
# SPDX-License-Identifier: MIT
# extract.sh DOCUMENT DIR: write each ```c block of DOCUMENT that has a main to DIR/doc_NAME_N.c, N being its line, and an
# ```output block after it to DIR/doc_NAME_N.expected; print the names.
set -eu
base=doc_$(basename "$1" .md | tr -c 'A-Za-z0-9\n' _)
rm -f "$2/$base"_*
awk -v path="$2/$base" -v base="$base" -v document="$1" '
function finish() {
    if (kind == "c" && text ~ /int main\(/) {
        name = start
        printf "#line %d \"%s\"\n%s", start + 1, document, text > (path "_" name ".c")
        print base "_" name
    } else if (kind == "output" && name) {
        printf "%s", text > (path "_" name ".expected")
        name = ""
    }
    kind = ""
}
/^```/ && kind { finish(); next }
/^```/ { kind = substr($0, 4); if (kind == "") kind = "plain"; start = NR; text = ""; next }
kind { text = text $0 "\n" }
' "$1"
