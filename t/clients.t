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

use Digest::SHA qw(sha256_hex);

need_module();
need(qw(node npm curl wget http skopeo docker-registry));

my %ELSEWHERE = (
    'kubectl' => 'clients_kubectl.t', 'git push' => 'clients_git.t',
    'kubectl exec' => 'clients_kubectl.t',
);

# A process that prints its port in its first line

sub served {
    my ($dir, @cmd) = @_;

    spew("$dir/out", '');
    Approval::Process->start(cmd => \@cmd, stdout => "$dir/out",
                             stderr => "$dir/err");

    my ($port) = wait_for(sub { slurp("$dir/out") =~ /^(\d+)$/m ? $1 : 0 }, 60)
        or die "@cmd has not started: " . slurp("$dir/err");

    return $port;
}


# Servers of MCP and of gRPC

my $mcp = Approval::Npm::install('@modelcontextprotocol/sdk@1 mcp-remote@0');
my $inspector = Approval::Npm::install('@modelcontextprotocol/inspector@1');

spew("$mcp/$_", slurp(root_dir() . "/t/mcp/$_")) for qw(server.mjs client.mjs);

my $mcp_port = served($mcp, 'node', "$mcp/server.mjs", 'json');

my $js = Approval::Npm::install('@grpc/grpc-js@1');

spew("$js/grpc.mjs", slurp(root_dir() . '/t/clients/grpc.mjs'));

my $grpc_port = served($js, 'node', "$js/grpc.mjs", qw(held short soon));

# A registry of images, where agent-7 has a password, and an image

my $registry = tempdir();
my $registry_port = free_port();

spew("$registry/htpasswd", 'agent-7:' . crypt('x', '$2b$05$' . 'a' x 22));
spew("$registry/config.yml", <<"EOF");
version: 0.1
storage: {filesystem: {rootdirectory: $registry/images}}
http: {addr: "127.0.0.1:$registry_port", relativeurls: true}
auth: {htpasswd: {realm: images, path: $registry/htpasswd}}
EOF

Approval::Process->start(
    cmd => [ 'docker-registry', 'serve', "$registry/config.yml" ],
    stdout => "$registry/out", stderr => "$registry/err");

my $image = tempdir();
my $config = '{"architecture":"amd64","os":"linux","config":{},'
             . '"rootfs":{"type":"layers","diff_ids":[]}}';
my $digest = sha256_hex($config);

spew("$image/version", "Directory Transport Version: 1.1\n");
spew("$image/$digest", $config);
spew("$image/manifest.json", encode_json({
    schemaVersion => 2,
    mediaType => 'application/vnd.docker.distribution.manifest.v2+json',
    config => { mediaType => 'application/vnd.docker.container.image.v1+json',
                size => length $config, digest => "sha256:$digest" },
    layers => [] }));

# What "ai" takes for an answer; the others take anything

my $chat = encode_json({
    id => 'c1', object => 'chat.completion', created => 1, model => 'm',
    usage => { prompt_tokens => 1, completion_tokens => 1, total_tokens => 2 },
    choices => [ { index => 0, finish_reason => 'stop',
                   message => { role => 'assistant', content => 'ok' } } ] });

my $locations = <<"EOF";
        location / { proxy_pass %%UP%%; }
        location /v2/ { approval_requester \$remote_user;
                        approval_refusals oci;
                        proxy_pass http://127.0.0.1:$registry_port; }
        location /tests.Approval/ { grpc_pass grpc://127.0.0.1:$grpc_port; }
        location ~ /(?:openai|ai)/ { approval_refusals openai;
                                     proxy_pass %%UP%%; }
        location ~ /anthropic/ { approval_refusals anthropic;
                                 proxy_pass %%UP%%; }
EOF

my $gw = Approval::Gateway->new(repeat => undef, up => sub {
    my ($request) = @_;

    return $request->target =~ m{/ai/} && {
        headers => [ 'Content-Type' => 'application/json' ],
        body => $chat };
}, http => <<"HTTP", server => <<"SERVER");
    map \$http_authorization \$agent { "Bearer 7" agent-7; }
    approval_policy p {
        rule layers { match \$uri ~^/v2/.*/blobs/; allow; }
        rule read   { match \$request_method GET HEAD; allow; }
        rule held   { match \$uri ~/held;  require admins; timeout 60s;
                      notify hook; }
        rule short  { match \$uri ~/short; require admins; timeout 60s;
                      hold 3s; notify hook; }
        rule slow   { match \$uri ~/slow;  require admins; timeout 60s;
                      hold 1s status=429; notify hook; }
        rule soon   { match \$uri ~/soon;  require admins; timeout 2s;
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
        listen 127.0.0.1:%%PORT3%% http2;
        server_name gw.example;
        approval p;
        approval_requester \$http_x_agent;
        approval_disconnect cancel;
        location = /_notify { internal; proxy_pass %%HOOK%%; }
$locations
    }
HTTP
    listen 127.0.0.1:%%PORT2%% http2;
    approval p;
$locations
    location = /mcp { approval tools; proxy_http_version 1.1;
                      approval_requester \$agent;
                      proxy_set_header Connection "";
                      proxy_pass http://127.0.0.1:$mcp_port; }
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
    skopeo => sub { (qw(--dest-tls-verify=false --dest-creds agent-7:x),
                     "dir:$image", $_[0] =~ s/^http/docker/r . ':latest') },
);


sub is_grpc { $_[0]{name} =~ /grpc/ }


sub command {
    my ($row, $url) = @_;

    my ($program, @arg) = split ' ', $row->{name};
    my $more = $MORE{$program};

    return ($program, @arg, $more->($url)) if $more;
    return ('node', "$js/grpc.mjs", $url) if is_grpc($row);

    my $sdk = $row->{name} =~ s{^\@|-ai/sdk$}{}gr;

    return ('node', "$dir/sdk.mjs", $sdk, "$url/v1", 'chat');
}


# the client's request in a rule's path; the last part of it is the case's

sub start {
    my ($row, $path, %how) = @_;

    my $name = $row->{name} =~ s/ .*//r =~ s{^\@|-ai/sdk$}{}gr;
    my $url = 'http://127.0.0.1:'
              . $gw->ngx->port(($how{cancel} ? 1 : 0) + 2 * is_grpc($row));
    my ($rule) = $path =~ /^(\w+)/;
    my $out = tempdir() . '/out';
    my $process = Approval::Process->start(
        cmd => [ command($row, "$url/$rule/$name/$path"),
                 @{ $how{arg} // [] } ],
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


# what the upstreams have been told to do

sub executed {
    my $published = () = slurp("$registry/out") =~ m{"PUT \S+/manifests/}g;
    my $called = () = slurp("$js/out") =~ m{^/}mg;

    return $gw->up->count + $published + $called;
}


# what happened since the last time

my ($messages, $hits) = (0, 0);


sub counts {
    my ($name, $executed) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    wait_for(sub { executed() - $hits >= $executed });
    is(executed() - $hits, $executed, "$name: executions");
    ok(wait_for(sub { messages() > $messages }), "$name: people are asked");
    is(messages() - $messages, 1, "$name: once");

    ($messages, $hits) = (messages(), executed());
}


# the upstream's answer; skopeo prints only errors of it

sub answered {
    my ($job) = @_;

    return $job->{row}{name} =~ /^skopeo/ ? qr/\A(?!.*level=fatal)/s
                                          : qr/\bok\b/;
}


sub well {
    my ($job, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $text = told($job);

    like($text, answered($job), "$name: the upstream's answer");
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


# the error that the cell names

sub coded {
    my ($text, $cell) = @_;

    my ($code) = $cell =~ /^error (\w+)/ or return;

    like($text, qr/"(?:status|code)":"?$code\b/, $cell);
}


my $UNDECIDED = qr/Nobody has decided yet/;
my $AGAIN = 'continues to wait';

my %CASES = (
    held => sub {
        my ($row, $cell) = @_;
        my $job = start($row, 'held/approved');

        like($cell, qr{^waits\b}, 'it waits');
        $gw->vote(asked(), 'approve');
        well($job, 'held');
        counts('held', 1);
    },

    pending => sub {
        my ($row, $cell) = @_;
        my $job = start($row, 'short');
        my $id = asked();

        if ($cell =~ /; the same (?:command|call) $AGAIN$/) {
            my $says = $cell =~ /^prints the status 503/ ? qr/\b503\b/
                                                          : $UNDECIDED;

            coded(badly($job, $says, 'pending'), $cell);
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

        coded($text, $cell);
        like($cell, qr/^(?:error\ \w+\ with\ the\ comment,\ sent\ once
                          |prints\ (?:.*\ with\ )?the\ comment,\ fails)$/x,
             $cell);
        counts('denied', 0);
    },

    expired => sub {
        my ($row, $cell) = @_;
        my $text = badly(start($row, 'soon'), qr/Nobody decided in time/,
                         'expired');

        coded($text, $cell);
        like($cell, qr/^(?:error \w+, sent once|prints .*, fails)$/, $cell);
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
        like($text[1 - ($failed[0] // 0)], answered($jobs[0]),
             "$name: the other has the answer");
        counts($name, 1);
    },

    'given up' => sub {
        my ($row, $name) = @_;
        my $job = start($row, 'held/cancel', cancel => 1);
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
my @mcp = ('MCP TypeScript SDK', 'mcp-remote', 'mcp-inspector --cli');
my %other = (%ELSEWHERE, map { $_ => 1 } @mcp);
my @here = grep { !$other{$_} } sort keys %rows;

is_deeply([ @here ],
    [ '@anthropic-ai/sdk', '@grpc/grpc-js', 'ai',
      'curl --fail-with-body --retry 3', 'http --check-status --ignore-stdin',
      'openai', 'skopeo copy', 'wget --content-on-error' ],
    'the rows of programs that send HTTP');
is_deeply([ grep { !$rows{$_} } sort keys %other ], [],
          'those of MCP, and those that are run elsewhere');

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

# skopeo prints no message of a 503, but that of a 429

subtest 'skopeo, by 429' => sub {
    my $row = $rows{'skopeo copy'};

    badly(start($row, 'slow'), $UNDECIDED, 'pending');

    my $id = asked();
    my $job = start($row, 'slow');

    ok(joined($id, 1), 'the same command joins');
    $gw->vote($id, 'approve');
    well($job, 'approved');
    counts('approved', 1);
};

# A gRPC call with a deadline ends like one that is given up

subtest 'gRPC, with a deadline' => sub {
    my $job = start($rows{'@grpc/grpc-js'}, 'held/deadline', cancel => 1,
                    arg => [ 4 * slow() ]);
    my $id = asked();

    badly($job, qr/"DEADLINE_EXCEEDED"/, 'the client');
    ok(wait_for(sub { $gw->state($id) eq 'cancelled' }), 'it is cancelled');
    counts('a deadline', 0);
};

subtest 'gRPC, the store is away' => sub {
    $gw->redis->pause;
    badly(start($rows{'@grpc/grpc-js'}, 'held/away'),
          qr/"UNAVAILABLE".*store is unavailable/, 'the client');
    $gw->redis->resume;
    is(executed(), $hits, 'nothing is executed');
};

# MCP: the SDK's client without a progress handler, by itself and by mcp-remote;
# the inspector

sub call {
    my ($name, $table, $decision) = @_;

    my $out = tempdir() . '/out';
    my $url = $gw->ngx->url . '/mcp';
    my %call = (name => 'db.drop', arguments => { table => "$table-$name" },
                token => 7, progress => JSON::PP::false,
                remote => $name eq 'mcp-remote');

    my $process = Approval::Process->start(
        stdout => $out, stderr => "$out.err", env => { HOME => $mcp },
        cmd => $name =~ /^(mcp-inspector) (--cli)$/
            ? [ "$inspector/node_modules/.bin/$1", $2, $url,
                qw(--transport http --method tools/call --tool-name db.drop
                   --header), 'Authorization: Bearer 7', '--tool-arg',
                "table=$table-$name" ]
            : [ 'node', "$mcp/client.mjs", $url, encode_json(\%call) ]);

    $gw->vote(asked(), $decision, 'use the archive job') if $decision;
    $process->wait_exit(60 * slow()) or die "a client has not ended\n";

    my $told = eval { decode_json(slurp($out)) }
        or die slurp($out) . slurp("$out.err");

    return $told->{result} // $told;
}


# how long the SDK waits, in milliseconds, if it is not told

sub patience {
    my ($dir) = @_;

    my $file = '@modelcontextprotocol/sdk/shared/protocol.js';

    return `cd '$dir'; node -p 'require("$file").DEFAULT_REQUEST_TIMEOUT_MSEC'`;
}


for my $name (@mcp) {
    my $cell = $rows{$name}{cell};
    my $asked = $gw->audit('requested');
    my $executed = $gw->audit('executed');

    subtest $name => sub {
        is($cell->{held}, 'waits, at most 60 seconds', 'it waits');
        is(patience($name =~ /inspector/ ? $inspector : $mcp), "60000\n",
           'so long');
        like(call($name, 'held', 'approve')->{content}[0]{text},
             qr/^db.drop held-\Q$name\E \d+$/, "held: the server's answer");

        my $start = time;
        my $result = call($name, 'a');

        ok($result->{isError}, 'pending: a tool result');
        like($result->{content}[0]{text}, $UNDECIDED, $cell->{pending});
        cmp_ok(time - $start, '<', 30 * slow(), 'pending: as the hold ends');

        $gw->vote(asked(), 'approve');
        like(call($name, 'a')->{content}[0]{text},
             qr/^db.drop a-\Q$name\E \d+$/,
             'pending: the same call again is executed');

        $result = call($name, 'soon');
        ok($result->{isError}, 'expired: a tool result');
        like($result->{content}[0]{text}, qr/Nobody decided in time/,
             $cell->{expired});

        $result = call($name, 'held-2', 'deny');
        ok($result->{isError}, 'denied: a tool result');
        like($result->{content}[0]{text}, qr/use the archive job/,
             $cell->{denied});

        is($gw->audit('requested') - $asked, 4,
           'people were asked once for each');
        is($gw->audit('executed') - $executed, 2, 'two executions');
    };
}

$gw->clean('clients');
done_testing;
