# Copyright (C) ngx_http_approval_module contributors
#
# The first of the two commands: the story is played, says what it should, and
# leaves nothing behind.

use Approval::Test;

use Cwd ();
use IO::Socket::INET;

need('redis-server', 'openssl', 'curl');
need_module();

plan(skip_all => 'the story runs a module without sanitizers')
    if $ENV{APPROVAL_SANITIZE};

my $script = root_dir() . '/conf/quickstart.sh';
my $dir = tempdir();


sub run {
    my ($name, %how) = @_;

    my $out = "$dir/$name";

    my $process = Approval::Process->start(
        cmd => [ 'bash', $script, @{ $how{args} // [] } ],
        env => { APPROVAL_BUILD => build_dir(), TMPDIR => $dir,
                 %{ $how{env} // {} } },
        stdout => $out, stderr => $out);

    return ($process, $out);
}


sub text { -e $_[0] ? slurp($_[0]) : '' }

sub left { glob("$dir/approval.*") }


sub ended {
    my ($process, $out, $name) = @_;

    my $ok = ok($process->wait_exit(120 * slow()), $name);

    $process->kill_group unless $ok;
    diag(text($out)) unless $ok;

    return $process->status >> 8;
}


# processes whose command line names the directory of the story

sub processes {
    my @found;

    for my $file (glob('/proc/[0-9]*/cmdline')) {
        open(my $fh, '<', $file) or next;
        my $line = <$fh> // '';
        push @found, $line if index($line, "$dir/approval.") >= 0;
    }

    return @found;
}


my $port = free_port();
my ($process, $out) = run('story', args => [ '--once', '--no-install' ],
                          env => { PORT => $port });

is(ended($process, $out, 'the story ends'), 0, 'and it went well')
    or diag(text($out));

my $story = text($out);

my @steps = (
    [ qr{^sent +DELETE /customers/4711 by agent-7, "GDPR request 17"$}m,
      'the request is sent' ],
    [ qr{^held +action [0-9a-f]{32}; the connection waits$}m, 'and held' ],
    [ qr{^ +receiver \| message for alice\@example\.com, signature good$}m,
      'an approver is told' ],
    [ qr{^ +receiver \| high risk: Delete customer 4711$}m, 'of what' ],
    [ qr{^\ +receiver\ \|\ http://127\.0\.0\.1:$port/_approval/actions/
         [0-9a-f]{32}\?t=\S+$}mx, 'with a personal link' ],
    [ qr{^ +the upstream has executed 0 so far$}m, 'nothing was forwarded' ],
    [ qr{^opened +alice\@example\.com has opened the link}m, 'the link opens' ],
    [ qr{^approved +by alice\@example\.com, "checked with legal"$}m,
      'she approves' ],
    [ qr{^ +HTTP/1\.1 200 OK$}m, 'the upstream answers' ],
    [ qr{^ +Approval-Status: approved$}m, 'with the status' ],
    [ qr{^ +\{.*"approved_by":"alice\@example\.com".*"executions":1\}$}m,
      'and has seen who approved' ],
    [ qr{requested\ +agent-7.*?voted\ +alice\@example\.com\ by\ link
         .*?approved\ +alice.*?executed}sx, 'the trail has it all' ],
    [ qr{^sent +DELETE /customers/4712}m, 'a second request is sent' ],
    [ qr{^ +the upstream has executed 1 so far$}m, 'held as well' ],
    [ qr{^denied +by bob\@example\.com}m, 'and denied' ],
    [ qr{^ +HTTP/1\.1 403 Forbidden$}m, 'the client gets 403' ],
    [ qr{^ +Content-Type: application/problem\+json$}m, 'a problem' ],
    [ qr{^ +"comment" : "4712 is a paying customer",$}m, 'with the comment' ],
    [ qr{^ +"type" : "urn:approval:denied"$}m, 'and its type' ],
    [ qr{voted\ +bob\@example\.com\ by\ idp.*?denied}sx, 'that is on record' ],
    [ qr{^in\ all\ +2\ asked,\ 1\ executed,\ 1\ denied$}mx, 'one execution' ],
);

my $last = 0;

for my $step (@steps) {
    my ($regex, $name) = @$step;

    pos($story) = $last;

    ok($story =~ /$regex/g, $name) or diag($story);
    $last = pos($story) // $last;
}

is_deeply([ left() ], [], 'its directory is gone');
is_deeply([ processes() ], [], 'its processes are, too');


# it stays, the printed commands work, and Ctrl-C ends it

$port = free_port();
($process, $out) = run('stay', args => [ '--no-install' ],
                       env => { PORT => $port });

ok(wait_for(sub { text($out) =~ /^Ctrl-C stops it all\.$/m }, 120),
   'without --once it stays') or diag(text($out));

my $held = Approval::Client->new($port);

$held->send(DELETE => '/customers/4713',
            headers => [ Authorization => 'Bearer agent-7-key' ]);

my ($link) = wait_for(sub {
    text($out) =~ m{Delete\ customer\ 4713\n.*\n
                    receiver\ \|\ (http://\S+/actions/[0-9a-f]{32}\?t=\S+)}x
    ? $1 : ()
});

ok($link, 'messages are printed as they arrive') or diag(text($out));

my $page = Approval::Client->curl('-L', '-c', "$dir/jar", '-b', "$dir/jar",
                                  '-H', 'Accept: text/html', $link // 'none');

like($page->raw . $page->body, qr/Delete customer 4713/, 'the link opens');

my $inbox = http_get($port, '/_desk/actions?state=pending',
                     headers => [ Authorization =>
                                  'Basic Ym9iQGV4YW1wbGUuY29tOmJvYg==' ]);
my $id = ($inbox->json->{actions}[0] // {})->{id} // 'none';

is($inbox->status, 200, 'the inbox opens');

http_post($port, "/_desk/actions/$id/decision",
          '{"decision":"approve","comment":"fine"}',
          headers => [ 'Content-Type' => 'application/json', Authorization =>
                       'Basic Ym9iQGV4YW1wbGUuY29tOmJvYg==' ]);

is($held->read->status, 200, 'a request can be approved by hand');

$process->signal('TERM');

is(ended($process, $out, 'it ends when told'), 143, 'by the signal');
is_deeply([ left() ], [], 'its directory is gone');
is_deeply([ processes() ], [], 'its processes are, too');


# what it refuses

my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
    or die "listen: $!";

$port = $taken->sockport;
($process, $out) = run('taken', args => [ '--once', '--no-install' ],
                       env => { PORT => $port });

is(ended($process, $out, 'a taken port ends it'), 1, 'with a failure');
like(text($out), qr/port $port of 127\.0\.0\.1 is taken.*PORT=/s,
     'and the remedy');

($process, $out) = run('low', args => [ '--once', '--no-install' ],
                       env => { PORT => 80 });

ended($process, $out, 'a low port ends it');
like(text($out), qr/PORT=80: use one from 1024 to 65535/, 'with a reason');

($process, $out) = run('help', args => [ '--help' ]);

is(ended($process, $out, '--help ends'), 0, 'well');
like(text($out), qr/--once .*--no-install .*PORT=N/s, 'and tells of all');

done_testing();
