#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The contract on Redis, by its public names only: keys, their types and ends;
# a decision that another client sets by hand; decisions that do not count.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();

my $gw = Approval::Gateway->new(
    http => <<'EOF',
    approval_policy p {
        rule r {
            match $request_method DELETE;
            require admins;
            show token "$arg_token";
            timeout 60s;
        }
        rule two {
            match $request_method PUT;
            require 2 of admins;
        }
    }
EOF
    server => <<'EOF',
    approval p;
    location / { proxy_pass %%UP%%; }
    location /bot/ { approval_unsigned_decisions on; proxy_pass %%UP%%; }
EOF
);

my $redis = $gw->redis;


# the shard is how the id begins

sub key {
    my ($id, $suffix) = @_;

    return 'approval:{' . substr($id, 0, 2) . "}:$id" . ($suffix // '');
}


sub ticket {
    my ($method, $target) = @_;

    my $r = $gw->send($method => $target,
                      headers => [ Prefer => 'respond-async' ])->read;

    is($r->status, 202, "$target: 202");

    return $r->json->{id};
}


sub status {
    my ($id) = @_;

    return http_get($gw->port, "/_approval/status/$id",
                    headers => [ 'X-Agent' => 'agent-7' ])->json;
}


subtest 'keys' => sub {
    my ($client, $id) = $gw->hold(DELETE => '/keys?token=canary-4711',
                       headers => [ Authorization => 'Bearer canary-4711' ]);

    is($redis->cmd(TYPE => key($id)), 'hash', 'the action is a hash');
    is($redis->cmd(TYPE => 'approval:{00}:pending'), 'zset',
       'pending is a sorted set');
    is($redis->cmd(EXISTS => key($id, ':decision')), 0, 'no decision yet');

    my $left = $redis->cmd(ZSCORE => 'approval:{00}:pending', $id) - time * 1000;
    ok($left > 50e3 && $left <= 61e3, 'by its deadline') or diag($left);

    is($gw->vote($id, 'comment', 'hm')->status, 200, 'a comment');
    is($redis->cmd(EXISTS => key($id, ':votes')), 1, 'is in :votes');

    ok(wait_for(sub { $redis->cmd(EXISTS => 'approval:audit') }),
       'checkpoints are in approval:audit');
    is($redis->cmd(TYPE => 'approval:audit'), 'stream', 'a stream');

    is($gw->vote($id, 'approve', 'yes')->status, 200, 'approved');
    is($client->read->status, 200, 'executed');
    is($redis->cmd(TYPE => key($id, ':decision')), 'string',
       'the decision is a string');

    my ($all, @dump) = ('');

    # until then keys go away behind the answer

    ok(wait_for(sub { $gw->state($id) eq 'executed' }), 'as its state says');

    for my $key ($redis->keys) {
        $all .= $key . $redis->cmd(DUMP => $key);
        cmp_ok($redis->cmd(PTTL => $key), '>', 0, "$key has an end");
    }

    unlike($all, qr/canary-4711/, 'no secret is in Redis');
};


# [ name, command, status ]

my @bare = (
    [ 'approve', [ 'approve' ], 200 ],
    [ 'deny', [ 'deny' ], 403 ],
    [ 'approve with EX', [ 'approve', EX => 60 ], 200 ],
    [ 'deny with PX and NX', [ 'deny', PX => 60000, 'NX' ], 403 ],
    [ 'approve with a line end', [ "approve\n" ], 200 ],
);

for (@bare) {
    my ($name, $args, $status) = @$_;

    subtest "a bare $name, held" => sub {
        my ($client, $id) = $gw->hold(DELETE => '/bot/held');

        $redis->cmd(SET => key($id, ':decision'), @$args);

        my $r = $client->read;
        is($r->status, $status, 'is obeyed');
        is($r->header('Approval-Status'),
           $status == 200 ? 'approved' : 'denied', 'and named');
        is($redis->keys_without_ttl, 0, 'every key has an end');
    };

    subtest "a bare $name, nobody waits" => sub {
        my $id = ticket(DELETE => '/bot/later');
        my $state = $status == 200 ? 'approved' : 'denied';

        $redis->cmd(SET => key($id, ':decision'), @$args);

        is(status($id)->{state}, $state, 'the requester may know');
        is($gw->action($id)->{state}, $state, 'approvers, too');

        my $r = $gw->vote($id, $state eq 'approved' ? 'deny' : 'approve');
        is($r->status, 409, 'it is decided');
        is($r->json->{type}, 'urn:approval:already-decided', 'says the type');
        my $told = $r->json->{decision}{decision};
        like($args->[0], qr/^$told$/,
             'the decision is told');
        is_deeply($r->json->{decision}{by}, [ 'unsigned' ], 'by whom');

        is($gw->send(DELETE => '/bot/later')->read->status, $status,
           'and obeyed when the request comes again');
    };
}


subtest 'a bare decision of a quorum' => sub {
    my ($client, $id) = $gw->hold(PUT => '/bot/two', body => 'x');

    $gw->vote($id, 'approve');
    ok($client->quiet(0.2), 'one of two');

    $gw->set($id, 'approve');
    is($client->read->status, 200, 'the bot decides alone');
    is($gw->up->last->header('Approval-By'), 'unsigned', 'upstream is told');
};


# By default only what the gateway signed counts, and nobody can be kept from
# voting by what somebody writes there

for my $value ('approve', 'deny', 'garbage', '', 'APPROVE',
               'eyJhbGciOiJub25lIn0.eyJzdGEiOiJhcHByb3ZlZCJ9.')
{
    subtest "\"$value\" does not count" => sub {
        my $faults = () = $gw->audit('fault');

        my ($client, $id) = $gw->hold(DELETE => '/strict');

        $gw->set($id, $value);
        ok($client->quiet(0.2), 'it is held on');
        is($gw->vote($id, 'deny')->status, 200, 'and can be denied');
        is($client->read->status, 403, 'by people');

        my $later = ticket(DELETE => '/strict/later');

        $gw->set($later, $value);
        is(status($later)->{state}, 'pending', 'nobody waits: pending');
        is($gw->action($later)->{state}, 'pending', 'for approvers, too');
        is($gw->vote($later, 'approve')->json->{state}, 'approved',
           'and can be approved');
        is($gw->send(DELETE => '/strict/later')->read->status, 200,
           'and used');

        ok($gw->wait_audit('fault', $faults + ($value eq '' ? 0 : 2)),
           'it is on record');
    };
}


subtest 'a decision of another action' => sub {
    my ($client, $id) = $gw->hold(DELETE => '/one');
    my ($other, $id2) = $gw->hold(DELETE => '/other');

    $gw->vote($id, 'approve');
    is($client->read->status, 200, 'one is approved');

    $gw->set($id2, $redis->cmd(GET => key($id, ':decision')));
    ok($other->quiet(0.2), 'the other one is not');
    is($gw->vote($id2, 'deny')->status, 200, 'it is denied');
    is($other->read->status, 403, 'by people');
};


$gw->clean;
done_testing;
