#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# conf/examples/llm-egress.conf, driven by the SDKs of OpenAI, of Anthropic and
# of Vercel: what passes, what is asked, what the caller sees, and what the
# provider gets.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Example;
use Approval::Npm;
use Approval::Process;

need_module();
need(qw(node npm openssl redis-server));

my $dir = Approval::Npm::install(Approval::Npm::LLM);

spew("$dir/$_", slurp(root_dir() . "/t/clients/$_")) for qw(sdk.mjs provider.mjs);
spew("$dir/log", '');

Approval::Process->start(cmd => [ 'node', "$dir/provider.mjs", "$dir/go" ],
                         stdout => "$dir/log", stderr => "$dir/err");

my ($provider) = wait_for(sub { slurp("$dir/log") =~ /^(\d+)$/m ? $1 : 0 })
    or die "the provider has not started: " . slurp("$dir/err");

my $g = Approval::Example->start('llm-egress.conf', told => 2,
                                 runs => sub { scalar calls() }, put => {
    'https://$provider' => 'http://$provider',
    (map { ("api.$_.com" => "127.0.0.1:$provider") } qw(openai anthropic)),
    'server_name anthropic.example.com;' =>
        'server_name anthropic.example.com; listen 127.0.0.1:%%PORT1%%;',
});

my %url = (openai => $g->ngx->url . '/v1', ai => $g->ngx->url . '/v1',
           anthropic => 'http://127.0.0.1:' . $g->ngx->port(1));

# what the provider gets as its key

my $bearer = 'Bearer put-the-key-here ';
my %key = (openai => $bearer, ai => $bearer,
           anthropic => ' put-the-key-here');


sub start {
    my ($sdk, $call, %env) = @_;

    my $out = tempdir() . '/out';

    spew("$out.err", '');

    return { out => $out, process => Approval::Process->start(
        cmd => [ 'node', "$dir/sdk.mjs", $sdk, $url{$sdk}, $call ],
        env => { KEY => '7', %env }, stdout => $out, stderr => "$out.err") };
}


sub told {
    my ($job) = @_;

    $job->{process}->wait_exit(60 * slow()) or die "an SDK has not ended\n";

    my $text = slurp($job->{out});

    return $text ? decode_json($text) : die slurp("$job->{out}.err");
}


# what the provider has got

sub calls {
    my (undef, @lines) = split /\n/, slurp("$dir/log");

    return @lines;
}


my $COMMENT = 'use the small model';


# What passes, and by which key

for my $sdk (qw(openai anthropic ai)) {
    my $told = told(start($sdk, 'chat'));

    like(encode_json($told->{answer} // $told), qr/"ok"/, "$sdk: a call passes");

    $g->counts("$sdk, a call", 0, 1);
    like((calls())[-1], qr/ \Q$key{$sdk}\E$/,
         "$sdk: the provider gets its own key");
}

ok(!told(start('openai', 'tool'))->{error}, 'a function of the client passes');
$g->counts('a function', 0, 1);

is(told(start('openai', 'chat', KEY => 'other'))->{error}{status}, 401,
   'an unknown key is refused');
is(told(start('openai', 'assistant'))->{error}{status}, 403,
   'what has no rule is denied');
$g->counts('refused', 0, 0);

# Streams come as the provider sends them

for my $sdk (qw(openai anthropic ai)) {
    my $job = start($sdk, 'stream');

    ok(wait_for(sub { slurp("$job->{out}.err") =~ /one/ }),
       "$sdk: the first part comes before the second is sent");
    spew("$dir/go", '');
    ok(!told($job)->{error}, "$sdk: the stream ends well");
    like(slurp("$job->{out}.err"), qr/one.*two/s, "$sdk: and is whole");
    unlink("$dir/go");
    $g->counts("$sdk, a stream", 0, 1);
}

# What is held: approved

for my $case ([ openai => 'upload', 'POST /v1/files' ],
              [ openai => 'batch', 'POST /v1/batches' ],
              [ openai => 'tune', 'POST /v1/fine_tuning/jobs' ],
              [ openai => 'search', 'POST /v1/responses' ],
              [ anthropic => 'upload', 'POST /v1/files' ],
              [ anthropic => 'batch', 'POST /v1/messages/batches' ],
              [ anthropic => 'search', 'POST /v1/messages' ])
{
    my ($sdk, $call, $request) = @$case;
    my $job = start($sdk, $call);

    is($g->vote($g->asked, 'approve', $COMMENT), 200, 'approve: counts');
    ok(!told($job)->{error}, "$sdk, $call: approved");

    $g->counts("$sdk, $call", 1, 1);
    like((calls())[-1], qr/^\Q$request\E /,
         "$sdk, $call: the provider's answer");
}

# ... and denied: once, with the comment

for my $case ([ openai => 'costly' ], [ anthropic => 'costly' ],
              [ ai => 'costly' ], [ openai => 'upload' ])
{
    my ($sdk, $call) = @$case;
    my $job = start($sdk, $call);

    is($g->vote($g->asked, 'deny', $COMMENT), 200, 'deny: counts');

    my $error = told($job)->{error};

    is($error->{status}, 403, "$sdk, $call: denied");
    like($error->{message}, qr/use the small model/, "$sdk, $call: the comment");
    $g->counts("$sdk, $call, denied", 1, 0);
}

# Who may use costly models may do so for a while

{
    my $job = start('openai', 'research');

    is($g->vote($g->asked, 'approve', $COMMENT), 200, 'approve: counts');
    ok(!told($job)->{error}, 'a costly model, approved');
    ok(!told(start('ai', 'research'))->{error}, 'and again, of itself');
    $g->counts('a grant', 1, 2);
}

done_testing;
