#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# conf/examples/git.conf, driven by git: what is asked, what the person sees,
# and what has been pushed.  Behind the gateway is git http-backend.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use Approval::Example;
use Approval::Process;

need_module();
need('git', 'openssl', 'redis-server');

my $dir = tempdir();
my $site = "$dir/site";
my $work = "$dir/work";
my $conf = slurp(root_dir() . '/conf/examples/git.conf');

# The machine's own settings are none of ours

%ENV = (%ENV, HOME => $dir, GIT_CONFIG_NOSYSTEM => 1, GIT_TERMINAL_PROMPT => 0,
        GIT_AUTHOR_NAME => 'a', GIT_AUTHOR_EMAIL => 'a@example.com',
        GIT_COMMITTER_NAME => 'a', GIT_COMMITTER_EMAIL => 'a@example.com',
        GIT_CONFIG_COUNT => 1, GIT_CONFIG_KEY_0 => 'http.extraHeader',
        GIT_CONFIG_VALUE_0 => 'Authorization: Bearer 7',
        LC_ALL => 'C', no_proxy => '*');


# A request as CGI has it: its answer by git http-backend

sub backend {
    my ($request) = @_;

    my ($path, $query) = split /\?/, $request->target, 2;
    my $in = "$site/request";
    my %env = (
        PATH => $ENV{PATH}, HOME => $dir, GIT_PROJECT_ROOT => $site,
        GIT_HTTP_EXPORT_ALL => 1, GIT_CONFIG_NOSYSTEM => 1,
        REMOTE_USER => 'gateway', REQUEST_METHOD => $request->method,
        PATH_INFO => $path, QUERY_STRING => $query // '',
        CONTENT_LENGTH => length $request->body,
        map { ('HTTP_' . uc($_->[0] =~ tr/-/_/r) => $_->[1]) }
            $request->headers);

    $env{CONTENT_TYPE} = $request->header('Content-Type') // '';
    delete $env{HTTP_TRANSFER_ENCODING};

    spew($in, $request->body);

    my $out = do {
        local %ENV = %env;
        `git http-backend < '$in' 2>> '$dir/backend.err'`;
    };

    my ($head, $body) = split /\r\n\r\n/, $out, 2;
    my %answer = (status => 200, headers => [], body => $body // '');

    for my $line (split /\r\n/, $head // 'Status: 500') {
        my ($name, $value) = split /:\s*/, $line, 2;

        if ($name eq 'Status') {
            ($answer{status}) = $value =~ /^(\d+)/;

        } else {
            push @{ $answer{headers} }, $name, $value;
        }
    }

    return \%answer;
}


sub git {
    my (@arg) = @_;

    Approval::Test::run_quiet('git', '-C', $work, @arg);
}


# The hook that the example's comment has

my ($hook) = $conf =~ /^(    #     #!\/bin\/sh\n.*?esac\n)/ms;

$hook =~ s/^    #     //mg;

for my $name (qw(prod/shop tools)) {
    Approval::Test::run_quiet(qw(git init -q --bare), "$site/$name.git");
    Approval::Test::run_quiet('git', '-C', "$site/$name.git",
                              qw(config http.receivepack true));
}

spew("$site/tools.git/hooks/update", $hook);
chmod 0755, "$site/tools.git/hooks/update";

my ($g, $url);


sub gateway {
    my ($timeout) = @_;

    $g = Approval::Example->start('git.conf', told => 2, runs => \&pushes,
        up => Approval::Upstream->new(code => \&backend),
        put => { 'timeout 1h;' => $timeout });
    $url = $g->ngx->url;
}


Approval::Test::run_quiet(qw(git init -q -b main), $work);

my $commits = 0;


sub commit {
    my ($bytes) = @_;

    spew("$work/file", join '', ++$commits, map { chr int rand 256 }
                                            1 .. $bytes // 1);
    git(qw(add file));
    git(qw(commit -q -m), "change $commits");
}


sub start {
    my (@arg) = @_;

    my $out = tempdir() . '/out';

    return { out => $out, process => Approval::Process->start(
        cmd => [ 'git', '-C', $work, @arg ], stdout => $out,
        stderr => $out) };
}


# what it prints, and whether it says that all went well

sub told {
    my ($job) = @_;

    $job->{process}->wait_exit(60 * slow()) or die "git has not ended\n";

    return (slurp($job->{out}), $job->{process}->status == 0 ? 1 : 0);
}


sub tip {
    my ($repository, $branch) = @_;

    my $tip = `git -C '$site/$repository.git' rev-parse -q --verify \\
                   refs/heads/$branch 2>/dev/null`;

    return $tip =~ s/\n//r;
}


sub head { return `git -C '$work' rev-parse HEAD` =~ s/\n//r }

# pushes that the backend has got, but for probes

sub pushes {
    return scalar grep { $_->method eq 'POST' && length $_->body > 4
                         && $_->target =~ /receive-pack/ } $g->up->requests;
}


gateway('timeout 1h;');
commit();

# A repository that nobody protects, and reading

{
    my ($text, $ok) = told(start('push', "$url/tools.git", 'HEAD:topic'));

    ok($ok, 'a push that no rule concerns passes') or diag($text);
    is(tip('tools', 'topic'), head(), 'and is there');
    $g->counts('a topic branch', 0, 1);
}

# Approved: small, and in chunks after a probe

for my $case ([ small => 1 ], [ large => 2_000_000 ]) {
    my ($name, $bytes) = @$case;

    commit($bytes);

    my $job = start('push', "$url/prod/shop.git", 'main');
    my $id = $g->asked;

    is(tip('prod/shop', 'main') eq head(), '', "$name: not before");
    $g->vote($id, 'approve', 'fine');

    my ($text, $ok) = told($job);

    ok($ok, "$name, approved: git is content") or diag($text);
    is(tip('prod/shop', 'main'), head(), "$name: it is there");
    $g->counts("$name, approved", 1, 1);
}

is(scalar(grep { $_->method eq 'POST' && $_->body eq '0000' }
               $g->up->requests), 1, 'the probe has asked nobody');

{
    my ($text, $ok) = told(start('clone', '-q', "$url/prod/shop.git", "$dir/new"));

    ok($ok, 'a clone passes') or diag($text);
    commit();
    ($text, $ok) = told(start('fetch', "$url/prod/shop.git", 'main'));
    ok($ok, 'a fetch passes') or diag($text);
    $g->counts('reading', 0, 0);
}

# Denied

{
    my $job = start('push', "$url/prod/shop.git", 'main');

    $g->vote($g->asked, 'deny', "use the\trelease job");

    my ($text, $ok) = told($job);

    ok(!$ok, 'denied: git fails');
    like($text, qr/^remote: An approver denied this request \((?:alice|bob)\S*\)\. Comment: use the release job\. /m,
         'denied: the person reads who and why');
    unlike($text, qr/up-to-date/, 'and nothing else');

    ($text, $ok) = told(start('push', "$url/prod/shop.git", 'main'));

    ok(!$ok, 'again at once: denied');
    like($text, qr/use the release job/, 'with the same comment');
    $g->counts('denied', 1, 0);
}

# A protected branch

{
    my ($text, $ok) = told(start('-c', 'http.extraHeader=Approval-Id: 7',
                                 'push', "$url/tools.git", 'main'));

    ok(!$ok, 'a protected branch: refused where pushes pass');
    like($text, qr{refs/heads/main is protected: push it to /protected/},
         'by the hook, which says what to do');
    $g->counts('by the hook', 0, 1);

    my $job = start('push', "$url/protected/tools.git", 'main');

    $g->vote($g->asked, 'approve', 'fine');
    ($text, $ok) = told($job);

    ok($ok, 'a protected branch, approved: git is content') or diag($text);
    is(tip('tools', 'main'), head(), 'it is there');
    $g->counts('a protected branch', 1, 1);
}

# Who is cut off pushes again, and joins

{
    commit();

    my $job = start('push', "$url/prod/shop.git", 'main');
    my $id = $g->asked;

    $job->{process}->kill_group;
    $job = start('push', "$url/prod/shop.git", 'main');

    ok($g->joined($id), 'the same push joins');

    $g->vote($id, 'approve', 'fine');

    my ($text, $ok) = told($job);

    ok($ok, 'the same push, approved: git is content') or diag($text);
    is(tip('prod/shop', 'main'), head(), 'it is there');
    $g->counts('the same push', 1, 1);
}

# Two at once are one push

{
    commit();

    my @jobs = map { start('push', "$url/prod/shop.git", 'main') } 1, 2;
    my $id = $g->asked;

    ok($g->joined($id), 'parallel: the second joins');
    $g->vote($id, 'approve', 'fine');

    my @told = map { [ told($_) ] } @jobs;
    my ($failed) = grep { !$_->[1] } @told;

    is(scalar(grep { $_->[1] } @told), 1, 'parallel: git is content once');
    like($failed->[0] // '', qr/^remote: The approval has been used /m,
         'parallel: the other person reads why');
    is(tip('prod/shop', 'main'), head(), 'it is there');
    $g->counts('parallel', 1, 1);
}

# The hold ends, and the same push goes on waiting

gateway('timeout 1h; hold 1s;');
commit();

{
    my ($text, $ok) = told(start('push', "$url/prod/shop.git", 'main'));

    ok(!$ok, 'pending: git fails');
    like($text, qr/^remote: Nobody has decided yet\. /m,
         'pending: the person reads it');
    is(tip('prod/shop', 'main') eq head(), '', 'nothing is pushed');

    $g->vote($g->asked, 'approve', 'fine');
    ($text, $ok) = told(start('push', "$url/prod/shop.git", 'main'));

    ok($ok, 'again, approved: git is content') or diag($text);
    is(tip('prod/shop', 'main'), head(), 'it is there');
    $g->counts('pending', 1, 1);
}

# Nobody decides

gateway('timeout 2s;');
commit();

{
    my ($text, $ok) = told(start('push', "$url/prod/shop.git", 'main'));

    ok(!$ok, 'expired: git fails');
    like($text, qr/^remote: Nobody decided in time\. /m,
         'expired: the person reads it');
    $g->counts('expired', 1, 0);
}

done_testing;
