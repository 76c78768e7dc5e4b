#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Receivers that answer as no server should, by url and by pass: the message
# counts as not sent, the worker neither waits nor grows, and goes on.

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX qw(_exit);
use Time::HiRes qw(sleep);

use Approval::Test;
use Approval::Gateway;

need_module();


# what is written, in pieces, until the gateway has had enough

my %answer = (
    many_1xx    => sub { $_[0]->("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
                             or return for 1 .. 100_000;
                         $_[0]->("HTTP/1.1 204 No Content\r\n\r\n"); },
    slow_1xx    => sub { while ($_[0]->("HTTP/1.1 103 Early\r\n\r\n")) {
                             sleep 0.05 } },
    upgrade     => sub { $_[0]->("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n"
                                 . "Connection: upgrade\r\n\r\nxx") },
    long_header => sub { $_[0]->("HTTP/1.1 204 No Content\r\nX: "
                                 . 'a' x 1_000_000 . "\r\n\r\n") },
    headers     => sub { $_[0]->("HTTP/1.1 204 No Content\r\n");
                         $_[0]->("X-$_: " . 'b' x 200 . "\r\n")
                             or return for 1 .. 200_000;
                         $_[0]->("\r\n"); },
    trickle     => sub { for (split //, "HTTP/1.1 204 No Content\r\nX: "
                                        . 'x' x 10_000) {
                             $_[0]->($_) or return;
                             sleep 0.05;
                         } },
    garbage     => sub { $_[0]->("\0\1\2 no protocol\r\n\r\n") },
    status_999  => sub { $_[0]->("HTTP/1.1 999 ?\r\nContent-Length: 0\r\n\r\n") },
    redirect    => sub { $_[0]->("HTTP/1.1 307 There\r\nContent-Length: 0\r\n"
                                 . "Location: http://169.254.169.254/\r\n\r\n") },
    nothing     => sub { },
);

# these are answers, whatever comes with them

my %taken = (
    endless     => sub { $_[0]->("HTTP/1.1 200 OK\r\n"
                                 . "Transfer-Encoding: chunked\r\n\r\n");
                         while ($_[0]->("1000\r\n" . 'z' x 4096 . "\r\n")) { } },
    plain       => sub { $_[0]->("HTTP/1.1 204 No Content\r\n\r\n") },
);

my $server = listener(Listen => 64);
my $port = $server->sockport;
my $pid = serve();

my $gw = Approval::Gateway->new(log_level => 'info', http => <<"EOF_HTTP",
    approval_channel url  { url http://127.0.0.1:$port/; timeout 2s;
                            retries 0; backoff 50ms 100ms; }
    approval_channel pass { pass /pass; timeout 2s; retries 0;
                            backoff 50ms 100ms; }
    approval_policy p {
        rule url  { match \$uri ^/url; require admins; timeout 60s;
                    notify url; }
        rule pass { match \$uri ^/pass; require admins; timeout 60s;
                    notify pass; }
    }
EOF_HTTP
    server => <<"EOF_SERVER");
    approval p;
    location = /pass { internal; proxy_pass http://127.0.0.1:$port; }
    location / { proxy_pass %%UP%%; }
EOF_SERVER

my ($worker) = $gw->ngx->workers;

sub peak { slurp("/proc/$worker/status") =~ /^VmHWM:\s+(\d+)/m ? $1 : 0 }

my $before = peak();

for my $carrier (qw(url pass)) {
    told($carrier, $_, 'notify_failed')
        for grep { "$carrier $_" ne 'pass many_1xx' } sort keys %answer;
    told($carrier, $_, 'notified') for sort keys %taken;
}

cmp_ok(peak() - $before, '<', 32 * 1024 * slow(), 'the worker has not grown');

# since 1.29.0 nginx itself reads all of these, and keeps them until the end

told('pass', 'many_1xx',
     Approval::Nginx::minor() < 29 ? 'notify_failed' : 'notified');

kill('KILL', $pid);
waitpid($pid, 0);

$gw->clean('receivers');

done_testing();


# which answer it is to be is in the body: the target

sub told {
    my ($carrier, $name, $type) = @_;

    my ($client, $id) = $gw->hold(GET => "/$carrier/$name");
    my $record;

    ok(wait_for(sub {
        ($record) = grep { ($_->{action_id} // '') eq $id
                           && $_->{type} =~ /^notif(?:ied|y_failed)$/ }
                    $gw->audit;
        return $record;
    }), "$carrier, $name: comes to an end");

    is($record->{type}, $type, "$carrier, $name: $type");
    is(http_get($gw->port, '/other')->status, 200, "$carrier, $name: it goes on");

    $gw->vote($id, 'deny');
    is($client->read->status, 403, "$carrier, $name: and the action with it");
}


# a process for each connection

sub serve {
    my $child = fork() // die "fork: $!";

    return $child if $child;

    local $SIG{CHLD} = 'IGNORE';
    local $SIG{PIPE} = 'IGNORE';

    alarm(480);

    while (my $conn = $server->accept) {
        next if fork();

        $server->close;
        alarm(60);

        my ($text, $n) = ('', 0);

        while (sysread($conn, $text, 65536, length $text)) {
            my ($head, $body) = split(/\r\n\r\n/, $text, 2);

            ($n) = $head =~ /^Content-Length: (\d+)/mi;
            last if defined $body && length $body >= $n;
        }

        my ($name) = $text =~ m{"target":"/(?:url|pass)/(\w+)"};
        my $how = $answer{ $name // '' } // $taken{ $name // '' };

        $how->(sub { syswrite($conn, $_[0]) }) if $how;
        close($conn);
        _exit(0);
    }

    _exit(0);
}
