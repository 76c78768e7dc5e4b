#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# A worker is killed after Redis has taken its action, and before the trail has
# the request.  A retry joins the action: the worker that holds the retry records
# the request and notifies the approvers.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;

need_module();

my $gw = Approval::Gateway->new(http => <<'EOF', server => <<'EOF');
    approval_policy p { rule r { match $uri ^/held/; require admins;
                                 notify hook; } }
EOF
    location /held/ { approval p; proxy_pass %%UP%%; }
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
}

{
    my $id = killed('/held/retry');

    is(records($id, 'requested'), 0, 'the request is not on record');

    my @clients = map { $gw->send(GET => '/held/retry') } 1, 2;

    ok(wait_for(sub { records($id, 'notified') && records($id, 'joined') }),
       'of two that join it, one has waited for the other');
    is(records($id, 'requested'), 1, '... which has recorded the request');

    is($gw->vote($id, 'approve')->status, 200, 'an approver approves');
    is_deeply([ sort map { $_->read->status } @clients ], [ 200, 409 ],
              'it is executed once');

    is(records($id, 'requested'), 1, 'the request is on record once');
    is(records($id, 'notified'), 1, 'its approvers were notified once');
}

{
    my $id = killed('/held/early');

    is($gw->vote($id, 'approve')->status, 200, 'approved from the inbox');
    is($gw->send(GET => '/held/early')->read->status, 200, 'then executed');
    is(records($id, 'requested'), 1, '... and on record');
    is(records($id, 'notified'), 0, '... and nobody is asked again');
}

$gw->clean;

done_testing();
