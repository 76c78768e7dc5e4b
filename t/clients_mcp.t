#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# conf/examples/mcp-gateway.conf between the client and the server of the
# official MCP TypeScript SDK, directly and by mcp-remote: what the model reads,
# how often people are asked, and what is executed.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Example;
use Approval::Npm;
use Approval::Process;

need_module();
need(qw(node npm openssl redis-server));

my $dir = Approval::Npm::install('@modelcontextprotocol/sdk@1 mcp-remote@0');

spew("$dir/$_", slurp(root_dir() . "/t/mcp/$_")) for qw(server.mjs client.mjs);
spew("$dir/out", '');

Approval::Process->start(cmd => [ 'node', "$dir/server.mjs", 'json' ],
                         stdout => "$dir/out", stderr => "$dir/err");

my ($port) = wait_for(sub { slurp("$dir/out") =~ /^(\d+)$/m ? $1 : 0 })
    or die "the MCP server has not started: " . slurp("$dir/err");

sub Node::port { $_[0]{port} }

my $COMMENT = 'ask the customer first';
my $g;


# the file, but for the times of its rule for refunds

sub gateway {
    my ($times) = @_;

    $g = Approval::Example->start('mcp-gateway.conf',
        up => bless({ port => $port }, 'Node'), told => 2,
        runs => sub { scalar $_[0]->records('executed') },
        put => $times ? { 'timeout 30m;' => $times } : {});
}


sub start {
    my (%call) = @_;

    my $out = tempdir() . '/out';
    my $text = encode_json({ token => 7, name => 'create_refund',
                             progress => JSON::PP::false, %call });

    return { out => $out, process => Approval::Process->start(
        cmd => [ 'node', "$dir/client.mjs", $g->ngx->url . '/mcp', $text ],
        stdout => $out, stderr => "$out.err", env => { HOME => $dir }) };
}


sub refund {
    my ($order, %more) = @_;

    return start(arguments => { order => $order, amount => 500 }, %more);
}


sub told {
    my ($job) = @_;

    $job->{process}->wait_exit(90 * slow()) or die "a client has not ended\n";

    my $text = slurp($job->{out});

    return $text ? decode_json($text) : die slurp("$job->{out}.err");
}


sub said {
    my ($told) = @_;

    return $told->{result} ? $told->{result}{content}[0]{text}
                           : encode_json($told);
}


gateway();

# What passes

is(said(told(start(name => 'list_orders', arguments => { order => 'a' }))),
   'list_orders a 1', 'reading passes');
is(said(told(start(arguments => { order => 'a', amount => 5 }))),
   'create_refund a 1', 'a small refund passes');
like(said(told(start(name => 'run_command', arguments => { line => 'id' }))),
     qr/agents run no commands here/, 'a command is denied, and it says why');

{
    my $told = told(start(token => 'x', arguments => { order => 'a',
                                                       amount => 500 }));
    like(said($told), qr/not identified/, 'nor does an unknown agent pass');
}

$g->counts('of no concern', 0, 0);

for my $by ('', '-remote') {
    my @by = $by ? (remote => 1) : ();

    # Approved; in parallel

    {
        my $job = refund("b$by", @by);
        my $id = $g->asked;

        is_deeply([ sort keys %{ $g->links($id, 2) } ],
                  [ 'carol@example.com', 'dan@example.com' ],
                  'finance is asked');
        is($g->vote($id, 'approve', $COMMENT), 200, 'approved');
        like(said(told($job)), qr/^create_refund b\S* \d$/,
             "approved: the server's answer");
        $g->counts('approved', 1, 1);

        my @jobs = map { refund("c$by", @by) } 1, 2;

        $id = $g->asked;
        ok($g->joined($id), 'parallel: the second joins');
        $g->vote($id, 'approve', $COMMENT);

        my @said = sort map { said(told($_)) } @jobs;

        like($said[0], qr/approval has been used/, 'parallel: one is told so');
        like($said[1], qr/^create_refund c\S* \d$/,
             'parallel: the other has the answer');
        $g->counts('parallel', 1, 1);
    }

    # Denied; the same call again at once is denied as well, and nobody is asked

    {
        my $job = refund("d$by", @by);

        $g->vote($g->asked, 'deny', $COMMENT);

        my $told = told($job);

        ok($told->{result}{isError}, 'denied: a tool result');
        like(said($told), qr/ask the customer first/,
             'denied: with the comment');
        like(said(told(refund("d$by", @by))),
             qr/before .*ask the customer first/, 'again: the same');
        $g->counts('denied', 1, 0);
    }

    # Given up: by its timeout, after which the SDK says so; by its end

    {
        my $job = refund("e$by", @by, options => { timeout => 1000 },
                         until => "$dir/go$by");
        my $id = $g->asked;

        ok(wait_for(sub { $g->records('cancelled', $id) }),
           'timeout: it is cancelled');
        is($g->vote($id, 'approve', $COMMENT), 409, 'timeout: a vote is late');
        spew("$dir/go$by", '');
        is(told($job)->{error}{code}, -32001, 'timeout: the caller is told');
        $g->counts('timeout', 1, 0);

        $job = refund("f$by", @by);
        $id = $g->asked;
        $job->{process}->kill_group;
        ok(wait_for(sub { $g->records('cancelled', $id) }),
           'killed: it is cancelled');
        is($g->vote($id, 'approve', $COMMENT), 409, 'killed: a vote is late');
        $g->counts('killed', 1, 0);
    }
}

# The requester withdraws by the status URL

{
    my $job = refund('g');
    my $id = $g->asked;
    my $withdraw = sub {
        return Approval::Client->new($g->port)->request(
            DELETE => "/_approval/status/$id",
            headers => [ Authorization => "Bearer $_[0]" ])->status;
    };

    is($withdraw->('x'), 403, 'withdrawn: by nobody else');
    is($withdraw->(7), 200, 'withdrawn');
    like(said(told($job)), qr/was cancelled/, 'withdrawn: the model reads it');
    $g->counts('withdrawn', 1, 0);
}

# Notifications

{
    my $told = told(start(notification => {
        method => 'notifications/progress',
        params => { progressToken => 1, progress => 1 } }));

    is($told->{error}, undef, 'a notification passes');
    $g->counts('a notification', 0, 0);

    my %call = (notification => {
        method => 'tools/call', params => { name => 'create_refund',
            arguments => { order => 'h', amount => 500 } } });
    my $job = start(%call);
    my $id = $g->asked;

    $g->vote($id, 'approve', $COMMENT);
    is(told($job)->{error}, undef, 'a call without an id, approved');
    $g->counts('without an id, approved', 1, 1);

    $call{notification}{params}{arguments}{order} = 'i';
    $job = start(%call);
    $g->vote($g->asked, 'deny', $COMMENT);
    like(told($job)->{error}{message}, qr/ask the customer first/,
         'a call without an id, denied: the caller sees the comment');
    $g->counts('without an id, denied', 1, 0);
}

# Pending: the same call again, by another client with other ids, goes on

gateway('timeout 30m; hold 2s;');

for my $by ('', '-remote') {
    my @by = $by ? (remote => 1) : ();
    my $told = told(refund("j$by", @by));
    my $id = $g->asked;

    ok($told->{result}{isError}, 'pending: a tool result');
    like(said($told), qr/Nobody has decided yet/,
         'pending: the model reads it');
    is($told->{result}{_meta}{approval}{state}, 'pending',
       'pending: its state');

    my $job = refund("j$by", @by);

    ok($g->joined($id), 'pending: it joins');
    is($g->vote($id, 'approve', $COMMENT), 200, 'pending: approved');
    like(said(told($job)), qr/^create_refund j\S* \d$/, "pending: the answer");
    $g->counts('pending', 1, 1);
}

like(told(start(notification => { method => 'tools/call', params => {
         name => 'create_refund', arguments => { order => 'k' } } }))
         ->{error}{message}, qr/Nobody has decided yet/,
     'a call without an id, pending: an error, and not a 202');
$g->counts('without an id, pending', 1, 0);

# Expired

gateway('timeout 2s;');

for my $by ('', '-remote') {
    like(said(told(refund("l$by", $by ? (remote => 1) : ()))),
         qr/Nobody decided in time/, 'expired: the model reads it');
    $g->counts("expired$by", 1, 0);
}

done_testing();
