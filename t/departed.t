#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Clients that wait, and clients that leave, over each protocol that nginx
# speaks: who waits gets an answer, and for who left nothing is executed.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;

need_module();
need('curl', 'openssl', 'python3');

my $dir = tempdir();

Approval::Test::run_quiet(qw(openssl req -x509 -newkey ec -pkeyopt),
    qw(ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 2),
    '-keyout', "$dir/key", '-out', "$dir/pem");

my $quic = Approval::Nginx::has_http3();
my $listen = $quic ? 'listen 127.0.0.1:%%PORT1%% quic;' : '';
my $brief = $quic ? 'listen 127.0.0.1:%%PORT3%% quic;' : '';

# "listen ... http2" is what nginx before 1.25.1 needs, and others still take

my $gw = Approval::Gateway->new(defaults => 0, http => <<"EOF", server => <<'EOF');
    ssl_certificate $dir/pem;
    ssl_certificate_key $dir/key;

    approval_policy p { rule r { match \$uri ^/held; require admins;
                                 timeout 300s; } }
    approval p;
    approval_requester \$remote_addr;
    approval_disconnect cancel;
    approval_unsigned_decisions on;

    server {
        listen 127.0.0.1:%%PORT1%% ssl http2;
        $listen
        keepalive_timeout 600s;
        location / { proxy_pass %%UP%%; }
    }

    server {
        listen 127.0.0.1:%%PORT3%% ssl;
        $brief
        keepalive_timeout 4s;
        location / { proxy_pass %%UP%%; }
    }

    server {
        listen 127.0.0.1:%%PORT2%% http2;
        location / { proxy_pass %%UP%%; }
    }
EOF
    location / { proxy_pass %%UP%%; }
EOF

my $plain = 'http://127.0.0.1:' . $gw->port;
my $tls = 'https://127.0.0.1:' . $gw->ngx->port(1);
my $h2c = 'http://127.0.0.1:' . $gw->ngx->port(2);

my %proto = (
    'HTTP/1'      => [ $plain, '--http1.1' ],
    'TLS'         => [ $tls, qw(-k --http1.1) ],
    'HTTP/2'      => [ $tls, qw(-k --http2) ],
    'HTTP/2, h2c' => [ $h2c, '--http2-prior-knowledge' ],
    'HTTP/3'      => [ $tls, qw(-k --http3-only) ],
);

for my $proto (sort keys %proto) {
    subtest $proto => sub {
        plan(skip_all => 'no HTTP/3 in this nginx or curl')
            if $proto eq 'HTTP/3' && !has_http3();

        waits($proto);
        leaves($proto, $_) for qw(killed timeout);
        stopped($proto, $_) for qw(killed timeout);
    };
}

subtest 'HTTP/2, RST_STREAM' => sub {
    cancels_one(\&h2c_start, sub { $_[0]->write(frame(3, 0, 3, pack('N', 8))) })
        ->close;
};

subtest 'HTTP/3, STOP_SENDING' => sub {
    plan(skip_all => 'no HTTP/3 in this nginx or curl') if !has_http3();

    my ($url, @how) = @{ $proto{'HTTP/3'} };

    my $curl = cancels_one(sub {
        my ($first, $second) = @_;

        return Approval::Client->curl_start('-Z', @how, "$url$first", '--next',
            '-sS', @how, '--max-time', 20, "$url$second");
    }, sub { });

    ok(wait_for(sub { !$curl->alive }), 'its own time limit');
};

subtest 'TLS, close_notify alone' => sub {
    my ($client, $id) = python(<<'EOF');
tls.settimeout(60)
try:
    tls.unwrap()
except Exception:
    pass
time.sleep(600)
EOF

    ended($id, 'a client that has said that it is done');
    ok($client->alive, 'and whose connection is open');
    $client->kill_group;
};

$gw->clean('departed');
done_testing;


sub has_http3 { $quic && `curl -V` =~ /^Features:.* HTTP3\b/m }


# (curl, id)

sub hold {
    my ($proto, $target, @arg) = @_;

    my ($client, $id) = try_hold($proto, $target, @arg);

    ok($id, "$target is held");

    return ($client, $id // 'none');
}


sub try_hold {
    my ($proto, $target, @arg) = @_;

    my ($url, @how) = @{ $proto{$proto} };
    my %before = map { $_ => 1 } $gw->pending;
    my $id;

    my $client = Approval::Client->curl_start(@how, @arg, "$url$target");

    wait_for(sub {
        ($id) = grep { !$before{$_} } $gw->pending;
        return $id || !$client->alive;
    });

    wait_for(sub { grep { $_->{action_id} eq $id } $gw->audit('requested') })
        if $id;

    return ($client, $id);
}


# Held, and about to be killed, or to give up by itself.  How long that takes
# on a slow machine nobody knows: "ready" is called while it still waits.

sub hold_leaver {
    my ($proto, $target, $how, $ready) = @_;

    for my $seconds (3, 15, 60) {
        my ($client, $id) = try_hold($proto, "$target-$seconds",
                        $how eq 'timeout' ? ('--max-time', $seconds) : ());

        $ready->() if $ready;

        return ($client, $id, "$target-$seconds") if $id && $client->alive;

        kill('CONT', $gw->ngx->workers) if $ready;
        wait_for(sub { !$gw->pending });
    }

    die "$target was not held";
}


sub waits {
    my ($proto) = @_;

    my ($client, $id) = hold($proto, '/held/get');

    is($gw->vote($id, 'approve')->status, 200, 'approved');

    my $r = $client->read;

    is($r->status, 200, 'who waits gets the answer');
    is($r->body, "ok\n", 'the upstream\'s');
    is($gw->hits('/held/get'), 1, 'which executed it once');

    ($client, $id) = hold($proto, '/held/post', '-d', 'x' x 20_000);
    $gw->vote($id, 'approve');
    is($client->read->status, 200, 'with a body');
    is(length(($gw->up->requests)[-1]->body), 20_000, 'all of it');

    ($client, $id) = hold($proto, '/held/no');
    $gw->vote($id, 'deny');
    is($client->read->status, 403, 'or the refusal');

    $gw->up->clear;
}


sub leaves {
    my ($proto, $how) = @_;

    # of a client that is killed nothing arrives over UDP: nginx sees it idle

    local $proto{$proto} = [ 'https://127.0.0.1:' . $gw->ngx->port(3),
                             qw(-k --http3-only) ]
        if $proto eq 'HTTP/3' && $how eq 'killed';

    my ($client, $id) = hold_leaver($proto, "/held/$how", $how);

    $client->kill if $how eq 'killed';

    ended($id, $how);
    is($gw->vote($id, 'approve')->status, 409, 'and cannot be approved');
}


# it leaves and is approved in one turn of the event loop

sub stopped {
    my ($proto, $how) = @_;

    return if $proto eq 'HTTP/3' && $how eq 'killed';

    my ($worker) = $gw->ngx->workers;
    my ($client, $id, $target) = hold_leaver($proto, "/held/stopped-$how",
        $how, sub { kill('STOP', $worker) });

    $client->kill if $how eq 'killed';
    wait_for(sub { !$client->alive });
    $gw->set($id, 'approve');
    kill('CONT', $worker);

    my $gone = qr{ \Q$target\E HTTP/\S+" 499 };

    ok(scalar($gw->ngx->access_log($gone)), "$how, and approved at once");
    is($gw->hits($target), 0, 'is not executed');

    # which of the two is first is by chance: a bare decision counts only when
    # it is read

    my ($client2, $other) = try_hold($proto, $target);

    if ($other) {
        is($gw->state($id), 'cancelled', 'the end came first');
        is($gw->vote($other, 'approve')->status, 200, 'approved again');
    }

    is($client2->read->status, 200, 'who comes back has the approval');
    is($gw->hits($target), 1, 'once');

    $gw->up->clear;
}


# two requests on a connection; the second is given up, the first goes on

sub cancels_one {
    my ($start, $cancel) = @_;

    my %before = map { $_ => 1 } $gw->pending;
    my $client = $start->('/held/first', '/held/second');
    my @ids;

    ok(wait_for(sub { (@ids = grep { !$before{$_} } $gw->pending) == 2 }),
       'two are held') or return;

    my %id = map { $_->{target} => $_->{id} } map { $gw->action($_) } @ids;

    $cancel->($client);

    ended($id{'/held/second'}, 'the one that is given up');
    is($gw->state($id{'/held/first'}), 'pending', 'the other one waits');

    $gw->vote($id{'/held/first'}, 'approve');
    ok(wait_for(sub { $gw->hits('/held/first') }), 'and is executed');
    is($gw->hits('/held/second'), 0, 'alone');

    $gw->up->clear;

    return $client;
}


sub frame {
    my ($type, $flags, $stream, $payload) = @_;

    return substr(pack('N', length $payload), 1)
           . pack('CCN', $type, $flags, $stream) . $payload;
}


sub h2c_start {
    my ($client, $stream) = (Approval::Client->new($gw->ngx->port(2)), 1);

    $client->write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . frame(4, 0, 0, ''));

    for my $target (@_) {
        my @headers = (':method' => 'GET', ':scheme' => 'http',
                       ':path' => $target, ':authority' => 'a');

        # HEADERS, that end the headers and the stream; literals without index

        $client->write(frame(1, 5, $stream, join '', map {
            "\0" . pack('(C/a)2', splice(@headers, 0, 2))
        } 1 .. 4));

        $stream += 2;
    }

    return $client;
}


sub ended {
    my ($id, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return ok(wait_for(sub { $gw->state($id) eq 'cancelled' }),
              "$name: the action ends");
}


sub python {
    my ($code) = @_;

    my $port = $gw->ngx->port(1);
    my $file = spew("$dir/client.py", <<"EOF", $code);
import socket, ssl, time
context = ssl._create_unverified_context()
tls = context.wrap_socket(socket.create_connection(('127.0.0.1', $port)))
tls.sendall(b'GET /held/python HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n')
time.sleep(2)
EOF

    my %before = map { $_ => 1 } $gw->pending;
    my $client = Approval::Process->start(cmd => [ 'python3', $file ]);
    my $id;

    ok(wait_for(sub { ($id) = grep { !$before{$_} } $gw->pending }), 'held');

    return ($client, $id);
}
