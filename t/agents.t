#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# What docs/agents.md says, and its examples as they stand there; the
# manifest; and status URLs that wait.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;
use Approval::Process;

use Time::HiRes qw(time);

need_module();
need('curl');

my $result = { jsonrpc => '2.0', id => 1,
               result => { content => [ { type => 'text',
                                          text => 'dropped' } ] } };

my $gw = Approval::Gateway->new(defaults => 0, workers => 2,
    http => <<'EOF', server => <<'EOF',
    map $http_authorization $agent {
        "Bearer t0ken" agent-7;
        "Bearer other" agent-8;
    }
    approval_policy tables {
        rule drop   { match $request_method DELETE; match $uri ^/tables/;
                      action db.drop; risk high; summary "Drop $uri `now`";
                      require 2 of admins; timeout 40s; hold 20s; }
        rule change { match $request_method POST; match $uri ^/tables/;
                      match json:/rows >4; match $http_x_secret hunter2 "";
                      require admins; timeout 30s; reason required; }
        rule never  { match $uri ~^/sys/ !/sys/ok; deny "by hand"; }
        rule free   { match $uri /free; allow; }
        rule seen   { match $uri /seen; require admins; mode shadow; }
    }
    approval_policy tools {
        rule tool   { mcp_tool db.drop db.purge; require admins; timeout 30s; }
    }
    approval_policy spare {
        rule spare  { match $uri /spare; require admins; }
    }
EOF
    approval_requester $agent;
    approval tables;
    location / { proxy_pass %%UP%%; }
    location /mcp { approval tools; proxy_pass %%UP%%; }
EOF
    up => sub {
        my ($request) = @_;

        return $request->target eq '/mcp'
               ? { headers => [ 'Content-Type' => 'application/json' ],
                   body => encode_json($result) }
               : { body => "done\n" };
    });

my @me = (headers => [ Authorization => 'Bearer t0ken' ]);


sub status {
    my ($id, $query, @who) = @_;

    return http_get($gw->port, "/_approval/status/$id" . ($query // ''),
                    @who ? @who : @me);
}


sub ticket {
    my ($target) = @_;

    my $r = Approval::Client->new($gw->port)->request(DELETE => $target,
        headers => [ Authorization => 'Bearer t0ken',
                     Prefer => 'respond-async' ]);

    return $r->header('Approval-Id');
}


sub redeem {
    my ($target) = @_;

    return Approval::Client->new($gw->port)
               ->request(DELETE => $target, @me)->status;
}


sub approve {
    my ($id) = @_;

    $gw->vote($id, 'approve', '', $_) for qw(alice bob);
}


# The manifest

my $r = http_get($gw->port, '/_approval/manifest');
is($r->status, 200, 'the manifest needs no identity');
is($r->header('Content-Type'), 'application/json', 'JSON');

my $manifest = $r->json;
my %rule = map { $_->{rule} => $_ } @{ $manifest->{rules} };

is_deeply([ sort keys %rule ], [ qw(change drop never tool) ],
          'rules that hold or deny, of policies in use');
is_deeply($rule{drop}, {
    policy => 'tables', rule => 'drop', action => 'db.drop', risk => 'high',
    outcome => 'held', summary => 'Drop $uri `now`', methods => [ 'DELETE' ],
    paths => [ '^/tables/' ], tools => [], depends_on => [], approvals => 2,
    reason => 'optional', timeout => 40, hold => 20, execute_within => 300,
}, 'all of a rule');
is_deeply($rule{change}{depends_on}, [ 'json:/rows', '$http_x_secret' ],
          'what else it looks at');
is($rule{change}{reason}, 'required', 'that it wants a reason');
is_deeply($rule{tool}{tools}, [ 'db.drop', 'db.purge' ], 'MCP tools');
is_deeply($rule{tool}{depends_on}, [], 'which need no more words');
is($rule{never}{outcome}, 'denied', 'what is always denied');
is_deeply($rule{never}{paths}, [ '~^/sys/', '!/sys/ok' ], 'patterns');
ok(!exists $rule{never}{timeout}, 'for no time');
unlike($r->body, qr/hunter2|>4|alice|bob|admins/,
       'no values, no groups, no people');

for ([ 'text/markdown', 'text/markdown; charset=utf-8' ],
     [ 'text/markdown, application/json;q=0.9',
       'text/markdown; charset=utf-8' ],
     [ 'application/json, text/markdown;q=0.9', 'application/json' ],
     [ '*/*', 'application/json' ], [ 'text/html', 'application/json' ])
{
    my ($accept, $type) = @$_;

    $r = http_get($gw->port, '/_approval/manifest',
                  headers => [ Accept => $accept ]);
    is($r->header('Content-Type'), $type, "Accept: $accept");
}

$r = http_get($gw->port, '/_approval/manifest',
              headers => [ Accept => 'text/markdown' ]);
like($r->body, qr/^# .*^### `db\.drop`\n\n`Drop \$uri  now `\n\n- methods: /ms,
     'a page; what is quoted cannot end its quotes');
like($r->body, qr/^- MCP tools: `db\.drop`, `db\.purge`$/m, 'tools');
unlike($r->body, qr/hunter2|>4|alice|bob|admins/, 'nor there');
is(Approval::Client->new($gw->port)
       ->request(POST => '/_approval/manifest')->status, 405, 'GET only');

# the problems that the gateway has, each a type of approval_refused_total

my @has = slurp('src/model/problem.def')
    =~ /^REFUSAL\(\w+, "([a-z-]+)", (\d+)/mg;

cmp_ok(scalar @has, '>', 40, 'the table of refusals was read');
is_deeply([ map { ($_->{type} =~ s/^urn:approval://r, $_->{status}) }
                @{ $manifest->{problems} } ], \@has, 'all problems');


# A status URL that waits

my $id = ticket('/tables/wait-1');
my $start = time;
is(status($id, '?wait=1')->json->{state}, 'pending', 'the time is over');
cmp_ok(time - $start, '>=', 0.9, 'and not before');

my $c = Approval::Client->new($gw->port);
$c->send(GET => "/_approval/status/$id?wait=20", @me);
ok($c->quiet(0.3), 'it waits');
$start = time;
$gw->vote($id, 'approve', '', 'alice');
ok($c->quiet(0.3), 'one vote of two is no decision');
$gw->vote($id, 'deny', '', 'bob');
$r = $c->read;
is($r->json->{state}, 'denied', 'a decision ends it');
is($r->header('Retry-After'), undef, 'there is nothing to wait for');
cmp_ok(time - $start, '<', 15, 'at once');

$start = time;
is(status($id, '?wait=20')->json->{state}, 'denied', 'what is decided');
cmp_ok(time - $start, '<', 15, 'is told at once');

$id = ticket('/tables/wait-2');

my @many = map { Approval::Client->new($gw->port) } 1 .. 5;
$_->send(GET => "/_approval/status/$id?wait=9999", @me) for @many;
ok($many[0]->quiet(0.2), 'several wait, with too much patience');
$many[1]->close;
$many[2]->reset;
approve($id);
is($many[$_]->read->json->{state}, 'approved', 'and are told') for 0, 3, 4;

is(redeem('/tables/wait-2'), 200, 'the approval is used');

for ([ '?wait=' ], [ '?wait=x' ], [ '?wait=-1' ], [ '?wait=1.5' ]) {
    is(status($id, @$_)->status, 400, "$_->[0]: refused");
}

is(status($id, '?wait=0')->status, 200, 'none is fine');

is(status($id, '?wait=20', headers => [ Authorization => 'Bearer other' ])
       ->status, 404, 'for the requester only');
is(status('f' x 32, '?wait=20')->status, 404, 'unknown');

# the action ends by itself, the store goes away, the worker quits

$r = Approval::Client->new($gw->port)->request(POST => '/mcp',
    json => { jsonrpc => '2.0', id => 1, method => 'tools/call',
              params => { name => 'db.purge' } },
    headers => [ Authorization => 'Bearer t0ken',
                 Prefer => 'respond-async' ]);
$id = $r->header('Approval-Id');
$gw->redis->cmd(DEL => "approval:{00}:$id");
$gw->redis->cmd(ZREM => 'approval:{00}:pending', $id);
is(status($id, '?wait=20')->status, 404, 'an action that vanished');

$id = ticket('/tables/wait-3');
$c->send(GET => "/_approval/status/$id?wait=20", @me);
ok($c->quiet(0.2), 'waiting');
$gw->ngx->reload;
approve($id);
is($c->read->json->{state}, 'approved', 'over a reload');
$c->close;
is(redeem('/tables/wait-3'), 200, 'used as well');


# The examples

my %code;
my $doc = slurp('docs/agents.md');
push @{ $code{$1} }, $2 while $doc =~ /^```(\w+)\n(.*?)^```$/msg;

is(scalar @{ $code{sh} }, 3, 'three for the shell; t/clients_ci.t has one');
is(scalar @{ $code{python} }, 2, 'two in Python');
is(scalar @{ $code{javascript} }, 1, 'one for Node');

my $dir = tempdir();
my $n = 0;

$ENV{GATEWAY} = $gw->ngx->url;
$ENV{TOKEN} = 't0ken';


# Runs an example, votes on what it asks for; (exit code, its output)

sub example {
    my ($text, $suffix, @command) = @_;
    my $vote = pop @command;

    my $file = "$dir/example-" . ++$n . $suffix;
    spew($file, $text);

    my %was = map { $_ => 1 } $gw->pending;

    defined(my $pid = open(my $out, '-|')) or die "fork: $!";

    if (!$pid) {
        open(STDERR, '>&', \*STDOUT);
        exec(@command, $file) or die "$command[0]: $!";
    }

    my $asked = wait_for(sub { (grep { !$was{$_} } $gw->pending)[0] });

    if (!$asked) {
        fail("$command[0] asks for an approval");
        kill KILL => $pid;

    } elsif ($vote eq 'approve') {
        approve($asked);

    } else {
        $gw->vote($asked, 'deny', 'use the archive job');
    }

    my $output = do { local $/; <$out> };
    close $out;

    return ($? >> 8, $output);
}


sub runs {
    my ($name, $target, @how) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $told = $gw->hits($target);
    my ($code, $output) = example(@how, 'approve');

    is($code, 0, "$name: approved") or diag($output);
    like($output, qr/done|dropped/, "$name: the upstream's answer");
    is($gw->hits($target) - $told, 1, "$name: executed once");

    ($code, $output) = example(@how, 'deny');
    like($output, qr/denied|archive job/i, "$name: denied, and says so");
    is($gw->hits($target) - $told, 1, "$name: not executed");

    return $code;
}


my @sh = @{ $code{sh} };
(my $ask = $sh[1]) =~ s/wait=50/wait=0/;

isnt(runs('curl, held', '/tables/orders', $sh[0], '.sh', 'sh'), 0, 'fails');
isnt(runs('curl, ticket', '/tables/invoices', $ask, '.sh', 'sh'), 0, 'fails');

SKIP: {
    skip('no python3', 1) unless grep { -x "$_/python3" } split /:/, $ENV{PATH};

    my @python = @{ $code{python} };

    isnt(runs('Python, held', '/tables/purge', $python[0], '.py', 'python3'),
         0, 'fails');

    s/wait=50/respond-async/ for @python;
    isnt(runs('Python, ticket', '/tables/purge', $python[0], '.py',
              'python3'), 0, 'fails');
    runs('Python, MCP', '/mcp', $python[1], '.py', 'python3');
}

SKIP: {
    skip('no node', 1) unless grep { -x "$_/node" } split /:/, $ENV{PATH};

    (my $node = $code{javascript}[0]) =~ s/wait=50/respond-async/;

    isnt(runs('Node, held', '/tables/archive', $code{javascript}[0], '.mjs',
              'node'), 0, 'fails');
    isnt(runs('Node, ticket', '/tables/archive', $node, '.mjs', 'node'), 0,
         'fails');
}

$gw->clean('agents');
done_testing;
