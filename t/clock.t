#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The gateway's clock is set forward by an hour while a request is held: by
# Redis' clock the decision is as good as it was.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();
need('cc');

plan(skip_all => 'another library is loaded before')
    if $ENV{APPROVAL_SANITIZE} || $ENV{APPROVAL_VALGRIND};


# an hour ahead as soon as this file is there

my $dir = tempdir();

spew("$dir/clock.c", <<"C");
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <unistd.h>

int
gettimeofday(struct timeval *tv, void *tz)
{
    int  rc;

    static int  (*real)(struct timeval *, void *);

    if (real == NULL) {
        real = (int (*)(struct timeval *, void *))
               dlsym(RTLD_NEXT, "gettimeofday");
    }

    rc = real(tv, tz);

    if (access("$dir/ahead", F_OK) == 0) {
        tv->tv_sec += 3600;
    }

    return rc;
}
C

is(system('cc', '-shared', '-fPIC', '-o', "$dir/clock.so", "$dir/clock.c",
          '-ldl'), 0, 'a clock that can be set');

my $gw = Approval::Gateway->new(env => { LD_PRELOAD => "$dir/clock.so" },
    http => <<'CONF', server => <<'CONF');
    approval_policy p { rule held { require admins; timeout 5m; } }
CONF
        location / { approval p; proxy_pass %%UP%%; }
CONF

my ($client, $id) = $gw->hold(GET => '/a');
my ($other, $second) = $gw->hold(GET => '/b');

is($gw->vote($second, 'approve')->status, 200, 'approved');
is($other->read->status, 200, 'in time: forwarded');

spew("$dir/ahead", '');

ok(wait_for(sub { http_get($gw->port, '/_status');
                  ($gw->ngx->log_lines(qr/./))[-1] !~ /^\Q${\ today()}\E/ }),
   'the clock is set forward');

is($gw->vote($id, 'approve')->status, 200, 'approved after that');
is($client->read->status, 200, 'and forwarded');
is($gw->hits('/a'), 1, 'once');
is(scalar($gw->audit('fault')), scalar(grep { $_->{why} =~ /available/ }
                                       $gw->audit('fault')), 'no fault');

$gw->clean;

done_testing;


# by our clock: "2026/11/25 22"

sub today {
    my @t = localtime;

    return sprintf('%04d/%02d/%02d %02d', $t[5] + 1900, $t[4] + 1, @t[3, 2]);
}
