#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# How "url" gets there: nginx' resolver, TLS and its certificates; and what
# nginx -t says of a channel that could not work.

use lib 't/lib';
use Approval::Test;

use Approval::Ca;
use Approval::Dns;
use Approval::Gateway;

need_module();
need('redis-server', 'openssl');

my $dir = Approval::Ca->new(server => 'hook.test', client => 'gateway')->dir;

my $up = Approval::Receiver->new;
my $dns = Approval::Dns->new('hook.test' => '127.0.0.1',
                             'slow.test' => undef)->port;

my $tls = Approval::Nginx->new(module => 0, http => <<"END");
    ssl_certificate     $dir/server.crt;
    ssl_certificate_key $dir/server.key;

    server {
        listen 127.0.0.1:%%PORT%% ssl;
        location / { proxy_pass @{[ $up->url ]}; }
    }

    server {
        listen 127.0.0.1:%%PORT1%% ssl;
        ssl_client_certificate $dir/ca.crt;
        ssl_verify_client on;
        location / { proxy_set_header X-Client \$ssl_client_s_dn;
                     proxy_pass @{[ $up->url ]}; }
    }
END

my ($port, $port1) = ($tls->port, $tls->port(1));
my $common = 'retries 0; timeout 20s; backoff 50ms 100ms;';

# nobody gets as far as a connection here: its queue is full

my $deaf = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
    or die "listen: $!";
my @queue = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', Blocking => 0,
                                        PeerPort => $deaf->sockport) } 1 .. 4;

my %channel = (
    named   => "url http://hook.test:@{[ $up->port ]}/named;",
    nobody  => "url http://nobody.test:@{[ $up->port ]}/nobody;",
    slow    => "url http://slow.test:@{[ $up->port ]}/slow;",
    local   => "url http://localhost:@{[ $up->port ]}/local;",
    trusted => "url https://hook.test:$port/trusted;"
               . " trusted_certificate $dir/ca.crt;",
    unknown => "url https://hook.test:$port/unknown;",
    other   => "url https://127.0.0.1:$port/other;"
               . " trusted_certificate $dir/ca.crt;",
    nocert  => "url https://hook.test:$port1/nocert;"
               . " trusted_certificate $dir/ca.crt;",
    client  => "url https://hook.test:$port1/client;"
               . " trusted_certificate $dir/ca.crt;"
               . " certificate $dir/client.crt;"
               . " certificate_key $dir/client.key;",
    deaf    => "url http://127.0.0.1:@{[ $deaf->sockport ]}/deaf;",
);

my $channels = join('', map { my $how = $common;
                              $how =~ s/20s/1s/ if $_ eq 'deaf';
                              "approval_channel $_ { $channel{$_} $how }\n" }
                        sort keys %channel);
my $rules = join('', map { "rule $_ { match \$uri /$_; action a; require admins;"
                           . " timeout 60s; notify $_; }\n" }
                     sort keys %channel);

my $gw = Approval::Gateway->new(log_level => 'info', http => <<"END",
    resolver 127.0.0.1:$dns ipv6=off valid=1s;
    resolver_timeout 4s;
    $channels
    approval_policy test { $rules }
END
    server => 'approval test; location / { proxy_pass %%UP%%; }');

reached($_) for qw(named local trusted client);

is($up->last->header('X-Client'), 'CN=gateway', 'with its own certificate');

missed(nobody => qr/its host was not found/);
missed(slow => qr/the resolver did not answer/);
missed(unknown => qr/certificate/);
missed(other => qr/certificate/);
missed(nocert => qr/status 400/);
missed(deaf => qr/time/);

refusals();

$gw->clean;

done_testing();


sub reached {
    my ($name) = @_;

    my ($client, $id) = $gw->hold(POST => "/$name");

    ok(wait_for(sub { grep { $_->target eq "/$name" } $up->requests }),
       "$name: told") or diag($gw->ngx->log_lines(qr/channel/));

    $gw->vote($id, 'deny');
    $client->read;
    wait_for(sub { 2 == grep { $_->target eq "/$name" } $up->requests });
}


sub missed {
    my ($name, $why) = @_;

    my $mark = $gw->ngx->mark;
    my ($client, $id) = $gw->hold(POST => "/$name");

    $gw->ngx->log_like(qr/channel "$name" \(url\) was not notified .*$why/,
                       "$name: not told", since => $mark);
    is(scalar(grep { $_->target eq "/$name" } $up->requests), 0,
       'nothing arrived');

    $gw->vote($id, 'deny');
    $client->read;
}


sub refusals {
    my @case = (
        [ 'pass /x; url http://127.0.0.1/' => 'has both "pass" and "url"' ],
        [ 'type json' => 'has neither "pass" nor "url"' ],
        [ 'url ftp://127.0.0.1/' => 'neither with "https://"' ],
        [ 'url http://user:p@127.0.0.1/' => 'contains a user' ],
        [ 'url http://127.0.0.1:0/' => 'port is invalid' ],
        [ 'url "http://a b/"' => 'a URL cannot contain' ],
        [ 'url http://hook.test/' => 'there is no "resolver"' ],
        [ 'url file:/nowhere/at/all' => 'cannot open the file' ],
        [ "url http://127.0.0.1/; certificate $dir/ca.crt" => 'have no effect' ],
        [ "url https://127.0.0.1/; certificate $dir/ca.crt" => 'only one of' ],
        [ "url https://127.0.0.1/; trusted_certificate $dir/ca.key"
              => 'has no CERTIFICATE' ],
        [ 'url http://127.0.0.1/; signing_secret 0123456789abcdef0'
              => 'no effect without "type slack"' ],
        [ 'type slack; url http://127.0.0.1/; signing_secret ""'
              => 'is empty' ],
        [ 'type teams; url http://127.0.0.1/; secret whsec_'
          . 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' => 'without "type json"' ],
    );

    for my $case (@case) {
        refused("approval_channel c { $case->[0]; }", $case->[1], $case->[0]);
    }

    my $secret = 'hidden-in-the-url';
    my (undef, $out) = conf("approval_channel c { url ftp://$secret/; }");

    unlike($out, qr/$secret/, 'a URL is not quoted');

    my $ok = 'approval_channel w { url http://127.0.0.1/; }'
             . ' approval_channel p { pass /p; }';

    for my $case ([ 'escalate 5m p; remind 5m' => 'notifies no channel' ],
                  [ 'notify w; escalate 5m x' => 'unknown channel "x"' ],
                  [ 'notify w; escalate 0 w' => 'use a time' ],
                  [ 'notify w; remind x' => 'use a time' ])
    {
        refused("$ok approval_policy t { rule r { match \$uri /x; action a;"
                . " require g; $case->[0]; } }", $case->[1], $case->[0]);
    }

    my ($status) = conf("$ok approval_policy t { rule r { match \$uri /x;"
                        . ' action a; require g; notify w p; remind 5m;'
                        . ' escalate 10m w; escalate 20m w; } }');

    is($status, 0, 'and what can work is accepted');
}


sub conf {
    my ($text) = @_;

    return Approval::Nginx->test_conf(http => <<"END");
        approval_redis unix:/nowhere;
        approval_key $gw->{keys}{secret};
        approval_base_url http://127.0.0.1/a;
        approval_group g ann;
        $text
        server { listen 127.0.0.1:%%PORT%%; }
END
}


sub refused {
    my ($text, $why, $name) = @_;

    my ($status, $out) = conf($text);

    isnt($status, 0, "refused: $name");
    like($out, qr/\[emerg\].*\Q$why\E/, 'with the reason');
}
