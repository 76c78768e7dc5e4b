package Approval::Chroot;

# Copyright (C) ngx_http_approval_module contributors
#
# A fresh Debian in a directory, for what is done on a whole machine.
#
#   my $c = Approval::Chroot->new('trixie');   root and a mirror are needed
#   my $d = Approval::Chroot->copy($c);        another one, as it is now
#   my ($status, $output) = $c->run(COMMANDS, %how);   by sh -e; what it leaves
#                          running ends with it
#     net   => 0           with nothing but a loopback of its own
#     limit => SECONDS     default 1800
#   $c->path(NAME)         where it is, from outside
#   $c->clone(NAME)        this tree, as a clone of it would be
#
# What debootstrap and apt have fetched stays in $APPROVAL_CHROOTS, by default
# /var/tmp/approval-chroots; $APPROVAL_MIRROR is another mirror's URL.

use strict;
use warnings;

use Fcntl qw(:flock);

use Approval::Process;

my $BOOTSTRAP = '/usr/share/debootstrap/scripts';
my $MIRROR = $ENV{APPROVAL_MIRROR} // 'http://deb.debian.org/debian';


sub new {
    my ($class, $release) = @_;

    my $self = bless { release => $release, dir => Approval::Test::tempdir(),
                       cache => $ENV{APPROVAL_CHROOTS}
                                // '/var/tmp/approval-chroots' }, $class;

    must('mkdir', '-p', $self->debs);
    must('cp', '-a', $self->base, $self->path(''));
    $self->configure;

    return $self;
}


sub copy {
    my ($class, $from) = @_;

    my $self = bless { %$from, dir => Approval::Test::tempdir() }, $class;

    must('cp', '-a', $from->path(''), $self->path(''));

    return $self;
}


sub path { "$_[0]{dir}/root" . ($_[1] =~ s{^(?=[^/])}{/}r) }

sub debs { "$_[0]{cache}/$_[0]{release}.debs" }


sub base {
    my ($self) = @_;

    my ($release, $cache) = @$self{qw(release cache)};

    open(my $lock, '>', "$cache/$release.lock") or die "$cache: $!";
    flock($lock, LOCK_EX) or die $!;

    if (!-e "$cache/$release/bin/sh") {
        system('rm', '-rf', "$cache/$release.new");
        must('debootstrap', '--variant=minbase', $release,
             "$cache/$release.new", $MIRROR,
             -e "$BOOTSTRAP/$release" ? () : "$BOOTSTRAP/sid");
        rename("$cache/$release.new", "$cache/$release") or die $!;
    }

    return "$cache/$release";
}


# as a machine that is kept up to date, where nothing is started by itself; a
# mirror may stand still

sub configure {
    my ($self) = @_;

    my $release = $self->{release};
    my $security = $MIRROR =~ s{debian/?$}{debian-security}r;
    my $stable = Approval::Test::slurp($self->path('/etc/os-release'))
                 =~ /^VERSION_ID=/m;

    Approval::Test::spew($self->path('/etc/apt/sources.list'),
        "deb $MIRROR $release main\n",
        $stable ? ("deb $MIRROR $release-updates main\n",
                   "deb $security $release-security main\n") : ());

    Approval::Test::spew($self->path('/etc/apt/apt.conf.d/mirror'),
                         qq{Acquire::Check-Valid-Until "false";\n});

    Approval::Test::spew($self->path('/usr/sbin/policy-rc.d'),
                         "#!/bin/sh\nexit 101\n");
    chmod(0755, $self->path('/usr/sbin/policy-rc.d'));
}


sub must {
    my (@cmd) = @_;

    my $out = Approval::Test::tempdir() . '/out';
    my $process = Approval::Process->start(cmd => \@cmd, stdout => $out,
                                           stderr => $out);

    $process->wait_exit(1800) or die "$cmd[0] does not end\n";
    $process->status == 0
        or die "$cmd[0] failed:\n", Approval::Test::slurp($out);
}


sub run {
    my ($self, $commands, %how) = @_;

    my $isolated = defined $how{net} && !$how{net};
    my $out = Approval::Test::tempdir() . '/out';

    my $process = Approval::Process->start(
        cmd => [ 'unshare', '--mount', '--pid', '--fork', '--kill-child',
                 $isolated ? '--net' : (), 'sh', '-ec',
                 'mount -t proc proc "$1/proc"
                  mount --bind "$2" "$1/var/cache/apt/archives"
                  [ -z "$3" ] || ip link set lo up
                  local=/usr/local/sbin:/usr/local/bin
                  exec chroot "$1" env -i HOME=/root LC_ALL=C.UTF-8 \
                       PATH=$local:/usr/sbin:/usr/bin:/sbin:/bin \
                       DEBIAN_FRONTEND=noninteractive sh -ec "$4"', 'sh',
                 $self->path(''), $self->debs, $isolated ? 1 : '', $commands ],
        stdout => $out, stderr => $out);

    $process->wait_exit($how{limit} // 1800)
        or $process->kill_group;

    return ($process->status, Approval::Test::slurp($out));
}


sub clone {
    my ($self, $name) = @_;

    must('sh', '-ec', 'mkdir -p "$2"
         git -C "$1" ls-files -z --cached --others --exclude-standard \
             | tar -C "$1" --null --ignore-failed-read -T - -c \
             | tar -C "$2" --no-same-owner -x',
         'sh', Approval::Test::root_dir(), $self->path($name));
}


1;
