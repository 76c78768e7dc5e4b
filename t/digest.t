#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# What an approval is bound to: digest_headers, approval_digest_ignore.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();

my $gw = Approval::Gateway->new(workers => 2, http => <<'EOF',
    approval_digest_ignore $http_x_request_id;
    approval_policy p {
        rule env   { match $uri ^/env; require admins; timeout 60s;
                     digest_headers X-Env X-Request-Id X-Api-Key; }
        rule shown { match $uri ^/shown; match $http_x_cmd ^;
                     show account $http_x_account;
                     require admins; timeout 60s; }
        rule moved { match $uri ^/to; require admins; timeout 60s; }
        rule plain { match $uri ^/plain; require admins; timeout 60s; }
        rule shell { match $uri ^/shell; match $request_method GET POST;
                     require admins; timeout 60s; }
        rule retry { match $uri ^/retry; require admins; timeout 60s;
                     digest_headers X-Try; }
    }
EOF
    server => <<'EOF');
        approval p;
        location / { proxy_pass %%UP%%; }
        location /retry {
            approval_digest_ignore json:/meta/at json:/items/*/try $arg_nonce;
            approval_digest_ignore $http_x_try;
            proxy_pass %%UP%%;
        }
        location /shell { approval_digest_ignore $request_method;
                          proxy_pass %%UP%%; }
        location /shell/bound { proxy_pass %%UP%%; }
        location /moved { rewrite ^ /to/$http_x_tenant break;
                          proxy_pass %%UP%%; }
        location /retry/all { approval_digest_ignore off; proxy_pass %%UP%%; }
EOF


# the same action, or another one?

sub joins {
    my ($name, $same, $one, $two) = @_;

    my ($first, $id) = $gw->hold(@$one);
    ok($id, "$name: held") or return;

    my $second = $gw->send(@$two);

    if ($same) {
        ok(wait_for(sub { grep { $_->{action_id} eq $id }
                               $gw->audit('joined') }),
           "$name: it is the same request");
        is(scalar(my @open = $gw->pending), 1, "$name: one action");

    } else {
        ok(wait_for(sub { (my @open = $gw->pending) == 2 }),
           "$name: it is another request");
    }

    $gw->vote($_, 'deny') for $gw->pending;
    is($_->read->status, 403, "$name: answered") for $first, $second;
}


my @env = (POST => '/env', body => 'x');
my @json = (body => '{"a":1, "meta":{"at":1,"by":"x"},"items":[{"try":1}]}',
            headers => [ 'Content-Type' => 'application/json' ]);

sub env { [ @env, headers => [ @_ ] ] }

sub json {
    my ($body, $target, @headers) = @_;

    return [ POST => $target // '/retry', body => $body, headers =>
             [ @headers ? @headers : ('Content-Type' => 'application/json') ] ];
}

joins('a bound header', 0, env('X-Env' => 'dev'), env('X-Env' => 'prod'));
joins('it is bound where it is absent', 0, env('X-Env' => 'dev'), env());
joins('the second of it', 0, env('X-Env' => 'a', 'X-Env' => 'b'),
      env('X-Env' => 'a', 'X-Env' => 'c'));
joins('the same', 1, env('X-Env' => 'a'), env('x-env' => 'a'));
joins('any other header', 1, env('X-Other' => 'a'), env('X-Other' => 'b'));
# to the last digit, also where the body is bound in part

joins('an integer of more than 64 bits', 0,
      json('{"a":99999999999999999999}', '/plain'),
      json('{"a":99999999999999999998}', '/plain'));
joins('one of a body that is bound in part', 0,
      json('{"a":99999999999999999999,"meta":{"at":1}}'),
      json('{"a":99999999999999999998,"meta":{"at":1}}'));
joins('a string of such digits', 0,
      json('{"a":99999999999999999999,"meta":{"at":1}}'),
      json('{"a":"99999999999999999999","meta":{"at":1}}'));
joins('the same integer', 1,
      json('{"a":99999999999999999999,"meta":{"at":1}}'),
      json('{"a":99999999999999999999,"meta":{"at":2}}'));

# what approvers are shown is bound, whatever it comes from

sub shown { [ POST => '/shown', headers => [ @_ ] ] }

my $long = 'x' x 2000;

joins('a shown header', 0, shown('X-Account' => 'a'), shown('X-Account' => 'b'));
joins('the same of it', 1, shown('X-Account' => $long),
      shown('X-Account' => $long));
joins('what of it was cut', 0, shown('X-Account' => $long . 'a'),
      shown('X-Account' => $long . 'b'));
joins('what of a matched one was cut', 0, shown('X-Cmd' => $long . 'a'),
      shown('X-Cmd' => $long . 'b'));
joins('bytes that are shown escaped', 0, shown('X-Cmd' => "\xff"),
      shown('X-Cmd' => "\xfe"));
joins('where a header rewrites the path', 0,
      [ GET => '/moved', headers => [ 'X-Tenant' => 'a' ] ],
      [ GET => '/moved', headers => [ 'X-Tenant' => 'b' ] ]);

# ... by the decision: who writes to Redis can lead a request to another's

{
    my @later = (Prefer => 'respond-async');
    my %id;

    for my $account ('a', 'b') {
        $id{$account} = $gw->send(POST => '/shown', headers =>
            [ 'X-Account' => $account, @later ])->read->header('Approval-Id');
    }

    isnt($id{b}, $id{a}, 'led away: two actions');
    is($gw->vote($id{a}, 'approve')->status, 200, 'led away: one is approved');

    for my $key (@{ $gw->redis->cmd(KEYS => 'approval:{00}:join:*') }) {
        $gw->redis->cmd(SET => $key, $id{a}, 'KEEPTTL');
    }

    $gw->up->clear;

    my $r = $gw->send(POST => '/shown', headers =>
        [ 'X-Account' => 'b', @later ])->read;

    is($r->status, 503, 'led away: refused');
    like($r->body, qr/urn:approval:action-lost/, 'led away: its type');
    is($gw->up->count, 0, 'led away: not forwarded');
    is($gw->state($id{a}), 'approved', 'led away: the approval is unused');

    is($gw->send(POST => '/shown', headers => [ 'X-Account' => 'a' ])->read
       ->status, 200, 'led away: it is good for its own');

    $gw->vote($id{b}, 'deny');
}

joins('an ignored header', 1, env('X-Request-Id' => 'a'),
      env('X-Request-Id' => 'b'));

my $one = json($json[1]);

joins('ignored members', 1, $one,
      json('{"items":[{"try":2}],"a":1,"meta":{"by":"x"}}'));
joins('other members', 0, $one,
      json('{"a":2,"meta":{"at":1,"by":"x"},"items":[{"try":1}]}'));
joins('one member more', 0, $one,
      json('{"a":1,"b":1,"meta":{"by":"x"},"items":[{}]}'));
joins('one item more', 0, $one,
      json('{"a":1,"meta":{"by":"x"},"items":[{},{}]}'));
joins('another type of body', 0, $one,
      json($json[1], '/retry', 'Content-Type' => 'text/plain'));
joins('as text each byte counts', 0,
      json('{"a":1}', '/retry', 'Content-Type' => 'text/plain'),
      json('{"a": 1}', '/retry', 'Content-Type' => 'text/plain'));
joins('what is no JSON counts as it is', 0, json('{"a":1'), json('{"a": 1'));
joins('an ignored argument', 1, json('{}', '/retry?x=1&nonce=1'),
      json('{}', '/retry?nonce=2&x=1'));
joins('another argument', 0, json('{}', '/retry?x=1'),
      json('{}', '/retry?x=2'));
joins('an argument with a semicolon', 0, json('{}', '/retry?nonce=1'),
      json('{}', '/retry?nonce=1;x=2'));
joins('of the rule, but ignored here', 1,
      json('{}', '/retry', 'Content-Type' => 'application/json',
           'X-Try' => 1),
      json('{}', '/retry', 'Content-Type' => 'application/json',
           'X-Try' => 2));
joins('an ignored method', 1, [ GET => '/shell?command=sh' ],
      [ POST => '/shell?command=sh', body => '' ]);
joins('and another command', 0, [ GET => '/shell?command=sh' ],
      [ POST => '/shell?command=ls', body => '' ]);
joins('a method that is bound', 0, [ GET => '/shell/bound' ],
      [ POST => '/shell/bound', body => '' ]);
joins('all is bound with off', 0, json('{"a":1}', '/retry/all?nonce=1'),
      json('{"a":1}', '/retry/all?nonce=2'));
joins('with off each byte counts', 0, json('{"a":1}', '/retry/all'),
      json('{"a": 1}', '/retry/all'));


# what is forwarded is what the one who redeems it has sent

{
    my $target = '/retry?nonce=1';
    my ($client, $id) = $gw->hold(@{ json('{"a":1,"meta":{"at":1}}', $target) });
    my $action = $gw->action($id);

    is_deeply($action->{bound},
              [ qw(content-type content-encoding destination
                   idempotency-key), '$uri' ],
              'the bound headers, less what is ignored');
    is_deeply($action->{not_bound},
              [ 'json:/meta/at', 'json:/items/*/try', '$arg_nonce',
                '$http_x_try' ], 'what is not bound');

    my $page = http_get($gw->port, "/_approval/actions/$id",
                        headers => [ 'X-User' => 'alice',
                                     Accept => 'text/html' ])->body;
    like($page, qr{Not bound:.*<code>json:/meta/at</code>.*arg_nonce},
         'the page says so');

    $client->close;
    $gw->vote($id, 'approve');

    my $r = $gw->send(@{ json('{"meta":{"at":2},"a":1}', '/retry?nonce=2') })
               ->read;

    is($r->status, 200, 'the retry passes');
    is($r->header('Approval-Id'), $id, 'by the approval');
    is($gw->up->last->body, '{"meta":{"at":2},"a":1}', 'as it was sent');
    is($gw->up->last->target, '/retry?nonce=2', 'with its own arguments');
    is($gw->up->last->header('Approval-Digest'), $action->{digest},
       'under the digest that was approved');
}


# shown, and secrets are not

{
    my ($client, $id) = $gw->hold(@{ env('X-Env' => 'a', 'X-Env' => 'b',
                                         'X-Api-Key' => 'sesame') });
    my $action = $gw->action($id);

    is_deeply($action->{bound},
              [ qw(content-type content-encoding destination
                   idempotency-key $uri $http_x_env $http_x_api_key) ],
              'what is bound');
    is($action->{not_bound}[0], '$http_x_request_id', 'and what is not');
    is($action->{headers}{'x-env'}, 'a, b', 'a bound header is shown');
    like($action->{headers}{'x-api-key'}, qr/^\[redacted, \d+ bytes?, #/,
         'unless it is a secret');
    $gw->vote($id, 'deny');
    $client->read;
}

my ($digest) = map { $_->{digest} } ($gw->audit('requested'))[0];
like($digest, qr/^sha256:[0-9a-f]{64}$/, 'a digest');


# nginx -t

for my $row (
    [ 'digest_headers "X Env";', qr/invalid header "X Env"/ ],
    [ 'digest_headers;', qr/invalid number of arguments/ ])
{
    my ($code, $out) = Approval::Nginx->test_conf(http =>
        "approval_policy p { rule r { require a; $row->[0] } }");

    isnt($code, 0, "$row->[0] is refused");
    like($out, $row->[1], 'and says why');
}

for my $row (
    [ 'foo', qr/cannot ignore "foo": use "json:\/pointer"/ ],
    [ '$request_method2', qr/cannot ignore "\$request_method2": use / ],
    [ '$http_host', qr/must stay bound/ ],
    [ 'json:', qr/whole body/ ],
    [ 'json:/a json:/a', qr/listed twice/ ],
    [ 'off; approval_digest_ignore json:/a', qr/has "off" together/ ],
    [ 'json:/a; approval_digest_ignore off', qr/has "off" together/ ])
{
    my ($code, $out) = Approval::Nginx->test_conf(http =>
        "approval_digest_ignore $row->[0];");

    isnt($code, 0, "ignore $row->[0] is refused");
    like($out, $row->[1], 'and says why');
}

my ($code, $out) = Approval::Nginx->test_conf(http =>
    'approval_policy p { rule r { allow; digest_headers X-A; } }');
isnt($code, 0, 'digest_headers without require');
like($out, qr/"digest_headers" in rule "r" has no effect/, 'says so');

$gw->clean;
done_testing;
