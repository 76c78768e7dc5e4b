#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# remember: approvals that are good for more than one request, and never for
# more than they were made for.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;
use MIME::Base64 qw(decode_base64url);

need_module();

my $gw = Approval::Gateway->new(workers => 2, http => <<'EOF',
    approval_group others carol;
    approval_policy p {
        rule r { match $uri ^/r; require admins; timeout 60s; notify hook;
                 remember 60s per $request_method$uri; }
        rule two { match $uri ^/two; require admins; timeout 60s;
                   remember 60s per $uri uses=2; }
        rule brief { match $uri ^/brief; require others; timeout 60s;
                     remember 4s per $arg_x; }
        rule same { match $uri ^/same; require admins; timeout 60s;
                    remember 60s per $request_method$arg_v; }
        rule same2 { match $uri ^/also; require admins; timeout 60s;
                     remember 60s per $request_method$arg_v; }
        rule body { match json:/table "~(?<tab>.*)"; require admins;
                    timeout 60s; remember 60s per $approval_arg_tab; }
        rule plain { match $uri ^/plain; require admins; timeout 60s; }
    }
EOF
    server => <<'EOF');
        approval p;
        location / { proxy_pass %%UP%%; }
        location /r/bare { approval_unsigned_decisions on;
                           proxy_pass %%UP%%; }
EOF


sub claims { decode_json(decode_base64url((split /\./, $_[0])[1])) }

sub api {
    my ($method, $target, $user) = @_;

    return Approval::Client->new($gw->port)->request($method,
        "/_approval$target",
        headers => [ 'X-User' => $user // 'alice' ]);
}

sub grants { @{ api(GET => '/grants', @_)->json->{grants} } }

sub approve {
    my ($name, $who, @request) = @_;

    my ($client, $id) = $gw->hold(@request);

    ok($id, "$name: held") or return;
    is($gw->vote($id, 'approve', '', $who)->status, 200, "$name: voted");
    is($client->read->status, 200, "$name: approved");

    return $id;
}

sub passes {
    my ($name, @request) = @_;

    my $r = $gw->send(@request)->try_read;

    is($r ? $r->status : 'held', 200, "$name: passes");

    return $r;
}

sub asks {
    my ($name, @request) = @_;

    my ($client, $id) = $gw->hold(@request);

    ok($id, "$name: is asked for") or return;
    $gw->vote($id, 'deny', '', $_) for qw(alice carol);
    is($client->read->status, 403, "$name: and denied");
}


# one approval, several requests

{
    my $id = approve('remembered', 'alice', POST => '/r', body => 'one');

    ok(wait_for(sub { $gw->hook->count == 1 }), 'one message');
    my $r = passes('another body', POST => '/r', body => 'two');
    is($r->header('Approval-Id'), $id, 'by that approval');
    is($gw->up->last->body, 'two', 'as it was sent');
    is($gw->up->last->header('Approval-By'), 'alice', 'Approval-By');

    my ($used) = grep { $_->{grant} } $gw->audit('approved');
    is_deeply([ @$used{qw(action_id method host target)} ],
              [ $id, 'POST', 'gw.example', '/r' ], 'what passed is on record');

    my $tool = build_dir() . '/approval-audit show';
    my $file = $gw->ngx->path('audit.jsonl');

    like(`$tool $_ $file`,
         qr/^action $id\n.*alice: approve.*by alice for POST gw\.example\/r, use 1 of grant/s,
         "told by $_")
        for $used->{grant}, $used->{digest},
            $gw->up->last->header('Approval-Receipt');

    my $action = $gw->action($id);
    is_deeply($action->{remember},
              { per => 'POST/r', seconds => 60, uses => undef },
              'approvers were told');
    is($action->{state}, 'executed', 'its own action stays as it ended');

    my ($grant) = grants();
    my $claims = claims($gw->up->last->header('Approval-Receipt'));

    is($grant->{action_id}, $id, 'the grant names its action');
    is($grant->{$_->[0]}, $_->[1], "grant: $_->[0]")
        for [ requester => 'agent-7' ], [ rule => 'r' ], [ used => 1 ],
            [ approvers => 'alice' ], [ per => 'POST/r' ], [ policy => 'p' ];
    is($claims->{grt}, $grant->{id}, 'the receipt names the grant');
    is($claims->{use}, 1, 'and its use');
    is($claims->{jti}, $id, 'and the action');
    is($claims->{dig}, $gw->up->last->header('Approval-Digest'),
       'under its own digest');
    isnt($claims->{dig}, $action->{digest}, 'which is another');

    ok(wait_for(sub { (my @e = $gw->audit('executed')) == 2 }), 'both on record');

    # who signed off on it? by whatever is known of the later request

    for my $known ($id, $grant->{id}, map { $gw->up->last->header($_) }
                   qw(Approval-Id Approval-Digest Approval-Receipt))
    {
        my $tool = build_dir() . '/approval-audit';
        my $file = $gw->ngx->path('audit.jsonl');
        my $told = `$tool show $known $file`;

        like($told, qr/^action $id\n.*voted +alice: approve.*executed/s,
             'show ' . substr($known, 0, 40));
    }

    my @used = grep { $_->{grant} } $gw->audit;
    is_deeply([ map { $_->{type} } @used ], [ qw(approved executed) ],
              'its use: approved and executed');
    like($used[0]{why}, qr/^grant/, 'by a grant');
    is($_->{action_id}, $id, 'of that action') for @used;
    is($_->{use}, 1, 'number one') for @used;

    my $body = '/r';
    asks('another method', PUT => '/r', body => 'one');
    asks('another path', POST => '/r/2', body => 'one');
    asks('another requester', POST => '/r', body => 'one',
         agent => 'agent-8');
    asks('on behalf of somebody', POST => '/r', body => 'one',
         headers => [ 'X-On-Behalf-Of' => 'zoe' ]);

    my @all = map { $gw->send(POST => '/r', body => $_) } 1 .. 20;
    is(scalar(grep { $_->read->status == 200 } @all), 20, 'any number');
    is((grants())[0]{used}, 21, 'all are counted');
    is($gw->hook->count, 5, 'no message for any of them');


    # and revoked

    is(api(DELETE => "/grants/$grant->{id}", 'mallory')->status, 404,
       'others do not see it');
    is(scalar(my @none = grants('carol')), 0, 'nor in their list');
    is(api(DELETE => "/grants/$grant->{id}", '')->status, 401,
       'nor does nobody');
    is(api(GET => '/grants', '')->status, 401, 'nobody sees a list');
    is(api(DELETE => "/grants/$grant->{id}", 'agent-7')->status, 403,
       'its requester sees it only');
    is(api(DELETE => '/grants/' . '0' x 32)->status, 404, 'there is no other');
    is(api(POST => '/grants')->status, 405, 'none is made by hand');

    passes('not revoked', POST => '/r', body => 'x');
    my $end = api(DELETE => "/grants/$grant->{id}", 'bob');
    is($end->status, 200, 'revoked');
    is($end->json->{revoked}, 1, 'says so');
    is(scalar(@none = grants()), 0, 'it is gone');
    is(api(DELETE => "/grants/$grant->{id}")->status, 404, 'once');
    my ($config) = grep { $_->{grant} } $gw->audit('config');
    is($config->{grant}, $grant->{id}, 'it is on record');
    is($config->{identity}, 'bob', 'by whom');
    asks('after that', POST => '/r', body => 'one');
}


# so many times

{
    approve('two', 'alice', GET => '/two');
    is((grants())[0]{uses}, 2, 'two uses');
    my @all = map { $gw->send(GET => '/two') } 1 .. 10;
    my ($id) = wait_for(sub { ($gw->pending)[0] });
    ok($id, 'a third is asked for');
    $gw->vote($id, 'deny');
    my %got;
    $got{ $_->read->status }++ for @all;
    is_deeply(\%got, { 200 => 2, 403 => 8 }, 'exactly two passed');
    is($gw->hits('/two'), 3, 'as the upstream has seen');
    is(scalar(my @none = grants()), 0, 'it is spent');
}


# so long

{
    approve('brief', 'carol', GET => '/brief?x=1');
    passes('soon', GET => '/brief?x=1');
    asks('another value', GET => '/brief?x=2');
    ok(wait_for(sub { !grants('carol') }), 'it ends');
    asks('late', GET => '/brief?x=1');
    approve('no value', 'carol', GET => '/brief');
    asks('an empty value is not remembered', GET => '/brief');
}


# never for another rule, nor by what was not approved

approve('same', 'alice', GET => '/same?v=1');
passes('same rule', GET => '/same/x?v=1');
asks('another rule', GET => '/also?v=1');
approve('plain', 'alice', GET => '/plain');
asks('without remember', GET => '/plain');

{
    my ($client, $id) = $gw->hold(GET => '/r/bare');
    $gw->set($id, 'approve');
    is($client->read->status, 200, 'a bare approval');
    asks('is not remembered', GET => '/r/bare');

    asks('a denial', GET => '/r/denied');
    asks('is not either', GET => '/r/denied');
}


# what Redis holds is not believed

{
    my $id = approve('forged', 'alice', GET => '/r/forged');
    my ($grant) = grep { $_->{action_id} eq $id } grants();
    my $key = "approval:{00}:grant:$grant->{id}";
    my ($other) = grep { $_->{action_id} ne $id } grants();

    ok($gw->redis->cmd(PTTL => $key) > 0, 'a grant has a TTL');
    my $doc = $gw->redis->cmd(HGET => $key, 'b');
    unlike($doc, qr/agent-7|forged/, 'and is sealed');

    $gw->redis->cmd(HSET => $key, b => $gw->redis->cmd(
        HGET => "approval:{00}:grant:$other->{id}", 'b'));
    is($gw->send(GET => '/r/forged')->read->status, 503,
       'another grant\'s document is refused');
    asks('and the grant is removed', GET => '/r/forged');

    my ($client, $held) = $gw->hold(GET => '/r/fresh');
    my ($sealed) = $gw->redis->cmd(HGET => "approval:{00}:$held", 'b');
    $gw->vote($held, 'approve');
    $client->read;
    ($grant) = grep { $_->{action_id} eq $held } grants();
    $key = "approval:{00}:grant:$grant->{id}";
    $gw->redis->cmd(HSET => $key, b => $sealed);
    is($gw->send(GET => '/r/fresh')->read->status, 503,
       'nor is an action\'s a grant');
}


# the page, and its form

{
    my ($client, $id) = $gw->hold(GET => '/r/page');
    $gw->vote($id, 'approve');
    $client->read;

    my ($grant) = grep { $_->{action_id} eq $id } grants();
    my $page = sub {
        return http_get($gw->port, '/_approval/grants', headers => [
            'X-User' => $_[0], Accept => 'text/html' ])->body;
    };
    my $post = sub {
        my ($nonce, $user, @headers) = @_;

        return http_post($gw->port, "/_approval/grants/$grant->{id}",
            defined $nonce ? "nonce=$nonce" : '', headers => [
                'X-User' => $user, @headers, 'Content-Type' =>
                'application/x-www-form-urlencoded' ]);
    };

    my $html = $page->('alice');
    my ($nonce) = $html =~ /name="nonce" value="([^"]+)"/;
    my ($other) = $page->('bob') =~ /name="nonce" value="([^"]+)"/;

    like($html, qr{action="grants/$grant->{id}"}, 'the page has the grant');
    unlike($page->('mallory'), qr/$grant->{id}/, 'not for everyone');
    like($page->('agent-7'), qr/This grant is yours: only others may revoke it/,
         'its requester sees it');

    is($post->(undef, 'alice')->status, 403, 'a form without a nonce');
    is($post->($other, 'alice')->status, 403, 'with somebody else\'s');
    is($post->("$nonce&x=1&x=2", 'alice')->status, 400, 'a field twice');
    is($post->($nonce, 'alice', 'Sec-Fetch-Site' => 'cross-site')->status,
       403, 'from another site');
    is($post->($nonce, 'agent-7')->status, 403, 'by its requester');
    is(http_post($gw->port, "/_approval/grants/$grant->{id}", '{}',
                 headers => [ 'X-User' => 'alice', 'Content-Type' =>
                              'application/json' ])->status, 415,
       'programs send DELETE');
    ok((grep { $_->{id} eq $grant->{id} } grants()), 'it is in force');

    like($post->($nonce, 'alice')->body, qr/<h1>Revoked/, 'alice revokes it');
    ok(!(grep { $_->{id} eq $grant->{id} } grants()), 'it is not');
    is($post->($nonce, 'alice')->status, 404, 'once');
    ok((grep { ($_->{what} // '') eq 'grant revoked'
               && $_->{grant} eq $grant->{id} } $gw->audit('config')),
       'on record');
}


# nginx -t

for my $row (
    [ '0 per $uri', qr/invalid time/ ],
    [ 'soon per $uri', qr/invalid time/ ],
    [ '1m for $uri', qr/has no "per"/ ],
    [ '1m per all', qr/"all" in "remember" has no variable/ ],
    [ '1m per $uri uses=0', qr/invalid "uses="/ ],
    [ '1m per $uri 3', qr/use "uses=N"/ ],
    [ '1m per $uri; remember 1m per $uri', qr/is duplicate/ ],
    [ '1m per', qr/invalid number of arguments/ ])
{
    my ($code, $out) = Approval::Nginx->test_conf(http =>
        "approval_policy p { rule r { require a; remember $row->[0]; } }");

    isnt($code, 0, "remember $row->[0] is refused");
    like($out, $row->[1], 'and says why');
}

my ($code, $out) = Approval::Nginx->test_conf(http =>
    'approval_policy p { rule r { allow; remember 1m per $uri; } }');
isnt($code, 0, 'remember without require');
like($out, qr/"remember" in rule "r" has no effect/, 'says so');

# the VALUE is what the body says, and the body is gone when it is granted

{
    my @what = (POST => '/body', type => 'application/json');

    my $id = approve('by a member', 'alice', @what, body => '{"table":"a"}');

    passes('the same member', @what, body => '{"n":2,"table":"a"}');
    asks('another', @what, body => '{"table":"b"}');

    my ($grant) = grep { $_->{action_id} eq $id } grants();
    is($grant->{per}, 'a', 'the grant says for what');
    is(api(DELETE => "/grants/$grant->{id}")->status, 200, 'revoked');
}


$gw->clean;
done_testing;
