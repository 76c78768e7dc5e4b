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
#
#   ->servers ->sentinels
#   ->url                   for approval_redis
#   ->primary ([SENTINEL])  the server that all sentinels name, or these;
#                           undef: they do not agree
#   ->ready                 waits until all know of each other
#   ->failover              asks a sentinel for one
#   ->rejoin(SERVER)        starts a server that was killed, empty, as a replica
#                           of the primary if it is not the primary itself
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
    my $first = redis(conf => $conf);
    my $n = $how{sentinels} // 3;

    my $self = bless { conf => $conf, replicas => $how{replicas} // 2 },
                     $class;

    $self->{servers} = [ $first, map { redis(conf => $conf . replica_of($first))
                                     } 1 .. $self->{replicas} ];
    $self->{sentinels} = [ map { sentinel($first, int($n / 2) + 1, '',
                                          down => $how{down}) } 1 .. $n ];

    return $self;
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

    return "\nreplicaof 127.0.0.1 " . $primary->port . "\n";
}


sub sentinel {
    my ($primary, $quorum, $conf, %how) = @_;

    my $slow = Approval::Test::slow();
    my $down = (delete $how{down} // 1000) * $slow;
    my $timeout = 3000 * $slow;
    my $port = $primary->port;

    return Approval::Redis->new(sentinel => 1, %how, conf => <<"EOF");
sentinel monitor gw 127.0.0.1 $port $quorum
sentinel down-after-milliseconds gw $down
sentinel failover-timeout gw $timeout
$conf
EOF
}


sub url {
    my @servers = ref $_[0] eq __PACKAGE__ ? $_[0]->sentinels : @_;

    return 'redis://' . join ',', map { '127.0.0.1:' . $_->port } @servers;
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


# A sentinel that cannot be asked names none.

sub primary {
    my ($self, @sentinels) = @_;

    my %ports;

    for my $sentinel (@sentinels ? @sentinels : $self->sentinels) {
        my $named = eval {
            $sentinel->client(timeout => 2)
                     ->cmd(SENTINEL => 'get-master-addr-by-name', 'gw');
        };

        $ports{ $named->[1] } = 1 if $named;
    }

    return undef if keys %ports != 1;

    my ($port) = keys %ports;
    my ($server) = grep { $_->port == $port } $self->servers;

    return $server;
}


sub failover {
    my ($self) = @_;

    my @sentinels = grep { $_->{process}->alive } $self->sentinels;

    return @sentinels && !ref $sentinels[0]->try(SENTINEL => FAILOVER => 'gw');
}


sub rejoin {
    my ($self, $server) = @_;

    my $primary = $self->primary;

    $server->{conf} = $self->{conf} . "\nrepl-diskless-sync-delay 0\n"
                      . ($primary && $primary != $server
                         ? replica_of($primary) : '');

    # what it had written for a replica, or was sent as one, is old by now

    unlink($server->dir . '/dump.rdb');

    return $server->start;
}


1;
