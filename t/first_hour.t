#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The first hour as it is written: conf/init.sh, then README.md's gateway or one
# file of conf/examples, on a Redis without a password, and a request that waits
# until somebody approves it.  Workers are not root.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Example;
use Approval::Exim;
use Approval::Kubernetes;
use Approval::Oidc;

need('redis-server', 'openssl', 'curl', 'exim4');
need_module();
plan(skip_all => 'Exim lets only root run it as a server') if $> != 0;

my @json = (-H => 'Content-Type: application/json');
my %played;


# --- the script by itself

{
    my $dir = tempdir();
    my $said = Approval::Example::init($dir);
    my %mode = map { $_ => sprintf('%o', (stat "$dir/$_")[2] & 07777) }
               qw(approval approval/secret approval/signing.pem
                  approval/public.pem approval/webhook approval/agents
                  approval/passwords tls tls/server.pem tls/server.key);

    is_deeply(\%mode, {
        'approval' => '750', 'approval/secret' => '600',
        'approval/signing.pem' => '600', 'approval/public.pem' => '644',
        'approval/webhook' => '600', 'approval/agents' => '600',
        'approval/passwords' => '640', 'tls' => '755',
        'tls/server.pem' => '644', 'tls/server.key' => '600' },
        'files have the right modes');

    my $group = (getpwnam('nobody'))[3];

    is_deeply([ map { join ':', (stat "$dir/$_")[4, 5] }
                    qw(approval approval/passwords approval/secret) ],
              [ "0:$group", "0:$group", '0:0' ], 'and the right owners');

    like($said, qr/^ +alice\@example\.com +\S{16}$/m, 'passwords are told');
    like($said, qr/^ +nginx -t && nginx -s reload$/m, 'and the next step');

    my %old = map { $_ => slurp($_) } glob("$dir/approval/* $dir/tls/*");

    unlike(Approval::Example::init($dir), qr/Created:|alice/,
           'again, nothing is made');
    is_deeply({ map { $_ => slurp($_) } keys %old }, \%old,
              'and nothing is changed');

    unlink "$dir/approval/webhook";
    like(Approval::Example::init($dir),
         qr{^Created:\n +\S+/approval/webhook\n\n}m, 'what is missing is made');

    my $out = `sh @{[ root_dir() ]}/conf/init.sh --dir $dir /nowhere 2>&1`;

    isnt($?, 0, 'a file that is not there ends it');
    like($out, qr{^init\.sh: "/nowhere" cannot be read$}m, 'and is named');
}


# --- README.md's gateway, with the commands that stand below it

{
    my $exim = Approval::Exim->new;
    my $g = started('README.md', smtp => $exim, put => {
        'smtp://127.0.0.1' => 'smtp://127.0.0.1:' . $exim->port });
    my $readme = slurp(root_dir() . '/README.md');
    my ($commands) = $readme =~ /^```\n(key=.*?)^```$/ms;
    my $prefix = $g->ngx->prefix;
    my $out = "$prefix/first";

    $commands =~ s{/etc/nginx/}{$prefix/};
    $commands =~ s{curl}{exec curl --connect-to ::127.0.0.1:@{[ $g->port ]}};

    my $first = Approval::Process->start(cmd => [ 'sh', '-c', $commands ],
                                         stdout => $out, stderr => $out);
    my $id = $g->pending;

    ok($id, 'the first request waits') or diag(slurp($out));
    is($g->up->count, 0, 'and is not forwarded');

    my @alice = (-u => 'alice@example.com:'
                       . $g->password('alice@example.com'));

    like($g->curl(@alice, -H => 'Accept: text/html',
                  'https://gw.example.com/_desk/')->body,
         qr{DELETE /v1/customers/4711}, 'it is in the inbox');
    is($g->curl('https://gw.example.com/_desk/')->status, 401,
       'for those who have a password');
    is(decide($g, "https://gw.example.com/_desk/actions/$id", @alice), 200,
       'alice approves');

    ok($first->wait_exit(60 * slow()), 'and the request goes on');
    like(slurp($out), qr{^HTTP/\S+ 200}m, 'with the upstream\'s answer');
    is($g->up->count, 1, 'once');

    # by the link in a mail

    $exim->clear;
    played($g, 'README.md', [ DELETE => 'https://gw.example.com/v1/x' ],
           'bob@example.com');
}


# --- the examples

{
    my $g = started('ci-deploy.conf');

    played($g, 'ci-deploy.conf',
           [ POST => 'https://deploy.example.com/deploy',
             @json, -H => 'X-Approval-Reason: release 1.4.2', -d =>
             '{"service":"shop","environment":"production","version":"1.4"}' ],
           'ivan@example.com');
}

{
    my $g = started('database-api.conf');

    played($g, 'database-api.conf',
           [ POST => 'https://db.example.com/query', @json,
             -H => 'X-Approval-Reason: ticket 7',
             -d => '{"database":"shop","sql":"drop table old","params":[]}' ],
           'grace@example.com', 'alice@example.com');
}

{
    my $g = started('git.conf');

    played($g, 'git.conf',
           [ POST => 'https://git.example.com/prod/shop.git/git-receive-pack',
             -H => 'Content-Type: application/x-git-receive-pack-request',
             -d => '00a2x' ], 'alice@example.com');
}

{
    my $up = Approval::Upstream->new;
    my $g = started('llm-egress.conf', up => $up, put => {
        'api.openai.com' => '127.0.0.1:' . $up->port,
        'https://$provider' => 'http://$provider' });

    played($g, 'llm-egress.conf',
           [ POST => 'https://openai.example.com/v1/batches', @json,
             -d => '{"input_file_id":"file-1"}' ], 'alice@example.com');
}

{
    my $g = started('mcp-gateway.conf');

    played($g, 'mcp-gateway.conf',
           [ POST => 'https://mcp.example.com/mcp', @json,
             -d => '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
                   . '{"name":"create_refund","arguments":{"order":7,'
                   . '"amount":250}}}' ], 'carol@example.com');
}

{
    my $g = started('shadow.conf');

    is($g->curl(-X => 'DELETE', -H => 'Authorization: ' . $g->key,
                'https://api.example.com/v1/orders/7')->status, 200,
       'shadow.conf: a request that would wait passes');
    is($g->up->count, 1, 'to the upstream');
    ok((grep { ($_->{mode} // '') eq 'shadow' && $_->{rule} eq 'delete' }
             $g->records), 'and is on record');
    $played{'shadow.conf'} = 1;
}

for my $case ([ 'slack.conf', 'gw', '/_approval/', 'alice' ],
              [ 'teams.conf', 'gw', '/_approval/', 'bob' ],
              [ 'two-person.conf', 'admin', '/_desk/', 'alice', 'bob' ])
{
    my ($name, $host, $desk, @who) = @$case;
    my $g = started($name);
    my $url = "https://$host.example.com";

    played($g, $name,
           $name eq 'two-person.conf'
           ? [ POST => "$url/users/7/roles", @json, -d => '{"roles":["x"]}' ]
           : [ DELETE => "$url/v1/orders/7" ],
           map {
               my $user = "$_\@example.com:" . $g->password("$_\@example.com");
               sub { decide($g, "$url$desk" . "actions/$_[0]", -u => $user) }
           } @who);

    next if $name eq 'two-person.conf';

    is($g->curl("$url/_approval/manifest")->status, 200,
       'agents read the manifest without a password');
    is($g->curl("$url/_approval/actions")->status, 401, 'and nothing else');
}

{
    my $g = started('mail.conf', smtp => Approval::Exim->new);

    played($g, 'mail.conf',
           [ DELETE => 'https://gw.example.com/v1/orders/7' ],
           'bob@example.com');

    my $desk = 'https://gw.example.com/_approval/';
    my $alice = 'alice@example.com:' . $g->password('alice@example.com');

    is($g->curl(-u => $alice, $desk)->status, 200, 'the inbox');
    is($g->curl(-u => $_, $desk)->status, 401, 'not with another password')
        for 'alice@example.com:no', 'alice@example.com:';
    is($g->curl(-u => 'alice@example.com:no', "$desk$_")->status, 401,
       'nor by a link that is none')
        for '?t=x', '?t=', '?t', '?T=x', '?t=&t=x', '?t=x&t=';
    is($g->curl(-u => 'alice@example.com:no', -H => "Cookie: $_", $desk)
           ->status, 401, 'nor by a cookie that is none')
        for 'approval_session=x', 'approval_session=', 'a=b';

    # as a browser opens it: without "t", by the cookie

    my @known = $g->open_actions;
    my $held = $g->curl_start(-X => 'DELETE', -H => 'Authorization: ' . $g->key,
                              'https://gw.example.com/v1/orders/8');
    my $id = $g->pending(@known);
    my $link = $g->links($id, 2)->{'bob@example.com'};
    my $jar = $g->ngx->path('jar');
    my @browser = (-c => $jar, -b => $jar, -H => 'Accept: text/html');
    my $page = $g->curl(@browser, -L => $link)->body;

    like($page, qr{DELETE /v1/orders/8}, 'a link leads to the page');
    is($g->curl(@browser, $desk)->status, 401, 'and to no other');

    my ($url) = $link =~ m{^([^?]+)};

    is(decide($g, $url, @browser[0 .. 3]), 200, 'the cookie decides');
    is($held->read->status, 200, 'and the request goes on');
}

{
    my $provider = Approval::Oidc::Provider->new(issuer => 'okta');
    my $proxy = Approval::Oidc::Proxy->new(
        provider => $provider, claim => 'email', domain => 'example.com');
    my $g = started('oidc-approvers.conf', put => {
        '127.0.0.1:4180' => '127.0.0.1:' . $proxy->port });

    played($g, 'oidc-approvers.conf',
           [ DELETE => 'https://gw.example.com/v1/orders/7' ], sub {
        decide($g, "https://gw.example.com/_approval/actions/$_[0]", -H =>
               'Authorization: Bearer ' . $provider->token('bob'))
    });
}

{
    my $g = started('mtls-approvers.conf');
    my @alice = $g->certificate('people-ca',
                               '/O=Example/OU=People/CN=Alice Adams');

    played($g, 'mtls-approvers.conf',
           [ DELETE => 'https://gw.example.com/v1/orders/7' ], sub {
        decide($g, "https://gw.example.com/_approval/actions/$_[0]", @alice)
    });
}

kubernetes();

is_deeply([ sort keys %played ],
          [ 'README.md', map { s{.*/}{}r }
            sort glob(root_dir() . '/conf/examples/*.conf') ],
          'all examples are played');

done_testing();


sub started {
    my ($name, %how) = @_;

    my $g = Approval::Example->start($name, init => 1, %how);

    $g->ngx->log_unlike(qr/\[(?:warn|error|emerg|alert)\]/,
                        "$name starts without a complaint");

    return $g;
}


sub decide {
    my ($g, $url, @who) = @_;

    return $g->curl(@who, @json, -d => '{"decision":"approve","comment":"ok"}',
                    $url =~ s{(?=\?|$)}{/decision}r)->status;
}


# a request that waits until all of these have approved it: by their link where
# that is a name, else as the code does

sub played {
    my ($g, $name, $request, @approvers) = @_;

    my ($method, $url, @arg) = @$request;
    my $key = $g->key($name =~ /^ci-/ ? 'pipelines' : 'agents');
    my $before = $g->up->count;
    my $client = $g->curl_start(-X => $method, -H => "Authorization: $key",
                                @arg, $url);
    my $id = $g->pending or return fail("$name: nothing waits");
    my @names = grep { !ref } @approvers;
    my $links = @names ? $g->links($id, scalar @names, @names) : {};

    for my $i (0 .. $#approvers) {
        my $who = $approvers[$i];

        ok($client->alive, "$name: the request waits");
        is($g->up->count, $before, 'and is not forwarded');
        is(ref $who ? $who->($id) : decide($g, $links->{$who} // 'none'), 200,
           ref $who ? 'an approver approves' : "$who approves by a link");
    }

    is($client->read->status, 200, 'the request is answered');
    is($g->up->count, $before + 1, 'by the upstream, once');
    ok(($g->smtp // $g->hook)->wait_count(1), 'approvers were told');

    $played{$name} = 1;
}


# its API server speaks TLS, and wants to know who forwards

sub kubernetes {
    my $k = Approval::Kubernetes->start;
    my $g = $k->gateway;
    my @user = $k->user;

    $g->ngx->log_unlike(qr/\[(?:warn|error|emerg|alert)\]/,
                        'kubernetes.conf starts without a complaint');

    is($g->curl('https://kube.example.com/api/v1/pods')->status, 400,
       'kubernetes.conf: no certificate, no request');
    is($g->curl(@user, 'https://kube.example.com/api/v1/pods')->status, 200,
       'a request of no concern passes');
    is($g->up->last->header('X-Remote-User'), 'dev', 'with the user');

    played($g, 'kubernetes.conf', [ DELETE =>
        'https://kube.example.com/apis/apps/v1/namespaces/prod/deployments/x',
        @user ], 'alice@example.com');
}
