#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# break_glass: one who may approve alone, and is seen to have done it.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();

my $gw = Approval::Gateway->new(workers => 2, http => <<'EOF',
    approval_group oncall olga alice agent-9;
    approval_policy p {
        rule r { match $uri ^/r; require 2 of admins; timeout 60s;
                 break_glass oncall; }
        rule long { match $uri ^/long; require 2 of admins; timeout 60s;
                    break_glass oncall; remember 60s per $uri; }
        rule plain { match $uri ^/plain; require 2 of admins; timeout 60s; }
    }
EOF
    server => <<'EOF');
        approval p;
        location / { proxy_pass %%UP%%; }
EOF


sub glass {
    my ($id, $user, %how) = @_;

    return Approval::Client->new($gw->port)->request(
        POST => "/_approval/actions/$id/decision",
        json => { decision => 'approve', comment => 'the site is down',
                  break_glass => JSON::PP::true(), %how },
        headers => [ 'X-User' => $user ]);
}

sub page {
    my ($id, $user) = @_;

    return http_get($gw->port, "/_approval/actions/$id",
                    headers => [ 'X-User' => $user, Accept => 'text/html' ]);
}


{
    my ($client, $id) = $gw->hold(POST => '/r/alone');

    is($gw->action($id)->{break_glass}, 'oncall', 'approvers see who may');
    my $page = page($id, 'olga');
    is($page->status, 200, 'they may look');
    like($page->body, qr/Approve alone/, 'and find the button');
    unlike($page->body, qr/<button[^>]*>Deny/, 'but no other');
    unlike(page($id, 'bob')->body, qr/Approve alone/, 'others find none');

    is($gw->vote($id, 'approve', 'x', 'olga')->status, 403,
       'an ordinary vote of theirs is none');
    is($gw->vote($id, 'deny', 'x', 'olga')->status, 403, 'nor is a denial');
    is(glass($id, 'olga', comment => '')->status, 400, 'not without a comment');
    is(glass($id, 'olga', comment => " \n\x{a0}\x{200b}")->status, 400,
       'nor with one that says nothing');
    is(glass($id, 'olga', decision => 'deny')->status, 400, 'not to deny');
    is(glass($id, 'olga', break_glass => 'yes')->status, 400, 'not as text');
    is(glass($id, 'bob')->status, 403, 'not by other approvers');
    is(glass($id, 'mallory')->status, 403, 'nor by anybody else');
    ok($client->quiet(0.1), 'still held');

    my $mark = $gw->ngx->mark;
    my $r = glass($id, 'olga');
    is($r->status, 200, 'one is enough') or diag $r->body;
    is($client->read->status, 200, 'executed');
    is($gw->up->last->header('Approval-By'), 'olga', 'by whom');

    my ($vote) = @{ $gw->action($id)->{votes} };
    ok($vote->{break_glass}, 'the vote is marked');
    ok($vote->{counts}, 'and counts');
    like(page($id, 'alice')->body, qr/break glass/, 'on the page, too');

    my ($voted) = grep { $_->{action_id} eq $id } $gw->audit('voted');
    ok($voted->{break_glass}, 'it is on record');
    is($voted->{comment}, 'the site is down', 'and why');
    like(slurp($gw->ngx->path('error.log')),
         qr/\[warn\].*approved by one person alone.*olga/, 'and in the log');
}

{
    my ($client, $id) = $gw->hold(POST => '/r/both');
    is($gw->vote($id, 'approve', '', 'alice')->status, 200, 'one of two');
    ok($client->quiet(0.1), 'is not enough');
    unlike(page($id, 'bob')->body, qr/alone \(break glass\)/,
           'and did not break the glass');
    is(glass($id, 'alice')->status, 200, 'the same may break the glass');
    is($client->read->status, 200, 'executed');
    is(() = page($id, 'bob')->body =~ /alone \(break glass\)/g, 1,
       'the page says which vote did');
}

{
    my ($client, $id) = $gw->hold(POST => '/r/self', agent => 'agent-9');
    is(glass($id, 'agent-9')->status, 403, 'never for oneself');
    is($gw->vote($id, 'deny', '', 'bob')->status, 200, 'denied');
    is($client->read->status, 403, 'by another');
    is(glass($id, 'olga')->status, 409, 'then the glass is too late');
}

{
    my ($client, $id) = $gw->hold(POST => '/long');
    is(glass($id, 'olga')->status, 200, 'where approvals are remembered');
    is($client->read->status, 200, 'executed');

    ($client, $id) = $gw->hold(POST => '/long');
    ok($id, 'this one is not');
    $gw->vote($id, 'approve', '', 'bob');
    is(glass($id, 'alice')->status, 200, 'the vote that completes the quorum');
    is($client->read->status, 200, 'executed');
    is($gw->send(POST => '/long')->read->status, 200,
       'is, glass or not, one of enough');
}

{
    my ($client, $id) = $gw->hold(POST => '/plain');
    is(glass($id, 'alice')->status, 403, 'not without break_glass in the rule');
    is(page($id, 'olga')->status, 403, 'nor may they look');
    $gw->vote($id, 'deny');
    $client->read;
}

for my $row (
    [ 'require admins; break_glass nobody;',
      qr/group "nobody" in "break_glass" of rule "r" has no members/ ],
    [ 'require admins; break_glass admins; break_glass admins;',
      qr/is duplicate/ ],
    [ 'allow; break_glass admins;',
      qr/"break_glass" in rule "r" has no effect/ ])
{
    my ($code, $out) = Approval::Nginx->test_conf(http =>
        'approval_group admins a; approval_redis redis://127.0.0.1;'
        . " approval_key $gw->{keys}{secret};"
        . " approval_policy p { rule r { $row->[0] } }");

    isnt($code, 0, "$row->[0] is refused");
    like($out, $row->[1], 'and says why');
}

$gw->clean;
$gw->ngx->stop;

my $audit = build_dir() . '/approval-audit';
my $log = $gw->ngx->path('audit.jsonl');
my $told = `$audit verify $log --key $gw->{keys}{public} 2>&1`;

is($?, 0, 'what was approved alone is no short quorum') or diag $told;
like($told, qr/approved by one person alone/, 'but is told of');

done_testing;
