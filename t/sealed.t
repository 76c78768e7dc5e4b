#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Somebody who can write to Redis and has no key puts back, deletes and rewrites
# what limits.  A gateway that has seen the limit refuses, and puts a "fault" on
# record; so does another gateway, and one that was restarted, while what was
# sealed or signed stands in Redis.  Each attack has its honest control.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();

my %how = (workers => 2, allow => [ qr{exited on signal 9} ], http => <<'EOF_HTTP', server => <<'EOF_SERVER');
    approval_operators admins;
    approval_policy p {
        rule uses  { match $uri ^/uses; require admins; timeout 600s;
                     remember 600s per $uri uses=3; }
        rule grant { match $uri ^/grant; require admins; timeout 600s;
                     remember 600s per $uri; }
        rule short { match $uri ^/short; require admins; timeout 4s; }
        rule r     { match $uri ^/; require admins; timeout 600s;
                     execute_within 600s; }
    }
EOF_HTTP
    approval p;
    location / { proxy_pass %%UP%%; }
EOF_SERVER

my $gw = Approval::Gateway->new(%how);
my $redis = $gw->redis;


# another gateway with the same Redis and keys, which has seen nothing

sub another {
    my $other = bless { %$gw, audit => undef }, 'Approval::Gateway';

    $other->{ngx} = Approval::Nginx->new(workers => 2,
        http => $other->conf($how{http}, $how{server}, 1, ''));

    return $other;
}


# one that has the approvers' side alone

sub desk_only {
    my $other = bless { %$gw, audit => undef }, 'Approval::Gateway';

    $other->{ngx} = Approval::Nginx->new(workers => 2,
        http => $other->conf('approval_operators admins;',
                             'location / { return 204; }', 1, ''));

    return $other;
}


# what Redis knows, and the same again; the statements about ends only on demand

sub snapshot {
    my ($match) = @_;

    return { map { $_ => [ $redis->cmd(PTTL => $_), $redis->cmd(DUMP => $_) ] }
             grep { !/:audit$/ && $_ =~ ($match // qr/./) }
             $redis->keys('approval:*') };
}


sub restore {
    my ($keys) = @_;

    $redis->cmd(RESTORE => $_, $keys->{$_}[0] < 0 ? 0 : $keys->{$_}[0],
                $keys->{$_}[1], 'REPLACE') for keys %$keys;
}


# an action as it was, without what was decided since

sub put_back {
    my ($id, $keys) = @_;

    $redis->cmd(DEL => $gw->key($id, $_)) for qw(:decision :votes);
    restore($keys);
}


sub forget_ends { $redis->cmd(DEL => $_) for $redis->keys('approval:*:end:*') }


sub api {
    my ($on, $method, $target, $json) = @_;

    return Approval::Client->new($on->port)->request($method,
        "/_approval$target", ($json ? (json => $json) : ()),
        headers => [ 'X-User' => 'alice' ]);
}


sub faults {
    my ($on, $limit) = @_;

    return scalar grep { ($_->{limit} // '') eq $limit } $on->audit('fault');
}


sub refused {
    my ($r, $type, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($r ? $r->json->{type} : 'held', "urn:approval:$type",
       "$name: refused");
}


sub approve {
    my ($on, $target) = @_;

    my ($client, $id) = $on->hold(GET => $target);

    $on->vote($id, 'approve');
    is($client->read->status, 200, "$target: approved");

    return $id;
}


sub denied {
    my ($on, $target) = @_;

    my ($client, $id) = $on->hold(GET => $target);

    my $before = snapshot();

    $on->vote($id, 'deny');
    is($client->read->status, 403, "$target: denied");

    return ($id, $before);
}


sub freeze { api($_[0], POST => '/freeze', { requester => 'agent-7' })->status }
sub thaw { api($_[0], DELETE => '/freeze?requester=agent-7')->status }


# Uses of a grant: the key restored, the count moved.

{
    approve($gw, '/uses');

    my $grant = snapshot(qr/grant/);
    my $once = sub { $_[0]->send(GET => '/uses')->try_read };

    is($once->($gw)->status, 200, "uses: number $_") for 1 .. 3;
    is($gw->hits('/uses'), 4, 'uses: the approved one, and three');

    restore($grant);
    refused($once->($gw), 'action-lost', 'uses: restored');

    restore($grant);
    my ($key) = $redis->keys('approval:*:grant:*');
    $redis->cmd(HSET => $key, u => 7, m => 100);
    refused($once->($gw), 'action-lost', 'uses: the counts moved');

    restore($grant);
    $gw->ngx->reload;
    refused($once->($gw), 'action-lost', 'uses: after a reload');

    my $other = another();
    restore($grant);
    refused($once->($other), 'action-lost', 'uses: on another gateway');
    is(faults($gw, 'grant') + faults($other, 'grant'), 4, 'uses: on record');

    is($gw->hits('/uses'), 4, 'uses: none of them was executed');

    # what docs/security.md says that remains

    forget_ends();
    restore($grant);
    is($once->($other = another())->status, 200,
       'uses: one that has not seen it, and finds no statement, uses it');
}


# Revocations.

{
    approve($gw, '/grant');

    my $grants = sub { @{ api($gw, GET => '/grants')->json->{grants} } };
    my ($id) = map { $_->{id} } grep { $_->{per} eq '/grant' } $grants->();
    my $saved = snapshot(qr/grant/);

    is($gw->send(GET => '/grant')->read->status, 200, 'revoked: before');
    is(api($gw, DELETE => "/grants/$id")->status, 200, 'revoked');

    restore($saved);
    refused($gw->send(GET => '/grant')->try_read, 'action-lost',
            'revoked: put back');
    restore($saved);
    refused(another()->send(GET => '/grant')->try_read, 'action-lost',
            'revoked: put back, on another gateway');
    is($gw->hits('/grant'), 2, 'revoked: not executed');

    # a new one under the same name, and the old one again

    restore({ %$saved });
    $redis->cmd(DEL => "approval:{00}:grant:$id");
    approve($gw, '/grant');
    is($gw->send(GET => '/grant')->read->status, 200, 'revoked: a new one');
    restore($saved);
    refused($gw->send(GET => '/grant')->try_read, 'action-lost',
            'revoked: the old one in its place');
}


# Denials: the action put back, and approved.

{
    my ($id, $before) = denied($gw, '/denied');

    put_back($id, $before);
    is($gw->state($id), 'pending', 'denied: Redis says that it was not');
    refused($gw->send(GET => '/denied')->try_read, 'denied', 'denied');

    my $vote = $gw->vote($id, 'approve', '', 'bob');
    is($vote->status, 409, 'denied: a vote is refused');
    is($vote->json->{state}, 'denied', 'denied: as decided');

    my $other = another();
    is($other->vote($id, 'approve', '', 'bob')->status, 409,
       'denied: also on another gateway');
    is(faults($gw, 'denial'), 2, 'denied: on record');
    is(faults($other, 'denial'), 1, 'denied: there, too');
    is(desk_only()->vote($id, 'approve', '', 'bob')->status, 409,
       'denied: also where no policy is');

    # by a gateway that knows nothing of it, and finds no statement

    forget_ends();
    put_back($id, $before);

    my $third = another();
    my $client = $third->send(GET => '/denied');

    ok(wait_for(sub { $third->audit('joined') }), 'denied: it is joined');
    is($third->vote($id, 'approve', '', 'bob')->status, 200,
       'denied: what remains is a vote there');
    is($client->read->status, 200, 'denied: and its execution there');

    my ($next, $before2) = denied($gw, '/denied/2');
    forget_ends();
    put_back($next, $before2);
    $third->vote($next, 'approve', '', 'bob');
    is($gw->state($next), 'approved', 'denied: approved elsewhere');
    refused($gw->send(GET => '/denied/2')->try_read, 'denied',
            'denied: and not executed here');
    is($gw->hits('/denied/2'), 0, 'denied: nowhere');
}


# Cancelled by an operator's freeze; a freeze deleted; a thaw.

{
    my ($client, $id) = $gw->hold(GET => '/stopped');
    my $before = snapshot();

    is(freeze($gw), 200, 'frozen');
    is($client->read->json->{type}, 'urn:approval:frozen', 'frozen: ended');

    my $frozen = snapshot(qr/frozen/);

    # it reads the freezes when it starts, which is to be before they are gone

    my $second = another();

    refused($second->send(GET => '/frozen')->try_read, 'frozen',
            'frozen: on another gateway');

    for my $way ('deleted', 'restored from before') {
        $redis->cmd(DEL => 'approval:{00}:frozen');
        put_back($id, $before) if $way =~ /before/;

        refused($gw->send(GET => '/frozen')->try_read, 'frozen',
                "frozen: $way");
        refused($second->send(GET => '/frozen')->try_read, 'frozen',
                "frozen: $way, on another gateway");
        is($gw->vote($id, 'approve')->status, 409,
           "frozen: $way, what ended with it is not voted on");
    }

    cmp_ok(faults($gw, 'freeze'), '>=', 2, 'frozen: on record');
    cmp_ok(faults($second, 'freeze'), '>=', 2, 'frozen: there, too');
    is(scalar(grep { $_->{target} eq '/frozen' } $gw->audit('requested')), 0,
       'frozen: nothing is asked for');

    # a forged thaw, an old one, and the operators'

    $redis->cmd(HSET => 'approval:{00}:frozen', $_, '9999999999999 -forged')
        for map { @{ $redis->cmd(HKEYS => 'approval:{00}:frozen') } }
            do { restore($frozen); 1 };
    refused($gw->send(GET => '/frozen')->try_read, 'frozen',
            'frozen: a thaw that nobody sealed');

    $redis->cmd(DEL => 'approval:{00}:frozen');
    is(thaw($gw), 200, 'thawed, though Redis had lost the freeze');
    my $thawed = snapshot(qr/frozen/);

    approve($gw, '/thawed/1');
    approve($second, '/thawed/2');
    is(thaw($gw), 404, 'thawed once');

    is(freeze($second), 200, 'frozen again, on the other gateway');
    refused($gw->send(GET => '/frozen')->try_read, 'frozen', 'frozen again');
    restore($thawed);
    refused($gw->send(GET => '/frozen')->try_read, 'frozen',
            'frozen again: the old thaw is put back');
    is(thaw($second), 200, 'thawed on the other');
    approve($gw, '/thawed/3');
    ok($redis->cmd(PTTL => 'approval:{00}:frozen') > 0, 'what says so has a TTL');

    # what was approved before a freeze

    ($client, $id) = $gw->hold(GET => '/late');
    freeze($gw);
    $redis->cmd(DEL => 'approval:{00}:frozen');
    $client->read;

    my $r = $gw->send(GET => '/late/2', headers => [ Prefer =>
                                                     'respond-async' ])->read;
    is($r->json->{type}, 'urn:approval:frozen', 'frozen: no ticket either');
    thaw($gw);
}


# Deadlines: later ones than were sealed.

{
    my ($client, $id) = $gw->hold(GET => '/short');
    my $late = 1000 * (time + 3600);

    $redis->cmd(HSET => $gw->key($id), x => $late);
    $redis->cmd(PERSIST => $gw->key($id));
    $redis->cmd(PEXPIRE => $gw->key($id), 3600_000);

    my $r = $client->read;
    is($r->json->{type}, 'urn:approval:expired', 'deadline: the hold ends');
    is(faults($gw, 'deadline'), 1, 'deadline: on record');

    # the deadline, and what an operation may take

    my ($vote) = wait_for(sub {
        my $vote = $gw->vote($id, 'deny', '', 'mallory');
        return $gw->action($id)->{state} eq 'expired' && $vote;
    }, 90);

    is($gw->vote($id, 'approve')->status, 410, 'deadline: a vote is late');
    is($gw->vote($id, 'approve')->json->{type}, 'urn:approval:expired',
       'deadline: as such');
    cmp_ok(faults($gw, 'deadline'), '>=', 2, 'deadline: it is on record');
    is($gw->hits('/short'), 0, 'deadline: not executed');
}


# Honest: what is evicted or ended is no contradiction.

{
    my $before = () = grep { $_->{limit} } $gw->audit('fault');

    my ($client, $id) = $gw->hold(GET => '/evicted');
    $redis->cmd(DEL => $gw->key($id));
    my ($again, $next) = $gw->hold(GET => '/evicted');
    isnt($next, $id, 'an evicted action is asked for again');
    $gw->vote($next, 'approve');
    is($again->read->status, 200, 'and approved');

    denied($gw, '/again');
    approve($gw, '/again/2');

    ($client, $id) = $gw->hold(GET => '/killed');
    my ($pid) = $gw->ngx->workers;
    kill 'KILL', $pid;
    ok(wait_for(sub { !grep { $_ == $pid } $gw->ngx->workers }),
       'a worker is killed');
    approve($gw, '/after');

    my $after = () = grep { $_->{limit} } $gw->audit('fault');
    is($after, $before, 'no fault of a limit is on record');
}


# The trail tells it.

{
    my $file = $gw->ngx->path('audit.jsonl');
    my $out = `@{[ build_dir() ]}/approval-audit verify --key $gw->{keys}{public} $file 2>&1`;

    for my $limit (qw(grant denial freeze deadline cancellation)) {
        like($out, qr/note .*contradicted a limit \($limit\)/, "verify tells: $limit");
    }
}

done_testing();
