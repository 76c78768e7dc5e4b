package Approval::Dns;

# Copyright (C) ngx_http_approval_module contributors
#
# A name server on loopback, for nginx' resolver or the system's: A records.
#
#   my $dns = Approval::Dns->new('hook.test' => '127.0.0.1', ...);
#                       an address, a list of them, even of none, or undef:
#                       silence; other names: NXDOMAIN
#   Approval::Dns->new(port => 53, ...)   instead of a free port
#   ->port
#   ->set(NAME => ADDRESS)    from the next question on, by any process
#   ->pause ->resume          SIGSTOP and SIGCONT: silence for all names
#   ->asked(NAME)             how often
#   ->wait_asked(NAME, N)

use strict;
use warnings;

use IO::Socket::INET;
use Socket qw(inet_aton);

use Approval::Process;


sub new {
    my ($class, %names) = @_;

    my $port = delete $names{port} // 0;
    my $self = bless { dir => Approval::Test::tempdir() }, $class;

    my $sock = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
                                     LocalPort => $port, Proto => 'udp')
        or die "udp: $!";

    $self->{port} = $sock->sockport;
    Approval::Test::spew("$self->{dir}/asked", '');
    $self->set($_ => $names{$_}) for keys %names;

    $self->{process} = Approval::Process->start(
        keep => [ $sock ], code => sub { $self->serve($sock) });

    return $self;
}


sub port { $_[0]{port} }

sub pause { $_[0]{process}->signal('STOP') }

sub resume { $_[0]{process}->signal('CONT') }


# a file for each name

sub set {
    my ($self, $name, $address) = @_;

    my $file = "$self->{dir}/name-$name";

    Approval::Test::spew("$file.new",
                         Approval::Test::encode_json([ $address ]));
    rename("$file.new", $file) or die "$file: $!";
}


sub asked {
    my ($self, $name) = @_;

    return scalar grep { $_ eq "$name\n" }
                  split(/^/, Approval::Test::slurp("$self->{dir}/asked"));
}


sub wait_asked {
    my ($self, $name, $n) = @_;

    return Approval::Test::wait_for(sub { $self->asked($name) >= $n });
}


sub serve {
    my ($self, $sock) = @_;

    while (defined(my $from = $sock->recv(my $query, 512))) {
        my ($name, $reply) = $self->reply($query);

        open(my $fh, '>>:raw', "$self->{dir}/asked") or die $!;
        syswrite($fh, "$name\n");

        $sock->send($reply, 0, $from) if defined $reply;
    }
}


sub reply {
    my ($self, $query) = @_;

    my ($id, $name, $at) = (unpack('n', $query), '', 12);

    while (my $len = ord substr($query, $at, 1)) {
        $name .= ($name eq '' ? '' : '.') . substr($query, $at + 1, $len);
        $at += $len + 1;
    }

    my $file = "$self->{dir}/name-$name";
    my $known = -e $file;
    my ($found) = $known ? @{ Approval::Test::decode_json(
                               Approval::Test::slurp($file)) } : ();

    return $name if $known && !defined $found;

    my $code = defined $found ? 0x8180 : 0x8183;
    my $type = unpack('n', substr($query, $at + 1, 2));
    my @found = $type != 1 ? () : ref $found ? @$found : $found // ();

    my $reply = pack('n6', $id, $code, 1, scalar @found,
                     0, 0) . substr($query, 12, $at + 5 - 12);

    $reply .= pack('n3Nna4', 0xc00c, 1, 1, 1, 4, inet_aton($_)) for @found;

    return ($name, $reply);
}


1;
