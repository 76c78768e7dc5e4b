#!/bin/bash

# Copyright (C) ngx_http_approval_module contributors
#
# Builds the dynamic module out of tree, for Debian's nginx:
#
#     bash conf/build.sh [DIRECTORY]        default .build
#
# It makes DIRECTORY/ngx_http_approval_module.so and the programs of src/tools.
#
#     SANITIZE=1        AddressSanitizer and UndefinedBehaviorSanitizer; load
#                       with LD_PRELOAD="$(gcc -print-file-name=libasan.so)"
#     CC=clang          another compiler
#     JOBS=N            compile N files at once
#     COMPAT=no         without --with-compat
#     NGINX_SOURCE=DIR  a source tree of nginx, 1.22 or later, instead of
#                       Debian's nginx-dev: also builds DIRECTORY/nginx, and the
#                       module is for that nginx
#     NGINX_FLAGS=...   arguments of configure for a source tree
#     LINK=static       the module is a part of DIRECTORY/nginx

set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd -P)
out=${1:-$root/.build}
debian=/usr/share/nginx/src
source=${NGINX_SOURCE:-$debian}
cc=${CC:-gcc}
compat=${COMPAT:-yes}
link=${LINK:-dynamic}
sanitize=${SANITIZE:-0}

unset CFLAGS CPPFLAGS LDFLAGS MAKEFLAGS


die()
{
    echo "build.sh: $*" >&2
    exit 1
}


set_flags()
{
    local warn="-Wall -Wextra -Wno-unused-parameter -Werror"

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


# configure's arguments: Debian's own, or the modules that the tests use

set_nginx_flags()
{
    local flag

    if [ "$source" = $debian ]; then
        # shellcheck source=/dev/null
        . $debian/conf_flags

    elif [ -n "${NGINX_FLAGS:-}" ]; then
        read -r -a NGX_CONF_FLAGS <<< "$NGINX_FLAGS"

    else
        NGX_CONF_FLAGS=(--with-debug --with-threads --with-compat)

        for flag in ssl v2 v3 realip auth_request dav slice addition sub \
            stub_status
        do
            if grep -q -e "--with-http_${flag}_module)" "$source/auto/options"
            then
                NGX_CONF_FLAGS+=("--with-http_${flag}_module")
            fi
        done
    fi

    nginx_flags=()

    for flag in "${NGX_CONF_FLAGS[@]}"; do
        if [ "$flag" != --with-compat ] || [ "$compat" = yes ]; then
            nginx_flags+=("$flag")
        fi
    done
}


# prints everything that configure's result depends on

describe()
{
    printf '%s\n' "$root" "$source" "$link" "$cc" "$cc_opt" "$ld_opt" \
        "${nginx_flags[@]}"
    dpkg-query -W -f='${Package} ${Version}\n' nginx-dev libhiredis-dev || :
    cat config config.make
    find src -name '*.c' -o -name '*.h' -o -name '*.lua' -o -name '*.html' \
        -o -name '*.css' -o -name '*.js' -o -name '*.json' | sort
}


configure()
{
    local add=--add-dynamic-module

    [ "$link" = dynamic ] || add=--add-module

    rm -f "$out/configured"

    if ! (cd "$source" \
          && bash ./configure "${nginx_flags[@]}" --with-cc="$cc" \
              --with-cc-opt="$cc_opt" --with-ld-opt="$ld_opt" \
              "$add=$root" --builddir="$out") \
         > "$out/configure.log" 2>&1
    then
        tail -n 15 "$out/configure.log" >&2
        die "configure failed, see $out/configure.log and $out/autoconf.err"
    fi

    describe > "$out/configured"
}


# links a program from each file of src/tools that has a main(), the other files
# there, and src/core

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
            -lfido2 -ljansson -lpcre2-8 -lcrypto
    done
}


cd "$root"

case $compat:$link in
    yes:dynamic|no:dynamic|yes:static|no:static) ;;
    *) die "COMPAT must be yes or no, LINK dynamic or static" ;;
esac

[ -d "$source" ] \
    || die "$source is missing: install nginx-dev, or set NGINX_SOURCE"

source=$(cd "$source" && pwd -P)

if [ "$source" = $debian ]; then
    targets=modules

    [ -f $debian/conf_flags ] \
        || die "$debian/conf_flags is missing: run apt-get install nginx-dev"

    [ "$link" = dynamic ] \
        || die "LINK=static needs NGINX_SOURCE: nginx-dev has only headers"

else
    targets="binary modules"

    [ -f "$source/src/core/nginx.c" ] && [ -f "$source/auto/options" ] \
        || die "NGINX_SOURCE: $source is not a source tree of nginx"
fi

command -v dpkg-buildflags > /dev/null \
    || die "dpkg-buildflags is missing: run apt-get install dpkg-dev"

[ -f src/ngx_http_approval_module.c ] \
    || die "$root/src/ngx_http_approval_module.c is missing"

case $root in
    *[[:space:]]*) die "the path \"$root\" has a space: configure cannot" ;;
esac

mkdir -p "$out"
out=$(cd "$out" && pwd -P)

exec 9> "$out/lock"
flock 9

set_flags
set_nginx_flags

if ! describe | cmp -s - "$out/configured" || [ ! -f "$out/Makefile" ]; then
    echo "configuring in $out"
    configure
fi

# shellcheck disable=SC2086
make --no-print-directory -s -j "${JOBS:-$(nproc)}" -C "$source" \
    -f "$out/Makefile" $targets 9>&-

build_tools

if [ "$link" = static ]; then
    echo "built $out/nginx"
else
    echo "built $out/ngx_http_approval_module.so"
fi
