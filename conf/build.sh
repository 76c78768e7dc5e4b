#!/bin/bash

# Copyright (C) ngx_http_approval_module contributors
#
# Builds the dynamic module out of tree, for Debian's nginx:
#
#     bash conf/build.sh [DIRECTORY]        default .build
#
# gives DIRECTORY/ngx_http_approval_module.so and the programs of src/tools.
#
#     SANITIZE=1      AddressSanitizer and UndefinedBehaviorSanitizer; load
#                     with LD_PRELOAD="$(gcc -print-file-name=libasan.so)"
#     CC=clang        another compiler
#     JOBS=N          compile N files at once
#     NGINX_SRC=DIR   where nginx-dev put nginx's headers and configure

set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd -P)
out=${1:-$root/.build}
nginx_src=${NGINX_SRC:-/usr/share/nginx/src}
cc=${CC:-gcc}
sanitize=${SANITIZE:-0}

unset CFLAGS CPPFLAGS LDFLAGS MAKEFLAGS


die()
{
    echo "build.sh: $*" >&2
    exit 1
}


set_flags()
{
    local warn="-Wall -Wextra -Werror"

    if [ "$sanitize" = 1 ]; then

        # nginx's own macros read unaligned words and copy 0 bytes from NULL

        cc_opt="-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined"
        cc_opt="$cc_opt -fno-sanitize=nonnull-attribute $warn"
        cc_opt="$cc_opt -DNGX_HAVE_NONALIGNED=0 -fPIC"
        ld_opt="-fsanitize=address,undefined -fPIC"

        export ASAN_OPTIONS=detect_leaks=0

    else
        cc_opt="$(dpkg-buildflags --get CFLAGS)"
        cc_opt="$cc_opt $(dpkg-buildflags --get CPPFLAGS) $warn -fPIC"
        ld_opt="$(dpkg-buildflags --get LDFLAGS) -fPIC"
    fi
}


# all that configure's result depends on

describe()
{
    printf '%s\n' "$root" "$nginx_src" "$cc" "$cc_opt" "$ld_opt"
    dpkg-query -W -f='${Package} ${Version}\n' nginx-dev libhiredis-dev || :
    cat config config.make
    find src -name '*.c' -o -name '*.h' -o -name '*.lua' -o -name '*.html' \
        -o -name '*.css' | sort
}


configure()
{
    # shellcheck source=/dev/null
    . "$nginx_src/conf_flags"

    rm -f "$out/configured"

    if ! (cd "$nginx_src" \
          && bash ./configure "${NGX_CONF_FLAGS[@]}" --with-cc="$cc" \
              --with-cc-opt="$cc_opt" --with-ld-opt="$ld_opt" \
              --add-dynamic-module="$root" --builddir="$out") \
         > "$out/configure.log" 2>&1
    then
        tail -n 15 "$out/configure.log" >&2
        die "configure failed, see $out/configure.log and $out/autoconf.err"
    fi

    describe > "$out/configured"
}


# a program for each file of src/tools that has a main(); they share the
# other files there, and nothing but core/

build_tools()
{
    local file name shared=() objects=() mains=()

    for file in src/tools/*.c; do
        [ -f "$file" ] || continue

        if grep -q '^main(' "$file"; then
            mains+=("$file")
        else
            shared+=("$file")
        fi
    done

    for file in src/core/*.c; do
        objects+=("$out/addon/core/$(basename "$file" .c).o")
    done

    for file in "${mains[@]}"; do
        name=$(basename "$file" .c | tr _ -)

        if [ -e "$out/$name" ] \
           && [ -z "$(find src/tools "${objects[@]}" "$out/configured" \
                          -newer "$out/$name")" ]
        then
            continue
        fi

        echo "linking $out/$name"

        # shellcheck disable=SC2086
        "$cc" -std=c11 $cc_opt -I src -o "$out/$name" "$file" \
            ${shared[@]+"${shared[@]}"} "${objects[@]}" $ld_opt \
            -ljansson -lpcre2-8 -lcrypto
    done
}


cd "$root"

[ -f "$nginx_src/conf_flags" ] \
    || die "no $nginx_src/conf_flags: install with apt-get install nginx-dev"

command -v dpkg-buildflags > /dev/null \
    || die "no dpkg-buildflags: install with apt-get install dpkg-dev"

[ -f src/ngx_http_approval_module.c ] \
    || die "no $root/src/ngx_http_approval_module.c"

case $root in
    *[[:space:]]*) die "the path \"$root\" has a space: configure cannot" ;;
esac

mkdir -p "$out"
out=$(cd "$out" && pwd -P)

exec 9> "$out/lock"
flock 9

set_flags

if ! describe | cmp -s - "$out/configured" || [ ! -f "$out/Makefile" ]; then
    echo "configuring in $out"
    configure
fi

make --no-print-directory -s -j "${JOBS:-$(nproc)}" -C "$nginx_src" \
    -f "$out/Makefile" modules 9>&-

build_tools

echo "built $out/ngx_http_approval_module.so"
