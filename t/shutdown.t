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


# what operators change: Redis is asked, and the connection is cut, or the worker
# is stopped at once, or the reply is lost

my $KEY = 'abcdef0123456789abcdef0123456789';

my @changes = (
    { what => 'frozen', word => '4102444800000', send => sub {
          my ($gw, $client) = @_;

          $client->send(POST => '/_approval/freeze',
                        headers => [ 'X-User' => 'olga' ],
                        json => { requester => 'agent-7',
                                  until => '2100-01-01T00:00:00Z' });
      } },
    { what => 'grant revoked', send => sub {
          my ($gw, $client) = @_;

          $client->send(DELETE => "/_approval/grants/$gw->{grant}",
                        headers => [ 'X-User' => 'alice' ]);
      } },
    { what => 'passkey revoked', word => 'put', send => sub {
          my ($gw, $client) = @_;

          $client->send(POST => '/_approval/passkeys',
              body => "$gw->{nonce}&revoke=$KEY",
              headers => [ 'X-User' => 'olga', Accept => 'text/html',
                           'Sec-Fetch-Site' => 'same-origin',
                           'Content-Type' =>
                               'application/x-www-form-urlencoded' ]);
      } });


sub granted {
    my ($gw) = @_;

    my ($client, $id) = $gw->hold(GET => '/grant');

    $gw->vote($id, 'approve');
    is($client->read->status, 200, 'a grant is made');

    $gw->{grant} = http_get($gw->port, '/_approval/grants',
                            headers => [ 'X-User' => 'alice' ])
                       ->json->{grants}[0]{id};

    return 'approval:{' . substr($gw->{grant}, 0, 2) . "}:end:$gw->{grant}";
}


sub changing {
    my ($change, $timeout, $redis) = @_;

    my $gw = Approval::Gateway->new(
        start => 0, workers => 1, redis => $redis,
        conf => "worker_shutdown_timeout $timeout;", http => <<'EOF',
    approval_group ops olga;
    approval_operators ops;
    approval_passkey_origin http://localhost:8080;
    approval_policy p {
        rule grant { match $uri ^/grant; require admins; timeout 60s;
                     remember 300s per $uri; }
    }
EOF
        server => 'approval p; location / { proxy_pass %%UP%%; }');
    my $proxy = Approval::Proxy->new($gw->redis->sock);

    $gw->ngx->{http} =~ s/approval_redis \S+/'approval_redis ' . $proxy->url/e;
    $gw->ngx->start;

    my $word = $change->{word} // granted($gw);
    my $page = http_get($gw->port, '/_approval/passkeys',
                        headers => [ 'X-User' => 'olga',
                                     Accept => 'text/html' ])->body;

    ($gw->{nonce}) = $page =~ /name="nonce" value="([^"]+)"/;
    $gw->{nonce} = 'nonce='
                   . $gw->{nonce} =~ s/([^\w.-])/sprintf('%%%02X', ord $1)/ger;

    my $client = Approval::Client->new($gw->port);

    $proxy->stall($word);
    $change->{send}->($gw, $client);
    ok(wait_for(sub { $proxy->stalled }),
       "$change->{what}: the store is asked");

    return ($gw, $client, $proxy);
}


sub recorded {
    my ($gw, $type, $what) = @_;

    return grep { ($_->{what} // '') eq $what } $gw->audit($type);
}


for my $change (@changes) {
    my $what = $change->{what};
    my ($gw, $client, $proxy) = changing($change, '1s', 'timeout=60s');

    $gw->ngx->reload;
    ok(wait_for(sub { $client->closed }), "$what: the connection is cut");
    $proxy->pass;

    ok(wait_for(sub { recorded($gw, config => $what) }), "$what: on record");
    is(scalar(recorded($gw, fault => $what)), 0, "$what: and no fault");

    ($gw) = changing($change, '60s', 'timeout=60s');
    $gw->ngx->stop('TERM');

    my ($fault) = recorded($gw, fault => $what);

    like($fault->{why}, qr/stopped before redis answered whether this/,
         "$what: stopped: on record");
    is(scalar(recorded($gw, config => $what)), 0,
       "$what: stopped: but not that it was made");

    ($gw, $client) = changing($change, '60s', 'timeout=1s');
    is($client->read->status, 503, "$what: the reply is lost");
    ok(wait_for(sub { recorded($gw, fault => $what) }),
       "$what: lost: on record");
}

done_testing;
