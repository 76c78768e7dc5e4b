#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Messages to channels: what is in them, who gets them, how they are signed,
# retried, and given up.

use Approval::Test;

use Digest::SHA qw(hmac_sha256_base64);
use MIME::Base64 qw(decode_base64);
use Time::HiRes qw(time);

need_module();
need('redis-server');

my $secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
my $second = 'whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';

my $keys = make_keys(tempdir());
my $redis = Approval::Redis->new;
my $up = Approval::Upstream->new;
my $receiver = Approval::Receiver->new;

my $ngx = Approval::Nginx->new(log_level => 'info', http => <<"END");
    approval_redis    @{[ $redis->url ]} timeout=10s;
    approval_key      $keys->{secret};
    approval_base_url http://127.0.0.1:%%PORT%%/_approval/;
    approval_audit    %%PREFIX%%/audit.log;

    approval_group dba      ann bob;
    approval_group security bob cid;
    approval_group solo     ann;
    approval_alias bob      bob\@example.com;

    approval_channel ops {
        type json;
        pass /notify/ops;
        secret $secret;
        secret $second;
        timeout 50s;
        retries 3;
        backoff 50ms 100ms;
    }

    approval_channel people {
        pass /notify/people?from=gateway;
        secret $secret;
        retries 1;
        backoff 50ms 100ms;
        per_approver on;
    }

    approval_channel quick {
        pass /notify/quick;
        timeout 2s;
        retries 1;
        backoff 50ms 100ms;
    }

    approval_channel missing { pass /nowhere; retries 2; backoff 50ms 100ms; }
    approval_channel public  { pass /public;  retries 2; backoff 50ms 100ms; }

    approval_policy test {
        rule ops {
            match \$uri /ops;
            action db.drop;
            risk high;
            summary "drop it";
            show from \$remote_addr;
            require 2 of dba security;
            timeout 60s;
            notify ops;
        }
        rule people { match \$uri /people; action a; require dba;
                      require security; notify people; timeout 60s; }
        rule solo   { match \$uri /solo;   action a; require solo;
                      notify people; timeout 60s; }
        rule both   { match \$uri /both;   action a; require dba;
                      notify ops people; timeout 60s; }
        rule quick  { match \$uri /quick;  action a; require dba;
                      notify quick; timeout 60s; }
        rule short  { match \$uri /short;  action a; require dba;
                      notify ops; timeout 20s; }
        rule wrong  { match \$uri /wrong;  action a; require dba;
                      notify missing public; timeout 60s; }
    }

    server {
        listen 127.0.0.1:%%PORT%%;

        approval test;
        approval_requester  \$http_x_user;
        approval_on_behalf  \$http_x_on_behalf_of;
        approval_unsigned_decisions on;

        location / {
            proxy_set_header Host \$host;
            proxy_pass @{[ $up->url ]};
        }

        location /notify/ {
            internal;

            proxy_set_header X-Saw-Host "\$host";
            proxy_set_header X-Saw-User "\$http_x_user\$remote_user";
            proxy_set_header X-Saw-Auth "\$http_authorization\$cookie_session";
            proxy_set_header X-Saw-Uri  "\$request_uri";
            proxy_pass @{[ $receiver->url ]};
        }

        location /public {
            proxy_pass @{[ $up->url ]};
        }
    }
END


message();
secrets_stay();
parent_untouched();
rotation();
per_approver();
nobody_left();
both_kinds();
retries();
retry_after_deadline();
dropped();
stalled();
too_slow();
client_gone();
redirected();
wrong_locations();

done_testing();


# what a message says

sub message {
    my ($client, $m) = hold('/ops?force=1', user => 'ann',
                            headers => [ 'X-On-Behalf-Of' => 'dora' ],
                            json => { op => 'drop', password => 'p-secret' });

    is($m->method, 'POST', 'a POST');
    is($m->target, '/notify/ops', 'to where the location passes it');
    is($m->header('Content-Type'), 'application/json', 'its type');
    is($m->header('Content-Length'), length $m->body, 'its length');

    my $json = $m->json;

    is(join(' ', sort keys %$json), 'data timestamp type', 'the envelope');
    is($json->{type}, 'approval.requested', 'its type');

    my $data = $json->{data};

    like($data->{id}, qr/^[0-9a-f]{32}$/, 'id');

    my %want = (state => 'pending', channel => 'ops', policy => 'test',
                rule => 'ops', action => 'db.drop', risk => 'high',
                summary => 'drop it', requester => 'ann',
                on_behalf_of => 'dora', method => 'POST',
                target => '/ops', query_hidden => 7, content_type =>
                'application/json', body_bytes => 35, body_hidden => 35,
                created_at => $json->{timestamp});

    is($data->{$_}, $want{$_}, "data.$_") for sort keys %want;

    my $time = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

    like($data->{created_at}, $time, 'created_at');
    like($data->{expires_at}, $time, 'expires_at');
    cmp_ok($data->{expires_at}, 'gt', $data->{created_at}, 'in this order');
    like($data->{digest}, qr/^sha256:[0-9a-f]{64}$/, 'digest');
    is($data->{show}{from}, '127.0.0.1', 'show');
    is_deeply($data->{require}, [ { count => 2,
                                    groups => [ 'dba', 'security' ] } ],
              'require');
    cmp_ok($data->{recent}, '>=', 1, 'recent counts this request');
    ok(!$data->{body_declared}, 'the rule declares nothing of the body');
    ok(!exists $data->{$_}, "no data.$_")
        for qw(person on_behalf_person v notify reason body headers request);

    my $base = $ngx->url . '/_approval';

    is_deeply($data->{links}, { action => "$base/actions/$data->{id}" },
              'the shared link, and no other');
    unlike($m->body, qr/[?&]t=/, 'nothing in a shared message can decide');

    is($receiver->verify($m, $secret), '', 'signed');

    my ($notified) = audit($data->{id}, 'notified');

    is($notified->{channel}, 'ops', 'audit: channel');
    is($notified->{attempt}, 1, 'audit: attempt');
    is($notified->{status}, 204, 'audit: status');
    ok(!exists $notified->{approver}, 'audit: no approver');

    is(approve($client, $data->{id})->status, 200, 'resumed');
}


# nothing of the client's reaches a channel

sub secrets_stay {
    my $canary = 'canary-4711';

    # The Host is told, as data.host; as a header it must not be.

    my ($client, $m) = hold('/ops?access_token=' . $canary, user => 'ann',
        headers => [ Host => 'asked.example.com',
                     Authorization => 'Basic YW5uOmNhbmFyeS00NzEx',
                     Cookie => "session=$canary", 'X-Api-Key' => $canary,
                     'User-Agent' => $canary, Referer => "http://$canary/",
                     'X-Forwarded-For' => $canary, Accept => $canary,
                     'X-Other' => $canary ],
        json => { password => $canary, nested => [ { secret => $canary } ] });

    my %not_secret = map { $_ => 1 } qw(user-agent referer accept);
    my $data = $m->json->{data};

    delete $data->{headers}{$_}
        for grep { $not_secret{ lc $_ } } keys %{ $data->{headers} // {} };

    my $head = substr($m->raw, 0, length($m->raw) - length($m->body));

    unlike($head, qr/canary|YW5uOmNhbmFyeS00NzEx/, 'no canary in the headers');
    unlike(encode_json($data), qr/canary|YW5uOmNhbmFyeS00NzEx/,
           'no canary in the body');

    is($m->header('User-Agent'), 'nginx-approval', 'User-Agent is ours');
    is($m->header('X-Saw-User'), undef, 'no identity');
    is($m->header('X-Saw-Auth'), undef, 'no credentials in variables');
    isnt($m->header('X-Saw-Host'), 'asked.example.com', 'no Host in variables');
    is($m->header('X-Saw-Uri'), '/notify/ops',
       '$request_uri is the channel\'s');
    is(scalar(my @host = $m->headers('Host')), 1, 'one Host');
    is(scalar(my @length = $m->headers('Content-Length')), 1,
       'one Content-Length');

    approve($client, id($m));
}


# and nothing of the channel's stays with the request

sub parent_untouched {
    my ($client, $m) = hold('/ops', user => 'ann',
                            headers => [ Host => 'asked.example.com',
                                         Authorization => 'Bearer t' ],
                            body => 'the body');

    is(approve($client, id($m))->status, 200, 'resumed');

    my $request = $up->last;

    is($request->header('Host'), 'asked.example.com',
       'upstream gets the client\'s Host, whatever the channel evaluated');
    is($request->header('Authorization'), 'Bearer t', 'its Authorization');
    is($request->method, 'POST', 'its method');
    is($request->body, 'the body', 'its body');
    is($request->header('webhook-id'), undef,
       'and no header of the channel\'s');
}


sub rotation {
    my ($client, $m) = hold('/ops', user => 'ann');

    my @signed = split / /, $m->header('webhook-signature');

    is(scalar @signed, 2, 'a signature for each secret');
    is($signed[0], signature($m, $secret), 'the first');
    is($signed[1], signature($m, $second), 'the second');
    isnt($signed[0], $signed[1], 'which differ');
    is($receiver->verify($m, $_), '', 'each verifies') for $secret, $second;

    approve($client, id($m));

    ($client, $m) = hold('/quick', user => 'ann');

    is($m->header('webhook-signature'), undef, 'no secret: no signature');
    like($m->header('webhook-id'), qr/^msg_/, 'but an id');

    approve($client, id($m));
}


sub per_approver {
    my ($client, @m) = hold('/people', user => 'ann', count => 2);

    is(scalar @m, 2, 'one message for each person but the requester');
    is(join(' ', sort map { $_->json->{data}{links}{approver} } @m), 'bob cid',
       'who stands in two groups gets one');
    isnt($m[0]->header('webhook-id'), $m[1]->header('webhook-id'),
         'each with an id of its own');

    for my $m (@m) {
        my $links = $m->json->{data}{links};
        my $url = $ngx->url . '/_approval/actions/' . id($m);

        like($links->{url}, qr{^\Q$url\E\?t=1\.[-\w.]+$},
             "a link of $links->{approver}'s own");
        is($m->target, '/notify/people?from=gateway', 'pass with arguments');
        is($receiver->verify($m, $secret), '', 'signed');
    }

    isnt($m[0]->json->{data}{links}{url}, $m[1]->json->{data}{links}{url},
         'links differ');

    my @notified = audit(id($m[0]), 'notified', 2);

    is(join(' ', sort map { $_->{approver} } @notified), 'bob cid',
       'audit names the approvers');

    approve($client, id($m[0]));

    ($client, @m) = hold('/people', user => 'BOB@example.com',
                         headers => [ 'X-On-Behalf-Of' => 'Cid' ]);

    is(join(' ', map { $_->json->{data}{links}{approver} } @m), 'ann',
       'the requester by any name, and who it is for, are left out');
    audit(id($m[0]), 'notified');
    is($receiver->count, 1, 'nobody else');

    approve($client, id($m[0]));
}


sub nobody_left {
    my $mark = $ngx->mark;

    $receiver->clear;

    my $client = ask('/solo', user => 'ann');
    my $id = held_id('/solo');
    my ($failed) = audit($id, 'notify_failed');

    is($failed->{channel}, 'people', 'nobody to tell: audited');
    ok($failed->{final}, 'finally');
    like($failed->{error}, qr/nobody except the requester/, 'and why');
    $ngx->log_like(qr/channel "people" was not notified of action $id: nobody/,
                   'and logged', since => $mark);
    is($receiver->count, 0, 'no message');

    approve($client, $id);
}


sub both_kinds {
    my ($client, @m) = hold('/both', user => 'eve', count => 3);

    my %by = map { ($_->json->{data}{links}{approver} // 'all') => $_ } @m;
    my %ids = map { $_->header('webhook-id') => 1 } @m;

    is(join(' ', sort keys %by), 'all ann bob', 'shared and personal');
    is(scalar(keys %ids), 3, 'three ids');

    approve($client, id($m[0]));
}


sub retries {
    $receiver->script({ status => 500 },
                      { status => 429, headers => [ 'Retry-After' => 1 ] },
                      { status => 200, body => 'ok' });

    my ($client, @m) = hold('/ops', user => 'ann', count => 3);
    my $id = id($m[0]);
    my %ids = map { $_->header('webhook-id') => 1 } @m;
    my %bodies = map { $_->body => 1 } @m;

    is(scalar(keys %ids), 1, 'the same id in each attempt');
    is(scalar(keys %bodies), 1, 'the same body');
    is($receiver->verify($_, $secret), '', 'signed') for @m;

    my @gap = map { $m[$_]{time} - $m[$_ - 1]{time} } 1, 2;

    cmp_ok($gap[0], '>', 0.04, 'after 500: the backoff');
    cmp_ok($gap[1], '>', 0.9, 'after 429: Retry-After');
    cmp_ok($m[2]->header('webhook-timestamp'), '>',
           $m[0]->header('webhook-timestamp'), 'each attempt\'s own timestamp');

    my ($notified) = audit($id, 'notified');
    my @failed = audit($id, 'notify_failed', 2);

    is($notified->{attempt}, 3, 'audit: told at the third attempt');
    is(join(' ', map { "$_->{attempt}:$_->{status}" } @failed), '1:500 2:429',
       'audit: the attempts that failed');
    ok(!(grep { $_->{final} } @failed), 'none of them the last');

    approve($client, $id);

    # until there are none left

    $receiver->script({ status => 302, headers => [ Location => '/other' ] });

    ($client, @m) = hold('/ops', user => 'ann', count => 4);
    $id = id($m[0]);
    @failed = audit($id, 'notify_failed', 4);

    is(scalar @failed, 4, 'three retries');
    is(join(' ', map { $_->{final} ? 1 : 0 } @failed), '0 0 0 1',
       'the last one is final');
    ok(!(grep { $_->target ne '/notify/ops' } @m), 'no redirect is followed');
    $ngx->log_like(qr/\[error\].*"ops" .* $id: attempt 4 failed: status 302/,
                   'logged as an error');
    is(approve($client, $id)->status, 200, 'the request is held all the same');

    $receiver->script({ status => 204 });
}


sub retry_after_deadline {
    $receiver->script({ status => 503, headers => [ 'Retry-After' => 100 ] });

    my ($client, $m) = hold('/short', user => 'ann');
    my ($failed) = audit(id($m), 'notify_failed');

    is($failed->{status}, 503, 'status');
    ok($failed->{final}, 'no attempt after the action\'s end');

    approve($client, id($m));
    $receiver->script({ status => 204 });
}


sub dropped {
    $receiver->script({ drop => 1 }, { status => 204 });

    my ($client, @m) = hold('/ops', user => 'ann', count => 2);
    my ($failed) = audit(id($m[0]), 'notify_failed');

    is($failed->{status}, 502, 'closed before the response');
    is((audit(id($m[0]), 'notified'))[0]{attempt}, 2, 'tried again');

    approve($client, id($m[0]));
}


sub stalled {
    $receiver->script({ hang => 1 });

    my ($client, $m) = hold('/ops', user => 'ann');
    my $start = time();

    is(approve($client, id($m))->status, 200, 'resumed');
    cmp_ok(time() - $start, '<', 25,
           'a receiver that stalls does not delay it');

    is($client->request(GET => '/free')->status, 200, 'the next request');
    cmp_ok(time() - $start, '<', 25,
           'nor what is asked next on the connection');

    my ($failed) = audit(id($m), 'notify_failed');

    like($failed->{error}, qr/decided before the response/, 'audit says so');
    ok($failed->{final}, 'finally');

    $receiver->script({ status => 204 });
}


sub too_slow {
    $receiver->script({ hang => 1 }, { status => 204 });

    my ($client, @m) = hold('/quick', user => 'ann', count => 2);
    my ($failed) = audit(id($m[0]), 'notify_failed');

    like($failed->{error}, qr/"timeout"/, 'the channel\'s timeout');
    is((audit(id($m[0]), 'notified'))[0]{attempt}, 2, 'tried again');

    approve($client, id($m[0]));
    $receiver->script({ status => 204 });
}


sub client_gone {
    $receiver->script({ hang => 1 });

    my ($client, $m) = hold('/ops?gone', user => 'ann');

    $client->reset;

    my ($failed) = audit(id($m), 'notify_failed');

    like($failed->{error}, qr/requester disconnected/,
         'an attempt ends with its request');

    $redis->cmd(SET => 'approval:{00}:' . id($m) . ':decision', 'deny');
    $receiver->script({ status => 204 });
}


# a receiver cannot send the gateway anywhere

sub redirected {
    my $before = $up->count;
    my $mark = $ngx->mark;

    $receiver->script({ accel => '/ops' });

    for my $target ('/ops', '/notify/other') {
        $receiver->script({ accel => $target }, { status => 204 });

        my ($client, $m) = hold('/ops', user => 'ann');
        my ($failed) = audit(id($m), 'notify_failed');

        is($failed->{status}, 404, "X-Accel-Redirect to $target: no success");
        ok($failed->{final}, 'nor tried again');
        is($up->count, $before, 'and it leads nowhere');
        is($receiver->count, 1, 'not even to another channel');

        $receiver->script({ status => 204 });
        is(approve($client, id($m))->status, 200, 'resumed');
        $before++;
    }

    $ngx->log_like(qr/channel "ops" .*its response is an X-Accel/,
                   'logged, with the remedy', since => $mark);
}


sub wrong_locations {
    my $before = $up->count;
    my $client = ask('/wrong', user => 'ann');
    my $id = held_id('/wrong');
    my @failed = audit($id, 'notify_failed', 2);

    is(join(' ', sort map { "$_->{channel}:$_->{attempt}:$_->{status}" }
                 @failed),
       'missing:1:404 public:1:404', 'both refused, at the first attempt');
    ok(!(grep { !$_->{final} } @failed), 'it makes no sense to try again');
    is($up->count, $before, 'no application got the message');

    for my $channel (qw(missing public)) {
        $ngx->log_like(qr/"$channel" .*not an internal location.*: add "/,
                       "the log names $channel and the remedy");
    }

    approve($client, $id);
}


# helpers

sub ask {
    my ($target, %how) = @_;

    my @headers = ('X-User' => delete $how{user}, @{ $how{headers} // [] });
    my $client = Approval::Client->new($ngx->port);
    my $body = exists $how{body} || exists $how{json};

    $client->send($body ? 'POST' : 'GET', $target, %how,
                  headers => \@headers);

    return $client;
}


sub hold {
    my ($target, %how) = @_;

    my $count = delete $how{count} // 1;

    $receiver->clear;

    my $client = ask($target, %how);

    if (!$receiver->wait_count($count)) {
        my $reply = $client->try_read(0);

        die "no message about $target: " . $receiver->count . ', '
            . ($reply ? $reply->raw : 'held') . "\n";
    }

    return ($client, $receiver->messages);
}


sub id { $_[0]->json->{data}{id} }


# of the request that was held last, of which no message may ever tell

sub held_id {
    my ($target) = @_;

    my $id = wait_for(sub {
        my ($last) = grep { $_->{type} eq 'requested' } reverse trail();

        return $last && $last->{target} eq $target && $last->{action_id};
    });

    return $id // die "$target is not held\n";
}


sub approve {
    my ($client, $id) = @_;

    $redis->cmd(SET => 'approval:{00}:' . $id . ':decision', 'approve');

    return $client->read;
}


sub trail {
    return map { decode_json($_) }
           grep { /\n\z/ } split /^/, slurp($ngx->path('audit.log'));
}


sub audit {
    my ($id, $type, $count) = @_;

    my @found;

    wait_for(sub {
        @found = grep { ($_->{action_id} // '') eq $id && $_->{type} eq $type }
                 trail();

        return @found >= ($count // 1);
    });

    return @found;
}


sub signature {
    my ($m, $key) = @_;

    my $text = join '.', $m->header('webhook-id'),
                    $m->header('webhook-timestamp'), $m->body;
    my $mac = hmac_sha256_base64($text, decode_base64(substr($key, 6)));

    $mac .= '=' while length($mac) % 4;

    return "v1,$mac";
}
