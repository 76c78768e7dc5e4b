package Approval::Readers;

# Copyright (C) ngx_http_approval_module contributors
#
# The servers of t/readers/, each of which reports what its framework read.
#
#   my $readers = Approval::Readers->new([NAME...]);   all by default; skips
#                            the test where one of them is not installed
#   ->names ->port(NAME) ->alive(NAME)
#   ->reports(NAME)          the reports since the last call, by probe
#   Approval::Readers::views(REPORT, FACT)   what the reader has for a fact of
#                            a rule ("$arg_x", "json:/a"): a list of
#                            [TEXT, NUMBER...]; one undef for an absent one

use strict;
use warnings;

use Fcntl qw(:flock);

use Approval::Process;
use Approval::Test;

use constant PACKAGES =>
    qw(express@4 cookie-parser@1 method-override@3);

my %command = (
    express => sub { [ 'node', "$_[0]/express.cjs", @_[1, 2] ] },
    node => sub { [ 'node', "$_[0]/node.cjs", @_[1, 2] ] },
    php => sub { [ 'php', '-S', "127.0.0.1:$_[1]", "$_[0]/server.php" ] },
    flask => sub { [ '/usr/bin/python3', "$_[0]/flask_app.py", @_[1, 2] ] },
    puma => sub { [ 'ruby', "$_[0]/sinatra_app.rb", 'puma', @_[1, 2] ] },
    webrick => sub { [ 'ruby', "$_[0]/sinatra_app.rb", 'webrick', @_[1, 2] ] },
);


sub new {
    my ($class, @names) = @_;

    @names = sort keys %command unless @names;

    my $self = bless { names => \@names, dir => modules() }, $class;

    check();
    $self->begin($_) for @names;
    $self->wait_ready($_, 5) for @names;

    return $self;
}


sub names { @{ $_[0]{names} } }

sub port { $_[0]{port}{ $_[1] } }

sub alive { $_[0]{process}{ $_[1] }->alive }


sub check {
    need(qw(node npm php ruby));

    for my $try ([ '/usr/bin/python3', '-c', 'import flask' ],
                 [ 'ruby', '-e', 'require "sinatra/base"; require "webrick"; '
                                 . 'require "rack/handler/puma"' ])
    {
        my $child = Approval::Process->start(cmd => $try,
                                             stderr => '/dev/null');

        $child->wait_exit(60 * slow()) && $child->status == 0
            or Test::More::plan(skip_all => "not installed: @$try");
    }
}


# a directory that has the packages, installed once a build, and the servers

sub modules {
    my $cache = build_dir() . '/npm-readers';

    mkdir $cache;
    open(my $lock, '>', "$cache/lock") or die "$cache/lock: $!";
    flock($lock, LOCK_EX) or die "$cache/lock: $!";

    my $wanted = join ' ', PACKAGES;

    if (!-e "$cache/installed" || slurp("$cache/installed") ne $wanted) {
        need(qw(npm));

        if (system("cd '$cache' && timeout 180 npm install --no-audit "
                   . '--no-fund --no-save --fetch-timeout=30000 '
                   . "--fetch-retries=1 --prefix . $wanted "
                   . "> '$cache/npm.log' 2>&1") != 0)
        {
            my ($why) = slurp("$cache/npm.log") =~ /^(npm ERR! .*)$/m;

            Test::More::plan(skip_all => "npm does not install $wanted: "
                                         . ($why // 'it takes too long'));
        }

        spew("$cache/installed", $wanted);
    }

    my $dir = tempdir();
    symlink("$cache/node_modules", "$dir/node_modules") or die $!;

    for my $file (glob(root_dir() . '/t/readers/*')) {
        spew($dir . '/' . ($file =~ s{.*/}{}r), slurp($file));
    }

    return $dir;
}


sub begin {
    my ($self, $name) = @_;

    my $port = $self->{port}{$name} = free_port();
    my $file = "$self->{dir}/$name.reports";

    spew($file, '');
    chmod(0666, $file) or die "$file: $!";

    $self->{seen}{$name} = 0;
    $self->{process}{$name} = Approval::Process->start(
        cmd => $command{$name}->($self->{dir}, $port, $file),
        env => { READER_FILE => $file, PYTHONDONTWRITEBYTECODE => 1,
                 PYTHONWARNINGS => 'ignore', APP_ENV => 'production' },
        stdout => "$file.out", stderr => "$file.err");
}


# somebody else may have taken the port

sub wait_ready {
    my ($self, $name, $tries) = @_;

    my $answer = wait_for(sub {
        $self->{process}{$name}->alive or return 'ended';

        my $got = eval { http_get($self->port($name), '/pub/ready',
                                  headers => [ 'X-Probe' => 'ready' ]) };
        return $got && $got->status;
    });

    return if ($answer // '') eq '200';

    if (($answer // '') eq 'ended' && $tries > 1) {
        $self->begin($name);
        return $self->wait_ready($name, $tries - 1);
    }

    die "the reader $name does not start: " . ($answer // 'no answer') . "\n"
        . slurp("$self->{dir}/$name.reports.err");
}


sub reports {
    my ($self, $name) = @_;

    open(my $fh, '<:raw', "$self->{dir}/$name.reports") or die $!;
    seek($fh, $self->{seen}{$name}, 0);

    my %found;

    while (my $line = <$fh>) {
        last unless $line =~ /\n\z/;

        $self->{seen}{$name} += length $line;

        my $report = decode_json($line);
        push @{ $found{ $report->{probe} // '' } }, $report;
    }

    return \%found;
}


sub views {
    my ($report, $fact) = @_;

    return texts(map { plain($_) } @{ $report->{paths} }) if $fact eq '$uri';
    return texts(plain($report->{target})) if $fact eq '$request_uri';
    return texts($report->{method}) if $fact eq '$request_method';
    return named($report->{query}, $1) if $fact =~ /^\$arg_(\w+)$/;
    return named($report->{form}, $1) if $fact =~ /^form:(.+)$/;
    return pointed($report->{json}, $1) if $fact =~ /^json:(.*)$/;
    return texts(values_of($report->{cookies}, $1))
        if $fact =~ /^\$cookie_(\w+)$/;
    return texts(values_of($report->{headers}, $1 =~ tr/_/-/r))
        if $fact =~ /^\$http_(\w+)$/;
    return texts(lc(($report->{host} // '') =~ s/\.?(:\d+)?\z//r))
        if $fact eq '$host';

    die "no fact of a reader: $fact";
}


# Escapes of letters and digits mean the same to all, decoded or not.

sub plain {
    my ($path) = @_;

    return $path =~ s/%(3\d|[46][1-9a-f]|[57][0-9a]|2d|5f|7e)/chr hex $1/geri;
}


sub values_of {
    my ($all, $name) = @_;

    return @{ $all->{$name} // [] };
}


# a plain decimal number is one for every reader

sub texts {
    my (@texts) = @_;

    return map { [ $_, defined && /^-?(?:0|[1-9]\d*)(?:\.\d+)?\z/
                       ? 0 + $_ : () ] }
               @texts ? @texts : undef;
}


sub named {
    my ($tree, $name) = @_;

    my $node = $tree && $tree->{c} && $tree->{c}{$name};

    return $node ? leaves($node) : [ undef ];
}


# a list has the values of its elements, as does a hash that is numbered; the
# list itself can be a number, too

sub leaves {
    my ($node) = @_;

    return [ $node->{v}, @{ $node->{n} } ] if exists $node->{v};

    my $members = $node->{c} // {};
    my @inner = $node->{l} ? @{ $node->{l} }
              : map { $members->{$_} } grep { /^\d+\z/ } sort keys %$members;
    my @views = map { leaves($_) } @inner;

    @views = ([ undef ]) unless @views;
    push @{ $views[0] }, @{ $node->{n} };

    return @views;
}


sub pointed {
    my ($node, $pointer) = @_;

    for my $name ($pointer =~ m{/([^/]*)}g) {
        $node = $node && ($node->{c} ? $node->{c}{$name}
                          : $node->{l} && $name =~ /^\d+\z/
                            ? $node->{l}[$name] : undef);
    }

    # of JSON, a list is one by its type

    return $node ? [ $node->{v}, @{ $node->{n} } ] : [ undef ];
}


1;
