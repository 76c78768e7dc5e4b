#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The planted secrets of t/redact, sent through a gateway: hardly one reaches a
# message or the trail, few a page, and none the error log.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();


# samples as t/unit/redact_corpus.c has them

my @samples;

for my $part (split /^=== /m, slurp("$FindBin::Bin/redact/planted.txt")) {
    my ($kind, $argument, $text) = $part =~ /\A(\w+) ?([^\n]*)\n(.*?)\n?\z/s
        or next;

    $text =~ s/\xc2\xa7//g;

    # what is found in any sink, however that escapes
    my @pieces = grep { length >= 6 } map { /([A-Za-z0-9]{6,})/g }
                 $text =~ /\xc2\xab(.*?)\xc2\xbb/gs;

    $text =~ s/\xc2(?:\xab|\xbb)//g;

    push @samples, { kind => $kind, argument => $argument, text => $text,
                     pieces => [ map { substr($_, 0, 16) } @pieces ] };
}

cmp_ok(scalar(grep { @{ $_->{pieces} } } @samples), '>=', 300,
       'samples were read, with what gives them away');


my %shown = map { $_->{argument} => 1 } grep { $_->{kind} eq 'named' } @samples;
my $headers = join ' ', grep { !/^User-Agent$/ } sort keys %shown;

my $gw = Approval::Gateway->new(log_level => 'info', start => 0);

$gw->ngx->{http} = $gw->conf(<<"EOF_HTTP", <<'EOF_SERVER', 1, '');
    approval_policy p {
        strict_path off;
        rule r {
            match \$uri ^/;
            hold 0;
            require admins;
            digest_headers $headers;
            summary "do \$http_x_note";
            show note \$http_x_note;

            notify hook;
        }
    }
EOF_HTTP
    approval p;
    large_client_header_buffers 4 32k;
    location / { proxy_pass %%UP%%; }
EOF_SERVER
$gw->ngx->start;


my $held = 0;

for my $sample (@samples) {
    my ($kind, $argument, $text) = @$sample{qw(kind argument text)};
    my ($method, $target, @how) = (POST => '/x');

    if ($kind eq 'body') {
        @how = (body => $text, headers => [ 'Content-Type' => $argument ]);

    } elsif ($kind eq 'target') {
        ($method, $target) = (DELETE => $text);

    } else {
        my @header = $kind eq 'named' ? ($argument => $text) : ();

        @how = (headers => [ @header, 'X-Note' => $text,
                             'X-Approval-Reason' => $text ]);
    }

    my $r = eval { $gw->send($method, $target, @how)->read };

    $sample->{held} = $r && $r->status == 503;
    $held += $sample->{held};
}

cmp_ok($held, '>=', 300, 'most of them are held');

ok(wait_for(sub { $gw->hook->messages >= $held }), 'and told to somebody');
ok(wait_for(sub { $gw->audit('requested') >= $held }), 'and are on record');


my $pages = '';

for my $id ($gw->pending) {
    for my $accept ('application/json', 'text/html') {
        $pages .= http_get($gw->port, "/_approval/actions/$id",
                           headers => [ 'X-User' => 'alice',
                                        Accept => $accept ])->raw;
    }
}

# nginx itself ends a line with the request line and the referrer

my %sinks = (
    messages => [ 2, join '', map { $_->raw } $gw->hook->messages ],
    trail => [ 2, slurp($gw->ngx->path('audit.jsonl')) ],
    pages => [ 10, $pages ],
    'error log' => [ 0, join '', map { s/, client: .*//sr }
                                 $gw->ngx->log_lines(qr/./) ],
);

for my $name (sort keys %sinks) {
    my ($percent, $text) = @{ $sinks{$name} };

    my @found = grep {
        my $sample = $_;
        grep { index($text, $_) >= 0 } @{ $sample->{pieces} };
    } grep { $_->{held} } @samples;

    cmp_ok(length $text, '>', 1000, "there are $name");
    cmp_ok(@found * 100, '<=', $held * $percent,
           "at most $percent % of the secrets are in the $name")
        or diag(map { "$_->{kind} $_->{argument}: $_->{text}\n" } @found);
}


done_testing();
