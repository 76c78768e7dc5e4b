package Approval::Names;

# Copyright (C) ngx_http_approval_module contributors
#
# Names for the system's resolver that the test moves.  For this the test runs
# in namespaces of its own for its network and its mounts, with another /etc and
# a name server at port 53.
#
#   Approval::Names->allowed     may this machine do that?
#   my $names = Approval::Names->new('timeout:1 attempts:2');
#                         options for resolv.conf.  Starts the test again, in
#                         its namespaces, so call it before all else.
#   ->hosts(TEXT)         of /etc/hosts; empty at first
#   ->dns                 an Approval::Dns, which is asked after that

use strict;
use warnings;

use Cwd qw(abs_path);
use Socket qw(AF_INET SOCK_DGRAM);

use Approval::Dns;
use Approval::Test;

my @UNSHARE = qw(unshare --mount --net);


sub allowed {
    return $ENV{APPROVAL_NAMESPACES}
        || system("@UNSHARE mount --bind /etc /etc 2>/dev/null") == 0;
}


sub new {
    my ($class, $options) = @_;

    if (!$ENV{APPROVAL_NAMESPACES}) {
        $ENV{APPROVAL_NAMESPACES} = 1;
        exec(@UNSHARE, $^X, abs_path($0)) or die "unshare: $!";
    }

    # lo is up: SIOCSIFFLAGS, IFF_UP

    socket(my $sock, AF_INET, SOCK_DGRAM, 0) or die "socket: $!";
    ioctl($sock, 0x8914, my $lo = pack('a16 s x22', 'lo', 1))
        or die "lo: $!";

    my $etc = tempdir() . '/etc';

    system('cp', '-a', '/etc', $etc) == 0
        && system('mount', '--bind', $etc, '/etc') == 0
        or die 'no other /etc';

    my $self = bless { }, $class;

    replace('nsswitch.conf', "hosts: files dns\n");
    replace('resolv.conf', "nameserver 127.0.0.1\noptions $options\n");
    $self->hosts('');
    $self->{dns} = Approval::Dns->new(port => 53);

    return $self;
}


sub dns { $_[0]{dns} }


sub hosts {
    my ($self, $text) = @_;

    replace('hosts', $text);
}


sub replace {
    my ($name, $text) = @_;

    spew("/etc/$name.new", $text);
    chmod(0644, "/etc/$name.new");
    rename("/etc/$name.new", "/etc/$name") or die "/etc/$name: $!";
}


1;
