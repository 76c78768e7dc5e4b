#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The rooms of src/: a file includes its own level and the levels below it,
# rooms do not include each other in a circle, and foreign libraries stay where
# they belong.  The check is first shown to find what it is made for.

use lib 't/lib';
use Approval::Test;

use File::Basename qw(dirname);
use File::Path qw(make_path);

my %LEVEL = (
    core => 0, event => 1, request => 1, model => 1, store => 2, notify => 2, audit => 2,
    gate => 3, desk => 3, conf => 4, module => 5,
);

# what only these rooms may include

my @FOREIGN = (
    [ qr{^ngx_},               'nginx',    'core|tools', 0 ],
    [ qr{^hiredis/},           'hiredis',  'event',      1 ],
    [ qr{^curl/},              'libcurl',  'event',      1 ],
    [ qr{^fido},               'libfido2', 'core',       1 ],
    [ qr{^(?:sys/(?!types)|netinet/|arpa/|unistd|fcntl|netdb|poll|pthread)}x,
                               'I/O',      'core',       0 ],
);


sub room_of {
    my ($file) = @_;

    return $file =~ m{^([^/]+)/} ? $1 : 'module';
}


# { file => [ [ kind, included ], ... ] } of all C files below the directory

sub includes {
    my ($dir) = @_;

    my %found;

    for my $path (glob("$dir/*.[ch] $dir/*/*.[ch] $dir/*/*/*.[ch] $dir/*/*.def")) {
        my $file = substr($path, length($dir) + 1);

        $found{$file} = [ slurp($path)
            =~ /^[ \t]*\#[ \t]*include[ \t]*(["<])([^">\n]+)[">]/mg ];
    }

    return \%found;
}


sub violations {
    my ($dir) = @_;

    my $includes = includes($dir);
    my (@bad, %files, %rooms);

    for my $file (sort keys %$includes) {
        my @list = @{ $includes->{$file} };

        # what nginx's headers define depends on the first of them, and on no
        # system header's having come before it

        push @bad, "$file includes $list[1] before ngx_config.h"
            if @list && $list[1] ne 'ngx_config.h'
               && room_of($file) !~ /^(?:core|tools)$/;

        while (my ($kind, $name) = splice(@list, 0, 2)) {
            my $why = $kind eq '<' ? foreign($file, $name)
                                   : own($includes, $file, $name);

            push @bad, "$file includes $name: $why" if $why;
            next if $kind eq '<';

            $files{$file}{$name} = 1;
            $rooms{ room_of($file) }{ room_of($name) } = 1
                if $LEVEL{ room_of($name) } && room_of($file) ne room_of($name);
        }
    }

    push @bad, map { "files in a circle: $_" } circles(\%files);
    push @bad, map { "rooms in a circle: $_" } circles(\%rooms);

    return @bad;
}


sub foreign {
    my ($file, $name) = @_;

    for my $rule (@FOREIGN) {
        my ($regex, $what, $rooms, $inside) = @$rule;

        next unless $name =~ $regex;

        my $in = room_of($file) =~ /^(?:$rooms)$/ ? 1 : 0;
        return "$what has no place here" if $in != $inside;
    }

    return '';
}


sub own {
    my ($includes, $file, $name) = @_;

    my $room = room_of($file);

    # embedded scripts and pages belong to one room

    if ($name =~ m{^approval/.*\.(lua|json|html|css|js)\.h$}) {
        my $home = { lua => 'store', json => 'core' }->{$1} // 'desk';
        return $room eq $home ? '' : "it belongs to $home/";
    }

    return 'no such file below src/' unless $includes->{$name};

    # a table is data: it includes nothing, and any room may read it

    return $includes->{$name}[0] ? 'a table includes nothing' : ''
        if $name =~ /\.def$/;

    my $other = room_of($name);

    if ($room eq 'tools') {
        return $other =~ /^(?:core|tools)$/ ? '' : 'tools/ knows only core/';
    }

    return "no such room: $room/" unless defined $LEVEL{$room};
    return "no such room: $other/" unless defined $LEVEL{$other};

    return $LEVEL{$other} > $LEVEL{$room} ? "$other/ is above $room/" : '';
}


# the circles of { from => { to => 1 } }, each once

sub circles {
    my ($graph) = @_;

    my (%done, %circles);

    for my $start (sort keys %$graph) {
        walk($graph, $start, [], {}, \%done, \%circles);
    }

    return sort keys %circles;
}


sub walk {
    my ($graph, $node, $path, $on_path, $done, $circles) = @_;

    if (defined(my $at = $on_path->{$node})) {
        $circles->{ join(' -> ', @$path[ $at .. $#$path ], $node) } = 1;
        return;
    }

    return if $done->{$node};

    $on_path->{$node} = @$path;
    push @$path, $node;

    walk($graph, $_, $path, $on_path, $done, $circles)
        for sort keys %{ $graph->{$node} // {} };

    pop @$path;
    delete $on_path->{$node};
    $done->{$node} = 1;
}


# a copy of the includes of src/ with some more planted in it

sub planted {
    my (%more) = @_;

    my $copy = tempdir();
    my $src = root_dir() . '/src';

    for my $path (glob("$src/*.[ch] $src/*/*.[ch] $src/*/*/*.[ch] $src/*/*.def")) {
        my $file = substr($path, length($src) + 1);
        make_path(dirname("$copy/$file"));
        spew("$copy/$file", slurp($path));
    }

    for my $file (keys %more) {
        make_path(dirname("$copy/$file"));
        spew("$copy/$file", -e "$copy/$file" ? slurp("$copy/$file") : '',
             map { "#include $_\n" } @{ $more{$file} });
    }

    return $copy;
}


my $src = root_dir() . '/src';
my @own = violations($src);

for my $case (
    [ 'core includes a room above it', qr{core/x\.c .* gate/ is above core/},
      'core/x.c' => [ '"gate/x.h"' ], 'gate/x.h' => [] ],
    [ 'store includes desk', qr{store/x\.h .* desk/ is above store/},
      'store/x.h' => [ '"desk/x.h"' ], 'desk/x.h' => [] ],
    [ 'a spaced include', qr{event/x\.c .* conf/ is above event/},
      'event/x.c' => [ '"conf/x.h"' ], 'conf/x.h' => [] ],
    [ 'tools include nginx', qr{tools/x\.c .* nginx has no place},
      'tools/x.c' => [ '<ngx_core.h>' ] ],
    [ 'tools include store', qr{tools/x\.c .* knows only core/},
      'tools/x.c' => [ '"store/x.h"' ], 'store/x.h' => [] ],
    [ 'core includes nginx', qr{core/x\.h .* nginx has no place},
      'core/x.h' => [ '<ngx_config.h>' ] ],
    [ 'core does I/O', qr{core/x\.c .* I/O has no place},
      'core/x.c' => [ '<sys/socket.h>' ] ],
    [ 'gate includes hiredis', qr{gate/x\.c .* hiredis has no place},
      'gate/x.c' => [ '<hiredis/hiredis.h>' ] ],
    [ 'gate includes a script', qr{gate/x\.c .* belongs to store/},
      'gate/x.c' => [ '"approval/vote.lua.h"' ] ],
    [ 'a header before ngx_config.h', qr{gate/x\.c .* before ngx_config},
      'gate/x.c' => [ '<string.h>', '<ngx_config.h>' ] ],
    [ 'a file that is not there', qr{gate/x\.c .* no such file},
      'gate/x.c' => [ '"gate/none.h"' ] ],
    [ 'a table that includes', qr{core/x\.c .* a table includes nothing},
      'core/x.c' => [ '"model/x.def"' ], 'model/x.def' => [ '"model/x.h"' ],
      'model/x.h' => [] ],
    [ 'a new room', qr{attic/x\.c .* no such room},
      'attic/x.c' => [ '"core/x.h"' ], 'core/x.h' => [] ],
    [ 'headers in a circle', qr{files in a circle: core/x\.h -> core/y\.h},
      'core/x.h' => [ '"core/y.h"' ], 'core/y.h' => [ '"core/x.h"' ] ],
    [ 'rooms in a circle', qr{rooms in a circle: \w+ -> \w+ -> \w+$},
      'store/x.c' => [ '"notify/x.h"' ], 'notify/x.h' => [],
      'notify/x.c' => [ '"store/x.h"' ], 'store/x.h' => [] ],
) {
    my ($name, $want, %more) = @$case;
    my %known = map { $_ => 1 } @own;
    my @found = grep { !$known{$_} } violations(planted(%more));

    ok((grep { $_ =~ $want } @found), "found: $name") or diag(@found);
}

is(scalar(grep { !/^x/ } violations(planted('core/x.c' => [ '"core/x.h"' ],
                                            'core/x.h' => [ '<stdio.h>' ]))),
   scalar(@own), 'not found: what is right');

ok(scalar(keys %{ includes($src) }) > 10, 'the sources were read');
ok(!@own, 'the rooms of src/') or diag(join("\n", @own));

done_testing;
