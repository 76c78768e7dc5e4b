#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# A real log of several workers, then changed at random: approval-audit and the
# verifier of t/verifier, which was written from docs/audit.md alone, both find
# each change, and say the same.
#
#     APPROVAL_FULL=1        10,000 changes instead of 1,000
#     APPROVAL_MUTATIONS=N   so many
#     APPROVAL_SEED=N        the changes of another run

use lib 't/lib', 't/verifier';
use Approval::Test;
use Approval::Gateway;
use AuditForge;
use AuditVerifier;

$ENV{APPROVAL_TEST_TIMEOUT} = $ENV{APPROVAL_FULL} ? 14400 : 900;
Approval::Test::watch_clock();

need('openssl');
need_module();

my $tool = build_dir() . '/approval-audit';
my $count = $ENV{APPROVAL_MUTATIONS}
            // ($ENV{APPROVAL_FULL} ? 10_000 : slow() > 1 ? 60 : 1000);
my $seed = $ENV{APPROVAL_SEED} // 20261121;
my $dir = tempdir();

srand($seed);


# the log

my $gw = Approval::Gateway->new(workers => 3, http => <<'EOF',
    approval_policy p {
        rule two { match $uri ^/two; require 2 of admins; timeout 60s; }
        rule one { match $uri ^/one; require admins; timeout 60s;
                   notify hook; }
        rule rem { match $uri ^/rem; require admins; timeout 60s;
                   remember 60s per $http_x_agent uses=3; }
        rule dry { match $uri ^/dry; require admins; mode shadow; }
        rule glass { match $uri ^/glass; require 2 of admins; timeout 60s;
                     break_glass oncall; }
        rule say { match $uri ^/say; require admins; timeout 60s;
                   comment always; }
    }
    approval_group oncall olga;
    approval_operators oncall;
EOF
    server => 'approval p; location / { proxy_pass %%UP%%; }');


sub act {
    my ($n) = @_;

    my $two = $n % 3 == 0;
    my ($client, $id) = $gw->hold(GET => ($two ? '/two/' : '/one/') . $n,
                                  agent => "agent-$n",
                                  headers => [ 'X-On-Behalf-Of' => "user-$n" ]);

    $gw->vote($id, 'comment', 'why?', 'bob') if $n % 4 == 0;
    $gw->vote($id, $n % 5 ? 'approve' : 'deny', "vote $n");
    $gw->vote($id, 'approve', '', 'bob') if $two && $n % 5;
    $client->read;
}


act($_) for 1 .. 12;

my ($client, $id) = $gw->hold(GET => '/rem/1');
$gw->vote($id, 'approve');
$client->read;
is($gw->send(GET => "/rem/$_")->read->status, 200, 'remembered') for 2, 3;
is($gw->send(GET => '/dry')->read->status, 200, 'in shadow mode');

($client, $id) = $gw->hold(GET => '/glass');
is(Approval::Client->new($gw->port)->request(
       POST => "/_approval/actions/$id/decision",
       json => { decision => 'approve', comment => 'it burns',
                 break_glass => JSON::PP::true() },
       headers => [ 'X-User' => 'olga' ])->status, 200, 'alone');
is($client->read->status, 200, 'and executed');

for my $act (qw(approve deny)) {
    ($client, $id) = $gw->hold(GET => "/say/$act");
    is($gw->vote($id, $act, 'as agreed')->status, 200, "$act with a comment");
    $client->read;
}

# a grant that is revoked, and a requester who is stopped for a while

sub operate {
    my ($method, $path, $what) = @_;

    is(Approval::Client->new($gw->port)->request($method,
           "/_approval/$path", ($what ? (json => $what) : ()),
           headers => [ 'X-User' => 'olga' ])->status, 200,
       "$method $path");
}


($client, $id) = $gw->hold(GET => '/rem/1', agent => 'agent-r');
$gw->vote($id, 'approve');
$client->read;
is($gw->send(GET => '/rem/2', agent => 'agent-r')->read->status, 200, 'used');

my ($grant) = grep { $_->{requester} eq 'agent-r' }
    @{ http_get($gw->port, '/_approval/grants',
                headers => [ 'X-User' => 'alice',
                             Accept => 'application/json' ])->json->{grants} };

is(Approval::Client->new($gw->port)->request(
       DELETE => "/_approval/grants/$grant->{id}",
       headers => [ 'X-User' => 'alice' ])->status, 200, 'revoked');

operate(POST => 'freeze', { requester => 'agent-f' });
is($gw->send(GET => '/one/f', agent => 'agent-f')->read->status, 403,
   'stopped');
operate(DELETE => 'freeze?requester=agent-f');

($client, $id) = $gw->hold(GET => '/one/f', agent => 'agent-f');
$gw->vote($id, 'approve');
is($client->read->status, 200, 'and not stopped any more');

my @joined = map { ($gw->send(GET => '/one/left')) } 1, 2;
$gw->wait_audit('joined', 1);
$_->close for @joined;

$gw->wait_signed;
$gw->ngx->kill_worker;
act($_) for 13 .. 18;

my $file = $gw->ngx->path('audit.jsonl');
rename($file, "$file.1") or die $!;
$gw->ngx->reopen;
ok($gw->wait_audit('continue', 3), 'rotated');
$gw->ngx->reload;
act($_) for 19 .. 26;
$gw->ngx->stop;

my $log = slurp("$file.1") . slurp($file);
my $public = $gw->{keys}{public};
my $key = $gw->{keys}{signing};

my $heads = spew("$dir/heads", map { my %f = @{ $_->[1] };
                                     "$f{checkpoint}$f{head}\n" }
                 @{ $gw->redis->cmd(XRANGE => 'approval:audit', '-', '+') });

my $verifier = AuditVerifier->new(keys => [$public]);

my @lines = split(/^/, $log);
my @records = map { AuditVerifier::record(s/\n\z//r) } @lines;
my %writers = map { $_->{writer} => 1 } grep { $_ } @records;

is(scalar(grep { !$_ } @records), 0, 'all lines are records');
cmp_ok(scalar keys %writers, '>=', 6, 'of several writers');

my @found = both($log, 1);
is($found[0], 0, 'approval-audit: the untouched log holds') or diag($found[2]);
is($found[1], 0, 'the other verifier: so it is') or diag($found[3]);

@found = both($log, 0);
is($found[0], 0, 'without the heads, too') or diag($found[2]);
is($found[1], 0, 'and for the other') or diag($found[3]);


sub both {
    my ($text, $with) = @_;

    my $file = spew("$dir/log.jsonl", $text);
    my $known = $with ? "--heads $heads" : '';

    # at the same time

    open(my $tells, '-|', "$tool verify $file --key $public $known 2>&1")
        or die "$tool: $!";

    my ($code, @other) = $verifier->verify(files => [$file],
                                           heads => $with ? [$heads] : []);
    my $out = join '', <$tells>;

    close($tells);

    return ($? >> 8, $code, $out, join('', map { "@$_\n" } @other));
}


sub pick { return $_[ int rand @_ ] }


# two places of one writer, in order

sub two_places {
    for ( ;; ) {
        my $w = pick(sort keys %writers);
        my @places = grep { $records[$_]{writer} eq $w } 0 .. $#records;
        my ($i, $j) = sort { $a <=> $b } pick(@places), pick(@places);

        return ($i, $j) if $i != $j;
    }
}


sub checkpoints {
    return grep { $records[$_]{type} eq 'checkpoint' } 0 .. $#records;
}


# changes that need no key; one that changes nothing is undef

my %plain = (
    'a flipped bit' => sub {
        my $new = $log;

        substr($new, int rand length $new, 1) ^= chr(1 << int rand 8);
        return $new;
    },

    'another byte' => sub {
        my $new = $log;

        substr($new, int rand length $new, 1)
            = pick("\n", '0', '"', ' ', "\0", '}', '{');
        return $new;
    },

    'two records swapped' => sub {
        my ($i, $j) = two_places();
        my @new = @lines;

        @new[$i, $j] = @new[$j, $i];
        return join '', @new;
    },

    'a record dropped' => sub {
        my @new = @lines;

        splice(@new, int rand @new, 1);
        return join '', @new;
    },

    'a record twice' => sub {
        my @new = @lines;
        my $i = int rand @new;

        splice(@new, $i + int rand(@new - $i + 1), 0, $new[$i]);
        return join '', @new;
    },

    'a record moved' => sub {
        my ($i, $j) = two_places();
        my @new = @lines;

        splice(@new, $j, 0, splice(@new, $i, 1));
        return join '', @new;
    },

    'a record renumbered' => sub {
        my @new = @lines;
        my $i = int rand @new;
        my $seq = ${ $records[$i]{seq} } + pick(-1, 1, 7);

        return undef if $seq < 1;
        $new[$i] = line(rehash({ %{ $records[$i] }, seq => \"$seq" }));
        return join '', @new;
    },

    'a record rewritten' => sub {
        my @new = @lines;
        my $i = int rand @new;

        $new[$i] = line(rehash({ %{ $records[$i] },
                                 time => '2026-01-01T00:00:00.000Z' }));
        return join '', @new;
    },

    'a chain written anew' => sub {
        my @new = map { copy($_) } @records;

        $new[ int rand @new ]{time} = '2026-01-01T00:00:00.000Z';
        return join '', map { line($_) } rechain(undef, @new);
    },

    'cut at a line' => sub {
        return join '', @lines[0 .. int rand $#lines];
    },

    'cut inside a line' => sub {
        return substr($log, 0, 1 + int rand(length($log) - 1));
    },

    'cut, and resumed' => sub {
        my @new = @lines;
        my $i = int rand @new;

        splice(@new, $i, 1 + int rand(@new - $i));

        my %last = map { $_->{writer} => $_ }
                   map { AuditVerifier::record(s/\n\z//r) } @new;
        my $last = $last{ pick(sort keys %last) // return undef };
        my $seq = ${ $last->{seq} } + 1;

        return join '', @new, line(rehash({ %{ pick(@records) },
            writer => $last->{writer}, seq => \"$seq",
            prev => $last->{hash} }));
    },

    'a writer dropped' => sub {
        my $w = pick(sort keys %writers);

        return join '', @lines[ grep { $records[$_]{writer} ne $w }
                                0 .. $#lines ];
    },

    'a checkpoint rolled back' => sub {
        my ($i, $j) = sort { $a <=> $b } pick(checkpoints()),
                                         pick(checkpoints());
        my @new = map { copy($_) } @records;

        return undef if $i == $j;
        $new[$j]{checkpoint} = $new[$i]{checkpoint};
        $new[$j]{time} = $new[$i]{time} if rand() < 0.5;
        return join '', map { line($_) } rechain(undef, @new);
    },

    'a fork' => sub {
        my @new = @lines;
        my $i = int rand @new;

        splice(@new, $i + (rand() < 0.5), 0,
               line(rehash({ %{ $records[$i] }, mono => \'1' })));
        return join '', @new;
    },

    # a worker was killed: one line that is not whole would be its

    'bytes between records' => sub {
        my @new = @lines;

        $new[ int rand @new ] .= pick("x\n", "{}\n", "{\"a\":1}\n", ' ',
                                      "\n\n", "{\"type\"\n{\"\n");
        return join '', @new;
    },
);


# what only who has the key can do, or a gateway that errs: of the records,
# which are then chained and signed again

sub of_type {
    my ($new, $type, $code) = @_;

    my @found = grep { $new->[$_]{type} eq $type
                       && (!$code || $code->($new->[$_])) } 0 .. $#$new;

    return pick(@found) // die "no record \"$type\"";
}


sub alone { return !$_[0]{grant} }

sub granted { return defined $_[0]{use} }

sub what { my ($what) = @_; return sub { ($_[0]{what} // '') eq $what } }

sub rule { my ($name) = @_; return sub { ($_[0]{rule} // '') eq $name } }

sub decides { return $_[0]{decision} ne 'comment' }


sub request_of {
    my ($new, $id) = @_;

    return (grep { $_->{type} eq 'requested'
                   && ($_->{action_id} // '') eq $id } @$new)[0];
}


# one record of a type, changed; or the vote, or decision, in it

sub change {
    my ($type, $which, $code) = @_;

    return sub {
        my (@new) = @_;
        my $r = $new[ of_type(\@new, $type, $which) ];

        $code->($r, \@new);
        return @new;
    };
}


sub claims {
    my ($type, $which, %change) = @_;

    my $name = $type eq 'voted' ? 'vote' : 'decision';

    return change($type, $which, sub {
        my ($r) = @_;
        $r->{$name} = jws($key, $r->{$name}, %change);
    });
}


sub drop {
    my ($type, $which) = @_;

    return sub {
        my (@new) = @_;

        splice(@new, of_type(\@new, $type, $which), 1);
        return @new;
    };
}


sub double {
    my ($type, $which) = @_;

    return sub {
        my (@new) = @_;
        my $i = of_type(\@new, $type, $which);

        splice(@new, $i + 1, 0, copy($new[$i]));
        return @new;
    };
}


# by another worker as well, which says what became of it

sub taken_elsewhere {
    my ($new, @ends) = @_;

    my $r = copy($new->[ of_type($new, 'approved', \&alone) ]);
    my $at = of_type($new, 'config', sub {
        !exists $_[0]{what} && $_[0]{writer} ne $r->{writer} });

    $r->{writer} = $new->[$at]{writer};
    splice(@$new, $at + 1, 0, $r, map { { %{ copy($r) }, %$_ } } @ends);

    return @$new;
}


my %unsent = (type => 'failed', forwarded => \\0);


sub votes_as {
    my ($member) = @_;

    return change('voted', \&decides, sub {
        my ($r, $new) = @_;
        my $person = request_of($new, $r->{action_id})->{$member} // 'agent-7';

        $r->{person} = $person;
        $r->{vote} = jws($key, $r->{vote}, sub => $person);
    });
}


# an approval by these, in all that tells of it

sub approved_by {
    my (@by) = @_;

    return change('approved', rule('two'), sub {
        my ($r, $new) = @_;

        $_->{approvers} = join(', ', @by)
            for grep { ($_->{action_id} // '') eq $r->{action_id}
                       && exists $_->{approvers} } @$new;
        $r->{decision} = jws($key, $r->{decision}, by => [@by]);
    });
}


# a vote, changed, at the begin of its chain

sub earlier {
    my ($code) = @_;

    return sub {
        my (@new) = @_;
        my $r = splice(@new, of_type(\@new, 'voted', \&decides), 1);

        $code->($r, \@new);
        splice(@new, 1 + of_type(\@new, 'open', sub {
            $_[0]{writer} eq $r->{writer} }), 0, $r);
        return @new;
    };
}


# an approval with what was signed for another of the same action

sub swapped {
    my ($which, $other) = @_;

    return change('approved', sub { $which->($_[0]) && $_[0]{rule} eq 'rem' },
        sub {
            my ($r, $new) = @_;
            my $from = $new->[ of_type($new, 'approved', sub {
                $other->($_[0]) && $_[0]{action_id} eq $r->{action_id} }) ];

            @{$r}{qw(decision digest)} = @{$from}{qw(decision digest)};
        });
}


my $foreign = make_keys(tempdir())->{signing};
my $zeros = '0' x 32;

my %keyed = (
    'a vote by the requester' => votes_as('person'),
    'a vote by whom it is for' => votes_as('on_behalf_person'),
    'a vote that says another thing' => change('voted', \&decides, sub {
        my ($r) = @_;
        $r->{decision} = $r->{decision} eq 'deny' ? 'approve' : 'deny';
    }),
    'a vote told of another' => change('voted', undef, sub {
        $_[0]{identity} = 'carol';
    }),
    'another comment' => change('voted', undef, sub { $_[0]{comment} = 'no' }),
    'a vote on another action' => claims('voted', undef, jti => $zeros),
    'a vote on another request' => claims('voted', undef, dig => $zeros),
    'a vote of another key' => change('voted', undef, sub {
        $_[0]{vote} = jws($foreign, $_[0]{vote});
    }),
    'a short quorum' => approved_by('alice'),
    'a person twice' => approved_by('alice', 'alice'),
    'a decision by one, told of two' => claims('approved', rule('two'),
                                               by => ['alice']),
    'approvers told of others' => change('approved', undef, sub {
        $_[0]{approvers} = 'carol';
    }),
    (map { my $member = $_; ("a vote with another $member" => change('voted',
           \&decides, sub { $_[0]{$member} = 'mallory' })) }
         qw(person how digest)),
    'a comment that nobody signed' => change('voted', sub {
        !exists $_[0]{comment} }, sub { $_[0]{comment} = 'checked' }),
    'the vote of the requester, told of before' => earlier(sub {
        my ($r, $new) = @_;
        $r->{person} = request_of($new, $r->{action_id})->{person};
        $r->{vote} = jws($key, $r->{vote}, sub => $r->{person});
    }),
    'the vote on another request, told of before' => earlier(sub {
        my ($r) = @_;
        $r->{digest} = 'sha256:' . '0' x 64;
        $r->{vote} = jws($key, $r->{vote}, dig => $r->{digest});
    }),
    'an approval by nobody' => change('approved', \&alone, sub {
        my ($r, $new) = @_;
        request_of($new, $r->{action_id})->{require} = [];
        $r->{decision} = jws($key, $r->{decision}, by => []);
    }),
    'an approval of what asks for nobody' => change('approved', rule('two'),
        sub { delete request_of($_[1], $_[0]{action_id})->{require} }),
    'an approval that names nobody' => claims('approved', \&alone,
                                              by => 'alice'),
    'executed before it was approved' => sub {
        my (@new) = @_;
        my $i = of_type(\@new, 'executed', \&alone);
        my $r = splice(@new, $i, 1);
        my $j = of_type(\@new, 'approved', sub {
            alone($_[0]) && $_[0]{action_id} eq $r->{action_id} });

        splice(@new, $j, 0, $r);
        return @new;
    },
    (map { my $end = $_; ("$end, and executed" => sub {
        my (@new) = @_;
        my $i = of_type(\@new, 'approved', \&alone);
        my $r = copy($new[$i]);

        delete $r->{decision};
        splice(@new, $i, 0, { %$r, type => $end });
        return @new;
    }) } qw(expired cancelled)),
    (map { my $end = $_; ("$end, executed and lost" => sub {
        my (@new) = @_;
        my $i = of_type(\@new, 'approved', \&alone);
        my $r = copy($new[$i]);

        delete $r->{decision};
        splice(@new, $i + 1, 0,
               { %$r, type => $end,
                 $end eq 'expired' ? (time => $r->{store_time}) : () },
               { %$r, type => 'fault', limit => 'execution' });
        return @new;
    }) } qw(expired cancelled denied)),
    'an approver who did not vote' => sub {
        my (@new) = @_;
        my $id = $new[ of_type(\@new, 'approved', rule('two')) ]{action_id};

        return grep { !($_->{type} eq 'voted' && $_->{identity} eq 'bob'
                        && $_->{action_id} eq $id && decides($_)) } @new;
    },
    'executed without a decision' => drop('approved', \&alone),
    'consumed twice' => double('approved', \&alone),
    'consumed by two' => sub { taken_elsewhere([ @_ ]) },
    'consumed by two, of which one failed' => sub {
        taken_elsewhere([ @_ ], { type => 'failed' });
    },
    'not forwarded, and executed' => sub {
        my (@new) = @_;
        my $i = of_type(\@new, 'executed', \&alone);

        splice(@new, $i, 0, { %{ copy($new[$i]) }, %unsent });
        return @new;
    },
    'executed twice' => double('executed', \&alone),
    'denied, and executed' => sub {
        my (@new) = @_;
        my $id = $new[ of_type(\@new, 'denied') ]{action_id};
        my $r = copy($new[ of_type(\@new, 'executed', \&alone) ]);
        my $i = of_type(\@new, 'denied', sub { $_[0]{action_id} eq $id });

        $r->{action_id} = $id;
        splice(@new, $i, 0, { %$r, writer => $new[$i]{writer} });
        return @new;
    },
    'an approval without its request' => sub {
        my (@new) = @_;
        my $id = $new[ of_type(\@new, 'approved', \&alone) ]{action_id};

        return grep { !($_->{type} eq 'requested'
                        && ($_->{action_id} // '') eq $id) } @new;
    },
    'requested twice' => sub {
        my (@new) = @_;
        my $i = of_type(\@new, 'requested', sub { defined $_[0]{action_id} });

        splice(@new, $i + 1, 0, { %{ copy($new[$i]) }, reason => 'another' });
        return @new;
    },
    'the approval of another request' => claims('approved', \&alone,
        dig => 'sha256:' . '0' x 64),
    'the approval of another requester' => claims('approved', \&alone,
        sub => 'mallory'),
    (map { ("a decision with another $_" => claims('approved', \&alone,
                                                    $_ => 'other')) }
         qw(pol rul act)),
    'another request, told as its own' => change('approved', \&alone, sub {
        my ($r) = @_;
        $r->{digest} = 'sha256:' . '0' x 64;
        $r->{decision} = jws($key, $r->{decision}, dig => $r->{digest});
    }),
    'an execution told as the use of a grant' => swapped(\&granted, \&alone),
    'a use of a grant told as the execution' => swapped(\&alone, \&granted),
    'a decision that denies' => claims('approved', undef, sta => 'denied'),
    'the decision of another action' => change('approved', \&alone, sub {
        my ($r, $new) = @_;
        my $id = $r->{action_id};

        $r->{decision} = $new->[ of_type($new, 'approved', sub {
            alone($_[0]) && $_[0]{action_id} ne $id }) ]{decision};
    }),
    'another request than was approved' => change('requested', rule('two'),
        sub { $_[0]{digest} = 'sha256:' . '0' x 64 }),
    'a request that needed more' => sub {
        my (@new) = @_;
        my $id = $new[ of_type(\@new, 'approved', rule('one')) ]{action_id};

        request_of(\@new, $id)->{require}[0]{count} = \'3';
        return @new;
    },

    (map { my $member = $_; ("executed, told of another $member" => change(
           'executed', \&alone, sub { $_[0]{$member} = 'other' })) }
         qw(digest requester approvers policy method remote_addr)),
    (map { my $member = $_; ("approved, told of another $member" => change(
           'approved', \&alone, sub { $_[0]{$member} = 'other' })) }
         qw(policy rule action)),
    'executed by another worker' => sub {
        my (@new) = @_;
        my $r = splice(@new, of_type(\@new, 'executed', \&alone), 1);

        $r->{writer} = $new[ of_type(\@new, 'config', sub {
            $_[0]{writer} ne $r->{writer} }) ]{writer};
        splice(@new, 1 + of_type(\@new, 'config', sub {
            $_[0]{writer} eq $r->{writer} }), 0, $r);
        return @new;
    },
    'executed without an outcome' => change('executed', undef, sub {
        delete $_[0]{outcome};
    }),
    (map { my $member = $_; ("a request without its $member" => change(
           'requested', rule('two'), sub { delete $_[0]{$member} })) }
         qw(person requester policy rule action digest require)),
    'a request for a list of persons' => change('requested', rule('one'),
        sub { $_[0]{on_behalf_person} = [ 'user' ] }),
    (map { my $count = $_; ("a request that asks for "
                            . (ref $count ? $$count : "\"$count\"")
        => change('requested', rule('one'), sub {
            $_[0]{require}[0]{count} = $count })) }
        '1', \'0', \'-1', \'1.5', \'4294967297', \'9007199254740993'),
    'a line that asks for less than nobody' => change('requested', rule('one'),
        sub { $_[0]{require} = [ { count => \'2', groups => ['admins'] },
                                 { count => \'-1', groups => ['admins'] } ] }),
    'a request that asks more lines than there are' => change('requested',
        rule('one'), sub {
            $_[0]{require} = [ map { { count => \'1', groups => ['admins'] } }
                               1 .. 17 ];
        }),
    'a quorum of others' => change('approved', rule('two'), sub {
        my ($r, $new) = @_;
        request_of($new, $r->{action_id})->{require}
            = [ map { { count => \'1', groups => [$_] } } qw(admins sec) ];
    }),
    'a quorum of one group for two' => change('approved', rule('two'), sub {
        my ($r, $new) = @_;

        for my $vote (grep { $_->{type} eq 'voted' && decides($_)
                             && $_->{action_id} eq $r->{action_id} } @$new)
        {
            $vote->{groups} = 'guests';
            $vote->{vote} = jws($key, $vote->{vote}, grp => 'guests');
        }
    }),
    (map { my $act = $_; ("a vote to $act without its comment" => sub {
        my (@new) = @_;
        my %says = map { $_->{action_id} => 1 }
            grep { $_->{type} eq 'requested' && $_->{rule} eq 'say' } @new;
        my ($vote) = grep { $_->{type} eq 'voted' && $_->{decision} eq $act
                            && $says{ $_->{action_id} } } @new;

        $vote->{comment} = " \n";
        $vote->{vote} = jws($key, $vote->{vote}, cmt => " \n");

        return @new;
    }) } qw(approve deny)),
    'a denial without the comment that denials need' => sub {
        my (@new) = @_;
        my ($vote) = grep { $_->{type} eq 'voted' && $_->{decision} eq 'deny'
                            && request_of(\@new, $_->{action_id})->{rule}
                               eq 'say' } @new;

        request_of(\@new, $vote->{action_id})->{comment_required} = 'deny';
        $vote->{comment} = '';
        $vote->{vote} = jws($key, $vote->{vote}, cmt => '');

        return @new;
    },
    'an action of another name' => change('joined', undef, sub {
        $_[0]{action_id} = 'x' x 32;
    }),
    'a denial told of another' => change('denied', undef, sub {
        $_[0]{by} = ['carol'];
    }),
    'a denial by nobody' => change('denied', undef, sub {
        $_[0]{by} = [];
        $_[0]{receipt} = jws($key, $_[0]{receipt}, by => []);
    }),
    'a denial of another key' => change('denied', undef, sub {
        $_[0]{receipt} = jws($foreign, $_[0]{receipt});
    }),
    (map { my ($claim, $value) = @$_; ("a denial with another $claim"
        => change('denied', undef, sub {
            $_[0]{receipt} = jws($key, $_[0]{receipt}, $claim => $value) })) }
        [ jti => $zeros ], [ sta => 'approved' ], [ dig => 'sha256:0' ],
        [ sub => 'mallory' ], [ rul => 'other' ], [ shw => $zeros ]),
    'an approval of what was not shown' => claims('approved', \&alone,
                                                  shw => $zeros),
    'an approval, and another was shown' => change('requested', rule('two'),
        sub { $_[0]{join} = $zeros }),
    'a denial that needs another one' => change('denied', undef, sub {
        request_of($_[1], $_[0]{action_id})->{deny_after} = \'2';
    }),
    'a denial without a vote' => sub {
        my (@new) = @_;
        my $id = $new[ of_type(\@new, 'denied') ]{action_id};

        return grep { !($_->{type} eq 'voted' && $_->{action_id} eq $id
                        && $_->{decision} eq 'deny') } @new;
    },
    'a key that its writer did not begin with' => change('open', undef, sub {
        $_[0]{key} = 'another key, 16c';
    }),
    (map { my ($name, $value) = @$_; ("a record with $name" => change(
           'notified', undef, sub { $_[0]{status} = $value })) }
         [ 'NUL' => "a\0b" ], [ 'a long number' => \('9' x 20) ],
         [ 'a number spelled badly' => \'1.50' ], [ 'no zero' => \'-0' ],
         [ 'many levels' => nested(70) ]),

    (map { my ($member, $value) = @$_; ("a use executed with another $member"
        => change('executed', \&granted, sub { $_[0]{$member} = $value })) }
        [ digest => 'sha256:0' ], [ use => \'3' ], [ grant => $zeros ],
        [ requester => 'mallory' ]),
    (map { my ($member, $claim) = @$_; ("a grant for another $member" => sub {
        my (@new) = @_;

        for my $r (grep { granted($_) } @new) {
            $r->{$member} = 'other';
            $r->{decision} = jws($key, $r->{decision}, $claim => 'other')
                if $r->{decision};
        }

        return @new;
    }) } [qw(policy pol)], [qw(rule rul)], [qw(action act)]),
    'a grant for two rules' => sub {
        my (@new) = @_;
        my $use = $new[ of_type(\@new, 'approved', \&granted) ]{use};

        for my $r (grep { granted($_) && ${ $_->{use} } eq $$use } @new) {
            $r->{rule} = 'other';
            $r->{decision} = jws($key, $r->{decision}, rul => 'other')
                if $r->{decision};
        }

        return @new;
    },
    'a use told of another' => change('approved', \&granted, sub {
        $_[0]{use} = \'3';
    }),
    (map { my $uses = $_; ('remembered for ' . (ref $uses ? $$uses : $uses)
        => change('requested', rule('rem'), sub {
            $_[0]{remember}{uses} = $uses })) } '3', \'0', \'-1', \'3.5'),
    'a grant that was not given' => drop('approved', sub {
        alone($_[0]) && $_[0]{rule} eq 'rem' }),
    'a grant nobody asked for' => change('requested', rule('rem'), sub {
        delete $_[0]{remember};
    }),
    'used without a decision' => drop('approved', \&granted),
    'a grant consumed twice' => double('approved', \&granted),
    'a grant executed twice' => double('executed', \&granted),
    'used more often than granted' => sub {
        my (@new) = @_;

        for my $r (grep { granted($_) && ${ $_->{use} } eq '2' } @new) {
            $r->{use} = \'4';
            $r->{decision} = jws($key, $r->{decision}, use => \'4')
                if $r->{decision};
        }

        return @new;
    },
    'a use that was granted as another' => claims('approved', \&granted,
        use => \'3'),
    'another grant' => claims('approved', \&granted, grt => $zeros),
    'another request under a grant' => change('approved', \&granted, sub {
        $_[0]{digest} = 'sha256:' . '0' x 64;
    }),

    'used after the grant was revoked' => change('config',
        what('grant revoked'), sub { $_[0]{store_time} = '2026-01-01T00:00:00.000Z' }),
    'used after the end of the grant' => change('approved', \&granted, sub {
        $_[0]{store_time} = '2099-01-01T00:00:00.000Z';
    }),
    'executed while frozen' => drop('config', what('thawed')),
    'executed while the policy was frozen' => change('config', what('frozen'),
        sub { $_[0]{policy} = 'p' }),
    'executed after a later freeze' => change('approved', sub {
        alone($_[0]) && $_[0]{requester} eq 'agent-f' }, sub {
            my ($r, $new) = @_;
            my ($frozen) = grep { what('frozen')->($_) } @$new;
            my ($thawed) = grep { what('thawed')->($_) } @$new;

            $frozen->{store_time} = '2026-01-01T00:00:00.000Z';
            $thawed->{store_time} = '2026-01-03T00:00:00.000Z';
            $r->{store_time} = '2026-01-02T00:00:00.000Z';
        }),
    'approved after its deadline' => change('requested', rule('glass'), sub {
        $_[0]{store_time} = '2026-01-01T00:00:00.000Z';
    }),
    'executed after its approval had lapsed' => change('approved', \&alone,
        sub { $_[0]{store_time} = '2099-01-01T00:00:00.000Z' }),

    'shadow that did not pass' => change('requested', rule('dry'), sub {
        delete $_[0]{mode};
    }),
    'shadow that executes' => sub {
        my (@new) = @_;
        my $i = of_type(\@new, 'requested', rule('dry'));

        splice(@new, $i + 1, 0, { %{ copy($new[$i]) }, type => 'executed' });
        return @new;
    },
    'shadow that approves' => change('approved', undef, sub {
        @{ $_[0] }{qw(action_id mode)} = (undef, 'shadow');
    }),

    'glass that nobody may break' => change('requested', rule('glass'), sub {
        delete $_[0]{break_glass};
    }),
    'glass broken by another group' => change('voted', \&glass, sub {
        my ($r) = @_;

        $r->{groups} = 'admins';
        $r->{vote} = jws($key, $r->{vote}, grp => 'admins');
    }),
    'glass of another group' => change('requested', rule('glass'), sub {
        $_[0]{break_glass} = 'admins';
    }),
    'glass that was not broken' => change('voted', \&glass, sub {
        my ($r) = @_;

        delete $r->{break_glass};
        $r->{vote} = jws($key, $r->{vote}, bg => undef);
    }),
    'broken glass that is not told of' => change('voted', \&glass, sub {
        delete $_[0]{break_glass};
    }),
    'glass told of' => change('voted', sub { !glass($_[0]) }, sub {
        $_[0]{break_glass} = \\1;
    }),

    'a chain without its begin' => drop('open'),
    'a chain that begins twice' => double('open'),
    (map { my $time = $_; ("a record of $time" => change('requested', undef,
           sub { $_[0]{time} = $time })) }
         'yesterday', '2026-02-30T00:00:00.000Z'),
    (map { my $lie = $_; ("on, with another $lie" => change('continue', undef,
           sub { $_[0]{lie} = $lie })) } 'previous', 'tree', 'no tree'),
    'on after the end' => sub {
        my (@new) = @_;
        my $i = of_type(\@new, 'close');

        splice(@new, $i + 1, 0, { %{ copy($new[$i]) }, type => 'fault' });
        return @new;
    },
    (map { my $lie = $_; ("a checkpoint that lies: $lie" => change(
           'checkpoint', sub { $lie ne 'peer'
                               || $_[0]{checkpoint} =~ /^peer /m },
           sub { $_[0]{lie} = $lie })) } qw(size root head peer)),
    'a foreign key' => sub { return (\$foreign, @_) },
);


sub glass { return exists $_[0]{break_glass} }


sub nested {
    my ($levels) = @_;

    my $list = [];
    $list = [ $list ] for 2 .. $levels;

    return $list;
}


my @plain = sort keys %plain;
my @keyed = sort keys %keyed;
my $forged = int($count / 6) > @keyed ? int($count / 6) : @keyed;
my (@missed, @differ);


sub judge {
    my ($n, $name, $new, $with) = @_;

    my ($rc, $other, $out, $theirs) = both($new, $with);

    push @missed, "\n$n: $name ($rc, $other)"
        unless $with ? ($rc == 1 || $rc == 2) && $other != 0
                     : $rc == 1 && $other == 1;
    push @differ, "\n$n: $name ($rc, $other)\n$out$theirs" if $rc != $other;
}


sub forge {
    my ($with, @new) = @_;

    $with = ${ shift @new } if ref $new[0] eq 'SCALAR';

    return join '', map { line($_) } rechain($with, @new);
}


for my $n (1 .. $count - $forged) {
    my $name = $plain[ $n % @plain ];
    my $new;

    do { $new = $plain{$name}->() } until defined $new && $new ne $log;

    judge($n, $name, $new, 1);
}

for my $n (1 .. $forged) {
    my $name = $keyed[ $n % @keyed ];

    judge($n, $name,
          forge($key, $keyed{$name}->(map { copy($_) } @records)), 0);
}

is(scalar @missed, 0, "$count changes, $forged of them with the key: each is "
                      . 'found by both') or diag("seed $seed", @missed);
is(scalar @differ, 0, 'and they agree on what it is')
    or diag("seed $seed", grep { defined } @differ[0 .. 4]);


# the other side: what is written anew and holds

@found = both(forge($key, map { copy($_) } @records), 0);
is($found[0], 0, 'written anew with the key, unchanged') or diag($found[2]);
is($found[1], 0, 'and for the other') or diag($found[3]);

# a clock that was set back, and what a gateway to come may tell

@found = both(forge($key, map {
    $_->{type} eq 'notified' ? { %{ copy($_) }, type => 'told',
                                 time => '2026-01-01T00:00:00.000Z' }
                             : copy($_)
} @records), 0);
is($found[0], 0, 'a type that is not known, at another time') or diag($found[2]);
is($found[1], 0, 'and for the other') or diag($found[3]);
like($found[2], qr/^note \S+: unknown type "told"$/m, 'is noted');
like($found[2], qr/^note \S+: the clock of writer \S+ was set back by \d+ s$/m,
     'and so is the clock');

# the store had lost that one gateway took it, which did not forward it

@found = both(forge($key, taken_elsewhere([ map { copy($_) } @records ],
                                          \%unsent)), 0);
is($found[0], 0, 'taken again after it was not forwarded') or diag($found[2]);
is($found[1], 0, 'and for the other') or diag($found[3]);

@found = both(forge($key, map {
    my $r = copy($_);
    $r->{type} eq 'executed' && alone($r)
        ? ({ %$r, %unsent }, { %$r, type => 'expired' }) : $r
} @records), 0);
is($found[0], 0, 'not forwarded, and expired') or diag($found[2]);
is($found[1], 0, 'and for the other') or diag($found[3]);

@found = both(forge($key, map {
    my $r = copy($_);
    $r->{type} eq 'executed' && alone($r) ? { %$r, %unsent } : $r
} grep { $_->{type} ne 'requested' } @records), 0);
like($found[2], qr/^tampered .*: action \w+ is approved, but its request/m,
     'not forwarded, and not requested');
unlike($found[2], qr/\(null\)/, 'and the place is named');

# two workers announced it

@found = both(forge($key, map {
    my $r = copy($_);
    $r->{type} eq 'requested' && defined $r->{action_id}
        ? ($r, { %$r, map { $_ => $records[-1]{time} } qw(time store_time) })
        : $r
} @records), 0);
is($found[0], 0, 'the same request twice') or diag($found[2]);
is($found[1], 0, 'and for the other') or diag($found[3]);

# ... that one gateway executed it, and another one let it expire

@found = both(forge($key, map {
    my $r = copy($_);
    $r->{type} eq 'executed' && alone($r)
        ? ($r, { %$r, type => 'expired', time => $records[-1]{time} },
           { %$r, type => 'fault', limit => 'execution' }) : $r
} @records), 0);
is($found[0], 0, 'executed, and expired where that was lost') or diag($found[2]);
is($found[1], 0, 'and for the other') or diag($found[3]);
like($found[2], qr/^note \S+: action \w+ is approved and has expired,/m,
     'is noted');

# a freeze that has run out by itself

@found = both(forge($key, grep { !what('thawed')->($_) } map {
    what('frozen')->($_) ? { %{ copy($_) }, until => $_->{store_time} }
                         : copy($_)
} @records), 0);
is($found[0], 0, 'executed after the end of a freeze') or diag($found[2]);
is($found[1], 0, 'and for the other') or diag($found[3]);

@found = both(forge($key, map {
    $_->{type} eq 'close' ? { %{ copy($_) }, lost => \'3' } : copy($_)
} @records), 0);
is($found[0], 2, 'a worker that lost records') or diag($found[2]);
is($found[1], 2, 'and for the other') or diag($found[3]);

@found = both(forge($key, grep { $_->{type} ne 'notified' }
                          map { copy($_) } @records), 1);
is($found[0], 1, 'with the key, and without some: the heads know')
    or diag($found[2]);
is($found[1], 1, 'and for the other') or diag($found[3]);

done_testing;
