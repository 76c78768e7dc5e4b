#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The trail: what is in it, that it holds after crashes, rotation and a full
# disk, and what approval-audit says of it.

use lib 't/lib', 't/verifier';
use Approval::Test;
use Approval::Gateway;
use Approval::Proxy;
use AuditForge;
use Digest::SHA qw(sha256_hex);
use AuditJson ();
use AuditVerifier;

need('openssl');
need_module();

my $tool = build_dir() . '/approval-audit';

my $policy = <<'EOF';
    approval_policy p {
        rule held { match $uri ^/held; require admins; timeout 60s;
                    notify hook; }
        rule short { match $uri ^/short; require admins; timeout 1s; }
        rule never { match $uri ^/never; deny "no"; }
    }
EOF

my $server = 'approval p; location / { proxy_pass %%UP%%; }';


sub gateway {
    my (%how) = @_;

    return Approval::Gateway->new(http => $policy, server => $server, %how);
}


sub run {
    my (@arg) = @_;

    my $out = `$tool @arg 2>&1`;

    return ($? >> 8, $out);
}


sub out {
    my (@arg) = @_;

    my $out = `$tool @arg 2>/dev/null`;

    return ($? >> 8, $out);
}


sub heads {
    my ($gw) = @_;

    return spew($gw->ngx->path('heads'),
                map { my %f = @{ $_->[1] }; "$f{checkpoint}$f{head}\n" }
                @{ $gw->redis->cmd(XRANGE => 'approval:audit', '-', '+') });
}


sub holds {
    my ($gw, $name, @files) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    @files = $gw->ngx->path('audit.jsonl') unless @files;

    my ($rc, $out) = run('verify', @files, '--key', $gw->{keys}{public},
                         '--heads', heads($gw));

    return is($rc, 0, $name) || diag($out);
}


sub approve_one {
    my ($gw, $target) = @_;

    my ($client, $id) = $gw->hold(GET => $target);

    $gw->vote($id, 'approve', 'fine');

    return ($client->read, $id);
}


# what the upstream got is on record, as approved and as executed

sub executed_all {
    my ($gw, $name, @files) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my (%approved, @missing);

    for my $file (@files ? @files : $gw->ngx->path('audit.jsonl')) {
        for my $line (split /^/, slurp($file)) {
            my $r = eval { decode_json($line) } or next;
            $approved{ $r->{action_id} } = 1 if $r->{type} eq 'approved';
        }
    }

    for my $request ($gw->up->requests) {
        my $id = $request->header('Approval-Id') // next;
        push @missing, $id unless $approved{$id};
    }

    return is("@missing", '', $name);
}


subtest 'records' => sub {
    my $gw = gateway(workers => 2);
    my ($answer, $id) = approve_one($gw, '/held/1');

    is($answer->status, 200, 'executed');
    $gw->send(GET => '/never?token=hidden&n=1',
              headers => [ 'X-On-Behalf-Of' => 'carol' ])->read;
    $gw->send(GET => '/NEVER?token=hidden')->read;

    ok($gw->wait_audit('checkpoint', 1), 'a checkpoint within a second');

    my @all = $gw->audit;
    my @bad = grep { my $r = $_; grep { !exists $r->{$_} }
                     qw(type time action_id writer seq prev hash) } @all;

    is(scalar @bad, 0, 'each record has what each has');
    is(scalar(grep { $_->{type} ne 'checkpoint' && !defined $_->{mono} } @all),
       0, 'and the monotonic clock');

    my ($open) = $gw->audit('open');
    is(length $open->{config}, 71, 'the configuration digest');
    like($open->{module}, qr/^\d+\.\d+\.\d+$/, 'the version');

    my ($config) = $gw->audit('config');
    like($config->{policies}{p}, qr/^sha256:[0-9a-f]{64}$/, 'of policies');
    is($config->{groups}{admins}, 'sha256:' . sha256_hex("alice\nbob\n"),
       'and of groups');

    my ($voted) = $gw->audit('voted');
    my ($asked) = $gw->audit('requested');
    is($voted->{digest}, $asked->{digest}, 'a vote names what was shown');
    is($voted->{remote_addr}, '127.0.0.1', 'and from where it came');

    my @types = map { $_->{type} } grep { ($_->{action_id} // '') eq $id } @all;
    my %at = map { $types[$_] => $_ } 0 .. $#types;
    ok($at{requested} < $at{notified} && $at{voted} < $at{approved}
       && $at{approved} < $at{executed}, 'in the order of the life');

    my ($refused, $ambiguous) = sort { $b->{refusal} cmp $a->{refusal} }
                                $gw->audit('refused');
    is($refused->{refusal}, 'urn:approval:denied', 'a policy that denies');
    is_deeply([ @$refused{qw(requester on_behalf_of remote_addr method host)} ],
              [ 'agent-7', 'carol', '127.0.0.1', 'GET', 'gw.example' ], 'whom');
    is($refused->{target}, '/never', 'and what');
    cmp_ok($refused->{query_hidden}, '>', 8, 'without its query');
    is($ambiguous->{refusal}, 'urn:approval:ambiguous-path', 'a path in doubt');
    is_deeply([ @$ambiguous{qw(requester host target)} ],
              [ 'agent-7', 'gw.example', '/NEVER' ],
              'whose it was');

    my @stream = @{ $gw->redis->cmd(XRANGE => 'approval:audit', '-', '+') };
    my %entry = @{ $stream[-1][1] };
    like($entry{checkpoint}, qr/^approval-audit\//, 'checkpoints in Redis');
    like($entry{head}, qr/^[0-9a-f]{32}\/\d+\/[0-9a-f]{32}$/, 'and heads');
    cmp_ok($gw->redis->cmd(PTTL => 'approval:audit'), '>', 0, 'with a TTL');

    $gw->ngx->stop;

    is(scalar(my @closed = $gw->audit('close')), 2, 'each worker says goodbye');
    is(scalar(my @continued = $gw->audit('continue')), 0,
       'in the file that it has written to all the time');

    my %state = map { my %f = @{ $_->[1] }; ($f{head} => $f{state}) }
                @{ $gw->redis->cmd(XRANGE => 'approval:audit', '-', '+') };
    is(scalar(grep { $_ eq 'closed' } values %state), 2,
       'also to Redis, with the last head');

    holds($gw, 'it verifies');

    my $key = "--key $gw->{keys}{public}";
    my $file = $gw->ngx->path('audit.jsonl');

    my ($rc, $out) = run('show', $id, $file, $key);
    is($rc, 0, 'show');
    like($out, qr/requester +agent-7/, 'who asked');
    like($out, qr/voted +alice: approve \(idp\) "fine"/, 'who signed off');
    like($out, qr/executed +status 200/, 'what happened');
    like($out, qr/^verified/m, 'and that it holds');

    my $last = $gw->up->last;
    my $message = decode_json($gw->hook->last->body)->{data};

    for my $known ($last->header('Approval-Receipt'),
                   $last->header('Approval-Digest'), $message->{id},
                   $message->{links}{action})
    {
        ($rc, $out) = run('show', $known, $file, $key);
        is($rc, 0, 'show ' . substr($known, 0, 50));
        like($out, qr/^action $id\n.*voted +alice: approve/s, 'the same');
    }

    for my $known ('sha256:' . '0' x 64, 'eyJ.x.y', 'none') {
        is((run('show', $known, $file))[0], 2, "show $known");
    }

    ($rc, $out) = run('show', '0' x 32, $file);
    is($rc, 2, 'show of an action that is not there');

    my $excerpt = $gw->ngx->path('excerpt');
    ($rc, $out) = run('export', $file, $key, '--action', $id);
    is($rc, 0, 'export');
    spew($excerpt, $out);

    my $proofs = $out;
    ($rc, $out) = run('check', $excerpt, $key);
    is($rc, 0, 'its proofs hold') or diag($out);

    spew($excerpt, (run('export', $file, $key))[1]);
    like((run('check', $excerpt, $key))[1], qr/; 2 writers, 0 gaps$/,
         'nothing is left out');
    spew($excerpt, grep { !/"voted"/ } split(/^/, slurp($excerpt)));
    ($rc, $out) = run('check', $excerpt, $key);
    is($rc, 0, 'without the vote the rest is in the log');
    like($out, qr/; 2 writers, 1 gaps$/, 'and something is missing');
    spew($excerpt, $proofs);

    spew($excerpt, slurp($excerpt) =~ s/"fine"/"good"/r);
    ($rc, $out) = run('check', $excerpt, $key);
    is($rc, 1, 'and not for another comment');

    spew($excerpt, $proofs =~ s/"tree_size":\d+/"tree_size":99999/r);
    is((run('check', $excerpt, $key))[0], 1, 'nor for another tree');

    # what a checkpoint proves is the checkpoint, and no other record

    my ($alone) = map { $_->{record} } grep { !defined $_->{proof} }
                  map { AuditJson::parse($_) }
                  split(/\n/, (run('export', $file, $key))[1]);
    my $relabel = sub {
        my $record = rehash({ %$alone, @_ });

        spew($excerpt, AuditJson::canonical({ record => $record,
                                              proof => undef }), "\n");
        return (run('check', $excerpt, $key))[0];
    };

    is($relabel->(), 0, 'a checkpoint is its own proof');
    is($relabel->(type => 'executed'), 1, 'and not that of another type');
    is($relabel->(action_id => $id), 1, 'nor of an action');
    is($relabel->(time => '2020-01-01T00:00:00.000Z'), 1, 'nor of a time');

    ($rc, $out) = run('export', $file, $key, '--format', 'csv',
                      '--since', '2001-01-01', '--until', '2001-01-02');
    is($out =~ tr/\n//, 1, 'csv of a day without records: its head');

    for my $wrong ([], ['verify'], ['verify', $file], ['sing', $file],
                   ['verify', '/nowhere', $key], ['verify', $file, '--key'],
                   ['verify', $file, $key, '--heads', '/'],
                   ['verify', $file, $key, '--heads', '/dev/null'],
                   ['verify', $file, $key, '--since', '2026-01-01'],
                   ['verify', $file, $key, $file], ['verify', '/', $key],
                   ['verify', $file, $key, '-x'], ['check', '/', $key],
                   ['show', $id, '-', $key], ['show', $id, $file, $key, '-q'],
                   ['export', $file, $key, '--since', 'yesterday'],
                   ['export', $file, $key, '--limit', '9' x 30],
                   ['export', $file, $key, qw(--limit 1 --limit 2)],
                   ['export', $file, $key, '--since', '2026-01-02',
                    '--until', '2026-01-02'])
    {
        ($rc, $out) = run(@$wrong);
        is($rc, 3, "wrong usage: @$wrong");
    }

    my $packed = $gw->ngx->path('audit.jsonl.gz');
    system("gzip -c $file > $packed") == 0 or die 'gzip';

    ($rc, $out) = run('verify', $packed, $key);
    is($rc, 3, 'a compressed file');
    like($out, qr/<\(zcat \Q$packed\E\)/, 'and how to read it');

    for my $command ("verify - $key -q <$file",
                     "verify $key -q - < <(zcat $packed)",
                     "verify <(zcat $packed) $key -q",
                     "check $key - < <($tool export - $key < $file)")
    {
        system('bash', '-c', "$tool $command >/dev/null 2>&1");
        is($? >> 8, 0, $command);
    }

    ($rc, $out) = run('--help');
    is($rc, 0, '--help');
    like($out, qr/exit code/, 'says what the exit codes mean');

    # the last line is the checkpoint of the last writer's "close"; how many
    # lines before it are the other worker's is up to the scheduler

    my @lines = split(/^/, slurp($file));
    my $cut = spew($gw->ngx->path('cut'), @lines[0 .. $#lines - 1]);

    ($rc, $out) = run('verify', $cut, $key);
    is($rc, 2, 'cut: incomplete');
    like($out, qr/not covered by a checkpoint|last checkpoint/, 'and why');

    spew($cut, slurp($file) =~ s/"fine"/"FINE"/r);
    ($rc, $out) = run('verify', $cut, $key);
    is($rc, 1, 'changed: tampered');
    like($out, qr/^tampered \Q$cut\E:\d+: /m, 'file and line are named');
};


# error_page makes a GET of it, and not of what was executed

subtest 'error_page' => sub {
    my $gw = gateway(up => { '*' => { status => 404 } }, server => <<'EOF');
        approval p;
        location /held { proxy_pass %%UP%%; proxy_intercept_errors on;
                         error_page 404 = /sorry; }
        location = /sorry { approval off; return 200 "sorry"; }
EOF
    my ($client, $id) = $gw->hold(POST => '/held/1', body => 'x');

    $gw->vote($id, 'approve');
    is($client->read->body, 'sorry', 'the page');
    $gw->wait_audit('executed', 1);

    my ($executed) = $gw->audit('executed');
    is($executed->{method}, 'POST', 'the method that was executed');
    is($executed->{outcome}{status}, 404, "and the upstream's answer");
};


subtest 'conf' => sub {
    for my $sync (qw(off group always)) {
        my ($rc, $out) = Approval::Nginx->test_conf(
            http => "approval_audit %%PREFIX%%/a sync=$sync;");
        is($rc, 0, "sync=$sync") or diag($out);
    }

    my ($rc, $out) = Approval::Nginx->test_conf(
        http => 'approval_audit %%PREFIX%%/a sync=never;');
    is($rc, 1, 'sync=never');
    like($out, qr/unknown parameter "sync=never" of "approval_audit": use/,
         'what to use instead');
};


for my $sync (qw(off always)) {

    subtest "sync=$sync" => sub {
        my $gw = gateway();

        $gw->ngx->reload(http => $gw->ngx->{http}
                         =~ s/(audit\.jsonl);/$1 sync=$sync;/r);

        is((approve_one($gw, "/held/$_"))[0]->status, 200, 'executed')
            for 1 .. 3;

        $gw->ngx->stop;
        holds($gw, 'it verifies');
        executed_all($gw, 'and is whole');
    };
}


# requests, votes and crashes at once

subtest 'load' => sub {
    my $gw = gateway(workers => 3, connections => 1024);
    my $file = $gw->ngx->path('audit.jsonl');
    my $n = 0;

    my $burst = sub {
        my ($between) = @_;

        my @held = map { $gw->send(GET => '/held/' . ++$n,
                                   agent => "agent-$n") } 1 .. 12;

        wait_for(sub { (my @all = $gw->pending) >= 10 }, 10);

        my @ids = $gw->pending;
        my $half = @ids / 2;

        for my $i (0 .. $#ids) {
            $between->() if $i == int $half;
            eval { $gw->vote($ids[$i], 'approve') };
        }

        eval { $_->try_read(0.2) } for @held;
    };

    $burst->(sub {});

    my $old = $gw->ngx->path('audit.1.jsonl');
    $burst->(sub { rename($file, $old); $gw->ngx->reopen });
    ok(-s $file, 'USR1 in the middle of load: a new file');

    my ($first, @more) = map { decode_json($_) }
                         grep { /"continue"/ } split(/^/, slurp($file));
    is(scalar(grep { $_->{writer} eq $first->{writer} } @more), 0,
       'that each continues once');
    like($first->{previous}, qr/^$first->{writer}\/\d+\/[0-9a-f]{32}$/,
         'that names where the old one ended');

    $burst->(sub { $gw->ngx->kill_worker });
    $burst->(sub { $gw->redis->kill; $gw->redis->start });


    # nginx as a whole

    $gw->ngx->{process}->kill_group;
    $gw->ngx->start;
    wait_for(sub { http_get($gw->port, '/')->status == 200 });
    wait_for(sub { slurp($file) =~ /"type":"checkpoint","writer":"[0-9a-f]+"\}\n\z/ }, 3);

    $gw->ngx->stop;

    # who was killed had not signed its last records, and nobody does it for it

    my $signed = sub {
        my ($name, @files) = @_;
        my ($rc, $out) = run('verify', @files, '--key', $gw->{keys}{public});
        my %killed = map { $_ => 1 } $out =~ /writer (\S+) has no "close"/g;

        ok($rc != 1 && $out =~ /: \d+ records .*; 0 tampered, \d+ unauth/,
           $name) or diag($out);
        is(scalar(grep { !$killed{$_} }
                  $out =~ /^unauthenticated .* of writer (\S+) /mg), 0,
           'all is signed, but for the ends of those that were killed')
            or diag($out);
        return $out;
    };

    like($signed->('worker, nginx and Redis killed: the log holds', $old,
                   $file), qr/no "close" record/, 'and says who was killed');
    $signed->('the files in any order', $file, $old);

    my ($rc, $out);

    ($rc, $out) = run('verify', $file, '--key', $gw->{keys}{public});
    is($rc, 2, 'the new one alone is incomplete');

    executed_all($gw, 'no executed request is missing', $old, $file);
};


# the file belongs to somebody else for a while: what the gateway did not write
# does not become signed, nor "ok", whatever it does next

subtest 'not its own' => sub {
    my $gw = gateway(workers => 1);
    my $file = $gw->ngx->path('audit.jsonl');
    my $key = "--key $gw->{keys}{public}";

    is((approve_one($gw, '/held/1'))[0]->status, 200, 'an honest action');

    my ($client, $id) = $gw->hold(GET => '/held/2');
    my ($dead) = $gw->audit('open');

    $gw->wait_signed;
    $gw->lost(1);
    $gw->ngx->kill_worker;
    ok($gw->wait_audit('open', 2), 'a worker is killed, another one begins');
    $gw->wait_signed;
    holds($gw, 'what it had signed holds');

    # a writer that there never was, and more of the one that is no more

    my @all = $gw->audit;
    my ($last) = (grep { $_->{writer} eq $dead->{writer} } @all)[-1];
    my %base = (time => $last->{time}, mono => \'1', action_id => undef,
                hash => '');
    my @new = rechain(undef, map { { %base, writer => 'ab' x 16, %$_ } }
        { type => 'open', pid => \'1' },
        { type => "\e]0;ok\a" },
        { type => 'denied', action_id => $id, by => [ 'mallory' ] },
        { type => 'notified', action_id => $id, channel => 'hook' });
    my $seq = $last->{seq} + 1;

    push @new, rehash({ %base, type => 'viewed', action_id => $id,
                        identity => 'mallory', writer => $dead->{writer},
                        seq => \"$seq", prev => $last->{hash} });

    my $honest = slurp($file);

    open(my $fh, '>>', $file) or die $!;
    syswrite($fh, join('', map { line($_) } @new));
    close($fh);

    $gw->ngx->reload;
    ok($gw->wait_audit('open', 4), 'a reload');
    is((approve_one($gw, '/held/3'))[0]->status, 200, 'and on as ever');
    is($gw->vote($id, 'deny', 'no')->status, 200, 'what waited is denied');

    my ($page) = map { [ grep { defined $_->{record}{action_id} }
                         map { decode_json($_) } split(/\n/, $_) ] }
        http_get($gw->port, '/_approval/audit',
                 headers => [ 'X-User' => 'alice' ])->body;

    $gw->ngx->stop;

    is(scalar(grep { /^peer (?:ab){16} |^peer $dead->{writer} $seq /m }
              map { $_->{checkpoint} } $gw->audit('checkpoint')), 0,
       'no checkpoint cites it');
    ok(scalar(grep { /^peer $dead->{writer} /m }
              map { $_->{checkpoint} } $gw->audit('checkpoint')),
       'but up to where it had signed');

    my ($rc, $out) = run('verify', $file, $key);
    is($rc, 2, 'it is not ok') or diag($out);
    like($out, qr/^unauthenticated: \d+ records/m, 'but unauthenticated');
    like($out, qr/^unauthenticated \S+: records 1 to 4 of writer (?:ab){16}/m,
         'the writer');
    like($out, qr/unknown type "<U\+001B>\]0;ok<U\+0007>"/, 'shown as text');
    unlike($out, qr/[\x00-\x09\x0b-\x1f]/, 'nothing is for the terminal');

    my $where = "records $seq to $seq of writer $dead->{writer}";

    like($out, qr/^unauthenticated \S+: $where/m,
         'and the record');

    ($rc, $out) = out('show', $id, $file, $key);
    is($rc, 2, 'show');
    like($out, qr/denied +by mallory .*unauthenticated/, 'this denial is not');
    unlike($out, qr/voted +alice: deny.*unauthenticated/, 'the vote is');
    unlike($out, qr/^verified/m, 'and that is not called verified');

    my $excerpt = $gw->ngx->path('excerpt');
    ($rc, $out) = out('export', $file, $key, '--action', $id);
    spew($excerpt, $out);
    is($rc, 2, 'export');
    is(join(' ', sort map { $_->{record}{type} }
                      grep { $_->{unauthenticated} }
                      map { decode_json($_) } split(/\n/, $out)),
       'denied notified viewed', 'says of which records nobody signed');
    is((run('check', $excerpt, $key))[0], 2, 'and so does check');

    ($rc, $out) = out('export', $file, $key, '--action', $id,
                      '--format csv');
    is(scalar(grep { /,unauthenticated,,,$/ } split(/\n/, $out)), 3,
       'in csv, too');

    is(join(' ', sort map { $_->{record}{type} }
                      grep { $_->{unauthenticated}
                             && $_->{record}{seq} <= $seq
                             && $_->{record}{writer}
                                =~ /^(?:ab){16}|$dead->{writer}/ }
                      @{ $page // [] }),
       'denied notified viewed', 'and for an approver');

    # the same without them

    my $cut = spew($gw->ngx->path('honest'), slurp($file)
                   =~ s/\Q@{[ join('', map { line($_) } @new) ]}\E//r);

    ($rc, $out) = run('verify', $cut, $key, '--heads', heads($gw));
    is($rc, 0, 'the rest holds') or diag($out);
    ($rc, $out) = run('show', $id, $cut, $key);
    like($out, qr/^verified/m, 'and is verified');
    unlike($out, qr/unauthenticated/, 'every record');
};


# what outsiders can cause without limit is counted, and does not fill a disk

subtest 'floods' => sub {
    my $gw = gateway(workers => 1);
    my $count = sub {
        my ($type, $like) = @_;
        my @found = grep { ($_->{refusal} // $_->{why}) =~ $like }
                    $gw->audit($type);
        my $sum = 0;

        $sum += $_->{collapsed} // 1 for @found;

        return (scalar @found, $sum);
    };

    $gw->send(GET => '/a/..;/never')->read for 1 .. 3;
    is(join(' ', $count->('refused', qr/ambiguous/)), '3 3',
       'a few of a kind are told of one by one');
    $gw->send(GET => '/a/..;/never')->read for 4 .. 60;

    my ($client, $id) = $gw->hold(GET => '/held/1');

    for my $n (1 .. 40) {
        $gw->set($id, "bogus $n");
        wait_for(sub { !defined $gw->redis->cmd(
                                   GET => $gw->key($id, ':decision')) });
    }

    $gw->send(GET => '/never')->read for 1, 2;
    $gw->vote($id, 'approve');
    is($client->read->status, 200, 'the decision still counts');
    ok(wait_for(sub { grep { $_->{collapsed} } $gw->audit('fault') }),
       'the others are counted when their time is over');
    $gw->ngx->stop;

    my ($n, $sum) = $count->('refused', qr/ambiguous/);
    is($sum, 60, 'every hostile request counts');
    cmp_ok($n, '<=', 25, 'in few records');
    ($n, $sum) = $count->('fault', qr/decision ignored/);
    is($sum, 40, 'every bogus decision counts');
    cmp_ok($n, '<=', 35, 'in few records');
    is(join(' ', $count->('refused', qr/denied/)), '2 2', 'others as ever');
    holds($gw, 'it verifies');
};


# heads that were told to approvers are copies out of the host's reach

subtest 'heads in messages' => sub {
    my $gw = gateway(workers => 1, http => <<'EOF');
    approval_channel chat { type slack; pass /_notify; }
    approval_channel team { type teams; pass /_notify; }
    approval_policy p {
        rule held { match $uri ^/held; require admins; timeout 60s;
                    notify hook chat team; }
    }
EOF
    my $client = $gw->send(GET => '/held/1', agent => 'agent-1',
                           headers => [ 'X-On-Behalf-Of' => 'carol' ]);

    ok($gw->hook->wait_count(3), 'three messages');
    $client->close;
    $gw->ngx->stop;

    my $file = $gw->ngx->path('audit.jsonl');
    my $key = "--key $gw->{keys}{public}";
    my @records = map { AuditVerifier::record(s/\n\z//r) }
                  split(/^/, slurp($file));
    my $forged = spew($gw->ngx->path('forged'), map { line($_) }
        rechain($gw->{keys}{signing},
                grep { $_->{type} ne 'config' } map { copy($_) } @records));
    my $cut = spew($gw->ngx->path('cut'), map { line($_) } @records[0, 1]);

    is((run('verify', $forged, $key))[0], 0,
       'a log written anew with the key holds by itself');

    for my $message ($gw->hook->requests) {
        my $body = $message->body;
        my $text = JSON::PP->new->pretty->encode(decode_json($body));
        my ($head) = $body =~ /([0-9a-f]{32}\/\d+\/[0-9a-f]{32})/;
        my ($name) = $body =~ /("type":"approval|"blocks"|"attachments")/;

        like($head // '', qr/^$records[0]{writer}\//, "$name: a head");

        for my $copied ($body, $text, "Audit head\n$head\n", "head: $head.") {
            my $heads = spew($gw->ngx->path('told'), $copied);
            my ($rc, $out) = run('verify', $file, $key, '--heads', $heads);
            is($rc, 0, 'the log holds it') or diag($out);

            is((run('verify', $forged, $key, '--heads', $heads))[0], 1,
               'the forged one does not');

            ($rc, $out) = run('verify', $cut, $key, '--heads', $heads);
            like($out, qr/is missing/, 'nor one that was cut');
        }
    }

    # whoever can write to Redis can make one up: nobody has signed it

    my ($until) = grep { $records[$_]{type} eq 'checkpoint' } 0 .. $#records;
    my $open = spew($gw->ngx->path('open'),
                    map { line($_) } @records[0 .. $until - 1]);
    my $end = $records[$until - 1];
    my $made_up = spew($gw->ngx->path('told'),
                       "$end->{writer}/$until/" . substr($end->{hash}, 0, 32)
                       . "\n");
    my ($rc, $out) = run('verify', $open, $key, '--heads', $made_up);
    is($rc, 2, 'a head without a signature covers nothing');
    like($out, qr/records 1 to $until of writer .* are not covered/, 'and why');
};


# the most memory that approval-audit takes; what stands in the pipe, it has
# not read yet

sub takes {
    my ($command, $text, @arg) = @_;

    my $pid = open(my $to, '|-', "exec $tool $command - @arg >/dev/null")
              or die $!;

    $to->autoflush;
    print $to $text;

    my ($peak) = slurp("/proc/$pid/status") =~ /^VmHWM:\s+(\d+) kB/m;

    close($to);

    return ($? >> 8, $peak);
}


subtest 'memory' => sub {
    plan(skip_all => 'another allocator')
        if $ENV{APPROVAL_SANITIZE} || $ENV{APPROVAL_VALGRIND};

    my $dir = tempdir();
    my $keys = make_keys($dir);
    my @core = map { "src/core/$_.c" }
               qw(checkpoint merkle record json json_wide json_write jws keys
                  signer str readable random digest escape fold range);

    system("cc -std=c11 -D_GNU_SOURCE -O1 -Isrc -o $dir/log "
           . "t/bench/audit_log.c @core -ljansson -lcrypto") == 0 or die 'cc';

    my @args = ('--key', $keys->{public}, '-q');
    my %peak;

    for my $life (100_000, 7) {
        my $log = `$dir/log $keys->{signing} 20000 $life`;

        (my $rc, $peak{$life}) = takes('verify', $log, @args);
        is($rc, 0, 'it holds');
    }

    cmp_ok($peak{7} - $peak{100_000}, '<', 4_000,
           '2,000 workers that have ended take no more than 2 KB each');

    # nobody who can write to the file, and cannot sign, makes it slow or large

    my $opens = join '', map { line(rehash({ type => 'open', writer => $_,
        time => '2026-01-01T00:00:00.000Z', action_id => undef, seq => \'1',
        prev => '0' x 64 })) } map { sprintf('%032x', $_) } 1 .. 10_000;

    for my $command (qw(verify export)) {
        my ($rc, $peak) = takes($command, $opens, $command eq 'verify'
                                ? @args : @args[0, 1]);

        is($rc, 2, "$command: 10,000 writers that nobody signed for");
        cmp_ok($peak, '<', 80_000, 'they take no more than 8 KB each');
    }

    my %cpu;

    for my $like (qw(counted random)) {
        my @ids = map { $like eq 'counted' ? sprintf('%032x', $_)
                                           : substr(sha256_hex($_), 0, 32) }
                  1 .. 30_000;
        my ($n, $prev, $text) = (1, '0' x 64, '');

        for my $r ({ type => 'open', action_id => undef },
                   map { { type => 'requested', action_id => $_ } } @ids)
        {
            my $seq = $n++;

            @$r{qw(time writer seq prev)} = ('2026-01-01T00:00:00.000Z',
                                             'a' x 32, \"$seq", $prev);
            $prev = rehash($r)->{hash};
            $text .= line($r);
        }

        my $before = (times)[2];

        is((takes('verify', $text, @args))[0], 1, 'requests of nothing');
        $cpu{$like} = (times)[2] - $before;
    }

    cmp_ok($cpu{counted}, '<', 5 * $cpu{random} + 1, 'whatever ids they have');

    my ($rc, $peak) = takes('verify', 'x' x 64e6, @args);
    is($rc, 1, 'a line that never ends');
    cmp_ok($peak, '<', 60_000, 'is not kept');
};


# a disk that stores nothing while the file "slow" is there, and that fails
# while "broken" is

sub disk {
    my ($dir) = @_;

    spew("$dir/disk.c", <<'EOF');
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
is(const char *what)
{
    char  path[4096];

    snprintf(path, sizeof(path), "%s/%s", getenv("APPROVAL_DISK"), what);

    return access(path, F_OK) == 0;
}

int
fdatasync(int fd)
{
    while (is("slow")) {
        usleep(1000);
    }

    if (is("broken")) {
        errno = EIO;
        return -1;
    }

    return (int) syscall(SYS_fdatasync, fd);
}
EOF
    system("gcc -D_GNU_SOURCE -shared -fPIC -o $dir/disk.so $dir/disk.c") == 0
        or die 'gcc';

    return "$dir/disk.so";
}


# what is written, and may not be stored

for my $sync (qw(group always)) {

    subtest "broken, sync=$sync" => sub {
        plan(skip_all => 'another library is preloaded')
            if $ENV{APPROVAL_SANITIZE} || $ENV{APPROVAL_VALGRIND};

        my $dir = tempdir();
        local $ENV{LD_PRELOAD} = disk($dir);
        local $ENV{APPROVAL_DISK} = $dir;

        my $gw = gateway(workers => 1, conf => 'env APPROVAL_DISK;',
                         audit => "sync=$sync",
                         up => { '*' => { body => 'ok', delay => 0.3 } });
        my $file = $gw->ngx->path('audit.jsonl');
        my ($client, $id) = $gw->hold(GET => '/held/1');

        # what approvers are told of is stored

        ok($gw->hook->wait_count(1), 'a request is stored');
        spew("$dir/broken", '');

        my $vote = $gw->vote($id, 'approve');
        is($vote->status, 503, 'a vote that is not stored is not taken');
        like($vote->json->{type}, qr/audit-unavailable/, 'and why');

        my ($refused) = $gw->audit('refused');

        is_deeply([ @{ $refused // {} }{qw(action_id identity why)} ],
                  $sync eq 'group' ? [ $id, 'alice', 'audit-unavailable' ]
                                   : [ (undef) x 3 ],
                  $sync eq 'group' ? 'which is on record'
                                   : 'and nothing more is written');

        unlink("$dir/broken");
        is($gw->vote($id, 'approve')->status, 200, 'the next one is');
        ok($gw->up->wait_count(1), 'and it is executed');

        spew("$dir/broken", '');
        is($client->read->status, 200, 'what was begun ends');

        unlink("$dir/broken");
        ok($gw->wait_audit('executed', 1), 'and is on record');

        is((approve_one($gw, '/held/2'))[0]->status, 200, 'it recovers');
        $gw->ngx->stop;

        is(scalar(grep { $_->{action_id} eq $id } $gw->audit('executed')), 1,
           'executed is told once');
        holds($gw, 'the chain is whole');
    };
}


# a disk that stores nothing for a while, and a file that is rotated meanwhile

subtest 'slow' => sub {
    plan(skip_all => 'another library is preloaded')
        if $ENV{APPROVAL_SANITIZE} || $ENV{APPROVAL_VALGRIND};

    my $dir = tempdir();

    my $slow = "$dir/slow";
    local $ENV{LD_PRELOAD} = disk($dir);
    local $ENV{APPROVAL_DISK} = $dir;

    my $gw = gateway(workers => 1, conf => 'env APPROVAL_DISK;');
    my $file = $gw->ngx->path('audit.jsonl');

    is((approve_one($gw, '/held/1'))[0]->status, 200, 'a disk as usual');

    spew($slow, '');

    my $client = $gw->send(GET => '/held/2');
    my @old;

    ok($gw->wait_audit('requested', 2), 'written, and not stored');

    for my $n (1 .. 3) {
        push @old, "$file.$n";
        rename($file, $old[-1]);
        $gw->ngx->reopen;
        is(http_get($gw->port, '/')->status, 200,
           "rotation $n: others are served");
    }

    is($gw->hook->count, 1, 'nobody was told before it is stored');
    unlink($slow);

    ok(wait_for(sub { $gw->hook->count == 2 }), 'now approvers are');
    $gw->vote($_, 'approve') for $gw->pending;
    is($client->read->status, 200, 'and it is executed');

    $gw->ngx->stop;
    holds($gw, 'the chain is whole', @old, $file);
};


# an end is on record when the store has said so, and only then: who asked for
# it may be gone by then, or have come too late

sub proxied {
    my $gw = gateway(redis => 'timeout=60s', workers => 1, start => 0, @_);
    my $proxy = Approval::Proxy->new($gw->redis->sock);

    $gw->ngx->{http} =~ s/approval_redis \S+/'approval_redis ' . $proxy->url/e;

    return ($gw, $proxy);
}


subtest 'left while it ends' => sub {
    my ($gw, $proxy) = proxied();

    $gw->ngx->start;
    $proxy->stall('expired');

    my ($client, $id) = $gw->hold(GET => '/short');

    ok(wait_for(sub { $proxy->stalled }), 'the store is asked');
    $client->close;
    ok(wait_for(sub { http_get($gw->port, '/_status')->body
                      =~ /Writing: 1 / }), 'the client has left');
    is(scalar(my @none = $gw->audit('expired')), 0, 'nothing is known yet');
    $proxy->pass;

    ok($gw->wait_audit('expired', 1), 'expired: on record');
    is(($gw->audit('expired'))[0]{action_id}, $id, 'it is this one');
    is($gw->state($id), 'expired', 'as the store has it');
    $gw->clean;
};


# a disk that is full, and is not any more

my @mounts;

sub unmount { system("umount $_ 2>/dev/null") for splice(@mounts) }

END { my $code = $?; unmount(); $? = $code; }


sub small_disk {
    my $dir = tempdir();

    push @mounts, $dir;

    plan(skip_all => 'no right to mount a small file system')
        if $> != 0 || system("mount -t tmpfs -o size=256k,mode=0777 "
                             . "approval $dir 2>/dev/null") != 0;

    return $dir;
}


# to the last byte

sub fill {
    my ($dir) = @_;

    open(my $fill, '>', "$dir/fill") or die $!;
    $fill->autoflush;
    1 while syswrite($fill, 'x' x 4096);
    1 while syswrite($fill, 'x');
}


subtest 'full' => sub {
    my $dir = small_disk();

    my $gw = gateway(workers => 1);
    my $file = "$dir/audit.jsonl";

    $gw->ngx->reload(http => $gw->ngx->{http}
                     =~ s/%%PREFIX%%\/audit\.jsonl/$file/r);
    $gw->{audit_file} = $file;

    my ($client, $id) = $gw->hold(GET => '/held/1');
    is((approve_one($gw, '/held/0'))[0]->status, 200, 'while there is room');

    my ($running, $long) = $gw->hold(GET => '/held/2');

    fill($dir);

    # the last page may take some records more

    my (@clients, $refused);

    for my $n (1 .. 40) {
        push @clients, $gw->send(GET => "/held/full-$n");

        wait_for(sub {
            $refused = $clients[-1]->try_read(0.01)
                or grep { $_->{target} eq "/held/full-$n" }
                        $gw->audit('requested');
        });

        last if $refused;
    }

    is($refused && $refused->status, 503, 'full: gated requests are refused');
    is($refused->json->{type}, 'urn:approval:audit-unavailable', 'and why');
    is(http_get($gw->port, '/')->status, 200, 'others are not');
    $gw->ngx->log_like(qr/\[error\].*the audit trail .* cannot be written/,
                       'said once in the error log');

    my $vote = $gw->vote($id, 'approve');
    is($vote->status, 503, 'no vote is taken');
    like($vote->json->{type}, qr/audit-unavailable/, 'for the same reason');

    unlink("$dir/fill");

    $vote = $gw->vote($id, 'approve');
    is($vote->status, 200, 'room again: it recovers by itself');
    is($client->read->status, 200, 'and what was held is executed');
    $gw->vote($long, 'approve');
    is($running->read->status, 200, 'every one');
    $gw->ngx->log_like(qr/\[notice\].*is written again/, 'said, too');

    $_->close for @clients;
    $gw->ngx->stop;

    my @lines = split(/^/, slurp($file));
    ok(scalar(grep { /could not be written/ } @lines), 'a record says so');

    my ($rc, $out) = run('verify', $file, $gw->ngx->path('audit.jsonl'),
                         '--key', $gw->{keys}{public}, '--heads', heads($gw));
    is($rc, 0, 'the chain is whole') or diag($out);
};

# the request cannot be put on record, and is taken back; somebody approves it
# in that moment, by another gateway

for my $how (qw(full broken)) {

    subtest "taken back, $how" => sub {
        plan(skip_all => 'another library is preloaded')
            if $how eq 'broken'
               && ($ENV{APPROVAL_SANITIZE} || $ENV{APPROVAL_VALGRIND});

        my $dir = $how eq 'full' ? small_disk() : tempdir();

        local $ENV{LD_PRELOAD} = disk($dir) if $how eq 'broken';
        local $ENV{APPROVAL_DISK} = $dir;

        taken_back($how, $dir);
    };
}


sub taken_back {
    my ($how, $dir) = @_;

    my ($gw, $proxy) = proxied(conf => 'env APPROVAL_DISK;',
                               $how eq 'broken' ? (audit => 'sync=always')
                                                : ());

    $gw->{audit_file} = "$dir/audit.jsonl";
    $gw->ngx->{http} =~ s/%%PREFIX%%\/audit\.jsonl/$gw->{audit_file}/;
    $gw->ngx->start;

    my $other = bless { %$gw, audit => undef }, 'Approval::Gateway';

    delete $other->{audit_file};
    delete local $ENV{LD_PRELOAD};
    $other->{ngx} = Approval::Nginx->new(workers => 1,
                                 http => $gw->conf($policy, $server, 1, ''));

    my ($one, $done) = approve_one($gw, '/held/0');
    is($one->status, 200, 'while the disk does what it should');

    $how eq 'full' ? fill($dir) : spew("$dir/broken", '');

    # the last page may take some records more

    my ($client, $id, $target);
    my %seen = ($done => 1);

    $proxy->stall('cancelled');

    for my $n (1 .. 40) {
        $target = "/held/back-$n";
        $client = $gw->send(GET => $target);
        $id = wait_for(sub { (grep { !$seen{$_}++ } $gw->pending)[0] });

        wait_for(sub {
            $proxy->stalled
                || $how eq 'full' && grep { $_->{action_id} eq $id }
                                          $gw->audit('requested');
        });

        last if $proxy->stalled;
    }

    ok($proxy->stalled, 'the store is asked to end it');
    ok(!$client->answered, 'its word is waited for');
    is($other->vote($id, 'approve')->status, 200, 'somebody approves it');
    $proxy->pass;

    my $answer = $client->read;

    is($answer->status, 503, 'it is refused all the same');
    is($answer->json->{type}, 'urn:approval:audit-unavailable', 'and why');
    is($answer->header('Approval-Status'), 'approved', 'and where it stands');
    is($gw->state($id), 'approved', 'that is true');

    # what can be taken back is

    my $back = $gw->send(GET => '/held/back')->read;

    is($back->status, 503, 'another one: refused');
    is($back->header('Approval-Status'), 'cancelled', 'and cancelled');

    unlink("$dir/fill", "$dir/broken");

    # with a torn line among them

    my $of = sub {
        my ($type, $action) = @_;

        return grep { $_->{type} eq $type && $_->{action_id} eq $action }
               grep { defined $_->{action_id} }
               map { eval { decode_json($_) } // () }
               split(/^/, slurp($gw->{audit_file}));
    };

    ok(wait_for(sub { $of->('cancelled', $back->header('Approval-Id')) }),
       'it is over: what was taken back is on record');
    is(scalar(my @cancelled = $of->('cancelled', $id)), 0,
       'what was not is not on record as if it were');
    is(scalar(my @requested = $of->('requested', $id)), 1,
       'but that it was requested is, once');

    is($gw->send(GET => $target)->read->status, 200,
       'the same again is executed');

    $_->ngx->stop for $gw, $other;
    holds($gw, 'the trail holds', $gw->{audit_file},
          $other->ngx->path('audit.jsonl'));
}

unmount();

done_testing;
