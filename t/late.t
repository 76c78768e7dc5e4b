#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Access handlers that run after the gate, as Lua's do, may change a request
# that was judged.  It is then judged again.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Gateway;

need_module();

my @modules = map { "/usr/lib/nginx/modules/$_.so" }
              qw(ndk_http_module ngx_http_lua_module);

plan(skip_all => 'no Lua module') if grep { !-e $_ } @modules;

my $gw = Approval::Gateway->new(modules_before => \@modules,
    http => <<'EOF', server => <<'EOF2');
    lua_load_resty_core off;

    approval_policy p {
        rule uri    { match $uri ^/admin; require admins; }
        rule method { match $request_method DELETE; require admins; }
        rule arg    { match $arg_drop 1; require admins; }
        rule header { match $http_x_drop 1; require admins; }
        rule body   { match $request_method POST; match json:/drop 1;
                      require admins; }
        rule never  { match $http_x_never 1; deny; }
        rule put    { match $request_method PUT; require admins; }
    }

    approval_policy s {
        rule all { match $request_method POST; require admins; mode shadow; }
    }
EOF
    approval p;

    access_by_lua_block {
        local h = ngx.req.get_headers()

        if h.uri then ngx.req.set_uri(h.uri) end
        if h.args then ngx.req.set_uri_args(h.args) end
        if h.method then ngx.req.set_method(ngx.HTTP_DELETE) end
        if h.header then ngx.req.set_header(h.header, "1") end
        if h.body then
            ngx.req.read_body()
            ngx.req.set_body_data(h.body)
        end
        if h.exit then ngx.exit(tonumber(h.exit)) end
    }

    location / { proxy_pass %%UP%%; }
    location /shadow { approval s; proxy_pass %%UP%%; }
EOF2


for ([ 'what Lua leaves alone', GET => 0 ],
     [ 'another header', GET => 0, Header => 'X-Other' ],
     [ 'another argument', GET => 0, Args => 'a=1' ],
     [ 'its URI', GET => 1, Uri => '/admin/del' ],
     [ 'its arguments', GET => 1, Args => 'drop=1' ],
     [ 'its method', GET => 1, Method => 'x' ],
     [ 'its header', GET => 1, Header => 'X-Drop' ],
     [ 'its body', POST => 1, Body => '{"drop":1}' ])
{
    my ($name, $method, $held, @headers) = @$_;

    my $r = $gw->send($method => '/x',
                      headers => [ Prefer => 'respond-async', @headers ],
                      $method eq 'POST' ? (json => { drop => 0 }) : ())->read;

    is($r->status, $held ? 202 : 200, "$name: " . ($held ? 'held' : 'passed'));
    $gw->vote($_, 'deny') for $gw->pending;
}

is($gw->send(GET => '/never', headers => [ Header => 'X-Never' ])->read->status,
   403, 'a change into what is denied');
is($gw->send(POST => '/never', headers => [ Header => 'X-Never' ],
             json => { drop => 0 })->read->status, 403,
   'the same, after its body was read');
is($gw->hits('/never'), 0, 'neither is sent');

# An approved request.  What is not sent is not "executed", whatever the client
# gets.

sub unsent {
    my ($id, $name) = @_;

    my @ends = grep { ($_->{action_id} // '') eq $id }
               map { $gw->audit($_) } qw(executed failed);

    is_deeply([ map { [ $_->{type}, $_->{why}, exists $_->{forwarded} ] }
                @ends ],
              [ [ failed => 'not forwarded: the request ended before it was '
                            . 'executed', 1 ] ],
              "$name: what was approved is not \"executed\"");
}

for ([ 'a header that concerns nobody', 200, Header => 'X-Other' ],
     [ 'its URI', undef, Uri => '/admin/other' ])
{
    my ($name, $status, @headers) = @$_;
    my ($client, $id) = $gw->hold(GET => '/admin/del', headers => \@headers);

    is($gw->vote($id, 'approve')->status, 200, "$name: approved");

    if ($status) {
        is($client->read->status, $status, "$name: and it passes");
        next;
    }

    my $other = wait_for(sub { (grep { $_ ne $id } $gw->pending)[0]
                               // ($client->answered ? 'answered' : undef) });

    is($gw->hits('/admin/other'), 0, "$name: what was not approved is not sent");
    $gw->vote($_, 'deny') for $gw->pending;
    cmp_ok($client->read->status, '>=', 400, "$name: and is refused");
    unsent($id, $name);
}

{
    my ($client, $id) = $gw->hold(PUT => '/put', body => 'shown',
                                  headers => [ Body => 'other' ]);

    is($gw->vote($id, 'approve')->status, 200, 'another body: approved');

    wait_for(sub { $client->answered || grep { $_ ne $id } $gw->pending });

    is($gw->hits('/put'), 0, 'another body: it is not sent');
    $gw->vote($_, 'deny') for $gw->pending;
    is($client->read->status, 403, 'another body: but needs an approval, too');
    unsent($id, 'another body');
}

for my $status (200, 403) {
    my ($client, $id) = $gw->hold(GET => "/admin/exit/$status",
                                  headers => [ Exit => $status ]);

    is($gw->vote($id, 'approve')->status, 200, "Lua answers $status: approved");
    is($client->read->status, $status, "Lua answers $status");
    unsent($id, "Lua answers $status");
}

# A shadow rule is counted once

is($gw->send(POST => '/shadow', headers => [ Header => 'X-Other' ],
             body => 'x')->read->status, 200, 'shadow mode: passes');
is(scalar(grep { $_->{mode} } $gw->audit('requested')), 1, 'shadow mode: recorded once');

$gw->clean('all is judged');

done_testing();
