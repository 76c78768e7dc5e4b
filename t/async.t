#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Waiting well: the rule's "hold", Prefer (RFC 7240), the 202 and what follows.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;

need_module();

my $gw = Approval::Gateway->new(workers => 2, http => <<'EOF', server => <<'EOF');
    approval_policy p {
        rule short  { match $uri ^/short;  require admins; hold 300ms;
                      timeout 30s; notify hook; }
        rule theirs { match $uri ^/theirs; require admins; timeout 30s; }
        rule s409 { match $uri /status/409; require admins; hold 0 status=409; }
        rule s423 { match $uri /status/423; require admins; hold 0 status=423; }
        rule s425 { match $uri /status/425; require admins; hold 0 status=425; }
        rule s429 { match $uri /status/429; require admins; hold 0 status=429; }
        rule s503 { match $uri /status/503; require admins; hold 0 status=503; }
        rule s504 { match $uri /status/504; require admins; hold 0 status=504; }
        rule wait   { match $uri ^/wait;   require admins; timeout 30s;
                      notify hook; }
    }
    server {
        listen 127.0.0.1:%%PORT1%% reuseport;    # each worker has its share
        server_name gw.example;
        approval_requester $http_x_agent;
        approval p;
        location / { proxy_pass %%UP%%; }
    }
EOF
    approval p;
    location / { proxy_pass %%UP%%; }
    location /theirs { approval_prefer off; proxy_pass %%UP%%; }
EOF

my @get = (GET => '/wait/1');


# A 202, as a document: what it must say, and what it must not.

sub is_accepted {
    my ($r, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($r->status, 202, "$name: 202");
    is($r->header('Content-Type'), 'application/json', "$name: JSON");

    my $id = $r->header('Approval-Id');
    like($id, qr/^[0-9a-f]{32}$/, "$name: Approval-Id");
    is($r->header('Approval-Status'), 'pending', "$name: pending");
    like($r->header('Location'), qr{/_approval/status/$id$},
         "$name: Location is the status URL");
    like($r->header('Retry-After'), qr/^\d+$/, "$name: Retry-After");
    is_deeply([ sort keys %{ $r->json } ],
              [ qw(created_at expires_at id next retry_after state terminal) ],
              "$name: the status document, and nothing that decides");
    is($r->json->{state}, 'pending', "$name: state");

    return $id;
}


# The hold ended, and nobody asked for a 202.

sub is_pending {
    my ($r, $status, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $id = $r->header('Approval-Id');

    is($r->status, $status, "$name: $status");
    is($r->header('Content-Type'), 'application/problem+json',
       "$name: a problem");
    is($r->json->{type}, 'urn:approval:pending', "$name: its type");
    is($r->json->{$_}, $id, "$name: $_") for qw(id action_id);
    is($r->json->{state}, 'pending', "$name: state");
    like($r->header('Location'), qr{/_approval/status/$id$},
         "$name: Location is the status URL");
    like($r->header('Retry-After'), qr/^\d+$/, "$name: Retry-After");
    is($r->header('Preference-Applied'), undef, "$name: nobody preferred");
    is($r->header('x-should-retry'), undef, "$name: it may be sent again");

    return $id;
}


# Nobody who knows nothing of approvals reads a 202.

my ($client, $first) = $gw->hold(@get);
ok($client->quiet(0.5), 'held by default');
$gw->vote($first, 'approve');
is($client->read->status, 200, 'and answered by the upstream');

for (
    [ 'respond-async', 'respond-async', 'respond-async' ],
    [ 'Respond-Async', 'respond-async', 'without case' ],
    [ 'wait=1', 'wait=1', 'wait' ],
    [ 'respond-async, wait=1', 'respond-async, wait=1', 'both' ],
    [ 'handling=lenient, wait=0 ; x=y', 'wait=0', 'among others' ],
    [ "x=\"a, \\\"b\", wait =\t1", 'wait=1', 'after a quoted string' ],
) {
    my ($prefer, $applied, $name) = @$_;
    my $before = $gw->hits('/wait/1');

    my $c = $gw->send(@get, headers => [ Prefer => $prefer ]);
    my $r = $c->read;
    my $id = is_accepted($r, $name);

    is($r->header('Preference-Applied'), $applied, "$name: applied");

    my $again = $gw->send(@get, headers => [ Prefer => $prefer ])->read;
    is(is_accepted($again, "$name, again"), $id, "$name: it joins");

    $gw->vote($id, 'approve');

    my $status = http_get($gw->port, "/_approval/status/$id",
                          headers => [ 'X-Agent' => 'agent-7' ])->json;
    is($status->{state}, 'approved', "$name: the status says so");

    $r = $gw->send(@get, headers => [ Prefer => $prefer,
                                      'Approval-Id' => $id ])->read;
    is($r->status, 200, "$name: redeemed");
    is($gw->hits('/wait/1') - $before, 1, "$name: executed once");

    my $new = $gw->send(@get, headers => [ Prefer => 'respond-async' ])->read;
    isnt(is_accepted($new, "$name, used up"), $id,
         "$name: an approval is good for one");
    $gw->vote($new->header('Approval-Id'), 'deny', 'no');
}

for ('wait=x', 'wait=', 'wait=-1', 'wait', 'respond-asynchronously', '', ',,',
     'x="a, respond-async, b"', 'x="a, \\", respond-async, wait=0, b"') {
    my ($c, $id) = $gw->hold(GET => '/wait/2', headers => [ Prefer => $_ ]);
    ok($c->quiet(0.2), "Prefer \"$_\" means nothing");
    $gw->vote($id, 'deny');
    is($c->read->status, 403, 'denied');
}

# The rule's own patience

my $messages = $gw->hook->messages;
my $r = $gw->send(POST => '/short', body => 'a=1')->read;
my $id = is_pending($r, 503, 'hold');
ok(wait_for(sub { $gw->hook->messages > $messages }), 'approvers are told');

# what tries again by itself comes back to the same action

for my $try (1 .. 2) {
    $r = $gw->send(POST => '/short', body => 'a=1')->read;
    is(is_pending($r, 503, "hold, again, $try"), $id, 'the same action');
}

$r = $gw->send(POST => '/short', body => 'a=1',
               headers => [ Prefer => 'wait=9' ])->read;
is(is_accepted($r, 'hold, preferred'), $id, 'one who asks gets a 202');
is($r->header('Preference-Applied'), 'wait=9', 'which says so');
is(scalar(grep { $_->{action_id} eq $id } $gw->audit('requested')), 1,
   'people were asked once');
$gw->ngx->log_like(qr/\[notice\].*action $id is still pending after \d+\.\d s/,
                   'pending has its own level');

for my $status (409, 423, 425, 429, 503, 504) {
    my $r = $gw->send(GET => "/status/$status")->read;
    my $id = is_pending($r, $status, "status=$status");
    $gw->vote($id, 'deny');
}

# off: Prefer is the upstream's

{
    my ($c, $id) = $gw->hold(GET => '/theirs/1',
                             headers => [ Prefer => 'respond-async' ]);
    ok($c->quiet(0.3), 'approval_prefer off: it is held all the same');
    $gw->vote($id, 'approve');
    is($c->read->status, 200, 'and answered by the upstream');
    is($gw->up->last->header('Prefer'), 'respond-async', 'which is told');
}

$r = $gw->send(POST => '/short', body => 'a=2')->read;
isnt($r->header('Approval-Id'), $id, 'another byte is another action');

$gw->vote($id, 'deny', 'not now');
is(http_get($gw->port, "/_approval/status/$id",
            headers => [ 'X-Agent' => 'agent-7' ])->json->{state},
   'denied', 'the status says denied');

$id = $r->header('Approval-Id');
$gw->vote($id, 'approve');
$r = $gw->send(POST => '/short', body => 'a=1')->read;
is_pending($r, 503, 'what was denied is asked for anew');
$gw->vote($r->header('Approval-Id'), 'deny');
$r = $gw->send(POST => '/short', body => 'a=2')->read;
is($r->status, 200, 'what was approved passes');
is($gw->up->last->body, 'a=2', 'with its body');

# Told also where the receiver is slower than the 202

$gw->hook->script({ delay => 0.5 }) if $gw->hook->can('script');
$r = $gw->send(GET => '/wait/slow', headers => [ Prefer => 'respond-async' ])
        ->read;
is_accepted($r, 'slow receiver');
ok(wait_for(sub { grep { $_->{action_id} eq $r->header('Approval-Id') }
                       $gw->audit('notified') }),
   'the message outlives the 202');
$gw->vote($r->header('Approval-Id'), 'deny');

# One ticket, redeemed by 100 at once, over two workers: one execution, and
# nobody is asked again

{
    my $target = '/wait/ticket';
    my $r = $gw->send(GET => $target, headers => [ Prefer => 'respond-async' ])
               ->read;
    my $id = $r->header('Approval-Id');
    my @ticket = (headers => [ 'Approval-Id' => $id ]);

    $gw->vote($id, 'approve');

    my @all = map { Approval::Client->new($gw->ngx->port(1)) } 1 .. 100;
    $_->send(GET => $target, Approval::Gateway::who(@ticket)) for @all;

    my %got;
    $got{$_}++ for map { my $r = $_->read;
                         $r->status . ' ' . $r->header('Approval-Id') } @all;

    is_deeply(\%got, { "200 $id" => 1, "409 $id" => 99 },
              '100 redemptions: one is executed, the others learn of it');
    is($gw->hits($target), 1, 'as the upstream has seen');
    is(scalar(my @open = $gw->pending), 0, 'no other action is made');
    is(scalar(grep { $_->{action_id} eq $id } $gw->audit('executed')), 1,
       'one execution is on record');
    ok(wait_for(sub { $gw->state($id) eq 'executed' }), 'it is executed');

    my %writers = map { $_->{writer} => 1 }
                  grep { ($_->{action_id} // '') eq $id } $gw->audit;
    is(scalar keys %writers, 2, 'both workers took part');

    $r = $gw->send(GET => $target, @ticket)->read;
    is($r->status, 409, 'long after: it was used');
    is($r->json->{type}, 'urn:approval:already-executed', 'its type');
    is($r->json->{state}, 'executed', 'its state');
    is($r->json->{action_id}, $id, 'its id');
    is(scalar(grep { $_->{type} eq 'requested' && $_->{target} eq $target }
                   $gw->audit), 1, 'nobody was asked again');

    # it is nobody else's, and no other request's

    for ([ 'another requester', GET => $target, @ticket, agent => 'agent-8' ],
         [ 'another target', GET => "$target?", @ticket ],
         [ 'another id', GET => $target,
           headers => [ 'Approval-Id' => 'f' x 32 ] ],
         [ 'no id', GET => $target, headers => [ 'Approval-Id' => "$id'" ] ],
         [ 'none', GET => $target ])
    {
        my ($name, @request) = @$_;

        my ($c, $new) = $gw->hold(@request);
        ok($new, "$name: asks anew");
        $gw->vote($new, 'deny');
        is($c->read->status, 403, "$name: and is answered for itself");
    }
}

# Who times out and tries again, ten times: one action, one message

for my $stays (0, 1) {
    my $target = "/wait/retry-$stays";
    my @all;

    my ($c, $id) = $gw->hold(PUT => $target, body => 'the same');

    # an action that its requester leaves before anybody was told of it ends

    my $told = sub { scalar grep { $_->body =~ /$id/ } $gw->hook->messages };

    ok(wait_for($told), 'approvers are told');
    ok(wait_for(sub { grep { $_->{action_id} eq $id }
                           $gw->audit('notified') }), 'which is on record');

    for my $try (2 .. 10) {
        if ($stays) {
            push @all, $c;

        } else {
            $c->close;
            ok(wait_for(sub { !$gw->action($id)->{requester_present} }),
               "try $try: the one before has left");
        }

        $c = $gw->send(PUT => $target, body => 'the same');
        ok(wait_for(sub {
            my @joined = grep { $_->{action_id} eq $id } $gw->audit('joined');
            return @joined == $try - 1;
        }), "try $try: it joins");
    }

    is(scalar(my @open = $gw->pending), 1, 'one action');
    is($told->(), 1, 'one message');
    $gw->vote($id, 'approve');
    push @all, $c;
    my @status = sort map { $_->read->status } @all;
    is_deeply(\@status, [ 200, (409) x (@all - 1) ], 'one is executed');
    is($gw->hits($target), 1, 'once');
}

my ($code, $out) = Approval::Nginx->test_conf(http => <<'EOF');
    approval_policy p { rule r { require a; timeout 1s; hold 2s; } }
EOF
isnt($code, 0, 'hold longer than timeout');
like($out, qr/"hold" of rule "r" is longer than its "timeout"/, 'says so');

for my $bad (qw(status=200 status=202 status=302 status=500 status=x code=503),
             'status=503 status=503')
{
    ($code, $out) = Approval::Nginx->test_conf(
        http => "approval_policy p { rule r { require a; hold 1s $bad; } }");
    isnt($code, 0, "hold 1s $bad: refused");
    like($out, qr/invalid parameter "\S+": use "hold TIME" or|invalid number/,
         'says so');
}

$gw->clean('async');
done_testing;
