package Approval::Redis;

# Copyright (C) ngx_http_approval_module contributors
#
# A private redis-server, or what APPROVAL_REDIS names instead, as valkey-server:
# no persistence, a unix socket and a TCP port.
#
#   my $redis = Approval::Redis->new(%how);
#     tcp => 0          only the unix socket
#     address => IP     that it listens on, by default 127.0.0.1
#     password => TEXT  requirepass
#     conf => TEXT      more lines for redis.conf ("user bot on >x ~* +@all")
#     persist => 1      keep the data over stop and start (not over kill)
#     start => 0        only prepare
#     cluster => 1      a Redis Cluster of this one node: what is in several
#                       slots is refused (needs Redis 7)
#     sentinel => 1     the same program as a Sentinel; conf says what it
#                       monitors at first: it keeps what it has learnt
#     all_end => 1      a test at the end: each key that is left has a TTL
#
#   ->url ->tcp_url     for approval_redis: unix:/path, redis://127.0.0.1:port
#   ->sock ->address ->port ->dir ->pid
#   ->cmd(NAME, ARG...) one command; returns scalar, list reference or undef;
#                       dies on an error reply
#   ->try(NAME, ARG...) the same, but an error reply is returned as a string
#                       reference
#   ->client [(timeout => N)]   a connection of its own: ->send(...) ->read
#                       ->cmd(...) ->close, for MONITOR, SUBSCRIBE, BLPOP
#   ->stop ->start ->restart ->kill
#   ->pause ->resume    SIGSTOP and SIGCONT
#   ->keys [(PATTERN)]  by SCAN, sorted
#   ->keys_without_ttl [(PATTERN)]

use strict;
use warnings;

use Test::More ();

use Approval::Process;


sub new {
    my ($class, %arg) = @_;

    my $self = bless { tcp => 1, address => '127.0.0.1', conf => '', start => 1,
                       %arg }, $class;

    $self->{dir} = Approval::Test::tempdir();

    # redis-server itself may stay root, but the workers are nobody

    $self->{sock} = "$self->{dir}/redis.sock";

    $self->start if $self->{start};

    return $self;
}


sub dir { $_[0]{dir} }

sub sock { $_[0]{sock} }

sub address { $_[0]{address} }

sub port { $_[0]{port} }

sub pid { $_[0]{process}->pid }

sub url { "unix:$_[0]{sock}" }

sub tcp_url { "redis://$_[0]{address}:$_[0]{port}" }


sub start {
    my ($self) = @_;

    my $fixed = defined $self->{port};

    Approval::Test::register($self) unless $self->{registered}++;

    for my $try (1 .. 10) {
        if ($self->{tcp} && !$fixed) {
            $self->{port} = Approval::Test::free_port();
        }

        $self->write_conf;

        $self->{process} = Approval::Process->start(
            cmd => [ $ENV{APPROVAL_REDIS} // 'redis-server',
                     "$self->{dir}/redis.conf",
                     $self->{sentinel} ? '--sentinel' : () ],
            stderr => "$self->{dir}/stderr");

        if ($self->wait_ready) {
            $self->own_slots if $self->{cluster};
            $self->{started} = 1;
            return $self;
        }

        $self->{process}->kill_group;
    }

    die "redis-server did not start:\n" . $self->log;
}


sub own_slots {
    my ($self) = @_;

    $self->cmd(CLUSTER => ADDSLOTS => 0 .. 16383);

    Approval::Test::wait_for(sub {
        $self->cmd(CLUSTER => 'INFO') =~ /^cluster_state:ok/m;
    }) or die "redis-server makes no cluster:\n" . $self->log;
}


sub write_conf {
    my ($self) = @_;

    return $self->move_conf if $self->{sentinel} && $self->{started};

    my $port = $self->{port} // 0;
    my $auth = defined $self->{password} ? "requirepass $self->{password}" : '';
    my $save = $self->{persist} ? 'save 3600 1' : 'save ""';
    my $cluster = $self->{cluster} ? "cluster-enabled yes\ncluster-port "
                                     . Approval::Test::free_port() : '';

    Approval::Test::spew("$self->{dir}/redis.conf", <<"END");
bind $self->{address}
port $port
unixsocket $self->{sock}
unixsocketperm 777
dir $self->{dir}
logfile $self->{dir}/redis.log
daemonize no
appendonly no
$save
$auth
$cluster
$self->{conf}
END
}


# A sentinel writes what it has learnt into its file.

sub move_conf {
    my ($self) = @_;

    my $file = "$self->{dir}/redis.conf";
    my $text = Approval::Test::slurp($file);

    $text =~ s/^(bind|sentinel announce-ip) .*/$1 $self->{address}/mg;
    Approval::Test::spew($file, $text);
}


sub log {
    my ($self) = @_;

    return join '', map { -e $_ ? Approval::Test::slurp($_) : () }
                    "$self->{dir}/redis.log", "$self->{dir}/stderr";
}


sub wait_ready {
    my ($self) = @_;

    my $ready = Approval::Test::wait_for(sub {
        return 'gone' unless $self->{process}->alive;

        my $pong = eval { $self->try('PING') } // return 0;
        return !ref $pong || $$pong !~ /^LOADING/;
    });

    return $ready && $ready ne 'gone';
}


sub client {
    my ($self, %how) = @_;

    return Approval::Redis::Client->new($self->{sock},
                                        password => $self->{password}, %how);
}


sub try {
    my ($self, @words) = @_;

    return $self->client->try(@words);
}


sub cmd {
    my ($self, @words) = @_;

    return $self->client->cmd(@words);
}


sub keys {
    my ($self, $pattern) = @_;

    my $client = $self->client;
    my ($cursor, %seen) = (0);

    do {
        my $reply = $client->cmd(SCAN => $cursor, MATCH => $pattern // '*',
                                 COUNT => 1000);
        $cursor = $reply->[0];
        $seen{$_} = 1 for @{ $reply->[1] };
    } while ($cursor ne '0');

    return sort(CORE::keys(%seen));
}


sub keys_without_ttl {
    my ($self, $pattern) = @_;

    my $client = $self->client;

    return grep { $client->cmd(PTTL => $_) == -1 } $self->keys($pattern);
}


sub pause {
    my ($self) = @_;

    $self->{process}->signal('STOP');
}


sub resume {
    my ($self) = @_;

    $self->{process}->signal('CONT');
}


sub stop {
    my ($self) = @_;

    return unless $self->{process} && $self->{process}->alive;

    $self->resume;
    $self->{process}->signal('TERM');
    $self->{process}->wait_exit(60) or $self->{process}->kill_group;
}


sub kill {
    my ($self) = @_;

    $self->{process}->kill_group;
}


sub restart {
    my ($self) = @_;

    $self->stop;
    $self->start;
}


sub finish {
    my ($self) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 2;

    $self->check_ends if $self->{all_end} && $self->{process}->alive;
    $self->stop;
}


# what is frozen for ever is meant to stay

sub check_ends {
    my ($self) = @_;

    $self->resume;

    my @left = grep { !/\}:(?:frozen|passkeys(?::used|:ended)?)$/ }
        $self->keys_without_ttl;

    Test::More::ok(!@left, 'each key that is left in Redis has a TTL')
        or Test::More::diag("@left");
}



sub abandon { $_[0]->stop }


package Approval::Redis::Client;

use strict;
use warnings;

use IO::Select;
use IO::Socket::UNIX;
use Time::HiRes qw(time);


sub new {
    my ($class, $path, %how) = @_;

    my $sock = IO::Socket::UNIX->new(Peer => $path) or die "$path: $!\n";
    my $self = bless { sock => $sock, buffer => '',
                       timeout => $how{timeout} // 60 }, $class;

    $self->cmd(AUTH => $how{password}) if defined $how{password};

    return $self;
}


sub send {
    my ($self, @words) = @_;

    my $text = '*' . @words . "\r\n";

    for my $word (@words) {
        utf8::encode($word) if utf8::is_utf8($word);
        $text .= '$' . length($word) . "\r\n$word\r\n";
    }

    local $SIG{PIPE} = 'IGNORE';

    while (length $text) {
        my $n = syswrite($self->{sock}, $text) // die "redis: $!\n";
        substr($text, 0, $n, '');
    }
}


sub try {
    my ($self, @words) = @_;

    $self->send(@words);

    return $self->read;
}


sub cmd {
    my ($self, @words) = @_;

    my $reply = $self->try(@words);

    die "redis: $words[0]: $$reply\n" if ref $reply eq 'SCALAR';

    return $reply;
}


sub read {
    my ($self, $timeout) = @_;

    $self->{end} = time() + ($timeout // $self->{timeout});

    return $self->read_value;
}


sub read_value {
    my ($self) = @_;

    my $line = $self->take_line;
    my ($type, $rest) = (substr($line, 0, 1), substr($line, 1));

    return $rest if $type eq '+' || $type eq ':';
    return \$rest if $type eq '-';
    return undef if $rest < 0;

    if ($type eq '$') {
        return substr($self->take_bytes($rest + 2), 0, $rest);
    }

    die "redis: unknown reply $line\n" unless $type eq '*';

    return [ map { $self->read_value } 1 .. $rest ];
}


sub take_line {
    my ($self) = @_;

    $self->fill while index($self->{buffer}, "\r\n") < 0;

    my $length = index($self->{buffer}, "\r\n") + 2;
    my $line = substr($self->{buffer}, 0, $length, '');

    return substr($line, 0, -2);
}


sub take_bytes {
    my ($self, $n) = @_;

    $self->fill while length($self->{buffer}) < $n;

    return substr($self->{buffer}, 0, $n, '');
}


sub fill {
    my ($self) = @_;

    my $left = $self->{end} - time();

    if ($left <= 0 || !IO::Select->new($self->{sock})->can_read($left)) {
        die "redis: no reply in time\n";
    }

    sysread($self->{sock}, $self->{buffer}, 65536, length $self->{buffer})
        or die "redis: connection closed\n";
}


sub close {
    my ($self) = @_;

    CORE::close($self->{sock});
}


1;
