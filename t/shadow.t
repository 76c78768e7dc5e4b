#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# mode shadow: the same table of requests is sent to a gateway whose rules
# shadow, and to one whose rules enforce.  What the report of the first says
# is what the second does.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;

need_module();


sub policy {
    my ($mode) = @_;

    return <<"EOF";
    approval_policy p {
        rule tables { match \$request_method DELETE; match \$uri ^/tables/;
                      action db.drop; require admins; timeout 30s; $mode }
        rule money  { match \$uri /pay; match json:/amount >1000;
                      require admins; timeout 30s; $mode }
        rule form   { match \$uri /form; match form:env prod; require admins;
                      timeout 30s; $mode }
        rule mcp    { match \$uri /mcp; mcp_tool db.drop; require admins;
                      timeout 30s; $mode }
        rule why    { match \$uri ^/why; require admins; reason required;
                      timeout 30s; $mode }
        rule never  { match \$uri ^/never; deny; $mode }
        rule gone   { match \$request_method DELETE; match \$uri ^/gone;
                      deny; $mode }
        rule early  { match \$uri ^/both; require admins; mode shadow; }
        rule late   { match \$uri ^/both; require admins; timeout 30s; $mode }
        rule again  { match \$uri ^/again; match \$arg_n 1; require admins;
                      timeout 30s; $mode }
    }
EOF
}

my $server = <<'EOF';
    client_max_body_size 4m;
    approval p;
    location / { proxy_pass %%UP%%; }
    location /again { rewrite ^/again/(.*)$ /again-$1 last;
                      proxy_pass %%UP%%; }
    location /index/ { try_files /nothing /tables/x; }
    location /tables/ { proxy_pass %%UP%%; }
    location /tables/twice { try_files /nothing /tables/x; }
    location /asked/ { auth_request /pay; proxy_pass %%UP%%; }
    location /mirrored/ { mirror /pay; proxy_pass %%UP%%; }
    location /after/ { post_action /pay; proxy_pass %%UP%%; }
    location /later/ { post_action /both; proxy_pass %%UP%%; }
    location = /pay { proxy_pass_request_body off;
                      proxy_set_header Content-Length ""; proxy_pass %%UP%%; }
    location = /page.html { ssi on; root %%PREFIX%%; }
EOF

my $files = { 'page.html' => '<!--#include virtual="/pay" -->' };

my $shadow = Approval::Gateway->new(http => policy('mode shadow;'),
                                    server => $server, files => $files,
                                    workers => 2);
my $enforce = Approval::Gateway->new(http => policy(''), server => $server,
                                     files => $files);


# The recorded traffic: rule or undef, outcome, how often, who, request

my $call = { jsonrpc => '2.0', id => 1, method => 'tools/call',
             params => { name => 'db.drop', arguments => {} } };
my $json = [ 'Content-Type' => 'application/json' ];
my $form = [ 'Content-Type' => 'application/x-www-form-urlencoded' ];

my @traffic = (
    [ tables => held => 3, 'agent-7', DELETE => '/tables/a' ],
    [ tables => held => 2, 'agent-8', DELETE => '/tables/a' ],
    [ tables => held => 1, 'agent-7', DELETE => '/tables/b?x=1' ],
    [ undef, '', 2, 'agent-7', GET => '/tables/a' ],
    [ undef, '', 1, 'agent-7', DELETE => '/tablet' ],
    [ money => held => 2, 'agent-7', POST => '/pay',
      body => '{"amount":1001}', headers => $json ],
    [ undef, '', 1, 'agent-7', POST => '/pay', body => '{"amount":1000}',
      headers => $json ],
    [ form => held => 1, 'agent-7', POST => '/form', body => 'env=prod&x=1',
      headers => $form ],
    [ undef, '', 1, 'agent-7', POST => '/form', body => 'env=test',
      headers => $form ],
    [ mcp => held => 1, 'agent-9', POST => '/mcp', json => $call ],
    [ undef, '', 1, 'agent-9', POST => '/mcp',
      json => { %$call, method => 'tools/list' } ],
    [ why => held => 1, 'agent-7', GET => '/why',
      headers => [ 'X-Approval-Reason' => 'ticket 1' ] ],
    [ why => 'reason-required', 2, 'agent-7', GET => '/why' ],
    [ tables => 'identity-required', 1, undef, DELETE => '/tables/a' ],
    [ never => denied => 4, 'agent-7', GET => '/never/x' ],
    [ again => held => 1, 'agent-7', GET => '/again/x?n=1' ],
    [ tables => held => 1, 'agent-7', DELETE => '/index/x' ],
    [ tables => held => 1, 'agent-7', DELETE => '/tables/twice' ],
);


# What enforce mode does: the rule and the outcome, as the trail has them

sub enforced {
    my ($agent, $method, $target, %how) = @_;

    my $before = () = $enforce->audit;
    my %was = map { $_ => 1 } $enforce->pending;
    my $client = $enforce->send($method, $target, agent => $agent, %how);

    my ($answer, $id);

    wait_for(sub {
        $answer = $client->try_read(0.02);
        ($id) = grep { !$was{$_} } $enforce->pending;
        return $answer || $id;
    });

    if ($id) {
        $enforce->vote($id, 'deny');
        $client->read;
    }

    my @new = $enforce->audit;
    my ($record) = grep { $_->{type} =~ /^(?:requested|refused)$/
                          && defined $_->{rule} } @new[$before .. $#new];

    return ('', '') if !$record;
    return ($record->{rule}, 'held') if $record->{type} eq 'requested';

    (my $type = $record->{refusal}) =~ s/^urn:approval://;

    return ($record->{rule}, $type);
}


my (%by_shadow, %by_enforce, %want);

for my $t (@traffic) {
    my ($rule, $outcome, $n, $agent, $method, $target, %how) = @$t;

    for (1 .. $n) {
        my $r = $shadow->send($method, $target, agent => $agent, %how)->read;
        is($r->status, 200, "$method $target passes") if $r->status != 200;

        my ($did, $what) = enforced($agent, $method, $target, %how);
        $by_enforce{"$did $what " . ($agent // '')}++ if $did;
    }

    $want{"$rule $outcome " . ($agent // '')} += $n if $rule;
}

# A rule that denies has the type of a denial, in enforce mode

is_deeply(\%by_enforce, \%want, 'enforce mode does what the table says');


# The report

sub report {
    my ($query, $user) = @_;

    return http_get($shadow->port, '/_approval/shadow' . ($query // ''),
                    headers => [ $user // 'alice'
                                 ? ('X-User' => $user // 'alice') : () ]);
}

my $total = 0;
$total += $_ for values %want;

my $r;
ok(wait_for(sub { $r = report(); $r->json->{count} == $total }),
   'the report has them all') or diag($r->body);
is($r->header('Cache-Control'), 'no-store', 'not to be stored');

my $report = $r->json;

for (@{ $report->{entries} }) {
    $by_shadow{"$_->{rule} $_->{outcome} $_->{requester}"} += $_->{count};
    is($_->{policy}, 'p', 'the policy');

    my ($sum, $days) = (0, 0);
    $sum += $_ for @{ $_->{hours} };
    $days += $_ for values %{ $_->{days} };

    is(scalar @{ $_->{hours} }, 24, 'by hour');
    is("$sum $days", "$_->{count} $_->{count}", 'which add up');
}

is_deeply(\%by_shadow, \%by_enforce, 'it says exactly what enforce mode does');

my @counts = map { $_->{count} } @{ $report->{entries} };
is_deeply(\@counts, [ sort { $b <=> $a } @counts ], 'most first');
my ($drop) = grep { $_->{rule} eq 'tables' } @{ $report->{entries} };
is($drop->{action}, 'db.drop', 'the action');

# now is in its hour, of today, UTC

my @now = gmtime;
my $day = sprintf '%04d-%02d-%02d', $now[5] + 1900, $now[4] + 1, $now[3];
my $sum = 0;
$sum += $_->{hours}[ $now[2] ] + $_->{hours}[ $now[2] - 1 ]
    for @{ $report->{entries} };
is($sum, $total, 'at this hour');
is($report->{until}, $day, 'until today');

# Older days, as they will be found

my ($key) = $shadow->redis->keys('approval:shadow:*');
is($key, 'approval:shadow:' . ($day =~ s/-//gr), 'one key a day');
cmp_ok($shadow->redis->cmd(TTL => $key), '>', 31 * 86400, 'kept for a month');

my $all = { @{ $shadow->redis->cmd(HGETALL => $key) } };
unlike(join(' ', %$all), qr/agent|tables|alice/, 'nothing in clear');

@now = gmtime(time - 3 * 86400);
my $old = sprintf '%04d%02d%02d', $now[5] + 1900, $now[4] + 1, $now[3];
my ($hash) = grep { /^[0-9a-f]{32}$/ } sort keys %$all;
$shadow->redis->cmd(HSET => "approval:shadow:$old", $hash, $all->{$hash},
                    "$hash:07", 5, 'rest:08', 2, 'junk', 'x', 'f' x 32, 'y',
                    ('e' x 32) . ':01', 9, "$hash:99", 4);
$shadow->redis->cmd(EXPIRE => "approval:shadow:$old", 1000);

$report = report()->json;
is($report->{count}, $total + 7, 'a week by default');
is($report->{rest}[8], 2, 'those that were too many to name');
is(report('?days=3')->json->{count}, $total, 'not so far back');
is(report('?days=4')->json->{count}, $total + 7, 'far enough');
is(report('?days=31')->status, 200, 'a month');

for ('?days=0', '?days=32', '?days=x', '?days=') {
    $r = report($_);
    is($r->status, 400, "$_: refused");
    is($r->json->{argument}, 'days', 'says which');
}

$shadow->redis->cmd(HSET => "approval:shadow:$old", "$hash:07",
                    '9223372036854775800');
is(report()->json->{count}, '9223372036854775807',
   'an absurd count stays a count');
$shadow->redis->cmd(HSET => "approval:shadow:$old", "$hash:07", 5);

# There is an end to the names of one day, but not to the count

$shadow->redis->cmd(HSET => $key, map { ("x$_", '') } 1 .. 5000);
$shadow->send(DELETE => '/tables/a', agent => 'agent-99')->read;
$shadow->send(DELETE => '/tables/a', agent => 'agent-7')->read;
ok(wait_for(sub { report('?days=1')->json->{count} == $total + 2 }),
   'both are counted');
$report = report('?days=1')->json;
$sum = 0;
$sum += $_ for @{ $report->{rest} };
is($sum, 1, 'the new one without its name');
ok(!grep({ $_->{requester} eq 'agent-99' } @{ $report->{entries} }),
   'which is not there');
$total += 2;

# For members of a group

is(report('', 'mallory')->status, 403, 'not for strangers');
is(report('', 'bob')->status, 200, 'for each approver');
is(http_get($shadow->port, '/_approval/shadow')->status, 401, 'nor nobody');
is(Approval::Client->new($shadow->port)
       ->request(POST => '/_approval/shadow')->status, 405, 'GET only');

# Shadow asks nobody, and is on record

is(scalar $shadow->hook->requests, 0, 'nobody was told');
is(scalar(grep { ($_->{mode} // '') eq 'shadow' } $shadow->audit), $total,
   'each is in the trail');
is(scalar(grep { ($_->{mode} // '') eq 'shadow'
                 && !($_->{host} && $_->{target} && $_->{remote_addr}) }
               $shadow->audit), 0, 'with host, target and address');

# Without the store requests pass all the same

$shadow->redis->stop;
is($shadow->send(DELETE => '/tables/z')->read->status, 200,
   'the store is away');
is(report()->status, 503, 'and so is the report');

# A policy that enforces nothing stops nothing: neither what rules cannot read,
# nor anything else where the trail cannot be written

my @odd = (
    [ 'ambiguous-path', GET => '/x/..%2fnever' ],
    [ 'ambiguous-method', GET => '/gone/x',
      headers => [ 'X-HTTP-Method-Override' => 'DELETE' ] ],
    [ 'body-unreadable', POST => '/pay', headers => $json, body => '{"a":' ],
    [ 'body-too-large', POST => '/pay', headers => $json,
      body => encode_json({ amount => 1, x => 'x' x 1_100_000 }) ],
    [ 'body-unreadable', POST => '/pay', body => '{}',
      headers => [ @$json, 'Content-Encoding' => 'gzip' ] ],
);

for my $case (@odd) {
    my ($type, @request) = @$case;

    my $enforced = $enforce->send(@request)->read;
    is($enforced->json->{type}, "urn:approval:$type", "$type: enforced");

    my $before = () = $shadow->audit('refused');
    my $passed = $shadow->send(@request)->read;
    is($passed->status, 200, "$type: in shadow it passes");

    my @refused = $shadow->audit('refused');
    is(@refused - $before, 1, "$type: and is on record");
    is($refused[-1]{refusal}, "urn:approval:$type", "$type: as what it is");
    is($refused[-1]{mode}, 'shadow', "$type: in shadow");
    is($refused[-1]{host}, 'gw.example', "$type: with its host");
    like($refused[-1]{target}, qr/^\//, "$type: and target");
}

# Nor a subrequest, or what follows an answer, whose body nobody has read

my @within = (
    [ 'auth_request', 403, POST => '/asked/a', headers => $json,
      body => '{}' ],
    [ 'SSI', 200, GET => '/page.html' ],
    [ 'mirror', 200, POST => '/mirrored/a', headers => $json,
      body => '{"a":' ],
    [ 'mirror of an encoded body', 200, POST => '/mirrored/a', body => '{}',
      headers => [ @$json, 'Content-Encoding' => 'gzip' ] ],
    [ 'mirror of what is held', 200, POST => '/mirrored/a', headers => $json,
      body => '{"amount":1001}' ],
    [ 'post_action', 200, GET => '/after/a' ],
);

for my $case (@within) {
    my ($name, $status, @request) = @$case;

    $enforce->up->clear;
    is($enforce->send(@request)->read->status, $status, "$name: enforced");
    $enforce->clean("$name: has ended");
    is($enforce->hits('/pay'), 0, "$name: is not made");

    $shadow->up->clear;
    is($shadow->send(@request)->read->status, 200, "$name: in shadow it passes");
    ok(wait_for(sub { $shadow->hits('/pay') }), "$name: and is made");
}

# A rule in shadow mode does not make a post_action wait for the next rule

is($enforce->send(GET => '/later/a')->read->status, 200, 'post_action: answered');
$enforce->clean('post_action, after a rule in shadow mode');
is($enforce->hits('/both'), 0, 'post_action: is not made');
is(scalar(grep { $_->{rule} eq 'late' } $enforce->audit('requested')), 0,
   'post_action: and nobody is asked');

$shadow->ngx->log_like(qr{"/pay" is forwarded .shadow mode.: .*"money"},
                       'what would be refused, and by which rule');
$shadow->ngx->log_like(qr{"/pay" is forwarded .shadow mode.: .*was not read},
                       'and what could not be judged');

$enforce->clean('shadow');
done_testing;
