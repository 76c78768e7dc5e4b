package Approval::Skips;

# Copyright (C) ngx_http_approval_module contributors
#
# t/run.sh --strict loads this into each test file (PERL5OPT): a test that
# skips something dies, unless t/skips lists the file and the reason.
#
#   APPROVAL_SKIPS=FILE    another list

use strict;
use warnings;

use File::Basename qw(basename dirname);

my $test = basename($0);
my $list = $ENV{APPROVAL_SKIPS} // dirname(__FILE__) . '/../../skips';

my ($release) = slurp('/etc/os-release') =~ /^VERSION_CODENAME=(\w+)$/m;
my $mode = $ENV{APPROVAL_VALGRIND} ? 'valgrind'
           : $ENV{APPROVAL_SANITIZE} ? 'asan' : 'plain';


sub guard {
    require Test::Builder;

    no warnings 'redefine';

    my ($plan, $skip) = (\&Test::Builder::plan, \&Test::Builder::skip);

    *Test::Builder::plan = sub {
        check($_[2]) if ($_[1] // '') eq 'skip_all';
        goto $plan;
    };

    *Test::Builder::skip = sub {
        check($_[1]);
        goto $skip;
    };

    # the other ways to do without a test

    *Test::Builder::todo_skip = sub { check($_[1]) };
}


sub check {
    my ($reason) = @_;

    return if listed($reason);

    die qq(skips "$reason": make it run here, or list "$mode $test $reason" )
        . "in t/skips with the cause\n";
}


sub slurp {
    my ($file) = @_;

    open(my $fh, '<', $file) or die "$file: $!\n";
    local $/;

    return scalar <$fh>;
}


# a line: modes, file, start of the reason, colon, cause

sub listed {
    my ($reason) = @_;

    for my $line (split /^/, slurp($list)) {
        next if $line =~ /^\s*(?:#|$)/;

        my ($modes, $file, $start) = $line =~ /^(\S+)\s+(\S+)\s+(.+?):\s+\S/
            or die "$list: no \"MODES FILE REASON: CAUSE\": $line";

        return 1 if $file eq $test && index($reason, $start) == 0
                    && grep { $_ eq $mode || $_ eq ($release // '') }
                         split(/,/, $modes);
    }

    return 0;
}


# the tests run other programs in Perl, too

guard() if $test =~ /\.t$/;


1;
