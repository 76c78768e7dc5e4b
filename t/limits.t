#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Against floods: approval_max_pending, approval_max_prompts; and requesters that
# leave.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();

my $gw = Approval::Gateway->new(workers => 2, http => <<'EOF',
    approval_zone z 1m;
    approval_policy p {
        rule cap   { match $uri ^/cap; require admins; timeout 60s; }
        rule ask   { match $uri ^/ask; require admins; timeout 60s;
                     notify hook; }
        rule grant { match $uri ^/budget; require admins; timeout 60s;
                     notify hook; remember 60s per $uri; }
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
        location /ask { approval_max_prompts 3/4s per=$http_x_agent;
                        proxy_pass %%UP%%; }
        location /ask/all { approval_max_prompts 3/4s; proxy_pass %%UP%%; }
        location /ask/any { approval_max_prompts 1000/1h per=$http_x_agent;
                            proxy_pass %%UP%%; }
        location /ask/both { approval_max_prompts 2/1h per=$http_x_team;
                             approval_max_pending 1 per=$http_x_team;
                             proxy_pass %%UP%%; }
        location /ask/repeat { approval_max_prompts 2/1h per=$http_x_team;
                               approval_repeat 10s; proxy_pass %%UP%%; }
        location /budget { approval_max_prompts 2/1h per=$http_x_team;
                           proxy_pass %%UP%%; }
        location = /metrics { approval_metrics; }
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


# approval_max_prompts: fifteen at once are three messages, whoever varies what

sub refused {
    my $text = http_get($gw->port, '/metrics')->body;

    return $text =~ /approval_refused_total\{type="too-many-prompts"\} (\d+)/
           ? $1 : 0;
}

for my $row ([ 'per=', '/ask', 0 ], [ 'all', '/ask/all', 1 ]) {
    my ($name, $target, $shared) = @$row;
    my $told = $gw->hook->count;
    my $refused = refused();
    my @all = map { $gw->send(POST => "$target/$_") } 1 .. 15;

    ok(wait_for(sub { 12 == grep { $_->answered } @all }),
       "$name: twelve are answered");
    my @open = $gw->pending;
    is(scalar(@open), 3, "$name: three are held");

    for my $client (grep { $_->answered } @all) {
        my $r = $client->read;

        is($r->status, 429, "$name: refused");
        is($r->json->{type}, 'urn:approval:too-many-prompts', "$name: why");
        like($r->header('Retry-After'), qr/^[1-4]$/, "$name: until when");
    }

    ok(wait_for(sub { $gw->hook->count == $told + 3 }),
       "$name: three messages");
    is(refused(), $refused + 12, "$name: counted");
    ok((grep { ($_->{refusal} // '') =~ /:too-many-prompts$/ }
             $gw->audit('refused')), "$name: on record");

    my ($held) = grep { !$_->answered } @all;
    my $first = $gw->action($open[0])->{target};
    my $joined = $gw->send(POST => $first);
    ok($joined->quiet(0.1), "$name: an identical one joins all the same");

    $gw->vote($_, 'deny') for @open;
    is($joined->read->status, 403, "$name: and is answered with it");
    is(ask(POST => "$target/16")->status, 429,
       "$name: who has been asked, has been asked");

    if ($shared) {
        is(ask(POST => "$target/16", agent => 'agent-8')->status, 429,
           "$name: others are counted, too");

    } else {
        my ($client, $id) = $gw->hold(POST => "$target/16",
                                      agent => 'agent-8');
        ok($id, "$name: another agent may");
        $gw->vote($id, 'deny');
        $client->read;
    }

    my ($client, $id);
    ok(wait_for(sub {
        $client = $gw->send(POST => "$target/17");
        wait_for(sub { ($id) = $gw->pending; $id || $client->answered });
        return $id;
    }), "$name: in time there is room again");
    $gw->vote($id, 'approve');
    is($client->read->status, 200, "$name: for one");
    $gw->clean("$name: clean");
}

{
    my $told = $gw->hook->count;
    my @all = map { $gw->send(POST => "/ask/any/$_", agent => 'agent-9') }
                  1 .. 15;

    ok(wait_for(sub { (my @open = $gw->pending) == 15 }),
       'a larger budget: all are held');
    $gw->vote($_, 'deny') for $gw->pending;
    is($_->read->status, 403, 'a larger budget: denied') for @all;
    is($gw->hook->count, $told + 15, 'a larger budget: fifteen messages');
}


# what asks nobody does not count

{
    my @team = (headers => [ 'X-Team' => 'green' ]);
    my ($one, $first) = $gw->hold(POST => '/ask/both/1', @team);

    is(ask(POST => '/ask/both/2', @team)->json->{type},
       'urn:approval:too-many-pending', 'both: the other limit') for 1 .. 3;
    $gw->vote($first, 'deny');
    $one->read;

    my ($two, $second) = $gw->hold(POST => '/ask/both/3', @team);
    ok($second, 'both: what that one refused is given back');
    $gw->vote($second, 'deny');
    $two->read;
    is(ask(POST => '/ask/both/4', @team)->json->{type},
       'urn:approval:too-many-prompts', 'both: two were asked');

    @team = (headers => [ 'X-Team' => 'red' ]);
    my ($granted, $id) = $gw->hold(GET => '/budget', @team, body => 'a');
    $gw->vote($id, 'approve');
    is($granted->read->status, 200, 'grant: approved');
    is(ask(GET => '/budget', @team, body => $_)->status, 200,
       'grant: passes, and does not count') for 1 .. 5;
    (my $client, $id) = $gw->hold(GET => '/budget/2', @team);
    ok($id, 'grant: the second one');
    $gw->vote($id, 'deny');
    $client->read;
    is(ask(GET => '/budget/3', @team)->status, 429, 'grant: the third one');
    is(ask(GET => '/budget', @team, body => 'z')->status, 200,
       'grant: passes over the limit');

    @team = (headers => [ 'X-Team' => 'blue' ]);
    ($client, $id) = $gw->hold(GET => '/ask/repeat', @team);
    $gw->vote($id, 'deny');
    $client->read;
    is(ask(GET => '/ask/repeat', @team)->header('Approval-Id'), $id,
       'repeat: does not count') for 1 .. 5;
    ($client, $id) = $gw->hold(GET => '/ask/repeat/2', @team);
    ok($id, 'repeat: the second one');
    $gw->vote($id, 'deny');
    $client->read;
    is(ask(GET => '/ask/repeat/3', @team)->status, 429,
       'repeat: the third one');
    is(ask(GET => '/ask/repeat/2', @team)->status, 403,
       'repeat: a denial is one, over the limit as well');

    is(ask(GET => '/ask/repeat/4', headers =>
           [ 'X-Team' => 'blue', 'X-Team' => 'red' ])->json->{type},
       'urn:approval:ambiguous-header', 'a value needs one reading');
}


# approvers see whether somebody waits

{
    my ($one, $id) = $gw->hold(GET => '/held');
    ok(present($id), 'present: the requester waits');
    my $two = $gw->send(GET => '/held');
    ok(wait_for(sub { grep { $_->{action_id} eq $id } $gw->audit('joined') }),
       'present: twice');

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


for my $row (
    [ '5', qr/invalid rate: use .* for example "20\/10m"/ ],
    [ '5/', qr/invalid rate/ ], [ '5/0', qr/invalid rate/ ],
    [ '5/soon', qr/invalid rate/ ], [ '0/1m', qr/use 1 or more/ ],
    [ '/1m', qr/use 1 or more/ ], [ '5/1m by=x', qr/use "per=VALUE"/ ],
    [ "5/1m;\napproval_max_prompts 6/1m", qr/is duplicate/ ])
{
    my ($code, $out) = Approval::Nginx->test_conf(http =>
        "approval_max_prompts $row->[0];");
    isnt($code, 0, "approval_max_prompts $row->[0]");
    like($out, $row->[1], 'says so');
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
