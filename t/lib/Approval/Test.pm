package Approval::Test;

# Copyright (C) ngx_http_approval_module contributors
#
# The test harness, from one `use`.  A whole test:
#
#   use Approval::Test;                       # Test::More, strict, warnings
#   my $redis = Approval::Redis->new;         # private, on a unix socket
#   my $up    = Approval::Upstream->new;      # answers 200, records requests
#   my $ngx   = Approval::Nginx->new(workers => 2, http => <<"EOF");
#       approval_redis @{[ $redis->url ]};
#       server { listen 127.0.0.1:%%PORT%%;
#                location / { proxy_pass @{[ $up->url ]}; } }
#   EOF
#   my $held = Approval::Client->new($ngx->port);
#   $held->send(GET => '/drop');              # does not wait
#   ok(wait_for(sub { $redis->cmd(ZCARD => 'approval:{00}:pending') }), 'pending');
#   is($up->count, 0, 'nothing was forwarded');
#   $redis->cmd(SET => $key, 'approve');
#   is($held->read->status, 200, 'resumed');
#   is(http_get($ngx->port, '/')->body, "ok\n", 'an ungated one');
#   done_testing;     # stops all, reads the error logs, then Test::More's
#
# Never sleep: wait_for(sub { condition }, SECONDS), $up->wait_count(N),
# $ngx->log_like(qr/.../), $client->read(SECONDS).  Each of Nginx, Redis,
# Upstream, Receiver and Client lists its methods at its top.
#
# Exports all of Test::More, and:
#
#   wait_for(CODE [, SECONDS])   its first true value, or undef.  A condition
#                                that comes true costs no more for a generous
#                                limit: the default is 60 s, and less is for
#                                what may well not happen
#   http_get(PORT, TARGET, %how) http_post(PORT, TARGET, BODY, %how)
#                                one request on a connection of its own
#   tempdir()                    a directory that vanishes with the test
#   free_port()                  a TCP port of 127.0.0.1 nobody listens on
#   listener(%how)               a listening socket on such a port, by
#                                IO::Socket::INET with these arguments
#   slurp(FILE) spew(FILE, TEXT) encode_json decode_json
#   make_keys(DIR)               { secret, signing, public }: new key files
#   need(PROGRAM...)             skip_all unless they are all installed
#   need_module()                skip_all unless the module was built
#   root_dir() build_dir() module_path() slow()
#   done_testing()               instead of Test::More's; see above
#
# Environment: APPROVAL_BUILD (directory of the module, .build),
# APPROVAL_NGINX (another nginx than /usr/sbin/nginx),
# APPROVAL_SANITIZE=1, APPROVAL_VALGRIND=1, APPROVAL_KEEP=1 (keep temporary
# directories), APPROVAL_TEST_TIMEOUT (seconds a test file may take, 480).

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use File::Temp ();
use IO::Socket::INET;
use JSON::PP ();
use Socket ();
use Test::More import => [qw(diag plan)];
use Time::HiRes qw(sleep time);

use Approval::Process;

our @EXPORT = qw(wait_for http_get http_post tempdir free_port listener slurp
                 spew encode_json decode_json make_keys need need_module root_dir
                 build_dir module_path slow done_testing);

my $root = Cwd::abs_path(dirname(__FILE__) . '/../../..');
my $main = $$;
my @services;


sub import {
    my $caller = caller;

    strict->import;
    warnings->import;

    no strict 'refs';
    no warnings 'redefine';

    for my $name (@Test::More::EXPORT) {
        next if $name eq 'done_testing' || $name =~ /^\W/;
        *{"${caller}::$name"} = \&{"Test::More::$name"};
    }

    *{"${caller}::TODO"} = \$Test::More::TODO;
    *{"${caller}::$_"} = \&$_ for @EXPORT;

    Test::More->builder->exported_to($caller);
    watch_clock();
}


sub root_dir { $root }

sub slow { $ENV{APPROVAL_VALGRIND} ? 8 : $ENV{APPROVAL_SANITIZE} ? 2 : 1 }

sub build_dir { Cwd::abs_path($ENV{APPROVAL_BUILD} // "$root/.build") // '' }

sub module_path { build_dir() . '/ngx_http_approval_module.so' }


sub wait_for {
    my ($code, $seconds) = @_;

    my $end = time() + ($seconds // 60) * slow();

    for ( ;; ) {
        my $value = $code->();
        return $value if $value;
        return undef if time() > $end;
        sleep(0.01);
    }
}


sub http_get {
    my ($port, $target, %how) = @_;

    return Approval::Client->new($port)->request(GET => $target, %how);
}


sub http_post {
    my ($port, $target, $body, %how) = @_;

    return Approval::Client->new($port)->request(POST => $target,
                                                 body => $body, %how);
}


sub tempdir {
    my $dir = File::Temp::tempdir('approval-XXXXXX', TMPDIR => 1,
                                  CLEANUP => !$ENV{APPROVAL_KEEP});

    # workers of an nginx that root started run as nobody

    chmod(0755, $dir) or die "$dir: $!";
    diag("kept: $dir") if $ENV{APPROVAL_KEEP};

    return $dir;
}


# Below the range that the kernel gives to outgoing connections, so that a
# server can be stopped and started again on its port.  Whoever binds the port
# later has to try another one when somebody else was quicker.

sub free_port {
    for (1 .. 1000) {
        my $port = 10240 + int(rand(22000));
        my $sock = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
                                         LocalPort => $port, Listen => 1);
        return $port if $sock;
    }

    die 'no free port';
}


# With LocalPort it is this one, as soon as nobody else has it.

sub listener {
    my (%how) = @_;

    return wait_for(sub {
        IO::Socket::INET->new(
            LocalAddr => '127.0.0.1', Listen => Socket::SOMAXCONN(),
            ReuseAddr => 1, LocalPort => free_port(), %how);
    }) // die "listen: $@";
}


sub slurp {
    my ($file) = @_;

    open(my $fh, '<:raw', $file) or die "$file: $!";
    local $/;

    return scalar <$fh>;
}


sub spew {
    my ($file, @text) = @_;

    open(my $fh, '>:raw', $file) or die "$file: $!";
    print $fh @text;
    close($fh) or die "$file: $!";

    return $file;
}


sub encode_json { JSON::PP->new->utf8->canonical->allow_nonref->encode($_[0]) }

sub decode_json { JSON::PP->new->utf8->allow_nonref->decode($_[0]) }


sub make_keys {
    my ($dir) = @_;

    my %file = (secret => "$dir/secret.key", signing => "$dir/signing.pem",
                public => "$dir/signing.pub");

    run_quiet(qw(openssl genpkey -algorithm ed25519 -out), $file{signing});
    run_quiet(qw(openssl pkey -pubout -in), $file{signing}, '-out',
              $file{public});

    open(my $random, '<:raw', '/dev/urandom') or die "/dev/urandom: $!";
    read($random, my $bytes, 32) == 32 or die "/dev/urandom: $!";
    spew($file{secret}, unpack('H*', $bytes), "\n");

    return \%file;
}


sub run_quiet {
    my (@cmd) = @_;

    my $child = Approval::Process->start(cmd => \@cmd, stderr => '/dev/null');

    $child->wait_exit(60) or die "$cmd[0]: does not end";
    $child->status == 0 or die "$cmd[0]: status " . $child->status;
}


sub need {
    for my $program (@_) {
        next if grep { -x "$_/$program" } split(/:/, $ENV{PATH}), '/usr/sbin';
        plan(skip_all => "$program is not installed");
    }
}


sub need_module {
    plan(skip_all => 'no ' . module_path())
        unless Approval::Nginx::has_module();
}


# A service has finish(), which may report tests, and abandon(), which may
# not; each nginx ends before what it talks to.

sub register {
    my ($service) = @_;

    if ($service->isa('Approval::Nginx')) {
        push @services, $service;

    } else {
        unshift @services, $service;
    }
}


sub done_testing {
    my (@arg) = @_;

    $_->finish for reverse @services;
    @services = ();

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    return Test::More::done_testing(@arg);
}


sub watch_clock {
    my $seconds = ($ENV{APPROVAL_TEST_TIMEOUT} // 480) * slow();

    $SIG{ALRM} = sub {
        diag("the test took longer than $seconds s");
        exit(255);
    };

    $SIG{$_} = sub { exit(255) } for qw(INT TERM HUP);
    $SIG{PIPE} = 'IGNORE';

    alarm($seconds);
}


require Approval::Client;
require Approval::Nginx;
require Approval::Receiver;
require Approval::Redis;
require Approval::Upstream;


END {
    if ($$ == $main) {
        local $?;

        alarm(0);

        for my $service (reverse @services) {
            eval { $service->abandon };
            diag($@) if $@;
        }
    }
}


1;
