#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# On a fresh Debian: README.md's gateway, followed to the letter up to the first
# request that waits and is approved; then the package, made and checked as
# docs/operations.md says, installed into another fresh one, used, and removed.
#
#     APPROVAL_RELEASES="bookworm trixie forky"     these, and all by default
#     APPROVAL_DEB=FILE      only installs, uses and removes this package
#
# It takes some minutes a release, fetches packages, and needs root.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

BEGIN { $ENV{APPROVAL_TEST_TIMEOUT} //= 3 * 3600 }

use Approval::Test;
use Approval::Chroot;

plan(skip_all => 'root makes chroots') if $>;
need('debootstrap', 'unshare', 'git', 'ip');

my $readme = slurp(root_dir() . '/README.md');
my $operations = slurp(root_dir() . '/docs/operations.md');

# what listens behind the gateway, and counts

my $UPSTREAM = <<'END';
perl -MIO::Socket::INET -e '
    my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1:9000", Listen => 9,
                                  ReuseAddr => 1) or die $!;
    while (my $c = $s->accept) {
        while (<$c>) { last if /^\r?$/ }
        open(my $log, ">>", "/executed"); print $log "1\n"; close($log);
        print $c "HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nexecuted\n";
    }' &
END

# shell functions of both plays

my $SHELL = <<'END';
key=$(sed -n 's/^"\(Bearer .*\)" agent-1;$/\1/p' /etc/nginx/approval/agents)

wait_for() {
    n=0
    until "$@"; do
        n=$((n + 1)); [ $n -lt 600 ] || { echo "no: $*"; exit 1; }
        sleep 0.1
    done
}

password() { sed -n "s/^ *$1@example.com *//p" /said; }

desk() {
    who=$1; shift
    curl -sk -u "$who@example.com:$(password $who)" "$@"
}

pending() {
    id=$(desk alice "https://localhost/_desk/actions?state=pending" \
         | grep -o '"id":"[0-9a-f]*"' | cut -d '"' -f 4)
    [ -n "$id" ]
}

approve() {
    desk $1 -H 'Content-Type: application/json' \
         -d '{"decision":"approve","comment":"fine"}' \
         "https://localhost/_desk/actions/$id/decision"; echo
}
END


sub block {
    my ($text, $of) = @_;

    my ($block) = grep { /$text/ } $of =~ /^```\w*\n(.*?)^```$/msg
        or die "no block with $text";

    return $block;
}


sub runs {
    my ($c, $name, $commands, %how) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($status, $out) = $c->run($commands, %how);

    return is($status, 0, $name) ? $out : do { diag($out); '' };
}


for my $release (split ' ', $ENV{APPROVAL_RELEASES}
                            // 'bookworm trixie forky')
{
    subtest $release => sub { play($release) };
}

done_testing();


sub play {
    my ($release) = @_;

    my $deb = $ENV{APPROVAL_DEB};

    if (!$deb) {
        my $c = Approval::Chroot->new($release);

        $c->clone('/src');
        gateway($c);
        $deb = packaged($c) // return;
    }

    my $fresh = Approval::Chroot->new($release);

    spew($fresh->path('/package.deb'), slurp($deb));
    installed($fresh) or return;
    removed($fresh);
}


sub gateway {
    my ($c) = @_;

    my $commands = block(qr/sh conf\/init\.sh$/m, $readme);

    $commands =~ s{^sh conf/init\.sh$}{sh conf/init.sh | tee /said}m;

    runs($c, 'the commands of README.md', "cd /src\napt-get -q update\n"
                                          . $commands) or return;
    spew($c->path('/etc/nginx/nginx.conf'),
         block(qr/^user www-data;/, $readme));

    my $first = block(qr/^key=/, $readme);

    $first =~ s/^(curl .*)$/$1 > \/first &/m;

    my $out = runs($c, 'the gateway holds its first request', <<"END",
redis-server --daemonize yes --save '' > /dev/null
$UPSTREAM
nginx -t
nginx
$first
$SHELL
wait_for pending
[ ! -e /executed ]
approve alice
wait_for grep -q executed /first
cat /first
END
                   net => 0);

    like($out, qr{^HTTP/1\.1 200}m, 'and forwards it when it is approved');
    is(slurp($c->path('/executed')), "1\n", 'once');
}


sub packaged {
    my ($c) = @_;

    my $commands = block(qr/conf\/package\.sh/, $operations);

    $commands =~ s/^apt-get install.*\n//m;

    my $out = runs($c, 'the package is made', "cd /src\n$commands");

    like($out, qr/^dpkg-deb: building package 'libnginx-mod-http-approval'/m,
         'by Debian\'s tools');
    unlike($out, qr/^[EWI]: libnginx/m, 'lintian finds nothing');

    my ($deb) = glob($c->path('/src/.build/package/') . 'libnginx-mod-http-'
                     . 'approval_*.deb');

    ok($deb, 'it is there');

    return $deb;
}


sub installed {
    my ($c) = @_;

    runs($c, 'apt installs it', <<'END') or return;
apt-get -q update
apt-get -q -y --no-install-recommends install /package.deb redis-server curl \
    logrotate
approval-audit --version
approval-init --help > /dev/null
nginx -t
cp /usr/share/doc/libnginx-mod-http-approval/examples/two-person.conf /root
approval-init /root/two-person.conf | tee /said
cp /root/two-person.conf /etc/nginx/conf.d/
nginx -t
END

    ok(-l $c->path('/etc/nginx/modules-enabled/50-mod-http-approval.conf'),
       'the module is enabled');
    ok(-e $c->path("/usr/share/man/$_.gz"), "$_ is there")
        for qw(man1/approval-audit.1 man7/ngx_http_approval_module.7
               man8/approval-init.8);

    my $out = runs($c, 'it holds its first request', <<"END", net => 0);
rm /usr/sbin/policy-rc.d
redis-server --daemonize yes --save '' > /dev/null
$UPSTREAM
$SHELL
nginx
curl -sk -i -X POST -H "Authorization: \$key" \\
     -H 'Content-Type: application/json' -d '{"roles":["admin"]}' \\
     https://localhost/users/7/roles > /first &
wait_for pending
[ ! -e /executed ]
approve alice
approve bob
wait_for grep -q executed /first
cat /first

# the trail is rotated, goes on, and holds

public=/etc/nginx/approval/public.pem
wait_for grep -q '"type":"executed"' /var/log/nginx/approval.jsonl
logrotate -f /etc/logrotate.d/libnginx-mod-http-approval
wait_for grep -qs '"type":"continue"' /var/log/nginx/approval.jsonl
nginx -s quit
wait_for grep -q '"type":"close"' /var/log/nginx/approval.jsonl
ls -l /var/log/nginx/
approval-audit verify /var/log/nginx/approval.jsonl* --key \$public
END

    like($out, qr{^HTTP/1\.1 200}m, 'and forwards it when two have approved');
    is(slurp($c->path('/executed')), "1\n", 'once');
    like($out, qr{^-rw-r----- .* www-data adm .* approval\.jsonl$}m,
         'logrotate makes a new trail');

    return 1;
}


sub removed {
    my ($c) = @_;

    runs($c, 'without the package nginx starts as before', <<'END');
rm /etc/nginx/conf.d/two-person.conf
apt-get -q -y purge libnginx-mod-http-approval
nginx -t
[ ! -e /etc/nginx/modules-enabled/50-mod-http-approval.conf ]
[ ! -e /etc/logrotate.d/libnginx-mod-http-approval ]
[ -s /etc/nginx/approval/secret ]
END
}
