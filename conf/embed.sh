#!/bin/sh

# Copyright (C) ngx_http_approval_module contributors
#
# Writes a text file as a C header with one string:
#
#     sh conf/embed.sh src/store/vote.lua objs/approval/vote.lua.h
#
# gives  static const char  ngx_http_approval_vote_lua[] = "...";

set -e

LC_ALL=C
export LC_ALL

if [ $# -ne 2 ]; then
    echo "usage: embed.sh SOURCE HEADER" >&2
    exit 2
fi

source=$1
header=$2

name=$(basename "$source" | sed -e 's/[^A-Za-z0-9]/_/g')

# neither a shell nor a C string can hold a NUL byte

if [ "$(tr -d '\000' < "$source" | wc -c)" -ne "$(wc -c < "$source")" ]; then
    echo "embed.sh: $source is not a text file: it has a NUL byte" >&2
    exit 1
fi

if [ ! -s "$source" ]; then
    echo "embed.sh: $source is empty" >&2
    exit 1
fi

{
    printf '\n/* Made of %s by conf/embed.sh. */\n\n\n' "$(basename "$source")"
    printf 'static const char  ngx_http_approval_%s[] =\n' "$name"
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$/\\n"/' \
        "$source"
    printf '    ;\n'
} > "$header.new"

mv "$header.new" "$header"
