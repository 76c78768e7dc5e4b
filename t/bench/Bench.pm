package Bench;

# Copyright (C) ngx_http_approval_module contributors
#
# What the measurements share: the client (load.c), medians, and one line for
# each figure, which run.sh makes its table of.

use strict;
use warnings;

use Approval::Test;
use IPC::Open2 qw(open2);

use Exporter qw(import);

our @EXPORT = qw(figure median percentile cpu_us start_load load_line
                 load_decide stop_load);


# figure(WHAT, TARGET, MEASURED [, MET]): MET undef is no target, a remark

sub figure {
    my ($what, $target, $measured, $met) = @_;

    $| = 1;
    print join("\t", 'figure', $what, $target, $measured,
               defined $met ? $met ? 'met' : 'NOT MET' : '-'), "\n";
}


sub median { percentile(50, @_) }


sub percentile {
    my ($percent, @values) = @_;

    return (sort { $a <=> $b } @values)[ $percent / 100 * $#values ];
}


# CPU time of a process so far: what other processes do is not in it

sub cpu_us {
    my ($pid) = @_;

    return (split ' ', slurp("/proc/$pid/schedstat"))[0] / 1000;
}


# load.c with N requests under way; load_line() waits for "sent"

sub start_load {
    my ($port, $n, $target) = @_;

    my $program = build_dir() . '/load';

    if (!-e $program || -M $program > -M 't/bench/load.c') {
        system('gcc', '-O2', '-o', $program, 't/bench/load.c') == 0
            or die 't/bench/load.c does not compile';
    }

    my $pid = open2(my $out, my $in, $program, $port, $n, $target);

    return { pid => $pid, in => $in, out => $out };
}


sub load_line { my $line = readline $_[0]{out}; $line // die 'load ended' }


# The times in us from each command, by id, to its response

sub load_decide {
    my ($load, $redis, $rate, %commands) = @_;

    my $file = $redis->dir . '/decisions';

    spew($file, join '', map { "$_ $commands{$_}\n" } sort keys %commands);

    my $in = $load->{in};
    my @times;

    $in->autoflush(1);
    print $in join(' ', $redis->sock, $rate, $file), "\n";

    while ((my $line = load_line($load)) ne "end\n") {
        push @times, $line;
    }

    return @times;
}


sub stop_load {
    my ($load) = @_;

    close $load->{in};
    close $load->{out};
    waitpid $load->{pid}, 0;
}


1;
