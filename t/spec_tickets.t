#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The contract on tickets: what a requester that names one by Approval-Id gets,
# whatever became of it; and that a name alone opens nothing.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();

my $gw = Approval::Gateway->new(
    workers => 2,
    http => <<'EOF',
    approval_policy p {
        rule short { match $arg_t short; require admins; timeout 1s; }
        rule lapse { match $arg_t lapse; require admins; execute_within 1s; }
        rule slow  { match $request_method POST; require admins; }
    }
EOF
    server => 'location / { approval p; proxy_pass %%UP%%; }',
);

my @json = ('Content-Type' => 'application/json');


sub ask {
    my ($target, $body, @headers) = @_;

    return $gw->send(POST => $target, body => $body,
                     headers => [ @json, Prefer => 'respond-async', @headers ])
              ->read;
}


sub ticket {
    my ($target, $body) = @_;

    my $r = ask($target, $body);

    is($r->status, 202, "$target: 202");
    is($r->header('Approval-Id'), $r->json->{id}, "$target: its id");

    return $r->json->{id};
}


sub is_problem {
    my ($r, $status, $type, $id) = @_;

    is($r->status, $status, "$type: status");
    is($r->header('Content-Type'), 'application/problem+json', "$type: form");
    is($r->json->{type}, "urn:approval:$type", "$type: type");
    is($r->json->{action_id}, $id, "$type: the action");
    is($r->header('Approval-Id'), $id, "$type: Approval-Id");
    ok(length $r->json->{detail}, "$type: what to do next");
}


subtest 'used' => sub {
    my $id = ticket('/used', '{"n":1}');

    $gw->vote($id, 'approve');
    is(ask('/used', '{"n":1}', 'Approval-Id' => $id)->status, 200, 'passes');

    wait_for(sub { $gw->state($id) eq 'executed' });

    my $r = ask('/used', '{"n":1}', 'Approval-Id' => $id);
    is_problem($r, 409, 'already-executed', $id);
    is($r->header('Approval-Status'), 'executed', 'and says its state');
    is($gw->hits('/used'), 1, 'once');

    $r = ask('/used', '{"n":1}');
    isnt($r->json->{id}, $id, 'without the name it is a new action');
    $gw->vote($r->json->{id}, 'deny');
};


subtest 'used by many at once' => sub {
    my $id = ticket('/many', '{}');

    $gw->vote($id, 'approve');

    my @clients = map { $gw->send(POST => '/many', body => '{}',
                            headers => [ @json, 'Approval-Id' => $id ]) }
                      1 .. 100;

    my %seen;
    $seen{ $_->read->status }++ for @clients;

    is_deeply(\%seen, { 200 => 1, 409 => 99 }, 'one execution');
    is($gw->hits('/many'), 1, 'upstream agrees');
};


subtest 'denied' => sub {
    my $id = ticket('/denied', '{}');

    $gw->vote($id, 'deny', 'not today');

    my $r = ask('/denied', '{}', 'Approval-Id' => $id);
    is_problem($r, 403, 'denied', $id);
    is($r->json->{comment}, 'not today', 'with the comment');
    is($r->json->{decided_by}, 'alice', 'and who');
};


subtest 'expired, lapsed' => sub {
    my $id = ticket('/e?t=short', '{}');

    ok(wait_for(sub { $gw->action($id)->{state} eq 'expired' }), 'expires');
    is_problem(ask('/e?t=short', '{}', 'Approval-Id' => $id), 403, 'expired',
               $id);

    $id = ticket('/e?t=lapse', '{}');
    $gw->vote($id, 'approve');

    ok(wait_for(sub { $gw->action($id)->{state} eq 'expired' }), 'lapses');
    is_problem(ask('/e?t=lapse', '{}', 'Approval-Id' => $id), 403, 'expired',
               $id);
};


subtest 'not this one' => sub {
    my $id = ticket('/mine', '{"a":1}');

    $gw->vote($id, 'approve');

    my @other = (
        [ 'another body', '/mine', '{"a":2}' ],
        [ 'another target', '/mine?x', '{"a":1}' ],
        [ 'another requester', '/mine', '{"a":1}', agent => 'agent-8' ],
    );

    for (@other) {
        my ($name, $target, $body, @who) = @$_;

        my $r = $gw->send(POST => $target, body => $body, @who,
                          headers => [ @json, Prefer => 'respond-async',
                                       'Approval-Id' => $id ])->read;

        is($r->status, 202, "$name: is asked for");
        isnt($r->json->{id}, $id, "$name: as a new action");
        $gw->vote($r->json->{id}, 'deny');
    }

    for my $name ('f' x 32, 'x', '', uc $id, "$id$id") {
        my $r = ask('/named', '{}', 'Approval-Id' => $name);

        is($r->status, 202, "\"$name\" names nothing");
        $gw->vote($r->json->{id}, 'deny');
    }

    is(ask('/mine', '{"a":1}')->status, 200, 'it is still good for its own');
    is($gw->hits('/mine'), 1, 'once');
    is(scalar(grep { $_->header('X-Agent') eq 'agent-8' } $gw->up->requests),
       0, 'and for nobody else');
};


$gw->clean;
done_testing;
