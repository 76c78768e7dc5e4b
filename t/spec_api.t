#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The contract on the approvers' side, as somebody finds it who has read only
# its table of methods and paths, and uses curl.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use MIME::Base64 qw(encode_base64url);
use Approval::Test;
use Approval::Gateway;

need_module();

my $gw = Approval::Gateway->new(
    http => <<'EOF',
    approval_policy p {
        rule drop {
            match $request_method DELETE;
            match $uri "~^/tables/(?<Table>\w+)$" "~^/views/(?<table>\w+)$";
            action db.drop;
            risk high;
            summary "drop $approval_arg_Table";
            show host $host;
            require admins;
        }
        rule short { match $uri /short; require admins; timeout 1s; }
    }
EOF
    server => 'location / { approval p; proxy_pass %%UP%%; }',
);

my $time = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;


sub api {
    my ($method, $path, $who, %how) = @_;

    my @headers = ('Accept' => '*/*', @{ delete $how{headers} // [] });
    push @headers, 'X-User' => $who if defined $who;

    return Approval::Client->new($gw->port)->request(
        $method => "/_approval$path", headers => \@headers, %how);
}


sub decide {
    my ($id, $who, $body, @headers) = @_;

    return api(POST => "/actions/$id/decision", $who, body => $body,
               headers => \@headers);
}


sub is_problem {
    my ($r, $status, $type, $name) = @_;

    is($r->status, $status, "$name: $status");
    is($r->header('Content-Type'), 'application/problem+json', "$name: form");
    is($r->json->{type}, "urn:approval:$type", "$name: $type");
}


subtest 'an action as JSON' => sub {
    my ($client, $id) = $gw->hold(DELETE => '/tables/orders?force=1',
                                  headers => [ 'X-Approval-Reason' => 'GDPR',
                                               'X-On-Behalf-Of' => 'carol' ]);

    my $a = api(GET => "/actions/$id", 'alice')->json;

    is_deeply({ map { $_ => $a->{$_} }
                qw(id state policy rule action risk summary requester
                   on_behalf_of reason method target show) },
              { id => $id, state => 'pending', policy => 'p', rule => 'drop',
                action => 'db.drop', risk => 'high', summary => 'drop orders',
                requester => 'agent-7', on_behalf_of => 'carol',
                reason => 'GDPR', method => 'DELETE',
                target => '/tables/orders?force=1',
                show => { host => 'gw.example' } },
              'who, what and why') or diag(explain($a));

    is($a->{host}, 'gw.example', 'host');
    like($a->{digest}, qr/^sha256:[0-9a-f]{64}$/, 'digest');
    like($a->{$_}, $time, $_) for qw(created_at expires_at);
    is(ref $a->{require}, 'ARRAY', 'require');
    is_deeply($a->{votes}, [], 'votes');

    my $list = api(GET => '/actions?state=pending', 'alice')->json;
    is_deeply([ map { $_->{id} } @{ $list->{actions} } ], [ $id ], 'the list');
    ok(exists $list->{next} && !defined $list->{next}, 'its end');

    for (qw(requester=agent-7 rule=drop state=pending limit=1),
         'since=2000-01-01T00:00:00Z', 'until=2999-01-01T00:00:00.000Z',
         'cursor=' . encode_base64url("999999999999999.$id"))
    {
        is(@{ api(GET => "/actions?$_", 'bob')->json->{actions} }, 1, $_);
    }

    for (qw(requester=other rule=short state=denied),
         'since=2999-01-01T00:00:00Z', 'until=2000-01-01T00:00:00Z')
    {
        is(@{ api(GET => "/actions?$_", 'bob')->json->{actions} }, 0, $_);
    }

    is_problem(decide($id, undef, '{"decision":"approve"}'), 401,
               'identity-required', 'nobody');
    is_problem(decide($id, 'agent-7', '{"decision":"approve"}'), 403,
               'self-approval', 'the requester');
    is_problem(decide($id, 'CAROL', '{"decision":"approve"}'), 403,
               'self-approval', 'whom it is for, in capitals');
    is_problem(decide($id, 'mallory', '{"decision":"approve"}'), 403,
               'not-an-approver', 'somebody');
    is_problem(decide('0' x 32, 'alice', '{"decision":"approve"}'), 404,
               'not-found', 'unknown');

    is(api(GET => "/actions/$id", 'alice')->json->{state}, 'pending',
       'it is still pending');

    my $r = decide($id, 'alice', '{"decision":"deny","comment":"no"}');
    is($r->status, 200, 'denied');
    is($r->json->{state}, 'denied', 'answers with the action');
    is($r->json->{votes}[0]{comment}, 'no', 'and the vote');

    is($client->read->json->{comment}, 'no', 'the requester reads why');

    $r = decide($id, 'bob', '{"decision":"approve"}');
    is_problem($r, 409, 'already-decided', 'later');
    is($r->json->{decision}{decision}, 'deny', 'with the decision');
    like($r->json->{decision}{decided_at}, $time, 'and when');
};


subtest 'expired' => sub {
    my $r = $gw->send(GET => '/short')->read;

    is($r->status, 403, 'the request');
    is($r->json->{type}, 'urn:approval:expired', 'never denied');
    is($r->header('Approval-Status'), 'expired', 'by its header, too');

    my $id = $r->header('Approval-Id');
    is_problem(decide($id, 'alice', '{"decision":"approve"}'), 410, 'expired',
               'a vote');
};


# [ name, type, headers, status ]; only some of them are a script's

my @bodies = (
    [ 'JSON', 'application/json', [], 200 ],
    [ 'JSON in UTF-8', 'application/json; charset=utf-8', [], 200 ],
    [ 'curl -d', 'application/x-www-form-urlencoded', [], 200 ],
    [ 'no type', undef, [], 200 ],
    [ 'a browser\'s form of JSON', 'application/x-www-form-urlencoded',
      [ Cookie => 'sso=1' ], 400 ],
    [ 'another site\'s form of JSON', 'application/x-www-form-urlencoded',
      [ Origin => 'https://evil.example' ], 403 ],
    [ 'a link of another site', 'application/x-www-form-urlencoded',
      [ Referer => 'https://evil.example/' ], 400 ],
    [ 'a browser, no type', undef, [ Cookie => 'sso=1' ], 415 ],
    [ 'a browser, no type', undef, [ 'Sec-Fetch-Mode' => 'no-cors' ], 415 ],
    [ 'another type', 'text/plain', [], 415 ],
);

for (@bodies) {
    my ($name, $type, $headers, $status) = @$_;
    my @type = defined $type ? ('Content-Type' => $type) : ();

    subtest "posted: $name, " . ($type // 'none') => sub {
        my ($client, $id) = $gw->hold(DELETE => '/views/v');

        my $r = decide($id, 'alice', '{"decision":"approve"}', @type,
                       @$headers);

        is($r->status, $status, 'status');
        like($r->header('Content-Type'), qr/json$/, 'JSON for */*');
        is($gw->action($id)->{state} eq 'pending', $status != 200, 'counts')
            or diag($r->body);

        $gw->vote($id, 'deny') if $status != 200;
        is($client->read->status, $status == 200 ? 200 : 403, 'the end');
    };
}


subtest 'a form without nonce' => sub {
    my ($client, $id) = $gw->hold(DELETE => '/views/v');
    my @form = ('Content-Type' => 'application/x-www-form-urlencoded');

    is_problem(decide($id, 'alice', 'decision=approve', @form), 403,
               'cross-site', 'for */*');

    my $r = Approval::Client->new($gw->port)->request(
        POST => "/_approval/actions/$id/decision", body => 'decision=approve',
        headers => [ 'X-User' => 'alice', Accept => 'text/html', @form ]);

    is($r->status, 403, 'for a browser');
    like($r->header('Content-Type'), qr{^text/html}, 'a page');

    $gw->vote($id, 'deny');
    $client->read;
};


$gw->clean;
done_testing;
