#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# WebSocket by a real client ("ws" of npm): the upgrade is held, and once it is
# approved, frames pass both ways.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;
use Approval::Npm;
use Approval::Process;

need_module();
need(qw(node npm));

my $dir = Approval::Npm::install('ws@8');

spew("$dir/ws.mjs", slurp(root_dir() . '/t/clients/ws.mjs'));
spew("$dir/log", '');

Approval::Process->start(cmd => [ 'node', "$dir/ws.mjs", 'serve' ],
                         stdout => "$dir/log", stderr => "$dir/err");

my ($port) = wait_for(sub { slurp("$dir/log") =~ /^(\d+)$/m ? $1 : 0 })
    or die "the server has not started: " . slurp("$dir/err");

my $gw = Approval::Gateway->new(workers => 2, http => <<'HTTP',
    approval_policy p {
        rule shell { match $uri ^/shell; require admins; timeout 60s;
                     notify hook; }
        rule short { match $uri ^/short; require admins; timeout 60s; hold 1s;
                     notify hook; }
        rule soon  { match $uri ^/soon; require admins; timeout 1s;
                     notify hook; }
    }
HTTP
    server => <<"SERVER");
    approval p;
    proxy_http_version 1.1;
    proxy_set_header Upgrade \$http_upgrade;
    proxy_set_header Connection upgrade;
    location / { proxy_pass http://127.0.0.1:$port; }
    location /shell/gone { approval_disconnect cancel;
                           proxy_pass http://127.0.0.1:$port; }
SERVER


sub start {
    my ($path) = @_;

    my $out = tempdir() . '/out';

    spew("$out.err", '');

    return { out => $out, go => "$out.go", process => Approval::Process->start(
        cmd => [ 'node', "$dir/ws.mjs", 'ws://127.0.0.1:' . $gw->port . $path,
                 "$out.go" ], stdout => $out, stderr => "$out.err") };
}


sub told {
    my ($job) = @_;

    spew($job->{go}, '');
    $job->{process}->wait_exit(60 * slow()) or die "a client has not ended\n";

    return decode_json(slurp($job->{out}));
}


sub got { return slurp($_[0]{out} . '.err') }

sub asked { return wait_for(sub { ($gw->pending)[0] }, 30) }


# what the server was asked for

sub connections {
    my @paths = slurp("$dir/log") =~ /^connection (\S+)$/mg;

    return @paths;
}


sub outcome {
    my ($id, $type) = @_;

    return wait_for(sub {
        (grep { $_->{action_id} eq $id } $gw->audit($type))[0];
    });
}


subtest 'approved' => sub {
    my $job = start('/shell/a');
    my $id = asked();

    is($gw->action($id)->{requester_present}, JSON::PP::true, 'it waits');
    is_deeply([ connections() ], [], 'and nothing reaches the server');

    $gw->vote($id, 'approve');
    ok(wait_for(sub { got($job) =~ /^hello\none!$/m }), 'frames pass both ways');
    is($gw->state($id), 'executing', 'meanwhile it is executing');
    is(scalar $gw->audit('executed'), 0, 'and has no outcome');

    my $told = told($job);

    is_deeply($told, { got => [ qw(hello one! two!) ], code => 1000 },
              'until the client closes');

    my $record = outcome($id, 'executed');

    is($record->{outcome}{status}, 101, 'on record: 101');
    is($gw->state($id), 'executed', 'it is executed');
    is_deeply([ connections() ], [ '/shell/a' ], 'once');
};


subtest 'denied' => sub {
    my $job = start('/shell/b');

    $gw->vote(asked(), 'deny', 'use the archive job');

    my $told = told($job);

    is($told->{status}, 403, 'no upgrade');
    is($told->{body}{type}, 'urn:approval:denied', 'but a problem');
    is($told->{body}{comment}, 'use the archive job', 'with the comment');
    is(scalar connections(), 1, 'nothing reaches the server');
};


subtest 'expired' => sub {
    my $told = told(start('/soon'));

    is($told->{status}, 403, 'no upgrade');
    is($told->{body}{type}, 'urn:approval:expired', 'but a problem');
    is(scalar connections(), 1, 'nothing reaches the server');
};


subtest 'pending, and sent again' => sub {
    my $told = told(start('/short'));

    is($told->{status}, 503, 'no upgrade');
    is($told->{body}{type}, 'urn:approval:pending', 'but a problem');

    my $id = asked();
    my $job = start('/short');

    ok(outcome($id, 'joined'), 'it joins, with a new Sec-WebSocket-Key');
    $gw->vote($id, 'approve');
    is_deeply(told($job)->{got}, [ qw(hello one! two!) ], 'and is upgraded');
    ok(outcome($id, 'executed'), 'on record');
    is(scalar connections(), 2, 'once');
};


# the client leaves while it is held; and while frames pass

subtest 'left' => sub {
    my $told = $gw->hook->count;
    my $job = start('/shell/gone');
    my $id = asked();

    ok(wait_for(sub { $gw->hook->count > $told }), 'people are asked');
    $job->{process}->kill_group;
    ok(wait_for(sub { $gw->state($id) eq 'cancelled' }), 'cancel: it ends');
    is($gw->vote($id, 'approve')->status, 409, 'cancel: a vote is late');

    $told = $gw->hook->count;
    $job = start('/shell/kept');
    $id = asked();
    ok(wait_for(sub { $gw->hook->count > $told }), 'people are asked');
    $job->{process}->kill_group;
    ok(wait_for(sub { !$gw->action($id)->{requester_present} }),
       'keep: nobody waits');
    $gw->vote($id, 'approve');
    is(scalar connections(), 2, 'keep: nothing is executed');
    $job = start('/shell/kept');
    ok(wait_for(sub { got($job) =~ /^one!$/m }), 'keep: until it comes back');

    $job->{process}->kill_group;
    is((outcome($id, 'executed') // {})->{outcome}{status}, 101,
       'it leaves an open connection: on record');
    is_deeply([ connections() ], [ qw(/shell/a /short /shell/kept) ],
              'each once');
};

$gw->clean('clients_ws');
done_testing;
