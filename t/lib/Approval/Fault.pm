package Approval::Fault;

# Copyright (C) ngx_http_approval_module contributors
#
# The module with a fault planted into one source file, so that a test can show
# that it would find it.
#
#   my $dir = Approval::Fault::plant('core/path.c', qr/.../ => 'text');
#
# is a directory for APPROVAL_BUILD, made with the nginx source that
# conf/build.sh used.  The module must not be linked into nginx.  The place in
# the source must be there exactly once; else the test dies and says so.

use strict;
use warnings;

use Approval::Process;
use Approval::Test;


sub plant {
    my ($file, $from, $to) = @_;

    my $dir = tempdir();
    my $source = root_dir() . "/src/$file";
    my $text = slurp($source);

    my $places = () = $text =~ /$from/g;

    die "no fault can be planted into src/$file: $places places are like "
        . "$from\n" if $places != 1;

    $text =~ s/$from/$to/;
    spew("$dir/planted.c", $text);

    my $build = build_dir();
    my ($object) = $file =~ m{([^/]+/[^/]+)\.c\z};
    $object = "$build/addon/$object.o";
    my $nginx = (split /\n/, slurp("$build/configured"))[1];

    # what make would do if this file were newer, and not one other

    my $made = "$build/ngx_http_approval_module.so";
    my $commands = `make -n --no-print-directory -o '$build/Makefile' \\
                    -W '$source' -C '$nginx' -f '$build/Makefile' modules`;

    $commands =~ s/\Q$source/$dir\/planted.c/g;
    $commands =~ s/\Q$object/$dir\/planted.o/g;
    $commands =~ s/\Q$made/$dir\/ngx_http_approval_module.so/g;

    $commands =~ /planted\.o/ or die "make does not build src/$file\n";

    spew("$dir/build.sh", "set -e\ncd '$nginx'\n$commands");

    my $child = Approval::Process->start(cmd => [ 'sh', "$dir/build.sh" ],
                                         stdout => "$dir/log",
                                         stderr => "$dir/log");

    symlink("$build/approval-audit", "$dir/approval-audit") or die $!;

    $child->wait_exit(300) && $child->status == 0
        or die "src/$file with a fault: " . slurp("$dir/log");

    return $dir;
}


1;
