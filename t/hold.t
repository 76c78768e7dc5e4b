#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The hold, on two workers: every end that it can have, who may bring it about,
# and that an approval is good for one execution.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;
use IO::Socket::INET;

need_module();
need('curl');

my $gw = Approval::Gateway->new(workers => 2, http => <<'EOF',
    approval_policy p {
        rule short   { match $uri ^/short; require admins; timeout 3s; }
        rule brief   { match $uri ^/brief; require admins; timeout 60s;
                       execute_within 3s; }
        rule two     { match $uri ^/two; require 2 of admins; timeout 60s; }
        rule told    { match $uri ^/told; require admins; notify hook;
                       timeout 60s; }
        rule held    { match $uri ^/held ^/cancel ^/bare; require admins;
                       timeout 60s; }
    }
EOF
    server => <<'EOF');
        listen 127.0.0.1:%%PORT1%% http2;
        approval p;
        location / { proxy_pass %%UP%%; }
        location /cancel { approval_disconnect cancel; proxy_pass %%UP%%; }
        location /bare { approval_unsigned_decisions on; proxy_pass %%UP%%; }
EOF

my ($port, $port2) = map { $gw->ngx->port($_) } 0, 1;


# every record of one action, as "type type ..."

sub trail {
    my ($id) = @_;

    return join ' ', map { $_->{type} }
                     grep { ($_->{action_id} // '') eq $id
                            && $_->{type} !~ /^(?:viewed|notified)$/ }
                     $gw->audit;
}


sub wait_trail {
    my ($id, $want) = @_;

    wait_for(sub { trail($id) eq $want });

    return trail($id);
}


# the ends: name, target, decision, comment, status, type, state, trail

my @ends = (
    [ 'approve', '/held/approve', 'approve', '', 200, undef, 'executed',
      'requested voted approved executed' ],
    [ 'approve with a comment', '/held/approve2', 'approve', 'mind the gap',
      200, undef, 'executed', 'requested voted approved executed' ],
    [ 'deny', '/held/deny', 'deny', '', 403, 'denied', 'denied',
      'requested voted denied' ],
    [ 'deny with a comment', '/held/deny2', 'deny', "not \"today\", \x{263a}",
      403, 'denied', 'denied', 'requested voted denied' ],
    [ 'expire', '/short/expire', undef, '', 403, 'expired', 'expired',
      'requested expired' ],
);

for my $row (@ends) {
    my ($name, $target, $decision, $comment, $status, $type, $state, $trail)
        = @$row;

    my ($client, $id) = $gw->hold(DELETE => $target);

    ok($id, "$name: held") or next;
    is($gw->hits($target), 0, "$name: nothing is forwarded");

    if ($decision) {
        is($gw->vote($id, $decision, $comment)->status, 200, "$name: voted");
    }

    my $response = $client->read;

    is($response->status, $status, "$name: $status");
    is($response->header('Approval-Id'), $id, "$name: Approval-Id");
    is($gw->hits($target), $status == 200 ? 1 : 0, "$name: forwarded");

    if ($type) {
        my $problem = $response->json;

        is($problem->{type}, "urn:approval:$type", "$name: the problem's type");
        is($problem->{action_id}, $id, "$name: and action");
        is($problem->{comment} // '', $comment, "$name: the comment");
    }

    is(wait_trail($id, $trail), $trail, "$name: the trail");
    is($gw->state($id), $state, "$name: $state");

    my $late = $gw->vote($id, 'approve', '', 'bob');

    is($late->status, $state eq 'expired' ? 410 : 409,
       "$name: a vote after the end");
    like($late->body, qr/$state/, "$name: is told how it ended");
    ok($client->quiet(0.05), "$name: and changes nothing");
}

$gw->clean;


# an approval is good for one: the same request again asks again

{
    my ($one, $id) = $gw->hold(DELETE => '/held/once');
    $gw->vote($id, 'approve');
    is($one->read->status, 200, 'once: executed');

    my ($two, $id2) = $gw->hold(DELETE => '/held/once');
    ok($id2 && $id2 ne $id, 'once: the same again is another action');
    $gw->vote($id2, 'deny');
    is($two->read->status, 403, 'once: which can be denied');
    is($gw->hits('/held/once'), 1, 'once: one execution');
}


# who counts: one person is one vote

{
    my ($client, $id) = $gw->hold(POST => '/two/people', body => 'x');

    is($gw->vote($id, 'approve')->status, 200, 'two of them: the first');
    my $again = $gw->vote($id, 'approve');
    isnt($again->status, 500, 'two of them: the first again, '
         . $again->status);
    ok($client->quiet(0.1), 'two of them: one person is not enough');
    is($gw->vote($id, 'approve', '', 'mallory')->status, 403,
       'two of them: somebody else may not');
    is($gw->vote($id, 'approve', '', 'agent-7')->status, 403,
       'two of them: the requester may not');
    ok($client->quiet(0.1), 'two of them: still held');
    is($gw->vote($id, 'approve', '', 'bob')->status, 200,
       'two of them: the second');
    is($client->read->status, 200, 'two of them: approved');
    like($gw->up->last->header('Approval-By'), qr/^alice, bob$/,
         'two of them: both are named');
}


# identical requests: name, decision, how many, what they are answered

for my $row ([ 'approve', { 200 => 1, 409 => 4 }, 1 ],
             [ 'deny', { 403 => 5 }, 0 ])
{
    my ($decision, $want, $hits) = @$row;
    my $target = "/told/$decision";

    my ($first, $id) = $gw->hold(PUT => $target, body => 'same');
    my @all = ($first, map { $gw->send(PUT => $target, body => 'same') }
                       1 .. 4);

    ok(wait_for(sub { grep({ ($_->{action_id} // '') eq $id }
                           $gw->audit('joined')) == 4 }),
       "joined, $decision: four");
    is(scalar(my @open = $gw->pending), 1, "joined, $decision: one action");
    ok(wait_for(sub { $gw->hook->count }), "joined, $decision: told");

    $gw->vote($id, $decision);

    my (%got, @types);

    for my $client (@all) {
        my $response = $client->read;
        $got{ $response->status }++;
        push @types, $response->json->{type} if $response->status == 409;
    }

    is_deeply(\%got, $want, "joined, $decision: each is answered");
    is_deeply(\@types, [ ('urn:approval:already-executed') x @types ],
              "joined, $decision: and told why");
    is($gw->hits($target), $hits, "joined, $decision: executions");
    is($gw->hook->count, 1, "joined, $decision: one message");
    $gw->hook->clear;
    $gw->clean;
}


# not identical: another agent, body, target, method or host

{
    my @other = ([ PUT => '/held/j', body => 'same' ],
                 [ PUT => '/held/j', body => 'same', agent => 'agent-8' ],
                 [ PUT => '/held/j', body => 'Same' ],
                 [ PUT => '/held/j?', body => 'same' ],
                 [ POST => '/held/j', body => 'same' ],
                 [ PUT => '/held/j', body => 'same',
                   headers => [ 'Content-Type' => 'a/b' ] ]);

    my %held;

    for my $request (@other) {
        my ($client, $id) = $gw->hold(@$request);
        $held{ $id // 'none' } = $client;
    }

    is(scalar(keys %held), scalar @other, 'what differs does not join');
    $gw->vote($_, 'deny') for keys %held;
    is($_->read->status, 403, 'and is answered by itself') for values %held;
    $gw->clean;
}


# 100 at once

{
    my @all = map { $gw->send(POST => '/told/many', body => 'same') } 1 .. 100;

    ok(wait_for(sub { $gw->audit('joined') >= 99 + 8 }),
       '100 at once: all are there');

    my @open = $gw->pending;

    is(scalar @open, 1, '100 at once: one action');
    $gw->vote($open[0], 'approve');

    my %got;
    $got{ $_->read->status }++ for @all;

    is_deeply(\%got, { 200 => 1, 409 => 99 }, '100 at once: one execution');
    is($gw->hits('/told/many'), 1, '100 at once: as the upstream has seen');
    is($gw->hook->count, 1, '100 at once: one message');

    my %writers = map { $_->{writer} => 1 }
                  grep { $_->{action_id} eq $open[0] } $gw->audit('joined');
    diag('all 100 were on one worker') if keys %writers < 2;

    $gw->clean;
}


# 100 actions, decided from here and there

{
    my %held;

    for my $n (1 .. 50) {
        my ($client, $id) = $gw->hold(POST => "/held/each/$n", body => $n);
        $held{$id} = [ $client, $n ];
    }

    $gw->vote($_, $held{$_}[1] % 2 ? 'approve' : 'deny') for keys %held;

    my %got;

    for my $pair (values %held) {
        my $response = $pair->[0]->read;
        $got{ $response->status
              . ($pair->[1] % 2 ? ' approved' : ' denied') }++;
    }

    is_deeply(\%got, { '200 approved' => 25, '403 denied' => 25 },
              'fifty held at once: each has its own end');
    $gw->clean;
}


# held by one worker, voted on the other; a signal takes its time, and until
# then a connection may still wake the one that it stops

sub pause {
    my ($pid) = @_;

    kill('STOP', $pid);
    wait_for(sub { slurp("/proc/$pid/stat") =~ /\) T / })
        or die "worker $pid does not stop";
}


for my $turn (0, 1) {
    my @workers = $gw->ngx->workers;
    my ($holder, $voter) = @workers[ $turn, 1 - $turn ];

    pause($voter);
    my ($client, $id) = $gw->hold(GET => "/held/other/$turn");
    kill('CONT', $voter);

    pause($holder);
    is($gw->vote($id, 'approve')->status, 200, 'the other worker takes a vote');
    kill('CONT', $holder);

    is($client->read->status, 200, 'and the request goes on where it is held');

    my %writer = map { $_->{type} => $_->{writer} }
                 grep { ($_->{action_id} // '') eq $id } $gw->audit;

    isnt($writer{voted}, $writer{requested}, 'they were two workers');
    is($writer{approved}, $writer{requested}, 'the holder has executed it');
}


# keepalive and pipelining: answers in order

{
    my $client = $gw->send(GET => '/held/pipe1');

    ok(wait_for(sub { $gw->pending }), 'pipelining: the first is held');
    $client->send(GET => '/free/pipe2');
    $client->send(GET => '/held/pipe3', headers => [ 'X-Agent' => 'agent-7' ]);
    $client->send(GET => '/free/pipe4');

    my ($id) = $gw->pending;

    ok($client->quiet(0.2), 'pipelining: nobody overtakes it');
    is($gw->hits('/free/pipe2'), 0, 'pipelining: not even at the upstream');
    $gw->vote($id, 'deny');

    is($client->read->status, 403, 'pipelining: the first answer');
    is($client->read->header('Approval-Id'), undef,
       'pipelining: the second is the ungated one');

    my $id3 = wait_for(sub { (grep { $_ ne $id } $gw->pending)[0] });
    ok($id3, 'pipelining: the third is held');
    is($gw->hits('/free/pipe4'), 0, 'pipelining: the fourth waits for it');
    $gw->vote($id3, 'approve');

    my $response = $client->read;
    is($response->status, 200, 'pipelining: the third answer');
    is($response->header('Approval-Id'), $id3, 'pipelining: is its own');
    is($client->read->header('Approval-Id'), undef, 'pipelining: the fourth');

    for my $n (1 .. 3) {
        $client->send(GET => "/held/keep/$n",
                      headers => [ 'X-Agent' => 'agent-7' ]);

        my $id = wait_for(sub {
            (grep { $gw->state($_) eq 'pending' } $gw->pending)[0]
        });

        $gw->vote($id, $n % 2 ? 'approve' : 'deny');
        is($client->read->status, $n % 2 ? 200 : 403, "keepalive: number $n");
    }

    $gw->clean;
}


# HTTP/2, by hand: a stream that can be reset

sub h2_frame {
    my ($type, $flags, $stream, $payload) = @_;

    return substr(pack('N', length $payload), 1) . pack('CCN', $type, $flags,
                                                        $stream) . $payload;
}


sub h2_field { join '', "\0", map { chr(length) . $_ } @_ }


sub h2_open {
    my ($target) = @_;

    my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                     PeerPort => $port2) or die $@;

    my $fields = join '', map { h2_field(@$_) }
                 [ ':method' => 'GET' ], [ ':scheme' => 'http' ],
                 [ ':path' => $target ], [ ':authority' => 'gw.example' ],
                 [ 'x-agent' => 'agent-7' ];

    syswrite($sock, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . h2_frame(4, 0, 0, '')
                    . h2_frame(1, 5, 1, $fields));

    return $sock;
}


# how often a decision was looked for: who has been told of an action does that

sub looks {
    my ($n) = $gw->redis->cmd('INFO', 'commandstats')
              =~ /^cmdstat_mget:calls=(\d+)/m;

    return $n // 0;
}


# the requester leaves: how, and what each way needs

my %leave = (
    FIN   => sub { $_[0]->close },
    RST   => sub { $_[0]->reset },
    half  => sub { $_[0]->half_close },
    h2    => sub { syswrite($_[0], h2_frame(3, 0, 1, pack('N', 8))) },
    h2end => sub { close($_[0]) },
);

for my $how (sort keys %leave) {
    for my $where ('held', 'cancel') {
        my $target = "/$where/leave/$how";
        my $name = "$how, " . ($where eq 'held' ? 'keep' : 'cancel');

        my %before = map { $_ => 1 } $gw->pending;
        my $looks = looks();
        my $client = $how =~ /h2/ ? h2_open($target)
                                  : $gw->send(GET => $target);
        my $id = wait_for(sub { (grep { !$before{$_} } $gw->pending)[0] });

        ok($id, "$name: held") or next;
        wait_trail($id, 'requested');
        ok(wait_for(sub { looks() > $looks }), "$name: and waits");
        $leave{$how}->($client);

        ok(wait_for(sub { http_get($port, '/_status')->body =~ /Writing: 1 / }),
           "$name: it is noticed");

        if ($where eq 'cancel') {
            is(wait_trail($id, 'requested cancelled'), 'requested cancelled',
               "$name: cancelled");
            ok(wait_for(sub { $gw->state($id) eq 'cancelled' }),
               "$name: in the store too");
            is($gw->vote($id, 'approve')->status, 409, "$name: a vote is late");
            is($gw->hits($target), 0, "$name: nothing is executed");
            next;
        }

        is($gw->state($id), 'pending', "$name: the action stays open");
        is($gw->vote($id, 'approve')->status, 200, "$name: approved");
        is(http_get($port, '/free')->status, 200, "$name: time goes by");
        is($gw->hits($target), 0, "$name: nothing is executed");

        # gone as it is, HTTP/1.1 may ask for the same

        my $response = $gw->send(GET => $target)->read;

        is($response->status, 200, "$name: the retry has its answer");
        is($response->header('Approval-Id'), $id, "$name: by that approval");
        is($gw->hits($target), 1, "$name: one execution");
        is(wait_trail($id, 'requested voted joined approved executed'),
           'requested voted joined approved executed', "$name: the trail");
    }
}

$gw->clean;


# Redis does what it was asked for when nobody waits for it any more: no action
# is made that nobody knows of, for a retry to join, and wait in vain

{
    my $gw = Approval::Gateway->new(redis => 'timeout=1s', http => <<'EOF',
    approval_policy p {
        rule r { match $uri ^/late; require admins; timeout 60s; notify hook; }
    }
EOF
        server => 'approval p; location / { proxy_pass %%UP%%; }');

    my ($first, $known) = $gw->hold(GET => '/late/1');

    $gw->redis->pause;
    is($gw->send(GET => '/late/2')->read->status, 503, 'late: refused');
    $gw->redis->resume;

    # until it is held, and it is by then that the other one was looked at

    my $again;

    ok(wait_for(sub {
        $again = $gw->send(GET => '/late/2');
        wait_for(sub { $again->answered || $gw->hook->messages > 1 });
        return !$again->answered;
    }), 'late: sent again it is held, and approvers are told');

    my ($id) = grep { $_ ne $known } $gw->pending;

    is(scalar(my @pending = $gw->pending), 2, 'late: by the one action');
    is(join(' ', map { $_->{type} } grep { ($_->{action_id} // '') eq $id
                                           && $_->{type} ne 'notified' }
                                    $gw->audit),
       'requested', 'late: which is on record');

    $gw->vote($_, 'approve') for $known, $id;
    is($_->read->status, 200, 'late: executed') for $first, $again;
    $gw->clean('late');
}


# gone while its action is being stored: nobody has been told of it, so that it
# must not wait for anybody; the same again is announced

{
    $gw->hook->clear;
    $gw->redis->pause;

    my $client = $gw->send(GET => '/told/early');

    wait_for(sub { http_get($port, '/_status')->body =~ /Writing: 2 / });
    $client->reset;
    wait_for(sub { http_get($port, '/_status')->body =~ /Writing: 1 / });
    $gw->redis->resume;

    ok(wait_for(sub {
        !grep { $gw->state($_) eq 'pending' } $gw->pending
    }), 'gone early: no action is left open');

    ($client, my $id) = $gw->hold(GET => '/told/early');

    ok($id, 'gone early: the same again is held');
    ok(wait_for(sub { $gw->hook->count == 1 }), 'gone early: and announced');
    $gw->vote($id, 'approve');
    is($client->read->status, 200, 'gone early: and approved');
    is($gw->hits('/told/early'), 1, 'gone early: one execution');
    $gw->clean;
}


# HTTP/2: another stream of the connection goes on

{
    my $held = Approval::Client->curl_start('--http2-prior-knowledge',
        '-H', 'X-Agent: agent-7', "http://127.0.0.1:$port2/held/h2");
    my $id = wait_for(sub { ($gw->pending)[0] });

    ok($id, 'HTTP/2: held');
    $gw->vote($id, 'deny', 'no h2');

    my $response = $held->read;
    is($response->status, 403, 'HTTP/2: refused');
    is($response->json->{comment}, 'no h2', 'HTTP/2: with the comment');
    $gw->clean;
}


# the first leaves, and one who joined stays

{
    my ($first, $id) = $gw->hold(GET => '/held/stay');
    my $second = $gw->send(GET => '/held/stay');

    wait_for(sub { trail($id) eq 'requested joined' });
    $first->reset;
    wait_for(sub { http_get($port, '/_status')->body =~ /Writing: 2 / });
    $gw->vote($id, 'approve');
    is($second->read->status, 200, 'the one who joined is executed');
    is($gw->hits('/held/stay'), 1, 'once');
    $gw->clean;
}


# approved while nobody waits, and not asked for in time

{
    my $looks = looks();
    my ($client, $id) = $gw->hold(GET => '/brief/lapse');

    ok(wait_for(sub { looks() > $looks }), 'execute_within: held');
    $client->close;
    wait_for(sub { http_get($port, '/_status')->body =~ /Writing: 1 / });
    $gw->vote($id, 'approve');
    is($gw->state($id), 'approved', 'execute_within: approved');

    ok(wait_for(sub { $gw->redis->cmd('TIME')->[0] * 1000
                      > $gw->redis->cmd(HGET => "approval:{00}:$id", 'x') }),
       'execute_within: time goes by');

    my ($again, $id2) = $gw->hold(GET => '/brief/lapse');

    ok($id2 && $id2 ne $id, 'execute_within: lapsed, it is asked again');
    is($gw->hits('/brief/lapse'), 0, 'execute_within: nothing is executed');
    $gw->vote($id2, 'deny');
    is($again->read->status, 403, 'execute_within: and denied');
    ok(wait_for(sub { $gw->state($id) eq 'expired' }),
       'execute_within: the first has expired');
    $gw->clean;
}


# redis-cli, where it may

{
    my ($client, $id) = $gw->hold(GET => '/bare/approve');
    $gw->set($id, 'approve');

    is($client->read->status, 200, 'bare approve: executed');
    is($gw->up->last->header('Approval-By'), 'unsigned',
       'bare approve: by nobody in particular');
    is(wait_trail($id, 'requested approved executed'),
       'requested approved executed', 'bare approve: the trail');

    ($client, $id) = $gw->hold(GET => '/bare/deny');
    $gw->set($id, 'deny');

    my $response = $client->read;
    is($response->status, 403, 'bare deny: refused');
    is($response->json->{type}, 'urn:approval:denied', 'bare deny: denied');
    is(wait_trail($id, 'requested denied'), 'requested denied',
       'bare deny: the trail');
    is($gw->state($id), 'denied', 'bare deny: in the store too');
    $gw->clean;
}


sub faults {
    my ($id) = @_;

    return scalar grep { ($_->{action_id} // '') eq $id } $gw->audit('fault');
}


# decisions that are none; "real" is the decision of another action

sub tampered {
    my ($jws, $part) = @_;

    my @part = split /\./, $jws;

    substr($part[$part], 9, 1) =~ tr/A-Za-z/B-ZAb-za/;

    return join '.', @part;
}


{
    # the same request, approved and executed before: its decision and vote

    my ($client, $old) = $gw->hold(GET => '/held/forged');
    $gw->vote($old, 'approve');
    is($client->read->status, 200, 'forged: one that was executed before');

    my $real = $gw->redis->cmd(GET => "approval:{00}:$old:decision");
    my $vote = $gw->redis->cmd(LINDEX => "approval:{00}:$old:votes", 0);

    ok($real && $vote, 'forged: its decision and vote are known');
    $gw->clean;

    ($client, my $id) = $gw->hold(GET => '/held/forged');
    isnt($id, $old, 'forged: the same request is another action');

    my @forged = (
        [ 'approve, unsigned', 'approve' ],
        [ 'deny, unsigned', 'deny' ],
        [ 'approve and a newline', "approve\n" ],
        [ 'an old decision of the same request', $real ],
        [ 'with another header', tampered($real, 0) ],
        [ 'with other claims', tampered($real, 1) ],
        [ 'with another signature', tampered($real, 2) ],
        [ 'without a signature', $real =~ s/[^.]*$//r ],
        [ 'a vote', $vote ],
        [ 'JSON', '{"decision":"approve"}' ],
        [ 'alg none', 'eyJhbGciOiJub25lIn0.eyJzdGF0ZSI6ImFwcHJvdmVkIn0.' ],
        [ 'zeroes', "\0" x 100 ],
        [ 'all bytes', join('', map { chr } 0 .. 255) ],
        [ '16 kB', 'x' x 16384 ],
        [ 'one more', 'x' x 16385 ],
        [ '1 MB', 'x' x (1 << 20) ],
        [ 'approve, and 1 MB', 'approve' . ' ' x (1 << 20) ],
    );

    for my $row (@forged) {
        my ($name, $value) = @$row;

        my $faults = faults($id);

        $gw->set($id, $value);

        ok(wait_for(sub { faults($id) > $faults }), "forged: $name: on record");
        ok(wait_for(sub {
            !$gw->redis->cmd(EXISTS => "approval:{00}:$id:decision")
        }), "forged: $name: taken away");
        is($gw->state($id), 'pending', "forged: $name: still pending");
    }

    $gw->set($id, '');
    ok(wait_for(sub { !$gw->redis->cmd(EXISTS => "approval:{00}:$id:decision") }),
       'forged: nothing at all: taken away');

    ok($client->quiet(0.1), 'forged: the request is still held');
    is($gw->hits('/held/forged'), 1, 'forged: nothing was forwarded');
    is($gw->vote($id, 'approve')->status, 200, 'forged: a real vote counts');
    is($client->read->status, 200, 'forged: and lets it pass');
    is($gw->hits('/held/forged'), 2, 'forged: once');
    $gw->clean;

    # an action deleted under the hold is refused

    ($client, $id) = $gw->hold(GET => '/held/deleted');
    $gw->redis->cmd(DEL => "approval:{00}:$id");
    $gw->set($id, 'x');

    my $response = $client->read;
    is($response->status, 503, 'deleted: refused');
    is($response->json->{type}, 'urn:approval:action-lost', 'deleted: as lost');
    $gw->redis->cmd(DEL => "approval:{00}:$id:decision");
    $gw->redis->cmd(ZREM => 'approval:{00}:pending', $id);
    $gw->clean;
}

$gw->clean('nothing is left behind after all');


# worker_connections: who is held stays held, who finds no room is turned away

{
    my $small = Approval::Gateway->new(connections => 32,
        allow => [ qr/worker_connections are not enough/ ],
        http => 'approval_policy p { rule r { match $uri ^/held; '
                . 'require admins; timeout 60s; } }',
        server => 'approval p; location / { proxy_pass %%UP%%; }');

    my @clients = map { $small->send(GET => "/held/$_") } 1 .. 60;

    ok(wait_for(sub { $small->ngx->log_lines(qr/connections are not enough/) }),
       'worker_connections: there is no more room');

    # nginx turns away whom it cannot take, or somebody else it has not heard of

    my @held;

    ok(wait_for(sub {
        @held = grep { !$_->answered } @clients;
        return @held == (my @open = $small->pending);
    }), 'worker_connections: who is not turned away is held');

    cmp_ok(scalar @held, '>', 10, 'worker_connections: many are');
    cmp_ok(scalar @held, '<', 60, 'worker_connections: not all');

    # room for the votes, which all but ten give back

    $_->reset for splice(@held, 10);

    ok(wait_for(sub {
        my $answer = eval { http_get($small->port, '/_status')->body };
        $answer && $answer =~ /Writing: 11 /;
    }), 'worker_connections: who leaves makes room');

    $small->vote($_, 'deny') for $small->pending;

    is($_->read->status, 403, 'worker_connections: answered') for @held;
    $small->clean;
}


# whoever waits for an action ends it in the same moment, in several workers

{
    my $many = Approval::Gateway->new(workers => 4,
        http => 'approval_policy p {
            rule short { match $uri ^/short; require admins; timeout 2s; }
            rule bare { match $uri ^/bare; require admins; timeout 60s; } }',
        server => 'approval p; approval_unsigned_decisions on;
                   location / { proxy_pass %%UP%%; }');

    for my $case ([ expired => '/short' ], [ denied => '/bare' ]) {
        my ($type, $uri) = @$case;
        my @clients = map { $many->send(GET => $uri) } 1 .. 12;

        if ($type eq 'denied') {
            ok(wait_for(sub { (my @joined = $many->audit('joined')) >= 22 }),
               'denied: all wait for the same');

            my ($id) = $many->pending;
            $many->redis->cmd(SET => "approval:{00}:$id:decision", 'deny',
                              PX => 60_000);
        }

        is_deeply([ map { $_->read->json->{type} } @clients ],
                  [ ("urn:approval:$type") x 12 ], "$type: all are told so");
        is(scalar(my @ends = $many->audit($type)), 1, "$type: once on record");
    }

    $many->clean;
}

done_testing;
