package AuditVerifier;

# Copyright (C) ngx_http_approval_module contributors
#
# A second verifier of the audit trail, written from docs/audit.md and nothing
# else, to be compared with approval-audit: core Perl, and the openssl program
# for Ed25519.  It keeps the whole log in memory.
#
#   my ($code, @findings) = AuditVerifier->new(keys => ['signing.pub'])
#       ->verify(files => ['audit.jsonl'], heads => ['heads']);

use strict;
use warnings;

use Digest::SHA qw(sha256 sha256_hex);
use Encode ();
use File::Temp ();
use MIME::Base64 qw(decode_base64 encode_base64 decode_base64url
                    encode_base64url);
use Time::Local qw(timegm);

use AuditJson qw(parse canonical);

my $HEX32 = qr/[0-9a-f]{32}/;
my $HEX64 = qr/[0-9a-f]{64}/;
my $TIME = qr/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/;
my $DASH = "\xe2\x80\x94";

my (%parsed, %verified);


sub new {
    my ($class, %arg) = @_;

    my $self = bless { keys => [] }, $class;

    for my $file (@{ $arg{keys} }) {
        my $der = `openssl pkey -pubin -in '$file' -outform DER`;
        die "$file: no key" unless length($der) == 44;

        my $raw = substr($der, -32);
        my $jwk = '{"crv":"Ed25519","kty":"OKP","x":"'
            . encode_base64url($raw) . '"}';

        push @{ $self->{keys} }, { file => $file, raw => $raw,
                                   kid => encode_base64url(sha256($jwk)) };
    }

    return $self;
}


sub found {
    my ($self, $level, $where, $why) = @_;

    push @{ $self->{findings} }, [ $level, $where, $why ];
}


sub tampered { $_[0]->found(1, $_[1], $_[2]) }

sub incomplete { $_[0]->found(2, $_[1], $_[2]) }

sub unauthenticated { $_[0]->found(2, $_[1], "unauthenticated: $_[2]") }


sub verify {
    my ($self, %arg) = @_;

    $self->{$_} = {} for qw(writers actions known);
    $self->{findings} = [];
    $self->{$_} = 0 for qw(torn torn_told partial n);
    $self->{freezes} = [];

    $self->heads($_) for @{ $arg{heads} // [] };

    my @records = map { $self->read_file($_) } @{ $arg{files} };

    $self->chain(@$_) for @records;
    $self->ends;
    $self->bounds;
    $self->judge($_) for values %{ $self->{actions} };

    my %levels = map { $_->[0] => 1 } @{ $self->{findings} };
    my $code = $levels{1} ? 1 : $levels{2} || !@records ? 2 : 0;

    return ($code, @{ $self->{findings} });
}


# lines: 1 and 2

sub read_file {
    my ($self, $file) = @_;

    open(my $fh, '<:raw', $file) or die "$file: $!";
    local $/ = "\n";

    my @records;

    while (my $line = <$fh>) {
        my $where = "$file:$.";

        if ($line !~ s/\n\z//) {
            $self->incomplete($where, 'the last line has no end');
            last;
        }

        my $record = $self->read_line($where, $line);
        push @records, [ $where, $record ] if $record;
    }

    return @records;
}


sub read_line {
    my ($self, $where, $line) = @_;

    my $record = record($line);
    return $record if $record;

    for (my $i = 1; ($i = index($line, '{"', $i)) > 0; $i++) {
        $record = record(substr($line, $i)) or next;
        $self->torn($where, substr($line, 0, $i), 0);
        return $record;
    }

    $self->torn($where, $line, 1);

    return undef;
}


sub torn {
    my ($self, $where, $text, $whole) = @_;

    if (($whole && $text eq '') || $text =~ /^\{(?:.*[^}])?\z/s) {
        $self->{torn}++;

    } else {
        $self->tampered($where, 'not a record');
    }
}


# a record: canonical JSON whose hash holds

sub record {
    my ($line) = @_;

    return $parsed{$line} if exists $parsed{$line};

    my $record = eval { parse($line) };

    $record = undef
        unless ref $record eq 'HASH'
        && ($record->{hash} // '') =~ /^$HEX64\z/
        && ($record->{prev} // '') =~ /^$HEX64\z/
        && ($record->{writer} // '') =~ /^$HEX32\z/
        && ref $record->{seq} eq 'SCALAR' && ${ $record->{seq} } =~ /^[1-9]\d*\z/
        && canonical($record) eq $line;

    if ($record) {
        my %rest = %$record;
        delete $rest{hash};

        $record = undef unless $record->{hash}
            eq sha256_hex("approval-record-v1\n" . canonical(\%rest));
    }

    return $parsed{$line} = $record;
}


# chains: 3 to 9

sub writer {
    my ($self, $id) = @_;

    return $self->{writers}{$id} //= { id => $id, seq => 0, covered => 0,
                                       prev => '0' x 64, hashes => {},
                                       leaves => [] };
}


sub is_time {
    my ($y, $m, $d, $hour, $min, $sec)
        = $_[0] =~ /\A(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.\d{3}Z\z/
        or return 0;

    my $leap = $y % 4 == 0 && $y % 100 || $y % 400 == 0;
    my @days = (31, $leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31);

    return $m >= 1 && $m <= 12 && $d >= 1 && $d <= $days[$m - 1]
        && $hour < 24 && $min < 60 && $sec < 60;
}


sub chain {
    my ($self, $where, $r) = @_;

    my $w = $self->writer($r->{writer});
    my $seq = ${ $r->{seq} };
    my $type = $r->{type};

    if (ref $type || !defined $type || ref $r->{time} || !defined $r->{time}
        || !is_time($r->{time})
        || !exists $r->{action_id}
        || (defined $r->{action_id}
            && (ref $r->{action_id} || $r->{action_id} !~ /^$HEX32\z/)))
    {
        $self->tampered($where, 'members are missing');
        $type = '' if ref $type || !defined $type;
    }

    my $follows = 1;

    if ($w->{seq} == 0 && $seq != 1) {
        $self->incomplete($where, "the begin of $w->{id} is missing");
        $w->{partial} = $self->{partial} = 1;
        $follows = 0;

    } elsif ($w->{seq} && $seq <= $w->{seq}) {
        $self->tampered($where, "$seq of $w->{id} after $w->{seq}");
        return;

    } elsif ($seq != $w->{seq} + 1) {
        $self->tampered($where, "gap before $seq of $w->{id}");
        $w->{partial} = 1;
        $follows = 0;
    }

    $self->tampered($where, 'not "open"') if $seq == 1 && $type ne 'open';
    $self->tampered($where, "$w->{id} begins again")
        if $w->{seq} && $follows && $type eq 'open';
    $self->tampered($where, "$seq of $w->{id}: prev")
        if $follows && $r->{prev} ne $w->{prev};
    $self->tampered($where, 'after "close"')
        if $w->{closed} && $follows && $type ne 'checkpoint';

    $self->tampered($where, "$w->{id} goes on from elsewhere")
        if $type eq 'continue' && !continues($w, $r);

    my $note = $type eq 'checkpoint' ? $self->checkpoint($where, $w, $r)
                                     : undef;

    @{$w}{qw(seq prev where last)} = ($seq, $r->{hash}, $where, $type);
    $w->{hashes}{$seq} = $r->{hash};
    $w->{closed} = 1 if $type eq 'close';
    $self->incomplete($where, "$w->{id} lost records")
        if $type eq 'close' && ref $r->{lost} eq 'SCALAR'
        && ${ $r->{lost} } =~ /^[1-9]\d*\z/;
    $w->{kid} = is_text($r->{key}) ? $r->{key} : '' if $type eq 'open';
    push @{ $w->{leaves} }, sha256("\x00" . pack('H*', $r->{hash}));

    if ($note) {
        $w->{covered} = $seq;
        push @{ $self->{known}{ $_->[0] } }, [ @$_[1, 2], $where ]
            for @{ $note->{peers} };
    }

    my $why = $r->{why};

    $self->{torn_told} += ${ $r->{torn} }
        if $type eq 'fault' && defined $why && !ref $why
        && $why eq 'the audit trail could not be written'
        && ref $r->{torn} eq 'SCALAR';

    $self->config($r) if $type eq 'config';

    if (defined $r->{action_id}) {
        $self->action($where, $r, $type);

    } elsif ($type =~ /^(?:requested|voted|approved|executed|denied|failed
                         |expired|cancelled)\z/x
             && !($type eq 'requested' && ($r->{mode} // '') eq 'shadow'))
    {
        $self->tampered($where, "$type without an action");
    }
}


# where the chain goes on from, and the nodes of its tree, the smallest first

sub continues {
    my ($w, $r) = @_;

    my $n = ${ $r->{seq} } - 1;

    return 0 unless is_text($r->{tree}) && text($r, 'previous',
        "$w->{id}/$n/" . substr($r->{prev}, 0, 32));
    return 1 if $r->{tree} eq '' || $w->{partial} || @{ $w->{leaves} } != $n;

    return $r->{tree} eq nodes(@{ $w->{leaves} });
}


sub nodes {
    my (@leaves) = @_;

    my $n = @leaves;
    my @nodes;

    for (my $size = 1; $size <= $n; $size *= 2) {
        push @nodes, unpack('H*', root(splice(@leaves, -$size)))
            if $n & $size;
    }

    return join(' ', @nodes);
}


sub root {
    my (@leaves) = @_;

    return sha256('') unless @leaves;
    return $leaves[0] if @leaves == 1;

    my $k = 1;
    $k *= 2 while 2 * $k < @leaves;

    my @right = splice(@leaves, $k);

    return sha256("\x01" . root(@leaves) . root(@right));
}


sub checkpoint {
    my ($self, $where, $w, $r) = @_;

    my $note = $self->note($r->{checkpoint}, $w->{kid});

    my $why = !$note ? 'no checkpoint, or not signed'
        : join(' ', sort keys %$r)
          ne 'action_id checkpoint hash prev seq time type writer'
        ? 'members of a checkpoint'
        : defined $r->{action_id} || $note->{writer} ne $w->{id}
          || $note->{size} != ${ $r->{seq} } - 1 || $note->{time} ne $r->{time}
        ? 'made for another record'
        : $note->{head} ne $r->{prev}
        ? 'another head'
        : !$w->{partial} && $note->{root} ne root(@{ $w->{leaves} })
        ? 'another root' : undef;

    return $note unless $why;

    $self->tampered($where, $why);
    return undef;
}


sub note {
    my ($self, $text, $kid) = @_;

    return undef if !defined $text || ref $text;

    $text = Encode::encode('UTF-8', $text) if utf8::is_utf8($text);

    $text =~ m{\A(approval-audit/($HEX32)\n
                  ([1-9]\d{0,15})\n
                  ([A-Za-z0-9+/]{43}=)\n
                  time\ ($TIME)\n
                  head\ ($HEX64)\n
                  ((?:peer\ $HEX32\ [1-9]\d{0,15}\ $HEX64\n)*))
                 \n
                 $DASH\ approval-audit/\2\ ([A-Za-z0-9+/]{91}=)\n\z}x
        or return undef;

    my ($body, $writer, $size, $root, $time, $head, $peers, $sig)
        = ($1, $2, $3, $4, $5, $6, $7, $8);

    return undef unless encode_base64(decode_base64($root), '') eq $root
        && encode_base64(decode_base64($sig), '') eq $sig;

    my ($id, $raw) = unpack('a4 a64', decode_base64($sig));

    my ($key) = grep {
        (!defined $kid || $_->{kid} eq $kid) && substr(sha256("approval-audit/$writer\n\x01$_->{raw}"), 0, 4) eq $id
            && $self->signed($_, $body, $raw)
    } @{ $self->{keys} };

    return undef unless $key;

    return { writer => $writer, size => $size, root => decode_base64($root),
             time => $time, head => $head,
             peers => [ map { [ (split / /)[1 .. 3] ] } split(/\n/, $peers) ] };
}


sub signed {
    my ($self, $key, $text, $sig) = @_;

    my $id = sha256($key->{raw} . $sig . $text);

    return $verified{$id} if exists $verified{$id};

    my $dir = $self->{dir} //= File::Temp->newdir;

    for my $part ([ text => $text ], [ sig => $sig ]) {
        open(my $fh, '>:raw', "$dir/$part->[0]") or die $!;
        print $fh $part->[1];
        close($fh) or die $!;
    }

    my $rc = system("openssl pkeyutl -verify -pubin -inkey '$key->{file}' "
                    . "-rawin -in $dir/text -sigfile $dir/sig "
                    . '>/dev/null 2>&1');

    return $verified{$id} = $rc == 0;
}


# heads that are known from elsewhere

sub heads {
    my ($self, $file) = @_;

    open(my $fh, '<:raw', $file) or die "$file: $!";
    local $/;
    my $text = <$fh>;

    while ($text =~ m{^(approval-audit/.*?^$DASH [^\n]*\n)}msg) {
        my $note = $self->note($1) or die "$file: a checkpoint is not signed";

        push @{ $self->{known}{ $note->{writer} } },
            [ $note->{size}, $note->{head}, $file, 'signed' ];
        push @{ $self->{known}{ $_->[0] } }, [ @$_[1, 2], $file ]
            for @{ $note->{peers} };
    }

    while ($text =~ m{^($HEX32)/([1-9]\d*)/($HEX32)$}mg) {
        push @{ $self->{known}{$1} }, [ $2, $3, $file ];
    }
}


sub ends {
    my ($self) = @_;

    my $known = $self->{known};
    my $unclosed = 0;

    for my $id (keys %$known) {
        my $w = $self->{writers}{$id};

        if (!$w) {
            $self->incomplete($known->{$id}[0][2], "$id is missing");
            next;
        }

        for my $head (@{ $known->{$id} }) {
            my ($seq, $hash, $where, $signed) = @$head;

            if ($seq > $w->{seq}) {
                $self->incomplete($where, "$id ends before $seq");

            } elsif (defined $w->{hashes}{$seq}) {
                if (substr($w->{hashes}{$seq}, 0, length $hash) ne $hash) {
                    $self->tampered($where, "$seq of $id is another");
                    next;
                }
            }

            $w->{covered} = $seq if $signed
                && $seq <= $w->{seq} && $seq > $w->{covered};
        }
    }

    for my $w (values %{ $self->{writers} }) {
        $self->unauthenticated($w->{where},
                               "$w->{id} is not covered to its end")
            if $w->{seq} > $w->{covered};
        $self->incomplete($w->{where}, "$w->{id} has no last checkpoint")
            if $w->{closed} && $w->{last} ne 'checkpoint';
        $unclosed++ unless $w->{closed};
    }

    $self->incomplete('', 'torn lines')
        if $self->{torn} > $unclosed + $self->{torn_told};
}


# actions: 11 to 14, and 16

sub jws {
    my ($self, $typ, $token) = @_;

    return {} if !defined $token || ref $token;

    my ($head, $claims, $sig) = $token =~ /\A([\w-]+)\.([\w-]+)\.([\w-]+)\z/
        or return {};

    for my $key (@{ $self->{keys} }) {
        next unless decode_base64url($head) eq canonical(
            { alg => 'EdDSA', kid => $key->{kid}, typ => $typ });
        next unless length decode_base64url($sig) == 64
            && $self->signed($key, "$head.$claims", decode_base64url($sig));

        return eval { parse(decode_base64url($claims)) } // {};
    }

    return {};
}


sub action {
    my ($self, $where, $r, $type) = @_;

    my $id = $r->{action_id};
    my $a = $self->{actions}{$id} //= { id => $id };

    $self->tampered($where, "$id executed without an outcome")
        if $type eq 'executed'
        && !(ref $r->{outcome} eq 'HASH'
             && ref $r->{outcome}{status} eq 'SCALAR'
             && ${ $r->{outcome}{status} } =~ /^-?\d+\z/);

    if ($type eq 'requested') {
        $self->tampered($where, "$id requested in two ways")
            if $a->{requested} && alone($a->{requested}) ne alone($r);

        if (!$a->{requested}) {
            $a->{requested} = $r;
            $a->{require} = required($r->{require});
            $self->tampered($where, "$id: the request is not whole")
                unless $a->{require} && whole($r);
        }

    } elsif ($type eq 'voted') {
        push @{ $a->{votes} }, [ $where, $r,
                                 $self->jws('approval-vote+jwt', $r->{vote}) ];

    } elsif ($type eq 'approved' && exists $r->{grant}) {
        push @{ $a->{granted} }, [ $where, $r ];
        $a->{running}{ facts($r) }++;

    } elsif ($type =~ /^(?:executed|failed)\z/ && exists $r->{grant}) {
        if ($a->{running}{ facts($r) }) {
            $a->{running}{ facts($r) }--;

        } elsif ($type eq 'executed') {
            $self->found($self->writer($r->{writer})->{partial} ? 2 : 1,
                         $where, "$id: a grant without a decision");
        }

        $a->{used} = $where;

    } elsif ($type eq 'approved') {
        if (grep { $_->[1]{writer} eq $r->{writer} } @{ $a->{taken} // [] }) {
            $self->tampered($where, "$id approved twice");

        } else {
            push @{ $a->{taken} }, [ $where, $r, $self->{n}++ ];
        }

    } elsif ($type eq 'executed') {
        $self->tampered($where, "$id executed twice") if $a->{executed};
        $a->{executed} //= [ $where, $r, $self->{n}++ ];

    } elsif ($type eq 'failed' && is_false($r->{forwarded})) {
        my $taken = $a->{taken} //= [];
        my ($n) = grep { $taken->[$_][1]{writer} eq $r->{writer} }
                       reverse 0 .. $#$taken;

        $a->{spared} = splice(@$taken, $n, 1) if defined $n;

    } elsif ($type eq 'fault') {
        $a->{lost} = 1 if text($r, 'limit', 'execution');

    } elsif ($type eq 'expired') {
        $a->{expired} ||= ms($r->{time});

    } elsif ($type =~ /^(?:denied|cancelled)\z/) {
        $a->{over} = 1;
        push @{ $a->{denied} }, [ $where, $r ]
            if $type eq 'denied' && exists $r->{receipt};
    }
}


# what "approved" and "executed" both say, and who

sub facts {
    my ($r) = @_;

    return join("\n", map { exists $r->{$_} ? canonical($r->{$_}) : '' }
                      qw(writer policy policy_digest rule action requester
                         remote_addr method digest approvers grant use));
}


# what a record says, without what every record has of its own

sub alone {
    my ($r) = @_;

    my %copy = %$r;

    delete @copy{qw(time mono writer seq prev hash late store_time)};

    return canonical(\%copy);
}


sub is_text { return defined $_[0] && !ref $_[0] }


sub is_count {
    my ($n) = @_;

    return ref $n eq 'SCALAR' && $$n =~ /^[1-9]\d*\z/
        && (length $$n < 10 || (length $$n == 10 && $$n le '2147483647'));
}


# a request has all that the rest is judged by

sub whole {
    my ($r) = @_;

    my $remember = $r->{remember};

    return !grep({ !is_text($r->{$_}) }
                 qw(requester person policy rule action digest))
        && (!exists $r->{on_behalf_person} || is_text($r->{on_behalf_person}))
        && (!exists $r->{remember}
            || (ref $remember eq 'HASH' && exists $remember->{uses}
                && (!defined $remember->{uses}
                    || (ref $remember->{uses} eq 'SCALAR'
                        && ${ $remember->{uses} } =~ /^[1-9]\d*\z/))));
}


# [[count, groups...], ...], or undef

sub required {
    my ($lines) = @_;

    return undef unless ref $lines eq 'ARRAY' && @$lines && @$lines <= 16;

    for my $line (@$lines) {
        return undef unless ref $line eq 'HASH' && is_count($line->{count})
            && ref $line->{groups} eq 'ARRAY' && @{ $line->{groups} }
            && !grep { !is_text($_) } @{ $line->{groups} };
    }

    return [ map { [ ${ $_->{count} }, @{ $_->{groups} } ] } @$lines ];
}


sub judge {
    my ($self, $a) = @_;

    my $request = $a->{requested};
    my $level = $self->{partial} ? 2 : 1;

    $self->vote($a, @$_) for @{ $a->{votes} // [] };

    my @taken = @{ $a->{taken} // [] };

    $self->tampered($taken[0][0], "$a->{id} approved twice") if @taken > 1;
    $a->{approved} = $taken[0];

    $self->executed($a) if $a->{executed};
    $self->granted($a, $level);
    $self->denied($a, $level, @$_) for @{ $a->{denied} // [] };

    my ($where, $r) = @{ $a->{approved} // $a->{spared} // return };

    my $d = $self->jws('approval-decision+jwt', $r->{decision});

    if (!decides($a, $d, $r) || exists $d->{grt} || exists $d->{use}) {
        $self->tampered($where, "the decision on $a->{id}");
        $d = undef;
    }

    if (!$request) {
        $self->found($level, $where, "$a->{id} was not requested");
        return;
    }

    my $taken = ms($r->{store_time});

    $self->tampered($where, "$a->{id} is over")
        if @taken && ($a->{over} || ($a->{expired}
            && !($a->{lost} && $taken && $a->{expired} > $taken)));

    my $limit = $self->limits($a, $r, $d // {});

    $self->tampered($where, "$a->{id} is used $limit") if $limit;

    return if !$d || (@{ $d->{by} } == 1 && is_text($d->{by}[0])
                      && $d->{by}[0] eq 'unsigned');

    $self->tampered($where, "$a->{id}: the decision on another request")
        unless about($d, $request);

    my @votes = $self->voters($a, $level, $where, $d->{by}, 'approve')
        or return;

    my $glass = is_text($request->{break_glass})
        && grep { my $vote = $_;
                  is_true($vote->{bg})
                  && grep { $_ eq $request->{break_glass} }
                          split(/ /, $vote->{grp} // '') } @votes;

    $self->tampered($where, "$a->{id}: short quorum")
        unless $glass || enough($a->{require}, @votes);
}


sub executed {
    my ($self, $a) = @_;

    my ($where, $r, $n) = @{ $a->{executed} };
    my $approved = $a->{approved};

    if (!$approved) {
        my $partial = $self->writer($r->{writer})->{partial}
            || (!$a->{requested} && $self->{partial});

        $self->found($partial ? 2 : 1, $where,
                     "$a->{id} executed without a decision");
        return;
    }

    $self->tampered($where, "$a->{id} executed by another, before, or as "
                            . 'another request')
        if $n < $approved->[2] || facts($r) ne facts($approved->[1]);
}


# limits: 15.  Times are Redis', in ms

sub ms {
    my ($text) = @_;

    return 0 unless is_text($text) && is_time($text);

    my ($date, $rest) = $text =~ /^(.*)\.(\d{3})Z$/;
    my ($y, $m, $d, $h, $min, $s) = split(/[-T:]/, $date);

    return timegm($s, $min, $h, $d, $m - 1, $y) * 1000 + $rest;
}


sub seconds {
    my ($n) = @_;

    return ref $n eq 'SCALAR' && $$n =~ /^[1-9]\d{0,11}\z/ ? $$n * 1000 : 0;
}


sub config {
    my ($self, $r) = @_;

    my $what = $r->{what};

    return if !is_text($what);

    if ($what eq 'grant revoked' && is_text($r->{granted_by})) {
        $self->{actions}{ $r->{granted_by} }{id} = $r->{granted_by};
        $self->{actions}{ $r->{granted_by} }{revoked} ||= ms($r->{store_time});
    }

    return unless $what =~ /^(?:frozen|thawed)\z/;

    my $kind = exists $r->{policy} ? 'policy' : 'requester_person';

    push @{ $self->{freezes} }, {
        scope => "$kind $r->{$kind}", thaw => $what eq 'thawed',
        from => ms($r->{store_time}), until => ms($r->{until}) || 9e18 }
        if is_text($r->{$kind}) && ms($r->{store_time});
}


# each freeze ends with the next one of the same, or with its thaw

sub bounds {
    my ($self) = @_;

    my @all = @{ $self->{freezes} };

    for my $i (grep { !$all[$_]{thaw} } 0 .. $#all) {
        my $f = $all[$i];
        my @ends;

        for my $j (grep { $_ != $i && $all[$_]{scope} eq $f->{scope} }
                   0 .. $#all)
        {
            my $g = $all[$j];
            my $behind = $j > $i && $g->{from} > $f->{from} - 60_000;

            if ($g->{thaw} && ($behind || $g->{from} > $f->{from})) {
                push @ends, $g->{from} - 1000 > $f->{from}
                            ? $g->{from} - 1000 : $f->{from};

            } elsif (!$g->{thaw} && ($g->{from} > $f->{from}
                                     || $g->{from} == $f->{from} && $j > $i))
            {
                push @ends, $g->{from};
            }
        }

        $f->{until} = $_ < $f->{until} ? $_ : $f->{until} for @ends;
    }
}


sub frozen {
    my ($self, $request, $time) = @_;

    my %scopes = map { ("$_->[0] " . ($request->{ $_->[1] } // '') => 1) }
                 [qw(policy policy)], [qw(requester_person person)];

    return grep { !$_->{thaw} && $scopes{ $_->{scope} }
                  && $time > $_->{from} && $time < $_->{until} }
           @{ $self->{freezes} };
}


sub limits {
    my ($self, $a, $r, $d) = @_;

    my $request = $a->{requested};
    my $taken = ms($r->{store_time});
    my $asked = ms($request->{store_time});

    return 'after its deadline'
        if $asked && ref $request->{timeout} eq 'SCALAR'
        && seconds($d->{iat}) > $asked + seconds($request->{timeout}) + 1000;
    return 'after it had lapsed'
        if seconds($d->{exp}) && $taken > seconds($d->{exp}) + 1000;
    return 'while frozen' if $self->frozen($request, $taken);

    return undef;
}


sub grant_limits {
    my ($self, $a, $r) = @_;

    my $request = $a->{requested};
    my $used = ms($r->{store_time});
    my $approved = $a->{approved} // $a->{spared};
    my $given = $approved ? ms($approved->[1]{store_time}) : 0;
    my $time = $request && ref $request->{remember} eq 'HASH'
               ? seconds($request->{remember}{seconds}) : 0;

    return 'after it was revoked' if $a->{revoked} && $used > $a->{revoked};
    return 'after its end' if $given && $time && $used > $given + $time + 1000;
    return 'while frozen' if $request && $self->frozen($request, $used);

    return undef;
}


# an approval: what is on record is what was signed

sub decides {
    my ($a, $d, $r) = @_;

    return text($d, 'jti', $a->{id}) && text($d, 'sta', 'approved')
        && is_text($d->{dig})
        && !grep({ !same($d, $_->[0], $r, $_->[1]) }
                 [qw(dig digest)], [qw(pol policy)], [qw(rul rule)],
                 [qw(act action)])
        && names($d, $r) && @{ $d->{by} };
}


sub about {
    my ($d, $request) = @_;

    return !grep { !same($d, $_->[0], $request, $_->[1]) }
           [qw(dig digest)], [qw(sub requester)], [qw(pol policy)],
           [qw(rul rule)], [qw(act action)], [qw(shw join)];
}


# the votes of those whom a decision names; none where one is missing

sub voters {
    my ($self, $a, $level, $where, $by, $act) = @_;

    my @voters;

    for my $name (@$by) {
        my @votes = grep { is_text($name) && text($_, 'sub', $name)
                           && $_->{act} eq $act }
                    map { $_->[2] } @{ $a->{votes} // [] };

        if (!@votes) {
            $self->found($level, $where, "$a->{id}: one did not vote");
            return;
        }

        push @voters, @votes;
    }

    return @voters;
}


# each person fills one place of a line that one of its groups may fill

sub enough {
    my ($lines, @votes) = @_;

    return 0 unless $lines;

    my %groups;

    for my $vote (@votes) {
        $groups{ $vote->{sub} }{$_} = 1 for split(/ /, $vote->{grp} // '');
    }

    my @places;

    for my $line (@$lines) {
        my ($count, @names) = @$line;

        return 0 if $count > keys %groups;
        push @places, [ @names ] for 1 .. $count;
    }

    my %place_of;

    for my $i (0 .. $#places) {
        return 0 unless fill($i, \@places, \%groups, \%place_of, {});
    }

    return 1;
}


sub fill {
    my ($i, $places, $groups, $place_of, $seen) = @_;

    for my $person (sort keys %$groups) {
        next if $seen->{$person}
            || !grep { $groups->{$person}{$_} } @{ $places->[$i] };

        $seen->{$person} = 1;

        if (!defined $place_of->{$person}
            || fill($place_of->{$person}, $places, $groups, $place_of, $seen))
        {
            $place_of->{$person} = $i;
            return 1;
        }
    }

    return 0;
}


sub denied {
    my ($self, $a, $level, $where, $r) = @_;

    my $d = $self->jws('approval-decision+jwt', $r->{receipt});

    if (!text($d, 'jti', $a->{id}) || !text($d, 'sta', 'denied')
        || ref $d->{by} ne 'ARRAY' || !@{ $d->{by} }
        || ref $r->{by} ne 'ARRAY'
        || canonical($d->{by}) ne canonical($r->{by}))
    {
        $self->tampered($where, "the denial of $a->{id}");
        return;
    }

    $self->tampered($where, "the denial of another request than $a->{id}")
        if $a->{requested} && !about($d, $a->{requested});

    my @votes = $self->voters($a, $level, $where, $d->{by}, 'deny') or return;
    my %persons = map { $_->{sub} => 1 } @votes;

    $self->tampered($where, "$a->{id}: denied by too few")
        if $a->{requested} && is_count($a->{requested}{deny_after})
        && keys %persons < ${ $a->{requested}{deny_after} };
}


# of a claim, and of a claim and a record's member

sub text {
    my ($claims, $name, $value) = @_;

    return defined $claims->{$name} && !ref $claims->{$name}
        && $claims->{$name} eq $value;
}


sub same {
    my ($claims, $name, $record, $member) = @_;

    return 1 if !exists $claims->{$name} && !exists $record->{$member};

    return defined $record->{$member} && !ref $record->{$member}
        && text($claims, $name, $record->{$member});
}


sub names {
    my ($claims, $record) = @_;

    return ref $claims->{by} eq 'ARRAY'
        && !grep({ !is_text($_) } @{ $claims->{by} })
        && text($record, 'approvers', join(', ', @{ $claims->{by} }));
}


sub is_false { return ref $_[0] eq 'REF' && !${ ${ $_[0] } } ? 1 : 0 }


sub is_true { return ref $_[0] eq 'REF' && ${ ${ $_[0] } } ? 1 : 0 }


sub granted {
    my ($self, $a, $level) = @_;

    my @approved = @{ $a->{granted} // [] };
    my $where = @approved ? $approved[0][0] : $a->{used} // return;
    my $request = $a->{requested};
    my $most = $request && ref $request->{remember} eq 'HASH'
               && ref $request->{remember}{uses} eq 'SCALAR'
               ? ${ $request->{remember}{uses} } : 0;
    my %uses;

    $self->tampered($where, "$a->{id} is no grant")
        if $request && ref $request->{remember} ne 'HASH';

    for my $use (@approved) {
        my ($where, $r) = @$use;

        $self->tampered($where, "another rule than the grant of $a->{id}")
            if $request && grep { !same($request, $_, $r, $_) }
                                qw(policy rule action);

        my $d = $self->jws('approval-decision+jwt', $r->{decision});
        my $n = ref $d->{use} eq 'SCALAR' ? ${ $d->{use} } : 0;

        $self->tampered($where, "the decision under the grant of $a->{id}")
            if !decides($a, $d, $r) || !same($d, 'grt', $r, 'grant')
            || $n !~ /^[1-9]\d*\z/ || canonical($d->{use})
                                        ne canonical($r->{use})
            || $uses{$n}++ || ($most && $n > $most);

        my $limit = $self->grant_limits($a, $r);

        $self->tampered($where, "the grant of $a->{id} is used $limit")
            if $limit;
    }

    $self->found($level, $where, "$a->{id}: a grant, and no approval")
        if !($a->{approved} // $a->{spared});
}


# an empty comment, or one of white space

sub blank {
    my ($text) = @_;

    return $text !~ /[^\s\p{Cc}\p{Default_Ignorable_Code_Point}]/;
}


sub vote {
    my ($self, $a, $where, $r, $claims) = @_;

    my $request = $a->{requested};

    if (!text($claims, 'jti', $a->{id})
        || ($claims->{act} // '') !~ /^(?:approve|deny|comment)\z/
        || grep({ !same($claims, $_->[0], $r, $_->[1]) }
                [qw(act decision)], [qw(sub person)], [qw(idn identity)],
                [qw(how how)], [qw(grp groups)], [qw(cmt comment)],
                [qw(dig digest)])
        || is_true($claims->{bg}) != is_true($r->{break_glass})
        || grep({ !is_text($claims->{$_}) } qw(sub idn dig)))
    {
        $self->tampered($where, "the vote on $a->{id}");
        %$claims = ();
        return;
    }

    return unless $request;

    $self->tampered($where, "the vote on another request than $a->{id}")
        unless text($request, 'digest', $claims->{dig});

    return if $claims->{act} eq 'comment';

    my $when = $request->{comment_required} // '';

    $self->tampered($where, "$a->{id}: a vote without its comment")
        if ($when eq 'always' || ($when && $claims->{act} eq 'deny'))
        && blank($claims->{cmt} // '');

    for my $name (qw(person on_behalf_person)) {
        $self->tampered($where, "$a->{id}: the requester votes")
            if is_text($request->{$name})
            && $claims->{sub} eq $request->{$name};
    }
}


1;
