#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Redis forgets that an approval was used: a failover with a lost write, an old
# snapshot, somebody who puts the keys back.  The host does not.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;

need_module();

my $gw = Approval::Gateway->new(workers => 2, http => <<'EOF',
    approval_policy p {
        rule r { match $uri ^/; require admins; timeout 60s;
                 execute_within 60s; }
    }
EOF
    server => <<'EOF');
    approval p;
    location / { proxy_pass %%UP%%; }
EOF

my $redis = $gw->redis;


# all that Redis knows, and the same again

sub snapshot {
    return { map { $_ => [ $redis->cmd(PTTL => $_), $redis->cmd(DUMP => $_) ] }
             grep { !/:audit$/ } @{ $redis->cmd(KEYS => 'approval:*') } };
}


sub restore {
    my ($keys) = @_;

    $redis->cmd(RESTORE => $_, @{ $keys->{$_} }, 'REPLACE')
        for grep { $keys->{$_}[0] > 0 } keys %$keys;
}


sub ticket {
    my ($target) = @_;

    my $r = $gw->send(GET => $target, headers => [ Prefer => 'respond-async' ])
               ->read;
    my $id = $r->header('Approval-Id');

    is($gw->vote($id, 'approve')->status, 200, "$target: approved");

    return $id;
}


my $id = ticket('/once');
my $before = snapshot();

is($gw->send(GET => '/once')->read->status, 200, 'used');
ok(wait_for(sub { $gw->state($id) eq 'executed' }), 'and executed');

for my $way ('at once', 'by whichever worker', 'after a reload') {
    $gw->ngx->reload if $way =~ /reload/;

    restore($before);
    is($gw->state($id), 'approved', "$way: Redis says that it was not");

    my $r = $gw->send(GET => '/once')->read;

    is($r->status, 409, "$way: refused");
    is($r->json->{type}, 'urn:approval:already-executed', "$way: and why");
    is($r->header('Approval-Id'), $id, "$way: it is that action");
    is($gw->hits('/once'), 1, "$way: and not executed again");
    ok(wait_for(sub { $gw->state($id) eq 'failed' }),
       "$way: Redis is told");
}

ok(scalar(grep { ($_->{action_id} // '') eq $id
                 && $_->{why} =~ /executed before/ } $gw->audit('fault')),
   'the trail says so');
is(scalar(grep { ($_->{action_id} // '') eq $id } $gw->audit('approved')), 1,
   'and has one approval of it');

$gw->ngx->log_like(qr/\[error\].*action $id is refused: it was executed before/,
                   'so does the error log');


# Nor does what Redis lets it end as become its end.

for my $row ([ 'expired', '/expired', sub {
                   my ($id) = @_;

                   $redis->cmd(HSET => $gw->key($id), x => 1);
                   $redis->cmd(ZADD => 'approval:{' . substr($id, 0, 2)
                                       . '}:pending', 1, $id);
               } ],
             [ 'cancelled', '/cancelled', sub {
                   my ($id) = @_;

                   $redis->cmd(HSET => $gw->key($id), s => 'pending');
                   $redis->cmd(DEL => $gw->key($id) . ':decision');
                   is(Approval::Client->new($gw->port)->request(
                          DELETE => "/_approval/status/$id",
                          headers => [ 'X-Agent' => 'agent-7' ])->status, 409,
                      'cancelled: it was executed');
               } ])
{
    my ($state, $target, $end) = @$row;
    my $id = ticket($target);
    my $before = snapshot();

    is($gw->send(GET => $target)->read->status, 200, "$state: executed");
    ok(wait_for(sub { $gw->state($id) eq 'executed' }), "$state: on record");

    restore($before);
    $end->($id);

    ok(wait_for(sub { $gw->state($id) eq $state }), "$state: says Redis");
    ok(wait_for(sub {
        grep { ($_->{action_id} // '') eq $id
               && ($_->{limit} // '') eq 'execution' } $gw->audit('fault')
    }), "$state: a fault is on record");
    is(scalar(grep { $_->{action_id} eq $id } $gw->audit($state)), 0,
       "$state: and no such end");
}

# A copy of an approval under the key of an action's end is no execution.

{
    my $id = ticket('/copied');
    my $shard = 'approval:{' . substr($id, 0, 2) . '}:';

    $redis->cmd(COPY => $gw->key($id, ':decision'), "${shard}end:$id");
    $redis->cmd(HSET => $gw->key($id), x => 1);
    $redis->cmd(ZADD => "${shard}pending", 1, $id);

    ok(wait_for(sub {
        grep { ($_->{action_id} // '') eq $id } $gw->audit('expired')
    }), 'copied: it has expired');
    is(scalar(grep { ($_->{action_id} // '') eq $id } $gw->audit('fault')), 0,
       'copied: and no execution is on record that Redis lost');
}

# What Redis says under that key before the action is judged: the fault says no
# more than it proves.

for my $row ([ 'approval', qr/used before, or somebody copied it/,
               'execution', 409 ],
             [ 'expiry', qr/expired before/, 'deadline', 403 ])
{
    my ($what, $why, $limit, $status) = @$row;
    my $id = ticket("/copied/$what");
    my $shard = 'approval:{' . substr($id, 0, 2) . '}:';
    my $end = "${shard}end:$id";

    if ($what eq 'approval') {
        $redis->cmd(COPY => $gw->key($id, ':decision'), $end);

    } else {
        my $before = snapshot();

        $redis->cmd(HSET => $gw->key($id), x => 1);
        $redis->cmd(ZADD => "${shard}pending", 1, $id);
        ok(wait_for(sub { $gw->state($id) eq 'expired' }), "$what: expired");

        my $expired = $redis->cmd(GET => $gw->key($id, ':decision'));

        restore($before);
        $redis->cmd(SET => $end, $expired);
    }

    is($gw->send(GET => "/copied/$what")->read->status, $status,
       "$what: refused");
    is($gw->hits("/copied/$what"), 0, "$what: nothing is forwarded");

    my ($fault) = grep { ($_->{action_id} // '') eq $id } $gw->audit('fault');

    is($fault->{limit}, $limit, "$what: which limit");
    like($fault->{why}, $why, "$what: and why");
}

my @verify = (build_dir() . '/approval-audit', 'verify', '--key',
              $gw->{keys}{public}, $gw->ngx->path('audit.jsonl'));
my $found = `@verify`;

unlike($found, qr/^tampered/m, 'the trail verifies');
like($found, qr/^note .*Redis contradicted a limit \(execution\) of action/m,
     'and what Redis lost is noted');


# Others are not concerned.

ticket('/other');
is($gw->send(GET => '/other')->read->status, 200, 'another action passes');
is($gw->hits('/other'), 1, 'once');

$gw->clean('nothing is left');

done_testing();
