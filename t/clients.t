#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Clients with their defaults, as docs/agents.md has them in its table: what
# the person sees, how many messages there are, and how many executions.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;
use Approval::Npm;
use Approval::Process;

need_module();
need(qw(node npm curl));

my $mcp = Approval::Npm::install('@modelcontextprotocol/sdk@1');

spew("$mcp/$_", slurp(root_dir() . "/t/mcp/$_")) for qw(server.mjs client.mjs);
spew("$mcp/out", '');

Approval::Process->start(cmd => [ 'node', "$mcp/server.mjs", 'json' ],
                         stdout => "$mcp/out", stderr => "$mcp/err");

my ($port) = wait_for(sub { slurp("$mcp/out") =~ /^(\d+)$/m ? $1 : 0 }, 60)
    or die "the MCP server has not started: " . slurp("$mcp/err");

# What the SDKs take for an answer

my $answer = encode_json({
    id => 'c1', object => 'chat.completion', created => 1, model => 'm',
    usage => { prompt_tokens => 1, completion_tokens => 1, total_tokens => 2 },
    choices => [ { index => 0, finish_reason => 'stop',
                   message => { role => 'assistant', content => 'ok' } } ] });

my $gw = Approval::Gateway->new(up => sub {
    my ($request) = @_;

    return $request->target =~ m{/ai/} && {
        headers => [ 'Content-Type' => 'application/json' ],
        body => $answer };
}, http => <<'HTTP', server => <<"SERVER");
    approval_policy p {
        rule held  { match $uri ~/held/;  require admins; timeout 60s;
                     notify hook; }
        rule short { match $uri ~/short/; require admins; timeout 60s;
                     hold 3s; notify hook; }
        rule soon  { match $uri ~/soon/;  require admins; timeout 2s;
                     notify hook; }
    }
    approval_policy tools {
        rule drop { match $request_method POST; mcp_tool db.drop;
                    match json:/params/arguments/table !brief;
                    require admins; hold 1s; timeout 60s; notify hook; }
        rule brief { match $request_method POST; mcp_tool db.drop;
                     require admins; timeout 2s; notify hook; }
    }
HTTP
    approval p;
    location / { proxy_pass %%UP%%; }
    location ~ /(?:open)?ai/ { approval_refusals openai; proxy_pass %%UP%%; }
    location ~ /anthropic/ { approval_refusals anthropic; proxy_pass %%UP%%; }
    location = /mcp { approval tools; proxy_http_version 1.1;
                      proxy_set_header Connection "";
                      proxy_pass http://127.0.0.1:$port; }
SERVER

my $dir = Approval::Npm::install(Approval::Npm::LLM);

spew("$dir/sdk.mjs", slurp(root_dir() . '/t/clients/sdk.mjs'));


# A client's request in a rule's path; what it said at its end

my %command = (
    curl => sub { (qw(curl -sS --fail-with-body --retry 3 -X POST -H),
                   'X-Agent: agent-7', '-d', 'x=1', $_[0]) },
    map { my $sdk = $_; ($sdk => sub { ('node', "$dir/sdk.mjs", $sdk, $_[0],
                                        'chat') }) } qw(openai anthropic ai),
);


sub start {
    my ($client, $rule) = @_;

    my $out = tempdir() . '/out';
    my $process = Approval::Process->start(
        cmd => [ $command{$client}->($gw->ngx->url . "/$rule/$client/v1") ],
        stdout => $out, stderr => "$out.err");

    return { process => $process, out => $out };
}


sub told {
    my ($job) = @_;

    $job->{process}->wait_exit(60 * slow()) or die "a client has not ended\n";

    return slurp($job->{out}) . slurp("$job->{out}.err");
}


sub asked { return wait_for(sub { ($gw->pending)[0] }, 30) }


# the messages that ask people

sub messages {
    return scalar grep { $_->json->{type} eq 'approval.requested' }
                       $gw->hook->messages;
}


for my $client (sort keys %command) {
    my ($messages, $hits) = (messages(), $gw->up->count);

    my $counts = sub {
        my ($name, $executed) = @_;

        is($gw->up->count - $hits, $executed, "$client, $name: executions");
        ok(wait_for(sub { messages() > $messages }),
           "$client, $name: people are asked");
        is(messages() - $messages, 1, "$client, $name: once");

        ($messages, $hits) = (messages(), $gw->up->count);
    };

    my $job = start($client, 'held');
    $gw->vote(asked(), 'approve');
    like(told($job), qr/\bok\b/, "$client, held: the upstream's answer");
    $counts->('held', 1);

    $job = start($client, 'held');
    $gw->vote(asked(), 'deny', 'use the archive job');
    like(told($job), qr/use the archive job/, "$client, denied: the comment");
    $counts->('denied', 0);

    $job = start($client, 'short');
    my $id = asked();
    ok(wait_for(sub { grep { $_->{action_id} eq $id } $gw->audit('joined') }, 30),
       "$client, pending: it comes back by itself");
    $gw->vote($id, 'approve');
    like(told($job), qr/\bok\b/, "$client, pending: the upstream's answer");
    $counts->('pending', 1);

    $job = start($client, 'soon');
    like(told($job), qr/Nobody decided in time/, "$client, expired: says so");
    $counts->('expired', 0);
}

# The MCP SDK's client without a progress handler, and its timeout of 60 s

sub call {
    my ($name, $decision) = @_;

    my $out = tempdir() . '/out';
    my $text = '{"name":"db.drop","arguments":{"table":"' . $name . '"},'
               . '"progress":false}';

    my $process = Approval::Process->start(
        cmd => [ 'node', "$mcp/client.mjs", $gw->ngx->url . '/mcp', $text ],
        stdout => $out, stderr => "$out.err");

    $gw->vote(asked(), $decision, 'use the archive job') if $decision;
    $process->wait_exit(60 * slow()) or die "a client has not ended\n";

    return decode_json(slurp($out));
}


{
    my $messages = messages();
    my $told = call('a');

    is($told->{error}, undef, 'mcp, pending: no error');
    ok($told->{result}{isError}, 'mcp, pending: a tool result');
    like($told->{result}{content}[0]{text}, qr/Nobody has decided yet/,
         'mcp, pending: the model reads it');
    cmp_ok($told->{ms}, '<', 30_000 * slow(), 'mcp, pending: as the hold ends');

    $gw->vote(asked(), 'approve');
    is(call('a')->{result}{content}[0]{text}, 'db.drop a 1',
       'mcp, pending: the same call again is executed');
    is(messages() - $messages, 1, 'mcp, pending: people were asked once');

    $told = call('brief');
    like($told->{result}{content}[0]{text}, qr/Nobody decided in time/,
         'mcp, expired: the model reads it');

    $told = call('b', 'deny');
    like($told->{result}{content}[0]{text}, qr/use the archive job/,
         'mcp, denied: the model reads the comment');
    is(scalar(grep { $_->{action} eq 'drop' } $gw->audit('executed')), 1,
       'mcp: one execution');
}

$gw->clean('clients');
done_testing;
