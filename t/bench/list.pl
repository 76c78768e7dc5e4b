#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The inbox, and lists by each filter, with many actions pending and very many
# in history: wall time of a reply, and CPU of the worker and of Redis.
#
#   LIST_PENDING=10000 LIST_HISTORY=1000000

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin";

use Approval::Gateway;
use Approval::Scripts;
use Approval::Test;

use Time::HiRes qw(time);

use Bench;

my $pending = $ENV{LIST_PENDING} // 10_000;
my $history = $ENV{LIST_HISTORY} // 1_000_000;
my $rounds = 9;

my $gw = Approval::Gateway->new(workers => 1, http => <<'END', server => <<'END');
    approval_group few dora;
    approval_policy p {
        rule many  { match $uri ^/many; require admins; timeout 1h; }
        rule some  { match $uri ^/some; require few; timeout 1h; }
    }
END
    approval p;
    location / { empty_gif; }
END

# Tickets, over connections that are kept.

my @prefer = (headers => [ Prefer => 'respond-async' ]);
my @clients = map { Approval::Client->new($gw->port) } 1 .. 50;

sub ask {
    my ($n, $path, $agent) = @_;

    for (my $i = 0; $i < $n; $i += @clients) {
        for my $c (0 .. $#clients) {
            $clients[$c]->send(GET => "/$path/" . ($i + $c),
                Approval::Gateway::who(agent => $agent, @prefer));
        }

        $_->read for @clients;
    }
}

ask(50, 'some', 'agent-8');
ask($pending, 'many', 'agent-7');
die "not all are pending\n" if $gw->pending < $pending;
Approval::Scripts->new->history($gw->redis, $history);

my ($worker) = $gw->ngx->workers;
my $client = Approval::Client->new($gw->port);

for my $row (
    [ 'the inbox', 'alice', '/', 'text/html', 100 ],
    [ 'pending ones, 200 of them', 'alice',
      '/actions?state=pending&limit=200', 'application/json', 100 ],
    [ 'pending ones of an approver who has 50', 'dora',
      '/actions?state=pending', 'application/json', 100 ],
    [ 'history, newest first', 'alice', '/?view=history', 'text/html', 100 ],
    [ 'those of a rule', 'dora', '/actions?rule=some&limit=20',
      'application/json', 100 ],
    [ 'those of a requester', 'alice', '/actions?requester=agent-7',
      'application/json', 100 ],
    [ 'those that were denied: none', 'alice', '/actions?state=denied',
      'application/json', 100 ],
    [ 'those since now: none', 'alice',
      '/actions?since=2100-01-01T00:00:00Z', 'application/json', 100 ])
{
    my ($what, $who, $path, $accept, $target) = @$row;
    my (@wall, $n);
    my @cpu = map { cpu_us($_) } $worker, $gw->redis->pid;

    for (1 .. $rounds) {
        my $begin = time;
        my $r = $client->request(GET => "/_approval$path", headers =>
            [ 'X-User' => $who, Accept => $accept ]);

        push @wall, (time - $begin) * 1000;
        die "$what: " . $r->raw if $r->status != 200;
        my @shown = $accept =~ /json/ ? @{ $r->json->{actions} }
                                      : $r->body =~ m{href="actions/}g;
        $n = @shown;
    }

    my @used = map { $_ / $rounds / 1000 } cpu_us($worker) - $cpu[0],
                                           cpu_us($gw->redis->pid) - $cpu[1];

    figure("$what: $n of $pending pending, $history in history, ms",
           "<= $target", sprintf('%.1f', median(@wall)),
           median(@wall) <= $target);
    figure("    CPU of the worker, of Redis, ms", '-',
           sprintf('%.1f %.1f', @used), undef);
}

$gw->ngx->abandon;
