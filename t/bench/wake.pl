#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# From SET of the decision key to the response at the client, one at a time
# and while many are held, beside the time of an ungated request through the
# same gateway. Unsigned decisions: the clock starts when redis has the key.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;
use Time::HiRes qw(time);

my $n = $ENV{N} // 1000;

for my $sync (qw(off group)) {
    my $gw = Approval::Gateway->new(
        audit => "sync=$sync", log_level => 'error', connections => 4 * $n + 512, workers => 1,
        http => <<'EOF', server => <<'EOF');
    approval_policy p { rule r { match $uri ^/held/; require admins;
                                 timeout 200s; } }
    access_log off;
EOF
    approval p; approval_unsigned_decisions on;
    location = /ok { empty_gif; }
    location / { empty_gif; }
EOF
    my $port = $gw->port;
    my (@plain, @wake);

    for (1 .. $n) {
        my $c = Approval::Client->new($port);
        my $begin = time;
        $c->send(GET => '/ok', headers => [ Host => 'x' ]);
        $c->read;
        push @plain, time - $begin;
    }

    my %client = map {
        my ($c, $id) = $gw->hold(GET => "/held/$_");
        ($id => $c);
    } 1 .. $n;

    for my $id (keys %client) {
        my $begin = time;
        $gw->set($id, 'approve');
        $client{$id}->read->status == 200 or die 'not passed';
        push @wake, time - $begin;
    }

    for ([ 'ungated request', \@plain ], [ 'decision to response', \@wake ]) {
        my ($name, $times) = @$_;
        my @t = sort { $a <=> $b } @$times;
        printf "wake     sync=%s %-21s p50 %4.0f us, p99 %4.0f us\n", $sync,
               $name, 1e6 * $t[@t / 2], 1e6 * $t[0.99 * @t];
    }
}

done_testing();
