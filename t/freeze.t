#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The switch: a requester or a policy that is stopped, on all workers.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;
use POSIX qw(strftime);

need_module();

my $gw = Approval::Gateway->new(workers => 2, http => <<'EOF',
    approval_group ops olga oscar;
    approval_operators ops;
    approval_alias agent-7 robot@example.com;
    approval_policy p {
        rule r { match $uri ^/r; require admins; timeout 60s;
                 remember 60s per $uri; }
        rule slow { match $uri ^/slow; require admins; timeout 60s;
                    hold 1s; }
    }
    approval_policy q { rule r { match $uri ^/q; require admins;
                                 timeout 60s; } }
EOF
    server => <<'EOF');
        approval p;
        location / { proxy_pass %%UP%%; }
        location /q { approval q; proxy_pass %%UP%%; }
EOF


sub api {
    my ($method, $what, $user, %how) = @_;

    return Approval::Client->new($gw->port)->request($method,
        '/_approval/freeze' . (ref $what ? '' : $what // ''),
        (ref $what ? (json => $what) : ()),
        headers => [ 'X-User' => $user // 'olga', @{ $how{headers} // [] } ]);
}

sub frozen {
    my ($name, @request) = @_;

    my $client = ref $request[0] ? $request[0] : $gw->send(@request);
    my $r = $client->try_read;

    is($r ? $r->status : 'held', 403, "$name: refused") or return;
    is($r->json->{type}, 'urn:approval:frozen', "$name: as frozen");

    return $r;
}


# a requester

{
    my ($grants, $id) = $gw->hold(GET => '/r/grant');
    $gw->vote($id, 'approve');
    is($grants->read->status, 200, 'a grant is made');
    is($gw->send(GET => '/r/grant')->read->status, 200, 'and used');

    my ($held, $id1) = $gw->hold(GET => '/r/held');
    my ($held2, $id2) = $gw->hold(GET => '/q/held');
    my ($other, $id3) = $gw->hold(GET => '/r/other', agent => 'agent-8');

    my $slow = $gw->send(GET => '/slow')->read;
    is($slow->status, 503, 'one asks later');
    my $id4 = $slow->header('Approval-Id');
    is($gw->vote($id4, 'approve')->status, 200, 'and is approved');

    my $r = api(POST => { requester => 'Robot@Example.com',
                          comment => 'runs wild' });
    is($r->status, 200, 'frozen') or diag $r->body;
    is($r->json->{cancelled}, 2, 'two of them wait');

    frozen('held', $held);
    frozen('held in another policy', $held2);
    is($gw->state($_), 'cancelled', 'its action ended') for $id1, $id2;
    frozen('a new one', GET => '/r/new');
    frozen('by a grant', GET => '/r/grant');
    frozen('approved already', GET => '/slow');
    is($gw->hits('/slow'), 0, 'nothing is executed');
    is($gw->state($id4), 'approved', 'what was approved lapses');
    is($gw->send(GET => '/free')->read->status, 200, 'what needs none passes');

    is($gw->vote($id1, 'approve')->status, 409, 'a vote is late');
    ok($other->quiet(0.1), 'another requester still waits');
    $gw->vote($id3, 'approve');
    is($other->read->status, 200, 'and is executed');

    for my $n (1 .. 20) {
        my $r = $gw->send(GET => "/r/$n")->read;
        $r->status == 403 or fail("number $n passes");
    }

    my ($entry) = @{ api('GET')->json->{frozen} };
    is($entry->{requester}, 'Robot@Example.com', 'it is listed');
    is($entry->{comment}, 'runs wild', 'with the comment');
    is($entry->{by}, 'olga', 'and by whom');

    my ($config) = grep { ($_->{what} // '') eq 'frozen' }
                   $gw->audit('config');
    is($config->{identity}, 'olga', 'on record: who');
    is($config->{comment}, 'runs wild', 'on record: why');
    is(scalar(grep { ($_->{why} // '') eq 'frozen' } $gw->audit('cancelled')),
       2, 'on record: what ended');
    ok(scalar(grep { ($_->{refusal} // '') =~ /frozen/ }
              $gw->audit('refused')), 'on record: what was refused');

    is(api(DELETE => '?requester=agent-7')->status, 200, 'thawed');
    is(api(DELETE => '?requester=agent-7')->status, 404, 'once');
    is(scalar @{ api('GET')->json->{frozen} }, 0, 'nothing is listed');

    is($gw->send(GET => '/slow')->read->status, 200, 'what was approved passes');
    my ($again, $id5) = $gw->hold(GET => '/r/new');
    ok($id5, 'and it may ask again');
    $gw->vote($id5, 'deny');
    $again->read;
}


# a policy, for a while

{
    my ($held, $id) = $gw->hold(GET => '/q/1', agent => 'agent-9');
    my $freeze = sub {
        my $until = strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $_[0]));

        return api(POST => { policy => 'q', until => $until });
    };

    is($freeze->(600)->status, 200, 'a policy is frozen');
    frozen('held', $held);
    frozen('a new one', GET => '/q/2', agent => 'agent-9');

    my ($other, $id2) = $gw->hold(GET => '/r/q');
    ok($id2, 'another policy is not');
    $gw->vote($id2, 'deny');
    $other->read;

    is($freeze->(2)->status, 200, 'again, and for less time');

    ok(wait_for(sub {
        my $client = $gw->send(GET => '/q/3');
        return wait_for(sub { $client->answered || $gw->pending })
               && $gw->pending;
    }), 'until then');
    $gw->vote($_, 'deny') for $gw->pending;
}


# who may, and what

is(api(POST => { requester => 'x' }, 'alice')->status, 403,
   'an approver is no operator');
is(api(POST => { requester => 'x' }, '')->status, 401, 'nor is nobody');
is(api(GET => '', 'alice')->status, 403, 'nor may one look');
is(api(POST => { requester => 'x' }, 'olga',
       headers => [ 'Sec-Fetch-Site' => 'cross-site' ])->status, 403,
   'not from another site');

# the JSON of another site's form is text/plain

for my $type ('text/plain', 'multipart/form-data; boundary=x', undef)
{
    my $r = http_post($gw->port, '/_approval/freeze', '{"requester":"x"}',
                      headers => [ 'X-User' => 'olga',
                                   $type ? ('Content-Type' => $type) : () ]);
    is($r->status, 415, $type // 'no type');
    is($r->json->{type}, 'urn:approval:unsupported-media-type', 'says why');
}

{
    my $r = api(POST => { requester => 'x', comment => 'x' x 20000 });
    is($r->status, 413, 'too large');
    is($r->json->{type}, 'urn:approval:body-too-large', 'says why');
}

is(api(POST => { requester => 'OLGA' })->status, 200, 'an operator is frozen');
is(api(DELETE => '?requester=olga')->status, 403, 'and does not end it');
is(api(DELETE => '?requester=olga', 'oscar')->status, 200, 'another one does');

for my $row ([ { } ], [ { requester => 'a', policy => 'q' } ],
             [ { policy => 'nope' } ], [ { requester => 1 } ],
             [ { requester => 'a', what => 'x' } ], [ [ ] ],
             [ { requester => 'a', until => 'soon' } ],
             [ { requester => 'a', until => '2001-01-01T00:00:00Z' } ])
{
    is(api(POST => $row->[0])->status, 400,
       'refused: ' . (ref $row->[0] eq 'HASH'
                      ? join(' ', map { "$_ $row->[0]{$_}" }
                                  sort keys %{ $row->[0] }) : '[]'));
}

is(api(DELETE => '')->status, 400, 'nothing is named');
is(scalar @{ api('GET')->json->{frozen} }, 0, 'nothing is frozen');


# the page, and its forms

{
    my $page = sub {
        return http_get($gw->port, '/_approval/freeze', headers => [
            'X-User' => $_[0], Accept => 'text/html' ]);
    };
    my $post = sub {
        my ($body, $user, @headers) = @_;

        return http_post($gw->port, '/_approval/freeze', $body, headers => [
            'X-User' => $user // 'olga', @headers, 'Content-Type' =>
            'application/x-www-form-urlencoded' ]);
    };

    my $html = $page->('olga')->body;
    my ($nonce) = $html =~ /name="nonce" value="([^"]+)"/;

    like($html, qr/<option>p<.*<option>q</, 'the policies stand there');
    is($page->('alice')->status, 403, 'for operators');
    is($post->("nonce=$nonce&requester=x", 'alice')->status, 403,
       'nor may others send it');
    is($post->('requester=x')->status, 403, 'a form without a nonce');
    is($post->('{"requester":"x"}')->status, 403, 'nor JSON as a form');
    is($post->('nonce=' . ($nonce =~ s/.$//r) . '&requester=x')->status, 403,
       'or with one that lacks a byte');
    is($post->("nonce=$nonce&requester=x", 'olga',
               'Sec-Fetch-Site' => 'cross-site')->status, 403,
       'or from another site');
    is($post->("nonce=$nonce&requester=x&policy=q")->status, 400, 'both');
    is($post->("nonce=$nonce&requester=x&minutes=-1")->status, 400,
       'a time that is none');
    is(scalar @{ api('GET')->json->{frozen} }, 0, 'nothing is frozen');

    like($post->("nonce=$nonce&requester=agent%2d5&minutes=60&comment=a%3Cb"
                 . "&policy=")->body, qr/<h1>Frozen/, 'frozen for an hour');
    frozen('the requester', GET => '/r/page', agent => 'agent-5');

    my ($entry) = @{ api('GET')->json->{frozen} };

    is($entry->{requester}, 'agent-5', 'who');
    like($entry->{until}, qr/^20\d\d-.*Z$/, 'until when');
    like($page->('olga')->body, qr/Requester agent-5.*a&lt;b/s, 'on the page');
    like($post->("nonce=$nonce&thaw=1&requester=Agent-5")->body,
         qr/<h1>Thawed/, 'thawed');
    is($post->("nonce=$nonce&thaw=1&requester=agent-5")->status, 404, 'once');
    is(scalar @{ api('GET')->json->{frozen} }, 0, 'nothing is frozen');
}


# nginx -t

for my $row (
    [ 'approval_operators;', qr/invalid number of arguments/ ],
    [ 'approval_operators a; approval_operators b;', qr/is duplicate/ ],
    [ 'approval_operators nobody;',
      qr/group "nobody" in "approval_operators" has no members/ ])
{
    my ($code, $out) = Approval::Nginx->test_conf(http => $row->[0]);

    isnt($code, 0, "$row->[0] is refused");
    like($out, $row->[1], 'and says why');
}

my $none = Approval::Gateway->new;
is(http_post($none->port, '/_approval/freeze', '{"requester":"x"}',
             headers => [ 'X-User' => 'alice',
                          'Content-Type' => 'application/json' ])->status, 404,
   'without approval_operators there is no switch');

$gw->clean;
done_testing;
