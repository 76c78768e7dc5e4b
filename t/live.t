#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Streams that tell open pages of changes: votes, limits, silence, and ends.

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


# timers are ahead by as many seconds as this file has bytes

my $dir = tempdir();

spew("$dir/clock.c", <<"C");
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/stat.h>
#include <time.h>

int
clock_gettime(clockid_t id, struct timespec *ts)
{
    int          rc;
    struct stat  st;

    static int  (*real)(clockid_t, struct timespec *);

    if (real == NULL) {
        real = (int (*)(clockid_t, struct timespec *))
               dlsym(RTLD_NEXT, "clock_gettime");
    }

    rc = real(id, ts);

    if (id != CLOCK_REALTIME && stat("$dir/ahead", &st) == 0) {
        ts->tv_sec += st.st_size;
    }

    return rc;
}
C

is(system('cc', '-shared', '-fPIC', '-o', "$dir/clock.so", "$dir/clock.c",
          '-ldl'), 0, 'a clock that can be set');

my $gw = Approval::Gateway->new(env => { LD_PRELOAD => "$dir/clock.so" },
    workers => 1, connections => 1024, http => <<'CONF', server => <<'CONF');
    approval_policy p {
        rule two { match $uri ^/two; require 2 of admins; timeout 10m; }
        rule one { require admins; timeout 10m; }
    }
CONF
        location / { approval p; proxy_pass %%UP%%; }
CONF

my $port = $gw->port;
my $ahead = 0;


sub events {
    my ($target) = @_;

    my $client = Approval::Client->new($port);

    $client->send(GET => "/_approval$target",
                  headers => [ 'X-User' => 'alice' ]);

    return $client;
}


# in good order, whether or not the connection stays

sub ended { $_[0]->arrived(qr/\r\n0\r\n\r\n\z/) }


# nothing is left to tell of what was before

sub opened {
    my $client = events(@_);

    ok($client->arrived(qr/event: changed/), "@_: told once after it opened");
    $client->{buffer} = '';

    return $client;
}


sub later {
    my ($seconds) = @_;

    $ahead += $seconds;
    spew("$dir/ahead", '.' x $ahead);
}


# --- a vote that decides nothing

my ($held, $two) = $gw->hold(GET => '/two');
my ($held_too, $other) = $gw->hold(GET => '/two-other');

my $inbox = opened('/events');
my $page = opened("/actions/$two/events");
my $another = opened("/actions/$other/events");

is($gw->vote($two, 'approve')->status, 200, '1 of 2');

for ([ $inbox, 'the inbox' ], [ $page, 'the page of the action' ]) {
    ok($_->[0]->arrived(qr/event: changed/), "a vote is told to $_->[1]");
    $_->[0]{buffer} = '';
}

ok($another->quiet(1), 'and not to the page of another action');
is($gw->vote($two, 'comment', 'wait')->status, 200, 'a comment');
ok($page->arrived(qr/event: changed/), 'and so is a comment');
$page->{buffer} = '';
is($gw->vote($two, 'approve', '', 'bob')->status, 200, '2 of 2');
ok(ended($page), 'decided: the stream ends');
like($page->{buffer}, qr/event: changed/, 'after it has told');
is($held->read->status, 200, 'and the request is forwarded');

# --- silence, and the longest life

$_->{buffer} = '' for $inbox, $another;
later(16);
ok($_->arrived(qr/^:\n\n/m), 'a silent stream gets a comment')
    for $inbox, $another;

later(300);
ok(ended($_), 'after five minutes a stream ends') for $inbox, $another;

# --- 200 a worker, once it has a link to Redis again

ok(wait_for(sub { http_get($port, "/_approval/actions/$other",
                           headers => [ 'X-User' => 'alice' ])->status == 200 }),
   'five minutes later');

my @many = map { events($_ % 2 ? '/events' : "/actions/$other/events") }
           1 .. 200;

is(scalar(grep { $_->arrived(qr/retry: 5000/) } @many), 200,
   'a worker keeps 200 streams');

my $refused = events('/events')->read;

is($refused->status, 503, 'and refuses more');
is($refused->json->{type}, 'urn:approval:too-many-streams', 'by name');
is($refused->header('Retry-After'), 60, 'for a while');

(pop @many)->close;

my $room;

ok(wait_for(sub { $room = events('/events');
                  $room->arrived(qr/retry: 5000|too-many-streams/);
                  $room->{buffer} =~ /retry: 5000/ }),
   'one that ends makes room');

# --- a worker that ends

$gw->ngx->reload;
is(scalar(grep { $_->closed } @many, $room), 200, 'a reload ends all streams');
is(scalar(grep { ended($_) } @many, $room), 200, 'in good order');

$_->close for @many, $room;

($inbox, $page) = (opened('/events'), opened("/actions/$other/events"));
is($gw->vote($other, 'deny')->status, 200, 'denied');
is($held_too->read->status, 403, 'and refused');
ok(ended($page), 'the new worker tells, too');

$inbox->close;
$gw->clean;

# --- as it does at once, which cuts them

@many = map { events('/events') } 1 .. 2;
ok($_->arrived(qr/retry: 5000/), 'a stream') for @many;
$gw->ngx->stop('TERM');
ok($_->closed(1), 'ends with the worker') for @many;

done_testing;
