#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Keys and shards.  The gateway runs on a Redis Cluster of one node, which
# refuses a script whose keys are in several slots, with four shards; MONITOR
# says what each script touches, and that is compared with its KEYS.  All
# scripts have to be seen.

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::SHA qw(sha256 sha1_hex);

use Approval::Chat;
use Approval::Gateway;
use Approval::Scripts;
use Approval::Test;

need_module();

my ($version) = qx(redis-server --version) =~ /v=(\d+)/;

plan(skip_all => 'Redis 7 tells of cross-slot scripts') if $version < 7;

my $SHARDS = 4;
my $secret = '8f742231b10e8888abcd99yyyzzz85a5';
my $slack = Approval::Chat->new('slack', code => undef);
my $chat = $slack->url;

my $gw = Approval::Gateway->new(workers => 2,
    redis => "timeout=10s shards=$SHARDS", server_is => { cluster => 1 },
    up => sub { $_[0]->target =~ /slow/ ? { status => 200, delay => 18 }
                                        : { status => 200, body => 'ok' } },
    http => <<"END", server => <<'END');
    approval_operators admins;
    approval_channel chat { type slack; url $chat/hook; signing_secret $secret;
                            backoff 50ms 100ms; }
    approval_channel far { type json; url %%HOOK%%/far; retries 3;
                           backoff 50ms 100ms; }
    approval_alias alice T01:U0ALICE;
    approval_alias agent-0 robot;
    approval_passkey_origin http://localhost:%%PORT%%;
    approval_policy p {
        rule grant { match \$uri ^/grant; require admins; timeout 60s;
                     remember 60s per \$uri uses=99; }
        rule short { match \$uri ^/short; require admins; timeout 2s; }
        rule two   { match \$uri ^/two; require 2 of admins; timeout 60s; }
        rule chat  { match \$uri ^/chat; require admins; timeout 60s;
                     notify chat; }
        rule far   { match \$uri ^/far; require admins; timeout 60s;
                     notify far; remind 30s; }
        rule dry   { match \$uri ^/dry; require admins; mode shadow; }
        rule mcp   { mcp_tool db.drop; require admins; timeout 60s; }
        rule other { match \$uri ^/other; require operators; timeout 60s; }
        rule all   { match \$request_method DELETE; require admins;
                     timeout 60s; }
    }
    approval_group operators carol;
END
    approval p;
    location / { proxy_pass %%UP%%; proxy_read_timeout 60s; }
    location /gone/ { approval_disconnect cancel; proxy_pass %%UP%%; }
    location /cap/ { approval_max_pending 2 per=$arg_team;
                     proxy_pass %%UP%%; }
    location /ask/ { approval_max_pending 9 per=$arg_team;
                     approval_max_prompts 2/1h per=$arg_team;
                     proxy_pass %%UP%%; }
END

$gw->ngx->log_like(qr/\[error\] .* is a node of a Redis Cluster, which is not sup/,
                   'the start says that it is a cluster');

my $redis = $gw->redis;
my $scripts = Approval::Scripts->new;
my %name = map { sha1_hex($scripts->text($_)) => $_ } $scripts->names;

my $monitor = $redis->client(timeout => 120);

$monitor->cmd('MONITOR');

my @agents = map { "agent-$_" } 0 .. 11;

slow_begins();
shards();
aliases();
joins();
caps();
grants();
frozen();
frozen_in_part();
lists();
calls();
messages();
ends();
shadows();
passkeys();
decisions();
slow_ends();
named();

$gw->clean('keys');

done_testing();


# the shard by a hash that has no key

sub shard {
    return sprintf('%02x', unpack('N', sha256($_[0])) % $SHARDS);
}

sub ticket {
    my ($agent, $target, %how) = @_;

    my $r = $gw->send(DELETE => $target, agent => $agent, %how,
                      headers => [ Prefer => 'respond-async' ])->read;

    return $r->status == 202 ? $r->json->{id} : undef;
}

sub finished {
    my ($client, $id, $what) = @_;

    is($gw->vote($id, 'approve')->status, 200, "$what: a vote is taken");
    is($client->read->status, 200, "$what: executed");
    ok(wait_for(sub { $gw->state($id) eq 'executed' }), "$what: on record");
}

sub as {
    my ($who, $path, $method, %how) = @_;

    return Approval::Client->new($gw->port)->request($method // 'GET',
        "/_approval$path", %how, headers => [ 'X-User' => $who,
                                              Accept => 'application/json' ]);
}

sub post {
    my ($path, $json) = @_;

    return as(alice => $path, 'POST', json => $json);
}


my @slow;

# longer than a lease is renewed in

sub slow_begins {
    my ($client, $id) = $gw->hold(DELETE => '/slow');

    is($gw->vote($id, 'approve')->status, 200, 'slow: approved');
    @slow = ($client, $id);
}

sub slow_ends {
    is($slow[0]->read(60)->status, 200, 'slow: executed');
}


sub shards {
    my %seen;

    for my $agent (@agents) {
        my ($client, $id) = $gw->hold(DELETE => '/x', agent => $agent);
        my $shard = substr($id, 0, 2);

        is($shard, shard($agent), "$agent: its shard");
        $seen{$shard}++;
        ok(defined $redis->cmd(ZSCORE => "approval:{$shard}:pending", $id),
           "$agent: pending there");
        finished($client, $id, $agent);
        like(as(alice => "/actions/$id")->json->{state}, qr/executed/,
             "$agent: found by its id");
    }

    is(scalar(keys %seen), $SHARDS, 'all shards are used');
}


sub aliases {
    my ($one, $id) = $gw->hold(DELETE => '/alias', agent => 'agent-0');
    my $two = $gw->send(DELETE => '/alias', agent => 'robot');

    ok(wait_for(sub { $gw->audit('joined') }), 'all names are in one shard');
    is($gw->vote($id, 'approve')->status, 200, 'alias: approved');

    my @status = sort map { $_->read->status } $one, $two;
    is($status[0], 200, 'alias: executed');
    is($gw->hits('/alias'), 1, 'alias: once');
}


# what stands under the join hash is asked for with its keys, and may change

sub joins {
    my ($one, $id) = $gw->hold(DELETE => '/join');

    # as if its worker had been killed before it recorded the request

    $redis->cmd(HSET => 'approval:{' . substr($id, 0, 2) . "}:$id", u => 0);

    is(ticket('agent-7', '/join'), $id, 'joined');
    is($gw->vote($id, 'deny')->status, 200, 'join: denied');
    is($one->read->status, 403, 'join: and refused');

    my ($again, $new) = $gw->hold(DELETE => '/join');
    isnt($new, $id, 'join: what ended is not joined');
    finished($again, $new, 'join');

    my $ticket = ticket('agent-7', '/back');
    $gw->vote($ticket, 'approve');
    is($gw->send(DELETE => '/back', headers => [ 'Approval-Id' => $ticket ])
          ->read->status, 200, 'a ticket is taken up');
    isnt($gw->send(DELETE => '/back', headers => [ 'Approval-Id' => $ticket ])
            ->read->status, 200, 'once');

    my ($other) = grep { shard($_) ne shard('agent-7') } @agents;
    is($gw->send(DELETE => '/back', agent => $other,
                 headers => [ 'Approval-Id' => $ticket,
                              Prefer => 'respond-async' ])->read->status, 202,
       'another shard\'s is another requester\'s');
}


# by a value of its own: its requesters are in several shards

sub caps {
    my @ids = map { ticket($_, '/cap/x?team=red') } @agents;
    my @got = grep { defined } @ids;

    is(scalar(@got), 2, 'two of a team may wait, of all shards');
    is(ticket($agents[$_], '/cap/x?team=red'), $ids[$_],
       'who joins is not counted, nor refused')
        for grep { defined $ids[$_] } 0 .. $#agents;

    my @keys = grep { /:per:/ } $redis->keys;
    is(scalar(@keys), 1, 'they are counted in one place');
    my ($shard, $in) = $keys[0] =~ /^approval:\{(..)\}:per:(..)/;
    is("$shard $in", shard('red') . ' ' . shard('red'), 'in its own shard');

    while (my $id = shift @got) {
        is($gw->vote($id, 'deny')->status, 200, 'cap: denied');
        ok(wait_for(sub { $redis->cmd(ZCARD => $keys[0]) == @got }),
           'cap: there is room');
    }

    for my $agent (@agents[0 .. 3]) {
        my ($client, $id) = $gw->hold(DELETE => '/cap/y?team=red',
                                      agent => $agent);
        finished($client, $id, "cap: $agent");
    }

    ok(wait_for(sub { !$redis->cmd(ZCARD => $keys[0]) }),
       'none is counted in the end');

    @ids = map { ticket($_, '/ask/x?team=blue') } @agents;
    @got = grep { defined } @ids;
    is(scalar(@got), 2, 'two of a team may ask, of all shards');
    @keys = grep { /:prompts:/ } $redis->keys;
    is(scalar(@keys), 1, 'they are counted in one place');
    ($shard, $in) = $keys[0] =~ /^approval:\{(..)\}:prompts:(..)/;
    is("$shard $in", shard('blue') . ' ' . shard('blue'), 'in its own shard');
    is($redis->cmd(ZCARD => $keys[0]), 2, 'as often as they were asked');

    for my $n (grep { defined $ids[$_] } 0 .. $#agents) {
        is(ticket($agents[$n], '/ask/x?team=blue'), $ids[$n],
           'who joins is not counted, nor refused');
        is($gw->vote($ids[$n], 'deny')->status, 200, 'ask: denied');
    }

    is($redis->cmd(ZCARD => $keys[0]), 2, 'an end is given back to nobody');
    my ($pending) = grep { /:per:/ } $redis->keys;
    ok(wait_for(sub { !$pending || !$redis->cmd(ZCARD => $pending) }),
       'none is counted as pending');
}


sub grants {
    my @ids;

    for my $agent (@agents[0 .. 5]) {
        my ($client, $id) = $gw->hold(GET => "/grant/$agent",
                                      agent => $agent);
        finished($client, $id, "grant: $agent");
        is($gw->send(GET => "/grant/$agent", agent => $agent)->read->status,
           200, "grant: $agent, used");
        push @ids, $id;
    }

    my @grants = @{ as(alice => '/grants')->json->{grants} };
    is_deeply([ map { $_->{action_id} } @grants ], \@ids,
              'grants of all shards, the next to end first');

    for my $grant (@grants) {
        is(as(alice => "/grants/$grant->{id}", 'DELETE')->status,
           200, 'grant: revoked');
    }

    is_deeply(as(alice => '/grants')->json->{grants}, [], 'none is left');
}


sub frozen {
    my %held = map { $_ => [ $gw->hold(DELETE => '/frozen', agent => $_) ] }
               @agents[0 .. 5];

    my $r = post('/freeze', { policy => 'p' });
    is($r->status, 200, 'a policy is frozen');
    is($r->json->{cancelled}, 6 + 1, 'what waits ends, in all shards')
        or diag($r->raw);
    is($held{$_}[0]->read->status, 403, "frozen: $_ ends") for keys %held;
    is($gw->send(DELETE => '/frozen', agent => $_)->read->status, 403,
       "frozen: $_ may not ask") for keys %held;

    is(scalar(grep { /:frozen$/ } $redis->keys), $SHARDS, 'in every shard');

    my @frozen = @{ as(alice => '/freeze')->json->{frozen} };
    is(scalar(@frozen), 1, 'it is listed once');
    is(as(alice => '/freeze?policy=p', 'DELETE')->status, 200,
       'and ends');
    is(scalar(grep { $redis->cmd(HGETALL => $_)->[1] =~ /^\d+ -/ }
                   grep { /:frozen$/ } $redis->keys),
       $SHARDS, 'in every shard');

    post('/freeze', { requester => 'agent-3' });
    is(scalar(grep { /:frozen$/ } $redis->keys), $SHARDS,
       'a requester, too, is frozen in every shard');
    as(alice => '/freeze?requester=agent-3', 'DELETE');
}


# a shard that answers with an error

sub frozen_in_part {
    $redis->cmd(ACL => 'SETUSER', 'default', 'resetkeys',
                '~approval:[^{]*', '~approval:{0[^2]}:*',
                '~approval:{02}:[^f]*');

    my $r = post('/freeze', { policy => 'p' });
    is($r->status, 200, 'in part: frozen where it can be');
    is_deeply($r->json->{unanswered_shards}, [ '02' ],
              'in part: and says where it is not');
    $gw->ngx->log_like(qr/\[error\].*shards 02 of Redis/,
                       'in part: so does the log');
    is(scalar(grep { $gw->send(DELETE => '/part', agent => $_)->read->status
                     == 403 } grep { shard($_) ne '02' } @agents),
       scalar(grep { shard($_) ne '02' } @agents), 'in part: it holds there');

    # what more shards than before would be without

    $redis->cmd(ACL => 'SETUSER', 'default', 'allkeys');
    $gw->ngx->reload;
    ok(wait_for(sub { $redis->cmd(EXISTS => 'approval:{02}:frozen') }),
       'in part: a reload brings it where it is not');

    $redis->cmd(SET => 'approval:{02}:frozen', 'of another type');
    is_deeply(post('/freeze', { policy => 'p' })->json->{unanswered_shards},
              undef, 'in part: done again, everywhere');
    is(as(alice => '/freeze?policy=p', 'DELETE')->status, 200,
       'in part: ends');
    $gw->ngx->log_like(qr/\[error\].*refused "[^"]+": NOPERM/, 'as it is');
}


sub lists {
    my @ids = map { ticket($_, '/list') } @agents;
    my $page = '/actions?state=pending&limit=5';
    my @got;

    while ($page) {
        my $list = as(alice => $page)->json;

        push @got, map { $_->{id} } @{ $list->{actions} };
        $page = $list->{next} && "/actions?state=pending&limit=5&cursor="
                                 . $list->{next};
    }

    my %mine = map { $_ => 1 } @ids;
    is_deeply([ grep { $mine{$_} } @got ], [ reverse @ids ],
              'pages of all shards, newest first');

    push @ids, ticket('robot', '/listed');

    my $one = as(alice => '/actions?requester=robot')->json->{actions};
    my %who = map { $_->{requester} => 1 } @$one;
    is_deeply([ sort keys %who ], [ 'agent-0', 'robot' ],
              'those of one person, by any of the names');
    is($one->[0]{id}, $ids[-1], '... newest first');

    $gw->vote($_, 'deny') for @ids;
    %mine = map { $_ => 1 } @ids;
    is(scalar(@{ as(alice => '/actions?state=pending&rule=all')
                 ->json->{actions} }), 0, 'none of them is pending');
    is(scalar(grep { $mine{$_->{id}} }
              @{ as(alice => '/actions?state=denied&limit=200')
                 ->json->{actions} }), scalar(@ids), 'all are denied');

    my $id = ticket('agent-1', '/other');
    is_deeply([ map { $_->{id} } @{ as(carol => '/actions')->json->{actions} } ],
              [ $id ], 'an approver has those of her group');
    is(scalar(grep { $_->{id} eq $id }
              @{ as(alice => '/actions')->json->{actions} }), 0,
       'and nobody else has');
}


sub calls {
    my @call = (headers => [ 'Mcp-Session-Id' => 's', Accept =>
                             'application/json, text/event-stream' ],
                agent => 'agent-5');
    my ($client, $id) = $gw->hold(POST => '/mcp', @call, json => {
        jsonrpc => '2.0', id => 7, method => 'tools/call',
        params => { name => 'db.drop', arguments => {} } });

    is($gw->send(POST => '/mcp', @call, json => {
            jsonrpc => '2.0', method => 'notifications/cancelled',
            params => { requestId => 7 } })->read->status, 200,
       'a call is given up');
    ok($client->read->json->{result}{isError}, '... and told so');
    ok(wait_for(sub { $gw->state($id) eq 'cancelled' }), '... and ends');
}


sub messages {
    $gw->hook->script({ status => 503 }, { status => 204 });

    my ($client, $id) = $gw->hold(DELETE => '/far', agent => 'agent-2');

    ok(wait_for(sub { $gw->hook->count >= 2 }), 'a message is sent again');
    finished($client, $id, 'message');
    ok(wait_for(sub { $gw->hook->count >= 3 }), 'and the outcome told');

    ($client, $id) = $gw->hold(DELETE => '/chat', agent => 'agent-3');
    $slack->wait_count(1);

    my $pressed = Approval::Chat::press($gw->port,
        Approval::Chat::button(approve => $id, $gw->action($id)->{digest},
                               'T01:U0ALICE',
                               response_url => "$chat/respond/1"),
        secret => $secret);
    is($pressed->status, 200, 'a button is pressed');
    is($client->read->status, 200, 'and believed, once');

    # one that nobody sends: it is claimed by whoever looks

    $id = ticket('agent-4', '/far');
    my ($shard) = $id =~ /^(..)/;
    wait_for(sub { $redis->cmd(ZSCORE => "approval:{$shard}:deliver",
                               "$id:r0") });
    my $count = $gw->hook->count;
    $redis->cmd(ZADD => "approval:{$shard}:deliver", 1, "$id:r0", 2, 'junk',
                3, "$id:" . 'x' x 99);
    ok(wait_for(sub { $gw->hook->count > $count }), 'a reminder is claimed');
    ok(wait_for(sub { !grep { /junk|xxx/ }
           @{ $redis->cmd(ZRANGE => "approval:{$shard}:deliver", 0, -1) } }),
       'what a stranger put there is removed');
    $gw->vote($id, 'deny');
}


sub ends {
    my $id = ticket('agent-6', '/short');
    ok(wait_for(sub { $gw->state($id) eq 'expired' }), 'overdue: expired');

    my ($client, $left) = $gw->hold(DELETE => '/gone/x', agent => 'agent-8');
    $client->close;
    ok(wait_for(sub { $gw->state($left) eq 'cancelled' }),
       'a requester that left: cancelled');
}


sub shadows {
    is($gw->send(GET => '/dry')->read->status, 200, 'shadow: passes');
    ok(wait_for(sub { grep { /^approval:shadow:/ } $redis->keys }),
       'shadow: counted');
}


sub passkeys {
    is(as(alice => '/passkeys')->status, 200, 'passkeys are listed');
}


sub decisions {
    my ($client, $id) = $gw->hold(DELETE => '/drop', agent => 'agent-9');

    $gw->set($id, 'junk');
    ok(wait_for(sub { !$redis->cmd(EXISTS => $gw->key($id, ':decision')) }),
       'junk is removed');

    # several shards at once: one command reads in one of them

    my @many = map { [ $gw->hold(DELETE => '/many', agent => $_) ] } @agents;

    $gw->vote($_->[1], 'approve') for @many;
    is($_->[0]->read->status, 200, 'one of many') for @many;

    finished($client, $id, 'junk');
}


# MONITOR: a script, and then what it calls

sub named {
    my ($mark, %seen, @bad, %keys) = ('the end');

    $redis->cmd(ECHO => $mark);

    while (defined(my $line = $monitor->read)) {
        last if $line =~ /"ECHO" "$mark"/;

        my ($by, $rest) = $line =~ /^[\d.]+ \[\d+ (\S+?)\] (.*)$/ or next;
        my @words = map { s/\\(.)/$1/gr } $rest =~ /"((?:[^"\\]|\\.)*)"/g;

        if ($by eq 'lua') {
            my ($command, @args) = @words;

            next if $command =~ /^(?:TIME|PUBLISH)$/i;
            splice @args, 1 if $command !~ /^(?:DEL|EXISTS)$/i;
            push @bad, map { "$keys{script}: $command $_" }
                       grep { !$keys{$_} } @args;

        } elsif ($words[0] =~ /^EVAL(?:SHA)?$/i) {
            my $sha = $words[0] =~ /SHA$/i ? $words[1] : 'eval';

            %keys = map { $_ => 1 } @words[ 3 .. 2 + $words[2] ];
            $keys{script} = $name{$sha} // $sha;
            $seen{ $keys{script} }++;

            my %slot = map { (/\{(.*?)\}/ ? $1 : $_) => 1 }
                       @words[ 3 .. 2 + $words[2] ];
            push @bad, "$keys{script}: " . join(' ', sort keys %slot)
                if keys %slot != 1;

        } elsif ($words[0] =~ /^(?:MGET|EXISTS)$/i) {
            my %slot = map { (/\{(.*?)\}/ ? $1 : $_) => 1 } @words[ 1 .. $#words ];
            push @bad, "$words[0]: " . join(' ', sort keys %slot)
                if keys %slot != 1;
        }
    }

    is_deeply(\@bad, [], 'what scripts touch is in their KEYS, and in one slot');
    is_deeply([ grep { !$seen{$_} } $scripts->names ], [],
              'all scripts were seen');
    note(join ' ', map { "$_ $seen{$_}" } sort keys %seen);
}
