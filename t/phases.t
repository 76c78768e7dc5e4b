#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# No path around the gate: nginx's own access control before and after it,
# subrequests, and every internal redirect.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;
use MIME::Base64 qw(encode_base64);

need_module();

my $basic = 'auth_basic gw; auth_basic_user_file %%PREFIX%%/htpasswd;';


# location => what stands in it beside "approval one" and proxy_pass

my %access = (
    plain      => '',
    allow      => 'allow 127.0.0.1; deny all;',
    deny       => 'deny all;',
    basic      => $basic,
    request    => 'auth_request /auth/ok;',
    refuse     => 'auth_request /auth/no;',
    any_allow  => 'satisfy any; allow 127.0.0.1; deny all;',
    any_basic  => "satisfy any; deny all; $basic",
    any_both   => "satisfy any; allow 127.0.0.1; $basic",
    any_none   => 'satisfy any;',
    any_auth   => 'satisfy any; deny all; auth_request /auth/ok;',
    any_refuse => 'satisfy any; deny all; auth_request /auth/no;',
    limited    => 'limit_except GET { deny all; }',
    granted    => 'limit_except GET { allow 127.0.0.1; deny all; '
                  . 'proxy_pass %%UP%%; }',
    if         => 'if ($http_x_if) { set $x 1; }',
    if_proxy   => 'if ($http_x_if) { proxy_pass %%UP%%; }',
);

my $access = join "\n", map { <<"EOF" } sort keys %access;
        location /access/$_/ {
            approval one;
            approval_requester \$remote_user\$http_x_agent;
            $access{$_}
            proxy_pass %%UP%%;
        }
EOF

my $gw = Approval::Gateway->new(
    files => { htpasswd => "carol:{PLAIN}secret\n",
               'html/page.shtml' => 'a<!--#include virtual="/one/ssi" -->b',
               'html/gated/page.shtml' =>
                   'a<!--#include virtual="/one/ssi" -->b'
                   . '<!--#include virtual="/two/ssi" -->c',
               'html/added.txt' => "text\n",
               'html/index/file.html' => "the index\n" },
    up => sub {
        my ($r) = @_;

        my $uri = $r->target;
        my %accel = (
            '/open/accel-one' => '/one/accel',
            '/open/accel-two' => '/two/accel',
            '/open/accel-open' => '/open/end', '/one/accel-one' => '/one/end',
            '/one/accel-two' => '/two/end', '/one/accel-open' => '/open/end',
            '/open/accel-named' => '@accel',
        );

        return { accel => $accel{$uri} } if $accel{$uri};
        return { status => 403 } if $uri eq '/auth/no';
        return { status => 404 } if $uri =~ m{/missing};

        if ($uri eq '/slice/file') {
            my ($from, $to) = ($r->header('Range') // '') =~ /(\d+)-(\d+)/
                or return { body => 'x' x 25 };

            $to = 24 if $to > 24;
            return { status => 206, body => 'x' x ($to - $from + 1),
                     headers => [ ETag => '"1"', 'Content-Range'
                                  => "bytes $from-$to/25" ] };
        }

        return { body => "reached $uri\n" };
    },
    http => <<'EOF',
    proxy_cache_path %%PREFIX%%/cache keys_zone=c:1m;
    underscores_in_headers on;

    approval_policy one {
        rule one { match $uri ~.; require admins; timeout 60s; }
    }
    approval_policy two {
        rule two { match $uri ~.; require admins; timeout 60s; }
    }
    approval_policy none {
        rule never { match $uri /never; require admins; }
    }
    approval_policy lead {
        rule lead { match $uri ~.; bind $lead; require admins; }
    }
    approval_policy front {
        rule one { match $uri ^/lead/front; require admins; }
    }
    approval_policy stop {
        rule stop { match $uri ~.; deny "not this way"; }
    }
EOF
    server => <<"EOF");
$access
        root %%PREFIX%%/html;
        default_type text/html;

        location /auth/ { proxy_pass %%UP%%; proxy_pass_request_body off;
                          proxy_set_header Content-Length ""; }

        location /open/ { proxy_pass %%UP%%; }
        location /none/ { approval none; proxy_pass %%UP%%; }
        location /one/  { approval one; proxy_pass %%UP%%; }
        location /two/  { approval two; proxy_pass %%UP%%; }
        location /stop/ { approval stop; proxy_pass %%UP%%; }
        location \@one  { approval one; proxy_pass %%UP%%; }
        location \@two  { approval two; proxy_pass %%UP%%; }
        location \@stop { approval stop; proxy_pass %%UP%%; }
        location \@none { approval none; proxy_pass %%UP%%; }
        location \@accel { approval one; rewrite ^ /open/end break;
                           proxy_pass %%UP%%; }
        location \@path { approval none; proxy_pass %%UP%%; }

        # subrequests

        location = /page.shtml { ssi on; }
        location /gated/       { ssi on; approval one; }
        location = /added.txt  { add_before_body /one/added; }
        location /mirrored/    { mirror /one/mirror; proxy_pass %%UP%%; }
        location /asked/       { auth_request /one/auth; proxy_pass %%UP%%; }
        location /copies/      { auth_request /none/auth; mirror /none/mirror;
                                 proxy_pass %%UP%%; }
        location = /slice/file {
            approval one;
            slice 10; proxy_cache c; proxy_cache_key \$uri\$slice_range;
            proxy_set_header Range \$slice_range; proxy_cache_valid 206 1m;
            proxy_pass %%UP%%;
        }

        # internal redirects

        proxy_intercept_errors on;

        location /open/missing-one { error_page 404 /one/error;
                                     proxy_pass %%UP%%; }
        location /open/missing-named { error_page 404 = \@one;
                                       proxy_pass %%UP%%; }
        location /one/missing-one { approval one; error_page 404 = \@one;
                                    proxy_pass %%UP%%; }
        location /one/missing-two { approval one; error_page 404 = /two/error;
                                    proxy_pass %%UP%%; }
        location /one/missing-open { approval one;
                                     error_page 404 = /open/error;
                                     proxy_pass %%UP%%; }
        location /one/missing-stop { approval one; error_page 404 = \@stop;
                                     proxy_pass %%UP%%; }
        location /try/  { try_files /absent \@one; }
        location /try2/ { try_files /absent /two/tried; }
        location /tryp/ { try_files /absent \@path; }
        location /try1/ { approval one; try_files /absent \@one; }
        location /try3/ { approval one; try_files /absent \@stop; }
        location /try5/ { approval one; try_files /absent \@two; }
        location /try4/ { approval one; try_files /absent \@ask_stop; }
        location \@ask_stop { auth_request /none/ask; approval stop;
                              proxy_pass %%UP%%; }
        location = /index/ { index file.html; }
        location = /index/file.html { approval one; }
        location /rewrite/ { rewrite ^/rewrite/(.*) /one/\$1 last; }
        location /rewrite2/ { approval one;
                              rewrite ^/rewrite2/(.*) /two/\$1 last; }
        location /refused/ { approval one; error_page 403 409 503 /one/again;
                             recursive_error_pages on; proxy_pass %%UP%%; }
        location /lead/bound { approval lead; set \$lead 1;
                               try_files /absent \@led; }
        location /lead/kept  { approval lead; set \$lead 2;
                               try_files /absent \@led; }
        location /lead/uri   { approval one; try_files /absent /none/led; }
        location /lead/path  { approval one; try_files /absent \@path; }
        location /lead/named { approval one; try_files /absent \@led; }
        location /lead/front { try_files /absent /lead.php?\$args; }
        location ~ \.php\$    { approval front; proxy_pass %%UP%%; }
        location /lead/file  { approval one; try_files /added.txt =404; }
        location /lead/index/ { approval one; index /none/led; }
        location /lead/page  { approval one; error_page 500 = \@path;
                               try_files /absent /none/led; }
        location \@led { set \$lead 2; rewrite named /open/led break;
                         proxy_pass %%UP%%; }
        location /after/ { post_action /one/after; proxy_pass %%UP%%; }
        location /after2/ { approval one; post_action /two/after;
                            proxy_pass %%UP%%; }
EOF


# Sends it; approves whatever is asked for, one action after the other; returns
# the response and the names of the rules that asked.

sub walk {
    my ($method, $target, %how) = @_;

    my $client = $gw->send($method, $target, %how);
    my ($response, %seen, @rules);

    wait_for(sub {
        for my $id (grep { !$seen{$_} } $gw->pending) {
            my $action = $gw->action($id);

            next unless ($action->{state} // '') eq 'pending';

            $seen{$id} = 1;
            push @rules, $action->{rule};
            push @{ $how{requesters} // [] }, $action->{requester};
            $gw->vote($id, $how{vote} // 'approve');
        }

        $response = $client->try_read(0.02);
    });

    return ($response, "@rules");
}


# name, method, target, headers, status, rules that ask

my @carol = (Authorization => 'Basic ' . encode_base64('carol:secret', ''));
my @wrong = (Authorization => 'Basic ' . encode_base64('carol:no', ''));

my @table = (
    [ 'no access control', GET => 'plain', [], 200, 'one' ],
    [ 'allow', GET => 'allow', [], 200, 'one' ],
    [ 'deny', GET => 'deny', [], 403, '' ],
    [ 'auth_basic, right', GET => 'basic', \@carol, 200, 'one', 'carol' ],
    [ 'auth_basic, none', GET => 'basic', [], 401, '' ],
    [ 'auth_basic, wrong', GET => 'basic', \@wrong, 401, '' ],
    [ 'auth_request, yes', GET => 'request', [], 200, 'one' ],
    [ 'auth_request, no', GET => 'refuse', [], 403, '' ],
    [ 'any: allow', GET => 'any_allow', [], 200, 'one' ],
    [ 'any: auth_basic, right', GET => 'any_basic', \@carol, 200, 'one',
      'carol' ],
    [ 'any: auth_basic, none', GET => 'any_basic', [], 401, '' ],
    [ 'any: auth_basic, wrong', GET => 'any_basic', \@wrong, 401, '' ],
    [ 'any: allow or auth_basic', GET => 'any_both', [], 200, 'one' ],
    [ 'any: nothing else', GET => 'any_none', [], 200, 'one' ],
    [ 'any: auth_request, yes', GET => 'any_auth', [], 200, 'one' ],
    [ 'any: auth_request, no', GET => 'any_refuse', [], 403, '' ],
    [ 'limit_except, except', GET => 'limited', [], 200, 'one' ],
    [ 'limit_except, limited', POST => 'limited', [], 403, '' ],
    [ 'limit_except, allowed', POST => 'granted', [], 200, 'one' ],
    [ 'if, not taken', GET => 'if', [], 200, 'one' ],
    [ 'if, taken', GET => 'if', [ 'X-If' => 1 ], 200, 'one' ],
    [ 'if with a proxy_pass of its own', GET => 'if_proxy', [ 'X-If' => 1 ],
      200, 'one' ],
);

for my $row (@table) {
    my ($name, $method, $where, $headers, $status, $rules, $who) = @$row;

    my $target = "/access/$where/" . $name =~ s/\W+/-/gr;
    my @requesters;

    my ($response, $asked) = walk($method, $target, headers => $headers,
                                  agent => $who ? undef : 'agent-7',
                                  requesters => \@requesters);

    is($response && $response->status, $status, "$name: $status");
    is($asked, $rules, "$name: " . ($rules ? 'asked for' : 'nobody is asked'));
    is($gw->hits($target), $rules && $status == 200 ? 1 : 0,
       "$name: the upstream's share");
    is("@requesters", $who, "$name: nginx's user is the requester") if $who;
}

$gw->clean('access control leaves nothing behind');


# name, method, target, status, rules that ask, what is reached, what is not

my @redirects = (
    [ 'error_page to a URI', GET => '/open/missing-one', 404, 'one',
      [ '/one/error' ] ],
    [ 'error_page to a named location', GET => '/open/missing-named', 404,
      'one', [ ('/open/missing-named') x 2 ] ],
    [ 'error_page into the same rule asks once, and sends nothing again',
      GET => '/one/missing-one', 500, 'one', [ '/one/missing-one' ] ],
    [ 'error_page into another rule asks for that', GET => '/one/missing-two',
      200, 'one two', [ '/one/missing-two', '/two/error' ] ],
    [ 'error_page out of the gate sends nothing again',
      GET => '/one/missing-open', 500, 'one', [ '/one/missing-open' ] ],
    [ 'error_page into a rule that denies', GET => '/one/missing-stop', 403,
      'one', [ '/one/missing-stop' ] ],
    [ 'X-Accel-Redirect into the gate', GET => '/open/accel-one', 200, 'one',
      [ '/one/accel' ] ],
    [ 'X-Accel-Redirect into a named location', GET => '/open/accel-named',
      200, 'one', [ '/open/end' ] ],
    [ 'X-Accel-Redirect, not gated', GET => '/open/accel-open', 200, '',
      [ '/open/end' ] ],
    [ 'X-Accel-Redirect into the same rule', GET => '/one/accel-one', 200,
      'one', [ '/one/end' ] ],
    [ 'X-Accel-Redirect into another rule', GET => '/one/accel-two', 200,
      'one two', [ '/two/end' ] ],
    [ 'X-Accel-Redirect out of the gate', POST => '/one/accel-open', 200,
      'one', [ '/open/end' ] ],
    [ 'try_files to a named location', GET => '/try/a', 200, 'one',
      [ '/try/a' ] ],
    [ 'try_files to a URI', GET => '/try2/a', 200, 'two', [ '/two/tried' ] ],
    [ 'try_files within one rule asks once', GET => '/try1/a', 200, 'one',
      [ '/try1/a' ] ],
    [ 'index', GET => '/index/', 200, 'one', [] ],
    [ 'rewrite last', GET => '/rewrite/a', 200, 'one', [ '/one/a' ] ],
    [ 'rewrite last, before the gate', GET => '/rewrite2/a', 200, 'two',
      [ '/two/a' ] ],
);

for my $row (@redirects) {
    my ($name, $method, $target, $status, $rules, $reached) = @$row;

    $gw->up->clear;

    my ($response, $asked) = walk($method, $target);

    is($response && $response->status, $status, "$name: $status");
    is($asked, $rules, "$name: asks " . ($rules ? "for $rules" : 'nobody'));

    my %want;
    $want{$_}++ for @$reached;

    is($gw->hits($_), $want{$_}, "$name: $_ reached") for sort keys %want;

    # with a denial, what is behind the first gate that asks is not reached

    next unless $rules;

    $gw->up->clear;
    ($response, $asked) = walk($method, $target, vote => 'deny');

    my ($first) = split / /, $rules;

    is($asked, $first, "$name, denied: asked once");
    is($response && $response->status, 403, "$name, denied: 403");
    like($response->header('Content-Type'), qr/problem/, "$name: problem+json");

    is(scalar(grep { $_->target =~ m{^/(?:$first|two)/} } $gw->up->requests),
       0, "$name, denied: nothing behind the gate is reached");
}

$gw->clean('redirects leave nothing behind');


# what an approved request becomes before it is executed: name, target, status

my @led = (
    [ 'a named location', '/lead/path', 200 ],
    [ 'a bound value with the same value', '/lead/kept', 200 ],
    [ 'a front controller, gated where it ends', '/lead/front?x=1', 200 ],
    [ 'what a content handler redirects to', '/lead/index/', 200 ],
    [ 'another value of what is bound', '/lead/bound', 500 ],
    [ 'another URI', '/lead/uri', 500 ],
    [ 'another URI, with an error_page', '/lead/page', 500 ],
    [ 'another path in a named location', '/lead/named', 500 ],
    [ 'another file', '/lead/file', 500 ],
);

for my $row (@led) {
    my ($name, $target, $status) = @$row;

    $gw->up->clear;

    my ($response, $asked) = walk(GET => $target);
    my $why = 'not executed: the request changed after its approval';
    my $executed = $status == 200;

    is($response && $response->status, $status, "led to $name: $status");
    like($asked, qr/^(?:one|lead)$/, "led to $name: asked once");
    is($gw->up->count, $executed ? 1 : 0, "led to $name: reached, or not");

    next if $executed;

    like($response->json->{type}, qr/internal/, "led to $name: by the gate");
    is(($gw->audit('failed'))[-1]{why}, $why, "led to $name: on record");
}


# approved, and refused by the next gate; a subrequest may have been sent

for (3, 4) {
    $gw->up->clear;

    my ($response, $asked) = walk(GET => "/try$_/a");
    my $end = (grep { $_->{type} =~ /^(?:failed|executed)$/ } $gw->audit)[-1];

    is($response->status, 403, "refused after the approval, /try$_: 403");
    is($asked, 'one', "refused after the approval, /try$_: asked for");
    is($gw->hits('/none/ask'), $_ - 3, "/try$_: subrequests");
    is($end->{type}, 'failed', "/try$_: not executed");
    is(exists $end->{forwarded}, $_ == 3, "/try$_: not forwarded, or unknown");
}


# approved by two gates, and sent once

{
    my ($response, $asked) = walk(GET => '/try5/a');
    my @ends = grep { $_->{type} =~ /^(?:failed|executed)$/ } $gw->audit;

    is($response->status, 200, 'approved twice: sent');
    is($asked, 'one two', 'approved twice: asked for');
    is_deeply([ sort map { "$_->{type} $_->{rule}" } @ends[-2, -1] ],
              [ 'executed one', 'executed two' ], 'approved twice: executed');
}

$gw->clean('what leads elsewhere leaves nothing behind');


# our own refusal is the answer, and not the beginning of another request

{
    my ($response, $asked) = walk(GET => '/refused/a', vote => 'deny');

    is($asked, 'one', 'a refusal with an error_page into the gate: asked once');
    is($response->status, 403, 'and refused');
    like($response->json->{type}, qr/denied/, 'by the problem itself');
    is($gw->hits('/one/again'), 0, 'error_page does not take it');

    $response = http_get($gw->port, '/stop/a');

    is($response->status, 403, 'a rule that denies');
    is($response->json->{detail}, 'not this way', 'says why');
    is($gw->hits('/stop/a'), 0, 'and lets nothing through');

    $response = http_get($gw->port, '/refused/b', headers => [ Host => 'x' ]);

    is($response->status, 403, 'nobody in particular is refused');
    like($response->json->{type}, qr/identity-required/, 'for just that');
}


# subrequests

{
    my ($response, $asked);

    $gw->up->clear;
    $response = http_get($gw->port, '/page.shtml');

    is($response->status, 200, 'SSI: the page is there');
    like($response->body, qr/^a.+b$/s, 'SSI: with something in it');
    unlike($response->body, qr/reached/, 'SSI: without what is gated');

    $response = http_get($gw->port, '/added.txt');

    unlike($response->body, qr/reached/, 'addition: without what is gated');

    is(http_get($gw->port, '/mirrored/a')->status, 200, 'mirror: the original');
    is(http_get($gw->port, '/asked/a')->status, 403,
       'auth_request to a gated target does not say yes');

    is(scalar(grep { $_->target =~ m{^/one/} } $gw->up->requests), 0,
       'none of them has reached the upstream');
    is(scalar(my @none = $gw->pending), 0, 'and nobody is asked');

    $gw->up->clear;
    ($response, $asked) = walk(GET => '/gated/page.shtml');

    is($asked, 'one', 'SSI in a gated page: asked once');
    like($response->body, qr{reached /one/ssi},
         'an include under the same rule comes with it');
    unlike($response->body, qr{reached /two/ssi},
           'an include under another rule does not');

    ($response, $asked) = walk(GET => '/slice/file');

    is($asked, 'one', 'slice: asked once');
    is($response->status, 200, 'slice: 200');
    is($response->body, 'x' x 25, 'slice: all of its parts');

    $gw->clean('subrequests leave nothing behind');
}


# post_action comes when the answer has been given: nobody can be asked

{
    $gw->up->clear;

    is(http_get($gw->port, '/after/a')->status, 200, 'post_action: the answer');

    my ($response, $asked) = walk(GET => '/after2/a');

    is($response->status, 200, 'post_action of an approved one: the answer');
    is($asked, 'one', 'asked for the request only');

    $gw->clean('post_action leaves nothing behind');
    is(scalar(grep { $_->target =~ m{/after$} } $gw->up->requests), 0,
       'a post_action into the gate is not made');
}


# Approval-* is ours to say: name, target, rules that ask, what is reached

my @lies = ('Approval-Id' => 'x', 'approval-by' => 'root',
            'APPROVAL-RECEIPT' => 'r', 'Approval-Other' => 1,
            Approval_Digest => 'd');

my @copies = (
    [ 'no rule', '/none/copies', '', [ '/none/copies' ] ],
    [ 'approved', '/one/copies', 'one', [ '/one/copies' ] ],
    [ 'try_files into the gate', '/try/copies', 'one', [ '/try/copies' ] ],
    [ 'try_files, no rule', '/tryp/copies', '', [ '/tryp/copies' ] ],
    [ 'approved, then redirected', '/one/accel-two', 'one two',
      [ '/one/accel-two', '/two/end' ] ],
    [ 'approved, redirected within the rule', '/one/accel-one', 'one',
      [ '/one/accel-one', '/one/end' ] ],
    [ 'subrequests in the gate', '/copies/a', '',
      [ '/none/auth', '/none/mirror' ] ],
);

for my $row (@copies) {
    my ($name, $target, $rules, $reached) = @$row;

    $gw->up->clear;

    my ($response, $asked) = walk(GET => $target, headers => [
                                  @lies, map { ("X-$_" => $_) } 1 .. 40 ]);

    is($asked, $rules, "$name: asked for");

    for my $uri (@$reached) {
        my ($seen) = wait_for(sub { grep { $_->target eq $uri }
                                         $gw->up->requests });
        ($seen) = grep { $_->target eq $uri } $gw->up->requests;

        my @ours = map { $_->[0] } grep { $_->[0] =~ /^approval[-_]/i }
                   $seen ? $seen->headers : [ 'Approval-None' ];

        is("@ours", $rules ? 'Approval-Id Approval-By Approval-Digest '
                             . 'Approval-Receipt' : '',
           "$name: $uri has none of the client's Approval-*");

        isnt($seen && $seen->header('Approval-By'), 'root',
             "$name: $uri does not believe the client");
        is($seen && $seen->header('X-40'), 40, "$name: $uri has all others");
    }
}


# the client's own path, also of what comes by a named location: a rule of
# approval, which nobody may ask for here, or none

my @paths = (
    [ 'a slash in disguise', '/none/a%2fb', [], 200 ],
    [ 'the same, by try_files', '/tryp/a%2fb', [], 200 ],
    [ 'another method', '/none/a', [ 'X-HTTP-Method-Override' => 'PUT' ], 200 ],
    [ 'another path, which a rule is on', '/tryp/a',
      [ 'X-Original-URL' => '/never' ], 403 ],
    [ 'a path that some take for it', '/tryp/..;/never', [], 403 ],
);

for my $row (@paths) {
    my ($name, $target, $headers, $status) = @$row;

    $gw->up->clear;

    my $response = http_get($gw->port, $target, headers => $headers);

    is($response->status, $status, "$name: $status");
    is($gw->up->count, $status == 200 ? 1 : 0, "$name: forwarded, or not");

    like($response->body, qr/urn:approval:identity-required/, "$name: asks")
        if $status != 200;
}

$gw->clean;

done_testing;
