package AuditJson;

# Copyright (C) ngx_http_approval_module contributors
#
# Canonical JSON for the second verifier: what is not canonical does not come
# out as it went in.
#
# JSON: strings are decoded, numbers are references to their text, null is
# undef, true and false are references to references

use strict;
use warnings;

use Encode ();
use Exporter qw(import);

our @EXPORT_OK = qw(parse canonical);

my $depth;


sub parse {
    my ($text) = @_;

    my $string = eval { Encode::decode('UTF-8', $text, Encode::FB_CROAK) };
    die 'UTF-8' unless defined $string;

    $depth = 0;

    my $value = parse_value(\$string);
    die 'trailing' unless $string =~ /\G\z/gc;

    return $value;
}


sub parse_value {
    my ($s) = @_;

    return parse_string($s) if $$s =~ /\G"/gc;

    if ($$s =~ /\G\{/gc) {
        my %object;
        die 'depth' if ++$depth > 64;
        return close_value(\%object) if $$s =~ /\G\}/gc;

        do {
            $$s =~ /\G"/gc or die 'name';
            my $name = parse_string($s);
            die 'twice' if exists $object{$name};
            $$s =~ /\G:/gc or die 'colon';
            $object{$name} = parse_value($s);
        } while ($$s =~ /\G,/gc);

        $$s =~ /\G\}/gc or die 'object';
        return close_value(\%object);
    }

    if ($$s =~ /\G\[/gc) {
        my @array;
        die 'depth' if ++$depth > 64;
        return close_value(\@array) if $$s =~ /\G\]/gc;

        do { push @array, parse_value($s) } while ($$s =~ /\G,/gc);

        $$s =~ /\G\]/gc or die 'array';
        return close_value(\@array);
    }

    if ($$s =~ /\G(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]\d+)?)/gc) {
        my $number = $1;
        die 'number' if $number ne number($number);
        return \$number;
    }

    return undef if $$s =~ /\Gnull/gc;
    return \\1 if $$s =~ /\Gtrue/gc;
    return \\0 if $$s =~ /\Gfalse/gc;

    die 'value';
}


sub close_value { $depth--; return $_[0] }


# as ECMAScript writes it; an integer of 64 bits, in all its digits

sub number {
    my ($text) = @_;

    if ($text =~ /^(-?)(\d+)\z/) {
        my $most = $1 ? '9223372036854775808' : '9223372036854775807';

        return length $2 < 19 || (length $2 == 19 && $2 le $most)
               ? ($text eq '-0' ? '0' : $text) : '';
    }

    my $value = $text + 0;

    return '' if $value - $value != 0;

    my ($shortest) = grep { $_ == $value } map { sprintf("%.${_}e", $value) }
                                               0 .. 16;
    my ($sign, $digits, $n) = $shortest =~ /^(-?)(\d(?:\.\d+)?)e(.*)\z/;

    $digits =~ tr/.//d;
    $digits =~ s/0+\z//;
    $n++;

    my $k = length $digits;

    return '0' if $k == 0;
    return $sign . $digits . '0' x ($n - $k) if $k <= $n && $n <= 21;
    return $sign . substr($digits, 0, $n) . '.' . substr($digits, $n)
        if $n > 0 && $n <= 21;
    return "${sign}0." . '0' x -$n . $digits if $n > -6 && $n <= 0;

    $digits =~ s/^(.)(.+)/$1.$2/;

    return sprintf('%s%se%+d', $sign, $digits, $n - 1);
}


my %UNESCAPE = (b => "\b", t => "\t", n => "\n", f => "\f", r => "\r",
                '"' => '"', '\\' => '\\');
my %ESCAPE = map { $UNESCAPE{$_} => "\\$_" } keys %UNESCAPE;


sub parse_string {
    my ($s) = @_;

    $$s =~ /\G((?:[^"\\\x00-\x1f]|\\(?:[btnfr"\\]|u00[01][0-9a-f]))*)"/gc
        or die 'string';

    my $string = $1;
    die 'NUL' if $string =~ /(?<!\\)(?:\\\\)*\\u0000/;
    $string =~ s/\\(?:u(....)|(.))/defined $1 ? chr(hex $1) : $UNESCAPE{$2}/ge;

    return $string;
}


sub canonical {
    my ($value) = @_;

    return Encode::encode('UTF-8', write_value($value));
}


sub utf16 { Encode::encode('UTF-16BE', $_[0]) }


sub write_value {
    my ($value) = @_;

    return 'null' unless defined $value;

    if (ref $value eq 'HASH') {
        return '{' . join(',', map { write_string($_) . ':'
                                     . write_value($value->{$_}) }
                          sort { utf16($a) cmp utf16($b) } keys %$value) . '}';
    }

    return '[' . join(',', map { write_value($_) } @$value) . ']'
        if ref $value eq 'ARRAY';
    return $$value if ref $value eq 'SCALAR';
    return $$$value ? 'true' : 'false' if ref $value;

    return write_string($value);
}


sub write_string {
    my ($string) = @_;

    $string =~ s{([\x00-\x1f"\\])}
                {$ESCAPE{$1} // sprintf('\\u%04x', ord $1)}ge;

    return "\"$string\"";
}


1;
