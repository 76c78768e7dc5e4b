#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# approval_key is rotated by reload: a new one first, then without the old one.
# What was stored, signed and stopped before is so after it.  So it is with
# approval_signing_key.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

use MIME::Base64 ();

need_module();

my $gw = Approval::Gateway->new(repeat => '600s', workers => 2, http => <<'EOF',
    approval_group ops olga;
    approval_operators ops;
    approval_channel each { type json; pass /_notify; per_approver on; }
    approval_policy p {
        rule r     { match $uri ^/r; require admins; timeout 120s; }
        rule told  { match $uri ^/told; require admins; timeout 120s;
                     notify each; }
        rule cap   { match $uri ^/cap; require admins; timeout 120s; }
        rule cool  { match $uri ^/cool; require admins; timeout 120s; }
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
is($later->status, 503, 'one comes again later');
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

# approval_signing_key, while requests are held: no vote is lost, and approver
# and requester are told the same

{
    my $gw = Approval::Gateway->new(workers => 1, http => <<'END',
    approval_group ops olga;
    approval_operators ops;
    approval_policy p {
        rule two   { match $uri ^/two; require 2 of admins; timeout 120s; }
        rule one   { match $uri ^/one; require admins; timeout 120s; }
        rule later { match $uri ^/later; require admins; timeout 120s;
                     hold 1s; }
    }
END
        server => 'approval p; location / { proxy_pass %%UP%%; }');

    my $conf = $gw->ngx->{http};
    my $first = $gw->{keys};
    my $second = make_keys(tempdir());
    my $sign_with = sub {
        my $files = join(' ', map { $_->{signing} } @_);

        $gw->ngx->reload(http => $conf
                         =~ s/(approval_signing_key) \S+;/$1 $files;/r);
    };
    my $kid = sub {
        my $head = (split(/\./, $_[0]))[0];

        return decode_json(MIME::Base64::decode_base64url($head))->{kid};
    };

    my ($two, $id2) = $gw->hold(GET => '/two');
    my ($deny, $id3) = $gw->hold(GET => '/one/deny', agent => 'agent-d');
    my ($stop, $id4) = $gw->hold(GET => '/one/stop', agent => 'agent-s');
    my $ticket = $gw->send(GET => '/later')->read;

    is($ticket->status, 503, 'it is pending');
    is($gw->vote($id2, 'approve')->status, 200, 'one vote by the old key');

    $sign_with->($second, $first);

    my $r = $gw->vote($id2, 'approve', '', 'bob');

    is($r->status, 200, 'the second one after the rotation');
    like($r->json->{state}, qr/^(?:approved|execut)/, 'decides');
    is($two->read->status, 200, 'and the requester hears the same');

    my $old = $gw->up->last->header('Approval-Receipt');

    is($gw->up->last->header('Approval-By'), 'alice, bob', 'no vote is lost');

    is($gw->vote($id3, 'deny', 'not now')->status, 200, 'a denial');
    $r = $deny->read;
    is($r->status, 403, 'is one');
    is($r->json->{comment}, 'not now', 'with what was said');

    $r = Approval::Client->new($gw->port)->request(POST =>
        '/_approval/freeze', json => { requester => 'agent-s' },
        headers => [ 'X-User' => 'olga' ]);
    is($r->json->{cancelled}, 1, 'a freeze ends what waits');
    is($stop->read->json->{type}, 'urn:approval:frozen', 'at once');

    is($gw->vote($ticket->header('Approval-Id'), 'approve')->status, 200,
       'what comes later is approved');
    is($gw->send(GET => '/later')->read->status, 200, 'and redeemed');

    my ($new, $id5) = $gw->hold(GET => '/one/new');
    $gw->vote($id5, 'approve');
    is($new->read->status, 200, 'what was made after the rotation');
    isnt($kid->($gw->up->last->header('Approval-Receipt')), $kid->($old),
         'is signed with the new key');

    # the new one alone: who votes is told that it does not count

    my ($held, $id6) = $gw->hold(GET => '/one/alone');

    $sign_with->($first);
    $r = $gw->vote($id6, 'approve');
    is($r->status, 503, 'an action of a key that is gone');
    is($r->json->{type}, 'urn:approval:signing-key-unknown', 'says why');
    ok($held->quiet(0.1), 'and its requester still waits');
    is($gw->state($id6), 'pending', 'as the store says');

    $sign_with->($first, $second);
    is($gw->vote($id6, 'approve')->status, 200, 'with the key it counts');
    is($held->read->status, 200, 'and is executed');

    $gw->ngx->stop;

    my $tool = build_dir() . '/approval-audit';
    my $out = `$tool verify @{[ $gw->ngx->path('audit.jsonl') ]} \\
               --key $first->{public} --key $second->{public} 2>&1`;

    is($? >> 8, 0, 'the trail holds with both keys') or diag($out);
}

done_testing;
