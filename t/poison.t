#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Keys of another type, or of absurd size, that somebody has put into Redis:
# each spoils itself, and neither the inbox nor the emergency stop.

use lib 't/lib';
use Approval::Test;
use Approval::Gateway;

need('redis-server');
need_module();

my $huge = 'x' x (80 * 1024 * 1024);


sub gateway {
    return Approval::Gateway->new(workers => 1, http => <<'END',
    approval_group ops olga;
    approval_operators ops;
    approval_policy p { rule r { match $uri ^/r; require admins;
                                 timeout 60s; } }
END
        server => 'approval p; location / { proxy_pass %%UP%%; }');
}


sub api {
    my ($gw, $method, $path, $json) = @_;

    return Approval::Client->new($gw->port)->request($method,
        "/_approval$path", ($json ? (json => $json) : ()),
        headers => [ 'X-User' => $method eq 'GET' ? 'alice' : 'olga',
                     Accept => 'application/json' ]);
}


sub listed {
    my ($gw, $query) = @_;

    return map { $_->{id} }
           @{ api($gw, GET => '/actions' . ($query // ''))->json->{actions} };
}


sub key {
    my ($id, $suffix) = @_;

    return 'approval:{' . substr($id, 0, 2) . "}:$id" . ($suffix // '');
}


sub spoil {
    my ($gw, $name) = @_;

    $gw->redis->cmd(DEL => "approval:{00}:$name");
    $gw->redis->cmd(SET => "approval:{00}:$name", 'x', 'PX', 60000);
}


my %poison = (
    'another type: the action' => sub {
        my ($redis, $id) = @_;
        $redis->cmd(DEL => key($id));
        $redis->cmd(SET => key($id), 'x', 'PX', 60000);
    },
    'another type: the votes' => sub {
        my ($redis, $id) = @_;
        $redis->cmd(SET => key($id, ':votes'), 'x', 'PX', 60000);
    },
    'another type: the decision' => sub {
        my ($redis, $id) = @_;
        $redis->cmd(HSET => key($id, ':decision'), x => 'y');
        $redis->cmd(PEXPIRE => key($id, ':decision'), 60000);
    },
    'absurd: the decision' => sub {
        my ($redis, $id) = @_;
        $redis->cmd(SET => key($id, ':decision'), $huge, 'PX', 60000);
    },
    'absurd: the document' => sub {
        my ($redis, $id) = @_;
        $redis->cmd(HSET => key($id), b => $huge);
    },
    'absurd: the outcome' => sub {
        my ($redis, $id) = @_;
        $redis->cmd(HSET => key($id), o => $huge);
    },
    'absurd: a vote' => sub {
        my ($redis, $id) = @_;
        $redis->cmd(RPUSH => key($id, ':votes'), $huge);
    },
    'absurd: many votes' => sub {
        my ($redis, $id) = @_;
        $redis->cmd(RPUSH => key($id, ':votes'), ('x' x 1000) x 1000)
            for 1 .. 100;
    },
);


for my $name (sort keys %poison) {
    subtest $name => sub {
        my $gw = gateway();
        my @held = map { [ $gw->hold(GET => "/r/$_") ] } 1 .. 3;
        my ($first, $bad, $last) = map { $_->[1] } @held;

        is(join(' ', sort(listed($gw))), join(' ', sort($first, $bad, $last)),
           'all are listed before');
        $poison{$name}->($gw->redis, $bad);

        for my $query ('', '?state=pending') {
            my %seen = map { $_ => 1 } listed($gw, $query);

            ok($seen{$first} && $seen{$last}, "the rest is listed $query");
        }

        my $page = http_get($gw->port, '/_approval/', headers => [
            'X-User' => 'alice', Accept => 'text/html' ]);

        is($page->status, 200, 'and on the page');
        like($page->body, qr/actions\/$first/, 'as ever');
        is($gw->vote($first, 'approve')->status, 200, 'one is decided');
        is($held[0][0]->read->status, 200, 'and executed');

        my $r = api($gw, POST => '/freeze', { policy => 'p' });

        is($r->status, 200, 'all is stopped') or diag $r->raw;
        cmp_ok($r->json->{cancelled}, '>=', 1, 'what is held, too');
        is($held[2][0]->read->json->{type}, 'urn:approval:frozen',
           'is let go at once');
        is($gw->send(GET => '/r/new')->read->json->{type},
           'urn:approval:frozen', 'and nothing new is asked for');
        is($gw->hits('/r/2') + $gw->hits('/r/3'), 0, 'nothing is executed');
        is($gw->redis->client->cmd('PING'), 'PONG', 'Redis is well');

        my @lost = $gw->ngx->log_lines(qr/a reply is too large/);
        is(scalar @lost, 0, 'no reply was too large');
    };
}


# the keys that all share

for my $row ([ pending => 1 ], [ frozen => 1 ], [ index => 0 ],
             [ classes => 0 ])
{
    my ($name, $listed) = @$row;

    subtest "another type: $name" => sub {
        my $gw = gateway();
        my ($client, $id) = $gw->hold(GET => '/r/1');

        spoil($gw, $name);

        is(join(' ', listed($gw, '?state=pending')), $id, 'it is listed')
            if $listed;

        my $r = api($gw, POST => '/freeze', { policy => 'p' });

        is($r->status, 200, 'all is stopped') or diag $r->raw;
        is($r->json->{cancelled}, 1, 'what is held, too');
        is($client->read->json->{type}, 'urn:approval:frozen', 'at once');
        isnt($gw->send(GET => '/r/2')->read->status, 200,
             'nothing new passes');
        is($gw->hits('/r/1') + $gw->hits('/r/2'), 0, 'nothing is executed');
    };
}


# the requester's list: what cannot be counted is not half created

subtest 'another type: by' => sub {
    my $gw = gateway();
    my ($client, $id) = $gw->hold(GET => '/r/1');
    my ($by) = map { s/.*\}://r } @{ $gw->redis->cmd(KEYS => '*:by:*') };

    spoil($gw, $by);

    is($gw->send(GET => '/r/2')->read->status, 503, 'another one is refused');
    is(join(' ', listed($gw, '?state=pending')), $id, 'and not pending');
    is($gw->vote($id, 'approve')->status, 200, 'the first one is decided');
    is($client->read->status, 200, 'and executed');
};


# more than one part, and what comes after the list was spoiled

subtest 'many, and a spoiled index' => sub {
    my $gw = gateway();
    my @held = map { $gw->send(GET => "/r/$_") } 1 .. 150;

    ok(wait_for(sub { (my @open = $gw->pending) == 150 }), 'they are held');
    spoil($gw, 'index');
    spoil($gw, 'classes');

    my ($new, $id) = $gw->hold(GET => '/r/new');

    ok($id, 'another one is held');
    is($gw->vote($id, 'approve')->status, 200, 'and decided');
    is($new->read->status, 200, 'and executed');

    my $r = api($gw, POST => '/freeze', { policy => 'p' });

    is($r->status, 200, 'all is stopped') or diag $r->raw;
    is($r->json->{cancelled}, 150, 'every one');
    is(scalar(grep { $_->read->json->{type} eq 'urn:approval:frozen' } @held),
       150, 'and let go');
};


# what is no action takes no action's place in a list

for my $spoiled ('', 'pending') {
    subtest 'foreign members' . ($spoiled && ', without pending') => sub {
        my $gw = gateway();
        my ($client, $id) = $gw->hold(GET => '/r/1');
        my ($member) = grep { substr($_, -30) eq substr($id, 2) }
                       @{ $gw->redis->cmd(ZRANGE => 'approval:{00}:index',
                                          0, -1) };

        for my $n (100 .. 399) {
            $gw->redis->cmd(ZADD => 'approval:{00}:pending', 9999999999999,
                            "junk$n", 9999999999998, 'z' x 29 . $n);
            $gw->redis->cmd(ZADD => 'approval:{00}:index', 0,
                            substr($member, 0, 9) . "9999$n");
        }

        $gw->redis->cmd(HSET => 'approval:{00}:classes',
                        map { ("junk$_", '', sprintf('%032x', $_), '') }
                            1 .. 300);

        spoil($gw, $spoiled) if $spoiled;

        is(join(' ', listed($gw, '?state=pending')), $id, 'it is listed');

        my $r = api($gw, POST => '/freeze', { policy => 'p' });

        is($r->status, 200, 'all is stopped') or diag $r->raw;
        is($r->json->{cancelled}, 1, 'what is held, too');
        is($client->read->json->{type}, 'urn:approval:frozen', 'at once');
    };
}


subtest 'nothing tells what is open' => sub {
    my $gw = gateway();
    my ($client) = $gw->hold(GET => '/r/1');

    spoil($gw, $_) for qw(pending classes);
    is(api($gw, POST => '/freeze', { policy => 'p' })->status, 503,
       'not all is ended, and it says so');
    is($gw->send(GET => '/r/2')->read->json->{type}, 'urn:approval:frozen',
       'nothing new is asked for');
    is($gw->hits('/r/1') + $gw->hits('/r/2'), 0, 'nothing is executed');
};

done_testing;
