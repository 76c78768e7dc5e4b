#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The store's scripts, run by Redis itself: every operation in every state,
# races between connections, deadlines by Redis' clock, TTLs, memory.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Life;
use Approval::Scripts;
use Approval::Test;

need('redis-server');

my ($timeout, $within, $retention, $lease) = (60000, 20000, 40000, 30000);
my $prefix = 'approval:';

my $redis = Approval::Redis->new(tcp => 0);
my @conn = map { $redis->client } 1 .. 2;

my $scripts = Approval::Scripts->new(prefix => $prefix);
my @cause = ('', map { $_->[1] } Approval::Life::rows(life => 'LIFE_CAUSE'));
my $count = 0;


sub new_id { sprintf('%032x', ++$count) }

sub key { $scripts->key(@_) }

sub shared { $scripts->shared(@_) }

sub cmd { $conn[0]->cmd(@_) }

sub words { $scripts->words(@_) }


sub answer {
    my ($reply) = @_;

    my ($code, $now, %pairs) = @$reply;

    $pairs{w} = $cause[ $pairs{w} ] if exists $pairs{w};

    return { code => $code, now => $now, %pairs };
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
            $how{max} // 0, $how{doc} // 'sealed',
            $how{timeout} // $timeout, $how{within} // $within,
            $how{retention} // $retention, $how{again} // 0,
            $how{grant} // '', $how{policy} // '', $how{ticket} // '',
            $how{call} // '', $how{class} // '5' x 32, 'class',
            $how{seen} // '', $how{others} // '', $how{counted} // '',
            $how{uncounted} // 0, $how{heard} // 0);
}


# as the store does: what stands under a join hash is named when it is told

sub create {
    my ($id, %how) = @_;

    for (1 .. 4) {
        my $r = run(create => $id, create_args(%how));

        return $r if $r->{code} ne 'again';

        $how{others} = $r->{O};
    }

    return { code => 'again' };
}


sub vote_args {
    my ($seen, $vote, $state) = @_;

    return ($seen, $vote, $state ? ($state, "J-$state") : ('unknown', ''),
            $retention, shared('decisions'));
}


sub settle_args { ($_[0], "J-$_[0]", $retention) }

sub consume_args {
    my ($decision, $call) = @_;

    return ($decision, $lease, $retention, '', '', $call // '', '');
}

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

    my $score = cmd(ZSCORE => shared('pending'), $id);

    if (defined $state && $open{$state}) {
        ok(defined $score, "$what: it is in the set of open ones");
    } else {
        ok(!defined $score, "$what: it is not in the set of open ones");
    }

    my $place = { executed => 'x', failed => 'f', denied => 'd',
                  expired => 'e', cancelled => 'c' }->{ $state // '' } // 'o';
    my $rest = substr($id, 2);
    my @there = grep { /$rest/ }
                @{ cmd(ZRANGE => shared('index'), 0, -1) };

    is(scalar(@there), defined $state ? 1 : 0, "$what: it is in the index")
        or diag("@there");
    like($there[0], qr/^${place}55555555\d{13}$rest(?:\d{10})?$/,
         "$what: in the place of its state") if defined $state;
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
    my @args = create_args(join => 'jj', requester => 'rr', per => 'pp',
                           max => 9);

    my $first = run(create => $id, @args);
    my $again = run(create => $id, @args);

    is($again->{code}, 'ok', 'create is acknowledged again');
    is("$again->{c} $again->{j} $again->{r}", "$first->{c} 0 1",
       'it was made once, counted once, and not joined');
    is(cmd(ZCARD => shared('per:pp')), 1, 'its requester has one');
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
    is(run(load => new_id())->{code}, 'no', 'load of an unknown one');

    my $bad = make(pending => new_id());

    is(run(vote => $bad, 0, 'v', 'executed', 'J', $retention)->{code}, 'no',
       'a vote makes nothing but approved and denied');
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

# An end that an identical request gets again; of what was executed only where
# somebody did not get the answer.

sub again { create(new_id(), join => "j$_[0]", again => $_[1] // 10000) }

for my $from (sort(keys %make)) {
    next if $from eq 'none';

    my $id = make($from, new_id());
    my $r = again($id);
    my $repeats = $from =~ /^(?:executing|lost|failed|denied)$/ ? 1 : 0;

    is(($r->{w} // '') eq 'again' ? 1 : 0, $repeats,
       "$from: " . ($repeats ? 'repeated' : 'not repeated'));
    is($r->{i}, $id, "$from: that one") if $repeats;
    ok($r->{x} > $r->{now} && $r->{x} <= $r->{now} + 10000,
       "$from: for so long") if $repeats;

    isnt(again($id, 0)->{w}, 'again', "$from: not if switched off");
}

for my $row (
    [ 'a loser' => sub { run(consume => $_[0], consume_args('J-approved')) },
      'executed' ],
    [ 'a late loser' => sub { }, 'executed', sub {
        run(consume => $_[0], consume_args('J-approved')) } ],
    [ 'one who came meanwhile' => sub { again($_[0]) }, 'executed' ],
    [ 'one whose answer was cut' => sub { }, 'executed', undef, 1 ],
    [ 'nobody' => sub { }, undef ],
) {
    my ($name, $before, $repeats, $after, $flag) = @$row;
    my $id = make(executing => new_id());

    $before->($id);
    run(finish => $id, finish_args('executed'), $flag // 0);
    $after->($id) if $after;

    my $r = again($id);
    is(($r->{w} // '') eq 'again' ? $r->{s} : undef, $repeats,
       "repeated for $name: " . ($repeats // 'no'));

    if ($repeats) {
        my $till = $r->{x};
        is(again($id)->{x}, $till, "repeated for $name: until then");

        cmd(HSET => key($id), r => $r->{now} - 10000);
        is(again($id)->{w}, undef, "repeated for $name: and no longer");
    }
}

{
    my $id = make(pending => new_id());

    again($id);
    run(leave => $id, '', $retention, '');
    run(vote => $id, vote_args(0, 'v', 'approved'));
    run(consume => $id, consume_args('J-approved'));
    run(finish => $id, finish_args('executed'), 0);
    is(again($id)->{w}, 'again', 'repeated for one of two who left');

    $id = make(pending => new_id());
    run(leave => $id, '', $retention, '');
    again($id);
    run(vote => $id, vote_args(0, 'v', 'approved'));
    run(consume => $id, consume_args('J-approved'));
    run(finish => $id, finish_args('executed'), 0);
    is(again($id)->{w}, undef, 'not for one who left and came back');
}

{
    my $old = make(overdue => new_id());
    my $new = create(new_id(), join => "j$old");

    run(settle => $old, settle_args('expired'));
    is(create(new_id(), join => "j$old")->{i}, $new->{i},
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
    my $call = '00' . 'c' x 30;
    my $give_up = sub {
        local $scripts->{call} = $call;
        cmd(words(give_up => '', 5000));
    };
    my $ask = sub { create($_[0], join => 'jcall', call => $call) };

    my $id = new_id();
    is($ask->($id)->{code}, 'ok', 'call: held');
    ttl_is(key($call), $timeout + $within, 'call: as long as it may be');

    run(vote => $id, vote_args(0, 'v', 'approved'));
    $give_up->();
    ttl_is(key($call, ':decision'), $timeout + $within, 'call: given up');

    my @args = ('J-approved');
    my $r = run(consume => $id, consume_args(@args, $call));
    is("$r->{code} $r->{w} $r->{s}", 'no given_up approved',
       'call: not consumed');
    is(run(consume => $id, consume_args(@args, '00' . 'd' x 30))->{code}, 'ok',
       'call: but by another one');

    is($ask->(my $again = new_id())->{code}, 'ok', 'call: asked for again');
    run(vote => $again, vote_args(0, 'v', 'approved'));
    is(run(consume => $again, consume_args(@args, $call))->{code}, 'ok',
       'call: consumed');

    cmd(DEL => key($call));
    $give_up->();
    ttl_is(key($call, ':decision'), 5000, 'call: given up before it comes');
    $r = $ask->(new_id());
    is("$r->{code} $r->{w}", 'no given_up', 'call: it is not held');
    is($ask->(new_id())->{code}, 'ok', 'call: unless it is asked for again');
}


# An action is not made when nobody waits for the answer any more.

for my $row ([ 0, 'ok' ], [ 60_000, 'ok' ], [ -1, 'no' ]) {
    my ($ms, $code) = @$row;
    my $now = run(load => new_id())->{now};
    my $id = new_id();
    my $r = create($id, join => "j$id",
                   heard => sprintf('%016d', $ms && $now + $ms));

    is($r->{code}, $code, "create, heard for $ms ms: $code");
    is(cmd(EXISTS => key($id)), $code eq 'ok' ? 1 : 0, '... and there, or not');
    is($r->{w}, $code eq 'no' ? 'late' : undef, '... with the reason');
}


# Limits and counts of a requester.

{
    my @got = map { create(new_id(), per => 'limit', max => 2) } 1 .. 3;

    is(join(' ', map { $_->{code} } @got), 'ok ok busy', 'max_pending');

    # the store takes out what is told to have counted

    is(run(settle => $got[0]{i}, settle_args('cancelled'))->{p}, 'limit',
       'one that ended says where it counted');
    cmd(ZREM => shared('per:limit'), $got[0]{i});
    is(create(new_id(), per => 'limit', max => 2)->{code}, 'ok',
       'which makes room');

    cmd(ZADD => shared('per:limit'), 1, $got[1]{i});
    is(create(new_id(), per => 'limit', max => 2)->{code}, 'ok',
       'one that vanished makes room in the end');

    my $first = new_id();
    is(run(create => $first, create_args(uncounted => 1))->{w}, 'uncounted',
       'to be counted');
    is(run(load => $first)->{code}, 'no', '... and not made yet');

    # counted before it is made, where the counter is in another shard

    local $scripts->{per} = 'apart old';
    my @ids = map { new_id() } 1 .. 3;

    my @reserved = map { run(reserve => $_, 60000, 2) } @ids;

    is(join(' ', map { $_->{code} } @reserved), 'ok ok busy', 'counted apart');
    my $free = $reserved[2]{x} - $reserved[0]{now};
    ok($free > 59000 && $free <= 60000, 'counted apart: when there is room');
    ttl_is(shared('per:apart'), 60000, 'counted apart: TTL');
    create($ids[0], counted => 'apart');
    run(vote => $ids[0], vote_args(0, 'v', 'approved'));
    is(run(consume => $ids[0], consume_args('J-approved'))->{p}, 'apart',
       'one that is taken says so');

    my @recent = map { create(new_id(), requester => 'often')->{r} } 1 .. 3;
    is("@recent", '1 2 3', 'recent requests are counted');

    my $now = cmd('TIME')->[0] * 1000;
    my $asked = sub { sprintf('%013d%s%010d', $now - $_[0] * 60000, new_id(),
                              $now / 1000 - ($_[1] // -9)) };

    cmd(DEL => shared('by:often'));
    cmd(RPUSH => shared('by:often'), $asked->($_)) for (11) x 50, (5) x 7;
    is(create(new_id(), requester => 'often')->{r}, 8,
       'those of ten minutes are');

    local $scripts->{by} = 'often';
    is(run('recent', '')->{r}, 8, 'and told without another one');

    cmd(LPUSH => shared('by:often'), $asked->(12, 1)) for 1 .. 9;
    create(sprintf('00%029x0', ++$count), requester => 'often');
    is(cmd(LLEN => shared('by:often')), 50 + 7 + 1 + 1,
       'what is gone is forgotten: by one new action in sixteen');

    for my $n (0 .. 40) {
        local $scripts->{by} = "n$n";
        cmd(RPUSH => shared("by:n$n"), $asked->(11 + $_)) for 1 .. 3;
        cmd(RPUSH => shared("by:n$n"), $asked->(1)) for 1 .. $n;
        is(run('recent', '')->{r}, $n, "$n are counted");
    }
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
    ttl_is(shared("join:j$id"), $whole, 'pending: of its join key');

    create(new_id(), join => 'jlong', again => 10000);
    ttl_is(shared('join:jlong'), $whole + 10000 + 3600000,
           'pending: of one that is repeated');
    ttl_is(shared('pending'), $whole + $retention, 'pending: of the set');
    ttl_is(shared('index'), $whole + $retention, 'pending: of the index');
    ttl_is(shared('classes'), $whole + $retention, 'pending: of the classes');

    run(vote => $id, vote_args(1, 'b', 'approved'));
    ttl_is(key($id), $whole + $retention, 'approved: TTL of the action');
    ttl_is(key($id, ':decision'), $whole + $retention,
           'approved: of the decision');
    is(cmd(ZSCORE => shared('pending'), $id), run(load => $id)->{x},
       'approved: due when it lapses');

    run(consume => $id, consume_args('J-approved'));
    ttl_is(key($id), $whole + $retention, 'executing: TTL of the action');
    ttl_is(shared("end:$id"), $whole, 'executing: of what says that it was');
    is(cmd(GET => shared("end:$id")), 'J-approved', 'executing: it says so');
    ttl_is(key($id, ':decision'), $whole + $retention,
           'executing: of the decision');

    run(finish => $id, finish_args('executed'));
    ttl_is(key($id, $_), $retention, "executed: TTL of the action$_")
        for ('', ':votes', ':decision');

    # executed for longer than it was made for, or by what somebody set

    my $short = new_id();

    create($short, timeout => 10000, within => 15000);
    run(vote => $short, vote_args(0, 'a', 'approved'));
    run(consume => $short, consume_args('J-approved'));
    cmp_ok(cmd(PTTL => key($short, $_)), '>', 25000 + $retention,
           "executing: TTL of the action$_, which lived for less")
        for ('', ':votes', ':decision');

    my $bare = make(bare => new_id());

    run(consume => $bare, consume_args('approve'));
    cmp_ok(cmd(PTTL => key($bare, ':decision')), '>', $timeout,
           'executing: of a bare decision');
}


# What says that an action ended stays when the action is put back.

for my $end (qw(denied cancelled)) {
    my $id = make(pending => new_id());
    my $was = cmd(DUMP => key($id));

    run(settle => $id, settle_args($end));
    is(run(load => $id)->{L}, undef, "$end: nothing contradicts");
    cmd(RESTORE => key($id), 60000, $was, 'REPLACE');
    cmd(DEL => key($id, ':decision'));
    is(join(' ', @{ run(load => $id)->{L} }), "a $id J-$end",
       "$end, and put back: it is told");
    run(vote => $id, vote_args(0, 'a', 'approved'));
    is(join(' ', @{ run(consume => $id, consume_args('J-approved'))->{L} }),
       "a $id J-$end", "$end, and taken: it is told");
}


# Freezes that were lifted, and what stands of grants.

{
    local $scripts->{end} = 'g' x 8;
    my $frozen = shared('frozen');
    my $says = sub { join ' ', @{ create(new_id(), requester => 'a0 a1',
                                         policy => 'a2', @_)->{L} // [] } };

    cmd(DEL => $frozen);
    run(freeze => '', 'a1 a9', 0, 'doc', '');
    is(cmd(PTTL => $frozen), -1, 'frozen for ever');
    is($says->(), 'f a1 doc', 'frozen: its document is told');
    is(run(thaw => '', 'a3', 'up', 5000, '')->{code}, 'no',
       'another is not thawed');
    is(run(thaw => '', 'a0 a1', 'up', 5000, '')->{code}, 'ok', 'thawed');
    is($says->(), 'f a0 up f a0 up', 'thawed: that is told, of both hashes');
    ttl_is($frozen, 5000, 'thawed: TTL');
    is(run(thaw => '', 'a0 a1', 'up', 5000, '')->{code}, 'no', 'thawed: once');
    is(run(thaw => '', 'a0 a1', 'up', 5000, 'known')->{code}, 'ok',
       'thawed: but for who knows of a freeze');
    is(create(new_id(), requester => 'a5', seen => 'frozen')->{w}, 'unfrozen',
       'one that was seen frozen, and is not, is told');

    run(freeze => '', 'a0', 0, 'again', '');
    is($says->(), 'f a0 again f a0 again', 'frozen again');
    cmd(DEL => $frozen);

    run(end => '', '0000000000000001' . '0000000002', 'two', 5000);
    run(end => '', '0000000000000001' . '0000000001', 'one', 5000);
    like(cmd(GET => shared('end:gggggggg')), qr/ two$/, 'the later use stands');
    run(end => '', '0000000000000002' . '0000000001', 'new', 5000);
    like(cmd(GET => shared('end:gggggggg')), qr/ new$/, 'and the later grant');

    cmd(HSET => shared('grant:gggggggg'), 'a', 'x' x 32, 'm', 0, 'b', 'doc');
    cmd(PEXPIRE => shared('grant:gggggggg'), 60000);
    is($says->(grant => 'gggggggg'), 'g gggggggg new',
       'a grant is used: its statement is told');
    is(run(revoke => '', 'gggggggg', '1', 'over', 5000)->{code}, 'ok',
       'it is revoked');
    is(cmd(GET => shared('end:gggggggg')), '1 over', 'which is stated');
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

    my @ids = map { new_id() } 1 .. 2;
    @r = race(map { [ create => $_, create_args(join => "r$round") ] } @ids);
    $r[$_] = create($ids[$_], join => "r$round", others => $r[$_]{O})
        for grep { $r[$_]{code} eq 'again' } 0 .. 1;
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
    cmd(ZADD => shared('pending'), 1, $_)
        for (keys %due, $vanished, $settled, $early);

    my %got;
    my @due = @{ cmd(words(scan => '', 100, 'due'))->[2] };

    is(scalar(@due), 2 * 63, 'what is due is found');

    for my $n (0 .. @due / 2 - 1) {
        for my $r (race(map { [ overdue => $due[2 * $n], 5000 ] } 1 .. 2)) {
            $got{ $r->{i} }++ if $r->{code} eq 'ok';
        }
    }

    is(scalar(grep { $got{$_} && $got{$_} == 1 } keys %due), 60,
       'each is handed out once');
    is(scalar(keys %got), 60, 'nothing else is');
    is(cmd(ZSCORE => shared('pending'), $_), undef, 'no longer in the set')
        for ($vanished, $settled);
    is(cmd(ZSCORE => shared('pending'), $early), run(load => $early)->{x},
       'one that is not due gets its time again');

    my ($id) = keys %due;
    cmd(ZADD => shared('pending'), 1, $id);
    is(run(overdue => $id, 5000)->{i}, $id, 'handed out again after a while');
}


# Leases.

{
    my ($runs, $ended) = (make(lost => new_id()), make(executed => new_id()));

    is(run(renew => $_, $lease, $retention)->{code}, 'no',
       'what is not being executed has no lease') for $ended, new_id();

    my $r = run(renew => $runs, $lease, $retention);
    is($r->{code}, 'ok', 'the lease is renewed');
    ok(cmd(HGET => key($runs), 'l') > $r->{now}, 'by its time');
    is(run(settle => $runs, settle_args('failed'))->{code}, 'again',
       'it cannot be given up meanwhile');
}


# Pages, by places in the index, and by requester.

sub list_all {
    my ($script, $limit, $since, @begin) = @_;

    my ($before, @ids) = ('');

    for (1 .. 1000) {
        my $found = cmd(words($script => '', sprintf('%013d', $since), $before,
                              $limit, @begin))->[2];

        return @ids unless @$found;

        push @ids, map { '00' . substr($_, 13) } @$found;
        $before = $found->[-1];
    }

    return 'no end';
}

{
    cmd('FLUSHALL');

    my (%place, %by, @all);

    # many of the same millisecond

    for my $n (0 .. 59) {
        my $id = new_id();
        my $class = $n % 3 ? '1' x 8 : '2' x 8;
        my $place = $n % 5 ? 'd' : 'o';
        my $time = sprintf('%013d', 5000 + int($n / 7));
        my $by = $n % 4 ? 'one' : 'two';

        cmd(ZADD => shared('index'), 0, "$place$class$time" . substr($id, 2)
                                        . ($place eq 'd' ? '9999999999' : ''));
        unshift @all, $id;
        unshift @{ $place{"$place$class"} }, $id;
        unshift @{ $by{$time}{$by} }, $id;
    }

    # these as they came, in any order

    for my $time (sort keys %by) {
        for my $by (sort keys %{ $by{$time} }) {
            my @ids = @{ $by{$time}{$by} };
            cmd(RPUSH => shared("by:$by"), "$time${_}9999999999")
                for @ids[ 1 .. $#ids ], $ids[0];
        }
    }

    my @begin = sort keys %place;

    for my $limit (1, 2, 3, 7, 60, 100) {
        is_deeply([ list_all(list => $limit, 0, @begin) ], \@all,
                  "all, by $limit");
        is_deeply([ list_all(list => $limit, 0, $_) ], $place{$_},
                  "$_, by $limit") for @begin;

        local $scripts->{by} = 'one two';
        is_deeply([ list_all(by => $limit, 0) ], \@all,
                  "all of a requester, by $limit");

        for my $by (qw(one two)) {
            local $scripts->{by} = $by;
            is_deeply([ list_all(by => $limit, 0) ],
                      [ map { @{ $by{$_}{$by} // [] } }
                        reverse sort keys %by ], "those of $by, by $limit");
        }
    }

    local $scripts->{by} = 'one two';

    for my $row ([ list => @begin ], [ 'by' ]) {
        my ($script, @begin) = @$row;

        is(scalar(my @since = list_all($script, 7, 5003, @begin)), 60 - 21,
           "$script: since");
    }

    is(scalar(my @none = list_all(list => 7, 0, 'x' . '1' x 8)), 0, 'none');
}


# What ended is forgotten when it is gone, and its class with the last of it:
# one in sixteen that end looks.

{
    cmd('FLUSHALL');

    my $gone = sub { sprintf('d%s%013d%s%010d', @_, substr(new_id(), 2), 1) };
    my ($one, $two) = ('1' x 32, '2' x 32);

    cmd(ZADD => shared('index'), 0, $gone->('1' x 8, 5)) for 1 .. 60;
    cmd(ZADD => shared('index'), 0, $gone->('2' x 8, 5));
    cmd(HSET => shared('classes'), $two, 'class');

    for my $last (1, 0) {
        my $id = '00' . 'b' x 29 . $last;

        create($id, class => $one);
        run(settle => $id, settle_args('denied'));
        is(cmd(ZLEXCOUNT => shared('index'), '[d11111111', '(d11111112'),
           $last ? 61 : 2, $last ? 'not by each one' : 'by this one');
    }

    wait_for(sub {
        my $id = sprintf('00%029x0', ++$count);
        create($id, class => $one);
        run(settle => $id, settle_args('denied'));
        return !cmd(HEXISTS => shared('classes'), $two);
    });
    is_deeply(cmd(HKEYS => shared('classes')), [ $one ],
              'a class is forgotten when nothing is left of it');
    is(cmd(ZLEXCOUNT => shared('index'), '[d22222222', '(d22222223'), 0,
       'and nothing is');
}


# A guard that fails nothing would prove nothing.

{
    my @planted = words(load => new_id());

    $planted[1] =~ s/VOTES = KEYS\[1\]/VOTES = KEYS[1] .. 'x'/;
    my $reply = $conn[0]->try(@planted);
    like(ref $reply eq 'SCALAR' ? $$reply : '', qr/not in KEYS/,
         'a key that is not named is noticed');

    @planted = words(load => new_id());
    $planted[4] =~ s/\{00\}/{01}/;
    $reply = $conn[0]->try(@planted);
    like(ref $reply eq 'SCALAR' ? $$reply : '', qr/several slots/,
         'so are two slots');
}


# No use of a passkey is later than its revocation, by one clock.

sub passkey { my (undef, $word) = @{ cmd(words(passkey => '', @_)) }; $word }

{
    my $name = 'a' x 32;
    my $now = sub { cmd(words(passkey => '', 'list'))->[0] };
    my ($put, $use) = map { my $what = $_; sub { passkey($what, $name, @_) } }
                      qw(put use);
    my $used = sub { (split / /, cmd(HGET => shared('passkeys:used'), $name))
                     [$_[0]] };
    my $nonce = sub { cmd(DEL => shared('once:nonce')) };

    is($put->('', 'record', 9, '', 0), 'ok', 'a passkey is enrolled');
    is($use->('record', 5, 1, 1000), 'ok', 'it is used');
    is($used->(0), 5, 'its counter is kept');
    cmp_ok($used->(1), '<=', $now->(), 'and when that was');
    is($use->('record', 6, 1, 1000), 'replayed', 'a nonce counts once');
    $nonce->();
    is($use->('record', 5, 1, 1000), 'cloned', 'and a counter goes on');
    $nonce->();
    is($use->('another', 6, 1, 1000), 'again', 'so does only what is enrolled');

    is($put->('record', '', 9, 'revoked', $used->(1) - 1), 'used',
       'no revocation is earlier than the last use');
    is($use->('record', 6, 1, 1000), 'ok', 'it is still in force');
    is($put->('record', '', 9, 'revoked', $used->(1)), 'ok', 'a later one is');
    is($use->('record', 7, 1, 1000), 'again', 'and no use is later');
    is($put->('', 'record', 9, '', 0), 'ended', 'nor is it enrolled again');
    is($put->('', '', 9, 'revoked too', $now->()), 'ok',
       'what is not there is revoked by its name');
    cmd(DEL => map { shared($_) } qw(passkeys passkeys:ended once:nonce));
}


# SPEC: a pending action takes at most 2 KiB, all of its keys.

{
    cmd('FLUSHALL');

    my $n = 500;

    # "used_memory" has buffers, too, and a table that is being moved

    my $used = sub {
        my $sum = 0;

        $sum += cmd(MEMORY => USAGE => $_, SAMPLES => 0)
            for @{ cmd(KEYS => '*') };

        my %stats = @{ cmd(MEMORY => 'STATS') };
        my %db = @{ $stats{'db.0'} };

        return $sum + $db{'overhead.hashtable.main'}
                    + $db{'overhead.hashtable.expires'};
    };

    create(new_id());
    my $before = $used->();

    create(new_id(), join => 'j' x 26 . sprintf('%06d', $_),
           per => 'p' x 31 . $_ % 10, max => 1000, requester => 'r' x 32,
           doc => "\0" x 733) for 1 .. $n;

    my $each = ($used->() - $before) / $n;

    cmp_ok($each, '<=', 2048, 'bytes of a pending action');
    note("$each bytes");
}

done_testing;
