# Copyright (C) ngx_http_approval_module contributors
#
# conf/examples and README.md: nginx takes each configuration as it stands, but
# for the addresses and the places of files; three of them are driven.

use Approval::Test;
use Approval::Chat;
use Approval::Example;

need('redis-server', 'openssl');
need_module();

my $examples = root_dir() . '/conf/examples';
my %files = Approval::Example::files();


my @names = map { s{.*/}{}r } sort glob("$examples/*.conf");

cmp_ok(scalar @names, '>=', 7, 'there are examples');

for my $name (@names) {
    my $text = slurp("$examples/$name");

    like($text, qr/\A# Copyright .*\n#\n# [A-Z]/, "$name says what it is for");

    my ($rc, $out) = Approval::Nginx->test_conf(
        http => Approval::Example::fit($name), files => { %files });

    is($rc, 0, "nginx takes $name") or diag($out);

    # the only way to say so before nginx 1.25.1

    $out =~ s/^.*"listen \.\.\. http2" directive is deprecated.*\n//mg;

    unlike($out, qr/\[(?:warn|error|emerg)\]/, 'without a warning')
        or diag($out);
}


# the gateway knows requesters where they poll and withdraw

for my $name (grep { $_ ne 'shadow.conf' } @names) {
    my ($server) = slurp("$examples/$name")
                   =~ /^(server \{(?:(?!^\}).)*approval_api.*?^\}\n)/ms;

    like($server, qr/^\ {4}approval_requester|^\ {4}location\ \/_approval\/
                     (?:status\/)?\ \{[^}]*approval_requester/mx,
         "$name: requesters can withdraw");
}


# the whole configuration in README.md, and the files that it points to

{
    my ($rc, $out) = Approval::Nginx->test_conf(
        raw => Approval::Example::fit('README.md'), files => { %files });

    is($rc, 0, 'nginx takes the configuration of README.md') or diag($out);
    unlike($out, qr/\[lint: /, 'without a warning of ours') or diag($out);

    my $readme = slurp(root_dir() . '/README.md');
    my @links = grep { !/^https?:/ } $readme =~ /\]\(([^)#]+)[^)]*\)/g;

    is_deeply([ grep { !-e root_dir() . "/$_" } @links ], [],
              'and its links lead somewhere');
}


sub agent {
    my ($g, $key) = @_;

    return (headers => [ Authorization => "Bearer $key",
                         'X-Approval-Reason' => 'invoice 7' ]);
}


sub vote {
    my ($g, $link, $decision, $comment) = @_;

    my ($path, $token) = ($link // '') =~ m{^http://[^/]+(/[^?]+)\?t=(\S+)$};

    return http_post($g->{ngx}->port,
                     ($path // '/none') . '/decision?t=' . ($token // ''),
                     encode_json({ decision => $decision,
                                   comment => $comment // 'fine' }),
                     headers => [ 'Content-Type' => 'application/json' ]);
}


# two-person: two of one group

{
    my $g = Approval::Example->start('two-person.conf');
    my $port = $g->{ngx}->port;

    my $held = Approval::Client->new($port);
    $held->send(POST => '/users/7/roles', json => { roles => ['admin'] },
                agent($g, 'a'));

    my $id = $g->pending;
    my $links = $g->links($id, 2);

    is_deeply([ sort keys %$links ],
              [ 'bob@example.com', 'carol@example.com' ],
              'the requester, an alias of alice, is not asked');

    is(vote($g, $links->{'bob@example.com'}, 'approve')->status, 200,
       'the first of two approves');
    is(vote($g, $links->{'bob@example.com'}, 'approve')->status, 200,
       'again, which changes nothing');
    ok($held->quiet(0.3), 'one is not enough');

    my $vote = http_post($port, "/_desk/actions/$id/decision",
                         '{"decision":"approve"}',
                         headers => [ 'Content-Type' => 'application/json',
                                      Authorization =>
                                      'Basic YWxpY2U6YWxpY2U=' ]);

    is($vote->status, 403, 'nor is the requester, signed in');
    is($vote->json->{type}, 'urn:approval:self-approval', 'for that reason');

    is(vote($g, $links->{'carol@example.com'}, 'approve')->status, 200,
       'the second approves');

    my $answer = $held->read;

    is($answer->status, 200, 'the upstream answers');
    is($g->{up}->count, 1, 'once');
    is(($g->{up}->requests)[0]->header('Approval-By'),
       'bob@example.com, carol@example.com', 'and knows who approved');

    # one of each of two groups

    is(http_post($port, '/payouts', '{"amount":9999.99,"to":"x"}',
                 agent($g, 7))->status, 200, 'a small payout passes');

    $held = Approval::Client->new($port);
    $held->send(POST => '/payouts', json => { to => 'x', amount => 10000 },
                agent($g, 7));

    ok(wait_for(sub { $id ne $g->pending }), 'a large one waits');

    $id = $g->pending;
    $links = $g->links($id, 4);

    is(scalar keys %$links, 4, 'four are asked');

    vote($g, $links->{'alice@example.com'}, 'approve');
    is(vote($g, $links->{'bob@example.com'}, 'approve')->status, 200,
       'two operators approve');
    ok($held->quiet(0.3), 'that is not enough');

    vote($g, $links->{'dave@example.com'}, 'approve');
    is($held->read->status, 200, 'with security it is');

    # amounts that are none

    for my $body ('{"to":"x"}', '{"amount":null}', '{"amount":"10000"}') {
        my $client = Approval::Client->new($port);
        $client->send(POST => '/payouts', body => $body, agent($g, 7));
        ok($client->quiet(0.3), "$body waits");
        $client->close;
    }

    is(http_post($port, '/payouts', '{"amount":1', agent($g, 7))->status, 400,
       'a body that is no JSON is refused');
    is($g->{up}->count, 3, 'three were executed in all');
}


# shadow: nothing waits, and the trail has it

{
    my $g = Approval::Example->start('shadow.conf');
    my $port = $g->{ngx}->port;

    is(Approval::Client->new($port)->request(DELETE => '/v1/orders/7',
                                             agent($g, 7))->status,
       200, 'a request that would be held passes');
    is(http_get($port, '/v0/orders', agent($g, 7))->status, 200,
       'one that would be denied, too');
    is(http_get($port, '/v1/orders', agent($g, 7))->status, 200,
       'and one that is of no concern');

    my @shadow = grep { ($_->{mode} // '') eq 'shadow' } $g->records;

    is_deeply([ map { [ @$_{qw(type rule requester)} ] } @shadow ],
              [ [ 'requested', 'delete', 'agent-7' ],
                [ 'refused', 'legacy', 'agent-7' ] ], 'both are on record');
    is($g->{up}->count, 3, 'all were forwarded');
    is($g->{redis}->cmd(EXISTS => 'approval:{00}:pending'), 0, 'nothing is pending');

    my ($command) = slurp("$examples/shadow.conf") =~ m{
        ^\#\ +(grep\ '"mode":"shadow"'.*?sort\ -rn)$}smx;

    $command =~ s/^# *//mg;
    $command =~ s{/var/log/nginx/}{$g->{ngx}->path('')}ge;

    my $report = `$command`;

    like($report, qr/^\s*1\s+"requester":"agent-7"\s+"rule":"delete"$/m,
         'the command in its comment counts them') or diag($command, $report);
}


# mcp-gateway: what its comments say

{
    my $g = Approval::Example->start('mcp-gateway.conf');
    my $port = $g->{ngx}->port;

    my $call = sub {
        my ($tool, $arguments) = @_;

        my $client = Approval::Client->new($port);
        $client->send(POST => '/mcp', agent($g, 7), json => {
            jsonrpc => '2.0', id => 1, method => 'tools/call',
            params => { name => $tool, arguments => $arguments } });

        return $client;
    };

    is(http_get($port, '/mcp')->status, 200, 'the event stream opens');
    is(http_post($port, '/mcp',
                 '{"jsonrpc":"2.0","id":1,"method":"initialize"}')->status,
       200, 'initialize passes');
    is($call->('get_order', { id => 7 })->read->status, 200, 'reading passes');
    is($call->('create_refund', { amount => 99.5 })->read->status, 200,
       'a small refund passes');

    my $count = $g->{up}->count;

    for my $amount (100, -5, 0, undef, "100", "many") {
        my $client = $call->('create_refund', { amount => $amount });
        ok($client->quiet(0.3), 'waits: ' . ($amount // 'null'));
        $client->close;
    }

    my $denied = $call->('run_command', { line => 'id' })->read;

    unlike($denied->body, qr/^ok$/m, 'no command is run');
    like($denied->body, qr/agents run no commands here/, 'and it says why');

    my $client = $call->('drop_everything', { api_key => 'canary-1' });
    ok($client->quiet(0.3), 'an unknown tool waits');

    my $messages = wait_for(sub {
        my @all = grep { /drop_everything/ }
                  map { $_->body } $g->{hook}->messages;
        return @all && \@all;
    }) // [];

    like("@$messages", qr/drop_everything/, 'its name is shown');
    unlike("@$messages", qr/canary-1/, 'the key in its arguments is not');

    $client->close;

    is($g->{up}->count, $count, 'nothing of it was forwarded');

    ok(wait_for(sub {
        !@{ $g->{redis}->cmd(ZRANGE => 'approval:{00}:pending', 0, -1) }
    }), 'who hangs up has withdrawn');
}


# slack and teams: the message, the click, the page

sub basic { (Authorization => 'Basic Ym9iQGV4YW1wbGUuY29tOmJvYg==') }

{
    my $slack = Approval::Chat->new('slack');
    my $g = Approval::Example->start('slack.conf', hook => $slack);
    my ($held, $id) = $g->hold(DELETE => '/v1/orders/7', '7');

    ok($slack->wait_count(1), 'Slack is told');
    is(join('', $slack->faults), '', 'what it takes');
    is($slack->last->target, '/services/T01ABCDEF/B0/x', 'by the hook of the file');

    my ($buttons) = grep { $_->{type} eq 'actions' }
                    @{ $slack->last->json->{blocks} };
    my ($approve) = grep { $_->{action_id} eq 'approval_approve' }
                    @{ $buttons->{elements} };
    my $press = sub {
        my ($who) = @_;

        return Approval::Chat::press($g->port,
            Approval::Chat::button(approve => split(/ /, $approve->{value}),
                $who, response_url => $slack->url . '/respond'),
            secret => '8f742231b10e8888abcd99yyyzzz85a5');
    };

    is($press->('T01ABCDEF:U03CAROL')->status, 200, 'carol clicks');
    ok($slack->wait_count(2), 'and hears');
    like($slack->last->json->{text}, qr/^Not an approver/,
         'that she is not on call');
    is($press->('T01ABCDEF:U01ALICE')->status, 200, 'alice clicks');
    is($held->read->status, 200, 'and it is executed');
    ok(wait_for(sub { grep { $_->target eq '/respond'
                             && $_->body =~ /Approved: api.delete/ }
                      $slack->messages }), 'the message is updated');

    ($held, $id) = $g->hold(POST => '/v1/purge', '7');

    ok(wait_for(sub { grep { $_->target eq '/services/T01ABCDEF/B1/y' }
                      $slack->messages }), 'leads have a channel of their own');
    is(http_get($g->port, "/_approval/actions/$id")->status, 401,
       'pages are for those who sign in');
    is(http_post($g->port, "/_approval/actions/$id/decision",
                 '{"decision":"deny"}', headers => [ basic(),
                     'Content-Type' => 'application/json' ])->status, 200,
       'as bob does');
    is($held->read->status, 403, 'denied');
    ok(wait_for(sub { 2 == grep { $_->body =~ /Denied: api.purge/ }
                              $slack->messages }), 'both channels hear of it');
    is(join('', map { Approval::Chat::slack_fault($_->body) }
                grep { $_->target ne '/respond' } $slack->messages), '',
       'Slack took all messages');
}

{
    my $teams = Approval::Chat->new('teams');
    my $g = Approval::Example->start('teams.conf', hook => $teams);
    my ($held, $id) = $g->hold(DELETE => '/v1/orders/7', '7');

    ok($teams->wait_count(1), 'Teams is told');

    my ($link) = $teams->last->json->{attachments}[0]{content}{actions}[0]{url}
                 =~ m{^http://127\.0\.0\.1:\d+(/_approval/actions/$id)$};
    my $page = http_get($g->port, $link, headers => [ basic(),
                                                      Accept => 'text/html' ]);

    like($page->body, qr/DELETE \/v1\/orders\/7/, 'the link leads to the page');

    my ($nonce) = $page->body =~ /name="nonce" value="([^"]+)"/;

    is(http_post($g->port, "$link/decision", "nonce=$nonce&decision=approve",
                 headers => [ basic(), 'Content-Type' =>
                              'application/x-www-form-urlencoded' ])->status,
       200, 'where bob approves');
    is($held->read->status, 200, 'and it is executed');
    ok(wait_for(sub { grep { $_->body =~ /Executed/ } $teams->messages }),
       'of which Teams hears');
    is(join('', $teams->faults), '', 'and takes all messages');
}

done_testing();
