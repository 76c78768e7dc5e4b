#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The harness itself: that it starts, records, stops, and above all that it
# fails when it should.  No module is loaded.

use lib 't/lib';
use Approval::Test;


sub gone {
    my ($pid) = @_;

    return wait_for(sub { !kill(0, $pid) });
}


# runs a test file of its own, and returns its exit code and output

sub run_test {
    my ($text, $kill) = @_;

    my $dir = tempdir();
    my $lib = root_dir() . '/t/lib';
    my $test = spew("$dir/inner.t", "use Approval::Test;\n$text");

    spew("$dir/out", '');

    my $child = Approval::Process->start(
        cmd => [ $^X, "-I$lib", $test ], stdout => "$dir/out",
        stderr => "$dir/out", env => { TMPDIR => $dir, DIR => $dir });

    if ($kill) {
        wait_for(sub { -s "$dir/pids" }, 30);
        $child->signal($kill);
    }

    $child->wait_exit(60) or die 'the inner test does not end';

    return ($child->status, slurp("$dir/out"), $dir);
}


# upstream, behind nginx

my $up = Approval::Upstream->new(answers => {
    '/json'    => { status => 201, body => '{"a":1}',
                    headers => [ 'X-One' => '1', 'X-One' => '2' ] },
    '/chunked' => { chunked => 1, body => [ 'abc', 'def' ] },
    '/list'    => [ { body => 'first' }, { body => 'second' } ],
    '/slow'    => { delay => 0.3, body => 'slow' },
    '/hang'    => { hang => 1 },
    '/drop'    => { drop => 1 },
    '/accel'   => { accel => '/internal/x' },
    '/ws'      => { upgrade => 1 },
});

my $ngx = Approval::Nginx->new(module => 0, workers => 2, http => <<"EOF");
    map \$http_upgrade \$upgrade { default upgrade; '' ''; }
    upstream u { server 127.0.0.1:@{[ $up->port ]}; keepalive 4; }

    server {
        listen 127.0.0.1:%%PORT%%;
        listen 127.0.0.1:%%PORT1%% http2;
        server_name one;

        location / {
            proxy_pass http://u;
            proxy_http_version 1.1;
            proxy_set_header Upgrade \$http_upgrade;
            proxy_set_header Connection \$upgrade;
        }

        location /internal/ {
            internal;
            proxy_pass http://u;
        }

        location = /file { alias %%PREFIX%%/html/a.txt; }
    }
EOF

my $port = $ngx->port;

is(scalar($ngx->workers), 2, 'two workers');
is(http_get($port, '/x?y=1')->body, "ok\n", 'default answer');
is($up->last->target, '/x?y=1', 'target recorded');
is($up->last->method, 'GET', 'method recorded');
is($up->last->header('host'), 'u', 'header recorded');

my $r = http_post($port, '/json', "a\0b\xff", headers => [ 'X-Y' => 'z' ]);

is($r->status, 201, 'status');
is_deeply($r->json, { a => 1 }, 'json');
is_deeply([ $r->headers('x-one') ], [ 1, 2 ], 'repeated header');
is($up->last->body, "a\0b\xff", 'body recorded byte for byte');
is($up->last->header('X-Y'), 'z', 'client header recorded');
like($up->last->raw, qr{^POST /json HTTP/1\.1\r\n.*\r\n\r\na\0b\xff$}s, 'raw');

is(http_get($port, '/chunked')->body, 'abcdef', 'chunked answer');
is(http_get($port, '/list')->body, 'first', 'first of a list');
is(http_get($port, '/list')->body, 'second', 'second of a list');
is(http_get($port, '/list')->body, 'second', 'the last one stays');
is(http_get($port, '/accel')->body, "ok\n", 'X-Accel-Redirect');
is($up->last->target, '/internal/x', 'X-Accel-Redirect went there');
is(http_get($port, '/drop')->status, 502, 'dropped connection');

$up->answer('/list' => { body => 'changed' });
is(http_get($port, '/list')->body, 'changed', 'answer changed');

my $big = join '', map { chr($_ % 251) } 1 .. 300_000;
$r = http_post($port, '/big', $big);
is($r->status, 200, 'large body accepted');
ok($up->last->body eq $big, 'large body recorded');

$up->answer('/big' => { body => $big });
ok(http_get($port, '/big')->body eq $big, 'large body answered');


# client

my $c = Approval::Client->new($port);

$c->send(GET => '/slow');
$c->send(GET => '/json');
ok($c->quiet(0.05), 'no response yet');
is($c->read->body, 'slow', 'first of two pipelined');
is($c->read->status, 201, 'second of two pipelined');

$c->send(POST => '/x', chunked => [ 'he', 'llo' ],
         trailers => [ 'X-T' => '1' ]);
is($c->read->status, 200, 'chunked request');
is($up->last->body, 'hello', 'chunked request body');

$c->send(POST => '/x', body => 'later', expect => 1);
$r = $c->read;
is($r->status, 200, 'Expect');
is_deeply($r->interim, [ 100 ], '100 seen');
is($up->last->body, 'later', 'body after 100');

is($c->request(HEAD => '/json')->body, '', 'HEAD');
$c->write("GET /pieces HT");
$c->write("TP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
is($c->read->status, 200, 'pieces');
ok($c->closed, 'closed by the server');
is($up->last->target, '/pieces', 'pieces recorded');
ok(!eval { $c->read(0.1) }, 'no response after the end');

my $count = $up->count;

$c = Approval::Client->new($port);
$c->send(GET => '/hang');
ok($up->wait_count($count + 1), 'arrived upstream');
ok($c->quiet(0.05), 'hanging');
$c->reset;
$ngx->log_like(qr/client prematurely closed connection|reset by peer/,
               'abort seen');

$c = Approval::Client->new($port);
$r = $c->request(GET => '/ws', headers => [
    Upgrade => 'websocket', Connection => 'upgrade',
    'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==' ]);
is($r->status, 101, 'upgrade');
is($r->header('Sec-WebSocket-Accept'), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=', 'key');
$c->write('bytes');
is($c->read_bytes(5), 'bytes', 'echo');
$c->close;

$r = Approval::Client->curl('--http2-prior-knowledge', '-d', 'h2',
                            'http://127.0.0.1:' . $ngx->port(1) . '/json');
is($r->version, 'HTTP/2', 'curl speaks HTTP/2');
is($r->status, 201, 'status by curl');
is($r->body, '{"a":1}', 'body by curl');
is($up->last->body, 'h2', 'body of curl');

my $job = Approval::Client->curl_start($ngx->url . '/slow');
ok($job->alive, 'curl in the background');
is($job->read->body, 'slow', 'its answer');

my $direct = Approval::Client->new($up->port);
$direct->send(POST => '/cut', partial => 1,
              headers => [ 'Content-Length' => 100 ]);
$direct->write('half');
$direct->close;
ok(wait_for(sub { $up->last->target eq '/cut' }), 'cut request recorded');
ok(!$up->last->complete, 'as incomplete');
is($up->last->body, 'half', 'with what there was of it');

$up->clear;
is($up->count, 0, 'cleared');
$up->stop;
is(http_get($port, '/')->status, 502, 'upstream stopped');
$up->start;
is(http_get($port, '/')->status, 200, 'upstream started again');


# nginx

my @before = $ngx->workers;
my $mark = $ngx->mark;

$ngx->reload;
ok(!(grep { my $w = $_; grep { $_ == $w } @before } $ngx->workers), 'reload');
$ngx->log_like(qr/reconfiguring/, 'logged', since => $mark);
$ngx->log_unlike(qr/no such line/, 'not logged');
is(http_get($port, '/')->status, 200, 'after reload');

my $good = $ngx->{http};
like($ngx->reload_fails(http => 'nonsense on;'),
     qr/unknown directive "nonsense"/, 'reload refused');
$ngx->reload(http => $good, files => { 'html/a.txt' => 'text' });
is(http_get($port, '/file')->body, 'text', 'reload with a file');

my $killed = $ngx->kill_worker;
ok(!(grep { $_ == $killed } $ngx->workers), 'worker killed');
is(scalar($ngx->workers), 2, 'and replaced');

rename($ngx->path('error.log'), $ngx->path('old.log')) or die $!;
$ngx->reopen;
ok(-e $ngx->path('error.log'), 'log reopened');
http_get($port, '/after-reopen');
$ngx->log_like(qr/after-reopen/, 'new log is read');
ok(scalar($ngx->log_lines(qr/start worker process/)), 'old log is remembered');
is(scalar(my @line = $ngx->access_log(qr{"GET /after-reopen })), 1,
   'access log');

my ($code, $output) = $ngx->test_conf;
is($code, 0, 'nginx -t');
($code, $output) = Approval::Nginx->test_conf(module => 0, http => 'bad;');
is($code, 1, 'nginx -t fails');
like($output, qr/unknown directive "bad" in \S+nginx\.conf:\d+/, 'and why');

ok(!eval { Approval::Nginx->new(module => 0, http => 'bad;') }, 'no start');
like($@, qr/did not start:.*unknown directive "bad"/s, 'and why');

my $single = Approval::Nginx->new(module => 0, workers => 0, http => <<'EOF');
    server { listen 127.0.0.1:%%PORT%%; return 204; }
EOF

is(http_get($single->port, '/')->status, 204, 'master_process off');
$single->stop;

my $busy = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1);
my @ports = ($busy->sockport);

{
    no warnings 'redefine';
    my $free = \&Approval::Test::free_port;
    local *Approval::Test::free_port = sub { shift(@ports) // $free->() };

    my $again = Approval::Nginx->new(module => 0, http => <<'EOF');
        server { listen 127.0.0.1:%%PORT%%; return 204; }
EOF
    is(http_get($again->port, '/')->status, 204, 'another port was taken');
}


# redis

my $redis = Approval::Redis->new;

is($redis->cmd('PING'), 'PONG', 'redis');
is($redis->cmd(SET => "k\r\n", "v\0"), 'OK', 'SET');
is($redis->cmd(GET => "k\r\n"), "v\0", 'GET, binary');
is($redis->cmd(GET => 'none'), undef, 'GET, none');
is_deeply($redis->cmd(EVAL => 'return {1, {"a"}, false}', 0),
          [ 1, [ 'a' ], undef ], 'nested reply');
ok(!eval { $redis->cmd('NONSENSE') }, 'error dies');
like($@, qr/unknown command/, 'and says why');
like(${ $redis->try('NONSENSE') }, qr/^ERR unknown command/, 'try does not');

$redis->cmd(SET => 'p:1', 'x', EX => 100);
is_deeply([ $redis->keys('p:*') ], [ 'p:1' ], 'keys');
is_deeply([ $redis->keys_without_ttl ], [ "k\r\n" ], 'keys without TTL');

my $sub = $redis->client;
is_deeply($sub->cmd(SUBSCRIBE => 'c'), [ 'subscribe', 'c', 1 ], 'SUBSCRIBE');
$redis->cmd(PUBLISH => 'c', 'm');
is_deeply($sub->read, [ 'message', 'c', 'm' ], 'message');

my $other = $redis->client(timeout => 0.1);
$redis->pause;
ok(!eval { $other->cmd('PING') }, 'paused');
$redis->resume;
is($redis->cmd('PING'), 'PONG', 'resumed');

my $redis_port = $redis->port;
$redis->stop;
ok(!eval { $redis->cmd('PING') }, 'stopped');
$redis->start;
is($redis->cmd('PING'), 'PONG', 'started');
is($redis->port, $redis_port, 'on its port');
is($redis->cmd('DBSIZE'), 0, 'without its data');
$redis->kill;
$redis->start;
is($redis->cmd('PING'), 'PONG', 'killed and started');

my $safe = Approval::Redis->new(password => 'pw', persist => 1, tcp => 0,
                                conf => 'user bot on >x ~app:* +@all');
$safe->cmd(SET => 'a', 1);
$safe->restart;
is($safe->cmd(GET => 'a'), 1, 'data kept, password used');
my $bot = Approval::Redis::Client->new($safe->sock);
like(${ $bot->try('PING') }, qr/^NOAUTH/, 'password needed');
is($bot->cmd(AUTH => 'bot', 'x'), 'OK', 'ACL user');


# receiver

my $receiver = Approval::Receiver->new(script => [
    { status => 500 }, { drop => 1 }, { status => 429,
      headers => [ 'Retry-After' => 1 ] }, { status => 200 } ]);

is(http_post($receiver->port, '/hook', '{"n":1}')->status, 500, 'script, 1');
ok(!eval { http_post($receiver->port, '/hook', '{"n":2}') }, 'script, 2');
is(http_post($receiver->port, '/h', '{}')->header('Retry-After'), 1,
   'script, 3');
is(http_post($receiver->port, '/h', '{}')->status, 200, 'script, 4');
is(scalar(my @all = $receiver->messages), 4, 'all recorded');
is(($receiver->messages)[1]->json->{n}, 2, 'body of the second');
$receiver->script({ status => 202 });
is(http_post($receiver->port, '/h', '{}')->status, 202, 'new script');

# what openssl computes is right whatever our own verify() does

my $now = time();
my $text = spew(tempdir() . '/text', "msg_1.$now.{}");
my $mac = `openssl dgst -sha256 -hmac secret -binary $text | openssl base64`;
my @signed = ('webhook-id' => 'msg_1', 'webhook-timestamp' => $now);

chomp($mac);
http_post($receiver->port, '/h', '{}', headers => [
    @signed, 'webhook-signature' => "v1,other v1,$mac" ]);
is($receiver->verify($receiver->last, 'whsec_c2VjcmV0'), '', 'signed');
http_post($receiver->port, '/h', '{ }', headers => [
    @signed, 'webhook-signature' => "v1,$mac" ]);
like($receiver->verify($receiver->last, 'whsec_c2VjcmV0'),
     qr/^webhook-signature/, 'signed, but changed');

my $keys = make_keys(tempdir());
like(slurp($keys->{secret}), qr/^[0-9a-f]{64}$/, 'secret');
like(slurp($keys->{signing}), qr/BEGIN PRIVATE KEY/, 'signing key');
like(slurp($keys->{public}), qr/BEGIN PUBLIC KEY/, 'public key');


# tests that must fail

my $start = <<'EOF';
my $ngx = Approval::Nginx->new(module => 0, http => <<'END');
    server { listen 127.0.0.1:%%PORT%%; return 204; }
END
sub plant {
    open(my $log, '>>', $ngx->path('error.log')) or die;
    print $log @_, "\n";
    close $log;
}
EOF

my ($status) = run_test("$start ok(1); done_testing;");
is($status, 0, 'a good test passes');

for my $line ('2026/01/01 00:00:00 [alert] 1#1: planted',
              '2026/01/01 00:00:00 [emerg] 1#1: planted',
              '2026/01/01 00:00:00 [crit] 1#1: planted',
              '==1==ERROR: AddressSanitizer: planted',
              'src/gate/hold/hold.c:1:2: runtime error: planted')
{
    ($status, $output) = run_test("$start plant('$line'); done_testing;");
    ok($status, "fails: $line");
    like($output, qr/^# \Q$line\E$/m, 'and shows the line');
}

($status) = run_test("$start \$ngx->allow(qr/planted/);"
    . "plant('2026/01/01 00:00:00 [alert] 1#1: planted'); done_testing;");
is($status, 0, 'an expected alert passes');

($status, $output) = run_test("$start kill 9, \$ngx->workers; "
    . '$ngx->log_like(qr/exited on signal/); done_testing;');
ok($status, 'fails: a worker that crashed');
like($output, qr/^# .*exited on signal 9/m, 'and says so');

($status, $output) = run_test("$start kill 9, -\$ngx->pid; "
    . 'wait_for(sub { !$ngx->{process}->alive }); done_testing;');
ok($status, 'fails: nginx went away');

($status, $output) = run_test(<<'EOF');
my $up = Approval::Upstream->new(code => sub { { hang => 1 } });
my $ngx = Approval::Nginx->new(module => 0, stop_timeout => 1, http => <<"END");
    server { listen 127.0.0.1:%%PORT%%;
             location / { proxy_pass @{[ $up->url ]}; } }
END
my $c = Approval::Client->new($ngx->port);
$c->send(GET => '/');
$up->wait_count(1);
done_testing;
EOF
ok($status, 'fails: a request hangs');
like($output, qr/did not end; workers left: \d/, 'and says so');


($status, $output) = run_test(<<'EOF');
my $redis = Approval::Redis->new(all_end => 1);
$redis->cmd(SET => 'ends', 1, EX => 60);
$redis->cmd(SET => 'planted', 1);
done_testing;
EOF
ok($status, 'fails: a key without TTL is left');
like($output, qr/^# planted$/m, 'and says which');


# nothing outlives a test, however it ends

my $leave = <<'EOF';
my $redis = Approval::Redis->new;
my $up = Approval::Upstream->new;
my @pids = ($ngx->pid, $ngx->workers, $redis->pid, $up->{process}->pid);
spew("$ENV{DIR}/pids.new", "@pids");
rename("$ENV{DIR}/pids.new", "$ENV{DIR}/pids");
EOF

for my $case ([ 'done', 'done_testing;' ], [ 'dies', "die 'planted';" ],
              [ 'exits', 'exit 3;' ],
              [ 'SIGTERM', 'wait_for(sub { 0 }, 60);', 'TERM' ],
              [ 'SIGKILL', 'wait_for(sub { 0 }, 60);', 'KILL' ])
{
    my ($name, $text, $kill) = @$case;
    my ($status, $out, $dir) = run_test("$start $leave ok(1); $text", $kill);

    ok($name eq 'done' ? $status == 0 : $status, "$name: status");

    my @pids = split / /, slurp("$dir/pids");
    is(scalar(@pids), 4, "$name: pids") or diag($out);
    ok(gone($_), "$name: $_ is gone") for @pids;

    my @left = glob("$dir/approval-*");
    ok(!@left, "$name: no directory is left") if $name ne 'SIGKILL';
}


done_testing;
