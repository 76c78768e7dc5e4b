#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The body: what is forwarded is what was shown, however it came; and it is not
# read where no rule can want it.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;
use Digest::SHA qw(sha256_hex);
use IO::Socket::INET;

need_module();
need('curl');


# an upstream that lets the test see bytes as they come

my $raw = listener();
my $raw_url = 'http://127.0.0.1:' . $raw->sockport;

my $gw = Approval::Gateway->new(http => <<'EOF', server => <<"EOF");
    client_body_buffer_size 4k;
    client_max_body_size 32m;

    approval_policy p {
        body_limit 64k;
        rule held { match $uri ^/held; require admins; timeout 60s; }
        rule json {
            match $uri ^/json ^/stream/json;
            match json:/op drop;
            require admins; timeout 60s;
        }
        rule form {
            match $uri ^/form;
            match form:op drop;
            require admins; timeout 60s;
        }
    }
EOF
        listen 127.0.0.1:%%PORT1%% http2;
        approval p;

        location / { proxy_pass %%UP%%; }
        location /stream/ {
            proxy_request_buffering off;
            proxy_http_version 1.1;
            proxy_pass $raw_url;
        }
EOF

my ($port, $port2) = map { $gw->ngx->port($_) } 0, 1;


# as many different bytes as asked for, the same in each run

sub bytes {
    my ($n) = @_;

    srand(7);

    return substr(join('', map { pack('L', rand(1 << 32)) } 0 .. $n / 4), 0,
                  $n);
}


sub pieces {
    my ($text, $n) = @_;

    return [ unpack("(a$n)*", $text) ];
}


# a response to curl, or to our own client, later

sub start {
    my ($how, $uri, $body, %arg) = @_;

    if ($how eq 'http2') {
        my $file = spew(tempdir() . '/body', $body);

        return Approval::Client->curl_start('--http2-prior-knowledge',
            '-X', 'POST', '--data-binary', "\@$file", '-H', 'X-Agent: agent-7',
            '-H', 'Expect:', headers(@{ $arg{headers} // [] }),
            "http://127.0.0.1:$port2$uri");
    }

    my %send = (body    => [ body => $body ],
                expect  => [ body => $body, expect => 1 ],
                chunked => [ chunked => pieces($body, 1000) ],
                bytes   => [ chunked => pieces($body, 7) ]);

    return $gw->send(POST => $uri, @{ $send{$how} }, %arg);
}


sub headers {
    my (@headers) = @_;

    return map { ('-H', "$headers[2 * $_]: $headers[2 * $_ + 1]") }
               0 .. @headers / 2 - 1;
}


# held, and forwarded as it was: name, how, size

my @shapes = (
    [ 'none', 'body', 0 ],
    [ 'in memory', 'body', 100 ],
    [ 'as large as the buffer', 'body', 4096 ],
    [ 'in a temporary file', 'body', 50_000 ],
    [ 'over body_limit, no rule reads it', 'body', 100_000 ],
    [ 'in chunks', 'chunked', 2500 ],
    [ 'in chunks, in a file', 'chunked', 50_000 ],
    [ 'in small chunks', 'bytes', 3000 ],
    [ 'Expect: 100-continue', 'expect', 500 ],
    [ 'Expect: 100-continue, in a file', 'expect', 50_000 ],
    [ 'HTTP/2', 'http2', 500 ],
    [ 'HTTP/2, in a file', 'http2', 50_000 ],
);

my %digest;

for my $row (@shapes) {
    my ($name, $how, $size) = @$row;

    my $body = bytes($size);
    my $uri = '/held/' . $name =~ s/\W+/-/gr;

    $gw->up->clear;

    my %before = map { $_ => 1 } $gw->pending;
    my $client = start($how, $uri, $body);
    my $id = wait_for(sub { (grep { !$before{$_} } $gw->pending)[0] });

    ok($id, "$name: held") or next;
    is($gw->up->count, 0, "$name: and not forwarded");

    my $action = $gw->action($id);

    is($gw->vote($id, 'approve')->status, 200, "$name: approved");

    my $response = $client->read;

    is($response->status, 200, "$name: the upstream's answer");
    is($response->header('Approval-Id'), $id, "$name: Approval-Id");
    is_deeply($response->interim, $how eq 'expect' ? [ 100 ] : [],
              "$name: interim responses");

    my $seen = $gw->up->last;

    is($gw->up->count, 1, "$name: forwarded once");
    is(sha256_hex($seen->body), sha256_hex($body), "$name: byte for byte");
    is($seen->header('Approval-Digest'), $action->{digest},
       "$name: with the digest that was shown");
    ok(!$digest{ $action->{digest} }++, "$name: which is this body's");
}

$gw->clean;


# the same body, one bit changed: another action

{
    my $body = bytes(20_000);
    my ($one, $id) = $gw->hold(POST => '/held/bit', body => $body);

    substr($body, 19_999, 1) ^= "\1";

    my ($two, $id2) = $gw->hold(POST => '/held/bit', body => $body);

    isnt($id2, $id, 'a body with one bit changed is another action');

    $gw->vote($id, 'approve');
    is($one->read->status, 200, 'the first is approved');
    ok($two->quiet(0.2), 'the second is not');

    $gw->vote($id2, 'deny');
    is($two->read->status, 403, 'but denied by itself');
}


# rules that read the body: name, how, uri, headers, body, status or "held"

my @json = ('Content-Type' => 'application/json');
my @gzip = (@json, 'Content-Encoding' => 'gzip');
my $pad = 'x' x 70_000;

my @judged = (
    [ 'no match', 'body', '/json/a', [ @json ], '{"op":"list"}', 200 ],
    [ 'no match, in a file', 'body', '/json/a', [ @json ],
      '{"op":"list","pad":"' . 'x' x 50_000 . '"}', 200 ],
    [ 'no match, chunked', 'chunked', '/json/a', [ @json ],
      '{"op":"list","pad":"' . 'x' x 50_000 . '"}', 200 ],
    [ 'no match, Expect', 'expect', '/json/a', [ @json ], '{"op":"list"}',
      200 ],
    [ 'no match, HTTP/2', 'http2', '/json/a', [ @json ], '{"op":"list"}', 200 ],
    [ 'match', 'body', '/json/a', [ @json ], '{"op":"drop"}', 'held' ],
    [ 'match, in a file', 'body', '/json/a', [ @json ],
      '{"op":"drop","pad":"' . 'x' x 50_000 . '"}', 'held' ],
    [ 'match, byte by byte', 'bytes', '/json/a', [ @json ],
      '{"op":"drop","pad":"' . 'x' x 5_000 . '"}', 'held' ],
    [ 'match, HTTP/2', 'http2', '/json/a', [ @json ], '{"op":"drop"}', 'held' ],
    [ 'whatever it calls itself', 'body', '/json/a',
      [ 'Content-Type' => 'text/plain' ], '{"op":"drop"}', 'held' ],
    [ 'escaped', 'body', '/json/a', [ @json ], '{"\u006fp":"dr\u006fp"}',
      'held' ],
    [ 'identity is no encoding', 'body', '/json/a',
      [ @json, 'Content-Encoding' => 'identity' ], '{"op":"drop"}', 'held' ],

    [ 'over body_limit', 'body', '/json/a', [ @json ],
      "{\"op\":\"list\",\"pad\":\"$pad\"}", 413, 'body-too-large' ],
    [ 'over body_limit, chunked', 'chunked', '/json/a', [ @json ],
      "{\"op\":\"list\",\"pad\":\"$pad\"}", 413, 'body-too-large' ],
    [ 'over body_limit, HTTP/2', 'http2', '/json/a', [ @json ],
      "{\"op\":\"list\",\"pad\":\"$pad\"}", 413, 'body-too-large' ],
    [ 'gzip', 'body', '/json/a', [ @gzip ], "\x1f\x8b\x08", 415,
      'body-unreadable' ],
    [ 'gzip, it says', 'body', '/json/a', [ @gzip ], '{"op":"list"}', 415,
      'body-unreadable' ],
    [ 'two encodings', 'body', '/json/a',
      [ 'Content-Encoding' => 'identity', 'Content-Encoding' => 'br' ],
      '{"op":"list"}', 415, 'body-unreadable' ],
    [ 'none', 'body', '/json/a', [ @json ], '', 400, 'body-unreadable' ],
    [ 'cut off', 'body', '/json/a', [ @json ], '{"op":"list"', 400,
      'body-unreadable' ],
    [ 'two values', 'body', '/json/a', [ @json ], '{"op":"list"}{}', 400,
      'body-unreadable' ],
    [ 'a name twice', 'body', '/json/a', [ @json ],
      '{"op":"list","op":"drop"}', 400, 'body-unreadable' ],
    [ 'a name twice, escaped', 'body', '/json/a', [ @json ],
      '{"op":"list","\u006fp":"drop"}', 400, 'body-unreadable' ],
    [ 'a byte order mark', 'body', '/json/a', [ @json ],
      "\xef\xbb\xbf{\"op\":\"list\"}", 400, 'body-unreadable' ],
    [ 'not UTF-8', 'body', '/json/a', [ @json ], "{\"op\":\"\xff\"}", 400,
      'body-unreadable' ],
    [ 'too deep', 'body', '/json/a', [ @json ], '[' x 100 . ']' x 100, 400,
      'body-unreadable' ],

    [ 'form, no match', 'body', '/form/a', [], 'a=1&op=list', 200 ],
    [ 'form, match', 'body', '/form/a', [], 'a=1&op=dr%6fp', 'held' ],
    [ 'form, a name twice', 'body', '/form/a', [], 'op=list&op=drop', 'held' ],
);

for my $row (@judged) {
    my ($name, $how, $uri, $headers, $body, $status, $type) = @$row;

    $gw->up->clear;

    my %before = map { $_ => 1 } $gw->pending;
    my $client = start($how, $uri, $body, headers => $headers);

    if ($status eq 'held') {
        my $id = wait_for(sub { (grep { !$before{$_} } $gw->pending)[0] });

        ok($id, "$name: held") or next;
        is($gw->up->count, 0, "$name: and not forwarded");
        $gw->vote($id, 'approve');
    }

    my $response = $client->read;

    is($response->status, $status eq 'held' ? 200 : $status,
       "$name: " . $response->status);

    if ($type) {
        is($response->json->{type}, "urn:approval:$type", "$name: $type");
        is($response->header('Content-Type'), 'application/problem+json',
           "$name: problem+json");
        is($gw->up->count, 0, "$name: nothing is forwarded");
        ok(!(grep { !$before{$_} } $gw->pending), "$name: nobody is asked");
        next;
    }

    is($gw->up->count, 1, "$name: forwarded once");
    is(sha256_hex($gw->up->last->body), sha256_hex($body),
       "$name: byte for byte");
}

$gw->clean;


# a refusal that has the whole body keeps the connection in step

{
    my $client = Approval::Client->new($port);

    my $response = $client->request(POST => '/json/a', body => '{"op"');
    is($response->status, 400, 'keepalive: refused');

    $response = $client->request(POST => '/json/a', body => '{"op":"list"}');
    is($response->status, 200, 'keepalive: and the next one is served');

    $client->send(POST => '/json/a', partial => 1,
                  headers => [ 'Content-Length' => 40_000_000 ]);
    is($client->read->status, 413, 'client_max_body_size comes first');
}


# 20 MB: digested in slices, and others are served meanwhile

{
    my $body = bytes(1 << 20) x 20;
    my $mark = $gw->ngx->mark;

    $gw->up->clear;

    my $client = $gw->send(POST => '/held/large', body => $body);
    my ($served, $id) = (0);

    wait_for(sub {
        http_get($port, '/none')->status == 200 and $served++;

        return ($id) = $gw->pending;
    });

    ok($id, '20 MB: held');
    ok($served, '20 MB: others were served');

    my @turns = $gw->ngx->log_lines(qr/approval wake, state: 3/,
                                    since => $mark);
    cmp_ok(scalar @turns, '>=', 15, '20 MB: digested in slices');

    my $digest = $gw->action($id)->{digest};
    $gw->up->clear;
    $gw->vote($id, 'approve');

    is($client->read->status, 200, '20 MB: approved');
    is(sha256_hex($gw->up->last->body), sha256_hex($body),
       '20 MB: forwarded byte for byte');
    is($gw->up->last->header('Approval-Digest'), $digest, '20 MB: its digest');

    # gone while it is being digested

    $mark = $gw->ngx->mark;
    $client = $gw->send(POST => '/held/large2', body => $body);
    $client->reset;

    wait_for(sub { http_get($port, '/_status')->body =~ /Writing: 1 / });
    is($gw->hits('/held/large2'), 0, '20 MB and gone: nothing is forwarded');
    $gw->vote($_, 'deny') for $gw->pending;
    $gw->clean;
}


# gone in the middle of the body

{
    my $client = $gw->send(POST => '/held/half', partial => 1,
                           headers => [ 'Content-Length' => 1000 ]);

    $client->write('x' x 500);
    wait_for(sub { http_get($port, '/_status')->body =~ /Writing: 2 / });
    $client->close;

    $gw->clean('half a body leaves nothing behind');
    is($gw->hits('/held/half'), 0, 'and is not forwarded');
}


# not read where no candidate rule wants it

{
    my $client = $gw->send(POST => '/stream/free', partial => 1,
                           headers => [ 'Content-Length' => 10 ]);
    $client->write('first');

    $raw->timeout(10);

    my $sock = $raw->accept;
    ok($sock, 'unbuffered: the upstream is there before the body is');

    my $seen = '';

    wait_for(sub {
        sysread($sock, $seen, 4096, length $seen);
        return $seen =~ /first$/;
    });

    like($seen, qr/\r\n\r\nfirst$/, 'unbuffered: it has the first half');

    $client->write('after');
    wait_for(sub { sysread($sock, $seen, 4096, length $seen);
                   $seen =~ /after$/ });
    like($seen, qr/firstafter$/, 'unbuffered: and the second');

    print $sock "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    close($sock);
    is($client->read->body, 'ok', 'unbuffered: and answers');

    # the same location, where a rule has to read it

    $client = $gw->send(POST => '/stream/json', partial => 1,
                        headers => [ 'Content-Length' => 13 ]);
    $client->write('{"op":');

    $raw->timeout(0.3);
    ok(!$raw->accept, 'unbuffered, with a rule: nothing comes before all is');

    $client->write('"list"}');
    $raw->timeout(10);
    $sock = $raw->accept;
    ok($sock, 'unbuffered, with a rule: then it comes');

    $seen = '';
    wait_for(sub { sysread($sock, $seen, 4096, length $seen);
                   $seen =~ /"list"\}$/ });
    like($seen, qr/\r\n\r\n\{"op":"list"\}$/, 'unbuffered, with a rule: whole');

    print $sock "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    close($sock);
    is($client->read->status, 200, 'unbuffered, with a rule: answered');

    $gw->clean;
}

done_testing;
