#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Access handlers that run after the gate, as Lua's do, may change a request
# that was judged.  It is therefore judged again.

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
        rule dry    { match $uri ^/dry; require admins; mode shadow; }
        rule dry_b  { match $uri ^/dry; match json:/drop 0; require admins;
                      mode shadow; }
        rule uri    { match $uri ^/admin; require admins; }
        rule method { match $request_method DELETE; require admins; }
        rule arg    { match $arg_drop 1; require admins; }
        rule header { match $http_x_drop 1; require admins; }
        rule body   { match $request_method POST; match json:/drop 1;
                      require admins; }
        rule never  { match $http_x_never 1; deny; }
        rule tier   { match $tier prod; require admins; }
        rule put    { match $request_method PUT; require admins; }
    }

    approval_policy s {
        rule all  { match $request_method POST; require admins; mode shadow; }
        rule arg  { match $arg_drop 1; deny; mode shadow; }
    }
EOF
    approval p;
    client_body_in_file_only clean;
    set $tier dev;

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
        if h.file then
            ngx.req.read_body()
            ngx.req.set_body_file(h.file, false)
        end
        if h.tier then ngx.var.tier = h.tier end
    }

    location / { proxy_pass %%UP%%; }
    location /memory { client_body_in_file_only off; proxy_pass %%UP%%; }
    location /shadow { approval s; proxy_pass %%UP%%; }

    location /exec {
        content_by_lua_block {
            ngx.req.set_body_data("other")
            ngx.exec("@exec")
        }
    }

    location @exec { approval off; proxy_pass %%UP%%; }
EOF2

my $other = $gw->{dir} . '/other.json';

spew($other, '{"drop":1}');


for ([ 'what Lua leaves alone', GET => 0 ],
     [ 'another header', GET => 0, Header => 'X-Other' ],
     [ 'another argument', GET => 0, Args => 'a=1' ],
     [ 'its URI', GET => 1, Uri => '/admin/del' ],
     [ 'its arguments', GET => 1, Args => 'drop=1' ],
     [ 'its method', GET => 1, Method => 'x' ],
     [ 'its header', GET => 1, Header => 'X-Drop' ],
     [ 'its variable', GET => 1, Tier => 'prod' ],
     [ 'another variable after its body was read', POST => 0, Tier => 'test' ],
     [ 'its variable after its body was read', POST => 1, Tier => 'prod' ],
     [ 'its body', POST => 1, Body => '{"drop":1}' ],
     [ 'its body, by a file', POST => 1, File => $other ])
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

    my @ends;

    wait_for(sub { @ends = grep { ($_->{action_id} // '') eq $id }
                           map { $gw->audit($_) } qw(executed failed) });

    is_deeply([ map { [ $_->{type}, $_->{why}, exists $_->{forwarded} ] }
                @ends ],
              [ [ failed => 'not forwarded: the request ended before it was '
                            . 'executed', 1 ] ],
              "$name: what was approved is not \"executed\"");
}

for ([ 'a header that concerns nobody', 200, Header => 'X-Other' ],
     [ 'another variable', 200, Tier => 'test' ],
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

for ([ 'another body', '/put', Body => 'other' ],
     [ 'another body in memory', '/memory/put', Body => 'other' ],
     [ 'another file', '/file/put', File => $other ],
     [ 'a variable of an earlier rule', '/tier/put', Tier => 'prod' ],
     [ 'another body in a location without a gate', '/exec/put' ])
{
    my ($name, $target, @headers) = @$_;
    my ($client, $id) = $gw->hold(PUT => $target, body => 'shown',
                                  headers => \@headers);

    is($gw->vote($id, 'approve')->status, 200, "$name: approved");

    wait_for(sub { $client->answered || grep { $_ ne $id } $gw->pending });

    is($gw->hits($target), 0, "$name: it is not sent");
    $gw->vote($_, 'deny') for $gw->pending;
    is($client->read->status, @headers ? 403 : 500, "$name: refused");
    unsent($id, $name) if @headers;
}

for my $status (200, 403) {
    my ($client, $id) = $gw->hold(GET => "/admin/exit/$status",
                                  headers => [ Exit => $status ]);

    is($gw->vote($id, 'approve')->status, 200, "Lua answers $status: approved");
    is($client->read->status, $status, "Lua answers $status");
    unsent($id, "Lua answers $status");
}

# What shadow mode records is recorded once

for ([ 'shadow mode', requested => POST => '/shadow', body => 'x' ],
     [ 'a refusal in shadow mode', refused => GET => '/shadow?drop=1&drop=2' ],
     [ 'two rules in shadow mode', requested => POST => '/dry',
       json => { drop => 0 } ])
{
    my ($name, $event, $method, $target, @body) = @$_;
    my $before = grep { $_->{mode} } $gw->audit($event);

    is($gw->send($method => $target, headers => [ Header => 'X-Other' ],
                 @body)->read->status, 200, "$name: passes");
    is(grep({ $_->{mode} } $gw->audit($event)) - $before, 1,
       "$name: recorded once");
}

$gw->clean('all is judged');

done_testing();
