#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Every configuration in docs/ and README.md is taken by nginx.  The word after
# "```nginx" says where it stands: main, http, server, location, policy, rule
# or channel; without one the first place that takes it will do, or http with
# its locations in a server.  What an excerpt names and does not declare is declared here.  And every directive of
# the module, each refusal and each variable is documented.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Life;
use Approval::Test;

need('openssl');
need_module();


my @places = qw(http server location policy rule channel main site);
my $root = root_dir();
my $keys = make_keys(tempdir());
my $webhook = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n";

my $ngx = Approval::Nginx->new(start => 0, files => {
    'approval/secret' => slurp($keys->{secret}),
    'approval/signing.pem' => slurp($keys->{signing}),
    'approval/webhook' => $webhook,
    'approval/url' => "https://hooks.example.com/T0/B0/secret\n",
    'approval/slack' => 'https://hooks.slack.com/services/T01ABCDEF/B0/x' . "\n",
    'approval/slack-signing' => '0123456789abcdef0123456789abcdef' . "\n",
    'approval/teams' => 'https://teams.example.com/x' . "\n",
    'approval/smtp' => "smtp://gw:secret\@smtp.example.com:587\n",
    'approval/redis' => "password\n",
    map({ ("approval/$_" => "0123456789abcdef0123456789abcdef\n") }
        qw(jira pagerduty servicenow)),
    map({ (('approval/templates/' . s{.*/}{}r) => slurp($_)) }
        glob("$root/conf/templates/*")),
    'approval/passwords' => "alice:x\n",
    map({ ("approval/$_" => "alice\@example.com\nbob\@example.com\n") }
        qw(oncall owners sre dba)),
    map({ ("approval/$_" => "default \"\";\n" =~ s/^default.*//r) }
        qw(agents pipelines)),
});

my $tls = tempdir();

system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
       . "-keyout $tls/key -out $tls/pem -subj /CN=localhost -days 2 "
       . "2>/dev/null") == 0 or die 'openssl req failed';


# the excerpts of a file: { line, place, text }

sub excerpts {
    my ($file) = @_;

    my ($line, @found, $open) = (0);

    for (split(/^/, slurp($file))) {
        $line++;

        if ($open && /^\s*```\s*$/) {
            push @found, $open;
            $open = undef;

        } elsif ($open) {
            $open->{text} .= $_;

        } elsif (/^\s*```\s*nginx\b[ \t]*(\w*)/) {
            $open = { line => $line + 1, place => $1, text => '' };
        }
    }

    return @found;
}


# on this machine

sub fit {
    my ($text) = @_;

    my $listen = 'listen 127.0.0.1:%%PORT%%';

    $text =~ s{/etc/nginx/approval/}{%%PREFIX%%/approval/}g;
    $text =~ s{/etc/(?:nginx|ssl)/[\w./-]*?(?:key)[\w.-]*(?=;)}{$tls/key}g;
    $text =~ s{/etc/(?:nginx/tls|nginx/ssl|ssl)/[\w./-]+(?=;)}{$tls/pem}g;
    $text =~ s{/var/log/nginx/}{%%PREFIX%%/}g;
    $text =~ s{/run/[\w/.-]*\.sock}{%%PREFIX%%/redis.sock}g;
    $text =~ s{\blisten\s+(?:\S+:)?\d+}{$listen}g;
    $text =~ s{(rediss?://(?:[^\s@/]+@)?)[a-z][\w.-]*\.\w+}{${1}127.0.0.1}g;
    $text =~ s{^\s*load_module .*$}{}mg;
    $text =~ s{\.\.\.;|…;}{;}g;

    return $text;
}


sub has { return $_[0] =~ /^[^#]*\b$_[1]\b/m }


# declared for the excerpt: what it names and does not declare itself

sub prelude {
    my ($text) = @_;

    my @lines;

    push @lines, 'approval_redis unix:%%PREFIX%%/redis.sock;'
        unless has($text, 'approval_redis');
    push @lines, 'approval_key %%PREFIX%%/approval/secret;'
        unless has($text, 'approval_key');
    push @lines, 'approval_base_url https://gw.example.com/_approval;'
        unless has($text, 'approval_base_url');
    push @lines, 'approval_passkey_origin https://gw.example.com;'
        unless has($text, 'approval_passkey_origin');
    push @lines, 'approval_zone zone 1m;' unless has($text, 'approval_zone');
    push @lines, 'resolver 127.0.0.1;' unless has($text, 'resolver');

    my %group = map { $_ => 1 } map { split }
        $text =~ /^\s*(?:require|break_glass)\s+([^;]+);/mg;
    delete @group{ 'of', grep { /^\d+$/ } keys %group };

    push @lines, map { "approval_group $_ stub1 stub2 stub3;" }
                 grep { !has($text, "approval_group\\s+$_") } sort keys %group;

    my %channel = map { $_ => 1 }
        map { split } $text =~ /^\s*(?:notify|escalate\s+\w+)\s+([^;]+);/mg;

    push @lines, map { "approval_channel $_ { url http://127.0.0.1:1/; }" }
                 grep { !has($text, "approval_channel\\s+$_") }
                 sort keys %channel;

    my %policy = map { $_ => 1 } $text =~ /^\s*approval\s+(\w[\w-]*)\s*;/mg;
    delete $policy{off};

    push @lines, map { "approval_policy $_ { }" }
                 grep { !has($text, "approval_policy\\s+$_") } sort keys %policy;

    push @lines, 'approval_requester $remote_user;'
        unless has($text, 'approval_requester');
    push @lines, 'auth_basic agents;' unless has($text, 'auth_basic');
    push @lines, 'auth_basic_user_file passwords;'
        unless has($text, 'auth_basic_user_file');

    return join "\n", @lines, '';
}


# where the policies apply that it uses nowhere, and the approvers' side

sub site {
    my ($text) = @_;

    my @unused = grep { !has($text, "approval\\s+$_") }
                 $text =~ /^\s*approval_policy\s+([\w-]+)/mg;

    return '' unless @unused;

    return join "\n", 'server { listen 127.0.0.1:%%PORT2%%;',
        'location /_approval/ { approval_api approver=$remote_user; }',
        map({ "location /$_ { approval $_; }" } @unused), '}', '';
}


sub http_with {
    my ($text, $place, @more) = @_;

    my $before = join "\n", prelude($text), @more, '';
    my $server = 'server { listen 127.0.0.1:%%PORT1%%;';

    if ($place eq 'site') {
        my @locations;

        push @locations, $1 while $text =~ s/^(location .*?^\})//ms;

        return "$before$text\n$server\n" . join("\n", @locations, '}');
    }

    return "$before$text\n" . site($text) if $place eq 'http';
    return "$before$server\n$text\n}" if $place eq 'server';
    return "$before$server location /excerpt/ {\n$text\n} }"
        if $place eq 'location';
    my $rules = $place eq 'policy' ? $text
              : $place eq 'rule' ? "rule x {\n$text\n}" : undef;

    if (defined $rules) {
        my $policy = "approval_policy excerpt {\n$rules\n}\n";

        return $before . $policy . site($policy);
    }

    return "${before}approval_channel excerpt {\n$text\n}";
}


# variables of other parts of a configuration are declared, ours are not

sub taken {
    my ($text, $place) = @_;

    $text = fit($text);

    my ($code, $out, @more);

    for (1 .. 10) {
        ($code, $out) = $place eq 'main'
            ? $ngx->test_conf(raw => "load_module %%MODULE%%;\n$text")
            : $ngx->test_conf(raw => undef,
                              http => http_with($text, $place, @more));

        last unless $code && $out =~ /unknown "(?!approval_)(\w+)" variable/;

        push @more, "map \$host \$$1 { default ''; }";
    }

    return ($code == 0
            && $out !~ /\[lint: |\[(?:emerg|alert|warn)\].*approval/, $out);
}


for my $file (glob("$root/docs/*.md"), "$root/README.md") {
    next unless -f $file;

    my @excerpts = excerpts($file) or next;

    subtest $file =~ s/^\Q$root\E\///r => sub {
        for my $excerpt (@excerpts) {
            my $place = $excerpt->{place};
            my ($ok, $out, $all) = (0, '', '');

            for my $try ($place ne '' ? $place : @places) {
                ($ok, $out) = taken($excerpt->{text}, $try);
                last if $ok;
                $all .= "in $try: " . ($out =~ /^(.*\[(?:emerg|warn)\].*)$/m
                                       ? $1 : $out) . "\n";
            }

            ok($ok, "line $excerpt->{line}") or diag($all);
        }
    };
}


subtest 'what there is, is documented' => sub {
    my $doc = slurp("$root/docs/directives.md");
    my %directive = map { $_ => 1 } slurp("$root/src/conf/directive.def")
                    =~ /^(?:DIRECTIVE|MEMBER|ENUM|SLOT)\(\w+, "(\w+)"/mg;

    cmp_ok(scalar keys %directive, '>', 40, 'directives were found');

    ok($doc =~ /\*\*$_\*\*/, $_) for sort keys %directive;

    ok($doc =~ /\*\*\Q$_\E\*\*|`\Q$_\E`|`\$approval_\Q$_\E`/, "variable $_")
        for slurp("$root/src/gate/phase/variables.c")
            =~ /ngx_string\("approval_(\w+[a-z])"\)/g;

    my $trouble = slurp("$root/docs/troubleshooting.md");
    my $def = slurp("$root/src/model/problem.def");
    my @refusals;

    push @refusals, [ $1, $2, $3, $4 eq 'FINAL' ? 'final' : 'again' ]
        while $def
              =~ /^REFUSAL\(\w+, "([\w-]+)", (\d+), (\d+), -\d+, (\w+),/mg;

    cmp_ok(scalar @refusals, '>', 20, 'refusals were found');

    for (@refusals) {
        my ($type, $status, $grpc, $final) = @$_;

        ok($doc =~ /^\| $status \| `$type` \| $final \| $grpc \| \S/m,
           "refusal $status $type");
        ok($trouble =~ /^\| `$type` \| (?:\d+, )*$status\b/m,
           "refusal $status $type, where it is a symptom");
    }

    my %known = map { ("$_->[1] $_->[0]" => 1) } @refusals;
    my @told = $doc =~ /^\| (\d+ \| `[\w-]+`) \| (?:final|again) /mg;

    is_deeply([ grep { !$known{ s/ \| `(.*)`/ $1/r } } @told ], [],
              'and no others');
};


subtest 'the life of an action is that of src/model/life.def' => sub {
    my $table = Approval::Life::markdown();
    my $design = slurp("$root/docs/design.md");

    ok(index($design, "|---|\n$table\n") > 0, 'docs/design.md')
        or diag("it must have\n$table");

    my $audit = slurp("$root/docs/audit.md");

    like($audit, qr/^\| (?:`\w+`, )*`$_->[1]`/m, "docs/audit.md: $_->[1]")
        for Approval::Life::rows(audit => 'AUDIT_RECORD');
};


done_testing();
