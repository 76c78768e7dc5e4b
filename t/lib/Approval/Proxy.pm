package Approval::Proxy;

# Copyright (C) ngx_http_approval_module contributors
#
# Stands between a gateway and its Redis, and lets happen what Redis itself
# cannot be told to do.
#
#   my $proxy = Approval::Proxy->new($redis->sock);
#   ->url               for approval_redis
#   ->pass              as if it were not there
#   ->error(TEXT)       scripts are answered with this error
#   ->silent            half open: whatever is sent, nothing comes back
#   ->replace(OLD, NEW) in what Redis answers; of the same length
#   ->stall(WORD)       a command with this argument, and what follows it on its
#                       connection, is kept back until ->pass
#   ->stalled           true once there was one

use strict;
use warnings;

use IO::Select;
use IO::Socket::UNIX;
use Storable qw(nfreeze thaw);

use Approval::Process;


sub new {
    my ($class, $to) = @_;

    my $self = bless { to => $to, dir => Approval::Test::tempdir() }, $class;
    my $listen = Approval::Test::listener();

    $self->pass;
    $self->{port} = $listen->sockport;
    $self->{process} = Approval::Process->start(
        code => sub { $self->serve($listen) }, keep => [ $listen ]);

    Approval::Test::register($self);

    return $self;
}


sub url { "redis://127.0.0.1:$_[0]{port}" }

sub pass { $_[0]->set(mode => 'pass') }

sub error { $_[0]->set(mode => 'error', text => $_[1]) }

sub silent { $_[0]->set(mode => 'silent') }

sub replace { $_[0]->set(mode => 'replace', old => $_[1], new => $_[2]) }

sub stall {
    my ($self, $word) = @_;

    unlink("$self->{dir}/stalled");
    $self->set(mode => 'stall', word => $word);
}

sub stalled { -e "$_[0]{dir}/stalled" }

sub finish { $_[0]{process}->kill_group }

sub abandon { $_[0]->finish }


sub set {
    my ($self, %how) = @_;

    my $file = "$self->{dir}/how";

    Approval::Test::spew("$file.new", nfreeze(\%how));
    rename("$file.new", $file) or die "$file: $!";
}


# the proxy's process: each connection has the other end of it

sub serve {
    my ($self, $listen) = @_;

    $SIG{PIPE} = 'IGNORE';

    my $select = IO::Select->new($listen);
    my %conns;

    for ( ;; ) {
        my @ready = $select->can_read(0.05);

        $self->go_on(\%conns);

        for my $sock (@ready) {
            my $how = thaw(Approval::Test::slurp("$self->{dir}/how"));

            if ($sock == $listen) {
                my $client = $listen->accept or next;
                my $redis = IO::Socket::UNIX->new(Peer => $self->{to});

                next unless $redis;     # closes the client as well

                $conns{$client} = { to => $redis, in => '', words => 1 };
                $conns{$redis} = { to => $client };
                $select->add($client, $redis);
                next;
            }

            my $conn = $conns{$sock} // next;

            if (!sysread($sock, my $bytes, 65536)) {
                for my $end ($sock, $conn->{to}) {
                    delete $conns{$end};
                    $select->remove($end);
                    close($end);
                }

                next;
            } else {
                next if $how->{mode} eq 'silent';

                $bytes = $conn->{words}
                         ? $self->commands($conn, $how, $bytes)
                         : replies($how, $bytes);
                write_all($conn->{to}, $bytes);
            }
        }
    }
}


sub write_all {
    my ($sock, $bytes) = @_;

    while (length $bytes) {
        my $n = syswrite($sock, $bytes) // return;
        substr($bytes, 0, $n, '');
    }
}


# what was kept back, when it no longer is

sub go_on {
    my ($self, $conns) = @_;

    my $how = thaw(Approval::Test::slurp("$self->{dir}/how"));

    return if $how->{mode} eq 'stall';

    for my $conn (values %$conns) {
        write_all($conn->{to}, delete $conn->{kept}) if defined $conn->{kept};
    }
}


# Redis gives the answer itself, so that it comes in its turn

sub commands {
    my ($self, $conn, $how, $bytes) = @_;

    $conn->{in} .= $bytes;

    my $out = '';

    while (defined(my $words = take(\$conn->{in}))) {
        if ($how->{mode} eq 'error' && $words->[0] =~ /^EVAL/i) {
            $words = [ 'EVAL', 'return redis.error_reply(ARGV[1])', 0,
                       $how->{text} ];
        }

        if ($how->{mode} eq 'stall' && grep { $_ eq $how->{word} } @$words) {
            $conn->{kept} //= '';
            Approval::Test::spew("$self->{dir}/stalled", '');
        }

        my $text = '*' . @$words . "\r\n"
                   . join('', map { '$' . length($_) . "\r\n$_\r\n" } @$words);

        if (defined $conn->{kept}) {
            $conn->{kept} .= $text;
        } else {
            $out .= $text;
        }
    }

    return $out;
}


# a command, or undef where there is no whole one

sub take {
    my ($in) = @_;

    $$in =~ /\G\*(\d+)\r\n/gc or return pos($$in) = undef;

    my ($n, @words) = ($1);

    for (1 .. $n) {
        $$in =~ /\G\$(\d+)\r\n/gc or return pos($$in) = undef;

        my $start = pos($$in);
        return pos($$in) = undef if length($$in) < $start + $1 + 2;

        push @words, substr($$in, $start, $1);
        pos($$in) = $start + $1 + 2;
    }

    my $end = pos($$in);
    substr($$in, 0, $end, '');
    pos($$in) = 0;

    return \@words;
}


sub replies {
    my ($how, $bytes) = @_;

    $bytes =~ s/\Q$how->{old}\E/$how->{new}/g if $how->{mode} eq 'replace';

    return $bytes;
}


1;
