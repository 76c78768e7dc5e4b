#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# All files are as .editorconfig says: UTF-8, lines that end with LF and with
# nothing before it, tabs only where a program wants them.  Lines that are logged
# about a request carry no query.  The check is first shown to find what it is
# made for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Find;

use Approval::Test;

my $root = root_dir();
my @files;

# all but what was built or installed here

find({ no_chdir => 1, wanted => sub {
    my $name = substr($_, length $root) =~ s{^/}{}r;

    if ($name =~ m{^(?:\.git|\.build[^/]*|t/fuzz/corpus|t/redact)$|(?:^|/)node_modules$})
    {
        $File::Find::prune = 1;

    } elsif (-f && !-l && $name !~ /\.s?o$/) {
        push @files, $name;
    }
} }, $root);


sub faults {
    my ($name, $text) = @_;

    my @found;

    push @found, 'not UTF-8' unless utf8::decode(my $copy = $text);
    push @found, 'CR' if $text =~ /\r/;
    push @found, 'blanks before the end of a line' if $text =~ /[ \t]$/m;
    push @found, 'no newline at the end' unless $text =~ /\n\z/;
    push @found, 'a tab' if $text =~ /\t/ && $name !~ m{(?:^|/)(?:
        Makefile|config\.make|rules|unit\.t)$}x;
    push @found, 'a line that nginx ends with the query'
        if $name =~ m{^src/(?!event/redis)}
           && $text =~ /ngx_log_error\([^;"]*connection->log\b/;

    return @found;
}


is_deeply([ faults('a.c', "\tint \n\r\n\xff") ],
          [ 'not UTF-8', 'CR', 'blanks before the end of a line',
            'no newline at the end', 'a tab' ], 'faults are found');
is_deeply([ faults('src/a.c', "ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,\n"
                              . qq{    "no");\n}) ],
          [ 'a line that nginx ends with the query' ], 'this one, too');

my @bad;

cmp_ok(scalar @files, '>', 200, 'files are looked at');

for my $name (sort @files) {
    push @bad, map { "$name: $_" } faults($name, slurp("$root/$name"));
}

is_deeply(\@bad, [], 'and there are none');

done_testing();
