#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The manual pages, made of what documents the same things elsewhere:
#
#     perl conf/man.pl ngx_http_approval_module.7    docs/directives.md
#     perl conf/man.pl approval-audit.1 PROGRAM      its --help, docs/audit.md
#     perl conf/man.pl approval-init.8 PROGRAM       its --help
#
# on standard output.

use strict;
use warnings;
use utf8;

use FindBin;

my $root = "$FindBin::Bin/..";

my %page = (
    'ngx_http_approval_module.7' => [
        'hold single requests in nginx until people have approved them',
        sub { markdown(slurp("$root/docs/directives.md")
                       =~ s/^# Directives\n/# DESCRIPTION\n/r) } ],

    'approval-audit.1' => [
        'verify and export the audit trail of ngx_http_approval_module',
        sub {
            my ($more) = slurp("$root/docs/audit.md")
                         =~ /^## approval-audit\n(.*)/ms;

            return usage($_[0], '--help')
                   . markdown("# NOTES\n\n" . $more =~ s/^#+ .*//mrs);
        } ],

    'approval-init.8' => [
        'make the files that a configuration of ngx_http_approval_module names',
        sub { usage('sh', $_[0], '--help') } ],
);

my %more = (
    'ngx_http_approval_module.7' => 'nginx(8), approval-audit(1), '
                                    . 'approval-init(8)',
    'approval-audit.1'           => 'ngx_http_approval_module(7)',
    'approval-init.8'            => 'ngx_http_approval_module(7), nginx(8)',
);

my ($file, @arg) = @ARGV;

die "usage: man.pl NAME.SECTION [PROGRAM]\n" unless $file && $page{$file};

my ($name, $section) = $file =~ /^(.*)\.(\d)$/;
my ($version) = slurp("$root/src/core/version.h") =~ /"([\d.]+)"/;
my ($day) = slurp("$root/CHANGES")
            =~ /^Changes with \S+ \Q$version\E +(.*)$/m;
my ($what, $body) = @{ $page{$file} };

binmode(STDOUT, ':utf8');

# newer groffs adjust by AD in each section, older ones as .ad says

print qq{.ds AD l\n.TH \U$name\E $section "$day" "$version" nginx\n.nh\n.ad l\n},
      ".SH NAME\n", text($name), ' \\- ', text($what), "\n",
      $body->(@arg), ".SH SEE ALSO\n", text($more{$file}), "\n";

close(STDOUT) or die $!;


sub slurp {
    my ($path) = @_;

    open(my $fh, '<:utf8', $path) or die "$path: $!\n";
    local $/;

    return scalar <$fh>;
}


# what roff would take for its own

sub text {
    my ($text) = @_;

    $text =~ s/\\/\\e/g;
    $text =~ s/-/\\-/g;
    $text =~ s/'/\\(aq/g;
    $text =~ s/`/\\(ga/g;
    $text =~ s/\^/\\(ha/g;
    $text =~ s/~/\\(ti/g;
    $text =~ s/^\./\\&./mg;

    return $text;
}


# the usage that a program prints is laid out already

sub usage {
    my (@command) = @_;

    open(my $fh, '-|:utf8', @command) or die "$command[0]: $!\n";
    my $out = do { local $/; <$fh> } // '';

    close($fh) or die "$command[0] failed\n";

    return ".SH DESCRIPTION\n.nf\n" . text($out =~ s/\n+\z/\n/r) . ".fi\n";
}


# bold, italic, code and links within a line; code is taken as it stands

sub inline {
    my ($line) = @_;

    my $out = '';

    for my $part (split /(`[^`]+`)/, $line) {
        if ($part =~ /^`(.*)`$/s) {
            $out .= '\fB' . text($1) . '\fR';
            next;
        }

        $part =~ s/\[([^\]]+)\]\([^)]*\)/$1/g;
        $part = text($part =~ s/\\([|<>*_])/$1/gr);
        $part =~ s/\*\*([^*]+)\*\*/\\fB$1\\fR/g;
        $part =~ s/\*([^*]+)\*/\\fI$1\\fR/g;
        $out .= $part;
    }

    return $out =~ s/^(?=[.'])/\\&/r;
}


sub row {
    my ($line) = @_;

    my ($first, @rest) = map { s/^\s+|\s+$//gr }
                         split /(?<!\\)\|/, $line =~ s/^\||\|\s*$//gr;

    @rest = grep { length } @rest;

    return '' if ($first // '') =~ /^:?-+:?$/ || !length(join '', $first // '',
                                                         @rest);

    return ".TP 12\n" . (inline($first) || '\&') . "\n"
           . (join("\n.br\n", map { inline($_) } @rest) || '\&') . "\n";
}


sub markdown {
    my ($source) = @_;

    my ($out, $code) = ('', 0);

    for my $line (split /\n/, $source) {

        if ($line =~ /^\s*```/) {
            $out .= $code ? ".fi\n.RE\n" : ".PP\n.RS 4\n.nf\n";
            $code = !$code;

        } elsif ($code) {
            $out .= text($line) =~ s/^$/\\&/r . "\n";

        } elsif ($line =~ /^# (.*)/) {
            $out .= '.SH "' . uc(inline($1)) . qq{"\n};

        } elsif ($line =~ /^##+ (.*)/) {
            $out .= '.SS "' . inline($1) . qq{"\n};

        } elsif ($line =~ /^\|/) {
            $out .= row($line);

        } elsif ($line =~ /^(?:[-*]|\d+\.) (.*)/) {
            $out .= ".IP \\(bu 2\n" . inline($1) . "\n";

        } elsif ($line =~ /^\s*$/) {
            $out .= ".PP\n";

        } else {
            $out .= inline($line =~ s/^\s+//r) . "\n";
        }
    }

    return $out =~ s/(?:\.PP\n)+(?=\.(?:PP|SH|SS|TP|IP))//gr
                =~ s/(\.S[HS] .*\n)(?:\.PP\n)+/$1/gr;
}
