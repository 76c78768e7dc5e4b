#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Clients alone cannot make Redis "unavailable" by keeping the worker busy.
# Nothing passes without approval.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;
use Time::HiRes qw(time sleep);

need_module();

my $random = join '', map { ('a' .. 'z', 'A' .. 'Z', 0 .. 9)[rand 62] }
                      1 .. 100000;


sub gateway {
    my (%how) = @_;

    return Approval::Gateway->new(connections => 4096, %how, http => <<'EOF',
    approval_policy p {
        rule big { match $request_method POST; require admins; }
    }
EOF
        server => <<'EOF');
    client_body_buffer_size 64k;
    approval_store_failure allow;
    location / { approval p; proxy_pass %%UP%%; }
    location /free { proxy_pass %%UP%%; }
EOF
}


# Sends all but the last byte of n requests.

sub burst {
    my ($gw, $n, $size, $text) = @_;

    my @clients = map { Approval::Client->new($gw->port) } 1 .. $n;

    for my $i (0 .. $#clients) {
        $clients[$i]->write("POST /x$i HTTP/1.1\r\nHost: gw.example\r\n"
                            . "X-Agent: a\r\nContent-Type: text/plain\r\n"
                            . "Content-Length: $size\r\n\r\n"
                            . substr $text, $i * 50, $size - 1);
    }

    sleep 1;

    return @clients;
}


sub passed {
    my ($gw) = @_;

    return scalar grep { $_->target =~ /^\/x/ } $gw->up->requests;
}


# Redis is well and has the default time to answer; the worker is busy

{
    my $gw = gateway(redis => '');
    my @clients = burst($gw, 600, 34000, $random);
    my $slow = 0;

    $_->write('z') for @clients;

    wait_for(sub {
        my $since = time;

        http_get($gw->port, '/free');
        $slow = time - $since if time - $since > $slow;

        return $gw->pending + (grep { $_->answered } @clients) >= 600;
    }, 60);

    is(scalar(my @ids = $gw->pending), 600, 'a burst: all are held');
    is(scalar(grep { $_->answered } @clients), 0, 'a burst: none is answered');
    is(passed($gw), 0, 'a burst: none has passed');
    is(scalar(my @log = $gw->ngx->log_lines(qr/is unavailable/)), 0,
       'a burst: Redis is available');
    cmp_ok($slow, '<', 1, 'a burst: other requests are served meanwhile');
    $_->close for @clients;
}

done_testing();
