#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# "type mail": through Exim, with STARTTLS, AUTH and TLS from the start; what
# is in a mail whatever the requester says; threads; refusals; and servers that
# do what no good one does, which must not stop a worker.

use lib 't/lib';
use Approval::Test;

use Approval::Ca;
use Approval::Dns;
use Approval::Exim;
use Approval::Gateway;
use Approval::Smtp;

need_module();
need('redis-server', 'openssl', 'exim4');
plan(skip_all => 'Exim lets only root run it as a server') if $> != 0;

my $ca = Approval::Ca->new(mx => 'mx.test')->dir;
my $exim = Approval::Exim->new(certificate => "$ca/mx.crt",
                               key => "$ca/mx.key",
                               user => 'gw@example.com:pa ss/w@rd');
my $login = Approval::Exim->new(certificate => "$ca/mx.crt",
                                key => "$ca/mx.key", mechanism => 'LOGIN',
                                user => 'gw:secret');
my $plain = Approval::Exim->new;
my $dns = Approval::Dns->new('mx.test' => '127.0.0.1')->port;

chmod(0644, "$ca/mx.key");

my $user = 'gw%40example.com:pa%20ss%2Fw%40rd@';
my $tls = "trusted_certificate $ca/ca.crt;";

# what is wrong with a server, and what is said of it

my %fake = (
    greeting => [ { greet => [ undef ] }, qr/took longer than the "timeout"/ ],
    crowded  => [ { greet => [ '421 busy' ] },
                  qr/refused the connection \(status 421\)/ ],
    hangs_up => [ { from => [ '' ] }, qr/the connection was lost/ ],
    silent   => [ { end => [ undef ] }, qr/took longer than the "timeout"/ ],
    sender   => [ { from => [ '550 no' ] },
                  qr/refused the sender \(status 550\)/ ],
    relay    => [ { to => [ '554 relay denied' ] },
                  qr/refused the recipient \(status 554\)/ ],
    nodata   => [ { data => [ '503 no' ] },
                  qr/accepts no messages \(status 503\)/ ],
    spam     => [ { end => [ '554 spam' ] },
                  qr/refused the message \(status 554\)/ ],
    garbage  => [ { to => [ 'HTTP/1.1 200 OK' ] }, qr/mail server is not SMTP/ ],
    early    => [ { from => [ "250 ok\r\n250 ok" ] }, qr/replied too early/ ],
    chatter  => [ { from => [ "250-x\r\n" x 20000 . '250 x' ] },
                  qr/reply is too long/ ],
);

my %server = map { $_ => Approval::Smtp->new(%{ $fake{$_}[0] }) } keys %fake;
my $busy = Approval::Smtp->new(to => [ '451 later', '421 later', '250 ok' ]);
my $dots = Approval::Smtp->new;

my %channel = (
    starttls => "url smtp://${user}mx.test:@{[ $exim->port ]}; $tls",
    smtps    => "url smtps://${user}mx.test:@{[ $exim->tls_port ]}; $tls",
    login    => "url smtp://gw:secret\@mx.test:@{[ $login->port ]}/gw.test;"
                . " $tls",
    loopback => "url smtp://127.0.0.1:@{[ $plain->port ]};",
    list     => "url smtp://localhost:@{[ $plain->port ]};"
                . ' to approvers@example.com;',
    badpass  => "url smtp://gw%40example.com:no\@mx.test:@{[ $exim->port ]};"
                . " $tls retries 0;",
    unknownca => "url smtp://${user}mx.test:@{[ $exim->port ]}; retries 0;",
    noname   => "url smtps://${user}127.0.0.1:@{[ $exim->tls_port ]};"
                . " $tls retries 0;",
    notls    => "url smtp://mx.test:@{[ $plain->port ]}; $tls retries 0;",
    busy     => "url smtp://127.0.0.1:@{[ $busy->port ]};",
    dots     => "url smtp://127.0.0.1:@{[ $dots->port ]};",
    map({ $_ => "url smtp://127.0.0.1:@{[ $server{$_}->port ]}; retries 0;"
                . ' timeout 2s;' } keys %fake),
);

my $channels = join('', map { my $how = $channel{$_};
                              $how .= ' timeout 60s;' if $how !~ /timeout/;
                              "approval_channel $_ { type mail;"
                              . ' from approvals@gw.example;'
                              . " $how backoff 50ms 100ms; }\n" }
                        sort keys %channel);
my $rules = join('', map {
    my $who = $_ eq 'starttls' ? 'people' : 'alice';
    "rule $_ { match \$uri ^/$_; action db.drop; risk high;"
    . " summary \"drop \$arg_table\"; show claim json:/claim;"
    . " match json:/op ~.*; require $who; timeout 60s; notify $_; }\n"
} sort keys %channel);

my $gw = Approval::Gateway->new(log_level => 'info', http => <<"END",
    resolver 127.0.0.1:$dns ipv6=off valid=1s;
    resolver_timeout 30s;
    $channels
    approval_alias alice alice\@example.com;
    approval_group people alice Carol\@Example.com T01:U02 unknown\@gw.example;
    approval_group alice alice;
    approval_group many @{[ map { "p$_\@example.com" } 1 .. 60 ]};
    approval_policy test {
        strict_path off;
        $rules
        rule remind { match \$uri ^/remind; action r; require alice;
                      notify loopback; remind 1s; }
        rule many { match \$uri ^/many; action m; require many; timeout 60s;
                    notify loopback; }
        rule critical { match \$uri ^/critical; action c; risk critical;
                        require alice; notify loopback; }
    }
END
    server => 'approval test; approval_reason $http_x_approval_reason;'
              . ' location / { proxy_pass %%UP%%; }');

persons();
threads();
hostile();
shared();
critical();
many();
transports();
failures();
worker_free();
retried();
stuffed();
refusals();

$gw->clean;

done_testing();


sub drop {
    my ($name, %how) = @_;

    return $gw->hold(POST => "/$name?table=users",
                     json => { op => 'drop', claim => 'c' }, %how);
}


sub finish {
    my ($client, $id, $who) = @_;

    is($gw->vote($id, 'deny', 'no', $who)->status, 200, 'denied');
    $client->read;
}


# one mail a person; who has no address, or none that is taken, gets none

sub persons {
    my ($client, $id) = drop('starttls');

    ok($exim->wait_count(2), 'two mails') or diag($exim->log, $gw->ngx->log);
    $gw->wait_audit('notify_failed', 2);

    my %mail = map { $_->to => $_ } $exim->mails;

    is(join(' ', sort keys %mail), 'alice@example.com carol@example.com',
       'by an alias, or the identity itself');

    my %link;

    for my $to (sort keys %mail) {
        my ($text, $html) = ($mail{$to}->text, $mail{$to}->html);

        ($link{$to}) = $text =~ m{^    (http://\S+)$}m;

        like($link{$to}, qr{/_approval/actions/\Q$id\E\?t=}, 'its own link');
        like($html, qr{href="\Q$link{$to}\E"}, 'in the HTML as well');
        is(scalar(() = $html =~ /href/g), 1, 'the only one');
        is($mail{$to}->header('To'), "<$to>", 'to one');
        is($mail{$to}->header('Return-path'), '<approvals@gw.example>',
           'the envelope has "from"');
    }

    isnt($link{'alice@example.com'}, $link{'carol@example.com'},
         'to each their own');

    my %failed = map { $_->{approver} => $_ } $gw->audit('notify_failed');

    like($failed{'t01:u02'}{error}, qr/no mail address.*approval_alias/,
         'the remedy is named');
    is($failed{'unknown@gw.example'}{status}, 550, 'a refusal is on record');
    ok($_->{final}, 'and not tried again') for values %failed;

    my $path = $link{'alice@example.com'} =~ s{^http://[^/]+}{}r;

    is(http_get($gw->port, $path)->status, 200, 'the link opens the action');
    is(http_get($gw->port, $path =~ s/\?.*//r)->status, 401,
       'which nothing else of it does');

    like($exim->log, qr/X=TLS.*A=plain:gw\@example\.com/,
         'over TLS, authenticated');
    unlike($exim->log, qr/error|timed out|lost/, 'and the server is content');

    my $vote = http_post($gw->port, $path =~ s{\?}{/decision?}r,
                         encode_json({ decision => 'approve' }),
                         headers => [ 'Content-Type' => 'application/json' ]);

    is($vote->status, 200, 'and it decides');
    is($client->read->header('Approval-Status'), 'approved', 'the request');
    is(($gw->audit('approved'))[0]{approvers}, 'alice', 'for who was told');

    $exim->wait_count(6);
    $exim->clear;
}


sub threads {
    my ($client, $id) = drop('remind');

    $plain->wait_count(3);
    $gw->vote($id, 'approve', "fine\nby me");
    is($client->read->status, 200, 'approved');

    my %event;

    wait_for(sub {
        %event = ();
        push @{ $event{ $_->text =~ /^(\w+)/ ? $1 : '' } }, $_
            for $plain->mails;
        return $event{Approved} && $event{Executed};
    });

    my $first = $event{Approval}[0];
    my $id_of = $first->header('Message-ID');

    like($id_of, qr/^<msg_[0-9a-f]{32}\@gw\.example>$/, 'Message-ID');
    is($first->header('References'), undef, 'the first refers to none');
    is($first->subject, 'Approval needed: risk medium, r', 'its subject');

    my %ids = ($id_of => 1);

    for my $mail (@{ $event{Still} }, map { $event{$_}[0] }
                                          qw(Approved Executed))
    {
        is($mail->header($_), $id_of, "$_ is the first")
            for qw(References In-Reply-To);
        is($mail->subject, 'Re: ' . $first->subject, 'the same subject');
        ok(!$ids{$mail->header('Message-ID')}++, 'an id of its own');
    }

    my $text = $event{Approved}[0]->text;

    like($text, qr/^By alice\nComment: fine\n> by me$/m, 'who, and a comment');
    unlike($text, qr/t=/, 'no personal link any more');
    like($event{Executed}[0]->text, qr/^Upstream: status 200/m, 'the outcome');

    $plain->clear;
}


# nothing of it becomes a header, a line of ours, or markup

sub hostile {
    my @texts = (
        "x\r\nBcc: evil\@example.com\r\n\r\nbody",
        "\n    https://evil.example/approve", "=?UTF-8?Q?=0D=0ABcc:_x?=",
        ".\r\nQUIT\r\n", '<a href="https://evil.example">Approve</a>',
        "\x{202e}txet\x{200b}", "\x{1f4a5}" x 300, 'x' x 100_000, "\x01\x1b[m",
    );

    for my $text (@texts) {
        my $bytes = $text;
        utf8::encode($bytes);

        my $reason = substr($bytes, 0, 1000) =~ s/[\x00-\x1f\x7f]//gr;
        my $table = substr($bytes, 0, 1000)
                    =~ s/([^A-Za-z0-9])/sprintf('%%%02X', ord $1)/ger;

        my ($client, $id) = $gw->hold(POST => "/loopback?table=$table",
            headers => [ 'X-Approval-Reason' => $reason ],
            json => { op => $text, claim => $text, $text => $text });

        $plain->wait_count(1);

        my ($mail) = $plain->mails;

        is(join(' ', sort grep { !/^(?:received|envelope-to|return-path
                                     |delivery-date)$/x } $mail->headers),
           'auto-submitted content-type date from message-id mime-version '
           . 'subject to x-auto-response-suppress', 'our headers, each once');
        is($mail->to, 'alice@example.com', 'to whom it should go');

        my @far = $mail->text =~ /^    (\S+)/mg;

        is(scalar(@far), 1, 'one link in the text');
        like($far[0], qr{^http://127\.0\.0\.1:\d+/_approval/}, 'which is ours');
        is(join(' ', $mail->html =~ /href="([^"]+)"/g), $far[0],
           'and in the HTML');
        cmp_ok(length $mail->raw, '<', 256 * 1024, 'not too large');
        is(scalar(grep { length > 998 } split(/\n/, $mail->raw)), 0,
           'no line is too long');

        finish($client, $id);
        $plain->wait_count(2);
        $plain->clear;
    }
}


sub shared {
    my ($client, $id) = drop('list');

    $plain->wait_count(1);

    my ($mail) = $plain->mails;

    is($mail->to, 'approvers@example.com', 'to the one address');
    like($mail->text, qr{^    http://\S+/_approval/actions/\Q$id\E$}m,
         'with the shared link');

    finish($client, $id);
    $plain->wait_count(2);
    $plain->clear;
}


sub critical {
    my ($client, $id) = $gw->hold(GET => '/critical');

    $plain->wait_count(1);

    my ($mail) = $plain->mails;

    like($mail->$_, qr/to enter when approving:(?: <b>)? ?\d{6}/, "$_: code")
        for qw(text html);

    finish($client, $id);
    $plain->wait_count(2);
    $plain->clear;
}


# more than Exim takes at a time: they wait for each other, and none is refused

sub many {
    my ($client, $id) = $gw->hold(GET => '/many');

    ok($plain->wait_count(60), 'sixty mails');

    my %to = map { $_->to => 1 } $plain->mails;

    is(scalar(keys %to), 60, 'to sixty persons');

    finish($client, $id, 'p1@example.com');
    ok($plain->wait_count(120), 'and sixty outcomes');
    $gw->wait_audit('notified', 120);
    is(scalar(my @failed = grep { $_->{action_id} eq $id }
                           $gw->audit('notify_failed')), 0, 'none was refused');
    unlike($plain->log, qr/too many connections/i, 'nor came too many at once');
    $plain->clear;
}


sub transports {
    for ([ smtps => $exim ], [ login => $login ], [ loopback => $plain ]) {
        my ($name, $server) = @$_;
        my ($client, $id) = drop($name);

        ok($server->wait_count(1), "$name: told") or diag($gw->ngx->log);
        finish($client, $id);
        ok($server->wait_count(2), 'and of the outcome');
        $server->clear;
    }

    like($login->log, qr/A=login/, 'AUTH LOGIN where there is no PLAIN');
    like($login->log, qr/H=localhost \(gw\.test\)|H=\(gw\.test\)/,
         'EHLO by the name of the URL');
    unlike($plain->log, qr/X=TLS/, 'none on this host');
}


sub failures {
    my %why = (
        badpass => qr/refused the user and the password/,
        unknownca => qr/certificate/,
        noname => qr/certificate/,
        notls => qr/offers no STARTTLS/,
        map { $_ => $fake{$_}[1] } keys %fake,
    );

    for my $name (sort keys %why) {
        my $mark = $gw->ngx->mark;
        my ($client, $id) = drop($name);

        $gw->ngx->log_like(qr/channel "$name" .*: attempt 1 failed: .*$why{$name}/,
                           "$name: not told", since => $mark);

        finish($client, $id);
    }

    unlike(join('', $exim->log, $plain->log), qr/<= .*badpass/,
           'and nothing arrived');
    is(scalar(my @none = $exim->mails), 0,
       'no mail without a verified server');
    unlike(join(' ', map { $_->commands } values %server), qr/AUTH/,
           'and no password in clear');

    # a "5" is said once

    my ($spam) = grep { ($_->{channel} // '') eq 'spam' }
                      $gw->audit('notify_failed');

    is($spam->{status}, 554, 'the status is on record');
    ok($spam->{final}, 'it is not tried again');
    ok($server{spam}->wait_command(qr/^QUIT/), 'and says goodbye');
}


# curl's own upload would wait for the server's word within the event loop

sub worker_free {
    my ($client, $id) = drop('silent');

    ok($server{silent}->wait_command(qr/^end/, 2), 'the server has it all');

    is(http_get($gw->port, '/free')->status, 200, 'others pass meanwhile');

    is(scalar(grep { ($_->{action_id} // '') eq $id }
                   map { $gw->audit($_) } qw(notified notify_failed)), 0,
       'while it says nothing');

    ok(wait_for(sub { grep { $_->{action_id} eq $id }
                           $gw->audit('notify_failed') }), 'until the timeout');

    finish($client, $id);
}


sub retried {
    my ($client, $id) = drop('busy');

    ok(wait_for(sub { grep { $_->{channel} eq 'busy' }
                           $gw->audit('notified') }), 'told in the end');

    my @failed = grep { $_->{channel} eq 'busy' } $gw->audit('notify_failed');

    is(join(' ', map { $_->{status} } @failed), '451 421', 'after two refusals');
    is($_->{final} ? 1 : 0, 0, 'that were not final') for @failed;
    is(scalar(grep { /^MAIL FROM:<approvals\@gw\.example>/ } $busy->commands),
       3, 'three attempts');

    finish($client, $id);
    $busy->wait_command(qr/^end/, 2);
}


sub stuffed {
    my ($client, $id) = $gw->hold(POST => '/dots', body => "{\"op\":\"x\"}\n",
        headers => [ 'Content-Type' => 'application/json',
                     'X-Approval-Reason' => '.' ]);

    ok($dots->wait_command(qr/^end/), 'told');
    unlike($dots->message, qr/^\.[^.\r]/m, 'dots at the beginning are doubled');
    like($dots->message, qr/\r\n\z/, 'ends with a line');
    unlike($dots->message =~ s/\r\n//gr, qr/[\r\n]/, 'lines end with CRLF');

    finish($client, $id);
    $dots->wait_command(qr/^end/, 2);
}


sub refusals {
    my $mail = 'type mail; from a@b.example;';

    my @case = (
        [ 'type mail; url smtp://127.0.0.1' => 'but no "from"' ],
        [ "$mail url http://127.0.0.1/" => 'is not a mail server' ],
        [ "$mail pass /x" => 'is not a mail server' ],
        [ 'url smtp://127.0.0.1' => 'add "type mail;"' ],
        [ 'url http://127.0.0.1/; from a@b.example' => '"from" of channel' ],
        [ 'url http://127.0.0.1/; to identity' => '"to" of channel' ],
        [ 'url http://127.0.0.1/; starttls on' => '"starttls" of channel' ],
        [ 'from "A <a@b.example>"' => 'is not a mail address' ],
        [ "$mail to alice" => 'is not a mail address' ],
        [ "$mail from x\@y.example" => 'is duplicate' ],
        [ "$mail to identity; to identity" => 'is duplicate' ],
        [ "$mail url smtp://127.0.0.1; per_approver off"
              => 'sends a mail to each approver' ],
        [ "$mail url smtp://127.0.0.1; to c\@b.example; per_approver on"
              => 'sends all mails to one address' ],
        [ "$mail url smtps://127.0.0.1; starttls on" => 'contradicts "smtps://"' ],
        [ "$mail url smtp://192.0.2.1; starttls off; trusted_certificate "
          . "$ca/ca.crt" => 'have no effect without TLS' ],
        [ "$mail url smtp://u:p\@192.0.2.1; starttls off"
              => 'would send its password unencrypted' ],
        [ "$mail url smtp://u\@192.0.2.1" => 'is invalid' ],
        [ "$mail url smtp://u:p\@x\@192.0.2.1" => 'is invalid' ],
        [ "$mail url smtp://u:p%0d%0a\@192.0.2.1" => 'is invalid' ],
        [ "$mail url smtp://192.0.2.1/a/b" => 'not a host name for EHLO' ],
        [ "$mail url smtp://192.0.2.1:70000" => 'port is invalid' ],
        [ "$mail url smtp://mx.example" => 'there is no "resolver"' ],
    );

    for my $case (@case) {
        my ($status, $out) = conf("approval_channel c { $case->[0]; }");

        isnt($status, 0, "refused: $case->[0]");
        like($out, qr/\[emerg\].*\Q$case->[1]\E/, 'with the reason');
    }

    my (undef, $out) = conf("approval_channel c { $mail url"
                            . ' smtp://u:hidden-here@x@y; }');

    unlike($out, qr/hidden-here/, 'a password is not quoted');

    (my $status, $out) = conf(<<"END");
        approval_channel c { $mail url smtp://192.0.2.1; }
        approval_group g ann bob\@b.example;
        approval_policy p { rule r { match \$uri /x; action a; require g;
                                     notify c; } }
END

    is($status, 0, 'a member without an address is a warning');
    like($out, qr/\[warn\].*"ann" of rule "r" gets no mail.*approval_alias ann/,
         'with the remedy');
    unlike($out, qr/"bob/, 'others are well');
}


sub conf {
    my ($text) = @_;

    return Approval::Nginx->test_conf(http => <<"END");
        approval_redis unix:/nowhere;
        approval_key $gw->{keys}{secret};
        approval_base_url http://127.0.0.1/a;
        $text
        server { listen 127.0.0.1:%%PORT%%; }
END
}
