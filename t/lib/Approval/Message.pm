package Approval::Message;

# Copyright (C) ngx_http_approval_module contributors
#
# One HTTP request or response, as it was on the wire.
#
#   ->method ->target ->version         of a request
#   ->status ->reason ->version         of a response
#   ->header(NAME)                      the first value, or undef
#   ->headers(NAME)                     all values; without NAME: [name, value]
#   ->body ->json                       bytes, decoded from chunks; parsed JSON
#   ->trailers                          [name, value] after the last chunk
#   ->raw                               head and body as received
#   ->complete                          0: the connection ended before its end
#   ->interim                           status codes of 1xx responses before it
#
# Parsing:
#
#   my $m = Approval::Message->take(\$buffer, %how);
#
# removes one whole message from the buffer and returns it, or undef as long
# as more bytes are needed.  how: head_only, response_to => METHOD, eof => 1.

use strict;
use warnings;

use JSON::PP ();


for my $name (qw(method target version status reason body raw complete
                 interim trailers))
{
    no strict 'refs';
    *$name = sub { $_[0]{$name} };
}


sub new {
    my ($class, %self) = @_;

    return bless { headers => [], trailers => [], interim => [], body => '',
                   raw => '', complete => 1, %self }, $class;
}


sub headers {
    my ($self, $name) = @_;

    return @{ $self->{headers} } unless defined $name;

    return map { $_->[1] }
           grep { lc($_->[0]) eq lc($name) } @{ $self->{headers} };
}


sub header {
    my ($self, $name) = @_;

    return ($self->headers($name))[0];
}


sub json {
    my ($self) = @_;

    return JSON::PP->new->utf8->allow_nonref->decode($self->{body});
}


# the length of the head with its empty line, or 0

sub head_length {
    my ($buffer) = @_;

    return $$buffer =~ /\r?\n\r?\n/ ? $+[0] : 0;
}


sub parse_head {
    my ($class, $head) = @_;

    my ($start, @lines) = split /\r?\n/, $head;
    my $self = $class->new(raw => $head);

    if ($start =~ m{^(HTTP/[\d.]+)\s+(\d{3})\s?(.*)$}s) {
        @$self{qw(version status reason)} = ($1, $2, $3);

    } else {
        @$self{qw(method target version)} = split / /, $start, 3;
    }

    $self->{headers} = [ map { parse_line($_) } @lines ];

    return $self;
}


sub parse_line {
    my ($line) = @_;

    return $line =~ /^([^:]*):[ \t]*(.*?)[ \t]*$/s ? [ $1, $2 ] : ();
}


sub take {
    my ($class, $buffer, %how) = @_;

    my $length = head_length($buffer) or return undef;
    my $self = $class->parse_head(substr($$buffer, 0, $length));

    my $used = $how{head_only} ? 0
               : $self->take_body(substr($$buffer, $length), %how);
    return undef unless defined $used;

    $self->{raw} .= substr($$buffer, $length, $used);
    substr($$buffer, 0, $length + $used, '');

    return $self;
}


# how many bytes of the rest are this message's body; undef: not all there

sub take_body {
    my ($self, $rest, %how) = @_;

    return 0 if $self->has_no_body($how{response_to});

    if (lc($self->header('Transfer-Encoding') // '') eq 'chunked') {
        return $self->take_chunks($rest);
    }

    my $want = $self->header('Content-Length');

    if (defined $want) {
        return undef if length($rest) < $want;

        $self->{body} = substr($rest, 0, $want);
        return $want;
    }

    return 0 if defined $self->{method};
    return undef unless $how{eof};

    $self->{body} = $rest;
    return length($rest);
}


sub has_no_body {
    my ($self, $method) = @_;

    return 0 unless defined $self->{status};

    return $self->{status} < 200 || $self->{status} == 204
           || $self->{status} == 304 || ($method // '') eq 'HEAD';
}


sub take_chunks {
    my ($self, $rest) = @_;

    my ($at, $body) = (0, '');

    for ( ;; ) {
        my $end = index($rest, "\r\n", $at);
        return undef if $end < 0;

        my $size = hex(substr($rest, $at, $end - $at) =~ s/;.*//sr);
        $at = $end + 2;

        last if $size == 0;
        return undef if length($rest) < $at + $size + 2;

        $body .= substr($rest, $at, $size);
        $at += $size + 2;
    }

    for ( ;; ) {
        my $end = index($rest, "\r\n", $at);
        return undef if $end < 0;

        my $line = substr($rest, $at, $end - $at);
        $at = $end + 2;

        last if $line eq '';
        push @{ $self->{trailers} }, parse_line($line);
    }

    $self->{body} = $body;

    return $at;
}


1;
