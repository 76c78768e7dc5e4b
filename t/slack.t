#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Buttons in Slack: who is believed, who may, what it does, and what Slack and
# the person hear.

use lib 't/lib';
use Approval::Test;

use Time::HiRes qw(time);

use Approval::Chat;
use Approval::Gateway;

need_module();
need('redis-server');

my $secret = '8f742231b10e8888abcd99yyyzzz85a5';
my $second = 'second-secret-0123456789';
my $slack = Approval::Chat->new('slack', code => undef);
my $url = $slack->url;

my $gw = Approval::Gateway->new(workers => 2, log_level => 'info',
    http => <<"END", server => <<'END');
    approval_channel slack { type slack; url $url/hook;
                             signing_secret $secret;
                             signing_secret $second;
                             backoff 50ms 100ms; }
    approval_alias alice T01:U0ALICE;
    approval_alias bob   T01:U0BOB bob\@example.com;
    approval_alias carol T01:U0CAROL;

    approval_policy test {
        rule one  { match \$uri /one; action o; require admins; timeout 60s;
                    notify slack; }
        rule two  { match \$uri /two; action t; require 2 of admins;
                    timeout 60s; notify slack; }
        rule why  { match \$uri /why; action w; require admins; comment deny;
                    timeout 60s; notify slack; }
        rule say  { match \$uri /say; action s; require admins;
                    comment always; timeout 60s; notify slack; }
        rule body { match \$uri /body; action b; require admins;
                    timeout 60s; notify slack; }
        rule grave { match \$uri /grave; action g; risk critical;
                     require admins; timeout 60s; notify slack; }
    }
END
        approval test;
        location = /login/slack { approval_api; }
        location /login/ { approval_api; return 403; }
        location / { proxy_pass %%UP%%; }
END

approved();
denied();
refused();
signature();
secrets();
teams();
two_people();
critical();
comments();
unseen();
stalled();
other_hosts();

$gw->clean;

done_testing();


# a held request, its id and its digest

sub held {
    my ($uri, %how) = @_;

    my ($client, $id) = $gw->hold(POST => $uri, %how);

    $slack->wait_count(1);

    my $digest = $gw->action($id)->{digest};

    $slack->clear;

    return ($client, $id, $digest);
}


sub payload {
    my ($act, $id, $digest, $user, %more) = @_;

    return Approval::Chat::button($act, $id, $digest, "T01:$user",
                                  response_url => "$url/respond/1", %more);
}


sub press {
    my ($payload, %how) = @_;

    return Approval::Chat::press($gw->port, $payload, secret => $secret, %how);
}


# what Slack was told through response_url

sub told {
    my ($n) = @_;

    my @m;

    wait_for(sub {
        @m = grep { $_->target eq '/respond/1' } $slack->messages;
        return @m >= $n;
    });

    return @m;
}


sub approved {
    my ($client, $id, $digest) = held('/one');
    # whatever response_url does: Slack waits for three seconds only

    $slack->pause;
    my $answer = press(payload('approve', $id, $digest, 'U0ALICE'));
    $slack->resume;

    is($answer->status, 200, 'heard');
    is($answer->body, '', 'with nothing to show');
    is($client->read->status, 200, 'executed');

    my ($message) = told(1);
    my $json = $message->json;

    ok($json->{replace_original}, 'the message is replaced');
    is($json->{text}, 'Approved: o', 'by the outcome');
    like($message->body, qr/By T01:U0ALICE|By alice/, 'and who decided');
    unlike($message->body, qr/"actions"/, 'without buttons');

    my ($vote) = grep { $_->{action_id} eq $id } $gw->audit('voted');

    is($vote->{how}, 'slack', 'on record: how');
    is($vote->{identity}, 'T01:U0ALICE', 'who, in Slack');
    is($vote->{person}, 'alice', 'and who it is');

    $slack->wait_count(3);
    $slack->clear;
}


sub denied {
    my ($client, $id, $digest) = held('/one');

    is(press(payload('deny', $id, $digest, 'U0BOB'),
             secret => $second)->status, 200, 'by the second secret');
    is($client->read->status, 403, 'denied');

    my ($message) = told(1);

    is($message->json->{text}, 'Denied: o', 'the message says so');

    is(http_post($gw->port, '/login/slack', 'x')->status, 401,
       'it may have a location of its own');

    # again, by another one: decided

    $slack->wait_count(2);
    $slack->clear;

    is(press(payload('approve', $id, $digest, 'U0ALICE'))->status, 200,
       'too late');
    is((told(1))[0]->json->{text}, 'Denied: o', 'and told what was decided');

    $slack->clear;
}


sub refused {
    my ($client, $id, $digest) = held('/one');

    my @case = ([ 'nobody we know' => 'U0MALLORY', 'Not an approver' ],
                [ 'known, and no member' => 'U0CAROL', 'Not an approver' ]);

    for my $case (@case) {
        my ($name, $user, $why) = @$case;

        is(press(payload('approve', $id, $digest, $user))->status, 200, $name);

        my $json = (told(1))[0]->json;

        like($json->{text}, qr/^$why/, 'told why not');
        is($json->{response_type}, 'ephemeral', 'and nobody else');
        ok(!$json->{replace_original}, 'the message stays');
        $slack->clear;
    }

    press(payload('approve', $id, $digest, 'U0ALICE',
                  team => { id => 'T02' }));
    like((told(1))[0]->json->{text}, qr/^Not an approver/,
         'the same user of another team is somebody else');
    $slack->clear;

    is(press(payload('approve', $id, $digest, "U0\n[alert] 1#1"))->status, 400,
       'no id that could write another line into the log');

    press(payload('approve', $id, 'sha256:' . '0' x 64, 'U0ALICE'));
    like((told(1))[0]->json->{text}, qr/^Not found/, 'another digest');
    $slack->clear;

    is(press(payload('approve', 'x', $digest, 'U0ALICE'))->status, 400,
       'no id');
    is(press(payload('open', $id, $digest, 'U0ALICE'))->status, 200,
       'a link was followed');
    is(press({ type => 'view_submission' })->status, 200, 'something else');
    is($gw->state($id), 'pending', 'nothing was decided');
    is(http_get($gw->port, '/_approval/slack')->status, 405, 'GET');

    $gw->vote($id, 'deny');
    $client->read;
    $slack->clear;

    ($client, $id, $digest) = held('/one', agent => 'bob@example.com');

    press(payload('approve', $id, $digest, 'U0BOB'));
    like((told(1))[0]->json->{text}, qr/^Your own request/, 'self-approval');
    is($gw->state($id), 'pending', 'is none');

    $gw->vote($id, 'deny');
    $client->read;
    $slack->clear;
}


sub signature {
    my ($client, $id, $digest) = held('/two');
    my $payload = payload('approve', $id, $digest, 'U0ALICE');
    my $now = int(time());

    is(press($payload, when => $now - 301 - 1)->status, 401, '301 s ago');
    is(press($payload, when => $now + 900)->status, 401, 'not yet');
    is(press($payload, secret => 'another secret 123')->status, 401,
       'another secret');
    is(press($payload, tamper => 1)->status, 401, 'a byte more');
    is(press($payload, sign => 'v0=')->status, 401, 'no MAC');
    is(press($payload, sign => '')->status, 401, 'empty');
    is(http_post($gw->port, '/_approval/slack', 'payload={}')->status, 401,
       'not signed');
    is(scalar @{ $gw->action($id)->{votes} }, 0, 'no vote');

    is(press($payload, when => $now)->status, 200, 'signed');
    is(press($payload, when => $now)->status, 401, 'replayed');
    is(scalar @{ $gw->action($id)->{votes} }, 1, 'one vote');

    $gw->vote($id, 'deny', '', 'bob');
    $client->read;
    told(1);
    $slack->clear;
}


# a secret is good for what was told through its own channel, and for the
# people of its workspace

sub secrets {
    my $other = 'another-app-0123456789';
    my $own = Approval::Gateway->new(workers => 1, log_level => 'info',
        http => <<"END", server => <<'END');
        approval_channel one { type slack; url $url/hook;
                               signing_secret $secret; }
        approval_channel two { type slack; url $url/services/T02/B1/x;
                               signing_secret $other; }
        approval_channel far { type slack; url $url/hook;
                               signing_secret far-away-0123456789;
                               team T01 T03; }
        approval_alias alice T01:U0ALICE T02:U0ALICIA;
        approval_alias bob   T03:U0BOB;
        approval_policy test {
            rule one  { match \$uri /one; action o; require admins;
                        notify one; }
            rule both { match \$uri /both; action b; require admins;
                        notify one two; }
            rule late { match \$uri /late; action l; require admins;
                        notify two; escalate 30s one; }
            rule far  { match \$uri /far; action f; require admins;
                        notify far; }
        }
END
        approval test;
        location / { proxy_pass %%UP%%; }
END

    my $case = sub {
        my ($uri, $who, $with, $status, $name, %more) = @_;
        my ($client, $id) = $own->hold(POST => $uri);
        my ($n) = (0);

        $slack->clear;
        is(Approval::Chat::press($own->port, Approval::Chat::button(
               approve => $id, $own->action($id)->{digest}, $who,
               response_url => "$url/respond/1", %more),
               secret => $with)->status, 200, "$name: heard");

        if ($status == 200) {
            is($client->read->status, 200, "$name: executed");
            return;
        }

        like((told(1))[0]->json->{text}, qr/^(?:Not found|Not an approver)\./,
             "$name: refused");
        is($own->state($id), 'pending', 'nothing was decided');
        $own->vote($id, 'deny');
        $client->read;
    };

    $case->('/one', 'T01:U0ALICE', $secret, 200, 'its own channel');
    $case->('/one', 'T01:U0ALICE', $other, 403, 'another channel');
    $case->('/both', 'T02:U0ALICIA', $other, 200, 'told through both');
    $case->('/both', 'T01:U0ALICE', $other, 403, 'of another workspace');
    $case->('/late', 'T01:U0ALICE', $secret, 200, 'told later');
    $case->('/far', 'T03:U0BOB', 'far-away-0123456789', 200, 'a team named',
            team => { id => 'T01' });
    $case->('/far', 'T02:U0ALICIA', 'far-away-0123456789', 403,
            'a team that is not', team => { id => 'T01' });
    $own->clean;
}


# who somebody is: by the home, not by where the button was pressed

sub teams {
    my ($client, $id, $digest) = held('/one');

    press(payload('approve', $id, $digest, 'U0ALICE',
                  user => { id => 'U0ALICE', team_id => 'T02' }));
    like((told(1))[0]->json->{text}, qr/^Not an approver/,
         'a guest with the same id');
    is($gw->state($id), 'pending', 'nothing was decided');
    $slack->clear;

    press(payload('approve', $id, $digest, 'U0ALICE'));
    is($client->read->status, 200, 'the one of here');

    my $up = $gw->up->last;

    is($up->header('Approval-By'), 'alice', 'by name, upstream');

    my ($approved) = grep { $_->{action_id} eq $id } $gw->audit('approved');

    is($approved->{approvers}, 'alice', 'in the trail');
    told(1);
    like((told(1))[0]->body, qr/By alice/, 'and in the message');
    $slack->clear;

    ($client, $id, $digest) = held('/one');
    press(payload('deny', $id, $digest, 'U0BOB'));
    is($client->read->json->{decided_by}, 'bob', 'and to the requester');
    told(1);
    $slack->clear;

    for my $row ([ 'type slack; url http://127.0.0.1/; signing_secret '
                   . 'x0123456789abcdef; team workspace;', qr/is not the id of a/ ],
                 [ 'type slack; url http://127.0.0.1/; team T01;',
                   qr/"team" of channel "c" has no effect without/ ],
                 [ 'type slack; url http://127.0.0.1/; signing_secret '
                   . 'x0123456789abcdef; team T01; team T02;',
                   qr/is duplicate/ ])
    {
        my ($rc, $out) = Approval::Nginx->test_conf(
            http => "approval_channel c { $row->[0] }");

        is($rc, 1, "refused: $row->[0]");
        like($out, $row->[1], 'and why');
    }
}


sub two_people {
    my ($client, $id, $digest) = held('/two');

    press(payload('approve', $id, $digest, 'U0ALICE'));
    like((told(1))[0]->json->{text}, qr/^You approved\. .*waiting/,
         'others have to approve, too');

    is($gw->vote($id, 'approve', '', 'alice')->status, 200, 'on the page');
    is($gw->state($id), 'pending', 'one person is one person');

    press(payload('approve', $id, $digest, 'U0BOB'));
    is($client->read->status, 200, 'the second one');
    told(2);

    wait_for(sub { grep { $_->target eq '/hook' && $_->body =~ /Executed/ }
                   $slack->messages });
    $slack->clear;
}


sub critical {
    my ($client, $id, $digest) = held('/grave');

    press(payload('approve', $id, $digest, 'U0ALICE'));
    like((told(1))[0]->json->{text}, qr/code/i, 'not without the code');
    is($gw->state($id), 'pending', 'nothing was decided');

    press(payload('deny', $id, $digest, 'U0ALICE'));
    is($client->read->status, 403, 'but denied');
    told(2);
    $slack->clear;
}


# a store that says nothing keeps Slack waiting no longer than it does

# a button cannot comment: where that is required, there is none, and one that
# is pressed all the same decides nothing

sub comments {
    for my $case ([ '/why', 'deny', qw(approval_approve approval_open) ],
                  [ '/say', 'approve' ])
    {
        my ($uri, $act, @buttons) = @$case;
        my ($client, $id) = $gw->hold(POST => $uri);

        my $message = wait_for(sub {
            (grep { $_->body =~ /$id/ } $slack->messages)[0] });

        is_deeply([ map { map { $_->{action_id} } @{ $_->{elements} // [] } }
                    @{ $message->json->{blocks} } ], \@buttons,
                  "$uri: the buttons");
        like($message->body, qr{actions/$id}, 'and a link to the page');
        $slack->clear;

        press(payload($act, $id, $gw->action($id)->{digest}, 'U0ALICE'));
        like((told(1))[0]->json->{text}, qr/^A comment is required/,
             "$uri: $act without a comment");
        is($gw->state($id), 'pending', 'nothing is decided');

        $gw->vote($id, 'deny', 'no');
        $client->read;
        $slack->clear;
    }
}


# nothing of the body was shown in the message: it had no buttons

sub unseen {
    my ($client, $id) = $gw->hold(POST => '/body', body => 'x=secret-of-it');

    my $message = wait_for(sub {
        (grep { $_->body =~ /$id/ } $slack->messages)[0] });

    unlike($message->body, qr/approval_(?:approve|deny)/, 'no buttons');
    unlike($message->body, qr/secret-of-it/, 'as the body is not shown');
    $slack->clear;

    for my $act (qw(approve deny)) {
        press(payload($act, $id, $gw->action($id)->{digest}, 'U0ALICE'));
        like((told(1))[0]->json->{text}, qr/^Vote on the action's page/,
             "$act by a button that was not there");
        is($gw->state($id), 'pending', 'decides nothing');
        $slack->clear;
    }

    ok(wait_for(sub { 2 == grep { ($_->{action_id} // '') eq $id
                                  && ($_->{why} // '') eq 'page-required' }
                          $gw->audit('refused') }), 'both are on record');

    press(payload('approve', $id, $gw->action($id)->{digest}, 'U0MALLORY'));
    like((told(1))[0]->json->{text}, qr/^Not an approver/,
         'who may not vote at all is told that');
    $slack->clear;

    $gw->vote($id, 'approve', 'seen on the page');
    is($client->read->status, 200, 'on the page it can be approved');
    $slack->wait_count(2);
    $slack->clear;
}


sub stalled {
    my $own = Approval::Gateway->new(redis => 'timeout=1s',
        http => <<"END", server => <<'END');
        approval_channel slack { type slack; url $url/hook;
                                 signing_secret $secret; }
        approval_alias alice T01:U0ALICE;
        approval_policy test { rule one { match \$uri /one; action o;
                                          require admins; } }
END
        approval test;
        location / { proxy_pass %%UP%%; }
END

    my ($client, $id) = $own->hold(POST => '/one');
    my $button = Approval::Chat::button(approve => $id,
        $own->action($id)->{digest}, 'T01:U0ALICE',
        response_url => "$url/respond/2");

    $own->redis->pause;

    my $start = time();
    my $answer = Approval::Chat::press($own->port, $button,
                                       secret => $secret);

    cmp_ok(time() - $start, '<', 3 * slow(), 'answered within three seconds');
    is($answer->body, '', 'with nothing');
    ok(wait_for(sub { grep { $_->target eq '/respond/2'
                             && $_->json->{text} =~ /^Store unavailable/ }
                      $slack->messages }), 'and told that nothing was done');

    $own->redis->resume;

    ok(wait_for(sub { $own->vote($id, 'approve')->status == 200 }),
       'nothing was decided, and when it is back it is');
    is($client->read->status, 200, 'executed');
    $own->clean;
}


# response_url is Slack's, or nobody's

sub other_hosts {
    my $other = Approval::Receiver->new;
    my $mark = $gw->ngx->mark;

    for my $to ($other->url . '/x', 'https://hooks.slack.com.evil.example/x',
                'https://hooks.slack.com@' . substr($other->url, 7),
                'file:///etc/passwd', '')
    {
        my ($client, $id, $digest) = held('/one');

        is(press(payload('deny', $id, $digest, 'U0ALICE',
                         response_url => $to))->status, 200, "to \"$to\"");
        is($client->read->status, 403, 'it counts');
        $slack->wait_count(1);
        $slack->clear;
    }

    is($other->count, 0, 'but nothing is sent there');
    $gw->ngx->log_like(qr/response_url does not belong/, 'logged',
                       since => $mark);
}
