#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# From SET of the decision key to the response at the client, 2,000 a second,
# beside two peers in the same run: Lua that waits by BLPOP, and auth_request
# with a Node server. All have one worker and a redis-server of their own. The
# peers pass the request; we consume, record and pass it. Decisions are
# unsigned: the clock starts when Redis is told.

use strict;
use warnings;
use lib 't/lib', 't/bench';

BEGIN { $ENV{APPROVAL_TEST_TIMEOUT} //= 3600 }

use Approval::Test;
use Bench;

my $n = $ENV{N} // 1000;
my $rate = $ENV{RATE} // 2000;
my $rounds = $ENV{ROUNDS} // 5;

my %system = ('off' => sub { ours('off') }, 'group' => sub { ours('group') },
              'lua' => \&lua, 'node' => \&node);
my @modules = grep { -e } '/usr/lib/nginx/modules/ndk_http_module.so',
                          '/usr/lib/nginx/modules/ngx_http_lua_module.so';

delete $system{lua} if @modules < 2;
delete $system{node} if system('node --version >/dev/null 2>&1');

my (%p50, %p99, %worker, %store, $worker, $store);

for my $round (1 .. $rounds) {
    for my $name (sort keys %system) {
        my @times = $system{$name}->();

        push @{ $p50{$name} }, median(@times);
        push @{ $p99{$name} }, percentile(99, @times);
        push @{ $worker{$name} }, $worker;
        push @{ $store{$name} }, $store;
    }
}

for my $name (sort keys %system) {
    printf "wake  %-5s  %d/s: p50 %6.0f us, p99 %6.0f us; CPU time of each: "
           . "%.0f us of the worker, %.0f us of Redis\n", $name, $rate,
           map { median(@{ $_->{$name} }) } \(%p50, %p99, %worker, %store);
}

for ([ 'off', 'p50', 1, \%p50 ], [ 'off', 'p99', 1, \%p99 ],
     [ 'group', 'p50', 2, \%p50 ])
{
    my ($sync, $what, $most, $times) = @$_;

    for my $peer (grep { $system{$_} } qw(lua node)) {
        my $ratio = median(@{ $times->{$sync} })
                    / median(@{ $times->{$peer} });

        figure("decision to response, $rate/s, $what, sync=$sync, beside $peer",
               $peer eq 'lua' ? "<= $most" : '-', sprintf('%.2f', $ratio),
               $peer eq 'lua' ? $ratio <= $most : undef);
    }
}

done_testing();


sub ours {
    my ($sync) = @_;

    my $redis = Approval::Redis->new;
    my $keys = make_keys(tempdir());
    my $ngx = Approval::Nginx->new(connections => 2 * $n + 512,
                                   log_level => 'error', http => <<"EOF");
    approval_redis @{[ $redis->url ]};
    approval_key $keys->{secret};
    approval_signing_key $keys->{signing};
    approval_group admins alice bob;
    approval_audit %%PREFIX%%/audit.jsonl sync=$sync;
    approval_policy p {
        rule r { match \$uri ^/held/; action db.drop; summary "drop \$uri";
                 require admins; timeout 200s; }
    }
    access_log off;
    server {
        listen 127.0.0.1:%%PORT%% backlog=8192;
        approval p; approval_unsigned_decisions on;
        approval_requester \$http_x_agent;
        location / { empty_gif; }
    }
EOF
    my $load = start_load($ngx->port, $n, '/held/');

    load_line($load);

    # all are watched when their actions have been stored and read again

    wait_for(sub { $redis->cmd(ZCARD => 'approval:{00}:pending') >= $n
                   && tracked($redis) >= $n }, 60)
        or die 'not all are held';

    my %keys = map { $_ => "approval:{00}:$_:decision" }
                   @{ $redis->cmd(ZRANGE => 'approval:{00}:pending', 0, -1) };

    return finish($load, $redis, $ngx, 'SET', 'approve', %keys);
}


sub tracked {
    return $_[0]->cmd(INFO => 'stats') =~ /tracking_total_keys:(\d+)/ && $1;
}


sub lua {

    # all connect at once, and nginx is refused where the backlog is full

    my $redis = Approval::Redis->new(conf => 'tcp-backlog 8192');
    my $ngx = peer('lua', [@modules], REDIS => $redis->sock);
    my $load = start_load($ngx->port, $n, '/held/');

    load_line($load);

    wait_for(sub { $redis->cmd(INFO => 'clients') =~ /blocked_clients:(\d+)/
                   && $1 >= $n }, 60)
        or die 'not all wait';

    return finish($load, $redis, $ngx, 'LPUSH', 'approve',
                  map { $_ => "peer:$_" } 0 .. $n - 1);
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
    my $load = start_load($ngx->port, $n, '/held/');

    load_line($load);

    wait_for(sub { established($port) >= $n }, 60) or die 'not all wait';

    my @times = finish($load, $redis, $ngx, 'SET', 'approve',
                       map { $_ => "peer:$_" } 0 .. $n - 1);

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


sub finish {
    my ($load, $redis, $ngx, @how) = @_;

    select undef, undef, undef, 0.3;   # until all that was under way is done

    my ($pid) = $ngx->workers;
    my @before = (cpu_us($pid), cpu_us($redis->pid));
    my @times = load_decide($load, $redis, $rate, @how);

    $worker = (cpu_us($pid) - $before[0]) / @times;
    $store = (cpu_us($redis->pid) - $before[1]) / @times;

    stop_load($load);
    $ngx->stop;
    $redis->stop;

    return @times;
}
