#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# kubectl through conf/examples/kubernetes.conf: what a person sees of each
# verb, how many messages ask people, and what the API server is told to do.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Kubernetes;

need('redis-server', 'openssl', 'curl', 'kubectl');
need_module();

my $conf = root_dir() . '/conf/examples/kubernetes.conf';
my $script = root_dir() . '/conf/examples/kubernetes.pl';
my $dir = tempdir();

# from 1.31 on kubectl tries WebSocket first: see below

my $spdy = { KUBECTL_REMOTE_COMMAND_WEBSOCKETS => 'false',
             KUBECTL_PORT_FORWARD_WEBSOCKETS => 'false' };

my @sre = ('alice@example.com', 'bob@example.com');
my @security = ('erin@example.com', 'frank@example.com');
my $apps = '/apis/apps/v1/namespaces/prod/deployments';
my $pods = '/api/v1/namespaces/prod/pods';
my $secrets = '/api/v1/namespaces/prod/secrets';
my @now = ('--wait=false');

my ($minor) = `kubectl version --client 2>&1` =~ /v1\.(\d+)/;
my $by_websocket = ($minor // 0) >= 31;


# NAME is another one in each run.  "votes" approve; the first one denies.

sub row {
    my ($name, $rule, $done, $args, %more) = @_;

    return { name => $name, rule => $rule, done => $done, args => $args,
             votes => [ $sre[0] ], told => 2, says => qr/^/, status => 0,
             also => '', %more };
}

my @shell = (status => 256, says => qr/NAME runs no such thing/);
my @secret = (votes => [ $sre[0], $security[0] ], told => 4);
my @two = (votes => \@sre);

my @rows = (
    row(exec => 'exec', "POST $pods/NAME/exec",
        [ $spdy, qw(exec NAME -- sh -c), 'rm -rf /data' ], @shell),
    row(attach => 'exec', "POST $pods/NAME/attach", [ $spdy, qw(attach NAME) ],
        @shell),
    row('port-forward' => 'exec', "POST $pods/NAME/portforward",
        [ $spdy, qw(port-forward NAME :80) ], @shell),
    row('a pod by proxy' => 'proxy', "GET $pods/NAME/proxy/metrics",
        [ qw(get --raw), "$pods/NAME/proxy/metrics" ], raw => 1,
        says => qr/^the proxied answer$/m),
    row('a service by proxy' => 'proxy',
        'GET /api/v1/namespaces/prod/services/https:NAME:443/proxy/A/b',
        [ qw(get --raw),
          '/api/v1/namespaces/prod/services/https:NAME:443/proxy/A/b' ],
        raw => 1, says => qr/^the proxied answer$/m),
    row('a node by proxy' => 'node-proxy',
        'GET /api/v1/nodes/NAME/proxy/runningpods/',
        [ qw(get --raw /api/v1/nodes/NAME/proxy/runningpods/) ], raw => 1,
        votes => [ $security[0] ], says => qr/^the proxied answer$/m),
    row(drain => 'evict', "POST $pods/on-NAME/eviction",
        [ qw(drain NAME --force) ], also => 'PATCH /api/v1/nodes/NAME',
        says => qr{^pod/on-NAME evicted$}m),
    row('delete' => 'delete', "DELETE $pods/NAME", [ qw(delete pod NAME) ],
        says => qr/^pod "NAME" deleted/m),
    row('delete a deployment' => 'delete', "DELETE $apps/NAME",
        [ qw(delete deployment NAME), @now ], says => qr/deleted/),
    row(deletecollection => 'delete', "DELETE $pods",
        [ qw(delete --raw), "$pods?labelSelector=app%3DNAME" ], raw => 1),
    row('delete a namespace' => 'delete-namespace',
        'DELETE /api/v1/namespaces/prod-NAME',
        [ qw(delete namespace prod-NAME), @now ], @two, says => qr/deleted/),
    row('delete a node' => 'delete-cluster', 'DELETE /api/v1/nodes/NAME',
        [ qw(delete node NAME), @now ], @two, says => qr/deleted/),
    row(scale => 'scale-to-nothing', "PATCH $apps/NAME/scale",
        [ qw(scale deployment NAME --replicas=0) ], says => qr/scaled$/m),
    row('a strategic patch' => 'scale-to-nothing', "PATCH $apps/NAME",
        [ qw(patch deployment NAME -p {"spec":{"replicas":0}}) ],
        says => qr/patched/),
    row('a merge patch' => 'scale-to-nothing', "PATCH $apps/NAME",
        [ qw(patch deployment NAME --type merge -p {"spec":{"replicas":0}}) ],
        says => qr/patched/),
    row('a JSON patch' => 'json-patch', "PATCH $apps/NAME",
        [ qw(patch deployment NAME --type json -p),
          '[{"op":"copy","from":"/spec/minReadySeconds",'
          . '"path":"/spec/replicas"}]' ], says => qr/patched/),
    row(apply => 'scale-to-nothing', "PATCH $apps/NAME",
        [ qw(apply --validate=false -f DEPLOYMENT0) ],
        says => qr/configured$/m),
    row('server-side apply' => 'scale-to-nothing', "PATCH $apps/NAME",
        [ qw(apply --validate=false --server-side -f DEPLOYMENT0) ],
        says => qr/serverside-applied$/m),
    row(replace => 'scale-to-nothing', "PUT $apps/NAME",
        [ qw(replace --validate=false -f DEPLOYMENT0) ],
        says => qr/replaced$/m),
    row('get a secret' => 'secrets', "GET $secrets/NAME",
        [ qw(get secret NAME) ], @secret, says => qr/^NAME /m),
    row('list secrets' => 'secrets', 'GET /api/v1/secrets',
        [ qw(get secrets -A --field-selector metadata.name=NAME) ], @secret,
        says => qr/NAME/),
    row('watch secrets' => 'secrets', 'GET /api/v1/watch/namespaces/NAME/secrets',
        [ qw(get --raw /api/v1/watch/namespaces/NAME/secrets) ], raw => 1,
        @secret),
    row('create a secret' => 'secrets', "POST $secrets",
        [ qw(create secret generic NAME --from-literal=pin=canary-1) ],
        @secret, says => qr/created$/m),
);

my $n = 0;


# a file of the name

sub manifest {
    my ($name, $replicas) = @_;

    my $file = "$dir/$name-$replicas.json";

    spew($file, encode_json({
        apiVersion => 'apps/v1', kind => 'Deployment',
        metadata => { name => $name, namespace => 'prod' },
        spec => { replicas => 0 + $replicas,
                  selector => { matchLabels => { app => $name } },
                  template => { metadata => { labels => { app => $name } },
                                spec => { containers => [
                                    { name => 'main', image => 'web' } ] } } },
    }));

    return $file;
}


sub named {
    my ($name, @texts) = @_;

    return map {
        ref $_ ? $_ : s/DEPLOYMENT(\d)/manifest($name, $1)/er =~ s/NAME/$name/gr
    } @texts;
}


# kubectl with a row's arguments, begun

sub begin {
    my ($k, $row) = @_;

    my $name = 'web-' . ++$n;
    my ($done, $also, $says) = named($name, @$row{qw(done also)},
                                     "$row->{says}");

    my @before = $k->done;

    return { %$row, done => $done, also => $also, says => qr/$says/,
             args => [ named($name, @{ $row->{args} }) ],
             k => $k, known => $k->gateway->messages,
             before => scalar @before };
}


sub again {
    my ($job) = @_;

    $job->{kubectl} = $job->{k}->kubectl(@{ $job->{args} });

    return $job;
}


# the action that it made, and what its messages say

sub asks {
    my ($job) = @_;

    my $g = $job->{k}->gateway;
    my ($id) = wait_for(sub {
        (grep { !$job->{known}{$_} } keys %{ $g->messages })[0];
    });

    $job->{id} = $id;

    ok($id, "$job->{name}: it is held") or return;
    ok(wait_for(sub { ($g->messages->{$id} // 0) >= $job->{told} }),
       "$job->{name}: people are asked");

    my ($data) = grep { $_->{id} eq $id }
                 map { decode_json($_->body)->{data} } $g->hook->messages;

    is($data->{rule}, $job->{rule}, "$job->{name}: by its rule");

    return $data;
}


# the end: what kubectl says, and what happened in all

sub ends {
    my ($job, $case, $status, $says, @done) = @_;

    my $k = $job->{k};
    my ($code, $text) = $k->said($job->{kubectl});
    my $name = "$job->{name}, $case";

    is($code, $status, "$name: kubectl's status") or diag($text);
    like($text, $says, "$name: what it says");

    my %asked = %{ $k->gateway->messages };
    my $new = join ' ', map { $asked{$_} }
                        grep { !$job->{known}{$_} } sort keys %asked;

    is($new, $job->{told}, "$name: one action, a message for each approver");
    my @all = $k->done;

    is_deeply([ grep { $_ ne $job->{also} } @all[ $job->{before} .. $#all ] ],
              \@done, "$name: what is executed");
}


# --- the file is what the script makes of it

{
    my $copy = "$dir/kubernetes.conf";

    spew($copy, slurp($conf));
    is(system($^X, '-i', $script, $copy), 0, 'the script takes the example');
    is(slurp($copy), slurp($conf), 'and changes nothing');

    spew($copy, slurp($conf) =~ s/pods\/eviction prod\*/pods\/eviction live,x-*/r);
    system($^X, '-i', $script, $copy);
    like(slurp($copy), qr{"~\^/api/v1/namespaces/\(\?<namespace>live\|x-\[\^/\]\*\)/\(\?<resource>pods\)/\(\?<name>\[\^/\]\+\)/\(\?<sub>eviction\)/\?\$";$}m,
         'another namespace makes another line');

    for ([ '#= eat pods', qr/:1: there is no verb "eat"$/m ],
         [ '#= get', qr/:1: not "#= VERBS RESOURCES \[NAMESPACES\]"$/m ],
         [ '#= get po"ds', qr/:1: not a name: "po"ds"$/m ])
    {
        spew($copy, "$_->[0]\n");

        my $out = `$^X $script $copy 2>&1`;

        isnt($?, 0, "$_->[0] is refused");
        like($out, $_->[1], 'and says why');
    }
}


# --- as the file says

my $k = Approval::Kubernetes->start;
my $g = $k->gateway;

for my $row (@rows) {
    my $job = again(begin($k, $row));
    my $data = asks($job) or next;

    is($g->vote($job->{id}, 'approve', '', @{ $row->{votes} }),
       join(' ', map { 200 } @{ $row->{votes} }), "$row->{name}: approved");
    ends($job, 'approved', $row->{status}, $job->{says}, $job->{done});

    is($data->{show}{command},
       '4 readings: "sh", "-c", "rm -rf /data", "sh,-c,rm -rf /data"',
       'exec: the whole command is shown') if $row->{name} eq 'exec';

    # by WebSocket first, where kubectl knows it

    $job = begin($k, $row);
    shift @{ $job->{args} } if ref $job->{args}[0];
    again($job);
    asks($job) or next;

    $g->vote($job->{id}, 'deny', 'use the archive job', $row->{votes}[-1]);
    ends($job, 'denied', 256, qr/use the archive job/);
}

for my $row (
    [ 'pods' => qw(get pods) ],
    [ 'all events' => qw(get --raw /api/v1/events) ],
    [ 'a pod elsewhere' => qw(delete pod x -n dev --wait=false) ],
    [ 'scale up' => qw(scale deployment up --replicas=5) ],
    [ 'a patch of another member' => qw(patch deployment up -p),
      '{"spec":{"replicas":5,"minReadySeconds":0}}' ],
    [ 'a JSON patch elsewhere' => qw(patch deployment up --type json -p),
      '[{"op":"replace","path":"/spec/template/spec/replicas","value":0}]' ],
    [ 'apply' => qw(apply --validate=false -f DEPLOYMENT5) ],
    [ 'server-side apply' =>
      qw(apply --validate=false --server-side -f DEPLOYMENT5) ],
    [ 'cordon' => qw(cordon node-2) ])
{
    my ($name, @args) = @$row;
    my $known = keys %{ $g->messages };
    my ($code, $text) = $k->said($k->kubectl(named('up', @args)));

    is($code, $name eq 'all events' ? 256 : 0, "$name: of no concern")
        or diag($text);
    is(keys %{ $g->messages }, $known, "$name: nobody is asked");
}


# --- interrupted and sent again; twice at once

{
    my $row = row('again', 'delete', "DELETE $pods/NAME",
                  [ qw(delete pod NAME), @now ]);
    my $job = again(begin($k, $row));

    asks($job);
    $job->{kubectl}{process}->kill_group;
    again($job);
    ok($g->joined($job->{id}), 'interrupted, the same command joins');
    $g->vote($job->{id}, 'approve', '', $sre[0]);
    ends($job, 'interrupted', 0, qr/deleted/, $job->{done});

    $job = again(begin($k, $row));
    asks($job);

    my $first = $job->{kubectl};

    again($job);
    ok($g->joined($job->{id}), 'parallel: the second joins');
    $g->vote($job->{id}, 'approve', '', $sre[0]);

    my @said = map { [ $k->said($_) ] } $first, $job->{kubectl};
    my @well = grep { $_->[0] == 0 } @said;
    my ($failed) = grep { $_->[0] != 0 } @said;

    is(scalar @well, 1, 'parallel: one is well');
    like($failed->[1] // '', qr/The approval has been used/,
         'parallel: the other says why');
    is(scalar(grep { $_ eq $job->{done} } $k->done), 1, 'parallel: done once');
    is($g->messages->{ $job->{id} }, 2, 'parallel: people are asked once');
}


# --- withdrawn: by the status URL, with the user's certificate

{
    my $job = again(begin($k, row('withdrawn', 'delete', "DELETE $pods/NAME",
                                  [ qw(delete pod NAME), @now ])));
    asks($job);

    my @withdraw = (-X => 'DELETE',
        "https://approvals.example.com/_approval/status/$job->{id}");

    is($g->curl(@withdraw)->status, 403, 'withdrawn: not without a certificate');
    is($g->curl($k->user, @withdraw)->status, 200, 'withdrawn: by the user');
    ends($job, 'withdrawn', 256, qr/This request was cancelled/);
}


# --- whom it impersonates is shown, and passed on

{
    my $row = row('as another', 'delete', "DELETE $pods/NAME",
                  [ qw(delete pod NAME), @now, qw(--as carol --as-group ops
                       --as-group system:masters) ]);
    my $job = again(begin($k, $row));
    my $data = asks($job);

    is($data->{on_behalf_of}, 'carol', 'as another: on whose behalf');
    is($data->{show}{'as-group'},
       '4 readings: "ops", "system:masters", "ops, system:masters", '
       . '"ops,system:masters"',
       'as another: with which groups');

    $g->vote($job->{id}, 'approve', '', $sre[0]);
    ends($job, 'approved', 0, qr/deleted/, $job->{done});

    my ($request) = grep { $_->method . ' ' . $_->target eq $job->{done} }
                    $g->up->requests;

    is_deeply([ map { [ $request->headers($_) ] }
                    qw(X-Remote-User Impersonate-User Impersonate-Group) ],
              [ [ 'dev' ], [ 'carol' ], [ 'ops', 'system:masters' ] ],
              'as another: as the API server reads it');
}


# --- a secret is read before it is changed, and its values are nowhere

{
    spew("$dir/secret.json", encode_json({
        apiVersion => 'v1', kind => 'Secret', metadata => { name => 'db' },
        data => { pin => 'Y2FuYXJ5LTE=' }, stringData => { q => 'canary-1' } }));

    for my $args ([ qw(apply --validate=false -f), "$dir/secret.json" ],
                  [ qw(create -f), "$dir/secret.json" ],
                  [ qw(patch secret db --type json -p),
                    '[{"op":"add","path":"/data/x","value":"Y2FuYXJ5LTE="}]' ])
    {
        my $kubectl = $k->kubectl(@$args, $args->[0] eq 'create'
                                          ? '--validate=false' : ());
        my (@ids, @pages);

        until ($kubectl->{process}->wait_exit(0.1)) {
            my ($id) = grep { !$k->{voted}{$_}++ } $g->open_actions or next;
            my $link = $g->links($id, 4)->{ $sre[0] };

            push @ids, $id;
            push @pages, $g->curl(-L => -c => '/dev/null', -H => 'Accept: text/html',
                                   $link)->body;
            $g->vote($id, 'approve', '', $sre[0], $security[0]);
        }

        is(($k->said($kubectl))[0], 0, "$args->[0] a secret: it is done");
        is(scalar @ids, $args->[0] eq 'create' ? 1 : 2,
           'each request is asked for');
        like($pages[-1], qr/redacted/, 'approvers see that there are values');
        unlike("@pages", qr/canary-1|Y2FuYXJ5LTE/, 'and not which');
    }

    unlike(join('', map { $_->body } $g->hook->messages),
           qr/canary-1|Y2FuYXJ5LTE/, 'no message has a value');
    unlike(slurp($g->ngx->path('approval.jsonl')), qr/canary-1|Y2FuYXJ5LTE/,
           'nor has the trail');
    ok((grep { $_->body =~ /Y2FuYXJ5LTE/ } $g->up->requests),
       'but the API server');
}


# --- without kubectl: other spellings, and its WebSocket

sub held {
    my ($name, $rule, @args) = @_;

    my @known = keys %{ $g->messages };
    my $client = $g->curl_start($k->user, @args);
    my $id = $g->pending(@known);

    ok($id, "$name: it is held") or return;
    ok(wait_for(sub { $g->messages->{$id} }), "$name: people are asked");
    is((grep { ($_->{action_id} // '') eq $id } $g->records)[0]{rule}, $rule,
       "$name: by its rule");
    like($g->vote($id, 'deny', 'use the archive job', $sre[0]), qr/200/,
         "$name: denied");

    my $answer = $client->read;

    is($answer->status, 403, "$name: refused");
    like($answer->json->{message}, qr/use the archive job/, "$name: why");
}

my $url = 'https://kube.example.com';
my @json = (-H => 'Content-Type: application/json');
my @upgrade = ('--http1.1', -H => 'Connection: Upgrade', -H);

held('a slash at the end', 'delete', -X => 'DELETE', "$url$pods/slash/");
held('two slashes', 'delete', -X => 'DELETE', "$url/$pods//slashes");
held('an escaped slash', 'exec', -X => 'POST', "$url$pods%2Fescaped%2Fexec");
held('a watched secret', 'secrets',
     "$url/api/v1/watch/namespaces/dev/secrets/db");
held('PUT of a scale', 'scale-to-nothing', -X => 'PUT', @json,
     -d => '{"kind":"Scale","spec":{"replicas":0}}', "$url$apps/put/scale");
held('a custom resource\'s scale', 'scale-to-nothing', -X => 'PATCH',
     -H => 'Content-Type: application/merge-patch+json',
     -d => '{"spec":{"replicas":0.0}}',
     "$url/apis/example.com/v1beta1/namespaces/prod/rings/x/scale");

{
    my $answer = $g->curl($k->user, -X => 'PUT', '--data-binary', "k8s\0\n\4",
                          -H => 'Content-Type: application/vnd.kubernetes.protobuf',
                          "$url$apps/protobuf");

    is($answer->status, 400, 'a body that cannot be judged is refused');
    is($answer->json->{kind}, 'Status', 'in the form of the API');
}

{
    my $exec = "$url$pods/shell/exec?command=sh&stdin=true&stdout=true";
    my $known = keys %{ $g->messages };

    held('exec by WebSocket', 'exec', @upgrade, 'Upgrade: websocket',
         -H => 'Sec-WebSocket-Version: 13',
         -H => 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
         -H => 'Sec-WebSocket-Protocol: v5.channel.k8s.io', $exec);

    my $answer = $g->curl($k->user, @upgrade, 'Upgrade: SPDY/3.1',
                          -H => 'X-Stream-Protocol-Version: v4.channel.k8s.io',
                          -X => 'POST', $exec);

    is($answer->status, 403, 'then by SPDY: the same end');
    like($answer->json->{message}, qr/before .*use the archive job/,
         'then by SPDY: that of before');
    is(keys %{ $g->messages }, $known + 1,
       'then by SPDY: nobody is asked again');

    held('another command', 'exec', @upgrade, 'Upgrade: SPDY/3.1',
         -X => 'POST', $exec =~ s/sh/ls/r);
}


# --- pending: the hold ends early, client-go comes back by itself

{
    $k = Approval::Kubernetes->start(put => {
        'hold 6m;' => '', 'notify chat;' => 'notify chat; hold 3s;' });

    my @jobs;

    for my $row (grep { !$_->{raw} && $_->{rule} ne 'exec' } @rows) {
        my $job = again(begin($k, $row));

        push @jobs, $job if asks($job);
    }

    for my $job (@jobs) {
        ok($k->gateway->joined($job->{id}), "$job->{name}: it comes back");
        $k->gateway->vote($job->{id}, 'approve', '', @{ $job->{votes} });
    }

    my %told = %{ $k->gateway->messages };

    for my $job (@jobs) {
        my ($code, $text) = $k->said($job->{kubectl});

        is($code, 0, "$job->{name}, pending: kubectl's status") or diag($text);
        like($text, $job->{says}, "$job->{name}, pending: what it says");
        is($told{ $job->{id} }, $job->{told},
           "$job->{name}, pending: people are asked once");
        is(scalar(grep { $_ eq $job->{done} } $k->done),
           scalar(grep { $_->{done} eq $job->{done} } @jobs),
           "$job->{name}, pending: executed once");
    }

    is(scalar keys %told, scalar @jobs, 'pending: as many actions as requests');

    # a shell comes back once, by SPDY

    for my $row (grep { $by_websocket && $_->{rule} eq 'exec' } @rows) {
        my $job = begin($k, $row);

        shift @{ $job->{args} };
        asks(again($job)) or next;

        ok($k->gateway->joined($job->{id}),
           "$row->{name}, pending: SPDY joins");
        $k->gateway->vote($job->{id}, 'approve', '', @{ $row->{votes} });
        ends($job, 'pending', $row->{status}, $job->{says}, $job->{done});
    }

    # these do not, or no more: the same command again does

    for my $row (grep { $_->{name} =~ /^(?:exec|a pod by proxy)$/ } @rows) {
        my $job = begin($k, $row);
        my @args = @{ $job->{args} };

        shift @{ $job->{args} } if ref $job->{args}[0];
        asks(again($job)) or next;

        my ($code, $text) = $k->said($job->{kubectl});

        is($code, 256, "$row->{name}, pending: kubectl fails");
        like($text, qr/Nobody has decided yet/, "$row->{name}, pending: and says why");

        $k->gateway->vote($job->{id}, 'approve', '', @{ $row->{votes} });
        $job->{args} = \@args;
        ends(again($job), 'again', $row->{status}, $job->{says}, $job->{done});
    }
}


# --- expired

{
    my $text = slurp($conf);

    $k = Approval::Kubernetes->start(put => {
        'hold 6m;' => 'hold 5s;', 'notify chat;' => 'notify chat; timeout 10s;',
        map { ("\n        $_" => '') } $text =~ /^ +(timeout \w+;)$/mg });

    # a shell by its only attempt, as of an older kubectl, and by two

    my @single = grep { $_->{rule} eq 'exec' } @rows;
    my @both = (@single, $by_websocket ? @single : (),
                grep { $_->{rule} ne 'exec' } @rows);
    my $singles = @single;

    for (my @left = @both; @left; $singles = 0) {
        my @jobs;

        for my $row (splice(@left, 0, $singles || 8)) {
            my $job = begin($k, $row);

            shift @{ $job->{args} } if ref $job->{args}[0] && !$singles;
            push @jobs, $job if asks(again($job));
        }

        for my $job ($singles ? @jobs : ()) {
            like(($k->said($job->{kubectl}))[1], qr/Nobody has decided yet/,
                 "$job->{name}, expired: its only attempt has ended");
            again($job);
        }

        for my $job (@jobs) {
            my ($code, $said) = $k->said($job->{kubectl});

            is($code, 256, "$job->{name}, expired: kubectl's status");
            like($said, qr/Nobody decided in time/,
                 "$job->{name}, expired: what it says");
        }
    }

    is(scalar keys %{ $k->gateway->messages }, scalar @both,
       'expired: each asks once');
    is_deeply([ grep { !/^PATCH .*nodes/ } $k->done ], [],
              'expired: nothing is executed');
}

done_testing();
