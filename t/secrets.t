#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# A canary in every position that may hold a secret: the upstream gets each of
# them, and no other place that the gateway writes to gets one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use MIME::Base64 qw(encode_base64);

use Approval::Test;
use Approval::Gateway;

need_module();


my $salt = join '', map { ('a' .. 'z')[rand 26] } 1 .. 6;
my %position;


# a value that is found wherever it goes

sub canary {
    my ($name) = @_;

    my $text = "cnry${salt}q" . unpack('H*', $name) . 'z';
    $position{$text} = $name;

    return $text;
}


sub found {
    my ($text) = @_;

    my %seen;

    # as it is, unescaped, and in base64 at any of three offsets

    for my $form ($text, $text =~ s/%([0-9a-f]{2})/chr hex $1/gier) {
        $seen{ $position{$1} // $1 }++ while $form =~ /(cnry${salt}q[0-9a-f]*z)/g;
    }

    for my $pad ('', 'x', 'xx') {
        my $code = encode_base64("${pad}cnry$salt", '');
        my $part = substr($code, 4, 8);

        $seen{"base64 $part"}++ if index($text, $part) >= 0;
    }

    return sort keys %seen;
}


sub show_found {
    my ($names, $text) = @_;

    diag("found: @$names");

    for (1 .. 12) {
        diag("... $1") if $text =~ /(.{0,60}cnry${salt}q.{0,20})/sg;
    }
}


is_deeply([ found('x' . canary('here') . '%63nry' . substr(canary('and'), 4)) ],
          [ 'and', 'here' ], 'canaries are found');
is_deeply([ map { /base64/ } found(encode_base64('bob:' . canary('x'))) ], [ 1 ],
          '... and in base64');


my $secret = 'whsec_' . encode_base64(substr(canary('channel'), 0, 32), '');
my $gw = Approval::Gateway->new(log_level => 'info', start => 0);

my $http = <<'EOF_HTTP';
    approval_policy strict { rule r { match $uri ^/strict/; deny; %REDACT% } }
    approval_policy p {
        strict_path off;                 # or an escaped name is refused
        body_limit 64k;
        rule shadow { match $uri ^/shadow; deny; mode shadow;
                      %REDACT% }
        rule deny { match $uri ^/deny; deny "no"; %REDACT% }
        rule reason { match $uri ^/reason; require admins; reason required;
                      %REDACT% }
        rule brief { match $uri ^/brief; require admins; timeout 400ms;
                     notify hook; %REDACT% }
        rule member {
            match $uri ^/member;
            match json:/a/0/password "~^(?<password>.*)$";
            match json:/list "~^(?<list>.*)$";
            match json:/person/name "~^(?<name>.*)$";
            summary "password $approval_arg_password";
            show list $approval_arg_list;
            show name $approval_arg_name;
            require admins;
            notify hook;
            %REDACT%
        }
        rule field {
            match $uri ^/field;
            match form:password "~^(?<field>.*)$";
            match form:pin "~^(?<pin>.*)$";
            match form:user "~^(?<user>.*)$";
            summary "field $approval_arg_field";
            show pin "pin ${approval_arg_pin}";
            show user $approval_arg_user;
            require admins;
            notify hook;
            %REDACT%
        }
        rule raw { match $uri ^/raw; require admins; timeout 30s;
                   notify hook signed; %REDACT% }
        rule hold {
            match $uri ^/;
            match "$http_authorization$http_cookie$http_x_api_key" "~^(?<all>.*)$";
            match $arg_access_token "~^(?<token>.*)$";
            match $cookie_session "~^(?<session>.*)$";
            match $args "~^(?<args>.*)$";
            match $request_uri "~^(?<target>.*)$";
            match $uri "~^/(?<place>.*)$";
            action test.hold;
            summary "all $approval_arg_all token $approval_arg_token args $approval_arg_args";
            show token "$approval_arg_token";
            show place "$approval_arg_place";
            show path "at $document_uri";
            show session $approval_arg_session;
            show target $approval_arg_target;
            show cookie $http_cookie;
            show one_cookie $cookie_session;
            show auth "x ${http_authorization}";
            show key $http_x_api_key;
            show internal $http_x_internal;
            show code $arg_code;
            show arg $arg_access_token;
            show request $request;
            show query $args;
            show password json:/a/0/password;
            show whole json:;
            show ssn json:/person/ssn;
            show depth json:/person/*;
            %REDACT%
            require admins;
            timeout 30s;
            notify hook signed;
        }
    }
EOF_HTTP

$http =~ s{%REDACT%}{redact json:/person/ssn json:/list/*/x form:pin
                     \$http_x_internal \$arg_code;}g;

my $keys = $gw->{keys};

spew($keys->{secret}, unpack('H*', substr(canary('key'), 0, 16) x 2), "\n");

$gw->ngx->{http} = $gw->conf(
    "$http approval_channel signed { pass /_notify; secret $secret; }",
    "approval p;\nlocation / { proxy_pass %%UP%%; }\n"
    . "location /strict/ { approval strict; proxy_pass %%UP%%; }\n", 1, '');
$gw->ngx->start;

my $monitor = $gw->redis->client(timeout => 20);
$monitor->cmd('MONITOR');

my $monitored = '';

sub drain_monitor {
    while (defined(my $line = eval { $monitor->read(0.3) })) {
        $monitored .= "$line\n";
    }
}


# what requesters send

my @headers = (
    'Authorization' => 'Basic ' . encode_base64('bob:' . canary('basic'), ''),
    'Cookie' => 'a=1; session=' . canary('cookie'),
    'X-Api-Key' => canary('X-Api-Key'),
    'X-Internal' => canary('redacted header'),
    'Proxy-Authorization' => 'Bearer ' . canary('Proxy-Authorization'),
    'X-Auth-Token' => canary('X-Auth-Token'),
    'X-Amz-Security-Token' => canary('X-Amz-Security-Token'),
    'X-Csrf-Token' => canary('X-Csrf-Token'),
    'X-Approval-Reason' => 'because',
);

my @bearer = @headers;
$bearer[1] = 'Bearer ' . canary('bearer');

my $query = '?access_token=' . canary('access_token') . '&a=1&password='
            . canary('password') . '&api_key=' . canary('api_key') . '&code='
            . canary('redacted argument') . '&X-Amz-Signature='
            . canary('signature') . '&url=https://bob:' . canary('userinfo')
            . '@db.example/&p%61ssword=' . canary('escaped name')
            . '&client_secret=' . canary('client_secret');

my $json = encode_json({
    a => [ { password => canary('member'), b => { c => [ { apiKey =>
           canary('deep'), Token => { x => canary('in an object') } } ] } } ],
    person => { ssn => canary('redacted pointer'), name => 'Bob' },
    list => [ { x => canary('redacted star') }, { x => [ canary('an array') ] } ],
    headers => { Authorization => 'Bearer ' . canary('in a value') },
    url => 'postgres://u:' . canary('userinfo in a member') . '@db/x',
    private_key => canary('private_key'),
});

my $form = 'user=bob&password=' . canary('form') . '&pin='
           . canary('redacted field') . '&pass%77ord=' . canary('escaped field');

my @type = ('Content-Type' => 'application/json');

my @requests = (
    [ json => POST => "/x$query", body => $json, headers => [@headers, @type] ],
    [ 'json, chunked' => POST => "/x$query",
      chunked => [ substr($json, 0, 90), substr($json, 90) ],
      headers => [@bearer, @type] ],
    [ 'captured members' => POST => "/member$query", body => $json,
      headers => [@headers, @type] ],
    [ 'captured fields' => POST => '/field', body => $form =~ s/&pass%.*//r, headers => [@headers,
      'Content-Type' => 'application/x-www-form-urlencoded'] ],
    [ form => POST => "/f$query", body => $form, headers => [@headers,
      'Content-Type' => 'application/x-www-form-urlencoded'] ],
    [ 'broken json' => POST => "/raw", body => substr($json, 0, -1),
      headers => [@headers, @type] ],
    [ 'a binary' => POST => '/raw', body => "\0" . canary('binary'),
      headers => [@headers, 'Content-Type' => 'application/octet-stream'] ],
    [ 'an encoded one' => POST => '/raw', body => canary('gzip'),
      headers => [@headers, @type, 'Content-Encoding' => 'gzip'] ],
    [ 'a large one' => POST => '/x', body => $json . ' ' x 70000,
      headers => [@headers, @type] ],
    [ 'no body' => DELETE => "/x$query", headers => [@bearer] ],
    [ 'a path' => DELETE => '/x;password=' . canary('in the path') . '/token='
                            . canary('in a segment') . '/y',
      headers => [@bearer] ],
    [ 'text' => POST => '/x', body => "password: " . canary('text') . "\n",
      headers => [@headers, 'Content-Type' => 'text/plain'] ],
);

my @ids;
my $answers = '';
my $pages = '';

my @alice = ('X-User' => 'alice');

sub look {
    my ($id) = @_;

    for my $target ("/_approval/actions/$id", "/_approval/status/$id",
                    '/_approval/actions', '/_approval/')
    {
        for my $accept ('application/json', 'text/html') {
            my $r = http_get($gw->port, $target,
                             headers => [@alice, Accept => $accept]);

            cmp_ok($r->status, '<', 500, "$target, $accept");
            $pages .= $r->raw;
        }
    }
}


for my $request (@requests) {
    my ($name, $method, $target, %how) = @$request;

    subtest $name => sub {
        my ($client, $id) = $gw->hold($method, $target, %how);

        ok($id, 'held') or return;
        push @ids, $id;
        look($id);

        is($gw->vote($id, 'approve', 'fine')->status, 200, 'approved');

        my $r = $client->read;
        is($r->status, 200, 'executed');
        $answers .= $r->raw;

        my $sent = $target . ($how{body} // join('', @{ $how{chunked} // [] }))
                   . join('', @{ $how{headers} });
        my $seen = $gw->up->last;
        my $got = $seen->target . $seen->body
                  . join('', map { @$_ } $seen->headers);

        is_deeply([ found($got) ], [ found($sent) ], 'the upstream got it all');
        look($id);
    };
}


subtest 'other ends' => sub {
    my @how = (body => $json, headers => [@headers, @type]);

    my ($client, $id) = $gw->hold(POST => "/denied$query", @how);
    push @ids, $id;
    $gw->vote($id, 'deny', 'no');
    $answers .= $client->read->raw;
    look($id);

    ($client, $id) = $gw->hold(POST => "/left$query", @how);
    push @ids, $id;
    $client->close;
    $gw->ngx->log_like(qr/client/i, 'the client left');
    $gw->vote($id, 'approve', 'late');
    look($id);

    $answers .= $gw->send(POST => "/brief$query", @how)->read->raw;
    $answers .= $gw->send(POST => "/deny$query", @how)->read->raw;
    $answers .= $gw->send(POST => "/shadow$query", @how)->read->raw;
    $answers .= $gw->send(POST => "/strict//y$query", @how)->read->raw;
    $answers .= $gw->send(POST => "/reason$query", body => $json,
                          headers => [@type])->read->raw;
    $answers .= $gw->send(POST => "/x$query", agent => '', @how)->read->raw;
    $answers .= $gw->send(POST => "http://bob:" . canary('target') . '@x/deny',
                          @how)->read->raw;

    ok(wait_for(sub { grep { $_->{type} eq 'expired' } $gw->audit }), 'expired');
};


subtest 'no sink has a canary' => sub {
    drain_monitor();

    my $stored = '';
    my @stored = $gw->redis->keys;

    for my $key (@stored) {
        my $type = $gw->redis->cmd(TYPE => $key);
        my @read = $type eq 'hash' ? [ HGETALL => $key ]
                   : $type eq 'list' ? [ LRANGE => $key, 0, -1 ]
                   : $type eq 'zset' ? [ ZRANGE => $key, 0, -1 ]
                   : $type eq 'stream' ? [ XRANGE => $key, '-', '+' ]
                   : [ GET => $key ];

        $stored .= "$key " . encode_json($gw->redis->cmd(@{ $read[0] }))
                   . ($gw->redis->cmd(DUMP => $key) // '') . "\n";
    }

    my $messages = join "\n", map { $_->raw } $gw->hook->messages;
    my $audit = slurp($gw->ngx->path('audit.jsonl'));

    # a line ends with the path of its request; only nginx's own have its query

    my @lines = $gw->ngx->log_lines(qr/./);
    my $log = join '', map { s/, client: .*//sr . "\n" } @lines;
    my @queries = grep { /\?\S*cnry/ } @lines;

    is(scalar @queries, 0, 'no query in the error log')
        or diag(@queries);
    cmp_ok(scalar(grep { m{request: "POST /x", host: } } @lines), '>', 1,
           '... whose lines have paths');

    my %sink = (redis => $stored, monitor => $monitored, messages => $messages,
                pages => $pages, answers => $answers, audit => $audit,
                'error log' => $log);

    cmp_ok(scalar @stored, '>', 2 * @ids, 'keys were looked at');
    like($monitored, qr/evalsha/i, 'Redis was listened to');
    cmp_ok(scalar($gw->hook->messages), '>', @ids, 'messages were sent');
    like($audit, qr/"executed"/, 'there is an audit trail');
    like($pages, qr/\[redacted\]/, 'there were pages');
    like($pages, qr/"name":"Bob"/, 'what is no secret was shown');
    like($pages, qr/"user":"bob"/, 'from forms, too');

    for my $name (sort keys %sink) {
        my @found = found($sink{$name});

        ok(!@found, "none in the $name") or show_found(\@found, $sink{$name});
    }
};


done_testing();
