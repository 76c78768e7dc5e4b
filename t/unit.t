#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors

# The C unit tests of src/core, each one under the sanitizers.

use warnings;
use strict;

use Test::More;

use File::Basename qw/ basename dirname /;
use File::Temp qw/ tempdir /;

my $root = dirname(__FILE__) . '/..';

my @names = map { basename($_, '.c') } sort glob "$root/t/unit/*.c";
my $dir = tempdir('approval-unit-XXXXXX', TMPDIR => 1, CLEANUP => 1);

$ENV{ASAN_OPTIONS} = 'detect_leaks=1:abort_on_error=0';
$ENV{UBSAN_OPTIONS} = 'print_stacktrace=1:halt_on_error=1';

ok(scalar @names, 'there are unit tests');

my ($out, $rc) = output("'$root/t/unit/run.sh' -b '$dir'");

is($rc, 0, 'unit tests are built') or diag($out);

for my $name (@names) {

	subtest $name => sub {
		($out, $rc) = output("'$dir/$name'");

		my @results = $out =~ /^((?:not )?ok \d+.*)$/mg;
		my @failed = grep { /^not ok/ } @results;
		my ($plan) = $out =~ /^1\.\.(\d+)$/m;

		cmp_ok(scalar @results, '>', 0, 'something is tested');
		is($plan, scalar @results, 'all tests are run');
		is(scalar @failed, 0, 'no test fails')
			or diag(join("\n", @failed));
		unlike($out, qr/^(?:ok|not ok)[^\n]*#\s*(?:skip|todo)/mi,
			'no test is skipped');
		unlike($out, qr/Sanitizer|runtime error:/, 'no sanitizer line');
		is($rc, 0, 'exit code') or diag($out);
	};
}

done_testing();

###############################################################################

sub output {
	my ($command) = @_;

	my $out = `$command 2>&1`;

	return (defined $out ? $out : '', $?);
}

###############################################################################
