#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# approval_key is rotated by reload: a new one first, then without the old one.
# What was stored, signed and stopped before is so after it.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();

my $gw = Approval::Gateway->new(workers => 2, http => <<'EOF',
    approval_group ops olga;
    approval_operators ops;
    approval_channel each { type json; pass /_notify; per_approver on; }
    approval_policy p {
        rule r     { match $uri ^/r; require admins; timeout 120s; }
        rule told  { match $uri ^/told; require admins; timeout 120s;
                     notify each; }
        rule cap   { match $uri ^/cap; require admins; timeout 120s; }
        rule cool  { match $uri ^/cool; require admins; timeout 120s;
                     cool_down 600s; }
        rule grant { match $uri ^/grant; require admins; timeout 120s;
                     remember 600s per $uri uses=3; }
        rule call  { match $uri /mcp; mcp_tool drop; require admins;
                     timeout 120s; }
        rule later { match $uri ^/later; require admins; timeout 120s;
                     hold 1s; }
    }
    approval_policy q { rule r { match $uri ^/q; require admins;
                                 timeout 120s; } }
EOF
    server => <<'EOF');
        approval p;
        location / { proxy_pass %%UP%%; }
        location /q { approval q; proxy_pass %%UP%%; }
        location /cap { approval_max_pending 2 per=$http_x_agent;
                        proxy_pass %%UP%%; }
EOF

my $file = $gw->{keys}{secret};
my $old = slurp($file);
my $new = ('5a' x 32) . "\n";


sub freeze {
    my ($method, $what) = @_;

    return Approval::Client->new($gw->port)->request($method,
        '/_approval/freeze' . (ref $what ? '' : $what),
        (ref $what ? (json => $what) : ()),
        headers => [ 'X-User' => 'olga' ]);
}


sub frozen { @{ freeze(GET => '')->json->{frozen} } }


sub is_frozen {
    my ($name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    for my $request ([ GET => '/r/robot', agent => 'robot' ],
                     [ GET => '/q/any', agent => 'agent-9' ])
    {
        my $r = $gw->send(@$request)->read;

        is($r->status, 403, "$name: $request->[1] is refused");
        is($r->json->{type}, 'urn:approval:frozen', "$name: as frozen");
    }

    is(join(' ', sort map { $_->{requester} // $_->{policy} // '?' } frozen()),
       'q robot', "$name: each is listed once");
}


sub rotate {
    my (@keys) = @_;

    spew($file, @keys);

    my $mark = $gw->ngx->mark;
    $gw->ngx->reload;

    wait_for(sub {
        my @ready = $gw->ngx->log_lines(qr/approval_redis "[^"]*" is ready/,
                                        since => $mark);
        return @ready >= 2;
    }) or die 'the new workers do not reach Redis';
}


# before

is(freeze(POST => { requester => 'robot', comment => 'runs wild' })->status,
   200, 'a requester is frozen');
is(freeze(POST => { policy => 'q',
                    until => '2099-01-01T00:00:00Z' })->status, 200,
   'a policy, too');
is_frozen('before');

my ($held, $id) = $gw->hold(GET => '/told/held');

ok($gw->hook->wait_count(2), 'approvers are told');
my ($link) = map { $_->json->{data}{links}{url} }
             grep { $_->json->{data}{links}{approver} eq 'alice' }
             $gw->hook->messages;

my ($cooling, $denied) = $gw->hold(GET => '/cool');
$gw->vote($denied, 'deny', 'not today');
is($cooling->read->status, 403, 'one is denied');

my ($granted, $first) = $gw->hold(GET => '/grant');
$gw->vote($first, 'approve');
is($granted->read->status, 200, 'one makes a grant');

my @cap = map { [ $gw->hold(GET => "/cap/$_") ] } 1, 2;

my @session = (headers => [ 'Mcp-Session-Id' => 's1' ]);
my ($call, $called) = $gw->hold(POST => '/mcp', @session, json =>
    { jsonrpc => '2.0', id => 7, method => 'tools/call',
      params => { name => 'drop' } });

my $later = $gw->send(GET => '/later')->read;
is($later->status, 202, 'one comes again later');
$gw->vote($later->header('Approval-Id'), 'approve');


# the new one first

rotate($new, $old);

is_frozen('rotated');

my $join = $gw->send(GET => '/told/held');
ok(wait_for(sub { grep { ($_->{action_id} // '') eq $id }
                       $gw->audit('joined') }),
   'an identical request joins what was pending');

is($gw->send(POST => '/mcp', @session, json =>
             { jsonrpc => '2.0', method => 'notifications/cancelled',
               params => { requestId => 7 } })->read->status, 200,
   'an MCP client gives up its call');
is($call->read->json->{result}{_meta}{approval}{type},
   'urn:approval:cancelled', 'which is let go');
ok(wait_for(sub { $gw->state($called) eq 'cancelled' }), 'and has ended');

my $r = $gw->send(GET => '/cool')->read;
is($r->status, 403, 'what was denied cools down');
is($r->header('Approval-Id'), $denied, 'by that denial');

$r = $gw->send(GET => '/grant')->read;
is($r->status, 200, 'the grant is good');
is($r->header('Approval-Id'), $first, 'by that approval');

is($gw->send(GET => '/cap/3')->read->status, 429,
   'what is pending is counted');
$gw->vote($_->[1], 'deny') for @cap;
is($_->[0]->read->status, 403, 'it can be denied') for @cap;
my ($room, $third) = $gw->hold(GET => '/cap/3');
ok($third, 'and makes room');
$gw->vote($third, 'deny');
$room->read;

$r = $gw->send(GET => '/later')->read;
is($r->status, 200, 'what was approved is redeemed');
is($r->header('Approval-Id'), $later->header('Approval-Id'), 'by its ticket');

my ($query) = $link =~ m{(/_approval/.*)};
$r = http_get($gw->port, $query);
is($r->status, 200, 'a link of before is good') or diag $r->raw;

is($gw->vote($id, 'approve')->status, 200, 'what was pending is decided');
is(join(' ', sort map { $_->read->status } $held, $join), '200 409',
   'and executed once');
is($gw->hits('/told/held'), 1, 'as the upstream has seen');

# frozen while there are two keys, and thawed

is(freeze(POST => { requester => 'other' })->status, 200, 'another one');
is(scalar(my @three = frozen()), 3, 'is listed');
is(freeze(DELETE => '?requester=other')->status, 200, 'and thawed');
my ($free, $freed) = $gw->hold(GET => '/r/other', agent => 'other');
ok($freed, 'by all keys');
$gw->vote($freed, 'deny');
$free->read;

(my $late, $id) = $gw->hold(GET => '/told/late');
ok($gw->hook->wait_count(4), 'told');


# without the old one: a link that it signed is none

rotate($new);

is_frozen('the old one is removed');
isnt(http_get($gw->port, $query)->status, 200, 'its links are no good');
$gw->vote($id, 'deny');
is($late->read->status, 403, 'what came between is decided');

is(freeze(DELETE => '?requester=robot')->status, 200, 'thawed');
is(freeze(DELETE => '?policy=q')->status, 200, 'both');
is(scalar(my @none = frozen()), 0, 'nothing is listed');
my ($again, $last) = $gw->hold(GET => '/r/robot', agent => 'robot');
ok($last, 'and it may ask again');
$gw->vote($last, 'deny');
$again->read;

$gw->clean('rotation');
done_testing;
