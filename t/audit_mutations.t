#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# A real log of several workers, then changed at random: approval-audit and the
# verifier of t/verifier, which was written from docs/audit.md alone, both find
# each change, and say the same.
#
#     APPROVAL_FULL=1        10,000 changes instead of 300
#     APPROVAL_SEED=N        the changes of another run

use lib 't/lib', 't/verifier';
use Approval::Test;
use Approval::Gateway;
use AuditVerifier;

use Digest::SHA qw(sha256 sha256_hex);
use MIME::Base64 qw(encode_base64 encode_base64url decode_base64url);

$ENV{APPROVAL_TEST_TIMEOUT} = $ENV{APPROVAL_FULL} ? 7200 : 900;
Approval::Test::watch_clock();

need('openssl');
need_module();

my $tool = build_dir() . '/approval-audit';
my $count = $ENV{APPROVAL_FULL} ? 10_000 : slow() > 1 ? 60 : 300;
my $seed = $ENV{APPROVAL_SEED} // 20261121;
my $dir = tempdir();

srand($seed);


# the log

my $gw = Approval::Gateway->new(workers => 3, http => <<'EOF',
    approval_policy p {
        rule two { match $uri ^/two; require 2 of admins; timeout 60s; }
        rule one { match $uri ^/one; require admins; timeout 60s; }
        rule rem { match $uri ^/rem; require admins; timeout 60s;
                   remember 60s per $http_x_agent uses=3; }
        rule dry { match $uri ^/dry; require admins; mode shadow; }
    }
EOF
    server => 'approval p; location / { proxy_pass %%UP%%; }');


sub act {
    my ($n) = @_;

    my $two = $n % 3 == 0;
    my ($client, $id) = $gw->hold(GET => ($two ? '/two/' : '/one/') . $n,
                                  agent => "agent-$n");

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
($client) = $gw->hold(GET => "/one/left");
$client->close;

wait_for(sub { (my @seen = $gw->audit('checkpoint')) >= 2 });
$gw->ngx->kill_worker;
act($_) for 13 .. 18;
$gw->ngx->reload;
act($_) for 19 .. 26;
$gw->ngx->stop;

my $log = slurp($gw->ngx->path('audit.jsonl'));
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
    my $out = `$tool verify $file --key $public $known 2>&1`;
    my $rc = $? >> 8;

    my ($code, @other) = $verifier->verify(files => [$file],
                                           heads => $with ? [$heads] : []);

    return ($rc, $code, $out, join('', map { "@$_\n" } @other));
}


# making records

sub pick { return $_[ int rand @_ ] }


sub copy {
    my ($value) = @_;

    return { map { $_ => copy($value->{$_}) } keys %$value }
        if ref $value eq 'HASH';
    return [ map { copy($_) } @$value ] if ref $value eq 'ARRAY';
    return $value;
}


sub line { return AuditVerifier::canonical($_[0]) . "\n" }


sub rehash {
    my ($r) = @_;

    my %rest = %$r;
    delete $rest{hash};
    $r->{hash} = sha256_hex("approval-record-v1\n"
                            . AuditVerifier::canonical(\%rest));

    return $r;
}


my %signed;

sub sign {
    my ($with, $text) = @_;

    return $signed{"$with $text"} //= do {
        spew("$dir/text", $text);
        system("openssl pkeyutl -sign -inkey $with -rawin -in $dir/text "
               . "-out $dir/sig") == 0 or die 'openssl';
        slurp("$dir/sig");
    };
}


# the chains anew; with a key their checkpoints, too, else these stay

sub rechain {
    my ($with, @new) = @_;

    my (%seq, %prev, %leaves, %map, @out);

    for my $old (@new) {
        my $r = copy($old);
        my $w = $r->{writer};
        my $seq = ++$seq{$w};

        @{$r}{qw(seq prev)} = (\"$seq", $prev{$w} // '0' x 64);

        $r->{checkpoint} = resign($with, $r, $leaves{$w} // [], \%map)
            if $with && $r->{type} eq 'checkpoint';

        rehash($r);
        $map{"$w $old->{hash}"} = "$seq $r->{hash}";
        $prev{$w} = $r->{hash};
        push @{ $leaves{$w} }, sha256("\x00" . pack('H*', $r->{hash}));
        push @out, $r;
    }

    return @out;
}


sub resign {
    my ($with, $r, $leaves, $map) = @_;

    my $w = $r->{writer};
    my $size = @$leaves;
    my $root = encode_base64(AuditVerifier::root(@$leaves), '');
    my ($time) = $r->{checkpoint} =~ /^(time .*)$/m;
    my $text = "approval-audit/$w\n$size\n$root\n$time\nhead $r->{prev}\n";

    for my $peer ($r->{checkpoint} =~ /^(peer .*)$/mg) {
        my (undef, $writer, $seq, $hash) = split(/ /, $peer);
        $text .= "peer $writer "
            . ($map->{"$writer $hash"} // "$seq $hash") . "\n";
    }

    my $id = substr(sha256("approval-audit/$w\n\x01" . public_of($with)), 0, 4);

    return "$text\n\x{2014} approval-audit/$w "
        . encode_base64($id . sign($with, $text), '') . "\n";
}


my %raw;

sub public_of {
    my ($with) = @_;

    return $raw{$with} //=
        substr(`openssl pkey -in $with -pubout -outform DER`, -32);
}


sub jws {
    my ($with, $token, %change) = @_;

    my ($head, $claims) = split(/\./, $token);
    my $new = AuditVerifier::parse(decode_base64url($claims));

    $new->{$_} = $change{$_} for keys %change;

    my $text = "$head." . encode_base64url(AuditVerifier::canonical($new));

    return "$text." . encode_base64url(sign($with, $text));
}


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

my @names = sort keys %plain;
my (@missed, @differ);

for my $n (1 .. $count) {
    my $name = $names[ $n % @names ];
    my $new;

    do { $new = $plain{$name}->() } until defined $new && $new ne $log;

    my ($rc, $other, $out, $theirs) = both($new, 1);

    push @missed, "\n$n: $name ($rc, $other)"
        unless ($rc == 1 || $rc == 2) && $other != 0;
    push @differ, "\n$n: $name ($rc, $other)\n$out$theirs" if $rc != $other;
}

is(scalar @missed, 0, "$count changes, and each is found by both")
    or diag("seed $seed", @missed);
is(scalar @differ, 0, 'and they agree on what it is')
    or diag("seed $seed", grep { defined } @differ[0 .. 4]);


# what only who has the key can do, or a gateway that errs

my $foreign = make_keys(tempdir())->{signing};


sub forged {
    my ($name, $want, $code, $with) = @_;

    my @new = $code->(map { copy($_) } @records);
    my ($rc, $other, $out, $theirs)
        = both(join('', map { line($_) } rechain($with // $key, @new)), 0);

    is($rc, $want, "approval-audit: $name") or diag($out);
    is($other, $want, "the other verifier: $name") or diag($theirs);
}


sub first_of {
    my ($code, @list) = @_;

    my ($i) = grep { $code->($list[$_]) } 0 .. $#list;

    return $i;
}


sub voted { return first_of(sub { $_[0]{type} eq 'voted' }, @_) }


my $two = first_of(sub { $_[0]{type} eq 'approved'
                          && ($_[0]{rule} // '') eq 'two' },
                   @records);
my $action = $records[$two]{action_id};

forged('written anew with the key, unchanged', 0, sub { @_ });
forged('with a foreign key', 1, sub { @_ }, $foreign);

forged('a vote by the requester', 1, sub {
    my (@new) = @_;
    my $vote = $new[ voted(@new) ];
    my ($request) = grep { $_->{type} eq 'requested'
                           && ($_->{action_id} // '') eq $vote->{action_id} } @new;

    $vote->{person} = $request->{person};
    $vote->{vote} = jws($key, $vote->{vote}, sub => $request->{person});
    return @new;
});

forged('a vote that says another thing', 1, sub {
    my (@new) = @_;

    $new[ voted(@new) ]{decision} = 'deny';
    return @new;
});

forged('a vote of another key', 1, sub {
    my (@new) = @_;
    my $vote = $new[ voted(@new) ];

    $vote->{vote} = jws($foreign, $vote->{vote});
    return @new;
});

forged('a short quorum', 1, sub {
    my (@new) = @_;

    $new[$two]{decision} = jws($key, $new[$two]{decision}, by => ['alice']);
    return @new;
});

forged('a person twice', 1, sub {
    my (@new) = @_;

    $new[$two]{decision} = jws($key, $new[$two]{decision},
                               by => [ 'alice', 'alice' ]);
    return @new;
});

forged('an approver who did not vote', 1, sub {
    return grep { !($_->{type} eq 'voted' && $_->{identity} eq 'bob'
                    && $_->{action_id} eq $action) } @_;
});

forged('executed without a decision', 1, sub {
    my (@new) = @_;

    splice(@new, $two, 1);
    return @new;
});

forged('consumed twice', 1, sub {
    my (@new) = @_;

    splice(@new, $two + 1, 0, copy($new[$two]));
    return @new;
});

my $grant = first_of(sub { $_[0]{type} eq 'approved' && $_[0]{grant} },
                     @records);

forged('a grant that was not given', 1, sub {
    return grep { !($_->{type} eq 'approved' && !$_->{grant}
                    && ($_->{action_id} // '') eq $records[$grant]{action_id}) }
           @_;
});

forged('used without a decision', 1, sub {
    my (@new) = @_;

    splice(@new, $grant, 1);
    return @new;
});

forged('executed twice', 1, sub {
    my (@new) = @_;
    my $i = first_of(sub { $_[0]{type} eq 'executed' }, @new);

    splice(@new, $i, 0, copy($new[$i]));
    return @new;
});

forged('an approval without its request', 1, sub {
    return grep { !($_->{type} eq 'requested'
                    && ($_->{action_id} // '') eq $action) } @_;
});

forged('the approval of another request', 1, sub {
    my (@new) = @_;

    $new[$two]{decision} = jws($key, $new[$two]{decision},
                               dig => 'sha256:' . '0' x 64);
    return @new;
});


# the same told in another order, or under another name

sub at {
    my ($type, $id, @list) = @_;

    return first_of(sub { $_[0]{type} eq $type && !$_[0]{grant}
                          && ($_[0]{action_id} // '') eq $id }, @list);
}


sub plain_of { return at($_[0], $records[$grant]{action_id}, @records) }


forged('the vote of the requester, told of before the request', 1, sub {
    my (@new) = @_;
    my $vote = $new[ at('voted', $action, @new) ];
    my $request = $new[ at('requested', $action, @new) ];

    $vote->{person} = $request->{person};
    $vote->{vote} = jws($key, $vote->{vote}, sub => $request->{person});

    @new = grep { $_ != $vote } @new;
    splice(@new, 1 + first_of(sub { $_[0]{type} eq 'open'
                                    && $_[0]{writer} eq $vote->{writer} },
                              @new), 0, $vote);
    return @new;
});

forged('the vote on another request, told of before the request', 1, sub {
    my (@new) = @_;
    my $vote = $new[ at('voted', $action, @new) ];
    my $other = 'sha256:' . '0' x 64;

    $vote->{digest} = $other;
    $vote->{vote} = jws($key, $vote->{vote}, dig => $other);

    @new = grep { $_ != $vote } @new;
    splice(@new, 1 + first_of(sub { $_[0]{type} eq 'open'
                                    && $_[0]{writer} eq $vote->{writer} },
                              @new), 0, $vote);
    return @new;
});

for my $member (qw(identity person how comment)) {
    forged("a vote with another $member than was signed", 1, sub {
        my (@new) = @_;

        $new[ at('voted', $action, @new) ]{$member} = 'mallory';
        return @new;
    });
}

forged('a comment that nobody signed', 1, sub {
    my (@new) = @_;
    my ($vote) = grep { $_->{type} eq 'voted' && !exists $_->{comment} } @new;

    $vote->{comment} = 'checked with legal';
    return @new;
});

forged('an approval by nobody, of what asks for nobody', 1, sub {
    my (@new) = @_;

    $new[ at('requested', $action, @new) ]{require} = [];
    $new[$two]{decision} = jws($key, $new[$two]{decision}, by => []);
    return @new;
});

forged('an approval of what asks for nobody', 1, sub {
    my (@new) = @_;

    delete $new[ at('requested', $action, @new) ]{require};
    return @new;
});

forged('an approval that names nobody', 1, sub {
    my (@new) = @_;

    $new[$two]{decision} = jws($key, $new[$two]{decision}, by => 'alice');
    return @new;
});

for my $claim (qw(sub pol rul act)) {
    forged("a decision with another $claim", 1, sub {
        my (@new) = @_;

        $new[$two]{decision} = jws($key, $new[$two]{decision},
                                   $claim => 'other');
        return @new;
    });
}

forged('the decision of another request, told as its own', 1, sub {
    my (@new) = @_;
    my $other = 'sha256:' . '0' x 64;

    $new[$two]{digest} = $other;
    $new[$two]{decision} = jws($key, $new[$two]{decision}, dig => $other);
    return @new;
});

forged('a second execution, told as the use of a grant', 1, sub {
    my (@new) = @_;

    @{ $new[$grant] }{qw(decision digest)}
        = @{ $new[ plain_of('approved') ] }{qw(decision digest)};
    return @new;
});

forged('the approval of a use, told as that of the action', 1, sub {
    my (@new) = @_;

    @{ $new[ plain_of('approved') ] }{qw(decision digest)}
        = @{ $new[$grant] }{qw(decision digest)};
    return @new;
});

forged('one use of a grant, twice', 1, sub {
    my (@new) = @_;
    my ($done) = grep { $_->{type} eq 'executed' && $_->{grant} } @new;

    return map { $_ == $new[$grant] || $_ == $done ? ($_, copy($_)) : $_ }
           @new;
});

forged('more uses than the grant allows', 1, sub {
    my (@new) = @_;

    $new[$grant]{decision} = jws($key, $new[$grant]{decision}, use => \'4');
    return @new;
});

forged('a glass that is not there to be broken', 1, sub {
    my (@new) = @_;
    my $vote = $new[ at('voted', $action, @new) ];

    $vote->{break_glass} = \\1;
    $vote->{vote} = jws($key, $vote->{vote}, bg => \\1);
    $new[$two]{decision} = jws($key, $new[$two]{decision},
                               by => [ $vote->{identity} ]);
    return @new;
});

forged('executed before it was approved', 1, sub {
    my (@new) = @_;
    my $done = splice(@new, at('executed', $action, @new), 1);

    splice(@new, $two, 0, $done);
    return @new;
});

for my $end (qw(expired cancelled)) {
    forged("$end, and executed", 1, sub {
        my (@new) = @_;
        my $over = copy($new[$two]);

        delete $over->{decision};
        $over->{type} = $end;
        splice(@new, $two, 0, $over);
        return @new;
    });
}

forged('a chain that begins twice', 1, sub {
    my (@new) = @_;
    my $open = first_of(sub { $_[0]{type} eq 'open' }, @new);

    splice(@new, $open + 1, 0, copy($new[$open]));
    return @new;
});

for my $time ('yesterday', '2026-02-30T00:00:00.000Z') {
    forged("a record of $time", 1, sub {
        my (@new) = @_;

        $new[ at('requested', $action, @new) ]{time} = $time;
        return @new;
    });
}

done_testing;
