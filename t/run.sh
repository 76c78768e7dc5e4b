#!/bin/bash

# Copyright (C) ngx_http_approval_module contributors
#
# Installs what is missing, builds, and runs the tests:
#
#     bash t/run.sh [--asan | --valgrind] [--strict] [--no-install]
#                   [prove's arguments]
#
#     bash t/run.sh                       all of t/*.t
#     bash t/run.sh -v t/hold.t           one, with all that it prints
#     bash t/run.sh --asan                module under ASan and UBSan
#     bash t/run.sh --valgrind t/hold.t   nginx under valgrind
#     bash t/run.sh --strict              what skips without being listed in
#                                         t/skips fails
#
#     bash t/run.sh --long                what takes hours: everything under
#                                         the sanitizers and valgrind, long
#                                         generators (APPROVAL_FULL=1) and
#                                         fuzzing, Debian 13 and forky
#
# The last line is prove's result, the exit code is prove's.  --long has the
# last line of .ci/run.
#
#     APPROVAL_BUILD=DIR         where the module is built
#     APPROVAL_TEST_LIMIT=N      seconds for all tests together, 1500; with
#                                --asan twice, with --valgrind six times that
#     APPROVAL_TEST_JOBS=N       test files at once, 2

set -euo pipefail

cd "$(dirname "$0")/.."

mode=plain
install=yes
strict=no
groups="build test mcp readers"
factor=1

while [ $# -gt 0 ]; do
    case $1 in
        --asan)        mode=asan; factor=2 ;;
        --valgrind)    mode=valgrind; factor=6; groups="$groups memcheck" ;;
        --strict)      strict=yes ;;
        --long)        exec .ci/run full builds asan valgrind fuzz_long debian ;;
        --no-install)  install=no ;;
        --help)        sed -n 's/^# \{0,1\}//p' "$0"; exit 0 ;;
        *)             break ;;
    esac

    shift
done

# prove's options may come in any order with the tests

tests=
for arg in "$@"; do
    [[ $arg == *.t ]] && tests=given
done

[ -n "$tests" ] || set -- "$@" t/*.t

if [ $install = yes ]; then
    # shellcheck disable=SC2086
    sh conf/packages.sh $groups
fi

export APPROVAL_BUILD=${APPROVAL_BUILD:-.build}

if [ $mode = asan ]; then
    APPROVAL_BUILD=$APPROVAL_BUILD-asan
    export APPROVAL_SANITIZE=1
    SANITIZE=1 bash conf/build.sh "$APPROVAL_BUILD"

else
    bash conf/build.sh "$APPROVAL_BUILD"
fi

if [ $mode = valgrind ]; then
    export APPROVAL_VALGRIND=1
fi

if [ $strict = yes ]; then
    export PERL5OPT="-I$PWD/t/lib -MApproval::Skips"
fi

limit=$((${APPROVAL_TEST_LIMIT:-1500} * factor))

# in the foreground Ctrl-C still reaches the tests

foreground=
[ ! -t 0 ] || foreground=--foreground

rc=0

timeout $foreground -k 30 "$limit" \
    prove -I t/lib -j "${APPROVAL_TEST_JOBS:-2}" "$@" || rc=$?

if [ $rc -eq 124 ]; then
    echo "Result: FAIL: not done after $limit seconds"
fi

exit $rc
