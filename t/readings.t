#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# One reading: where readers can differ, what may be meant counts.  A table for
# each kind; in it what a request gets:
#
#   pass     the upstream has it, as it was sent
#   held     people are asked, and see each reading ("says")
#   denied   the rule's own denial
#   refused  400: the problem names the value and its readings ("says")
#   stopped  held or refused

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();

my $FORM = 'application/x-www-form-urlencoded';
my $JSON = 'application/json';

my @groups;


# a policy with a server of its own, and rows: [WANT, TARGET, %how]; how has
# method, headers, type, body, says

sub group {
    my ($name, $rules, @rows) = @_;

    my %how = @rows && ref $rows[0] eq 'HASH' ? %{ shift @rows } : ();

    push @groups, { name => $name, rules => $rules, rows => \@rows, %how };
}


sub require_rule { "rule r { @_ require admins; }" }

sub deny_rule { "rule r { @_ deny; }" }


# the same rows for a rule that requires and for one that denies: what holds in
# one reading only is held there, and refused here

sub both {
    my ($name, $match, @rows) = @_;

    my %how = @rows && ref $rows[0] eq 'HASH' ? %{ shift @rows } : ();

    ($how{fact}) = $match =~ m{match [\w:/\$]*?(?:_|:/?|\$)(\w+) };

    group($name, require_rule($match), \%how, map { $_->[0] eq 'same'
          ? [ held => @$_[1 .. $#$_] ] : $_ } @rows);

    group("$name, denied", deny_rule($match), \%how, map {
        my ($want, @more) = @$_;
        [ $want eq 'held' ? 'refused' : $want eq 'same' ? 'denied' : $want,
          @more ]
    } @rows);
}


# paths: "same" is what all readers read so

my @PATHS = (
    [ same => '/admin/del' ], [ same => '/admin/del?x=1' ],
    [ same => '/%61dmin/del' ],
    [ held => '/admin%2fdel', says => [ '/admin%2fdel', '/admin/del' ] ],
    [ held => '//admin//del' ], [ held => '/a/../admin/del' ],
    [ held => '/a/..%2fadmin/del' ], [ held => '/a/%2e%2E/admin/del' ],
    [ held => '/admin/./del' ], [ held => '/admin/del/' ],
    [ held => '/admin;x=1/del' ], [ held => '/admin/del;x' ],
    [ held => '/..;/admin/del' ], [ held => '/a/..;a=b/admin/del' ],
    [ held => '/a;a=b/../admin/del' ],
    [ held => '/admin\\del' ], [ held => '/admin%5Cdel' ],
    [ held => '/ADMIN/Del', says => [ '/ADMIN/Del' ] ],
    [ held => '/admin%252fdel' ], [ held => '/%2561dmin/del' ],
    [ held => '/a/%252e%252e/admin/del' ], [ held => '/admin/del%3fx=1' ],
    [ held => '/admin/del%0a' ], [ held => '/admin/del/%20' ],
    [ held => '//reader.example/admin/del' ],
    [ held => '/\\reader.example/admin/del' ],
    [ held => '/x', headers => [ 'X-Original-URL' => '/admin/del' ],
      says => [ '/x', '/admin/del' ] ],
    [ held => '/x', headers => [ 'X-Rewrite-URL' => '/admin/del?a=b' ] ],
    [ held => '/x', headers => [ 'X-Original-URL' => "\t/admin/del" ] ],
    [ held => '/x', headers => [ 'X-Original-URL' => 'http://h/admin/del' ] ],
    [ held => '/x', headers => [ 'X-Original-URL' => '/x://y/../../admin/del' ] ],
    [ pass => '/x', headers => [ 'X-Original-URL' => '/y?to=http://h/admin/del' ] ],
    [ pass => '/admin/delete' ], [ pass => '/admin' ], [ pass => '/x/del' ],
    [ pass => '/admin%2fdelete' ], [ pass => '/a//b;c=d/%7Ee/%25/../f%2Fg/' ],
    [ pass => '/x', headers => [ 'X-Original-URL' => '/y' ] ],
);

both('a path', 'match $uri /admin/del;', @PATHS);

# with more readings than are taken

my $MANY = '/admin/drop/%5cb%ef%bc%8f/./%255c;a%5cb%255c%23/';

group('a path of many readings before what is allowed',
      'rule pub { match $uri ^/public/; allow; }'
      . ' rule r { match $uri ^/admin/; require admins; }',
      [ stopped => $MANY ], [ pass => '/public/x' ]);
both('the beginning of a path', 'match $uri ^/admin/;',
     (map { [ @$_ ] } grep { $_->[1] !~ m{^/(?:admin|x)/?} } @PATHS),
     [ same => '/admin/' ], [ same => '/admin/x/y%2Fz' ],
     [ held => '/admin%2fx' ], [ held => '/Admin/x' ]);

both('a slash at the end', 'match $uri ~^/admin/$;',
     [ same => '/admin/' ], [ held => '/admin/%20' ], [ held => '/admin/%0a' ],
     [ pass => '/admin' ], [ pass => '/admin/x%20' ]);

group('a regex has its own letter case', require_rule('match $uri ~^/Admin/;'),
      [ held => '/Admin/x' ], [ pass => '/admin/x' ], [ held => '//Admin/x' ]);
group('a regex without letter case', require_rule('match $uri ~*^/Admin/;'),
      [ held => '/Admin/x' ], [ held => '/aDMIN/x' ]);

group('an id with a slash',
      require_rule('match $request_method DELETE;'
                   . ' match $uri ~^/api/v4/projects/[^/]+$;'),
      [ held => '/api/v4/projects/grp%2Fprj', method => 'DELETE',
        says => [ '/api/v4/projects/grp%2Fprj',
                  '/api/v4/projects/grp/prj' ] ],
      [ held => '/api/v4/projects/42', method => 'DELETE' ],
      [ held => '/api/x/%2e%2E/v4/projects/grp%2Fprj', method => 'DELETE' ],
      [ held => '/api/v4/projects/42/', method => 'DELETE' ],
      [ pass => '/api/v4/projects/grp%2Fprj' ],
      [ pass => '/api/v4/projects/grp%2Fprj/issues/1', method => 'DELETE' ]);

group('the target', require_rule('match $request_uri ^/admin/;'),
      [ held => '/admin/x?y' ], [ held => '/%61dmin/x' ], [ pass => '/x' ]);

group('strict_path off', 'strict_path off;'
                         . require_rule('match $uri ^/admin/;'),
      [ held => '/admin/x' ], [ held => '//admin/x' ], [ held => '/admin%2fx' ],
      [ held => '/a/../admin/x' ], [ pass => '/Admin/x' ],
      [ pass => '/admin;a/x' ], [ pass => '/admin%252fx' ],
      [ pass => '/admin\\x' ]);
group('strict_path off is about paths only',
      'strict_path off;' . require_rule('match $arg_env prod;'),
      [ held => '/?env=dev&env=prod' ], [ held => '/?ENV=prod' ]);

group('before rewrite', require_rule('match $uri ^/api/admin;'),
      { location => 'location /api/ { rewrite ^/api(/.*)$ $1 break; UP }
                     location / { UP }' },
      [ held => '/api/admin/x' ], [ pass => '/api/x', sent => '/x' ],
      [ pass => '/admin/x' ]);

# wherever it is in blocks of 16 bytes, which are looked at in one step

group('another reading anywhere in a path', require_rule('match $uri ^/admin/;'),
      (map { [ held => '/' . 'z' x $_ . '/..;/admin/del' ] } 1 .. 36),
      [ pass => '/' . 'z' x 36 . '/../x/admin/del' ]);

group('an argument anywhere in a query', require_rule('match $arg_f 1;'),
      [ held => '/x?f=1' ], [ pass => '/x?f=' ],
      (map { my $before = 'a=' . 'x' x $_;
             ([ held => "/x?$before&F=1" ], [ held => "/x?$before;f=1&b=2" ],
              [ pass => "/x?$before&g=f" ]) } 0 .. 36));

group('arguments that "set" removes', require_rule('match $arg_force 1;'),
      { location => 'location / { set $args ""; proxy_set_header Host $host;
                                  proxy_pass %%UP%%$request_uri; }' },
      [ held => '/x?force=1' ], [ held => '/x?a=1&Force=1' ],
      [ pass => '/x?a=1' ], [ pass => '/x' ]);

group('a method in arguments that "set" removes',
      require_rule('match $request_method DELETE;'),
      { location => 'location / { set $args ""; proxy_set_header Host $host;
                                  proxy_pass %%UP%%$request_uri; }' },
      [ held => '/x?_method=DELETE', method => 'POST' ],
      [ held => '/x?_method=DELETE' ], [ pass => '/x?_HttpMethod=DELETE' ]);

group('after rewrite', require_rule('match $uri ^/admin;'),
      { location => 'location /api/ { rewrite ^/api(/.*)$ $1 break; UP }
                     location / { UP }' },
      [ held => '/api/admin/x' ], [ held => '/admin/x' ],
      [ pass => '/api/x', sent => '/x' ]);
group('before rewrite ... last', require_rule('match $uri ^/old/;'),
      { location => 'rewrite ^/old(/.*)$ $1 last; location / { UP }' },
      [ held => '/old/x' ], [ pass => '/x' ]);
group('before try_files', require_rule('match $uri ^/admin/;'),
      { location => 'root %%PREFIX%%/none;
                     location / { try_files $uri /index.php?$args; }
                     location = /index.php { UP }' },
      [ held => '/admin/x?y' ],
      [ pass => '/x?y', sent => '/index.php?y' ]);
group('not after X-Accel-Redirect', deny_rule('match $uri ^/file/;'),
      { location => 'location /file/ { approval off; UP }
                     location /kept/ { internal; UP }' },
      [ pass => '/file/accel', sent => '/kept/x' ]);

group('the destination of MOVE', require_rule('match $uri ^/kept/;'),
      { location => 'root %%PREFIX%%/html; dav_methods MOVE COPY;
                     location / { }' },
      [ held => '/x', method => 'MOVE',
        headers => [ Destination => '/kept/y' ], says => [ '/kept/y' ] ],
      [ held => '/x', method => 'COPY',
        headers => [ Destination => 'http://H/kept/y' ] ],
      [ held => '/kept/x', method => 'MOVE',
        headers => [ Destination => '/y' ] ]);


# arguments

my @NAMES = (
    [ same => 'env=prod' ], [ same => 'a=1&env=prod&b' ],
    [ same => 'env=pr%6fd', but => 1 ],
    [ held => 'env=dev&env=prod', says => [ 'dev', 'prod' ] ],
    [ held => 'env=prod&env=dev', says => [ 'dev', 'prod' ] ],
    [ held => 'ENV=prod' ], [ held => 'env=dev&Env=prod' ],
    [ held => 'env[]=prod' ], [ held => 'env[0]=prod' ],
    [ held => 'env%5B%5D=prod' ], [ held => 'a=1&[env]=prod' ],
    [ held => '%5benv%5d=prod' ], [ held => 'env]=prod' ],
    [ held => 'a=1&[[env]]=prod' ], [ held => ']env=prod' ],
    [ held => 'a=1&[]env=prod' ], [ held => '+' x 300 . 'env=prod' ],
    [ held => '%20env=prod' ], [ held => '+env=prod' ],
    [ held => '?env=prod' ],
    [ held => 'env%00x=prod' ], [ held => 'env%00' . 'x' x 300 . '=prod' ],
    [ held => 'x=1;env=prod' ],
    [ held => 'env=prod+' ], [ held => 'env=%09prod%0A' ],
    [ held => 'env=prod%00' ], [ held => 'env=%C2%A0prod%E2%80%8B' ],
    [ same => 'a&' x 999 . 'env=prod' ], [ held => 'a&' x 1000 . 'env=prod' ],
    [ pass => 'env=dev' ], [ pass => 'env=dev&environment=prod' ],
    [ pass => 'x=1&x=2&y[]=prod&Z=prod' ], [ pass => 'x[env]=dev' ],
    [ pass => 'env=production' ], [ pass => 'env=pro+d' ],
);

both('an argument', 'match $arg_env prod;',
     [ held => '/?%65nv=prod' ],
     map { my ($want, $query, %how) = @$_;
           [ delete $how{but} ? 'stopped' : $want, "/?$query", %how ] } @NAMES);

group('a name with _', require_rule('match $arg_a_b prod;'),
      map({ [ held => "/?$_=prod" ] } qw(a_b a.b a[b a%20b a+b a%2eb)),
      [ pass => '/?ab=prod' ]);

my @ODD_NUMBERS = ('05000', '%2B5000', '%205000', '0x1388', '5_000', '5000eur',
                   '5%2C000', 'many');

both('a number', 'match $arg_amount >1000;',
     [ same => '/?amount=5000' ], [ held => '/?amount=1000.5' ],
     [ pass => '/?amount=5' ], [ pass => '/?amount=-5000' ], [ pass => '/' ],
     [ held => '/?amount=5&amount=5000', says => [ 'amount' ] ],
     map { [ held => "/?amount=$_" ] } @ODD_NUMBERS);

group('all arguments', require_rule('match $args ~(^|&)env=prod(&|$);'),
      [ held => '/?env=prod' ], [ held => '/?%65nv=prod' ],
      [ pass => '/?env=dev' ]);


# headers and cookies

both('a header', 'match $http_x_env prod;', { server =>
     'underscores_in_headers on;', port => 1 },
     [ same => '/', headers => [ 'X-Env' => 'prod' ] ],
     [ same => '/', headers => [ 'X-ENV' => ' prod ' ] ],
     [ held => '/', headers => [ 'X-Env' => "\tprod" ] ],
     [ held => '/', headers => [ 'X-Env' => "prod\t" ] ],
     [ held => '/', headers => [ 'X-Env' => 'dev', 'X-Env' => 'prod' ],
       says => [ 'dev', 'prod' ] ],
     [ held => '/', headers => [ 'X-Env' => 'prod', 'X-Env' => 'dev' ],
       says => [ 'dev', 'prod' ] ],
     [ held => '/', headers => [ 'X_Env' => 'prod' ] ],
     [ held => '/', headers => [ 'X-Env' => 'dev', 'X_Env' => 'prod' ] ],
     [ pass => '/', headers => [ 'X-Env' => 'dev', 'X-Tag' => 'prod',
                                 'X-Tag' => 'dev' ] ],
     [ pass => '/' ]);

both('copies of a header as a list', 'match $http_x_env "~^a, ?b$";', { server =>
     'underscores_in_headers on;', port => 1 },
     [ same => '/', headers => [ 'X-Env' => 'a, b' ] ],
     [ held => '/', headers => [ 'X-Env' => 'a', 'X-Env' => 'b' ],
       says => [ 'a, b', 'a,b' ] ],
     [ held => '/', headers => [ 'X-Env' => 'a', 'X_Env' => 'b' ] ],
     [ pass => '/', headers => [ 'X-Env' => 'b', 'X-Env' => 'a' ] ]);

both('a cookie', 'match $cookie_role admin;',
     [ same => '/', headers => [ Cookie => 'a=1; role=admin' ] ],
     [ held => '/', headers => [ Cookie => 'role=user; role=admin' ] ],
     [ held => '/', headers => [ Cookie => 'role=admin; role=user' ] ],
     [ held => '/', headers => [ Cookie => 'role=user',
                                 Cookie => 'role=admin' ] ],
     [ held => '/', headers => [ Cookie => 'role="admin"' ] ],
     [ held => '/', headers => [ Cookie => 'role=%61dmin' ] ],
     [ held => '/', headers => [ Cookie => 'ROLE=admin' ] ],
     [ held => '/', headers => [ Cookie => 'r%6fle=admin' ] ],
     [ held => '/', headers => [ Cookie => 'a=1;  role =admin' ] ],
     [ held => '/', headers => [ Cookie => "role\t=admin; a=1" ] ],
     [ held => '/', headers => [ Cookie => "role=admin\t" ] ],
     [ held => '/', headers => [ Cookie => "role=admin\x0b" ] ],
     [ held => '/', headers => [ Cookie => 'a=1,role=admin' ] ],
     [ held => '/', headers => [ Cookie => 'role=admin, a=1' ] ],
     [ held => '/', headers => [ Cookie => 'role="ad\\min"' ] ],
     [ held => '/', headers => [ Cookie => 'role=j:"admin"' ] ],
     [ held => '/', headers => [ Cookie => 'role="admi\\156"' ] ],
     [ held => '/', headers => [ Cookie => 'role=j:"\\u0061dmin"' ] ],
     [ held => '/', headers => [ Cookie => 'role=j%3A[%22admin%22]' ] ],
     [ held => '/', headers => [ Cookie => 'a="; role=admin; b="' ] ],
     [ held => '/', headers => [ Cookie => 'a=1', Cookie => 'role=admin' ] ],
     [ same => '/', headers => [ Cookie => 'a="1; b=\"; role=admin' ] ],
     [ same => '/', headers => [ Cookie => 'a=\'"; role=admin; b="' ] ],
     [ pass => '/', headers => [ Cookie => 'role=user,x; x=admin; x=1' ] ],
     [ pass => '/' ]);

both('a method', 'match $request_method DELETE;',
     [ same => '/', method => 'DELETE' ],
     (map { [ held => '/', method => 'POST', headers => [ $_ => 'DELETE' ],
              says => [ 'POST', 'DELETE' ] ] }
          qw(X-HTTP-Method-Override X-HTTP-Method X-Method-Override)),
     [ held => '/', method => 'POST',
       headers => [ 'X-HTTP-Method-Override' => 'delete' ] ],
     (map { [ held => '/', method => 'POST',
              headers => [ 'X-HTTP-Method-Override' => $_ ] ] }
          "\tDELETE", 'DELETE, GET', 'GET,DELETE', ', DELETE'),
     (map { [ held => "/?$_=delete", method => 'POST' ],
            [ held => "/?a=bcdefghijklmnopqrst&$_=DELETE&c", method => 'POST' ],
            [ /^_?X|^_Http/i ? 'pass' : 'held', "/?$_=DELETE",
              method => 'GET' ] }
          qw(_method _METHOD _HttpMethod X-HTTP-Method-Override
             x_http_method_override %5fmethod)),
     [ pass => '/?_=1733030000' ], [ pass => '/?_method=', method => 'PUT' ],
     [ pass => '/?_method=PATCH', method => 'POST' ],
     [ pass => '/', method => 'POST',
       headers => [ 'X-HTTP-Method-Override' => 'PATCH' ] ],
     [ pass => '/', method => 'POST' ]);


# more than there may be

group('many overrides', require_rule('match $request_method DELETE;'),
      [ refused => '/?' . join('&', map { "_method=$_" } 0 .. 64, 'DELETE'),
        method => 'POST' ]);

group('many paths', require_rule('match $request_uri ^/admin;'),
      [ refused => '/%61dmin/x',
        headers => [ map { ('X-Original-URL' => "/$_") } 1 .. 65 ] ]);


# hosts

for my $row ([ held => 'require admins' ], [ denied => 'deny' ]) {
    my ($want, $outcome) = @$row;
    my $host = "$want.example";

    group("a host: $want", "rule r { match \$host $host; $outcome; }",
          { names => $host },
          map({ [ $want => '/', headers => [ Host => $_ ] ] }
              $host, ucfirst $host, "$host:80", "$host."),
          [ $want => "http://$host/", headers => [ Host => $host ] ],
          [ pass => '/' ]);
}

group('the host of the target', require_rule('match $uri ^/admin/;'),
      [ held => 'http://H/admin/x' ], [ held => 'http://H:80/admin/x' ],
      [ refused => 'http://H/admin/x', headers => [ Host => 'other.example' ],
        says => [ 'other.example' ] ],
      [ pass => 'http://H/x', headers => [ Host => 'other.example' ] ],
      [ pass => 'http://H/x' ]);


# bodies

my @FIELDS = map { my ($want, $query, %how) = @$_;
                   [ $want, '/', %how, type => $FORM,
                     body => $query ] } @NAMES;

both('a field', 'match form:env prod;',
     (map { my ($want, $target, %how) = @$_; delete $how{but};
            [ $want, $target, %how ] } @FIELDS),
     [ same => '/', type => "$FORM; charset=utf-8", body => 'env=prod' ],
     [ same => '/', type => "$FORM; charset=ISO-8859-1", body => 'env=prod' ],
     [ held => '/', body => 'env=prod' ],
     [ pass => '/', type => "$FORM; charset=iso-8859-1", body => 'env=dev' ],
     (map { [ held => '/', type => $FORM, body => $_ ] }
          "env=prod\0", 'a=1& env=prod', ' env=prod'),
     (map { [ held => '/', type => $FORM, body => 'env=prod', method => $_ ] }
          qw(GET PUT DELETE)),
     (map { [ held => '/', type => "$FORM$_", body => 'env=prod' ] }
          ';', '; x', ';;charset=utf-8'),
     [ pass => '/' ]);

group('a field that cannot be read', require_rule('match form:env prod;'),
      map { [ refused => '/', says => [ 'body' ], @$_ ] }
      [ type => "$FORM; charset=utf-7", body => 'env=dev' ],
      [ type => "$FORM; charset=utf-16", body => 'env=dev' ],
      [ type => "$FORM; charset=cp037", body => 'env=dev' ],
      [ type => "$FORM; charset=iso-8859-1", body => "env=d\xe9v" ],
      (map { [ type => $_, body => 'env=dev' ] }
           "\t$FORM", "$FORM x", "$FORM\t; x=1", "$FORM,x",
           'text/x-www-form-urlencoded'),
      [ type => $JSON, body => 'env=dev' ],
      [ type => $JSON, body => '{"env":"prod"}' ],
      [ type => $FORM, body => '{"env":"prod"}' ],
      [ type => 'multipart/form-data; boundary=b',
        body => "--b\r\nContent-Disposition: form-data; name=\"env\"\r\n\r\n"
                . "prod\r\n--b--\r\n" ],
      [ headers => [ 'Content-Type' => $FORM, 'Content-Type' => $JSON ],
        body => 'env=dev' ],
      [ type => "$FORM", headers => [ 'Content-Encoding' => 'gzip' ],
        body => 'env=dev', status => 415 ]);

my @MEMBERS = (
    [ same => '{"amount":5000}' ], [ same => '{"amount":"5000"}' ],
    [ same => '{"amount":5e3}' ],
    (map { [ held => "{\"amount\":$_}" ] } '"+5000"', '" 5000"', '"05000"',
         '"0x1388"', '[5000]', '[5]', 'true', '{"a":1}', '"many"', '""'),
    [ held => '{"AMOUNT":5000}', says => [ '5000' ] ],
    [ held => '{"amount":5,"Amount":5000}', says => [ '5000' ] ],
    [ held => '{"Amount":5000,"amount":5}' ],
    [ stopped => '{"amount":5,"amount":5000}' ],
    [ stopped => '{"amount":5000,"\u0061mount":5}' ],
    [ pass => '{"amount":5}' ], [ pass => '{"amount":null}' ],
    [ pass => '{"amount":"5"}' ], [ pass => '{}' ],
    [ pass => '{"x":{"amount":5000}}' ],
);

both('a member', 'match json:/amount >1000;',
     map { my ($want, $body, %how) = @$_;
           [ $want, '/', body => $body, type => $JSON, %how ] } @MEMBERS);

group('a member on a longer way', require_rule('match json:/item/env prod;'),
      map({ [ held => '/', type => $JSON, body => $_ ] }
          '{"item":{"env":"prod"}}', '{"Item":{"ENV":"prod"}}',
          '{"item":{"env":"dev"},"ITEM":{"env":"prod"}}'),
      map({ [ stopped => '/', type => $JSON, body => $_ ] }
          '{"item":{"env":"dev"},"item":{"env":"prod"}}'),
      [ pass => '/', type => $JSON, body => '{"item":{"env":"dev"}}' ],
      [ pass => '/', type => $JSON, body => '{"item":["prod"]}' ]);

both('a member with blanks', 'match json:/env prod;',
     [ same => '/', type => $JSON, body => '{"env":"prod"}' ],
     (map { [ held => '/', type => $JSON, body => "{\"env\":\"$_\"}" ] }
          'prod ', '\\tprod\\n', "prod\xc2\xa0"),
     [ pass => '/', type => $JSON, body => '{"env":"pro d"}' ]);

both('a member of a list, with blanks', 'match json:/roles/* admin;',
     [ same => '/', type => $JSON, body => '{"roles":["user ","admin"]}' ],
     (map { [ held => '/', type => $JSON, body => "{\"roles\":$_}" ] }
          '["admin "]', '["user","admin "]', '["x","user","\\tadmin"]'),
     [ pass => '/', type => $JSON, body => '{"roles":["user "," x "]}' ]);

group('a trimmed text that is not allowed', <<'EOF',
    rule ok { match json:/op !drop; match json:/names/* !ann; allow; }
    rule all { match $uri ^/; deny; }
EOF
      [ pass => '/', type => $JSON, body => '{"op":"list\n","names":["a "]}' ],
      [ pass => '/', type => $JSON, body => '{"op":"x","names":["a ","ann"]}' ],
      [ denied => '/', type => $JSON, body => '{"op":"drop","names":["a"]}' ],
      [ refused => '/', type => $JSON, body => '{"op":"drop ","names":["a"]}' ]);

group('a text with blanks around it is shown once',
      'rule r { match form:op "~^x"; require admins; show text form:text; }',
      [ held => '/', type => $FORM, body => 'op=x&text=a%0d%0a',
        says => [ qr/^(?!.*readings)/s ] ],
      [ held => '/', type => $FORM, says => [ qr/41 readings/ ],
        body => 'op=x' . join '', map { "&text=a$_%0d%0a" } 1 .. 40 ]);

group('types that JSON may have', require_rule('match json:/env prod;'),
      (map { [ held => '/', body => '{"env":"prod"}', type => $_ ],
             [ pass => '/', body => '{"env":"dev"}', type => $_ ] }
           $JSON, "$JSON charset=utf-8", "$JSON;charset=utf-8", "$JSON; charset=US-ASCII",
           "$JSON; charset=\"iso-8859-1\"", 'APPLICATION/JSON',
           'application/vnd.x+json', 'application/apply-patch+yaml', undef),
      [ pass => '/', type => $JSON, body => "{\"env\":\"d\xc3\xa9v\"}" ]);

group('a body that is not the JSON that a rule reads',
      require_rule('match json:/env prod;'),
      map { [ refused => '/', says => [ 'body' ], @$_ ] }
      [ type => "$JSON; charset=utf-16",
        body => join('', map { "$_\0" } split //, '{"env":"prod"}') ],
      [ type => "$JSON; charset=utf-7", body => '+AHs-"env":"prod"+AH0-' ],
      [ type => "$JSON; charset=cp037", body => '{}' ],
      [ type => "$JSON; charset=iso-8859-1", body => "{\"env\":\"d\xe9v\"}" ],
      [ type => "$JSON; charset=iso-8859-1",
        body => "{\"env\":\"d\xc3\xa9v\"}" ],
      [ type => $JSON, body => "\xef\xbb\xbf{\"env\":\"prod\"}" ],
      [ type => $JSON, body => 'env=prod' ],
      (map { [ type => $_, body => '{"env":"prod"}' ] }
           $FORM, "$FORM json", "$JSON x", "$JSON charset=utf-8,$FORM", "$FORM,$JSON"),
      [ type => 'multipart/form-data; boundary=b', body => '{"env":"prod"}' ],
      [ headers => [ 'Content-Type' => $JSON, 'Content-Type' => $FORM ],
        body => '{"env":"dev"}' ],
      [ type => 'application/apply-patch+yaml', body => "env: prod\n" ],
      [ type => 'application/apply-patch+yaml',
        body => '{"x":{"env":"prod"},"<<":{"env":"prod"}}' ],
      [ type => $JSON, headers => [ 'Content-Encoding' => 'gzip' ],
        body => '{"env":"dev"}', status => 415 ]);

group('a body that no rule concerns',
      require_rule('match $http_x_v 1; match json:/env prod;'),
      map { [ pass => '/', @$_ ] }
      [ type => "$JSON; charset=utf-16", body => "{\0}\0" ],
      [ type => $FORM, body => '{"env":"prod"}' ],
      [ headers => [ 'Content-Type' => $JSON, 'Content-Type' => $FORM ],
        body => '{"env":"prod","env":"dev"}' ]);

group('a batch', require_rule('match json:/method drop;'),
      [ pass => '/', type => $JSON,
        body => '[{"jsonrpc":"2.0","id":1,"method":"list"}]' ],
      [ single => '/', type => $JSON,
        body => '[{"jsonrpc":"2.0","id":1,"method":"list"},'
                . '{"jsonrpc":"2.0","id":2,"method":"drop"}]' ]);
group('a batch, denied', deny_rule('match json:/method drop;'),
      [ single => '/', type => $JSON,
        body => '[{"jsonrpc":"2.0","id":1,"method":"list"},'
                . '{"jsonrpc":"2.0","id":2,"METHOD":"drop"}]' ]);


# opaque variables

my $MAP = 'map $http_x_env $tier { prod high; default low; }';

group('a map with its inputs',
      require_rule('match $tier high from $http_x_env;'),
      [ held => '/', headers => [ 'X-Env' => 'prod' ], says => [ 'high' ] ],
      [ pass => '/', headers => [ 'X-Env' => 'dev' ] ], [ pass => '/' ],
      [ refused => '/', headers => [ 'X-Env' => 'dev', 'X-Env' => 'prod' ],
        says => [ 'x_env', 'dev', 'prod' ] ],
      [ refused => '/', headers => [ 'X-Env' => 'prod', 'X-Env' => 'dev' ] ]);
group('a map whose inputs do not count',
      require_rule('match $arg_x 1; match $tier high from $http_x_env;'),
      [ pass => '/', headers => [ 'X-Env' => 'dev', 'X-Env' => 'prod' ] ]);
group('a map without its inputs', require_rule('match $tier high;'),
      [ held => '/', headers => [ 'X-Env' => 'prod' ] ],
      [ pass => '/', headers => [ 'X-Env' => 'dev', 'X-Env' => 'prod' ] ]);
group('a variable that is set', require_rule('match $env prod from $arg_env;'),
      { server => 'set $env $arg_env;' },
      [ held => '/?env=prod' ], [ pass => '/?env=dev' ],
      [ refused => '/?env=dev&env=prod', says => [ 'arg_env' ] ],
      [ refused => '/?env=dev&ENV=prod' ]);


# order

group('an earlier rule that allows', <<'EOF',
    rule ok  { match $arg_ok 1; allow; }
    rule all { match $request_method GET; require admins; }
EOF
      [ pass => '/?ok=1' ], [ held => '/' ], [ held => '/?ok=2' ],
      [ held => '/?ok=1&ok=2' ], [ held => '/?OK=1' ], [ held => '/?ok[]=1' ]);
group('two rules that require', <<'EOF',
    rule a { match $arg_env prod; require admins; }
    rule b { match $arg_env dev; require 2 of admins; }
EOF
      [ held => '/?env=prod' ], [ held => '/?env=dev' ], [ pass => '/?env=x' ],
      [ refused => '/?env=prod&env=dev',
        says => [ 'env', 'prod', 'dev' ] ],
      [ held => '/?env=prod&env=x' ]);
group('one that requires, one that denies', <<'EOF',
    rule a { match $arg_env prod; require admins; }
    rule b { match $arg_env dev; deny; }
EOF
      [ held => '/?env=prod' ], [ denied => '/?env=dev' ],
      [ refused => '/?env=prod&env=dev' ], [ pass => '/?env=x&env=y' ]);
group('one that holds in any reading hides those after it', <<'EOF',
    rule a { match $arg_env !x; require admins; }
    rule b { match $arg_env dev; deny; }
EOF
      [ held => '/?env=prod&env=dev' ], [ held => '/?env=dev' ]);
group('deny by default', <<'EOF',
    default deny;
    rule pub { match $uri ^/pub/; allow; }
EOF
      [ pass => '/pub/x' ], [ pass => '/pub//x' ], [ pass => '/pub/a%2Fb;c' ],
      [ denied => '/x' ], [ refused => '/pub/..%2fx' ],
      [ refused => '/pub/..;/x' ], [ refused => '/pub/%252e%252e/x' ],
      [ refused => '//x/../pub/x' ]);
group('require by default', <<'EOF',
    rule pub { match $uri ^/pub/; allow; }
    rule all { match $uri ^/; require admins; }
EOF
      [ pass => '/pub/x' ], [ held => '/x' ],
      [ held => '/pub/..%2fx', says => [ '/pub/..%2fx', '/x' ] ]);
group('shadow', <<'EOF',
    rule a { match $arg_env prod; require admins; mode shadow; }
    rule b { match $arg_op drop; deny; }
EOF
      [ denied => '/?env=prod&op=drop' ], [ pass => '/?env=prod' ],
      [ pass => '/?env=dev&env=prod' ]);
group('not', require_rule('match $arg_env !dev;'),
      [ pass => '/?env=dev' ], [ held => '/?env=prod' ], [ held => '/' ],
      [ held => '/?env=dev&env=prod' ], [ held => '/?ENV=dev' ],
      [ held => '/?env=dev&Env=x' ]);


# identity, grants, limits

group('the requester', require_rule('match $uri ^/x;'),
      [ refused => '/x', headers => [ 'X-Agent' => 'agent-8' ],
        says => [ 'x_agent' ] ],
      [ pass => '/y', headers => [ 'X-Agent' => 'agent-8' ] ]);
group('on behalf', require_rule('match $uri ^/x;'),
      { server => 'approval_on_behalf $http_x_for;' },
      [ held => '/x', headers => [ 'X-For' => 'carol' ], says => [ 'carol' ] ],
      [ refused => '/x', headers => [ 'X-For' => 'carol', 'X-For' => 'alice' ],
        says => [ 'x_for' ] ],
      [ pass => '/y', headers => [ 'X-For' => 'carol', 'X-For' => 'alice' ] ]);
group('a grant', 'rule r { match $request_method GET; require admins;'
                 . ' remember 1m per $uri; }',
      [ held => '/a/b' ], [ held => '/a%7Eb' ],
      [ refused => '/a/../b', says => [ 'uri' ] ], [ refused => '/a%2fb' ],
      [ refused => '/a//b' ]);
group('a grant for an argument', 'rule r { match $request_method GET;'
                                 . ' require admins; remember 1m per $arg_e; }',
      [ held => '/?e=1' ], [ held => '/' ],
      [ refused => '/?e=1&e=2', says => [ 'arg_e' ] ],
      [ refused => '/?E=1' ]);
group('a limit', require_rule('match $request_method GET;'),
      { server => 'approval_max_pending 100 per=$http_x_team;' },
      [ held => '/', headers => [ 'X-Team' => 'a' ] ],
      [ refused => '/', headers => [ 'X-Team' => 'a', 'X-Team' => 'b' ],
        says => [ 'x_team' ] ]);


# what is shown

group('all copies are shown', 'rule r { match $uri /x; require admins;'
      . ' show env $arg_env; show team $http_x_team; show op json:/op;'
      . ' summary "in $arg_env by $http_x_team"; }',
      [ held => '/x?env=dev&Env=prod', says => [ 'dev', 'prod' ] ],
      [ held => '/x', headers => [ 'X-Team' => 'red', 'X-Team' => 'blue' ],
        says => [ 'red', 'blue' ] ],
      [ held => '/x', type => $JSON, body => '{"op":"a1","Op":"b2"}',
        says => [ 'a1', 'b2' ] ],
      [ held => '/x?env=' . 'y' x 3000, says => [ qr/\d+ [^"]*(?:byte|hidden)/ ]
      ]);


# What an approval is bound to: a request, and others that it is "good" for, or
# not: "another"

group('bound', <<'EOF',
    rule r { match $uri ^/x; match $arg_env prod; require admins;
             show team $http_x_team; show role $cookie_role;
             summary "$arg_op"; bind $http_x_trace; }
EOF
      { names => 'alias.example',
        server => 'approval_on_behalf $http_x_for;
                   if ($http_x_v2) { rewrite ^/x$ /x2 break; }',
        twin => 1,
        first => [ '/x?env=prod&op=a', method => 'POST', body => '{"a":1}',
                   type => $JSON,
                   headers => [ 'X-Team' => 'red', 'X-Trace' => 't1',
                                Cookie => 'role=user; z=1' ] ] },
      [ good => ],
      [ good => headers => [ 'X-Unused' => 'y', 'User-Agent' => 'b' ] ],
      [ good => chunked => [ '{"a', '":1}' ] ],
      [ good => host => 'BOUND' ], [ good => host => 'bound:80' ],
      [ another => target => '/x?env=prod&op=b' ],
      [ another => target => '/x?env=prod&op=a&z' ],
      [ another => target => '/x?op=a&env=prod' ],
      [ another => target => '/x?env=prod&op=%61' ],
      [ another => target => '//x?env=prod&op=a' ],
      [ another => target => '/y/../x?env=prod&op=a' ],
      [ another => method => 'PUT' ], [ another => body => '{"a":2}' ],
      [ another => body => '{"a": 1}' ],
      [ another => type => 'application/vnd.x+json' ],
      [ another => headers => [ 'Content-Encoding' => 'identity' ] ],
      [ another => headers => [ 'X-Team' => 'red' ] ],
      [ another => headers => [ 'X-For' => 'dora' ] ],
      [ another => headers => [ 'X-V2' => 1 ] ],
      [ another => headers => [ 'X-HTTP-Method-Override' => 'DELETE' ] ],
      [ another => headers => [ 'X-Original-URL' => '/other' ] ],
      [ another => without => 'X-Team' ],
      [ another => with => [ 'X-Team' => 'blue' ] ],
      [ another => with => [ 'X-Trace' => 't2' ] ],
      [ another => with => [ Cookie => 'role=admin; z=1' ] ],
      [ another => with => [ Cookie => 'role=user; role=admin; z=1' ] ],
      [ good => with => [ Cookie => 'role=user; z=2' ] ],
      [ another => with => [ 'X-Agent' => 'agent-8' ] ],
      [ another => host => 'alias.example' ], [ another => port => 2 ]);

group('bound, though no rule looks at it',
      require_rule('match $request_method POST;'),
      { first => [ '/x', method => 'POST', headers => [] ] },
      [ good => ],
      [ another => headers => [ 'X-HTTP-Method-Override' => 'DELETE' ] ],
      [ another => headers => [ 'X-Original-URL' => '/y' ] ]);

my @many = map { ('X-Team' => "red$_") } 1 .. 70;
my $many = join '; ', map { "role=user$_" } 1 .. 70;

group('more readings than can be bound', <<'EOF',
    rule r { match $uri ^/x; require admins; show team $http_x_team;
             show role $cookie_role; }
EOF
      [ held => '/x', headers => [ 'X-Team' => 'red', Cookie => 'role=a' ] ],
      [ refused => '/x', headers => [ @many ], says => [ 'x_team' ] ],
      [ refused => '/x', headers => [ Cookie => $many ], says => [ 'role' ] ],
      [ pass => '/y', headers => [ @many, Cookie => $many ] ]);


group('how others read method and path is shown',
      require_rule('match $arg_x 1;'),
      [ held => '/?x=1', method => 'POST', says => [ 'DELETE' ],
        headers => [ 'X-HTTP-Method-Override' => 'DELETE' ] ],
      [ held => '/?x=1', headers => [ 'X-Original-URL' => '/other' ],
        says => [ '/other' ] ]);


my ($http, $servers) = ("$MAP approval_policy h2 { "
                        . require_rule('match $uri ^/admin/;') . ' }', '');

for my $i (0 .. $#groups) {
    my $group = $groups[$i];
    my $location = $group->{location} // 'location / { UP }';
    my $port = $group->{port} // 0;
    my $names = $group->{names} // '';

    $group->{host} = "g$i.example";
    $location =~ s/(?<!%)UP/proxy_set_header Host \$host; proxy_pass %%UP%%;/g;

    $http .= "approval_policy g$i { $group->{rules} }\n";
    $servers .= <<"EOF";
    server {
        listen 127.0.0.1:%%PORT$port%%;
        server_name $group->{host} $names;
        approval g$i;
        approval_requester \$http_x_agent;
        @{[ $group->{server} // '' ]}
        $location
    }
EOF

    # the same at another port, with another first name

    $servers .= <<"EOF" if $group->{twin};
    server {
        listen 127.0.0.1:%%PORT2%%;
        server_name twin.example $group->{host};
        approval g$i;
        approval_requester \$http_x_agent;
        $location
    }
EOF
}

$servers =~ s/%%PORT0%%/%%PORT%%/g;

my $gw = Approval::Gateway->new(
    workers => 2, http => $http, log_level => 'notice',
    files => { 'html/x' => "x\n", 'html/kept/x' => "x\n" },
    up => sub {
        return { accel => '/kept/x' } if $_[0]->target eq '/file/accel';
        return;
    },
    server => <<"EOF");
    }
    server { listen 127.0.0.1:%%PORT1%%; underscores_in_headers on;
             server_name none; return 404; }
    server {
        listen 127.0.0.1:%%PORT3%% http2;
        server_name h2.example;
        approval h2;
        approval_requester \$http_x_agent;
        location / { proxy_pass %%UP%%; }
    }
    $servers
    server {
        listen 127.0.0.1:%%PORT%%; server_name none;
EOF


chmod(0777, map { $gw->ngx->path($_) } qw(html html/kept)) == 2 or die $!;


sub ask {
    my ($group, $target, %how) = @_;

    my @headers = @{ $how{headers} // [] };
    my %has = map { lc($headers[$_]) => 1 } grep { $_ % 2 == 0 } 0 .. $#headers;

    unshift @headers, Host => $group->{host} unless $has{host};

    push @headers, 'Content-Type' => $how{type} if defined $how{type};

    s{^http://H\b}{http://$group->{host}} for $target, @headers;

    my $port = $how{port} // $group->{port} // 0;
    my $client = Approval::Client->new($gw->ngx->port($port));
    my $method = $how{method} // (defined $how{body} ? 'POST' : 'GET');

    $client->send($method, $target,
                  $how{chunked} ? (chunked => $how{chunked})
                  : defined $how{body} ? (body => $how{body}) : (),
                  headers => [ @headers, Prefer => 'respond-async',
                               $group->{first} ? ()
                               : ('X-Agent' => 'agent-7') ]);

    return $client->read;
}


sub says {
    my ($text, $name, @what) = @_;

    for my $what (@what) {
        like($text, ref $what ? $what : qr/\Q$what/i,
             "$name: says " . (ref $what ? 'so' : $what)) or diag($text);
    }
}


my %stopped = (
    held => sub {
        my ($answer, $name, %how) = @_;

        is($answer->status, 202, "$name: held")
            or return diag($answer->status, ' ', $answer->body);

        my $action = $gw->action($answer->header('Approval-Id'));

        delete $action->{request};
        says(JSON::PP->new->utf8->encode($action), $name,
             @{ $how{says} // [] });
    },

    denied => sub {
        my ($answer, $name) = @_;

        is($answer->status, 403, "$name: denied") or diag($answer->body);
        like($answer->body, qr/urn:approval:denied/, "$name: by the rule");
    },

    refused => sub {
        my ($answer, $name, %how) = @_;

        is($answer->status, $how{status} // 400, "$name: refused")
            or return diag($answer->body);

        is($answer->header('Content-Type'), 'application/problem+json',
           "$name: with a problem");
        like($answer->json->{type}, qr/^urn:approval:(?!denied)[a-z-]+$/,
             "$name: which has a type");
        says($answer->body, $name, $how{fact} // (), @{ $how{says} // [] });
    },

    stopped => sub {
        my ($answer, $name) = @_;

        ok($answer->status == 202 || $answer->body =~ /urn:approval:/,
           "$name: stopped") or diag($answer->raw);
    },

    # a JSON-RPC answer

    single => sub {
        my ($answer, $name) = @_;

        unlike($answer->body, qr/^ok/, "$name: refused");
        says($answer->body, $name, qr/single|singly|one by one|alone/i);
    },
);


sub passes {
    my ($answer, $name, $target, %how) = @_;

    my @seen = $gw->up->requests;
    my $want = $how{sent} // $target =~ s{^http://[^/]*}{}r;

    is($answer->status, 200, "$name: passes") or diag($answer->body);
    is(@seen ? $seen[-1]->target : '', $want, "$name: as it was sent");
}


# a copy of what was asked first, but for what the row changes

sub changed {
    my ($group, %row) = @_;

    my ($target, %how) = @{ $group->{first} };
    my @headers = $row{all} ? () : (@{ $how{headers} },
                                    'X-Agent' => 'agent-7');
    my %with = @{ $row{with} // [] };
    my @kept;

    while (my ($name, $value) = splice(@headers, 0, 2)) {
        push @kept, $name => $with{$name} // $value
            unless $name eq ($row{without} // '');
    }

    push @kept, 'X-Agent' => 'agent-7' if $row{all};

    my $host = ($row{host} // 'bound') =~ s/^bound/$group->{host}/r
                                       =~ s/^BOUND/uc $group->{host}/er;

    return ($row{target} // $target, %how,
            map({ exists $row{$_} ? ($_ => $row{$_}) : () }
                qw(method body type port chunked)),
            headers => [ Host => $host, @kept, @{ $row{headers} // [] } ]);
}


sub is_bound {
    my ($group, $want, %row) = @_;

    my $what = encode_json(\%row) =~ s/(?:"X-Team",.*red\d*",)/.../r;
    my $name = "$group->{name}, $want: " . substr($what, 0, 80);

    my ($answer) = ask($group, changed($group));
    my $id = $answer->header('Approval-Id');

    is($answer->status, 202, "$name: held")
        or return diag($answer->body);

    $gw->vote($id, 'approve');
    $gw->up->clear;

    my ($target, %how) = changed($group, %row);
    my @named = ('Approval-Id' => $id);

    push @{ $how{headers} }, @named;
    $answer = ask($group, $target, %how);

    if ($want eq 'good') {
        is($answer->status, 200, "$name: passes") or diag($answer->raw);
        is($gw->up->count, 1, "$name: once");
        return;
    }

    isnt($answer->status, 200, "$name: does not pass");
    is($gw->up->count, 0, "$name: nothing was forwarded");
    isnt($answer->header('Approval-Id') // '', $id, "$name: is no such action")
        if $answer->status == 202;

    ($target, %how) = changed($group);
    push @{ $how{headers} }, @named;

    is(ask($group, $target, %how)->status, 200, "$name: what was asked passes");
}


for my $group (@groups) {
    if ($group->{first}) {
        is_bound($group, @$_) for @{ $group->{rows} };
        next;
    }

    for my $row (@{ $group->{rows} }) {
        my ($want, $target, %how) = @$row;

        my $what = join ' ', $how{method} // (), length $target > 60
                   ? substr($target, 0, 60) . '...' : $target,
                   @{ $how{headers} // [] }, $how{type} // (),
                   substr($how{body} // '', 0, 80) =~ s/[^ -~]/./gr;

        my $name = "$group->{name}: $what";

        $gw->up->clear;

        my $answer = ask($group, $target, %how);

        if ($want eq 'pass') {
            passes($answer, $name, $target, %how);
            next;
        }

        is($gw->up->count, 0, "$name: nothing was forwarded");
        $stopped{$want}->($answer, $name, fact => $group->{fact}, %how);
    }
}


# What nginx -t warns of

for my $row (
    [ 'a map without its inputs', require_rule('match $tier high;'),
      qr/tier.*from/ ],
    [ 'a map with its inputs', require_rule('match $tier high from '
                                            . '$http_x_env;'), undef ],
    [ 'a copy that set made', require_rule('match $copy high;'),
      qr/copy.*from/ ],
    [ 'strict_path off', 'strict_path off;' . require_rule('match $uri ^/a;'),
      qr/strict_path/ ],
    [ 'what changes with each request', 'rule r { match $uri ^/a; require'
      . ' admins; bind $request_id; }', qr/request_id/ ])
{
    my ($name, $rules, $like) = @$row;

    my ($code, $output) = Approval::Nginx->test_conf(http => <<"EOF");
        $MAP
        approval_redis unix:/tmp/none.sock;
        approval_key $gw->{keys}{secret};
        approval_group admins alice;
        approval_policy p { $rules }
        server { listen 127.0.0.1:%%PORT%%; set \$copy \$arg_x;
                 approval_requester \$remote_addr;
                 location / { approval p; proxy_pass http://127.0.0.1:9; } }
EOF

    my @warnings = grep { /\[warn\]/ } split /\n/, $output;

    is($code, 0, "$name: nginx -t") or diag($output);

    defined $like ? like("@warnings", $like, "$name: a warning")
                  : unlike("@warnings", qr/from/, "$name: no warning");
}


# HTTP/2, whose authority may differ from a Host header beside it (some nginx
# refuse that themselves): header blocks of literals, without Huffman codes

sub frame {
    my ($type, $flags, $stream, $payload) = @_;

    return substr(pack('N', length $payload), 1)
           . pack('CCN', $type, $flags, $stream) . $payload;
}


sub h2 {
    my (@headers) = @_;

    my $block = join '', map { pack('CC/aC/a', 0, @$_) } @headers;
    my $client = Approval::Client->new($gw->ngx->port(3));

    $client->write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                   . frame(4, 0, 0, '') . frame(1, 5, 1, $block));

    my $body = '';

    for ( ;; ) {
        my $head = $client->read_bytes(9);

        return $body if length $head < 9;

        my ($size, $type, $flags, $stream)
            = (unpack('N', "\0" . substr($head, 0, 3)),
               unpack('CCN', substr($head, 3)));

        my $payload = $client->read_bytes($size);

        $body .= $payload if $type == 0;
        return $body if $stream == 1 && $type < 2 && $flags & 1;
    }
}


for my $row ([ '/admin/x', [], qr/"state":"pending"/ ],
             [ '/admin/x', [ [ host => 'h2.example' ] ],
               qr/"state":"pending"|400 Bad Request/ ],
             [ '/admin/x', [ [ host => 'other.example' ] ],
               qr/urn:approval:.*other\.example|400 Bad Request/s ],
             [ '/x', [], qr/^ok$/ ])
{
    my ($path, $more, $like) = @$row;

    my $body = h2([ ':method', 'GET' ], [ ':scheme', 'http' ],
                  [ ':path', $path ], [ ':authority', 'h2.example' ],
                  [ 'x-agent', 'agent-7' ], [ 'prefer', 'respond-async' ],
                  @$more);

    like($body, $like, "HTTP/2: $path " . join ' ', map { @$_ } @$more);
}


done_testing();
