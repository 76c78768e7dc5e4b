#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# GET /audit: what approval-audit export says, over HTTP; who may read it, and
# that nobody else waits for it.

use lib 't/lib', 't/verifier';
use Approval::Test;
use Approval::Gateway;
use AuditForge;
use AuditVerifier;
use Time::HiRes ();

need('openssl');
need_module();

my $tool = build_dir() . '/approval-audit';

my $policy = <<'EOF';
    approval_policy p {
        rule held { match $uri ^/held; action db.drop; risk high;
                    summary "Drop $uri"; show table $arg_table;
                    require admins; timeout 60s; }
    }
EOF
my $server = 'approval p; approval_reason $http_x_approval_reason;
              location / { proxy_pass %%UP%%; }';

my $gw = Approval::Gateway->new(workers => 2, http => $policy,
                                server => $server);
my $file = $gw->ngx->path('audit.jsonl');
my $excerpt = $gw->ngx->path('excerpt');
my $key = "--key $gw->{keys}{public}";


sub run {
    my (@arg) = @_;

    my $out = `$tool @arg 2>&1`;

    return ($? >> 8, $out);
}


sub get {
    my ($query, %how) = @_;

    my $user = $how{user} // 'alice';

    return Approval::Client->new($how{port} // $gw->port)->request(
        $how{method} // 'GET', "/_approval/audit$query",
        headers => [ $user eq '' ? () : ('X-User' => $user) ]);
}


sub story {
    my ($of, %how) = @_;

    my $user = $how{user} // 'alice';

    return Approval::Client->new($gw->port)->request(
        $how{method} // 'GET', '/_approval/story?of='
        . $of =~ s/([^\w.-])/sprintf('%%%02X', ord $1)/ger,
        headers => [ $user eq '' ? () : ('X-User' => $user),
                     $how{page} ? (Accept => 'text/html') : () ]);
}


sub now {
    my ($s, $us) = Time::HiRes::gettimeofday();
    my @t = gmtime($s);

    return sprintf('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', $t[5] + 1900,
                   $t[4] + 1, @t[3, 2, 1, 0], $us / 1000);
}


# a moment, when all that was recorded before it is covered

sub settled {
    my $mark = now();

    return wait_for(sub {
        my (%last, %covered);

        for my $r ($gw->audit) {
            my $to = $r->{type} eq 'checkpoint' ? \%covered : \%last;

            $to->{ $r->{writer} } = $r->{seq}
                if $r->{type} eq 'checkpoint' || $r->{time} lt $mark;
        }

        return !grep { $last{$_} > ($covered{$_} // 0) } keys %last;
    }) && $mark;
}


sub act {
    my ($n, $comment) = @_;

    my ($client, $id) = $gw->hold(GET => "/held/$n?table=t$n",
        headers => [ 'X-Approval-Reason' => "ticket $n" ]);

    $gw->vote($id, 'approve', $comment);
    $client->read;

    return $id;
}


my @ids = map { act($_, $_ == 3 ? '=HYPERLINK("http://x","y")' : "fine, $_") }
          1 .. 6;
my $mark = settled();


subtest 'the same as the tool' => sub {
    for my $row ([ '', '' ],
                 [ '&format=jsonl', '' ],
                 [ '&format=csv', '--format csv' ],
                 [ "&action=$ids[1]", "--action $ids[1]" ],
                 [ "&action=$ids[1]&format=csv",
                   "--action $ids[1] --format csv" ],
                 [ '&limit=3', '--limit 3' ],
                 [ '&since=2001-01-01', '--since 2001-01-01' ])
    {
        my ($query, $options) = @$row;
        my $r = get("?until=$mark$query");
        my $out = `$tool export $file $key --until $mark $options 2>/dev/null`;

        is($r->status, 200, "$query: 200");
        is($r->body, $out, 'what the tool says');
    }

    is(get('?since=2999-01-01')->body, '', 'nothing yet');

    my $r = get("?until=$mark");
    spew($excerpt, $r->body);

    my ($rc, $out) = run('check', $excerpt, $key);
    is($rc, 0, 'each proof holds') or diag($out);
    cmp_ok($r->body =~ tr/\n//, '>', 24, 'of them all');

    my ($first) = map { decode_json($_) } split(/\n/, $r->body);
    ok($first->{record}{time} lt $mark, 'before "until"');
    like($first->{proof}{checkpoint}, qr/^approval-audit\//, 'with a proof');

    spew($excerpt, $r->body =~ s/"fine, 2"/"fine, 1"/r);
    ($rc) = run('check', $excerpt, $key);
    is($rc, 1, 'and of nothing else');

    my ($middle) = map { $_->{time} }
                   grep { ($_->{action_id} // '') eq $ids[3] }
                   $gw->audit('requested');
    my $since = get("?since=$middle&until=$mark")->body;
    my $until = get("?until=$middle")->body;

    is(($since =~ tr/\n//) + ($until =~ tr/\n//), $r->body =~ tr/\n//,
       'from "since" on, before "until": none twice, and none left out');
};


subtest 'headers' => sub {
    my $r = get('?limit=1');

    is($r->header('Content-Type'), 'application/x-ndjson', 'jsonl');
    is($r->header('Cache-Control'), 'no-store', 'not kept');
    is($r->header('X-Content-Type-Options'), 'nosniff', 'not guessed');
    is($r->header('Content-Disposition'),
       'attachment; filename="audit.jsonl"', 'a file');

    $r = get('?limit=1&format=csv');
    is($r->header('Content-Type'), 'text/csv; charset=utf-8', 'csv');
    is($r->header('Content-Disposition'),
       'attachment; filename="audit.csv"', 'a file');

    my @before = $gw->audit('viewed');
    $r = get('?format=csv', method => 'HEAD');
    is($r->status, 200, 'HEAD');
    is($r->body, '', 'without a body');
    is(scalar(my @viewed = $gw->audit('viewed')), scalar @before,
       'changes nothing');

    $r = get('', method => 'POST');
    is($r->status, 405, 'POST');
    is($r->header('Allow'), 'GET, HEAD', 'what is allowed');
};


subtest 'csv' => sub {
    my ($head, @rows) = split(/\n/,
                              get("?action=$ids[2]&format=csv")->body);

    like($head, qr/^time,.*,tree_size,audit_path,checkpoint$/, 'a head');
    is(scalar(grep { /"'=HYPERLINK\(""http:/ } @rows), 1,
       'a formula is text');
    is(scalar(grep { /,"=|^"=/ } @rows), 0, 'and only text');

    my %row;

    for my $line (split(/\n/, get("?action=$ids[0]&format=csv")->body)) {
        my @cells = map { s/^"(.*)"$/$1/r }
                    $line =~ /(?:^|\G,)("(?:[^"]|"")*"|[^,]*)/g;

        $row{head} //= \@cells;
        is(scalar @cells, scalar @{ $row{head} }, 'as many cells as columns');

        my %cell;
        @cell{ @{ $row{head} } } = @cells;
        $row{ $cell{type} } = \%cell;
    }

    my %want = (
        requested => { action => 'db.drop', risk => 'high',
                       summary => 'Drop /held/1', reason => 'ticket 1',
                       requester => 'agent-7', remote_addr => '127.0.0.1',
                       show => '{""table"":""t1""}', rule => 'held' },
        voted     => { identity => 'alice', person => 'alice', how => 'idp',
                       groups => 'admins', decision => 'approve',
                       comment => 'fine, 1',
                       remote_addr => '127.0.0.1', proof => 'signed' },
        approved  => { approvers => 'alice' });

    for my $type (sort keys %want) {
        is($row{$type}{$_}, $want{$type}{$_}, "$type: $_")
            for sort keys %{ $want{$type} };
        like($row{$type}{checkpoint}, qr/^approval-audit\/[0-9a-f]{32}\\n\d+/,
             "$type: the checkpoint that covers it");
    }

    # the last checkpoint, which no other covers

    my ($own) = grep { /^"[^"]*",[^,]*,"checkpoint",/ }
                reverse split(/\n/, get('?format=csv')->body);

    like($own, qr/,signed,,,"approval-audit\/[0-9a-f]{32}\\n\d+\\n[^"]+"$/,
         'a checkpoint that no other covers has itself');

    spew($excerpt, get("?action=$ids[0]&format=csv")->body);

    my ($rc, $out) = run('check', $excerpt, $key);
    is($rc, 3, 'csv cannot be checked');
    like($out, qr/is CSV.*--format jsonl/, 'and what can');
};


subtest 'who signed off' => sub {
    my $id = $ids[1];
    my ($requested) = grep { $_->{action_id} eq $id } $gw->audit('requested');
    my ($approved) = grep { $_->{action_id} eq $id } $gw->audit('approved');
    my $before = grep { $_->{story} } $gw->audit('viewed');

    my $r = story($id);
    is($r->status, 200, 'by its id');

    my ($told, @more) = @{ $r->json->{actions} };
    is($told->{id}, $id, 'the action');
    is(scalar @more, 0, 'and no other');

    my %fact = map { $_->{name} => $_->{text} } @{ $told->{request} };
    is($fact{summary}, 'Drop /held/2', 'what was asked for');
    is($fact{shown}, 'table: t2', 'what people were shown');
    is($fact{'claimed reason'}, 'ticket 2', 'and why');

    my ($vote) = grep { $_->{type} eq 'voted' } @{ $told->{records} };
    is($vote->{text}, 'alice: approve (idp) "fine, 2" from 127.0.0.1',
       'who signed off, and how it is known');
    ok($vote->{signed}, 'a checkpoint covers it');
    is($vote->{record}{vote},
       (grep { $_->{action_id} eq $id } $gw->audit('voted'))[0]{vote},
       'with the vote itself');

    # the tool tells the same

    my ($rc, $out) = run('show', $id, $file, $key);

    for my $record (@{ $told->{records} }) {
        my $line = quotemeta("  $record->{time}  $record->{type}")
                   . ' +' . quotemeta($record->{text});
        like($out, qr/^$line  \[/m, "show: $record->{type}");
    }

    for my $fact (@{ $told->{request} }) {
        like($out, qr/^  \Q$fact->{name}\E +\Q$fact->{text}\E$/m,
             "show: $fact->{name}");
    }

    for my $known ($requested->{digest}, $approved->{decision},
                   " https://gw.example/_approval/actions/$id?t=1.2 ")
    {
        my $found = story($known)->json->{actions};
        is_deeply([ map { $_->{id} } @$found ], [ $id ],
                  'by ' . substr($known, 0, 20));
    }

    is_deeply(story('0' x 32)->json->{actions}, [], 'of nothing we know');
    is(story('x' x 5000)->status, 400, 'nor of what is too long');

    $r = story($id, page => 1);
    like($r->header('Content-Type'), qr{^text/html}, 'as a page');
    like($r->body, qr/table: t2/, 'with what was shown');
    like($r->body, qr/alice: approve \(idp\) &quot;fine, 2&quot;/, 'and who');
    unlike($r->body, qr/Unauthenticated/, 'all of it is signed');
    like(story('', page => 1)->body, qr/<form method="get" action="story"/,
         'a form to ask with');

    is(story($id, user => 'mallory')->status, 403, 'not for everybody');
    is(story($id, user => '')->status, 401, 'nor for nobody');
    is(story($id, method => 'HEAD')->body, '', 'HEAD');

    my @viewed = grep { $_->{story} } $gw->audit('viewed');
    is_deeply($viewed[$before]{story}, [ $id ], 'who looked is on record');
    is($viewed[$before]{identity}, 'alice', 'by name');
    unlike(slurp($file), qr/actions\/$id\?t=/, 'and no link that was pasted');
};


subtest 'who may' => sub {
    my $r = get('', user => '');
    is($r->status, 401, 'nobody is signed in');
    is($r->json->{type}, 'urn:approval:identity-required', 'and why');

    is(get('?t=1.2.3.4', user => '')->status, 401,
       'a link opens its action only');

    $r = get('', user => 'mallory');
    is($r->status, 403, 'in no group');
    is($r->json->{type}, 'urn:approval:not-an-approver', 'and why');

    get('?limit=1&action=' . $ids[0], user => 'bob');

    my ($viewed) = grep { $_->{export} && $_->{identity} eq 'bob' }
                   $gw->audit('viewed');
    is($viewed->{export}{action}, $ids[0], 'who took a copy is on record');
    is($viewed->{action_id}, undef, 'of no action in particular');
};


subtest 'not understood' => sub {
    for my $row ([ 'since', 'yesterday' ], [ 'until', '2026-13-01' ],
                 [ 'until', '2026-01-02T25:00:00Z' ], [ 'format', 'xml' ],
                 [ 'action', 'ABC' ], [ 'limit', '0' ], [ 'limit', '1x' ],
                 [ 'limit', '-1' ], [ 'since', '2026-01-01&since=2026-01-02' ],
                 [ 'until', '2026-01-01&since=2026-01-01' ])
    {
        my ($name, $value) = @$row;
        my $r = get("?$name=$value");

        is($r->status, 400, "$name=$value");
        is($r->json->{type}, 'urn:approval:bad-argument', 'its type');
        is($r->json->{argument}, $name, 'names the argument');
    }

    is(get('?colour=red')->status, 400, 'an unknown argument');
    is(get('?since=&until=&limit=&format=')->status, 200,
       'an empty value asks for nothing');
};


# a line that is no record, and one that is not written to its end

subtest 'torn' => sub {
    my $whole = get("?until=$mark")->body;

    open(my $fh, '>>', $file) or die $!;
    syswrite($fh, "{\"action_id\":\"torn\n{\"half");

    is(get("?until=$mark")->body, $whole, 'are passed over');
    $gw->ngx->log_like(qr/\d lines of the audit trail .* are not records/,
                       'and told of');
};


subtest 'rotated' => sub {
    rename($file, "$file.1") or die $!;
    $gw->ngx->reopen;

    my $id = act(7, 'after');

    settled();
    spew($excerpt, get("?action=$id")->body);

    my ($rc, $out) = run('check', $excerpt, $key);
    is($rc, 0, 'the new file alone has proofs') or diag($out);

    $out = `$tool export $file $key --action $id 2>/dev/null`;
    is($out, slurp($excerpt), 'so says the tool');

    ($rc, $out) = run('verify', "$file.1", $file, $key, '-q');
    is($rc, 2, 'the whole verifies, but for the torn lines') || diag($out);
};


# an excerpt that is larger than the client takes at once

subtest 'slow' => sub {
    my $big = Approval::Gateway->new(workers => 1, http => $policy,
                                     server => $server);
    my $trail = $big->ngx->path('audit.jsonl');
    my ($client, $id) = $big->hold(GET => '/held/1');

    $big->vote($id, 'approve');
    $client->read;
    $big->wait_audit('checkpoint', 1);

    # many times over: what stands twice has no proof, and is told

    my $text = slurp($trail);
    my $size = 24e6 * ($text =~ tr/\n// ? 1 : 0);
    my $ask = sub {
        my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                         PeerPort => $big->port) or die $!;

        print $sock "GET /_approval/audit HTTP/1.1\r\nHost: x\r\n"
                    . "X-User: alice\r\nConnection: close\r\n\r\n";
        sysread($sock, my $some, 1) == 1 or die 'no answer';

        return $sock;
    };
    my $rest = sub {
        my ($sock) = @_;
        my ($n, $some) = (0);

        while (my $got = sysread($sock, $some, 1 << 20)) { $n += $got }

        return $n;
    };
    my $rss = sub {
        my ($pid) = $big->ngx->workers;

        return (slurp("/proc/$pid/statm") =~ /^\d+ (\d+)/)[0] * 4096;
    };

    open(my $fh, '>>', $trail) or die $!;
    print $fh $text for 1 .. $size / length $text;
    close($fh) or die $!;

    my $before = $rss->();
    my $sock = $ask->();

    is(http_get($big->port, '/_status')->status, 200, 'others are served');
    cmp_ok($rest->($sock), '>', 20e6, 'the slow client gets it all');
    cmp_ok($rss->() - $before, '<', 8e6, 'in the memory of a piece')
        if slow() == 1;

    my @readers = map { $ask->() } 1, 2;
    my $r = get('', port => $big->port);

    is($r->status, 503, 'two read: a third is told');
    is($r->json->{type}, 'urn:approval:export-busy', 'so');
    is($r->header('Retry-After'), 5, 'and when to try again');

    close($_) for @readers;

    ok(wait_for(sub { get('?limit=1', port => $big->port)->status == 200 }),
       'they left: it can be read again');

    $sock = $ask->();
    $big->ngx->reload;
    cmp_ok($rest->($sock), '>', 20e6, 'a worker that quits sends it all');
    $big->ngx->stop;
};


subtest 'by conf' => sub {
    my $http = $gw->ngx->{http};
    my $groups = 'approval_group audit eve; approval_auditors audit;';

    $gw->ngx->reload(http => "$groups $http");

    is(get('?limit=1', user => 'eve')->status, 200, 'approval_auditors');

    my $r = get('');
    is($r->status, 403, 'and no others');
    is($r->json->{type}, 'urn:approval:not-an-auditor', 'and why');

    for my $sync (qw(off always)) {
        $gw->ngx->reload(http => $http =~ s/audit\.jsonl/$& sync=$sync/r);
        is(get('?limit=1')->status, 200, "sync=$sync");
    }

    $gw->ngx->reload(http => $http =~ s/approval_audit .*;//r);
    $r = get('');
    is($r->status, 404, 'without approval_audit');
    is($r->json->{type}, 'urn:approval:no-audit', 'and why');

    my ($rc, $out) = Approval::Nginx->test_conf(
        http => 'approval_auditors nobody;');
    isnt($rc, 0, 'a group without members');
    like($out, qr/group "nobody" in "approval_auditors" has no members/,
         'and what to do');

    $gw->ngx->reload(http => $http);

    my ($pid) = $gw->ngx->workers;

    SKIP: {
        skip('workers are root: no file is out of their reach', 3)
            if slurp("/proc/$pid/status") =~ /^Uid:\s+0/m;

        chmod(0, $file);
        $r = get('');
        chmod(0644, $file);

        is($r->status, 500, 'a file that workers may not read');
        is($r->json->{type}, 'urn:approval:audit-unreadable', 'and why');
        like($r->json->{detail}, qr/may not read the file .*chgrp/,
             'and the remedy');
    }
};



$gw->clean;

# lines that somebody else wrote to the file

subtest 'a forged request' => sub {
    my $own = act(9);

    settled();

    my ($requested) = map { AuditVerifier::record(s/\n\z//r) }
                      grep { /"type":"requested"/ && /"action_id":"$own"/ }
                      split(/^/, slurp($file));

    for my $id ($own, 'cd' x 16) {
        open(my $out, '>>', $file) or die $!;
        print {$out} line(rehash({ %$requested, action_id => $id,
            summary => 'Drop nothing', writer => substr($id, 0, 2) x 16,
            seq => \'1', prev => '0' x 64, time => '2026-01-01T00:00:00.000Z' }));
        close($out);
    }

    my $told = story($own)->json->{actions}[0];

    is((grep { $_->{name} eq 'summary' } @{ $told->{request} })[0]{text},
       'Drop /held/9', 'is not told where there is one that is signed');
    ok(!$told->{request_unauthenticated}, 'and that one is');
    ok(!$told->{records}[0]{signed}, 'it stands there as what it is');

    my $r = story('cd' x 16);
    ok($r->json->{actions}[0]{request_unauthenticated}, 'alone it is marked');
    ok(!$r->json->{more}, 'and is all that there is');

    open(my $out, '>>', $file) or die $!;
    print {$out} line(rehash({ %$requested, type => 'joined',
        action_id => 'cd' x 16, writer => 'ef' x 16, seq => \"$_" }))
        for 1 .. 2100;
    close($out);

    $r = story('cd' x 16);
    is(scalar @{ $r->json->{actions}[0]{records} }, 2000, 'of too many some');
    ok($r->json->{more}, 'which is said');
};

done_testing;
