#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# A worker that has no descriptor left: what is held stays held, what is decided
# then is forwarded once or not at all, and all goes on when there are some.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

plan(skip_all => 'valgrind keeps the limit of descriptors, not the kernel')
    if $ENV{APPROVAL_VALGRIND};

need_module();

my $receiver = Approval::Receiver->new;

my $gw = Approval::Gateway->new(conf => 'worker_rlimit_nofile 48;',
    allow => [qr/\[crit\] .*\(24: Too many open files\)/,
              qr/\[alert\] .*socket\(\) failed \(24: /],
    http => <<"EOF_HTTP", server => <<'EOF_SERVER');
    approval_channel url { url @{[ $receiver->url ]}/url; backoff 100ms 1s; }
    approval_policy p {
        rule r { match \$uri ^/held; require admins; timeout 300s;
                 notify url hook; }
    }
EOF_HTTP
    approval p;
    approval_unsigned_decisions on;
    location / { proxy_pass %%UP%%; }
EOF_SERVER

my $ngx = $gw->ngx;
my ($worker) = $ngx->workers;
my @clients;


# clients until the worker can accept no more of them

sub fill {
    my ($name) = @_;

    my $mark = $ngx->mark;

    my $full = wait_for(sub {
        push @clients, $gw->send(GET => "/held/$name/" . @clients)
            if @clients < 100;
        return scalar $ngx->log_lines(qr/accept4?\(\) failed \(24: /,
                                      since => $mark);
    });

    ok($full, "$name: no descriptor is left");
}


# they go away, and it is as it was; some of them are accepted only then

sub leave {
    my ($name) = @_;

    @clients = ();

    my ($client, $id);

    # refused until Redis is back

    ok(wait_for(sub {
        $client = $gw->send(GET => "/held/$name/after")
            if !$client || $client->answered;

        ($id) = grep { ($gw->action($_)->{target} // '')
                       eq "/held/$name/after" } $gw->pending;
        return $id;
    }), "$name: over, the next is held");

    ok(wait_for(sub { grep { $_->body =~ /$id/ } $receiver->requests }),
       "$name: approvers are told of it");
    is($gw->vote($id, 'approve')->status, 200, "$name: a vote is taken");
    is($client->read->status, 200, "$name: and it passes");
    is($gw->hits("/held/$name/after"), 1, "$name: once");

    ok(wait_for(sub {
        $gw->vote($_, 'deny') for $gw->pending;
        return http_get($gw->port, '/_status')->body =~ /Writing: 1 /
               && !$gw->pending;
    }), "$name: nothing is left open");
}


# nothing happens but that

fill('full');

ok((grep { $_ eq $worker } $ngx->workers), 'full: the worker is alive');
cmp_ok(scalar(my @ids = $gw->pending), '>', 1, 'full: some are held');
is($gw->up->count, 0, 'full: nothing was forwarded');

leave('full');


# Redis is lost: whether it can be reached again depends on who is faster

fill('lost');
$gw->redis->cmd(CLIENT => KILL => TYPE => 'normal', SKIPME => 'yes');
$gw->redis->cmd(CLIENT => KILL => TYPE => 'pubsub', SKIPME => 'yes');
ok($ngx->log_like(qr/approval_redis .* is unavailable/), 'lost: it is noticed');

leave('lost');


# decided while there is none for the upstream's connection, nor to sync the
# trail: it may be refused, but is forwarded once at most

fill('decided');
@ids = $gw->pending;
$gw->set($_, 'approve') for @ids;

ok(wait_for(sub { !grep { $gw->state($_) =~ /^(?:pending|approved|executing)$/ }
                       @ids }), 'decided: all come to an end');

my $answers = 0;

for my $i (0 .. $#clients) {
    my $answer = $clients[$i]->try_read(0) or next;
    my $hits = $gw->hits("/held/decided/$i");

    $answers++;

    ok($hits <= 1 && ($hits || $answer->status >= 500),
       "decided: /$i was forwarded $hits times, " . $answer->status);
}

ok($answers, 'decided: they are answered');

leave('decided');
$gw->clean('descriptors');

done_testing();
