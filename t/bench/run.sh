#!/bin/bash

# Copyright (C) ngx_http_approval_module contributors
#
# Measures what the specification promises, each figure beside what it is
# compared with, in one run on one machine, and ends with a table: what, the
# target, what was measured, whether it is met.
#
#   t/bench/run.sh [ungated|hold|wake|calm|list|redact]...      default: all
#
# Needs "sh conf/packages.sh build test memcheck bench"; nodejs, if it is there,
# is a peer as well. Nothing here is a test, and it takes some minutes.

set -eu

cd "$(dirname "$0")/../.."

export APPROVAL_BUILD=${APPROVAL_BUILD:-$PWD/.build}

bash conf/build.sh "$APPROVAL_BUILD" >/dev/null

figures=$(mktemp)
trap 'rm -f "$figures"' EXIT

for bench in ${@:-ungated hold wake calm list redact}; do
    perl -It/lib -It/bench "t/bench/$bench.pl" | grep -v '^ok \|^1\.\.' \
        | tee -a "$figures" | grep -v '^figure' || :
done

echo

awk -F '\t' '
    BEGIN     { format = "%-68s %-20s %10s  %s\n"
                printf format, "what", "target", "measured", "" }
    /^figure/ { printf format, $2, $3, $4, $5 }
' "$figures"
