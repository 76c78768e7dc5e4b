#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# One approval, one execution, also where nginx would try the next server: it
# does so only as long as nobody was sent the request.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();

my $first = Approval::Upstream->new(answers => { '*' => { drop => 1 } });
my $busy = Approval::Upstream->new(answers => { '*' => { status => 503 } });
my $nobody = free_port();
my $second = Approval::Upstream->new;
my ($drop, $full, $up) = map { $_->port } $first, $busy, $second;

my $gw = Approval::Gateway->new(http => <<"EOF2", server => <<'EOF3');
    upstream drops  { server 127.0.0.1:$drop max_fails=0;
                      server 127.0.0.1:$up backup; }
    upstream kept   { server 127.0.0.1:$drop max_fails=0;
                      server 127.0.0.1:$up backup; keepalive 4; }
    upstream fails  { server 127.0.0.1:$full max_fails=0;
                      server 127.0.0.1:$up backup; }
    upstream refuses { server 127.0.0.1:$nobody max_fails=0;
                       server 127.0.0.1:$up backup; }

    approval_policy p { rule all { match \$uri ^/held; require admins; } }
EOF2
        approval p;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_next_upstream error timeout http_503;

        location /held/drops   { proxy_pass http://drops; }
        location /held/kept    { proxy_pass http://kept; }
        location /held/fails   { proxy_pass http://fails; }
        location /held/refuses { proxy_pass http://refuses; }
        location /free/drops   { proxy_pass http://drops; }
EOF3


is(http_get($gw->port, '/free/drops', headers => [ 'X-Agent' => 'a' ])->status,
   200, 'not held: nginx goes to the next server');
is($first->count, 1, 'after the first has got it');

for my $uri ('/held/drops', '/held/kept', '/held/fails') {
    for my $method ('GET', 'DELETE') {
        $_->clear for $first, $busy, $second;

        my ($client, $id) = $gw->hold($method => $uri);

        $gw->vote($id, 'approve');

        is($client->read->status, 500, "$method $uri: refused");
        is($first->count + $busy->count, 1, "$method $uri: one server got it");
        is($second->count, 0, "$method $uri: and no other");
    }
}

$second->clear;

my ($client, $id) = $gw->hold(POST => '/held/refuses', body => 'x');

$gw->vote($id, 'approve');

is($client->read->status, 200, 'where nobody got it, the next one does');
is($second->count, 1, 'once');
is($second->last->body, 'x', 'with its body');
is($gw->wait_audit('executed', 1), 1, 'and it is executed');

# what does not go to an upstream ends as ever, and the connection lives on

for my $n (1, 2) {
    $client->send(GET => '/none', headers => [ Host => 'gw' ]);
    is($client->read->status, 404, "the connection goes on, $n");
}

$gw->clean;

done_testing;
