#!/bin/bash

# Copyright (C) ngx_http_approval_module contributors
#
# Measures what the specification promises, each figure beside what it is
# compared with, in one run on one machine: instructions a request of no
# concern (callgrind), memory of a held request, bytes of a pending action in
# Redis, intake, and the time from a decision to the response.
#
#   t/bench/run.sh [ungated|hold|wake]...      default: all
#
# Needs what t/run.sh installs, and valgrind. Nothing here is a test.

set -eu

cd "$(dirname "$0")/../.."

export APPROVAL_BUILD=${APPROVAL_BUILD:-$PWD/.build}

bash conf/build.sh "$APPROVAL_BUILD" >/dev/null

for bench in ${@:-ungated hold wake}; do
    perl -It/lib "t/bench/$bench.pl"
done
