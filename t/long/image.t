#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# conf/examples/Containerfile, step by step, in directories that are laid out as
# the official image is: nginx of nginx.org's source, configured as that image's,
# and nothing to compile with.  What comes from nginx.org comes from Debian's
# mirror here: its source package has the same archive.
#
#     APPROVAL_RELEASES="trixie"     the Debian that the image is made of
#
# It takes some minutes, fetches packages, and needs root.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

BEGIN { $ENV{APPROVAL_TEST_TIMEOUT} //= 3 * 3600 }

use Approval::Test;
use Approval::Chroot;

plan(skip_all => 'root makes chroots') if $>;
need('debootstrap', 'unshare', 'git', 'ip');

# what "nginx -V" of docker.io/library/nginx says

my $CONFIGURE = <<'END';
./configure --prefix=/etc/nginx --sbin-path=/usr/sbin/nginx \
    --modules-path=/usr/lib/nginx/modules --conf-path=/etc/nginx/nginx.conf \
    --error-log-path=/var/log/nginx/error.log \
    --http-log-path=/var/log/nginx/access.log --pid-path=/run/nginx.pid \
    --lock-path=/run/nginx.lock \
    --http-client-body-temp-path=/var/cache/nginx/client_temp \
    --http-proxy-temp-path=/var/cache/nginx/proxy_temp \
    --http-fastcgi-temp-path=/var/cache/nginx/fastcgi_temp \
    --http-uwsgi-temp-path=/var/cache/nginx/uwsgi_temp \
    --http-scgi-temp-path=/var/cache/nginx/scgi_temp --user=nginx \
    --group=nginx --with-compat --with-file-aio --with-threads \
    --with-http_addition_module --with-http_auth_request_module \
    --with-http_dav_module --with-http_flv_module --with-http_gunzip_module \
    --with-http_gzip_static_module --with-http_mp4_module \
    --with-http_random_index_module --with-http_realip_module \
    --with-http_secure_link_module --with-http_slice_module \
    --with-http_ssl_module --with-http_stub_status_module \
    --with-http_sub_module --with-http_v2_module --with-http_v3_module \
    --with-mail --with-mail_ssl_module --with-stream \
    --with-stream_realip_module --with-stream_ssl_module \
    --with-stream_ssl_preread_module \
    --with-cc-opt='-g -O2 -fstack-protector-strong -Wformat -fPIC' \
    --with-ld-opt='-Wl,-z,relro -Wl,-z,now -Wl,--as-needed -pie'
END

my $release = (split ' ', $ENV{APPROVAL_RELEASES} // 'trixie')[0];
my $image = image($release);
my ($version) = runs($image, 'the image runs', '/usr/sbin/nginx -V')
                =~ m{^nginx version: nginx/(\S+)$}m
    or die 'no image';

my (%stage, $stage, $workdir);

for my $step (steps(slurp(root_dir() . '/conf/examples/Containerfile'))) {
    my ($word, $rest) = $step =~ /^(\w+)\s+(.*)$/s;

    if ($word eq 'FROM') {
        my ($name) = $rest =~ / AS (\w+)$/;

        $stage = Approval::Chroot->copy($image);
        $stage{$name} = $stage if $name;
        $workdir = '/';

    } elsif ($word eq 'COPY' && $rest eq '. /src') {
        $stage->clone('/src');

    } elsif ($word eq 'COPY' && $rest =~ m{^--from=(\w+) (\S+) /$}) {
        is(system('cp', '-a', $stage{$1}->path("$2/."), $stage->path('/')), 0,
           $step);

    } elsif ($word eq 'WORKDIR') {
        $workdir = $rest;

    } elsif ($word eq 'ADD') {
        my ($from, $to) = $rest
            =~ m{^https://nginx\.org/download/nginx-(\S+)\.tar\.gz (\S+)$};

        is($from, '$NGINX_VERSION', 'the source of the image\'s nginx');
        is(system('cp', $image->path('/nginx.tar.gz'), $stage->path($to)), 0,
           'is added');

    } elsif ($word eq 'RUN') {
        runs($stage, (split /\n/, $step)[0],
             "export NGINX_VERSION=$version; cd $workdir\n$rest");

    } else {
        is($word, 'ARG', "a step that is known: $step");
    }
}


# the image that comes out holds a request

ok(!-e $stage->path('/src'), 'it has no source');

spew($stage->path('/etc/nginx/conf.d/two-person.conf'),
     slurp(root_dir() . '/conf/examples/two-person.conf'));
runs($stage, 'approval-init runs, and nginx takes an example', <<'END');
rm -f /usr/sbin/policy-rc.d
approval-audit --version
approval-init /etc/nginx/conf.d/two-person.conf | tee /said
grep "workers run as nginx" /said
nginx -t
END

runs($stage, 'what plays', 'apt-get -q update; apt-get -q -y '
     . '--no-install-recommends install redis-server curl');

my $out = runs($stage, 'it holds a request', <<'END', net => 0);
redis-server --daemonize yes --save '' > /dev/null
nginx
key=$(sed -n 's/^"\(Bearer .*\)" agent-1;$/\1/p' /etc/nginx/approval/agents)
curl -sk -X POST -H "Authorization: $key" -d '{"roles":["admin"]}' \
     -H 'Content-Type: application/json' -H 'Prefer: respond-async' \
     https://localhost/users/7/roles
END

like($out, qr/"state":"pending"/, 'until it is approved');

done_testing();


sub runs {
    my ($c, $name, $commands, %how) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($status, $out) = $c->run($commands, %how);

    return is($status, 0, $name) ? $out : do { diag($out); '' };
}


# instructions, without comments, each with the lines that it goes on in

sub steps {
    my ($text) = @_;

    $text =~ s/^#.*\n//mg;

    return grep { length } map { s/^\s+|\s+$//gr }
           split /(?<!\\)\n(?=\s*[A-Z]+ )/, $text;
}


sub image {
    my ($release) = @_;

    my $build = Approval::Chroot->new($release);
    my $image = Approval::Chroot->new($release);

    runs($build, 'nginx is built', <<"END");
sed -n '1s/^deb /deb-src /p' /etc/apt/sources.list \\
    > /etc/apt/sources.list.d/source.list
apt-get -q update
apt-get -q -y --no-install-recommends install gcc make libc6-dev libpcre2-dev \\
    libssl-dev zlib1g-dev dpkg-dev
cd /root
apt-get -q source --download-only --tar-only nginx
cp nginx_*.orig.tar.gz /nginx.tar.gz
tar -xzf /nginx.tar.gz
cd nginx-*/
$CONFIGURE
make -s -j "\$(nproc)" > /dev/null
make -s install DESTDIR=/image > /dev/null
mkdir -p /image/usr/lib/nginx/modules /image/var/cache/nginx \\
    /image/etc/nginx/conf.d
ln -s /usr/lib/nginx/modules /image/etc/nginx/modules
END

    system('cp', '-a', $build->path('/image/.'), $image->path('/')) == 0
        or die 'no nginx was built';
    system('cp', $build->path('/nginx.tar.gz'), $image->path('/')) == 0 or die;

    my $conf = $image->path('/etc/nginx/nginx.conf');

    spew($conf, <<'END');

user  nginx;
worker_processes  auto;

error_log  /var/log/nginx/error.log notice;
pid        /run/nginx.pid;

events {
    worker_connections  1024;
}

http {
    include       /etc/nginx/mime.types;
    default_type  application/octet-stream;
    include /etc/nginx/conf.d/*.conf;
}
END

    runs($image, 'and runs in the image', <<'END');
groupadd --system --gid 101 nginx
useradd --system --gid nginx --no-create-home --home-dir /nonexistent \
    --shell /bin/false --uid 101 nginx
apt-get -q update
apt-get -q -y --no-install-recommends install libpcre2-8-0 libssl3 zlib1g \
    ca-certificates
nginx -t
END

    return $image;
}
