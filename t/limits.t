#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Against floods: approval_max_pending, cool_down; and requesters that leave.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();

my $gw = Approval::Gateway->new(workers => 2, http => <<'EOF',
    approval_policy p {
        rule cap   { match $uri ^/cap; require admins; timeout 60s; }
        rule cool  { match $uri ^/cool; require admins; timeout 60s;
                     notify hook; cool_down 2s; }
        rule cool2 { match $uri ^/bare; require admins; timeout 60s;
                     cool_down 60s; }
        rule again { match $uri ^/again; require admins; timeout 60s; }
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
        location /bare { approval_unsigned_decisions on; proxy_pass %%UP%%; }
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


# cool_down: nobody is asked twice what was just denied

{
    my ($client, $id) = $gw->hold(POST => '/cool', body => 'x');
    $gw->vote($id, 'deny', 'not today');
    is($client->read->header('Retry-After'), undef, 'the denial itself');
    ok(wait_for(sub { $gw->hook->count == 1 }), 'one message');

    my $r = ask(POST => '/cool', body => 'x');
    is($r->status, 403, 'cool-down: refused');
    is($r->json->{type}, 'urn:approval:denied', 'cool-down: as denied');
    is($r->json->{comment}, 'not today', 'cool-down: with the comment');
    is($r->header('Approval-Id'), $id, 'cool-down: the denied action');
    is($r->header('Approval-Status'), 'denied', 'cool-down: its state');
    like($r->header('Retry-After'), qr/^[12]$/, 'cool-down: Retry-After');
    is(scalar(my @open = $gw->pending), 0, 'cool-down: nothing is asked');

    is(ask(POST => '/cool', body => 'x')->status, 403, 'and not once more');

    my ($other, $id2) = $gw->hold(POST => '/cool', body => 'y');
    ok($id2, 'another request is asked for');
    $gw->vote($id2, 'approve');
    is($other->read->status, 200, 'and passes');

    my ($agent, $id3) = $gw->hold(POST => '/cool', body => 'x',
                                  agent => 'agent-8');
    ok($id3, 'and so is that of another agent');
    $gw->vote($id3, 'approve');
    is($agent->read->status, 200, 'and passes');

    my ($refused) = grep { ($_->{action_id} // '') eq $id }
                    $gw->audit('refused');
    like($refused->{why}, qr/cool-down/, 'it is on record');

    my $denied = $gw->redis->cmd(HGET => "approval:{00}:$id", 'd');
    ok(wait_for(sub { my ($s, $us) = @{ $gw->redis->cmd('TIME') };
                      $s * 1000 + $us / 1000 >= $denied + 2000 }),
       'the cool-down ends');
    my ($again, $id4) = $gw->hold(POST => '/cool', body => 'x');
    ok($id4 && $id4 ne $id, 'then it may be asked for again');
    $gw->vote($id4, 'approve');
    is($again->read->status, 200, 'and passes');
    is($gw->hook->count, 4, 'one message an action');
}

{
    my ($client, $id) = $gw->hold(GET => '/bare');
    $gw->set($id, 'deny');
    is($client->read->status, 403, 'denied by a bare "deny"');
    is(ask(GET => '/bare')->header('Approval-Id'), $id, 'cools down, too');
}

{
    my ($client, $id) = $gw->hold(GET => '/again');
    $gw->vote($id, 'deny');
    $client->read;
    my ($again, $id2) = $gw->hold(GET => '/again');
    isnt($id2, $id, 'without cool_down it is asked for again');
    $gw->vote($id2, 'deny');
    $again->read;
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


my ($code, $out) = Approval::Nginx->test_conf(http =>
    'approval_policy p { rule r { deny; cool_down 1m; } }');
isnt($code, 0, 'cool_down without require');
like($out, qr/"cool_down" in rule "r" has no meaning/, 'says so');

($code, $out) = Approval::Nginx->test_conf(http =>
    'approval_policy p { rule r { require a; cool_down soon; } }');
isnt($code, 0, 'cool_down of no time');

for my $row ([ '0', qr/use 1 or more/ ], [ '5 by=x', qr/use "per=VALUE"/ ],
             [ '5 per=', qr/use "per=VALUE"/ ])
{
    ($code, $out) = Approval::Nginx->test_conf(http =>
        "approval_max_pending $row->[0];");
    isnt($code, 0, "approval_max_pending $row->[0]");
    like($out, $row->[1], 'says so');
}

$gw->clean;
done_testing;
