#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# W3C Trace Context: on record, in messages and on the page where a request has
# one, by its header or by MCP's _meta; and forwarded as it came.

use lib 't/lib';
use Approval::Test;

use Approval::Gateway;

need_module();
need('redis-server');

my $gw = Approval::Gateway->new(http => <<'END', server => <<'END');
    approval_policy test {
        rule drop { match $uri ^/drop; require admins; notify hook; }
        rule call { mcp_tool db.drop; require admins; notify hook; }
    }
END
    location / { approval test; proxy_pass %%UP%%; }
END

my $trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
my $other = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';

traced('the header', $trace, '/drop',
       [ traceparent => $trace, tracestate => 'a=1,b=2' ]);
traced('_meta of a call', $other, '/mcp', [], $other);
traced('both: the header', $trace, '/mcp', [ Traceparent => $trace ], $other);
traced('none', undef, '/drop', []);
traced('two headers', undef, '/drop',
       [ traceparent => $trace, traceparent => $other ]);

for my $bad ('', 'x', "$trace-extra", uc $trace, $trace =~ s/^00/ff/r,
             $trace =~ s/4bf92\w+/0 x 32/er, $trace =~ s/00f06\w+/0 x 16/er,
             $trace =~ s/-01$/-0g/r, $trace =~ tr/-/_/r)
{
    traced("invalid: \"$bad\"", undef, '/drop', [ traceparent => $bad ]);
}

$gw->clean;

done_testing();


sub traced {
    my ($name, $want, $target, $headers, $meta) = @_;

    my %body = $target eq '/drop' ? ()
        : (json => { jsonrpc => '2.0', id => 1, method => 'tools/call',
                     params => { name => 'db.drop',
                                 arguments => { t => $name },
                                 $meta ? (_meta => { traceparent => $meta,
                                                     progressToken => 5 })
                                       : () } });

    $gw->hook->clear;
    $gw->up->clear;

    my ($client, $id) = $gw->hold(POST => $target, %body,
                                  headers => $headers);

    $gw->hook->wait_count(1);

    my ($record) = grep { $_->{action_id} eq $id } $gw->audit('requested');

    is($record->{traceparent}, $want, "$name: on record");
    is($gw->hook->last->json->{data}{traceparent}, $want, 'in the message');
    is($gw->action($id)->{traceparent}, $want, 'in the API');

    my $page = http_get($gw->port, "/_approval/actions/$id",
                        headers => [ 'X-User' => 'alice',
                                     Accept => 'text/html' ])->body;

    $want ? like($page, qr/trace \Q$want\E/, 'on the page')
          : unlike($page, qr/trace /, 'and not on the page');

    $gw->vote($id, 'approve');
    is($client->read->status, 200, 'approved');

    my $got = $gw->up->last;
    my %sent;

    push @{ $sent{lc $headers->[2 * $_]} }, $headers->[2 * $_ + 1]
        for 0 .. @$headers / 2 - 1;

    is_deeply([ $got->headers($_) ], $sent{$_}, "$_ is forwarded as it came")
        for sort keys %sent;
    is_deeply($got->json->{params}{_meta}, $body{json}{params}{_meta},
              '_meta as well') if $meta;
}
