#!/bin/sh

# Copyright (C) ngx_http_approval_module contributors
#
# Builds and runs the C unit tests of src/core, and of src/event/turn.c with
# t/unit/nginx instead of nginx, under the sanitizers.
#
#     t/unit/run.sh [-v] [-b DIR] [name...]
#
#     -v      under valgrind instead of the sanitizers
#     -b DIR  build into DIR, run nothing
#
# Without names all of t/unit/*.c.  A core file that does not compile is
# fatal only where a test needs it, or all are built.

set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
valgrind=
dir=

while getopts vb: option; do
    case $option in
    v)  valgrind=1 ;;
    b)  dir=$OPTARG ;;
    *)  exit 2 ;;
    esac
done

shift $((OPTIND - 1))

build=
all=

if [ -z "$dir" ]; then
    dir=$(mktemp -d "${TMPDIR:-/tmp}/approval-unit.XXXXXX")
    trap 'rm -rf "$dir"' EXIT
    trap 'exit 130' INT TERM
else
    build=1
    mkdir -p "$dir"
fi

cd "$root"

if [ $# -eq 0 ]; then
    all=1

    for source in t/unit/*.c; do
        set -- "$@" "$(basename "$source" .c)"
    done
fi

cc=${CC:-cc}
cflags="-std=c11 -D_GNU_SOURCE -Wall -Wextra -Wno-unused-parameter -Werror"
cflags="$cflags -g -O1 -Isrc -It/unit -It/unit/nginx -I$dir"
libs="-lfido2 -ljansson -lpcre2-8 -lcrypto"

if [ -z "$valgrind" ]; then
    cflags="$cflags -fsanitize=address,undefined -fno-sanitize-recover=all"
    cflags="$cflags -fno-omit-frame-pointer"
fi

rm -f "$dir/libcore.a"
mkdir -p "$dir/core" "$dir/approval"

for source in src/core/*.json; do
    sh conf/embed.sh "$source" "$dir/approval/$(basename "$source").h"
done

for source in src/core/*.c; do
    object=$dir/core/$(basename "$source" .c).o

    if $cc $cflags -c -o "$object" "$source"; then
        ar -qcS "$dir/libcore.a" "$object"

    elif [ -n "$all" ]; then
        echo "Bail out! $source does not compile"
        exit 1

    else
        echo "# $source does not compile" >&2
    fi
done

ranlib "$dir/libcore.a"

for name in "$@"; do
    $cc $cflags -o "$dir/$name" "t/unit/$name.c" "$dir/libcore.a" $libs || {
        echo "Bail out! t/unit/$name.c does not compile"
        exit 1
    }
done

if [ -n "$build" ]; then
    exit 0
fi

failed=0

for name in "$@"; do
    echo "# $name"

    if [ -n "$valgrind" ]; then
        valgrind -q --error-exitcode=99 --leak-check=full \
            --errors-for-leak-kinds=definite,indirect,possible \
            "$dir/$name" || failed=1
    else
        "$dir/$name" || failed=1
    fi
done

exit $failed
