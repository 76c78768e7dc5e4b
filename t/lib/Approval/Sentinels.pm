package Approval::Sentinels;

# Copyright (C) ngx_http_approval_module contributors
#
# A primary and its replicas with the sentinels that watch them, all of them
# real.
#
#   my $set = Approval::Sentinels->new(%how);
#     replicas  => N        default 2
#     sentinels => N        default 3; a majority of them makes a failover
#     down      => MS       down-after-milliseconds, default 1000
#     conf      => TEXT     more lines for each Redis
#     apart     => 1        on one port, each at an address of its own
#
#   ->servers ->sentinels
#   ->url                   for approval_redis
#   ->primary ([SENTINEL])  the server that all sentinels name, or these;
#                           undef: they do not agree
#   ->primary_address ([SENTINEL])   the same: IP:PORT
#   ->move(SERVER)          to another address, at which it starts the next time
#   ->moves(servers)        how often one of them did; or sentinels
#   ->ready                 waits until all know of each other
#   ->failover              asks a sentinel for one
#   ->rejoin(SERVER)        starts a server that was killed, empty: as a replica
#                           of the primary and, if apart, elsewhere, if it is
#                           not the primary itself
#
# Functions, on request:
#   redis(%how)             one that waits for no further replicas
#   replica_of(PRIMARY)     the line of its configuration
#   sentinel(PRIMARY, QUORUM, CONF, %how)   of Approval::Redis
#   url(SERVER...)

use strict;
use warnings;

use Exporter qw(import);

use Approval::Redis;

our @EXPORT_OK = qw(redis replica_of sentinel url);


sub new {
    my ($class, %how) = @_;

    my $conf = $how{conf} // '';
    my $n = $how{sentinels} // 3;

    my $self = bless { conf => $conf, replicas => $how{replicas} // 2,
                       apart => $how{apart}, servers => [], sentinels => [] },
                     $class;

    for (0 .. $self->{replicas}) {
        my $first = $self->{servers}[0];
        my $server = redis($self->place('servers'), start => 0);

        $self->configure($server, $first);
        push @{ $self->{servers} }, $server->start;
    }

    for (1 .. $n) {
        my %place = $self->place('sentinels');
        my $announce = $self->{apart}
                       ? "sentinel announce-ip $place{address}" : '';

        push @{ $self->{sentinels} },
            sentinel($self->{servers}[0], int($n / 2) + 1, $announce,
                     down => $how{down}, %place);
    }

    return $self;
}


# Where one more of them is.  A sentinel forgets where another one was, but keeps
# each replica that it has seen, so those take turns at a few addresses.

sub place {
    my ($self, $kind) = @_;

    return () if !$self->{apart};

    my ($net, $room) = $kind eq 'servers' ? (1, 5) : (2, 250);
    my @others = @{ $self->{$kind} };
    my $address;

    do {
        $address = "127.0.$net." . (1 + $self->{last}{$kind}++ % $room);
    } while (grep { $_->address eq $address } @others);

    return (address => $address, @others ? (port => $others[0]->port) : ());
}


sub move {
    my ($self, $server) = @_;

    my $kind = $server->{sentinel} ? 'sentinels' : 'servers';
    my %place = $self->place($kind);

    return if !%place;

    $server->{address} = $place{address};
    $self->{moves}{$kind}++;
}


sub moves { $_[0]{moves}{ $_[1] } // 0 }


sub configure {
    my ($self, $server, $primary) = @_;

    $server->{conf} = join "\n", $self->{conf}, 'repl-diskless-sync-delay 0',
        $self->{apart} ? "replica-announce-ip $server->{address}" : (),
        $primary ? replica_of($primary) : ();
}


sub servers { @{ $_[0]{servers} } }

sub sentinels { @{ $_[0]{sentinels} } }


sub redis {
    my (%how) = @_;

    return Approval::Redis->new(%how,
        conf => ($how{conf} // '') . "\nrepl-diskless-sync-delay 0\n");
}


sub replica_of {
    my ($primary) = @_;

    return "\nreplicaof " . $primary->address . ' ' . $primary->port . "\n";
}


sub sentinel {
    my ($primary, $quorum, $conf, %how) = @_;

    my $slow = Approval::Test::slow();
    my $down = (delete $how{down} // 1000) * $slow;
    my $timeout = 3000 * $slow;
    my $address = $primary->address;
    my $port = $primary->port;

    return Approval::Redis->new(sentinel => 1, %how, conf => <<"EOF");
sentinel monitor gw $address $port $quorum
sentinel down-after-milliseconds gw $down
sentinel failover-timeout gw $timeout
$conf
EOF
}


sub url {
    my @servers = ref $_[0] eq __PACKAGE__ ? $_[0]->sentinels : @_;

    return 'redis://' . join ',', map { $_->address . ':' . $_->port } @servers;
}


sub ready {
    my ($self) = @_;

    my $others = $self->sentinels - 1;

    return Approval::Test::wait_for(sub {
        !grep { my %is = @{ $_->cmd(SENTINEL => MASTER => 'gw') };
                $is{'num-slaves'} != $self->{replicas}
                || $is{'num-other-sentinels'} != $others }
              $self->sentinels
    }, 60);
}


sub primary {
    my ($self, @sentinels) = @_;

    my $named = $self->primary_address(@sentinels) // return undef;
    my ($server) = grep { $_->address . ':' . $_->port eq $named }
                   $self->servers;

    return $server;
}


# A sentinel that cannot be asked names none.

sub primary_address {
    my ($self, @sentinels) = @_;

    my %named;

    for my $sentinel (@sentinels ? @sentinels : $self->sentinels) {
        my $address = eval {
            $sentinel->client(timeout => 2)
                     ->cmd(SENTINEL => 'get-master-addr-by-name', 'gw');
        };

        $named{ join ':', @$address } = 1 if $address;
    }

    return keys %named == 1 ? (keys %named)[0] : undef;
}


sub failover {
    my ($self) = @_;

    my @sentinels = grep { $_->{process}->alive } $self->sentinels;

    return @sentinels && !ref $sentinels[0]->try(SENTINEL => FAILOVER => 'gw');
}


sub rejoin {
    my ($self, $server) = @_;

    my $primary = $self->primary;

    undef $primary if $primary && $primary == $server;

    $self->move($server) if $primary;
    $self->configure($server, $primary);

    # what it had written for a replica, or was sent as one, is old by now

    unlink($server->dir . '/dump.rdb');

    return $server->start;
}


1;
