#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check.sh MODEL holds|twins: check a model with Spin.
#
# The head of MODEL.pml says what to do:
#   of FILE: NAME...           it stands for these functions; each must still be there
#   check MACRO...             it must hold with these macros, too
#   twin MACRO...: ERROR       with these it is broken: Spin must find this error
# holds: it is checked as it is and with each line of `check`; no step of it may be out of reach in all of these.
# twins: each of its twins is broken, as it should be.
set -eu
[ $# = 2 ] || { echo "usage: check.sh MODEL holds|twins" >&2; exit 2; }
models=$(cd "$(dirname "$0")" && pwd)
model=$models/$1.pml what=$2
command -v spin >/dev/null || { echo "no spin: apt-get install spin"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
    echo "$1: $2"
    [ ! -s out ] || head -n 20 out
    exit 1
}

# lines KIND: what the head says after that word.
lines() { sed -n "2,/\*\//s/^ \*   $1 //p" "$model"; }

# run MACRO...: leaves pan's words in out.
run() {
    # The search for an error is short, and the compiler takes longer.
    level=-O1
    [ "$what" = holds ] || level=-O0
    defines=
    for macro in "$@"; do defines="$defines -D$macro"; done
    # shellcheck disable=SC2086 # a list of words
    spin -a $defines "$model" >out 2>&1 || fail "$*" "spin does not understand the model"
    ${CC:-cc} "$level" -w -DSAFETY -DMEMLIM=4096 -o pan pan.c >out 2>&1 || fail "$*" "pan.c does not compile"
    ./pan -m100000 -w24 >out 2>&1 || fail "$*" "pan failed"
    if grep -q 'max search depth too small\|out of memory\|reached -DMEMLIM' out; then fail "$*" "the search is not complete"; fi
}

# What was not reached, as PROCESS STEP. That what loops for ever does not end is no news.
unreached() { awk '/^unreached in/ { p = $NF } /^\t.*, state [0-9]+, / && !/"-end-"/ { sub(/.*state [0-9]*, /, ""); print p, $0 }' out | sort -u; }

# The way to the error: the steps in the model itself, what led to it last, and what all words hold then.
tell_how() {
    # shellcheck disable=SC2086 # a list of words
    spin -t -p $defines -k "$(basename "$model").trail" "$model" | grep -v 'memory\.pml:.*\[\|v_ = \|= 255$' | tail -n 150
}

holds() {
    run "$@"
    if ! grep -q 'errors: 0$' out; then
        tell_how "$@"
        fail "$*" "Spin finds an error"
    fi
    unreached >now
    if [ -e never ]; then comm -12 never now >both && mv both never; else mv now never; fi
    echo "holds: $* ($(sed -n 's/ *\([0-9]*\) states, stored.*/\1/p' out) states)"
}

is_broken() {
    error=${1#*: }
    # shellcheck disable=SC2086 # a list of words
    run ${1%%: *}
    grep -q "^pan:1: $error" out || fail "${1%%: *}" "no '$error': what the model shows does not depend on it"
    echo "broken, as it should be: ${1%%: *}"
}

lines of | while IFS=: read -r file names; do
    for name in $names; do
        grep -qw "$name" "$models/../$file" || fail "$file" "$name is no longer there: look at the model"
    done
done

case $what in
holds)
    holds
    lines check >checks
    # shellcheck disable=SC2086 # a list of words
    while read -r macros; do holds $macros; done <checks
    if [ -s never ]; then
        cp never out
        fail "$1" "out of reach:"
    fi
    ;;
twins)
    lines twin | sed 's/ *(.*//' >twins
    [ -s twins ] || fail "$1" "it has no twins"
    while IFS= read -r twin; do is_broken "$twin"; done <twins
    ;;
*) fail "$what" "holds or twins?" ;;
esac
