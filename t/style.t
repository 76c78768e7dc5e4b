#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# All files are as .editorconfig says: UTF-8, lines that end with LF and with
# nothing before it, tabs only where a program wants them.  The check is first
# shown to find what it is made for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;

need('git');

my $root = root_dir();
my @files = grep { -f "$root/$_" && !-l "$root/$_" }
            split /\n/, `git -C '$root' ls-files --cached --others \\
                             --exclude-standard 2>/dev/null`;

plan(skip_all => 'not a clone') unless @files;


sub faults {
    my ($name, $text) = @_;

    my @found;

    push @found, 'not UTF-8' unless utf8::decode(my $copy = $text);
    push @found, 'CR' if $text =~ /\r/;
    push @found, 'blanks before the end of a line' if $text =~ /[ \t]$/m;
    push @found, 'no newline at the end' unless $text =~ /\n\z/;
    push @found, 'a tab' if $text =~ /\t/ && $name !~ m{(?:^|/)(?:
        Makefile|config\.make|rules|unit\.t)$}x;

    return @found;
}


is_deeply([ faults('a.c', "\tint \n\r\n\xff") ],
          [ 'not UTF-8', 'CR', 'blanks before the end of a line',
            'no newline at the end', 'a tab' ], 'faults are found');

my @bad;

for my $name (grep { !m{^t/fuzz/corpus/} } @files) {
    push @bad, map { "$name: $_" } faults($name, slurp("$root/$name"));
}

is_deeply(\@bad, [], 'and there are none');

done_testing();
