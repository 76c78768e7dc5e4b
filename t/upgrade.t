#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# USR2, the upgrade of a running nginx: the new binary takes the new requests,
# the old one finishes what it holds.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();
plan(skip_all => 'valgrind does not follow into the new binary')
    if $ENV{APPROVAL_VALGRIND};

# the new binary inherits what "env" names: without it a module with sanitizers
# cannot be loaded

my $gw = Approval::Gateway->new(workers => 2, daemon => 1,
    conf => 'env LD_PRELOAD; env ASAN_OPTIONS; env UBSAN_OPTIONS;',
    http => <<'EOF',
    approval_policy p {
        rule held  { match $uri ^/held; require admins; timeout 120s; }
        rule short { match $uri ^/short; require admins; timeout 6s; }
    }
EOF
    server => 'approval p; location / { proxy_pass %%UP%%; }');

my $ngx = $gw->ngx;
my $old = $ngx->pid;
my @old = $ngx->workers;
my $new;


sub workers_of {
    return grep { $ngx->is_worker($_) } Approval::Nginx::children($_[0]);
}


sub gone {
    my (@pids) = @_;

    return wait_for(sub { !grep { Approval::Process::runs($_) } @pids });
}


sub writer_of {
    my ($type, $id) = @_;

    my ($record) = grep { ($_->{action_id} // '') eq $id } $gw->audit($type);

    return $record->{writer} // '';
}


my ($one, $id1) = $gw->hold(GET => '/held/one');
my ($two, $id2) = $gw->hold(GET => '/held/two');
my ($three, $id3) = $gw->hold(GET => '/held/three');
my ($short) = $gw->hold(GET => '/short');

$ngx->signal('USR2');

ok(wait_for(sub {
    ($new) = -s $ngx->path('nginx.pid')
             ? slurp($ngx->path('nginx.pid')) =~ /^(\d+)$/ : ();
    return $new && $new != $old && workers_of($new) == 2;
}), 'USR2: there is a second nginx');

$ngx->signal('WINCH');
ok(wait_for(sub { !workers_of($old) }), 'WINCH: old workers take nothing new');
is(scalar(grep { kill(0, $_) } @old) > 0, 1, 'but finish what they hold');
$_->quiet(0) or fail('nobody is cut off') for $one, $two, $three;

my ($next, $id4) = $gw->hold(GET => '/held/next');
my $joins = $gw->send(GET => '/held/one');

ok(wait_for(sub { writer_of('joined', $id1) }), 'one joins');
isnt(writer_of('requested', $id4), writer_of('requested', $id1),
     'what is new is held by the new one');

is($gw->vote($id1, 'approve')->status, 200, 'and it takes the votes');
is(join(' ', sort map { $_->read->status } $one, $joins), '200 409',
   'of which the old one hears: one execution');
is($gw->hits('/held/one'), 1, 'as the upstream has seen');
is($short->read->status, 403, 'a deadline is kept by the old one');

# the old one is told to go

$ngx->signal('QUIT');
$gw->vote($id2, 'deny', 'no');
is($two->read->status, 403, 'QUIT: denied in the old one');
is($ngx->{process}->alive, 1, 'QUIT: which waits for the last');
$gw->vote($id3, 'approve');
is($three->read->status, 200, 'QUIT: and executes it');
ok($ngx->{process}->wait_exit(60 * slow()), 'QUIT: then it goes');
ok(gone(@old), 'QUIT: its workers, too');

$gw->vote($id4, 'approve');
is($next->read->status, 200, 'the new one goes on');
my ($last, $id5) = $gw->hold(GET => '/held/last');
$gw->vote($id5, 'approve');
is($last->read->status, 200, 'with what comes later');
$gw->clean;

$ngx->{process} = Approval::Process->adopt($new);
$ngx->stop;

my $tool = build_dir() . '/approval-audit';
my $out = `$tool verify @{[ $ngx->path('audit.jsonl') ]} --key $gw->{keys}{public} 2>&1`;
is($? >> 8, 0, 'the trail of both is whole') or diag($out);

done_testing;
