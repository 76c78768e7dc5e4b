#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# notifications/cancelled: an MCP client gives up a call that is held, in a
# message of its own, and leaves the call's connection open.  Its own call, in
# its own session, and no other.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;
use Approval::Proxy;

need_module();

my $http = <<'EOF';
    approval_policy mcp {
        rule drop  { mcp_tool db.drop; require admins; timeout 300s; }
        rule grant { mcp_tool db.grant; require admins; timeout 300s;
                     remember 300s per $http_x_agent; }
    }
    approval_policy shadow {
        rule drop  { mcp_tool db.drop; require admins; mode shadow; }
    }
EOF

my $server = <<'EOF';
    approval mcp;
    approval_digest_ignore json:/id json:/params/_meta/progressToken;
    location / { proxy_pass %%UP%%; }
    location /shadow { approval shadow; proxy_pass %%UP%%; }
EOF

# it reaches its Redis through a proxy; another one, with its keys, does not

my $gw = Approval::Gateway->new(workers => 2, http => $http,
                                server => $server, redis => 'timeout=60s',
                                start => 0);
my $proxy = Approval::Proxy->new($gw->redis->sock);

$gw->ngx->{http} =~ s/approval_redis \S+/'approval_redis ' . $proxy->url/e;
$gw->ngx->start;

my $other = bless { %$gw, audit => undef }, 'Approval::Gateway';

$other->{ngx} = Approval::Nginx->new(workers => 1,
                                     http => $gw->conf($http, $server, 1, ''));

my $tables = 0;


sub in_session {
    my ($session) = @_;

    return [ Accept => 'application/json, text/event-stream',
             map { ('Mcp-Session-Id' => $_) }
                 ref $session ? @$session : $session // () ];
}


# $tool of a table that nobody has named yet, unless it is given

sub call {
    my ($call_id, %how) = @_;

    return (POST => '/mcp', headers => in_session($how{session} // 's1'),
            json => { jsonrpc => '2.0', id => $call_id,
                      method => 'tools/call',
                      params => { name => $how{tool} // 'db.drop',
                                  arguments => { table => $how{table}
                                                          // ++$tables },
                                  $how{meta} ? (_meta => $how{meta}) : () } });
}


# the notification, which the upstream gets in any case

sub cancel {
    my ($name, $call_id, %how) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $to = $how{gw} // $gw;
    my $before = $to->up->count;
    my $session = exists $how{session} ? $how{session} : 's1';

    my $r = $to->send(POST => $how{path} // '/mcp',
        agent => $how{agent} // 'agent-7', headers => in_session($session),
        json => { jsonrpc => '2.0',
                  method => $how{method} // 'notifications/cancelled',
                  params => { requestId => $call_id, reason => 'timeout' } }
        )->read;

    is($r->status, 200, "$name: the notification passes");
    is($to->up->count, $before + 1, "$name: and reaches the server");
}


sub is_cancelled {
    my ($client, $call_id, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $json = $client->read->json;

    is_deeply($json->{id}, $call_id, "$name: the call is answered");
    ok($json->{result}{isError}, "$name: by an error");
    is($json->{result}{_meta}{approval}{type}, 'urn:approval:cancelled',
       "$name: that says cancelled");
}


sub trail {
    my ($type, $id) = @_;

    return grep { ($_->{action_id} // '') eq $id } $gw->audit($type);
}


# Its own call, whatever worker or gateway holds it

for my $row ([ 'a number', 7, $gw ], [ 'a string', 'a-b', $gw ],
             [ 'by another gateway', 8, $other ], [ 'zero', 0, $gw ])
{
    my ($name, $call_id, $by) = @$row;
    my ($c, $id) = $gw->hold(call($call_id));

    cancel($name, $call_id, gw => $by);
    is_cancelled($c, $call_id, $name);

    ok(wait_for(sub { $gw->state($id) eq 'cancelled' }), "$name: it ended");
    ok(wait_for(sub { trail('cancelled', $id) }), "$name: on record");
    is((trail('cancelled', $id))[0]{why}, 'the requester cancelled the call',
       "$name: and why");
    is($gw->vote($id, 'approve')->status, 409, "$name: a vote is late");
}


# No other: whose, of which session and server, and which

my ($held, $held_id) = $gw->hold(call(7, table => 'x'));

for my $row (
    [ 'another requester', 7, agent => 'agent-8' ],
    [ 'no requester', 7, agent => '' ],
    [ 'another session', 7, session => 's2' ],
    [ 'no session', 7, session => undef ],
    [ 'an empty session', 7, session => '' ],
    [ 'two sessions', 7, session => [ 's1', 's2' ] ],
    [ 'another server', 7, path => '/other' ],
    [ 'another call', 8 ],
    [ 'a string that looks like it', '7' ],
    [ 'no id', undef ],
    [ 'an object', { id => 7 } ],
    [ 'another notification', 7, method => 'notifications/progress' ],
    [ 'a policy in shadow', 7, path => '/shadow' ],
) {
    cancel(@$row);
}

# the store has looked at all of these before it comes to this one

{
    my ($c) = $gw->hold(call('last'));

    cancel('the last one', 'last');
    is_cancelled($c, 'last', 'the last one');
}

ok(!$held->answered, 'the call is held all the same');
is($gw->state($held_id), 'pending', 'and its action is open');


# One of two that wait for the same

{
    my $two = $gw->send(call(8, table => 'x'));

    ok(wait_for(sub { trail('joined', $held_id) }), 'another call joins it');
    cancel('one of two', 7);
    is_cancelled($held, 7, 'one of two');
    ok(wait_for(sub { !defined $gw->redis->cmd(HGET => "approval:{00}:$held_id",
                                               'h') }), 'it has left');
    is($gw->state($held_id), 'pending', 'the action stays open');
    ok(!$two->answered, 'for the other one');

    $gw->vote($held_id, 'approve');
    is($two->read->body, "ok\n", 'which is executed');
}


# Approved in the same moment: what comes first in the store

{
    my ($c, $id) = $gw->hold(call(9, table => 'y'));
    my $before = $gw->up->count;

    $proxy->stall('60000');             # the lease of what is consumed
    $gw->vote($id, 'approve');
    ok(wait_for(sub { $proxy->stalled }), 'the approval is being used');
    cancel('before it is', 9, gw => $other);
    $proxy->pass;
    is_cancelled($c, 9, 'before it is');

    is($gw->up->count, $before + 1, 'only the notification was forwarded');
    is(scalar(my @used = trail('approved', $id)), 0, 'no use is on record');
    is($gw->state($id), 'approved', 'the approval stands');
    is($gw->send(call(9, table => 'y'))->read->body, "ok\n",
       'for who asks again, by that name or another');
}


# The message may overtake the call; what asks again asks

{
    cancel('overtaken', 10);
    is_cancelled($gw->send(call(10, table => 'z')), 10, 'overtaken');

    my ($c, $id) = $gw->hold(call(10, table => 'z'));
    ok($id, 'the same again is held');
    $gw->vote($id, 'deny');
    $c->read;
}


# In a stream that has been opened

{
    my ($c, $id) = $gw->hold(call(11, meta => { progressToken => 1 }));

    ok($c->arrived(qr/notifications\/progress/), 'a stream: progress');
    cancel('a stream', 11);

    my ($event) = map { decode_json($_) }
                  grep { /"id":11/ } $c->read->body =~ /^data: (.*)$/mg;
    is($event->{result}{_meta}{approval}{type}, 'urn:approval:cancelled',
       'a stream: the last event says so');
    ok(wait_for(sub { $gw->state($id) eq 'cancelled' }), 'a stream: it ended');
}


# A batch is held as a whole, and not given up by a part of it

{
    my ($post, $path, %how) = call(12);

    $how{json} = [ $how{json} ];

    my ($c, $id) = $gw->hold($post, $path, %how);

    cancel('a batch', 12);
    ok($c->quiet(0.3), 'a batch: it waits');
    is($gw->state($id), 'pending', 'a batch: and is open');
    $gw->vote($id, 'deny');
    $c->read;
}


# A grant lets nothing pass that was given up

{
    my ($c, $id) = $gw->hold(call(13, tool => 'db.grant'));

    $gw->vote($id, 'approve');
    is($c->read->body, "ok\n", 'a grant is made');
    is($gw->send(call(14, tool => 'db.grant'))->read->body, "ok\n",
       'and used');
    cancel('a grant', 15);
    is_cancelled($gw->send(call(15, tool => 'db.grant')), 15, 'a grant');
}


# What Redis sees

is(join(' ', grep { /agent|s1/ } @{ $gw->redis->cmd(KEYS => '*') }), '',
   'no name is in clear');

$gw->clean('mcp_cancelled');
done_testing;
