#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# DELETE of an action: its requester withdraws it, or an approver or operator
# stops it.  Whoever waits for it is told.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();

my $gw = Approval::Gateway->new(workers => 2, http => <<'EOF',
    approval_zone z 1m;
    approval_group ops olga;
    approval_group others carol;
    approval_operators ops;
    approval_alias agent-7 robot@example.com;
    approval_channel direct { type json; url %%HOOK%%; }
    approval_policy p {
        rule short { match $uri ^/short; require admins; timeout 1s; }
        rule slow  { match $uri ^/used; require admins; timeout 60s; }
        rule r     { match $uri ^/; require admins; timeout 60s;
                     notify direct; }
    }
EOF
    server => <<'EOF');
        approval p;
        location / { proxy_pass %%UP%%; }
        location /tickets/status/ {
            approval_api;
            approval_requester $http_x_me;
        }
        location /nameless/status/ {
            approval_api;
            approval_requester "";
        }
        location = /metrics { approval_metrics; }
EOF


sub withdraw {
    my ($path, $id, @headers) = @_;

    return Approval::Client->new($gw->port)->request(
        DELETE => "$path/$id", headers => \@headers);
}


sub counted {
    my $text = http_get($gw->port, '/metrics')->body;

    my $sum = 0;

    for (split /\n/, $text) {
        $sum += $1 if /^approval_actions_total\{.*"cancelled".*\} (\d+)$/;
    }

    return $sum;
}


sub record {
    my ($id) = @_;

    my ($record) = grep { $_->{action_id} eq $id } $gw->audit('cancelled');

    return $record;
}


# who may: the held connections, the messages, the trail and late votes

for my $row (
    [ 'the requester', '/tickets/status', [ 'X-Me' => 'agent-7' ],
      'withdrawn by the requester' ],
    [ 'the requester by another name', '/tickets/status',
      [ 'X-Me' => 'Robot@Example.com' ], 'withdrawn by the requester' ],
    [ 'the requester, signed in', '/_approval/actions',
      [ 'X-User' => 'agent-7' ], 'withdrawn by the requester' ],
    [ 'an approver', '/_approval/actions', [ 'X-User' => 'alice' ],
      'withdrawn by an approver', 'alice' ],
    [ 'an approver, at the status', '/_approval/status',
      [ 'X-User' => 'alice', 'X-Agent' => 'other' ],
      'withdrawn by an approver', 'alice' ],
    [ 'an operator', '/_approval/actions', [ 'X-User' => 'olga' ],
      'withdrawn by an operator', 'olga' ],
) {
    my ($name, $path, $headers, $why, $by) = @$row;
    my $counted = counted();
    my $told = $gw->hook->count;

    my ($one, $id) = $gw->hold(POST => '/x', body => $name);
    my $two = $gw->send(POST => '/x', body => $name);
    ok(wait_for(sub { grep { $_->{action_id} eq $id } $gw->audit('joined') }),
       "$name: two wait");
    ok(wait_for(sub { $gw->hook->count == $told + 1 }), "$name: one message");

    my $r = withdraw($path, $id, @$headers);

    is($r->status, 200, "$name: may");
    is_deeply([ @{ $r->json }{qw(id state terminal)} ],
              [ $id, 'cancelled', JSON::PP::true() ], "$name: the document");

    for my $client ($one, $two) {
        my $held = $client->try_read(5);

        is($held && $held->status, 403, "$name: the held one is told");
        is($held->json->{type}, 'urn:approval:cancelled', "$name: why");
        is($held->json->{decided_by}, $by, "$name: and by whom");
    }

    is($gw->state($id), 'cancelled', "$name: its state");
    is($gw->hits('/x'), 0, "$name: not executed");
    ok(wait_for(sub { record($id) }), "$name: on record");
    is(record($id)->{why}, $why, "$name: why");
    is_deeply(record($id)->{by}, $by && [ $by ], "$name: by whom");
    ok(wait_for(sub { $gw->hook->count == $told + 2 }),
       "$name: the message has its end");
    is($gw->hook->last->json->{type}, 'approval.cancelled',
       "$name: which says so");
    is(counted(), $counted + 1, "$name: counted");

    my $vote = $gw->vote($id, 'approve');
    is($vote->status, 409, "$name: a vote is late");
    is($vote->json->{state}, 'cancelled', "$name: and says why");

    $r = withdraw($path, $id, @$headers);
    is($r->status, 409, "$name: not twice");
    is($r->json->{type}, 'urn:approval:cancelled', "$name: it is done");
    is(scalar(grep { $_->{action_id} eq $id } $gw->audit('cancelled')), 1,
       "$name: one record");

    my ($again, $new) = $gw->hold(POST => '/x', body => $name);
    ok($new, "$name: the same may be asked for anew");
    $gw->vote($new, 'deny');
    is($again->read->status, 403, "$name: and is denied");
    ok(wait_for(sub { $gw->hook->count == $told + 4 }),
       "$name: all messages are there");
}


# who may not

{
    my ($client, $id) = $gw->hold(GET => '/kept');

    for my $row (
        [ 'another requester', '/tickets/status', [ 'X-Me' => 'agent-8' ] ],
        [ 'an empty one', '/tickets/status', [ 'X-Me' => '' ] ],
        [ 'none', '/tickets/status', [] ],
        [ 'two', '/tickets/status',
          [ 'X-Me' => 'agent-7', 'X-Me' => 'agent-8' ] ],
        [ 'where nobody is known', '/nameless/status', [] ],
        [ 'an approver of others', '/_approval/actions',
          [ 'X-User' => 'carol' ] ],
        [ 'an approver that nginx does not name', '/tickets/status',
          [ 'X-User' => 'alice' ] ],
        [ 'an operator that nginx does not name', '/tickets/status',
          [ 'X-User' => 'olga' ] ],
        [ 'a stranger', '/_approval/actions', [ 'X-User' => 'mallory' ] ],
        [ 'nobody', '/_approval/actions', [] ],
    ) {
        my ($name, $path, $headers) = @$row;
        my $r = withdraw($path, $id, @$headers);

        is($r->status, 403, "$name: may not");
        is($r->json->{type}, 'urn:approval:not-the-requester', "$name: why");
    }

    my $r = withdraw('/_approval/actions', $id, 'X-User' => 'alice',
                     'Sec-Fetch-Site' => 'cross-site');
    is($r->status, 403, 'another site: may not');
    is($r->json->{type}, 'urn:approval:cross-site', 'another site: why');

    for my $method (qw(GET HEAD)) {
        my $r = Approval::Client->new($gw->port)->request($method,
            "/tickets/status/$id", headers => [ 'X-Me' => 'agent-7' ]);
        is($r->status, 200, "$method: may look");
    }

    for my $method (qw(POST PUT PATCH)) {
        my $r = Approval::Client->new($gw->port)->request($method,
            "/tickets/status/$id", headers => [ 'X-Me' => 'agent-7' ]);
        is($r->status, 405, "$method: is no way");
        is($r->header('Allow'), 'GET, HEAD, DELETE', "$method: others are");
    }

    is(withdraw('/tickets/status', '0' x 32, 'X-Me' => 'agent-7')->status, 404,
       'an id that nobody knows');
    is(withdraw('/tickets/status', 'x', 'X-Me' => 'agent-7')->status, 404,
       'no id at all');

    is($gw->state($id), 'pending', 'none of them has changed anything');
    ok($client->quiet(0.1), 'it still waits');
    $gw->vote($id, 'approve');
    is($client->read->status, 200, 'and is executed');
}


# what has ended is not withdrawn

{
    my @me = ('X-Me' => 'agent-7');
    my $ticket = sub {
        my $r = $gw->send(GET => $_[0], headers =>
                          [ Prefer => 'respond-async' ])->read;
        return $r->header('Approval-Id');
    };

    my $id = $ticket->('/ticket');
    is(withdraw('/tickets/status', $id, @me)->status, 200,
       'a ticket is withdrawn');
    is(http_get($gw->port, "/tickets/status/$id", headers => \@me)
           ->json->{state}, 'cancelled', 'as its status says');
    my $r = $gw->send(GET => '/ticket', headers => [ 'Approval-Id' => $id ])
               ->read;
    is($r->json->{type}, 'urn:approval:cancelled', 'it cannot be redeemed');

    $id = $ticket->('/ticket/approved');
    $gw->vote($id, 'approve');
    $r = withdraw('/tickets/status', $id, @me);
    is($r->status, 409, 'approved: too late');
    is($r->json->{type}, 'urn:approval:already-decided', 'approved: why');
    is($r->json->{state}, 'approved', 'approved: its state');
    is($gw->send(GET => '/ticket/approved')->read->status, 200,
       'approved: it is good');
    ok(wait_for(sub { $gw->state($id) eq 'executed' }), 'executed');
    $r = withdraw('/tickets/status', $id, @me);
    is($r->status, 409, 'executed: too late');
    is($r->json->{state}, 'executed', 'executed: its state');

    $id = $ticket->('/ticket/denied');
    $gw->vote($id, 'deny');
    $r = withdraw('/tickets/status', $id, @me);
    is($r->status, 409, 'denied: too late');
    is($r->json->{state}, 'denied', 'denied: its state');

    $id = $ticket->('/short');
    ok(wait_for(sub { http_get($gw->port, "/tickets/status/$id",
                               headers => \@me)->json->{state} eq 'expired' }),
       'expired');
    is(withdraw('/tickets/status', $id, @me)->status, 410,
       'expired: too late');
}


# a vote and its withdrawal at once: one of them

for my $n (1 .. 8) {
    my ($client, $id) = $gw->hold(POST => '/race', body => $n);
    my $vote = Approval::Client->new($gw->port);
    my $delete = Approval::Client->new($gw->port);

    $vote->send(POST => "/_approval/actions/$id/decision",
                json => { decision => 'approve' },
                headers => [ 'X-User' => 'alice' ]);
    $delete->send(DELETE => "/tickets/status/$id",
                  headers => [ 'X-Me' => 'agent-7' ]);

    my @got = map { $_->read->status } $vote, $delete;
    my $answer = $client->read->status;

    ok("@got" eq '200 409' && $answer == 200
       || "@got" eq '409 200' && $answer == 403, "race $n: @got, $answer");
}

$gw->clean;
done_testing;
