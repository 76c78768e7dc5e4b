#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The scripts of the queue of messages, run by Redis itself: leases, who holds
# one, what is due, what is told of an outcome, and that nothing stays.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Scripts;
use Approval::Test;


need('redis-server');

my $prefix = 'approval:';
my $redis = Approval::Redis->new(tcp => 0);
my @conn = map { $redis->client } 1 .. 2;
my $scripts = Approval::Scripts->new(prefix => $prefix, scan => 'deliver');
my $count = 0;

added();
claimed();
kept();
given_back();
done_with();
given_up();
late();
repeated();
outcomes();
closed();
taken_once();
seen_once();

is(scalar $redis->keys_without_ttl, 0, 'every key has a TTL');

done_testing();


sub cmd { $conn[0]->cmd(@_) }

sub key { $scripts->key(@_) }

sub deliver { $scripts->shared('deliver') }

sub words { $scripts->words(@_) }


sub run { cmd(words(@_)) }

sub code { run(@_)->[0] }


# a pending action, and messages of it

sub action {
    my ($timeout) = @_;

    my $id = sprintf('%032x', ++$count);

    run(create => $id, '', '', '', 0, 'doc',
        $timeout // 60000, 20000, 40000, 0, '', '', '', '', '5' x 32, 'class',
        '', '', '', '', 0);

    return $id;
}


sub add {
    my ($id, @messages) = @_;

    return code(queue_add => $id, 30000, map { ($_->[0], "p-$_->[0]", $_->[1],
                                              $_->[2]) } @messages);
}


# what is due, each taken by one script of its own; what nobody but a stranger
# can have put there the store removes

sub take {
    my ($limit, $lease) = @_;

    my @due = @{ run(scan => '', $limit, 'due')->[2] };
    my @items;

    while (my ($member) = splice @due, 0, 2) {
        my ($id, $name) = $member =~ /^([0-9a-f]{32}):(.+)$/ or next;
        my ($code, undef, $item) = @{ run(queue_claim => $id, $name, $lease) };

        push @items, $item if $code eq 'ok';
    }

    return @items;
}


# names that are due, of one action

sub claim {
    my ($id, $lease) = @_;

    my @mine;

    for my $item (take(100, $lease // 30000)) {
        my %action = @{ $item->[5] };
        push @mine, $item if $action{i} eq $id;
    }

    return @mine;
}

# as if it were so much later, for the queue

sub elapse {
    my ($ms) = @_;

    my %due = @{ cmd(ZRANGE => deliver(), 0, -1, 'WITHSCORES') };

    cmd(ZADD => deliver(), $due{$_} - $ms, $_) for keys %due;
}

sub names { join(' ', sort map { $_->[0] } claim(@_)) }

sub due { cmd(ZSCORE => deliver(), "$_[0]:$_[1]") }


sub added {
    my $id = action();

    is(add($id, [ 'm0', 0, 1 ], [ 'm1', 0, 0 ], [ 'e0', 60000, 0 ]), 'ok',
       'added');
    is(names($id), 'm1', 'what is nobody\'s and due, is given out');
    is(names($id), '', 'once');

    elapse(35000);
    is(names($id), 'm0 m1', 'and again when the leases are over');
    cmp_ok(cmd(PTTL => key($id, ':deliver')), '>', 60000, 'TTL');

    is(add(sprintf('%032x', 99999), [ 'm0', 0, 1 ]), 'no', 'no such action');
    is(cmd(EXISTS => key(sprintf('%032x', 99999), ':deliver')), 0,
       'and nothing stays of it');
}


sub claimed {
    my $id = action();

    add($id, [ 'm0', 0, 0 ]);

    my ($item) = claim($id);
    my %action = @{ $item->[5] };

    is($item->[1], 'p-m0', 'the payload');
    is($item->[3], 1, 'the first attempt');
    is($item->[4], 0, 'never before');
    is($action{b}, 'doc', 'the document');
    is($action{s}, 'pending', 'the state');

    # nobody sent it, or not any more

    my @others = ('e9', 'o:denied:m0', 'm0');

    cmd(ZADD => deliver(), 0, "$id:$_") for @others;
    cmd(HDEL => key($id, ':deliver'), 'm0');
    is(code(queue_claim => $id, $_, 30000), 'no', "$_: is none") for @others;
    is(due($id, $_), undef, "$_: and removed") for @others;
}


sub kept {
    my $id = action();

    add($id, [ 'm0', 0, 1 ]);

    is(code(queue_keep => $id, 'm0', 1, 20000, 0), 'ok', 'kept until it is due');
    is(code(queue_keep => $id, 'm0', 2, 20000, 1), 'no', 'not by another one');
    is(code(queue_keep => $id, 'm0', 1, 20000, 1), 'ok', 'the next attempt');
    is(code(queue_keep => $id, 'm0', 1, 20000, 1), 'no', 'is not the first');

    elapse(25000);
    is((claim($id))[0][3], 3, 'taken over: the third attempt');
    is(code(queue_keep => $id, 'm0', 2, 20000, 1), 'no', 'by somebody else');
    is(code(queue_done => $id, 'm0', 2, 1, 0), 'no', 'whose word counts');
    is(code(queue_done => $id, 'm0', 3, 1, 0), 'ok', 'and no other\'s');
    is(code(queue_keep => $id, 'm0', 3, 20000, 1), 'no', 'nothing to keep');
}


# taken, and given back: it was no attempt

sub given_back {
    my $id = action();

    add($id, [ 'm0', 0, 0 ]);

    is((claim($id))[0][3], 1, 'taken');
    is(code(queue_keep => $id, 'm0', 1, 20000, 3), 'ok', 'given back');
    is(names($id), '', 'it waits');
    is(cmd(HEXISTS => key($id, ':deliver'), 'a:m0'), 0, 'as if never tried');
    is(code(queue_done => $id, 'm0', 1, 1, 0), 'no', 'and is nobody\'s');

    elapse(25000);
    is((claim($id))[0][3], 1, 'the first attempt still');
}


sub done_with {
    my $id = action();

    add($id, [ 'm0', 0, 1 ], [ 'm1', 0, 1 ]);

    is(code(queue_done => $id, 'm0', 1, 1, 0), 'ok', 'sent');
    is(due($id, 'm0'), undef, 'and not again');
    is(cmd(HGET => key($id), 'nk'), 1, 'counted');
    is(code(queue_done => $id, '', 0, 1, 0), 'ok', 'one without the queue');
    is(cmd(HGET => key($id), 'nk'), 2, 'counts, too');
    is(code(queue_done => sprintf('%032x', 99998), '', 0, 1, 0), 'no',
       'of no action');
    is(cmd(EXISTS => key(sprintf('%032x', 99998))), 0, 'makes none');

    is(cmd(HGET => key($id, ':deliver'), 'm0'), 'p-m0', 'its payload stays');
    is(code(queue_done => $id, 'm1', 2, 1, 0, 'other'), 'no', 'not by another');
    is(cmd(HGET => key($id, ':deliver'), 'm1'), 'p-m1', 'nor is it changed');
    is(code(queue_done => $id, 'm1', 1, 1, 0, 'other'), 'ok', 'but by its own');
    is(cmd(HGET => key($id, ':deliver'), 'm1'), 'other', 'with what it learnt');
}


sub given_up {
    my $id = action();

    add($id, [ 'm0', 0, 1 ], [ 'e0', 60000, 0 ], [ 'r0', 60000, 0 ]);

    is(code(queue_done => $id, 'm0', 1, 0, 0), 'ok', 'given up');
    is(cmd(HGET => key($id), 'nf'), 1, 'counted');
    is(names($id), 'e0', 'the escalation is due, the reminder is not');

    code(queue_done => $id, 'e0', 1, 1, 0);

    is(names($id), '', 'once');
}


# its retries are used up, and it goes on

sub late {
    my $id = action();

    add($id, [ 'm0', 0, 1 ], [ 'e0', 60000, 0 ], [ 'r0', 60000, 0 ]);

    is(code(queue_keep => $id, 'm0', 1, 200, 2), 'ok', 'late');
    is(cmd(HGET => key($id), 'nf'), 1, 'counts as not sent');
    is(names($id), 'e0', 'and the escalation is due');
    is(code(queue_keep => $id, 'm0', 1, 200, 1), 'ok', 'another attempt');
    is(code(queue_keep => $id, 'm0', 2, 200, 2), 'ok', 'late again');
    is(cmd(HGET => key($id), 'nf'), 1, 'is counted once');
    is(code(queue_done => $id, 'm0', 2, 1, 0), 'ok', 'sent after all');
    is(cmd(HGET => key($id), 'nf'), 0, 'which takes it back');
    is(cmd(HGET => key($id), 'nk'), 1, 'and counts');

    $id = action();
    add($id, [ 'm0', 0, 1 ]);
    code(queue_keep => $id, 'm0', 1, 200, 2);
    is(code(queue_done => $id, 'm0', 1, 0, 0), 'ok', 'given up at last');
    is(cmd(HGET => key($id), 'nf'), 1, 'still counted once');
    is(cmd(HKEYS => key($id, ':deliver'))->[0], 'a:m0', 'and not kept');

    $id = action();
    add($id, [ 'r0', 0, 1 ]);
    code(queue_keep => $id, 'r0', 1, 200, 2);
    is(cmd(HGET => key($id), 'nf'), undef, 'a reminder counts for nothing');
}


sub repeated {
    my $id = action();

    add($id, [ 'r0', 0, 0 ]);
    claim($id);

    is(code(queue_done => $id, 'r0', 1, 1, 10000), 'ok', 'reminded');
    is(names($id), '', 'not at once');

    elapse(15000);

    my ($item) = claim($id);

    is($item->[0], 'r0', 'and again');
    is($item->[3], 1, 'a first attempt');
    is($item->[4], 1, 'for the second time');
    is(cmd(HGET => key($id), 'nk'), undef, 'which counts for nothing');
}


sub settle {
    my ($id, $state) = @_;

    return code(settle => $id, $state, 'decision', 40000);
}


sub outcomes {
    my $id = action();

    add($id, [ 'm0', 0, 1 ], [ 'm1', 0, 1 ], [ 'e0', 60000, 0 ],
        [ 'r0', 60000, 0 ]);
    code(queue_done => $id, 'm0', 1, 1, 0);
    code(queue_done => $id, 'm1', 1, 0, 0);

    is(code(queue_outcome => $id, 'denied', 'facts', 30000, 8), 'no',
       'not before it is');
    is(settle($id, 'denied'), 'ok', 'denied');

    my ($code, undef, @items) = @{ run(queue_outcome => $id, 'denied',
                                       'facts', 30000, 8) };

    is($code, 'ok', 'now it is told');
    is(join(' ', map { $_->[0] } @items), 'o:denied:m0',
       'to whom it was sent, and nobody else');
    is($items[0][1], 'p-m0', 'as the message was');
    is($items[0][2], 'facts', 'with the facts');
    is(code(queue_outcome => $id, 'denied', 'facts', 30000, 8), 'no', 'once');
    is(names($id), '', 'the caller has it');

    elapse(35000);
    is((claim($id))[0][2], 'facts', 'until its lease is over');
    is(code(queue_done => $id, 'o:denied:m0', 2, 1, 0), 'ok', 'sent');
    is(cmd(HGET => key($id), 'nk'), 1, 'an outcome does not count');

    my $other = action();

    add($other, [ 'm0', 0, 1 ], [ 'm1', 0, 1 ]);
    settle($other, 'cancelled');
    (undef, undef, @items) = @{ run(queue_outcome => $other, 'cancelled',
                                    'f', 30000, 1) };

    is(scalar @items, 1, 'not more than the caller can take');
    is(scalar(my @rest = claim($other)), 1, 'the others are for all');

    is(code(queue_outcome => action(), 'approved', 'f', 30000, 1), 'no',
       'nobody was told, so nobody is');
}


sub closed {
    my $id = action();

    add($id, [ 'm0', 0, 0 ], [ 'e0', 0, 0 ], [ 'r0', 0, 0 ]);
    settle($id, 'cancelled');

    is(names($id), '', 'nothing is sent about what is over');
    is(due($id, $_), undef, "$_ is gone") for qw(m0 e0 r0);
    is(add($id, [ 'm1', 0, 0 ]), 'no', 'nor is anything added');

    $id = action(500);
    add($id, [ 'm0', 0, 1 ]);
    wait_for(sub { run(load => $id)->[1] > cmd(HGET => key($id), 'x') });

    is(code(queue_keep => $id, 'm0', 1, 20000, 1), 'no', 'nor past the end');
}


# of many that ask at once, one gets it

sub taken_once {
    my $id = action();

    add($id, map { [ "m$_", 0, 0 ] } 0 .. 9);

    my %got;

    for my $name (map { "m$_" } 0 .. 9) {
        $_->send(words(queue_claim => $id, $name, 60000)) for @conn;

        for my $conn (@conn) {
            my ($code, undef, $item) = @{ $conn->read };
            $got{ $item->[0] }++ if $code eq 'ok';
        }
    }

    is(join(' ', sort keys %got), join(' ', map { "m$_" } 0 .. 9), 'all');
    is((grep { $_ > 1 } values %got) + 0, 0, 'each once');
}


sub seen_once {
    my $mark = 'a' x 32;

    is(code(once => $mark, 60000), 'ok', 'never seen');
    is(code(once => $mark, 60000), 'no', 'seen');
    is(code(once => 'b' x 32, 60000), 'ok', 'another one');

    for my $key ($redis->keys("$prefix*once*")) {
        cmp_ok(cmd(PTTL => $key), '>', 1000, 'for a while');
        cmd(DEL => $key);
    }

    is(code(once => $mark, 60000), 'ok', 'forgotten');
}
