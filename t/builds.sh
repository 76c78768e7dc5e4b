#!/bin/bash

# Copyright (C) ngx_http_approval_module contributors
#
# Builds the module in every way that people build it, without a warning, with
# the nginx of this Debian release: gcc and clang, with and without
# --with-compat; and from nginx's own source, without --with-compat and
# linked into nginx, which then have to pass a few tests.
#
#     bash t/builds.sh [DIRECTORY]        default .build-all
#
#     APPROVAL_MIRROR=URL    Debian's mirror, as in t/matrix.sh

set -euo pipefail

cd "$(dirname "$0")/.."

mkdir -p "${1:-.build-all}"
out=$(cd "${1:-.build-all}" && pwd -P)
tests="t/hold.t t/phases.t t/departed.t"

# shellcheck source=t/lib/debian.sh
. t/lib/debian.sh


# nginx's tarball, by the ordinary package source

fetch_source()
{
    local options

    mkdir -p "$out/apt/partial" "$out/source"

    printf 'deb-src [signed-by=%s] %s %s main\n' \
        /usr/share/keyrings/debian-archive-keyring.gpg "$mirror" "$release" \
        > "$out/sources.list"

    options="-q -o Dir::Etc::SourceList=$out/sources.list
             -o Dir::Etc::SourceParts=/dev/null
             -o Dir::State::Lists=$out/apt
             -o Acquire::Check-Valid-Until=false"

    # shellcheck disable=SC2086
    (cd "$out/source" \
     && apt-get $options update \
     && apt-get $options source --tar-only nginx) > "$out/source.log" 2>&1 \
        || return 1

    tar -xf "$out"/source/nginx_*.orig.tar.gz -C "$out/source"
}


build()
{
    local dir=$out/$1
    shift

    echo "--- $*"
    env "$@" bash conf/build.sh "$dir"
}


try()
{
    echo "--- tests of $1"

    # shellcheck disable=SC2086
    APPROVAL_NGINX=$out/$1/nginx APPROVAL_BUILD=$out/$1 \
        prove -I t/lib -j 2 $tests
}


sh conf/packages.sh build core clang

for cc in gcc clang; do
    for compat in yes no; do
        build "$cc-$compat" CC=$cc COMPAT=$compat
    done
done

if ! fetch_source; then
    tail -n 3 "$out/source.log"

    if listed_skip builds.sh 'no source'; then
        echo "skipped: no source of nginx on $mirror, as t/skips says"
        exit 0
    fi

    echo "no source of nginx for $release on $mirror, see $out/source.log"
    exit 1
fi

source=$(echo "$out"/source/nginx-*/)

build clang-source CC=clang COMPAT=no "NGINX_SOURCE=$source"
build gcc-static CC=gcc COMPAT=no LINK=static "NGINX_SOURCE=$source"
build clang-static CC=clang LINK=static "NGINX_SOURCE=$source"

try clang-source
try gcc-static
