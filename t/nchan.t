#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Debian's nchan, which brings a hiredis of its own, beside us in both orders:
# each finds its own copy, and both work.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;

need_module();

my $nchan = '/usr/lib/nginx/modules/ngx_nchan_module.so';

plan(skip_all => 'libnginx-mod-nchan is not installed') if !-e $nchan;
plan(skip_all => 'nchan itself does not run clean under sanitizers')
    if $ENV{APPROVAL_SANITIZE} || $ENV{APPROVAL_VALGRIND};

my $symbols = `nm -D --defined-only ${\ module_path()}`;
unlike($symbols, qr/redis/i, 'no symbol of hiredis is exported');

for my $order (qw(before after)) {
    my $gw = Approval::Gateway->new(
        "modules_$order" => [ $nchan ], http => <<'EOF', server => <<'EOF');
        approval_policy p { rule r { match $uri ^/held; require admins; } }
        upstream nchan_redis { nchan_redis_server %%REDIS%%; }
EOF
        approval p;
        location / { proxy_pass %%UP%%; }
        location = /publish { nchan_publisher; nchan_channel_id c;
                              nchan_redis_pass nchan_redis; }
        location = /subscribe { nchan_subscriber longpoll; nchan_channel_id c;
                                nchan_redis_pass nchan_redis; }
EOF

    for my $turn (1, 2) {
        my ($held, $id) = $gw->hold(GET => "/held/$turn");
        my $text = "message $turn, nchan $order";

        # nchan takes a moment to reach its Redis

        ok(wait_for(sub {
            my $sub = $gw->send(GET => '/subscribe');
            http_post($gw->port, '/publish', $text);
            my $answer = $sub->try_read(0.5);
            return $answer && $answer->body =~ /^message \d/;
        }), "nchan $order: published and received");

        $gw->vote($id, 'approve');
        is($held->read->status, 200, "nchan $order: held and approved");
    }
}

done_testing;
