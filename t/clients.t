#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The table of clients in docs/agents.md, cell by cell, by the commands that
# stand there: what the person sees, how many messages there are, and how many
# executions.  The rows of %ELSEWHERE are run by other tests.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;
use Approval::Npm;
use Approval::Process;

need_module();
need(qw(node npm curl wget http));

my %ELSEWHERE = (
    'kubectl' => 'clients_kubectl.t', 'git push' => 'clients_git.t',
    'kubectl exec' => 'clients_kubectl.t',
);
my $MCP = 'MCP TypeScript SDK';

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

my $locations = <<'EOF';
        location / { proxy_pass %%UP%%; }
        location ~ /(?:openai|ai)/ { approval_refusals openai;
                                     proxy_pass %%UP%%; }
        location ~ /anthropic/ { approval_refusals anthropic;
                                 proxy_pass %%UP%%; }
EOF

my $gw = Approval::Gateway->new(repeat => undef, up => sub {
    my ($request) = @_;

    return $request->target =~ m{/ai/} && {
        headers => [ 'Content-Type' => 'application/json' ],
        body => $answer };
}, http => <<"HTTP", server => <<"SERVER");
    approval_policy p {
        rule held  { match \$uri ~/held/;  require admins; timeout 60s;
                     notify hook; }
        rule short { match \$uri ~/short/; require admins; timeout 60s;
                     hold 3s; notify hook; }
        rule soon  { match \$uri ~/soon/;  require admins; timeout 2s;
                     notify hook; }
    }
    approval_policy tools {
        rule held  { match \$request_method POST; mcp_tool db.drop;
                     match json:/params/arguments/table ^held;
                     require admins; timeout 60s; notify hook; }
        rule soon  { match \$request_method POST; mcp_tool db.drop;
                     match json:/params/arguments/table ^soon;
                     require admins; timeout 2s; notify hook; }
        rule short { match \$request_method POST; mcp_tool db.drop;
                     require admins; hold 1s; timeout 60s; notify hook; }
    }
    server {
        listen 127.0.0.1:%%PORT1%%;
        server_name gw.example;
        approval p;
        approval_requester \$http_x_agent;
        approval_disconnect cancel;
        location = /_notify { internal; proxy_pass %%HOOK%%; }
$locations
    }
HTTP
    approval p;
$locations
    location = /mcp { approval tools; proxy_http_version 1.1;
                      proxy_set_header Connection "";
                      proxy_pass http://127.0.0.1:$port; }
SERVER

my $dir = Approval::Npm::install(Approval::Npm::LLM);

spew("$dir/sdk.mjs", slurp(root_dir() . '/t/clients/sdk.mjs'));


# The rows: the code and the words of the first cell, then a cell for each case

sub rows {
    my ($table) = slurp(root_dir() . '/docs/agents.md')
        =~ /^\| client \| held \| .*?\n\|---.*?\n(.*?)^$/ms;

    return map {
        my ($client, %cell);

        (undef, $client, @cell{qw(held pending denied expired)}) =
            split / ?\| ?/;
        +{ client => $client, cell => \%cell,
           name => $client =~ /^`([^`]+)`/ ? $1
                   : $client =~ /^([^,]+),/ ? $1 : $client }
    } split /\n/, $table;
}


# The command of a row, and what makes a request of it

my %MORE = (
    curl => sub { (qw(-sS -X POST -H), 'X-Agent: agent-7', '-d', 'x=1', @_) },
    wget => sub { (qw(-O - --header), 'X-Agent: agent-7', '--post-data', 'x=1',
                   @_) },
    http => sub { ('POST', @_, 'X-Agent:agent-7', 'x=1') },
);


sub command {
    my ($row, $url) = @_;

    my ($program, @arg) = split ' ', $row->{name};
    my $more = $MORE{$program};

    return ($program, @arg, $more->($url)) if $more;

    my $sdk = $row->{name} =~ s{^\@|-ai/sdk$}{}gr;

    return ('node', "$dir/sdk.mjs", $sdk, "$url/v1", 'chat');
}


# the client's request in a rule's path; the last part of it is the case's

sub start {
    my ($row, $path, %how) = @_;

    my $name = $row->{name} =~ s/ .*//r =~ s{^\@|-ai/sdk$}{}gr;
    my $url = 'http://127.0.0.1:' . $gw->ngx->port($how{port} // 0);
    my ($rule) = $path =~ /^(\w+)/;
    my $out = tempdir() . '/out';
    my $process = Approval::Process->start(
        cmd => [ command($row, "$url/$rule/$name/$path"), @{ $how{arg} // [] } ],
        stdout => $out, stderr => "$out.err");

    return { process => $process, out => $out, row => $row };
}


sub told {
    my ($job) = @_;

    $job->{process}->wait_exit(60 * slow()) or die "a client has not ended\n";

    return slurp($job->{out}) . slurp("$job->{out}.err");
}


# whether it says so to the script that has started it: an SDK throws

sub fails {
    my ($job, $text) = @_;

    return $job->{process}->status != 0 || $text =~ /"error":\{.*"status":\d/;
}


sub asked { return wait_for(sub { ($gw->pending)[0] }, 30) }


sub joined {
    my ($id, $n) = @_;

    return wait_for(sub {
        $n <= grep { $_->{action_id} eq $id } $gw->audit('joined');
    }, 30);
}


# the messages that ask people

sub messages {
    return scalar grep { $_->json->{type} eq 'approval.requested' }
                       $gw->hook->messages;
}


# what happened since the last time

my ($messages, $hits) = (0, 0);


sub counts {
    my ($name, $executed) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($gw->up->count - $hits, $executed, "$name: executions");
    ok(wait_for(sub { messages() > $messages }), "$name: people are asked");
    is(messages() - $messages, 1, "$name: once");

    ($messages, $hits) = (messages(), $gw->up->count);
}


sub well {
    my ($job, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $text = told($job);

    like($text, qr/\bok\b/, "$name: the upstream's answer");
    ok(!fails($job, $text), "$name: and it ends well") or diag($text);
}


sub badly {
    my ($job, $says, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $text = told($job);

    like($text, $says, "$name: says so");
    ok(fails($job, $text), "$name: and fails");

    return $text;
}


my $UNDECIDED = qr/Nobody has decided yet/;
my $AGAIN = 'continues to wait';

my %CASES = (
    held => sub {
        my ($row, $cell) = @_;
        my $job = start($row, 'held/approved');

        is($cell, 'waits', 'it waits');
        $gw->vote(asked(), 'approve');
        well($job, 'held');
        counts('held', 1);
    },

    pending => sub {
        my ($row, $cell) = @_;
        my $job = start($row, 'short');
        my $id = asked();

        if ($cell =~ /^prints "Nobody has decided yet", fails; .* $AGAIN$/) {
            badly($job, $UNDECIDED, 'pending');
            $job = start($row, 'short');

        } else {
            like($cell, qr/^sends the request again .*, and $AGAIN$/, $cell);
        }

        ok(joined($id, 1), 'pending: it comes back');
        $gw->vote($id, 'approve');
        well($job, 'pending');
        counts('pending', 1);
    },

    denied => sub {
        my ($row, $cell) = @_;
        my $job = start($row, 'held/denied');

        $gw->vote(asked(), 'deny', 'use the archive job');
        my $text = badly($job, qr/use the archive job/, 'denied');

        like($text, qr/"status":403/, $cell)
            if $cell eq 'error 403 with the comment, sent once';
        like($cell, qr/^(?:error 403|prints the answer) with the comment, /,
             $cell);
        counts('denied', 0);
    },

    expired => sub {
        my ($row, $cell) = @_;
        my $text = badly(start($row, 'soon'), qr/Nobody decided in time/,
                         'expired');

        like($text, qr/"status":403/, $cell) if $cell eq 'error 403, sent once';
        like($cell, qr/^(?:error 403, sent once|prints the answer, fails)$/,
             $cell);
        counts('expired', 0);
    },
);

# ... and what the table does not say, of each client alike

my %MORE_CASES = (
    'interrupted, and sent again' => sub {
        my ($row, $name) = @_;
        my $job = start($row, 'held/again');
        my $id = asked();

        # an action that nobody has been told of would end with it

        wait_for(sub { messages() > $messages });
        $job->{process}->kill_group;
        $job = start($row, 'held/again');
        ok(joined($id, 1), "$name: it joins");
        $gw->vote($id, 'approve');
        well($job, $name);
        counts($name, 1);
    },

    parallel => sub {
        my ($row, $name) = @_;
        my @jobs = start($row, 'held/parallel');
        my $id = asked();

        push @jobs, start($row, 'held/parallel');
        ok(joined($id, 1), "$name: the second one joins");
        $gw->vote($id, 'approve');

        my @text = map { told($_) } @jobs;
        my @failed = grep { fails($jobs[$_], $text[$_]) } 0, 1;

        is(scalar @failed, 1, "$name: one of them fails");
        like($text[$failed[0] // 0], qr/approval has been used/,
             "$name: and says why");
        like($text[1 - ($failed[0] // 0)], qr/\bok\b/,
             "$name: the other has the answer");
        counts($name, 1);
    },

    'given up' => sub {
        my ($row, $name) = @_;
        my $job = start($row, 'held/cancel', port => 1);
        my $id = asked();

        wait_for(sub { messages() > $messages });
        $job->{process}->kill_group;
        ok(wait_for(sub { $gw->state($id) eq 'cancelled' }),
           "$name: the action is cancelled");
        is($gw->vote($id, 'approve')->status, 409, "$name: a vote is late");
        counts($name, 0);
    },
);

my %rows = map { $_->{name} => $_ } rows();
my @here = grep { $_ ne $MCP && !$ELSEWHERE{$_} } sort keys %rows;

is_deeply([ @here ],
    [ '@anthropic-ai/sdk', 'ai', 'curl --fail-with-body --retry 3',
      'http --check-status --ignore-stdin', 'openai',
      'wget --content-on-error' ], 'the rows that are run here');
is_deeply([ grep { !$rows{$_} } sort keys %ELSEWHERE, $MCP ], [],
          'and those that are run elsewhere');

for my $name (@here) {
    my $row = $rows{$name};

    subtest $name => sub {
        $CASES{$_}->($row, $row->{cell}{$_}) for sort keys %CASES;
        $MORE_CASES{$_}->($row, $_) for sort keys %MORE_CASES;
    };
}

# wget itself sends the request again after its timeout

subtest 'wget, after its timeout' => sub {
    my $job = start($rows{'wget --content-on-error'}, 'held/timeout',
                    arg => [ '--read-timeout=2' ]);
    my $id = asked();

    ok(joined($id, 1), 'it comes back');
    $gw->vote($id, 'approve');
    well($job, 'approved');
    counts('approved', 1);
};

# curl's answers before the last one are not in its file

subtest 'curl, with a file' => sub {
    my $file = tempdir() . '/answer';
    my $job = start($rows{'curl --fail-with-body --retry 3'}, 'short/file',
                    arg => [ '-o', $file ]);
    my $id = asked();

    ok(joined($id, 1), 'it comes back');
    $gw->vote($id, 'approve');
    told($job);
    is(slurp($file), "ok\n", 'the answer alone');
    counts('approved', 1);
};

# The MCP SDK's client without a progress handler, and its timeout of 60 s

sub call {
    my ($table, $decision) = @_;

    my $out = tempdir() . '/out';
    my $text = '{"name":"db.drop","arguments":{"table":"' . $table . '"},'
               . '"progress":false}';

    my $process = Approval::Process->start(
        cmd => [ 'node', "$mcp/client.mjs", $gw->ngx->url . '/mcp', $text ],
        stdout => $out, stderr => "$out.err");

    $gw->vote(asked(), $decision, 'use the archive job') if $decision;
    $process->wait_exit(60 * slow()) or die "a client has not ended\n";

    return decode_json(slurp($out));
}


subtest $MCP => sub {
    my $cell = $rows{$MCP}{cell};
    my $told = call('held', 'approve');

    is($cell->{held}, 'waits, at most 60 seconds', 'it waits');
    is($told->{result}{content}[0]{text}, 'db.drop held 1',
       "held: the server's answer");

    $told = call('a');
    is($told->{error}, undef, 'pending: no error');
    ok($told->{result}{isError}, 'pending: a tool result');
    like($told->{result}{content}[0]{text}, $UNDECIDED, $cell->{pending});
    cmp_ok($told->{ms}, '<', 30_000 * slow(), 'pending: as the hold ends');

    $gw->vote(asked(), 'approve');
    is(call('a')->{result}{content}[0]{text}, 'db.drop a 2',
       'pending: the same call again is executed');

    $told = call('soon');
    like($told->{result}{content}[0]{text}, qr/Nobody decided in time/,
         $cell->{expired});

    $told = call('held-2', 'deny');
    like($told->{result}{content}[0]{text}, qr/use the archive job/,
         $cell->{denied});
    is(scalar(grep { ($_->{target} // '') eq '/mcp' } $gw->audit('requested')),
       4, 'people were asked once for each');
    is(scalar(grep { $_->{action} =~ /^(?:held|short)$/
                     && $_->{policy} eq 'tools' } $gw->audit('executed')), 2,
       'two executions');
};

$gw->clean('clients');
done_testing;
