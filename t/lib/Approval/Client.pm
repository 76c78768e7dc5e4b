package Approval::Client;

# Copyright (C) ngx_http_approval_module contributors
#
# A raw HTTP/1.1 client; nothing is hidden, nothing is sent by itself but Host,
# Content-Length and Transfer-Encoding (give the header, undef to leave it out).
#
#   my $c = Approval::Client->new(PORT [, timeout => SECONDS, default 60]);
#   $c->request(METHOD => TARGET, %how)   send, then read
#   $c->send(METHOD => TARGET, %how)      only send: several pipeline
#     headers => [ NAME => VALUE, ... ]
#     body    => BYTES          with Content-Length
#     json    => DATA           the same, with its Content-Type
#     chunked => [ BYTES, ... ] a chunk each
#     trailers => [ NAME => VALUE, ... ]   after the chunks
#     expect  => 1              Expect: 100-continue; the body is sent after 100
#     partial => 1              the head only
#     version => 'HTTP/1.0'
#   $c->write(BYTES)            anything
#   $c->read([SECONDS])         the next response, an Approval::Message; dies if
#                               there is none in time or the connection ends
#   $c->try_read([SECONDS])     the same, or undef
#   $c->arrived(qr/.../ [, SECONDS])   waits until what is not read yet is like
#                               that; true, or false when the time is over
#   $c->quiet(SECONDS)          true if nothing arrives for so long
#   $c->answered                true if a response, or the end, has arrived; it
#                               is still to be read
#   $c->read_bytes(N [, SECONDS])   raw, after an upgrade
#   $c->closed([SECONDS])       true when the server has closed the connection
#   $c->close ->half_close ->reset    FIN; shutdown of writing; RST
#
#   my $response = Approval::Client->curl(ARG...);   curl -sS -i ARG...
#   my $job = Approval::Client->curl_start(ARG...);  --http2-prior-knowledge
#   $job->read([SECONDS]) ->alive ->kill ->status

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(time);

use Approval::Message;
use Approval::Process;


sub new {
    my ($class, $port, %arg) = @_;

    my $self = bless { port => $port, timeout => 60, %arg, buffer => '',
                       sent => [] }, $class;

    $self->{sock} = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 60)
        or die "connect to port $port: $@\n";

    return $self;
}


sub request {
    my ($self, $method, $target, %how) = @_;

    $self->send($method, $target, %how);

    return $self->read($how{timeout});
}


sub send {
    my ($self, $method, $target, %how) = @_;

    my @headers = @{ $how{headers} // [] };
    my $body = body_bytes(\%how, \@headers);
    my %has = map { lc($headers[$_]) => 1 } grep { $_ % 2 == 0 } 0 .. $#headers;

    unshift @headers, Host => "127.0.0.1:$self->{port}" unless $has{host};
    push @headers, Expect => '100-continue' if $how{expect};

    if ($how{chunked}) {
        push @headers, 'Transfer-Encoding' => 'chunked'
            unless $has{'transfer-encoding'};

    } elsif (defined $body) {
        push @headers, 'Content-Length' => length $body
            unless $has{'content-length'};
    }

    push @{ $self->{sent} }, $method;

    my $head = head_text("$method $target " . ($how{version} // 'HTTP/1.1'),
                         @headers);

    return $self->write($head) if $how{partial};
    return $self->write($head . ($body // '')) unless $how{expect};

    $self->write($head);
    $self->write($body // '') if $self->wait_continue($how{timeout});
}


sub body_bytes {
    my ($how, $headers) = @_;

    if (exists $how->{json}) {
        push @$headers, 'Content-Type' => 'application/json';
        return Approval::Test::encode_json($how->{json});
    }

    return $how->{body} unless $how->{chunked};

    my @trailers = @{ $how->{trailers} // [] };
    my $text = join '', map { sprintf("%x\r\n%s\r\n", length $_, $_) }
                        @{ $how->{chunked} };

    return $text . head_text('0', @trailers);
}


sub head_text {
    my ($start, @headers) = @_;

    my $text = "$start\r\n";

    while (my ($name, $value) = splice(@headers, 0, 2)) {
        $text .= "$name: $value\r\n" if defined $value;
    }

    return "$text\r\n";
}


sub write {
    my ($self, $bytes) = @_;

    local $SIG{PIPE} = 'IGNORE';

    my $end = time() + $self->{timeout} * Approval::Test::slow();
    my $select = IO::Select->new($self->{sock});

    $self->{sock}->blocking(0);

    while (length $bytes) {
        my $n = syswrite($self->{sock}, $bytes);

        if (defined $n) {
            substr($bytes, 0, $n, '');

        } elsif (!$!{EAGAIN} || time() > $end) {

            # an answer may be there nevertheless

            $self->{write_error} = "$!";
            return 0;

        } else {
            $select->can_write(0.1);
        }
    }

    return 1;
}


# takes what has arrived; false at the end of the connection or of the time

sub fill {
    my ($self, $end) = @_;

    return 0 if $self->{eof};

    my $left = $end - time();
    $left = 0 if $left < 0;

    return 0 unless IO::Select->new($self->{sock})->can_read($left);

    my $n = sysread($self->{sock}, $self->{buffer}, 1 << 20,
                    length $self->{buffer});

    return 1 if $n || !defined $n && $!{EAGAIN};

    $self->{eof} = defined $n ? 'closed' : "$!";

    return 0;
}


sub deadline {
    my ($self, $seconds) = @_;

    return time() + ($seconds // $self->{timeout}) * Approval::Test::slow();
}


sub read {
    my ($self, $seconds) = @_;

    my $response = $self->try_read($seconds);
    return $response if $response;

    die $self->{eof} ? "the connection ended without a response: $self->{eof}\n"
                     : "no response in time\n";
}


sub try_read {
    my ($self, $seconds) = @_;

    my $end = $self->deadline($seconds);

    for ( ;; ) {
        my $response = $self->take_response;
        return $response if $response;

        next if $self->fill($end);
        return $self->{eof} ? $self->take_response : undef;
    }
}


sub take_response {
    my ($self) = @_;

    for ( ;; ) {
        my $response = Approval::Message->take(
            \$self->{buffer}, eof => $self->{eof},
            response_to => $self->{sent}[0]) // return undef;

        if ($response->status < 200 && $response->status != 101) {
            push @{ $self->{early} }, $response->status;
            next;
        }

        $response->{interim} = delete $self->{early} // [];
        shift @{ $self->{sent} };

        return $response;
    }
}


# true after 100 (which stays in the buffer for read), false after another

sub wait_continue {
    my ($self, $seconds) = @_;

    my $end = $self->deadline($seconds);

    while (!Approval::Message::head_length(\$self->{buffer})) {
        $self->fill($end) or return 0;
    }

    return $self->{buffer} =~ m{^HTTP/1\.1 100 };
}


sub quiet {
    my ($self, $seconds) = @_;

    return 0 if length $self->{buffer};

    $self->fill(time() + $seconds);

    return !length $self->{buffer} && !$self->{eof};
}


sub answered {
    my ($self) = @_;

    $self->fill(time());

    return $self->{eof} || $self->{buffer} =~ m{^HTTP/1\.\d [2-5]}m;
}


sub arrived {
    my ($self, $like, $seconds) = @_;

    my $end = $self->deadline($seconds);

    while ($self->{buffer} !~ $like) {
        $self->fill($end) or last;
    }

    return $self->{buffer} =~ $like;
}


sub read_bytes {
    my ($self, $n, $seconds) = @_;

    my $end = $self->deadline($seconds);

    while (length $self->{buffer} < $n) {
        $self->fill($end) or last;
    }

    return substr($self->{buffer}, 0, $n, '');
}


sub closed {
    my ($self, $seconds) = @_;

    my $end = $self->deadline($seconds);

    while ($self->fill($end)) { }

    return $self->{eof} ? 1 : 0;
}


sub close {
    my ($self) = @_;

    CORE::close($self->{sock});
}


sub half_close {
    my ($self) = @_;

    shutdown($self->{sock}, 1);
}


sub reset {
    my ($self) = @_;

    setsockopt($self->{sock}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
    $self->close;
}


sub curl {
    my ($class, @arg) = @_;

    return $class->curl_start(@arg)->read;
}


sub curl_start {
    my ($class, @arg) = @_;

    return Approval::Client::Curl->new(@arg);
}


package Approval::Client::Curl;

use strict;
use warnings;


sub new {
    my ($class, @arg) = @_;

    my $dir = Approval::Test::tempdir();
    my $self = bless { out => "$dir/out", err => "$dir/err" }, $class;

    Approval::Test::spew($self->{$_}, '') for qw(out err);

    $self->{process} = Approval::Process->start(
        cmd => [ 'curl', '-sS', '-i', '--noproxy', '*', @arg ],
        stdout => $self->{out}, stderr => $self->{err});

    return $self;
}


sub alive { $_[0]{process}->alive }

sub status { $_[0]{process}->status }

sub kill { $_[0]{process}->kill_group }


sub read {
    my ($self, $seconds) = @_;

    my $process = $self->{process};

    $process->wait_exit(($seconds // 120) * Approval::Test::slow())
        or die "curl has not ended\n";

    my $text = Approval::Test::slurp($self->{out});
    my ($response, @interim);

    for ( ;; ) {
        $response = Approval::Message->take(\$text, head_only => 1)
            or die 'curl: ' . Approval::Test::slurp($self->{err});

        last unless $response->status < 200 && $response->status != 101;
        push @interim, $response->status;
    }

    $response->{interim} = \@interim;
    $response->{body} = $text;
    $response->{complete} = $process->status == 0;

    return $response;
}


1;
