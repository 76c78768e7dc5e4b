#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Copies of the trail elsewhere, by the recipes of docs/operations.md as they
# are written there: rsyslog sends the records to a SIEM, also over rotations and
# while it is down; a job copies the heads from Redis; and the auditors' user may
# do nothing else there.

use lib 't/lib';
use Approval::Test;
use Approval::Gateway;
use Approval::Process;
use IO::Select;
use IO::Socket::INET;

need('redis-server', 'rsyslogd', 'openssl');
need_module();

my $tool = build_dir() . '/approval-audit';
my $dir = tempdir();
my $gw = Approval::Gateway->new(workers => 2, http => <<'EOF',
    approval_policy p {
        rule held { match $uri ^/held; require admins; timeout 600s; }
    }
EOF
    server => 'approval p; location / { proxy_pass %%UP%%; }');
my $file = $gw->ngx->path('audit.jsonl');
my $key = "--key $gw->{keys}{public}";


# the fenced block of the documentation that has this text

sub block {
    my ($text) = @_;

    my $doc = slurp(root_dir() . '/docs/operations.md');

    for my $block ($doc =~ /^```\w*\n(.*?)^```$/msg) {
        return $block if $block =~ $text;
    }

    die "docs/operations.md has no block with $text";
}


sub act {
    my ($n) = @_;

    my ($client, $id) = $gw->hold(GET => "/held/$n");

    $gw->vote($id, 'deny', "no, $n. " . 'x' x 1500);
    $client->read;

    return $id;
}


sub rotate {
    rename("$file.$_", "$file." . ($_ + 1)) for reverse 1 .. 3;
    rename($file, "$file.1") or die $!;
    $gw->ngx->reopen;
}


sub files { grep { -e } map { "$file$_" } '', map { ".$_" } 1 .. 4 }


# the records that are on disk, each by what names it

sub written {
    my %all;

    for my $name (files()) {
        $all{"$_->{writer} $_->{seq}"} = 1
            for map { decode_json($_) } split(/^/, slurp($name) =~ s/[^\n]*\z//r);
    }

    return \%all;
}


# a SIEM: one connection after the other, line by line into a file

my $socket = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1')
    or die $!;
my $got = "$dir/siem.jsonl";

spew($got, '');

my $siem = Approval::Process->start(keep => [ $socket ], code => sub {
    my $all = IO::Select->new($socket);
    my %rest;

    open(my $out, '>>', $got) or die $!;
    $out->autoflush(1);

    while (my @ready = $all->can_read) {
        for my $from (@ready) {
            if ($from == $socket) {
                my $new = $socket->accept or next;
                $rest{$new} = '';
                $all->add($new);

            } elsif (sysread($from, my $part, 65536)) {
                $rest{$from} .= $part;
                print {$out} $1 while $rest{$from} =~ s/\A([^\n]*\n)//;

            } else {
                $all->remove($from);
                delete $rest{$from};
                close($from);
            }
        }
    }
});

my $conf = block(qr/module\(load="imfile"/);

$conf =~ s/siem\.example\.com/127.0.0.1/ or die;
$conf =~ s/"6514"/'"' . $socket->sockport . '"'/e or die;
is($conf =~ s{/var/log/nginx/approval\.jsonl}{$file}g, 2, 'two files');

# an AppArmor profile, which keeps it in /var, goes by the program's path

my ($program) = grep { -x } map { "$_/rsyslogd" } split(/:/, $ENV{PATH}),
                                                  '/usr/sbin';

system('cp', $program, "$dir/rsyslogd") == 0 or die 'cp';
mkdir("$dir/work") or die $!;
spew("$dir/rsyslog.conf", qq{global(workDirectory="$dir/work")\n$conf});


sub rsyslog {
    return Approval::Process->start(
        cmd => [ "$dir/rsyslogd", '-n', '-f', "$dir/rsyslog.conf",
                 '-i', "$dir/rsyslog.pid" ],
        stdout => "$dir/rsyslog.out", stderr => "$dir/rsyslog.out");
}


# all that stands on disk has arrived: what lacks is returned, or an empty list

sub missing {
    my @missing;

    wait_for(sub {
        my %here = map { ("$_->{writer} $_->{seq}" => 1) }
                   map { decode_json($_) } split(/^/, slurp($got));

        @missing = grep { !$here{$_} } sort keys %{ written() };

        return !@missing;
    });

    return @missing;
}


my @ids = (act(1));
my $rsyslog = rsyslog();

is_deeply([ missing() ], [], 'what was there before rsyslog')
    or diag(slurp("$dir/rsyslog.out"));

for my $n (2 .. 3) {
    push @ids, act("$n/before");
    rotate();
    push @ids, act("$n/after");

    is_deeply([ missing() ], [], "no record is lost over rotation $n");
}

# rsyslog is down while the file is rotated

$rsyslog->signal('TERM');
ok($rsyslog->wait_exit(60), 'rsyslog ends');

push @ids, act('down');
rotate();
push @ids, act('down-and-rotated');
$rsyslog = rsyslog();

is_deeply([ missing() ], [], 'nor while rsyslog is down')
    or diag(slurp("$dir/rsyslog.out"));

# what came is what was written: the copy is verified by itself

$gw->wait_signed;
is_deeply([ missing() ], [], 'with the last checkpoint');

my %seen;

spew("$dir/copy.jsonl", grep { !$seen{$_}++ } split(/^/, slurp($got)));

my $out = `$tool verify $dir/copy.jsonl $key 2>&1`;
is($? >> 8, 0, 'the copy holds by itself') or diag($out);
like(`$tool show $ids[0] $dir/copy.jsonl $key`, qr/alice: deny/, 'and tells');

$rsyslog->signal('TERM');
$rsyslog->wait_exit(60);
$siem->kill_group;


# heads, by the auditors' user

my $redis = $gw->redis;
my ($user) = block(qr/^user auditor /m) =~ s/\\\n\s*//gr =~ /^user (.*)$/m;
my ($password) = $user =~ />(\S+)/;

$redis->cmd('ACL', 'SETUSER', split(/ +/, $user));

my $job = block(qr/^heads=/m) =~ s{/var/lib/approval}{$dir}r;

$job =~ s/-h redis\.example\.com/-p $redis->{port}/ or die;


sub copy_heads {
    local $ENV{REDISCLI_AUTH} = $password;

    spew("$dir/job.sh", $job);
    system('sh', "$dir/job.sh") == 0 or die 'job.sh';
}


sub ids_of { [ slurp("$dir/heads") =~ /^(\d+-\d+)$/mg ] }

sub in_redis { [ map { $_->[0] }
                 @{ $redis->cmd(XRANGE => 'approval:audit', '-', '+') } ] }


# the gateway may just add one

sub copied {
    my ($name) = @_;

    my ($here, $there);

    wait_for(sub {
        copy_heads();
        ($here, $there) = (ids_of(), in_redis());
        return "@$here" eq "@$there";
    });

    is_deeply($here, $there, $name);
}


copied('all heads that there are');
act('between');
$gw->wait_signed;
copied('and those that came in between, each once');

my @files = files();
$out = `$tool verify @files $key --heads $dir/heads 2>&1`;
is($? >> 8, 0, 'the log agrees with them') or diag($out);

# cut at a checkpoint: by itself it holds, but for these heads

my @lines = split(/^/, slurp("$dir/copy.jsonl"));

spew("$dir/cut.jsonl", @lines);
is(system("$tool verify -q $dir/cut.jsonl $key >/dev/null 2>&1") >> 8, 0,
   'a log that ends too early holds by itself');
$out = `$tool verify $dir/cut.jsonl $key --heads $dir/heads 2>&1`;
is($? >> 8, 2, 'and the heads show that there was more') or diag($out);


sub as_auditor {
    my (@command) = @_;

    local $ENV{REDISCLI_AUTH} = $password;

    my $words = join ' ', map { "'$_'" } @command;

    return `redis-cli -p $redis->{port} --user auditor --raw $words 2>&1`;
}


like(as_auditor(XREAD => 'COUNT', 1, 'STREAMS', 'approval:audit', 0),
     qr/approval-audit\//, 'XREAD from an id');

for my $no ([ XADD => 'approval:audit', '*', 'a', 'b' ],
            [ XTRIM => 'approval:audit', 'MAXLEN', 0 ],
            [ DEL => 'approval:audit' ], [ GET => 'approval:audit' ],
            [ XRANGE => 'approval:{00}:x', '-', '+' ],
            [ KEYS => '*' ], [ SCAN => 0 ],
            [ HGETALL => 'approval:{00}:passkeys' ],
            [ SUBSCRIBE => 'approval:{00}:decisions' ],
            [ EVAL => 'return 1', 0 ], [ CONFIG => 'GET', '*' ],
            [ ACL => 'LIST' ], [ FLUSHALL => ])
{
    like(as_auditor(@$no), qr/NOPERM/, "not: @$no");
}

$gw->clean;
done_testing();
