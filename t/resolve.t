#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Names in approval_redis: they are looked up anew each time that a link is
# made, by the system's resolver.  Names move to another address, have several,
# vanish, and the name server keeps silent.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Ca;
use Approval::Gateway;
use Approval::Names;

need_module();
need('redis-server', 'unshare', 'mount');

plan(skip_all => 'no namespaces') if !Approval::Names->allowed;

# it gives up after minutes: nobody waits for it

my $names = Approval::Names->new('timeout:30 attempts:5');
my $dns = $names->dns;
my $n = 0;

moves($_) for 'hosts', 'dns';
several();
vanishes();
silent();
sentinels();
tls();

done_testing;


# redis.test is there, as said by one of both

sub is_at {
    my ($how, @addresses) = @_;

    if ($how eq 'hosts') {
        $names->hosts(join '', map { "$_ redis.test\n" } @addresses);

    } else {
        $dns->set('redis.test' => \@addresses);
    }
}


sub gateway {
    my ($redis, $url, %how) = @_;

    my $gw = Approval::Gateway->new(start => 0, %how, http => <<'EOF',
    approval_policy p {
        rule r { match $uri ^/held/; require admins; timeout 300s; }
    }
EOF
        server => 'approval p; location / { proxy_pass %%UP%%; }');

    $gw->redis->stop;
    $gw->{redis} = $redis;
    $gw->ngx->{http} =~ s/approval_redis [^;]+/approval_redis $url/;
    $gw->ngx->start;

    return $gw;
}


sub replica_at {
    my ($address, $primary) = @_;

    my $port = $primary->port;
    my $replica = Approval::Redis->new(address => $address, port => $port,
                                       conf => "replicaof 127.0.0.1 $port");

    $primary->cmd(CONFIG => SET => 'repl-diskless-sync-delay', 0);

    ok(wait_for(sub {
        $primary->cmd(INFO => 'replication') =~ /state=online/;
    }), "a replica at $address");

    return $replica;
}


# What was held at the first one is approved at the second one

sub takes_over {
    my ($gw, $second) = @_;

    my $first = $gw->redis;
    my $writer = $first->client;

    ok(wait_for(sub {
        $writer->cmd(SET => 'approval:test', 1, PX => 1);
        $writer->cmd(WAIT => 1, 1000) == 1;
    }), 'it has all');

    $first->kill;
    $second->cmd(REPLICAOF => 'NO', 'ONE');
    $gw->{redis} = $second;
}


# a gateway that starts refuses, and so does one whose link is away

sub is_held {
    my ($gw, $name) = @_;

    my ($client, $id);
    my $target = '/held/' . ++$n;

    ok(wait_for(sub {
        ($client, $id) = $gw->hold(GET => $target);
        return $id;
    }), "$name: held");

    return ($client, $id);
}


sub passes {
    my ($gw, $name, $client, $id) = @_;

    my $status;

    ok(wait_for(sub {
        ($status = $gw->vote($id, 'approve')->status) == 200
    }), "$name: approved") or diag($status);
    is($client->read->status, 200, "$name: executed");
}


sub works {
    my ($gw, $name) = @_;

    passes($gw, $name, is_held($gw, $name));
}


sub cut {
    my ($gw) = @_;

    $gw->redis->cmd(CLIENT => KILL => TYPE => 'normal', SKIPME => 'yes');
}


# The name moves, and its old server dies: no reload

sub moves {
    my ($how) = @_;

    my $first = Approval::Redis->new;
    my $second = replica_at('127.0.0.2', $first);

    is_at($how, '127.0.0.1');

    my $gw = gateway($first, 'redis://redis.test:' . $first->port);
    my @held = is_held($gw, "$how: before");

    is_at($how, '127.0.0.2');
    takes_over($gw, $second);
    passes($gw, "$how: it moved", @held);
    works($gw, "$how: after");

    $gw->clean($how);
    is_at($_) for 'hosts', 'dns';
}


# Whichever of them there is one at

sub several {
    my $redis = Approval::Redis->new;

    is_at('dns', '127.0.0.3', '127.0.0.1', '127.0.0.4');

    my $gw = gateway($redis, 'redis://redis.test:' . $redis->port);

    works($gw, 'several addresses');
    cut($gw);
    works($gw, 'several addresses, again');
    $gw->ngx->stop;
}


# Where it was before is better than nowhere

sub vanishes {
    my $redis = Approval::Redis->new;

    is_at('dns', '127.0.0.1');

    my $gw = gateway($redis, 'redis://redis.test:' . $redis->port);
    my @held = is_held($gw, 'before');
    my $mark = $gw->ngx->mark;

    is_at('dns');
    cut($gw);

    $gw->ngx->log_like(qr/resolver does not find "redis.test" \(.+\); trying th/,
                       'gone: logged', since => $mark);
    passes($gw, 'gone', @held);

    # a configuration that names nothing is refused, and the old one stays

    like($gw->ngx->reload_fails,
         qr/host not found in the Redis address "redis.test:/,
         'gone: not by a new configuration');
    works($gw, 'gone, after that');
    $gw->ngx->stop;
}


# A lookup takes minutes: nobody waits for it, no worker at its end either

sub silent {
    my $redis = Approval::Redis->new;

    is_at('dns', '127.0.0.1');

    my $gw = gateway($redis, 'redis://redis.test:' . $redis->port
                     . ' timeout=2s');
    my @held = is_held($gw, 'before');
    my $mark = $gw->ngx->mark;

    $dns->set('redis.test' => undef);
    my $asked = $dns->asked('redis.test');
    cut($gw);

    ok($dns->wait_asked('redis.test', $asked + 1), 'silent: it was asked');
    is(http_get($gw->port, '/other')->status, 200, 'silent: others pass');
    ok(!$held[0]->answered, 'silent: the held one waits on');
    $gw->ngx->log_like(qr/"redis.test" \(no answer yet\); trying the addresses/,
                       'silent: logged', since => $mark);
    passes($gw, 'silent', @held);

    # a worker that starts has what the configuration found

    $gw->ngx->kill_worker;
    works($gw, 'silent, a new worker');

    # it ends while its lookup is under way: see also stop()

    my ($old) = $gw->ngx->workers;

    is_at('dns', '127.0.0.1');
    $gw->ngx->reload;
    ok(wait_for(sub { !kill(0, $old) }), 'silent: a reload ends the worker');

    $dns->set('redis.test' => undef);
    $asked = $dns->asked('redis.test');
    cut($gw);
    ok($dns->wait_asked('redis.test', $asked + 1), 'silent: asked again');
    $gw->ngx->stop;
}


# Sentinels that move, and name a primary that moves

sub sentinels {
    my $first = Approval::Redis->new;
    my $second = replica_at('127.0.0.2', $first);
    my $port = $first->port;

    $names->hosts("127.0.0.1 redis.test sentinel.test\n");

    my $sentinel = sub {
        my ($address, %how) = @_;

        return Approval::Redis->new(sentinel => 1, address => $address, %how,
                                    conf => <<"END");
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel monitor gw redis.test $port 1
sentinel down-after-milliseconds gw 3600000
END
    };

    my $old = $sentinel->('127.0.0.1');
    my $gw = gateway($first, 'redis://sentinel.test:' . $old->port
                     . ' sentinel=gw timeout=2s');

    my @held = is_held($gw, 'sentinels: before');
    my $mark = $gw->ngx->mark;

    $names->hosts("127.0.0.2 redis.test sentinel.test\n");

    my $new = $sentinel->('127.0.0.2', port => $old->port);

    $old->kill;
    $gw->ngx->log_like(qr/connected to a sentinel again/,
                       'sentinels: the name is followed', since => $mark);

    takes_over($gw, $second);
    passes($gw, 'sentinels: the primary moved', @held);

    # a name that nobody knows yet

    $mark = $gw->ngx->mark;
    $new->cmd(SENTINEL => REMOVE => 'gw');
    $names->hosts("127.0.0.2 redis.test sentinel.test later.test\n");
    $new->cmd(SENTINEL => MONITOR => 'gw', 'later.test', $port, 1);
    $names->hosts("127.0.0.2 redis.test sentinel.test\n");
    cut($gw);
    $gw->ngx->log_like(qr/unavailable: its host name was not found; trying ag/,
                       'sentinels: the primary is not found', since => $mark);
    $gw->ngx->log_like(qr/does not find "later.test" \([^)]+\)(?!;)/,
                       'sentinels: with its name', since => $mark);
    $names->hosts("127.0.0.2 redis.test sentinel.test later.test\n");
    works($gw, 'sentinels: it is found');
    $gw->clean('sentinels');
}


# The name is verified, whatever its address is by now

sub tls {
    my $dir = Approval::Ca->new(named => 'redis.test',
                                other => 'other.test')->dir;
    my $port = free_port();

    my @servers = map { Approval::Redis->new(address => $_->[0],
                                             conf => <<"END") }
tls-port $port
tls-cert-file $dir/$_->[1].crt
tls-key-file $dir/$_->[1].key
tls-ca-cert-file $dir/ca.crt
tls-auth-clients no
END
        ['127.0.0.1', 'named'], ['127.0.0.2', 'other'], ['127.0.0.3', 'named'];

    $names->hosts("127.0.0.1 redis.test\n");

    my $gw = gateway($servers[0], "rediss://redis.test:$port timeout=5s "
                                  . "trusted_certificate=$dir/ca.crt");

    works($gw, 'TLS');

    my $mark = $gw->ngx->mark;

    $names->hosts("127.0.0.2 redis.test\n");
    $servers[0]->kill;
    $gw->ngx->log_like(qr/unavailable: the TLS certificate did not verify/,
                       'TLS: moved to a server of another name',
                       since => $mark);

    $names->hosts("127.0.0.3 redis.test\n");
    $gw->{redis} = $servers[2];
    works($gw, 'TLS: moved');
    $gw->ngx->stop;
}
