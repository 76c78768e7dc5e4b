#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Redis answers with each of its errors, with nothing, or with a lie: what is
# new is refused, what is held waits, and it goes on when it is over.  And
# thousands leave at once.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;
use Approval::Proxy;

need_module();

my $gw = Approval::Gateway->new(start => 0, connections => 3000,
    redis => 'timeout=2s', http => <<'EOF',
    approval_policy p {
        rule r     { match $uri ^/held; require admins; timeout 300s; }
        rule grant { match $uri ^/grant; require admins; timeout 300s;
                     remember 300s per $uri; }
    }
EOF
    server => 'approval p; location / { proxy_pass %%UP%%; }');

my $ngx = $gw->ngx;
my $proxy = Approval::Proxy->new($gw->redis->sock);

$ngx->{http} =~ s/approval_redis \S+/'approval_redis ' . $proxy->url/e;
$ngx->start;

my $n = 0;


sub refused {
    my ($name, $r) = @_;

    is($r->status, 503, "$name: refused");
    is($r->json->{type}, 'urn:approval:store-unavailable', "$name: and why");
}


# The first ones may get 503 yet, also after their action was stored: the link
# is made anew.

sub back {
    my ($name) = @_;

    my ($client, $target, %held);

    ok(wait_for(sub {
        if (!$client || $client->answered) {
            return 1 if $client && $client->read->status == 403;

            $target = '/held/back' . ++$n;
            $client = $gw->send(GET => $target);
        }

        my ($id) = grep { ($gw->action($_)->{target} // '') eq $target }
                   $gw->pending;

        $gw->vote($id, 'deny') if $id && !$held{$id}++;

        return 0;
    }), "$name: over, the next is held, and decided");
}


my ($held, $held_id) = $gw->hold(GET => '/held/all');

for my $text ('READONLY You can\'t write against a read only replica.',
              'LOADING Redis is loading the dataset in memory',
              'MASTERDOWN Link with MASTER is down',
              'NOREPLICAS Not enough good replicas to write.',
              'OOM command not allowed when used memory > maxmemory',
              'NOAUTH Authentication required.',
              'WRONGPASS invalid username-password pair',
              'NOPERM this user has no permissions to run it',
              'MISCONF Redis is configured to save RDB snapshots',
              'NOSCRIPT No matching script.',
              'BUSY Redis is busy running a script.',
              'ERR Error running script (call to f_1): @user_script:9: '
              . '-READONLY You can\'t write against a read only replica.',
              'ERR unknown command', 'TRYAGAIN later', 'x')
{
    my ($name) = $text =~ / -(\w+) / ? $1 : split / /, $text;
    my $mark = $ngx->mark;

    $proxy->error($text);
    refused($name, $gw->send(GET => '/held/new' . ++$n)->read);
    $ngx->log_like(qr/redis.*$name/i, "$name: logged with its name",
                   since => $mark);
    is(http_get($gw->port, '/free')->status, 200, "$name: others pass");
    ok(!$held->answered, "$name: the held one waits");
    $ngx->log_like(qr/unavailable: $name/, "$name: it connects again",
                   since => $mark)
        if $name =~ /^(?:READONLY|LOADING|MASTERDOWN|NOAUTH)$/;
    $proxy->pass;
    back($name);
}

$proxy->silent;
refused('half open', $gw->send(GET => '/held/new' . ++$n)->read);
is(http_get($gw->port, '/free')->status, 200, 'half open: others pass');
ok(!$held->answered, 'half open: the held one waits');
$proxy->pass;
back('half open');

$gw->vote($held_id, 'approve');
is($held->read->status, 200, 'the held one is executed after all');
is($gw->hits('/held/all'), 1, 'once');


# a lie: a grant, but another one than was asked for

{
    my %grant;

    for my $name (qw(one two)) {
        my ($client, $id) = $gw->hold(GET => "/grant/$name");
        $gw->vote($id, 'approve');
        is($client->read->status, 200, "grant $name is made");

        my $list = http_get($gw->port, '/_approval/grants',
                            headers => [ 'X-User' => 'alice' ])->json;
        ($grant{$name}) = map { $_->{id} }
                          grep { $_->{action_id} eq $id } @{ $list->{grants} };
    }

    is($gw->send(GET => '/grant/one')->read->status, 200, 'and used');

    my $hits = $gw->hits('/grant/one');

    $proxy->replace($grant{one}, $grant{two});

    my $r = $gw->send(GET => '/grant/one')->read;

    is($r->status, 503, 'another grant than was asked for: refused');
    is($gw->hits('/grant/one'), $hits, 'and nothing is forwarded');
    $ngx->log_like(qr/grant $grant{two}, for which this request did not/,
                   'and logged');
    $proxy->pass;
    is($gw->send(GET => '/grant/two')->read->status, 200,
       'whose that grant is may use it all the same');
}


# an old Redis: the start says so

{
    my ($version) = $gw->redis->cmd(INFO => 'server')
                    =~ /^redis_version:(\d\.\d+\.\d+)/m;
    my $redis60 = $version =~ s/^.\../6.1/r;
    my $told = qr/\[warn\] .* is Redis \Q$redis60\E; it has to be 6\.2 or later/;

    my $connects = sub {
        my $mark = $ngx->mark;

        $gw->redis->cmd(CLIENT => KILL => TYPE => 'normal', SKIPME => 'yes');
        $ngx->log_like(qr/approval_redis .* is ready/, 'it connects again',
                       since => $mark);
        back('connected');              # by now INFO was answered

        return scalar $ngx->log_lines($told, since => $mark);
    };

    is($connects->(), 0, 'a Redis that is new enough: no warning');
    $proxy->replace("redis_version:$version", "redis_version:$redis60");
    is($connects->(), 1, 'an old one: a warning');
    is($connects->(), 0, 'once');
    $proxy->pass;
    $ngx->log_unlike(qr/Redis Cluster/, 'it is no cluster');
}


# thousands leave at once: nothing is left in CLOSE_WAIT

{
    my $before = () = $gw->pending;
    my @many = map { $gw->send(GET => "/held/many/$_") } 1 .. 1000;

    ok(wait_for(sub { (my @open = $gw->pending) == $before + 1000 }),
       'a thousand wait');

    $_ % 2 ? $many[$_]->close : $many[$_]->reset for 0 .. $#many;

    ok(wait_for(sub {
        http_get($gw->port, '/_status')->body =~ /Writing: 1 /
    }), 'and leave at once');

    my $port = sprintf(':%04X', $gw->port);
    ok(wait_for(sub {
        !grep { /^\s*\d+: \S+$port \S+ 08 / }
              split /^/, slurp('/proc/net/tcp');
    }), 'no connection is left half closed');
    is(http_get($gw->port, '/free')->status, 200, 'others are served');

    my @open = $gw->pending;
    is(scalar @open, $before + 1000, 'their actions stay open');
    $gw->redis->cmd('FLUSHALL');
}

done_testing;
