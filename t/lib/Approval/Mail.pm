package Approval::Mail;

# Copyright (C) ngx_http_approval_module contributors
#
# A received mail, read by the RFCs and not by how the module writes it.
#
#   my $mail = Approval::Mail->read(FILE);
#   ->raw
#   ->header(NAME)      the value, unfolded; dies if there are several
#   ->headers           the names, in lower case, in order
#   ->subject           decoded, characters
#   ->text ->html       the parts of multipart/alternative, characters
#   ->to                the envelope's recipient
#   ->time ->arrived    of Date, and of the file; seconds

use strict;
use warnings;

use Encode qw(decode);
use MIME::QuotedPrint qw(decode_qp);
use Time::Local qw(timegm);


sub read {
    my ($class, $file) = @_;

    my $raw = Approval::Test::slurp($file);
    my ($head, $body) = split(/\n\n/, $raw, 2);
    my $self = bless { raw => $raw, body => $body,
                       arrived => (stat $file)[9] }, $class;

    $head =~ s/\n[ \t]+/ /g;

    for my $line (split(/\n/, $head)) {
        my ($name, $value) = $line =~ /^([!-9;-~]+):\s*(.*)$/
            or die "no header line: $line";

        push @{ $self->{names} }, lc $name;
        push @{ $self->{head}{lc $name} }, $value;
    }

    return $self;
}


sub raw { $_[0]{raw} }

sub arrived { $_[0]{arrived} }

sub headers { @{ $_[0]{names} } }


sub header {
    my ($self, $name) = @_;

    my @values = @{ $self->{head}{lc $name} // [] };

    die "$name: @values" if @values > 1;

    return $values[0];
}


sub to { $_[0]->header('Envelope-to') }


sub subject { decode('MIME-Header', $_[0]->header('Subject')) }


sub time {
    my ($self) = @_;

    my %month = map { (qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec))[$_]
                      => $_ } 0 .. 11;
    my ($day, $month, $year, $h, $m, $s) = ($self->header('Date') // '')
        =~ /^\w{3}, (\d\d?) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) \+0000$/
        or return 0;

    return timegm($s, $m, $h, $day, $month{$month}, $year);
}


sub text { $_[0]->part('text/plain') }

sub html { $_[0]->part('text/html') }


sub part {
    my ($self, $type) = @_;

    my ($boundary) = ($self->header('Content-Type') // '')
        =~ m{^multipart/alternative; boundary="([^"]+)"$}
        or die 'not multipart/alternative';

    for my $part (split(/^--\Q$boundary\E(?:--)?\n/m, $self->{body})) {
        my ($head, $text) = split(/\n\n/, $part, 2);

        next unless defined $text && $head =~ m{^Content-Type: \Q$type\E; charset=utf-8$}m;

        die 'not quoted-printable'
            unless $head =~ /^Content-Transfer-Encoding: quoted-printable$/m;

        return decode('UTF-8', decode_qp($text), Encode::FB_CROAK());
    }

    return undef;
}


1;
