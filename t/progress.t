#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# MCP calls that are kept alive while they are held: progress notifications,
# and the answer in the same stream, whatever it is.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;

use Compress::Zlib ();

need_module();
need('curl');

my $both = 'application/json, text/event-stream';
my $answer = { jsonrpc => '2.0', id => 7,
               result => { content => [ { type => 'text',
                                          text => "two\nlines" } ] } };
my $long = { jsonrpc => '2.0', id => 7,
             result => { text => [ map { 'x' x 1000 } 1 .. 300 ] } };


# What the upstream answers, by the tool that is called

sub json_answer {
    my ($body, $type) = @_;

    return { headers => [ 'Content-Type' => $type // 'application/json' ],
             body => $body };
}


sub pretty { return JSON::PP->new->utf8->pretty->encode($_[0]) }


my %ANSWER = (
    plain => json_answer(encode_json($answer)),
    charset => json_answer(encode_json($answer),
                           'Application/JSON; charset=utf-8'),
    pretty => json_answer(pretty($answer) =~ s/\n/\r\n/gr),
    chunked => { %{ json_answer([ map { "$_\n" } split /\n/,
                                  pretty($answer) ]) }, chunked => 1 },
    long => json_answer(pretty($long)),
    unbuffered => json_answer(pretty($long)),
    events => { headers => [ 'Content-Type' => 'text/event-stream' ],
                body => "id: 1\ndata: {}\n\nevent: message\ndata: "
                        . encode_json($answer) . "\n\n", no_length => 1 },
    accel => { accel => '/file/answer.json' },
    again => { accel => '/second/' },
    refused => { accel => '/never/' },
    html => { status => 500, headers => [ 'Content-Type' => 'text/html' ],
              body => '<html>no</html>' },
    teapot => { status => 418, headers => [ 'Content-Type' => 'text/plain' ],
                body => 'no' },
    missing => { status => 404 },
    moved => { status => 302, headers => [ Location => '/elsewhere' ] },
    accepted => { status => 202 },
    nothing => { status => 204 },
    empty => json_answer(''),
    text => { headers => [ 'Content-Type' => 'text/plain' ], body => 'hello' },
    gzip => { headers => [ 'Content-Type' => 'application/json',
                           'Content-Encoding' => 'gzip' ],
              body => Compress::Zlib::memGzip(encode_json($answer)) },
    own => { status => 400, %{ json_answer(encode_json({
                jsonrpc => '2.0', id => 7,
                error => { code => -32602, message => 'bad table' } })) } },
    null => { status => 400, %{ json_answer(encode_json({
                jsonrpc => '2.0', id => undef,
                error => { code => -32700, message => 'parse' } })) } },
    problem => { status => 429, %{ json_answer(
                    '{"title":"Slow down","detail":"ten a day"}',
                    'application/problem+json') } },
    dropped => { drop => 1 },
    slow => { %{ json_answer(encode_json($answer)) }, delay => 0.5 },
);

my $gw = Approval::Gateway->new(workers => 2,
    conf => 'worker_shutdown_timeout 4s;',
    files => { 'html/file/answer.json' => pretty($answer) },
    http => <<'HTTP', server => <<'SERVER',
    log_format progress '$status $upstream_status $request_uri';
    access_log %%PREFIX%%/progress.log progress;
    approval_progress 100ms;
    approval_policy mcp {
        rule short { mcp_tool short; require admins; timeout 1s; }
        rule hold  { mcp_tool hold; require admins; hold 1s; timeout 20s; }
        rule all   { match json:/method tools/call; action mcp.tool;
                     require admins; timeout 30s; }
    }
    approval_policy second {
        rule second { match $uri ^/second; action second; require admins; }
        rule never { match $uri ^/never; deny "not there"; }
    }
    server {
        listen 127.0.0.1:%%PORT1%% http2;
        approval_requester $http_x_agent;
        location /mcp { approval mcp; proxy_pass %%UP%%; }
    }
    server {
        listen 127.0.0.1:%%PORT2%% sndbuf=4k;
        approval_requester $http_x_agent;
        send_timeout 1s;
        approval_progress 5ms;
        location /mcp { approval mcp; proxy_pass %%UP%%; }
    }
HTTP
    root %%PREFIX%%/html;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    location /mcp { approval mcp; proxy_pass %%UP%%; }
    location /mcp/off { approval mcp; approval_progress off;
                        proxy_pass %%UP%%; }
    location /mcp/seldom { approval mcp; approval_progress 1m;
                           proxy_pass %%UP%%; }
    location /mcp/unbuffered { approval mcp; proxy_buffering off;
                               proxy_pass %%UP%%; }
    location /mcp/error { approval mcp; proxy_intercept_errors on;
                          error_page 404 500 /file/answer.json;
                          error_page 502 = /file/answer.json;
                          proxy_pass %%UP%%; }
    location /mcp/gzip { approval mcp; gzip on; gzip_min_length 0;
                         gzip_types text/event-stream; proxy_pass %%UP%%; }
    location /mcp/cancel { approval mcp; approval_disconnect cancel;
                           proxy_pass %%UP%%; }
    location /mcp/closed { approval mcp; proxy_pass http://127.0.0.1:1; }
    location /file/ { internal; types { } default_type application/json; }
    location /second/ { internal; approval second;
                        proxy_pass %%UP%%/mcp?second; }
    location /never/ { internal; approval second; proxy_pass %%UP%%; }
SERVER
    up => sub {
        my ($request) = @_;

        my ($name) = $request->body =~ /"name":"([a-z-]+)"/;

        return $request->target eq '/mcp?second' ? $ANSWER{plain}
               : $ANSWER{ $name // '' } // $ANSWER{plain};
    });


sub call {
    my ($tool, %how) = @_;

    my $token = exists $how{token} ? $how{token} : 'tok';

    return { jsonrpc => '2.0', id => $how{id} // 7, method => 'tools/call',
             params => { name => $tool, arguments => { table => 'users' },
                         defined $token ? (_meta => { progressToken => $token })
                                        : () } };
}


sub post {
    my ($json, %how) = @_;

    my ($path, @headers) = ($how{path} // '/mcp', @{ $how{headers} // [] });

    return (POST => $path, json => $json,
            headers => [ Accept => $how{accept} // $both, @headers ],
            map { $how{$_} ? ($_ => $how{$_}) : () } qw(port version));
}


# The events of a stream, parsed as a client would

sub events {
    my ($body) = @_;

    my @parsed;

    for my $event (split /\n\n/, $body) {
        my @data = $event =~ /^data: ?(.*)$/mg;
        push @parsed, decode_json(join "\n", @data);
    }

    return @parsed;
}


sub last_event { return (events($_[0]->read->body))[-1] }

my $PROGRESS = qr{notifications/progress};


# A call that is held until its stream is open; (client, id)

sub streamed {
    my ($json, %how) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($c, $id) = $gw->hold(post($json, %how));
    ok($c->arrived($PROGRESS), "$json->{params}{name}: progress");

    return ($c, $id);
}


# ... and then approved: its answer

sub approved {
    my ($tool, %how) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($c, $id) = streamed(call($tool), path => "/mcp/$tool", %how);
    $gw->vote($id, 'approve');

    return last_event($c);
}


# Who does not ask for progress waits as ever

for ([ 'no token', call('plain', token => undef) ],
     [ 'a token of no type', call('plain', token => JSON::PP::true()) ],
     [ 'a token that is too long', call('plain', token => 'x' x 2000) ],
     [ 'JSON only', call('plain'), accept => 'application/json' ],
     [ 'Prefer', call('plain'), headers => [ Prefer => 'wait=20' ] ],
     [ 'off', call('plain'), path => '/mcp/off' ],
     [ 'not so often', call('plain'), path => '/mcp/seldom' ])
{
    my ($name, $json, @how) = @$_;

    my ($c, $id) = $gw->hold(post($json, @how));
    ok($c->quiet(0.4), "$name: silence");
    $gw->vote($id, 'approve');
    my $r = $c->read;
    is($r->header('Content-Type'), 'application/json', "$name: as it is");
    is_deeply($r->json, $answer, "$name: the answer");
    is($r->header('Content-Length'), length encode_json($answer),
       "$name: with its length");
}

# Who does: the stream

my $hits = $gw->hits('/mcp');
my ($c, $id) = streamed(call('plain', token => 41),
                        headers => [ 'Accept-Encoding' => 'gzip' ]);
ok($c->arrived(qr/$PROGRESS.*$PROGRESS.*$PROGRESS/s), 'again and again');
is($gw->hits('/mcp'), $hits, 'nothing was forwarded yet');
$gw->vote($id, 'approve');

my $r = $c->read;
is($r->status, 200, 'a 200');
is($r->header('Content-Type'), 'text/event-stream', 'events');
is($r->header('Cache-Control'), 'no-store', 'not for caches');
is($r->header('X-Accel-Buffering'), 'no', 'nor for the buffers of proxies');
is($r->header('Approval-Id'), $id, 'Approval-Id');
is($r->header('Approval-Status'), 'pending', 'Approval-Status: as of then');
is($r->header('Content-Length'), undef, 'no length');
like($r->body, qr/\A(?:event: message\ndata: [^\n]+\n\n)+\z/, 'well-formed');

my @events = events($r->body);
is_deeply(pop @events, $answer, 'the answer is the last event');

my @progress = map { $_->{params} } @events;
is(scalar(grep { encode_json($_) !~ /"progressToken":41\b/ } @progress), 0,
   'the token, a number as it was');
is(scalar(grep { $progress[$_]{progress} <= $progress[$_ - 1]{progress} }
               1 .. $#progress), 0, 'progress rises');
cmp_ok($progress[-1]{progress}, '<', 0.001, 'and stays below what follows');
like($progress[0]{message}, qr/^Waiting for approval of mcp\.tool/, 'message');
is($progress[0]{_meta}{approval}{id}, $id, 'the id');
is($progress[0]{_meta}{approval}{state}, 'pending', 'pending');
like($progress[0]{_meta}{approval}{expires_at}, qr/^\d{4}-\d\d-\d\dT.*Z$/,
     'until when');
like($progress[-1]{message}, qr/^Approved \(alice\)/, 'and that it was');

my $seen = $gw->up->last;
is($seen->header('Accept-Encoding'), undef, 'the upstream shall encode nothing');
is($seen->header('Approval-By'), 'alice', 'and knows who approved');
is_deeply(decode_json($seen->body), call('plain', token => 41),
          'the same call');
$gw->wait_audit('executed', 8);
is(($gw->audit('executed'))[-1]{outcome}{status}, 200, 'the outcome');

# the connection serves on

$c->send(GET => '/_status');
is($c->read->status, 200, 'keep-alive');

# JSON of each kind

for (qw(plain charset pretty chunked slow)) {
    is_deeply(approved($_), $answer, "JSON: $_");
}

for (qw(long unbuffered)) {
    is_deeply(approved($_), $long, "JSON: $_");
}

# Events go through as they are

($c, $id) = streamed(call('events'));
$gw->vote($id, 'approve');
my $sent = $ANSWER{events}{body};
is(substr($c->read->body, -length $sent), $sent, 'events, byte by byte');

# Redirected: to a file, and by error pages

is_deeply(approved('accel'), $answer, 'X-Accel-Redirect to a file');

for (qw(html missing)) {
    my $status = $ANSWER{$_}{status};
    my $last = approved($_, path => '/mcp/error');
    is($last->{error}{data}{status}, $status, "error_page: still a $status");
    is($last->{id}, 7, 'with the id');
}

is_deeply(approved('dropped', path => '/mcp/error'), $answer,
          'error_page with "=" is an answer');

# What is no answer becomes a JSON-RPC error

for ([ html => 500 ], [ teapot => 418 ], [ missing => 404 ], [ moved => 302 ],
     [ accepted => 202 ], [ nothing => 204 ], [ text => 200 ],
     [ empty => 200 ], [ gzip => 200 ], [ dropped => 502 ], [ closed => 502 ],
     [ null => 400, 'parse' ], [ problem => 429, 'ten a day' ])
{
    my ($tool, $status, $like) = @$_;

    my $log = "200 $status /mcp/$tool";
    my $last = approved($tool);

    is($last->{jsonrpc}, '2.0', "$tool: JSON-RPC");
    is($last->{id}, 7, "$tool: id");
    is($last->{error}{code}, -32603, "$tool: an internal error");
    ok($last->{error}{message}, "$tool: $last->{error}{message}");
    is($last->{error}{data}{status}, $status, "$tool: the status");
    like(encode_json($last->{error}{data}{body}), qr/$like/, "$tool: body")
        if $like;
    ok(wait_for(sub { slurp($gw->ngx->path('progress.log'))
                      =~ /^\Q$log\E$/m }),
       "$tool: the log has what the client got") or diag($log);
}

is(approved('problem')->{error}{message}, 'Slow down. ten a day',
   'a problem document says it itself');
is_deeply(approved('own'), { jsonrpc => '2.0', id => 7,
              error => { code => -32602, message => 'bad table' } },
          'a JSON-RPC error of its own is the answer');

my ($failed) = grep { ($_->{outcome}{upstream} // '') =~ /:1$/ }
                    $gw->audit('failed');
ok($failed, 'on record as failed: nobody was reached');
my %statuses = map { $_->{outcome}{status} => 1 } $gw->audit('executed');
ok($statuses{418}, 'on record with the upstream\'s status');

# Refused: a tool result

($c, $id) = streamed(call('plain'));
$gw->vote($id, 'deny', 'use the archive job');
my $last = last_event($c);
ok($last->{result}{isError}, 'denied: isError');
is($last->{id}, 7, 'denied: id');
like($last->{result}{content}[0]{text}, qr/alice.*use the archive job/,
     'denied: who and why');
is($last->{result}{_meta}{approval}{state}, 'denied', 'denied: state');

($c, $id) = streamed(call('short'));
$last = last_event($c);
is($last->{result}{_meta}{approval}{state}, 'expired', 'expired');
ok($last->{result}{isError}, 'expired: isError');

($c, $id) = streamed(call('hold'));
$last = last_event($c);
ok($last->{result}{isError}, 'patience ends: no 202 in a stream');
is($last->{result}{_meta}{approval}{state}, 'pending', 'still pending');
is($last->{result}{_meta}{approval}{id}, $id, 'the id');
like($last->{result}{content}[0]{text}, qr/same request again/, 'what to do');
is($gw->state($id), 'pending', 'the action stays open');
$c = $gw->send(post(call('hold')));
ok($c->arrived($PROGRESS), 'the same call joins');
$gw->vote($id, 'approve');
is_deeply(last_event($c), $answer, 'and is executed');

# Two connections with one call

($c, $id) = streamed(call('slow'));
my $other = $gw->send(post(call('slow')));
ok($other->arrived($PROGRESS), 'both are kept alive');
$hits = $gw->hits('/mcp');
$gw->vote($id, 'approve');
my @last = map { last_event($_) } $c, $other;
is($gw->hits('/mcp') - $hits, 1, 'one execution');
is(scalar(grep { $_->{result}{isError} } @last), 1, 'the other learns of it');
my ($told) = grep { $_->{result}{isError} } @last;
is($told->{result}{_meta}{approval}{type}, 'urn:approval:already-executed',
   'by its type');
is($told->{id}, 7, 'with the id');

# A redirect to another rule: the stream goes on

($c, $id) = streamed(call('again'));
$gw->vote($id, 'approve');
my $second = wait_for(sub { (grep { $_ ne $id } $gw->pending)[0] });
ok($second, 'held again');
ok($c->arrived(qr/approval of second/), 'progress goes on');
$gw->vote($second, 'approve');
is_deeply(last_event($c), $answer, 'answered');

$last = approved('refused');
ok($last->{result}{isError}, 'denied there: a tool result');

# HTTP/1.0, HTTP/2, gzip

($c, $id) = streamed(call('plain'), version => 'HTTP/1.0');
$gw->vote($id, 'approve');
$r = $c->read;
is($r->header('Transfer-Encoding'), undef, 'HTTP/1.0: not chunked');
is_deeply((events($r->body))[-1], $answer, 'HTTP/1.0: the answer');

for my $tool (qw(pretty html)) {
    my %was = map { $_ => 1 } $gw->pending;
    my $job = Approval::Client->curl_start('--http2-prior-knowledge', '-N',
        '-H', "Accept: $both", '-H', 'X-Agent: agent-7',
        '-H', 'Content-Type: application/json', '-d', encode_json(call($tool)),
        'http://127.0.0.1:' . $gw->ngx->port(1) . '/mcp');
    $id = wait_for(sub { (grep { !$was{$_} } $gw->pending)[0] });
    ok(wait_for(sub { slurp($job->{out}) =~ $PROGRESS }), 'HTTP/2: progress');
    $gw->vote($id, 'approve');
    $r = $job->read;
    like($r->version, qr{^HTTP/2}, 'HTTP/2');
    $last = (events($r->body))[-1];
    is($last->{id}, 7, "HTTP/2: $tool");
    is($last->{error} ? 'html' : 'pretty', $tool, 'HTTP/2: as it is');
}

($c, $id) = $gw->hold(post(call('plain'), path => '/mcp/gzip',
                           headers => [ 'Accept-Encoding' => 'gzip' ]));
ok($c->arrived(qr/gzip.*\r\n\r\n.+\r\n.+\r\n/s), 'gzip: it flows');
$gw->vote($id, 'approve');
$r = $c->read;
is($r->header('Content-Encoding'), 'gzip', 'gzip');
@events = events(Compress::Zlib::memGunzip($r->body));
cmp_ok(scalar @events, '>', 1, 'gzip: progress');
is_deeply($events[-1], $answer, 'gzip: the answer');

# Who leaves

for my $how (qw(close reset)) {

    ($c, $id) = streamed(call('plain'));
    $hits = $gw->hits('/mcp');
    $c->$how;
    ok(wait_for(sub { !$gw->action($id)->{requester_present} }),
       "$how: approvers see it");
    $gw->vote($id, 'approve');
    is($gw->hits('/mcp'), $hits, "$how: nothing is executed");
    $r = $gw->send(post(call('plain')))->read;
    is($gw->hits('/mcp'), $hits + 1, "$how: but for who asks again");
    is_deeply($r->json, $answer, "$how: and does not have to wait");

    ($c, $id) = streamed(call('plain'), path => '/mcp/cancel');
    $c->$how;
    ok(wait_for(sub { $gw->action($id)->{state} eq 'cancelled' }),
       "$how: cancel");

    ($c, $id) = streamed(call('plain'),
                         headers => [ 'MCP-Protocol-Version' => '2026-07-28' ]);
    $c->$how;
    ok(wait_for(sub { $gw->action($id)->{state} eq 'cancelled' }),
       "$how: cancels, from MCP 2026-07-28 on");
}

# Who does not read: what it misses is not kept, and send_timeout ends it

($c, $id) = $gw->hold(post(call('plain'), port => $gw->ngx->port(2)));
$gw->ngx->log_like(qr/client timed out .*waiting for approval/,
                   'a client that does not read', timeout => 60);
ok(wait_for(sub { !$gw->action($id)->{requester_present} }), 'is let go');
$gw->vote($id, 'deny');
$c->close;

# A reload, and a worker that has to go

($c, $id) = streamed(call('plain'));
$gw->ngx->reload;
my $length = length $c->{buffer};
ok($c->arrived(qr/\A.{$length}.*$PROGRESS/s), 'a reload: it goes on');
$gw->vote($id, 'approve');
is_deeply(last_event($c), $answer, 'and ends');

($c, $id) = streamed(call('plain'));
$gw->ngx->reload;
$last = last_event($c);
like($last->{result}{content}[0]{text}, qr/^The gateway is restarting/,
     'the worker has to go: a result that says so');
is($last->{result}{_meta}{approval}{type}, 'urn:approval:restarting',
   'its type');
$c = $gw->send(post(call('plain')));
ok($c->arrived($PROGRESS), 'the same call waits on');
$gw->vote($id, 'approve');
is_deeply(last_event($c), $answer, 'and is answered');

# The directive

for ([ '0' => qr/invalid time/ ], [ 'x' => qr/invalid time/ ],
     [ '1s; approval_progress 1s' => qr/is duplicate/ ])
{
    my ($code, $out) = Approval::Nginx->test_conf(
        http => "approval_progress $_->[0];");
    isnt($code, 0, "approval_progress $_->[0]: refused");
    like($out, $_->[1], 'says why');
}

$gw->clean('progress');
done_testing;
