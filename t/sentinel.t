#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# approval_redis with several hosts, and with sentinels: a primary and two
# replicas with three sentinels, all of them real.  What is held is approved
# after a failover, after the sentinel that was followed has died, and after the
# primary has; with TLS, with passwords, and what is logged when a sentinel
# cannot help.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Ca;
use Approval::Gateway;
use Approval::Sentinels qw(redis replica_of sentinel url);

need_module();
need('redis-server');

my $http = <<'EOF';
    approval_policy p {
        rule r { match $uri ^/held/; require admins; timeout 120s; }
    }
EOF

my $server = 'approval p; location / { proxy_pass %%UP%%; }';
my $n = 0;

failover();
candidates();
tls();
passwords();
refusals();

done_testing();


# with the primary in place of its own Redis

sub gateway {
    my ($redis, $args, %how) = @_;

    my $gw = Approval::Gateway->new(http => $http, server => $server, %how,
                                    start => 0);

    $gw->redis->stop;
    $gw->{redis} = $redis;
    $gw->ngx->{http} =~ s/approval_redis [^;]+/approval_redis $args/;
    $gw->ngx->start;

    return $gw;
}


# links that are made: each has a connection for commands that is named

sub links {
    my ($redis) = @_;

    return scalar grep { /name=ngx-approval/ }
                  split /\n/, $redis->cmd(CLIENT => 'LIST');
}


sub is_held {
    my ($gw, $name) = @_;

    my ($client, $id);
    my $target = '/held/' . ++$n;

    wait_for(sub {
        ($client, $id) = $gw->hold(GET => $target);
        return $id;
    }, 30);

    ok($id, "$name: held");

    return ($client, $id, $target);
}


sub passes {
    my ($gw, $name, $client, $id, $target) = @_;

    my $status;

    ok(wait_for(sub {
        ($status = $gw->vote($id, 'approve')->status) == 200
    }, 30), "$name: approved") or diag($status);
    is($client->read->status, 200, "$name: executed");
    is($gw->hits($target), 1, "$name: once");
}


sub works {
    my ($gw, $name) = @_;

    passes($gw, $name, is_held($gw, $name));
}


# until the sentinels name another one, and all links are at it

sub moved {
    my ($gw, $name, $set, $links, @sentinels) = @_;

    my $was = $gw->redis;
    my $now;

    ok(wait_for(sub {
        $now = $set->primary(@sentinels);
        return $now && $now != $was;
    }, 60), "$name: the sentinels name another primary");

    ok(wait_for(sub { links($now) == $links }, 30),
       "$name: all links are at it") or diag(links($now));

    $gw->{redis} = $now;
}


sub failover {
    my $set = Approval::Sentinels->new;
    my ($first) = $set->servers;
    my @sentinels = $set->sentinels;

    ok($set->ready, 'the sentinels know each other and the replicas');

    my $gw = gateway($first, $set->url
                     . ' sentinel=gw timeout=2s replicas=1', workers => 2);

    # each worker has: commands, pushes, and commands that wait for replicas

    ok(wait_for(sub { links($first) == 6 }), 'all links are at the primary')
        or diag($first->cmd(CLIENT => 'LIST'));

    works($gw, 'start');

    my @held = map { [ is_held($gw, 'before the failover') ] } 1 .. 4;
    my $mark = $gw->ngx->mark;

    ok($set->failover, 'a failover is asked for');
    moved($gw, 'failover', $set, 6);
    $gw->ngx->log_like(qr/unavailable: Sentinel made another server the pri/,
                       'failover: the links were told of it', since => $mark);
    passes($gw, 'after the failover', @$_) for @held;

    # the sentinels that are followed die in turn, and the next one is followed

    my ($client, $id, $target) = is_held($gw, 'before a sentinel dies');

    $mark = $gw->ngx->mark;
    $sentinels[0]->kill;
    $gw->ngx->log_like(qr/connection to a sentinel is lost: Redis closed/,
                       'a sentinel dies: logged', since => $mark);
    $gw->ngx->log_like(qr/connected to a sentinel again/,
                       'a sentinel dies: another one is followed',
                       since => $mark);
    $gw->ngx->log_unlike(qr/unavailable/, 'a sentinel dies: the links stay',
                         since => $mark);

    # the primary dies: two sentinels are enough

    ok(wait_for(sub {
        $gw->redis->cmd(INFO => 'replication') =~ /state=online.*state=online/s
    }, 60), 'the first primary is a replica now');

    $gw->redis->kill;
    moved($gw, 'killed', $set, 6, @sentinels[1, 2]);
    passes($gw, 'after the primary was killed', $client, $id, $target);

    # a sentinel that is down is skipped from the beginning

    $gw->ngx->reload;
    works($gw, 'a sentinel is down');

    $gw->clean('failover');
}


# Without sentinel=: whichever of them is the primary

sub candidates {
    my $first = redis();
    my $second = redis(conf => replica_of($first));
    my $dead = free_port();
    my $gw = gateway($first, "redis://127.0.0.1:$dead,127.0.0.1:"
                     . $second->port . ',127.0.0.1:' . $first->port
                     . ' timeout=2s');

    works($gw, 'hosts: the last one is the primary');

    my @held = is_held($gw, 'hosts: before');

    # the replica has what came before this

    my $writer = $first->client;

    ok(wait_for(sub {
        $writer->cmd(SET => 'approval:test', 1, PX => 1);
        $writer->cmd(WAIT => 1, 1000) == 1;
    }), 'hosts: the replica has it');

    $first->kill;
    $second->cmd(REPLICAOF => 'NO', 'ONE');
    $gw->{redis} = $second;

    passes($gw, 'hosts: after', @held);
    $gw->clean('hosts');
}


sub tls {
    my $dir = Approval::Ca->new(ip => '127.0.0.1', name => 'localhost')->dir;
    my ($port, $sentinel_port, $other) = map { free_port() } 1 .. 3;

    my $conf = sub {
        my ($port, $file) = @_;

        return "tls-port $port\ntls-cert-file $dir/$file.crt\n"
               . "tls-key-file $dir/$file.key\ntls-ca-cert-file $dir/ca.crt\n"
               . "tls-auth-clients no\ntls-replication yes\n";
    };

    my $redis = redis(conf => $conf->($port, 'ip'));
    my $named = redis(conf => $conf->($other, 'name'));

    Approval::Redis->new(sentinel => 1, conf =>
                         $conf->($sentinel_port, 'name')
                         . "sentinel monitor gw 127.0.0.1 $port 1\n");

    my $ca = "trusted_certificate=$dir/ca.crt timeout=2s";

    # the sentinel by its name, the primary by its address

    my $gw = gateway($redis,
                     "rediss://localhost:$sentinel_port sentinel=gw $ca");

    works($gw, 'TLS');
    $gw->clean('TLS');

    # each host by its own name

    $gw = gateway($named, "rediss://127.0.0.1:@{[ free_port() ]},"
                          . "localhost:$other $ca");
    works($gw, 'TLS, hosts');
    $gw->ngx->stop;

    $gw = gateway($named, "rediss://localhost:@{[ free_port() ]},"
                          . "127.0.0.1:$other $ca");
    $gw->ngx->log_like(qr/unavailable: the TLS certificate did not verify/,
                       'TLS: not by the name of another host');
    is($gw->send(GET => '/held/tls')->read->status, 503, 'TLS: 503');
}


# That of Redis, one of the sentinels' own, and none

sub passwords {
    my $redis = redis(password => 'of-redis');
    my $auth = 'sentinel auth-pass gw of-redis';
    my $file = tempdir() . '/password';

    spew($file, "of-sentinels\n");

    my %sentinel = (
        same => sentinel($redis, 1, $auth, password => 'of-redis'),
        none => sentinel($redis, 1, $auth),
        own  => sentinel($redis, 1, $auth, password => 'of-sentinels'),
        acl  => sentinel($redis, 1, "$auth\nuser default on nopass -\@all "
                         . 'resetchannels &+switch-master +ping +subscribe '
                         . '+sentinel|get-master-addr-by-name'),
    );

    for (['the same', 'same', ''], ['none', 'none', ''],
         ['its own', 'own', "sentinel_password_file=$file"],
         ['one too many', 'none', "sentinel_password_file=$file"],
         ['an ACL of what it needs', 'acl', ''])
    {
        my ($name, $which, $args) = @$_;
        my $url = url($sentinel{$which}) =~ s{//}{//:of-redis@}r;
        my $gw = gateway($redis, "$url sentinel=gw timeout=2s $args");

        works($gw, "password: $name");
        $gw->ngx->stop;
    }

    my $wrong = qr/asking a sentinel: the password is wrong or missing: set/;
    my $url = url($sentinel{own});

    is_refused("$url sentinel=gw", $wrong, 'no password');
    is_refused($url =~ s{//}{//:of-redis@}r . ' sentinel=gw', $wrong,
               'a wrong password');
}


sub refusals {
    my $redis = redis();
    my $sentinel = sentinel($redis, 1, '');

    is_refused(url($sentinel, $sentinel) . ' sentinel=other',
               qr/ sentinel=other" is unavailable: asking a sentinel: no prim/,
               'a wrong name');
    is_refused(url($redis) . ' sentinel=gw',
               qr/asking a sentinel: it is not a sentinel: with "sentinel="/,
               'not a sentinel');

    # it stands still

    $sentinel->pause;
    is_refused(url($sentinel) . ' sentinel=gw timeout=500ms',
               qr/asking a sentinel: it does not answer in time/, 'silent');
    $sentinel->resume;
}


# One clear line, however often it is tried

sub is_refused {
    my ($args, $regex, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $gw = Approval::Gateway->new(http => $http, server => $server,
                                    start => 0);

    $gw->ngx->{http} =~ s/approval_redis [^;]+/approval_redis $args/;
    $gw->ngx->start;

    $gw->ngx->log_like($regex, "$name: logged");
    is($gw->send(GET => '/held/refused')->read->status, 503, "$name: 503");
    sleep 2;
    is(scalar $gw->ngx->log_lines(qr/\[error\].*is unavailable/), 1,
       "$name: one line");
    $gw->ngx->stop;
}
