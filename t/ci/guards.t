#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The guards of .ci/run, each shown to fail: what is planted in a copy of this
# tree has to be found by the stage that is there for it.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;

my $root = root_dir();
my $dir = tempdir();
my $copy = copy_tree();


# --- skips

my %skip = (
    'the file'  => "plan(skip_all => 'no luck');",
    'a subtest' => "subtest s => sub { plan(skip_all => 'no luck') };",
    'a block'   => "SKIP: { skip('no luck', 2); ok(0); ok(0) }",
    'a todo'    => "TODO: { todo_skip('no luck', 1); ok(0) }",
);

for my $what (sort keys %skip) {
    my $test = spew("$dir/planted.t", "use Test::More; ok(1) if 0;\n",
                    "$skip{$what}\nok(1); done_testing;\n");

    my ($rc, $out) = strict($test, "# nothing\n");
    isnt($rc, 0, "skipped, not listed: $what");
    like($out, qr/skips "no luck": .*list "\w+ planted\.t no luck"/,
         'and is told how to list it');

    is((run("prove '$test'"))[0], 0, 'which passes without --strict');

    next if $what eq 'a todo';

    is((strict($test, "plain,asan planted.t no: with cause\n"))[0], 0,
       'and where it is listed');

    my ($release) = slurp('/etc/os-release') =~ /^VERSION_CODENAME=(\w+)/m;

    is((strict($test, "$release planted.t no luck: with cause\n"))[0], 0,
       'or for this release');

    for my $other ('valgrind planted.t no: c', 'plain other.t no: c',
                   'plain planted.t luck: c', 'plain planted.t no:',
                   'other planted.t no: c')
    {
        isnt((strict($test, "$other\n"))[0], 0, "but not as \"$other\"");
    }
}


# --- fuzz targets: a bound that is missing

plant('src/core/escape.c',
      qr/^(void\napproval_escape_visible\(.*?\n\{\n)/ms, <<'END');
    if (s.len) { volatile char c = s.data[s.len]; (void) c; }
END

my ($rc, $out) = run('t/fuzz/run.sh -runs=1000 escape');

isnt($rc, 0, 'a fuzz target finds a planted overrun');
like($out, qr/AddressSanitizer: heap-buffer-overflow/, 'by the sanitizer');
like($out, qr/^not ok - escape, input in \S+$/m, 'and leaves the input');

restore('src/core/escape.c');

spew("$copy/src/core/planted.c", "this is no C\n");
($rc, $out) = run('t/fuzz/run.sh -runs=1 2>/dev/null');
isnt($rc, 0, 'a core file that does not compile stops the fuzzing');
unlink "$copy/src/core/planted.c";


# --- the sanitized build: freed memory is read while a request is held

plant('src/event/suspend.c', qr/^(    c->log->action = action;\n)/m, <<'END');
    { u_char *volatile p = ngx_alloc(8, c->log);
      ngx_free(p); if (p[0]) { return NGX_ERROR; } }
END

($rc, $out) = run('bash t/run.sh --asan --no-install t/shutdown.t');

isnt($rc, 0, 'the sanitized tests find a read of freed memory');
like($out, qr/AddressSanitizer: heap-use-after-free/, 'by the sanitizer');

restore('src/event/suspend.c');


# --- builds: a warning

plant('src/event/suspend.c', qr/^(    c->log->action = action;\n)/m, <<'END');
    { ngx_uint_t planted = 1; }
END

($rc, $out) = run('bash conf/build.sh $APPROVAL_BUILD');

isnt($rc, 0, 'a warning stops the build');
like($out, qr/unused-variable/, 'and is told');

restore('src/event/suspend.c');


# --- .ci/run itself

spew("$copy/t/run.sh", "echo 'Result: FAIL'; exit 3\n");

($rc, $out) = run('.ci/run tests fuzz');
is($rc, 1, 'a stage that fails is the last');
unlike($out, qr/^=== fuzz/m, 'the next is not run');
like($out, qr/^=== tests FAILED with status 3 .*not run: 1\n/m, 'named');
like($out, qr/^0 passed, 1 failed\n\z/m, 'and counted at the end');

spew("$copy/t/run.sh", "echo 'Result: PASS'\n");

($rc, $out) = run('.ci/run tests sanitizers');
is($rc, 0, 'all stages pass');
like($out, qr/^2 passed, 0 failed\n\z/m, 'the last line');

spew("$copy/t/matrix.sh", "exit 77\n");

($rc, $out) = run('.ci/run debian13 tests');
is($rc, 0, 'a stage that this machine cannot run stops nothing');
like($out, qr/^=== debian13 NOT RUN: /m, 'is told');
like($out, qr/^1 passed, 0 failed\n\z/m, 'and is not counted');

is((run('.ci/run tests nonsense'))[0], 1, 'no such stage');

done_testing;


# a copy of what git has, so that nothing planted can stay behind

sub copy_tree {
    my $to = "$dir/tree";

    mkdir $to;
    system("cd '$root' && git ls-files -z --cached --others --exclude-standard"
           . " | xargs -0 cp --parents -t '$to'") == 0
        or die 'no copy of the tree';

    return $to;
}


sub run {
    my ($command, %env) = @_;

    local %ENV = (%ENV, TMPDIR => $dir,
                 APPROVAL_BUILD => "$dir/build", %env);

    # a run of our own, not one within --strict

    delete $ENV{PERL5OPT} unless $env{PERL5OPT};

    my $text = `cd '$copy' && ( $command ) 2>&1`;

    return ($? >> 8 || $?, $text);
}


sub strict {
    my ($test, $list) = @_;

    return run("prove '$test'",
               APPROVAL_SKIPS => spew("$dir/skips", $list),
               PERL5OPT => "-I$root/t/lib -MApproval::Skips");
}


sub plant {
    my ($file, $where, $text) = @_;

    my $code = slurp("$copy/$file");

    $code =~ s/$where/$1$text/ or die "$file: no place to plant a fault";

    spew("$copy/$file", $code);
}


sub restore { spew("$copy/$_[0]", slurp("$root/$_[0]")) }
