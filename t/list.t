#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Lists are read from indexes: what a page costs Redis is counted in commands
# and in members looked at, and does not grow with the history, nor with what
# others have pending.  t/bench/list.pl measures the time.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Gateway;
use Approval::Scripts;
use Approval::Test;

need_module();

my $gw = Approval::Gateway->new(http => <<'END', server => <<'END');
    approval_group few dora;
    approval_group audit eve;
    approval_auditors audit;
    approval_policy p {
        rule many  { match $uri ^/many; require admins; timeout 1h; }
        rule short { match $uri ^/short; require admins; timeout 1h; }
        rule some  { match $uri ^/some; require few; timeout 1h;
                     break_glass few; }
    }
END
    approval p;
    location / { empty_gif; }
END

my (%ids, %start);

for my $row ([ many => 'agent-7', 120 ], [ some => 'agent-8', 3 ],
             [ short => 'agent-9', 3 ])
{
    my ($rule, $agent, $n) = @$row;

    $start{$rule} = now();

    for (1 .. $n) {
        my $r = $gw->send(GET => "/$rule/$_", agent => $agent,
                          headers => [ Prefer => 'respond-async' ])->read;
        unshift @{ $ids{$rule} }, $r->json->{id};
    }
}

$gw->vote($ids{short}[0], 'deny');
$gw->vote($ids{short}[1], 'approve');

my ($denied, $approved, $open) = @{ $ids{short} };


sub now {
    my ($s, $us) = @{ $gw->redis->cmd('TIME') };
    my @t = gmtime $s;

    select undef, undef, undef, 0.002;

    return sprintf('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', $t[5] + 1900,
                   $t[4] + 1, @t[3, 2, 1, 0], $us / 1000);
}


sub list {
    my ($who, $query) = @_;

    return http_get($gw->port, "/_approval/actions$query",
                    headers => [ 'X-User' => $who ])->json;
}

sub ids { [ map { $_->{id} } @{ list(@_)->{actions} } ] }


# [ name, approver, query, ids ]: each is a look-up

my @looked = (
    [ 'state', alice => '?state=denied', [ $denied ] ],
    [ 'several states', alice => '?state=denied,expired', [ $denied ] ],
    [ 'rule', alice => '?rule=short', [ $denied, $approved, $open ] ],
    [ 'rule of nobody', alice => '?rule=none', [ ] ],
    [ 'approver', dora => '', $ids{some} ],
    [ 'approver, none', carol => '', [ ] ],
    [ 'requester', alice => '?requester=agent-9',
      [ $denied, $approved, $open ] ],
    [ 'requester, none', alice => '?requester=agent-1', [ ] ],
    [ 'since', alice => "?since=$start{short}&rule=short",
      [ $denied, $approved, $open ] ],
    [ 'since now', alice => '?since=' . now(), [ ] ],
    [ 'until', dora => "?until=$start{many}", [ ] ],
    [ 'until and since', dora => "?since=$start{some}&until=$start{short}",
      $ids{some} ],
    [ 'state and rule', alice => '?state=denied&rule=many', [ ] ],
    [ 'state and approver', dora => '?state=pending', $ids{some} ],
    [ 'page', alice => '?state=pending&limit=5', [ $open,
                                          @{ $ids{many} }[ 0 .. 3 ] ] ],
);


# What Redis did: commands by scripts, and members that the index gave

sub work {
    my ($code) = @_;

    $gw->redis->cmd(CONFIG => 'RESETSTAT');
    $code->();

    my $stats = $gw->redis->cmd(INFO => 'commandstats');
    my %calls = $stats =~ /^cmdstat_(\w+):calls=(\d+)/mg;

    return { map { $_ => $calls{$_} // 0 }
             qw(hmget lrange zrevrangebylex hgetall lindex) };
}

my %before;

for my $row (@looked) {
    my ($name, $who, $query, $ids) = @$row;
    my $got;

    $before{$name} = work(sub { $got = ids($who, $query) });
    is_deeply($got, $ids, "$name: what is meant") or diag("@$got");
    cmp_ok($before{$name}{hmget}, '<=', 2 * 101 + 2 * @$ids,
           "$name: what is meant is read, and at most a page");
}

# Picked from what the index gives: who voted.  Auditors read all of it.

my $voter = $gw->action($denied)->{votes}[0]{approver};

is_deeply(ids(alice => "?approver=$voter&rule=short"), [ $denied, $approved ],
          'what an approver voted on');
is_deeply(ids(alice => '?approver=dora'), [ ], '... and what not');

my $every = [ $denied, $approved, $open, @{ $ids{some} }, @{ $ids{many} } ];

is_deeply(ids(eve => '?limit=200'), $every, 'an auditor reads of all');
is_deeply(ids(eve => '?rule=some'), $ids{some}, '... of a rule');
is_deeply(ids(eve => "?approver=$voter"), [ $denied, $approved ],
          '... of an approver');

my $page = page(eve => "actions/$open");

is($page->status, 200, '... and each action');
unlike($page->body, qr/<form/, '... where nothing can be done');
is(http_post($gw->port, "/_approval/actions/$open/decision",
       '{"decision":"comment","comment":"hm"}',
       headers => [ 'X-User' => 'eve', 'Content-Type' => 'application/json' ]
       )->status, 403,
   'who is an auditor only may not even comment');
unlike(page(eve => '')->body, qr{actions/[0-9a-f]{32}},
       'nothing waits for an auditor');
like(page(eve => '?view=history&rule=some')->body, qr{actions/$ids{some}[0]},
     '... who finds it in the history');


sub page {
    my ($who, $path) = @_;

    return http_get($gw->port, "/_approval/$path", headers =>
                    [ 'X-User' => $who, Accept => 'text/html' ]);
}


my $inbox = sub {
    my $body = page(dora => '')->body;
    my %got = map { $_ => 1 } $body =~ m{actions/([0-9a-f]{32})}g;

    return [ sort keys %got ];
};

my $shown;
$before{inbox} = work(sub { $shown = $inbox->() });
is_deeply($shown, [ sort @{ $ids{some} } ], 'the inbox');


# A history of others, with a document that cannot be opened: to look at it
# would be to read it.

Approval::Scripts->new->history($gw->redis, 20_000);

for my $row (@looked) {
    my ($name, $who, $query, $ids) = @$row;

    # with these the history is meant, too

    next if $name eq 'until'
            || $name =~ /^(?:rule|approver|requester|until|since)/ && @$ids;

    my $got;
    my $after = work(sub { $got = ids($who, $query) });

    is_deeply($got, $ids, "$name: the same, with a history");
    cmp_ok($after->{hmget} + $after->{lrange}, '<=',
           $before{$name}{hmget} + $before{$name}{lrange} + 4,
           "$name: at no more cost") or diag(explain($after, $before{$name}));
    cmp_ok($after->{lindex}, '<=', 80, "$name: found by halves");
}

my $after = work(sub { $shown = $inbox->() });
is_deeply($shown, [ sort @{ $ids{some} } ], 'the inbox, with a history');
is_deeply($after, $before{inbox}, 'at the same cost');

# newest first: the history is behind what is newer

is_deeply(ids(alice => '?rule=short&limit=3'), [ $denied, $approved, $open ],
          'a rule: the newest');
is_deeply(ids(alice => '?requester=agent-9&limit=3'),
          [ $denied, $approved, $open ], 'a requester: the newest');


# What the index cannot know is picked, and the reply says when it stopped.

my $list = list(alice => '?requester=agent-9&state=denied');
is_deeply([ map { $_->{id} } @{ $list->{actions} } ], [ $denied ],
          'a requester and a state: found');
ok($list->{partial}, '... and not all was looked at');
like($list->{next}, qr/^[\w-]+$/, '... which the cursor goes on with');

$list = list(alice => '?state=denied');
ok(!exists $list->{partial}, 'a look-up is whole');

done_testing();
