#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The approvers' side against a real gateway: who may see and decide what, by
# link and by identity, as JSON and by the page's forms.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use MIME::Base64 qw(decode_base64);

need_module();

my $redis = Approval::Redis->new;
my $up = Approval::Upstream->new;
my $hook = Approval::Receiver->new;
my $dir = tempdir();
my $keys = make_keys($dir);

my $ngx = Approval::Nginx->new(workers => 2, http => <<"EOC");
    approval_redis @{[ $redis->url ]};
    approval_key $keys->{secret};
    approval_signing_key $keys->{signing};
    approval_base_url http://127.0.0.1:%%PORT%%/_approval;
    approval_audit %%PREFIX%%/audit.log;

    approval_group dba alice\@example.com bob\@example.com carol\@example.com;
    approval_group sre alice\@example.com dave\@example.com;
    approval_passkey_origin http://localhost;
    approval_alias bob\@example.com bob;
    approval_alias carol\@example.com agent-carol;

    approval_channel hook { type json; pass /hook; per_approver on; }

    approval_policy p {
        rule drop {
            match \$uri ^/drop;
            action db.drop;
            risk high;
            summary "Drop \$arg_table";
            show table \$arg_table;
            redact json:/secret_plan;
            require dba;
            notify hook;
        }
        rule two {
            match \$uri ^/two;
            action db.two;
            require 2 of dba;
            require sre;
        }
        rule critical {
            match \$uri ^/critical;
            action db.critical;
            risk critical;
            require dba;
            notify hook;
        }
        rule why {
            match \$uri ^/why;
            action db.why;
            require dba;
            comment deny;
        }
        rule say {
            match \$uri ^/say;
            action db.say;
            require 2 of dba;
            comment always;
        }
        rule low {
            match \$uri ^/low;
            action db.low;
            risk low;
            summary "Low \$arg_x";
            require dba;
            remember 10m per \$uri;
        }
        rule key {
            match \$uri ^/key;
            action db.key;
            risk low;
            require dba;
            vote passkey;
        }
        rule short {
            match \$uri ^/short;
            action db.short;
            require dba;
            timeout 1s;
        }
    }

    server {
        listen 127.0.0.1:%%PORT%%;
        listen 127.0.0.1:%%PORT1%% http2;

        location / {
            approval p;
            approval_requester \$http_x_user;
            proxy_pass @{[ $up->url ]};
        }

        location = /hook {
            internal;
            proxy_pass @{[ $hook->url ]};
        }

        location /_approval {
            approval_api approver=\$http_x_idp;
        }

        location /desk/mine/ {
            approval_api;
            approval_requester \$http_x_user;
        }
    }
EOC

my $port = $ngx->port;
my $api = '/_approval';
my %held;


# Sends a request that is held; returns its action's id.

sub hold {
    my ($target, %how) = @_;

    my %before = map { $_ => 1 } pending();
    my $client = Approval::Client->new($port);

    $client->send($how{method} // 'GET', $target,
                  headers => [ 'X-User' => $how{user} // 'agent-7',
                               @{ $how{headers} // [] } ],
                  $how{json} ? (json => $how{json}) : ());

    my $id = wait_for(sub { (grep { !$before{$_} } pending())[0] })
        or BAIL_OUT("$target was not held: "
                    . (eval { $client->try_read(1)->raw } // 'no answer'));

    $held{$id} = $client;

    return $id;
}


sub pending { @{ $redis->cmd(ZRANGE => 'approval:{00}:pending', 0, -1) } }


sub get {
    my ($target, $who, @headers) = @_;

    return http_get($port, "$api$target",
                    headers => [ $who ? ('X-Idp' => $who) : (), @headers ]);
}


sub page { get(@_, Accept => 'text/html,application/xhtml+xml,*/*;q=0.8') }


sub vote {
    my ($id, $who, $json, @headers) = @_;

    return http_post($port, "$api/actions/$id/decision",
                     ref $json ? encode_json($json) : $json,
                     headers => [ 'Content-Type' => 'application/json',
                                  $who ? ('X-Idp' => $who) : (), @headers ]);
}


sub form {
    my ($id, $fields, @headers) = @_;

    my $body = join '&', map { "$_=$fields->{$_}" } sort keys %$fields;

    return http_post($port, "$api/actions/$id/decision", $body, headers => [
        'Content-Type' => 'application/x-www-form-urlencoded', @headers ]);
}


sub is_problem {
    my ($response, $status, $type, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($response->status, $status, "$name: $status");
    is($response->header('Content-Type'), 'application/problem+json',
       "$name: problem+json");
    is(eval { $response->json->{type} }, "urn:approval:$type",
       "$name: $type");
}


sub is_page {
    my ($response, $status, $like, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($response->status, $status, "$name: $status");
    is($response->header('Content-Type'), 'text/html; charset=utf-8',
       "$name: a page");
    like($response->body, $like, "$name: says so");
}


sub state_of { $redis->cmd(HGET => "approval:{00}:$_[0]", 's') }


sub snapshot {
    my ($id) = @_;

    my %action = @{ $redis->cmd(HGETALL => "approval:{00}:$id") };

    delete @action{qw(nk nf)};          # messages may still be on their way

    return encode_json([ \%action,
                         $redis->cmd(GET => "approval:{00}:$id:decision"),
                         $redis->cmd(LRANGE => "approval:{00}:$id:votes", 0, -1),
                         [ sort(pending()) ] ]);
}


sub audit {
    my ($type, $id) = @_;

    return grep { $_->{type} eq $type && $_->{action_id} eq $id }
           map { decode_json($_) }
           split /\n/, slurp($ngx->path('audit.log'));
}


sub link_of {
    my ($id, $approver) = @_;

    my ($url) = @{ wait_for(sub {
        my @found = grep { $_->{id} eq $id
                           && $_->{links}{approver} eq $approver }
                    map { $_->json->{data} } @{[ $hook->messages ]};
        return @found ? [ $found[0]{links}{url} ] : undef;
    }) // BAIL_OUT("no link for $approver") };

    $url =~ s{^http://127\.0\.0\.1:\d+}{};

    return $url;
}


sub claims { decode_json(decode_base64((split /\./, $_[0])[1] =~ tr{-_}{+/}r)) }


# --- nobody

my $id = hold('/drop?table=orders', headers => [
    'X-Approval-Reason' => "<script>alert(1)</script>\xe2\x80\xae\"'&" ]);

is_problem(get("/actions/$id"), 401, 'identity-required', 'no identity');
is_problem(get('/actions'), 401, 'identity-required', 'list, no identity');
is_problem(vote($id, '', { decision => 'approve' }), 401, 'identity-required',
           'vote, no identity');
is_problem(get("/actions/$id?t=1.ffffffff.YQ.AAAA"), 401, 'identity-required',
           'a token that nobody made');
is_page(page("/actions/$id", ''), 401, qr/Who are you/, 'page, no identity');
is_page(form($id, { decision => 'approve' }), 401, qr/Who are you/,
        'form, no identity');
ok(get("/actions/$id")->header('WWW-Authenticate'), '401 has a challenge');

# --- what is not there

my $none = '0123456789abcdef0123456789abcdef';
my $alice = 'alice@example.com';

for my $what ($none, 'x', uc $id, "${id}0", '..%2f' . $id) {
    my $r = get("/actions/$what", $alice);

    is_problem($r, 404, 'not-found', "GET $what");
    is($r->body, get("/actions/$none", $alice)->body, 'uniform');
    is_problem(vote($what, $alice, { decision => 'deny' }), 404, 'not-found',
               "POST $what");
}

for my $path ('/slack', '/x', '/actions/', "/actions/$id/",
              "/actions/$id/x")
{
    is(get($path, $alice)->status, 404, "GET $path");
}

# --- methods

for ([ PUT => "/actions/$id", 'GET, HEAD, DELETE' ],
     [ POST => '/actions', 'GET, HEAD' ],
     [ GET => "/actions/$id/decision", 'POST' ], [ DELETE => '/', 'GET, HEAD' ],
     [ POST => "/status/$id", 'GET, HEAD, DELETE' ])
{
    my ($method, $path, $allow) = @$_;
    my $r = Approval::Client->new($port)->request($method => "$api$path",
        headers => [ 'X-Idp' => $alice ],
        $method eq 'GET' ? () : (body => 'x'));

    is_problem($r, 405, 'method-not-allowed', "$method $path");
    is($r->header('Allow'), $allow, 'Allow');
}

my $r = get('', $alice);
is($r->status, 301, 'the inbox has a slash');
is($r->header('Location'), './_approval/', 'a relative redirect');

# --- one action

$r = get("/actions/$id", $alice);
is($r->status, 200, 'an approver sees the action');
is($r->header('Content-Type'), 'application/json', 'as JSON');
is($r->header('Cache-Control'), 'no-store', 'no-store');

my $a = $r->json;

for my $member (qw(id state policy rule action risk summary requester
                   on_behalf_of reason method host target digest created_at
                   expires_at require votes show trail outcome decided_at))
{
    ok(exists $a->{$member}, "it has $member");
}

is($a->{state}, 'pending', 'state');
is($a->{summary}, 'Drop orders', 'summary');
is($a->{requester}, 'agent-7', 'requester');
is_deeply($a->{require}, [ { count => 1, groups => [ 'dba' ], missing => 1 } ],
          'require, and what is missing');
like($a->{created_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'RFC 3339');
is_deeply($a->{votes}, [], 'no votes');

is_problem(get("/actions/$id", 'mallory@example.com'), 403, 'not-an-approver',
           'not a member');
is_problem(get("/actions/$id", 'agent-7'), 403, 'not-an-approver',
           'the requester');
is(get("/actions/$id", ' ALICE@example.com ')->status, 200, 'other case');
is_problem(get("/actions/$id", "alice\@example.com\xe2\x80\x8b"), 401,
           'identity-required', 'an invisible character');
is_problem(get("/actions/$id", "\xef\xbd\x81lice\@example.com"), 401,
           'identity-required', 'a second spelling');

get("/actions/$id", $alice) for 1 .. 3;
page("/actions/$id", $alice);

is_deeply([ map { $_->{identity} } audit('viewed', $id) ],
          [ $alice, 'ALICE@example.com' ],
          'a view is on record once, under each name that was given');

# --- GET and HEAD change nothing

my $link = link_of($id, $alice);
my $before = snapshot($id);

for my $method (qw(GET HEAD)) {
    for my $path ("/actions/$id", "/actions/$id/decision", '/', '/actions',
                  "/status/$id", "/actions/$id/decision?decision=approve",
                  $link =~ s/^\Q$api\E//r)
    {
        for my $accept ('text/html', '*/*') {
            Approval::Client->new($port)->request($method => "$api$path",
                headers => [ 'X-Idp' => $alice, 'Accept' => $accept ]);
        }
    }
}

is(snapshot($id), $before, 'GET and HEAD changed nothing');

# --- the page

$r = page("/actions/$id", $alice);
is_page($r, 200, qr/<h1 id="title">Drop orders/, 'the page');

my $html = $r->body;

like($r->header('Content-Security-Policy'),
     qr{^default-src[ ]'none';[ ]style-src[ ]'sha256-[\w+/=]{44}';
        [ ]script-src[ ]'sha256-[\w+/=]{44}';[ ]connect-src[ ]'self';
        [ ]img-src[ ]data:;[ ]form-action[ ]'self';[ ]frame-src[ ]'self';
        [ ]base-uri[ ]'none';[ ]frame-ancestors[ ]'none'$}x,
     'CSP');
is($r->header('Referrer-Policy'), 'no-referrer', 'Referrer-Policy');
is($r->header('Cache-Control'), 'no-store', 'no-store');
is($r->header('X-Content-Type-Options'), 'nosniff', 'nosniff');

my ($style) = $html =~ m{<style>(.*?)</style>}s;
my ($script) = $html =~ m{<script>(.*?)</script>}s;
my @hashes = $r->header('Content-Security-Policy') =~ /sha256-([^']+)/g;
require Digest::SHA;
is_deeply(\@hashes, [ map { Digest::SHA::sha256_base64($_) . '=' }
                      $style, $script ],
          'the hashes of the style sheet and of the script');

is(() = $html =~ /<script/gi, 1, 'nothing else is active');
unlike($html, qr/\xe2\x80\xae/, 'no bidi');
like($html, qr/&lt;script&gt;alert\(1\)&lt;\/script&gt;&lt;U\+202E&gt;/,
     'the reason is escaped');
like($html, qr/requester.{1,5}s claim/, 'and said to be a claim');
is(() = $html =~ /name="decision" value="(?:approve|deny)"/g, 2, 'two forms');
unlike($html, qr/name="code"/, 'no code');
unlike($html, qr/http-equiv="?refresh/, 'and no refresh');
unlike($html, qr/\{\{|\}\}/, 'no mark is left');
like($html, qr/\Q$a->{digest}\E/, 'the digest');
like($html, qr/Can still vote:.*alice\@example\.com.*bob\@example\.com/,
     'who can still vote');

# --- forms

my ($nonce) = $html =~ /name="nonce" value="([^"]+)"/;
my @idp = ('X-Idp' => $alice);

is_page(form($id, { decision => 'approve' }, @idp), 403,
        qr/Not sent from the action/, 'no nonce');
is_page(form($id, { decision => 'approve', nonce => $nonce },
             'X-Idp' => 'bob@example.com'), 403, qr/Not sent from the action/,
        'another\'s nonce');
is_page(form($id, { decision => 'approve', nonce => "${nonce}A" }, @idp), 403,
        qr/Not sent from the action/, 'not our nonce');

for ([ 'Sec-Fetch-Site' => 'cross-site' ], [ 'Sec-Fetch-Site' => 'same-site' ],
     [ Origin => 'https://evil.example' ],
     [ Origin => "http://127.0.0.1:$port.evil.example" ],
     [ Origin => 'http://127.0.0.1' ])
{
    is_page(form($id, { decision => 'approve', nonce => $nonce }, @idp, @$_),
            403, qr/another site/, "form, @$_");
    is_problem(vote($id, $alice, { decision => 'approve' }, @$_), 403,
               'cross-site', "JSON, @$_");
}

is_problem(vote($id, $alice, { decision => 'approve' }, Origin => 'null'), 403,
           'cross-site', 'JSON from nowhere');
is_page(form($id, { decision => 'approve', nonce => $nonce, x => 1 }, @idp),
        400, qr/field/, 'an unknown field');
is_page(form($id, { decision => 'maybe', nonce => $nonce }, @idp), 400,
        qr/approve/, 'an unknown decision');
is_page(http_post($port, "$api/actions/$id/decision",
                  "decision=approve&decision=deny&nonce=$nonce",
                  headers => [ @idp, 'Content-Type' =>
                               'application/x-www-form-urlencoded' ]),
        400, qr/twice/, 'two decisions');
is_page(form($id, { decision => 'approve', nonce => $nonce,
                    comment => '%ff' }, @idp), 400, qr/UTF-8/, 'not UTF-8');

is(snapshot($id), $before, 'none of them changed anything');

is_page(form($id, { decision => 'comment', nonce => $nonce,
                    comment => 'look%0D%0Ahere%20%3Cb%3E' }, @idp,
             Origin => 'null', 'Sec-Fetch-Site' => 'same-origin'), 200,
        qr/comment is recorded/, 'a comment');

$r = get("/actions/$id", $alice)->json;
is($r->{votes}[0]{comment}, "look\nhere <b>", 'its lines');
is($r->{votes}[0]{decision}, 'comment', 'it is no vote');
is($r->{votes}[0]{how}, 'idp', 'how it was identified');
is($r->{state}, 'pending', 'it decides nothing');

is(vote($id, $alice, { decision => 'comment', comment => "$_" })->status, 200,
   "comment $_") for 2 .. 16;
is_problem(vote($id, $alice, { decision => 'comment', comment => '17' }),
           409, 'too-many-comments', 'one person leaves room for votes');

is_page(form($id, { decision => 'deny', nonce => $nonce,
                    comment => 'not+tonight' }, @idp,
             Origin => "http://127.0.0.1:$port"), 200, qr/You denied/,
        'denied by the form');
is($held{$id}->read->status, 403, 'and the request is refused');
is(state_of($id), 'denied', 'the state');
is_page(page("/actions/$id", $alice), 200, qr/Voting has ended/,
        'the page afterwards');
unlike(page("/actions/$id", $alice)->body, qr/<form/, 'has no forms');
is_page(form($id, { decision => 'approve', nonce => $nonce }, @idp), 409,
        qr/Already decided/, 'too late');

# --- JSON bodies

$id = hold('/drop?table=a');

for ([ '', 'empty' ], [ 'x', 'no JSON' ], [ '[]', 'an array' ],
     [ '{}', 'no decision' ], [ '{"decision":1}', 'a number' ],
     [ '{"decision":"Approve"}', 'another case' ],
     [ '{"decision":"approve","x":1}', 'an unknown member' ],
     [ '{"decision":"deny","decision":"approve"}', 'twice' ],
     [ '{"decision":"deny","d\u0065cision":"approve"}', 'twice, escaped' ],
     [ '{"decision":"approve"} x', 'trailing' ],
     [ "{\"decision\":\"approve\",\"comment\":\"\xff\"}", 'not UTF-8' ],
     [ '{"decision":"comment"}', 'no comment' ],
     [ encode_json({ decision => 'deny', comment => 'x' x 2001 }), 'long' ])
{
    my ($body, $name) = @$_;
    is_problem(vote($id, $alice, $body), 400, 'body-unreadable', $name);
}

is_problem(vote($id, $alice, ' ' x 16385), 413, 'body-too-large', 'large');
is_problem(Approval::Client->new($port)->request(POST =>
               "$api/actions/$id/decision", headers => [ @idp,
               'Content-Type' => 'application/json' ],
               chunked => [ (' ' x 1000) x 20 ]), 413, 'body-too-large',
           'large, chunked');
is_problem(http_post($port, "$api/actions/$id/decision",
                     '{"decision":"approve"}', headers => [ @idp,
                     'Content-Type' => 'text/plain' ]), 415,
           'unsupported-media-type', 'text/plain');
is_problem(vote($id, $alice, { decision => 'approve' },
                'Content-Encoding' => 'gzip'), 415, 'unsupported-media-type',
           'Content-Encoding');

# --- members only, and never one's own

is_problem(vote($id, 'mallory@example.com', { decision => 'approve' }), 403,
           'not-an-approver', 'not a member votes');
is_problem(vote($id, 'dave@example.com', { decision => 'deny' }), 403,
           'not-an-approver', 'another group\'s member votes');
is_problem(vote($id, 'agent-7', { decision => 'approve' }), 403,
           'self-approval', 'the requester votes');
is(scalar(grep { $_->{why} eq 'self-approval' } audit('refused', $id)), 1,
   'which is on record');

$r = vote($id, $alice, { decision => 'approve', comment => 'fine' });
is($r->status, 200, 'approved');
is($r->json->{id}, $id, 'with the action');
like($r->json->{state}, qr/^(?:approved|executing|executed)$/, 'its state');
is($r->json->{votes}[0]{comment}, 'fine', 'its vote');
is($held{$id}->read->status, 200, 'the request passes');

my ($voted) = audit('voted', $id);
is($voted->{person}, $alice, 'voted: person');
is($voted->{how}, 'idp', 'voted: how');
is($voted->{digest}, $r->json->{digest}, 'voted: digest');
is(claims($voted->{vote})->{jti}, $id, 'voted: the signed vote');
is(claims($voted->{vote})->{dig}, $r->json->{digest}, 'which has the digest');

my ($approved) = audit('approved', $id);
is($approved->{approvers}, $alice, 'approved: by whom');
is(claims($approved->{decision})->{sta}, 'approved', 'approved: the receipt');

$r = vote($id, 'bob@example.com', { decision => 'deny' });
is_problem($r, 409, 'already-decided', 'a vote after the decision');
is($r->json->{decision}{decision}, 'approve', 'the recorded decision');
is_deeply($r->json->{decision}{by}, [ $alice ], 'and whose it is');
is($r->json->{action_id}, $id, 'action_id');

for ([ 'Agent-Carol', 'carol@example.com', 'an alias, other case' ],
     [ 'carol@example.com', 'agent-carol', 'an alias, the other way' ])
{
    my ($user, $approver, $name) = @$_;
    my $id = hold("/drop?table=$user", user => $user);

    is_problem(vote($id, $approver, { decision => 'approve' }), 403,
               'self-approval', $name);
    like(page("/actions/$id", 'carol@example.com')->body,
         qr/You sent this request/, "$name: the page");
    unlike(page("/actions/$id", 'carol@example.com')->body, qr/<form/,
           "$name: no forms");
    vote($id, $alice, { decision => 'deny' });
    $held{$id}->read;
}

$id = hold('/drop?table=obo', headers => [ 'X-On-Behalf-Of' => 'BOB' ]);
is_problem(vote($id, 'bob@example.com', { decision => 'approve' }), 403,
           'self-approval', 'whom it is done for');
is(get("/actions/$id", $alice)->json->{on_behalf_of}, 'BOB', 'on_behalf_of');
vote($id, $alice, { decision => 'deny', comment => "no\n<b>" });
like($held{$id}->read->json->{type}, qr/denied/, 'denied');

# --- quorum

$id = hold('/two');

is_deeply([ map { $_->{missing} } @{ get("/actions/$id",
                                         $alice)->json->{require} } ],
          [ 2, 1 ], 'all are missing');

$r = vote($id, $alice, { decision => 'approve' });
is($r->status, 200, 'alice, of both groups');
is($r->json->{state}, 'pending', 'counts once');

is(vote($id, 'Alice@Example.com', { decision => 'approve' })->status, 200,
   'the same again');
is(scalar(@{ get("/actions/$id", $alice)->json->{votes} }), 1,
   'is the same vote');
is(scalar(audit('voted', $id)), 1, 'and one record');
is_problem(vote($id, $alice, { decision => 'deny' }), 409, 'already-voted',
           'a person votes once');
is(vote($id, 'bob', { decision => 'approve' })->json->{state}, 'pending',
   'bob, by his alias');
is_problem(vote($id, 'bob@example.com', { decision => 'deny' }), 409,
           'already-voted', 'and he is one person');

# the same vote at once, to two workers: one is enough

my @clients = map { Approval::Client->new($port) } 1 .. 20;

$_->send(POST => "$api/actions/$id/decision",
         headers => [ 'X-Idp' => 'dave@example.com' ],
         json => { decision => 'approve' }) for @clients;

my %status;
$status{$_->read->status}++ for @clients;

is(($status{200} // 0) + ($status{409} // 0), 20, '20 times the same vote');
ok($status{200}, 'one is taken');
is($held{$id}->read->status, 200, 'alice, bob and dave suffice');
is($redis->cmd(LLEN => "approval:{00}:$id:votes"), 3, 'three votes are stored');
is(scalar(audit('approved', $id)), 1, 'one decision');

# approve and deny at once

$id = hold('/drop?table=race');
my %vote = ($alice => 'approve', 'bob@example.com' => 'deny');

@clients = map {
    my $client = Approval::Client->new($port);
    $client->send(POST => "$api/actions/$id/decision",
                  headers => [ 'X-Idp' => $_ ],
                  json => { decision => $vote{$_} });
    $client;
} sort keys %vote;

is(join(' ', sort map { $_->read->status } @clients), '200 409',
   'one of two wins');
$held{$id}->read;

# --- a personal link

$id = hold('/drop?table=link', method => 'POST',
           json => { rows => 3, password => 'hunter2',
                     secret_plan => 'hunter3' });
$link = link_of($id, 'bob@example.com');

like($link, qr{^/_approval/actions/$id\?t=[\w.-]+$}, 'the link');

my ($t) = $link =~ /\?(t=.*)/;

$r = http_get($port, $link, headers => [ Accept => 'text/html' ]);
is($r->status, 303, 'a browser is sent to the clean URL');
is($r->header('Location'), $id, 'which has no token');

my $cookie = $r->header('Set-Cookie');
like($cookie, qr{^approval_session=[\w.-]+;[ ]Path=/_approval/actions/$id;
                    [ ]HttpOnly;[ ]SameSite=Lax$}x,
     'the cookie');
$cookie =~ s/;.*//;
unlike($cookie, qr/\Q$t\E/, 'is not the link\'s token');

my @cookie = (Cookie => "a=b; $cookie");

$r = page("/actions/$id", '', @cookie);
is_page($r, 200, qr/You are <strong>bob\@example\.com/, 'the page by cookie');
unlike($r->body, qr/hunter/, 'secrets are redacted');
like($r->body, qr/\[redacted, \d+ bytes, #[0-9a-f]{6}\]/, 'and said to be');
($nonce) = $r->body =~ /name="nonce" value="([^"]+)"/;

is(http_get($port, $link)->json->{id}, $id, 'JSON by link');
is_problem(get('/actions', '', @cookie), 401, 'identity-required',
           'a link opens no list');
is_page(page('/', '', @cookie), 401, qr/Who are you/, 'nor the inbox');

my $other = hold('/drop?table=other');
is_problem(get("/actions/$other?$t"), 401, 'identity-required',
           'nor another action');
is_problem(get("/actions/$other", '', @cookie), 401, 'identity-required',
           'and the cookie neither');
is_problem(vote($other, '', { decision => 'approve' }, @cookie), 401,
           'identity-required', 'to vote');

is_problem(get("/actions/$id?$t", $alice), 403, 'identity-mismatch',
           'a link of another than who is signed in');
is(get("/actions/$id?$t", 'BOB')->status, 200, 'the same person by alias');
like(page("/actions/$id", $alice, @cookie)->body,
     qr/You are <strong>alice/, 'a cookie that another left is not asked');
is(http_get($port, $link)->header('X-Content-Type-Options'), 'nosniff',
   'JSON is JSON');
is_problem(get("/actions/$id?t=" . ($cookie =~ s/.*?=//r)), 401,
           'identity-required', 'a session is no link');

for my $bad ("${t}A", substr($t, 0, -1), "$t&$t", "t=2" . substr($t, 3)) {
    is(get("/actions/$id?$bad")->status, 401, "not a token: $bad");
}

is_page(form($id, { decision => 'approve', nonce => $nonce,
                    comment => '' }, @cookie), 200,
        qr{You approved</h1>\n<p><strong>\S},
        'approved by link and form');
is($held{$id}->read->status, 200, 'the request passes');
is((audit('voted', $id))[0]{how}, 'link', 'how: link');
is((audit('voted', $id))[0]{identity}, 'bob@example.com', 'identity');

is(vote("$other", $alice, { decision => 'deny' })->status, 200, 'other');

$id = hold('/drop?table=link2');
$t = link_of($id, 'bob@example.com') =~ s/.*\?//r;
is(http_post($port, "$api/actions/$id/decision?$t", '{"decision":"deny"}',
             headers => [ 'Content-Type' => 'application/json' ])->status,
   200, 'a vote by the link\'s token');
$held{$id}->read;

# --- critical

$id = hold('/critical');
$r = page("/actions/$id", $alice);
like($r->body, qr/name="code"/, 'the form has a code');
($nonce) = $r->body =~ /name="nonce" value="([^"]+)"/;
is_page(form($id, { decision => 'approve', nonce => $nonce, comment => '' },
             'X-Idp' => $alice), 403, qr/code/i, 'the form without the code');
is_problem(vote($id, $alice, { decision => 'approve', code => '12345' }), 403,
           'code-required', 'not the code');

my $code = wait_for(sub {
    my ($m) = grep { $_->{id} eq $id } map { $_->json->{data} } $hook->messages;
    return $m && $m->{code};
});

like($code, qr/^\d{6}$/, 'the message\'s code');
is(vote($id, $alice, { decision => 'approve', code => $code })->status,
   200, 'approved with it');

$held{$id}->read;

# --- comments that the rule requires

$id = hold('/why');
is(get("/actions/$id", $alice)->json->{comment_required}, 'deny',
   'comment deny: the action says so');
$r = page("/actions/$id", $alice);
like($r->body, qr/id="deny-comment"[^>]* required>/, 'the page says so');
unlike($r->body, qr/id="approve-comment"[^>]* required>/, 'of denials only');
($nonce) = $r->body =~ /name="nonce" value="([^"]+)"/;

is_problem(vote($id, $alice, { decision => 'deny' }), 400, 'comment-required',
           'a denial without a comment');
is_problem(vote($id, $alice, { decision => 'deny', comment => " \n" }), 400,
           'comment-required', 'with a blank one');
is_page(form($id, { decision => 'deny', nonce => $nonce, comment => '' },
             'X-Idp' => $alice), 400, qr/Say why you deny/, 'by the form');
is(get("/actions/$id", $alice)->json->{state}, 'pending', 'nothing is decided');
is(scalar(grep { $_->{why} eq 'comment-required' } audit('refused', $id)), 3,
   'each refusal is on record');
is(vote($id, $alice, { decision => 'approve' })->status, 200,
   'an approval needs none');
$held{$id}->read;

$id = hold('/say');
$r = page("/actions/$id", $alice);
like($r->body, qr/id="$_-comment"[^>]* required>/, "comment always: $_")
    for qw(deny approve);
is_problem(vote($id, $alice, { decision => $_ }), 400, 'comment-required',
           "comment always: $_ without one") for qw(approve deny);
is(vote($id, $alice, { decision => 'approve', comment => 'agreed' })->status,
   200, 'comment always: approve with one');
is_problem(vote($id, 'bob@example.com', { decision => 'deny' }), 400,
           'comment-required', 'somebody else\'s comment is not theirs');
is(vote($id, 'bob@example.com', { decision => 'deny', comment => 'no' })
   ->status, 200, 'comment always: deny with one');
like($held{$id}->read->body, qr/"no"/, 'the requester reads why');

# --- expired

$id = hold('/short');
is($held{$id}->read->status, 403, 'nobody decided');
$r = vote($id, $alice, { decision => 'approve' });
is_problem($r, 410, 'expired', 'a vote after the end');
is(get("/actions/$id", $alice)->json->{state}, 'expired', 'expired');
like(page("/actions/$id", $alice)->body, qr/State: <strong>expired/, 'the page');

# --- status

$id = hold('/drop?table=status');
$r = get("/status/$id", '');
is($r->status, 200, 'status by id alone');
is_deeply([ sort keys %{ $r->json } ], [ qw(created_at expires_at id next
          retry_after state terminal) ], 'and nothing else');
is($r->json->{state}, 'pending', 'pending');
ok(!$r->json->{terminal}, 'not terminal');
ok($r->header('Retry-After'), 'Retry-After');

is_problem(get("/status/$none"), 404, 'not-found', 'status of nothing');
is_problem(get('/status/x'), 404, 'not-found', 'status of no id');

for ([ 'agent-7', 200 ], [ 'AGENT-7', 200 ], [ 'agent-8', 404 ], [ '', 200 ]) {
    is(http_get($port, "/desk/mine/status/$id",
                headers => [ 'X-User' => $_->[0] ])->status, $_->[1],
       "status for \"$_->[0]\"");
}

# --- list

my $second = hold('/drop?table=second', user => 'agent-9');

$r = get('/actions?state=pending', $alice)->json;
is_deeply([ map { $_->{id} } @{ $r->{actions} } ], [ $second, $id ],
          'newest first');
is($r->{next}, undef, 'and that is all');
ok(!exists $r->{actions}[0]{headers}, 'without headers');

is_deeply(get('/actions', 'dave@example.com')->json->{actions}[0]{rule}, 'two',
          'only what the person may decide');
is_deeply(get('/actions', 'mallory@example.com')->json,
          { actions => [], next => undef }, 'nothing for others');
is(scalar(grep { $_->{requester} =~ /carol/i }
          @{ get('/actions?limit=200', 'carol@example.com')->json->{actions} }),
   0, 'not one\'s own');

is_deeply([ map { $_->{id} } @{ get('/actions?requester=AGENT-9',
                                    $alice)->json->{actions} } ], [ $second ],
          'by requester');
is(scalar(@{ get('/actions?rule=short', $alice)->json->{actions} }), 1,
   'by rule');
is(get('/actions?state=expired', $alice)->json->{actions}[0]{rule}, 'short',
   'by state');

my %states = map { $_->{state} => 1 }
    @{ get('/actions?state=denied,executed&state=expired&limit=200',
           $alice)->json->{actions} };
is(join(' ', sort keys %states), 'denied executed expired', 'by several');

my $all = get('/actions?limit=200', $alice)->json->{actions};
my ($cursor, @seen) = ('');

do {
    my $page = get("/actions?limit=3$cursor", $alice)->json;

    push @seen, map { $_->{id} } @{ $page->{actions} };
    $cursor = $page->{next} ? "&cursor=$page->{next}" : undef;
} while (defined $cursor && @seen < 200);

is_deeply(\@seen, [ map { $_->{id} } @$all ], 'page by page');

my $middle = $all->[3]{created_at};
is_deeply([ map { $_->{id} } @{ get("/actions?limit=200&since=$middle",
                                    $alice)->json->{actions} } ],
          [ map { $_->{id} } grep { $_->{created_at} ge $middle } @$all ],
          'since');
is_deeply([ map { $_->{id} } @{ get("/actions?limit=200&until=$middle",
                                    $alice)->json->{actions} } ],
          [ map { $_->{id} } grep { $_->{created_at} le $middle } @$all ],
          'until');

for ([ 'x=1', 'x' ], [ 'state=new', 'state' ], [ 'limit=0', 'limit' ],
     [ 'limit=201', 'limit' ], [ 'limit=2&limit=3', 'limit' ],
     [ 'since=yesterday', 'since' ], [ 'cursor=x', 'cursor' ],
     [ 'cursor=MS54', 'cursor' ], [ 'view=x', 'view' ])
{
    my $r = get("/actions?$_->[0]", $alice);

    is_problem($r, 400, 'bad-argument', $_->[0]);
    is($r->json->{argument}, $_->[1], 'names it');
}

# --- inbox

$r = page('/', $alice);
is_page($r, 200, qr/<h1 data-part="count">Waiting for you \(\d+\)</, 'the inbox');
like($r->body, qr{href="actions/$id".*href="actions/$second"}s,
     'what expires first is first');
like($r->body, qr/http-equiv="refresh"/, 'it looks again');
unlike($r->body, qr/<form/, 'and has nothing typed in it to lose');

$r = page('/?view=history&state=denied&requester=%22%3E%3Cb%3E', $alice);
is_page($r, 200, qr/<h1>History/, 'history');
like($r->body, qr/value="&quot;&gt;&lt;b&gt;"/, 'shows the search, escaped');
like(page('/?view=history&state=denied&requester=&since=', $alice)->body,
     qr/denied/, 'empty fields ask for nothing');
unlike($r->body, qr/http-equiv="refresh"/, 'does not reload');
is_deeply(get('/', $alice)->json->{actions}[0]{id}, $second, 'as JSON');

vote($_, $alice, { decision => 'deny' }) for $id, $second;
$held{$_}->read for $id, $second;

# --- several at once

my %several;
$several{$_->[0]} = hold($_->[1], user => $_->[2] // 'agent-7')
    for [ low => '/low?x=1' ], [ withdrawn => '/low?x=2' ],
        [ own => '/low?x=own', 'carol@example.com' ], [ why => '/why?x=1' ],
        [ two => '/two?x=1' ], [ decided => '/why?x=2' ], [ high => '/drop?table=x' ],
        [ critical => '/critical?x=1' ], [ key => '/key?x=1' ];

my %named = reverse %several;

sub choices {
    my %nonce = page('/?view=several', @_)->body
                =~ /name="vote" value="([0-9a-f]{32}) ([^"]+)"/g;
    return \%nonce;
}

sub several {
    my ($who, $fields, $votes, @headers) = @_;

    return http_post($port, "$api/decisions",
        join('&', (map { "$_=$fields->{$_}" } sort keys %$fields),
                  map { "vote=$_+$votes->{$_}" } sort keys %$votes),
        headers => [ 'X-Idp' => $who, Accept => 'text/html', 'Content-Type' =>
                     'application/x-www-form-urlencoded', @headers ]);
}

sub withdraw {
    return Approval::Client->new($port)->request(
        DELETE => "/desk/mine/actions/$_[0]",
        headers => [ 'X-User' => 'agent-7' ])->status;
}

like(page('/', $alice)->body, qr/href="\?view=several"/,
     'the inbox leads to several at once');

my $chosen = choices($alice);
is_deeply([ sort map { $named{$_} } keys %$chosen ],
          [ sort qw(low withdrawn own why two decided) ],
          'neither high nor critical, and none for a passkey');

$r = page('/?view=several', $alice);
unlike($r->body, qr/http-equiv="refresh"/, 'nothing that is typed is lost');
like($r->body, qr/also lets later requests pass:<\/strong> for 10 min, any number of times/,
     'what a grant would let pass is said');
like($r->body, qr/Only exactly this request can be forwarded: <code>\Q$_\E</,
     'each with its digest')
    for map { get("/actions/$_", $alice)->json->{digest} } keys %$chosen;

my %nonces = %$chosen;

is_page(several($alice, { decision => 'approve' }, {}), 400,
        qr/You chose no action/, 'nothing chosen');
is_page(several($alice, { decision => 'comment', comment => 'x' }, \%nonces),
        400, qr/To comment, open/, 'no comments');
is_page(several($alice, { decision => 'approve', x => 1 }, \%nonces), 400,
        qr/not from this page/, 'a field that the page has not');
is_page(several($alice, { decision => 'approve', break_glass => 1,
                          comment => 'x' }, \%nonces), 400, qr/not from this page/,
        'the glass stays whole');
is_page(several($alice, { decision => 'approve' }, { 'x' x 32 => 'x' }), 400,
        qr/not from this page/, 'no id');
is_page(several($alice, { decision => 'approve' },
                { map { sprintf('00%030x', $_) => 1 } 1 .. 51 }), 400,
        qr/at most 50/, 'too many');
is_page(several($alice, { decision => 'approve' }, \%nonces,
                'Sec-Fetch-Site' => 'cross-site'), 403, qr/another site/,
        'from another site');
is(http_post($port, "$api/decisions", '{}', headers => [
       'X-Idp' => $alice, 'Content-Type' => 'application/json' ])->status, 415,
   'no JSON');
is(http_post($port, "$api/decisions", 'decision=approve', headers => [
       'Content-Type' => 'application/x-www-form-urlencoded' ])->status, 401,
   'nobody');
is(scalar(audit('voted', $_)), 0, "$named{$_}: no vote") for values %several;

# those that the page has not, with a nonce of their own page

for my $name (qw(high critical key)) {
    ($nonces{$several{$name}}) = page("/actions/$several{$name}", $alice)->body
                                 =~ /name="nonce" value="([^"]+)"/;
}

my $bobs = choices('bob@example.com');
my $forged = delete $nonces{$several{two}};

is(vote($several{decided}, 'bob@example.com', { decision => 'approve' })
   ->status, 200, 'one is decided meanwhile');
$held{$several{decided}}->read;
is(withdraw($several{withdrawn}), 200, 'one is withdrawn meanwhile');
$nonces{'0' x 32} = 'x';

$r = several($alice, { decision => 'deny' },
             { %nonces, $several{two} => $bobs->{$several{two}} });
is_page($r, 200, qr/<h1>2 of 10 votes were accepted/, 'several at once');

my %said = map { /actions\/([0-9a-f]{32})"/
                 ? ($named{$1} // 'unknown' => $_) : () }
           $r->body =~ /<article.*?<\/article>/gs;

like($said{low}, qr/You denied.*Low 1.*is denied/s, 'low: denied');
like($said{own}, qr/You denied.*Low own/s, 'own: denied by another');
like($said{why}, qr/A comment is required/, 'why: needs a comment');
like($said{decided}, qr/Already decided.*By bob\@example.com/s,
     'decided: says by whom');
like($said{withdrawn}, qr/Cancelled/, 'withdrawn: says so');
like($said{two}, qr/Not sent from the action/, 'another\'s nonce');
like($said{$_}, qr/Only on the action.{1,5}s page/, "$_: one by one")
    for qw(high critical key);
like($said{unknown}, qr/Not found/, 'unknown: not found');
ok(index($r->body, 'Not found') < index($r->body, 'You denied'),
   'what was not taken comes first');

is(join(' ', sort map { $named{$_} } grep { audit('voted', $_) }
        values %several), 'decided low own', 'each has a record of its own');
is(scalar(grep { $_->{why} eq 'one-by-one' } audit('refused', $several{$_})),
   1, "$_: its refusal is on record") for qw(high critical key);
is($held{$several{$_}}->read->status, 403, "$_: the requester is told")
    for qw(low own);

$r = several($alice, { decision => 'approve', comment => 'fine' },
             { map { $several{$_} => choices($alice)->{$several{$_}} }
               qw(why two) });
is_page($r, 200, qr/<h1>2 of 2 votes were accepted/, 'with a comment');
is(get("/actions/$several{$_}", $alice)->json->{votes}[0]{comment}, 'fine',
   "$_: has it") for qw(why two);
is($held{$several{why}}->read->status, 200, 'why: approved');
is(choices($alice)->{$several{two}}, undef, 'two: has her vote');

# a nonce is one person's, and so is the request

my $theirs = { $several{two} => $forged };
like(several('bob@example.com', { decision => 'approve' }, $theirs)->body,
     qr/0 of 1 votes.*Not sent from the action/s, 'a nonce is one person\'s');
$id = hold('/low?x=mine', user => 'carol@example.com');
is(choices('carol@example.com')->{$id}, undef, 'one\'s own is not there');
like(several('carol@example.com', { decision => 'approve' },
             { $id => choices($alice)->{$id} })->body,
     qr/0 of 1 votes.*Your own request/s, 'nor is it decided');
unlike(several('mallory@example.com', { decision => 'approve' },
               { $id => choices($alice)->{$id} })->body, qr/Low mine/,
       'strangers do not learn what it is about');
like(several('mallory@example.com', { decision => 'approve' },
             { $id => choices($alice)->{$id} })->body,
     qr/0 of 1 votes.*Not an approver/s, 'nor do they decide');

vote($_, 'bob@example.com', { decision => 'deny', comment => 'x' })
    for $id, @several{qw(high critical two)};
$held{$_}->read for $id, @several{qw(high critical two)};
withdraw($several{key});
$held{$several{key}}->read;

# --- a page is told that what it shows has changed

sub events {
    my ($target, $who) = @_;

    my $client = Approval::Client->new($port);
    $client->send(GET => "$api$target", headers => [ 'X-Idp' => $who // $alice ]);
    ok($client->arrived(qr/retry: 5000/), "$target: a stream") if !defined $who;

    return $client;
}

$id = hold('/drop?table=live');
my $live = events("/actions/$id/events");
my $framed = page("/actions/$id/state", $alice);
is_page($framed, 200, qr/Waiting for a decision/, 'its state, for a frame');
like($framed->header('Content-Security-Policy'), qr/frame-ancestors 'self'$/,
     'which the page may have');
is($framed->header('X-Frame-Options'), 'SAMEORIGIN', 'and no other site');
like($framed->body, qr/http-equiv="refresh"/, 'looks again by itself');
unlike($framed->body, qr/<form|<a /, 'and has nothing to press');
my $views = () = audit('viewed', $id);
vote($id, $alice, { decision => 'deny' });
$r = $live->read;
is($r->status, 200, 'decided: the stream');
is($r->header('Content-Type'), 'text/event-stream', 'is one of events');
is($r->header('Cache-Control'), 'no-store', 'is not kept');
like($r->body, qr/^event: changed\ndata: look\n\n\z/m, 'tells, and ends');
$held{$id}->read;
$r = events("/actions/$id/events")->read;
like($r->body, qr/event: changed/, 'one that is decided tells at once');

{
    my $client = Approval::Client->new($port);
    my $body = "GET $api/nothing HTTP/1.1\r\nHost: gw.example\r\n\r\n";
    my $head = "Host: gw.example\r\nX-Idp: $alice\r\n";

    $client->{sent} = [ 'GET', 'GET' ];
    $client->write("GET $api/actions/$id/events HTTP/1.1\r\n${head}"
                   . 'Content-Length: ' . length($body) . "\r\n\r\n$body"
                   . "GET $api/actions/$id/state HTTP/1.1\r\n${head}"
                   . "\r\n");

    is($client->read->status, 200, 'a stream whose request has a body');
    is($client->read->status, 200, 'which is not taken for another request');
}

like(page("/actions/$id/state", $alice)->body, qr/State: <strong>denied/,
     'the frame says so');
is(scalar(audit('viewed', $id)), $views, 'neither of them is a view');

$id = hold('/drop?table=live2');
$live = events("/actions/$id/events");
is(withdraw($id), 200, 'withdrawn');
like($live->read->body, qr/event: changed/, 'withdrawn: the stream tells');
$held{$id}->read;

$id = hold('/short');
$live = events("/actions/$id/events");
like($live->read->body, qr/event: changed/, 'expired: the stream tells');
$held{$id}->read;

is(events("/actions/$id/events", '')->read->status, 401, 'not nobody');
is(events('/events', '')->read->status, 401, 'nor the inbox');
is(events("/actions/$id/events", 'mallory@example.com')->read->status, 403,
   'not strangers');
is(events("/actions/@{[ '0' x 32 ]}/events", $alice)->read->status, 404,
   'not what is not there');

# what is new may come before the gateway listens: then the next one is told

sub told {
    my ($client, $change) = @_;

    for (1 .. 6) {
        $client->{buffer} = '';
        $change->();
        return 1 if $client->arrived(qr/event: changed/, 10);
    }

    return 0;
}

my @live = map { events('/events') } 1 .. 2;
my @new;
ok($_->arrived(qr/event: changed/), 'the inbox is told once after it opened')
    for @live;
ok(told($_, sub { push @new, hold('/drop?table=live' . @new) }),
   'and of a new action') for @live;
$live[1]->close;
ok(told($live[0], sub { vote($new[-1], $alice, { decision => 'deny' });
                        $held{pop @new}->read if @new > 1 }),
   'and of one that is decided');
vote($_, $alice, { decision => 'deny' }), $held{$_}->read for @new;
$live = $live[0];

$id = hold('/drop?table=live4');
my $stream = events("/actions/$id/events");
$ngx->reload;
ok($_->closed, 'a reload ends the stream') for $live, $stream;
$live = events("/actions/$id/events");
vote($id, $alice, { decision => 'deny' });
$held{$id}->read;
like($live->read->body, qr/event: changed/, 'the new worker tells');

like(Approval::Client->curl('--http2-prior-knowledge', '-N',
         '-H', "X-Idp: $alice",
         "http://127.0.0.1:@{[ $ngx->port(1) ]}$api/actions/$id/events")->body,
     qr/event: changed/, 'over HTTP/2, too');

# --- votes in Redis that are not ours

$id = hold('/drop?table=forged');
my ($stolen) = map { $_->{vote} } audit('voted', $second);

$redis->cmd(RPUSH => "approval:{00}:$id:votes", $stolen, 'junk', '');
is_deeply(get("/actions/$id", $alice)->json->{votes}, [],
          'another action\'s vote, and junk, are nothing');
is(vote($id, 'bob@example.com', { decision => 'approve' })->status, 200,
   'and in nobody\'s way');
$held{$id}->read;

# --- HTTP/2

$id = hold('/drop?table=h2');
my $h2 = "http://127.0.0.1:" . $ngx->port(1) . "$api/actions/$id";
my @h2 = ('--http2-prior-knowledge', '-H', "X-Idp: $alice");

is(Approval::Client->curl(@h2, $h2)->json->{state}, 'pending', 'GET by h2');
is(Approval::Client->curl(@h2, '-I', $h2)->status, 200, 'HEAD by h2');
is(Approval::Client->curl(@h2, '-H', 'Content-Type: application/json',
                          '-d', '{"decision":"deny"}',
                          "$h2/decision")->json->{state}, 'denied',
   'POST by h2');
$held{$id}->read;

# --- no log has what votes

$id = hold('/drop?table=logs');
$t = link_of($id, 'bob@example.com') =~ s/.*\?t=//r;

is(Approval::Client->curl('--http2-prior-knowledge', '-H', 'Accept: text/html',
                          "$h2?t=$t" =~ s/actions\/\w+/actions\/$id/r)->status,
   303, 'a link by h2');
is(get("/actions/$id?x=t=1&%74=$t")->status, 200, 'another spelling');
is(get("/actions/$id?u=1&t=$t&at=2&t=$t")->status, 401, 'twice');
is(vote("$id", $alice, { decision => 'deny' })->status, 200, 'denied');
$held{$id}->read;

ok((() = $ngx->access_log(qr/x=t=1&%74=\*+ /)), 'the token is masked');
ok((() = $ngx->access_log(qr/u=1&t=\*+&at=2&t=\*+ /)), 'and nothing else');
ok((() = $ngx->access_log(qr/$id\?t=\*+ HTTP\/2/)), 'by h2, too');

for my $name ('access.log', 'error.log') {
    my @lines = grep { !/\[debug\]|^Set-Cookie:/
                       && /1\.[0-9a-f]+\.[\w-]+\.[\w-]{43}/ }
                     split(/^/, slurp($ngx->path($name)));

    is(scalar @lines, 0, "$name has no token") or diag(@lines);
}

# --- the trail cannot be written

$id = hold('/drop?table=trail');
$ngx->allow(qr/audit/);

rename($ngx->path('audit.log'), $ngx->path('audit.1'));
symlink('/dev/full', $ngx->path('audit.log'));
$ngx->reopen;

is_problem(vote($id, $alice, { decision => 'approve' }), 503,
           'audit-unavailable', 'no record, no vote');
is($redis->cmd(LLEN => "approval:{00}:$id:votes"), 0, 'it was not stored');
is(get("/actions/$id", $alice)->status, 200, 'to look is no vote');

unlink($ngx->path('audit.log'));
$ngx->reopen;

is(vote($id, $alice, { decision => 'approve' })->status, 200,
   'and with a record it is taken');
$held{$id}->read;

# --- the store hangs

$id = hold('/drop?table=hangs');
$redis->pause;

@clients = map { Approval::Client->new($port) } 1 .. 10;

for my $n (0 .. $#clients) {
    $clients[$n]->send(GET => "$api/" . ($n % 2 ? "actions/$id" : 'actions'),
                       headers => [ 'X-Idp' => $alice ]);
}

$_->reset for splice(@clients, 0, 4);
$_->close for splice(@clients, 0, 2);
is(join(' ', map { $_->read->status } @clients), '503 503 503 503',
   'who stays is told');

$redis->resume;
ok(wait_for(sub { vote($id, $alice, { decision => 'deny' })->status == 200 }),
   'and it goes on');
$held{$id}->read;

# each worker has a link of its own, and comes back in its own time

wait_for(sub { !grep { get('/actions', $alice)->status != 200 } 1 .. 10 })
    or BAIL_OUT('a worker has not found Redis again');

# --- the store is away

$id = hold('/drop?table=away');
$redis->stop;

$r = get("/actions/$id", $alice);
is_problem($r, 503, 'store-unavailable', 'no store');
ok($r->header('Retry-After'), 'Retry-After');
is_problem(vote($id, $alice, { decision => 'approve' }), 503,
           'store-unavailable', 'no vote');
is_page(page("/actions/$id", $alice), 503, qr/Store unavailable/, 'a page');

$held{$id}->close;

done_testing();
