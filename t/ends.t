#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The memory of ends when it is full: cancellations make room; where there are
# none, nothing is executed until the end that found no room does not matter any
# more.  The module is built with a small table for that.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Fault;
use Approval::Gateway;

use POSIX ();

need('redis-server');
need_module();

plan(skip_all => 'the module is linked into nginx')
    if Approval::Nginx::is_linked();

my $ROOM = 16;

$ENV{APPROVAL_BUILD} = Approval::Fault::plant('model/ends.c',
    qr/(?<=NGX_HTTP_APPROVAL_ENDS        )131072/ => $ROOM);

my $gw = Approval::Gateway->new(
    allow => [ qr/\[alert\] .* the memory of ends is full with $ROOM entries/
             ],
    http => <<'EOF',
    approval_group ops olga;
    approval_operators ops;
    approval_policy p {
        rule grant { match $uri ^/grant; require admins; timeout 300s;
                     remember 300s per $uri uses=2; }
        rule r     { match $uri ^/held; require admins; timeout 300s; }
    }
EOF
    server => 'approval p; location / { proxy_pass %%UP%%; }');


sub ticket {
    my ($target) = @_;

    return $gw->send(GET => $target, headers => [ Prefer => 'respond-async' ])
              ->read->header('Approval-Id');
}


sub executes {
    my ($name, $target) = @_;

    my ($client, $id) = $gw->hold(GET => $target);

    is($gw->vote($id, 'approve')->status, 200, "$name: approved");
    is($client->read->status, 200, "$name: executed");
    is($gw->hits($target), 1, "$name: once");

    return $id;
}


# more cancellations than there is room for

for my $n (1 .. $ROOM + 4) {
    my $id = ticket("/held/cancelled/$n");

    is(Approval::Client->new($gw->port)->request(
           DELETE => "/_approval/status/$id",
           headers => [ 'X-Agent' => 'agent-7' ])->status, 200,
       "withdrawn: $n");
}

my $executed = executes('full of cancellations', '/held/1');

executes('a grant', '/grant/1');

# it is remembered nevertheless

$gw->redis->cmd(HSET => $gw->key($executed), s => 'approved');
isnt($gw->send(GET => '/held/1', headers => [ 'Approval-Id' => $executed ])
        ->read->status, 200, 'what was executed is not, again');
is($gw->hits('/held/1'), 1, 'once');

# more freezes than there is room for, which end at the same time

my $until = POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + 40 * slow()));
my $mark = $gw->ngx->mark;
my ($client, $id) = $gw->hold(GET => '/held/full');

for my $n (1 .. $ROOM + 1) {
    is(Approval::Client->new($gw->port)->request(
           POST => '/_approval/freeze', headers => [ 'X-User' => 'olga' ],
           json => { requester => "frozen-$n", until => $until })->status, 200,
       "frozen: $n");
}

$gw->ngx->log_like(qr/\[alert\].*approvals are refused until the oldest entr/,
                   'full: logged', since => $mark);
is($gw->vote($id, 'approve')->status, 200, 'full: a vote is taken');

my $r = $client->read;

is($r->status, 503, 'full: refused');
is($r->json->{type}, 'urn:approval:store-unavailable', 'full: and why');
is($gw->hits('/held/full'), 0, 'full: nothing is forwarded');
is($gw->state($id), 'approved', 'full: the approval is not used up');
is(($gw->audit('fault'))[-1]{limit}, 'memory', 'full: on record');
is(http_get($gw->port, '/free')->status, 200, 'full: others pass');
is($gw->send(GET => '/held/frozen', agent => 'frozen-' . ($ROOM + 1))
      ->read->json->{type}, 'urn:approval:frozen',
   'full: the freeze that is not remembered is in force');

my $hits = $gw->hits('/grant/1');

for my $n (1 .. 3) {
    my $r = $gw->send(GET => '/grant/1')->read;

    is($r->status, 503, "full: no grant is used: $n");
    is($r->json->{type}, 'urn:approval:store-unavailable',
       "full: and why: $n");
}

is($gw->hits('/grant/1'), $hits, 'full: nothing is forwarded by one');

# until they are over: what could not be used meanwhile can be used then

ok(wait_for(sub { $gw->send(GET => '/held/full')->read->status == 200 }),
   'over: approvals are used again');
is($gw->hits('/held/full'), 1, 'over: once');

executes('over', '/held/over');

is($gw->send(GET => '/grant/1')->read->status, 200, "over: the grant: $_")
    for 1, 2;
is($gw->hits('/grant/1'), $hits + 2, 'over: has kept all its uses');

$gw->clean('ends');
done_testing;
