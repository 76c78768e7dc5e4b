#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The life of an action, explored by spin: t/model/life.pml and grant.pml say
# what is in them.  Without any one guard there is a counterexample, so that
# none is superfluous, and none is missing from the model.
#
#   perl t/model.t HOSTILE NO_SPENT     prints a counterexample

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Life;
use Approval::Test;

need('spin');
need('gcc');

my $models = root_dir() . '/t/model';

if (@ARGV) {
    my ($dir, $out) = explore('life', @ARGV);

    print $out, `cd $dir && spin -t -p -g model.pml 2>&1`;
    exit;
}

# [ model, world, states at least ]

my @worlds = (
    [ 'life', 'HONEST', 100_000 ],
    [ 'life', 'FAILOVER', 200_000 ],
    [ 'life', 'HOSTILE', 1_000_000 ],
    [ 'life', 'BARE', 50_000 ],
    [ 'grant', 'HONEST', 100 ],
    [ 'grant', 'HOSTILE', 500 ],

    # a failover without WAIT: still once on each gateway (model/ends.c)

    [ 'life', 'FAILOVER EACH NO_WAIT', 100_000 ],
);

# [ model, world, guard, what fails ].  WAIT is in the code with replicas= only:
# its counterexample is what docs/operations.md says can happen.

my @guards = (
    [ 'life', 'HONEST', 'ONCE', qr/executed/ ],
    [ 'life', 'HONEST', 'CONSUME', qr/executed/ ],
    [ 'life', 'HONEST', 'DEADLINE', qr/lapsed|late/ ],
    [ 'life', 'HONEST', 'FREEZE', qr/ended/ ],
    [ 'life', 'HONEST', 'QUORUM', qr/given/ ],
    [ 'life', 'HONEST', 'CAS', qr/yes/ ],
    [ 'life', 'HONEST', 'VOTE_STATE', qr/ended|executed|late/ ],
    [ 'life', 'HONEST', 'VOTE_DEADLINE', qr/late/ ],
    [ 'life', 'HONEST', 'ANNOUNCE', qr/recorded/ ],
    [ 'life', 'BARE', 'MATCH', qr/decision/ ],
    [ 'life', 'HOSTILE', 'VERIFY', qr/given/ ],
    [ 'life', 'HOSTILE', 'BINDING', qr/given/ ],
    [ 'life', 'HOSTILE', 'EXP', qr/stale/ ],
    [ 'life', 'HOSTILE', 'VOTE_VERIFY', qr/given/ ],
    [ 'life', 'HOSTILE', 'SPENT', qr/executed/ ],
    [ 'life', 'HOSTILE', 'SEALED', qr/late/ ],
    [ 'life', 'HOSTILE', 'SEEN', qr/before/ ],
    [ 'life', 'FAILOVER', 'WAIT', qr/executed/ ],
    [ 'life', 'FAILOVER EACH NO_WAIT', 'SPENT', qr/executed/ ],
    [ 'grant', 'HONEST', 'USES', qr/own/ ],
    [ 'grant', 'HONEST', 'REVOKE', qr/ended/ ],
    [ 'grant', 'HOSTILE', 'SEEN', qr/own|before/ ],
);

for (@worlds) {
    my ($model, $world, $least) = @$_;
    my ($dir, $out) = explore($model, split ' ', $world);

    like($out, qr/errors: 0$/m, "$model, $world: it holds") or diag($out);
    unlike($out, qr/Search not completed|max search depth too small/,
           "$model, $world: all of it was looked at");

    my ($states) = $out =~ /^\s*([\d.e+]+) states, stored/m;
    cmp_ok($states // 0, '>=', $least, "$model, $world: which is not little");
}

for (@guards) {
    my ($model, $world, $guard, $what) = @$_;
    my ($dir, $out) = explore($model, split(' ', $world), "NO_$guard");

    like($out, qr/^pan:1: assertion violated .*$what/m,
         "$model, $world, without $guard: a counterexample") or diag($out);
}

# each guard that is in a model is left out once

for my $model (qw(life grant)) {
    my %left = map { $_->[2] => 1 } grep { $_->[0] eq $model } @guards;
    my @there = slurp("$models/$model.pml") =~ /^#define G_(\w+) +1/mg;

    is_deeply([ sort keys %left ], [ sort @there ], "$model: all guards");
}


# the model has every transition of src/model/life.def, and no other: spin asserts
# the latter

{
    my %there = map { $_ => 1 }
                slurp("$models/life.pml")
                =~ /\b(?:go\(|settle\(g, )(BY_\w+, [A-Z]+)\b/g;
    my %want = map { ("BY_$_->[2], $_->[1]" => 1) }
               Approval::Life::rows(life => 'LIFE_MOVE');

    is_deeply(\%there, \%want, 'life: all transitions');

    spew(my $planted = tempdir() . '/life.pml',
         slurp("$models/life.pml") =~ s/BY_finish, EXECUTED/BY_finish, DENIED/r);

    my ($dir, $out) = explore($planted, 'HONEST');

    like($out, qr/^pan:1: assertion violated .*DENIED|P\.s==3.*5/m,
         'life: no other transition') or diag($out);
}


# The trails of the suite are replayed against src/model/life.def: see
# Approval::Gateway::clean.  That replay can fail.

{
    my @life = map { { action_id => 'a', type => $_ } }
               qw(requested approved executed);
    my $faults = sub { scalar(my @f = Approval::Life::faults(@_)) };
    my %type = map { $_ => { action_id => 'a', type => $_ } }
               qw(denied expired cancelled failed executed approved);

    $type{requested} = { %{ $life[0] }, digest => 'another' };

    is($faults->(@life), 0, 'replay: a life');
    is($faults->($life[0], $type{expired}), 0, 'replay: another one');
    is($faults->(@life, $life[0]), 0, 'replay: its request twice');
    is($faults->(@life, $type{$_}), 1, "replay: $_ after it")
        for sort keys %type;
    is($faults->($life[0], $type{denied}, $life[1]), 1,
       'replay: approved after denied');
    is($faults->($life[0], $life[2]), 1, 'replay: executed, not approved');
    is($faults->($life[1]), 1, 'replay: approved, not requested');
    is($faults->($life[0], $type{failed}), 1, 'replay: failed, not approved');
}

done_testing();


sub explore {
    my ($model, @flags) = @_;

    my $dir = tempdir();
    my $define = join ' ', map { "-D$_" } @flags;
    my $sound = !grep { /^NO_/ } @flags;
    my $file = $model =~ m{/} ? $model : "$models/$model.pml";

    spew("$dir/model.pml",
         Approval::Life::promela($sound ? 1 : 0), slurp($file));

    # a counterexample is found sooner than the optimizer is done

    my $optimize = $sound ? 2 : 0;

    my $out = `exec 2>&1; cd $dir && spin -a $define model.pml &&
               gcc -O$optimize -w -DSAFETY -DMEMLIM=4000 -o pan pan.c &&
               ./pan -m100000`;

    return ($dir, $out);
}
