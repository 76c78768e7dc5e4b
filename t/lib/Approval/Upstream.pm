package Approval::Upstream;

# Copyright (C) ngx_http_approval_module contributors
#
# An HTTP/1.1 server in a process of its own, which records what it receives.
#
#   my $up = Approval::Upstream->new(%how);
#     answers => { '/path' => ANSWER, '*' => ANSWER }    default 200 "ok\n"
#     code    => sub { my ($request) = @_; return ANSWER or undef }
#                       runs in the server's process, before the table
#
#   ANSWER is { status headers body delay chunked close drop hang accel upgrade
#   no_length }, or a list of such: one for each request, the last one stays.
#     headers => [ NAME => VALUE, ... ]
#     body    => BYTES; with chunked => 1 also [ BYTES, ... ], a chunk each
#     delay   => SECONDS before it
#     close   => 1      close the connection after it; no_length => 1: and send
#                       no Content-Length
#     drop    => 1      close without an answer;  hang => 1: never answer
#     accel   => URI    X-Accel-Redirect
#     upgrade => 1      101, then echo all bytes (as for a WebSocket)
#
#   ->port ->url
#   ->answer(PATH => ANSWER)   from the next request on
#   ->requests         Approval::Message objects in the order of their arrival,
#                      ->{connection} numbers the connection, ->{time} is when;
#                      those cut off have ->complete false
#   ->count ->last ->request(N)
#   ->wait_count(N [, SECONDS])   true when N have arrived
#   ->clear            forget them
#   ->stop             close the port;  ->start  the same port again
#   ->pause ->resume   SIGSTOP and SIGCONT

use strict;
use warnings;

use Digest::SHA qw(sha1_base64);
use IO::Select;
use Storable qw(nfreeze thaw);
use Time::HiRes qw(time);

use Approval::Message;
use Approval::Process;

my %REASON = (
    101 => 'Switching Protocols', 200 => 'OK', 201 => 'Created',
    202 => 'Accepted', 204 => 'No Content', 302 => 'Found',
    304 => 'Not Modified', 400 => 'Bad Request', 403 => 'Forbidden',
    404 => 'Not Found', 410 => 'Gone', 429 => 'Too Many Requests',
    500 => 'Internal Server Error', 503 => 'Service Unavailable',
);


sub new {
    my ($class, %arg) = @_;

    my $self = bless { answers => {}, seen => [], offset => 0, version => 0,
                       $class->defaults, %arg }, $class;

    $self->{dir} = Approval::Test::tempdir();
    Approval::Test::spew($self->records_file, '');

    $self->publish;
    $self->start;

    Approval::Test::register($self);

    return $self;
}


sub defaults {
    return (default => { status => 200, body => "ok\n" });
}


sub port { $_[0]{port} }

sub url { "http://127.0.0.1:$_[0]{port}" }

sub records_file { "$_[0]{dir}/records" }

sub answers_file { "$_[0]{dir}/answers" }


sub start {
    my ($self) = @_;

    my $listen = Approval::Test::listener(
        defined $self->{port} ? (LocalPort => $self->{port}) : ());

    $self->{port} = $listen->sockport;
    $self->{process} = Approval::Process->start(
        code => sub { $self->serve($listen) }, keep => [ $listen ]);

    return $self;
}


sub stop {
    my ($self) = @_;

    $self->{process}->kill_group;
}


sub pause { $_[0]{process}->signal('STOP') }

sub resume { $_[0]{process}->signal('CONT') }

sub finish { $_[0]->stop }

sub abandon { $_[0]->stop }


sub answer {
    my ($self, $path, $answer) = @_;

    $self->{answers}{$path} = $answer;
    $self->publish;
}


sub publish {
    my ($self) = @_;

    my $file = $self->answers_file;

    $self->{version}++;

    Approval::Test::spew("$file.new", nfreeze({
        version => $self->{version}, answers => $self->{answers},
        default => $self->{default} }));
    rename("$file.new", $file) or die "$file: $!";
}


# what was recorded

sub requests {
    my ($self) = @_;

    open(my $fh, '<:raw', $self->records_file) or die $!;
    seek($fh, $self->{offset}, 0);

    while ((read($fh, my $head, 4) // 0) == 4) {
        my $size = unpack('N', $head);
        last unless (read($fh, my $frozen, $size) // 0) == $size;

        push @{ $self->{seen} }, thaw($frozen);
        $self->{offset} += 4 + $size;
    }

    return @{ $self->{seen} };
}


sub count {
    my ($self) = @_;

    return scalar(my @all = $self->requests);
}


sub request { ($_[0]->requests)[ $_[1] ] }

sub last { ($_[0]->requests)[-1] }


sub wait_count {
    my ($self, $n, $seconds) = @_;

    return Approval::Test::wait_for(sub { $self->count >= $n }, $seconds);
}


sub clear {
    my ($self) = @_;

    $self->requests;
    $self->{seen} = [];
}


# the server's process; a connection has: sock, in, out, and, while its answer
# waits, due (when) and answer

sub serve {
    my ($self, $listen) = @_;

    $SIG{PIPE} = 'IGNORE';
    open($self->{record}, '>>:raw', $self->records_file) or die $!;

    $listen->blocking(0);
    $self->{listen} = $listen;
    $self->{conns} = {};
    $self->{used} = {};

    for ( ;; ) {
        $self->serve_once;
    }
}


sub serve_once {
    my ($self) = @_;

    my $conns = $self->{conns};
    my $read = IO::Select->new($self->{listen},
                               map { $_->{sock} } values %$conns);
    my $write = IO::Select->new(map { $_->{sock} }
                                grep { length $_->{out} } values %$conns);

    my ($can_read, $can_write) =
        IO::Select::select($read, $write, undef, $self->next_timeout);

    for my $sock (@{ $can_read // [] }) {
        if ($sock == $self->{listen}) {
            $self->accept_one;

        } elsif (my $conn = $conns->{ fileno($sock) // -1 }) {
            $self->read_some($conn);
        }
    }

    for my $sock (@{ $can_write // [] }) {
        my $conn = $conns->{ fileno($sock) // -1 } or next;
        $self->write_some($conn);
    }

    for my $conn (values %$conns) {
        $self->send_answer($conn)
            if defined $conn->{due} && $conn->{due} <= time();
    }
}


sub next_timeout {
    my ($self) = @_;

    my ($first) = sort { $a <=> $b }
                  map { $_->{due} // () } values %{ $self->{conns} };

    return undef unless defined $first;

    my $left = $first - time();
    return $left > 0 ? $left : 0;
}


sub accept_one {
    my ($self) = @_;

    my $sock = $self->{listen}->accept or return;

    $sock->blocking(0);
    $self->{conns}{ fileno($sock) } = {
        sock => $sock, in => '', out => '', number => ++$self->{accepted} };
}


sub drop {
    my ($self, $conn) = @_;

    delete $self->{conns}{ fileno($conn->{sock}) };
    close($conn->{sock});
}


sub read_some {
    my ($self, $conn) = @_;

    my $n = sysread($conn->{sock}, $conn->{in}, 1 << 20, length $conn->{in});

    return if !defined $n && $!{EAGAIN};

    if (!$n) {
        $self->record_cut($conn);
        $self->drop($conn);
        return;
    }

    $self->next_request($conn);
}


sub next_request {
    my ($self, $conn) = @_;

    if ($conn->{echo}) {
        $conn->{out} .= $conn->{in};
        $conn->{in} = '';
        return $self->write_some($conn);
    }

    return if $conn->{answer};

    my $request = Approval::Message->take(\$conn->{in});

    if (!$request) {
        $self->send_continue($conn);
        return;
    }

    $conn->{continued} = 0;
    $self->record($conn, $request);

    my $answer = $self->find_answer($request);

    return $self->drop($conn) if $answer->{drop};

    $conn->{answer} = $answer;
    $conn->{request} = $request;
    $conn->{due} = time() + ($answer->{delay} // 0) unless $answer->{hang};
}


sub send_continue {
    my ($self, $conn) = @_;

    my $length = Approval::Message::head_length(\$conn->{in});

    return if !$length || $conn->{continued};

    if (substr($conn->{in}, 0, $length) =~ /^Expect:\s*100-continue/mi) {
        $conn->{continued} = 1;
        $conn->{out} .= "HTTP/1.1 100 Continue\r\n\r\n";
        $self->write_some($conn);
    }
}


sub record {
    my ($self, $conn, $request) = @_;

    $request->{connection} = $conn->{number};
    $request->{time} = time();

    my $frozen = nfreeze($request);

    # one write, so that a reader sees nothing or all of it

    syswrite($self->{record}, pack('N', length $frozen) . $frozen);
}


sub record_cut {
    my ($self, $conn) = @_;

    return if $conn->{echo} || $conn->{answer};

    my $raw = $conn->{in};
    my $request = Approval::Message->take(\$conn->{in}, head_only => 1)
        or return;

    $request->{body} = $conn->{in};
    $request->{raw} = $raw;
    $request->{complete} = 0;

    $self->record($conn, $request);
}


sub find_answer {
    my ($self, $request) = @_;

    my $answer = $self->{code} && $self->{code}->($request);
    return $answer if $answer;

    my $table = thaw(Approval::Test::slurp($self->answers_file));
    my $path = $request->target =~ s/\?.*//sr;
    my ($key) = grep { $table->{answers}{$_} } $path, '*';

    return $table->{default} unless defined $key;

    my $found = $table->{answers}{$key};
    return $found unless ref $found eq 'ARRAY';

    my $n = $self->{used}{"$table->{version} $key"}++;

    return $found->[ $n < @$found ? $n : -1 ];
}


sub send_answer {
    my ($self, $conn) = @_;

    my ($answer, $request) = delete @$conn{qw(answer request)};

    delete $conn->{due};

    $conn->{out} .= $answer->{upgrade} ? upgrade_text($request)
                                       : answer_text($answer, $request);
    $conn->{echo} = 1 if $answer->{upgrade};
    $conn->{last} = 1 if $answer->{close} || $answer->{no_length}
                         || wants_close($request);

    $self->write_some($conn) or return;
    $self->next_request($conn);
}


sub wants_close {
    my ($request) = @_;

    my $connection = lc($request->header('Connection') // '');

    return $connection eq 'close'
           || $request->version eq 'HTTP/1.0' && $connection ne 'keep-alive';
}


sub write_some {
    my ($self, $conn) = @_;

    while (length $conn->{out}) {
        my $n = syswrite($conn->{sock}, $conn->{out});

        if (!defined $n) {
            return 1 if $!{EAGAIN};
            $self->drop($conn);
            return 0;
        }

        substr($conn->{out}, 0, $n, '');
    }

    return 1 unless $conn->{last};

    $self->drop($conn);
    return 0;
}


sub answer_text {
    my ($answer, $request) = @_;

    my $status = $answer->{status} // 200;
    my $body = $answer->{body} // '';
    my @pieces = ref $body ? @$body : ($body);
    my @headers = @{ $answer->{headers} // [] };

    push @headers, 'X-Accel-Redirect' => $answer->{accel} if $answer->{accel};

    if ($answer->{chunked}) {
        push @headers, 'Transfer-Encoding' => 'chunked';
        @pieces = (map({ sprintf("%x\r\n%s\r\n", length $_, $_) }
                       grep { length } @pieces), "0\r\n\r\n");

    } elsif (!$answer->{no_length} && $status != 204 && $status != 304) {
        push @headers, 'Content-Length' => length join('', @pieces);
    }

    @pieces = () if $request->method eq 'HEAD' || $status == 204
                    || $status == 304;

    return head_text($status, $answer->{reason}, @headers) . join('', @pieces);
}


sub upgrade_text {
    my ($request) = @_;

    my $key = $request->header('Sec-WebSocket-Key');
    my @headers = (Connection => 'upgrade',
                   Upgrade => $request->header('Upgrade') // 'websocket');

    if (defined $key) {
        push @headers, 'Sec-WebSocket-Accept' =>
            sha1_base64("${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11") . '=';
    }

    return head_text(101, undef, @headers);
}


sub head_text {
    my ($status, $reason, @headers) = @_;

    my $text = "HTTP/1.1 $status " . ($reason // $REASON{$status} // 'Status')
               . "\r\n";

    while (my ($name, $value) = splice(@headers, 0, 2)) {
        $text .= "$name: $value\r\n";
    }

    return "$text\r\n";
}


1;
