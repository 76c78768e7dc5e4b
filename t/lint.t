#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# What nginx -t warns of: each mistake gives one warning, which names the line
# and is silenced by its name; each control gives none.  What nginx would
# refuse without a place has one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;

need('openssl');
need_module();

my $dir = tempdir();
my $keys = make_keys($dir);
my $root = root_dir();

spew("$dir/passwords", "alice:x\n");
spew("$dir/slack", "8f742231b10e8888abcd99yyyzzz85a5\n");
spew("$dir/oncall", "carol\@example.com\ndave\@example.com\n");
spew("$dir/joined", "# on call\ncarol,dave\n");

my $ngx = Approval::Nginx->new(start => 0);


# A configuration without a mistake, but for the parts that are given.

my %PART = (
    base      => 'approval_base_url https://gw.example.com/_approval;',
    redis     => 'approval_redis unix:/nowhere/redis.sock;',
    groups    => 'approval_group admins alice@example.com bob@example.com;',
    channel   => 'type json; pass /_notify;',
    http      => '',
    policy    => '',
    match     => 'match $request_method DELETE;',
    rule      => '',
    notify    => 'notify hook;',
    rules     => '',
    apply     => 'approval p;',
    requester => 'approval_requester $remote_user;',
    auth      => "auth_basic x; auth_basic_user_file $dir/passwords;",
    location  => '',
    server    => '',
    passwords => "auth_basic_user_file $dir/passwords;",
    names     => 'server_name gw.example.com;',
    api_name  => '/_approval/',
    api       => 'auth_basic x; approval_api approver=$remote_user;',
    hook_name => '= /_notify',
    hook      => 'internal;',
    servers   => '',
);


sub conf {
    my (%part) = (%PART, @_);

    return <<"EOF_CONF";
$part{redis}
approval_key $keys->{secret};
$part{base}
$part{groups}
approval_channel hook { $part{channel} }
$part{http}
approval_policy p {
    $part{policy}
    rule r {
        $part{match}
        require admins;
        $part{notify}
        $part{rule}
    }
    $part{rules}
}
server {
    listen 127.0.0.1:%%PORT%%;
    $part{names}
    $part{passwords}
    $part{server}
    location / {
        $part{apply}
        $part{requester}
        $part{auth}
        $part{location}
        proxy_pass http://127.0.0.1:9;
    }
    location $part{api_name} { $part{api} }
    location $part{hook_name} { $part{hook} proxy_pass http://127.0.0.1:9; }
}
$part{servers}
EOF_CONF
}


sub found {
    my ($http) = @_;

    my ($code, $out) = $ngx->test_conf(http => $http);

    return ($code, $out, grep { /\[warn\]/ } split /^/, $out);
}


# "#!" stands in the line that is named; without one any is right

my %tested;

sub mistake {
    my ($lint, $name, $regex, %part) = @_;

    my $http = conf(%part);
    my ($code, $out, @warnings) = found($http);
    my @text = split(/^/, slurp($ngx->path('nginx.conf')));
    my ($line) = grep { $text[$_ - 1] =~ /#!/ } 1 .. @text;

    $line //= '\d+';
    $tested{$lint} = 1;

    ok($code == 0 && @warnings == 1
       && $warnings[0] =~ /\Q[lint: $lint] in ${\$ngx->path('nginx.conf')}\E:$line$/
       && $warnings[0] =~ $regex, "$lint: $name")
        or diag("status $code, line $line: $out");

    ($code, $out, @warnings) = found("approval_lint off $lint;\n$http");

    ok($code == 0 && !@warnings, "$lint: $name, off") or diag($out);
}


sub control {
    my ($lint, $name, %part) = @_;

    my ($code, $out, @warnings) = found(conf(%part));

    ok($code == 0 && !@warnings, "$lint: not for $name") or diag($out);
}


sub refused {
    my ($name, $regex, %part) = @_;

    my ($code, $out) = found(conf(%part));
    my @text = split(/^/, slurp($ngx->path('nginx.conf')));
    my ($line) = grep { $text[$_ - 1] =~ /#!/ } 1 .. @text;

    ok($code == 1 && $out =~ /\[emerg\].*$regex.* in \S+:$line$/m, $name)
        or diag("line $line: $out");
}


control('none', 'a good configuration');


# literal-pattern

mistake('literal-pattern', $_, qr/compares with the literal text "\Q$_\E"/,
        match => "match \$request_uri \"$_\"; #!")
    for '/admin/*', '^/admin/*', '/users/.+', '/(a|b)', '/admin$', '!/x/*',
        '/users/[0-9]+', '/users/\d+', '/a\.b', '^/v[12]/', '/users/{id}',
        '/users/:id', '!/users/{id}/x';
mistake('literal-pattern', "$_->[0], and what to write",
        qr/or write "\Q$_->[1]\E" if you mean this text/,
        match => "match \$request_uri \"$_->[0]\"; #!")
    for [ '/x/*', '\/x/*' ], [ '!/x/*', '!\/x/*' ], [ '^/x/*', '~^\Q/x/*' ],
        [ '!^/x/*', '!~^\Q/x/*' ];
mistake('literal-pattern', 'a tool', qr/compares with the literal text "db_\*"/,
        match => 'mcp_tool db_*; #!');

control('literal-pattern', $_, match => "match \$request_uri \"$_\";")
    for '/admin', '^/admin/', '~^/admin/.*$', '~*^/(a|b)$', '!~x*', '\/a*',
        '/a?b=c&d=e', '^/a+b', '/a.b', '/a[]=1', 'http://[::1]:80/',
        'CORP\bob', '/$x/', '/a:b', '/a{}';


# hidden-rule: the rule "r" stands first

sub second {
    my ($match, %how) = @_;

    my $outcome = $how{outcome} // 'require admins;';

    return (rules => "rule s { #!\n$match $outcome }", %how);
}

for my $row (
    [ 'the same method', 'match $request_method DELETE;',
      'match $request_method DELETE; match $uri /x;' ],
    [ 'a longer prefix', 'match $uri ^/a/;', 'match $uri ^/a/b/;' ],
    [ 'a path below a prefix', 'match $uri ^/a/;', 'match $uri /a/b;' ],
    [ 'all paths', 'match $uri ^/;', 'match $uri ~^/a/b$;' ],
    [ 'all paths, by a regex', 'match $uri ~^/.*;', 'match $uri ^/a;' ],
    [ 'a prefix as a regex', 'match $uri ~^/api/;', 'match $uri ^/api/x;' ],
    [ 'regexes with a common beginning', 'match $uri ~^/api/;',
      'match $uri ~^/api/users/[0-9]+$;' ],
    [ 'a text that a regex finds', 'match $host ~^(a|b)\.example$;',
      'match $host b.example;' ],
    [ 'the same regex', 'match $uri ~(x|y);',
      'match $uri ~(x|y); match $arg_z 1;' ],
    [ 'one of several methods', 'match $request_method GET HEAD POST;',
      'match $request_method POST GET;' ],
    [ 'a method that is not excluded', 'match $request_method !GET;',
      'match $request_method POST;' ],
    [ 'a smaller number', 'match json:/n <100;',
      'match json:/n <10; match json:/x y;' ],
    [ 'a negated prefix', 'match $uri !^/a/b;', 'match $uri !^/a;' ],
    [ 'a tool', 'mcp_tool ^db_;', 'mcp_tool db_drop;' ],
    [ 'everything', '', 'match $uri /x;' ],
) {
    my ($name, $first, $then) = @$row;

    mistake('hidden-rule', $name,
            qr/rule "s" never decides: rule "r" before it/,
            policy => 'default deny;', match => $first, second($then));
}

control('hidden-rule', $_->[0], policy => 'default deny;',
        match => $_->[1], second($_->[2], @$_[3 .. $#$_]))
    for [ 'another method', 'match $request_method DELETE;',
          'match $request_method POST;' ],
        [ 'one method more', 'match $request_method DELETE;',
          'match $request_method DELETE POST;' ],
        [ 'the narrower one first', 'match $uri ^/a/b/;', 'match $uri ^/a/;' ],
        [ 'a beginning that ends within a name', 'match $uri ~^/admin/;',
          'match $uri ~^/administrators/;' ],
        [ 'a letter that may be absent', 'match $uri ~^/ab;',
          'match $uri ~^/ab?c;' ],
        [ 'an alternative', 'match $uri ~^/a;', 'match $uri ~^/ab|^/c;' ],
        [ 'a further condition', 'match $uri ^/a; match $arg_x 1;',
          'match $uri ^/a/b;' ],
        [ 'another subject', 'match $arg_x 1;', 'match $arg_y 1;' ],
        [ 'letter case that is left open', 'match $uri ~^/a/;',
          'match $uri ~*^/a/;' ],
        [ 'a greater number', 'match json:/n <100;', 'match json:/n <1000;' ],
        [ 'another comparison', 'match json:/n <100;', 'match json:/n >5;' ],
        [ 'a rule in shadow', 'match $uri ^/a;', 'match $uri ^/a/b;',
          rule => 'mode shadow;' ],
        [ 'several negations, one of which holds',
          'match $request_method !GET;', 'match $request_method !POST;' ],
        [ 'a member that may be absent', 'match json:/a ^;',
          'match $uri ^/x;' ];


# number-absent

mistake('number-absent', $_->[0], qr/rule "r" compares a number, so a request/,
        match => "match \$uri /pay;\n$_->[1] #!", @$_[2 .. $#$_])
    for [ 'a large amount', 'match json:/amount >1000;' ],
        [ 'a small one', 'match json:/left <10;' ],
        [ 'an argument', 'match $arg_n >5;' ],
        [ 'one of several patterns', 'match json:/n all >5;' ],
        [ 'a tool', 'mcp_tool pay; match json:/params/arguments/n >5;' ],
        [ 'a rule for another path', 'match json:/n >5;',
          rules => 'rule s { match $uri /other; require admins; }' ],
        [ 'a rule that allows the rest', 'match json:/n >5;',
          rules => 'rule s { match $uri /pay; allow; }' ];

control('number-absent', $_->[0], match => "match \$uri /pay; $_->[1]",
        @$_[2 .. $#$_])
    for [ 'a negation', 'match json:/amount !<1000;' ],
        [ 'a negation beside it', 'match json:/n >5 !<100;' ],
        [ 'default deny', 'match json:/n >5;', policy => 'default deny;' ],
        [ 'a rule for the rest', 'match json:/n >5;',
          rules => 'rule s { match $uri /pay; require admins; }' ],
        [ 'a rule for what is not so large', 'match json:/n >5;',
          rules => 'rule s { match $uri /pay; match json:/n !>5;
                             require admins; }' ];
control('number-absent', 'what is small and allowed first', match => '',
        policy => 'rule small { match $uri /pay; match json:/n <5; allow; }');


# unused-policy

mistake('unused-policy', 'a policy without a place',
        qr/policy "q" has no effect, because no location uses it\. Add "approval q;"/,
        http => "approval_policy q { #!\nrule x { match \$uri /x; deny; } }");
control('unused-policy', 'one that a server names',
        http => 'approval_policy q { rule x { match $uri /x; deny; } }',
        server => 'approval q;');


# joined-names, no-file-prefix

mistake('joined-names', $_->[0], qr/"\Q$_->[2]\E" is taken as one identity/,
        groups => "$PART{groups} $_->[1] #!")
    for [ 'a comma between', 'approval_group x alice,bob;', 'alice,bob' ],
        [ 'a comma and a blank', 'approval_group x alice, bob;', 'alice,' ],
        [ 'an alias', 'approval_alias alice@example.com ali,al;', 'ali,al' ],
        [ 'in a file', "approval_group x file:$dir/joined;", 'carol,dave' ];
mistake('no-file-prefix', $_->[0], qr/"\Q$_->[2]\E" is taken as an identity/,
        groups => "$PART{groups} $_->[1] #!")
    for [ 'a path', "approval_group x $dir/oncall;", "$dir/oncall" ],
        [ 'one from here', 'approval_group x ./oncall;', './oncall' ];
mistake('no-file-prefix', 'the secret of Slack',
        qr/"signing_secret" of channel "s" looks like a path, but is taken/,
        http => "approval_channel s { type slack; url http://127.0.0.1:1/;\n"
                . "signing_secret $dir/slack; #!\n}");
control('joined-names', $_, groups => "$PART{groups} approval_group x $_;")
    for 'alice bob', '"CN=alice,OU=ops,O=example"', '/C=US/O=example/CN=alice',
        "file:$dir/oncall", 'T024BE7LD:U0G9QF9C6';


# unverified-identity

mistake('unverified-identity', "requester $_->[0]",
        qr/"approval_requester \Q$_->[1]\E" trusts the client: .* can send requests/,
        requester => "approval_requester $_->[1]; #!", auth => $_->[2] // '')
    for [ 'from a header', '$http_x_agent' ],
        [ 'from an argument', '$arg_agent' ],
        [ 'from a cookie', '$cookie_agent' ],
        [ 'from one of them in a text', '"agent-${http_x_agent}"' =~ s/"//gr ],
        [ 'nobody checks', '$remote_user' ],
        [ 'with auth_basic off', '$remote_user', 'auth_basic off;' ],
        [ 'in braces', '${remote_user}', 'auth_basic off;' ],
        [ 'allow without deny', '$http_x_a', 'allow 10.0.0.0/8;' ],
        [ 'allow all', '$http_x_a', 'allow 10.0.0.0/8; allow all; deny all;' ],
        [ 'one deny', '$http_x_a', 'deny 10.0.0.1;' ],
        [ 'from a header beside auth_basic', '$http_x_agent', $PART{auth} ];
mistake('unverified-identity', 'no file of passwords',
        qr/nothing in location "\/" verifies "\$remote_user", .*\. Add "auth_basic" and/,
        passwords => '', requester => "approval_requester \$remote_user; #!",
        auth => 'auth_basic x;', api => "auth_basic x; auth_basic_user_file
        $dir/passwords; approval_api approver=\$remote_user;");
mistake('unverified-identity', "satisfy any, $_",
        qr/verifies "\$remote_user", .* With "satisfy any", one check is enough/,
        requester => "approval_requester \$remote_user; #!",
        location => "satisfy any; $_;")
    for 'allow 10.0.0.0/8; deny all', 'allow 10.0.0.0/8', 'auth_request /_auth';
mistake('unverified-identity', 'a certificate that anybody could have made',
        qr/verifies "\$ssl_client_s_dn", .* Use "ssl_verify_client on"/,
        names => 'server_name gw.example.com; ssl_verify_client optional_no_ca;',
        api => "\napproval_api approver=\$ssl_client_s_dn; #!\n");
mistake('unverified-identity', 'everybody is one approver',
        qr/verifies "alice", so anybody can vote there under this name\. Add/,
        api => "\napproval_api approver=alice; #!\n");
mistake('unverified-identity', "approver $_->[0]",
        qr/"approval_api approver=\Q$_->[1]\E" trusts the client: .* can vote there/,
        api => "$_->[2]\napproval_api approver=$_->[1]; #!\n")
    for [ 'from a header', '$http_x_user', '' ],
        [ 'nobody checks', '$remote_user', '' ],
        [ 'from an argument', '$arg_u', 'auth_basic x;' ];
mistake('unverified-identity', 'one warning for all locations',
        qr/nothing in location "\/" verifies "\$http_x_a"/,
        requester => '', auth => '', location => 'location /a {}',
        server => "approval_requester \$http_x_a; #!\n");

control('unverified-identity', $_->[0], requester =>
        "approval_requester $_->[1];", auth => $_->[2])
    for [ 'auth_basic', '$remote_user', $PART{auth} ],
        [ 'auth_request', '$http_x_agent', 'auth_request /_auth;' ],
        [ 'known addresses', '$http_x_agent', 'allow 10.0.0.1; deny all;' ],
        [ 'satisfy any and one check', '$remote_user',
          "$PART{auth} satisfy any;" ],
        [ 'one requester for all', 'agent', '' ],
        [ 'a variable of another kind', '$ssl_client_s_dn', '' ];
control('unverified-identity', 'one approver with a password',
        api => 'auth_basic x; approval_api approver=alice;');
control('unverified-identity', 'auth_basic of the server',
        auth => '', server => 'auth_basic x;');
control('unverified-identity', 'a map of secrets', auth => '',
        http => 'map $http_authorization $agent { default ""; "Bearer 7" a; }',
        requester => 'approval_requester $agent;');
control('unverified-identity', 'what the proxy for logins says',
        api => 'auth_request /_auth; auth_request_set $who $upstream_http_x_u;
                approval_api approver=$who;');
control('unverified-identity', 'a policy that asks nobody', auth => '',
        requester => 'approval_requester $http_x_a;',
        http => 'approval_policy q { rule x { match $uri /x; deny; } }',
        apply => 'approval q;', servers => 'server { listen 127.0.0.1:%%PORT1%%;
        location / { approval p; approval_requester $ssl_client_s_dn;
        proxy_pass http://127.0.0.1:9; }
        location = /_notify { internal; } }');
control('unverified-identity', 'client certificates',
        names => "server_name gw.example.com; ssl_verify_client on;
                  ssl_client_certificate $dir/ca.pem;",
        auth => '', requester => 'approval_requester $http_x_agent;')
    if system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256"
              . " -nodes -keyout $dir/ca.key -out $dir/ca.pem -subj /CN=x"
              . " -days 2 2> /dev/null") == 0;


# the approvers' side

mistake('no-api', 'no such location',
        qr/policy "p" requires approvals, but nobody can give them/,
        api => '');
control('no-api', $_->[0], api => '', @$_[1 .. $#$_])
    for [ 'a rule in shadow', rule => 'mode shadow;' ],
        [ 'decisions by a bot', server => 'approval_unsigned_decisions on;' ];

mistake('regex-api', $_, qr/"approval_api" in location .* answers every request/,
        api_name => $_, api => 'auth_basic x; approval_api '
        . "approver=\$remote_user; #!\n", base => '',
        channel => "url http://127.0.0.1:1/;", notify => '',
        servers => 'server { listen 127.0.0.1:%%PORT1%%;
        location /_approval { approval_api; } }', match => 'match $uri /x;',
        http => 'approval_lint off nobody-decides;')
    for '~ ^/_approval/', '@approval';

mistake('regex-api', $_->[0], qr/"approval_api" in location "\/_approval\/" $_->[1]/,
        api => "$_->[2] auth_basic x;\napproval_api approver=\$remote_user; #!\n",
        server => $_->[3], servers => "server { listen 127.0.0.1:%%PORT1%%;
        server_name gw.example.com; location /_approval { auth_basic x;
        auth_basic_user_file $dir/passwords;
        approval_api approver=\$remote_user; } }")
    for [ 'an internal one', 'answers every request with 404: .* "internal"',
          'internal;', '' ],
        [ 'a regex takes all', 'does not answer .*"/_approval/actions", because '
          . 'location "\^/_app" takes them: write "location \^~ /_approval/"', '',
          'location ~ ^/_app { return 404; }' ],
        [ 'a regex takes the script', 'does not .*/passkey\.js"', '',
          'location ~ \.(css|js)$ { root /x; }' ],
        [ 'a regex takes the keys', 'does not .*/jwks\.json"', '',
          'location ~ /\. { deny all; }' ];
control('regex-api', $_->[0], @$_[1 .. $#$_])
    for [ 'one that ends the search', api_name => '^~ /_approval/',
          server => 'location ~ /\. { deny all; }' ],
        [ 'a regex for other paths', server =>
          'location /static/ { location ~ \.js$ { root /x; } }' ],
        [ 'a location of its own', server => 'location = '
          . '/_approval/.well-known/jwks.json { approval_api; }' ];

mistake('base-url', $_->[0], $_->[1], base => "$_->[2] #!", @$_[3 .. $#$_])
    for [ 'another path', qr{no location "/approve/" has "approval_api"},
          'approval_base_url https://gw.example.com/approve;' ],
        [ 'no path', qr{no location "/" has "approval_api"},
          'approval_base_url https://gw.example.com;' ],
        [ 'a path below it', qr{no location "/_approval/x/" has},
          'approval_base_url https://gw.example.com/_approval/x;' ],
        [ 'one path only', qr{no location "/_approval/" has},
          'approval_base_url https://gw.example.com/_approval;',
          api_name => '= /_approval' ],
        [ 'another server', qr{the server of that name has no location "/_app},
          'approval_base_url https://www.example.com/_approval/;',
          servers => 'server { listen 127.0.0.1:%%PORT1%%;
                      server_name www.example.com; return 200; }' ];
control('base-url', $_->[0], base => $_->[1], @$_[2 .. $#$_])
    for [ 'a slash at the end',
          'approval_base_url https://gw.example.com/_approval/;' ],
        [ 'a location without one', $PART{base}, api_name => '/_approval' ],
        [ 'the root', 'approval_base_url https://gw.example.com;',
          names => 'server_name a.example;', servers =>
          "server { listen 127.0.0.1:%%PORT1%%; server_name gw.example.com;
           location / { approval_api; } }" ],
        [ 'a name of no server',
          'approval_base_url https://front.example.com/_approval;' ],
        [ 'variables', 'approval_base_url https://$server_name/x;' ],
        [ 'a server for each protocol', $PART{base}, servers =>
          'server { listen 127.0.0.1:%%PORT1%%; server_name gw.example.com;
           return 200; }' ];

mistake('no-base-url', 'messages without links',
        qr/messages have no links, because there is no "approval_base_url"/,
        base => '');

mistake('nobody-decides', $_->[0], qr/nobody can decide the requests of rule "r"/,
        api => 'approval_api;', @$_[1 .. $#$_])
    for [ 'a shared link', () ], [ 'no message', notify => '' ],
        [ 'personal links without a base', http =>
          'approval_lint off no-base-url;', base => '',
          channel => 'pass /_notify; per_approver on;' ];
control('nobody-decides', $_->[0], api => 'approval_api;', @$_[1 .. $#$_])
    for [ 'personal links', channel => 'pass /_notify; per_approver on;' ],
        [ 'mails', channel => 'type mail; url smtp://127.0.0.1:1;
                               from gw@example.com;' ],
        [ 'buttons', channel => "type slack; url http://127.0.0.1:1/;
                                 signing_secret file:$dir/slack;" ],
        [ 'one that is told later', notify => '', rule => 'escalate 5m late;',
          http => 'approval_channel late { url http://127.0.0.1:1/;
                   per_approver on; }' ],
        [ 'another door', server => 'location /_desk/ { auth_basic x;
                          approval_api approver=$remote_user; }' ],
        [ 'a rule in shadow', rule => 'mode shadow;' ],
        [ 'decisions by a bot', server => 'approval_unsigned_decisions on;' ];

mistake('no-requester', 'nobody', qr/applies where no "approval_requester" is set/,
        requester => '', apply => "approval p; #!\n");
mistake('no-requester', 'one of two locations', qr/where no "approval_requester"/,
        server => "location /x { approval p; #!\n}");
control('no-requester', 'one of the server', requester => '',
        server => 'approval_requester $remote_user;');
control('no-requester', "a policy of the $_, and one of each location",
        apply => '', $_ => 'approval p;') for 'server', 'http';


# return-first

mistake('return-first', $_->[0], qr/"$_->[1]" has no effect here, because nginx/,
        @$_[2 .. $#$_])
    for [ 'a location', 'approval', apply => "approval p; #!\n",
          location => 'return 200 x;' ],
        [ 'one of many policies', 'approval', server =>
          "location /x { approval p; #!\n approval_requester a; return 204; }" ],
        [ 'the pages', 'approval_api', api => "auth_basic x; return 404;
          approval_api approver=\$remote_user; #!\n" ];
control('return-first', $_->[0], @$_[1 .. $#$_])
    for [ 'an inherited policy', apply => '', server => 'approval p;
          location /health { approval_requester a; return 200 x; }' ],
        [ 'a condition', location => 'if ($arg_x) { return 403; }' ],
        [ 'a rewrite', location => 'rewrite ^/a /b last;' ];


# channels

mistake('pass-location', $_->[0], $_->[1],
        channel => "\npass $_->[2]; #!\n", @$_[3 .. $#$_])
    for [ 'no such location', qr{has no internal location for "/_hook"\. Add},
          '/_hook' ],
        [ 'a longer name', qr{no internal location for "/_notify/x"},
          '/_notify/x' ],
        [ 'a regex takes it', qr{no internal location for "/_x/y"}, '/_x/y?z=1',
          server => 'location /_x/ { internal; } location ~ y$ { }' ],
        [ 'another server', qr{only the server in \S+ has a location "/_other"},
          '/_other', servers => 'server { listen 127.0.0.1:%%PORT1%%;
          location = /_other { internal; } }' ],
        [ 'of escalate', qr{for "/_hook"}, '/_hook',
          notify => 'escalate 5m hook;' ];
mistake('pass-not-internal', 'a location for everybody',
        qr/location "\/_notify" of the server in \S+ is not internal\. Add/,
        channel => "\npass /_notify; #!\n", hook => '');
control('pass-location', $_->[0], channel => "pass $_->[1];", @$_[2 .. $#$_])
    for [ 'a prefix', '/_x/y', server => 'location /_x/ { internal; }' ],
        [ 'arguments', '/_notify?x=1' ],
        [ 'a regex', '/_x/y', server => 'location ~ ^/_x { internal; }' ],
        [ 'a prefix that ends the search', '/_x/y',
          server => 'location ^~ /_x/ { internal; } location ~ y$ { }' ],
        [ 'a regex inside another one', '/_x/y', server =>
          'location /_x/ { internal; } location /_z/ { location ~ y$ { } }' ],
        [ 'a nested location', '/_x/y', server =>
          'location /_x/ { location /_x/y { internal; } }' ],
        [ 'a server that does not ask', '/_notify', servers =>
          'server { listen 127.0.0.1:%%PORT1%%; return 200; }' ];
control('pass-location', 'a url', channel => 'url http://127.0.0.1:1/;',
        hook => '');

mistake('after-timeout', $_,
        qr/of rule "r" would be sent after 900 s, but the action ends after 600 s/,
        channel => 'url http://127.0.0.1:1/;', rule => "timeout 10m;\n$_; #!\n")
    for 'remind 15m', 'escalate 15m hook';
control('after-timeout', $_, channel => 'url http://127.0.0.1:1/;',
        rule => "timeout 20m; $_;") for 'remind 15m', 'escalate 15m hook';

mistake('pass-after-hold', $_, qr/never reaches channel "hook", because its/,
        rule => "hold 1m;\n$_; #!\n") for 'remind 5m', 'escalate 5m hook';
control('pass-after-hold', $_, rule => "hold 10m; $_;")
    for 'remind 5m', 'escalate 5m hook';

mistake('short-secret', 'a guess', qr/"signing_secret" of channel "s" is shorter/,
        http => "approval_channel s { type slack; url http://127.0.0.1:1/;\n"
                . "signing_secret guess; #!\n}");
mistake('no-mail-address', 'a name', qr/approver "carol" of rule "r" gets no mai/,
        groups => 'approval_group admins carol alice@example.com;',
        channel => 'type mail; url smtp://127.0.0.1:1; from gw@example.com;');
control('no-mail-address', 'one with an alias',
        groups => 'approval_group admins carol; approval_alias carol c@example.com;',
        channel => 'type mail; url smtp://127.0.0.1:1; from gw@example.com;');


# rules

mistake('strict-path-off', 'one reading', qr/"strict_path off" in policy "p"/,
        policy => 'strict_path off;');
mistake('opaque-variable', 'a map', qr/rule "r" matches "\$tier", but the/,
        http => 'map $arg_x $tier { default a; }',
        match => "\nmatch \$tier a; #!\n");
control('opaque-variable', 'what it is made of',
        http => 'map $arg_x $tier { default a; }',
        match => 'match $tier a from $arg_x;');
mistake('fleeting-bind', 'another in each request',
        qr/"\$request_id" in "bind" of rule "r" changes with each request/,
        rule => "\nbind \$request_id; #!\n");
control('fleeting-bind', 'what stays', rule => 'bind $http_x_tenant;');


# approval_lint itself

my @known = slurp("$root/src/conf/lint.def") =~ /^LINT\(\w+,\s+"([\w-]+)"\)/mg;

cmp_ok(scalar @known, '>', 20, 'names were found');

{
    my $list = join ', ', @known;

    refused('an unknown name is refused, with those that there are',
            qr/unknown name "typo" in "approval_lint": the names are \Q$list\E/,
            http => 'approval_lint off no-api typo; #!');
    refused('only "off"', qr/"approval_lint" directive has no "off": use/,
            http => 'approval_lint on no-api; #!');

    my ($code, $out) = found("approval_lint off @known; approval_lint off no-api;");

    is($code, 0, 'all names are taken, in several lines') or diag($out);
    is((found(conf(api => '', servers => 'approval_lint off no-api;')))[0], 0,
       'at the end of the file, too');
    is((found(conf(api => '', policy => 'strict_path off;', servers =>
              'approval_lint off no-api strict-path-off;')))[2], undef,
       'it silences several');
    like((found(conf(api => '', policy => 'strict_path off;',
                     servers => 'approval_lint off no-api;')))[2],
         qr/\[lint: strict-path-off\]/, 'and nothing else');
}

is_deeply([ grep { !$tested{$_} } @known ], [],
          'each warning has a mistake above');


# what is written about them, and where they are written

{
    my ($table) = slurp("$root/docs/directives.md")
                  =~ /^### approval_lint\n(.*?)^### /ms;

    is_deeply([ sort(($table // '') =~ /^\| `([\w-]+)` \|/mg) ], [ sort @known ],
              'docs/directives.md has all names, and no other');

    my @direct;

    for my $file (glob("$root/src/conf/*.c $root/src/*.c")) {
        push @direct, $file =~ s{.*/}{}r
            while slurp($file) =~ /NGX_LOG_WARN(?!, cf, ngx_errno)/g && @direct < 9;
    }

    is_deeply([ grep { $_ ne 'conf_lint.c' } @direct ], [],
              'no other file warns by itself');
}


# messages of nginx's own that name no line

refused("an unknown variable: $_->[0]", qr/unknown "no_such" variable: nginx has/,
        @$_[1 .. $#$_])
    for [ 'match', match => "\nmatch \$no_such x; #!\n" ],
        [ 'show', rule => "\nshow x \"a \${no_such}\"; #!\n" ],
        [ 'bind', rule => "\nbind \$no_such; #!\n" ],
        [ 'requester', requester => "approval_requester \$no_such; #!\n" ],
        [ 'approver', api => "approval_api approver=\$no_such; #!\n" ],
        [ 'base URL', base => 'approval_base_url https://$no_such/x; #!' ],
        [ 'limit', location => "approval_max_pending 5 per=\$no_such; #!\n" ];
refused("a variable without a name: \$$_", qr/unknown "$_" variable: nginx has no/,
        match => "\nmatch \$$_ x; #!\n") for qw(arg_ http_ cookie_);
refused('a capture of no rule', qr/unknown "approval_arg_x" variable: no "match"/,
        requester => "approval_requester \$approval_arg_x; #!\n");
control('unknown variables', 'what is declared later',
        match => 'match $late x from $arg_a;', servers =>
        'map $arg_a $late { default x; }', rule => 'show a $Arg_B;
         show b $upstream_http_x; show c $sent_http_y; show d $SCHEME;
         show e $cookie_f;');
refused("a group of nobody in $_", qr/group "a,b" in "$_" has no members: declare/,
        http => "$_ a,b; #!") for qw(approval_operators approval_auditors);
refused('a directory that is not there',
        qr{directory "/nowhere/at" of "approval_audit /nowhere/at/a" does not},
        http => 'approval_audit /nowhere/at/a; #!');
refused('one that is a file', qr{the directory "\Q$dir\E/oncall" of},
        http => "approval_audit $dir/oncall/a; #!");
refused('the directory itself', qr{"approval_audit \Q$dir\E" is a directory: give},
        http => "approval_audit $dir; #!");
refused("a missing file of $_->[0]",
        qr{"$_->[0]" cannot open the file "/nowhere/at": check the path, or create },
        $_->[1] => "$_->[2] #!\n", @$_[3 .. $#$_])
    for [ 'approval_signing_key', http => 'approval_signing_key /nowhere/at;' ],
        [ 'approval_redis', redis =>
          'approval_redis unix:/x password_file=/nowhere/at;' ],
        [ 'approval_group', groups => 'approval_group admins file:/nowhere/at;' ],
        map { [ $_, channel => "$_ /nowhere/at;" ] }
            qw(trusted_certificate certificate certificate_key);
refused("a missing file of $_->[0]", qr{"$_->[0]" cannot open the file "/nowhere/at},
        channel => "$_->[1]\n$_->[0] file:/nowhere/at; #!\n")
    for [ url => '' ], [ secret => '' ], [ signing_secret => 'type slack;' ];

{
    spew("$dir/included.conf", "# in a file of its own\n\n"
         . "match \$uri /admin/*;\n");

    my ($code, $out, @warnings) = found(conf(match =>
                                             "include $dir/included.conf;"));

    like("@warnings", qr/\[lint: literal-pattern\] in \Q$dir\E\/included.conf:3$/,
         'the line of an included file is named');
}

control('the audit directory', 'one below the prefix',
        http => 'approval_audit logs/a.jsonl;');

done_testing();
