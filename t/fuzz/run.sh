#!/bin/sh

# Copyright (C) ngx_http_approval_module contributors
#
# Builds and runs the fuzz targets of src/core.
#
#     t/fuzz/run.sh [-runs=N] [-max_total_time=SECONDS] [-seed=N] [name...]
#
# With clang: libFuzzer under the sanitizers.  Without: t/fuzz/lib/driver.c,
# which feeds the corpus and N (default 5000) mutations of it.  New inputs are
# not written back; a crashing input is left in the directory that is named.
# FUZZ_CC=gcc asks for the driver where there is clang.

set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"

options=
bounded=
names=
all=

for arg in "$@"; do
    case $arg in
    -runs=*|-max_total_time=*)
        options="$options $arg"
        bounded=1
        ;;
    -*) options="$options $arg" ;;
    *)  names="$names $arg" ;;
    esac
done

if [ -z "$names" ]; then
    all=1

    for source in t/fuzz/*.c; do
        names="$names $(basename "$source" .c)"
    done
fi

dir=$(mktemp -d "${TMPDIR:-/tmp}/approval-fuzz.XXXXXX")
trap 'exit 130' INT TERM

cflags="-std=c11 -D_GNU_SOURCE -Wall -Wextra -Wno-unused-parameter -Werror"
cflags="$cflags -g -O1 -Isrc -It/fuzz/lib -I$dir"
cflags="$cflags -fno-omit-frame-pointer -fno-sanitize-recover=all"
libs="-lfido2 -ljansson -lpcre2-8 -lcrypto"
cc=${FUZZ_CC:-clang}

echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n)
{ (void) d; (void) n; return 0; }' > "$dir/probe.c"

case $cc in
*clang*)
    if ! command -v "$cc" > /dev/null 2>&1 \
       || ! "$cc" -fsanitize=fuzzer,address,undefined -o "$dir/probe" \
            "$dir/probe.c" > /dev/null 2>&1
    then
        cc=cc
    fi
    ;;
esac

case $cc in
*clang*)
    object_flags=-fsanitize=fuzzer-no-link,address,undefined
    target_flags=-fsanitize=fuzzer,address,undefined
    driver=
    [ -n "$bounded" ] || options="$options -runs=50000"
    ;;
*)
    object_flags=-fsanitize=address,undefined
    target_flags=-fsanitize=address,undefined
    driver=t/fuzz/lib/driver.c
    ;;
esac

mkdir "$dir/core" "$dir/approval"

for source in src/core/*.json; do
    sh conf/embed.sh "$source" "$dir/approval/$(basename "$source").h"
done

for source in src/core/*.c; do
    object=$dir/core/$(basename "$source" .c).o

    if $cc $cflags $object_flags -c -o "$object" "$source"; then
        ar -qcS "$dir/libcore.a" "$object"

    elif [ -n "$all" ]; then
        echo "not ok - $source does not compile"
        exit 1

    else
        echo "# $source does not compile" >&2
    fi
done

ranlib "$dir/libcore.a"

failed=0

for name in $names; do
    $cc $cflags $target_flags -o "$dir/$name" "t/fuzz/$name.c" $driver \
        "$dir/libcore.a" $libs

    mkdir -p "$dir/found.$name" "$dir/crash.$name"

    corpus=
    [ ! -d "t/fuzz/corpus/$name" ] || corpus=t/fuzz/corpus/$name

    if [ -z "$driver" ]; then
        set -- $options -max_len=4096 -print_final_stats=0 -verbosity=0 \
            "-artifact_prefix=$dir/crash.$name/" "$dir/found.$name" $corpus
    else
        set -- $options "-artifact_prefix=$dir/crash.$name/" $corpus
    fi

    if "$dir/$name" "$@" > "$dir/$name.log" 2>&1; then
        echo "ok - $name"
    else
        sed 's/^/# /' "$dir/$name.log"
        echo "not ok - $name, input in $dir/crash.$name"
        failed=1
    fi
done

[ $failed -eq 1 ] || rm -rf "$dir"

exit $failed
