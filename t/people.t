#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# People and quorums, with all channels mixed: by a personal link, by identity,
# by a button in Slack.  Who they are, which group they fill, and that it is
# judged anew at each vote.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Chat;
use Approval::Gateway;

need_module();
need('redis-server');

my $secret = '8f742231b10e8888abcd99yyyzzz85a5';
my $slack = Approval::Chat->new('slack', code => undef);

# each person has a name at the identity provider, and one in Slack

my %idp = (alice => 'Alice@Example.com', bob => '00uB0B', carol => 'carol',
           dave => 'dave@example.com', erin => 'erin');

my %members = (dba => "alice\nbob\ncarol\n", sre => "alice\ndave\n");

my $gw = Approval::Gateway->new(workers => 2, log_level => 'info',
    files => { map { $_ => $members{$_} } keys %members },
    http => <<"END", server => <<'END');
    approval_group dba file:%%PREFIX%%/dba;
    approval_group sre file:%%PREFIX%%/sre;
    approval_alias alice alice\@example.com T01:U0ALICE;
    approval_alias bob   00ub0b T01:U0BOB;
    approval_alias carol T01:U0CAROL;
    approval_alias dave  dave\@example.com T01:U0DAVE;
    approval_alias erin  T01:U0ERIN;

    approval_channel personal { pass /_notify; per_approver on; }
    approval_channel slack { type slack; url @{[ $slack->url ]}/hook;
                             signing_secret $secret; }

    approval_policy test {
        rule two  { match \$uri ^/two; action a.two; require 2 of dba;
                    deny_after 2; timeout 60s; notify personal slack; }
        rule both { match \$uri ^/both; action a.both; require dba;
                    require sre; timeout 60s; notify personal slack; }
        rule one  { match \$uri ^/one; action a.one; require sre;
                    timeout 60s; notify personal slack; }
    }
END
        approval test;
        location / { proxy_pass %%UP%%; }
END

my %act = (link => \&by_link, idp => \&by_idp, slack => \&by_slack);
my $count = 0;

pairs();
groups();
one_person();
minds();
recent();
membership();

$gw->clean;

done_testing();


# a held request; what a vote needs

sub held {
    my ($uri, %how) = @_;

    my ($client, $id) = $gw->hold(POST => $uri . '?n=' . ++$count, %how);

    return { client => $client, id => $id,
             digest => see($id, 'alice')->{digest} };
}


sub see {
    my ($id, $who, %how) = @_;

    my $answer = http_get($gw->port, "/_approval/actions/$id", headers => [
        'X-User' => $idp{$who}, Accept => $how{html} ? 'text/html'
                                                     : 'application/json' ]);

    return $how{html} ? $answer : $answer->json;
}


# each returns '' where the vote was taken, or the type of the refusal

sub outcome {
    my ($answer) = @_;

    return $answer->status == 200 ? ''
           : $answer->json->{type} =~ s/^urn:approval://r;
}


sub by_link {
    my ($action, $who, $decision) = @_;

    my ($message) = @{ wait_for(sub {
        my @found = grep { $_->{id} eq $action->{id}
                           && $_->{links}{approver} eq $who }
                    map { $_->json->{data} } $gw->hook->messages;
        return @found && \@found;
    }) // [] };

    return 'no link' unless $message;

    my ($path) = $message->{links}{url} =~ m{^http://[^/]+(/.*)};

    return outcome(Approval::Client->new($gw->port)->request(
        POST => $path =~ s{\?}{/decision?}r,
        json => { decision => $decision }));
}


sub by_idp {
    my ($action, $who, $decision) = @_;

    return outcome($gw->vote($action->{id}, $decision, '', $idp{$who}));
}


# Slack is told apart from the HTTP answer: by response_url

sub by_slack {
    my ($action, $who, $decision) = @_;

    my $path = '/respond/' . ++$count;

    Approval::Chat::press($gw->port,
        Approval::Chat::button($decision, $action->{id}, $action->{digest},
                               'T01:U0' . uc $who,
                               response_url => $slack->url . $path),
        secret => $secret)->status == 200 or return 'not heard';

    my ($told) = @{ wait_for(sub {
        my @found = grep { $_->target eq $path } $slack->messages;
        return @found && \@found;
    }) // [] };

    return 'not told' unless $told;

    my $text = $told->json->{text};

    return $text =~ /^(?:You (?:approved|denied)|Approved|Denied|Executed)/
           ? '' : $text;
}


sub vote {
    my ($action, $how, $who, $decision) = @_;

    return $act{$how}->($action, $who, $decision // 'approve');
}


sub votes {
    my ($action) = @_;

    return join ' ', map { "$_->{approver}/$_->{how}" }
                     @{ see($action->{id}, 'bob')->{votes} };
}


sub waits {
    my ($action, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($gw->state($action->{id}), 'pending', $name);
    ok($action->{client}->quiet(0.05), 'and is held');
}


sub executed {
    my ($action, $by, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($action->{client}->read->status, 200, $name);
    is($gw->up->last->header('Approval-By'), $by, 'by whom');
}


# two of one group, each by any way

sub pairs {
    for my $first (qw(link idp slack)) {
        for my $second (qw(link idp slack)) {
            my $action = held('/two');

            is(vote($action, $first, 'alice'), '', "$first, then $second");
            waits($action, 'one is not enough');
            is(vote($action, $second, 'bob'), '', 'the second');
            executed($action, 'alice, bob', 'two are');
        }
    }

    my %how = map { $_->{how} => 1 } $gw->audit('voted');

    is(join(' ', sort keys %how), 'idp link slack', 'on record, how');
}


# one of each of two groups; who stands in both counts for one

sub groups {
    for my $how ([ qw(link idp) ], [ qw(idp slack) ], [ qw(slack link) ]) {
        my $action = held('/both');

        is(vote($action, $how->[0], 'bob'), '', "of dba, by $how->[0]");
        waits($action, 'sre is missing');
        is(vote($action, $how->[0], 'carol'), '', 'another of dba');
        waits($action, 'is no sre');
        is(vote($action, $how->[1], 'dave'), '', "of sre, by $how->[1]");
        is($action->{client}->read->status, 200, 'both');
    }

    my $action = held('/both');

    is(vote($action, $_, 'alice'), '', "alice of both, by $_")
        for qw(slack link idp);

    waits($action, 'is one');
    is(votes($action), 'T01:U0ALICE/slack', 'with one vote');

    my @missing = map { $_->{missing} } @{ see($action->{id},
                                               'dave')->{require} };

    is($missing[0] + $missing[1], 1, 'one more is missing');
    is(see($action->{id}, 'bob')->{votes}[0]{groups}, 'dba sre',
       'the vote says in which groups she is');
    is((grep { $_->{action_id} eq $action->{id} }
        $gw->audit('voted'))[0]{groups}, 'dba sre', 'as does the trail');
    is(vote($action, 'idp', 'carol'), '', 'carol for dba');
    executed($action, 'alice, carol', 'alice counts for sre then');
}


# through three channels, under four names

sub one_person {
    my $action = held('/two');

    for my $how (qw(link slack idp)) {
        is(vote($action, $how, 'alice'), '', "alice by $how");
        waits($action, 'one person');
    }

    is(outcome($gw->vote($action->{id}, 'approve', '', $_)), '', $_)
        for 'ALICE', 'alice@example.COM', ' T01:u0alice';

    waits($action, 'and stays one');
    is(votes($action), 'alice/link', 'the first vote is the vote');

    # nor may they approve what they ask for, whatever they are called

    for my $name ('alice', 'T01:U0ALICE', 'ALICE@example.com') {
        my $own = held('/two', agent => $name);

        is(vote($own, 'idp', 'alice'), 'self-approval', "own: $name");
        like(vote($own, 'slack', 'alice'), qr/^Your own request/, 'in Slack');
        is(vote($own, 'slack', 'bob'), '', 'bob');
        is(vote($own, 'idp', 'carol'), '', 'carol');
        is($own->{client}->read->status, 200, 'others may');
    }

    is(vote($action, 'slack', 'bob'), '', 'bob');
    executed($action, 'alice, bob', 'two people');
}


# who has voted stays with it, by whatever way the other vote comes

sub minds {
    my $action = held('/two');

    is(vote($action, 'slack', 'alice', 'deny'), '', 'alice denies in Slack');
    is(vote($action, 'link', 'alice'), 'already-voted', 'not by link');
    is(vote($action, 'idp', 'alice'), 'already-voted', 'nor by identity');
    like(vote($action, 'slack', 'alice'), qr/^You have voted/, 'nor there');
    waits($action, 'two have to deny');
    is(vote($action, 'link', 'bob'), '', 'bob approves');
    is(vote($action, 'idp', 'carol', 'deny'), '', 'carol denies');
    is($action->{client}->read->status, 403, 'denied by two');
    is(vote($action, 'link', 'bob'), 'already-decided', 'too late by link');
    is(vote($action, 'slack', 'bob'), '', 'in Slack: told what was decided');
}


sub recent {
    my @held = map { held('/two', agent => 'flood') } 1 .. 3;
    my $id = $held[0]{id};

    is(see($id, 'alice')->{recent}, 3, 'how many in the last ten minutes');
    like(see($id, 'alice', html => 1)->body,
         qr{by this requester in the last 10 minutes: <strong>3<},
         'on the page');
    is(see(held('/one', agent => 'calm')->{id}, 'alice')->{recent}, 1,
       'of this requester alone');

    $_->read for map {
        $gw->vote($_->{id}, 'deny', '', $idp{bob});
        $gw->vote($_->{id}, 'deny', '', $idp{carol});
        $_->{client} } @held;

    $gw->vote($_, 'deny', '', 'dave') for $gw->pending;
}


# by the groups as they are when one votes

sub membership {
    my $action = held('/two');

    like(see($action->{id}, 'bob', html => 1)->body,
         qr/Can still vote: <[^>]+>alice<.*>bob<.*>carol</, 'who may');
    is(vote($action, 'slack', 'alice'), '', 'alice has voted');
    unlike(see($action->{id}, 'bob', html => 1)->body =~
           /Can still vote:(.*)/ && $1, qr/alice/, 'and may not again');
    is(vote($action, 'idp', 'erin'), 'not-an-approver', 'erin is no member');

    $gw->ngx->reload(files => { %members, dba => "bob\nerin\n" });

    is(vote($action, 'link', 'carol'), 'not-an-approver',
       'a link is no use to who has left the group');
    is(vote($action, 'idp', 'carol'), 'not-an-approver', 'nor an identity');
    like(vote($action, 'slack', 'carol'), qr/^Not an approver/, 'nor Slack');
    is(http_get($gw->port, "/_approval/actions/$action->{id}",
                headers => [ 'X-User' => 'carol' ])->status, 403,
       'nor may one look');

    is(vote($action, 'link', 'bob'), '', 'bob has not left');
    waits($action, 'the vote of one who left counts no more');
    is(join(' ', map { "$_->{approver}:" . ($_->{counts} ? 1 : 0) }
                 @{ see($action->{id}, 'bob')->{votes} }),
       'T01:U0ALICE:0 bob:1', 'which the votes say');
    like(see($action->{id}, 'bob', html => 1)->body, qr/not counted/,
         'and the page');
    is(vote($action, 'slack', 'erin'), '', 'erin has joined');
    executed($action, 'bob, erin', 'and fills the place');

    $gw->ngx->reload(files => { %members });

    $action = held('/both');
    is(vote($action, 'link', 'bob'), '', 'bob votes as a dba');

    $gw->ngx->reload(files => { %members, sre => "$members{sre}bob\n" });

    is(vote($action, 'link', 'carol'), '', 'and so does carol');
    waits($action, 'nobody did as an sre, though bob has become one');
    is(vote($action, 'link', 'dave'), '', 'dave is one');
    executed($action, 'bob, carol, dave', 'and decides');
}
