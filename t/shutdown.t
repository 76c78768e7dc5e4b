#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# worker_shutdown_timeout: held requests are let go with an answer.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;

need_module();

my $gw = Approval::Gateway->new(
    conf => 'worker_shutdown_timeout 12s;',
    http => <<'EOF', server => <<'EOF');
    approval_policy p { rule r { match $uri ^/held; require admins;
                                 timeout 60s; } }
EOF
    approval p;
    location / { proxy_pass %%UP%%; }
EOF

my @held = map { [ $gw->hold(GET => "/held/$_") ] } 1 .. 3;

my @old = $gw->ngx->workers;
$gw->ngx->reload;

ok($held[0][0]->quiet(0.5), 'still held after the reload');
$gw->vote($held[0][1], 'approve');
is($held[0][0]->read->status, 200, 'the old worker finishes what is decided');

my $r = $held[1][0]->read;
is($r->status, 503, 'let go before the connections are cut');
is($r->json->{type}, 'urn:approval:restarting', 'its type');
is($r->json->{action_id}, $held[1][1], 'its action');
is($r->json->{state}, 'pending', 'which stays open');
like($r->header('Retry-After'), qr/^\d+$/, 'Retry-After');
is($held[2][0]->read->status, 503, 'and every other');

ok(wait_for(sub { !grep { kill 0, $_ } @old }), 'the old worker ends');

my $again = $gw->send(GET => '/held/2');
ok($again->quiet(0.3), 'the same request waits again');
is(scalar($gw->pending), 2, 'for the same action');
$gw->vote($held[1][1], 'approve');
is($again->read->status, 200, 'and gets its decision');
is($gw->hits('/held/2'), 1, 'executed once');

$gw->vote($held[2][1], 'deny');

$gw->clean('shutdown');
done_testing;
