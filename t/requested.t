#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# A worker is killed after Redis has taken its action, and before the trail has
# the request.  A retry joins the action: the worker that holds the retry records
# the request and notifies the approvers, unless Redis has given it another one.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;

need_module();

my $gw = Approval::Gateway->new(http => <<'EOF', server => <<'EOF');
    approval_zone approval 256k;
    approval_policy p { rule r { match $uri ^/held/; require admins;
                                 notify hook; }
                        rule quiet { match $uri ^/quiet/; require admins; } }
EOF
    approval p;
    location / { proxy_pass %%UP%%; }
    location = /metrics { approval_metrics; }
EOF

my @killed;


# the id of an action that only Redis has

sub killed {
    my ($target) = @_;

    my %before = map { $_ => 1 } $gw->pending;

    $gw->redis->pause;
    push @killed, $gw->send(GET => $target);

    # a later request is answered: this one is on its way to Redis

    my $writing = 1 + @killed;

    wait_for(sub {
        http_get($gw->port, '/_status')->body =~ /Writing: $writing /
    }) or die 'nobody waits';

    $gw->ngx->kill_worker;
    $gw->lost(scalar @killed);
    $gw->redis->resume;

    return wait_for(sub { (grep { !$before{$_} } $gw->pending)[0] })
           // die "$target is not in Redis";
}


# of all rules

sub created {
    my $n = 0;
    my $text = http_get($gw->port, '/metrics')->body;

    $n += $1 while $text =~ /^approval_actions_created_total\{.*\} (\d+)$/mg;

    return $n;
}


# the records of an action; its outcome is told, too

sub records {
    my ($id, $type) = @_;

    return grep { ($_->{action_id} // '') eq $id && !defined $_->{event} }
           $gw->audit($type);
}


{
    my ($client, $id) = $gw->hold(GET => '/held/first');

    $gw->vote($id, 'deny');
    is($client->read->status, 403, 'the worker is connected to Redis');
    is(created(), 1, 'an action is counted');
}

{
    my $id = killed('/held/retry');

    is(records($id, 'requested'), 0, 'the request is not on record');
    is(created(), 1, '... and not counted');

    my @clients = map { $gw->send(GET => '/held/retry') } 1, 2;

    ok(wait_for(sub { records($id, 'notified') && records($id, 'joined') }),
       'of two that join it, one has waited for the other');
    is(records($id, 'requested'), 1, '... which has recorded the request');

    is($gw->vote($id, 'approve')->status, 200, 'an approver approves');
    is_deeply([ sort map { $_->read->status } @clients ], [ 200, 409 ],
              'it is executed once');

    is(records($id, 'requested'), 1, 'the request is on record once');
    is(records($id, 'notified'), 1, 'its approvers were notified once');
    is(created(), 2, 'the action is counted once');
}

{
    my $id = killed('/held/early');

    is($gw->vote($id, 'approve')->status, 200, 'approved from the inbox');
    is($gw->send(GET => '/held/early')->read->status, 200, 'then executed');
    is(records($id, 'requested'), 1, '... and on record');
    is(records($id, 'notified'), 0, '... and nobody is asked again');
    is(created(), 3, '... and the action is counted');
}

# the client leaves before Redis has answered, and nobody has to be notified

{
    my %before = map { $_ => 1 } $gw->pending;
    my $writing = 1 + @killed;

    $gw->redis->pause;

    my $client = $gw->send(GET => '/quiet/left');

    ok(wait_for(sub { http_get($gw->port, '/_status')->body
                      =~ /Writing: @{[ $writing + 1 ]} / }), 'one is held');
    $client->close;
    ok(wait_for(sub { http_get($gw->port, '/_status')->body
                      =~ /Writing: $writing / }), 'its client leaves');
    $gw->redis->resume;

    my $id = wait_for(sub { (grep { !$before{$_} } $gw->pending)[0] });

    ok(wait_for(sub { records($id, 'requested') }), 'it is on record');
    ok(wait_for(sub { !defined $gw->redis->cmd(HGET => $gw->key($id), 'u') }),
       'and known to be');
    is(created(), 4, 'and counted');

    is($gw->vote($id, 'approve')->status, 200, 'approved');
    is($gw->send(GET => '/quiet/left')->read->status, 200, 'then executed');
    is(records($id, 'requested'), 1, 'and still on record once');
}


# Redis says that an action of another rule is the one to join, and that nobody
# has announced it

{
    my ($other, $id) = $gw->hold(GET => '/quiet/other');
    my ($own, $denied) = $gw->hold(GET => '/held/own', agent => 'agent-8');
    my ($join) = grep { ($gw->redis->cmd(GET => $_) // '') eq $denied }
                 grep { /:join:/ } @{ $gw->redis->cmd(KEYS => '*') };

    ok($join, 'what stands under the join hash');
    $gw->vote($denied, 'deny');
    $own->read;

    my $told = $gw->hook->count;

    $gw->redis->cmd(SET => $join, $id, 'PX', 600000);
    $gw->redis->cmd(HSET => $gw->key($id), 'u', 1);

    is($gw->send(GET => '/held/own', agent => 'agent-8')->read->json->{type},
       'urn:approval:action-lost', 'another action is not announced');
    is(records($id, 'requested'), 1, 'nor recorded again');
    is($gw->hook->count, $told, 'and nobody is notified of it');
    is((grep { ($_->{limit} // '') eq 'request' } $gw->audit('fault')), 1,
       'that is on record');

    $gw->vote($id, 'deny');
    $other->read;
}

$gw->clean;

done_testing();
