#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# What no rule concerns is served to the byte as without the module's
# directives: the same locations twice, with "approval" and without, the same
# bytes sent to both, and what comes back and what the upstream sees compared.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();

my $locations = <<'EOF';
        root %%PREFIX%%/html;
        default_type text/html;

        location / { }
        location /proxy/ { proxy_pass %%UP%%; }
        location /http11/ { proxy_pass %%UP%%; proxy_http_version 1.1;
                            proxy_set_header Connection ""; }
        location /cache/ { proxy_pass %%UP%%; proxy_cache c;
                           proxy_cache_key $server_port$uri;
                           proxy_cache_valid 200 1m;
                           add_header X-Cache $upstream_cache_status; }
        location /stream/ { proxy_pass %%UP%%; proxy_request_buffering off;
                            proxy_buffering off; proxy_http_version 1.1; }
        location /ws/ { proxy_pass %%UP%%; proxy_http_version 1.1;
                        proxy_set_header Upgrade $http_upgrade;
                        proxy_set_header Connection upgrade; }
        location /dav/ { dav_methods PUT DELETE MKCOL COPY MOVE;
                         create_full_put_path on;
                         alias %%PREFIX%%/dav-SERVER/; }
        location /slice/ { slice 10; proxy_pass %%UP%%; proxy_cache c;
                           proxy_cache_key $server_port$uri$slice_range;
                           proxy_set_header Range $slice_range;
                           proxy_cache_valid 206 1m; }
        location /mirrored/ { mirror /mirror; proxy_pass %%UP%%; }
        location /mirrored2/ { mirror /mirror2; mirror_request_body off;
                               proxy_pass %%UP%%; }
        location = /mirror { internal;
                             proxy_pass %%UP%%/mirror$request_uri; }
        location = /mirror2 { internal;
                              proxy_pass_request_body off;
                              proxy_set_header Content-Length "";
                              proxy_pass %%UP%%/mirror$request_uri; }
        location /ssi/ { ssi on; alias %%PREFIX%%/html/; }
        location /grpc/ { grpc_pass grpc://127.0.0.1:%%PORT3%%; }
        location /auth/ { auth_request /ask; proxy_pass %%UP%%; }
        location = /ask { internal; proxy_pass %%UP%%;
                          proxy_pass_request_body off;
                          proxy_set_header Content-Length ""; }
        location /try/ { try_files $uri /small.html @fallback; }
        location @fallback { proxy_pass %%UP%%; }
        location /error/ { proxy_intercept_errors on;
                           error_page 404 = @fallback; proxy_pass %%UP%%; }
        location /judged/ { approval bodies; proxy_pass %%UP%%; }
        location /judged/stream/ { approval bodies; proxy_pass %%UP%%;
                                   proxy_request_buffering off; }
        location /judged/dav/ { approval bodies; dav_methods PUT;
                                alias %%PREFIX%%/dav-SERVER/; }
        location /judged/mirror/ { approval bodies; mirror /judged/copy;
                                   proxy_pass %%UP%%; }
        location = /judged/copy { internal; approval bodies;
                                  proxy_pass %%UP%%; }
        location /judged/grpc/ { approval bodies;
                                 grpc_pass grpc://127.0.0.1:%%PORT3%%; }
        location /return { return 302 /other; }
        location /limit/ { client_max_body_size 10; proxy_pass %%UP%%; }
        location /length/ { client_body_buffer_size 1k; proxy_pass %%UP%%;
                            client_body_in_file_only clean; }
EOF

my ($with, $without) = map { $locations =~ s/SERVER/$_/gr } 0, 1;

$without =~ s/approval bodies;//g;

my $gw = Approval::Gateway->new(
    files => { 'html/index.html' => "<p>index\n",
               'html/small.html' => "<p>small\n",
               'html/large.bin' => join('', map { pack 'N', $_ } 1 .. 50_000),
               'html/page.shtml' => '<!--#include virtual="/proxy/ssi" -->+'
                                    . '<!--#echo var="request_uri" -->+'
                                    . '<!--#include virtual="/small.html" -->',
               'dav-0/there' => "there\n", 'dav-1/there' => "there\n",
               'held/there' => "there\n" },
    up => sub {
        my ($r) = @_;

        return { upgrade => 1 } if $r->target =~ m{^/ws/};
        return { status => 404, body => "none\n" } if $r->target =~ m{/404};
        return { status => 204 } if $r->target =~ m{/204|^/ask};
        return { body => [ "one\n", "two\n" ], chunked => 1 }
            if $r->target =~ m{/chunked};
        return { body => "end\n", close => 1, no_length => 1 }
            if $r->target =~ m{/close};
        return { body => 'x' x 300_000 } if $r->target =~ m{/large};
        return { drop => 1 } if $r->target =~ m{/drop};

        if ($r->target =~ m{^/slice/}) {
            my ($from, $to) = ($r->header('Range') // '') =~ /(\d+)-(\d+)/
                or return { body => 'x' x 25 };

            $to = 24 if $to > 24;
            return { status => 206,
                     body => substr('abcdefghijklmnopqrstuvwxyz', $from,
                                    $to - $from + 1),
                     headers => [ ETag => '"1"', 'Content-Range'
                                  => "bytes $from-$to/25" ] };
        }

        return { body => "reached\n",
                 headers => [ 'X-Up' => 'a, b', ETag => '"e"' ] };
    },
    http => <<'EOF',
    proxy_cache_path %%PREFIX%%/cache keys_zone=c:1m;

    approval_policy none {
        rule method { match $request_method PURGE; deny; }
        rule path   { match $uri ^/never ~^/[0-9]+/never$; require admins; }
        rule header { match $http_x_never ~.; require admins; }
        rule json   { match $uri ^/judged; match json:/op drop;
                      require admins; }
        rule form   { match $uri ^/never; match form:op drop; require admins; }
    }
    approval_policy bodies {
        rule drop { match json:/op drop; require admins; }
    }
    approval_policy all {
        rule all { match $request_method PUT; require admins; timeout 60s; }
    }
EOF
    server => <<"EOF");
        approval none;
        $with

        location /held/ { approval all; dav_methods PUT;
                          dav_access user:rw group:r all:r;
                          create_full_put_path on;
                          alias %%PREFIX%%/held/; }
    }

    server {
        listen 127.0.0.1:%%PORT1%%;
        $without
    }

    server {
        listen 127.0.0.1:%%PORT3%% http2;
        default_type application/grpc;
        location / { return 200 "grpc\\n"; }
EOF

for my $dir (qw(dav-0 dav-1 held)) {
    chmod(0777, $gw->ngx->path($dir)) or die "$dir: $!";
}

my @ports = map { $gw->ngx->port($_) } 0, 1;


sub slot {
    my ($method, $target, $headers, $body) = @_;

    my $text = "$method $target HTTP/1.1\r\nHost: gw.example\r\n";

    $text .= "$_\r\n" for @{ $headers // [] };
    $text .= 'Content-Length: ' . length($body) . "\r\n" if defined $body;

    return "$text\r\n" . ($body // '');
}


my $chunks = "5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n";
my @te = ('Transfer-Encoding: chunked');
my @end = ('Connection: close');

my $json = '{"op":"list"}';
my $large = '{"op":"list","pad":"' . 'x' x 50_000 . '"}';

my %put = (large => 'x' x 100_000, small => "put\n");


# name, bytes, how many responses (0: all until the connection ends)

my @cases = (
    [ 'a file', slot(GET => '/small.html'), 1 ],
    [ 'the index', slot(GET => '/'), 1 ],
    [ 'HEAD', slot(HEAD => '/small.html', \@end), 0 ],
    [ 'a range', slot(GET => '/large.bin', [ 'Range: bytes=7-99' ]), 1 ],
    [ 'two ranges', slot(GET => '/large.bin',
                         [ 'Range: bytes=7-9,100-200' ]), 1 ],
    [ 'all of it', slot(GET => '/large.bin'), 1 ],
    [ 'no such file', slot(GET => '/absent'), 1 ],
    [ 'return', slot(GET => '/return'), 1 ],
    [ 'not a method', slot(FOO => '/proxy/a'), 1 ],
    [ 'not HTTP', "nonsense\r\n\r\n", 0 ],
    [ 'HTTP/1.0', "GET /proxy/old HTTP/1.0\r\n\r\n", 0 ],
    [ 'no Host', "GET / HTTP/1.1\r\n\r\n", 0 ],

    [ 'proxy GET', slot(GET => '/proxy/a?b=c%20d'), 1 ],
    [ 'proxy, raw path', slot(GET => '/proxy/a%20b/%C3%A9?%2f=%61;'), 1 ],
    [ 'proxy HEAD', slot(HEAD => '/proxy/a', \@end), 0 ],
    [ 'proxy, headers', slot(GET => '/proxy/a', [ 'X-A: 1', 'x-a:  2 ',
                              'Cookie: a=b', map { "X-$_: $_" } 1 .. 50 ]),
      1 ],
    [ 'proxy POST', slot(POST => '/proxy/a', [], 'body'), 1 ],
    [ 'proxy POST, none', slot(POST => '/proxy/a', [], ''), 1 ],
    [ 'proxy POST, large', slot(POST => '/proxy/a', [], 'x' x 200_000), 1 ],
    [ 'proxy POST, chunked', slot(POST => '/proxy/a', \@te) . $chunks, 1 ],
    [ 'proxy POST, Expect',
      slot(POST => '/proxy/a', [ 'Expect: 100-continue' ], 'body'), 2 ],
    [ 'proxy 404', slot(GET => '/proxy/404'), 1 ],
    [ 'proxy 204', slot(DELETE => '/proxy/204'), 1 ],
    [ 'proxy 502', slot(GET => '/proxy/drop'), 1 ],
    [ 'proxy, chunked', slot(GET => '/proxy/chunked'), 1 ],
    [ 'proxy, no length', slot(GET => '/proxy/close', \@end), 0 ],
    [ 'proxy, large', slot(GET => '/proxy/large'), 1 ],
    [ 'proxy, 1.1 and chunked', slot(GET => '/http11/chunked'), 1 ],
    [ 'OPTIONS', slot(OPTIONS => '/proxy/a'), 1 ],
    [ 'an encoded body', slot(POST => '/proxy/a', [ 'Content-Encoding: gzip' ],
                              "\x1f\x8b"), 1 ],

    [ 'pipelined', slot(GET => '/proxy/1') . slot(POST => '/proxy/2', [], 'b')
                   . slot(GET => '/small.html') . slot(GET => '/proxy/404'),
      4 ],
    [ 'pipelined, chunked', slot(POST => '/proxy/1', \@te) . $chunks
                            . slot(GET => '/proxy/2', \@end), 0 ],

    [ 'cache, miss', slot(GET => '/cache/a'), 1 ],
    [ 'cache, hit', slot(GET => '/cache/a'), 1 ],
    [ 'cache, not modified', slot(GET => '/cache/a',
                                  [ 'If-None-Match: "e"' ]), 1 ],
    [ 'cache, HEAD', slot(HEAD => '/cache/b', \@end), 0 ],

    [ 'unbuffered', slot(POST => '/stream/a', [], 'body'), 1 ],
    [ 'unbuffered, chunked', slot(POST => '/stream/a', \@te) . $chunks, 1 ],
    [ 'unbuffered, large', slot(POST => '/stream/a', [], 'x' x 100_000), 1 ],
    [ 'unbuffered, answer', slot(GET => '/stream/large'), 1 ],

    [ 'over client_max_body_size', slot(POST => '/limit/a', [], 'x' x 11), 1 ],
    [ 'over it, chunked', slot(POST => '/limit/a', \@te) . $chunks, 1 ],
    [ 'body in a file', slot(POST => '/length/a', [], 'y' x 9000), 1 ],

    [ 'dav PUT', slot(PUT => '/dav/small', [], $put{small}), 1 ],
    [ 'dav PUT, again', slot(PUT => '/dav/small', [], $put{small}), 1 ],
    [ 'dav PUT, large', slot(PUT => '/dav/a/b/large', [], $put{large}), 1 ],
    [ 'dav PUT, none', slot(PUT => '/dav/empty', [], ''), 1 ],
    [ 'dav PUT, a range', slot(PUT => '/dav/r',
                               [ 'Content-Range: bytes 1-2/9' ], 'ab'), 1 ],
    [ 'dav MKCOL', slot(MKCOL => '/dav/dir/'), 1 ],
    [ 'dav COPY', slot(COPY => '/dav/small', [ 'Destination: /dav/copy' ]), 1 ],
    [ 'dav MOVE', slot(MOVE => '/dav/copy', [ 'Destination: /dav/moved' ]), 1 ],
    [ 'dav GET', slot(GET => '/dav/a/b/large'), 1 ],
    [ 'dav DELETE', slot(DELETE => '/dav/moved'), 1 ],

    [ 'slice', slot(GET => '/slice/a'), 1 ],
    [ 'slice, from the cache', slot(GET => '/slice/a'), 1 ],
    [ 'slice, a range', slot(GET => '/slice/b', [ 'Range: bytes=8-15' ]), 1 ],

    [ 'mirror', slot(GET => '/mirrored/a'), 1 ],
    [ 'mirror POST', slot(POST => '/mirrored/a', [], 'body'), 1 ],
    [ 'mirror POST, large', slot(POST => '/mirrored/a', [], 'z' x 50_000), 1 ],
    [ 'mirror without body', slot(POST => '/mirrored2/a', [], 'body'), 1 ],

    [ 'SSI', slot(GET => '/ssi/page.shtml'), 1 ],
    [ 'auth_request', slot(GET => '/auth/a'), 1 ],
    [ 'auth_request POST', slot(POST => '/auth/a', [], 'body'), 1 ],
    [ 'try_files', slot(GET => '/try/x'), 1 ],
    [ 'error_page', slot(GET => '/error/404'), 1 ],

    [ 'judged POST', slot(POST => '/judged/a', [], $json), 1 ],
    [ 'judged POST, large', slot(POST => '/judged/a', [], $large), 1 ],
    [ 'judged POST, chunked', slot(POST => '/judged/a', \@te)
                              . sprintf("%x\r\n%s\r\n0\r\n\r\n",
                                        length $large, $large), 1 ],
    [ 'judged POST, Expect',
      slot(POST => '/judged/a', [ 'Expect: 100-continue' ], $json), 2 ],
    [ 'judged, pipelined', slot(POST => '/judged/a', [], $json)
                           . slot(POST => '/judged/b', [], $large)
                           . slot(POST => '/judged/c', [], $json), 3 ],
    [ 'judged, unbuffered', slot(POST => '/judged/stream/a', [], $large), 1 ],
    [ 'judged, mirrored', slot(POST => '/judged/mirror/a', [], $json), 1 ],
    [ 'judged, large, mirrored', slot(POST => '/judged/mirror/a', [], $large),
      1 ],
    [ 'judged, dav', slot(PUT => '/judged/dav/judged', [], $json), 1 ],
    [ 'judged, dav, large', slot(PUT => '/judged/dav/judged2', [], $large),
      1 ],
    [ 'judged, gRPC', slot(POST => '/judged/grpc/s/M', [], $large), 1 ],

    [ 'gRPC', slot(POST => '/grpc/s/M', [ 'Content-Type: application/grpc',
                   'TE: trailers' ], "\0\0\0\0\0"), 1 ],
    [ 'gRPC, large', slot(POST => '/grpc/s/M',
                          [ 'Content-Type: application/grpc' ],
                          'g' x 100_000), 1 ],
);


# what differs from one moment, or port, to the next

sub plain {
    my ($text) = @_;

    $text =~ s/^(Date|Last-Modified|ETag): .*\r$/$1\r/mg;
    $text =~ s/^(?:\d{20})\r$/boundary\r/mg;
    $text =~ s/\d{20}/boundary/g;
    $text =~ s/:(?:$ports[0]|$ports[1])\b/:port/g;

    return $text;
}


sub seen { join "\n", sort map { plain($_->raw) } $gw->up->requests }


# the same text; if not, where they part

sub same {
    my ($got, $want, $name) = @_;

    return if ok($got eq $want, $name);

    my ($equal) = ($got ^ $want) =~ /^(\0*)/;
    my $at = length($equal) > 200 ? length($equal) - 200 : 0;

    diag("with:\n", substr($got, $at, 400), "\nwithout:\n",
         substr($want, $at, 400));
}


for my $case (@cases) {
    my ($name, $bytes, $n) = @$case;

    my (@answer, @seen);

    for my $server (0, 1) {
        my $client = Approval::Client->new($ports[$server]);

        $gw->up->clear;
        $client->write($bytes);

        my @raw;

        if ($n) {
            $client->{sent} = [ ('GET') x $n ];
            push @raw, $client->read for 1 .. ($name =~ /Expect/ ? 1 : $n);
            @raw = map { join(' ', @{ $_->interim }), $_->raw } @raw;

        } else {
            ok($client->closed, "$name: the connection ends");
            @raw = $client->{buffer};
        }

        # an answer can be there before its mirror is

        $gw->up->wait_count(2) if $name =~ /mirror/;

        push @answer, plain(join "\n", @raw);
        push @seen, seen();
    }

    same($answer[0], $answer[1], "$name: the same answer");
    same($seen[0], $seen[1], "$name: the same at the upstream");
    ok(length $answer[0], "$name: which there is");
}

is(scalar(my @none = $gw->pending), 0, 'nobody was asked');
is(scalar(@none = grep { $_->{type} eq 'requested' } $gw->audit), 0,
   'and nothing recorded');


# WebSocket: after the upgrade, bytes in both directions

{
    my @heads;

    for my $port (@ports) {
        my $client = Approval::Client->new($port);
        my $head = $client->request(GET => '/ws/chat', headers => [
            Host => 'gw.example', Connection => 'Upgrade',
            Upgrade => 'websocket', 'Sec-WebSocket-Version' => 13,
            'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==' ]);

        is($head->status, 101, 'WebSocket: 101');
        push @heads, plain($head->raw);

        for my $text ("\x81\x85....hello", "\0" x 70_000, 'end') {
            $client->write($text);
            ok($client->read_bytes(length $text) eq $text,
               'WebSocket: ' . length($text) . ' bytes there and back');
        }

        $client->close;
    }

    is($heads[0], $heads[1], 'WebSocket: the same head');
}


# the files that dav has made are the same, and none was left elsewhere

{
    my @trees;

    for my $server (0, 1) {
        my $dir = $gw->ngx->path("dav-$server");
        my $list = `cd '$dir' && find . -type f -printf '%p %m %s\n' | sort`;
        push @trees, $list;
    }

    is($trees[0], $trees[1], 'dav: the same files');
    like($trees[0], qr{a/b/large 600 100000}, 'dav: with what was put');
}


# a dav PUT that is held, and approved

for my $row ([ 'small', 'held one', 201 ], [ 'large', 'h' x 100_000, 201 ],
             [ 'empty', '', 201 ], [ 'there', "new\n", 204 ])
{
    my ($name, $body, $status) = @$row;
    my $file = $gw->ngx->path("held/$name");

    my ($client, $id) = $gw->hold(PUT => "/held/$name", body => $body);

    ok($id, "held PUT, $name: held") or next;
    ok(!-e $file || $name eq 'there', "held PUT, $name: not there yet");

    $gw->vote($id, 'approve');

    my $response = $client->read;

    is($response->status, $status, "held PUT, $name: $status");
    is($response->header('Approval-Id'), $id, "held PUT, $name: Approval-Id");
    ok(slurp($file) eq $body, "held PUT, $name: byte for byte");

    ($client, $id) = $gw->hold(PUT => "/held/$name-denied", body => $body);
    $gw->vote($id, 'deny');
    is($client->read->status, 403, "held PUT, $name-denied: 403");
    ok(!-e "$file-denied", "held PUT, $name-denied: not there");
}

$gw->clean;

my @temp = map { glob("$_/*/*/*"), glob("$_/*") }
           $gw->ngx->path('client_body_temp');

is("@temp", '', 'no temporary file is left');

done_testing;
