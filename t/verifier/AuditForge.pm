package AuditForge;

# Copyright (C) ngx_http_approval_module contributors
#
# Writes what the verifiers are to find: records whose hashes hold, chains and
# checkpoints anew, votes and decisions, with keys that the openssl program
# signs with.
#
#   rehash(RECORD)                 with the hash that it has now
#   rechain(KEY | undef, RECORDS)  numbered, chained, and with a key signed
#   jws(KEY, TOKEN, %claims)       with other claims; undef: without
#   line(RECORD) copy(RECORD)

use strict;
use warnings;

use AuditVerifier;
use Digest::SHA qw(sha256 sha256_hex);
use Exporter qw(import);
use File::Temp ();
use MIME::Base64 qw(encode_base64 encode_base64url decode_base64url);

our @EXPORT = qw(copy line rehash rechain jws);

my $dir = File::Temp->newdir;


sub copy {
    my ($value) = @_;

    return { map { $_ => copy($value->{$_}) } keys %$value }
        if ref $value eq 'HASH';
    return [ map { copy($_) } @$value ] if ref $value eq 'ARRAY';
    return $value;
}


sub line { return AuditVerifier::canonical($_[0]) . "\n" }


sub rehash {
    my ($r) = @_;

    my %rest = %$r;
    delete $rest{hash};
    $r->{hash} = sha256_hex("approval-record-v1\n"
                            . AuditVerifier::canonical(\%rest));

    return $r;
}


# Ed25519 has one signature for a text

my %signed;

sub sign {
    my ($with, $text) = @_;

    return $signed{"$with $text"} //= do {
        open(my $out, '>:raw', "$dir/text") or die $!;
        print $out $text;
        close($out) or die $!;
        system("openssl pkeyutl -sign -inkey $with -rawin -in $dir/text "
               . "-out $dir/sig") == 0 or die 'openssl';
        open(my $in, '<:raw', "$dir/sig") or die $!;
        local $/;
        scalar <$in>;
    };
}


# the chains anew; with a key their checkpoints, too, else these stay; what a
# checkpoint, or a "continue", is to lie about stands in its record

sub rechain {
    my ($with, @new) = @_;

    my (%seq, %prev, %leaves, %map, @out);

    for my $old (@new) {
        my $r = copy($old);
        my $w = $r->{writer};
        my $seq = ++$seq{$w};

        my $lie = delete $r->{lie} // '';

        @{$r}{qw(seq prev)} = (\"$seq", $prev{$w} // '0' x 64);

        if ($r->{type} eq 'continue') {
            $r->{previous} = $lie eq 'previous' ? "$w/1/" . '0' x 32
                : "$w/" . ($seq - 1) . '/' . substr($r->{prev}, 0, 32);
            $r->{tree} = $lie eq 'tree' ? '0' x 64
                : AuditVerifier::nodes(@{ $leaves{$w} // [] });
            delete $r->{tree} if $lie eq 'no tree';
        }

        $r->{checkpoint} = resign($with, $r, $leaves{$w} // [], \%map, $lie)
            if $with && $r->{type} eq 'checkpoint';

        rehash($r);
        $map{"$w $old->{hash}"} = "$seq $r->{hash}";
        $prev{$w} = $r->{hash};
        push @{ $leaves{$w} }, sha256("\x00" . pack('H*', $r->{hash}));
        push @out, $r;
    }

    return @out;
}


sub resign {
    my ($with, $r, $leaves, $map, $lie) = @_;

    my $w = $r->{writer};
    my $size = @$leaves - ($lie eq 'size');
    my @rest = @$leaves[ ($lie eq 'root' ? 1 : 0) .. $#$leaves ];
    my $root = encode_base64(AuditVerifier::root(@rest), '');
    my $head = $lie eq 'head' ? '0' x 64 : $r->{prev};
    my ($time) = $r->{checkpoint} =~ /^(time .*)$/m;
    my $text = "approval-audit/$w\n$size\n$root\n$time\nhead $head\n";

    for my $peer ($r->{checkpoint} =~ /^(peer .*)$/mg) {
        my (undef, $writer, $seq, $hash) = split(/ /, $peer);

        $hash = '0' x 64 if $lie eq 'peer';
        $text .= "peer $writer "
            . ($map->{"$writer $hash"} // "$seq $hash") . "\n";
    }

    my $id = substr(sha256("approval-audit/$w\n\x01" . public_of($with)), 0, 4);

    return "$text\n\x{2014} approval-audit/$w "
        . encode_base64($id . sign($with, $text), '') . "\n";
}


my %raw;

sub public_of {
    my ($with) = @_;

    return $raw{$with} //=
        substr(`openssl pkey -in $with -pubout -outform DER`, -32);
}


sub jws {
    my ($with, $token, %change) = @_;

    my ($head, $claims) = split(/\./, $token);
    my $new = AuditVerifier::parse(decode_base64url($claims));

    for my $name (keys %change) {
        $new->{$name} = $change{$name};
        delete $new->{$name} unless defined $change{$name};
    }

    my $text = "$head." . encode_base64url(AuditVerifier::canonical($new));

    return "$text." . encode_base64url(sign($with, $text));
}


1;
