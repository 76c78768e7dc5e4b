package Approval::Spelling;

# Copyright (C) ngx_http_approval_module contributors
#
# Requests that a policy (Approval::Policies) could concern, spelled oddly.
#
#   my $gen = Approval::Spelling->new(SEED);     an Approval::Policies, too
#   $gen->request(POLICY, HOST [, PREFIX])       `odd` says what is odd about it
#   $gen->respell(REQUEST, HOST...)              a copy with one thing changed
#   Approval::Spelling::bytes(REQUEST, HEADER...)   as a client sends it

use strict;
use warnings;

use parent 'Approval::Policies';

use Encode ();
use MIME::Base64 ();


# each tells what it did

my %REPATH = (
    'double slash' => sub { inside($_[0], $_[1], '/', '//') },
    'slash in front' => sub { "/$_[1]" },
    'host in front' => sub { "//reader.example$_[1]" },
    'host after a backslash' => sub { "/\\reader.example$_[1]" },
    'dot segment' => sub { inside($_[0], $_[1], '/', '/./') },
    'dots' => sub { inside($_[0], $_[1], '/', '/x/../') },
    'encoded dots' => sub { inside($_[0], $_[1], '/', '/x/%2e%2E/') },
    'dots, encoded slash' => sub { inside($_[0], $_[1], '/', '/x/..%2f') },
    'dots, parameter' => sub { inside($_[0], $_[1], '/', '/x/..;a=b/') },
    'parameter, dots' => sub { inside($_[0], $_[1], '/', '/x;a=b/../') },
    'encoded slash' => sub { inside($_[0], $_[1], '/', '%2F') },
    'slash encoded twice' => sub { inside($_[0], $_[1], '/', '%252f') },
    'backslash' => sub { inside($_[0], $_[1], '/', '\\') },
    'encoded backslash' => sub { inside($_[0], $_[1], '/', '%5C') },
    'encoded letter' => sub { letter($_[0], $_[1], '%%%02x') },
    'letter encoded twice' => sub { letter($_[0], $_[1], '%%25%02X') },
    'upper case' => sub { letter($_[0], $_[1], sub { uc $_[0] }) },
    'all upper case' => sub { uc($_[1]) =~ s/(%..)/uc $1/ger },
    'parameter' => sub { inside($_[0], "$_[1]/", '/', ';x=1/') =~ s{/\z}{}r },
    'trailing slash' => sub { "$_[1]/" },
    'trailing space' => sub { "$_[1]%20" },
    'trailing NUL' => sub { "$_[1]%00" },
    'question mark' => sub { "$_[1]%3fa=b" },
    'hash' => sub { "$_[1]#/../../pub/x" },
    'tilde' => sub { "$_[1]%7E" },
    'no UTF-8' => sub { "$_[1]%ff" },
);

my %RENAME = (
    list => sub { "$_[1]\[]" },
    'numbered list' => sub { "$_[1]\[0]" },
    'encoded list' => sub { "$_[1]%5b%5D" },
    'in brackets' => sub { "[$_[1]]" },
    'in brackets twice' => sub { "[[$_[1]]]" },
    'a bracket after it' => sub { "$_[1]]" },
    'a bracket before it' => sub { "]$_[1]" },
    'a bracket for _' => sub { $_[1] =~ tr/_/[/r },
    'a dot for _' => sub { $_[1] =~ tr/_/./r },
    'a space for _' => sub { $_[1] =~ s/_/%20/r },
    'a space before' => sub { "%20$_[1]" },
    'a plus before' => sub { "+$_[1]" },
    'many before' => sub { '+' x 300 . $_[1] },
    'a NUL after' => sub { "$_[1]%00x" },
    'upper case' => sub { uc $_[1] },
    'encoded letter' => sub { letter($_[0], $_[1], '%%%02x') },
    'encoded twice' => sub { letter($_[0], $_[1], '%%25%02x') },
    'behind a semicolon' => sub { "z=1;$_[1]" },
    member => sub { "$_[1]\[x]" },
);

my %REVALUE = (
    'encoded letter' => sub { letter($_[0], $_[1], '%%%02x') },
    'plus sign' => sub { "%2B$_[1]" },
    plus => sub { "+$_[1]" },
    'space before' => sub { "%20$_[1]" },
    'space after' => sub { "$_[1]%20" },
    zero => sub { "0$_[1]" },
    fraction => sub { "$_[1].0" },
    exponent => sub { "$_[1]e0" },
    hex => sub { $_[1] =~ /^\d+$/ ? sprintf('0x%x', $_[1]) : $_[1] },
    underscore => sub { $_[1] =~ s/^(\d)(\d)/$1_$2/r },
    unit => sub { "$_[1]eur" },
    'upper case' => sub { uc $_[1] },
    NUL => sub { "$_[1]%00" },
);


# one of the places where a text has this

sub inside {
    my ($self, $text, $from, $to) = @_;

    my @at;
    push @at, $-[0] while $text =~ /\Q$from/g;
    return $text unless @at;

    substr($text, $self->pick(@at), length $from, $to);

    return $text;
}


sub letter {
    my ($self, $text, $how) = @_;

    my @at;
    while ($text =~ /(%..)|[A-Za-z0-9]/g) {
        push @at, $-[0] unless defined $1;
    }
    return $text unless @at;

    my $at = $self->pick(@at);
    my $c = substr($text, $at, 1);

    substr($text, $at, 1, ref $how ? $how->($c) : sprintf $how, ord $c);

    return $text;
}


sub request {
    my ($self, $policy, $host, $prefix) = @_;

    my $r = { host => $host, prefix => $prefix // '', method => 'GET',
              path => $self->value('$uri'), query => [], headers => [],
              cookies => [], fields => [], odd => [] };

    if (@{ $policy->{rules} }) {
        my $rule = $self->pick(@{ $policy->{rules} });

        for my $cond (@{ $rule->{conds} }) {
            $self->satisfy($r, $cond) if $self->chance(88);
        }

        for my $fact (@{ $rule->{show} }, $rule->{per} // ()) {
            $self->put($r, $fact, $self->value($fact)) if $self->chance(60);
        }
    }

    $self->put($r, $_, $self->value($_))
        for grep { $self->chance(40) } $self->fact;

    $r->{method} = 'POST' if defined $r->{body} && $r->{method} eq 'GET';

    $self->odd($r) for 1 .. $self->pick(0, 1, 1, 1, 1, 2, 2, 3);

    return $r;
}


sub satisfy {
    my ($self, $r, $cond) = @_;

    my ($fact, $pattern) = ($cond->{fact}, $self->pick(@{$cond->{patterns}}));

    my @from = $self->values($fact);
    my @good = grep { Approval::Policies::holds($pattern,
                          [ $_, /^[\d.]+$/ ? $_ : () ], $fact) } @from;

    $self->put($r, $fact, @good ? $self->pick(@good) : $from[0]);
}


sub put {
    my ($self, $r, $fact, $value) = @_;

    if ($fact =~ /uri$/) {
        $r->{path} = $value;

    } elsif ($fact eq '$request_method') {
        $r->{method} = $value;

    } elsif ($fact =~ /^\$arg_(\w+)/) {
        push @{ $r->{query} }, [ $1, $value ];

    } elsif ($fact =~ /^\$http_(\w+)/) {
        push @{ $r->{headers} },
             [ join('-', map { ucfirst } split /_/, $1), $value ];

    } elsif ($fact =~ /^\$cookie_(\w+)/) {
        push @{ $r->{cookies} }, [ $1, $value ];

    } elsif ($fact =~ m{^(form|json):/?(.*)}) {
        $r->{body} //= $1;
        push @{ $r->{fields} }, [ $2, $value ];
    }
}


# one thing is spelled in another way

sub odd {
    my ($self, $r) = @_;

    my @ways = ('odd_path') x 4;

    push @ways, ('odd_pair') x 4 if @{ $r->{query} };
    push @ways, ('odd_header') x 2 if @{ $r->{headers} };
    push @ways, ('odd_cookie') x 3 if @{ $r->{cookies} };
    push @ways, ('odd_body') x 4 if defined $r->{body};
    push @ways, 'odd_host', 'odd_method';

    my $way = $self->pick(@ways);
    my $what = $self->$way($r);

    push @{ $r->{odd} }, "$way: $what";
}


sub odd_path {
    my ($self, $r) = @_;

    my $what = $self->pick(sort keys %REPATH);

    $r->{path} = $REPATH{$what}->($self, $r->{path});

    return $what;
}


# in its place, or beside one that is honest

sub odd_pair {
    my ($self, $r, $pairs) = @_;

    $pairs //= $r->{query};

    my $i = $self->number(scalar @$pairs);
    my ($name, $value) = @{ $pairs->[$i] };
    my ($what, @pair);

    if ($self->chance(60)) {
        my $how = $self->pick(sort keys %RENAME);
        $what = "name, $how";
        @pair = ($RENAME{$how}->($self, $name), $value);

    } else {
        my $how = $self->pick(sort keys %REVALUE);
        $what = "value, $how";
        @pair = ($name, $REVALUE{$how}->($self, $value));
    }

    my $other = $self->value($name);
    my $kind = $self->number(4);

    my @new = $kind < 2 ? [ @pair ]
            : $kind == 2 ? ([ @pair ], [ $name, $other ])
            : ([ $name, $other ], [ $name, $value ]);

    $what = 'twice' if $kind == 3;

    splice(@$pairs, $i, 1, $self->chance(50) ? @new : reverse @new);

    return $what;
}


sub odd_header {
    my ($self, $r) = @_;

    my $i = $self->number(scalar @{ $r->{headers} });
    my ($name, $value) = @{ $r->{headers}[$i] };
    my $other = $self->value($name);

    my %ways = (
        'twice, before' => [ [ $name, $other ], [ $name, $value ] ],
        'twice, after' => [ [ $name, $value ], [ $name, $other ] ],
        'upper case' => [ [ uc $name, $value ] ],
        underscore => [ [ $name =~ tr/-/_/r, $value ] ],
        'underscore, twice' => [ [ $name, $other ],
                                 [ $name =~ tr/-/_/r, $value ] ],
        list => [ [ $name, "$other, $value" ] ],
        'a tab before' => [ [ $name, "\t  $value" ] ],
        'a tab after' => [ [ $name, "$value \t" ] ],
        quoted => [ [ $name, "\"$value\"" ] ],
        value => [ [ $name, "0$value" ] ],
        'value in upper case' => [ [ $name, uc $value ] ],
    );

    my $what = $self->pick(sort keys %ways);

    splice(@{ $r->{headers} }, $i, 1, @{ $ways{$what} });

    return $what;
}


sub odd_cookie {
    my ($self, $r) = @_;

    my $i = $self->number(scalar @{ $r->{cookies} });
    my ($name, $value) = @{ $r->{cookies}[$i] };
    my $other = $self->value($name);

    my %ways = (
        'twice, before' => [ [ $name, $other ], [ $name, $value ] ],
        'twice, after' => [ [ $name, $value ], [ $name, $other ] ],
        quoted => [ [ $name, "\"$value\"" ] ],
        octal => [ [ $name, '"' . ($value =~ s/(.)$/sprintf '\\%03o', ord $1/er)
                            . '"' ] ],
        encoded => [ [ $name, letter($self, $value, '%%%02x') ] ],
        'encoded name' => [ [ letter($self, $name, '%%%02x'), $value ] ],
        'upper case' => [ [ uc $name, $value ] ],
        list => [ [ "$name\[]", $value ] ],
        json => [ [ $name, "j:\"$value\"" ] ],
        backslash => [ [ $name, '"\\' . $value . '"' ] ],
        'a tab' => [ [ "$name\t", "\t$value" ] ],
        'behind a comma' => [ [ 'z', "1, $name=$value" ] ],
        spaces => [ [ " $name ", " $value" ] ],
    );

    my $what = $self->pick(sort keys %ways);

    splice(@{ $r->{cookies} }, $i, 1, @{ $ways{$what} });

    $r->{two_cookies} = $self->chance(30);

    return $what;
}


sub odd_host {
    my ($self, $r) = @_;

    my %ways = (
        'upper case' => sub { $r->{host} = uc $r->{host} },
        port => sub { $r->{host} .= ':80' },
        dot => sub { $r->{host} .= '.' },
        absolute => sub { $r->{absolute} = $r->{host} },
        'absolute, port' => sub { $r->{absolute} = "$r->{host}:80" },
        'absolute, another Host' => sub { $r->{absolute} = $r->{host};
                                          $r->{host} = 'other.example' },
        'X-Forwarded-Host' => sub { push @{ $r->{headers} },
                            [ 'X-Forwarded-Host' => 'other.example' ] },
    );

    my $what = $self->pick(sort keys %ways);

    $ways{$what}->();

    return $what;
}


sub odd_method {
    my ($self, $r) = @_;

    my $header = $self->pick(qw(X-HTTP-Method-Override X-HTTP-Method
                                X-Method-Override X-Original-URL
                                X-Rewrite-URL _method));

    if ($header eq '_method') {
        push @{ $r->{query} }, [ $header, $r->{method} ];
        $r->{method} = 'POST';

    } elsif ($header =~ /URL/) {
        push @{ $r->{headers} }, [ $header, $r->{path} ];
        $r->{path} = '/pub/x';

    } else {
        push @{ $r->{headers} }, [ $header, $r->{method} ];
        $r->{method} = 'POST';
    }

    return $header;
}


sub odd_body {
    my ($self, $r) = @_;

    if (@{ $r->{fields} } && $self->chance(60)) {
        return 'field, ' . $self->odd_pair($r, $r->{fields})
            if $r->{body} eq 'form';
        return 'member, ' . $self->odd_member($r) if $r->{body} eq 'json';
    }

    my %other = (form => 'json', json => 'form');

    my %ways = (
        'the type of the other' => sub {
            $r->{type} = $other{ $r->{body} } // 'json' },
        multipart => sub { $r->{body} = 'multipart' },
        'no type' => sub { $r->{type} = 'none' },
        text => sub { $r->{type} = 'text' },
        vendor => sub { $r->{type} = 'vendor' },
        'two types' => sub { $r->{types} = 1 },
        'upper case' => sub { $r->{type} = 'upper' },
        BOM => sub { $r->{before} = "\xef\xbb\xbf" },
        array => sub { $r->{around} = [ '[', ']' ] },
        'utf-16' => sub { $r->{charset} = 'utf-16le' },
        'utf-16 unsaid' => sub { $r->{encode} = 1 },
        'utf-7' => sub { $r->{charset} = 'utf-7' },
        'iso-8859-1' => sub { $r->{charset} = 'ISO-8859-1' },
        'us-ascii' => sub { $r->{charset} = 'US-ASCII' },
        cp037 => sub { $r->{charset} = 'cp037' },
        chunked => sub { $r->{chunked} = 1 },
    );

    my $what = $self->pick(sort keys %ways);

    $ways{$what}->();

    return $what;
}


sub odd_member {
    my ($self, $r) = @_;

    my $i = $self->number(scalar @{ $r->{fields} });
    my ($name, $value) = @{ $r->{fields}[$i] };
    my $other = $self->value($name);

    $value = $$value if ref $value;

    my $number = $value =~ /^\d+$/ ? $value : 7;

    my %ways = (
        'twice, before' => [ [ $name, $other ], [ $name, $value ] ],
        'twice, after' => [ [ $name, $value ], [ $name, $other ] ],
        'upper case' => [ [ uc $name, $value ] ],
        'upper case, twice' => [ [ $name, $other ], [ uc $name, $value ] ],
        'escaped name, twice' => [ [ $name, $other ],
            [ $name =~ s/(\w)$/sprintf '\\u%04x', ord $1/er, $value ] ],
        'escaped value' => [ [ $name,
            $value =~ s/(\w)$/sprintf '\\u%04x', ord $1/er ] ],
        array => [ [ $name, \"[\"$value\"]" ] ],
        object => [ [ $name, \"{\"x\":\"$value\"}" ] ],
        true => [ [ $name, \'true' ] ],
        null => [ [ $name, \'null' ] ],
        number => [ [ $name, \$number ] ],
        'number in an array' => [ [ $name, \"[$number]" ] ],
        exponent => [ [ $name, \"${number}e0" ] ],
        plus => [ [ $name, "+$value" ] ],
        space => [ [ $name, " $value" ] ],
        hex => [ [ $name, sprintf '0x%x', $number ] ],
        underscore => [ [ $name, $value =~ s/^(\d)(\d)/$1_$2/r ] ],
        zero => [ [ $name, "0$value" ] ],
        'value in upper case' => [ [ $name, uc $value ] ],
        __proto__ => [ [ '__proto__', \"{\"$name\":\"$value\"}" ] ],
    );

    my $what = $self->pick(sort keys %ways);

    splice(@{ $r->{fields} }, $i, 1, @{ $ways{$what} });

    return $what;
}


# one change that an honest client does not make to its own retry

sub respell {
    my ($self, $r, @hosts) = @_;

    my $copy = { %$r, map { $_ => [ map { [ @$_ ] } @{ $r->{$_} } ] }
                          qw(query headers cookies fields) };

    $copy->{odd} = [ @{ $r->{odd} } ];

    my $kind = $self->number(10);

    if ($kind == 0 && @hosts) {
        $copy->{host} = $self->pick(@hosts);
        push @{ $copy->{odd} }, "then at $copy->{host}";

    } elsif ($kind < 6) {
        my @pairs = map { @{ $copy->{$_} } } qw(query headers cookies fields);
        my $pair = @pairs ? $self->pick(@pairs) : [ 'amount', 0 ];

        push @{ $copy->{query} }, $pair unless @pairs;

        $pair->[1] = $self->value($pair->[0]);
        push @{ $copy->{odd} }, "then $pair->[0]=$pair->[1]";

    } elsif ($kind == 6) {
        $copy->{method} = $self->value('$request_method');
        push @{ $copy->{odd} }, "then $copy->{method}";

    } else {
        push @{ $copy->{odd} }, 'then';
        $self->odd($copy);
    }

    return $copy;
}


# as bytes

sub bytes {
    my ($r, @more) = @_;

    my $target = $r->{prefix} . $r->{path};

    $target = "http://$r->{absolute}$target" if defined $r->{absolute};
    $target .= '?' . form_text($r->{query}) if @{ $r->{query} };

    my ($body, @types) = body($r);
    my @cookies = map { join '=', @$_ } @{ $r->{cookies} };

    @cookies = join '; ', @cookies if @cookies && !$r->{two_cookies};

    my @headers = ([ Host => $r->{host} ],
                   (map { [ 'Content-Type' => $_ ] } @types),
                   (map { [ Cookie => $_ ] } @cookies), @{ $r->{headers} },
                   @more, [ Connection => 'close' ]);

    if (defined $body && $r->{chunked}) {
        push @headers, [ 'Transfer-Encoding' => 'chunked' ];
        $body = (length $body ? sprintf("%x\r\n%s\r\n", length $body, $body)
                              : '') . "0\r\n\r\n";

    } elsif (defined $body) {
        push @headers, [ 'Content-Length' => length $body ];
    }

    return "$r->{method} $target HTTP/1.1\r\n"
           . join('', map { "$_->[0]: $_->[1]\r\n" } @headers) . "\r\n"
           . ($body // '');
}


sub form_text {
    my ($pairs) = @_;

    return join '&', map { "$_->[0]=" . (ref $_->[1] ? ${ $_->[1] } : $_->[1]) }
                         @$pairs;
}


sub body {
    my ($r) = @_;

    my $kind = $r->{body} // return;

    my %type = (form => 'application/x-www-form-urlencoded',
                json => 'application/json', none => undef,
                text => 'text/plain', vendor => 'application/vnd.x+json',
                upper => $kind eq 'json' ? 'Application/JSON'
                         : 'APPLICATION/X-WWW-Form-Urlencoded',
                multipart => 'multipart/form-data; boundary=part');

    my $body = $kind eq 'json' ? json_text($r->{fields})
             : $kind eq 'multipart' ? multipart_text($r->{fields})
             : form_text($r->{fields});

    $body = join $body, @{ $r->{around} } if $r->{around} && $kind eq 'json';
    $body = ($r->{before} // '') . $body;

    my $charset = $r->{charset} // '';

    $body = Encode::encode('cp37', $body) if $charset eq 'cp037';
    $body =~ s/(.)/$1\0/gs if $charset eq 'utf-16le' || $r->{encode};
    $body =~ s/([{}"=&])/'+' . utf7($1) . '-'/ge if $charset eq 'utf-7';

    my $type = $type{ $r->{type} // $kind };

    $type .= "; charset=$charset" if defined $type && length $charset;

    return ($body, $type // (), $r->{types} ? 'text/plain' : ());
}


sub utf7 { MIME::Base64::encode_base64("\0$_[0]", '') =~ s/=+\z//r }


sub json_text {
    my ($fields) = @_;

    my @members;

    for my $field (@$fields) {
        my ($name, $value) = @$field;
        my $text = ref $value ? $$value : "\"$value\"";

        $name =~ m{^(\w+)/(.*)}s ? push @members, "\"$1\":{\"$2\":$text}"
                                 : push @members, "\"$name\":$text";
    }

    return '{' . join(',', @members) . '}';
}


sub multipart_text {
    my ($fields) = @_;

    return join('', map { "--part\r\nContent-Disposition: form-data; "
                          . "name=\"$_->[0]\"\r\n\r\n"
                          . (ref $_->[1] ? ${ $_->[1] } : $_->[1]) . "\r\n" }
                        @$fields) . "--part--\r\n";
}


1;
