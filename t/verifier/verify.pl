#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
#   perl t/verifier/verify.pl PUB.pem HEADS|- FILE...

use strict;
use warnings;

use File::Basename qw(dirname);
use lib dirname(__FILE__);
use AuditVerifier;

my ($key, $heads, @files) = @ARGV;
die "usage: $0 PUB.pem HEADS|- FILE...\n" unless @files;

my ($code, @findings) = AuditVerifier->new(keys => [$key])->verify(
    files => \@files, heads => $heads eq '-' ? [] : [$heads]);

print qw(note tampered incomplete)[ $_->[0] ], " $_->[1]: $_->[2]\n"
    for @findings;

exit $code;
