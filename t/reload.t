#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# What happens to those who are held when nginx is reloaded, killed, stopped
# and started again.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();

my $http = <<'EOF';
    approval_policy p {
        rule held  { match $uri ^/held; require admins; timeout 60s; }
        rule short { match $uri ^/short; require admins; timeout 5s; }
    }
EOF
my $server = <<'EOF';
        approval p;
        approval_unsigned_decisions on;
        location / { proxy_pass %%UP%%; }
EOF

my @old = (http => $http, server => $server);
my $gw = Approval::Gateway->new(workers => 2, @old);
my $ngx = $gw->ngx;


sub gone {
    my (@pids) = @_;

    return wait_for(sub { !grep { kill(0, $_) } @pids });
}


# reload: the old workers finish what they hold

{
    my @before = $ngx->workers;

    my ($approved, $id1) = $gw->hold(GET => '/held/approved');
    my ($denied, $id2) = $gw->hold(GET => '/held/denied');
    my ($expired, $id3) = $gw->hold(GET => '/short/expired');
    my ($left, $id4) = $gw->hold(GET => '/held/left');
    my ($twice, $id5) = $gw->hold(GET => '/held/twice');

    $ngx->reload;

    my ($new, $id6) = $gw->hold(GET => '/held/new');
    my $same = $gw->send(GET => '/held/approved');

    ok(wait_for(sub { grep { $_->{action_id} && $_->{action_id} eq $id1 }
                           $gw->audit('joined') }),
       'reload: with a new worker, one joins');

    $_->quiet(0) or fail('reload: nobody is cut off')
        for $approved, $denied, $left, $twice;

    $ngx->reload;
    is($gw->vote($id1, 'approve')->status, 200,
       'reload: a new worker takes the vote');

    my @status = sort map { $_->read->status } $approved, $same;
    is("@status", '200 409', 'reload: one execution, wherever it was held');
    is($gw->hits('/held/approved'), 1, 'reload: as the upstream has seen');

    $gw->vote($id2, 'deny', 'not now');
    my $response = $denied->read;
    is($response->status, 403, 'reload: denied');
    is($response->json->{comment}, 'not now', 'reload: with the comment');

    is($expired->read->status, 403, 'reload: the deadline is kept');

    $left->close;
    is($gw->state($id4), 'pending', 'reload: who left has left an open action');
    $gw->vote($id4, 'deny');

    is(scalar(grep { kill(0, $_) } @before) >= 1, 1,
       'reload: an old worker stays while it holds');

    $gw->set($id5, 'approve');
    is($twice->read->status, 200, 'reload: approved after two reloads');

    ok(gone(@before), 'reload: then it goes');

    $gw->vote($id6, 'approve');
    is($new->read->status, 200, 'reload: what came later goes on');
    $gw->clean;
}


# killed while it holds: the action stays, and the same request finds it

{
    my ($client, $id) = $gw->hold(GET => '/held/killed');

    $ngx->kill_worker($_) for $ngx->workers;
    ok($client->closed, 'killed: the connection is lost');
    is($gw->state($id), 'pending', 'killed: the action is not');

    $client = $gw->send(GET => '/held/killed');
    ok(wait_for(sub { grep { ($_->{action_id} // '') eq $id }
                           $gw->audit('joined') }), 'killed: the retry joins');

    $gw->vote($id, 'approve');
    is($client->read->status, 200, 'killed: and is executed');
    is($gw->hits('/held/killed'), 1, 'killed: once');
    $gw->lost(1);
    $gw->clean;

    # approved while nobody holds it

    ($client, $id) = $gw->hold(GET => '/held/killed2');
    $ngx->kill_worker($_) for $ngx->workers;
    $gw->vote($id, 'approve');
    is($gw->hits('/held/killed2'), 0, 'killed, then approved: nothing happens');

    my $response = $gw->send(GET => '/held/killed2')->read;
    is($response->status, 200, 'killed, then approved: the retry is executed');
    is($response->header('Approval-Id'), $id,
       'killed, then approved: by this approval');
    is($gw->hits('/held/killed2'), 1, 'killed, then approved: once');
    $gw->lost(2);
    $gw->clean;

    # after it was consumed nobody knows what was done: never again

    $gw->up->answer('/held/killed3' => { hang => 1 });
    ($client, $id) = $gw->hold(GET => '/held/killed3');
    $gw->vote($id, 'approve');
    ok(wait_for(sub { $gw->hits('/held/killed3') }),
       'killed at work: it is being executed');
    is($gw->state($id), 'executing', 'killed at work: as the store knows');
    $ngx->kill_worker($_) for $ngx->workers;

    ($client, my $again) = $gw->hold(GET => '/held/killed3');
    ok($again && $again ne $id, 'killed at work: the same is asked again');
    is($gw->hits('/held/killed3'), 1, 'killed at work: and not replayed');
    $gw->vote($again, 'deny');
    is($client->read->status, 403, 'killed at work: it can be denied');
    is($gw->state($id), 'executing', 'killed at work: until its lease is over');

    $gw->redis->cmd(ZREM => 'approval:{00}:pending', $id);
    $gw->lost(3);
    $gw->clean;
}


# QUIT: no new ones, but who is held stays held; TERM: at once

{
    my ($client, $id) = $gw->hold(GET => '/held/quit');
    my @workers = $ngx->workers;

    $ngx->signal('QUIT');
    ok(wait_for(sub {
        !eval { Approval::Client->new($gw->port) }
    }), 'QUIT: nobody comes in any more');
    ok($client->quiet(0.3), 'QUIT: but who is held stays');

    $gw->set($id, 'approve');
    is($client->read->status, 200, 'QUIT: and is executed');
    ok(gone(@workers), 'QUIT: then nginx goes');
    is($gw->state($id), 'executed', 'QUIT: with the outcome in the store');
    ok(wait_for(sub { !$ngx->{process}->alive }), 'QUIT: the master too');
    $ngx->{finished} = 1;
    ok($ngx->check_log, 'QUIT: cleanly');
    $ngx->start;
    $gw->lost(0);

    ($client, $id) = $gw->hold(GET => '/held/term');
    my ($done, $id2) = $gw->hold(GET => '/held/term2');
    $ngx->stop('TERM');
    ok($client->closed, 'TERM: the connection ends');
    is($gw->state($id), 'pending', 'TERM: the action stays');

    $gw->set($id2, 'approve');
    $ngx->start;

    my $response = $gw->send(GET => '/held/term2')->read;
    is($response->header('Approval-Id'), $id2,
       'TERM: what was approved meanwhile is executed for who asks again');
    is($response->status, 200, 'TERM: with the answer');

    $client = $gw->send(GET => '/held/term');
    ok(wait_for(sub { grep { ($_->{action_id} // '') eq $id }
                           $gw->audit('joined') }),
       'TERM: what was not, is held again');
    $gw->vote($id, 'approve');
    is($client->read->status, 200, 'TERM: and executed');
    is($gw->hits('/held/term'), 1, 'TERM: once');
    $gw->clean;
}


# a worker quits while it digests a large body

{
    my $large = Approval::Gateway->new(workers => 1, http => $http,
        server => $server . 'client_max_body_size 64m;');
    my ($worker) = $large->ngx->workers;
    my $client = Approval::Client->new($large->port);
    my $mb = 'x' x 1048576;

    $client->write("POST /held/large HTTP/1.1\r\nHost: gw.example\r\n"
                   . "X-Agent: a\r\nContent-Length: 33554432\r\n\r\n");
    $client->write($mb) for 1 .. 31;
    $client->write(substr $mb, 1);

    # it learns of both at once

    kill STOP => $worker;
    $client->write('x');
    $large->ngx->signal('HUP');
    wait_for(sub { grep { $_ != $worker } $large->ngx->workers });
    kill QUIT => $worker;
    kill CONT => $worker;

    my $id = wait_for(sub { $client->answered ? 'answered'
                                              : ($large->pending)[0] });

    is($large->vote($id, 'approve')->status, 200, 'a large body: it is held');
    is($client->read->status, 200, 'a large body: and forwarded');
    ok(gone($worker), 'a large body: then the worker goes');
    $large->clean('a large body');
}


# reload with a policy that has no such rule any more: the hold goes on by its
# own; and back, with another one

{
    my ($client, $id) = $gw->hold(GET => '/held/rules');

    my $text = $ngx->{http};
    $ngx->reload(http => $text =~ s{match \$uri \^/held}{match \$uri ^/else}r);

    is(http_get($gw->port, '/held/free')->status, 200,
       'new rules: what they let pass passes');
    ok($client->quiet(0.1), 'new rules: the hold goes on by the old ones');
    is($gw->vote($id, 'deny')->status, 200, 'new rules: the vote counts');
    is($client->read->status, 403, 'new rules: denied');

    $ngx->reload(http => $text);
    $gw->clean;
}


# worker_shutdown_timeout: nginx does not wait for ever

{
    my $brief = Approval::Gateway->new(workers => 1, @old,
                                       conf => 'worker_shutdown_timeout 1s;');
    my ($client, $id) = $brief->hold(GET => '/held/timeout');
    my @before = $brief->ngx->workers;

    $brief->ngx->reload;
    ok(gone(@before), 'worker_shutdown_timeout: the old worker goes');
    is($brief->state($id), 'pending',
       'worker_shutdown_timeout: the action stays');
    $client->try_read(1);

    $client = $brief->send(GET => '/held/timeout');
    wait_for(sub { $brief->audit('joined') });
    $brief->vote($id, 'approve');
    is($client->read->status, 200, 'worker_shutdown_timeout: the retry');
    is($brief->hits('/held/timeout'), 1, 'worker_shutdown_timeout: once');
    $brief->clean;
}


# master_process off

{
    my $single = Approval::Gateway->new(workers => 0, @old);

    my ($one, $id1) = $single->hold(GET => '/held/approve');
    my ($two, $id2) = $single->hold(GET => '/held/deny');

    $single->vote($id1, 'approve');
    $single->vote($id2, 'deny');
    is($one->read->status, 200, 'master_process off: approved');
    is($two->read->status, 403, 'master_process off: denied');
    is(http_get($single->port, '/free')->status, 200,
       'master_process off: free');
    $single->clean;

    # nginx itself cannot be reloaded so: it goes on as it is

    ($one, $id1) = $single->hold(GET => '/held/reload');
    like($single->ngx->reload_fails, qr/cannot be reloaded with "master_process off": restart/,
         'master_process off: no reload, and it says so');
    ($two, $id2) = $single->hold(GET => '/held/after');
    $single->vote($_, 'approve') for $id1, $id2;
    is($_->read->status, 200, 'master_process off: goes on all the same')
        for $one, $two;
    $single->clean;

    ($one, $id1) = $single->hold(GET => '/held/stop');
    $single->ngx->stop('TERM');
    is($single->state($id1), 'pending', 'master_process off: stopped');
}

done_testing;
