#!/bin/sh
# SPDX-License-Identifier: MIT
# fuzz.sh PROGRAM OPTION...: run fuzz.c in an empty folder, from the seeds on. What it finds to be new goes there, too.
set -eu
program=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
if [ ! -x "$program" ]; then
    echo "skipped: clang, or its libFuzzer (libclang-rt-14-dev), was not installed"
    exit 77
fi
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
program=$(realpath "$program")
cd "$home"
mkdir new
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:quarantine_size_mb=16"
# Its own status for a find is 77, which ctest takes for "skipped".
"$program" -error_exitcode=1 -seed=1 -max_len=20000 -rss_limit_mb=500 -print_final_stats=1 -dict="$here/fuzz.dict" \
    -artifact_prefix="${program%/*}/" "$@" new "$here/seeds" || exit 1
