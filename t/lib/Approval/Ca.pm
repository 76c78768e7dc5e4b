package Approval::Ca;

# Copyright (C) ngx_http_approval_module contributors
#
# A certificate authority in a directory of its own.
#
#   my $ca = Approval::Ca->new(server => 'hook.test', client => 'gateway');
#                       files of certificates, and their names or
#                       addresses
#   ->dir               with ca.crt, and NAME.crt and NAME.key of each

use strict;
use warnings;

use Approval::Process;


sub new {
    my ($class, @files) = @_;

    my $dir = Approval::Test::tempdir();
    my @key = qw(req -newkey rsa:2048 -nodes -days 2 -sha256);

    openssl(@key, '-x509', '-subj', '/CN=ca', '-keyout', "$dir/ca.key",
            '-out', "$dir/ca.crt");

    while (my ($file, $cn) = splice(@files, 0, 2)) {
        my $kind = $cn =~ /^[\d.]+$/ ? 'IP' : 'DNS';

        Approval::Test::spew("$dir/$file.ext", "subjectAltName=$kind:$cn\n");
        openssl(@key, '-subj', "/CN=$cn", '-keyout', "$dir/$file.key",
                '-out', "$dir/$file.csr");
        openssl(qw(x509 -req -days 2 -sha256 -CAcreateserial), '-in',
                "$dir/$file.csr", '-CA', "$dir/ca.crt", '-CAkey',
                "$dir/ca.key", '-extfile', "$dir/$file.ext", '-out',
                "$dir/$file.crt");
    }

    return bless { dir => $dir }, $class;
}


sub dir { $_[0]{dir} }


sub openssl {
    my $child = Approval::Process->start(cmd => [ 'openssl', @_ ],
                                         stderr => '/dev/null',
                                         stdout => '/dev/null');

    $child->wait_exit(60) or die 'openssl hangs';
    $child->status == 0 or die "openssl @_";
}


1;
