package Approval::Process;

# Copyright (C) ngx_http_approval_module contributors
#
# Child processes that never outlive the test.
#
#   my $p = Approval::Process->start(cmd => [...], env => {...},
#                                    stdout => FILE, stderr => FILE);
#   my $p = Approval::Process->start(code => sub { ... }, keep => [HANDLE...]);
#                             a fork; other open files are closed in it
#   my $p = Approval::Process->adopt(PID);    one that is no child: a daemon,
#                             which leads its group; its status is always 0
#   $p->pid
#   $p->alive
#   $p->signal('HUP')         to the process, not to its group
#   $p->wait_exit(SECONDS)    true when it has ended
#   $p->status                what waitpid() gave: 0 is a clean exit
#   $p->kill_group            SIGKILL to it and to all that it started
#
# Each child leads a process group of its own.  The END block kills the groups
# that are left; if the test itself is killed, a guardian process does.

use strict;
use warnings;

use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);

my $main = $$;
my %live;
my $guardian;


sub start {
    my ($class, %arg) = @_;

    guard();

    my $pid = fork();
    die "fork: $!" unless defined $pid;

    if ($pid == 0) {
        eval { run_child(\%arg) };
        print STDERR $@ if $@;
        POSIX::_exit(127);
    }

    # in both processes, so that neither has to wait for the other

    POSIX::setpgid($pid, $pid);

    $live{$pid} = 1;
    tell_guardian("+$pid");

    return bless { pid => $pid }, $class;
}


sub adopt {
    my ($class, $pid) = @_;

    guard();

    $live{$pid} = 1;
    tell_guardian("+$pid");

    return bless { pid => $pid, other => 1 }, $class;
}


sub pid { $_[0]{pid} }

sub status { $_[0]{status} }


sub alive {
    my ($self) = @_;

    return 0 if defined $self->{status};

    local $?;

    if ($self->{other}) {
        return 1 if runs($self->{pid});
        $self->{status} = 0;

    } else {
        my $pid = waitpid($self->{pid}, WNOHANG);
        return 1 if $pid == 0;

        $self->{status} = $pid == $self->{pid} ? $? : -1;
    }

    delete $live{$self->{pid}};
    tell_guardian("-$self->{pid}");

    return 0;
}


# who has ended, and is still to be waited for by somebody, does not

sub runs {
    my ($pid) = @_;

    open(my $fh, '<', "/proc/$pid/stat") or return 0;

    return (<$fh> // '') =~ /^\d+ \(.*\) [^ZX] /s;
}


sub signal {
    my ($self, $name) = @_;

    return $self->alive ? kill($name, $self->{pid}) : 0;
}


sub wait_exit {
    my ($self, $seconds) = @_;

    my $end = time() + $seconds;

    while ($self->alive) {
        return 0 if time() > $end;
        sleep(0.01);
    }

    return 1;
}


sub kill_group {
    my ($self) = @_;

    kill('KILL', -$self->{pid});

    return $self->wait_exit(60);
}


sub run_child {
    my ($arg) = @_;

    POSIX::setpgid(0, 0);
    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP ALRM PIPE CHLD);
    alarm(0);

    close_others(@{ $arg->{keep} // [] }) if $arg->{code};

    redirect(\*STDIN, '<', '/dev/null');
    redirect(\*STDOUT, '>>', $arg->{stdout} // '/dev/null');
    redirect(\*STDERR, '>>', $arg->{stderr}) if defined $arg->{stderr};

    my $env = $arg->{env} // {};
    $ENV{$_} = $env->{$_} for keys %$env;

    if ($arg->{code}) {
        $arg->{code}->();
        POSIX::_exit(0);
    }

    no warnings 'exec';
    exec { $arg->{cmd}[0] } @{ $arg->{cmd} };
    die "$arg->{cmd}[0]: $!\n";
}


sub redirect {
    my ($handle, $mode, $file) = @_;

    open($handle, $mode, $file) or die "$file: $!\n";
}


# A fork that kept the test's sockets would keep its connections open, and one
# that kept its output would keep prove waiting.  Perl still counts users of the
# numbers closed here, and would not close new files of the same number: so
# these are kept busy.

sub close_others {
    my (@keep) = @_;

    my $null = POSIX::open('/dev/null', POSIX::O_RDWR());
    my %keep = map { $_ => 1 } $null, map { fileno($_) } @keep;

    for my $fd (3 .. 1023) {
        next if $keep{$fd};
        POSIX::dup2($null, $fd) if POSIX::close($fd);
    }
}


# The guardian knows which groups live, and ends them when the pipe to the
# test closes: the test is gone, perhaps by SIGKILL.

sub guard {
    return if $guardian && $guardian->{owner} == $$;

    pipe(my $read, my $write) or die "pipe: $!";

    my $pid = fork();
    die "fork: $!" unless defined $pid;

    if ($pid == 0) {
        POSIX::setpgid(0, 0);
        $SIG{$_} = 'IGNORE' for qw(INT TERM HUP);
        $SIG{ALRM} = 'DEFAULT';
        alarm(0);
        close_others($read);
        redirect(\*STDOUT, '>', '/dev/null');
        guardian_loop($read);
        POSIX::_exit(0);
    }

    close($read);
    select((select($write), $| = 1)[0]);

    $guardian = { pid => $pid, pipe => $write, owner => $$ };
}


sub guardian_loop {
    my ($read) = @_;

    my %pids;

    while (my $line = <$read>) {
        $line =~ /^([+-])(\d+)$/ or next;

        if ($1 eq '+') { $pids{$2} = 1 } else { delete $pids{$2} }
    }

    kill('TERM', -$_) for keys %pids;

    for (1 .. 100) {
        return unless grep { kill(0, -$_) } keys %pids;
        sleep(0.01);
    }

    kill('KILL', -$_) for keys %pids;
}


sub tell_guardian {
    my ($line) = @_;

    return unless $guardian && $guardian->{owner} == $$;

    local $SIG{PIPE} = 'IGNORE';
    print { $guardian->{pipe} } "$line\n";
}


END {
    if ($$ == $main) {
        local $?;

        kill('KILL', -$_) for keys %live;
        waitpid($_, 0) for keys %live;

        if ($guardian) {
            close($guardian->{pipe});
            waitpid($guardian->{pid}, 0);
        }
    }
}


1;
