#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The forms of a refusal: JSON-RPC, gRPC and git by the request, others as
# "approval_refusals" says for the API behind.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;
use Time::HiRes qw(time);

need_module();
need('curl');

my $gw = Approval::Gateway->new(http => <<'EOF', server => <<'EOF');
    approval_policy p {
        rule held   { match $uri ~/held;   require admins; timeout 30s; }
        rule soon   { match $uri ~/soon;   require admins; timeout 1s; }
        rule short  { match $uri ~/short;  require admins; hold 0; }
        rule conflict { match $uri ~/conflict; require admins;
                        hold 0 status=409; }
        rule reason { match $uri ~/reason; require admins; reason required; }
        rule never  { match $uri ~/never;  deny "never in production"; }
    }
    approval_policy tools {
        rule drop   { match $uri ^/mcp/tools; mcp_tool db.drop;
                      require admins; timeout 30s; }
        rule short  { match $uri ^/mcp/tools; mcp_tool short; require admins;
                      hold 0; }
        rule never  { match $uri ^/mcp/tools; mcp_tool rm; deny; }
    }
    server {
        listen 127.0.0.1:%%PORT1%% http2;
        approval p;
        approval_requester $http_x_agent;
        location / { proxy_pass %%UP%%; }
    }
    server {
        listen 127.0.0.1:%%PORT2%%;
        approval p;
        approval_requester $http_x_agent;
        approval_refusals kubernetes;
        location / { proxy_pass %%UP%%; }
        location /plain { approval_refusals problem; proxy_pass %%UP%%; }
        location /few { approval_max_prompts 1/1h per=$http_x_agent;
                        proxy_pass %%UP%%; }
    }
EOF
    approval p;
    location / { proxy_pass %%UP%%; }
    location /openai { approval_refusals openai; proxy_pass %%UP%%; }
    location /anthropic { approval_refusals anthropic; proxy_pass %%UP%%; }
    location /oci { approval_refusals oci; proxy_pass %%UP%%; }
    location /mcp { approval_prefer on; proxy_pass %%UP%%; }
    location /mcp/tools { approval tools; proxy_pass %%UP%%; }
    location /mcp/tools/few { approval tools; proxy_pass %%UP%%;
                              approval_max_prompts 1/1h per=$http_x_agent; }
EOF


# An answer for each end: denied with a comment, by rule, expired, pending, a
# reason missing

sub ends {
    my ($port, $prefix, @how) = @_;

    my %end;
    my @to = (@how, port => $port);

    my ($c, $id) = $gw->hold(POST => "$prefix/held", @to);
    $gw->vote($id, 'deny', 'use the archive job');
    $end{denied} = $c->read;

    ($c) = $gw->hold(POST => "$prefix/soon", @to);
    $end{expired} = $c->read;

    $end{$_} = $gw->send(POST => "$prefix/$_", @to)->read
        for qw(never short reason conflict);

    $gw->vote($end{$_}->header('Approval-Id'), 'deny') for qw(short conflict);

    return \%end;
}


my $next = qr/Do not send it again unchanged/;
my $told = qr/^An approver denied this request \(alice\)\. Comment: use the archive job\. .*$next/;

# Kubernetes

{
    my $end = ends($gw->ngx->port(2), '/api/v1/namespaces/x/pods');

    for ([ denied => 403, 'Forbidden', $told ],
         [ expired => 403, 'Forbidden', qr/^Nobody decided in time\. / ],
         [ never => 403, 'Forbidden', qr/never in production\. / ],
         [ short => 503, 'ServiceUnavailable', qr/^Nobody has decided yet\. / ],
         [ conflict => 409, 'AlreadyExists', qr/^Nobody has decided yet\. / ],
         [ reason => 400, 'BadRequest', qr/X-Approval-Reason/ ])
    {
        my ($name, $status, $reason, $like) = @$_;
        my $r = $end->{$name};
        my $json = $r->json;

        is($r->status, $status, "kubernetes, $name: $status");
        is($r->header('Content-Type'), 'application/json', "$name: JSON");
        is_deeply([ @{$json}{qw(kind apiVersion status code reason)} ],
                  [ 'Status', 'v1', 'Failure', $status, $reason ],
                  "$name: a Status");
        like($json->{message}, $like, "$name: its message");
        is($r->header('x-should-retry'), $name =~ /^(?:short|conflict)$/
               ? undef : 'false', "$name: x-should-retry");
    }

    is($end->{short}->json->{details}{retryAfterSeconds}, 2,
       'pending: retryAfterSeconds');
    is($end->{short}->header('Retry-After'), 2, 'pending: Retry-After');
    like($end->{short}->header('Location'), qr{/_approval/status/},
         'pending: Location');
    is($gw->send(POST => '/plain/never', port => $gw->ngx->port(2))->read
           ->json->{type}, 'urn:approval:denied', 'a location of another form');
}

# The SDKs' APIs

{
    my $end = ends($gw->port, '/openai');

    for ([ denied => 403, 'permission_error', 'denied', $told ],
         [ expired => 403, 'permission_error', 'expired', qr/again/ ],
         [ never => 403, 'permission_error', 'denied', qr/never in production/ ],
         [ short => 503, 'server_error', 'pending', qr/again/ ],
         [ reason => 400, 'invalid_request_error', 'reason-required', qr/why/ ])
    {
        my ($name, $status, $type, $code, $like) = @$_;
        my $error = $end->{$name}->json->{error};

        is($end->{$name}->status, $status, "openai, $name: $status");
        is($error->{type}, $type, "$name: type");
        is($error->{code}, "urn:approval:$code", "$name: code");
        ok(exists $error->{param} && !defined $error->{param}, "$name: param");
        like($error->{message}, $like, "$name: message");
    }

    $end = ends($gw->port, '/anthropic');

    for ([ denied => 403, 'permission_error', 'denied', $told ],
         [ expired => 403, 'permission_error', 'expired', qr/again/ ],
         [ short => 503, 'api_error', 'pending', qr/again/ ],
         [ reason => 400, 'invalid_request_error', 'reason-required', qr/why/ ])
    {
        my ($name, $status, $type, $code, $like) = @$_;
        my $json = $end->{$name}->json;

        is($end->{$name}->status, $status, "anthropic, $name: $status");
        is($json->{type}, 'error', "$name: an error");
        is($json->{error}{type}, $type, "$name: its type");
        is($json->{error}{code}, "urn:approval:$code", "$name: code");
        like($json->{error}{message}, $like, "$name: message");
    }
}

# Registries

{
    my $end = ends($gw->port, '/oci');

    for ([ denied => 403, 'DENIED', 'denied', $told ],
         [ expired => 403, 'DENIED', 'expired', qr/again/ ],
         [ never => 403, 'DENIED', 'denied', qr/never in production/ ],
         [ short => 503, 'UNAVAILABLE', 'pending', qr/again/ ],
         [ reason => 400, 'DENIED', 'reason-required', qr/why/ ])
    {
        my ($name, $status, $code, $type, $like) = @$_;
        my @errors = @{ $end->{$name}->json->{errors} };

        is($end->{$name}->status, $status, "oci, $name: $status");
        is(scalar @errors, 1, "$name: one error");
        is($errors[0]{code}, $code, "$name: code");
        is($errors[0]{detail}{type}, "urn:approval:$type", "$name: type");
        like($errors[0]{message}, $like, "$name: message");
    }
}

# gRPC: by the request, whatever is configured

sub trailers {
    my ($r) = @_;

    (my $message = $r->header('grpc-message') // '')
        =~ s/%([0-9A-F]{2})/chr hex $1/ge;

    return ($r->header('grpc-status'), $message);
}


for my $type ('application/grpc', 'application/grpc+proto',
              'application/grpc-web+proto')
{
    my $end = ends($gw->ngx->port(2), '/pkg.Service',
                   headers => [ 'Content-Type' => $type ], body => "\0\0\0\0\0");

    for ([ denied => 7, $told ], [ expired => 4, qr/^Nobody decided/ ],
         [ never => 7, qr/never in production/ ],
         [ short => 14, qr/^Nobody has decided yet/ ],
         [ reason => 3, qr/reason is required/ ])
    {
        my ($name, $want, $like) = @$_;
        my $r = $end->{$name};
        my ($status, $message) = trailers($r);

        is($r->status, 200, "$type, $name: HTTP 200");
        is($r->header('Content-Type'), $type =~ s/\+proto//r, 'of its type');
        is($r->body, '', 'without a body');
        is($status, $want, "grpc-status $want");
        like($message, $like, 'grpc-message');
    }
}

{
    my ($c, $id) = $gw->hold(POST => '/pkg/held',
                             headers => [ 'Content-Type' => 'application/grpc' ]);
    $gw->vote($id, 'deny', "n\x{fc}r 100 %\nok");
    my $raw = $c->read->header('grpc-message');
    like($raw, qr/n%C3%BCr 100 %25%0Aok/, 'percent-encoded');
    like($raw, qr/\A[\x20-\x7e]+\z/, 'and of printable ASCII');

    my $out = `curl -sS -i --http2-prior-knowledge -X POST --max-time 20 \\
        -H 'Content-Type: application/grpc' -H 'X-Agent: agent-7' \\
        http://127.0.0.1:@{[ $gw->ngx->port(1) ]}/never`;
    like($out, qr/^HTTP\/2 200/, 'HTTP/2: 200');
    like($out, qr/^grpc-status: 7\r$/m, 'HTTP/2: grpc-status');
    like($out, qr/\r\n\r\n\z/, 'HTTP/2: no body');
}

for ('application/grpcx', 'text/application/grpc') {
    is($gw->send(POST => '/never', headers => [ 'Content-Type' => $_ ])->read
       ->status, 403, "$_ is something else");
}

# Git: a packet that it takes for the other side's error

for my $case ([ 'receive-pack', "\3" ], [ 'upload-pack', 'ERR ' ]) {
    my ($service, $mark) = @$case;
    my $type = "application/x-git-$service";
    my $end = ends($gw->ngx->port(2), "/x.git/git-$service", body => '00a2x',
                   headers => [ 'Content-Type' => "$type-request" ]);

    for ([ denied => $told ], [ expired => qr/^Nobody decided/ ],
         [ never => qr/never in production/ ],
         [ short => qr/^Nobody has decided yet/ ],
         [ reason => qr/reason is required/ ])
    {
        my ($name, $like) = @$_;
        my $r = $end->{$name};
        my ($length, $text) = $r->body =~ /\A([0-9a-f]{4})\Q$mark\E(.*)\n0000\z/;

        is($r->status, 200, "$service, $name: HTTP 200");
        is($r->header('Content-Type'), "$type-result", 'of its type');
        is(hex($length // 0), length($r->body) - 4, 'a packet, and the end');
        like($text, $like, 'which says why');
    }

    my $r = $gw->send(POST => '/short', headers => [
        Prefer => 'respond-async', 'Content-Type' => "$type-request" ])->read;
    is($r->status, 200, "$service: no 202");
    $gw->vote($r->header('Approval-Id'), 'deny');
    is($gw->send(POST => '/never', headers => [
           'Content-Type' => "$type-result" ])->read->status, 403,
       "$service: a result is no request");
}

# JSON-RPC: any request, by the request, with its id byte for byte

sub rpc {
    my ($id, $method, $params) = @_;

    return sprintf('{"jsonrpc":"2.0","id":%s,"method":"%s","params":%s}', $id,
                   $method, $params // '{}');
}


sub rpc_sent {
    my ($target, $text, @headers) = @_;

    return $gw->send(POST => $target, body => $text, headers =>
        [ 'Content-Type' => 'application/json', @headers ]);
}


for my $id (1, '1e3', '1E+2', '-0', '9223372036854775807',
            '-99999999999999999999', '1.50', 'null', '"a\u0062"',
            '"\u20ac/\/"')
{
    my $r = rpc_sent('/mcp/never', rpc($id, 'resources/read'))->read;

    is($r->status, 200, "id $id: 200");
    like($r->body, qr/"id":\Q$id\E[,}]/, 'the id as it was sent');
    is($r->json->{error}{code}, -32000, 'an error');
    like($r->json->{error}{message}, qr/never in production/, 'which says why');
    is($r->json->{error}{data}{approval}{type}, 'urn:approval:denied', 'type');
}

for my $spelling ('{"\u0069d": 1e1, "jsonrpc":"2.0","method":"x","params":'
                  . '{"id":7}}', '{"params":[{"id":"]}"}],"jsonrpc":"2.0",'
                  . '"method":"x", "id" : 1e1 }')
{
    my $r = rpc_sent('/mcp/never', $spelling)->read;
    like($r->body, qr/"id":1e1,/, "found in $spelling");
}

{
    my $r = rpc_sent('/mcp/never', '[' . join(', ', rpc('1e0', 'tools/call'),
        '{"jsonrpc":"2.0","method":"note"}', '["id"]', rpc('"b,]"', 'y')) . ']')
        ->read;

    like($r->body, qr/"id":1e0,"result".*"id":"b,\]","error"/,
         'a batch: an answer for each request');
    is(scalar @{ $r->json }, 2, 'and for nothing else');
}

# ... in each end, whatever it accepts

for my $accept ('application/json', 'text/html', '*/*', 'image/png') {
    my @accept = (Accept => $accept);
    my $call = rpc('7', 'tools/call', '{"name":"db.drop"}');

    my $c = rpc_sent('/mcp/tools', $call, @accept);
    my $id = wait_for(sub { ($gw->pending)[0] });
    $gw->vote($id, 'deny', 'use the archive job');
    my $result = $c->read->json->{result};
    ok($result->{isError}, "Accept: $accept: denied is a tool result");
    like($result->{content}[0]{text}, $told, 'with the comment');
    is_deeply([ map { $result->{_meta}{approval}{$_} } qw(id state) ],
              [ $id, 'denied' ], '_meta');
    ok(!$result->{_meta}{approval}{retry}, 'and no retry');

    my $r = rpc_sent('/mcp/tools', rpc('8', 'tools/call', '{"name":"short"}'),
                     @accept, Prefer => 'respond-async')->read;
    is($r->status, 200, 'pending: no 202');
    $result = $r->json->{result};
    ok($result->{isError}, 'pending: a tool result');
    is($result->{_meta}{approval}{state}, 'pending', 'pending: state');
    cmp_ok($result->{_meta}{approval}{retry}, '>', 0, 'pending: retry');
    is($result->{_meta}{approval}{id}, $r->header('Approval-Id'), 'pending: id');
    $gw->vote($r->header('Approval-Id'), 'deny');
}

# A notification waits for no answer: it is refused as HTTP. To MCP a 202 says
# that it was taken, so only who asks with Prefer gets one.

{
    my $note = '{"jsonrpc":"2.0","method":"x"}';

    is(rpc_sent('/mcp/never', $note)->read->status, 403, 'a notification: 403');
    my $r = rpc_sent('/mcp/short', $note, Prefer => 'respond-async')->read;
    is($r->status, 202, 'a notification: 202 for who asks');
    $gw->vote($r->header('Approval-Id'), 'deny');

    $note = '{"jsonrpc":"2.0","method":"y"}';
    $r = rpc_sent('/mcp/short', $note)->read;
    is($r->status, 503, 'a notification: 503 for who does not');
    is($r->json->{type}, 'urn:approval:pending', 'because it is pending');
    $gw->vote($r->header('Approval-Id'), 'approve');
    is(rpc_sent('/mcp/short', $note)->read->status, 200,
       'the same notification goes on');
}

# The headers of MCP, by its revisions

my @new = ('MCP-Protocol-Version' => '2026-07-28');
my @old = ('MCP-Protocol-Version' => '2025-11-25');
my $read = rpc(1, 'resources/read', '{"uri":"file:///\u00fc","name":"x"}');

for ([ 'a resource is its URI', 1, $read, @new,
       'Mcp-Name' => "file:///\xc3\xbc" ],
     [ 'also before', 1, $read, @old, 'Mcp-Name' => "file:///\xc3\xbc" ],
     [ 'not its name', 0, $read, @new, 'Mcp-Name' => 'x' ],
     [ 'in base64', 1, $read, @new, 'Mcp-Name' => '=?base64?ZmlsZTovLy/DvA==?=' ],
     [ 'in another case', 1, $read, @new,
       'Mcp-Name' => '=?BASE64?ZmlsZTovLy/DvA==?=' ],
     [ 'of another value', 0, $read, @new, 'Mcp-Name' => '=?base64?eA==?=' ],
     [ 'no base64', 0, $read, @new, 'Mcp-Name' => '=?base64?eA?=' ],
     [ 'before there was base64', 0, $read, @old,
       'Mcp-Name' => '=?base64?ZmlsZTovLy/DvA==?=' ],
     [ 'a prompt is its name', 1, rpc(1, 'prompts/get', '{"name":"x"}'), @new,
       'Mcp-Name' => 'x', 'Mcp-Method' => 'prompts/get' ],
     [ 'another method', 0, rpc(1, 'prompts/get', '{"name":"x"}'), @new,
       'Mcp-Method' => 'tools/call' ])
{
    my ($name, $good, $text, @headers) = @$_;
    my $r = rpc_sent('/mcp/tools', $text, @headers)->read;

    is($r->status, $good ? 200 : 400, $name);
    is($r->body =~ /-32020/ ? 0 : 1, $good, 'and its code');
}

for ([ 'what agrees', 'db.drop', 1, 'Mcp-Param-Region' => 'eu' ],
     [ 'what is nested', 'db.drop', 1, 'Mcp-Param-Deep' => '7' ],
     [ 'in base64', 'db.drop', 1, 'Mcp-Param-Region' => '=?base64?ZXU=?=' ],
     [ 'what nobody can say', 'db.drop', 1, 'Mcp-Param-Other' => 'x' ],
     [ 'twice the same', 'db.drop', 1, 'Mcp-Param-Region' => 'eu',
       'Mcp-Param-REGION' => 'eu' ],
     [ 'what contradicts', 'db.drop', 0, 'Mcp-Param-Region' => 'us' ],
     [ 'two values', 'db.drop', 0, 'Mcp-Param-Region' => 'eu',
       'Mcp-Param-region' => 'us' ],
     [ 'no rule concerns it', 'db.read', 1, 'Mcp-Param-Region' => 'us' ])
{
    my ($name, $tool, $good, @headers) = @$_;
    my $c = rpc_sent('/mcp/tools', rpc(1, 'tools/call',
        qq({"name":"$tool","arguments":{"region":"eu","a":{"deep":7}}})), @new,
        @headers);

    if ($good && $tool eq 'db.drop') {
        my $id = wait_for(sub { ($gw->pending)[0] });
        ok($id, "Mcp-Param: $name: held");
        $gw->vote($id, 'deny');
        ok($c->read->json->{result}{isError}, 'and denied');
        next;
    }

    my $r = $c->read;
    is($r->status, $good ? 200 : 400, "Mcp-Param: $name");
    is($r->json->{error}{code}, -32020, 'its code') if !$good;
}

# Many headers times many arguments

{
    my $many = join ',', map { qq("n$_":{"x":"0"}) } 1 .. 40000;
    my $since = time;
    my $r = rpc_sent('/mcp/tools', rpc(1, 'tools/call',
        qq({"name":"db.drop","arguments":{$many}})), @new,
        map { ('Mcp-Param-x' => '1') } 1 .. 900)->read(60);

    is($r->status, 400, 'Mcp-Param: 900 headers, 40,000 arguments');
    cmp_ok(time - $since, '<', 1 * slow(), 'take no time');
}

# When to come back is the same in all places, and soon, however many actions
# the requester has made

{
    my @to = (port => $gw->ngx->port(2), agent => 'few');
    $gw->send(POST => '/few/short', @to)->read;
    my $r = $gw->send(POST => '/few/short/other', @to)->read;

    is($r->status, 429, 'kubernetes, too many prompts');
    cmp_ok($r->header('Retry-After'), '>', 3500, 'in an hour');
    is($r->json->{details}{retryAfterSeconds}, $r->header('Retry-After'),
       'retryAfterSeconds says the same');

    my @asked = map {
        rpc_sent('/mcp/tools/few', rpc(1, 'tools/call', qq({"name":"short",
                 "arguments":{"n":$_}})))->read
    } 1, 2;

    for ($asked[0], $asked[1]) {
        is($_->json->{result}{_meta}{approval}{retry},
           $_->header('Retry-After'), 'a tool result says the same');
    }

    cmp_ok($asked[1]->header('Retry-After'), '>', 3500, 'in an hour');

    my %after;

    for my $n (1 .. 25) {
        $r = $gw->send(POST => "/short/$n")->read;
        $after{ $r->header('Retry-After') }++;
        $r = $gw->send(POST => "/short/$n",
                       headers => [ Prefer => 'respond-async' ])->read;
        $after{ $r->header('Retry-After') }++;
        $r = http_get($gw->port, $r->header('Location') =~ s{.*//[^/]*}{}r,
                      headers => [ 'X-Agent' => 'agent-7' ]);
        $after{ $r->header('Retry-After') }++;
    }

    is_deeply(\%after, { 2 => 75 }, 'pending: always two seconds');
    $gw->vote($_, 'deny') for $gw->pending;
}

# The store away

$gw->redis->pause;
{
    my $r = rpc_sent('/mcp/tools', rpc('1e0', 'tools/call',
                                       '{"name":"db.drop"}'))->read;
    ok($r->json->{result}{isError}, 'Redis stalled: a tool result');
    like($r->json->{result}{content}[0]{text}, qr/store is unavailable/,
         'which says so');
    is($r->json->{result}{_meta}{approval}{type},
       'urn:approval:store-unavailable', 'its type');
    cmp_ok($r->json->{result}{_meta}{approval}{retry}, '>', 0, 'try again');

    $r = $gw->send(POST => '/held', headers =>
                   [ 'Content-Type' => 'application/grpc' ])->read;
    is((trailers($r))[0], 14, 'gRPC: unavailable');
}
$gw->redis->resume;

for ([ 'approval_refusals xml;', qr/invalid value "xml"/ ],
     [ 'approval_prefer maybe;', qr/must be "on" or "off"|invalid value/ ])
{
    my ($code, $out) = Approval::Nginx->test_conf(http => $_->[0]);
    isnt($code, 0, "$_->[0] is refused");
    like($out, $_->[1], 'and says so');
}

$gw->clean('answers');
done_testing;
