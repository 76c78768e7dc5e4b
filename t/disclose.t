#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# What leaves the gateway of a request: messages of every type and the trail
# carry what the rule declares, the action's page has the rest, and a channel
# with "disclose request" has it, too.

use lib 't/lib';
use Approval::Test;

use MIME::QuotedPrint qw(decode_qp);

use Approval::Chat;
use Approval::Gateway;
use Approval::Smtp;

need_module();
need('redis-server');

my $dir = tempdir();
my $slack = Approval::Receiver->new;
my $open = Approval::Receiver->new;
my $teams = Approval::Receiver->new(script => [ { status => 202 } ]);
my $url = Approval::Receiver->new;
my $own = Approval::Receiver->new;
my $full = Approval::Receiver->new;
my $text = Approval::Receiver->new;
my $smtp = Approval::Smtp->new;

my $both = 'approval_approve approval_deny approval_open';
my @secrets;            # what only the page may have
my $secret = '8f742231b10e8888abcd99yyyzzz85a5';

spew("$dir/all.txt", <<'END');
{{title}} {{summary}} {{method}} {{host}} {{target}} query {{query_hidden}}
type {{content_type}} bytes {{body_bytes}} hidden {{body_hidden}}
declared {{body_declared}} body {{body|text}}
{{#matched}}{{name}}={{value}}
{{/matched}}{{#show}}{{name}}={{value}}
{{/show}}{{#facts}}{{name}}: {{value}}
{{/facts}}
END

my $gw = Approval::Gateway->new(log_level => 'info', http => <<"END",
    approval_channel slack { type slack; url @{[ $slack->url ]}/hook;
                             signing_secret $secret; team T01; }
    approval_channel open  { type slack; url @{[ $open->url ]}/hook;
                             signing_secret $secret; team T01;
                             disclose request; }
    approval_channel teams { type teams; url @{[ $teams->url ]}/hook; }
    approval_channel url   { type json; url @{[ $url->url ]}/hook; }
    approval_channel full  { type json; url @{[ $full->url ]}/hook;
                             disclose request; }
    approval_channel own   { type json; url @{[ $own->url ]}/hook;
                             per_approver on; disclose declared; }
    approval_channel text  { type template; url @{[ $text->url ]}/hook;
                             body $dir/all.txt; }
    approval_channel mail  { type mail; from approvals\@gw.example;
                             to people\@gw.example;
                             url smtp://127.0.0.1:@{[ $smtp->port ]}; }
    approval_operators admins;
    approval_policy test {
        rule deny { match \$uri ^/deny; deny; }
        rule call { match \$uri ^/mcp; mcp_tool drop; require admins;
                    notify %ALL%; }
        rule one  { match \$uri ^/call; mcp_tool drop; show table
                    json:/params/arguments/table; require admins;
                    notify %ALL%; }
        rule none { match \$uri ^/none; require admins; notify %ALL%; }
        rule some { match \$uri ^/some; match json:/op drop;
                    match \$arg_table ~.; show env \$http_x_env;
                    show list json:/list/*; bind \$http_x_bound;
                    require admins; notify %ALL%; }
        rule no   { match \$uri ^/no-such; match json:/op !x; show op json:/op;
                    require admins; notify %ALL%; }
        rule args { match \$uri ^/args; show query \$args; require admins;
                    notify %ALL%; }
        rule line { match \$uri ^/line; summary "\$request_method \$request_uri";
                    require admins; notify %ALL%; }
        rule over { match \$uri ^/over; require admins; timeout 2s; }
        rule froz { match \$uri ^/froz; require admins; }
        rule raw  { match \$uri ^/raw; show body \$request_body;
                    require admins; notify %ALL%; }
    }
END
    server => 'approval test; location / { proxy_pass %%UP%%; }',
    start => 0);

$gw->ngx->{http} =~ s/%ALL%/hook slack open teams url full own text mail/g;
$gw->ngx->start;

undeclared();
declared();
calls();
absent();
queries();
raw();
refused();
ended();
nowhere();

$gw->clean;

done_testing();


# each channel's messages about an action, by its name

sub told {
    my ($id) = @_;

    my %from = (hook => $gw->hook, slack => $slack, open => $open,
                teams => $teams, url => $url, full => $full, text => $text,
                own => $own);
    my %told;

    for my $name (sort keys %from) {
        my @about;

        wait_for(sub {
            @about = grep { index($_, $id) >= 0 }
                     map { $_->body } $from{$name}->messages;
            return @about >= ($name eq 'own' ? 2 : 1);
        });

        $told{$name} = \@about;
    }

    wait_for(sub { decode_qp(mail()) =~ /$id/ });
    $told{mail} = [ decode_qp(mail()) ];

    return \%told;
}


sub mail { return -f "$smtp->{dir}/message" ? $smtp->message : '' }


sub buttons {
    my ($body) = @_;

    return join ' ', map { $_->{action_id} } map { @{ $_->{elements} } }
                     grep { $_->{type} eq 'actions' }
                     @{ decode_json($body)->{blocks} };
}




# a held request: its messages, record, action and page

sub ask {
    my ($target, %how) = @_;

    my ($client, $id) = $gw->hold(POST => $target, %how);
    my $told = told($id);
    my ($record) = grep { ($_->{action_id} // '') eq $id }
                   $gw->audit('requested');
    my $page = http_get($gw->port, "/_approval/actions/$id",
                        headers => [ 'X-User' => 'alice',
                                     Accept => 'text/html' ])->body;
    my $action = $gw->action($id);

    is($gw->vote($id, 'approve')->status, 200, "$target: approved");
    is($client->read->status, 200, '... and executed');

    return { told => $told, record => $record, action => $action,
             page => $page, id => $id, raw => encode_json($record) };
}


sub has {
    my ($got, $text, $name, $not) = @_;

    for my $channel (grep { !$not || !/$not/ } sort keys %{ $got->{told} }) {
        my $n = grep { index($_, $text) < 0 } @{ $got->{told}{$channel} };
        is($n, 0, "$name: in $channel") or diag(@{ $got->{told}{$channel} });
    }

    ok(index($got->{raw}, $text) >= 0, "$name: on record") or diag($got->{raw});
}


# only where it may be; Slack shows the target and the body, and no headers

sub lacks {
    my ($got, $text, $name) = @_;

    for my $channel (sort keys %{ $got->{told} }) {
        my $has = grep { index($_, $text) >= 0 } @{ $got->{told}{$channel} };
        my $may = $channel eq 'full'
                  || ($channel eq 'open' && $text !~ /header|bound/);

        is($has ? 1 : 0, $may ? 1 : 0, "$name: $channel");
    }

    ok(index($got->{raw}, $text) < 0, "$name: not on record");
    ok(index($got->{page}, $text) >= 0, "$name: on the page");
    ok(index(encode_json($got->{action}), $text) >= 0, "$name: in its JSON");

    push @secrets, $text;
}


# by a personal link, as whoever it names

sub linked {
    my ($got) = @_;

    my ($link) = map { decode_json($_)->{data}{links}{url} // () }
                 @{ $got->{told}{own} };

    return http_get($gw->port, $link =~ s{^http://[^/]*}{}r,
                    headers => [ Accept => 'application/json' ])->json;
}


sub undeclared {
    my $got = ask('/none?plain=inquery', json => { plain => 'inbody' },
                  headers => [ 'User-Agent' => 'inheader' ]);

    lacks($got, $_, $_) for qw(inquery inbody inheader);

    has($got, 'application/json', 'the type', 'open');
    has($got, '18', 'the size', 'open');

    is(buttons($got->{told}{slack}[0]), '', 'Slack: nothing decides there');
    like($got->{told}{slack}[0], qr{not shown here: see the action's page},
         'it says so');
    like($got->{told}{slack}[0], qr{/_approval/actions/$got->{id}}, 'and where');
    is(buttons($got->{told}{open}[0]), $both, 'disclosed: buttons');

    my $data = decode_json($got->{told}{url}[0])->{data};

    is($data->{target}, '/none', 'the path');
    is($data->{query_hidden}, 13, 'how long the query is');
    is($data->{body_hidden}, 18, 'and the body');
    is($data->{content_type}, 'application/json', 'of which type');
    ok(!$data->{body_declared}, 'of which nothing is declared');

    is($got->{record}{target}, '/none', 'the record: the path');
    is($got->{record}{query_hidden}, 13, 'how long the query is');
    ok(!exists $got->{record}{$_}, "it has no $_")
        for qw(body headers request);
    is($got->{action}{target}, '/none?plain=inquery', 'the action has all of it');
    like($got->{action}{body}, qr/"plain": "inbody"/, 'and the body');

    my $linked = linked($got);

    is_deeply([ @$linked{qw(target body headers)} ],
              [ @{ $got->{action} }{qw(target body headers)} ],
              'so it is by a personal link');

    my $odd = ask('/none', body => "a\0b",
                  headers => [ 'Content-Type' => 'x/y; x=inheader2' ]);

    lacks($odd, 'inheader2', 'a parameter of the type');
    has($odd, 'x/y', 'the type without it', 'open');

    my $bare = ask('/none');

    is(buttons($bare->{told}{slack}[0]), $both, 'no body: buttons');
    unlike($bare->{told}{slack}[0], qr/not shown here/, 'nothing is left out');
    is($bare->{action}{body_hidden}, 0, 'nor is there anything');
}


sub declared {
    my $got = ask('/some?table=orders&other=inarg',
                  json => { op => 'drop', list => [ 'one', 'two' ],
                            more => 'inmember' },
                  headers => [ 'X-Env' => 'prod', 'X-Bound' => 'inbound',
                               'X-Other' => 'nobody' ]);

    has($got, $_, "$_ is declared") for qw(orders drop prod one two);
    lacks($got, $_, $_) for qw(inarg inmember inbound);
    is(buttons($got->{told}{slack}[0]), $both, 'buttons');
    like($got->{told}{slack}[0], qr/only the declared parts are shown here/,
         'what is not there is said');
    ok($got->{record}{body_declared}, 'and is on record');
}


# an MCP call is its tool and its arguments, unless the rule says otherwise

sub calls {
    my %call = (jsonrpc => '2.0', id => 7, method => 'tools/call', params => {
                name => 'drop', _meta => { note => 'inmeta' },
                arguments => { table => 'orders', why => 'tidy',
                               password => 'hunter2hunter2' } });

    my $got = ask('/mcp', json => \%call);

    has($got, $_, "$_ is of the call") for qw(drop orders tidy);
    lacks($got, 'inmeta', 'all else');
    is(buttons($got->{told}{slack}[0]), $both, 'buttons');
    like($got->{record}{show}{arguments}, qr/"password":"\[redacted, 14/,
         'secrets are redacted');

    $call{params}{arguments}{why} = 'inargument';
    $got = ask('/call', json => \%call);

    has($got, $_, "$_ is declared") for qw(drop orders);
    lacks($got, 'inargument', 'what "show" does not name');
}


# a rule that names a part of the body that is not there declares nothing

sub absent {
    my $got = ask('/no-such', json => { other => 'inother' });

    lacks($got, 'inother', 'another member');
    is(buttons($got->{told}{slack}[0]), '', 'no buttons');
    ok(!$got->{record}{body_declared}, 'nothing of it is declared');
}


sub queries {
    for my $path ('/args', '/line') {
        my $got = ask("$path?table=orders&token=hunter2", headers =>
                      [ 'User-Agent' => 'inheader3' ]);

        has($got, 'orders', "$path: the query is declared");
        lacks($got, 'inheader3', "$path: another header");
        is($got->{record}{query_hidden}, 0, "$path: nothing of it is hidden");
        like($got->{record}{target}, qr{^\Q$path\E\?table=orders&token=\[redacted},
             "$path: but its secrets");
    }
}


sub raw {
    my $got = ask('/raw', body => 'table=orders', headers =>
                  [ 'Content-Type' => 'application/x-www-form-urlencoded' ]);

    has($got, 'orders', '$request_body');
    is(buttons($got->{told}{slack}[0]), $both, 'buttons');
}


sub refused {
    my $client = $gw->send(POST => '/deny?plain=indenied',
                           json => { plain => 'indenied' });

    is($client->read->status, 403, 'denied');
    ok($gw->wait_audit(refused => 1), 'on record');

    my ($record) = $gw->audit('refused');

    is($record->{target}, '/deny', 'by its path');
    is($record->{query_hidden}, 14, 'and the length of its query');

    push @secrets, 'indenied';
}


# nobody waits when these end: the gateway has the document from Redis

sub ended {
    for my $path ('/over', '/froz') {
        $gw->send(POST => "$path?plain=inquery$path",
                  headers => [ Prefer => 'respond-async',
                               'User-Agent' => "inheader$path" ],
                  json => { plain => "inbody$path" })->read;

        push @secrets, map { "$_$path" } qw(inquery inheader inbody);
    }

    ok($gw->wait_audit(expired => 1), 'ended by its deadline');

    is(Approval::Client->new($gw->port)->request(
           POST => '/_approval/freeze', json => { requester => 'agent-7' },
           headers => [ 'X-User' => 'alice' ])->status, 200, 'a freeze');
    ok($gw->wait_audit(cancelled => 1), 'ended by it');
    is(Approval::Client->new($gw->port)->request(
           DELETE => '/_approval/freeze?requester=agent-7',
           headers => [ 'X-User' => 'alice' ])->status, 200, 'thawed');
}


# later messages and records, and the error log, have it as little

sub nowhere {
    wait_for(sub { $gw->audit('executed') >= 8 });

    for my $receiver ($gw->hook, $slack, $teams, $url, $own, $text) {
        my @bad = grep { my $m = $_->body; grep { index($m, $_) >= 0 } @secrets }
                  $receiver->messages;

        is(scalar @bad, 0, 'no message, of the outcome neither');
    }

    like(join('', map { $_->body } $url->messages), qr/approval\.executed/,
         'of which there are some');

    my $trail = slurp($gw->ngx->path('audit.jsonl'));
    my $log = join '', $gw->ngx->log_lines(qr/./);

    for my $secret (@secrets) {
        is(index($trail, $secret), -1, "the trail lacks $secret");
        is(index($log, $secret), -1, 'so does the error log');
    }
}
