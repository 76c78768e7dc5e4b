#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Channels with "url": Slack, Teams and webhooks that are told of an action,
# of its outcome, again, later, and after a worker's death; and that no message
# is refused for its size or form.

use lib 't/lib';
use Approval::Test;

use POSIX qw(strftime);
use Time::HiRes qw(time sleep);

use Approval::Chat;
use Approval::Gateway;

need_module();
need('redis-server');

my $slack = Approval::Chat->new('slack');
my $buttons = Approval::Chat->new('slack');
my $teams = Approval::Chat->new('teams');
my %compatible = map { $_ => Approval::Chat->new($_) }
                     qw(mattermost discord ntfy);
my $web = Approval::Receiver->new;
my $later = Approval::Receiver->new;
my $broken = Approval::Receiver->new;

my $secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
my $dir = tempdir();

# as docs/channels.md has them

my %address = (
    mattermost => '/hooks/xxx-generatedkey-xxx',
    discord => '/api/webhooks/223704706495545344/3d89bb7572e0fb30/slack',
    ntfy => '/approvals?tpl=1&t=%7B%7B.data.action%7D%7D&m='
            . '%7B%7B.data.state%7D%7D%20%7B%7B.data.links.action%7D%7D',
);
my $others = join "\n", map {
    "approval_channel $_ { " . ($_ eq 'ntfy' ? '' : 'type slack; ')
    . 'url "' . $compatible{$_}->url . $address{$_}
    . '"; backoff 50ms 100ms; }' } sort keys %compatible;

spew("$dir/slack.url", $slack->url . "/services/T0/B0/canary-url\n");

my $gw = Approval::Gateway->new(workers => 2, log_level => 'info',
    http => <<"END", server => <<'END');
    approval_channel slack { type slack; url file:$dir/slack.url;
                             backoff 50ms 100ms; }
    approval_channel buttons { type slack; url @{[ $buttons->url ]}/hook;
                               signing_secret 8f742231b10e8888abcd99yyyzzz85a5;
                               backoff 50ms 100ms; }
    approval_channel teams { type teams; url @{[ $teams->url ]}/workflows;
                             backoff 50ms 100ms; }
    approval_channel web { url @{[ $web->url ]}/web?x=1; secret $secret;
                           timeout 4s; retries 3; backoff 50ms 100ms; }
    approval_channel people { url @{[ $web->url ]}/people; per_approver on;
                              backoff 50ms 100ms; }
    approval_channel later { url @{[ $later->url ]}/later;
                             backoff 50ms 100ms; }
    approval_channel broken { url @{[ $broken->url ]}/broken; retries 1;
                              timeout 5s; backoff 50ms 100ms; }

    $others

    client_max_body_size 4m;

    approval_channel silent { url @{[ $broken->url ]}/silent; retries 1;
                              timeout 3s; backoff 50ms 100ms; }

    approval_group many @{[ join ' ', map { "p$_\@example" } 1 .. 150 ]};

    approval_channel stuck { url @{[ $broken->url ]}/stuck; timeout 2s; }

    approval_channel lasting { url @{[ $broken->url ]}/lasting;
                               backoff 20ms 200ms; }

    approval_policy test {
        strict_path off;
        body_limit 4m;

        rule chat {
            match \$uri ^/chat;
            action db.drop; risk high; summary "drop \$arg_table";
            show claim json:/claim; show agent \$http_x_other;
            match json:/op ~.*;
            require admins; timeout 60s; notify slack buttons teams;
        }
        rule other { match \$uri ^/other; action other.one; risk high;
                     summary "\$arg_table"; match json:/op ~.*;
                     show claim json:/claim; require admins; timeout 60s;
                     notify mattermost discord ntfy; }
        rule critical { match \$uri /critical; action a; risk critical;
                        require admins; notify slack buttons teams web; }
        rule web    { match \$uri ^/web; action w; require admins;
                      timeout 60s; notify web; }
        rule short  { match \$uri /short; action w; require admins;
                      timeout 4s; notify web; }
        rule people { match \$uri /people; action p; require admins;
                      notify people; }
        rule many   { match \$uri /many; action p; require many;
                      notify people; escalate 60s people; }
        rule remind { match \$uri /remind; action r; require admins;
                      notify web; remind 1s; escalate 2s later; }
        rule broken { match \$uri /broken; action b; require admins;
                      notify broken; escalate 50s later; }
        rule outage { match \$uri /outage; action o; require admins;
                      notify lasting; escalate 50s later; }
        rule hole   { match \$uri ^/hole; action h; require admins;
                      timeout 60s; notify silent; }
        rule stuck  { match \$uri ^/stuck; action s; require admins;
                      notify stuck; }
        rule later  { match \$uri /later; action l; require admins;
                      escalate 1s later; }
        rule lost   { match \$uri /lost; action l; require admins;
                      notify broken; }
    }
END
        approval test;
        approval_reason $http_x_approval_reason;
        location / { proxy_pass %%UP%%; }
END

corpus();
others();
message();
critical();
outcome();
denied();
expired();
per_approver();
many();
remind();
escalated();
later();
unreached();
silent();
stuck();
retries();
outlives();
outage();
secrets();

# killed workers take nginx' own count of requests with them

$gw->clean;

takeover();

done_testing();


sub id_of { $_[0]->json->{data}{id} }

sub types { join(' ', map { $_->json->{type} =~ s/approval\.//r }
                      $_[0]->messages) }


sub corpus {
    my @hostile = (
        '<!channel> <!here> <@U1> <http://evil.example/|Approve> & &lt;',
        '*bold* _it_ ~s~ `c` ```p``` :x: > q',
        '[Approve](http://evil.example) ![i](http://e) **b** {{DATE(x)}} <b>',
        "line\nRequester: ceo\n\tRisk: low",
        "\x{202e}txet\x{200b}zero\x{feff}\x{2066}",
        "\x{1f4a5}\x{1f469}\x{200d}\x{1f4bb}", "\x01\x02\x1b[31m\x7f",
        'x' x 200_000, "\x{1f4a5}" x 50_000, '<&>' x 60_000, '\\"*_' x 60_000,
    );

    my $n = 0;

    for my $text (@hostile) {
        my ($client, $id) = $gw->hold(POST => '/chat/' . uri($text)
                                      . '?table=' . uri($text),
            headers => [ 'X-Approval-Reason' => header($text),
                         'X-Other' => header($text) ],
            json => { op => $text, claim => $text, $text => $text });

        next unless ok($id, "hostile $n is held");

        $n++;

        for my $chat ($slack, $buttons, $teams) {
            $chat->wait_count($n);
        }

        is($gw->vote($id, 'deny')->status, 200, 'denied');
        $client->read;
    }

    $gw->wait_audit('notified', 6 * $n);

    is(join('; ', $_->faults), '', "$_->{kind} accepts all messages")
        for name(slack => $slack), name(buttons => $buttons),
            name(teams => $teams);

    is(scalar $gw->audit('notify_failed'), 0, 'and none was refused');

    for my $chat ($slack, $teams) {
        ok((grep { $_->body =~ /\d+ bytes hidden/ } $chat->messages),
           "$chat->{kind}: hidden bytes are counted");
    }

    $_->clear for $slack, $buttons, $teams;
}


# who takes a part of these messages: a link, and nothing of the requester's

sub others {
    my $n = 0;

    for my $text ('<!channel> @all @everyone [Approve](http://evil.example)',
                  "\x{202e}*bold*\n# x\n> y", 'x' x 200_000)
    {
        my ($client, $id) = $gw->hold(POST => '/other?table=' . uri($text),
            json => { op => $text, claim => $text });
        my $link = "http://127.0.0.1:@{[ $gw->port ]}/_approval/actions/$id";

        $n++;
        $_->wait_count(2 * $n - 1) for values %compatible;

        for my $name (sort keys %compatible) {
            like(($compatible{$name}->shown)[-1],
                 qr/other\.one.*\Q$link\E$/s, "$name: what, and where");
        }

        $gw->vote($id, 'deny');
        $client->read;
        $_->wait_count(2 * $n) for values %compatible;
    }

    for my $name (sort keys %compatible) {
        my $chat = $compatible{$name};

        is(join('; ', $chat->faults), '', "$name takes all messages");
        like(($chat->shown)[-1], qr/denied/i, 'also of the outcome');
        unlike(join(' ', $chat->shown), qr/evil|channel|bold|xxx/,
               'and shows nothing of the requester\'s');
    }
}


sub name { $_[1]{kind} = $_[0]; return $_[1] }

sub uri {
    my $s = substr($_[0], 0, 300);

    utf8::encode($s);
    $s =~ s/([^A-Za-z0-9])/sprintf('%%%02X', ord $1)/ge;

    return $s =~ s/%(?:2F|00|0.|1.|7F)//gr;
}

sub header {
    my $s = substr($_[0], 0, 1000);

    utf8::encode($s);

    return $s =~ s/[\x00-\x1f\x7f]//gr;
}


sub message {
    my ($client, $id) = $gw->hold(POST => '/chat?table=users',
                                  json => { op => 'drop', password => 'p' });

    $_->wait_count(1) for $slack, $buttons, $teams;

    my $link = "http://127.0.0.1:@{[ $gw->port ]}/_approval/actions/$id";
    my $m = $slack->last;
    my $text = $m->body;

    is($m->target, '/services/T0/B0/canary-url', 'the URL of the file');
    is($m->header('Content-Type'), 'application/json', 'JSON');
    is($m->header('webhook-id'), undef, 'no headers of another format');

    like($text, qr/\Q$_\E/, "slack: $_")
        for 'drop users', 'db.drop', 'agent-7', 'risk high', 'json:/op: drop',
            $id, "<$link|Open the request>", 'sha256:';
    unlike($text, qr/"actions"/, 'no buttons without a signing secret');
    unlike($text, qr/"password":"p"|password\\":\\"p\\"/, 'redacted');

    my ($actions) = grep { $_->{type} eq 'actions' }
                    @{ $buttons->last->json->{blocks} };
    my %button = map { $_->{action_id} => $_ } @{ $actions->{elements} };

    is(join(' ', sort keys %button),
       'approval_approve approval_deny approval_open', 'buttons with one');
    like($button{approval_approve}{value}, qr/^$id sha256:[0-9a-f]{64}$/,
         'bound to the action and its digest');
    is($button{approval_open}{url}, $link, 'Open leads to the page');

    my $card = $teams->last->json->{attachments}[0]{content};

    is($card->{actions}[0]{url}, $link, 'teams: the link');
    like($teams->last->body, qr/drop users/, 'teams: the summary');

    is($gw->vote($id, 'approve', 'fine')->status, 200, 'approved');
    is($client->read->status, 200, 'executed');

    ok($slack->wait_count(3), 'outcomes in Slack');
    ok($teams->wait_count(3), 'and in Teams');

    my @said = map { $_->json->{text} } $slack->messages;

    is(scalar(grep { $_ eq 'Approved: db.drop' } @said), 1, 'approved');
    is(scalar(grep { $_ eq 'Executed: db.drop' } @said), 1, 'executed');

    my ($done) = grep { $_->json->{text} =~ /Executed/ } $slack->messages;

    like($done->body, qr/Upstream: status 200/, 'with the upstream\'s status');
    like($done->body, qr/By alice/, 'and who approved');
    is(join('; ', map { $_->faults } $slack, $teams), '', 'all accepted');

    $buttons->wait_count(3);
    $_->clear for $slack, $buttons, $teams;
}


sub critical {
    my ($client, $id) = $gw->hold(POST => '/critical');

    $_->wait_count(1) for $slack, $buttons, $teams, $web;

    my $code = $web->last->json->{data}{code};

    like($code, qr/^\d{6}$/, 'the code');
    like($_->last->body, qr/\b$code\b/, 'in a chat, too')
        for $slack, $buttons, $teams;
    unlike($buttons->last->body, qr/approval_approve/,
           'a button cannot ask for it: there is none to approve');
    like($buttons->last->body, qr/approval_deny/, 'but to deny');

    $gw->vote($id, 'deny', 'too risky');
    is($client->read->status, 403, 'denied');

    ok($web->wait_count(2), 'told');
    is($web->last->json->{data}{code}, undef, 'no code when it is over');
    $_->wait_count(2) for $slack, $buttons, $teams;
    $_->clear for $slack, $buttons, $teams, $web;
}


sub outcome {
    my ($client, $id) = $gw->hold(POST => '/web');

    ok($web->wait_count(1), 'told');

    my $first = $web->last;

    is($first->target, '/web?x=1', 'with arguments');
    is($web->verify($first, $secret), '', 'signed');
    is($first->header('User-Agent'), 'nginx-approval', 'User-Agent');
    is($first->header('Expect'), undef, 'no Expect');

    $gw->vote($id, 'approve', 'go on');
    is($client->read->status, 200, 'executed');

    ok($web->wait_count(3), 'three messages');
    is(join(' ', sort split(/ /, types($web))), 'approved executed requested',
       'each event once');

    my %by = map { $_->json->{type} => $_ } $web->messages;
    my $data = $by{'approval.executed'}->json->{data};

    is($data->{state}, 'executed', 'state');
    is($data->{outcome}{status}, 200, 'the upstream\'s status');
    is($data->{id}, $id, 'the action');
    is($by{'approval.approved'}->json->{data}{comment}, 'go on', 'comment');
    is_deeply($by{'approval.approved'}->json->{data}{by}, [ 'alice' ], 'by');

    my %ids = map { $_->header('webhook-id') => 1 } $web->messages;

    is(scalar keys %ids, 3, 'each has an id of its own');
    is($web->verify($_, $secret), '', 'and is signed') for $web->messages;
    is(join(' ', sort map { $_->{event} // '' }
                 grep { $_->{action_id} eq $id } $gw->audit('notified')),
       ' approved executed', 'audited, with the event');

    is($gw->action($id)->{notified}{sent}, 1, 'the action says so');

    $web->clear;
}


sub denied {
    my ($client, $id) = $gw->hold(POST => '/web');

    $web->wait_count(1);
    $gw->vote($id, 'deny', 'not now');
    is($client->read->status, 403, 'denied');
    ok($web->wait_count(2), 'told');
    is(types($web), 'requested denied', 'of the denial');
    is($web->last->json->{data}{comment}, 'not now', 'with the comment');
    $web->clear;
}


sub expired {
    my ($client, $id) = $gw->hold(POST => '/short');

    $web->wait_count(1);
    is($client->read->status, 403, 'expired');
    ok($web->wait_count(2), 'told');
    is(types($web), 'requested expired', 'that nobody decided');
    $web->clear;
}


sub per_approver {
    my ($client, $id) = $gw->hold(POST => '/people');

    ok($web->wait_count(2), 'a message each');
    is(join(' ', sort map { $_->json->{data}{links}{approver} }
                 $web->messages), 'alice bob', 'of their own');
    like($_->json->{data}{links}{url}, qr/\?t=1\./, 'with a link')
        for $web->messages;

    $gw->vote($id, 'deny');
    $client->read;
    ok($web->wait_count(4), 'and the outcome');
    unlike(($web->messages)[3]->body, qr/\?t=/, 'which nobody can decide');
    $web->clear;
}


sub remind {
    my ($client, $id) = $gw->hold(POST => '/remind');

    ok($web->wait_count(3), 'reminded, and again');
    ok($later->wait_count(1), 'and escalated');

    is((split / /, types($web))[$_], 'reminder', 'a reminder') for 1, 2;
    is(types($later), 'escalated', 'to another channel');

    $gw->vote($id, 'deny');
    $client->read;

    ok(wait_for(sub { types($later) eq 'escalated denied' }),
       'who was escalated to is told of the outcome');
    ok(wait_for(sub { types($web) =~ /denied$/ }), 'as are the others');

    my $count = $web->count;

    sleep(2.5);
    is($web->count, $count, 'no reminder after the end');

    my %ids = map { $_->header('webhook-id') => 1 } $web->messages;

    is(scalar keys %ids, $count, 'each with an id of its own');
    $_->clear for $web, $later;
}


# retried, given up, then the next channel at once, and all say so

sub escalated {
    $broken->script({ status => 500 });

    my ($client, $id) = $gw->hold(POST => '/broken');
    my $mark = time();

    ok($later->wait_count(1, 15), 'the escalation does not wait');
    is($broken->count, 2, 'after the retries');
    is($gw->action($id)->{notified}{failed}, 1, 'the action says so');

    my @failed = grep { $_->{action_id} eq $id } $gw->audit('notify_failed');

    is(scalar @failed, 2, 'audited, each');
    is($failed[1]{final} ? 1 : 0, 1, 'the last one is final');

    $gw->vote($id, 'deny');
    $client->read;
    ok(wait_for(sub { types($later) eq 'escalated denied' }), 'told');
    is($broken->count, 2, 'the broken one is left alone');
    $_->clear for $later, $broken;
}


# nobody is told at first

sub later {
    my ($client, $id) = $gw->hold(POST => '/later');

    ok($later->wait_count(1), 'told later');
    is(types($later), 'escalated', 'for the first time');

    $gw->vote($id, 'deny');
    $client->read;
    ok(wait_for(sub { types($later) eq 'escalated denied' }), 'and the end');
    $later->clear;
}


sub unreached {
    $broken->script({ status => 403 });

    my ($client, $id) = $gw->hold(POST => '/lost');

    ok(wait_for(sub { $gw->action($id)->{notified}{failed} }), 'given up');

    my $status = http_get($gw->port, "/_approval/status/$id",
                          headers => [ 'X-Agent' => 'agent-7' ])->json;

    is($status->{state}, 'pending', 'the status is pending');
    ok(exists $status->{reached} && !$status->{reached},
       'and says that nobody was reached');
    like(http_get($gw->port, "/_approval/actions/$id",
                  headers => [ 'X-User' => 'alice', Accept => 'text/html' ]
                  )->body, qr/No channel could be notified/, 'as does the page');

    $gw->vote($id, 'deny');
    $client->read;
    $broken->clear;
}


# one that swallows all and says nothing keeps no other waiting

sub silent {
    $broken->script({ hang => 1 });

    my @held = map { $gw->send(POST => "/hole/$_") } 1 .. 80;

    ok($broken->wait_count(20), 'many messages get no answer');

    my $failed = $gw->audit('notify_failed');
    my ($client, $id) = $gw->hold(POST => '/web');

    ok($web->wait_count(1), 'another channel is told');
    is($gw->audit('notify_failed') - $failed, 0,
       'before any of these is given up');
    cmp_ok($gw->ngx->workers + 0, '==', 2, 'by workers that live');

    $gw->vote($id, 'deny');
    $client->read;
    ok($web->wait_count(2), 'of the outcome, too');

    $broken->script({ status => 204 });
    $gw->vote($_, 'deny') for $gw->pending;
    $_->read for @held;
    wait_for(sub { $gw->redis->cmd(ZCARD => 'approval:{00}:deliver') == 0 });
    $_->clear for $web, $broken;
}


sub http_date {
    return strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime($_[0]));
}


sub retries {
    my @bad = ([ 'a fault' => { status => 500 } ],
               [ 'a redirect' => { status => 302, headers =>
                                   [ Location => $web->url . '/other' ] } ],
               [ 'too many' => { status => 429,
                                 headers => [ 'Retry-After' => 1 ] } ],
               [ 'a date' => sub { { status => 503, headers =>
                     [ 'Retry-After' => http_date(time() + 3) ] } } ],
               [ 'gone' => { status => 410 } ],
               [ 'silence' => { hang => 1 } ],
               [ 'a cut' => { drop => 1 } ],
               [ 'half' => { status => 200, body => 'x' x 10, close => 1,
                             no_length => 1,
                             headers => [ 'Content-Length' => 100 ] } ]);

    for my $case (@bad) {
        my ($what, $answer) = @$case;
        my $after = time() + 3;

        $answer = $answer->() if ref $answer eq 'CODE';
        $web->script($answer, { status => 204 });

        my ($client, $id) = $gw->hold(POST => '/web');

        ok($web->wait_count(2), "after $what it is tried again");

        my @m = $web->messages;

        is($m[0]->header('webhook-id'), $m[1]->header('webhook-id'),
           'the same message');
        is($m[1]->target, '/web?x=1', 'to the same place');
        cmp_ok($m[1]{time} - $m[0]{time}, '>=', 0.95, 'Retry-After')
            if $what eq 'too many';
        cmp_ok($m[1]{time}, '>=', int($after) - 0.1, 'Retry-After')
            if $what eq 'a date';

        $web->script({ status => 204 });
        $gw->vote($id, 'deny');
        $client->read;
        ok($web->wait_count(3), 'and then the outcome');
        $web->clear;
    }
}


# more messages of one action than the queue takes at a time

sub many {
    my ($client, $id) = $gw->hold(POST => '/many');

    ok($web->wait_count(150), 'all of many approvers are told');

    my %who = map { $_->json->{data}{links}{approver} => 1 } $web->messages;

    is(scalar keys %who, 150, 'each of them');
    is($gw->redis->cmd(HLEN => "approval:{00}:$id:deliver"), 3 * 150,
       'with attempts, and the escalations of all');

    $gw->vote($id, 'deny', '', 'p150@example');
    $client->read;
    ok($web->wait_count(300), 'and of the outcome');
    wait_for(sub { $gw->redis->cmd(ZCARD => 'approval:{00}:deliver') == 0 });
    $web->clear;
}


# more messages to one that is down, or silent, than workers send at a time

sub stuck {
    for my $case ([ down => { status => 503 } ], [ silent => { hang => 1 } ]) {
        my ($what, $answer) = @$case;

        $broken->script($answer);

        my @held = map { $gw->send(POST => "/stuck/$what/$_") } 1 .. 300;

        ok(wait_for(sub { $gw->pending == 300 }), "$what: all are held");
        ok($broken->wait_count($what eq 'down' ? 200 : 40),
           "$what: it is tried");

        my ($client, $id) = $gw->hold(POST => '/later');

        ok($later->wait_count(1), "$what: another one gets its escalation");

        $gw->vote($id, 'deny');
        $client->read;
        ok($later->wait_count(2), "$what: and the outcome");

        $broken->script({ status => 204 });
        $gw->vote($_, 'deny') for $gw->pending;
        $_->read for @held;
        ok(wait_for(sub { $gw->redis->cmd(ZCARD => 'approval:{00}:deliver') == 0 }),
           "$what: nothing is left to be sent");
        $_->clear for $later, $broken;
    }
}


# the request is gone, the message is not

sub outlives {
    $web->stop;

    my ($client, $id) = $gw->hold(POST => '/web');

    ok(wait_for(sub { grep { $_->{action_id} eq $id }
                      $gw->audit('notify_failed') }), 'refused');
    $client->close;
    $web->start;

    ok($web->wait_count(1), 'sent though the client is gone');
    is(id_of($web->last), $id, 'this one');

    $gw->vote($id, 'deny');
    ok($web->wait_count(2), 'and its outcome');
    $web->clear;
}


# without "retries" a receiver may come back at any time before the deadline

sub outage {
    $broken->script({ status => 503 });

    my ($client, $id) = $gw->hold(POST => '/outage');
    my $notified = sub { $gw->action($id)->{notified} };

    ok($later->wait_count(1, 20), 'after five retries the next are told');
    is_deeply($notified->(), { sent => 1, failed => 1 }, 'the action says so')
        if wait_for(sub { $notified->()->{sent} });

    my $count = $broken->count;

    cmp_ok($count, '>=', 6, 'the first one had its retries');
    ok($broken->wait_count($count + 3), 'and is not given up');
    is($notified->()->{failed}, 1, 'which counts once');

    $broken->script({ status => 204 });

    ok(wait_for(sub { $notified->()->{sent} == 2 }), 'until it is back');
    is_deeply($notified->(), { sent => 2, failed => 0 }, 'all have been told');

    $count = $broken->count;

    my %ids = map { $_->header('webhook-id') => 1 } $broken->messages;

    is(scalar keys %ids, 1, 'of one message');

    my @told = grep { $_->{action_id} eq $id && $_->{channel} eq 'lasting' }
               $gw->audit('notified');

    is(scalar @told, 1, 'which was taken once');

    $gw->vote($id, 'deny');
    $client->read;
    ok($broken->wait_count($count + 1), 'it is told of the outcome');
    ok(wait_for(sub { types($later) eq 'escalated denied' }), 'as the other');

    # nor longer than the action is open

    $broken->script({ status => 503 });
    ($client, $id) = $gw->hold(POST => '/outage');
    ok($later->wait_count(3, 20), 'another one');
    $gw->vote($id, 'deny');
    $client->read;
    wait_for(sub { $later->count == 4 });
    $broken->script({ status => 204 });
    ok(wait_for(sub { $gw->redis->cmd(ZCARD => 'approval:{00}:deliver') == 0 }),
       'ends with its action');

    my @types = map { $_->json->{type} } grep { id_of($_) eq $id }
                                          $broken->messages;

    is((grep { $_ ne 'approval.requested' } @types)[-1], 'approval.denied',
       'and hears how');
    $_->clear for $later, $broken;
}


# another worker sends what a dead one was about to

sub takeover {
    $web->script({ hang => 1 });

    my ($client, $id) = $gw->hold(POST => '/web');

    ok($web->wait_count(1), 'being sent');

    my %leased = @{ $gw->redis->cmd(HGETALL => "approval:{00}:$id:deliver") };

    ok($leased{'a:m0'}, 'under a lease');

    $gw->ngx->kill_worker($_) for $gw->ngx->workers;
    $web->script({ status => 204 });

    ok($web->wait_count(2), 'sent by another worker');

    my @m = $web->messages;

    is($m[-1]->header('webhook-id'), $m[0]->header('webhook-id'),
       'the same message');
    ok(wait_for(sub { $gw->redis->cmd(ZCARD => 'approval:{00}:deliver') == 0 }),
       'nothing is left to be sent');

    my $count = $web->count;

    sleep(1.5);
    is($web->count, $count, 'once');

    $gw->vote($id, 'deny');
    $web->wait_count($count + 1);

    is(scalar $gw->redis->keys_without_ttl, 0, 'and nothing stays');
}


sub secrets {
    my $log = slurp($gw->ngx->path('error.log'));

    unlike($log, qr/canary-url/, 'no URL in the log');

    my $dump = join(' ', map { my $k = $_; ($k,
        $gw->redis->cmd(TYPE => $k) eq 'hash'
            ? @{ $gw->redis->cmd(HGETALL => $k) } : ()) }
        @{ $gw->redis->cmd(KEYS => '*') });

    unlike($dump, qr/canary-url|_approval|agent-7/, 'nothing in clear');
}
