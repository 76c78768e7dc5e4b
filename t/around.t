#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Around the gate: other protocols on the connection, the same target at another
# place, rules that have changed meanwhile, rules that only watch.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();

my @ws = (Connection => 'Upgrade', Upgrade => 'websocket',
          'Sec-WebSocket-Version' => 13,
          'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==');

my $gw = Approval::Gateway->new(
    files => { 'dav/dav/a' => "text\n" },
    up => sub { $_[0]->header('Upgrade') ? { upgrade => 1 } : {} },
    http => <<'EOF', server => <<'EOF');
    approval_policy p { rule held { match $uri ^/held; require admins; } }

    approval_policy watched {
        rule deny { match $uri ^/watched; deny; mode shadow; }
        rule watch { match $uri ^/watched; require admins; mode shadow; }
        rule held { match $uri ^/watched/held; require admins; }
        rule stop { match $uri ^/watched/stop; deny; }
    }

    approval_policy moves { rule m { match $request_method MOVE;
                                     require admins; } }
EOF
        approval p;
        location / { proxy_pass %%UP%%; }

        location /held/ws {
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $http_connection;
            proxy_pass %%UP%%;
        }

        location /watched { approval watched; proxy_pass %%UP%%; }

        location /dav/ { approval moves; root %%PREFIX%%/dav;
                         dav_methods MOVE; }
    }

    server {
        listen 127.0.0.1:%%PORT1%%;
        approval p;
        approval_requester $http_x_agent;
        location / { proxy_pass %%UP%%; }
    }

    server {
        listen 127.0.0.1:%%PORT%%;
        server_name same.example;
        approval p;
        approval_requester $http_x_agent;
        location / { proxy_pass %%UP%%; }
EOF


# an upgrade is a request like any other until it is approved

{
    my ($client, $id) = $gw->hold(GET => '/held/ws/no', headers => \@ws);

    is($gw->up->count, 0, 'WebSocket: held');
    is($gw->vote($id, 'deny')->status, 200, 'WebSocket: the vote');
    is($client->read->status, 403, 'WebSocket: denied');
    is($gw->up->count, 0, 'WebSocket: nobody got it');

    ($client, $id) = $gw->hold(GET => '/held/ws/yes', headers => \@ws);

    $gw->vote($id, 'approve');
    is($client->read->status, 101, 'WebSocket: approved');

    $client->write('there and back');
    is($client->read_bytes(14), 'there and back', 'WebSocket: bytes follow');
    $client->close;
}

{
    my ($client, $id) = $gw->hold(GET => '/held/h2c', headers => [
        Connection => 'Upgrade, HTTP2-Settings', Upgrade => 'h2c',
        'HTTP2-Settings' => 'AAMAAABkAAQCAAAAAAIAAAAA' ]);

    ok($id, 'h2c: held');
    $gw->vote($id, 'approve');
    is($client->read->status, 200, 'h2c: answered as what it is');
    is($gw->hits('/held/h2c'), 1, 'h2c: once');
}


# A ticket, approved; what the same request is elsewhere.

sub ticket {
    my ($method, $target, @headers) = @_;

    my $response = $gw->send($method, $target, headers => [
        Prefer => 'respond-async', @headers ])->read;

    is($response->status, 202, "$method $target: a ticket");

    my $id = $response->json->{id};

    is($gw->vote($id, 'approve')->status, 200, "$method $target: approved");

    return $id;
}


my @places = (
    [ 'another port', 202, port => 1 ],
    [ 'another server, by Host', 202, host => 'same.example' ],
    [ 'another server, by the target', 202, target => 'http://same.example',
      host => 'same.example' ],
    [ 'another server than Host says', 400, target => 'http://same.example' ],
);

for my $row (@places) {
    my ($name, $status, %how) = @$row;

    my $uri = '/held/' . $name =~ s/\W+/-/gr;
    my $id = ticket(POST => $uri);

    my $response = Approval::Client->new($gw->ngx->port($how{port} // 0))
        ->request(POST => ($how{target} // '') . $uri, headers => [
            Host => $how{host} // 'gw.example', 'X-Agent' => 'agent-7',
            'Approval-Id' => $id, Prefer => 'respond-async' ]);

    my $other = $response->json->{id};

    is($response->status, $status, "$name: $status");
    isnt($other, $id, "$name: it is no ticket there");
    is($gw->hits($uri), 0, "$name: nothing is executed");

    is($gw->send(POST => $uri, headers => [ 'Approval-Id' => $id ])
          ->read->status, 200, "$name: it is good where it was asked for");
    is($gw->hits($uri), 1, "$name: once");

    $gw->vote($other, 'deny') if $other;
}


# DAV's Destination is a path of this server

{
    chmod(0777, $gw->ngx->path('dav/dav')) or die $!;

    my $a = '/dav/a';
    my @to = map { (Destination => "http://gw.example/dav/$_") } 'b', 'c';

    my $id = ticket(MOVE => $a, @to[0, 1]);
    my $response = $gw->send(MOVE => $a, headers => [
        @to[2, 3], 'Approval-Id' => $id, Prefer => 'respond-async' ])->read;

    is($response->status, 202, 'MOVE: to another place it is another action');
    ok(-e $gw->ngx->path('dav/dav/a'), 'MOVE: nothing is moved');
    $gw->vote($response->json->{id}, 'deny');

    $response = $gw->send(MOVE => $a, headers => [ @to[0, 1],
                                                   'Approval-Id' => $id ]);

    like($response->read->status, qr/^20[14]$/, 'MOVE: as it was approved');
    ok(-e $gw->ngx->path('dav/dav/b'), 'MOVE: it is moved');
}


# a rule in shadow mode decides nothing, for itself or for those behind it

{
    is(http_get($gw->port, '/watched/a')->status, 200, 'shadow: passes');

    my ($client, $id) = $gw->hold(GET => '/watched/held');

    ok($id, 'shadow: a rule behind it holds');
    $gw->vote($id, 'approve');
    is($client->read->status, 200, 'shadow: and passes by its approval');

    is(http_get($gw->port, '/watched/stop')->status, 403,
       'shadow: a rule behind it denies');
}


# what was approved under the rules of before is judged by those of now

{
    my $id = ticket(DELETE => '/held/later');
    my $text = $gw->ngx->{http};

    my $deny = 'rule no { match $request_method DELETE; deny; }';

    $gw->ngx->reload(http => $text =~ s/(policy p \{)/$1 $deny/r);

    my $response = $gw->send(DELETE => '/held/later', headers => [
                                 'Approval-Id' => $id ])->read;

    is($response->status, 403, 'stricter rules: refused');
    like($response->json->{type}, qr/denied/, 'stricter rules: by the policy');
    is($gw->hits('/held/later'), 0, 'stricter rules: not executed');

    $gw->ngx->reload(http => $text);

    is($gw->send(DELETE => '/held/later', headers => [ 'Approval-Id' => $id ])
          ->read->status, 200, 'the rules of before: it is good again');
    is($gw->hits('/held/later'), 1, 'the rules of before: once');
}

$gw->clean;

done_testing;
