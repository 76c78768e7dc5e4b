#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Instructions a keep-alive request costs under callgrind: plain nginx, the
# module loaded and unused, 10 and 1,000 rules that do not match. The slope
# between two numbers of requests leaves starting and stopping out.

use strict;
use warnings;
use lib 't/lib';
use Approval::Test;
use IO::Socket::INET;

my $dir = tempdir();
my $keys = make_keys($dir);
my $module = module_path();

sub rules {
    my ($n) = @_;

    my @shapes = (
        sub { "match \$request_method POST; match \$uri /api/v1/res$_[0];" },
        sub { "match \$request_method DELETE PUT; "
              . "match \$uri ^/admin/area$_[0]/;" },
        sub { "match \$uri ^/db/$_[0]/;" },
        sub { "match \$uri ~^/cluster/$_[0]/(?<name>[a-z]+)\$;" },
        sub { "match \$uri ~^/ops/$_[0]/; match \$http_x_env prod;" },
    );

    return join '', "approval_policy p {\n",
        (map { "rule r$_ { " . $shapes[$_ % 5]->($_) . " require admins; }\n" }
             1 .. $n), "}\n";
}

sub instructions {
    my ($name, $load, $http, $server, $n) = @_;

    my $port = free_port();
    my $temp = join ' ', map { "${_}_temp_path $dir/$name;" }
                             qw(client_body proxy fastcgi scgi uwsgi);

    mkdir "$dir/$name";
    spew("$dir/$name.conf", <<"EOF");
$load
daemon off; master_process off; pid $dir/$name.pid;
error_log $dir/$name.log error;
events { worker_connections 64; }
http {
    access_log off; keepalive_requests 1000000; $temp
    $http
    server { listen 127.0.0.1:$port; $server location / { empty_gif; } }
}
EOF

    my $pid = fork // die "fork: $!";

    if (!$pid) {
        open STDERR, '>', "$dir/$name.valgrind.$n";
        open STDOUT, '>', '/dev/null';
        exec 'valgrind', '--tool=callgrind',
             "--callgrind-out-file=$dir/$name.callgrind", '/usr/sbin/nginx',
             '-p', $dir, '-c', "$dir/$name.conf" or die "exec: $!";
    }

    my $s = wait_for(sub { IO::Socket::INET->new("127.0.0.1:$port") }, 60)
        or die "nginx under valgrind does not listen";

    my $request = "GET /static/page/index.gif HTTP/1.1\r\n"
        . "Host: gw.example.com\r\nUser-Agent: curl/7.88.1\r\n"
        . "Accept: */*\r\nX-Request-Id: abc\r\n"
        . "Authorization: Bearer xyz\r\n\r\n";

    for (1 .. $n) {
        my $answer = '';

        syswrite $s, $request;
        sysread $s, $answer, 65536, length $answer or die 'closed'
            while $answer !~ /\r\n\r\n.{43}\z/s;
    }

    kill QUIT => $pid;
    waitpid $pid, 0;

    return slurp("$dir/$name.valgrind.$n") =~ /Collected : (\d+)/ ? $1 : die;
}

my $load = "load_module $module;";
my $http = "approval_redis unix:$dir/none.sock; approval_key $keys->{secret};"
           . " approval_group admins alice;";
my $server = 'approval p; approval_requester $http_x_agent;';
my $plain;

for ([ 'plain', '', '', '' ], [ 'unused', $load, '', '' ],
     [ 'rules-10', $load, $http . rules(10), $server ],
     [ 'rules-1000', $load, $http . rules(1000), $server ])
{
    my ($name, @conf) = @$_;
    my $each = (instructions($name, @conf, 3000)
                - instructions($name, @conf, 1000)) / 2000;

    $plain //= $each;
    printf "ungated  %-10s %8.0f instructions a request, %+.2f %%\n",
           $name, $each, 100 * ($each / $plain - 1);
}
