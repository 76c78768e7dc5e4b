#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# One approval, one execution: an approved request is sent to an upstream once,
# whatever it passes after the gate and whoever would send it again.  Only as
# long as no server got a byte of it the next one is tried.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Dns;
use Approval::Gateway;

use IO::Socket::INET;
use IO::Socket::UNIX;
use Time::HiRes qw(time);

need_module();

my @modules = map { "/usr/lib/nginx/modules/$_.so" }
                  qw(ndk_http_module ngx_http_lua_module ngx_http_js_module);

for my $module (@modules) {
    plan(skip_all => "no $module: sh conf/packages.sh test") if !-e $module;
}


# Speaks no protocol: takes what comes on a connection, and closes it.

package Sink {
    sub new {
        my ($class, @sockets) = @_;

        my $self = bless { file => Approval::Test::tempdir() . '/seen' },
                         $class;

        Approval::Test::spew($self->{file}, '');

        for my $sock (@sockets) {
            Approval::Process->start(keep => [ $sock ],
                                     code => sub { $self->serve($sock) });
        }

        return $self;
    }

    sub serve {
        my ($self, $sock) = @_;

        open(my $fh, '>>:raw', $self->{file}) or die $!;

        while (my $client = $sock->accept) {
            syswrite($fh, '.') if sysread($client, my $text, 65536);
        }
    }

    sub count { -s $_[0]{file} }

    sub clear { Approval::Test::spew($_[0]{file}, '') }
}


my $dir = tempdir();
my $listen = listener();
my $port = $listen->sockport;

my $sink = Sink->new($listen, map({ listener(LocalAddr => "127.0.0.$_",
                                             LocalPort => $port) } 2 .. 3),
                     map { IO::Socket::UNIX->new(Local => "$dir/$_",
                                                 Listen => 10) // die $! }
                         qw(one two));
chmod(0666, "$dir/one", "$dir/two") or die $!;

my $dns = Approval::Dns->new('two.test' => [ '127.0.0.2', '127.0.0.3' ]);

my $nobody = free_port();

# drops all of it; /warm is answered, so that the connection is kept

my $first = Approval::Upstream->new(code => sub {
    my ($r) = @_;

    my $uri = $r->target =~ s/\?.*//r;

    return {} if $uri eq '/warm';
    return { status => 503, body => 'busy' } if $uri =~ m{/busy};
    return { status => 404, body => 'none' } if $uri =~ m{/missing};

    if ($uri =~ m{/(?:stale|background|revalidate)$} && !$r->header('X-Drop')) {
        return { status => 304 } if $r->header('If-Modified-Since');

        return { body => "cached\n", headers =>
                     [ 'Cache-Control' => 'max-age=1', 'Last-Modified' =>
                       'Mon, 30 Nov 2026 12:00:00 GMT' ] };
    }

    return { drop => 1 };
});

my $second = Approval::Upstream->new;

my ($drop, $up) = map { $_->port } $first, $second;
my $servers = "server 127.0.0.1:$port max_fails=0; "
              . "server 127.0.0.2:$port max_fails=0";

my $gw = Approval::Gateway->new(
    allow => [ qr/\[alert\].* sendfile\(\) reported that .* was truncated/ ],
    modules_before => \@modules,
    files => { 'html/held/page.shtml' => '<!--#include virtual="/part" -->',
               'html/sorry.html' => "sorry\n", 'once.js' => <<'EOF' },
        function wait(r) {
            setTimeout(() => r.internalRedirect('/after'), 20);
        }
        function ask(r) {
            r.subrequest('/part', { method: 'POST' })
             .then(reply => r.return(reply.status));
        }
        export default { wait, ask };
EOF
    http => <<"EOF", server => <<'EOF' =~ s/%%SINK%%/$port/gr);
    upstream drops    { server 127.0.0.1:$drop max_fails=0;
                        server 127.0.0.1:$up backup; }
    upstream kept     { server 127.0.0.1:$drop max_fails=0; keepalive 4; }
    upstream refuses  { server 127.0.0.1:$nobody max_fails=0;
                        server 127.0.0.1:$up backup; }
    upstream nobody   { server 127.0.0.1:$nobody; }
    upstream sinks    { $servers; }
    upstream unixes   { server unix:$dir/one max_fails=0;
                        server unix:$dir/two max_fails=0; }
    upstream second   { server 127.0.0.1:$up; }

    limit_req_zone x zone=slow:1m rate=1r/s;
    proxy_cache_path %%PREFIX%%/cache keys_zone=c:1m;
    js_import once from %%PREFIX%%/once.js;
    resolver 127.0.0.1:@{[ $dns->port ]} ipv6=off;

    approval_policy p { rule all { match \$uri ^/held; require admins; } }
EOF
        approval p;
        root %%PREFIX%%/html;
        default_type text/html;

        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_next_upstream error timeout http_503 non_idempotent;
        fastcgi_next_upstream error non_idempotent;
        scgi_next_upstream error non_idempotent;
        uwsgi_next_upstream error non_idempotent;
        grpc_next_upstream error non_idempotent;
        memcached_next_upstream error;

        # several servers, and one

        location /free/drops   { proxy_pass http://drops; }
        location /held/drops   { proxy_pass http://drops; }
        location /held/busy    { proxy_pass http://drops; }
        location /held/refuses { proxy_pass http://refuses; }
        location /free/kept    { proxy_pass http://kept; }
        location /held/kept    { proxy_pass http://kept; }
        location /warm         { proxy_pass http://kept; }

        # other protocols, and upstreams without a block of their own

        location /free/fastcgi   { fastcgi_pass sinks; }
        location /held/fastcgi   { fastcgi_pass sinks; }
        location /held/scgi      { scgi_pass sinks; }
        location /held/uwsgi     { uwsgi_pass sinks; }
        location /held/grpc      { grpc_pass grpc://sinks; }
        location /held/memcached { set $memcached_key x; memcached_pass sinks; }
        location /free/resolved  { set $to two.test;
                                   proxy_pass http://$to:%%SINK%%; }
        location /held/resolved  { set $to two.test;
                                   proxy_pass http://$to:%%SINK%%; }

        # what is sent and fails before the content handler has returned

        location /free/inside { sendfile on; client_body_in_file_only clean;
                                proxy_pass http://unixes; }
        location /held/inside { sendfile on; client_body_in_file_only clean;
                                proxy_pass http://unixes; }

        # phases that wait after the approval

        location /held/auth    { try_files /absent @auth; }
        location @auth         { auth_request /auth; proxy_pass http://drops; }
        location = /auth       { internal; proxy_pass http://second; }
        location = /tick       { limit_req zone=slow burst=9; empty_gif; }
        location /held/limit   { try_files /absent @limit; }
        location @limit        { limit_req zone=slow burst=9;
                                 proxy_pass http://drops; }
        location /held/lua     { try_files /absent @lua; }
        location @lua          { rewrite_by_lua_block { ngx.sleep(0.02) }
                                 proxy_pass http://drops; }
        location /held/capture { content_by_lua_block {
                                     ngx.req.read_body()
                                     local r = ngx.location.capture("/part",
                                         { method = ngx.HTTP_POST })
                                     ngx.exit(r.status)
                                 } }
        location /held/exec    { content_by_lua_block { ngx.exec("/after") } }
        location /held/js      { js_content once.wait; }
        location /held/ask     { js_content once.ask; }
        location = /after      { internal; approval off;
                                 proxy_pass http://drops; }

        # subrequests

        location = /part       { internal; proxy_pass http://drops; }
        location /held/page    { ssi on; }
        location /held/mirror  { mirror /part; proxy_pass http://second; }

        location /free/lua     { access_by_lua_block { ngx.exit(403) }
                                 proxy_pass http://second; }

        # caches

        proxy_cache_key $what;

        location ~ ^/(free|held)/(?<what>stale|revalidate)$ {
            proxy_cache c;
            proxy_cache_revalidate on;
            proxy_cache_use_stale error;
            proxy_pass http://drops;
        }
        location ~ ^/(free|held)/(?<what>background)$ {
            proxy_cache c;
            proxy_cache_use_stale updating;
            proxy_cache_background_update on;
            proxy_pass http://drops;
        }

        # redirects

        proxy_intercept_errors on;

        location /held/again { error_page 502 = @second;
                               proxy_pass http://drops; }
        location /held/other { error_page 502 = /other;
                               proxy_pass http://drops; }
        location /held/missing { error_page 404 = @second;
                                 proxy_pass http://drops; }
        location /held/sorry { error_page 502 /sorry.html;
                               proxy_pass http://drops; }
        location /held/words { error_page 502 @words;
                               proxy_pass http://drops; }
        location /held/nobody { error_page 502 = @second;
                                proxy_pass http://nobody; }
        location @second { proxy_pass http://second; }
        location @words  { return 200 "sorry\n"; }
        location /other  { proxy_pass http://second$request_uri; }
        location /held/if { if ($http_x_if) { set $x 1; }
                            error_page 405 = @second; empty_gif; }
EOF


sub clear { $_->clear for $first, $second, $sink }


# How often anybody was sent it: the drops, the one that answers, the sinks

sub sent {
    my @count = map { my $up = $_;
                      scalar grep { $_->target !~ m{^/(?:warm|auth)$} }
                                  $up->requests } $first, $second;

    return "@count " . $sink->count;
}


# nothing is under way but the question itself

sub idle {
    wait_for(sub { http_get($gw->port, '/_status')->body =~ /Writing: 1 / });
}


sub free {
    my ($target) = @_;

    return http_get($gw->port, $target, headers => [ Host => 'gw' ]);
}


# what nginx does by itself: what is not held is sent again

is(free('/free/drops')->status, 200, 'not held: nginx tries the next server');
is(sent(), '1 1 0', 'after the first has got it');

clear();
free('/warm');
free('/free/kept');
is(sent(), '2 0 0', 'and by a kept connection the same one again');

for my $name (qw(fastcgi resolved inside)) {
    clear();
    Approval::Client->new($gw->port)->request(PUT => "/free/$name",
                                               body => 'x' x 100);
    is(sent(), '0 0 2', "$name: both get it");
}


# An upstream that closes all connections, name by name: what is asked, what
# the client is told, who was sent it, what becomes of the action.

my @rows = (
    [ 'several servers', GET => 'drops', 502, '1 0 0', 'failed' ],
    [ 'not idempotent', POST => 'drops', 502, '1 0 0', 'failed' ],
    [ 'one that answers 503', GET => 'busy', 503, '1 0 0', 'executed' ],
    [ 'one that answers 503, not idempotent', POST => 'busy', 503, '1 0 0',
      'executed' ],
    [ 'nobody got it: the next one does', POST => 'refuses', 200, '0 1 0',
      'executed' ],
    [ 'a kept connection', GET => 'kept', 502, '1 0 0', 'failed',
      before => '/warm' ],
    [ 'a kept connection, not idempotent', POST => 'kept', 502, '1 0 0',
      'failed', before => '/warm' ],

    [ 'FastCGI', DELETE => 'fastcgi', 502, '0 0 1', 'failed' ],
    [ 'SCGI', DELETE => 'scgi', 502, '0 0 1', 'failed' ],
    [ 'uwsgi', DELETE => 'uwsgi', 502, '0 0 1', 'failed' ],
    [ 'gRPC', DELETE => 'grpc', 502, '0 0 1', 'failed' ],
    [ 'memcached', GET => 'memcached', 502, '0 0 1', 'failed' ],
    [ 'a name with two addresses', POST => 'resolved', 502, '0 0 1',
      'failed' ],
    [ 'a body that is gone, once its head was sent', PUT => 'inside', 502,
      '0 0 1', 'failed', cut => 1 ],

    [ 'auth_request after it', GET => 'auth', 502, '1 0 0', 'failed' ],
    [ 'limit_req after it', GET => 'limit', 502, '1 0 0', 'failed',
      before => '/tick' ],
    [ 'Lua that waits after it', POST => 'lua', 502, '1 0 0', 'failed' ],
    [ 'a subrequest of Lua', POST => 'capture', 502, '1 0 0', 'executed' ],
    [ 'a redirect of Lua', POST => 'exec', 502, '1 0 0', 'failed' ],
    [ 'njs that waits', POST => 'js', 502, '1 0 0', 'failed' ],
    [ 'a subrequest of njs', POST => 'ask', 502, '1 0 0', 'executed' ],

    [ 'an included part', GET => 'page.shtml', 200, '1 0 0', 'executed' ],
    [ 'a mirror', POST => 'mirror', 200, '1 1 0', 'executed' ],

    [ 'a stale answer', GET => 'stale', 200, '1 0 0', 'failed', cached => 1 ],
    [ 'a cache that is revalidated', GET => 'revalidate', 200, '1 0 0',
      'executed', cached => 1, drop => 0, upstream => 304 ],
    [ 'a cache that is updated in the background', GET => 'background', 200,
      '1 0 0', 'executed', cached => 1 ],

    [ 'error_page to a named location', POST => 'again', 500, '1 0 0',
      'failed' ],
    [ 'error_page to a URI', GET => 'other', 500, '1 0 0', 'failed' ],
    [ 'error_page for an answer', DELETE => 'missing', 500, '1 0 0',
      'executed', upstream => 404 ],
    [ 'error_page to a file', POST => 'sorry', 502, '1 0 0', 'failed',
      body => "sorry\n" ],
    [ 'error_page to words', GET => 'words', 502, '1 0 0', 'failed',
      body => "sorry\n" ],
    [ 'error_page where nobody got it', POST => 'nobody', 200, '0 1 0',
      'executed' ],
    [ 'a handler inside "if"', GET => 'if', 200, '0 0 0', 'executed' ],
);

# Lua's access handler, which moves behind the gate's at its first request, is
# not skipped where no rule concerns the request

is(free('/free/lua')->status, 403, "Lua refuses, request $_") for 1 .. 2;

# cached for a second

free("/free/$_") for qw(stale revalidate background);

my $cached = time();

for my $row (@rows) {
    my ($name, $method, $where, $status, $sent, $state, %how) = @$row;

    my $target = "/held/$where";
    my @headers = ('X-If' => 1);

    if ($how{cached}) {
        wait_for(sub { time() > $cached + 2 });

        push @headers, 'X-Drop' => 1 unless defined $how{drop};
    }

    clear();

    my $before = () = $gw->audit($state);
    my ($client, $id) = $gw->hold($method => $target, headers => \@headers,
        $method =~ /^P/ ? (body => 'x' x 100) : ());

    if ($how{cut}) {
        my @files = glob($gw->ngx->path('client_body_temp') . '/*');

        is(scalar @files, 1, "$name: its file");
        truncate($files[0], 0) or die $!;
    }

    is(free($how{before})->status, 200, "$name: before it") if $how{before};

    $gw->vote($id, 'approve');

    my $response = $client->read;

    is($response->status, $status, "$name: $status");
    is($response->body, $how{body}, "$name: the body") if $how{body};

    idle();

    wait_for(sub { sent() eq $sent });
    is(sent(), $sent, "$name: sent to $sent");

    ok($gw->wait_audit($state, $before + 1), "$name: $state");

    my $record = ($gw->audit($state))[-1];

    is($record->{action_id}, $id, "$name: the action");
    is($record->{outcome}{status}, $how{upstream} // $status,
       "$name: the status that is on record")
        if $state eq 'executed';
}

$gw->ngx->log_like(qr/is not sent to an upstream again.*let "error_page"/,
                   'the log says what was not done, and how to do without');


# what does not go to an upstream ends as ever, and the connection lives on

my ($client, $id) = $gw->hold(POST => '/held/refuses', body => 'x');

$gw->vote($id, 'approve');

is($client->read->status, 200, 'the connection of an approved request');

for my $n (1, 2) {
    $client->send(GET => '/none', headers => [ Host => 'gw' ]);
    is($client->read->status, 404, "goes on, $n");
}

$gw->clean;

done_testing;
