package Approval::History;

# Copyright (C) ngx_http_approval_module contributors
#
# What happened in a run with faults, seen from outside and from the trail, and
# whether it may have happened so.  Times are seconds since the epoch, by the
# clock of this host.
#
#   my @wrong = Approval::History::wrong(\%history [, \my @excused]);
#     deadline   => N     seconds in which everyone has an answer
#     need       => CODE  how many approvers a target needs
#     uses       => N     how often a grant may be used
#     requests   => [ { target gw sent ended end status type id } ]
#                         end: answer, closed, silent, left (by the client)
#     votes      => [ { id who decision gw sent ended end status } ]
#     stops      => [ { what sent ended end status, and id or requester } ]
#                         what: withdraw, freeze, thaw, poll
#     executions => [ { id target requester time grant use } ]   the upstream's
#     records    => [ RECORD ]     of all trails, each with its gw
#     faults     => [ { name begin end gw cuts loses } ]
#                         cuts: connections to gw; loses: what Redis was told
#                         last; restarts: what gw has seen
#
# wrong() gives a line for each thing that may not be.  What Redis forgets in a
# failover is only known to a gateway that has seen it: a denial, a withdrawal
# or a freeze that another gateway did not know of is a line in excused.

use strict;
use warnings;

use Time::Local ();


# urn:approval:... whose action has not been executed, nor will be

my %NOT_EXECUTED = map { $_ => 1 } qw(denied expired cancelled frozen);


sub wrong {
    my ($h, $excused) = @_;

    my $self = bless { %$h, wrong => [], excused => $excused // [] },
                     __PACKAGE__;

    $self->index_all;
    $self->check_once;
    $self->check_execution($_) for @{ $self->{executions} };
    $self->check_answer($_) for @$self{qw(requests votes stops)};
    $self->check_promise($_) for @{ $self->{requests} };

    return @{ $self->{wrong} };
}


sub complain {
    my ($self, $text) = @_;

    push @{ $self->{wrong} }, $text;
}


sub index_all {
    my ($self) = @_;

    for my $thing (map { @$_ } @$self{qw(votes stops)}) {
        for my $name (grep { defined } @$thing{qw(id requester)}) {
            push @{ $self->{about}{$name} }, $thing;
        }
    }

    for my $record (@{ $self->{records} }) {
        next unless defined $record->{action_id};

        push @{ $self->{$record->{type}}{ key($record, 'action_id') } },
            { gw => $record->{gw}, time => seconds($record->{time}),
              store => seconds($record->{store_time}), record => $record };
    }

    for my $execution (@{ $self->{executions} }) {
        $self->{executed}{ $execution->{id} }++;
        $self->{reached}{ $execution->{target} }++;
    }
}


# one use of an approval

sub key {
    my ($thing, $id) = @_;

    return defined $thing->{grant} ? "$thing->{grant} use $thing->{use}"
                                   : $thing->{ $id // 'id' };
}


sub seconds {
    my ($text) = @_;

    return undef unless defined $text
        && $text =~ /^(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)(\.\d+)Z$/;

    return Time::Local::timegm($6, $5, $4, $3, $2 - 1, $1) + $7;
}


sub check_once {
    my ($self) = @_;

    my %n;

    $n{ key($_) }++ for @{ $self->{executions} };

    for my $key (sort keys %n) {
        $self->complain("$key: executed $n{$key} times") if $n{$key} > 1;
    }
}


sub check_execution {
    my ($self, $e) = @_;

    my $key = key($e);
    my ($approved) = @{ $self->{approved}{$key} // [] };

    if (!$approved || $approved->{time} > $e->{time}) {
        return $self->complain("$key: forwarded without being on record");
    }

    my $taken = $approved->{store};
    my %by = map { $_->{who} => 1 }
             grep { ($_->{decision} // '') eq 'approve'
                    && $_->{sent} <= $taken }
             @{ $self->{about}{ $e->{id} } // [] };
    my $need = $self->{need}->($e->{target});

    $self->complain("$key: executed with " . keys(%by) . " of $need votes")
        if keys %by < $need;

    $self->complain("$key: a grant of $self->{uses} uses")
        if defined $e->{grant} && $e->{use} > $self->{uses};

    my ($requested) = @{ $self->{requested}{ $e->{id} } // [] };

    if ($requested && !defined $e->{grant}) {
        my $r = $requested->{record};
        my $until = $requested->{store} + $r->{timeout} + $r->{execute_within};

        $self->complain("$key: executed past its deadline")
            if $taken > $until;
    }

    $self->check_stops($e, $approved);
}


# answered with 200 before the approval was taken

sub check_stops {
    my ($self, $e, $approved) = @_;

    my $key = key($e);
    my $taken = $approved->{store};

    if (!defined $e->{grant}) {
        for my $stop (grep { acknowledged($_)
                             && ($_->{decision} // $_->{what}) =~
                                /^(?:deny|withdraw)$/ }
                      @{ $self->{about}{ $e->{id} } // [] })
        {
            $self->stopped($stop, $approved, "$key: executed after a "
                           . (defined $stop->{decision} ? 'denial'
                                                        : 'withdrawal'));
        }
    }

    my @of = sort { $a->{sent} <=> $b->{sent} }
             grep { ($_->{what} // '') =~ /^(?:freeze|thaw)$/ }
             @{ $self->{about}{ $e->{requester} } // [] };

    # a thaw counts from its beginning, whatever its answer was

    my ($last) = reverse grep { $_->{what} eq 'thaw' ? $_->{sent} <= $taken
                                : acknowledged($_) && $_->{ended} < $taken }
                         @of;

    $self->stopped($last, $approved, "$key: executed while frozen")
        if $last && $last->{what} eq 'freeze';
}


sub acknowledged {
    my ($thing) = @_;

    return $thing->{end} eq 'answer' && $thing->{status} == 200;
}


sub stopped {
    my ($self, $stop, $approved, $text) = @_;

    my $between = sub {
        my ($what) = @_;

        return grep { $_->{$what} && $_->{begin} <= $approved->{store}
                      && $_->{end} >= $stop->{sent} } @{ $self->{faults} };
    };

    my $lost = $between->('loses');
    my $forgot = $stop->{gw} != $approved->{gw}
                 || grep { $_->{gw} == $stop->{gw} } $between->('restarts');

    push @{ $lost && $forgot ? $self->{excused} : $self->{wrong} }, $text;
}


sub check_answer {
    my ($self, $things) = @_;

    for my $thing (@$things) {
        my $name = $thing->{target} // $thing->{id} // $thing->{requester};
        my $took = $thing->{ended} - $thing->{sent};

        if ($thing->{end} eq 'silent' || $took > $self->{deadline}) {
            $self->complain(sprintf('%s: no answer in %.1f s', $name, $took));
        }

        next if $thing->{end} ne 'closed';

        $self->complain("$name: closed without an answer")
            unless grep { $_->{cuts} && $_->{gw} == $thing->{gw}
                          && $_->{begin} <= $thing->{ended}
                          && $_->{end} >= $thing->{sent} }
                        @{ $self->{faults} };
    }
}


# what a requester was told is so

sub check_promise {
    my ($self, $r) = @_;

    return if $r->{end} ne 'answer';

    my $type = ($r->{type} // '') =~ s/^urn:approval://r;

    if ($r->{status} == 200 && !$self->{reached}{ $r->{target} }) {
        $self->complain("$r->{target}: answered 200, and not executed");
    }

    if ($NOT_EXECUTED{$type} && defined $r->{id}
        && $self->{executed}{ $r->{id} } && !defined $r->{use})
    {
        my ($approved) = @{ $self->{approved}{ $r->{id} } // [] };

        $approved //= { store => $r->{ended}, gw => $r->{gw} };

        $self->stopped($r, $approved,
                       "$r->{id}: told that it is $type, and executed");
    }
}


1;
