#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Other traffic while many requests are held, Redis does not answer and a
# channel swallows its messages: p99 of ungated requests (wrk, 16 connections)
# beside that of a gateway that holds none, in turns.

use strict;
use warnings;
use lib 't/lib', 't/bench';

BEGIN { $ENV{APPROVAL_TEST_TIMEOUT} //= 3600 }

use Approval::Test;
use Bench;
use IO::Socket::INET;

need('wrk');

my $n = $ENV{N} // 10_000;
my $rounds = $ENV{ROUNDS} // 7;

# it takes connections and says nothing

my $hole = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 128)
    or die "listen: $!";

my ($idle) = gateway();
my ($busy, $redis) = gateway();

my $load = start_load($busy->port, $n, '/held/');

load_line($load);

wait_for(sub { $redis->cmd(ZCARD => 'approval:{00}:pending') >= $n }, 120)
    or die 'not all are held';

$redis->pause;

my (@idle, @busy);

for (1 .. $rounds) {
    push @idle, p99($idle);
    push @busy, p99($busy);
}

$redis->resume;

my $ratio = median(@busy) / median(@idle);

printf "calm  p99 of other traffic: %.0f us, %.0f us with none held\n",
       median(@busy), median(@idle);
figure("other traffic, p99: $n held, Redis stopped, a channel black-holed",
       '<= 1.1 of none held', sprintf('%.2f', $ratio), $ratio <= 1.1);

stop_load($load);
$_->abandon for $idle, $busy;
done_testing();


sub gateway {
    my $redis = Approval::Redis->new;
    my $keys = make_keys(tempdir());
    my $ngx = Approval::Nginx->new(connections => $n + 1024,
                                   log_level => 'crit', http => <<"EOF");
    approval_redis @{[ $redis->url ]};
    approval_key $keys->{secret};
    approval_signing_key $keys->{signing};
    approval_base_url http://gw.example.com/_approval;
    approval_group admins alice bob;
    approval_audit %%PREFIX%%/audit.jsonl sync=group;
    approval_channel ops {
        type json; url http://127.0.0.1:@{[ $hole->sockport ]}/;
        secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw;
    }
    approval_policy p {
        rule r { match \$uri ^/held/; action db.drop; summary "drop \$uri";
                 require admins; timeout 600s; notify ops; }
    }
    access_log off;
    server {
        listen 127.0.0.1:%%PORT%% backlog=8192;
        approval p; approval_requester \$http_x_agent;
        location / { empty_gif; }
    }
EOF

    return ($ngx, $redis);
}


sub p99 {
    my ($ngx) = @_;

    my $text = `wrk -t1 -c16 -d2s --latency http://127.0.0.1:@{[
        $ngx->port ]}/ok`;

    my ($value, $unit) = $text =~ /99%\s+([\d.]+)(us|ms|s)/ or die $text;

    return $value * { us => 1, ms => 1e3, s => 1e6 }->{$unit};
}
