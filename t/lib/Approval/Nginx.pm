package Approval::Nginx;

# Copyright (C) ngx_http_approval_module contributors
#
# A private nginx under a temporary prefix.
#
#   my $ngx = Approval::Nginx->new(http => '...', ...);
#
#     http     => TEXT       inside http { }
#     conf     => TEXT       main context, before events { }
#     raw      => TEXT       the whole file instead; the rest is yours
#     workers  => N          default 1; 0 is "master_process off"
#     connections => N       worker_connections, default 512
#     log_level => LEVEL     default debug
#     module   => 0          do not load ours
#     modules_before => [FILE...], modules_after => [FILE...]  around ours
#     files    => { NAME => TEXT }   written below the prefix
#     allow    => [qr/.../]  alert, emerg and crit lines that are expected
#     start    => 0          only prepare; ->start does it
#     daemon   => 1          a daemon, as USR2 wants it
#     stop_timeout => N      seconds QUIT may take, default 60
#     env      => { NAME => VALUE }   of its processes
#
#   APPROVAL_NGINX=FILE is the program, /usr/sbin/nginx unless it is given; the
#   module may be linked into it.
#
#   In http, conf, raw and files: %%PORT%% %%PORT1%% ... are free ports,
#   %%PREFIX%% is the prefix, %%MODULE%% the module's file.
#
#   ->port [(N)] ->url ->prefix ->path(NAME) ->pid   (of the master)
#   ->workers                  pids of the workers that accept connections
#   ->start ->stop [(SIGNAL)]  graceful; reports tests, see below
#   ->reload [(%new)]          HUP, with another http/conf/files if given; waits
#                              until new workers run; dies if nginx refuses
#   ->reload_fails [(%new)]    HUP; returns the [emerg] line
#   ->reopen                   USR1; waits until all have reopened
#   ->kill_worker [(PID)]      SIGKILL, by default to the first; waits for its
#                              successor
#   ->kill                     SIGKILL to the master and all workers
#   ->crash                    SIGKILL to the master; its workers go on
#   ->revive                   ends what is left of it, and starts it again
#   ->signal(NAME)             to the master
#   ->test_conf(%new)          nginx -t; also as Approval::Nginx->test_conf;
#                              returns (exit code, output)
#   ->mark                     a place in the log, for since =>
#   ->log_like(qr//, NAME, since => MARK, timeout => N)   a test; waits
#   ->log_unlike(qr//, NAME, since => MARK)               a test; does not wait
#   ->log_lines(qr//, since => MARK)   the lines that match
#   ->access_log [(qr//)]      lines of the default access log; with a regex
#                              those that match, and waits for the first: nginx
#                              logs after it has answered
#   ->allow(qr/.../)           expect such a line from now on
#
# stop() sends QUIT, so what still hangs in a worker fails the test: it reports
# one test for the exit and one for the error log, in which no [alert],
# [emerg], [crit], sanitizer report or valgrind error may be.

use strict;
use warnings;

use Test::More ();
use Time::HiRes qw(sleep time);

use Approval::Process;

my $BIN = $ENV{APPROVAL_NGINX} // '/usr/sbin/nginx';

my $DATED = qr{^\d{4}/\d\d/\d\d\ \d\d:\d\d:\d\d\ }x;
my $BAD = qr{$DATED\[(?:alert|emerg|crit)\]
             |AddressSanitizer|LeakSanitizer|:\d+:\d+:\ runtime\ error:
             |^==\d+==\ \S}x;


sub new {
    my ($class, %arg) = @_;

    my $self = bless {
        workers => 1, connections => 512, log_level => 'debug', http => '',
        conf => '', module => 1, files => {}, modules_before => [],
        modules_after => [], start => 1, env => {}, stop_timeout => 60, %arg,
    }, $class;

    $self->{allow} = [ @{ $arg{allow} // [] } ];
    $self->{segments} = [];
    $self->{ports} = [];
    $self->{prefix} = Approval::Test::tempdir();

    # where an nginx that is not Debian's puts what no directive names

    mkdir $self->path('logs');

    if ($self->{module} && !has_module()) {
        die 'no ' . Approval::Test::module_path() . ': run conf/build.sh';
    }

    $self->start if $self->{start};

    return $self;
}


sub prefix { $_[0]{prefix} }

sub path { "$_[0]{prefix}/$_[1]" }

sub port { $_[0]{ports}[ $_[1] // 0 ] }

sub url { 'http://127.0.0.1:' . $_[0]->port }

sub pid { $_[0]{process} && $_[0]{process}->pid }

sub allow { push @{ $_[0]{allow} }, $_[1] }


# the module is a part of this nginx: LINK=static of conf/build.sh

my $linked;

sub is_linked {
    my $root = Approval::Test::root_dir();

    $linked //= `$BIN -V 2>&1` =~ /--add-module=\Q$root\E(?:\s|$)/ ? 1 : 0;

    return $linked;
}


sub has_module { is_linked() || -f Approval::Test::module_path() }

sub has_http3 { scalar `$BIN -V 2>&1` =~ /--with-http_v3_module\b/ }

sub minor { (`$BIN -v 2>&1` =~ m{/1\.(\d+)\.})[0] }


# starting

sub start {
    my ($self) = @_;

    my $fixed = @{ $self->{ports} };

    Approval::Test::register($self) unless $self->{registered}++;
    $self->{finished} = 0;

    for my $try (1 .. 10) {
        $self->{ports} = [] unless $fixed;
        $self->write_conf;
        $self->run;

        return $self if $self->wait_ready;

        my $log = join '', $self->log_lines(qr/\[emerg\]|\[alert\]|error/i);
        $log .= Approval::Test::slurp($self->path('stderr'));

        if ($log !~ /bind\(\) to .* failed \(98:/ || $try == 10) {
            $self->{process}->kill_group;
            $self->{finished} = 1;
            die "nginx did not start:\n$log";
        }

        $self->{process}->kill_group;
        $self->forget_log unless $fixed;
    }
}


sub run {
    my ($self) = @_;

    my @cmd = ($BIN, '-p', $self->prefix, '-e', $self->path('error.log'),
               '-c', $self->path('nginx.conf'));

    unshift @cmd, valgrind_cmd($self->prefix) if $ENV{APPROVAL_VALGRIND};

    $self->{process} = Approval::Process->start(
        cmd => \@cmd, env => { %{ $self->{env} }, %{ sanitizer_env() } },
        stderr => $self->path('stderr'));

    $self->find_daemon if $self->{daemon};
}


sub find_daemon {
    my ($self) = @_;

    Approval::Test::wait_for(sub { !$self->{process}->alive })
        or die 'nginx does not leave the foreground';

    return if $self->{process}->status != 0;

    Approval::Test::wait_for(sub { -s $self->path('nginx.pid') })
        or die 'no nginx.pid';

    my ($pid) = Approval::Test::slurp($self->path('nginx.pid')) =~ /^(\d+)$/;

    $self->{process} = Approval::Process->adopt($pid);
}


sub valgrind_cmd {
    my ($prefix) = @_;

    my $supp = Approval::Test::root_dir() . '/t/lib/valgrind.supp';

    return ('valgrind', '-q', '--error-exitcode=99', "--suppressions=$supp",
            '--gen-suppressions=all', '--num-callers=20',
            "--log-file=$prefix/valgrind.%p");
}


sub sanitizer_env {
    return {} unless $ENV{APPROVAL_SANITIZE};

    chomp(my $asan = `gcc -print-file-name=libasan.so`);

    return { LD_PRELOAD => $asan,
             ASAN_OPTIONS => 'detect_leaks=0:detect_odr_violation=0',
             UBSAN_OPTIONS => 'print_stacktrace=1' };
}


sub wait_ready {
    my ($self) = @_;

    my $ready = Approval::Test::wait_for(sub {
        return 'gone' unless $self->{process}->alive;
        return 0 unless -s $self->path('nginx.pid');
        return $self->workers >= $self->{workers};
    });

    return $ready && $ready ne 'gone';
}


sub write_conf {
    my ($self) = @_;

    my $text = $self->{raw} // $self->conf_text;

    Approval::Test::spew($self->path('nginx.conf'), $self->fill($text));

    my $files = $self->{files};

    for my $name (sort keys %$files) {
        make_dirs($self->prefix, $name);
        Approval::Test::spew($self->path($name), $self->fill($files->{$name}));
    }
}


sub make_dirs {
    my ($prefix, $name) = @_;

    while ($name =~ m{/}g) {
        my $dir = "$prefix/" . substr($name, 0, pos($name) - 1);
        -d $dir or mkdir($dir, 0755) or die "$dir: $!";
    }
}


sub conf_text {
    my ($self) = @_;

    my @modules = (@{ $self->{modules_before} },
                   $self->{module} ? '%%MODULE%%' : (),
                   @{ $self->{modules_after} });

    my $load = join '', map { "load_module $_;\n" } @modules;
    my $master = $self->{workers} ? 'on' : 'off';
    my $workers = $self->{workers} || 1;
    my $daemon = $self->{daemon} ? 'on' : 'off';
    my $temp = join '', map { "    ${_}_temp_path %%PREFIX%%/${_}_temp;\n" }
                            qw(client_body proxy fastcgi uwsgi scgi);

    # a worker that is not root could not write valgrind's log

    my $user = $ENV{APPROVAL_VALGRIND} && $> == 0 ? "user root;\n" : '';

    return <<"END";
$load${user}daemon $daemon;
master_process $master;
worker_processes $workers;
pid %%PREFIX%%/nginx.pid;
lock_file %%PREFIX%%/nginx.lock;
error_log %%PREFIX%%/error.log $self->{log_level};
$self->{conf}
events {
    worker_connections $self->{connections};
}

http {
    access_log %%PREFIX%%/access.log;
$temp
$self->{http}
}
END
}


sub fill {
    my ($self, $text) = @_;

    my $ports = $self->{ports};
    my $module = Approval::Test::module_path();

    $text =~ s/^\s*load_module %%MODULE%%;\n//mg if is_linked();
    $text =~ s/%%PREFIX%%/$self->{prefix}/g;
    $text =~ s/%%MODULE%%/$module/g;
    $text =~ s{%%PORT(\d*)%%}
              {$ports->[$1 || 0] ||= Approval::Test::free_port()}gex;

    return $text;
}


# the processes

sub children {
    my ($pid) = @_;

    my @found;

    for my $stat (glob('/proc/[0-9]*/stat')) {
        open(my $fh, '<', $stat) or next;
        my $line = <$fh> // next;

        if ($line =~ /^(\d+) \(.*\) ([A-Z]) (\d+) /s && $3 == $pid && $2 ne 'Z')
        {
            push @found, $1;
        }
    }

    return sort { $a <=> $b } @found;
}


sub workers {
    my ($self) = @_;

    my $pid = $self->pid // return ();

    return $self->{process}->alive ? ($pid) : () unless $self->{workers};
    return grep { $self->is_worker($_) } children($pid);
}


sub is_worker {
    my ($self, $pid) = @_;

    # valgrind hides the title that nginx gives to its processes

    if ($ENV{APPROVAL_VALGRIND}) {
        return $self->log_lines(qr/: start worker process $pid$/)
               && !$self->log_lines(qr/\] $pid#.*: gracefully shutting down/);
    }

    open(my $fh, '<', "/proc/$pid/cmdline") or return 0;

    return (<$fh> // '') =~ /^nginx: worker process\0*\s*$/;
}


sub signal {
    my ($self, $name) = @_;

    return $self->{process}->signal($name);
}


sub change {
    my ($self, %new) = @_;

    $self->{$_} = $new{$_} for keys %new;
    $self->write_conf;
}


sub reload {
    my ($self, %new) = @_;

    my %old = map { $_ => 1 } $self->workers;
    my $mark = $self->mark;

    $self->change(%new);
    $self->signal('HUP');

    my @refused;

    my $done = Approval::Test::wait_for(sub {
        @refused = $self->log_lines(qr/\[emerg\]/, since => $mark);
        return 1 if @refused;

        my @now = $self->workers;
        return @now >= $self->{workers} && !grep { $old{$_} } @now;
    });

    die "reload refused: @refused" if @refused;
    die 'reload: no new workers' unless $done;

    return $self;
}


sub reload_fails {
    my ($self, %new) = @_;

    my $mark = $self->mark;
    my @line;

    $self->change(%new);
    $self->signal('HUP');

    Approval::Test::wait_for(sub {
        @line = $self->log_lines(qr/\[emerg\]/, since => $mark);
    }) or die 'reload was not refused';

    $self->allow(qr/\Q$line[0]\E/);

    return $line[0];
}


sub reopen {
    my ($self) = @_;

    my $mark = $self->mark;
    my $all = 1 + $self->workers;

    $self->signal('USR1');

    Approval::Test::wait_for(sub {
        my @seen = $self->log_lines(qr/: reopening logs$/, since => $mark);
        return @seen >= $all && -e $self->path('error.log');
    }) or die 'logs were not reopened';

    return $self;
}


sub kill_worker {
    my ($self, $pid) = @_;

    $pid //= ($self->workers)[0];

    $self->allow(qr/worker process $pid exited on signal 9/);
    CORE::kill('KILL', $pid);

    Approval::Test::wait_for(sub {
        my @now = $self->workers;
        return @now >= $self->{workers} && !grep { $_ == $pid } @now;
    }) or die "no successor for worker $pid";

    return $pid;
}


# as when the machine has gone; the log is looked at nevertheless

sub kill {
    my ($self) = @_;

    $self->{finished} = 1;
    $self->{process}->kill_group;

    return $self->check_log;
}


sub crash {
    my ($self) = @_;

    $self->{process}->signal('KILL');

    return $self->{process}->wait_exit(60);
}


sub revive {
    my ($self) = @_;

    $self->{process}->kill_group;

    # its ports are free once the last thread of the last worker is gone

    close(Approval::Test::listener(LocalPort => $_)) for @{ $self->{ports} };
    unlink $self->path('nginx.pid');

    return $self->start;
}


sub test_conf {
    my ($self, %arg) = @_;

    $self = ref $self ? $self : $self->new(start => 0, %arg);
    $self->change(%arg);

    my $out = $self->path('test_conf.out');
    unlink $out;

    my $nginx = Approval::Process->start(
        cmd => [ $BIN, '-t', '-p', $self->prefix,
                 '-e', $self->path('test_conf.log'),
                 '-c', $self->path('nginx.conf') ],
        env => sanitizer_env(), stdout => $out, stderr => $out);

    $nginx->wait_exit(60 * Approval::Test::slow()) or die 'nginx -t hangs';

    return ($nginx->status >> 8 || $nginx->status, Approval::Test::slurp($out));
}


# the logs: each file that ever was error.log stays open, so that lines are
# found after it was moved away

sub segments {
    my ($self) = @_;

    my $list = $self->{segments};

    if (open(my $fh, '<:raw', $self->path('error.log'))) {
        my $inode = (stat $fh)[1];

        push @$list, { fh => $fh, inode => $inode }
            unless grep { $_->{inode} == $inode } @$list;
    }

    return @$list;
}


sub forget_log {
    my ($self) = @_;

    $self->{segments} = [];
    unlink $self->path($_) for qw(error.log stderr nginx.pid);
}


sub mark {
    my ($self) = @_;

    return { map { $_->{inode} => -s $_->{fh} } $self->segments };
}


sub log_lines {
    my ($self, $regex, %how) = @_;

    my @lines;

    for my $segment ($self->segments) {
        my $fh = $segment->{fh};

        seek($fh, $how{since} ? $how{since}{ $segment->{inode} } // 0 : 0, 0);

        while (my $line = <$fh>) {
            push @lines, $line if $line =~ $regex;
        }
    }

    return @lines;
}


sub log_like {
    my ($self, $regex, $name, %how) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $found = Approval::Test::wait_for(
        sub { scalar $self->log_lines($regex, %how) }, $how{timeout});

    return Test::More::ok($found, $name // "error log has $regex");
}


sub log_unlike {
    my ($self, $regex, $name, %how) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my @lines = $self->log_lines($regex, %how);

    Test::More::ok(!@lines, $name // "error log has no $regex")
        or Test::More::diag(@lines);

    return !@lines;
}


sub access_log {
    my ($self, $regex) = @_;

    my $file = $self->path('access.log');
    my @lines;

    Approval::Test::wait_for(sub {
        @lines = -e $file ? split(/^/, Approval::Test::slurp($file)) : ();
        @lines = grep { $_ =~ $regex } @lines if $regex;
        return @lines || !$regex;
    });

    return @lines;
}


# what must not be in a log of a test that passed; a report is shown with the
# lines that follow it

sub problems {
    my ($self) = @_;

    my @files = map { $_->{fh} } $self->segments;

    for my $file (glob($self->path('valgrind.*')), $self->path('stderr')) {
        open(my $fh, '<:raw', $file) or next;
        push @files, $fh;
    }

    return map { $self->problems_in($_) } @files;
}


sub problems_in {
    my ($self, $fh) = @_;

    my ($follow, @bad) = (0);

    seek($fh, 0, 0);

    while (my $line = <$fh>) {
        if ($line =~ $BAD && $line !~ / \[debug\] /
            && !$self->is_allowed($line))
        {
            push @bad, $line;
            $follow = 25;

        } elsif ($follow && $line !~ $DATED) {
            push @bad, $line;
            $follow--;

        } else {
            $follow = 0;
        }
    }

    return @bad;
}


sub is_allowed {
    my ($self, $line) = @_;

    return scalar grep { $line =~ $_ } @{ $self->{allow} };
}


# stopping

sub stop {
    my ($self, $signal) = @_;

    return 1 if $self->{finished}++;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $process = $self->{process};
    my $early = !$process->alive;

    $self->signal($signal // 'QUIT');

    my $limit = $self->{stop_timeout} * Approval::Test::slow();
    my $ended = $process->wait_exit($self->{workers} ? $limit : 1);

    # without a master, nginx sleeps on if a signal comes just before epoll_wait

    if (!$ended && !$self->{workers}) {
        $self->signal($signal // 'QUIT');
        $ended = $process->wait_exit($limit);
    }

    my @left = $ended ? () : children($process->pid);

    $process->kill_group unless $ended;

    my $good = !$early && $ended && $process->status == 0;

    Test::More::ok($good, 'nginx stops when told, and cleanly')
        or Test::More::diag($early ? 'it had stopped before, status '
                            . $process->status
                            : $ended ? 'status ' . $process->status
                            : "it did not end; workers left: @left");

    return $self->check_log && $good;
}


sub check_log {
    my ($self) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my @bad = $self->problems;

    Test::More::ok(!@bad, 'nothing bad in the error log of nginx')
        or Test::More::diag(@bad > 120 ? @bad[0 .. 119] : @bad);

    return !@bad;
}


sub finish {
    my ($self) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 2;

    $self->stop if $self->{process};
}


sub abandon {
    my ($self) = @_;

    return if $self->{finished}++ || !$self->{process};

    $self->signal('TERM');
    $self->{process}->wait_exit(3) or $self->{process}->kill_group;

    my @bad = $self->problems;
    Test::More::diag('nginx logged:', "\n", @bad) if @bad;
}


1;
