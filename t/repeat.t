#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# approval_repeat: a machine that retries by itself asks nobody, and a script
# that does the same thing twice is not stopped.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();

my $big = 'x' x (8 << 20);

my $gw = Approval::Gateway->new(workers => 2, repeat => undef,
                                http => <<'EOF',
    approval_policy p {
        rule grant { match $uri ^/grant; require admins; timeout 60s;
                     notify hook; remember 60s per $uri; }
        rule tool  { match $uri /mcp; mcp_tool drop; require admins;
                     timeout 60s; notify hook; }
        rule short { match $uri ^/short; require admins; timeout 1s;
                     notify hook; }
        rule r     { match $uri ^/; require admins; timeout 60s;
                     notify hook; }
    }
EOF
    up => { '*' => { body => "done\n" },
            '/slow' => { body => "done\n", delay => 2 },
            '/off/slow' => { body => "done\n", delay => 2 },
            '/big' => { body => $big },
            map({ $_ => { body => 'part', no_length => 1, close => 1,
                          headers => [ 'Content-Length' => 100 ] } }
                '/part', '/raw/part'),
            '/raw/none' => { body => '' },
            '/lost' => { drop => 1 }, '/brief/lost' => { drop => 1 } },
    server => <<'EOF');
        approval p;
        location / { proxy_pass %%UP%%; }
        location /brief { approval_repeat 2s; proxy_pass %%UP%%; }
        location /off { approval_repeat 0; proxy_pass %%UP%%; }
        location /raw { proxy_buffering off; proxy_pass %%UP%%; }
        location /cancel { approval_disconnect cancel; proxy_pass %%UP%%; }
        location /bare { approval_unsigned_decisions on; proxy_pass %%UP%%; }
EOF

my $said = 0;


# one more message than before, and one more action

sub asks {
    my ($name, @request) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($client, $id) = $gw->hold(@request);

    ok($id, "$name: people are asked");
    ok(wait_for(sub { $gw->hook->count == $said + 1 }), "$name: told");
    $said = $gw->hook->count;

    return ($client, $id);
}


sub runs {
    my ($name, @request) = @_;

    my ($client, $id) = asks($name, @request);

    $gw->vote($id, 'approve');
    is($client->read->status, 200, "$name: executed");
    ok(wait_for(sub { $gw->state($id) eq 'executed' }), "$name: on record");

    return $id;
}


sub denied {
    my ($name, @request) = @_;

    my ($client, $id) = asks($name, @request);

    $gw->vote($id, 'deny', 'not today');
    is($client->read->status, 403, "$name: denied");

    return $id;
}


# nobody is asked: the answer is at once, and about the action $id

sub again {
    my ($name, $id, $state, $status, $type, @request) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $client = $gw->send(@request);
    my $r = $client->try_read(5);

    ok($r, "$name: answered at once") or return;

    is($r->status, $status, "$name: $status");
    is($r->json->{type}, "urn:approval:$type", "$name: $type");
    is($r->header('Approval-Id'), $id, "$name: that action");
    is($r->header('Approval-Status'), $state, "$name: which is $state");
    like($r->header('Retry-After') // 'none',
         $status == 403 ? qr/^([1-9]|10)$/ : qr/^none$/, "$name: until when");
    is($gw->hook->count, $said, "$name: nobody is told");
    is(scalar(my @open = $gw->pending), 0, "$name: nothing is open")
        unless $state eq 'executing';

    return $r;
}


sub why {
    my ($id) = @_;

    return join ' ', map { $_->{why} }
           grep { ($_->{action_id} // '') eq $id } $gw->audit('refused');
}


# Redis' clock says so many seconds more than when it was

sub passed {
    my ($id, $field, $seconds) = @_;

    my $since = $gw->redis->cmd(HGET => $gw->key($id), $field);

    return ok(wait_for(sub {
        my ($s, $us) = @{ $gw->redis->cmd('TIME') };
        return $s * 1000 + $us / 1000 >= $since + $seconds * 1000;
    }), "$seconds s are over");
}


# what was denied is denied, with the comment

{
    my @x = (POST => '/x', body => 'x');
    my $id = denied('denial', @x);

    for my $n (1, 2) {
        my $r = again("denial, again ($n)", $id, 'denied', 403, 'denied', @x);
        is($r->json->{comment}, 'not today', 'with the comment');
        is($r->json->{decided_by}, 'alice', 'and by whom');
    }

    like(why($id), qr/ended recently/, 'it is on record');
    denied('another body', POST => '/x', body => 'y');
    denied('another requester', @x, agent => 'agent-8');

    my @brief = (GET => '/brief');
    $id = denied('for two seconds', @brief);
    again('within them', $id, 'denied', 403, 'denied', @brief);
    passed($id, 'd', 2);
    denied('afterwards', @brief);

    denied('0', GET => '/off');
    denied('0: anew', GET => '/off');

    my ($client, $bare) = asks('bare', GET => '/bare');
    $gw->set($bare, 'deny');
    is($client->read->status, 403, 'a bare "deny"');
    again('bare', $bare, 'denied', 403, 'denied', GET => '/bare');
}


# the loser of two, whose client tries again at once

for my $way ('/two', '/off/two') {
    my ($one, $id) = asks("$way: one", POST => $way);
    my $two = $gw->send(POST => $way);

    ok(wait_for(sub { grep { $_->{action_id} eq $id } $gw->audit('joined') }),
       "$way: two joins");
    $gw->vote($id, 'approve');

    my @got = sort map { $_->read->status } $one, $two;
    is("@got", '200 409', "$way: one is executed");
    ok(wait_for(sub { $gw->state($id) eq 'executed' }), "$way: and ends");

    if ($way eq '/off/two') {
        denied("$way: again", POST => $way);
        next;
    }

    for my $n (1, 2) {
        my $r = again("$way: again ($n)", $id, 'executed', 409,
                      'already-executed', POST => $way);
        is($r->json->{outcome}{status}, 200, 'with the status');
        is(join(' ', keys %{ $r->json->{outcome} }), 'status', 'alone');
    }

    is($gw->hits($way), 1, "$way: one execution");
    like(why($id), qr/ended recently/, "$way: on record");

    runs("$way: another agent", POST => $way, agent => 'agent-8');
}

{
    my ($one, $id) = asks('brief: one', GET => '/brief/two');
    my $two = $gw->send(GET => '/brief/two');
    ok(wait_for(sub { grep { $_->{action_id} eq $id } $gw->audit('joined') }),
       'brief: two joins');
    $gw->vote($id, 'approve');
    $_->read for $one, $two;
    ok(wait_for(sub { $gw->state($id) eq 'executed' }), 'brief: executed');
    again('brief', $id, 'executed', 409, 'already-executed',
          GET => '/brief/two');
    passed($id, 'r', 2);
    runs('brief: over', GET => '/brief/two');
}


# ... one that left before, and comes back after

{
    my ($one, $id) = asks('left: one', GET => '/left');
    my $two = $gw->send(GET => '/left');
    ok(wait_for(sub { ($gw->redis->cmd(HGET => $gw->key($id), 'h') // 0) == 1
                    }), 'left: two joins');
    $two->close;
    ok(wait_for(sub { !$gw->redis->cmd(HGET => $gw->key($id), 'h') }),
       'left: and leaves');
    $gw->vote($id, 'approve');
    is($one->read->status, 200, 'left: one is executed');
    ok(wait_for(sub { $gw->state($id) eq 'executed' }), 'left: and ends');
    again('left: two', $id, 'executed', 409, 'already-executed',
          GET => '/left');
    is($gw->hits('/left'), 1, 'left: one execution');
}


# one after the other is what was meant

runs("server $_", POST => '/restart', body => 'server') for 1 .. 3;
is($gw->hits('/restart'), 3, 'all three');


# while it is executed, and after it

for my $way ('/slow', '/off/slow') {
    my ($one, $id) = asks("$way: one", GET => $way);
    $gw->vote($id, 'approve');
    ok(wait_for(sub { $gw->hits($way) == 1 }), "$way: under way");

    if ($way eq '/off/slow') {
        denied("$way: meanwhile", GET => $way);

    } else {
        again("$way: meanwhile", $id, 'executing', 409, 'already-executed',
              GET => $way);
    }

    is($one->read->status, 200, "$way: executed");
    ok(wait_for(sub { $gw->state($id) eq 'executed' }), "$way: and ends");

    again("$way: after it", $id, 'executed', 409, 'already-executed',
          GET => $way) if $way eq '/slow';
    is($gw->hits($way), 1, "$way: once");
}


# an answer that did not arrive

{
    my ($client, $id) = asks('cut', GET => '/big');
    $gw->vote($id, 'approve');
    like($client->read_bytes(12), qr/ 200/, 'cut: the answer begins');
    $client->reset;
    ok(wait_for(sub { $gw->state($id) eq 'executed' }), 'cut: it left');

    my $r = again('cut', $id, 'executed', 409, 'already-executed',
                  GET => '/big');
    is($r->json->{outcome}{status}, 200, 'cut: with the status');
    is($gw->hits('/big'), 1, 'cut: once');

    my @whole = (GET => '/big', agent => 'agent-8');
    runs('whole', @whole);
    runs('whole: anew', @whole);
}

for my $way ('/part', '/raw/part') {
    my ($client, $id) = asks("$way: the upstream ends early", GET => $way);

    $gw->vote($id, 'approve');
    ok(wait_for(sub { $gw->state($id) eq 'executed' }), "$way: executed");
    again("$way: again", $id, 'executed', 409, 'already-executed',
          GET => $way);
    is($gw->hits($way), 1, "$way: once");
}

for (1, 2) {
    runs("unbuffered, whole: $_", GET => '/raw/whole');
    runs("of no bytes: $_", GET => '/raw/none');
    runs("without a body: $_", HEAD => '/head');
}


# the same key is the same request, another one is another

{
    my $with = sub { (POST => '/key', headers => [ 'Idempotency-Key' => @_ ]) };

    my $id = runs('key 1', $with->('k1'));
    my $r = again('key 1', $id, 'executed', 409, 'already-executed',
                  $with->('k1'));
    is($r->json->{outcome}{status}, 200, 'key 1: with the status');
    runs('key 2', $with->('k2'));
    runs('no key', POST => '/key');
    is($gw->hits('/key'), 3, 'keys: three executions');

    my ($one, $a) = asks('key a', $with->('a'));
    my ($two, $b) = asks('key b', $with->('b'));
    isnt($a, $b, 'another key does not join');
    $gw->vote($_, 'deny') for $a, $b;
    $_->read for $one, $two;
}


# what failed may have been done

{
    my ($client, $id) = asks('lost', GET => '/lost');
    $gw->vote($id, 'approve');
    is($client->read->status, 502, 'lost: no answer');
    ok(wait_for(sub { $gw->state($id) eq 'failed' }), 'lost: failed');

    my $r = again('lost', $id, 'failed', 409, 'failed', GET => '/lost');
    is($r->json->{outcome}, undef, 'lost: nobody knows the status');
    like($r->json->{detail}, qr/Find out whether/, 'lost: what to do');

    $r = $gw->send(GET => '/lost', headers => [ 'Approval-Id' => $id ])->read;
    is($r->json->{type}, 'urn:approval:failed', 'lost: by its name, too');

    my @brief = (GET => '/brief/lost');
    ($client, $id) = asks('lost, brief', @brief);
    $gw->vote($id, 'approve');
    $client->read;
    ok(wait_for(sub { $gw->state($id) eq 'failed' }), 'lost, brief: failed');
    again('lost, brief', $id, 'failed', 409, 'failed', @brief);
    passed($id, 'r', 2);
    denied('lost, brief: over', @brief);
}


# expired and cancelled ask anew

{
    my ($client, $id) = asks('expired', GET => '/short');
    is($client->read->json->{type}, 'urn:approval:expired', 'expired');
    ($client, $id) = asks('expired: anew', GET => '/short');
    $gw->vote($id, 'deny');
    $client->read;

    ($client, $id) = asks('cancelled', GET => '/cancel');
    $client->close;
    ok(wait_for(sub { $gw->state($id) eq 'cancelled' }), 'cancelled');
    denied('cancelled: anew', GET => '/cancel');
}


# a grant that can be used goes first

{
    denied('granted', GET => '/grant', body => 'a');
    runs('granted: by another', GET => '/grant', body => 'b');

    my $r = $gw->send(GET => '/grant', body => 'a')->try_read(5);
    is($r && $r->status, 200, 'granted: what was denied passes by the grant');
}


# MCP: the model is told

{
    my @call = (POST => '/mcp', body => encode_json({
        jsonrpc => '2.0', id => 7, method => 'tools/call',
        params => { name => 'drop', arguments => {} } }),
        headers => [ 'Content-Type' => 'application/json',
                     Accept => 'application/json' ]);

    my ($one, $id) = asks('call', @call);
    my $two = $gw->send(@call);
    ok(wait_for(sub { grep { $_->{action_id} eq $id } $gw->audit('joined') }),
       'call: two joins');
    $gw->vote($id, 'approve');
    $_->read for $one, $two;
    ok(wait_for(sub { $gw->state($id) eq 'executed' }), 'call: executed');

    my $r = $gw->send(@call)->try_read(5)->json->{result};
    ok($r->{isError}, 'call: again');
    like($r->{content}[0]{text}, qr/has been used.*the response was 200/,
         'call: the text has the status');
    is($r->{_meta}{approval}{outcome}{status}, 200, 'call: so has _meta');
    is($gw->hook->count, $said, 'call: nobody is told');
}


# whichever worker is asked, and after a reload

{
    my $id = denied('reload', GET => '/reload');
    $gw->ngx->reload;
    again("reload ($_)", $id, 'denied', 403, 'denied', GET => '/reload')
        for 1 .. 4;
}


my ($code, $out) = Approval::Nginx->test_conf(http => 'approval_repeat soon;');
isnt($code, 0, 'approval_repeat of no time');
like($out, qr/"approval_repeat" directive invalid value/, 'says so');

($code, $out) = Approval::Nginx->test_conf(http =>
    "approval_repeat 1s;\napproval_repeat 2s;");
isnt($code, 0, 'approval_repeat twice');

($code, $out) = Approval::Nginx->test_conf(http =>
    'approval_policy p { rule r { require a; cool_down 1m; } }');
like($out, qr/unknown directive "cool_down"/, 'cool_down is no more');

$gw->clean;
done_testing;
