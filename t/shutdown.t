#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# worker_shutdown_timeout: held requests are let go with an answer, and what
# people have ended is on record, although their connections are cut first.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;
use Approval::Proxy;

need_module();

my $gw = Approval::Gateway->new(
    conf => 'worker_shutdown_timeout 12s;',
    http => <<'EOF', server => <<'EOF');
    approval_policy p { rule r { match $uri ^/held; require admins;
                                 timeout 60s; } }
EOF
    approval p;
    location / { proxy_pass %%UP%%; }
EOF

my @held = map { [ $gw->hold(GET => "/held/$_") ] } 1 .. 3;

my @old = $gw->ngx->workers;
$gw->ngx->reload;

ok($held[0][0]->quiet(0.5), 'still held after the reload');
$gw->vote($held[0][1], 'approve');
is($held[0][0]->read->status, 200, 'the old worker finishes what is decided');

my $r = $held[1][0]->read;
is($r->status, 503, 'let go before the connections are cut');
is($r->json->{type}, 'urn:approval:restarting', 'its type');
is($r->json->{action_id}, $held[1][1], 'its action');
is($r->json->{state}, 'pending', 'which stays open');
like($r->header('Retry-After'), qr/^\d+$/, 'Retry-After');
is($held[2][0]->read->status, 503, 'and every other');

ok(wait_for(sub { !grep { kill 0, $_ } @old }), 'the old worker ends');

my $again = $gw->send(GET => '/held/2');
ok($again->quiet(0.3), 'the same request waits again');
is(scalar($gw->pending), 2, 'for the same action');
$gw->vote($held[1][1], 'approve');
is($again->read->status, 200, 'and gets its decision');
is($gw->hits('/held/2'), 1, 'executed once');

$gw->vote($held[2][1], 'deny');

$gw->clean('shutdown');


# asked while Redis does not answer

sub asked {
    my ($state, $timeout, $method, $uri, $decision) = @_;

    my $gw = Approval::Gateway->new(
        start => 0, workers => 1, redis => 'timeout=60s',
        conf => "worker_shutdown_timeout $timeout;",
        http => 'approval_policy p { rule r { match $uri ^/held;
                                     require admins; timeout 60s; } }',
        server => 'approval p; location / { proxy_pass %%UP%%; }');
    my $proxy = Approval::Proxy->new($gw->redis->sock);

    $gw->ngx->{http} =~ s/approval_redis \S+/'approval_redis ' . $proxy->url/e;
    $gw->ngx->start;

    my $id = $gw->send(GET => '/held',
                       headers => [ Prefer => 'respond-async' ])
                ->read->header('Approval-Id');
    my $client = Approval::Client->new($gw->port);

    $proxy->stall($state);
    $client->send($method, $uri =~ s/ID/$id/r,
                  headers => [ 'X-User' => 'alice', 'X-Agent' => 'agent-7' ],
                  $decision ? (json => { decision => $decision }) : ());
    ok(wait_for(sub { $proxy->stalled }), "$state: the store is asked");

    return ($gw, $id, $client, $proxy);
}

for my $row ([ 'denied', '1s', POST => '/_approval/actions/ID/decision', 'deny' ],
             [ 'cancelled', '1s', DELETE => '/_approval/status/ID' ])
{
    my ($state) = @$row;
    my ($gw, $id, $client, $proxy) = asked(@$row);
    my @old = $gw->ngx->workers;

    $gw->ngx->reload;
    ok(wait_for(sub { $client->closed }), "$state: the connection is cut");
    $proxy->pass;

    ok(wait_for(sub { grep { $_->{action_id} eq $id } $gw->audit($state) }),
       "$state: on record");
    is($gw->state($id), $state, "$state: as the store has it");
    ok(wait_for(sub { !grep { kill 0, $_ } @old }),
       "$state: the old worker ends");
    $gw->clean("$state: clean");
}


# a worker that is stopped at once says what it does not know

{
    my ($gw, $id) = asked('cancelled', '60s',
                          DELETE => '/_approval/status/ID');

    $gw->ngx->stop('TERM');
    ok(scalar(grep { ($_->{action_id} // '') eq $id
                     && $_->{why} =~ /before redis answered whether it is canc/
              } $gw->audit('fault')), 'stopped: on record');
}

done_testing;
