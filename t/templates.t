#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# "type template": the templates of conf/templates/ with receivers that take
# what the vendors' documentation says, whatever the requester says; what
# refers to a reply; the formats; and what nginx -t says of a text that could
# not work.

use lib 't/lib';
use Approval::Test;

use Approval::Api;
use Approval::Gateway;

need_module();
need('redis-server');

my $shipped = root_dir() . '/conf/templates';
my $dir = tempdir();

my %api = map { $_ => Approval::Api->new($_) }
              qw(pagerduty jira servicenow discord mattermost);
my $raw = Approval::Receiver->new;
my $slow = Approval::Receiver->new(script => [ { status => 200, delay => 1.5,
                                                 body => '{"id":"a b/c"}' },
                                               { status => 200 } ]);
my $evil = Approval::Receiver->new(script => [ { status => 200,
                                                 body => '{"id":".."}' } ]);
my $mute = Approval::Receiver->new(script => [ { status => 200,
                                                 body => 'ok' } ]);

spew("$dir/jira", "Basic Z3c6dG9rZW4=\n");
spew("$dir/routing", "0123456789abcdef0123456789abcdef\n");
spew("$dir/t.form", <<'END');
action={{action}}&summary={{summary}}
    &event={{event}}&first={{#show}}{{#first}}{{name}}{{/first}}{{/show}}
    &ticket={{show.ticket}}&recent={{recent}}
END
spew("$dir/t.xml", "<a s=\"{{summary}}\">{{reason}}</a>\n");
spew("$dir/t.txt", "{{title}}\n{{summary}}\n{{value.team}}\n");
spew("$dir/first.json", '{"id":"{{id}}"}');
spew("$dir/later.json", '{"event":"{{event}}","to":"{{reply}}"}');

my $later = "body $dir/first.json; reply json:/id;"
            . " body $dir/later.json on=closed method=PUT 'uri=/t/{{reply}}/c';"
            . ' backoff 20ms 40ms;';

my $gw = Approval::Gateway->new(log_level => 'info', http => <<"END",
    approval_channel pagerduty {
        type template;
        url  @{[ $api{pagerduty}->url ]}/v2/enqueue;
        body $shipped/pagerduty.json;
        value routing_key file:$dir/routing;
    }
    approval_channel jira {
        type template;
        url  @{[ $api{jira}->url ]}/rest/api/3/issue;
        header Authorization file:$dir/jira;
        body $shipped/jira-issue.json on=requested,escalated;
        body $shipped/jira-comment.json on=closed
             "uri=/rest/api/3/issue/{{reply}}/comment";
        reply json:/key;
        value project OPS;
        value issuetype Task;
        backoff 20ms 40ms;
    }
    approval_channel servicenow {
        type template;
        url  @{[ $api{servicenow}->url
              ]}/api/now/table/incident?sysparm_fields=sys_id;
        body $shipped/servicenow-incident.json;
        body $shipped/servicenow-update.json on=closed method=PATCH
             "uri=/api/now/table/incident/{{reply}}?sysparm_fields=sys_id";
        reply json:/result/sys_id;
        value assignment_group ops;
        value close_code "Solution provided";
        backoff 20ms 40ms;
    }
    approval_channel discord {
        type template;
        url  @{[ $api{discord}->url ]}/api/webhooks/223704706495545344/3d89-b;
        body $shipped/discord.json;
    }
    approval_channel mattermost {
        type template;
        url  @{[ $api{mattermost}->url ]}/hooks/xxx-generatedkey-xxx;
        body $shipped/mattermost.json;
    }

    approval_channel form { type template; url @{[ $raw->url ]}/form;
                            body $dir/t.form; }
    approval_channel xml { type template; url @{[ $raw->url ]}/xml;
                           body $dir/t.xml on=open;
                           header Content-Type application/soap+xml;
                           header X-Token secret; }
    approval_channel text { type template; pass /text; body $dir/t.txt;
                            value team "blue & red"; header X-Token passed; }

    approval_channel slow { type template; url @{[ $slow->url ]}/t; $later }
    approval_channel evil { type template; url @{[ $evil->url ]}/t; $later }
    approval_channel mute { type template; url @{[ $mute->url ]}/t; $later }

    client_max_body_size 4m;

    approval_policy test {
        strict_path off;
        body_limit 4m;

        rule all { match \$uri ^/all; action db.drop; risk high;
                   summary "drop \$arg_table"; show claim json:/claim;
                   match json:/op ~.*; require admins; timeout 60s;
                   notify pagerduty jira servicenow discord mattermost; }
        rule critical { match \$uri ^/critical; action c; risk critical;
                        require admins; timeout 60s; remind 1s;
                        notify pagerduty jira servicenow discord mattermost; }
        rule formats { match \$uri ^/formats; action f;
                       summary "a&b=c <d> \\"\$arg_q\\"";
                       show ticket \$arg_ticket; require admins; timeout 60s;
                       notify form xml text; }
        rule slow { match \$uri ^/slow; action s; require admins; timeout 60s;
                    notify slow; }
        rule evil { match \$uri ^/evil; action s; require admins; timeout 60s;
                    notify evil; }
        rule mute { match \$uri ^/mute; action s; require admins; timeout 60s;
                    notify mute; }
    }
END
    server => 'approval test; approval_reason $http_x_approval_reason;'
              . ' location / { proxy_pass %%UP%%; }'
              . ' location = /text { internal; proxy_pass '
              . $raw->url . '/text; }');

hostile();
lives();
reminded();
formats();
replies();
refusals();

$gw->clean;

done_testing();


sub hostile {
    my @texts = (
        'plain', "\"\\\"}]},{\"x\":\"", "{{id}} {{#open}}", '@all @everyone <@1>',
        '[Approve](https://evil.example) `x` ```y```', "a\nb\r\n# c\n> d",
        "\x{202e}txet\x{200b}", "\x{1f4a5}" x 2000, 'x' x 200_000,
        '`' x 3000, "\x01\x1b[m", '<&>' x 20_000,
    );
    my $n = 0;

    for my $text (@texts) {
        my $bytes = $text;
        utf8::encode($bytes);

        my $reason = substr($bytes, 0, 1000) =~ s/[\x00-\x1f\x7f]//gr;
        my $table = substr($bytes, 0, 1000)
                    =~ s/([^A-Za-z0-9])/sprintf('%%%02X', ord $1)/ger;

        my ($client, $id) = $gw->hold(POST => "/all?table=$table",
            headers => [ 'X-Approval-Reason' => $reason ],
            json => { op => $text, claim => $text, $text => $text });

        $n++;
        $_->wait_count(2 * $n - 1) for values %api;
        $gw->vote($id, 'deny', 'no `x` @all');
        $client->read;
        $_->wait_count(2 * $n) for values %api;

        for my $name (sort keys %api) {
            is(join('; ', $api{$name}->faults), '', "$name takes $n");
        }
    }

    my @failed = $gw->audit('notify_failed');

    is(@failed, 0, 'none was refused') or diag(explain(\@failed));

    for my $name (sort keys %api) {
        like(join('', map { $_->body } $api{$name}->messages),
             qr/\d+ bytes hidden/, "$name: hidden bytes are counted");
        $api{$name}->clear;
    }
}


# of one action: what is opened is closed

sub lives {
    my ($client, $id) = $gw->hold(POST => '/all?table=users',
                                  json => { op => 'drop', claim => 'c' });

    $_->wait_count(1) for values %api;
    $gw->vote($id, 'approve', 'fine');
    is($client->read->status, 200, 'executed');
    $_->wait_count(3) for values %api;

    my %told = map { $_ => [ $api{$_}->messages ] } keys %api;

    is_deeply([ sort map { join ' ', @{ $_->json }{qw(event_action dedup_key)} }
                     @{ $told{pagerduty} } ],
              [ "resolve $id", "resolve $id", "trigger $id" ],
              'PagerDuty: triggered and resolved');
    is($told{pagerduty}[0]->json->{payload}{severity}, 'error', 'high: error');

    my ($key) = map { $_->target =~ m{/issue/([^/]+)/} } @{ $told{jira} };

    is_deeply([ map { $_->target } @{ $told{jira} } ],
              [ '/rest/api/3/issue', ("/rest/api/3/issue/$key/comment") x 2 ],
              'Jira: an issue, and comments on it');
    like($told{jira}[0]->json->{fields}{summary}, qr/high, db\.drop: drop users/,
         'which says what is asked');

    is_deeply([ map { $_->method } @{ $told{servicenow} } ],
              [ qw(POST PATCH PATCH) ], 'ServiceNow: an incident, updated');
    is_deeply([ sort map { $_->json->{state} // '-' } @{ $told{servicenow} } ],
              [ qw(- - 6) ], 'and resolved by the end, not by the approval');

    like($told{discord}[0]->json->{embeds}[0]{url}, qr/\Q$id\E$/,
         'Discord: the link');
    like($told{mattermost}[0]->json->{text}, qr/\Q$id\E\)$/,
         'Mattermost: the link');

    unlike(join(' ', map { $_->{error} // '' } $gw->audit('notify_failed')),
           qr/Basic/, 'no secret is on record');

    $_->clear for values %api;
}


# a reminder is the same alert, and no second ticket

sub reminded {
    my ($client, $id) = $gw->hold(POST => '/critical');

    ok($api{pagerduty}->wait_count(3), 'PagerDuty is reminded');

    is($_->json->{event_action}, 'trigger', 'by the same event')
        for $api{pagerduty}->messages;
    like($api{pagerduty}->last->json->{payload}{custom_details}
             {'code to enter when approving'}, qr/^\d{6}$/, 'the code');
    is(scalar(my @jira = $api{jira}->messages), 1, 'Jira has no body for it');

    $gw->vote($id, 'deny');
    $client->read;

    ok(wait_for(sub { grep { $_->method eq 'PATCH' }
                           $api{servicenow}->messages }), 'closed');
    $api{jira}->wait_count(2);
    is(join('; ', map { $_->faults } values %api), '', 'all is accepted');
}


sub formats {
    my ($client, $id) = $gw->hold(POST => '/formats?q=%27x&ticket=OPS-1',
        headers => [ 'X-Approval-Reason' => 'a < b & "c"' ]);

    my %told;

    wait_for(sub { %told = map { $_->target => $_ } $raw->requests;
                   keys %told == 3 });

    my $form = $told{'/form'};

    is($form->header('Content-Type'), 'application/x-www-form-urlencoded',
       'form');
    is($form->body =~ s/\d+$//r,
       'action=f&summary=a%26b%3Dc%20%3Cd%3E%20%22%2527x%22'
       . '&event=requested&first=ticket&ticket=OPS-1&recent=',
       'its values are escaped, its lines are one');

    my $xml = $told{'/xml'};

    is($xml->header('Content-Type'), 'application/soap+xml', 'its own type');
    is($xml->header('X-Token'), 'secret', 'and header');
    is($xml->body, '<a s="a&amp;b=c &lt;d&gt; &quot;%27x&quot;">'
       . "a &lt; b &amp; &quot;c&quot;</a>\n", 'XML is escaped');

    my $text = $told{'/text'};

    is($text->header('X-Token'), 'passed', 'by pass, with its header');
    is($text->header('Content-Type'), 'text/plain; charset=utf-8', 'as text');
    is($text->body, "Approval needed: risk medium, f\na&b=c <d> \"%27x\"\n"
       . "blue & red\n", 'with a value of the configuration');

    $gw->vote($id, 'deny');
    $client->read;

    ok(wait_for(sub { grep { $_->body =~ /event=denied/ } $raw->requests }),
       'the outcome');
    is(scalar(grep { $_->target eq '/xml' } $raw->requests), 1,
       'where there is a body for it');
}


sub replies {
    my ($client, $id) = $gw->hold(POST => '/slow');

    $slow->wait_count(1);
    $gw->vote($id, 'deny');
    $client->read;

    ok($slow->wait_count(2), 'told when the first message was answered');

    my $m = $slow->last;

    is($m->method . ' ' . $m->target, 'PUT /t/a%20b%2Fc/c',
       'by the reply, escaped for the path');
    is($m->json->{to}, 'a b/c', 'and for JSON');

    for ([ evil => $evil, qr/a value would change the path/ ],
         [ mute => $mute, qr/reply to the first message is unknown/ ])
    {
        my ($name, $server, $why) = @$_;

        ($client, $id) = $gw->hold(POST => "/$name");
        $server->wait_count(1);
        $gw->wait_audit('notified', 1);
        $gw->vote($id, 'deny');
        $client->read;

        ok(wait_for(sub { grep { $_->{channel} eq $name && $_->{final}
                                 && $_->{error} =~ $why }
                               $gw->audit('notify_failed') }),
           "$name: given up");
        is(scalar(my @m = $server->requests), 1, 'and nothing was sent');
    }

    $gw->ngx->log_like(qr/channel "mute" accepted the message .*"reply" names/,
                       'a reply without it is told at once');
}


sub refusals {
    my $ok = 'type template; url http://127.0.0.1/x;';

    my %text = (
        'unknown.json' => '{"a":"{{nothing}}"}', 'open.json' => '{{#open}}{}',
        'filter.json' => '{"a":"{{id|loud}}"}', 'bare.json' => '{"a":{{id}}}',
        'comma.json' => '{"a":"1",{{#open}}"b":"2"{{/open}}}',
        'twice.json' => '{"a":"1","a":"2"}', 'good.json' => '{"a":"{{id}}"}',
        'value.json' => '{"a":"{{value.key}}"}',
        'reply.json' => '{"a":"{{reply}}"}', 'name.yaml' => 'a: {{id}}',
        'hidden.json' => '{"a":"{{#expired}}{{nowhere}}{{/expired}}"}',
        'latin.json' => "{\"a\":\"\xe4\"}",
    );

    spew("$dir/$_", $text{$_}) for keys %text;

    my @case = (
        [ $ok =~ s/;$//r => 'has no "body" for the events' ],
        [ "$ok body $dir/good.json on=closed" => 'has no "body" for the' ],
        [ "$ok body $dir/good.json; body $dir/first.json" => 'is duplicate' ],
        [ "$ok body $dir/good.json on=open; body $dir/first.json on=reminder"
              => 'is duplicate' ],
        [ "$ok body $dir/good.json on=opened" => 'unknown event "opened" in "on="' ],
        [ "$ok body $dir/good.json to=x" => 'invalid parameter "to=x"' ],
        [ "$ok body $dir/good.json method=GET" => 'invalid "method="' ],
        [ "$ok body $dir/good.json uri=x" => 'invalid "uri="' ],
        [ "$ok body $dir/good.json 'uri=/{{nothing}}'" => '"{{nothing}}" in "ur' ],
        [ "$ok body $dir/name.yaml" => 'ends with .json, .form, .xml or .txt' ],
        [ "$ok body $dir/none.json" => 'cannot open the file' ],
        [ "$ok body $dir/latin.json" => 'is not valid UTF-8' ],
        [ "$ok body $dir/unknown.json" => '"{{nothing}}" in "body" of template' ],
        [ "$ok body $dir/hidden.json" => '"{{nowhere}}" in "body"' ],
        [ "$ok body $dir/open.json" => '"{{open}}" in "body"' ],
        [ "$ok body $dir/filter.json" => '"{{id|loud}}" in "body"' ],
        [ "$ok body $dir/value.json" => '"{{value.key}}" in "body"' ],
        [ "$ok body $dir/bare.json" => 'makes invalid JSON of the event requested' ],
        [ "$ok body $dir/comma.json" => 'makes invalid JSON of the event approved' ],
        [ "$ok body $dir/twice.json" => 'makes invalid JSON' ],
        [ "$ok body $dir/good.json; body $dir/reply.json on=closed"
              => 'no "reply" that takes it' ],
        [ "$ok body $dir/reply.json; reply json:/id" => 'before the first response' ],
        [ "$ok body $dir/good.json; reply id" => 'needs a JSON pointer' ],
        [ "$ok body $dir/good.json; header Host x" => 'writes itself' ],
        [ "$ok body $dir/good.json; header 'A b' x" => 'not valid for a header' ],
        [ "$ok body $dir/good.json; header A \"x\ny\"" => 'control character' ],
        [ "$ok body $dir/good.json; header A x; header a y" => 'is duplicate' ],
        [ "$ok body $dir/good.json; value A ''" => 'a name and a value' ],
        [ "type template; pass /x; body $dir/good.json uri=/y"
              => 'which work only with "url"' ],
        [ "url http://127.0.0.1/; body $dir/good.json" => 'no effect without' ],
        [ 'url http://127.0.0.1/; header A b' => '"header" of channel' ],
        [ "type template; url smtp://127.0.0.1; body $dir/good.json"
              => 'add "type mail;"' ],
    );

    for my $case (@case) {
        my ($status, $out) = conf("approval_channel c { $case->[0]; }");

        isnt($status, 0, "refused: $case->[0]");
        like($out, qr/\[emerg\].*\Q$case->[1]\E/, 'with the reason');
    }

    my ($status, $out) = conf("approval_channel c { $ok body $dir/good.json; }");

    is($status, 0, 'what can work is accepted') or diag($out);
}


sub conf {
    my ($text) = @_;

    return Approval::Nginx->test_conf(http => <<"END");
        approval_redis unix:/nowhere;
        approval_key $gw->{keys}{secret};
        approval_base_url http://127.0.0.1/a;
        approval_group g ann;
        $text
        server { listen 127.0.0.1:%%PORT%%; }
END
}
