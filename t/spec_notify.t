#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The contract on channels that nginx itself carries (pass): told at once, told
# again, told later, told early where nobody could be told, and never once the
# action is decided or the requester has its answer.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();

my $gw = Approval::Gateway->new(
    http => <<'EOF',
    approval_channel boss { type json; pass /_boss; }
    approval_channel deaf { type json; pass /_deaf; retries 0; }
    approval_policy p {
        rule remind { match $uri /remind; require admins;
                      notify hook; remind 300ms; }
        rule later  { match $uri /later; require admins;
                      notify hook; escalate 300ms boss; }
        rule early  { match $uri /early; require admins;
                      notify deaf; escalate 10m boss; }
        rule alone  { match $uri /alone; require admins; escalate 300ms boss; }
        rule short  { match $uri /short; require admins; hold 1s;
                      notify hook; escalate 10m boss; }
    }
EOF
    server => <<'EOF',
    approval p;
    location / { proxy_pass %%UP%%; }
    location = /_boss { internal; proxy_pass %%HOOK%%/boss; }
    location = /_deaf { internal; return 500; }
EOF
);

$gw->ngx->allow(qr/channel "deaf" .* was not notified/);


# [ path, type ] of what the receivers were told of the action

sub told {
    my ($id) = @_;

    return map { [ $_->target, $_->json->{type}, $_->header('webhook-id') ] }
           grep { $_->json->{data}{id} eq $id } $gw->hook->requests;
}


sub types { return map { "$_->[0] $_->[1]" } told($_[0]) }


subtest 'remind' => sub {
    my ($client, $id) = $gw->hold(GET => '/remind');

    ok(wait_for(sub { (my @t = types($id)) >= 3 }), 'again and again');

    my @told = told($id);
    is($told[0][1], 'approval.requested', 'first the request');
    is($_->[1], 'approval.reminder', 'then a reminder') for @told[1, 2];

    my %ids = map { $_->[2] => 1 } @told;
    is(keys %ids, @told, 'each a message of its own');

    $gw->vote($id, 'approve');
    is($client->read->status, 200, 'approved');

    my $n = (my @t = told($id));
    ok(!wait_for(sub { (my @t = told($id)) > $n }, 1), 'nobody is told again');
};


subtest 'escalate' => sub {
    for my $target ('/later', '/alone') {
        my ($client, $id) = $gw->hold(GET => $target);

        ok(wait_for(sub { grep { $_ eq '/boss approval.escalated' }
                               types($id) }), "$target: later the boss");

        $gw->vote($id, 'deny');
        is($client->read->status, 403, "$target: denied");
        is(scalar(grep { /boss/ } types($id)), 1, "$target: once");
    }
};


subtest 'nobody could be told' => sub {
    my ($client, $id) = $gw->hold(GET => '/early');

    ok(wait_for(sub { grep { $_ eq '/boss approval.escalated' }
                           types($id) }), 'the boss is told at once');

    $gw->vote($id, 'deny');
    $client->read;
};


subtest 'after the hold' => sub {
    my $r = $gw->send(GET => '/short')->read;

    is($r->status, 503, 'the hold ends');
    is_deeply([ types($r->json->{id}) ], [ '/_notify approval.requested' ],
              'and with it what nginx carries')
        or diag(explain([ types($r->json->{id}) ]));

    $gw->vote($r->json->{id}, 'deny');
};


$gw->clean;
done_testing;
