package Approval::Life;

# Copyright (C) ngx_http_approval_module contributors
#
# The life of an action, as src/model/life.def has it.
#
#   Approval::Life::rows(FILE, KIND) the rows of that kind in src/model/FILE.def,
#                                    an array of their columns each
#   Approval::Life::moves()          LIFE_MOVE, {from to by when record also} each
#   Approval::Life::lua(SCRIPT)      what the store puts before action.lua
#   Approval::Life::promela(SOUND)   what t/model.t puts before the model: SOUND
#                                    where it has all of its guards
#   Approval::Life::markdown()       the table in docs/design.md
#   Approval::Life::faults(RECORDS)  what in a trail the table does not allow

use strict;
use warnings;


sub rows {
    my ($file, $kind) = @_;

    my $text = Approval::Test::slurp(Approval::Test::root_dir()
                                     . "/src/model/$file.def");

    return map { [ grep { defined } /"((?:[^"\\]|\\.)*)"|'(.)'|(\w+)/g ] }
           $text =~ /^$kind\((.*?)\)(?:\s*\/\*.*?\*\/)?$/msg;
}


sub moves {
    my %name = (UNKNOWN => 'unknown',
                map { @$_[0, 1] } rows(life => 'LIFE_STATE'));
    my %record = map { @$_[0, 1] } rows(audit => 'AUDIT_RECORD');

    return map { my ($from, $to, $by, $when, $record, $count, $also) = @$_;
                 { from => $name{$from}, to => $name{$to}, by => $by,
                   when => $when, record => $record{$record},
                   also => $also } } rows(life => 'LIFE_MOVE');
}


sub lua {
    my ($script) = @_;

    my $n = 0;
    my $table = sub { my $name = shift;
                      "local $name = {" . join('', map { " $_," } @_)
                      . " }\n" };

    return $table->(PLACE => map { "$_->[1] = '$_->[2]'" }
                             rows(life => 'LIFE_STATE'))
           . $table->(LIFE => map { "['$_->{from} $_->{to}'] = '$_->{when}'" }
                              grep { $_->{by} eq $script } moves())
           . $table->(WHY => map { "$_->[1] = " . ++$n }
                             rows(life => 'LIFE_CAUSE'))
           . "\n";
}


sub promela {
    my ($sound) = @_;

    my @moves = rows(life => 'LIFE_MOVE');
    my (%script, $n);

    $script{ $_->[2] } = 1 for @moves;

    return join '', "#define SOUND $sound\n", "#define UNKNOWN 0\n",
        (map { "#define $_->[0] " . ++$n . "\n" } rows(life => 'LIFE_STATE')),
        (map { "#define BY_$_ " . ++$n . "\n" } sort keys %script),
        '#define MAY(by, from, to) (',
        join(' || ', map { "by == BY_$_->[2] && from == $_->[0] && to == "
                           . $_->[1] } @moves), ")\n";
}


sub markdown {
    my %when = (any => '', before => 'not overdue', after => 'overdue');

    return join '', map {
        my $m = $_;
        my $from = $m->{from} eq 'unknown' ? '–' : $m->{from};
        my $when = join ', ', grep { length } $m->{also}, $when{ $m->{when} };
        my $record = $m->{record} eq 'voted' ? '' : "`$m->{record}`";

        "| $from | $m->{to} | $m->{by} | $when | $record |\n";
    } moves();
}


# A record says what has become of an action, but for the vote that approves
# it: that an approval stands is on record when it is used.  A request that two
# workers have announced is twice on record, in the same words.

sub faults {
    my (@records) = @_;

    my (%moves, %state, %asked, @faults);

    push @{ $moves{ $_->{record} } }, $_ for moves();

    my @silent = @{ delete $moves{voted} };

    for my $r (@records) {
        my $id = $r->{action_id};
        my $moves = $moves{ $r->{type} };

        next if !$moves || !defined $id || defined $r->{grant};

        if ($r->{type} eq 'requested') {
            my $asked = $r->{digest} // '';

            next if ($asked{$id} // "not $asked") eq $asked;
            $asked{$id} = $asked;
        }

        my $from = $state{$id} // 'unknown';
        my %from = map { $_ => 1 } $from, map { $_->{to} }
                                          grep { $_->{from} eq $from } @silent;

        push @faults, "$id: from $from by a record of type $r->{type}"
            unless grep { $from{ $_->{from} } } @$moves;

        $state{$id} = $moves->[0]{to};
    }

    return @faults;
}


1;
