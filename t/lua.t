#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The store's scripts, run by Redis itself: every operation in every state,
# races between connections, deadlines by Redis' clock, TTLs, memory.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;

need('redis-server');

my ($timeout, $within, $retention, $lease) = (60000, 20000, 40000, 30000);
my $prefix = 'approval:';

my $redis = Approval::Redis->new(tcp => 0);
my @conn = map { $redis->client } 1 .. 2;

my $dir = root_dir() . '/src/store';
my %script = map { $_ => slurp("$dir/common.lua") . slurp("$dir/$_.lua") }
             qw(create load vote settle consume finish drop overdue renew list
                leave give_up);

my $count = 0;


sub new_id { sprintf('%032x', ++$count) }

sub key { $prefix . '{' . $_[0] . '}' . ($_[1] // '') }

sub cmd { $conn[0]->cmd(@_) }


sub words {
    my ($op, $id, @args) = @_;

    my $shared = { overdue => 'pending', renew => 'pending',
                   list => 'actions', give_up => 'calls' }->{$op};

    return (EVAL => $script{$op}, 1, $shared ? "$prefix$shared" : key($id),
            $prefix, $id, @args);
}


sub answer {
    my ($reply) = @_;

    my ($code, $now, @pairs) = @$reply;

    return { code => $code, now => $now, @pairs };
}


sub run { answer(cmd(words(@_))) }


# both connections at once; returns what each was answered

sub race {
    my ($one, $two) = @_;

    $conn[0]->send(words(@$one));
    $conn[1]->send(words(@$two));

    return map { answer($_->read) } @conn;
}


# no join, no cap, unless named

sub create_args {
    my (%how) = @_;

    return ($how{join} // '', $how{requester} // '', $how{per} // '',
            $how{max} // 0, $how{digest} // 'digest', $how{doc} // 'sealed',
            $how{timeout} // $timeout, $how{within} // $within,
            $how{retention} // $retention);
}


sub create {
    my ($id, %how) = @_;

    return run(create => $id, create_args(%how));
}


sub vote_args {
    my ($seen, $vote, $state) = @_;

    return ($seen, $vote, $state ? ($state, "J-$state") : ('unknown', ''),
            $retention);
}


sub settle_args { ($_[0], "J-$_[0]", $retention) }

sub consume_args { ($_[0], $lease, $retention) }

sub finish_args { ($_[0], "O-$_[0]", $retention) }


# An action in each state, and what its decision key holds.

my %make = (
    none => sub { },

    pending => sub { create($_[0], join => "j$_[0]", per => "p$_[0]") },

    bare => sub {
        make(pending => $_[0]);
        cmd(SET => key($_[0], ':decision'), 'approve', PX => $timeout);
    },

    overdue => sub {
        make(pending => $_[0]);
        cmd(HSET => key($_[0]), 'x', 1);
    },

    late => sub {
        make(bare => $_[0]);
        cmd(HSET => key($_[0]), 'x', 1);
    },

    approved => sub {
        make(pending => $_[0]);
        run(vote => $_[0], vote_args(0, 'v', 'approved'));
    },

    lapsed => sub {
        make(approved => $_[0]);
        cmd(HSET => key($_[0]), 'x', 1);
    },

    executing => sub {
        make(approved => $_[0]);
        run(consume => $_[0], consume_args('J-approved'));
    },

    lost => sub {
        make(executing => $_[0]);
        cmd(HSET => key($_[0]), 'l', 1);
    },

    executed => sub {
        make(executing => $_[0]);
        run(finish => $_[0], finish_args('executed'));
    },

    failed => sub {
        make(lost => $_[0]);
        run(settle => $_[0], settle_args('failed'));
    },

    denied => sub {
        make(pending => $_[0]);
        run(settle => $_[0], settle_args('denied'));
    },

    cancelled => sub {
        make(pending => $_[0]);
        run(settle => $_[0], settle_args('cancelled'));
    },

    expired => sub {
        make(overdue => $_[0]);
        run(settle => $_[0], settle_args('expired'));
    },
);

my %held = (bare => 'approve', late => 'approve', approved => 'J-approved',
            lapsed => 'J-approved', executing => 'J-approved',
            lost => 'J-approved', executed => 'J-approved',
            failed => 'J-failed', denied => 'J-denied',
            cancelled => 'J-cancelled', expired => 'J-expired');

my %state = (none => undef, bare => 'pending', overdue => 'pending',
             late => 'pending', lapsed => 'approved', lost => 'executing');


sub make {
    my ($state, $id) = @_;

    $make{$state}->($id);

    return $id;
}


# Every operation, with the decision that stands where it takes one.

my %op = (
    comment  => sub { run(vote => $_[0], vote_args(seen($_[0]), 'new')) },
    approve  => sub { run(vote => $_[0], vote_args(seen($_[0]), 'new',
                                                   'approved')) },
    deny     => sub { run(vote => $_[0], vote_args(seen($_[0]), 'new',
                                                   'denied')) },
    expire   => sub { run(settle => $_[0], settle_args('expired')) },
    cancel   => sub { run(settle => $_[0], settle_args('cancelled')) },
    refuse   => sub { run(settle => $_[0], settle_args('denied')) },
    lose     => sub { run(settle => $_[0], settle_args('failed')) },
    consume  => sub { run(consume => $_[0], consume_args($_[1] // 'none')) },
    forged   => sub { run(consume => $_[0], consume_args('forged')) },
    empty    => sub { run(consume => $_[0], consume_args('')) },
    finish   => sub { run(finish => $_[0], finish_args('executed')) },
    fail     => sub { run(finish => $_[0], finish_args('failed')) },
    drop     => sub { run(drop => $_[0], $_[1] // 'none') },
);


sub seen { cmd(LLEN => key($_[0], ':votes')) }


# What is possible: code, the state after, and the state that is reported
# where it is another one.  Everything else is refused and changes nothing.

my %may = (
    pending => {
        comment => [qw(ok pending)],  approve => [qw(ok approved)],
        deny => [qw(ok denied)],      cancel => [qw(ok cancelled)],
        refuse => [qw(ok denied)],    expire => [qw(again pending)],
        drop => [qw(ok pending)],
    },
    bare => {
        cancel => [qw(ok cancelled)], refuse => [qw(ok denied)],
        expire => [qw(again pending)], consume => [qw(ok executing)],
        drop => [qw(ok pending)],
    },
    overdue => {
        expire => [qw(ok expired)],   drop => [qw(ok pending)],
        map { $_ => [qw(no pending expired)] }
            qw(comment approve deny cancel refuse consume forged empty),
    },
    late => {
        expire => [qw(ok expired)],   drop => [qw(ok pending)],
        map { $_ => [qw(no pending expired)] }
            qw(cancel refuse consume forged empty),
    },
    approved => {
        consume => [qw(ok executing)], expire => [qw(again approved)],
        drop => [qw(ok approved)],
    },
    lapsed => {
        expire => [qw(ok expired)],   drop => [qw(ok approved)],
        map { $_ => [qw(no approved expired)] } qw(consume forged empty),
    },
    executing => {
        finish => [qw(ok executed)],  fail => [qw(ok failed)],
        lose => [qw(again executing)], drop => [qw(ok executing)],
    },
    lost => {
        finish => [qw(ok executed)],  fail => [qw(ok failed)],
        lose => [qw(ok failed)],      drop => [qw(ok executing)],
    },

    # the same once more is no error: the first answer may have been lost

    executed => { finish => [qw(ok executed)], drop => [qw(ok executed)] },
    map { $_ => { drop => [ 'ok', $_ ] } } qw(failed denied expired cancelled),
);

my %open = map { $_ => 1 } qw(pending approved executing);


sub check_keys {
    my ($id, $state, $what) = @_;

    my @bad = $redis->keys_without_ttl("$prefix*");
    is("@bad", '', "$what: every key has a TTL");

    my $score = cmd(ZSCORE => "${prefix}pending", $id);

    if (defined $state && $open{$state}) {
        ok(defined $score, "$what: it is in the set of open ones");
    } else {
        ok(!defined $score, "$what: it is not in the set of open ones");
    }

    return if defined $state && ($state eq 'pending' || $state eq 'approved');

    is(cmd(GET => "${prefix}join:{j$id}"), undef, "$what: nobody can join it");
    is(cmd(ZSCORE => "${prefix}per:{p$id}", $id), undef,
       "$what: its requester may ask again");
}


for my $from (sort(keys %make)) {
    for my $op (sort(keys %op)) {
        my $id = make($from, new_id());
        my $what = "$op of $from";
        my $before = exists $state{$from} ? $state{$from} : $from;

        my ($code, $after, $reported) = @{ $may{$from}{$op}
                                           // [ 'no', $before ] };
        $reported //= $after;

        my $r = $op{$op}->($id, $held{$from});

        is($r->{code}, $code, "$what: $code");
        is($r->{s}, $reported, "$what: is told the state");
        is(cmd(HGET => key($id), 's'), $after, "$what: leads to the state");

        check_keys($id, $after, $what);

        my $decision = cmd(GET => key($id, ':decision'));

        if ($code ne 'ok') {
            is($decision, $held{$from}, "$what: the decision stands");
            is($r->{D}, $held{$from}, "$what: the decision is told")
                if $code eq 'no';

        } elsif ($op eq 'drop') {
            is($decision, undef, "$what: the decision is gone");

        } elsif ($op !~ /^(?:comment|consume|finish|fail)$/) {
            is($decision, "J-$after", "$what: the decision is made");

        } else {
            is($decision, $held{$from}, "$what: the decision stands");
        }

        redis_clean($id);
    }
}


sub redis_clean { cmd('FLUSHALL') if ++$count % 8 == 0 }


# A retry of a call whose answer was lost changes nothing.

for my $case ([ approved => 'approved' ], [ denied => 'denied' ], [ '' => '' ])
{
    my ($state) = @$case;
    my $id = make(pending => new_id());
    my @args = vote_args(0, 'v1', $state || undef);

    my $first = run(vote => $id, @args);
    my $again = run(vote => $id, @args);

    is($first->{code}, 'ok', "vote '$state' is taken");
    is($again->{code}, 'ok', "vote '$state' is acknowledged again");
    is($again->{s}, $first->{s}, "vote '$state': the same state");
    is(seen($id), 1, "vote '$state' counts once");
}

{
    my $id = new_id();
    my @args = create_args(join => 'jj', requester => 'rr', per => 'pp');

    my $first = run(create => $id, @args);
    my $again = run(create => $id, @args);

    is($again->{code}, 'ok', 'create is acknowledged again');
    is("$again->{c} $again->{j} $again->{r}", "$first->{c} 0 1",
       'it was made once, counted once, and not joined');
    is(cmd(ZCARD => "${prefix}per:{pp}"), 1, 'its requester has one');
}


# A vote is judged over the votes that were seen.

{
    my $id = make(pending => new_id());

    is(run(vote => $id, vote_args(1, 'a', 'approved'))->{code}, 'again',
       'more votes were seen than there are');
    run(vote => $id, vote_args(0, 'a'));
    is(run(vote => $id, vote_args(0, 'b', 'approved'))->{code}, 'again',
       'fewer votes were seen than there are');
    is(cmd(HGET => key($id), 's'), 'pending', 'nothing was decided');
    is(run(vote => $id, vote_args(1, 'b', 'approved'))->{code}, 'ok',
       'all votes were seen');

    my $r = run(load => $id);
    is("@{ $r->{V} }", 'a b', 'votes are kept in their order');
    is($r->{D}, 'J-approved', 'load tells the decision');
    is($r->{b}, 'sealed', 'load tells the document');
    is($r->{g}, 'digest', 'load tells the digest');
    is(run(load => new_id())->{code}, 'no', 'load of an unknown one');

    my $bad = make(pending => new_id());
    my $reply = $conn[0]->try(words(vote => $bad, 0, 'v', 'executed', 'J',
                                    $retention));
    ok(ref $reply eq 'SCALAR', 'a vote makes nothing but approved and denied');
    is(seen($bad), 0, 'such a vote is not recorded');
}


# Joining: open ones only.

for my $from (sort(keys %make)) {
    next if $from eq 'none';

    my $id = make($from, new_id());
    my $r = create(new_id(), join => "j$id");
    my $joins = $from =~ /^(?:pending|bare|approved)$/ ? 1 : 0;

    is($r->{j}, $joins, "$from: " . ($joins ? 'is joined' : 'is not joined'));
    is($r->{i} eq $id ? 1 : 0, $joins, "$from: the id tells so");
}

{
    my $old = make(overdue => new_id());
    my $new = create(new_id(), join => "j$old");

    run(settle => $old, settle_args('expired'));
    is(cmd(GET => "${prefix}join:{j$old}"), $new->{i},
       'the end of the old one leaves the new one joinable');
}


# Who waits: connections are counted, and a ticket stands for them until its
# request comes back.  The last one may end the action.

for my $row (
    [ 'one' => 'leave', 'cancelled' ],
    [ 'one, kept open' => 'keep', 'absent' ],
    [ 'two' => 'join leave', 'present' ],
    [ 'two leave' => 'join leave leave', 'cancelled' ],
    [ 'back' => 'keep join', 'present' ],
    [ 'back, and leaves' => 'keep join leave', 'cancelled' ],
    [ 'ticket' => 'ticket', 'present' ],
    [ 'ticket, polled by the request' => 'ticket join ticket join ticket',
      'present' ],
    [ 'ticket, polled, and gone' => 'ticket join ticket join ticket join leave',
      'cancelled' ],
    [ 'ticket for one of two' => 'join ticket leave', 'present' ],
    [ 'ticket, taken up by one of two' => 'join ticket join leave leave',
      'cancelled' ],
) {
    my ($name, $steps, $end) = @$row;
    my $id = make(pending => new_id());

    for my $step (split / /, $steps) {
        $step eq 'join' ? is(create(new_id(), join => "j$id")->{j}, 1,
                             "waits, $name: joined")
        : run(leave => $id, $step eq 'leave' ? 'J-cancelled' : '', $retention,
              $step eq 'ticket' ? 1 : '');
    }

    my $r = run(load => $id);

    is($r->{s} eq 'pending' ? ($r->{h} // 0) < 0 ? 'absent' : 'present'
                            : $r->{s}, $end, "waits, $name: $end");
}


# A call that is given up by its name: it is not held, nor consumed, any more.

{
    my $call = 'c' x 32;
    my $give_up = sub { cmd(words(give_up => '', $call, 5000)) };
    my $ask = sub {
        my ($id) = @_;

        return run(create => $id, create_args(join => 'jcall'), 0, ('') x 3,
                   $call);
    };

    my $id = new_id();
    is($ask->($id)->{code}, 'ok', 'call: held');
    ttl_is(key($call), $timeout + $within, 'call: as long as it may be');

    run(vote => $id, vote_args(0, 'v', 'approved'));
    $give_up->();
    ttl_is(key($call, ':decision'), $timeout + $within, 'call: given up');

    my @args = (consume_args('J-approved'), '', '');
    my $r = run(consume => $id, @args, $call);
    is("$r->{code} $r->{w} $r->{s}", 'no given up approved',
       'call: not consumed');
    is(run(consume => $id, @args, 'd' x 32)->{code}, 'ok',
       'call: but by another one');

    is($ask->(my $again = new_id())->{code}, 'ok', 'call: asked for again');
    run(vote => $again, vote_args(0, 'v', 'approved'));
    is(run(consume => $again, @args, $call)->{code}, 'ok', 'call: consumed');

    cmd(DEL => key($call));
    $give_up->();
    ttl_is(key($call, ':decision'), 5000, 'call: given up before it comes');
    $r = $ask->(new_id());
    is("$r->{code} $r->{w}", 'no given up', 'call: it is not held');
    is($ask->(new_id())->{code}, 'ok', 'call: unless it is asked for again');
}


# An action is not made when nobody waits for the answer any more.

for my $row ([ 0, 'ok' ], [ 60_000, 'ok' ], [ -1, 'no' ]) {
    my ($ms, $code) = @$row;
    my $now = run(load => new_id())->{now};
    my $id = new_id();
    my $r = run(create => $id, create_args(join => "j$id"), 0, ('') x 4,
                sprintf('%016d', $ms && $now + $ms));

    is($r->{code}, $code, "create, heard for $ms ms: $code");
    is(cmd(EXISTS => key($id)), $code eq 'ok' ? 1 : 0, '... and there, or not');
    is($r->{w}, $code eq 'no' ? 'late' : undef, '... with the reason');
}


# Limits and counts of a requester.

{
    my @got = map { create(new_id(), per => 'limit', max => 2) } 1 .. 3;

    is(join(' ', map { $_->{code} } @got), 'ok ok busy', 'max_pending');

    run(settle => $got[0]{i}, settle_args('cancelled'));
    is(create(new_id(), per => 'limit', max => 2)->{code}, 'ok',
       'one that ended makes room');

    cmd(ZADD => "${prefix}per:{limit}", 1, $got[1]{i});
    is(create(new_id(), per => 'limit', max => 2)->{code}, 'ok',
       'one that vanished makes room in the end');

    my @recent = map { create(new_id(), requester => 'often')->{r} } 1 .. 3;
    is("@recent", '1 2 3', 'recent requests are counted');

    my $minute = int(cmd('TIME')->[0] / 60);
    cmd(HSET => "${prefix}recent:{often}", $minute - 11, 50, $minute - 5, 7);
    is(create(new_id(), requester => 'often')->{r}, 11,
       'those of ten minutes are');
    is(cmd(HEXISTS => "${prefix}recent:{often}", $minute - 11), 0,
       'older ones are forgotten');
}


# TTLs: not shorter than they are needed, nor for ever.

sub ttl_is {
    my ($key, $ms, $what) = @_;

    my $ttl = cmd(PTTL => $key);
    ok($ttl > $ms - 30000 && $ttl <= $ms, $what) or diag("$key: $ttl");
}

{
    cmd('FLUSHALL');

    my $id = make(pending => new_id());
    my $whole = $timeout + $within;

    run(vote => $id, vote_args(0, 'a'));
    ttl_is(key($id), $whole + $retention, 'pending: TTL of the action');
    ttl_is(key($id, ':votes'), $whole + $retention, 'pending: of its votes');
    ttl_is("${prefix}join:{j$id}", $whole, 'pending: of its join key');
    ttl_is("${prefix}per:{p$id}", $whole, 'pending: of the cap');
    ttl_is("${prefix}pending", $whole + $retention, 'pending: of the set');
    ttl_is("${prefix}actions", $whole + $retention, 'pending: of the history');

    run(vote => $id, vote_args(1, 'b', 'approved'));
    ttl_is(key($id), $within + $retention, 'approved: TTL of the action');
    ttl_is(key($id, ':decision'), $within, 'approved: of the decision');
    is(cmd(ZSCORE => "${prefix}pending", $id), run(load => $id)->{x},
       'approved: due when it lapses');

    run(consume => $id, consume_args('J-approved'));
    ttl_is(key($id), $lease + $retention, 'executing: TTL of the action');
    ttl_is(key($id, ':decision'), $lease + $retention,
           'executing: of the decision');

    run(finish => $id, finish_args('executed'));
    ttl_is(key($id, $_), $retention, "executed: TTL of the action$_")
        for ('', ':votes', ':decision');
}


# A decision that was set by hand gets its TTL when it is met.

for my $from (qw(none pending executed)) {
    my $id = make($from, new_id());

    for my $op (qw(consume forged approve)) {
        cmd(SET => key($id, ':decision'), 'by hand');
        $op{$op}->($id, 'something else');
        ok(cmd(PTTL => key($id, ':decision')) > 0,
           "$from, $op: a decision set by hand has a TTL");
    }

    cmd(SET => key($id, ':decision'), 'by hand');
    run(load => $id);
    ok($from eq 'none' || cmd(PTTL => key($id, ':decision')) > 0,
       "$from, load: a decision set by hand has a TTL");
    run(drop => $id, 'by hand');
    is(cmd(EXISTS => key($id, ':decision')), 0, "$from: dropped");
}


# To the millisecond: "x" is too late, and one before it is not.

sub deadline {
    my ($what, $id, $early, $late, $code) = @_;

    my $x = run(load => $id)->{x};
    my ($before, $bad, $r) = (0, 0);
    my $end = time() + 60;

    while (time() < $end) {
        $r = $code->();
        last if $r->{code} eq $late;

        $before++;
        $bad++ if $r->{code} ne $early || $r->{now} >= $x;
    }

    is($r->{code}, $late, "$what: in the end");
    ok($before > 0, "$what: not before it");
    is($bad, 0, "$what: never by a clock that says it is early");
    ok($r->{now} >= $x, "$what: by Redis' clock");
}

{
    my @soon = (timeout => 1000, within => 1000);

    my $id = new_id();
    create($id, @soon);
    deadline('expire', $id, 'again', 'ok',
             sub { run(settle => $id, settle_args('expired')) });
    is(run(load => $id)->{s}, 'expired', 'expire: expired');

    my $vote = new_id();
    create($vote, @soon);
    deadline('vote', $vote, 'again', 'no',
             sub { run(vote => $vote, vote_args(9, 'v', 'approved')) });

    my $lapse = new_id();
    create($lapse, @soon);
    run(vote => $lapse, vote_args(0, 'v', 'approved'));
    deadline('lapse', $lapse, 'again', 'ok',
             sub { run(settle => $lapse, settle_args('expired')) });

    my $late = new_id();
    create($late, @soon);
    cmd(SET => key($late, ':decision'), 'approve');
    my $x = run(load => $late)->{x};
    wait_for(sub { run(load => $late)->{now} >= $x });
    is(run(consume => $late, consume_args('approve'))->{code}, 'no',
       'consume: too late');

    my $gone = new_id();
    create($gone, @soon);
    run(vote => $gone, vote_args(0, 'v', 'approved'));
    ok(wait_for(sub { !cmd(EXISTS => key($gone, ':decision')) }),
       'the decision key itself ends when the approval lapses');
}


# Races.

my %won;

for my $round (1 .. 200) {
    my $id = make(pending => new_id());
    my @order = $round % 2 ? (qw(approved denied)) : (qw(denied approved));

    my @r = race(map { [ vote => $id, vote_args(0, "v-$_", $_) ] } @order);
    my @ok = grep { $r[$_]{code} eq 'ok' } 0 .. 1;

    $won{'two votes'}++ if @ok == 1
                           && cmd(HGET => key($id), 's') eq $order[$ok[0]]
                           && seen($id) == 1
                           && cmd(GET => key($id, ':decision'))
                              eq "J-$order[$ok[0]]";

    $id = make(approved => new_id());
    @r = race(map { [ consume => $id, consume_args('J-approved') ] } 1 .. 2);
    $won{'two consume'}++ if (grep { $_->{code} eq 'ok' } @r) == 1;

    $id = make(bare => new_id());
    @r = race([ consume => $id, consume_args('approve') ],
              [ settle => $id, settle_args('cancelled') ]);
    $won{'consume or cancel'}++ if (grep { $_->{code} eq 'ok' } @r) == 1;

    $id = make(pending => new_id());
    @r = race([ vote => $id, vote_args(0, 'v', 'approved') ],
              [ settle => $id, settle_args('cancelled') ]);
    $won{'vote or cancel'}++ if (grep { $_->{code} eq 'ok' } @r) == 1;

    @r = race(map { [ create => new_id(), create_args(join => "r$round") ] }
                  1 .. 2);
    $won{'two create'}++ if $r[0]{i} eq $r[1]{i} && $r[0]{j} + $r[1]{j} == 1;

    redis_clean($id);
}

is($won{$_}, 200, "$_ at once: one of them, always")
    for ('two votes', 'two consume', 'consume or cancel', 'vote or cancel',
         'two create');

{
    my $id = make(approved => new_id());
    my @many = map { $redis->client } 1 .. 50;

    $_->send(words(consume => $id, consume_args('J-approved'))) for @many;
    is(scalar(grep { answer($_->read)->{code} eq 'ok' } @many), 1,
       'fifty consume at once: one of them');

    my $voted = make(pending => new_id());
    $_->send(words(vote => $voted, vote_args(0, 'same', 'approved')))
        for @many;
    $_->read for @many;
    is(seen($voted), 1, 'the same vote fifty times: recorded once');

    $_->close for @many;
}


# Overdue ones are handed out, each to one.

{
    cmd('FLUSHALL');

    my %due = map { make($_, new_id()) => $_ } (qw(overdue lapsed lost)) x 20;
    my $vanished = make(pending => new_id());
    my $settled = make(denied => new_id());
    my $early = make(pending => new_id());

    cmd(DEL => key($vanished));
    cmd(ZADD => "${prefix}pending", 1, $_)
        for (keys %due, $vanished, $settled, $early);

    my %got;

    for (1 .. 4) {
        my @r = map { [ overdue => '', 16, 5000 ] } 1 .. 2;

        $conn[$_]->send(words(@{ $r[$_] })) for 0 .. 1;

        for my $reply (map { $_->read } @conn) {
            $got{ +{ @$_ }->{i} }++ for @{$reply}[ 2 .. $#$reply ];
        }
    }

    is(scalar(grep { $got{$_} && $got{$_} == 1 } keys %due), 60,
       'each is handed out once');
    is(scalar(keys %got), 60, 'nothing else is');
    is(cmd(ZSCORE => "${prefix}pending", $_), undef, 'no longer in the set')
        for ($vanished, $settled);
    is(cmd(ZSCORE => "${prefix}pending", $early), run(load => $early)->{x},
       'one that is not due gets its time again');

    my ($id) = keys %due;
    cmd(ZADD => "${prefix}pending", 1, $id);
    my $r = cmd(words(overdue => '', 16, 5000));
    is(+{ @{ $r->[2] } }->{i}, $id, 'handed out again after a while');
}


# Leases.

{
    my ($runs, $ended) = (make(lost => new_id()), make(executed => new_id()));

    my $r = cmd(words(renew => '', $lease, $retention, $runs, $ended,
                      new_id()));
    is(scalar(@$r), 4, 'those that are not being executed are named');
    is($r->[2], $ended, 'by their ids');
    ok(cmd(HGET => key($runs), 'l') > $r->[1], 'the lease is renewed');
    is(run(settle => $runs, settle_args('failed'))->{code}, 'again',
       'it cannot be given up meanwhile');
}


# Pages.

sub list_all {
    my ($open, $limit, $budget) = @_;

    my ($before, $below, @ids) = (0, '');

    for (1 .. 1000) {
        my $r = cmd(words(list => '', $open, $before, $below, $limit,
                          $budget));

        push @ids, map { +{ @$_ }->{i} } @{$r}[ 4 .. $#$r ];
        ($before, $below) = @{$r}[ 2, 3 ];

        return @ids if $below eq '';
    }

    return 'no end';
}

{
    cmd('FLUSHALL');

    my @all = map { make($_ % 5 ? 'denied' : 'pending', new_id()) } 1 .. 60;

    # many of the same millisecond

    cmd(ZADD => "${prefix}actions", 5000 + int($_ / 7), $all[$_])
        for 0 .. $#all;
    for my $n (0 .. $#all) {
        my $k = cmd(HGET => key($all[$n]), 'k');
        $k =~ s/^\d+/5000 + int($n \/ 7)/e;
        cmd(HSET => key($all[$n]), 'k', $k);
    }

    my @newest = reverse @all;
    my @pending = grep { cmd(HGET => key($_), 's') eq 'pending' } @newest;

    for my $part ([ 7, 1000 ], [ 60, 1000 ], [ 1, 20 ], [ 100, 20 ]) {
        is_deeply([ list_all(0, @$part) ], \@newest, "all, by @$part");
        is_deeply([ list_all(1, @$part) ], \@pending, "open, by @$part");
    }

    is_deeply([ list_all(1, 3, 10) ], \@pending,
              'open ones of more than are looked at in one go');

    cmd(DEL => key($newest[3]));
    is(scalar(list_all(0, 7, 1000)), 59, 'a vanished one is passed over');

    # of the history that is too old nothing but what still exists is kept: one
    # new action in sixteen looks

    cmd(ZADD => "${prefix}actions", 1, "gone$_") for 1 .. 60;
    create('a' x 31 . '1');
    is(cmd(ZCOUNT => "${prefix}actions", 1, 1), 60, 'not by each new action');

    create('a' x 31 . '0');
    is(cmd(ZCOUNT => "${prefix}actions", 1, 1), 0, 'old history is trimmed');
}


# SPEC: a pending action takes at most 2 KiB, all of its keys.

{
    cmd('FLUSHALL');

    my $n = 500;
    my $used = sub { cmd(INFO => 'memory') =~ /^used_memory:(\d+)/m; $1 };

    create(new_id());
    my $before = $used->();

    create(new_id(), join => 'j' x 26 . sprintf('%06d', $_),
           per => 'p' x 31 . $_ % 10, requester => 'r' x 32,
           digest => 'd' x 43, doc => "\0" x 733) for 1 .. $n;

    my $each = ($used->() - $before) / $n;
    cmp_ok($each, '<=', 2048, 'bytes of a pending action');
    note("$each bytes");
}

done_testing;
