package Approval::Smtp;

# Copyright (C) ngx_http_approval_module contributors
#
# A mail server that answers by a script, for what no good one does.
#
#   my $smtp = Approval::Smtp->new(end => [ REPLY, ... ], ...);
#       steps: greet ehlo from to data end quit; one reply a time, the last one
#       stays; without a script as a server should.  A reply is sent as it is,
#       without CRLF at its end; undef: silence; '': it hangs up
#   ->port
#   ->commands          what it was told, of all connections; a message is
#                       "end", and then ->message has it
#   ->message
#   ->wait_command(QR [, N])

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;

use Approval::Process;

my %GOOD = (greet => '220 fake ESMTP', ehlo => "250-fake\r\n250 SIZE 1000000",
            from => '250 ok', to => '250 ok', data => '354 go on',
            end => '250 ok', quit => '221 bye');


sub new {
    my ($class, %script) = @_;

    my $dir = Approval::Test::tempdir();
    my $listen = Approval::Test::listener(Listen => 64);
    my $self = bless { dir => $dir, port => $listen->sockport,
                       script => \%script }, $class;

    Approval::Test::spew("$dir/commands", '');

    Approval::Process->start(keep => [ $listen ],
                             code => sub { $self->serve($listen) });

    return $self;
}


sub port { $_[0]{port} }


sub serve {
    my ($self, $listen) = @_;

    my $select = IO::Select->new($listen);
    my %state;

    for (;;) {
        for my $sock ($select->can_read) {
            if ($sock == $listen) {
                my $new = $listen->accept or next;

                $select->add($new);
                $state{$new} = { in => '' };
                defined $self->reply($new, 'greet') or hang_up($select, $new);
                next;
            }

            my $s = $state{$sock};
            my $ok = sysread($sock, $s->{in}, 65536, length $s->{in});

            $ok &&= $self->heard($sock, $s);

            hang_up($select, $sock) if !$ok;
        }
    }
}


sub heard {
    my ($self, $sock, $s) = @_;

    for (;;) {
        if ($s->{data}) {
            $s->{in} =~ s/\A(.*?\r\n|)\.\r\n//s or return 1;
            Approval::Test::spew("$self->{dir}/message", $1);
            $s->{data} = 0;
            $self->note('end');
            $self->reply($sock, 'end') // return 0;
            next;
        }

        $s->{in} =~ s/\A(.*?)\r\n//s or return 1;

        my $line = $1;
        my ($step) = map { lc } $line =~ /^(?:MAIL )?([A-Z]+)/i;

        $step = 'to' if $step eq 'rcpt';
        $self->note($line);
        $s->{data} = $self->reply($sock, $step) // return 0;
    }
}


sub hang_up {
    my ($select, $sock) = @_;

    $select->remove($sock);
    close($sock);
}


# undef: it hangs up; true: the message follows

sub reply {
    my ($self, $sock, $step) = @_;

    my $script = $self->{script}{$step};
    my $text = !$script ? $GOOD{$step} // '500 what'
               : @$script > 1 ? shift @$script : $script->[0];

    return 0 unless defined $text;
    return undef if $text eq '';

    syswrite($sock, "$text\r\n");

    return $step eq 'data' && $text =~ /^3/ ? 1 : 0;
}


sub note {
    my ($self, $line) = @_;

    open(my $fh, '>>', "$self->{dir}/commands") or die $!;
    print $fh "$line\n";
}


sub commands {
    my ($self) = @_;

    return split(/\n/, Approval::Test::slurp("$self->{dir}/commands"));
}


sub wait_command {
    my ($self, $re, $n) = @_;

    return Approval::Test::wait_for(sub {
        ($n // 1) <= (my @found = grep { $_ =~ $re } $self->commands) });
}


sub message {
    my ($self) = @_;

    return Approval::Test::slurp("$self->{dir}/message");
}


1;
