#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# make install puts things where it is told to, they work from there, and the
# manual pages say what the documentation and the programs say.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;

need('make', 'openssl');
need_module();

plan(skip_all => 'make would build one without sanitizers')
    if $ENV{APPROVAL_SANITIZE};

my $root = root_dir();
my $dir = tempdir();

my $make = Approval::Process->start(
    cmd => [ 'make', '-C', $root, 'install', 'BUILD=' . build_dir(),
             "DESTDIR=$dir", 'prefix=/usr', 'modulesdir=/usr/lib/here' ],
    stdout => "$dir/out", stderr => "$dir/out");

$make->wait_exit(300) or die 'make does not end';
is($make->status, 0, 'make install') or diag(slurp("$dir/out"));

is_deeply([ map { s{^\Q$dir\E}{}r } sort grep { !-d } glob("$dir/*"),
            glob("$dir/usr/*/*"), glob("$dir/usr/lib/here/*"),
            glob("$dir/usr/share/man/*/*") ],
          [ qw(/out /usr/bin/approval-audit
               /usr/lib/here/ngx_http_approval_module.so
               /usr/sbin/approval-init
               /usr/share/man/man1/approval-audit.1
               /usr/share/man/man7/ngx_http_approval_module.7
               /usr/share/man/man8/approval-init.8) ],
          'is what was expected, and nothing else');

my $doc = "$dir/usr/share/doc/ngx_http_approval_module";

for my $pair ([ 'conf/examples', 'examples' ], [ 'docs', 'docs' ],
              [ 'conf/templates', 'templates' ])
{
    my ($from, $to) = @$pair;

    is_deeply([ map { s{.*/}{}r } sort glob("$doc/$to/*") ],
              [ map { s{.*/}{}r } sort glob("$root/$from/*") ],
              "all of $from is there");
}

for my $file (glob("$doc/docs/*.md")) {
    my @gone = grep { /^(?!http|#)/ && !-e "$doc/docs/" . s/#.*//r }
               slurp($file) =~ /\]\(([^)]+)\)/g;

    is_deeply(\@gone, [], "the links of $file lead somewhere");
}


# from there

my ($rc, $out) = Approval::Nginx->test_conf(
    raw => "load_module $dir/usr/lib/here/ngx_http_approval_module.so;\n"
           . "pid %%PREFIX%%/pid; events { }\n");

is($rc, 0, 'nginx loads the module') or diag($out);

like(`$dir/usr/bin/approval-audit --version`, qr/^approval-audit \d/,
     'approval-audit runs');

mkdir("$dir/etc") or die $!;
like(`sh $dir/usr/sbin/approval-init --dir $dir/etc 2>&1`, qr/^Created:$/m,
     'so does approval-init');
like(`sh $dir/usr/sbin/approval-init --help`, qr/--user/, 'with its help');


# the pages: nothing is lost on the way

my %page = map { $_ => slurp("$dir/usr/share/man/" . s/^.*(\d)$/man$1/r
                             . "/$_") =~ s/\\-/-/gr }
           qw(ngx_http_approval_module.7 approval-audit.1 approval-init.8);

my $directives = slurp("$root/docs/directives.md");

for my $name ($directives =~ /^### (\w+)$/mg) {
    like($page{'ngx_http_approval_module.7'}, qr/^\.SS "\Q$name\E"$/m,
         "the module's page has $name");
}

my @options = `$dir/usr/bin/approval-audit --help` =~ /(--?[a-z]+)\b/g;

cmp_ok(scalar @options, '>', 10, 'approval-audit has options');
is_deeply([ grep { $page{'approval-audit.1'} !~ /\Q$_\E\b/ } @options ], [],
          'and its page has them all');

like($page{'approval-init.8'}, qr/--dir DIR/, 'so has that of approval-init');

SKIP: {
    skip('no man-db', 3) unless grep { -x "$_/man" } split /:/, $ENV{PATH};

    for my $name (sort keys %page) {
        my ($section) = $name =~ /(\d)$/;

        is(`man --warnings -E UTF-8 -l -Tutf8 -Z \\
                $dir/usr/share/man/man$section/$name 2>&1 >/dev/null`, '',
           "$name is without a fault");
    }
}

done_testing();
