#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The contract on nginx.conf: each directive in each form that it names, and
# configurations that somebody would call minimal.  What they do is elsewhere.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();

my $dir = tempdir();
my $keys = make_keys($dir);

spew("$dir/sre", "# on call\ncarol\@example.com\n\nDave\@example.com\n");
spew("$dir/keys", "# old and new\n" . ('ab' x 32) . "\n" . ('CD' x 32)
     . "\nMDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n");
spew("$dir/whsec", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
spew("$dir/slack", "8f742231b10e8888abcd99yyyzzz85a5\n");
spew("$dir/url", "https://127.0.0.1/hook\n");
spew("$dir/password", "s3cret\n");

my $ngx = Approval::Nginx->new(start => 0);

my $base = "approval_redis redis://127.0.0.1:6379;
            approval_key $keys->{secret};
            approval_group dba alice bob;";


sub is_taken {
    my ($name, $http, $warning) = @_;

    # they are parts: of what is not in them t/lint.t has the warnings

    my ($code, $out) = $ngx->test_conf(http => "approval_lint off unused-policy
        no-api pass-location number-absent unverified-identity;\n$http");

    is($code, 0, $name) or diag($out);

    if ($warning) {
        like($out, $warning, "$name: warns");

    } else {
        unlike($out, qr/\[(?:warn|emerg|alert|crit)\]/, "$name: quietly");
    }
}


sub policy {
    my ($rule, $more) = @_;

    return "$base approval_base_url https://gw.example.com/_approval;
            approval_group sre carol dave;
            approval_channel chat { pass /_chat; }
            approval_channel pager { url http://127.0.0.1:1/; }
            approval_policy p { rule r { $rule } }" . ($more // '');
}


sub server { return "server { listen 127.0.0.1:%%PORT%%; $_[0] }" }


is_taken('all of it', <<"EOF" . server(<<'EOS'));
    approval_redis unix:$dir/redis.sock:2 prefix=approval: timeout=1s
                   password_file=$dir/password;
    approval_key $dir/keys;
    approval_signing_key $keys->{signing};
    approval_base_url \$scheme://\$server_name/_approval;
    approval_group dba alice\@example.com bob\@example.com;
    approval_group sre file:$dir/sre;
    approval_alias alice\@example.com 00u1 T024BE7LD:U0G9QF9C6;
    approval_channel hook {
        type json; url file:$dir/url; secret file:$dir/whsec;
        timeout 5s; retries 5; backoff 1s 60s; per_approver on;
    }
    approval_channel chat {
        type slack; pass /_chat; signing_secret file:$dir/slack;
        per_approver off;
    }
    approval_channel team { type teams; pass /_team; }
    approval_audit $dir/audit.jsonl sync=group;
    approval_zone approval 1m;
    approval_policy p {
        default deny;
        body_limit 1m;
        strict_path on;
        rule all {
            match \$request_method POST PUT;
            match \$uri "~^/db/(?<table>\\w+)\$" ^/tables/ !/tables/x;
            match json:/rows >100;
            match json:/items/*/kind prod ~*^live;
            action db.drop; risk critical;
            summary "drop \$approval_arg_table";
            show sql json:/sql; show host \$host;
            redact json:/password \$http_x_api_key;
            reason required;
            require 2 of dba; require sre;
            deny_after 1;
            timeout 15m; hold 15m; execute_within 5m;
            notify hook chat team; escalate 5m hook; remind 2m;
            remember 10m per \$uri uses=3;
            mode enforce;
        }
        rule form { match form:action drop; require dba; mode shadow; }
        rule tool { mcp_tool drop_table rm; require dba; }
        rule no   { match \$arg_force 1; deny "why"; }
        rule nope { match \$http_x_env <5; deny; }
        rule yes  { match \$request_method GET; allow; }
    }
EOF
    approval p;
    approval_requester $remote_user;
    approval_on_behalf $http_x_on_behalf_of;
    approval_reason $http_x_approval_reason;
    approval_store_failure deny;
    approval_unsigned_decisions off;
    approval_max_pending 5 per=$remote_user;
    approval_max_prompts 20/10m per=$remote_user;
    approval_repeat 10s;
    approval_disconnect keep;
    location /_approval/ { approval_api approver=$remote_user; }
    location /plain { approval_api; }
    location /metrics { approval_metrics; }
    location /off { approval off; }
    location /loose { approval_store_failure allow; approval_disconnect cancel;
                      approval_unsigned_decisions on;
                      if ($arg_x) { set $x 1; } }
EOS

is_taken("redis: $_", ($base =~ s/approval_redis .*?;/approval_redis $_;/r)
         . 'approval_policy p { rule r { require dba; } }'
         . server('approval p; approval_requester $remote_user;'))
    for 'redis://127.0.0.1', 'redis://localhost:6379', 'redis://127.0.0.1:1/3',
        'redis://:word@127.0.0.1:1', 'redis://gw:word@127.0.0.1:1/0',
        'redis://[::1]:1/1', 'rediss://127.0.0.1:6380', 'unix:/x.sock',
        'unix:/x.sock:1', 'redis://127.0.0.1 prefix=gw: timeout=200ms';

is_taken("audit: $_", "approval_audit $dir/a.jsonl $_;")
    for '', 'sync=group', 'sync=always', 'sync=off';

is_taken("rule: $_", policy($_)) for (
    'require dba;',
    'require dba sre;',
    'require 2 of dba sre; require 1 of sre;',
    'match "$host$uri" ~x; match $ssl_client_s_dn ~CN=; require dba;',
    'match $uri "~^/a/(?<Name>\w+)$" "~^/b/(?<name>\w+)$";
     summary "$approval_arg_Name"; require dba;',
    'match json:/a/*/b x !y; match json:/n <5 >9; require dba;',
    'require dba; hold 0;',
    'require dba; notify chat; remind 5m; escalate 10m chat pager;',
    'require dba; escalate 10m pager;',
    'require dba; remember 1h per "$request_method$uri";',
);

is_taken('metrics without a zone', server('location /m { approval_metrics; }'));

is_taken('no base URL', "$base approval_channel c { pass /c; }
         approval_policy p { rule r { require dba; notify c; } }",
         qr/no links, because there is no "approval_base_url"/);

is_taken('no requester', policy('require dba;', server('approval p;')),
         qr/applies where no "approval_requester" is set/);


# What runs with as little as that

subtest 'minimal' => sub {
    my $redis = Approval::Redis->new;
    my $up = Approval::Upstream->new;
    my $hook = Approval::Receiver->new;

    my $run = Approval::Nginx->new(http => <<"EOC");
    approval_redis @{[ $redis->tcp_url ]};
    approval_key $keys->{secret};
    approval_group dba alice;
    approval_channel hook { pass /_hook; }
    approval_policy p {
        rule r { match \$request_method DELETE; require dba; notify hook; }
    }
    server {
        listen 127.0.0.1:%%PORT%%;
        approval p;
        location / {
            approval_requester \$http_x_user;
            proxy_pass @{[ $up->url ]};
        }
        location /nameless { proxy_pass @{[ $up->url ]}; }
        location /_approval/ { approval_api approver=\$http_x_user; }
        location = /_hook { internal; proxy_pass @{[ $hook->url ]}; }
    }
EOC

    my $port = $run->port;
    my $ask = sub {
        my ($target, @more) = @_;

        return Approval::Client->new($port)->request(
            DELETE => $target, headers => [ 'X-User' => 'agent', @more ]);
    };

    my $r = $ask->('/nameless');
    is($r->status, 403, 'nobody asks there');
    is($r->json->{type}, 'urn:approval:identity-required', 'says the type');
    is(http_get($port, '/nameless')->status, 200, 'what needs none passes');

    $r = $ask->('/x', Prefer => 'respond-async');
    is($r->status, 202, 'held');
    my $id = $r->json->{id};

    ok(wait_for(sub { $hook->messages }), 'approvers are told');
    is_deeply($hook->last->json->{data}{links}, {}, 'without links')
        or diag(explain($hook->last->json));

    $r = Approval::Client->new($port)->request(
        POST => "/_approval/actions/$id/decision",
        json => { decision => 'approve' }, headers => [ 'X-User' => 'alice' ]);
    is($r->json->{state}, 'approved', 'approved');

    $r = $ask->('/x', 'Approval-Id' => $id);
    is($r->status, 200, 'executed');
    like($up->last->header('Approval-Receipt'), qr/^[\w-]+\.[\w-]+\.[\w-]+$/,
         'with a receipt');
};


done_testing;
