#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Two gateways, two nginx masters, that share a Redis: each message is sent by
# exactly one worker of one of them, and by another when that one has died, at
# whatever moment.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Dns;
use Approval::Gateway;

need_module();
need('redis-server');

my $web = Approval::Receiver->new;
my $later = Approval::Receiver->new;
my $dns = Approval::Dns->new('hook.test' => '127.0.0.1');

# %%OTHER%% is what a gateway that was not reloaded yet does not know

my $text = <<"END";
    resolver 127.0.0.1:@{[ $dns->port ]} ipv6=off valid=1s;
    resolver_timeout 5s;

    approval_channel named { url http://hook.test:@{[ $web->port ]}/named;
                             timeout 1s; backoff 50ms 100ms; }
    approval_channel web { url @{[ $web->url ]}/web;
                           timeout 1s; backoff 50ms 100ms; }
    approval_channel later { url @{[ $later->url ]}/later;
                             timeout 1s; backoff 50ms 100ms; }
    %%OTHER%%

    approval_policy test {
        rule named { match \$uri /named; action n; require admins;
                     timeout 60s; notify named; }
        rule web   { match \$uri ^/web; action w; require admins;
                     timeout 60s; notify web; remind 2s; escalate 1s later; }
        rule later { match \$uri /later; action l; require admins;
                     timeout 60s; escalate 1s later; }
    }
END

my $server = 'approval test; location / { proxy_pass %%UP%%; }';

my $first = Approval::Gateway->new(workers => 2, log_level => 'info',
                                   http => $text =~ s/%%OTHER%%//r,
                                   server => $server);

shared();
strangers();
before_sending();
while_sending();

done_testing();


# another nginx with the keys, the Redis and the configuration of the first

sub another {
    my (%how) = @_;

    my $gw = bless { %$first }, 'Approval::Gateway';

    $gw->{audit} = undef;
    $gw->{ngx} = Approval::Nginx->new(workers => 2, log_level => 'info',
        http => $gw->conf($how{http} // $text =~ s/%%OTHER%%//r, $server, 1,
                          ''));

    return $gw;
}


sub of {
    my ($receiver, $id) = @_;

    return grep { $_->json->{data}{id} eq $id } $receiver->messages;
}


sub types {
    return join ' ', map { $_->json->{type} =~ s/^approval\.//r } of(@_);
}


sub idle {
    return wait_for(sub {
        !$first->redis->cmd(ZCARD => 'approval:{00}:deliver') }, 20);
}


# both alive: requests of either, and what becomes due is anybody's

sub shared {
    my $second = another();
    my (@held, %by);

    for my $n (1 .. 12) {
        my ($client, $id) = ($n % 2 ? $first : $second)->hold(
            POST => "/web/$n");

        push @held, [ $client, $id ];
    }

    for my $one (@held) {
        ok(wait_for(sub { types($web, $one->[1]) =~ /requested.*reminder/ }),
           'told, and reminded');
        ok(wait_for(sub { types($later, $one->[1]) }), 'and escalated');
    }

    # a decision by either

    ($_ % 2 ? $first : $second)->vote($held[$_][1], 'deny') for 0 .. $#held;

    for my $one (@held) {
        is($one->[0]->read->status, 403, 'denied');

        my $id = $one->[1];

        ok(wait_for(sub { types($web, $id) =~ /denied/
                          && types($later, $id) =~ /denied/ }), 'told of it');
    }

    idle();

    for my $one (@held) {
        my $id = $one->[1];
        my %seen;

        $seen{ $_->header('webhook-id') }++ for of($web, $id), of($later, $id);

        is((grep { $_ != 1 } values %seen) + 0, 0, 'each message once');
        like(types($web, $id), qr/^requested( reminder)+ denied$/,
             'all that was due');
        is(types($later, $id), 'escalated denied', 'and nothing twice');
    }

    for my $gw ($first, $second) {
        $by{ $gw->port } = () = grep { ($_->{event} // '') eq 'escalated' }
                                $gw->audit('notified');
    }

    my ($x, $y) = values %by;

    is($x + $y, 12, 'each was sent by one of them, which has it on record');

    $second->ngx->stop;
    $_->clear for $web, $later;
}


# one that does not know a channel leaves its messages to others

sub strangers {
    my $other = $text =~ s/%%OTHER%%/approval_channel more {
        url @{[ $later->url ]}\/more; timeout 1s; backoff 50ms 100ms; }/r;

    $other =~ s/escalate 1s later; \}\n    \}/escalate 1s more; }\n    }/;

    my $second = another(http => $other);
    my ($client, $id) = $second->hold(POST => '/later');

    ok(wait_for(sub { of($later, $id) }, 40), 'sent by who knows how');
    is((of($later, $id))[0]->target, '/more', 'to where it belongs');

    $first->vote($id, 'deny');
    is($client->read->status, 403, 'denied');
    ok(wait_for(sub { types($later, $id) eq 'escalated denied' }, 60),
       'the outcome as well');
    idle();
    is(types($later, $id), 'escalated denied', 'each once');

    $second->ngx->stop;
    $later->clear;
}


# enqueued, and killed before a byte was sent: the name is being looked up

sub before_sending {
    $dns->set('hook.test' => undef);

    my $second = another();
    my ($client, $id) = $second->hold(POST => '/named');

    ok($dns->wait_asked('hook.test', 1), 'the receiver is looked up');
    ok($first->redis->cmd(ZSCORE => 'approval:{00}:deliver', "$id:m0"),
       'the message is in the queue');
    is($web->count, 0, 'nothing was sent');

    $second->ngx->kill;
    $dns->set('hook.test' => '127.0.0.1');

    ok($web->wait_count(1, 20), 'the other gateway sends it');
    is(types($web, $id), 'requested', 'this one');
    ok(idle(), 'and nothing is left');
    is($web->count, 1, 'once');

    my ($record) = grep { $_->{action_id} eq $id } $first->audit('notified');

    is($record->{attempt}, 2, 'it is on record as the second attempt');

    # the action has outlived its gateway: the same request finds it

    my $again = $first->send(POST => '/named');

    ok($again->quiet(0.3), 'the same request, at the other gateway, is held');
    is(join(' ', $first->pending), $id, 'as the same action');
    is($first->vote($id, 'approve')->status, 200, 'approved there');
    is($again->read->status, 200, 'and executed');
    ok(wait_for(sub { types($web, $id) eq 'requested approved executed' }),
       'one message of each event');
    idle();
    $web->clear;
}


# killed while the receiver has it: sent again, as the same message

sub while_sending {
    $web->script({ hang => 1 });

    my $second = another();
    my ($client, $id) = $second->hold(POST => '/named');

    ok($web->wait_count(1), 'being sent');
    $second->ngx->kill;
    $web->script({ status => 204 });

    ok($web->wait_count(2, 20), 'the other gateway sends it');
    ok(idle(), 'and nothing is left');

    my @sent = of($web, $id);

    is(scalar @sent, 2, 'once more');
    is($sent[0]->header('webhook-id'), $sent[1]->header('webhook-id'),
       'the same message, by its id');

    $first->vote($id, 'deny');
    ok(wait_for(sub { types($web, $id) =~ /denied$/ }), 'its outcome, too');
}
