#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# $approval_* in the access log: for every way a request can end, and after
# every redirect.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();


my @names = qw(id status rule action approvers wait digest reason arg_table);
my $format = join '|', '$status', '$uri', map { "\$approval_$_" } @names;

my $gw = Approval::Gateway->new(http => <<"EOF_HTTP", server => <<'EOF_SERVER',
    log_format v '$format';
    approval_policy p {
        rule open { match \$uri ^/open; allow; }
        rule never { match \$uri ^/never; action db.never; deny "never"; }
        rule why { match \$uri ^/why; reason required; require admins; }
        rule drop {
            match \$request_method DELETE;
            match \$uri "~^/(?:soon/|go/)?db/(?<table>[a-z]+)";
            action db.drop;
            require admins;
            timeout 30s;
        }
        rule brief { match \$uri ^/brief; require admins; timeout 300ms; }
        rule body { match \$uri ^/body; match json:/a x; deny; }
        rule shadow { match \$uri ^/shadow; deny; mode shadow; }
    }
    approval_policy closed { default deny; }
    upstream dead { server 127.0.0.1:%%PORT9%%; }
EOF_HTTP
    access_log %%PREFIX%%/v.log v;
    approval p;
    location / { proxy_pass %%UP%%; }
    location /closed { approval closed; proxy_pass %%UP%%; }
    location /db/dead { proxy_pass http://dead; error_page 502 /sorry; }
    location /db/named { proxy_pass http://dead; error_page 502 @sorry; }
    location /db/missing { proxy_pass %%UP%%; proxy_intercept_errors on;
                           error_page 404 = /sorry; }
    location /go/db/cancel { approval_disconnect cancel; proxy_pass %%UP%%; }
    location /go/db/allow { approval_store_failure allow; proxy_pass %%UP%%; }
    location /soon/ { try_files /nothing @app; }
    location @app { proxy_pass %%UP%%; }
    location = /sorry { return 200 "sorry\n"; }
    location @sorry { return 200 "sorry\n"; }
    location /internal/ { internal; proxy_pass %%UP%%/; }
EOF_SERVER
    up => { '*' => { body => "ok\n" }, '/db/missing' => { status => 404 },
            '/db/accel' => { accel => '/internal/x' } });

my @why = ('X-Approval-Reason' => 'ticket 7');
my $seen = 0;


# the next line of the log, by name

sub logged {
    my $line = wait_for(sub {
        my @lines = grep { !m{^\d+\|/_approval/} }
                    split(/^/, slurp($gw->ngx->path('v.log')));
        @lines > $seen ? $lines[$seen] : undef;
    }) // return {};

    $seen++;
    chomp $line;

    my %value;
    @value{qw(http uri), @names} = split(/\|/, $line, -1);

    return \%value;
}


# what is not in want must be "-"; a regex is matched

sub logs {
    my ($name, %want) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $got = logged();
    my @bad;

    for my $key (qw(http uri), @names) {
        my $want = $want{$key} // '-';
        my $have = $got->{$key} // 'nothing';

        push @bad, "$key is \"$have\", not \"$want\""
            unless ref $want ? $have =~ $want : $have eq $want;
    }

    ok(!@bad, $name) or diag(join("\n", @bad));

    return $got;
}


my $wait = qr/^\d+\.\d{3}$/;
my $digest = qr/^sha256:[\w=-]+$/;


subtest 'not held' => sub {
    my @refused = (status => 'refused', wait => $wait);

    $gw->send(GET => '/x')->read;
    logs('no rule', http => 200, uri => '/x');

    $gw->send(GET => '/open')->read;
    logs('a rule that allows', http => 200, uri => '/open');

    $gw->send(POST => '/body', body => '{"a":"y"}')->read;
    logs('the body was judged', http => 200, uri => '/body');

    $gw->send(GET => '/shadow')->read;
    logs('shadow', http => 200, uri => '/shadow');

    $gw->send(GET => '/never')->read;
    logs('a rule that denies', http => 403, uri => '/never', rule => 'never',
         action => 'db.never', @refused);

    $gw->send(POST => '/body', body => '{"a":"x"}')->read;
    logs('a rule on the body that denies', http => 403, uri => '/body',
         rule => 'body', action => 'body', @refused);

    $gw->send(POST => '/body', body => '{')->read;
    logs('a body that cannot be judged', http => 400, uri => '/body',
         rule => 'body', action => 'body', @refused);

    $gw->send(GET => '/closed')->read;
    logs('the default denies', http => 403, uri => '/closed', @refused);

    $gw->send(GET => '/x//y')->read;
    logs('an odd path that no rule is about', http => 200, uri => '/x/y');

    $gw->send(GET => '/Never')->read;
    logs('an ambiguous path', http => 400, uri => '/Never', rule => 'never',
         action => 'db.never', @refused);

    $gw->send(GET => '/why')->read;
    logs('no reason', http => 400, uri => '/why', rule => 'why',
         action => 'why', @refused);

    $gw->send(DELETE => '/db/users', agent => undef, headers => [@why])->read;
    logs('no identity', http => 403, uri => '/db/users', rule => 'drop',
         action => 'db.drop', reason => 'ticket 7', arg_table => 'users',
         @refused);
};


sub held {
    my ($target, @more) = @_;

    return $gw->hold(DELETE => $target, headers => [@why], @more);
}


sub facts {
    my ($id, $table, %more) = @_;

    return (id => $id, rule => 'drop', action => 'db.drop', wait => $wait,
            digest => $digest, reason => 'ticket 7', arg_table => $table, %more);
}


subtest 'held' => sub {
    my ($client, $id) = held('/db/users');

    my $action = $gw->action($id);

    $gw->vote($id, 'approve', 'go');
    $client->read;
    my $got = logs('approved and executed', http => 200, uri => '/db/users',
                   facts($id, 'users', status => 'executed',
                         approvers => 'alice'));
    is($got->{digest}, $action->{digest}, 'the digest is the action\'s');

    ($client, $id) = held('/db/users');
    $gw->vote($id, 'deny', 'no', 'bob');
    $client->read;
    logs('denied', http => 403, uri => '/db/users',
         facts($id, 'users', status => 'denied', approvers => 'bob'));

    ($client, $id) = $gw->hold(GET => '/brief');
    is($client->read->status, 403, 'it ends');
    $got = logs('expired', http => 403, uri => '/brief', id => $id,
                status => 'expired', rule => 'brief', action => 'brief',
                wait => $wait, digest => $digest);
    cmp_ok($got->{wait}, '>=', 0.25, 'the time in hold');

    ($client, $id) = held('/go/db/cancel');
    $client->close;
    logs('the client left, cancel', http => 499, uri => '/go/db/cancel',
         facts($id, 'cancel', status => 'pending'));

    ($client, $id) = held('/db/left');
    $client->close;
    logs('the client left, keep', http => 499, uri => '/db/left',
         facts($id, 'left', status => 'pending'));
};


subtest 'redirects' => sub {
    my $approved = sub {
        my ($name, $target, $table, %want) = @_;

        my ($client, $id) = held($target);

        $gw->vote($id, 'approve');
        $client->read;

        logs($name, facts($id, $table, approvers => 'alice', %want));
    };

    $approved->('error_page to a URI', '/db/dead', 'dead', http => 502,
                uri => '/sorry', status => 'failed');
    $approved->('error_page to a named location', '/db/named', 'named',
                http => 502, uri => '/db/named', status => 'failed');
    $approved->('an intercepted answer', '/db/missing', 'missing', http => 200,
                uri => '/sorry', status => 'executed');
    $approved->('X-Accel-Redirect', '/db/accel', 'accel', http => 200,
                uri => '/internal/x', status => 'executed');
    $approved->('try_files', '/soon/db/x', 'x', http => 200,
                uri => '/soon/db/x', status => 'executed');
};


subtest 'the store is away' => sub {
    $gw->redis->stop;

    $gw->ngx->log_like(qr/redis/i, 'noticed');

    $gw->send(DELETE => '/db/users', headers => [@why])->read;
    my $got = logs('deny', http => 503, uri => '/db/users', rule => 'drop',
                   status => 'refused', action => 'db.drop', wait => $wait,
                   digest => qr/^(?:-|sha256:.*)$/, reason => 'ticket 7',
                   arg_table => 'users');

    $gw->send(DELETE => '/go/db/allow', headers => [@why])->read;
    $got = logs('allow', http => 200, uri => '/go/db/allow', rule => 'drop',
                status => 'unstored', action => 'db.drop', wait => $wait,
                digest => qr/^(?:-|sha256:.*)$/, reason => 'ticket 7',
                arg_table => 'allow');
};


done_testing();
