#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Model Context Protocol: which calls are held, and how they are refused.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;

need_module();

my $gw = Approval::Gateway->new(http => <<'EOF', server => <<'EOF');
    approval_policy mcp {
        rule drop   { mcp_tool db.drop db.truncate; action db.drop;
                      show table json:/params/arguments/table;
                      require admins; timeout 20s; }
        rule grant  { mcp_tool iam.grant; require admins; timeout 20s; }
        rule short  { mcp_tool short; require admins; timeout 1s; }
        rule reason { mcp_tool why; require admins; reason required; }
        rule shadow { mcp_tool shadowed; deny; mode shadow; }
        rule never  { mcp_tool rm; deny "never in production"; }
    }
    approval_policy bulk {
        rule tool { mcp_tool db.drop; deny; }
        rule bulk { match json:/*/op drop; deny; }
        rule not  { match json:/method !~.; deny; }
    }
    approval_policy plain { rule rm { match json:/method rm; deny; } }
EOF
    location /mcp { approval mcp; proxy_pass %%UP%%; }
    location /bulk { approval bulk; proxy_pass %%UP%%; }
    location /plain { approval plain; proxy_pass %%UP%%; }
EOF


sub call {
    my ($tool, %how) = @_;

    return { jsonrpc => '2.0', id => exists $how{id} ? $how{id} : 7,
             method => $how{method} // 'tools/call',
             params => { name => $tool,
                         arguments => $how{arguments} // { table => 'users' } }
           };
}


sub post { return (POST => '/mcp', json => $_[0], @_[1 .. $#_]) }


# One refusal, as a tool result

sub is_result {
    my ($r, $id, $state, $like, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($r->status, 200, "$name: a result, not an error");
    is($r->header('Content-Type'), 'application/json', "$name: JSON");

    my $json = $r->json;

    is($json->{jsonrpc}, '2.0', "$name: JSON-RPC");
    is_deeply($json->{id}, $id, "$name: the call's id");
    ok($json->{result}{isError}, "$name: isError");
    is($json->{result}{content}[0]{type}, 'text', "$name: text");
    like($json->{result}{content}[0]{text}, $like, "$name: says why");
    is($json->{result}{_meta}{approval}{state}, $state, "$name: state");

    return $json->{result}{_meta}{approval};
}


# What no rule concerns passes untouched

for ([ 'initialize', call('db.drop', method => 'initialize') ],
     [ 'another tool', call('db.read') ],
     [ 'a notification', { jsonrpc => '2.0',
                           method => 'notifications/initialized' } ],
     [ 'a name in another case', call('DB.drop') ],
     [ 'a batch of such', [ call('db.read'), call('db.list', id => 8) ] ])
{
    my ($name, $json) = @$_;

    is($gw->send(post($json))->read->status, 200, "$name passes");
    is_deeply(decode_json($gw->up->last->body), $json, "$name, as it was sent");
}

# Held, approved: the upstream's own answer

my ($c, $id) = $gw->hold(post(call('db.drop')));
is($gw->action($id)->{show}{table}, 'users', 'approvers see the argument');
$gw->vote($id, 'approve');
my $r = $c->read;
is($r->status, 200, 'approved');
is($r->body, "ok\n", 'the upstream answers');

# Denied: with the comment, for ids of each kind

for my $call_id (7, 'a-b', '7', 1.5, -1) {
    ($c, $id) = $gw->hold(post(call('db.truncate', id => $call_id)));
    $gw->vote($id, 'deny', 'use the archive job');
    my $meta = is_result($c->read, $call_id, 'denied',
                         qr/denied.*alice.*use the archive job/s,
                         "denied, id $call_id");
    is($meta->{id}, $id, 'the action\'s id');
    is($meta->{type}, 'urn:approval:denied', 'the type');
    is($meta->{comment}, 'use the archive job', 'the comment');
}

($c) = $gw->hold(post(call('short')));
is_result($c->read, 7, 'expired', qr/Nobody decided/, 'expired');

$r = $gw->send(post(call('rm')))->read;
is_result($r, 7, undef, qr/never in production/, 'denied by rule');
is_result($gw->send(post(call('why')))->read, 7, undef, qr/reason/,
          'no reason');

# A call without an id waits for no result: it is refused as HTTP

my $quiet = call('rm');
delete $quiet->{id};
is($gw->send(post($quiet))->read->status, 403, 'a notification: 403');

# A batch with an element that a rule concerns is refused whole

$r = $gw->send(post([ call('db.read', id => 1), call('db.drop', id => 'x'),
                      { jsonrpc => '2.0', method => 'ping' },
                      { jsonrpc => '2.0', id => 2, method => 'tools/list' } ]))
        ->read;
is($r->status, 200, 'batch: results');
is_deeply([ map { $_->{id} } @{ $r->json } ], [ 1, 'x', 2 ],
          'one for each that waits for one');
is_deeply([ map { $_->{result}{isError} ? 'result' : $_->{error}{code} }
                @{ $r->json } ], [ 'result', 'result', -32000 ],
          'all are refused, each in its form');
like($r->json->[0]{result}{content}[0]{text}, qr/one by one/, 'and says why');
is($r->json->[0]{result}{_meta}{approval}{type}, 'urn:approval:batch',
   'by its type');
is(scalar(my @asked = $gw->pending), 0, 'nobody is asked');

is($gw->send(post([ call('db.read'), call('rm') ]))->read->json->[1]{result}
   {isError}, JSON::PP::true(), 'a denied element, too');
is($gw->send(post([ call('db.read'), call('db.list') ]))->read->status, 200,
   'a batch that no rule concerns passes');

# A batch is an array, too: what looks at it as such still does

is($gw->send(POST => '/bulk', json => [ { op => 'drop' } ])->read->status, 403,
   'a rule on the elements of an array');
is($gw->send(POST => '/bulk',
             json => [ { op => 'drop', method => 'x' } ])->read->status, 400,
   'also where one looks like a call');
is($gw->send(POST => '/bulk', json => [ call('db.read'), call('db.list') ])
   ->read->status, 200, 'others pass');
$r = $gw->send(POST => '/plain', json => [ call('x', method => 'rm') ])->read;
is($r->json->[0]{error}{data}{approval}{type}, 'urn:approval:batch',
   'batches without any mcp_tool are judged as well');
is($gw->send(post([ call('db.read'), 'x' ]))->read->status, 200,
   'an element that is no object is no call');
is($gw->send(post([ (call('db.read')) x 1000 ]))->read->status, 200,
   'a batch may be long');
is($gw->send(post([ (call('db.read')) x 1001 ]))->read
   ->json->[0]{result}{_meta}{approval}{type}, 'urn:approval:batch',
   'but not longer');

# Headers that repeat the call

for ([ 'Mcp-Method' => 'tools/call', 1 ], [ 'Mcp-Method' => 'tools/list', 0 ],
     [ 'Mcp-Name' => 'db.read', 1 ], [ 'Mcp-Name' => 'db.drop', 0 ],
     [ 'Mcp-Name' => 'DB.read', 0 ], [ 'Mcp-Name' => '', 0 ])
{
    my ($name, $value, $good) = @$_;

    $r = $gw->send(post(call('db.read'), headers => [ $name => $value ]))->read;
    is($r->status, $good ? 200 : 400, "$name: $value");
    is($r->json->{error}{code}, -32020, 'its code') if !$good;
}

for ([ 'two copies', call('db.read'),
       [ 'Mcp-Name' => 'db.read', 'mcp-name' => 'db.drop' ] ],
     [ 'a batch', [ call('db.read') ], [ 'Mcp-Method' => 'tools/call' ] ])
{
    my ($name, $json, $headers) = @$_;

    $r = $gw->send(post($json, headers => $headers))->read;
    is($r->status, 400, "headers that repeat the call: $name");
    $r = ref $json eq 'ARRAY' ? $r->json->[0] : $r->json;
    is($r->{error}{code}, -32020, 'its code');
}

# The form that the client accepts

for ([ 'application/json, text/event-stream', 'application/json' ],
     [ 'text/event-stream', 'text/event-stream' ],
     [ '*/*', 'application/json' ],
     [ 'text/event-stream, */*', 'application/json' ])
{
    my ($accept, $type) = @$_;

    $r = $gw->send(post(call('rm'), headers => [ Accept => $accept ]))->read;
    is($r->header('Content-Type'), $type, "Accept: $accept");

    if ($type eq 'text/event-stream') {
        my ($data) = $r->body =~ /\Aevent: message\ndata: ([^\n]+)\n\n\z/;
        ok(decode_json($data // '{}')->{result}{isError}, 'one event');
    }
}

# Where there is no body there is no call: the stream of an MCP client opens

is($gw->send(GET => '/mcp')->read->status, 200, 'GET');
is($gw->send(DELETE => '/mcp')->read->status, 200, 'DELETE');

# Bodies that cannot be judged are not tool results: nobody can say of what

for ('{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"x"}', '{', '[1',
     "\xef\xbb\xbf{}", '')
{
    $r = $gw->send(POST => '/mcp', body => $_)->read;
    is($r->status, 400, "refused: $_");
    is($r->json->{type}, 'urn:approval:body-unreadable', 'its type');
}

# A rule in shadow hides no other: neither before nor behind it

for my $tools ([ qw(shadowed db.drop) ], [ qw(db.drop shadowed) ]) {
    my $i = 0;
    my @batch = map { call($_, id => ++$i) } @$tools;

    ok($gw->send(post(\@batch))->read->json->[0]{result}{isError},
       "@$tools: refused");
}

is($gw->send(post([ call('shadowed') ]))->read->status, 200,
   'alone it stops nothing');
is($gw->send(post([ call('shadowed'), call('rm', id => 8) ]))->read->json->[1]
   {result}{isError}, JSON::PP::true(), 'nor hides a denial');

$gw->clean('mcp');
done_testing;
