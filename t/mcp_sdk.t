#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The official MCP TypeScript SDK: its client, the gateway, its server.  The
# SDK is installed by name, by npm, into the build directory.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;
use Approval::Npm;
use Approval::Process;

use constant SDK => '@modelcontextprotocol/sdk@1';

need_module();
need(qw(node npm));

my $dir = sdk();


sub sdk {
    my $dir = Approval::Npm::install(SDK);

    spew("$dir/$_", slurp(root_dir() . "/t/mcp/$_"))
        for qw(server.mjs client.mjs);

    return $dir;
}


sub server {
    my ($form) = @_;

    my $out = "$dir/$form.out";
    spew($out, '');

    Approval::Process->start(cmd => [ 'node', "$dir/server.mjs", $form ],
                             stdout => $out, stderr => "$dir/$form.err");

    my ($port) = wait_for(sub { slurp($out) =~ /^(\d+)$/m ? $1 : 0 }, 60)
        or die "the MCP server has not started: " . slurp("$dir/$form.err");

    return $port;
}


my %port = map { $_ => server($_) } qw(json events);

my $gw = Approval::Gateway->new(workers => 2,
    http => <<'HTTP', server => <<"SERVER");
    map $http_authorization $agent { "Bearer t0ken" agent-7; default ""; }
    approval_policy mcp {
        rule drop  { match $request_method POST; mcp_tool db.drop db.steps;
                     action db.drop; require admins; timeout 60s;
                     execute_within 3s; }
    }
    approval_policy short {
        rule drop  { match $request_method POST; mcp_tool db.drop;
                     require admins; timeout 3s; }
    }
HTTP
    approval mcp;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_buffering off;
    location = /json { proxy_pass http://127.0.0.1:$port{json}; }
    location = /events { proxy_pass http://127.0.0.1:$port{events}; }
    location = /short { approval short;
                        proxy_pass http://127.0.0.1:$port{json}; }
    location = /mcp { approval_requester \$agent;
                      proxy_pass http://127.0.0.1:$port{json}; }
SERVER


# A client at work; ->told is what it says at its end

sub start {
    my ($path, %call) = @_;

    my $out = tempdir() . '/out';

    my $text = encode_json({ name => 'db.drop',
                             arguments => { table => 'orders' }, %call });

    my $process = Approval::Process->start(
        cmd => [ 'node', "$dir/client.mjs", $gw->ngx->url . $path, $text ],
        stdout => $out, stderr => "$out.err");

    return { process => $process, out => $out };
}


# ... has been told of progress N times

sub progressed {
    my ($job, $n) = @_;

    return wait_for(sub {
        my @lines = slurp("$job->{out}.err") =~ /^progress$/mg;
        return @lines >= $n;
    }, 30);
}


sub told {
    my ($job) = @_;

    $job->{process}->wait_exit(60 * slow()) or die "a client has not ended\n";

    my $text = slurp($job->{out});

    return $text ? decode_json($text)
                 : die "the client: " . slurp("$job->{out}.err");
}


sub asked {
    return wait_for(sub { ($gw->pending)[0] }, 30);
}


# What no rule concerns

my $told = told(start('/json', name => 'db.read'));
is($told->{tools}, 5, 'the list of tools');
is($told->{result}{content}[0]{text}, 'db.read orders 1', 'allowed');
is_deeply($told->{errors}, [], 'without an error');

# Approved, at once and late, by servers of both forms

my %calls;

for my $form (qw(json events)) {
    my $job = start("/$form");
    my $id = asked();
    is($gw->action($id)->{action}, 'db.drop', "$form: held");
    $gw->vote($id, 'approve');
    $told = told($job);
    is($told->{result}{content}[0]{text}, "db.drop orders " . ++$calls{$form},
       "$form: approved at once, executed once");

    # a client that gives up after 2 s of silence, and is held for 5

    $job = start("/$form", options => { timeout => 2000,
                                        resetTimeoutOnProgress => 1,
                                        maxTotalTimeout => 50_000 });
    $id = asked();
    ok(progressed($job, 5), "$form: it is kept alive");
    $gw->vote($id, 'approve');
    $told = told($job);
    is($told->{error}, undef, "$form: held beyond its timeout");
    is($told->{result}{content}[0]{text}, "db.drop orders " . ++$calls{$form},
       "$form: the server's answer");
    cmp_ok($told->{ms}, '>', 4000, "$form: it was that long");
    cmp_ok(scalar @{ $told->{progress} }, '>', 5, "$form: with progress");
    like($told->{progress}[0]{message}, qr/^Waiting for approval of db\.drop/,
         "$form: that says why");
    is_deeply($told->{errors}, [], "$form: without an error");
}

# A tool with progress of its own goes on from there

my $job = start('/events', name => 'db.steps');
my $id = asked();
progressed($job, 1);
$gw->vote($id, 'approve');
$told = told($job);
is($told->{result}{content}[0]{text}, 'db.steps orders 1', 'steps: the answer');
my @progress = map { $_->{progress} } @{ $told->{progress} };
is_deeply([ @progress[-3 .. -1] ], [ 1, 2, 3 ], 'steps: the tool\'s own');
cmp_ok(scalar @progress, '>', 3, 'steps: after ours');
is(scalar(grep { $progress[$_] <= $progress[$_ - 1] } 1 .. $#progress), 0,
   'steps: it rises throughout');

# Denied: at once, which is plain JSON, and in the stream

for my $late (0, 1) {
    $job = start('/json', options => { timeout => 30_000 });
    $id = asked();
    progressed($job, 1) if $late;
    $gw->vote($id, 'deny', 'use the archive job');
    $told = told($job);
    ok($told->{result}{isError}, 'denied: a result that is an error');
    like($told->{result}{content}[0]{text}, qr/alice.*use the archive job/,
         'denied: who and why');
    is($told->{result}{_meta}{approval}{state}, 'denied', 'denied: state');
    is(scalar @{ $told->{progress} } > 0, $late == 1, 'denied: in its form');
    is_deeply($told->{errors}, [], 'denied: without an error');
}

# Expired

$told = told(start('/short', options => { timeout => 2000,
                                          resetTimeoutOnProgress => 1 }));
ok($told->{result}{isError}, 'expired: a result that is an error');
is($told->{result}{_meta}{approval}{state}, 'expired', 'expired: state');
like($told->{result}{content}[0]{text}, qr/Nobody decided/, 'expired: says so');

# Who asks for no progress gives up, and nothing is executed for it

for my $form (qw(json events)) {
    my $until = "$dir/$form.until";

    $job = start("/$form", progress => JSON::PP::false(),
                 options => { timeout => 1000 }, until => $until);
    $id = asked();
    ok(wait_for(sub { $gw->state($id) eq 'cancelled' }),
       "$form, without progress: it gives up");
    ok($job->{process}->alive, "$form: and keeps its connections");
    is($gw->vote($id, 'approve')->status, 409, "$form: a vote is late");
    spew($until, '');
    $told = told($job);
    is($told->{error}{code}, -32001, "$form: it is told of its timeout");
}

$told = told(start('/json', name => 'db.read'));
is($told->{result}{content}[0]{text}, 'db.read orders 2', 'the server is there');
is(scalar($gw->audit('executed')), 2 * 2 + 1, 'and nothing was executed');

# The example of docs/agents.md, as it stands there

my ($example) = slurp(root_dir() . '/docs/agents.md')
    =~ /^```typescript\n(.*?)^```$/ms;

ok($example, 'the example');
spew("$dir/example.mjs", $example);

$ENV{GATEWAY} = $gw->ngx->url;
$ENV{TOKEN} = 't0ken';


sub example {
    my ($decision) = @_;

    my $out = tempdir() . '/out';
    my %was = map { $_ => 1 } $gw->pending;

    my $process = Approval::Process->start(
        cmd => [ 'node', "$dir/example.mjs" ], stdout => $out,
        stderr => "$out.err");

    my $asked = wait_for(sub { (grep { !$was{$_} } $gw->pending)[0] }, 30);
    wait_for(sub { slurp("$out.err") =~ /Waiting/ }, 30);
    $gw->vote($asked, $decision, 'use the archive job');
    $process->wait_exit(30 * slow());

    return ($process->status, slurp($out), slurp("$out.err"));
}


my ($status, $out, $err) = example('approve');
is($status, 0, 'example, approved') or diag($err);
is($out, "db.drop orders " . ++$calls{json} . "\n", 'the answer');
like($err, qr/^Waiting for approval/m, 'and what it waited for');

($status, $out, $err) = example('deny');
is($out, '', 'example, denied');
like($err, qr/^denied: .*use the archive job/m, 'says why');
isnt($status, 0, 'and fails');

$gw->clean('mcp_sdk');
done_testing;
