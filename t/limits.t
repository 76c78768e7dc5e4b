#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Against floods: approval_max_pending; and requesters that leave.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();

my $gw = Approval::Gateway->new(workers => 2, http => <<'EOF',
    approval_policy p {
        rule cap   { match $uri ^/cap; require admins; timeout 60s; }
        rule tool  { mcp_tool drop; require admins; timeout 60s; }
        rule held  { match $uri ^/held ^/cancel; require admins;
                     timeout 60s; }
    }
EOF
    server => <<'EOF');
        approval p;
        location / { proxy_pass %%UP%%; }
        location /cap { approval_max_pending 2 per=$http_x_agent;
                        proxy_pass %%UP%%; }
        location /cap/all { approval_max_pending 2; proxy_pass %%UP%%; }
        location /cancel { approval_disconnect cancel; proxy_pass %%UP%%; }
EOF


sub ask { $gw->send(@_)->read }

sub present { $gw->action($_[0])->{requester_present} }


# approval_max_pending, for each agent and for all

for my $row ([ 'per=', '/cap', 'agent-8', 0 ],
             [ 'all', '/cap/all', 'agent-8', 1 ])
{
    my ($name, $target, $other, $shared) = @$row;
    my @held = map { [ $gw->hold(POST => "$target/$_") ] } 1, 2;

    my $r = ask(POST => "$target/3");
    is($r->status, 429, "$name: one too many");
    is($r->json->{type}, 'urn:approval:too-many-pending', "$name: its type");
    like($r->header('Retry-After'), qr/^[1-9]\d*$/, "$name: Retry-After");
    is($gw->hits("$target/3"), 0, "$name: not forwarded");
    is(scalar(my @open = $gw->pending), 2, "$name: no action is made");

    my $joined = $gw->send(POST => "$target/1");
    ok($joined->quiet(0.1), "$name: an identical one joins all the same");

    if ($shared) {
        is(ask(POST => "$target/3", agent => $other)->status, 429,
           "$name: others are counted, too");

    } else {
        my ($client, $id) = $gw->hold(POST => "$target/3", agent => $other);
        ok($id, "$name: another agent may");
        $gw->vote($id, 'deny');
        $client->read;
    }

    $gw->vote($held[0][1], 'deny');
    is($_->read->status, 403, "$name: denied") for $held[0][0], $joined;

    my ($client, $id) = $gw->hold(POST => "$target/3");
    ok($id, "$name: there is room again");
    is(ask(POST => "$target/4")->status, 429, "$name: for one");

    $gw->vote($_, 'approve') for $id, $held[1][1];
    is($_->read->status, 200, "$name: executed") for $client, $held[1][0];

    ok($gw->audit('refused'), "$name: it is on record");
    $gw->clean("$name: clean");
}


# approvers see whether somebody waits

{
    my ($one, $id) = $gw->hold(GET => '/held');
    ok(present($id), 'present: the requester waits');
    my $two = $gw->send(GET => '/held');
    ok(wait_for(sub { $gw->audit('joined') }), 'present: twice');

    $one->close;
    ok(wait_for(sub { !$gw->redis->cmd(HGET => "approval:{00}:$id", 'h') }),
       'present: one leaves');
    ok(present($id), 'present: one still waits');

    $two->close;
    ok(wait_for(sub { !present($id) }), 'present: nobody waits');
    is($gw->state($id), 'pending', 'present: the action stays open');

    my $page = http_get($gw->port, "/_approval/actions/$id",
                        headers => [ 'X-User' => 'alice',
                                     Accept => 'text/html' ])->body;
    like($page, qr/The requester has left/, 'present: the page says so');

    my $three = $gw->send(GET => '/held');
    ok(wait_for(sub { present($id) }), 'present: it is back');
    $gw->vote($id, 'approve');
    is($three->read->status, 200, 'present: and executed');
    is($gw->action($id)->{requester_present}, undef,
       'present: afterwards it does not matter');
}


# cancel: with the last one

{
    my ($one, $id) = $gw->hold(GET => '/cancel/two');
    my $two = $gw->send(GET => '/cancel/two');
    ok(wait_for(sub { grep { $_->{action_id} eq $id } $gw->audit('joined') }),
       'cancel: joined');

    $one->close;
    select(undef, undef, undef, 0.3);
    is($gw->state($id), 'pending', 'cancel: the other one still waits');

    $two->close;
    ok(wait_for(sub { $gw->state($id) eq 'cancelled' }),
       'cancel: with the last one');
    ok(wait_for(sub { grep { $_->{action_id} eq $id }
                           $gw->audit('cancelled') }),
       'cancel: it is on record');
    is(scalar(grep { $_->{action_id} eq $id } $gw->audit('cancelled')), 1,
       'cancel: once');
    is($gw->vote($id, 'approve')->status, 409, 'cancel: a vote is late');
}


# ... whoever polled before by sending it again: each 202 ends a wait, and is a
# ticket, until the same request comes back for it

{
    my $poll = sub {
        return $gw->send(GET => '/cancel/poll',
                         headers => [ Prefer => 'respond-async' ])->read;
    };

    my $first = $poll->();
    my $id = $first->header('Approval-Id');

    is($first->status, 202, 'cancel: a ticket');
    is($poll->()->header('Approval-Id'), $id, 'cancel: taken up') for 1 .. 3;
    is($gw->state($id), 'pending', 'cancel: which keeps the action open');
    ok(present($id), 'cancel: its requester will be back');

    my $one = $gw->send(GET => '/cancel/poll');
    ok(wait_for(sub { (grep { $_->{action_id} eq $id } $gw->audit('joined'))
                      == 4 }), 'cancel: then it waits');
    is($poll->()->status, 202, 'cancel: another ticket, meanwhile');
    $one->close;
    ok(wait_for(sub { ($gw->redis->cmd(HGET => "approval:{00}:$id", 'h') // 0)
                      == -1 }), 'cancel: it leaves');
    is($gw->state($id), 'pending', 'cancel: the ticket is out');
    ok(present($id), 'cancel: present by its ticket');

    my $two = $gw->send(GET => '/cancel/poll');
    ok(wait_for(sub { (grep { $_->{action_id} eq $id } $gw->audit('joined'))
                      == 6 }), 'cancel: it waits again');
    $two->close;
    ok(wait_for(sub { $gw->state($id) eq 'cancelled' }),
       'cancel: and leaves for good');
}


# MCP: from 2026-07-28 on the end of the stream cancels the call

my $call = '{"jsonrpc":"2.0","id":1,"method":"tools/call",'
           . '"params":{"name":"drop"}}';

for my $row ([ '2025-11-25', 'pending' ], [ '2026-07-28', 'cancelled' ],
             [ '2027-01-01', 'cancelled' ], [ 'draft', 'pending' ],
             [ undef, 'pending' ])
{
    my ($version, $state) = @$row;
    my ($client, $id) = $gw->hold(POST => '/mcp', body => $call, headers =>
        [ 'Content-Type' => 'application/json',
          $version ? ('MCP-Protocol-Version' => $version) : () ]);
    my $name = 'MCP ' . ($version // 'without a version');

    $client->close;
    ok(wait_for(sub { $state eq 'pending' ? !present($id)
                      : $gw->state($id) eq $state }), "$name: it left");
    is($gw->state($id), $state, "$name: $state");
    $gw->vote($id, 'deny');
}


for my $row ([ '0', qr/use 1 or more/ ], [ '5 by=x', qr/use "per=VALUE"/ ],
             [ '5 per=', qr/use "per=VALUE"/ ])
{
    my ($code, $out) = Approval::Nginx->test_conf(http =>
        "approval_max_pending $row->[0];");
    isnt($code, 0, "approval_max_pending $row->[0]");
    like($out, $row->[1], 'says so');
}

$gw->clean;
done_testing;
