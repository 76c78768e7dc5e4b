#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# approval_redis ... replicas=N: an approval is used when N replicas know that
# it was.  A primary is killed before its replica has heard of it, with two
# gateways: one execution, and without replicas= two.  And whatever may happen
# to WAIT: nothing is forwarded, and the action ends as failed.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;
use Approval::Proxy;
use Time::HiRes qw(time);

need_module();
need('redis-server');

my $TIMEOUT = 2;

my $http = <<'EOF';
    approval_policy p {
        rule grant { match $uri ^/grant/; require admins; timeout 60s;
                     remember 60s per $uri uses=5; }
        rule r { match $uri ^/held/; require admins; timeout 60s; }
    }
EOF

my $server = <<'EOF';
    approval p;
    approval_unsigned_decisions on;
    location / { proxy_pass %%UP%%; }
EOF

without();
lost();
known();
way();
several();
lagging();
grants();
forbidden();
cut();
silent();
leaves();
killed();

done_testing();


# A primary, a replica that can be made to lag, and gateways; by => 'link': on a
# path that is led to the replica after a failover; 'proxy': by {way}

sub world {
    my ($replicas, %how) = @_;

    my $w = { gw => Approval::Gateway->new(
        start => 0, redis => "timeout=${TIMEOUT}s $replicas", http => $http,
        server => $server) };

    $w->{primary} = $w->{gw}->redis;

    quick($w->{primary});

    $w->{lag} = Approval::Proxy->new($w->{primary}->sock);

    my ($port) = $w->{lag}->url =~ /(\d+)$/;

    $w->{replica} = Approval::Redis->new(
        conf => "replicaof 127.0.0.1 $port\nrepl-timeout 600");

    my $url;

    if ($how{by} eq 'link') {
        $w->{link} = tempdir() . '/redis.sock';
        symlink($w->{primary}->sock, $w->{link}) or die $!;
        $url = "unix:$w->{link}";

    } else {
        $w->{way} = Approval::Proxy->new($w->{primary}->sock);
        $url = $w->{way}->url;
    }

    $w->{gw}->ngx->{http} =~ s/approval_redis \S+/approval_redis $url/;
    $w->{gw}->ngx->start;

    if ($how{two}) {
        $w->{other} = bless { %{ $w->{gw} }, audit => undef },
                      'Approval::Gateway';
        $w->{other}{ngx} = Approval::Nginx->new(
            http => $w->{gw}->conf($http, $server, 1, '')
                    =~ s/approval_redis \S+/approval_redis $url/r);
    }

    follows($w);

    return $w;
}


# It would wait for more replicas to come, and, to stop, for one that lags.

sub quick {
    my ($redis) = @_;

    $redis->try(CONFIG => SET => $_, 0)
        for 'repl-diskless-sync-delay', 'shutdown-timeout';
}


sub follows {
    my ($w) = @_;

    my $client = $w->{primary}->client;

    ok(wait_for(sub {
        $client->cmd(SET => 'approval:test', 1, PX => 1);
        $client->cmd(WAIT => 1, 1000) == 1
    }), 'the replica follows');
}


# the primary is gone, and the replica is it, with what it has by then

sub failover {
    my ($w) = @_;

    $w->{primary}->kill;
    $w->{replica}->cmd(REPLICAOF => 'NO', 'ONE');

    unlink $w->{link};
    symlink($w->{replica}->sock, $w->{link}) or die $!;

    for my $gw ($w->{gw}, $w->{other}) {
        $gw->{redis} = $w->{replica};

        # no WAIT is satisfied any more, and is not needed for this

        ok(wait_for(sub {
            $gw->send(GET => '/held/ready', headers => [
                      Prefer => 'respond-async' ])->read->status == 202
        }), 'connected to the new primary');
    }
}


# approved, and the replica knows that

sub ticket {
    my ($w, $target) = @_;

    my $id = $w->{gw}->send(GET => $target,
                            headers => [ Prefer => 'respond-async' ])->read
                     ->header('Approval-Id');

    is($w->{gw}->vote($id, 'approve')->status, 200, "$target: approved");
    ok(wait_for(sub {
        ($w->{replica}->cmd(HGET => $w->{gw}->key($id), 's') // '')
        eq 'approved'
    }), "$target: as the replica knows");

    return $id;
}


sub not_forwarded {
    my ($w, $r, $id, $target, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $gw = $w->{gw};

    is($r->status, 503, "$name: 503");
    is($r->json->{type}, 'urn:approval:store-unavailable', "$name: and why");
    like($r->json->{detail}, qr/not forwarded: too few replicas/,
         "$name: in words");
    is($gw->hits($target), 0, "$name: nothing was forwarded");
    ok(wait_for(sub { $gw->state($id) eq 'failed' }), "$name: it failed");
    like($w->{primary}->cmd(HGET => $gw->key($id), 'o'),
         qr/not forwarded: too few/, "$name: as its outcome says");

    on_record($w, $id, $name);
}


sub on_record {
    my ($w, $id, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my @records = grep { ($_->{action_id} // '') eq $id
                         && $_->{type} =~ /^(approved|executed|failed)$/ }
                  $w->{gw}->audit;

    is(join(' ', map { $_->{type} } @records), 'approved failed',
       "$name: so does the trail");
    ok(exists $records[-1]{forwarded} && !$records[-1]{forwarded},
       "$name: and that nothing was sent");
}


sub asks {
    my ($w, $target) = @_;

    return $w->{gw}->send(GET => $target)->read;
}


# What happens without replicas=: each gateway executes it

sub without {
    my $w = world('', by => 'link', two => 1);
    my $id = ticket($w, '/held/twice');

    $w->{lag}->silent;
    is(asks($w, '/held/twice')->status, 200, 'without: executed');
    failover($w);
    is($w->{other}->state($id), 'approved',
       'without: the new primary knows nothing of it');
    is($w->{other}->send(GET => '/held/twice')->read->status, 200,
       'without: the other gateway executes it');
    is($w->{gw}->hits('/held/twice'), 2, 'without: twice');

    # the host that executed it remembers that

    $w->{replica}->cmd(HSET => $w->{gw}->key($id), s => 'approved');
    is($w->{gw}->send(GET => '/held/twice')->read->status, 409,
       'without: the gateway itself does not');
    is($w->{gw}->hits('/held/twice'), 2, 'without: not again');
}


# the same, and with it

sub lost {
    my $w = world('replicas=1', by => 'link', two => 1);
    my $id = ticket($w, '/held/once');

    $w->{lag}->silent;
    not_forwarded($w, asks($w, '/held/once'), $id, '/held/once', 'lost');
    failover($w);
    is($w->{other}->state($id), 'approved', 'lost: it was not used');

    # that one has no replica at all; what was there before is not promoted

    quick($w->{replica});

    my $third = Approval::Redis->new(
        conf => 'replicaof 127.0.0.1 ' . $w->{replica}->port);

    ok(wait_for(sub {
        $w->{replica}->cmd(INFO => 'replication') =~ /state=online/
    }), 'lost: the new primary has a replica');
    is($w->{other}->send(GET => '/held/once')->read->status, 200,
       'lost: the other gateway executes it');
    is($w->{gw}->hits('/held/once'), 1, 'lost: once');

    $w->{replica}->cmd(HSET => $w->{gw}->key($id), s => 'approved');
    is($w->{gw}->send(GET => '/held/once')->read->status, 409,
       'lost: the first one has done with it');
    is($w->{gw}->hits('/held/once'), 1, 'lost: still once');
}


# the replica knows, and is asked after the failover

sub known {
    my $w = world('replicas=1', by => 'link', two => 1);
    my $id = ticket($w, '/held/known');

    is(asks($w, '/held/known')->status, 200, 'known: executed');
    failover($w);
    like($w->{other}->state($id), qr/^execut(ing|ed)$/,
         'known: by the new primary, too');

    my ($client, $new) = $w->{other}->hold(GET => '/held/known');

    isnt($new, $id, 'known: the same request is asked for again');
    is($w->{gw}->hits('/held/known'), 1, 'known: executed once');
    $w->{other}->vote($new, 'deny');
    is($client->read->status, 403, 'known: and may be denied');
}


# A connection of its own: neither that for commands nor that of the pushes

sub way {
    my $w = world('replicas=1', by => 'link');
    my ($client, $id) = $w->{gw}->hold(GET => '/held/way');

    is($w->{gw}->vote($id, 'approve')->status, 200, 'approved');
    is($client->read->status, 200, 'and executed');

    my $list = $w->{primary}->cmd(CLIENT => 'LIST');
    my @own = $list =~ /name=ngx-approval .*? cmd=(\S+)/g;

    is(scalar @own, 3, 'three connections of the worker');
    is(scalar(grep { $_ eq 'wait' } @own), 1, 'one of them has asked last');
    $w->{gw}->clean('way');
}


# What is taken in one turn of the loop needs one WAIT.

sub several {
    my $w = world('replicas=1', by => 'link');
    my ($gw, $primary) = @$w{qw(gw primary)};
    my ($pid) = $gw->ngx->workers;
    my @held = map { [ $gw->hold(GET => "/held/several/$_") ] } 1 .. 12;
    my $monitor = $primary->client(timeout => 60);

    select undef, undef, undef, 0.3;
    kill STOP => $pid;
    $gw->set($_->[1], 'approve') for @held;
    $monitor->cmd('MONITOR');
    kill CONT => $pid;

    is($_->[0]->read->status, 200, 'executed') for @held;
    $primary->cmd(ECHO => 'end');

    my $waits = 0;

    while ((my $line = $monitor->read) !~ /"ECHO" "end"/) {
        $waits++ if $line =~ /"WAIT" "1" "1000"/;
    }

    cmp_ok($waits, '>=', 1, "$waits for 12");
    cmp_ok($waits, '<=', 6, "which is not one each");
    $gw->clean('several');
}


# The replica lags: refused in time, and others are not concerned

sub lagging {
    my $w = world('replicas=1', by => 'link');
    my ($client, $id) = $w->{gw}->hold(GET => '/held/lag');

    $w->{lag}->silent;

    my $mark = $w->{gw}->ngx->mark;
    my $begin = time;

    is($w->{gw}->vote($id, 'approve')->status, 200, 'lag: a vote is taken');
    is(http_get($w->{gw}->port, '/other')->status, 200, 'lag: others pass');

    my $r = $client->read;

    cmp_ok(time - $begin, '<', $TIMEOUT * slow(), 'lag: answered in time');
    not_forwarded($w, $r, $id, '/held/lag', 'lag');
    $w->{gw}->ngx->log_like(
        qr/\[error\].* 0 of 1 replicas acknowledged within 1000 ms/,
        'lag: logged', since => $mark);

    # it comes back: its stream has a hole, and it begins anew

    $w->{lag}->pass;
    $w->{primary}->cmd(CLIENT => KILL => TYPE => 'replica');
    follows($w);

    ($client, $id) = $w->{gw}->hold(GET => '/held/lag/over');
    $w->{gw}->vote($id, 'approve');
    is($client->read->status, 200, 'lag: over, the next is executed');
    $w->{gw}->clean('lagging');
}


# What uses a grant is known to the replica as well.

sub grants {
    my $w = world('replicas=1', by => 'link');
    my ($client, $id) = $w->{gw}->hold(GET => '/grant/1');

    $w->{gw}->vote($id, 'approve');
    is($client->read->status, 200, 'a grant is made');
    is(asks($w, '/grant/1')->status, 200, 'a grant: used');
    is($w->{gw}->hits('/grant/1'), 2, 'a grant: forwarded');

    $w->{lag}->silent;

    my $r = asks($w, '/grant/1');

    is($r->status, 503, 'a grant: the replica does not know of its use');
    is($r->json->{type}, 'urn:approval:store-unavailable',
       'a grant: and why');
    is($w->{gw}->hits('/grant/1'), 2, 'a grant: not forwarded');

    # what only asks waits for no replica

    $r = $w->{gw}->send(GET => '/grant/2',
                        headers => [ Prefer => 'respond-async' ])->read;
    is($r->status, 202, 'a grant: another is asked for');
    $w->{gw}->vote($r->header('Approval-Id'), 'deny');
    $w->{gw}->clean('grants');
}


sub forbidden {
    my $w = world('replicas=1', by => 'link');
    my $id = ticket($w, '/held/acl');
    my $mark = $w->{gw}->ngx->mark;

    $w->{primary}->cmd(ACL => SETUSER => 'default', '-wait');
    not_forwarded($w, asks($w, '/held/acl'), $id, '/held/acl', 'no +wait');
    $w->{gw}->ngx->log_like(qr/refused "WAIT": NOPERM/, 'no +wait: logged',
                            since => $mark);
    $w->{gw}->clean('forbidden');
}


# The approval is used, WAIT is on its way

sub stalled {
    my ($target) = @_;

    my $w = world('replicas=1', by => 'proxy');
    my ($client, $id) = $w->{gw}->hold(GET => $target);

    $w->{way}->stall('WAIT');
    is($w->{gw}->vote($id, 'approve')->status, 200, "$target: approved");
    ok(wait_for(sub { $w->{way}->stalled }), "$target: WAIT is kept back");
    is($w->{gw}->state($id), 'executing', "$target: the approval is used");

    return ($w, $client, $id);
}


sub cut {
    my ($w, $client, $id) = stalled('/held/cut');

    $w->{primary}->cmd(CLIENT => KILL => TYPE => 'normal', SKIPME => 'yes');

    my $r = $client->read;

    $w->{way}->pass;
    not_forwarded($w, $r, $id, '/held/cut', 'cut');
    $w->{gw}->clean('cut');
}


sub silent {
    my ($w, $client, $id) = stalled('/held/silent');
    my $begin = time;
    my $r = $client->read;

    cmp_ok(time - $begin, '<', 2 * $TIMEOUT * slow(), 'silent: in time');
    $w->{way}->pass;
    not_forwarded($w, $r, $id, '/held/silent', 'silent');
    $w->{gw}->clean('silent');
}


# The worker is to go, and the client goes

sub leaves {
    my ($w, $client, $id) = stalled('/held/reload');

    $w->{gw}->ngx->reload;

    my $r = $client->read;

    $w->{way}->pass;
    not_forwarded($w, $r, $id, '/held/reload', 'reload');
    $w->{gw}->clean('leaves');

    ($client, $id) = $w->{gw}->hold(GET => '/held/gone');
    $w->{way}->stall('WAIT');
    $w->{gw}->vote($id, 'approve');
    ok(wait_for(sub { $w->{way}->stalled }), 'gone: WAIT is kept back');
    $client->close;
    ok(wait_for(sub {
        http_get($w->{gw}->port, '/_status')->body =~ /Writing: 1 /
    }), 'gone: the requester is');
    $w->{way}->pass;
    ok(wait_for(sub { $w->{gw}->state($id) eq 'failed' }),
       'gone: so it failed');
    like($w->{primary}->cmd(HGET => $w->{gw}->key($id), 'o'),
         qr/not forwarded: the requester left/, 'gone: as its outcome says');
    is($w->{gw}->hits('/held/gone'), 0, 'gone: nothing was forwarded');
    on_record($w, $id, 'gone');

    my ($again, $new) = $w->{gw}->hold(GET => '/held/gone');

    isnt($new, $id, 'gone: and the request may be asked for again');
    $w->{gw}->vote($new, 'deny');
    is($again->read->status, 403, 'gone: as any other');
    $w->{gw}->clean('gone');
}


sub killed {
    my ($w, $client, $id) = stalled('/held/killed');

    $w->{gw}->ngx->kill_worker;
    $w->{way}->pass;

    # taken, and nobody has it: until its lease is over it is being executed

    select undef, undef, undef, 0.5;
    is($w->{gw}->hits('/held/killed'), 0, 'killed: nothing was forwarded');
    is($w->{gw}->state($id), 'executing', 'killed: it was taken');

    my $again = $w->{gw}->send(GET => '/held/killed');

    ok($again->quiet(0.5), 'killed: it is asked for again');
    is($w->{gw}->hits('/held/killed'), 0, 'killed: not executed');
    $again->close;
    $w->{gw}->lost(1);
}
