#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# conf/examples/ci-deploy.conf, driven by the step of a pipeline that
# docs/agents.md has: its exit status, what the job's log says, how often people
# are asked, and what is deployed.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Example;
use Approval::Process;

need_module();
need(qw(curl openssl redis-server));

my ($step) = slurp(root_dir() . '/docs/agents.md')
    =~ /^### A CI job\n.*?^```sh\n(.*?)^```$/ms;

ok($step, 'the step');

my $g;


# the file, but for the time of its rule for production

sub gateway {
    my ($times) = @_;

    $g = Approval::Example->start('ci-deploy.conf',
        put => $times ? { 'timeout 1h;' => $times } : {});
}


# the step, and with FROM => TO another one

sub start {
    my (%put) = @_;

    my $text = $step;
    my $out = tempdir() . '/out';

    for my $from (keys %put) {
        $text =~ s/\Q$from\E/$put{$from}/ or die "no $from in the step\n";
    }

    return { out => $out, process => Approval::Process->start(
        cmd => [ 'sh', '-c', $text ], stdout => $out, stderr => $out,
        env => { GATEWAY => $g->ngx->url, TOKEN => 7 }) };
}


# its exit status, and the log

sub ended {
    my ($job) = @_;

    $job->{process}->wait_exit(60 * slow()) or die "a step has not ended\n";

    return ($job->{process}->status >> 8, slurp($job->{out}));
}


sub ends {
    my ($name, $job, $code, $says) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($status, $log) = ended($job);

    is($status, $code, "$name: exit status $code");
    like($log, $says, "$name: the log says so");
}


my $COMMENT = 'not on a Friday';
my $DEPLOYED = qr/^ok$/m;
my $UNDECIDED = qr/Nobody has decided yet/;

gateway();

# What passes, and what is refused without asking

ends('staging', start('"production"' => '"staging"'), 0, $DEPLOYED);
ends('another environment', start('"production"' => '"prod"'), 22,
     qr/policy denies/);
ends('without a reason', start('fixes the checkout' => ''), 22,
     qr/X-Approval-Reason/);
ends('another token', start('Bearer $TOKEN' => 'Bearer 8'), 22,
     qr/not identified/);
$g->counts('of no concern', 0, 1);

# Approved, by the release manager who is not the author

{
    my $job = start();
    my $id = $g->asked;
    my ($data) = map { $_->json->{data} } $g->hook->messages;

    is_deeply([ @{ $data->{show} }{qw(service version)} ], [ qw(shop 1.4.2) ],
              'what is shown');
    is_deeply($data->{show}{run}, '[absent]', 'and that there is no URL');
    is($g->vote($id, 'approve', $COMMENT), 200, 'approved');
    ends('approved', $job, 0, $DEPLOYED);
    $g->counts('approved', 1, 1);
}

# Denied; a job that is started again at once is denied as well

{
    my $job = start();

    $g->vote($g->asked, 'deny', $COMMENT);
    ends('denied', $job, 22, qr/"comment":"not on a Friday"/);
    ends('and started again', start(), 22, qr/"comment":"not on a Friday"/);
    $g->counts('denied', 1, 0);
}

# Cancelled: the job is killed; a person or another job withdraws

{
    my $job = start('1.4.2' => '1.4.3');
    my $id = $g->asked;

    $job->{process}->kill_group;
    ok(wait_for(sub { $g->records('cancelled', $id) }), 'cancelled: on record');
    is($g->vote($id, 'approve', $COMMENT), 409, 'cancelled: a vote is late');
    $g->counts('cancelled', 1, 0);

    $job = start('1.4.2' => '1.4.4');
    $id = $g->asked;
    is(Approval::Client->new($g->port)->request(
           DELETE => "/_approval/status/$id",
           headers => [ Authorization => 'Bearer 7' ])->status, 200,
       'withdrawn');
    ends('withdrawn', $job, 22, qr/This request was cancelled/);
    $g->counts('withdrawn', 1, 0);
}

# Two jobs deploy the same: once

{
    my @jobs = (start('1.4.2' => '1.4.5'), start('1.4.2' => '1.4.5'));
    my $id = $g->asked;

    ok($g->joined($id), 'parallel: the second joins');
    $g->vote($id, 'approve', $COMMENT);

    my %log = map { my ($status, $log) = ended($_); ($status => $log) } @jobs;

    like($log{0} // '', $DEPLOYED, 'parallel: one job is well');
    like($log{22} // '', qr/approval has been used/, 'parallel: the other fails');
    $g->counts('parallel', 1, 1);
}

# Pending: it comes back three times, and the job that is started again goes on

gateway('timeout 1h; hold 1s;');

{
    my $job = start();
    my $id = $g->asked;

    ok($g->joined($id, 2), 'pending: it comes back');
    $g->vote($id, 'approve', $COMMENT);
    ends('pending', $job, 0, $DEPLOYED);
    $g->counts('pending', 1, 1);

    $job = start('1.4.2' => '1.4.6');
    $id = $g->asked;
    ends('undecided', $job, 22, $UNDECIDED);
    is(scalar $g->records('joined', $id), 3,
       'undecided: after three more times');

    $job = start('1.4.2' => '1.4.6');
    $g->vote($id, 'approve', $COMMENT);
    ends('undecided, then started again', $job, 0, $DEPLOYED);
    $g->counts('undecided', 1, 1);
}

# Expired

gateway('timeout 2s;');

ends('expired', start(), 22, qr/Nobody decided in time/);
$g->counts('expired', 1, 0);

done_testing();
