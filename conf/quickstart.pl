#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The two servers that conf/quickstart.sh puts beside the gateway; core Perl.
#
#   perl quickstart.pl upstream SOCKET
#        customers that can be deleted; GET /executions counts how many were
#
#   perl quickstart.pl receiver SOCKET FILE SECRET
#        checks and prints each notification, and appends it to FILE; SECRET is
#        a file with the channel's "whsec_..." secret

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_base64);
use IO::Socket::UNIX;
use JSON::PP ();
use MIME::Base64 qw(decode_base64);
use Socket qw(SOMAXCONN SOCK_STREAM);

$| = 1;
$SIG{PIPE} = 'IGNORE';

my $json = JSON::PP->new->utf8->canonical;

my ($role, $path, $file, $secret_file) = @ARGV;

my %roles = (upstream => \&upstream, receiver => \&receiver);
my $answer = $roles{ $role // '' } or die "quickstart.pl: unknown role\n";

my $executions = 0;


serve($path);


sub serve {
    my ($path) = @_;

    my $listen = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $path,
                                       Listen => SOMAXCONN)
        or die "quickstart.pl: $path: $!\n";

    # who may come here is decided by the directory's mode

    chmod(0777, $path) or die "quickstart.pl: $path: $!\n";

    for ( ;; ) {
        my $socket = $listen->accept or next;
        my $request = read_request($socket);

        if ($request) {
            my ($status, $reply) = $answer->($request);
            my $body = $json->encode($reply) . "\n";

            print $socket "HTTP/1.0 $status\r\n",
                          "Content-Type: application/json\r\n",
                          'Content-Length: ', length($body), "\r\n\r\n", $body;
        }

        close($socket);
    }
}


# nginx speaks HTTP/1.0 to us: no chunks, one request a connection

sub read_request {
    my ($socket) = @_;

    my $start = <$socket> // return undef;
    my ($method, $target) = split / /, $start;
    my %request = (method => $method, target => $target, body => '');

    while (defined(my $line = <$socket>)) {
        last unless $line =~ /^([^:]+):\s*(.*?)\r?\n/;
        $request{ lc $1 } = $2;
    }

    my $length = $request{'content-length'} // 0;
    read($socket, $request{body}, $length) == $length or return undef;

    return \%request;
}


sub upstream {
    my ($request) = @_;

    if ($request->{target} eq '/executions') {
        return ('200 OK', { executions => $executions });
    }

    return ('200 OK', { customers => [ 4711, 4712 ] })
        unless $request->{method} eq 'DELETE';

    $executions++;

    return ('200 OK', { deleted => $request->{target},
                        approved_by => $request->{'approval-by'},
                        action => $request->{'approval-id'},
                        executions => $executions });
}


sub receiver {
    my ($request) = @_;

    my $message = eval { $json->decode($request->{body}) } // {};
    my $type = $message->{type} // 'of no type';
    my $data = $message->{data} // {};
    my $links = $data->{links} // {};
    my $signed = signed($request) ? 'good' : 'BAD';

    if ($type eq 'approval.requested') {
        announce("message for $links->{approver}, signature $signed",
                 "$data->{risk} risk: $data->{summary}",
                 "asked by $data->{requester}: "
                 . ($data->{reason} // 'no reason'),
                 $links->{url});

    } else {
        announce("message $type, signature $signed: $data->{summary}");
    }

    open(my $out, '>>', $file) or die "quickstart.pl: $file: $!\n";

    print $out $json->encode({ id => $data->{id}, type => $type,
                               approver => $links->{approver},
                               url => $links->{url}, signature => $signed }),
               "\n";

    close($out);

    return ('200 OK', {});
}


# Standard Webhooks 1.0

sub signed {
    my ($request) = @_;

    open(my $in, '<', $secret_file) or die "quickstart.pl: $secret_file: $!\n";
    chomp(my $secret = <$in>);
    close($in);

    $secret =~ s/^whsec_//;

    my $text = join '.', map { $_ // '' }
                     @$request{qw(webhook-id webhook-timestamp body)};
    my $want = hmac_sha256_base64($text, decode_base64($secret)) . '=';

    return grep { $_ eq "v1,$want" }
                split / /, $request->{'webhook-signature'} // '';
}


# what others wrote is for reading, not for the terminal to act on

sub announce {
    for my $line (@_) {
        my $text = $line // '';

        $text =~ s/[^\x20-\x7e]/?/g;
        print "receiver | $text\n";
    }
}
