#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# How long a worker is busy to redact a body of 1 MB.  CPU time, the least of
# five runs, and the ratio to what jansson needs to read and write the JSON one.

use strict;
use warnings;

use Approval::Test;
use Bench;

my $program = build_dir() . '/bench-redact';

my @core = glob 'src/core/{redact,json}*.c src/core/{escape,fold,form,media}.c'
                . ' src/core/{range,str}.c';

system("gcc -O2 -D_GNU_SOURCE -Isrc -o $program t/bench/redact.c @core"
       . ' -ljansson -lpcre2-8 -lcrypto -lm') == 0
    or die 't/bench/redact.c does not compile';

for (`$program`) {
    my ($format, $ms, $ratio) = split;

    figure("redacting 1 MB of $format, in the time of jansson for JSON",
           'at most 1', "$ratio ($ms ms)", $ratio <= 1);
}
