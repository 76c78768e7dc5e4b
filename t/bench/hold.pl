#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# What a held request costs: the worker's private memory beside that of a
# request which nginx's own limit_req delays (each in a fresh worker), what a
# pending action takes in Redis, and how fast one worker takes requests in.
#
# The rate from first to last is what this machine gives just now; the CPU time
# that worker and Redis spend on each is what one of them could do at most.

use strict;
use warnings;
use lib 't/lib', 't/bench';

BEGIN { $ENV{APPROVAL_TEST_TIMEOUT} //= 3600 }

use Approval::Test;
use Bench;
use Time::HiRes qw(time);

my $n = $ENV{N} // 4000;
my $rounds = $ENV{ROUNDS} // 3;

my (@delayed, @held);

for (1 .. $rounds) {
    push @delayed, measure('/delayed/');
    push @held, measure('/held/');
}

my $of = sub { my $what = shift; median(map { $_->{$what} } @_) };
my $ratio = $of->(memory => @held) / $of->(memory => @delayed);
my $bytes = $of->(bytes => @held);
my $rate = $of->(rate => @held);
my $worker = $of->(worker => @held);
my $redis = $of->(redis => @held);

printf "hold  %d requests: %.2f KiB each; delayed by limit_req %.2f KiB\n",
       $n, $of->(memory => @held), $of->(memory => @delayed);
printf "hold  CPU time of each: %.0f us of the worker (%.0f where limit_req "
       . "delays it), %.0f us of Redis\n", $worker,
       $of->(worker => @delayed), $redis;

figure('a held request in the worker, beside one delayed by limit_req',
       '<= 1.10', sprintf('%.2f', $ratio), $ratio <= 1.1);
figure('a pending action in Redis, bytes', '<= 2048',
       sprintf('%.0f', $bytes), $bytes <= 2048);
figure('requests taken into hold, one worker, a second', '>= 10000',
       sprintf('%.0f', $rate), $rate >= 10000);
figure('  by the worker\'s CPU time', '-', sprintf('%.0f', 1e6 / $worker));
figure('  by Redis\' CPU time', '-', sprintf('%.0f', 1e6 / $redis));

done_testing();


sub private_kib {
    my ($pid) = @_;

    return slurp("/proc/$pid/smaps_rollup") =~ /Private_Dirty:\s+(\d+)/ ? $1
                                                                       : 0;
}


sub used_memory {
    return $_[0]->cmd(INFO => 'memory') =~ /used_memory:(\d+)/ && $1;
}


sub measure {
    my ($target) = @_;

    my $redis = Approval::Redis->new;
    my $keys = make_keys(tempdir());
    my $ngx = Approval::Nginx->new(connections => $n + 512,
                                   log_level => 'error', http => <<"EOF");
    approval_redis @{[ $redis->url ]};
    approval_key $keys->{secret};
    approval_signing_key $keys->{signing};
    approval_base_url http://gw.example.com/_approval;
    approval_group admins alice bob;
    approval_audit %%PREFIX%%/audit.jsonl sync=off;
    approval_policy p {
        rule r { match \$uri ^/held/; action db.drop; summary "drop \$uri";
                 show tenant \$http_x_agent; require admins; timeout 200s; }
    }
    limit_req_zone \$server_port zone=z:1m rate=1r/m;
    access_log off;
    server {
        listen 127.0.0.1:%%PORT%% backlog=8192;
        approval_requester \$http_x_agent;
        location = /ok { empty_gif; }
        location /held/ { approval p; empty_gif; }
        location /delayed/ { limit_req zone=z burst=100000; empty_gif; }
    }
EOF

    http_get($ngx->port, '/ok');

    my ($pid) = $ngx->workers;
    my $memory = private_kib($pid);
    my $empty = used_memory($redis);
    my ($worker, $store) = (cpu_us($pid), cpu_us($redis->pid));
    my $begin = time;
    my $load = start_load($ngx->port, $n, $target);

    if ($target eq '/held/') {
        wait_for(sub { $redis->cmd(ZCARD => 'approval:{00}:pending') >= $n }, 60)
            or die 'not all are held';
    }

    my $seconds = time - $begin;

    load_line($load);
    select undef, undef, undef, 1;   # until there is nothing more to do

    my %result = (memory => (private_kib($pid) - $memory) / $n,
                  bytes => (used_memory($redis) - $empty) / $n,
                  rate => $n / $seconds,
                  worker => (cpu_us($pid) - $worker) / $n,
                  redis => (cpu_us($redis->pid) - $store) / $n);

    stop_load($load);
    $ngx->abandon;
    $redis->stop;

    return \%result;
}
