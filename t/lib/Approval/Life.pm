package Approval::Life;

# Copyright (C) ngx_http_approval_module contributors
#
# The life of an action, by the table in src/store/action.lua.
#
#   Approval::Life::moves()          "FROM TO BY", each line of the table
#   Approval::Life::faults(RECORDS)  what in a trail the table does not allow

use strict;
use warnings;

# What a record says has happened, and which script did it.  A quorum's approval
# is on record when it is used: pending -> approved is not.

my %RECORD = (requested => [ 'pending', 'create' ],
              approved  => [ 'executing', 'consume' ],
              denied    => [ 'denied', 'vote', 'settle' ],
              cancelled => [ 'cancelled', 'settle', 'leave' ],
              expired   => [ 'expired', 'settle' ],
              executed  => [ 'executed', 'finish' ],
              failed    => [ 'failed', 'finish', 'settle' ]);


sub moves {
    my ($table) = Approval::Test::slurp(Approval::Test::root_dir()
                                        . '/src/store/action.lua')
                  =~ /^--   from +to +by +when\n((?:--   \S.*\n)+)/m
        or die "action.lua has no table\n";

    return map { join ' ', (split)[ 1 .. 3 ] } split /\n/, $table;
}


sub faults {
    my (@records) = @_;

    my %may = map { $_ => 1 } moves();
    my (%state, @faults);

    for my $r (@records) {
        my $id = $r->{action_id};
        my $to = $RECORD{ $r->{type} };

        next if !$to || !defined $id || defined $r->{grant};

        my ($state, @by) = @$to;
        my $from = $state{$id} // '-';
        my @from = ($from);

        push @from, 'approved' if $may{"$from approved vote"};

        push @faults, "$id: $from -> $state ($r->{type})"
            unless grep { my $f = $_; grep { $may{"$f $state $_"} } @by } @from;

        $state{$id} = $state;
    }

    return @faults;
}


1;
