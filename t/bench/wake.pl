#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# From the vote that decides, as Redis is given it, to the response at the
# client, 2,000 a second, beside two peers in the same run: Lua that waits by
# BLPOP, and auth_request with a Node server. All have one worker and a
# redis-server of their own. The peers pass the request; we verify the decision,
# consume the approval, record and pass it. And the CPU time that worker and
# Redis spend on that, and on taking the requests in.
#
# The votes are made before: another gateway takes them, on a copy of the data,
# and what it stored there is given to the Redis of the gateway that is measured.

use strict;
use warnings;
use lib 't/lib', 't/bench';

BEGIN { $ENV{APPROVAL_TEST_TIMEOUT} //= 3600 }

use Approval::Client;
use Approval::Scripts;
use Approval::Test;
use Bench;
use Digest::SHA qw(sha1_hex);
use List::Util qw(sum);

my $n = $ENV{N} // 1000;
my $rate = $ENV{RATE} // 2000;
my $rounds = $ENV{ROUNDS} // 5;

my %system = ('off' => sub { ours('off') }, 'group' => sub { ours('group') },
              'lua' => \&lua, 'node' => \&node);
my @modules = grep { -e } '/usr/lib/nginx/modules/ndk_http_module.so',
                          '/usr/lib/nginx/modules/ngx_http_lua_module.so';

delete $system{lua} if @modules < 2;
delete $system{node} if system('node --version >/dev/null 2>&1');

my (%one, %of);

for my $round (1 .. $rounds) {
    for my $name (sort keys %system) {
        my @times = $system{$name}->();

        @one{qw(p50 p99)} = (median(@times), percentile(99, @times));
        push @{ $of{$name}{$_} }, $one{$_} for keys %one;
    }
}

for my $name (sort keys %system) {
    printf "wake  %-5s  %d/s: p50 %6.0f us, p99 %6.0f us; CPU time of each: "
           . "%.0f us of the worker, %.0f us of Redis; to take it in: %.0f "
           . "and %.0f us\n", $name, $rate,
           map { of($name, $_) } qw(p50 p99 worker redis worker_in redis_in);
}

for ([ 'off', 1.3, "vote to response, $rate/s, p50, sync=off", 'p50' ],
     [ 'off', 1.5, "vote to response, $rate/s, p99, sync=off", 'p99' ],
     [ 'group', 2, "vote to response, $rate/s, p50, sync=group", 'p50' ],
     [ 'off', 1.5, 'CPU of a decision, worker and Redis', 'worker', 'redis' ],
     [ 'off', 0.6, 'CPU of taking a request in, worker', 'worker_in' ],
     [ 'off', 0.6, 'CPU of taking a request in, Redis', 'redis_in' ])
{
    my ($sync, $most, $text, @what) = @$_;

    for my $peer (grep { $system{$_} } qw(lua node)) {
        my $ratio = of($sync, @what) / of($peer, @what);

        figure("$text, beside $peer", $peer eq 'lua' ? "<= $most" : '-',
               sprintf('%.2f', $ratio),
               $peer eq 'lua' ? $ratio <= $most : undef);
    }
}

done_testing();


sub of {
    my ($name, @what) = @_;

    return sum(map { median(@{ $of{$name}{$_} }) } @what);
}


sub ours {
    my ($sync) = @_;

    my $redis = Approval::Redis->new;
    my $keys = make_keys(tempdir());

    # all are watched when their actions have been stored and read again

    return measure($redis, gateway($redis, $keys, $sync),
                   sub { $redis->cmd(ZCARD => 'approval:{00}:pending') >= $n
                         && tracked($redis) >= $n },
                   sub { votes($redis, $keys) });
}


sub gateway {
    my ($redis, $keys, $sync) = @_;

    return Approval::Nginx->new(connections => 2 * $n + 512,
                                log_level => 'error', http => <<"EOF");
    approval_redis @{[ $redis->url ]};
    approval_key $keys->{secret};
    approval_signing_key $keys->{signing};
    approval_group admins alice bob;
    approval_audit %%PREFIX%%/audit.jsonl sync=$sync;
    approval_policy p {
        rule r { match \$uri ^/held/; action db.drop; summary "drop \$uri";
                 require admins; timeout 600s; }
    }
    access_log off;
    server {
        listen 127.0.0.1:%%PORT%% backlog=8192;
        approval p;
        approval_requester \$http_x_agent;
        location / { empty_gif; }
        location /_approval/ {
            approval off; approval_api approver=\$http_x_user;
        }
    }
EOF
}


sub tracked {
    return $_[0]->cmd(INFO => 'stats') =~ /tracking_total_keys:(\d+)/ && $1;
}


sub votes {
    my ($redis, $keys) = @_;

    my $copy = Approval::Redis->new;
    my $scripts = Approval::Scripts->new;
    my $sha1 = sha1_hex($scripts->text('vote'));
    my %votes;

    $copy->cmd(REPLICAOF => '127.0.0.1', $redis->port);
    wait_for(sub { $copy->cmd(INFO => 'replication')
                   =~ /^master_link_status:up/m }, 60)
        or die 'there is no copy';
    $copy->cmd(REPLICAOF => 'NO', 'ONE');

    my $desk = gateway($copy, $keys, 'off');

    for my $id (@{ $copy->cmd(ZRANGE => 'approval:{00}:pending', 0, -1) }) {
        my $key = $scripts->key($id);
        my $r = Approval::Client->new($desk->port)->request(
            POST => "/_approval/actions/$id/decision",
            json => { decision => 'approve' },
            headers => [ 'X-User' => 'alice' ]);

        die 'a vote is refused: ' . $r->body if $r->status != 200;

        my @args = (0, $copy->cmd(LINDEX => "$key:votes", 0), 'approved',
                    $copy->cmd(GET => "$key:decision"), 7 * 86400 * 1000,
                    $scripts->shared('decisions'));
        my @keys = $scripts->keys_of(vote => $id, @args);

        $votes{$id} = join ' ', EVALSHA => $sha1, scalar @keys, @keys, $id,
                                @args;
    }

    $desk->stop;
    $copy->stop;

    return %votes;
}


sub lua {

    # all connect at once, and nginx is refused where the backlog is full

    my $redis = Approval::Redis->new(conf => 'tcp-backlog 8192');
    my $ngx = peer('lua', [@modules], REDIS => $redis->sock);

    return measure($redis, $ngx,
                   sub { $redis->cmd(INFO => 'clients')
                         =~ /blocked_clients:(\d+)/ && $1 >= $n },
                   sub { map { $_ => "LPUSH peer:$_ approve" } 0 .. $n - 1 });
}


sub node {
    my $redis = Approval::Redis->new;
    my $port = free_port();
    my $auth = Approval::Process->start(
        cmd => [ 'node', 't/bench/peers/auth.js', $port, $redis->sock ],
        stderr => $redis->dir . '/auth');

    wait_for(sub { IO::Socket::INET->new("127.0.0.1:$port") }, 60)
        or die 'auth.js does not listen';

    my $ngx = peer('node', [], AUTH => $port);

    my @times = measure($redis, $ngx, sub { established($port) >= $n },
                        sub { map { $_ => "SET peer:$_ approve" }
                                  0 .. $n - 1 });
    $auth->kill_group;

    return @times;
}


sub peer {
    my ($name, $modules, %values) = @_;

    my $conf = slurp("t/bench/peers/$name.conf");

    $conf =~ s/%%$_%%/$values{$_}/g for keys %values;

    return Approval::Nginx->new(module => 0, modules_before => $modules,
                                connections => 4 * $n + 512,
                                log_level => 'error', http => <<"EOF");
    access_log off;
    server {
        listen 127.0.0.1:%%PORT%% backlog=8192;
        $conf
    }
EOF
}


# Connections that the server at this port has accepted, from /proc

sub established {
    my ($port) = @_;

    my $local = sprintf '0100007F:%04X', $port;

    return scalar grep { (split)[1] eq $local && (split)[3] eq '01' }
                  split /\n/, slurp('/proc/net/tcp');
}


# Requests are sent; when all wait, Redis is given what ends the wait of each.

sub measure {
    my ($redis, $ngx, $wait, $commands) = @_;

    my @pids = ($ngx->workers, $redis->pid);
    my @before = map { cpu_us($_) } @pids;
    my $load = start_load($ngx->port, $n, '/held/');

    load_line($load);
    wait_for($wait, 60) or die 'not all wait';

    @one{qw(worker_in redis_in)} = cpu_since(\@pids, \@before);

    my %commands = $commands->();

    @before = map { cpu_us($_) } @pids;

    my @times = load_decide($load, $redis, $rate, %commands);

    @one{qw(worker redis)} = cpu_since(\@pids, \@before);

    stop_load($load);
    $ngx->stop;
    $redis->stop;

    return @times;
}


sub cpu_since {
    my ($pids, $before) = @_;

    select undef, undef, undef, 0.3;   # until all that was under way is done

    return map { (cpu_us($pids->[$_]) - $before->[$_]) / $n } 0, 1;
}
