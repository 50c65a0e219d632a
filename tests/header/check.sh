#!/bin/sh
# SPDX-License-Identifier: MIT
# check.sh COMPILER STD: compile every public header alone, then use.c (use.cpp), with all warnings as errors.
set -eu
cd "$(dirname "$0")"
compiler=$1 std=$2
command -v "$compiler" >/dev/null || exit 77
case $std in c++*) language=c++ use=use.cpp ;; *) language=c use=use.c ;; esac
include=../../include

compile() {
    "$compiler" -std="$std" -x "$language" -Wall -Wextra -Wpedantic -Wshadow -Wundef -Werror "$@" -I"$include" \
        -c -o /dev/null
}
for header in "$include"/runnel.h "$include"/runnel/*.h; do
    printf '#include <%s>\nextern int use_%s;\n' "${header#"$include"/}" $$ | compile -
done
for level in -O0 -O3; do compile $level $use; done
