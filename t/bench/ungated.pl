#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Instructions that a keep-alive request of no rule's concern costs under
# callgrind: plain nginx, the module loaded and unused, a location without a
# policy beside ones with 10 rules, 10 and 1,000 rules that do not match.  They
# mix what rules are made of: paths, methods, headers, arguments and regexes,
# each regex with a literal beginning or beside a path; and the request has a
# query string.  The slope between two numbers of requests leaves starting and
# stopping out.  ONLY='file|gif' measures these instead of the proxied request.
#
# All instructions count, those of libc and of nginx's own functions as well.
# Two things would differ by accident, by more than the module costs.  What a
# block of memory costs depends on all blocks before it, so heap.c stands in
# for libc's heap.  And nginx's tree of timers is empty if one client is all it
# has, so that the module's few timers double it; IDLE others (default 32) are
# connected and idle, as a server's clients are.
#
# Where a request's pool needs one block more is chance, too: each configuration
# runs with LAYOUTS paddings (default 8) that move the pool through the whole of
# a block, and is compared with plain nginx under the same: what is told is the
# mean difference, beside plain nginx without padding.  "ours" are the module's
# own instructions and what nginx's phase engine spends on calling it, less what
# it saves there.

BEGIN { $ENV{APPROVAL_TEST_TIMEOUT} //= 3600 }

use strict;
use warnings;
use lib 't/lib', 't/bench';
use Approval::Test;
use Bench;
use File::Path qw(make_path);
use IO::Socket::INET;

my $layouts = $ENV{LAYOUTS} // 8;
my $idle = $ENV{IDLE} // 32;
my ($few, $many) = (300, 1300);

my $dir = tempdir();
my $keys = make_keys($dir);
my $redis = Approval::Redis->new;
my $module = module_path();

my $request = join("\r\n", 'GET /v1/things/42?x=1 HTTP/1.1',
    'Host: gw.example.com', 'User-Agent: curl/7.88.1', 'Accept: */*',
    'X-Request-Id: abc', 'Authorization: Bearer xyz') . "\r\n\r\n";

my $heap = build_dir() . '/heap.so';

system('gcc', qw(-O2 -shared -fPIC -fno-builtin -o), $heap, 't/bench/heap.c')
    == 0 or die 't/bench/heap.c does not compile';

make_path("$dir/html/v1/things");
spew("$dir/html/v1/things/42", 'x' x 1024);

my $upstream = Approval::Nginx->new(module => 0, http => <<'EOF');
    access_log off; keepalive_requests 1000000000;
    server { listen 127.0.0.1:%%PORT%%; location / { empty_gif; } }
EOF

my %content = (proxy => 'proxy_pass ' . $upstream->url . ';',
               file => "root $dir/html;", gif => 'empty_gif;');

my $load = "load_module $module;";
my $http = "approval_redis @{[ $redis->url ]}; approval_key $keys->{secret};"
           . " approval_group admins alice;";
my $on = 'approval p; approval_requester $http_x_agent;';

my @configurations = (
    [ 'plain', '', '', '' ], [ 'unused', $load, '', '' ],
    [ 'off', $load, $http . rules(10), '' ],
    [ '10 rules', $load, $http . rules(10), $on ],
    [ '1000 rules', $load, $http . rules(1000), $on ],
);

my $only = $ENV{ONLY} // 'proxy';

for my $workload (sort { $b cmp $a } grep { /$only/ } keys %content) {
    my @plain;

    for (@configurations) {
        my ($name, @conf) = @$_;
        my @runs = map { measure($workload, $_, @conf) } 0 .. $layouts - 1;

        @plain = @runs unless @plain;

        my %each = map { my $what = $_;
                         $what => $plain[0]{$what}
                                  + mean(map { $runs[$_]{$what}
                                               - $plain[$_]{$what} }
                                             0 .. $#runs) }
                       qw(total module phases);

        my $own = $each{module} + $each{phases} - $plain[0]{phases};

        printf "ungated  %-5s  %-25s %7.0f instructions a request, %+6.2f %%; "
               . "ours %5.0f, %+6.2f %%\n", $workload, $name, $each{total},
               100 * ($each{total} / $plain[0]{total} - 1), $own,
               100 * $own / $plain[0]{total};

        my $most = $name =~ /^10 / ? 1 : $name =~ /^1000/ ? 2 : next;

        figure("$workload, $name: instructions over plain, all", "<= +$most %",
               sprintf('%+.2f %%', 100 * ($each{total} / $plain[0]{total} - 1)),
               $each{total} <= $plain[0]{total} * (1 + $most / 100));
        figure('  the module\'s and the phases\' only', '-',
               sprintf('%+.2f %%', 100 * $own / $plain[0]{total}));
    }
}

done_testing();


sub mean {
    my $sum = 0;

    $sum += $_ for @_;

    return $sum / @_;
}


sub rules {
    my ($n) = @_;

    my @shapes = (
        'match $request_method POST; match $uri /v1/things/%d/purge;',
        'match $request_method DELETE PUT; match $uri ^/v1/things/%d;',
        'match $uri ^/v1/areas/%d/;',
        'match $uri ~^/v1/databases/%d/(?<name>[a-z]+)$;',
        'match $uri ~^/v1/clusters/%d/; match $http_x_env prod;',
        'match $http_x_tenant tenant-%d;',
        'match $arg_job job-%d;',
        'match $uri ^/v1/users/%d; match $http_x_role ~^admin-[0-9]+$;',
        'match $uri ^/v1/jobs/%d; match $arg_force ~^(?:1|true|yes)$;',
        'match $request_method PATCH; match $arg_mode mode-%d;',
    );

    return join '', "approval_policy p {\n",
        (map { sprintf("rule r%d { $shapes[$_ % @shapes] require admins; }\n",
                       $_, $_) } 1 .. $n), "}\n";
}


sub measure {
    my ($workload, $layout, @conf) = @_;

    my @counts = map { count($workload, $layout, @conf, $_) } $few, $many;

    return { map { $_ => ($counts[1]{$_} - $counts[0]{$_}) / ($many - $few) }
                 keys %{ $counts[0] } };
}


sub count {
    my ($workload, $layout, $load, $http, $server, $n) = @_;

    my $port = free_port();
    my $out = "$dir/callgrind";
    my $padding = padding($layout);
    my $temp = join ' ', map { "${_}_temp_path $dir/temp;" }
                             qw(client_body proxy fastcgi scgi uwsgi);

    spew("$dir/conf", <<"EOF");
$load
daemon off; master_process off; pid $dir/pid; error_log $dir/log error;
events { worker_connections 512; }
http {
    access_log off; keepalive_requests 1000000; keepalive_timeout 1h; $temp
    $padding $http
    server { listen 127.0.0.1:$port; $server
             location / { $content{$workload} } }
}
EOF

    my $pid = fork // die "fork: $!";

    if (!$pid) {
        open STDERR, '>', "$dir/valgrind";
        open STDOUT, '>', '/dev/null';
        $ENV{LD_PRELOAD} = $heap;
        exec 'valgrind', '--tool=callgrind', "--callgrind-out-file=$out",
             '/usr/sbin/nginx', '-p', $dir, '-c', "$dir/conf"
            or die "exec: $!";
    }

    my $s = wait_for(sub { IO::Socket::INET->new("127.0.0.1:$port") }, 300)
        or die 'nginx under valgrind does not listen: '
               . slurp("$dir/valgrind");

    my @idle = map { IO::Socket::INET->new("127.0.0.1:$port") // die $! }
                   1 .. $idle;

    for my $client (@idle, ($s) x $n) {
        syswrite $client, $request;
        answer($client);
    }

    kill QUIT => $pid;
    waitpid $pid, 0;

    return parse($out);
}


# A variable that a log format names is 16 bytes in the pool of each request,
# of 4,096 in all; that nothing evaluates it keeps it free otherwise.

sub padding {
    my ($layout) = @_;

    my @names = map { "pad$_" } 1 .. 256 * $layout / $layouts;

    return join '', (map { "map \$host \$$_ { a b; c$_ d; }\n" } @names),
                    @names ? "log_format pad '@{[ map { qq(\$$_) } @names ]}';"
                           : '';
}


sub answer {
    my ($s) = @_;

    my $text = '';

    for ( ;; ) {
        sysread $s, $text, 65536, length $text or die "closed: $text";
        next unless $text =~ /^Content-Length: (\d+)\r.*?\r\n\r\n(.*)/ms;
        next if length $2 < $1;
        die $text unless $text =~ /^HTTP.1.1 200/;
        return;
    }
}


# Self cost by object and function; the line after calls= is the callee's.

sub parse {
    my ($file) = @_;

    my %sum = (total => 0, module => 0, phases => 0);
    my ($ob, $fn, $skip, %name) = ('', '');

    for (split /\n/, slurp($file)) {
        if (/^(c?)(ob|fn)=\((\d+)\)(?: (.*))?/) {
            $name{"$2$3"} = $4 if defined $4;
            next if $1;
            $ob = $name{"ob$3"} if $2 eq 'ob';
            $fn = $name{"fn$3"} if $2 eq 'fn';
        } elsif (/^calls=/) {
            $skip = 1;
        } elsif (/^(?:[-+]?\d+|\*) (\d+)$/) {
            my $cost = $skip ? 0 : $1;
            $skip = 0;
            $sum{total} += $cost;
            $sum{module} += $cost if $ob =~ /approval_module/;
            $sum{phases} += $cost if $fn =~ /^ngx_http_(?:core_\w+_phase(?:s)?
                                             |core_run_phases|log_request)$/x;
        }
    }

    return \%sum;
}
