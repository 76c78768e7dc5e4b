#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Two gateways, a primary, a replica and three sentinels, and clients that ask,
# withdraw, leave and retry while faults are injected, many at once.  When it is
# over the whole history is read: no wrong execution, everyone has an answer in
# time, the trails verify, and after each burst of faults the gateways work
# again, without a reload.
#
# One gateway asks the sentinels, which it knows by names.  The other has a name
# for the primary, which is moved after each failover.  All are at addresses of
# their own, and those that come back do so elsewhere.
#
#   APPROVAL_FAULTS=N   how many; default 25, with APPROVAL_FULL=1 1000
#   APPROVAL_SEED=N     by which they are chosen

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;
use Approval::History;
use Approval::Names;
use Approval::Sentinels;

use MIME::Base64 ();
use POSIX ();
use Time::HiRes qw(sleep time);

need_module();
need('redis-server');

my $names = Approval::Names->allowed
            ? Approval::Names->new('timeout:1 attempts:2') : undef;

my $FAULTS = $ENV{APPROVAL_FAULTS} // ($ENV{APPROVAL_FULL} ? 1000 : 25);
my $SEED = $ENV{APPROVAL_SEED} // 12;

my $DEADLINE = 60;                      # of an answer, s
my $TIMEOUT = 8;                        # of an action
my $USES = 3;                           # of a grant
my $CLIENTS = 5;

alarm(0);
alarm((600 + 8 * $FAULTS) * slow());

planted();

my $dir = tempdir();
my $set = Approval::Sentinels->new(replicas => 1, down => 500, apart => $names,
                                   conf => <<'EOF');
user repl on >repl +psync +replconf +ping
masteruser repl
masterauth repl
EOF

ok($set->ready, 'the sentinels know each other and the replica');

my @keys = map { make_keys(tempdir()) } 0 .. 1;
my $secret = $keys[0]{secret};
my @signing = map { $_->{signing} } @keys;
my @public = map { $_->{public} } @keys;
my $operator = $names ? operator() : undef;
my @gateways = gateways();
my @history;                            # of this process

for my $gw (@gateways) {
    ok(works($gw), 'a gateway works') or BAIL_OUT('there is nothing to test');
}

my @procs = (map({ loader($_) } 1 .. $CLIENTS), approver('alice'),
             approver('bob'));

diag("$FAULTS faults, APPROVAL_SEED=$SEED");
bursts();

spew("$dir/stop", '');
ok($_->wait_exit((3 * $DEADLINE) * slow()), 'a client comes to its end')
    for @procs;

judge();

done_testing;


# Moves the name of the primary when all sentinels name another one

sub operator {
    my $name = sub {
        my $address = $set->primary_address // return;

        $names->dns->set('primary.test' => $address =~ s/:.*//r);
    };

    $name->();
    $names->dns->set(called($_) => $_->address) for $set->sentinels;

    return Approval::Process->start(code => sub {
        while (1) {
            $name->();
            sleep(0.2);
        }
    });
}


sub called {
    my ($sentinel) = @_;

    my @sentinels = $set->sentinels;
    my ($n) = grep { $sentinels[$_] == $sentinel } 0 .. $#sentinels;

    return "sentinel$n.test";
}


sub urls {
    return map { $set->url . ' sentinel=gw' } 0, 1 if !$names;

    my ($server, $sentinel) = map { $_->[0]->port }
                              [ $set->servers ], [ $set->sentinels ];

    return ('redis://' . join(',', map { called($_) . ":$sentinel" }
                                   $set->sentinels) . ' sentinel=gw',
            "redis://primary.test:$server");
}


# what is there

sub gateways {
    my $http = <<"EOF";
    approval_group ops olga;
    approval_operators ops;
    approval_policy p {
        rule two    { match \$uri ^/two/; require 2 of admins;
                      timeout ${TIMEOUT}s; execute_within 30s; }
        rule expire { match \$uri ^/expire/; require admins; timeout 2s; }
        rule grant  { match \$uri ^/grant/; require admins;
                      timeout ${TIMEOUT}s; execute_within 30s;
                      remember 60s per \$uri uses=$USES; }
        rule r      { match \$uri ^/held/; require admins;
                      timeout ${TIMEOUT}s; execute_within 30s; }
    }
EOF

    my %how = (workers => 2, log_level => 'info', connections => 1024,
               start => 0, allow => [ qr/exited on signal 9/,
                                      qr/kill\(\d+, \d+\) failed \(3:/,
                                      qr/host not found in the Redis addr/ ]);
    my @urls = urls();
    my $server = 'approval p; location / { proxy_pass %%UP%%; }';
    my $gw = Approval::Gateway->new(http => $http, server => $server,
                                    repeat => undef, %how);

    $gw->redis->stop;

    my $other = bless { %$gw, audit => undef }, 'Approval::Gateway';

    $other->{ngx} = Approval::Nginx->new(
        http => $gw->conf($http, $server, 1, ''), %how);

    for my $n (0, 1) {
        my $self = ($gw, $other)[$n];
        my $url = "$urls[$n] timeout=2s replicas=1";

        $self->{n} = $n;
        $self->{ngx}{http} =~ s/approval_redis [^;]+/approval_redis $url/;
        $self->{ngx}{http} =~ s/approval_signing_key [^;]+/
                                approval_signing_key @signing/;
        $self->{ngx}{http} =~ s/approval_key [^;]+/approval_key $secret/;
        $self->{ngx}->start;
    }

    return ($gw, $other);
}


# One is held, approved and executed: by a new one each time, as a person would

sub works {
    my ($gw) = @_;

    our $n;

    return wait_for(sub {
        my $ticket = send_to($gw, GET => '/held/probe/' . ++$n,
                             headers => [ Prefer => 'respond-async' ]);

        return 0 unless $ticket && $ticket->status == 202;

        my $id = $ticket->header('Approval-Id');
        my $vote = vote($gw->{n}, 'alice', $id, 'approve');

        return 0 unless ($vote->{status} // 0) == 200;

        my $r = ask($gw->{n}, "/held/probe/$n");

        push @history, [ votes => $vote ], [ requests => $r ];

        return ($r->{status} // 0) == 200;
    }, 120);
}


sub send_to {
    my ($gw, $method, $target, %how) = @_;

    return eval {
        $gw->send($method, $target, agent => 'probe', %how)
           ->try_read($how{timeout} // 20);
    };
}


# a request, a vote and whatever else there is to say, with its answer

sub timed {
    my ($n, $method, $target, $how, %thing) = @_;

    my $response;

    %thing = (%thing, gw => $n, sent => time, end => 'closed');

    my $client = eval {
        my $client = Approval::Client->new($gateways[$n]->port);
        $client->send($method, $target, %$how);
        $client;
    };

    if ($client && defined $how->{leave}) {
        sleep($how->{leave});
        $response = $client->try_read(0);
        $thing{end} = 'left' if !$response && !$client->{eof};

    } elsif ($client) {
        $response = $client->try_read($DEADLINE);
        $thing{end} = 'silent' if !$response && !$client->{eof};
    }

    if ($response) {
        my $json = eval { $response->json } // {};

        $json = {} if ref $json ne 'HASH';

        $thing{end} = 'answer';
        $thing{status} = $response->status;
        $thing{type} = $json->{type};
        $thing{id} //= $response->header('Approval-Id') // $json->{action_id};
        $thing{json} = $json if $how->{json_wanted};
    }

    $thing{ended} = time;

    return \%thing;
}


sub ask {
    my ($n, $target, %how) = @_;

    my ($agent) = $target =~ m{^/\w+/\w+/(\d+)/};

    push @{ $how{headers} }, Host => 'gw.example',
         'X-Agent' => defined $agent ? "agent-$agent" : 'probe';

    return timed($n, GET => $target, \%how, target => $target);
}


sub vote {
    my ($n, $who, $id, $decision) = @_;

    return timed($n, POST => "/_approval/actions/$id/decision",
                 { json => { decision => $decision, comment => '' },
                   headers => [ 'X-User' => $who ] },
                 id => $id, who => $who, decision => $decision);
}


# Processes: each writes what it has seen into a file of its own.  What a target
# is for is its second word: /RULE/PLAN/AGENT/N

sub process {
    my ($name, $code) = @_;

    my $number = our $processes++;

    return Approval::Process->start(stderr => "$dir/$name.err", code => sub {
        open(my $log, '>>:raw', "$dir/$name.log") or die $!;

        srand($SEED * 1000 + $number);

        $code->(sub {
            my ($kind, $thing) = @_;

            syswrite($log, encode_json([ $kind => $thing ]) . "\n");

            return $thing;
        }) until -e "$dir/stop";
    });
}


sub loader {
    my ($agent) = @_;

    my %plans = (approve => 8, two => 3, deny => 3, race => 3, expire => 1,
                 ticket => 5, withdraw => 3, grant => 4, leave => 4);
    my @plans = map { ($_) x $plans{$_} } sort keys %plans;
    my $n = 0;

    return process("agent-$agent", sub {
        my ($note) = @_;

        my $plan = $plans[ rand @plans ];
        my $rule = $plan =~ /^(?:two|grant|expire)$/ ? $plan : 'held';
        my $target = "/$rule/$plan/$agent/" . ++$n;

        sleep(rand(0.3));

        return ticket($note, $plan, $target) if $plan =~ /^(?:ticket|with)/;
        return grant($note, $target) if $plan eq 'grant';

        if ($plan eq 'leave') {
            $note->(requests => ask(int(rand 2), $target, leave => rand(1.5)));
            return;
        }

        # whoever is told to come again does

        for my $try (1 .. 3) {
            my $r = $note->(requests => ask(int(rand 2), $target));

            last if $r->{end} eq 'answer' && $r->{status} != 503;
            sleep(rand(1));
        }
    });
}


sub ticket {
    my ($note, $plan, $target) = @_;

    my $r = $note->(requests => ask(int(rand 2), $target,
                        headers => [ Prefer => 'respond-async' ]));

    return if ($r->{status} // 0) != 202 || !defined $r->{id};

    my ($agent) = $target =~ m{^/\w+/\w+/(\d+)/};
    my @who = (headers => [ 'X-Agent' => "agent-$agent" ]);
    my $status = "/_approval/status/$r->{id}";

    if ($plan eq 'withdraw') {
        sleep(rand(1));
        $note->(stops => timed(int(rand 2), DELETE => $status, { @who },
                               what => 'withdraw', id => $r->{id}));
        $note->(requests => ask(int(rand 2), $target, leave => 0.2));
        return;
    }

    for (1 .. 40) {
        my $s = timed(int(rand 2), GET => $status,
                      { @who, json_wanted => 1 }, what => 'poll');
        my $json = delete $s->{json} // {};

        $note->(stops => $s);
        last if ($json->{state} // 'pending') ne 'pending';
        sleep(0.2);
    }

    # redeemed at both gateways at once

    my $twin = Approval::Process->start(stdout => "$dir/twin-$agent",
        code => sub {
            syswrite(STDOUT, encode_json([ requests => ask(0, $target) ])
                             . "\n");
        });

    $note->(requests => ask(1, $target));
    $twin->wait_exit(2 * $DEADLINE * slow());
}


# the approval and its uses, and one more

sub grant {
    my ($note, $target) = @_;

    for my $use (0 .. $USES + 1) {
        my $r = $note->(requests => ask(int(rand 2), $target));

        return if ($r->{status} // 0) != 200;
    }
}


sub approver {
    my ($who) = @_;

    my (%due, %tries);

    return process($who, sub {
        my ($note) = @_;

        my $list = timed(int(rand 2), GET =>
            '/_approval/actions?state=pending&limit=100',
            { json_wanted => 1, headers => [ 'X-User' => $who,
                                             Accept => 'application/json' ] },
            what => 'poll');

        my $json = delete $list->{json} // {};

        for my $action (@{ $json->{actions} // [] }) {
            my ($plan) = $action->{target} =~ m{^/\w+/(\w+)/\d};
            my $decision = intent($who, $plan // '') // next;

            $due{ $action->{id} } //= [ time + rand(0.8), $decision ];
        }

        $note->(stops => $list);

        for my $id (sort grep { $due{$_}[0] <= time } keys %due) {
            my $vote = $note->(votes => vote(int(rand 2), $who, $id,
                                             $due{$id}[1]));

            if (($vote->{status} // 503) != 503 || ++$tries{$id} > 5) {
                $due{$id}[0] = time + 1e6;

            } else {
                $due{$id}[0] = time + 0.5;
            }
        }

        sleep(0.1);
    });
}


sub intent {
    my ($who, $plan) = @_;

    return undef if $plan eq 'expire' || $plan eq '';
    return $plan eq 'deny' || $plan eq 'race' ? 'deny'
           : $plan eq 'two' ? 'approve' : undef if $who eq 'bob';
    return $plan eq 'deny' ? undef : 'approve';
}


# Faults: each returns what ends it, and how long that may wait; undef: it makes
# no sense now

my $dice;

sub dice {
    my ($max) = @_;

    $dice = (($dice // $SEED) * 1103515245 + 12345) % 2 ** 31;

    return ($dice >> 8) / 2 ** 23 * $max;
}


sub faults {
    my %weight = (worker => 5, master => 2, reload => 3, secret => 1,
                  signing => 1, kill_redis => 3, stop_redis => 4,
                  failover => 3, cut => 4, sentinel => 2, freeze => 4,
                  reset => 3, upstream => 2);

    %weight = (%weight, move => 4, late => 2, unnamed => 2) if $names;

    return map { ($_) x $weight{$_} } sort keys %weight;
}


my (%down, %count, $unnamed);           # unnamed: no configuration is read

sub inject {
    my ($name) = @_;

    my $fault = { name => $name, begin => time };
    my $end = main->can("fault_$name")->($fault) // return 0;

    $count{$name}++;
    push @history, [ faults => $fault ];

    $fault->{undo} = $end;
    $fault->{due} = time + dice(3);

    return $fault;
}


sub over {
    my ($fault) = @_;

    delete($fault->{undo})->();
    $fault->{end} = time + 0.5;
    delete $fault->{due};
}


sub any_gateway {
    my ($fault) = @_;

    my $n = int(dice(2));

    $fault->{gw} = $n;

    return $down{$n} ? undef : $gateways[$n];
}


sub fault_worker {
    my ($fault) = @_;

    my $gw = any_gateway($fault) // return undef;
    my @workers = $gw->ngx->workers or return undef;

    $fault->{cuts} = 1;
    kill KILL => $workers[ dice(scalar @workers) ];

    return sub { };
}


sub fault_master {
    my ($fault) = @_;

    my $gw = any_gateway($fault) // return undef;

    return undef if $unnamed;

    $down{ $fault->{gw} } = 1;
    $fault->{$_} = 1 for qw(cuts restarts);
    $gw->ngx->crash;

    return sub { $gw->ngx->revive; delete $down{ $fault->{gw} } };
}


sub fault_reload {
    my ($fault) = @_;

    my $gw = any_gateway($fault) // return undef;

    return undef if $unnamed;

    $gw->ngx->signal('HUP');

    return sub { };
}


# What signs is known to all before it does.

sub reload_all {
    $gateways[$_]->ngx->reload for grep { !$down{$_} } 0, 1;
}


sub fault_secret {
    my ($fault) = @_;

    return undef if %down || $unnamed;

    my @lines = split /^/, slurp($secret);
    my $new = join('', map { sprintf '%02x', dice(256) } 1 .. 32) . "\n";

    @lines = @lines[0, 1] if @lines > 2;
    spew($secret, @lines, $new);
    reload_all();
    spew($secret, $new, @lines);
    reload_all();

    return sub { };
}


sub fault_signing {
    my ($fault) = @_;

    return undef if %down || $unnamed;

    my $new = make_keys(tempdir());

    push @public, $new->{public};

    # of two keys the first has signed, and the second is the one before it

    my @old = map { slurp($_) } @signing;

    spew($signing[1], slurp($new->{signing}));
    reload_all();
    spew($signing[0], slurp($new->{signing}));
    spew($signing[1], $old[0]);
    reload_all();

    return sub { };
}


sub running {
    return grep { !$_->{stopped} && $_->{process}->alive } @_;
}


sub fault_kill_redis {
    my ($fault) = @_;

    my @running = running($set->servers) or return undef;
    my $redis = $running[ dice(scalar @running) ];

    $fault->{loses} = 1;
    $redis->kill;

    return sub { $set->rejoin($redis) };
}


sub fault_stop_redis {
    my ($fault) = @_;

    my @running = running($set->servers) or return undef;
    my $redis = $running[ dice(scalar @running) ];

    $fault->{loses} = 1;
    $redis->pause;
    $redis->{stopped} = 1;

    return sub { $redis->resume; delete $redis->{stopped} };
}


sub fault_failover {
    my ($fault) = @_;

    $fault->{loses} = 1;

    return eval { $set->failover } ? sub { } : undef;
}


# the replica comes no more, and what it has acknowledged it had

sub fault_cut {
    my ($fault) = @_;

    my @running = running($set->servers) or return undef;

    $fault->{loses} = 1;

    for my $redis (@running) {
        eval {
            $redis->cmd(ACL => SETUSER => 'repl', 'off');
            $redis->cmd(CLIENT => KILL => TYPE => 'replica');
        };
    }

    return \&join_again;
}


sub join_again {
    eval { $_->cmd(ACL => SETUSER => 'repl', 'on') } for running($set->servers);
}


sub fault_sentinel {
    my ($fault) = @_;

    my @running = running($set->sentinels);

    return undef if @running < 3;

    my $sentinel = $running[ dice(3) ];

    $sentinel->kill;

    return sub { $sentinel->start };
}


# Those that run, in turn

sub fault_move {
    my ($fault) = @_;

    for my $sentinel (running($set->sentinels)) {
        $sentinel->kill;
        $set->move($sentinel);
        $sentinel->start;
        $names->dns->set(called($sentinel) => $sentinel->address);
    }

    return sub { };
}


# The name of the primary does not move when the primary does

sub fault_late {
    my ($fault) = @_;

    $operator->signal('STOP');

    return sub { $operator->signal('CONT') };
}


# No name has an address

sub fault_unnamed {
    my ($fault) = @_;

    return undef if %down || $unnamed++;

    $names->dns->pause;

    return sub { $names->dns->resume; $unnamed = 0 };
}


sub fault_freeze {
    my ($fault) = @_;

    my $n = int(dice(2));

    return undef if $down{$n};

    my $who = 'agent-' . (1 + int(dice($CLIENTS)));

    freeze($n, POST => $who);

    return sub { thaw($who) };
}


sub freeze {
    my ($n, $method, $who) = @_;

    my $query = $method eq 'DELETE' ? "?requester=$who" : '';
    my $how = { headers => [ 'X-User' => 'olga' ] };

    $how->{json} = { requester => $who } if !$query;

    my $stop = timed($n, $method => "/_approval/freeze$query", $how,
                     what => $query ? 'thaw' : 'freeze', requester => $who);

    push @history, [ stops => $stop ];

    return ($stop->{status} // 0) == 200;
}


# At a gateway that has seen it; what nobody knows of is not frozen.

sub thaw {
    my ($who) = @_;

    for my $n (0, 1) {
        freeze($n, DELETE => $who) unless $down{$n};
    }
}


sub fault_reset {
    my ($fault) = @_;

    my @leave = map {
        eval {
            my $client = Approval::Client->new($gateways[$_]->port);
            $client->send(GET => "/held/leave/0/" . int(dice(1e9)),
                          headers => [ 'X-Agent' => 'agent-0' ]);
            $client;
        }
    } map { ($_) x 20 } 0, 1;

    return sub { $_->reset for grep { $_ } @leave };
}


sub fault_upstream {
    my ($fault) = @_;

    $gateways[0]->up->pause;

    return sub { $gateways[0]->up->resume };
}


# Bursts of faults that overlap, until each is over and all works again

sub bursts {
    my @kinds = faults();
    my %once = map { $_ => 1 } @kinds;
    my @deck = sort keys %once;         # each kind once, before all others
    my $injected = 0;
    my $burst = 0;

    while ($injected < $FAULTS) {
        my $size = 5 + int(dice($FAULTS > 100 ? 20 : 8));
        my @open;

        $burst++;

        for (my $n = 0; $n < $size && $injected < $FAULTS; ) {
            my $from = @deck ? \@deck : \@kinds;
            my $i = int(dice(scalar @$from));
            my $fault = inject($from->[$i]);

            over($_) for grep { $_->{due} <= time } @open;
            @open = grep { $_->{undo} } @open;

            next if !$fault;

            splice(@deck, $i, 1) if @deck;
            push @open, $fault;
            $n++;
            $injected++;

            sleep(dice(1));
        }

        over($_) for @open;
        $set->rejoin($_) for grep { !$_->{process}->alive } $set->servers;
        $_->start for grep { !$_->{process}->alive } $set->sentinels;
        join_again();

        my $healed = healed();
        my @works = grep { works($_) } @gateways;

        thaw("agent-$_") for 1 .. $CLIENTS;

        ok($healed && @works == 2, "burst $burst: $injected faults, and it "
                                   . 'works again')
            or last;
    }

    diag(join ', ', map { "$count{$_} $_" } sort keys %count);

    SKIP: {
        skip('no namespaces', 1) if !$names;

        ok($set->moves('servers') && $set->moves('sentinels'),
           'both were elsewhere when they came back');
    }
}


# one primary, named by all, with its replica

sub healed {
    return wait_for(sub {
        my $primary = $set->primary or return 0;
        my $info = eval { $primary->cmd(INFO => 'replication') } // '';

        return $info =~ /^role:master/m && $info =~ /state=online/;
    }, 120);
}


# The history

sub judge {
    my %history = (deadline => $DEADLINE * slow(), uses => $USES,
                   need => \&need_votes, requests => [], votes => [],
                   stops => [], faults => [], records => [],
                   executions => [ executions() ]);

    for my $entry (@history, map({ entries($_) } glob("$dir/*.log"),
                                 glob("$dir/twin-*")))
    {
        push @{ $history{ $entry->[0] } }, $entry->[1];
    }

    for my $gw (@gateways) {
        $gw->ngx->stop;
        push @{ $history{records} }, map { { %$_, gw => $gw->{n} } } $gw->audit;
    }

    my @wrong = Approval::History::wrong(\%history, \my @excused);

    is(scalar @wrong, 0, 'nothing went wrong') or diag(join "\n", @wrong);

    diag(sprintf '%d requests, %d votes, %d executions, %d records; after a '
                 . 'failover that lost it: %d', map({ scalar @{ $history{$_} } }
                 qw(requests votes executions records)), scalar @excused);

    cmp_ok(@{ $history{executions} }, '>', $FAULTS / 5,
           'and much was executed');

    for my $error (glob("$dir/*.err")) {
        is(slurp($error), '', "$error is empty");
    }

    verify(@excused);
}


sub entries {
    my ($file) = @_;

    return map { decode_json($_) } grep { /\n\z/ } split /^/, slurp($file);
}


sub need_votes { $_[0] =~ m{^/two/} ? 2 : 1 }


sub executions {
    return map {
        my ($claims) = ($_->header('Approval-Receipt') // '') =~ /\.(.*)\./;
        my $receipt = $claims ? decode_json(
                          MIME::Base64::decode_base64url($claims)) : {};

        { id => $_->header('Approval-Id') // 'none', target => $_->target,
          requester => $receipt->{sub} // '', time => $_->{time},
          grant => $receipt->{grt}, use => $receipt->{use} };
    } $gateways[0]->up->requests;
}


sub verify {
    my %lost = map { $_ => 1 } map { /([0-9a-f]{32})/g } @_;
    my $tool = build_dir() . '/approval-audit';
    my @files = map { $_->ngx->path('audit.jsonl') } @gateways;
    my $known = join ' ', map { "--key $_" } @public;
    my $found = `$tool verify -q $known @files 2>&1`;
    my $rc = $? >> 8;

    # who was killed has not signed the last of what it wrote

    my @tampered = grep { /^tampered \S+:\d+: /
                          && !(/action (\w+)/ && $lost{$1}) }
                   split /^/, $found;

    ok($rc <= 2 && !@tampered, 'the trails verify') or diag($rc, $found);
}


# What Approval::History must find

sub planted {
    my $at = sub { strftime_ms(1000 + $_[0]) };
    my $record = sub {
        my ($type, $time, %more) = @_;

        return { type => $type, action_id => 'a', time => $at->($time),
                 store_time => $at->($time), gw => 0, %more };
    };

    my $good = sub {
        return {
            deadline => 10, uses => 3, need => sub { 1 },
            requests => [ { target => '/x', gw => 0, sent => 1000,
                            ended => 1003, end => 'answer', status => 200,
                            id => 'a' } ],
            votes => [ { id => 'a', who => 'alice', decision => 'approve',
                         gw => 1, sent => 1001, ended => 1001.1,
                         end => 'answer', status => 200 } ],
            stops => [],
            executions => [ { id => 'a', target => '/x', time => 1002.5,
                              requester => 'agent-1' } ],
            records => [ $record->('requested', 0.5, timeout => 8,
                                   execute_within => 30),
                         $record->('approved', 2) ],
            faults => [ { name => 'worker', gw => 0, begin => 990, end => 991,
                          cuts => 1 } ],
        };
    };

    my $stop = sub { { gw => 0, sent => 1000.6, ended => 1000.7,
                       end => 'answer', status => 200, @_ } };

    my @plants = (
        [ '' => sub { } ],
        [ 'executed 2 times' => sub {
            my ($h) = @_;
            push @{ $h->{executions} }, { %{ $h->{executions}[0] } };
        } ],
        [ 'use 2: executed 2 times' => sub {
            my ($h) = @_;
            push @{ $h->{executions} }, map { { %{ $h->{executions}[0] },
                                                grant => 'g', use => 2 } } 1, 2;
            push @{ $h->{records} }, $record->('approved', 2, grant => 'g',
                                               use => 2);
        } ],
        [ 'a grant of 3 uses' => sub {
            my ($h) = @_;
            push @{ $h->{executions} }, { %{ $h->{executions}[0] },
                                          grant => 'g', use => 4 };
            push @{ $h->{records} }, $record->('approved', 2, grant => 'g',
                                               use => 4);
        } ],
        [ 'with 0 of 1 votes' => sub { $_[0]{votes} = [] } ],
        [ 'with 0 of 1 votes' => sub { $_[0]{votes}[0]{sent} = 1002.1 } ],
        [ 'with 1 of 2 votes' => sub { $_[0]{need} = sub { 2 } } ],
        [ 'after a denial' => sub {
            push @{ $_[0]{votes} }, $stop->(id => 'a', decision => 'deny',
                                            who => 'bob');
        } ],
        [ 'after a withdrawal' => sub {
            push @{ $_[0]{stops} }, $stop->(id => 'a', what => 'withdraw');
        } ],
        [ 'while frozen' => sub {
            push @{ $_[0]{stops} }, $stop->(what => 'freeze',
                                            requester => 'agent-1');
        } ],
        [ '' => sub {
            push @{ $_[0]{stops} }, $stop->(what => 'freeze',
                                            requester => 'agent-1'),
                $stop->(what => 'thaw', requester => 'agent-1', sent => 1001);
        } ],
        [ '' => sub {
            push @{ $_[0]{votes} }, $stop->(id => 'a', decision => 'deny',
                                            who => 'bob', gw => 1);
            push @{ $_[0]{faults} }, { name => 'kill_redis', begin => 1000.9,
                                       end => 1001, loses => 1 };
        }, 1 ],
        [ 'after a denial' => sub {
            push @{ $_[0]{votes} }, $stop->(id => 'a', decision => 'deny',
                                            who => 'bob');
            push @{ $_[0]{faults} }, { name => 'kill_redis', begin => 1000.9,
                                       end => 1001, loses => 1 };
        } ],
        [ 'past its deadline' => sub {
            $_[0]{records}[0]{timeout} = 1;
            $_[0]{records}[0]{execute_within} = 0;
        } ],
        [ 'without being on record' => sub { pop @{ $_[0]{records} } } ],
        [ 'without being on record' => sub {
            $_[0]{executions}[0]{time} = 1001.9;
        } ],
        [ 'no answer in 10.5 s' => sub {
            $_[0]{requests}[0]{ended} = 1010.5;
        } ],
        [ 'no answer' => sub { $_[0]{requests}[0]{end} = 'silent' } ],
        [ 'no answer' => sub { $_[0]{votes}[0]{end} = 'silent' } ],
        [ 'closed without an answer' => sub {
            $_[0]{requests}[0]{end} = 'closed';
        } ],
        [ '' => sub {
            $_[0]{requests}[0]{end} = 'closed';
            $_[0]{faults}[0]{end} = 1001;
        } ],
        [ 'answered 200, and not executed' => sub {
            $_[0]{requests}[0]{target} = '/y';
        } ],
        [ 'told that it is expired, and executed' => sub {
            @{ $_[0]{requests}[0] }{qw(status type)} =
                (403, 'urn:approval:expired');
        } ],
    );

    for my $plant (@plants) {
        my ($expected, $code, $n) = @$plant;
        my $history = $good->();

        $code->($history);

        my @wrong = Approval::History::wrong($history, \my @excused);

        is(scalar(grep { !$expected || !/\Q$expected\E/ } @wrong), 0,
           'the checker finds ' . ($expected || 'nothing'))
            or diag("@wrong");
        is(scalar @wrong, $expected ? 1 : 0, '... and says so once')
            or diag("@wrong");
        is(scalar @excused, $n // 0, '... and what may be lost');
    }
}


sub strftime_ms {
    my ($time) = @_;

    return POSIX::strftime('%Y-%m-%dT%H:%M:%S', gmtime(int($time)))
           . sprintf('.%03dZ', ($time - int($time)) * 1000);
}
