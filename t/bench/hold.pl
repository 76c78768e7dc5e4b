#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# What a held request costs: the worker's private memory beside that of a
# request which nginx's own limit_req delays (each in a fresh worker), what a
# pending action takes in Redis, and how fast one worker takes requests in.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use IO::Socket::INET;
use Time::HiRes qw(time);

my $n = $ENV{N} // 4000;

sub private_kib {
    my ($pid) = @_;

    return slurp("/proc/$pid/smaps_rollup") =~ /Private_Dirty:\s+(\d+)/ ? $1
                                                                       : 0;
}

sub measure {
    my ($path) = @_;

    my $redis = Approval::Redis->new;
    my $keys = make_keys(tempdir());
    my $ngx = Approval::Nginx->new(workers => 1, connections => $n + 512,
                                   log_level => 'error', http => <<"EOF");
    approval_redis @{[ $redis->url ]};
    approval_key $keys->{secret};
    approval_group admins alice bob;
    approval_audit %%PREFIX%%/audit.jsonl sync=off;
    approval_policy p {
        rule r { match \$uri ^/held/; require admins; timeout 200s; }
    }
    limit_req_zone \$server_port zone=z:1m rate=1r/m;
    access_log off;
    server {
        listen 127.0.0.1:%%PORT%% backlog=4096;
        approval_requester \$http_x_agent;
        location = /ok { empty_gif; }
        location /held { approval p; empty_gif; }
        location /delayed { limit_req zone=z burst=100000; empty_gif; }
    }
EOF
    http_get($ngx->port, '/ok');

    my ($pid) = $ngx->workers;
    my ($memory, $begin, @clients) = (private_kib($pid), time);
    my $empty = $redis->cmd(INFO => 'memory') =~ /used_memory:(\d+)/ && $1;

    for (1 .. $n) {
        my $s = IO::Socket::INET->new('127.0.0.1:' . $ngx->port) or die $!;
        syswrite $s, "DELETE $path/$_ HTTP/1.1\r\nHost: gw.example.com\r\n"
            . "User-Agent: curl/7.88.1\r\nAccept: */*\r\nX-Agent: agent-7\r\n"
            . "\r\n";
        push @clients, $s;
    }

    my $held = wait_for(sub {
        $path eq '/delayed' or $redis->cmd(ZCARD => 'approval:pending') >= $n;
    }, 60) or die 'not all are held';

    my $seconds = time - $begin;

    Time::HiRes::sleep(0.5);      # until the worker has nothing more to do

    my $full = $redis->cmd(INFO => 'memory') =~ /used_memory:(\d+)/ && $1;

    return ((private_kib($pid) - $memory) / $n, $n / $seconds,
            ($full - $empty) / $n);
}

my ($delayed) = measure('/delayed');
my ($held, $rate, $bytes) = measure('/held');

printf "hold     %d requests: %.2f KiB each; delayed by limit_req %.2f KiB: "
       . "%.2f times\n", $n, $held, $delayed, $held / $delayed;
printf "hold     %.0f bytes in Redis for each pending action\n", $bytes;
printf "hold     %.0f requests/s taken in by one worker, from one client that "
       . "opens a connection for each\n", $rate;

done_testing();
