#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# approval_metrics and approval_zone: the form of what Prometheus reads, and
# that each number is the number of things that happened.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;

need_module();

my $POLICIES = <<'EOF';
    approval_zone approval 256k;
    approval_channel once { type json; pass /_notify; retries 0; }
    approval_policy p {
        rule told   { match $uri ^/told;   require admins; timeout 30s;
                      notify once; }
        rule wait   { match $uri ^/wait;   require admins; timeout 30s;
                      notify hook; }
        rule short  { match $uri ^/short;  require admins; timeout 3s; }
        rule come   { match $uri ^/come;   require admins; hold 0; }
        rule reason { match $uri ^/reason; require admins; reason required; }
        rule never  { match $uri ^/never;  deny; }
        rule seen   { match $uri ^/seen;   require admins; mode shadow; }
        rule 'a "b\c' { match $uri ^/odd;  require admins; }
    }
EOF

my $gw = Approval::Gateway->new(workers => 2, http => $POLICIES,
                                server => <<'EOF');
    approval p;
    location = /metrics { approval_metrics; }
    location / { proxy_pass %%UP%%; }
    location /wait/leave { approval_disconnect cancel; proxy_pass %%UP%%; }
    location /wait/bare { approval_unsigned_decisions on; proxy_pass %%UP%%; }
    location /wait/open { approval_store_failure allow; proxy_pass %%UP%%; }
EOF


# A scrape: { 'name{labels}' => value }.  The form is checked each time.

sub scrape {
    my $r = http_get($gw->port, '/metrics');

    is($r->header('Content-Type'), 'text/plain; version=0.0.4; charset=utf-8',
       'the type that Prometheus knows') unless our $seen++;

    my (%value, %type, @bad);
    my $family = '';

    for my $line (split /\n/, $r->body) {
        if ($line =~ /^# HELP ([a-z_]+) \S[^\\"]*$/) {
            push @bad, "twice: $1" if $type{$1};
            $family = $1;

        } elsif ($line =~ /^# TYPE ([a-z_]+) (counter|gauge|histogram)$/) {
            push @bad, $line if $1 ne $family;
            $type{$1} = $2;

        } elsif ($line =~ /^(([a-z_]+)(?:\{(.*)\})?) (\d+(?:\.\d+)?)$/) {
            my ($series, $base, $labels, $value) = ($1, $2, $3 // '', $4);
            my $type = $type{$family} // '';
            my $total = $base =~ /_total$/;

            $base =~ s/_(?:bucket|sum|count)$// if $type eq 'histogram';

            push @bad, $line
                if $base ne $family || exists $value{$series}
                   || $labels !~ /^(?:[a-z]+="(?:[^"\\]|\\[\\"n])*"(?:,|$))*$/
                   || ($type eq 'counter') != $total;

            $value{$series} = $value;

        } else {
            push @bad, $line;
        }
    }

    is_deeply(\@bad, [], 'well-formed') if @bad;

    return \%value;
}


my $before = scrape();


# Exactly these have grown since the last time, by so much.

sub grown {
    my ($name, %want) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($now, %got);

    my $skip = qr/^approval_(?:audit|store|workers|notif|build)|_bucket|_sum/;

    wait_for(sub {
        $now = scrape();

        %got = map { $_ => $now->{$_} - ($before->{$_} // 0) }
               grep { $_ !~ $skip && $now->{$_} != ($before->{$_} // 0) }
               keys %$now;

        return join(' ', map { "$_=$got{$_}" } sort keys %got)
               eq join(' ', map { "$_=$want{$_}" } sort keys %want);
    });

    is_deeply(\%got, \%want, $name);

    $before = $now;
}


sub of { return qq($_[0]\{policy="p",rule="$_[1]") . ($_[2] // '') . '}' }

sub ended { return of('approval_actions_total', $_[0], qq(,outcome="$_[1]")) }

sub refused { return qq(approval_refused_total{type="$_[0]"}) }


is($before->{ of('approval_held', 'wait') }, 0, 'nothing is held');
is($before->{ ended('wait', $_) }, 0, "$_: there from the first scrape on")
    for qw(executed failed denied expired cancelled);
is($before->{ refused('denied') }, 0, 'refusals, too');
is($before->{ of('approval_shadow_total', 'seen') }, 0, 'shadow rules, too');
ok(!exists $before->{ of('approval_held', 'seen') }, 'which never hold');
ok(!exists $before->{ of('approval_held', 'never') },
   'nor do those that deny');
is($before->{ of('approval_held', 'a \\"b\\\\c') }, 0, 'labels are escaped');
is($before->{approval_workers}, 2, 'two workers');
ok(wait_for(sub { scrape()->{approval_store_up} == 1 }), 'the store is up');
ok(exists $before->{approval_store_rtt_seconds}, 'its latency');
cmp_ok($before->{approval_audit_records_total}, '>', 0, 'the trail has lines');
is($before->{approval_audit_errors_total}, 0, 'and no errors');

# What no rule concerns is not counted

$gw->send(GET => '/free')->read;
grown('ungated: nothing');

# Held, and each way out

sub told {
    my ($channel, $result) = @_;

    return scrape()->{ 'approval_notifications_total{'
                       . qq(channel="$channel",result="$result"}) };
}


# held, and the receiver has heard of it: nothing of it is on its way there

sub hold {
    my ($target) = @_;

    my $told = told('hook', 'delivered');
    my @held = $gw->hold(GET => $target);

    wait_for(sub { told('hook', 'delivered') > $told })
        or fail("$target: nobody was told");

    return @held;
}


my $told = told('hook', 'delivered');

my ($c, $id) = $gw->hold(GET => '/wait/1');
my $second = $gw->send(GET => '/wait/1');
grown('held, and joined', of('approval_held', 'wait') => 2,
      of('approval_actions_created_total', 'wait') => 1,
      of('approval_joined_total', 'wait') => 1);
ok(wait_for(sub { told('hook', 'delivered') == $told + 1 }), 'told once');

$gw->vote($id, 'approve');
$_->read for $c, $second;
grown('approved, executed', of('approval_held', 'wait') => -2,
      of('approval_actions_approved_total', 'wait') => 1,
      of('approval_decision_seconds_count', 'wait') => 1,
      refused('already-executed') => 1, ended('wait', 'executed') => 1);

my $took = $before->{ of('approval_decision_seconds_sum', 'wait') };

cmp_ok($took, '>', 0, 'the sum');
is($before->{ of('approval_decision_seconds_bucket', 'wait', ',le="5"') },
   $took <= 5 ? 1 : 0, 'within five seconds, or not');
is($before->{ of('approval_decision_seconds_bucket', 'wait', ',le="+Inf"') },
   1, 'and within any time');

($c, $id) = hold('/wait/2');
$gw->vote($id, 'comment', 'hm');
$gw->vote($id, 'deny');
$gw->vote($id, 'approve', '', 'bob');
$c->read;
grown('denied once, whatever comes later',
      of('approval_actions_created_total', 'wait') => 1,
      of('approval_decision_seconds_count', 'wait') => 1,
      refused('denied') => 1, ended('wait', 'denied') => 1);

($c) = $gw->hold(GET => '/short/1');
$c->read;
grown('expired', of('approval_actions_created_total', 'short') => 1,
      refused('expired') => 1, ended('short', 'expired') => 1);

($c) = hold('/wait/leave');
$c->close;
grown('cancelled', of('approval_actions_created_total', 'wait') => 1,
      ended('wait', 'cancelled') => 1);

for my $how ([ approve => of('approval_actions_approved_total', 'wait'),
               ended('wait', 'executed') ],
             [ deny => refused('denied'), ended('wait', 'denied') ])
{
    my ($value, @more) = @$how;

    ($c, $id) = hold('/wait/bare');
    $gw->set($id, $value);
    $c->read;
    grown("a bare $value", of('approval_actions_created_total', 'wait') => 1,
          of('approval_decision_seconds_count', 'wait') => 1,
          map { $_ => 1 } @more);
}

# A receiver that fails

$gw->hook->script({ status => 500 }, { status => 204 });
$told = told('hook', 'delivered');
my $failed = told('hook', 'failed');
($c, $id) = $gw->hold(GET => '/wait/told');
ok(wait_for(sub { told('hook', 'retried') == 1 }), 'it will be told again');
ok(wait_for(sub { told('hook', 'delivered') == $told + 1 }), 'and is');
is(told('hook', 'failed'), $failed, 'it did not fail');
$gw->vote($id, 'deny');
$c->read;

$gw->hook->script({ status => 500 });
($c, $id) = $gw->hold(GET => '/told');
ok(wait_for(sub { told('once', 'failed') == 1 }), 'another channel gives up');
is(told('once', 'retried'), 0, 'at once');
$gw->vote($id, 'deny');
$c->read;
$gw->hook->script({ status => 204 });

wait_for(sub { my $now = scrape();
               !grep { $now->{ of('approval_held', $_) } } qw(wait told) });
$before = scrape();

# 202, and the ticket that nobody redeems: the reaper counts its end

$c = $gw->send(GET => '/short/2', headers => [ Prefer => 'respond-async' ]);
is($c->read->status, 202, 'answered 202');
grown('a ticket', of('approval_actions_created_total', 'short') => 1,
      of('approval_accepted_total', 'short') => 1);
ok(wait_for(sub { !$gw->pending }), 'nobody waits for it');
grown('it expired', ended('short', 'expired') => 1);

# 503 pending is no refusal

$c = $gw->send(GET => '/come/1')->read;
is($c->status, 503, 'told to come again');
grown('pending', of('approval_actions_created_total', 'come') => 1,
      of('approval_pending_total', 'come') => 1);
$gw->vote($c->header('Approval-Id'), 'deny');
$before = scrape();

# Refused before there is an action

$gw->send(GET => '/never')->read;
grown('denied by a rule', refused('policy') => 1);
$gw->send(GET => '/reason')->read;
grown('no reason', refused('reason-required') => 1);
$gw->send(GET => '/wait/3', agent => undef)->read;
grown('no identity', refused('identity-required') => 1);

is($gw->send(GET => '/seen/1')->read->status, 200, 'shadow passes');
grown('shadow', of('approval_shadow_total', 'seen') => 1);

# A reload loses nothing; a worker that dies takes what it held with it

($c, $id) = $gw->hold(GET => '/wait/4');
grown('held over a reload', of('approval_held', 'wait') => 1,
      of('approval_actions_created_total', 'wait') => 1);
$gw->ngx->reload;
grown('nothing is lost');
ok(wait_for(sub { scrape()->{approval_workers} == 3 }),
   'the old worker that holds it counts');
$gw->vote($id, 'deny');
$c->read;
$c->close;
grown('it ends in the old worker', of('approval_held', 'wait') => -1,
      of('approval_decision_seconds_count', 'wait') => 1,
      refused('denied') => 1, ended('wait', 'denied') => 1);
ok(wait_for(sub { scrape()->{approval_workers} == 2 }), 'which quits');

# nginx counts the connections of a dead worker for ever: this is last

$gw->clean('nothing is left behind');

($c, $id) = $gw->hold(GET => '/wait/5');
grown('held', of('approval_held', 'wait') => 1,
      of('approval_actions_created_total', 'wait') => 1);
$gw->ngx->kill_worker($_) for $gw->ngx->workers;
grown('the workers died', of('approval_held', 'wait') => -1);
is($before->{approval_workers}, 2, 'two new ones');
$c = $gw->send(GET => '/wait/5');
grown('and the retry', of('approval_held', 'wait') => 1,
      of('approval_joined_total', 'wait') => 1);
$gw->vote($id, 'deny');
$c->read;
ok(wait_for(sub { scrape()->{ of('approval_held', 'wait') } == 0 }),
   'is let go');

# Other rules: theirs begin at 0, the others go on

$before = scrape();
(my $more = $POLICIES)
    =~ s/rule never/rule new { match \$uri ^\/new; require admins; } rule never/;
$gw->ngx->reload(http => $gw->conf($more, <<'EOF', 1, ''));
    approval p;
    location = /metrics { approval_metrics; }
    location / { proxy_pass %%UP%%; }
    location /wait/open { approval_store_failure allow; proxy_pass %%UP%%; }
EOF
grown('a new rule');
is($before->{ ended('new', 'executed') }, 0, 'is there');
($c, $id) = $gw->hold(GET => '/new');
grown('it holds', of('approval_held', 'new') => 1,
      of('approval_actions_created_total', 'new') => 1);
$gw->vote($id, 'approve');
is($c->read->status, 200, 'and lets go');
grown('counted', of('approval_held', 'new') => -1,
      of('approval_actions_approved_total', 'new') => 1,
      of('approval_decision_seconds_count', 'new') => 1,
      ended('new', 'executed') => 1);

# The dashboard and the alerts name metrics that there are, and all of them

my $text = http_get($gw->port, '/metrics')->body;
my %there = map { $_ => 1 } $text =~ /^# TYPE (\w+) /mg;
my $json = slurp('conf/examples/grafana.json');
my $dashboard = decode_json($json);

cmp_ok(scalar @{ $dashboard->{panels} }, '>', 10, 'the dashboard has panels');

my %named;

for my $panel (@{ $dashboard->{panels} }) {
    ok($panel->{title} && @{ $panel->{targets} }, "panel $panel->{id}");
    $named{$_}++ for map { $_->{expr} =~ /\b(approval_\w+)/g }
                         @{ $panel->{targets} };
}

$named{$_}++ for $json =~ /label_values\((\w+)/g;

my @alerts = slurp('conf/examples/prometheus.yml') =~ /expr:(.*?)(?=for:|- alert|\z)/sg;
cmp_ok(scalar @alerts, '>', 5, 'there are alerts');
$named{$_}++ for map { /\b(approval_\w+)/g } @alerts;

s/_(?:bucket|sum|count)$// for my @names = keys %named;

is_deeply([ grep { !$there{$_} } sort @names ], [], 'no metric is made up');
my %used = map { $_ => 1 } @names;
is_deeply([ grep { !$used{$_} } sort keys %there ], [], 'none is left out');
my $doc = slurp('docs/directives.md');
is_deeply([ grep { $doc !~ /`$_`/ } sort keys %there ], [],
          'and all are documented');

# The store, away

$before = scrape();
$gw->redis->stop;
ok(wait_for(sub { scrape()->{approval_store_up} == 0 }), 'the store is down');
is($gw->send(GET => '/wait/6')->read->status, 503, 'refused');
is($gw->send(GET => '/wait/open')->read->status, 200, 'passed');
grown('both are counted', refused('store-unavailable') => 1,
      of('approval_unstored_total', 'wait') => 1);
my $reconnects = $before->{approval_store_reconnects_total};
$gw->redis->start;
ok(wait_for(sub { scrape()->{approval_store_up} == 1 }), 'and up again');
ok(wait_for(sub { scrape()->{approval_store_reconnects_total}
                  > $reconnects }), 'by a new link');

refusals();

# Not gated, whatever the server says; nothing but GET and HEAD

is(http_get($gw->port, '/metrics')->status, 200, 'GET');
is(Approval::Client->new($gw->port)->request(POST => '/metrics')->status, 405,
   'POST');

# nginx -t

sub conf {
    my ($http, $server) = @_;

    return Approval::Nginx->test_conf(
        http => "$http server { listen 127.0.0.1:%%PORT%%; $server }");
}

for (
    [ 'approval_zone a 16k;', '', qr/"approval_zone a" is too small/,
      'a small zone' ],
    [ 'approval_zone a x;', '', qr/invalid size "x"/, 'no size' ],
    [ 'approval_zone a 1m; approval_zone b 1m;', '', qr/is duplicate/,
      'two zones' ],
    [ 'approval_zone a 1m; approval_policy p { rule r { match $uri /; deny; } }',
      'location / { approval p; approval_metrics; }',
      qr/and "approval_metrics" are in one location/, 'gated' ],
    [ 'approval_zone a 64k; approval_policy p { '
      . join('', map { "rule r$_ { match \$uri /$_; deny; }" } 1 .. 200)
      . '}', '', qr/is too small for the counters of/,
      'more rules than it holds' ],
) {
    my ($http, $server, $like, $name) = @$_;
    my ($code, $out) = conf($http, $server);

    isnt($code, 0, "$name: refused");
    like($out, $like, "$name: says why");
}

for my $zone ('approval_zone a 1m;', '') {
    my ($code, $out) = conf($zone, 'location / { approval_metrics; }');
    is($code, 0, "a good one: \"$zone\"") or diag($out);
}

ok(wait_for(sub { !$gw->pending && !$gw->redis->keys_without_ttl }),
   'nothing is left in Redis');
done_testing;


# The link is there, and what is written is refused: nobody has to send a
# request to find that out

sub refusals {
    my $redis = $gw->redis;
    my $dump = $redis->dir . '/dump.rdb';

    for ([ 'OOM', sub { $redis->cmd(CONFIG => SET => 'maxmemory', 1) },
           sub { $redis->cmd(CONFIG => SET => 'maxmemory', 0) } ],
         [ 'NOREPLICAS',
           sub { $redis->cmd(CONFIG => SET => 'min-replicas-to-write', 1) },
           sub { $redis->cmd(CONFIG => SET => 'min-replicas-to-write', 0) } ],
         [ 'MISCONF', sub { cannot_save($redis, $dump) },
           sub { $redis->cmd(CONFIG => SET => 'save', ''); rmdir($dump) } ],
         [ 'NOPERM', sub { $redis->cmd(ACL => SETUSER => 'default', '-set') },
           sub { $redis->cmd(ACL => SETUSER => 'default', '+set') } ],
         [ 'READONLY', sub { $redis->cmd(REPLICAOF => '127.0.0.1', 1) },
           sub { $redis->cmd(REPLICAOF => 'NO', 'ONE') } ])
    {
        my ($name, $on, $off) = @$_;
        my $mark = $gw->ngx->mark;

        $on->();
        ok(wait_for(sub { scrape()->{approval_store_up} == 0 }),
           "$name: the store is down");
        $gw->ngx->log_like(qr/refused "\w+": $name: |unavailable: $name/,
                           "$name: logged", since => $mark);
        $off->();
        ok(wait_for(sub { scrape()->{approval_store_up} == 1 }),
           "$name: and up again");
        $gw->ngx->log_like(qr/accepts writes again|is ready/, "$name: logged, too",
                           since => $mark);
    }

    # what only one script needs, by a request that needs it

    $redis->cmd(ACL => SETUSER => 'default', '-hset');
    is($gw->send(GET => '/wait/7')->read->status, 503, '-hset: refused');
    ok(wait_for(sub { scrape()->{approval_store_up} == 0 }),
       '-hset: the store is down');
    $redis->cmd(ACL => SETUSER => 'default', '+hset');
    ok(wait_for(sub { scrape()->{approval_store_up} == 1 }),
       '-hset: up again, later');
}


# its file is a directory

sub cannot_save {
    my ($redis, $dump) = @_;

    mkdir($dump) or die "$dump: $!";
    $redis->cmd(CONFIG => SET => 'save', '3600 1000');
    $redis->cmd('BGSAVE');

    wait_for(sub {
        $redis->cmd(INFO => 'persistence') =~ /^rdb_last_bgsave_status:err/m;
    }) or die 'Redis can save';
}
