#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Decisions are published as they are stored: the one who waits uses them
# without reading the key.  Without the permission to publish or to subscribe
# the key is read instead; and whoever may publish can send anything, as often
# as they like, and decides nothing.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;
use Approval::Scripts;
use Digest::SHA qw(sha1_hex);

need_module();
need('redis-server');

my $channel = 'approval:{00}:decisions';

my $gw = Approval::Gateway->new(workers => 2, http => <<'EOF',
    approval_policy p {
        rule call { mcp_tool db.drop; require admins; timeout 60s; }
        rule r { match $uri ^/held/; require admins; timeout 60s; }
    }
EOF
    server => <<'EOF');
    approval p;
    location / { proxy_pass %%UP%%; }
    location /held/bot/ { approval_unsigned_decisions on; proxy_pass %%UP%%; }
EOF

my $redis = $gw->redis;
my $scripts = Approval::Scripts->new;
my %name = map { sha1_hex($scripts->text($_)) => $_ } $scripts->names;
my $monitor = $redis->client(timeout => 60);

# consume.lua changes the key's TTL, of which who has read it is told

my $read = 'vote read consume(?: read)?';

$monitor->cmd('MONITOR');

pushed();
not_published();
not_subscribed();
not_tracked();
forged();
flood();
signed();
duplicates();
bare();
calls();
$gw->clean('push');
shards();

done_testing();


# What Redis was asked since the last call, of what this is about

sub asked {
    my @asked;
    my $mark = 'mark ' . rand;

    $redis->cmd(ECHO => $mark);

    while (defined(my $line = $monitor->read)) {
        last if $line =~ /"ECHO" "\Q$mark\E"/;

        my ($command, $word)
            = $line =~ /^[\d.]+ \[\d+ (?!lua)\S+\] "(\w+)"(?: "([^"]*)")?/
            or next;

        push @asked, $command eq 'MGET' ? 'read' : $name{ $word // '' } // '';
    }

    return join ' ', grep { /^(?:vote|consume|read)$/ } @asked;
}


sub publish {
    my ($id, $text) = @_;

    return $redis->cmd(PUBLISH => $channel, "$id $text");
}


# held, and its key was read

sub held {
    my ($target) = @_;

    my ($client, $id) = $gw->hold(GET => $target);

    select undef, undef, undef, 0.2;
    asked();

    return ($client, $id);
}


# The sweep, every 4 to 6 s, may read as well: so once in a few times will do.

sub approved {
    my ($target, $name, $how) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $asked;

    for my $n (1 .. 5) {
        my ($client, $id) = held("$target/$n");

        is($gw->vote($id, 'approve')->status, 200, "$name: approved");
        is($client->read->status, 200, "$name: executed");
        is($gw->hits("$target/$n"), 1, "$name: once");

        $asked = asked();
        last if $asked =~ /^$how$/;
    }

    like($asked, qr/^$how$/, "$name: $how");
}


sub pushed {
    is($redis->cmd(PUBSUB => NUMSUB => $channel)->[1], 2,
       'each worker has subscribed');

    approved('/held/pushed', 'published', 'vote consume');

    my ($client, $id) = held('/held/denied');

    is($gw->vote($id, 'deny', 'why not')->status, 200, 'denied');

    my $r = $client->read;

    is($r->status, 403, 'a denial ends it');
    like($r->body, qr/why not/, 'with the comment');

    # two that wait for the same, in whichever workers

    ($client, $id) = held('/held/both');
    my $other = $gw->send(GET => '/held/both');

    ok($gw->wait_audit('joined', 1), 'another one joins');
    select undef, undef, undef, 0.2;
    $gw->vote($id, 'approve');
    is_deeply([ sort map { $_->read->status } $client, $other ], [ 200, 409 ],
              'one of the two passes');
    is($gw->hits('/held/both'), 1, 'once');
}


sub not_published {
    $redis->cmd(ACL => SETUSER => 'default', '-publish');
    approved('/held/unpublished', 'no +publish', $read);
    $redis->cmd(ACL => SETUSER => 'default', '+@all');
}


sub not_subscribed {
    my $mark = $gw->ngx->mark;

    $redis->cmd(ACL => SETUSER => 'default', 'resetchannels',
                '&__redis__:invalidate');
    again('no channel', 1);
    $gw->ngx->log_like(qr/refuses a subscription to "\Q$channel\E" \(NOPERM/,
                       'no channel: logged', since => $mark);
    approved('/held/unsubscribed', 'no channel', $read);

    $redis->cmd(ACL => SETUSER => 'default', 'allchannels');
    again('with the channel', 2);
    approved('/held/subscribed', 'with the channel', 'vote consume');
}


# Not told of keys that change, nor allowed to read them

sub not_tracked {
    my $mark = $gw->ngx->mark;

    $redis->cmd(ACL => SETUSER => 'default', '-client|tracking');
    again('no tracking', 2);
    $gw->ngx->log_like(qr/refuses client tracking/, 'no tracking: logged',
                       since => $mark);

    my ($client, $id) = $gw->hold(GET => '/held/untracked');

    $redis->cmd(ACL => SETUSER => 'default', '-mget');
    is($gw->vote($id, 'approve')->status, 200, 'no tracking: approved');
    is($client->read->status, 200, 'no tracking: executed');
    $redis->cmd(ACL => SETUSER => 'default', '+@all');

    ($client, $id) = $gw->hold(GET => '/held/untracked/2');
    $gw->vote($id, 'deny');
    is($client->read->status, 403, 'no tracking: denied');

    again('with tracking', 2);
}


# Both links are made anew, as the user may now; each subscribes to $n channels.

sub again {
    my ($name, $n) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $links = sub {
        my $list = $redis->cmd(CLIENT => LIST => TYPE => 'pubsub');

        return $list =~ /^id=(\d+) .* sub=$n /mg;
    };

    my %before = map { $_ => 1 } $links->();

    $redis->cmd(CLIENT => KILL => TYPE => 'pubsub', SKIPME => 'yes');
    ok(wait_for(sub { 2 == grep { !$before{$_} } $links->() }),
       "$name: connected again");
    select undef, undef, undef, 0.3 * slow();
    asked();
}


# What is no decision, whatever it says

sub forged {
    my ($client, $id) = held('/held/forged');
    my ($other, $id2) = held('/held/forged/other');

    is($gw->vote($id2, 'approve')->status, 200, 'another action is approved');
    is($other->read->status, 200, 'and executed');

    my $decision = $redis->cmd(GET => $gw->key($id2, ':decision'));
    my ($head, $body, $signature) = split /\./, $decision;
    my $faults = () = $gw->audit('fault');

    for ([ 'junk', 'junk' ], [ 'nothing', '' ], [ 'long', 'x' x 100_000 ],
         [ 'bare', 'approve' ], [ "another action's", $decision ],
         [ 'an unsigned one', "$head.$body." ],
         [ 'one of another signature', "$head.$body." . 'A' x 86 ])
    {
        my ($name, $text) = @$_;

        publish($id, $text);
        ok($client->quiet(0.2), "$name: held on");
    }

    $redis->cmd(PUBLISH => $channel, $_)
        for '', 'x', $id, "$id ", 'f' x 32 . ' junk', "\0" x 40, 'y' x 33;
    $redis->cmd(PUBLISH => '__redis__:invalidate', 'text');
    ok($client->quiet(0.2), 'what has no form: held on');

    ok($gw->wait_audit('fault', $faults + 5), 'they are on record');
    is((grep { $_->{why} !~ /^published decision ignored: / }
        ($gw->audit('fault'))[ $faults .. $faults + 4 ]) + 0, 0,
       'as what they are');
    $gw->ngx->log_like(
        qr/\[warn\].*published decision of action $id ignored: /,
        'and logged');
    is($gw->state($id), 'pending', 'nothing was decided');

    is($gw->vote($id, 'approve')->status, 200, 'people decide');
    is($client->read->status, 200, 'and that counts');
    is($gw->hits('/held/forged'), 1, 'once');
}


# However many: some are on record, the rest is counted; the vote comes through

sub flood {
    my ($client, $id) = held('/held/flood');
    my $faults = () = $gw->audit('fault');
    my $mark = $gw->ngx->mark;
    my $mallory = $redis->client;

    for my $n (1 .. 20) {
        $mallory->send(PUBLISH => $channel, "$id junk") for 1 .. 100;
        $mallory->read for 1 .. 100;
        select undef, undef, undef, 0.02;
    }

    $mallory->send(PUBLISH => $channel, "$id junk") for 1 .. 1000;
    is($gw->vote($id, 'approve')->status, 200, 'a flood: a vote is taken');
    is($client->read->status, 200, 'a flood: and counts');

    my $more = () = $gw->audit('fault');

    cmp_ok($more - $faults, '<=', 20, 'a flood: few of it are on record');
    cmp_ok(scalar($gw->ngx->log_lines(qr/published decision/,
                                      since => $mark)),
           '<=', 20, 'a flood: few of it are logged');
    asked();
}


# A decision that is signed, and of this action, but does not stand in the key:
# put back to pending, it is as before the vote; but a denial is remembered.

sub signed {
    for my $decision ('approve', 'deny') {
        my $target = "/held/signed/$decision";
        my $id = $gw->send(GET => $target,
                           headers => [ Prefer => 'respond-async' ])->read
                    ->header('Approval-Id');
        my $key = $gw->key($id);
        my @before = @{ $redis->cmd(HGETALL => $key) };

        is($gw->vote($id, $decision)->status, 200, "$decision: a ticket");

        my $signed = $redis->cmd(GET => "$key:decision");

        $redis->cmd(DEL => "$key:decision", "$key:votes");
        $redis->cmd(HSET => $key, @before);
        $redis->cmd(HDEL => $key, 'd');

        my $client = $gw->send(GET => $target);

        if ($decision eq 'deny') {
            is($client->read->status, 403, 'deny: put back, and remembered');
            next;
        }

        ok($client->quiet(0.5), "$decision: held, as if it was not there");

        for (1 .. 3) {
            publish($id, $signed);
            ok($client->quiet(0.2), "$decision: published only: held on");
        }

        is($gw->state($id), 'pending', "$decision: nothing was decided");
        is($gw->hits($target), 0, "$decision: nothing was executed");

        $gw->set($id, $signed);
        is($client->read->status, 200, "$decision: in the key it counts");
    }
}


sub duplicates {
    my ($client, $id) = held('/held/twice');
    my $listener = $redis->client;

    $listener->cmd(SUBSCRIBE => $channel);
    is($gw->vote($id, 'approve')->status, 200, 'approved');

    my $message = $listener->read->[2];

    like($message, qr/^$id [\w-]+\.[\w-]+\.[\w-]+$/, 'what is published');
    is($client->read->status, 200, 'executed');

    $redis->cmd(PUBLISH => $channel, $message) for 1 .. 3;

    # the same request again is another action, which that does not approve

    my ($again, $id2) = held('/held/twice');

    isnt($id2, $id, 'another action');
    $redis->cmd(PUBLISH => $channel, $message) for 1 .. 3;
    publish($id2, $message =~ s/^\S+ //r);
    ok($again->quiet(0.3), 'is held on');
    is($gw->hits('/held/twice'), 1, 'executed once');
    $gw->vote($id2, 'deny');
    is($again->read->status, 403, 'denied');
}


# Where a bare decision counts, it does in the key only.

sub bare {
    my ($client, $id) = held('/held/bot/1');

    publish($id, 'approve');
    ok($client->quiet(0.3), 'a bare one, published: held on');
    $gw->set($id, 'approve');
    is($client->read->status, 200, 'in the key: executed');
}


# A call is given up by its own key, and not by a message.

sub calls {
    my $call = encode_json({ jsonrpc => '2.0', id => 7, method => 'tools/call',
                             params => { name => 'db.drop',
                                         arguments => { t => 1 } } });
    my ($client, $id) = $gw->hold(POST => '/mcp', body => $call,
        headers => [ 'Mcp-Session-Id' => 's',
                     'Content-Type' => 'application/json' ]);
    my ($hash) = grep { $redis->cmd(HGET => "approval:{00}:$_", 'a') }
                 grep { $_ ne $id }
                 map { /^approval:\{00\}:([0-9a-f]{32})$/ }
                 $redis->keys('approval:{00}:*');

    ok($hash, 'a call by which it can be given up');
    publish($hash, 'x');
    ok($client->quiet(0.3), 'published: held on');
    $redis->cmd(SET => $gw->key($hash, ':decision'), 'x', PX => 60000);
    is($client->read->json->{id}, 7, 'in the key: given up');
}


sub shards {
    my $many = Approval::Gateway->new(redis => 'timeout=10s shards=16',
        http => 'approval_policy p { rule r { require admins; } }',
        server => 'approval p; location / { proxy_pass %%UP%%; }');

    ok(wait_for(sub {
        16 == @{ $many->redis->cmd(PUBSUB => CHANNELS => 'approval:{*') }
    }), 'a channel a shard');

    # nothing but the push tells: keys cannot be read

    $many->redis->cmd(ACL => SETUSER => 'default', '-mget');

    for my $agent (map { "agent-$_" } 1 .. 6) {
        my ($client, $id) = $many->hold(GET => '/x', agent => $agent);

        is($many->vote($id, 'approve')->status, 200, "$agent: approved");
        is($client->read->status, 200,
           "$agent: executed, in shard " . substr($id, 0, 2));
    }

    $many->clean('shards');
}
