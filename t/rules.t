#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# What rules mean, through the gateway: each operator with its truth table.
# A rule that denies tells whether it held: 403 is 1, the upstream's 200 is 0.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();


my (@places, @tables);


# a location with its own policy; "%L" in it and in targets is the location

sub place {
    my ($policy, $location) = @_;

    push @places, { policy => $policy, location => $location // '' };

    return '/t' . @places . '/';
}


# a rule of these lines and requests with what they meet: [HOW, WANT]

sub table {
    my ($name, $matches, @rows) = @_;

    my $at = place("rule r { $matches deny; }");

    push @tables, [ $name, $at, @rows ];
}


# the value of the header X-V, undef for none

sub header {
    my ($name, $patterns, @rows) = @_;

    table($name, "match \$http_x_v $patterns;",
          map { [ { headers => [ 'X-V' => $_->[0] ] }, $_->[1] ] } @rows);
}


# a JSON body: text, or data that becomes it

sub json {
    my ($name, $matches, @rows) = @_;

    table($name, $matches,
          map { [ { method => 'POST', body => $_->[0] }, $_->[1] ] } @rows);
}


sub form {
    my ($name, $matches, @rows) = @_;

    table($name, $matches, map { [ { method => 'POST', body => $_->[0],
        headers => [ 'Content-Type' => 'application/x-www-form-urlencoded' ] },
        $_->[1] ] } @rows);
}


my $BAD = '400 body-unreadable';
my $PATH = '400 ambiguous-path';
my $QUERY = '400 ambiguous-query';
my $HEADER = '400 ambiguous-header';
my $FIELD = '400 ambiguous-body';

header('exact', 'prod',
       [undef, 0], ['', 0], ['prod', 1], ['Prod', 0], ['prod2', 0], ['pro', 0]);
header('exact: the empty string', '""', [undef, 1], ['', 1], ['x', 0]);
header('not', '!prod', [undef, 1], ['', 1], ['prod', 0], ['Prod', 1]);
header('not empty', '"!"', [undef, 0], ['', 0], ['x', 1]);
header('prefix', '^pr', [undef, 0], ['p', 0], ['pr', 1], ['prod', 1], ['xpr', 0],
       ['PR', 0]);
header('prefix: the empty one', '^', [undef, 1], ['x', 1]);
header('not a prefix', '!^pr', [undef, 1], ['p', 1], ['pr', 0], ['prod', 0]);
header('regex', '~^p.+d$', [undef, 0], ['prod', 1], ['PROD', 0], ['pd', 0],
       ['xprod', 0], ["p\xffd", 1]);
header('regex: not anchored', '~ro', ['prod', 1], ['pod', 0]);
header('regex: alternatives and a literal start', '~^a|^b', ['a', 1], ['bx', 1],
       ['cb', 0]);
header('regex without case', '~*^p.+d$', ['PROD', 1], ['prod', 1], ['PD', 0]);
header('not a regex', '!~^p.+d$', [undef, 1], ['prod', 0], ['PROD', 1]);
header('not a regex without case', '!~*^p.+d$', ['PROD', 0], ['x', 1]);
header('less', '<10', ['9', 1], ['10', 0], ['9.99', 1], ['-1', 1], ['-0', 1],
       [undef, 0], ['9007199254740992', 0], map { [$_, $HEADER] }
       '', 'x', '9x', '09', '+9', '0x1', '.5', '5.', '1e0', '1e1', '1e400',
       '9007199254740993', '-9007199254740993');
header('greater', '>-1.5', ['-1.4', 1], ['0', 1], ['-2', 0], ['-1.6', $HEADER],
       ['-1.5', $HEADER], ['1e15', $HEADER], ['x', $HEADER]);
header('not less', '!<10', ['9', 0], ['10', 1], ['x', $HEADER], ['', $HEADER],
       [undef, 1], ['1e400', $HEADER]);
header('several patterns: any', 'a ^b ~c$ >5', ['a', 1], ['bx', 1], ['xc', 1],
       ['6', 1], ['5', 0], ['d', $HEADER], ['ax', $HEADER], [undef, 0]);
header('several negated: any, not all', '!a !b', ['a', 1], ['b', 1], ['c', 1]);
header('literal: regex', '\~x', ['~x', 1], ['x', 0]);
header('literal: not', '\!x', ['!x', 1], ['x', 0], ['y', 0]);
header('literal: prefix', '\^x', ['^x', 1], ['xy', 0]);
header('literal: less', '\<5', ['<5', 1], ['4', 0]);
header('literal: greater', '\>5', ['>5', 1], ['6', 0]);
header('literal: backslash, which nginx unescapes first', '\\\\\\\\x', ['\x', 1], ['x', 0]);
header('not a literal', '!\!x', ['!x', 0], ['x', 1]);
header('spaces and quotes', '"a b" \'c"d\'', ['a b', 1], ['c"d', 1], ['a', 0]);

table('several match lines: all',
      'match $request_method DELETE PUT; match $http_x_v prod; match $arg_f 1;',
      [{ method => 'DELETE', target => '?f=1', headers => ['X-V', 'prod'] }, 1],
      [{ method => 'PUT', target => '?f=1', headers => ['X-V', 'prod'] }, 1],
      [{ method => 'GET', target => '?f=1', headers => ['X-V', 'prod'] }, 0],
      [{ method => 'DELETE', target => '?f=2', headers => ['X-V', 'prod'] }, 0],
      [{ method => 'DELETE', target => '?f=1', headers => ['X-V', 'x'] }, 0]);
table('one subject in several lines', 'match $arg_n >5; match $arg_n <9;',
      [{ target => '?n=7' }, 1], [{ target => '?n=5' }, 0],
      [{ target => '?n=9' }, 0]);
table('several variables in a subject',
      'match "$request_method $host:${http_x_v}" "POST gw:x";',
      [{ method => 'POST', headers => [Host => 'gw', 'X-V' => 'x'] }, 1],
      [{ method => 'POST', headers => [Host => 'gw', 'X-V' => 'y'] }, 0],
      [{ method => 'GET', headers => [Host => 'gw', 'X-V' => 'x'] }, 0]);
table('unknown methods are methods', 'match $request_method FOO !~^[A-Z]+$;',
      [{ method => 'FOO' }, 1], [{ method => 'GET' }, 0],
      [{ method => 'FO_O' }, 1]);
table('methods that are not', 'match $request_method !GET;',
      [{ method => 'GET' }, 0], [{ method => 'HEAD' }, 403],
      [{ method => 'FOO' }, 1]);
table('the path is decoded and merged', 'match $uri %La/b; match $host ^;',
      [{ target => 'a/b' }, 1], [{ target => 'a/b?c' }, 1],
      [{ target => 'a/bc' }, 0], [{ target => 'A/b' }, $PATH],
      [{ target => 'a/b/' }, $PATH], [{ target => 'a/%62' }, 1]);
table('the query', 'match $args ~(^|&)force=1(&|$);',
      [{ target => '?a=2&force=1' }, 1], [{ target => '?force=10' }, 0]);
table('no match at all', '', [{}, 1]);


# JSON

json('json: exact', 'match json:/a prod;',
     ['{"a":"prod"}', 1], ['{"a":"Prod"}', 0], ['{"b":"prod"}', 0],
     ['{"b":{"a":"prod"}}', 0], ['{"a":"pr\u006fd"}', 1], ['{"\u0061":"prod"}', 1],
     ['["prod"]', 0], ['"prod"', 0], [' { "a" : "prod" } ', 1]);
json('json: absent is not null is not empty', 'match json:/a "";',
     ['{}', 0], ['{"a":null}', 0], ['{"a":""}', 1], ['{"a":[]}', 0],
     ['{"a":false}', 0], ['{"a":0}', 0]);
json('json: null', 'match json:/a null;',
     ['{}', 0], ['{"a":null}', 1], ['{"a":""}', 0], ['{"a":"null"}', 1]);
json('json: true and false', 'match json:/a true;',
     ['{"a":true}', 1], ['{"a":false}', 0], ['{"a":"true"}', 1], ['{"a":1}', 0],
     ['{}', 0]);
json('json: not', 'match json:/a !true;',
     ['{"a":true}', 0], ['{"a":false}', 1], ['{"a":null}', 1], ['{}', 1],
     ['[]', 1]);
json('json: numbers as text', 'match json:/a 1;',
     ['{"a":1}', 1], ['{"a":"1"}', 1], ['{"a":1.0}', 1], ['{"a":10e-1}', 1],
     ['{"a":1.5}', 0], ['{"a":-1}', 0], ['{"a":01}', $BAD]);
json('json: numbers', 'match json:/a >100;',
     ['{"a":101}', 1], ['{"a":100}', 0], ['{"a":"101"}', 1], ['{"a":1e3}', 1],
     ['{"a":100.5}', 1], ['{"a":"100.5"}', $FIELD], ['{"a":"101.5"}', 1],
     ['{"a":null}', 0], ['{"a":"null"}', $FIELD], ['{}', 0],
     (map { [ "{\"a\":$_}", $FIELD ] } '[101]', '[]', '{}', 'true', '"1e3"',
      '"+101"', '" 101"', '"0101"', '"0x65"', '""'),
     ['{"a":9007199254740993}', $FIELD], ['{"a":1e400}', $BAD],
     ['{"a":99999999999999999999}', $FIELD],
     ['{"b":99999999999999999999}', 0],
     ['{"a":101,"b":-99999999999999999999}', 1],
     ['{"b":[99999999999999999999],"a":7}', 0],
     ['{"a":' . '9' x 308 . '}', $FIELD], ['{"a":' . '9' x 309 . '}', $BAD]);
json('json: integers of more than 64 bits, as text',
     'match json:/a 99999999999999999999;',
     ['{"a":99999999999999999999}', $FIELD], ['{"a":99999999999999999998}', 0],
     ['{"a":"99999999999999999999"}', 1]);
json('json: arrays and objects are their JSON', 'match json:/a "{\"b\":1,\"c\":[2]}" [];',
     ['{"a":{"c":[2],"b":1}}', 1], ['{"a":[]}', 1], ['{"a":{}}', 0]);
json('json: a regex sees inside', 'match json:/a "~\"drop\"";',
     ['{"a":["x","drop"]}', 1], ['{"a":"drop"}', 0], ['{"a":"\"drop\""}', 1]);
json('json: elements by number', 'match json:/a/1 x;',
     ['{"a":["y","x"]}', 1], ['{"a":["x","y"]}', 0], ['{"a":{"1":"x"}}', 1],
     ['{"a":["x"]}', 0]);
json('json: "*" is any element', 'match json:/a/*/n x;',
     ['{"a":[{"n":"y"},{"n":"x"}]}', 1], ['{"a":[]}', 0], ['{"a":[{"m":"x"}]}', 0],
     ['{"a":{"k":{"n":"x"}}}', 1]);
json('json: "*" and not: any that is not', 'match json:/a/* !x;',
     ['{"a":["x","x"]}', 0], ['{"a":["x","y"]}', 1], ['{"a":[]}', 1], ['{}', 1]);
json('json: escapes in pointers', 'match json:/a~1b/c~0d x; match "json:/e f" y;',
     ['{"a/b":{"c~d":"x"},"e f":"y"}', 1], ['{"a":{"b":{"c~d":"x"}},"e f":"y"}', 0]);
json('json: the whole body', 'match json: "{\"a\":1}";',
     ['{ "a": 1 }', 1], ['{"a":2}', 0]);
json('json: what is not strict JSON is refused', 'match json:/a x;',
     ['', $BAD], ['{', $BAD], ['{"a":"x"} x', $BAD], ['{"a":"y","a":"x"}', $BAD],
     ['{"a":"y","\u0061":"x"}', $BAD], ["\xef\xbb\xbf{}", $BAD], ["{'a':1}", $BAD],
     ["{\"b\":\"\xff\"}", $BAD], ['{"b":"\ud800"}', $BAD], ['{"b":NaN}', $BAD],
     ['{"a":"x",}', $BAD], ['// c', $BAD], ['a=x', $BAD], ["{}\0", $BAD],
     ['{"b":' . '[' x 64 . ']' x 64 . '}', $BAD],
     ['{"b":' . '[' x 60 . ']' x 60 . '}', 0]);

table('a body: of any type, in any form', 'match json:/a x;',
      [{}, 0],
      [{ method => 'DELETE' }, 0],
      [{ method => 'GET', body => '{"a":"x"}' }, 1],
      [{ method => 'POST', body => '{"a":"x"}',
         headers => ['Content-Type' => 'text/plain'] }, 1],
      [{ method => 'POST', chunked => ['{"a"', ':"x"}'] }, 1],
      [{ method => 'POST', chunked => ['{"a"', ':"y"}'] }, 0],
      [{ method => 'POST', chunked => [] }, $BAD],
      [{ method => 'POST', body => '{"a":"x"}', expect => 1 }, 1],
      [{ method => 'POST', body => '{"b":"' . 'z' x 40000 . '","a":"x"}' }, 1],
      [{ method => 'POST', body => '{"b":"' . 'z' x 40000 . '","a":"y"}' }, 0],
      [{ method => 'POST', body => '{"a":"y"}',
         headers => ['Content-Encoding' => 'identity'] }, 0],
      [{ method => 'POST', body => '{"a":"y"}',
         headers => ['Content-Encoding' => 'gzip'] }, '415 body-unreadable']);

push @tables, [ 'body_limit',
    place('body_limit 100; rule r { match $request_method POST;'
          . ' match json:/a x; deny; }'),
    [{ method => 'POST', body => '{"a":"x"' . ' ' x 91 . '}' }, 1],
    [{ method => 'POST', body => '{"a":"y"' . ' ' x 92 . '}' },
     '413 body-too-large'],
    [{ method => 'PUT', body => 'z' x 200 }, 0] ];

push @tables, [ 'a body is read only where a rule wants it',
    place('rule r { match $http_x_v 1; match json:/a x; deny; }'),
    [{ method => 'POST', body => '{', headers => ['X-V' => 0] }, 0],
    [{ method => 'POST', body => '{', headers => ['X-V' => 1] }, $BAD] ];

form('form', 'match form:cmd drop ^del ~^x$;',
     ['cmd=drop', 1], ['a=1&cmd=drop&b', 1], ['cmd=dr%6fp', 1], ['c%6dd=drop', $FIELD],
     ['cmd=Drop', 0], ['cmd=delete', 1], ['cmd=x', 1], ['cmd=', 0], ['cmd', 0],
     ['', 0], ['x=1', 0], ['cmd=drop&cmd=y', $FIELD], ['cmd=y&cmd=drop', $FIELD],
     ['CMD=drop', $FIELD], ['cmd[]=drop', $FIELD], ['x=1;cmd=drop', $FIELD],
     ['cmd=%zz', 0]);
form('form: not', 'match form:cmd !list;',
     ['cmd=list', 0], ['cmd=', 1], ['x=1', 1], ['cmd=drop', 1]);
form('form: spaces, numbers', 'match form:n >5 "a b";',
     ['n=6', 1], ['n=5', 0], ['n=a+b', 1], ['n=a%20b', 1],
     ['n=a%2bb', $FIELD]);


# MCP

sub call {
    my ($tool, %more) = @_;

    return { jsonrpc => '2.0', id => 1, method => 'tools/call',
             params => { name => $tool, arguments => {} }, %more };
}

sub text { encode_json($_[0]) }

my $BATCH = '400 batch';

json('mcp_tool', 'mcp_tool drop_table ~^delete_;',
     [text(call('drop_table')), 1], [text(call('delete_user')), 1],
     [text(call('list')), 0], [text(call('DROP_TABLE')), 0],
     [text(call('drop_table', method => 'tools/list')), 0],
     [text(call('drop_table', jsonrpc => undef)), 1],
     ['{"method":"tools/call","params":{"name":"drop_table"}}', 1],
     ['{"jsonrpc":"2.0","method":"notifications/initialized"}', 0],
     ['{"jsonrpc":"2.0","id":1,"result":{}}', 0],
     [text([call('list'), call('list')]), 0],
     [text([call('drop_table')]), 1],
     [text([call('list'), call('drop_table'), call('list')]), 1],
     [text([{ jsonrpc => '2.0', method => 'ping' }, call('delete_x')]), 1],
     ['[{"method":"tools/call","params":{"name":"drop_table"}}]', $BATCH],
     ['[{"Method":"tools/call","params":{"name":"drop_table"}}]', $BATCH],
     [text([call('list'), 'x']), 0],
     [text([call('list'), [call('drop_table')]]), 0],
     ['[]', 0], ['{"method":"tools/call","method":"ping"}', $BAD], ['', $BAD]);

table('mcp_tool: requests without a body pass', 'mcp_tool drop_table;',
      [{ method => 'GET' }, 0], [{ method => 'DELETE' }, 0]);

json('mcp_tool with more', 'mcp_tool drop; match json:/params/arguments/env prod;',
     [text(call('drop', params => { name => 'drop',
                                    arguments => { env => 'prod' } })), 1],
     [text(call('drop')), 0],
     # each element for itself: not the tool of one and the argument of another
     [text([call('drop'), call('x', params => { name => 'x',
                                    arguments => { env => 'prod' } })]), 0]);

push @tables, [ 'a batch that a rule concerns is sent one by one',
    place('rule a { mcp_tool a; require admins; }'
          . ' rule b { mcp_tool b; allow; }'
          . ' rule c { mcp_tool c; deny; }'),
    [{ method => 'POST', body => text([call('a', id => undef)]) }, 1],
    [{ method => 'POST', body => text([call('a')]) =~ s/"id":1,//r }, $BATCH],
    [{ method => 'POST', body => text([call('b'), call('b')]) }, 0],
    [{ method => 'POST', body => text([call('b'), call('a')]) }, 1],
    [{ method => 'POST', body => text([call('c'), call('x')]) }, 1] ];


# policies

push @tables, [ 'the first rule that holds', place(<<'EOF'),
    rule a { match $uri %Lhealth; allow; }
    rule b { match $uri ^%L; match $request_method GET; deny "b"; }
    rule c { deny "c"; }
EOF
    [{ target => 'health' }, 0], [{ target => 'x' }, 'b'],
    [{ target => 'x', method => 'PUT' }, 'c'] ];

push @tables, [ 'default deny', place(<<'EOF'),
    default deny;
    rule a { match $request_method GET; match $uri ^%Lopen; allow; }
EOF
    [{ target => 'open' }, 0], [{ target => 'x' }, 1],
    [{ target => 'open', method => 'PUT' }, 1] ];

push @tables, [ 'default allow', place('rule a { match $uri %Lx; deny; }'),
    [{ target => 'y' }, 0], [{ target => 'x' }, 1] ],
    [ 'no rules', place(''), [{}, 0] ],
    [ 'no rules, default deny', place('default deny;'), [{}, 1] ];

push @tables, [ 'shadow', place(<<'EOF'),
    rule a { match $arg_a 1; deny; mode shadow; }
    rule b { match $arg_a 2; require admins; mode shadow; }
    rule c { match $arg_c ^; match $arg_c !; deny; mode enforce; }
EOF
    [{ target => '?a=1' }, 0], [{ target => '?c=1' }, 1],
    [{ target => '?a=2', headers => ['X-Agent' => 'agent-7'] }, 0],
    [{ target => '?a=2' }, 0] ];

push @tables, [ 'shadow keeps no later rule from deciding', place(<<'EOF'),
    rule d { match $arg_a 1; allow; }
    rule e { match $arg_a ^; deny; mode shadow; }
    rule f { match $arg_a 2; deny f; }
EOF
    [{ target => '?a=1' }, 0], [{ target => '?a=2' }, 'f'] ];

my $include = place("include %%PREFIX%%/rules/*.conf; rule z { deny 'z'; }");

push @tables, [ 'include in a policy', $include,
    [{ target => '?i=1' }, 0], [{ target => '?i=2' }, 'two'], [{}, 'z'] ];


# regexes that would take for ever

my $LIMIT = '400 match-limit';

push @tables, [ 'the limit of a regex refuses', place(<<'EOF'),
    rule a { match $arg_x "~^(a+)+$"; deny; }
EOF
    [{ target => '?x=' . 'a' x 20 }, 1],
    [{ target => '?x=' . 'a' x 40 . '!' }, $LIMIT] ];

push @tables, [ 'the limit of a negated one, too', place(<<'EOF'),
    rule a { match $arg_x "!~^(a|aa)+$"; deny; }
EOF
    [{ target => '?x=' . 'a' x 50 . '!' }, $LIMIT] ];


# who and why

my $require = place(<<'EOF');
    rule a { match $arg_why 1; reason required; require admins; }
    rule b { require admins; }
EOF

my @agent = ('X-Agent' => 'agent-7');

push @tables, [ 'who and why', $require,
    [{}, '403 identity-required'],
    [{ headers => ['X-Agent' => ''] }, '403 identity-required'],
    [{ headers => ['X-Agent' => "a\xe2\x80\x8bb"] }, '403 identity-required'],
    [{ headers => ['X-Agent' => "a\xff"] }, '403 identity-required'],
    [{ headers => ['X-Agent' => "jose\xcc\x81"] }, '403 identity-required'],
    [{ headers => ['X-Agent' => "\xef\xbd\x81lice"] },
     '403 identity-required'],
    [{ headers => ['X-Agent' => 'a' x 257] }, '403 identity-required'],
    [{ target => '?why=1', headers => [@agent] }, '400 reason-required'],
    [{ target => '?why=1',
       headers => [@agent, 'X-Approval-Reason' => "\xc2\xa0"] },
     '400 reason-required'],
    [{ target => '?why=1', headers => [@agent, 'X-Approval-Reason' => ''] },
     '400 reason-required'] ];


# paths that two readers could read differently

my $strict = place('rule a { match $uri ^%Ladmin; deny; }');
my $exempt = place('default deny; rule a { match $uri ^%L; allow; }');
my $braces = place('rule a { match "${uri}" ^%Ladmin; deny; }');
my $loose = place('strict_path off; rule a { match $uri ^%Ladmin; deny; }');
my $other = place('rule a { match $request_method DELETE; deny; }');
my $allows = place('rule a { match $uri ^%Ladmin; allow; }');

# what no rule is about in any reading

my @odd = (
    'a/../x', 'a/./x', 'a//x', 'x%2fy', 'x%2Fy', 'x%5cy', 'x\\y', 'x;a=1/y',
    'x;/y', 'x%3by', '%61b', 'x%2dy', 'x%252fy', 'x%25y', 'x%3fy', 'x%23y',
    'x%0ay', 'x%0d%0ay', 'x%7fy', "x\xc3\xa9", 'x%ff', 'x%c0%af', 'x%c3',
    'x%ef%bc%8fy', 'x%e2%88%95y', 'x/.', 'x/y/..', 'x', 'x/', 'x/y.z',
    'x/~y-z_1', 'x?a=..//;%2f', 'x%20y', 'x%c3%a9', 'x/y:z@w',
    'x/a,b=c+d!e$f', '.x', '..x', 'x..',
);

# what some reader takes for /admin

my @admin = (
    'a/%2e%2e/admin', 'a/../admin', '%61dmin', './admin', '/admin', '%2fadmin',
    'a/..%2fadmin', 'a%2f..%2fadmin', '%2561dmin', 'a%5c..%5cadmin',
    'a\\..\\admin', ';x/admin', 'a/..;/admin', 'a/%2e%2e;x/admin', 'a/..%3b/admin',
    '%ef%bc%8fadmin', '%c0%afadmin', 'a/%252e%252e/admin', 'ADMIN', 'Admin/x',
);

for my $at ($strict, $braces) {
    push @tables, [ "paths that a rule is about at $at", $at,
        (map { [ { target => $_ }, qr/^(?:1|\Q$PATH\E)$/ ] } @admin),
        [{ target => 'admin' }, 1], [{ target => 'x%00y' }, 400],
        map { [ { target => $_ }, 0 ] } @odd ];
}

push @tables, [ 'paths that a rule exempts', $exempt,
    [{ target => '..;/x' }, $PATH],
    [{ target => '..%252fx' }, $PATH], [{ target => '..\\x' }, $PATH],
    [{ target => '..%5cx' }, $PATH],
    map { [ { target => $_ }, 0 ] } @odd ];

my $default = place('rule a { match $uri %Lx; require admins; }');

push @tables, [ 'a host that differs', $default,
    [{ target => 'y', headers => [ Host => 'a' ] }, 0],
    [{ absolute => 'y', headers => [ Host => 'other.example' ] }, 0],
    [{ absolute => 'x', headers => [ Host => 'other.example' ] },
     '400 ambiguous-host'],
    [{ absolute => 'x', headers => [ Host => 'a', Host => 'b' ] },
     qr/^400/] ];

push @tables, [ 'the end of a path is its very end',
    place('strict_path off; rule a { match $uri "~^%Lx$"; deny; }'),
    [{ target => 'x' }, 1], [{ target => 'x%0a' }, 0], [{ target => 'x?y' }, 1] ];

push @tables,
    map { my $at = $_; [ "nothing is ambiguous at $at", $at,
        map { [ { target => $_ }, 0 ] }
            @odd ] }
        $loose, $other, $allows;

# what a client may send two of, and a rule sees one

table('an argument that stands twice', 'match $arg_force 1;',
      [{ target => '?force=1' }, 1], [{ target => '?force=0' }, 0],
      [{ target => '?force=0&force=1' }, $QUERY],
      [{ target => '?FORCE=0&force=1' }, $QUERY],
      [{ target => '?force=0;force=1' }, $QUERY],
      [{ target => '?force=0&force[]=1' }, $QUERY],
      [{ target => '?a=0&a=1&force=0' }, 0]);
table('an argument in disguise', 'match $arg_force true;',
      [{ target => '?force=%74rue' }, 1],
      [{ target => '?%66orce=true' }, $QUERY],
      [{ target => '?Force=true' }, $QUERY],
      [{ target => '?force[x]=true' }, $QUERY],
      [{ target => '?[force]=true' }, $QUERY],
      [{ target => '?+force=true' }, $QUERY],
      [{ target => '?force=a%20b%2Fc+d%7e' }, 0],
      [{ target => '?force=%e2%82%ac' }, 0]);
table('a query in disguise', 'match "$host?$args" ~force;',
      [{ target => '?%66orce=true' }, 1], [{ target => '?force=y' }, 1],
      [{ target => '?x=y' }, 0]);
table('a header that stands twice', 'match $http_x_env prod;',
      [{ headers => ['X-Env' => 'prod'] }, 1],
      [{ headers => ['X-Env' => 'dev', 'X-Env' => 'prod'] }, $HEADER],
      [{ headers => ['x-env' => 'dev', 'X-ENV' => 'dev'] }, 0],
      [{ headers => ['x-env' => 'prod', 'X-ENV' => 'prod'] }, $HEADER],
      [{ headers => ['X-Env' => 'dev', 'X-Enw' => 'prod'] }, 0]);
table('addresses are one list', 'match $http_x_forwarded_for ~1.2.3.4;',
      [{ headers => ['X-Forwarded-For' => '9.9.9.9',
                     'X-Forwarded-For' => '1.2.3.4'] }, $HEADER]);

push @tables, [ 'two of what no rule reads', $other,
    [{ target => '?a=1&a=%61', headers => ['X-Env' => 'a', 'X-Env' => 'b'] },
     0] ];

my $loosely = place('strict_path off; rule a { match $arg_f 1; '
                    . 'match $http_x_env ^; deny; }');

push @tables, [ 'strict_path is about paths only', $loosely,
    [{ target => '?f=0&f=1', headers => ['X-Env' => 'a', 'X-Env' => 'b'] },
     $QUERY] ];


# a body that another reader takes for the same fields

my $typed = sub { [ { method => 'POST', body => $_[0],
                      headers => [ 'Content-Type' => $_[1] ] }, $_[2] ] };

table('no form', 'match form:op drop;',
      $typed->('op=drop', 'application/x-www-form-urlencoded', 1),
      $typed->("--x\r\nContent-Disposition: form-data; name=\"op\"\r\n\r\n"
               . "drop\r\n--x--\r\n", 'multipart/form-data; boundary=x', $BAD),
      $typed->('{"op":"drop"}', 'application/json', $BAD),
      $typed->('  {"op":"drop"}', 'application/json', $BAD),
      $typed->("\xef\xbb\xbf{\"op\":\"drop\"}", 'application/json', $BAD),
      $typed->('<op>drop</op>', 'text/xml', $BAD),
      $typed->("op=drop\n", 'application/x-www-form-urlencoded', $BAD),
      $typed->('text=a {b} [c] "d" e', 'text/plain', 0));

json('members in another case', 'match json:/params/op drop;',
     ['{"params":{"op":"drop"}}', 1],
     ['{"params":{"Op":"drop"}}', $FIELD],
     ['{"PARAMS":{"op":"drop"}}', $FIELD],
     ['{"params":{"op":"read","oP":"drop"}}', $FIELD],
     ['{"params":{"op":"read","oP":"list"}}', 0],
     ['{"params":{"opp":"drop","o":1},"param":{"OP":1}}', 0],
     ['{"params":{"other":{"OP":"drop"}}}', 0]);
json('members in another case, below any', 'match json:/*/key drop;',
     ['[{"x":1},{"key":"drop"}]', 1], ['{"a":{"KEY":"drop"}}', $FIELD],
     ["[{\"x\":1},{\"\xe2\x84\xaaey\":\"drop\"}]", $FIELD],
     ['[{"x":1},{"kex":"drop"}]', 0]);


my @override = qw(X-HTTP-Method-Override X-HTTP-Method X-Method-Override);

push @tables, [ 'another method', $other,
    map({ [ { headers => [$_ => 'DELETE'] }, '400 ambiguous-method' ] }
        @override),
    map({ [ { headers => [lc $_ => 'put'] }, 0 ] } @override),
    [{ method => 'POST', target => '?_method=delete' }, '400 ambiguous-method'],
    [{ target => '?_method=delete' }, '400 ambiguous-method'],
    [{ target => '?_httpmethod=delete' }, 0],
    [{ absolute => 'x' }, 0],
    [{ headers => ['X-Original-URL' => '/x'] }, 0],
    [{ headers => ['X-Method' => 'DELETE'] }, 0],
    [{ headers => ['X-Forwarded-For' => '1.2.3.4'] }, 0] ];

push @tables, [ 'another path', $strict,
    [{ headers => ['X-Original-URL' => '%L'] }, 0],
    map { [ { headers => [$_ => '%Ladmin?x'] }, $PATH ] }
        qw(X-Original-URL X-Rewrite-URL x-rewrite-url) ];

push @tables,
    [ 'not where nothing is judged', $allows,
      [{ headers => ['X-HTTP-Method-Override' => 'PUT'] }, 0],
      [{ absolute => 'x' }, 0] ],
    [ 'nor where strict_path is off', $loose,
      [{ headers => ['X-HTTP-Method-Override' => 'PUT',
                     'X-Original-URL' => '%Ladmin'] }, 0] ];


# captures, into what approvers see

my $capture = place(<<'EOF');
    rule drop {
        match $request_method DELETE;
        match $uri "~^%Ldb/(?<table>[a-z]+)(?:/(?<row>\d+))?$";
        match json:/env "~^(?<env>prod)-(?<region>.+)$" "~^(?<stage>stage)";
        action db.drop;
        summary "drop $approval_arg_table in ${approval_arg_env}/$approval_arg_region";
        show row "<$approval_arg_row>";
        show stage "$approval_arg_stage";
        show body json:/a/*/b;
        show absent json:/nothing;
        show agent $http_x_agent;
        require admins;
        timeout 30s;
    }
EOF


# values of "show": there, absent, empty, and those that say so themselves

my $shown = place(<<'EOF');
    rule shown {
        match $uri "~^%Lshown(?<x>/.*)?$";
        match $http_x_env !prod;
        summary $http_x_title;
        show run $http_x_run;
        show argument $arg_a;
        show cookie $cookie_c;
        show member json:/m;
        show capture $approval_arg_x;
        show two "$http_x_run$arg_a";
        show part "in $http_x_run";
        require admins;
    }
EOF


# the gateway with all of them

my ($http, $server) = ('', '');

for my $n (1 .. @places) {
    my $place = $places[$n - 1];
    my $policy = $place->{policy} =~ s{%L}{/t$n/}gr;

    $http .= "approval_policy p$n {\n$policy\n}\n";
    $server .= "location /t$n/ { approval p$n; proxy_pass %%UP%%;"
               . " $place->{location} }\n";
}

my $gw = Approval::Gateway->new(
    http => $http, server => $server . "client_body_buffer_size 8k;",
    log_level => 'info',
    files => { 'rules/1.conf' => 'rule one { match $arg_i 1; allow; }',
               'rules/2.conf' => 'rule two { match $arg_i 2; deny two; }' });


sub meets {
    my ($at, $how) = @_;

    my %how = %$how;
    my $target = delete $how{target} // '';
    my $absolute = delete $how{absolute};

    $how{headers} = [ map { defined ? s/%L/$at/gr : undef }
                      @{ $how{headers} // [] } ];

    $target = defined $absolute
              ? 'http://127.0.0.1:' . $gw->port . $at . $absolute
              : $at . ($target =~ s/%L/$at/gr);

    my $r = Approval::Client->new($gw->port)->request(
        delete $how{method} // 'GET', $target, %how);

    my $type = $r->header('Content-Type') // '';

    # a denial of a tools/call is a tool result, for the model to read

    return 1 if $r->body =~ /"isError":true/;
    return $r->status == 200 ? 0 : $r->status unless $type =~ /problem\+json/;

    return $r->status if $r->body eq '';

    my $problem = $r->json;

    return $r->status . ' not a problem' unless $problem->{status} == $r->status;

    $problem->{type} =~ s/^urn:approval://;

    return $r->status . " $problem->{type}" unless $problem->{type} eq 'denied';
    return $problem->{detail} =~ /^It was not/ ? 1 : $problem->{detail};
}


sub shown {
    my ($how, $want) = @_;

    my @part = map { defined $how->{$_} && !ref $how->{$_}
                     ? substr($how->{$_}, 0, 40) : () } qw(method target body);

    push @part, map { $_ // '-' } @{ $how->{headers} // [] };

    return join(' ', @part) =~ s/[^\x20-\x7e]/sprintf('\\x%02x', ord $&)/ger
           . " is $want";
}


for my $table (@tables) {
    my ($name, $at, @rows) = @$table;

    subtest $name => sub {
        for my $row (@rows) {
            my ($how, $want) = @$row;
            my $got = meets($at, $how);

            ref $want ? like($got, $want, shown($how, $want))
                      : is($got, $want, shown($how, $want));
        }
    };
}


subtest 'what is refused does not reach the upstream' => sub {
    my $before = $gw->up->count;

    meets($strict, { target => 'admin' });
    meets($strict, { target => 'a/..;/admin' });
    meets($require, {});

    is($gw->up->count, $before, 'nothing arrived');
};


subtest 'a copy of our own headers is removed' => sub {
    my @copies = ('Approval-Id' => 'x', 'approval-by' => 'root',
                  'APPROVAL-Receipt' => 'y', 'Approval-Digest' => 'z');

    is(meets($other, { headers => [@copies, 'X-V' => 1] }), 0, 'it passes');

    my $seen = $gw->up->last;

    is($seen->header($copies[2 * $_]), undef, "$copies[2 * $_] does not")
        for 0 .. 3;
    is($seen->header('X-V'), 1, 'other headers do');
};


subtest 'shadow is recorded' => sub {
    my @shadow = grep { ($_->{mode} // '') eq 'shadow' } $gw->audit;

    is_deeply([ map { "$_->{type} $_->{rule}" } @shadow ],
              [ 'refused a', 'requested b', 'refused b', 'refused e' ],
              'as what it would have been');
};


subtest 'captures' => sub {
    my ($client, $id) = $gw->hold(
        DELETE => "${capture}db/users/17",
        body => '{"env":"prod-eu","a":[{"b":1},{"b":"x"},{}]}');

    my $action = $gw->action($id);

    is($action->{summary}, 'drop users in prod/eu', 'summary');
    is_deeply($action->{show}, { row => '<17>', stage => '[absent]', body => '1, x',
                                 absent => '[absent]', agent => 'agent-7' },
              'show');
    is($action->{action}, 'db.drop', 'action');

    $gw->vote($id, 'deny', 'no');
    is($client->read->status, 403, 'denied');

    ($client, $id) = $gw->hold(DELETE => "${capture}db/users",
                               body => '{"env":"stage"}');
    $action = $gw->action($id);

    is($action->{summary}, 'drop users in /', 'groups without a part are empty');
    is($action->{show}{stage}, 'stage', 'the pattern that matched counts');

    $gw->vote($id, 'deny', 'no');
    $client->read;
};


subtest 'absent, empty, and who says so' => sub {
    my @json = ('Content-Type' => 'application/json');
    my $tells = sub {
        my ($name, $query, $body, $headers, %expect) = @_;

        my ($client, $id) = $gw->hold(POST => "${shown}shown$query",
            body => encode_json($body), headers => [ @json, @$headers ]);
        my $action = $gw->action($id);

        is($action->{summary}, delete $expect{summary}, "$name: summary");
        is($action->{matched}{'$http_x_env'}, delete $expect{env},
           "$name: matched");
        is_deeply($action->{show}, { capture => '[absent]', %expect },
                  "$name: show");

        $gw->vote($id, 'deny', 'no');
        $client->read;
    };

    $tells->('absent', '', {}, [],
             (map { $_ => '[absent]' } qw(summary env run argument cookie
                                          member)),
             two => '[empty]', part => 'in ');
    $tells->('empty', '?a=', { m => '' },
             [ map { $_ => '' } qw(X-Title X-Env X-Run) ],
             (map { $_ => '[empty]' } qw(summary env run argument member two)),
             cookie => '[absent]', part => 'in ');
    $tells->('said', '?a=[empty]', { m => '2 readings: "a", "b"' },
             [ 'X-Title' => '[absent]', 'X-Env' => '[empty]',
               'X-Run' => '[absent]' ],
             summary => '"[absent]"', env => '"[empty]"', run => '"[absent]"',
             argument => '"[empty]"', member => '"2 readings: \"a\", \"b\""',
             cookie => '[absent]', two => '[absent][empty]',
             part => 'in [absent]');
    $tells->('no JSON', '?a=1', '[the body is not JSON]',
             [ 'X-Title' => '3 readers', 'X-Run' => '12', 'X-Env' => '"' ],
             summary => '3 readers', env => '"', run => '12', argument => '1',
             member => '[absent]', cookie => '[absent]', two => '121',
             part => 'in 12');
};


done_testing();
