#!/bin/sh
# SPDX-License-Identifier: MIT
# check.sh PREFIX [PART...]: is the tree installed below PREFIX what a user needs? Its files, its symbols, and a
# program built against it: shared and static, by pkg-config and by CMake.
set -eu
prefix=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || set -- files symbols pkgconfig_shared pkgconfig_static cmake
lib=$(dirname "$(find "$prefix" -name librunnel.a)")
export PKG_CONFIG_PATH="$lib/pkgconfig"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

die() {
    echo "check.sh: $*" >&2
    exit 1
}

# Every name that a public header marks with RN_API.
declared() {
    echo '#include <runnel.h>' | cc -E -P -I"$prefix/include" - | tr '\n;{}' ' \n' |
        sed -n 's/.*visibility("default").*[ *]\(rn_[a-z0-9_]*\)(.*/\1/p' | sort -u
}

part_files() {
    diff -r "$prefix/include" "$here/../../include" || die "the headers differ"
    for file in librunnel.so librunnel.so.0.1 librunnel.a pkgconfig/runnel.pc cmake/runnel/runnel-config.cmake; do
        [ -e "$lib/$file" ] || die "$lib/$file is missing"
    done
    readelf -d "$lib/librunnel.so" | grep -q 'SONAME.*\[librunnel\.so\.0\.1\]' || die "no soname librunnel.so.0.1"
    needed=$(readelf -d "$lib/librunnel.so" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p')
    for file in $needed; do
        case $file in libc.so.* | libgcc_s.so.* | ld-linux*) ;; *) die "the library needs $file" ;; esac
    done
    readelf -lW "$lib/librunnel.so" | grep GNU_STACK | grep -qv RWE || die "the stack is executable"
}

# The shared library exports what the headers declare and nothing else; the archive's names cannot clash.
part_symbols() {
    declared >"$dir/declared"
    [ -s "$dir/declared" ] || die "no declarations found"
    nm -D --defined-only "$lib/librunnel.so" | sed -n 's/.* [TtDdBbRrWwVvi] \([^@]*\).*/\1/p' | sort -u >"$dir/exported"
    diff -u "$dir/declared" "$dir/exported" || die "declared (-) and exported (+) differ"
    nm -g --defined-only "$lib/librunnel.a" | awk 'NF == 3 && $3 !~ /^rn_/ { print $3; bad = 1 } END { exit bad }' ||
        die "the archive defines other names than rn_"
}

part_pkgconfig_shared() {
    # shellcheck disable=SC2046 # words
    cc -Wall -Wextra -Werror -o "$dir/program" "$here/program.c" $(pkg-config --cflags --libs runnel)
    LD_LIBRARY_PATH=$lib ldd "$dir/program" | grep -q librunnel.so.0.1 || die "not linked with librunnel.so.0.1"
    LD_LIBRARY_PATH=$lib "$dir/program"
}

part_pkgconfig_static() {
    # shellcheck disable=SC2046 # words
    cc -static -Wall -Wextra -Werror -o "$dir/program" "$here/program.c" $(pkg-config --static --cflags --libs runnel)
    "$dir/program"
}

part_cmake() {
    cp "$here/program.c" "$dir"
    cp "$here/consumer.cmake" "$dir/CMakeLists.txt"
    if ! { cmake -G Ninja -S "$dir" -B "$dir/build" -DCMAKE_PREFIX_PATH="$prefix" && cmake --build "$dir/build"; } \
        >"$dir/log" 2>&1; then
        cat "$dir/log"
        die "the consumer does not build"
    fi
    ldd "$dir/build/shared" | grep -q librunnel.so.0.1 || die "runnel::runnel is not the shared library"
    if ldd "$dir/build/static" | grep librunnel; then die "runnel::static is not the archive"; fi
    "$dir/build/shared"
    "$dir/build/static"
}

for part in "$@"; do "part_$part"; done
