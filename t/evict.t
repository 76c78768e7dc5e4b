#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# A Redis that is full and evicts: whatever is gone, nothing is forwarded that
# nobody approved, nor twice, and the operator is told.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();

my $gw = Approval::Gateway->new(http => <<'EOF_HTTP', server => <<'EOF_SERVER');
    approval_operators admins;
    approval_policy p {
        rule press  { match $uri ^/held/press; require admins; timeout 20s; }
        rule held   { match $uri ^/held; require admins; timeout 300s; }
        rule two    { match $uri ^/two; require 2 of admins; timeout 300s; }
        rule ticket { match $uri ^/ticket; require admins; hold 0;
                      timeout 300s; execute_within 2s; }
        rule grant  { match $uri ^/grant; require admins; timeout 300s;
                      remember 300s per $uri; }
    }
EOF_HTTP
    approval p;
    location / { proxy_pass %%UP%%; }
EOF_SERVER

my $redis = $gw->redis;
my $n = 0;


# more than fits, until a condition holds

sub press {
    my ($condition) = @_;

    my ($used) = $redis->cmd(INFO => 'memory') =~ /^used_memory:(\d+)/m;

    $redis->cmd(CONFIG => SET => 'maxmemory-policy', 'allkeys-random');
    $redis->cmd(CONFIG => SET => 'maxmemory', $used + 1024 * 1024);

    my $done = wait_for(sub {
        $redis->cmd(SET => 'fill:' . ++$n, 'x' x 65536, EX => 600) for 1 .. 20;
        return $condition->();
    });

    $redis->cmd(CONFIG => SET => 'maxmemory', 0);
    $redis->cmd(CONFIG => SET => 'maxmemory-policy', 'noeviction');
    $redis->cmd(DEL => $_) for $redis->keys('fill:*');

    return $done;
}


# the id of what was asked for, from the trail: Redis may have lost it

sub asked {
    my ($target) = @_;

    my $record;

    wait_for(sub {
        ($record) = grep { $_->{target} eq $target } $gw->audit('requested');
    }) or diag("$target was not asked for");

    return $record->{action_id};
}


sub refused {
    my ($r, $type, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($r->json->{type}, "urn:approval:$type", $name);
}


# those that are held are lost

my @held = map { $gw->send(GET => "/held/lost/$_") } 1 .. 5;
my @ids = map { asked("/held/lost/$_") } 1 .. 5;

ok(press(sub { !grep { $redis->cmd(EXISTS => "approval:{00}:$_") } @ids }),
   'all of five are evicted');

for my $i (1 .. 5) {
    my $r = $held[$i - 1]->read;

    is($r->status, 503, "/held/lost/$i: 503");
    refused($r, 'action-lost', "/held/lost/$i: as lost");
    is($gw->hits("/held/lost/$i"), 0, "/held/lost/$i: not forwarded");
}


# while it goes on, each is forwarded once and approved, or is refused

for my $i (1 .. 8) {
    my $target = "/held/press/$i";
    my $client = $gw->send(GET => $target);
    my $id = asked($target);

    press(sub { 1 }) if $i % 3 == 0;

    my $vote = $gw->vote($id, 'approve')->status;

    press(sub { $client->answered }) if $i % 3 == 1;

    my $r = $client->read;
    my $hits = $gw->hits($target);

    ok(($r->status == 200 && $hits == 1 && $vote == 200)
       || (($r->status == 503 || $r->status == 403) && $hits == 0),
       "$target: vote $vote, " . $r->status . ", forwarded $hits times");
}


# one key at a time, as if it were evicted: what each of them costs

for my $key ('{00}:pending', '{00}:index', '{00}:classes', 'audit') {
    my ($client, $id) = $gw->hold(GET => "/held/" . $key =~ s/.*://r);

    $redis->cmd(DEL => "approval:$key");
    is($gw->vote($id, 'approve')->status, 200, "$key: a vote is taken");
    is($client->read->status, 200, "$key: and it passes");
}

my ($client, $id) = $gw->hold(GET => '/two');

$gw->vote($id, 'approve', '', 'alice');
$redis->cmd(DEL => "approval:{00}:$id:votes");
$gw->vote($id, 'approve', '', 'bob');
ok($client->quiet(0.3), 'votes: the other one is not enough');
is($gw->vote($id, 'approve', '', 'alice')->status, 200, 'votes: given again');
is($client->read->status, 200, 'votes: and it passes');

is($gw->send(GET => '/ticket')->read->status, 503, 'decision: it is pending');
$id = asked('/ticket');
$gw->vote($id, 'approve');
$redis->cmd(DEL => "approval:{00}:$id:decision");
refused($gw->send(GET => '/ticket', headers => [ 'Approval-Id' => $id ])->read,
        'expired', 'decision: the approval lapses');
is($gw->hits('/ticket'), 0, 'decision: not forwarded');

($client, $id) = $gw->hold(GET => '/grant');
$gw->vote($id, 'approve');
is($client->read->status, 200, 'grant: made');
is($gw->send(GET => '/grant')->read->status, 200, 'grant: used');
$redis->cmd(DEL => $_) for $redis->keys('approval:{00}:grant:*');
($client, $id) = $gw->hold(GET => '/grant');
ok($id, 'grant: asked for again');
$gw->vote($id, 'deny');
is($client->read->status, 403, 'grant: and decided');

($client, $id) = $gw->hold(GET => '/held/join');
$redis->cmd(DEL => $_) for $redis->keys('approval:{00}:join:*');
my ($other, $second) = $gw->hold(GET => '/held/join');
isnt($second, $id, 'join: an action of its own');
$gw->vote($id, 'approve');
is($client->read->status, 200, 'join: the first passes');
ok($other->quiet(0.3), 'join: the second is held');
$gw->vote($second, 'deny');
is($other->read->status, 403, 'join: until it is decided');
is($gw->hits('/held/join'), 1, 'join: forwarded once');


# a freeze, where a gateway has seen it: an operator ends it, and nobody else

sub freeze {
    return Approval::Client->new($gw->port)->request(
        POST => '/_approval/freeze', json => { requester => 'agent-7' },
        headers => [ 'X-User' => 'alice' ])->status;
}

is(freeze(), 200, 'frozen');
is($gw->send(GET => '/held/frozen')->read->status, 403, 'frozen: refused');
$redis->cmd(DEL => 'approval:{00}:frozen');
refused($gw->send(GET => '/held/frozen')->read, 'frozen',
        'frozen: evicted, it is refused');
is(Approval::Client->new($gw->port)->request(
       DELETE => '/_approval/freeze?requester=agent-7',
       headers => [ 'X-User' => 'alice' ])->status, 200, 'frozen: thawed');
($client, $id) = $gw->hold(GET => '/held/frozen');
$gw->vote($id, 'deny');
is($client->read->status, 403, 'frozen: it is asked for again');


# the operator is told, once for as long as it is so

sub reconnect {
    my ($mark) = $gw->ngx->mark;

    $redis->cmd(CLIENT => KILL => TYPE => 'normal', SKIPME => 'yes');
    wait_for(sub { $gw->ngx->log_lines(qr/approval_redis .* is ready/,
                                       since => $mark) });

    # what was sent before it has been answered

    my ($client, $id) = $gw->hold(GET => '/held/' . ++$n);
    $gw->vote($id, 'deny');
    $client->read;

    return scalar $gw->ngx->log_lines(qr/may evict the gateway's data/,
                                      since => $mark);
}

is(reconnect(), 0, 'noeviction: nothing is logged');
$redis->cmd(CONFIG => SET => 'maxmemory-policy', 'volatile-lru');
is(reconnect(), 0, 'no maxmemory: nothing is logged');
$redis->cmd(CONFIG => SET => 'maxmemory', '512mb');
is(reconnect(), 1, 'volatile-lru: a warning');
$gw->ngx->log_like(qr/\[warn\] .*\(maxmemory-policy volatile-lru\).*set "maxme/,
                   'which says what to do');
is(reconnect(), 0, 'once');
$redis->cmd(CONFIG => SET => 'maxmemory-policy', 'noeviction');
is(reconnect(), 0, 'mended');
$redis->cmd(CONFIG => SET => 'maxmemory-policy', 'allkeys-lru');
is(reconnect(), 1, 'and again');

$gw->clean('evicted');

done_testing();
