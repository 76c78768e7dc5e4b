#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# One version: what CHANGES begins with is what the module and its program say,
# wherever they say it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need('redis-server', 'openssl');
need_module();

my $changes = slurp(root_dir() . '/CHANGES');
my $month = join '|', qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec);
my @releases = $changes =~ /^(Changes with .*)$/mg;

cmp_ok(scalar @releases, '>', 0, 'CHANGES has releases');

like($_, qr/^Changes\ with\ ngx_http_approval_module\ \d+\.\d+\.\d+
            \ +[0-3]\d\ (?:$month)\ \d{4}$/x, "with a date: $_")
    for @releases;

my ($version) = $releases[0] =~ / (\d+\.\d+\.\d+) /;

is(`'@{[ build_dir() ]}/approval-audit' --version`,
   "approval-audit $version\n", 'approval-audit says it');

my ($example) = slurp(root_dir() . '/docs/agents.md') =~ /"version": "([^"]+)"/;

is($example, $version, 'the documentation shows it');

my ($series) = $version =~ /^(\d+\.\d+)/;

like(slurp(root_dir() . '/SECURITY.md'), qr/^\| \Q$series\E \| yes \|$/m,
     'SECURITY.md supports it');

my $gw = Approval::Gateway->new(
    http => 'approval_zone approval 256k;',
    server => 'location = /metrics { approval_metrics; }');

$gw->ngx->log_like(qr{\[notice\].*: ngx_http_approval_module/\Q$version\E$},
                   'the log says it at startup');

like(http_get($gw->port, '/metrics')->body,
     qr/^approval_build_info\{version="\Q$version\E",/m, 'the metrics');

is(http_get($gw->port, '/_approval/manifest')->json->{version}, $version,
   'the manifest');

my ($open) = @{ wait_for(sub {
    my @open = $gw->audit('open');
    return @open && \@open;
}) // [] };

is($open->{module}, $version, 'the trail');

done_testing();
