#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# nginx -t: each configuration that could not do what it says is refused with
# the file, the line, the directive and the remedy; each good one is accepted;
# and what is inherited is inherited.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Gateway;

need_module();
need(qw(openssl));


my $dir = tempdir();
my $keys = make_keys($dir);
my $whsec = 'whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=';

sub file { spew("$dir/$_[0]", $_[1]) }

my %file = (
    group     => file('group', "# on call\n\n carol \r\nDave\@example.com\n"),
    badgroup  => file('badgroup', "carol\n\nd\x{1}ve\n"),
    nogroup   => file('nogroup', "# nobody\n"),
    keys      => file('keys', ('ab' x 32) . "\n# old\n" . ('cd' x 32) . "\n"),
    base64    => file('base64', "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n"),
    shortkey  => file('shortkey', ('ab' x 32) . "\nabcd\n"),
    emptykey  => file('emptykey', "\n"),
    password  => file('password', "s3cret-canary\n"),
    nopass    => file('nopass', "\n"),
    secrets   => file('secrets', "$whsec\n\n$whsec\n"),
    nosecret  => file('nosecret', "\n\n"),
    badsecret => file('badsecret', "whsec_c2hvcnQtY2FuYXJ5\n"),
    big       => file('big', 'x' x 70000),
    rsa       => file('rsa', ''),
    ca        => file('ca', "no certificate\n"),
    pem       => file('pem', "-----BEGIN CERTIFICATE-----\n"),
);

system("openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048"
       . " -out $dir/rsa 2> /dev/null") == 0 or die 'openssl';

my $ngx = Approval::Nginx->new(start => 0);

my $redis = 'approval_redis unix:/nowhere/redis.sock;';
my $key = "approval_key $keys->{secret};";
my $base = <<"EOF_BASE";
$redis
$key
approval_base_url https://gw.example.com/_approval;
approval_group admins alice bob;
approval_channel hook { pass /_notify; }
EOF_BASE


# a policy "p" with one rule "r" of these lines

sub rule { return "approval_policy p { rule r {\n$_[0]\n} }" }

sub held { return $base . rule("match \$uri ^/x;\nrequire admins;\n$_[0]") }

sub server { return "server { listen 127.0.0.1:%%PORT%%;\n$_[0]\n}" }


# "#!" stands in the line that the message has to name

sub refused {
    my ($name, $http, $regex, $file) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($code, $out) = $ngx->test_conf(http => $http);
    my ($line) = grep { /\[emerg\]/ && $_ =~ $regex } split(/^/, $out);

    my @text = split(/^/, slurp($file // $ngx->path('nginx.conf')));
    my ($want) = grep { $text[$_ - 1] =~ /#!/ } 1 .. @text;

    $file //= $ngx->path('nginx.conf');
    $line //= '';

    my $ok = $code == 1 && $line && $out !~ /Sanitizer|runtime error/
             && (!$want || $line =~ / in \Q$file\E:$want$/);

    ok($ok, "refused: $name")
        or diag($want ? "line $want: " : '', "status $code: $out");
}


# of what belongs to a whole configuration, and is not in these, t/lint.t has
# the warnings

my $parts = 'approval_lint off unused-policy no-api pass-location
    number-absent unverified-identity;';

sub accepted {
    my ($name, $http, $regex) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($code, $out) = $ngx->test_conf(http => "$parts\n$http");

    my $ok = $code == 0 && $out !~ /\[(?:emerg|alert|crit)\]|Sanitizer|runtime/
             && ($regex ? $out =~ $regex : $out !~ /\[warn\]/);

    ok($ok, "accepted: $name") or diag("status $code: $out");
}


subtest 'approval_redis' => sub {
    for (['nothing', '', qr/invalid number of arguments in "approval_redis"/],
         ['no scheme', 'localhost:6379', qr{invalid Redis URL: use "redis://}],
         ['http', 'http://localhost', qr/invalid Redis URL/],
         ['no host', 'redis://', qr/no host in the Redis address/],
         ['bad port', 'redis://127.0.0.1:99999', qr/invalid port/],
         ['unknown host', 'redis://no-such-host.invalid', qr/host not found/],
         ['bad database', 'redis://127.0.0.1/x', qr/database "x": use a numb/],
         ['bad unix db', 'unix:/x:-1', qr/invalid Redis database "-1"/],
         ['no unix path', 'unix:', qr/no path in the unix domain socket/],
         ['large database', 'redis://127.0.0.1/65536', qr/database "65536"/],
         ['bad IPv6', 'redis://[::1', qr/invalid host in the Redis address/],
         ['user alone', 'redis://bob@127.0.0.1', qr/user "bob", but no passw/],
         ['parameter', 'unix:/x pool=3', qr/unknown parameter "pool=3": use/],
         ['no sentinel', 'redis://127.0.0.1 sentinel=',
          qr/invalid sentinel name: use the name that "sentinel monitor"/],
         ['space in it', 'redis://127.0.0.1 "sentinel=a b"',
          qr/invalid sentinel name/],
         ['sentinel, unix', 'unix:/x sentinel=gw',
          qr{has "sentinel=", but its URL is a unix socket: list the sent}],
         ['no sentinel, but', "redis://127.0.0.1 "
          . "sentinel_password_file=$file{password}",
          qr/has "sentinel_password_file=", but not "sentinel=NAME"/],
         ['an empty file', 'redis://127.0.0.1 sentinel=gw '
          . "sentinel_password_file=$file{nopass}", qr/contains no password/],
         ['two hosts', 'redis://127.0.0.1,no-such-host.invalid',
          qr/host not found in the Redis address "no-such-host.invalid"/],
         ['an empty host', 'redis://127.0.0.1,,127.0.0.2',
          qr/no host in the Redis address/],
         ['a last comma', 'redis://127.0.0.1,/1', qr/no host in the Redis addr/],
         (map { [ "shards=$_", "unix:/x shards=$_", qr/invalid number of shards/] }
              '', 0, -1, 257, '4x'),
         (map { [ "replicas=$_", "unix:/x replicas=$_",
                  qr/invalid number of replicas: use 0 to 16/ ] }
              '', -1, 17, 'all'),
         ['empty prefix', 'unix:/x prefix=', qr/invalid prefix: it must not/],
         ['brace in it', 'unix:/x "prefix=a{"', qr/invalid prefix/],
         ['brace in it', 'unix:/x "prefix=a}"', qr/invalid prefix/],
         ['no timeout', 'unix:/x timeout=0', qr/invalid timeout: use a time/],
         ['bad timeout', 'unix:/x timeout=soon', qr/invalid timeout/],
         ['retention', 'unix:/x retention=10ms', qr/invalid retention: use/],
         ['retention', 'unix:/x retention=x', qr/invalid retention/],
         ['no file', 'unix:/x password_file=/no/such', qr/No such file/],
         ['a directory', "unix:/x password_file=$dir", qr/is not a file/],
         ['a large file', "unix:/x password_file=$file{big}",
          qr/larger than 4096 bytes/],
         ['an empty file', "unix:/x password_file=$file{nopass}",
          qr/contains no password/],
         ['two passwords', "redis://:x\@127.0.0.1 password_file=$file{password}",
          qr/has two passwords/],
         ['CA without TLS', "redis://127.0.0.1 trusted_certificate=$file{ca}",
          qr{"trusted_certificate=", but not a "rediss://" URL}],
         ['bad CA', "rediss://127.0.0.1 trusted_certificate=$file{ca}",
          qr{cannot use "trusted_certificate=\Q$file{ca}\E": use a file with}])
    {
        my ($name, $args, $regex) = @$_;

        refused($name, "approval_redis $args; #!", $regex);
    }

    refused('twice', "$redis\n$redis #!", qr/"approval_redis" directive is dup/);
    refused('in a server', server("$redis #!"),
            qr/"approval_redis" directive is not allowed here/);

    accepted("approval_redis $_", "approval_redis $_;")
        for 'redis://127.0.0.1', 'redis://127.0.0.1:6380/2',
            'redis://localhost', 'redis://[::1]:6379/1', 'redis://[::1]',
            'redis://:pw@127.0.0.1', 'redis://bob:p%40ss@127.0.0.1:6379/0',
            'rediss://127.0.0.1', 'rediss://bob:pw@localhost:6380/1',
            'unix:/run/redis.sock', 'unix:/run/redis.sock:3',
            'unix:/x prefix=gw: timeout=250ms retention=30d',
            'unix:/x shards=1', 'unix:/x shards=256',
            'unix:/x replicas=0', 'unix:/x replicas=16',
            "redis://bob\@127.0.0.1 password_file=$file{password}",
            "unix:/x password_file=$file{password}",
            'redis://127.0.0.1:1,[::1]:2,localhost/3',
            'redis://:pw@127.0.0.1,127.0.0.2:26380/1 sentinel=my-master.1_x',
            'rediss://bob:pw@127.0.0.1,localhost sentinel=gw '
            . "sentinel_password_file=$file{password}",
            'rediss://127.0.0.1 '
            . 'trusted_certificate=/etc/ssl/certs/ca-certificates.crt';

    my ($code, $out) = $ngx->test_conf(
        http => "approval_redis redis://u:s3cret-canary\@nowhere.invalid;");

    ok($code && $out !~ /s3cret-canary/, 'no message quotes a password')
        or diag($out);
};


subtest 'approval_key, approval_signing_key' => sub {
    refused('no file', 'approval_key /no/such; #!', qr/No such file/);
    refused('short', "approval_key $file{shortkey}; #!",
            qr/invalid key file "\Q$file{shortkey}\E", line 2: /);
    refused('empty', "approval_key $file{emptykey}; #!", qr/contains no secret/);
    refused('large', "approval_key $file{big}; #!", qr/larger than 65536/);
    refused('twice', "$key\n$key #!",
            qr/"approval_key" directive is duplicate: to use several keys/);
    refused('no PEM', "approval_signing_key $file{keys}; #!",
            qr/invalid signing key .*openssl genpkey -algorithm ed25519/);
    refused('RSA', "approval_signing_key $file{rsa}; #!",
            qr/invalid signing key .*Ed25519/);
    refused('public', "approval_signing_key $keys->{public}; #!",
            qr/invalid signing key/);
    refused('twice', ("approval_signing_key $keys->{signing};\n" x 2) =~ s/$/#!/r,
            qr/"approval_signing_key" directive is duplicate/);

    accepted("approval_key $_", "approval_key $file{$_};") for qw(keys base64);
    accepted('both', "$key approval_signing_key $keys->{signing};");
};


subtest 'people' => sub {
    refused('no identity', 'approval_group admins; #!', qr/number of arguments/);
    refused('no name', 'approval_group "" alice; #!', qr/invalid name ""/);
    refused('a name in two words', 'approval_group "db admins" alice; #!',
            qr/invalid name "db admins" of a group: it must not contain blanks/);
    refused('an invisible one', "approval_group g al\xe2\x80\x8bice; #!",
            qr/invalid identity/);
    refused('not UTF-8', "approval_group g al\xffice; #!", qr/invalid identity/);
    refused('a long one', 'approval_group g ' . 'a' x 257 . '; #!',
            qr/invalid identity/);
    refused('empty', 'approval_group g ""; #!', qr/invalid identity ""/);
    refused('no file', 'approval_group g file:/no/such; #!', qr/No such file/);
    refused('no name of a file', 'approval_group g file:; #!',
            qr/is not a file/);
    refused('a bad line', "approval_group g file:$file{badgroup}; #!",
            qr/invalid identity .* in "\Q$file{badgroup}\E", line 3: /);
    refused('alias of one', 'approval_alias alice; #!', qr/number of arguments/);
    refused('alias of nobody', 'approval_alias alice ""; #!',
            qr/"" and "alice" cannot be declared the same person: /);
    refused('group without members',
            "$base\napproval_policy p { rule r { #!\nrequire ghosts; } }",
            qr/group "ghosts" in "require" of rule "r" has no members: declare/);
    refused('file without members',
            "$base approval_group ghosts file:$file{nogroup};\n"
            . "approval_policy p { rule r { #!\nrequire ghosts; } }",
            qr/group "ghosts" in "require" of rule "r" has no members/);

    accepted('in several lines and from a file',
             "$base approval_group ops erin;\napproval_group ops "
             . "file:$file{group} frank;\n" . rule('require 4 of ops;'));
    accepted('declared after use',
             rule("require 2 of late;\nnotify after;") . "$base
             approval_alias carol C\@example.com;
             approval_group late carol dave;
             approval_channel after { pass /n; }");
};


subtest 'quorum' => sub {
    my $policy = sub { "$base$_[0]\napproval_policy p { rule r { #!\n$_[1]\n} }" };

    refused('more than there are', $policy->('', 'require 3 of admins;'),
            qr/rule "r" requires 3 approvers, but its groups have only 2 members/);
    refused('"of" is missing', $policy->('', 'require 2 admins;'),
            qr/group "2" in .* has no members.*, or write "require N of GROUP"/);
    refused('more denials than there are people',
            $policy->('', 'require admins; deny_after 3;'),
            qr/"deny_after" of rule "r" is 3, but its groups have only 2 members/);
    accepted('as many', $policy->('approval_group others carol;',
             'require admins; require others; deny_after 3;'));
    refused('a group twice', $policy->('', 'require 3 of admins admins;'),
            qr/requires 3 approvers, but its groups have only 2 members/);
    refused('one person twice', $policy->('approval_alias alice bob;',
            'require 2 of admins;'),
            qr/requires 2 approvers, but its groups have only 1 members/);
    refused('the same person in two groups',
            $policy->('approval_group a alice; approval_group b Alice;',
                      "require a;\nrequire b;"),
            qr/lines of rule "r" can never all be filled/);
    refused('three lines, two persons',
            $policy->('', "require admins;\n" x 3), qr/never all be filled/);
    refused('"of" nobody', held("require 2 of; #!") =~ s/require admins;\n//r,
            qr/"require" directive has no name of a group/);
    refused('none of', held('') =~ s/require admins/require 0 of admins/r,
            qr/invalid number of approvers "0": use 1 to 256/);
    refused('many', held('') =~ s/require admins/require 257 of admins/r,
            qr/invalid number of approvers "257"/);
    refused('a word', held('') =~ s/require admins/require two of admins/r,
            qr/invalid number of approvers "two"/);
    refused('too many lines', held("require admins;\n" x 15 . 'require admins;#!'),
            qr/rule "r" has more than 16 "require" lines/);
    refused('an empty group', held('require ""; #!'), qr/invalid name ""/);

    accepted('two of one', held('') =~ s/require admins/require 2 of admins/r);
    accepted('a matching that takes some search',
             "$base approval_group a alice; approval_group ab alice bob;\n"
             . rule("require ab;\nrequire a;"));
    accepted('two lines of many people', $base . 'approval_group many '
             . join(' ', map { "p$_" } 1 .. 400) . ";\n"
             . rule("require 200 of many;\nrequire admins;\nrequire 56 of many;"));
    accepted('a group named "of"',
             "$base approval_group of alice; " . rule('require of admins;'));
};


subtest 'channels' => sub {
    my $channel = sub { "approval_channel c {\n$_[0]\n}" };

    refused('no pass', $channel->('') . '#!',
            qr/channel "c" has neither "pass" nor "url": add/);
    refused('pass to a URL', $channel->('pass http://x;') . '#!',
            qr/"pass http:\/\/x" of channel "c" is not the URI of a location: start/);
    refused('pass with a variable', $channel->('pass /x$host;') . '#!',
            qr/"pass" of channel "c" contains a variable, or a character that a/);
    refused('pass with a blank', $channel->('pass "/a b";') . '#!',
            qr/"pass" of channel "c" contains a variable, or a character that a/);
    refused('pass with a line feed', $channel->("pass \"/a\nb\";") . '#!',
            qr/"pass" of channel "c" contains a variable, or a character that a/);
    accepted('pass with arguments', $channel->('pass /n?a=b%20c;'));
    refused('pass twice', $channel->("pass /a;\npass /b; #!"),
            qr/"pass" directive is duplicate/);
    refused('twice', $channel->('pass /a;') . "\napproval_channel c { #!\n}",
            qr/channel "c" is declared twice: first in .*:\d+/);
    refused('no name', 'approval_channel "" { #!' . "\n pass /x; }",
            qr/invalid name ""/);
    refused('a plain secret', $channel->("pass /a;\nsecret s3cret-canary; #!"),
            qr/the secret of channel "c" is invalid: use "whsec_" and the base64/);
    refused('a short one', $channel->("pass /a;\nsecret whsec_YWJj; #!"),
            qr/secret of channel "c" is invalid: use "whsec_" and the base64 of 24/);
    refused('no base64', $channel->("pass /a;\nsecret whsec_****; #!"),
            qr/is invalid: use "whsec_" and the base64/);
    refused('no secret file', $channel->("secret file:/no/such; #!"),
            qr/No such file/);
    refused('an empty file', $channel->("secret file:$file{nosecret}; #!"),
            qr/"\Q$file{nosecret}\E" contains no secret: put one on each line/);
    refused('a bad file', $channel->("secret file:$file{badsecret}; #!"),
            qr/the secret of channel "c" is invalid: use "whsec_"/);
    refused('timeout 0', $channel->("pass /a; timeout 0;") . '#!',
            qr/"timeout" of channel "c" must be greater than 0/);
    refused('bad timeout', $channel->("timeout x; #!"), qr/"timeout" directive/);
    refused('retries', $channel->('retries 21; #!'),
            qr/value must be between 0 and 20/);
    refused('backoff', $channel->('backoff 1s; #!'), qr/number of arguments/);
    refused('backoff', $channel->('backoff a b; #!'),
            qr/"backoff" directive invalid value: use two times/);
    refused('backoff falls', $channel->('pass /a; backoff 2s 1s;') . '#!',
            qr/invalid "backoff" of channel "c": the first time must be greater/);
    refused('backoff 0', $channel->('pass /a; backoff 0 1s;') . '#!',
            qr/"backoff" of channel "c"/);
    refused('backoff twice', $channel->("backoff 1s 2s;\nbackoff 1s 2s; #!"),
            qr/"backoff" directive is duplicate/);
    refused('per_approver', $channel->('per_approver 1; #!'),
            qr/invalid value "1" in "per_approver" directive, it must be/);
    refused('type', $channel->('type pigeon; #!'),
            qr/invalid value "pigeon" in "type": use "json", .* or "template" in/);
    refused('disclose', $channel->('disclose all; #!'),
            qr/invalid value "all" in "disclose": use "declared" or "request" in/);
    refused('disclose twice',
            $channel->("disclose request;\ndisclose request; #!"),
            qr/"disclose" directive is duplicate/);
    refused('disclose nothing', $channel->('disclose; #!'),
            qr/number of arguments in "disclose"/);
    refused('a policy in it', $channel->('rule x {} #!'), qr/not allowed here/);
    refused('unknown channel',
            "$base approval_policy p { rule r { #!\nrequire admins;\n"
            . 'notify nobody; } }',
            qr/unknown channel "nobody" in "notify" of rule "r": declare it/);
    refused('the same twice',
            "$base approval_policy p { rule r { #!\nrequire admins;\n"
            . "notify hook;\nnotify hook; } }",
            qr/"notify" of rule "r" names channel "hook" twice/);
    accepted('no base URL', ($base =~ s/^approval_base_url.*$//mr)
             . "approval_policy p { rule r { require admins; notify hook; } }",
             qr/messages have no links, because there is no "approval_base_url"/);
    refused('a base URL ' . $_->[0], "approval_base_url $_->[1]; #!",
            qr/"approval_base_url .*" is not a URL that links .*: $_->[2]/)
        for ['without scheme', 'gw.example/x', 'it starts neither with "https'],
            ['that is empty', '""', 'it starts neither with'],
            ['of a script', 'javascript:x', 'it starts neither with'],
            ['without host', 'https://', 'its host is invalid'],
            ['with a blank', '"https://x y/a"', 'it has a character that a U'],
            ['with a query', 'https://x/a?b=c', 'it has a character that links'],
            ['with a fragment', 'https://x/a#b', 'it has a character that links'],
            ['with a tag', '"https://x/<b>"', 'it has a character that links'],
            ['with a bad port', 'https://x:0/a', 'its port is invalid'];
    accepted("approval_base_url $_", "approval_base_url $_;")
        for 'https://gw.example.com/_approval/', 'http://127.0.0.1:8080',
            '$scheme://$host/_approval';
    refused('base URL twice', $base . 'approval_base_url https://x; #!',
            qr/"approval_base_url" directive is duplicate/);

    refused('pass and url', $channel->("pass /a;\nurl http://127.0.0.1/;") . '#!',
            qr/channel "c" has both "pass" and "url": remove one of them/);
    refused('url twice',
            $channel->("url http://127.0.0.1/;\nurl http://127.0.0.1/; #!"),
            qr/"url" directive is duplicate/);
    refused('a url without scheme', $channel->('url hooks.s3cret-canary/x; #!'),
            qr/invalid "url" of channel "c": it starts neither with "https:/);
    refused('a url with a user', $channel->('url https://u:p@h/x; #!'),
            qr/invalid "url" of channel "c": it contains a user/);
    refused('a file without a name', $channel->('url file:; #!'),
            qr/is not a file/);
    refused('a file without a name', $channel->('secret file:; #!'),
            qr/is not a file/);
    refused('no url file', $channel->('url file:/no/such; #!'), qr/No such file/);
    refused('an empty one', $channel->("url file:$file{nosecret}; #!"),
            qr/the first line of "\Q$file{nosecret}\E" is empty/);
    refused('a host without resolver', "approval_channel c { #!\n"
            . 'url https://hooks.example.com/x; }',
            qr/"url" of channel "c" has a host name, but there is no "resolver"/);
    refused('signing_secret with json',
            $channel->('pass /n; signing_secret 0123456789abcdef;') . '#!',
            qr/"signing_secret" of channel "c" has no effect without "type slack"/);
    accepted('a short one',
             $channel->("type slack; pass /n;\nsigning_secret s3cret-canary;"),
             qr/"signing_secret" of channel "c" is shorter than 16 characters/);
    refused('secret with slack', $channel->("type slack; pass /n; secret $whsec;")
            . '#!', qr/"secret" of channel "c" has no effect without "type json"/);
    refused('certificates without https', $channel->("pass /n; "
            . "trusted_certificate $file{pem};") . '#!',
            qr/the certificates of channel "c" have no effect without TLS: use/);
    refused('a certificate without key', $channel->('url https://127.0.0.1/;'
            . " certificate $file{pem};") . '#!',
            qr/channel "c" has only one of "certificate" and "certificate_key"/);
    refused('no certificate in it', $channel->('url https://127.0.0.1/;'
            . "\n$_->[0] $file{ca}; #!\n"),
            qr/"\Q$file{ca}\E" in "$_->[0]" has no $_->[1] in PEM: check/)
        for ['trusted_certificate', 'CERTIFICATE'],
            ['certificate', 'CERTIFICATE'], ['certificate_key', 'PRIVATE KEY'];
    refused('twice', $channel->('url https://127.0.0.1/;'
            . "\n" . "trusted_certificate $file{pem}; " x 2 . "#!\n"),
            qr/"trusted_certificate" directive is duplicate/);
    accepted('escalate to pass', held('escalate 5m hook;'));
    accepted('remind by pass', held('notify hook; remind 5m;'));
    accepted('escalate after the hold', held('hold 1m; escalate 5m hook;'),
             qr/"escalate" of rule "r" never reaches channel "hook", because its/);
    accepted('remind after the hold', held('hold 1m; notify hook; remind 1m;'),
             qr/"remind" of rule "r" never reaches channel "hook", because its/);
    refused('escalate never', held('escalate 0 hook; #!'),
            qr/"escalate" directive invalid value: use a time and channels/);
    refused('remind nobody', "$base approval_policy p { rule r { #!\n"
            . "require admins;\nremind 5m; } }",
            qr/"remind" of rule "r" has no effect, because the rule notifies/);
    refused('remind', held('remind 0; #!'), qr/"remind" directive invalid value/);
    refused('remind twice', held("remind 1m;\nremind 1m; #!"),
            qr/"remind" directive is duplicate/);

    accepted('by url', "$base resolver 127.0.0.1; approval_channel s {
        type slack; url https://hooks.slack.com/services/x;
        signing_secret 0123456789abcdef; } approval_channel t {
        type teams; url http://localhost:9/; }"
        . rule("require admins;\nnotify s hook;\nescalate 5m t;\n"
               . "escalate 10m s t;\nremind 2m;"));
    accepted('all of it', $base . $channel->(
        "type json; pass /n;\nsecret $whsec;\nsecret file:$file{secrets};"
        . 'timeout 2s; retries 0; backoff 100ms 1m; per_approver on; disclose request;')
        . rule("require admins;\nnotify hook c;"));
    accepted('a base URL with variables', ($base =~ s{https://gw}{\$scheme://gw}r)
             . rule("require admins;\nnotify hook;"));
};


subtest 'approval_policy' => sub {
    refused('off', 'approval_policy off { #!' . "\n}",
            qr/a policy cannot be named "off"/);
    refused('no name', 'approval_policy "" { #!' . "\n}", qr/invalid name ""/);
    refused('a control character', "approval_policy \"a\tb\" { #!\n}",
            qr/invalid name "a\tb"/);
    refused('twice', "approval_policy p { }\napproval_policy p { #!\n}",
            qr/policy "p" is declared twice: first in .*:\d+/);
    refused('in a server', server("approval_policy p { #!\n}"),
            qr/"approval_policy" directive is not allowed here/);
    refused('default', "approval_policy p { default maybe; #!\n}",
            qr/invalid value "maybe"/);
    refused('default', "approval_policy p { default deny;\ndefault deny; #!\n}",
            qr/"default" directive is duplicate/);
    refused('body_limit', "approval_policy p { body_limit lots; #!\n}",
            qr/"body_limit" directive invalid value: use a size, for example "1m"/);
    refused('body_limit', "approval_policy p { body_limit 0; } #!",
            qr/"body_limit" of policy "p" must be greater than 0/);
    refused('strict_path', "approval_policy p { strict_path yes; #!\n}",
            qr/invalid value "yes" in "strict_path" directive/);
    refused('foreign', "approval_policy p { proxy_pass http://x; #!\n}",
            qr/"proxy_pass" directive is not allowed here/);
    refused('match outside a rule', 'approval_policy p { match $uri /; #!' . "\n}",
            qr/"match" directive is not allowed here/);
    refused('rule outside a policy', "rule r { #!\n}",
            qr/"rule" directive is not allowed here/);
    refused('nonsense', "approval_policy p { frobnicate; #!\n}",
            qr/unknown directive "frobnicate"/);
    refused('unfinished', 'approval_policy p { default deny;',
            qr/unexpected end of file, expecting "}"/);
    refused('unknown', server("approval p; #!"),
            qr/unknown policy "p" in "approval": declare it with "approval_pol/);
    refused('no redis', "$key approval_group g a;\napproval_policy p { #!\n"
            . 'rule r { require g; } }',
            qr/"p" requires approvals, but there is no "approval_redis URL": add/);
    refused('no key', "$redis approval_group g a;\napproval_policy p { #!\n"
            . 'rule r { require g; } }',
            qr/"p" requires approvals, but there is no "approval_key FILE": add/);

    accepted('no rules', 'approval_policy p { }' . server('approval p;'));
    accepted('no rules, deny', 'approval_policy p { default deny; }'
             . server('approval p;'));
    accepted('declared after use', server('approval p;')
             . 'approval_policy p { body_limit 64k; }');
    accepted('strict_path off, with a warning', server('approval p;')
             . 'approval_policy p { strict_path off; }',
             qr/\[warn\] "strict_path off" in policy "p": its rules see a path/);
    accepted('without Redis', rule('match $uri /x; deny;') . server('approval p;'));
    accepted('an unreachable rule, with a warning',
             "approval_policy p { rule a { deny; }\nrule b { deny; } }",
             qr/\[warn\] .*rule "b" never decides: rule "a" before it has no/);
    accepted('a last rule without matches',
             'approval_policy p { rule a { match $uri /; allow; }'
             . ' rule b { deny; } }');
};


subtest 'rule' => sub {
    my $in = sub { rule($_[0]) };

    refused('no outcome', "approval_policy p { rule r { \n} #!\n}",
            qr/rule "r" has no outcome: add "allow", "deny" or "require GROUP"/);
    refused('two', $in->("allow;\ndeny; #!"),
            qr/rule "r" already has an outcome: keep only one of "allow", "deny"/);
    refused('two', $in->("require g;\nallow; #!"), qr/already has an outcome/);
    refused('two', $in->("deny;\nrequire g; #!"), qr/already has an outcome/);
    refused('deny twice', $in->("deny;\ndeny; #!"), qr/already has an outcome/);
    refused('allow with a word', $in->('allow x; #!'), qr/number of arguments/);
    refused('deny with two', $in->('deny x y; #!'), qr/number of arguments/);
    refused('twice', "approval_policy p { rule r { allow; }\nrule r { #!\n"
            . 'allow; } }',
            qr/rule "r" is declared twice in policy "p": first in .*:\d+/);
    refused('no name', "approval_policy p { rule \"\" { #!\nallow; } }",
            qr/invalid name ""/);
    refused('risk', $in->('risk huge; #!'),
            qr/invalid value "huge" in "risk": use "low", "medium", "high" or "critical" in/);
    refused('risk twice', $in->("risk low;\nrisk low; #!"), qr/is duplicate/);
    refused('reason', $in->('reason maybe; #!'), qr/invalid value "maybe"/);
    refused('comment', $in->('comment never; #!'),
            qr/invalid value "never" in "comment": use "optional", "deny" or "always" in/);
    refused('comment twice', $in->("comment deny;\ncomment always; #!"),
            qr/is duplicate/);
    refused('vote', $in->('vote hands; #!'),
            qr/invalid value "hands" in "vote": use "any" or "passkey" in/);
    refused('vote twice', $in->("vote any;\nvote passkey; #!"),
            qr/is duplicate/);
    refused('vote without an origin', "$base approval_policy p { rule r { #!\n"
            . ' match $uri /x; require admins; vote passkey; } }',
            qr/"vote passkey" in rule "r" needs "approval_passkey_origin URL"/);
    accepted('vote any needs none', "$base approval_policy p { rule r {"
             . ' match $uri /x; require admins; vote any; } }');
    refused("origin $_->[0]", "approval_passkey_origin $_->[0]; #!", $_->[1])
        for ['http://gw.example.com', qr/invalid origin .*: use the origin that/],
            ['https://gw.example.com/x', qr/use the origin that browsers show/],
            ['https://gw.example.com:443', qr/remove the default port/],
            ['https://10.0.0.1', qr/use a host name/];
    refused('two origins', "approval_passkey_origin https://a.example;\n"
            . 'approval_passkey_origin https://b.example; #!',
            qr/is duplicate/);

    for my $on ('approval_unsigned_decisions on; approval p;',
                'approval p; approval_unsigned_decisions on;')
    {
        refused('vote passkey beside unsigned decisions', "$base "
                . 'approval_passkey_origin https://gw.example.com;'
                . 'approval_policy p { rule r { match $uri /x; require admins;'
                . ' vote passkey; } }' . server("$on #!\napproval_requester x;"),
                qr/"approval_unsigned_decisions on" contradicts "vote passkey" in/);
    }

    refused('mode', $in->('mode silent; #!'),
            qr/invalid value "silent" in "mode": use "enforce" or "shadow" in/);
    refused('hold', $in->('hold long; #!'),
            qr/"hold" directive invalid value: use a time, for example "15m"/);
    refused('deny_after', $in->('deny_after 0; #!'), qr/equal to or greater than 1|between 1 and 256/);
    refused('deny_after', $in->('deny_after 257; #!'), qr/between 1 and 256/);
    refused('timeout', $in->('timeout never; #!'),
            qr/"timeout" directive invalid value: use a time, for example "15m"/);
    refused("$_ 0", "$base approval_policy p { rule r { require admins; $_ 0;"
            . "} #!\n}", qr/"timeout" and "execute_within" of rule "r" must be/)
        for qw(timeout execute_within);
    refused("$_->[0] with deny", "approval_policy p { rule r { deny; @$_; } #!\n}",
            qr/"$_->[0]" in rule "r" has no effect without "require"/)
        for [deny_after => 2], [timeout => '5m'], [execute_within => '5m'],
            [hold => '5m'], [digest_headers => 'X-A'], [bind => '$http_x_a'],
            [remind => '5m'], [comment => 'deny'], [vote => 'passkey'],
            [escalate => '5m hook'], [notify => 'hook'], [reason => 'required'];
    refused('hold longer than timeout', "$base approval_policy p { rule r {"
            . " require admins;\ntimeout 1m; hold 61s; } #!\n}",
            qr/"hold" of rule "r" is longer than its/);
    refused('mode with allow',
            "approval_policy p { rule r { allow; mode shadow; } #!\n}",
            qr/"mode" in rule "r" has no effect with "allow"/);
    refused('action twice', $in->("action a;\naction b; #!"), qr/is duplicate/);
    refused('summary twice', $in->("summary a;\nsummary b; #!"),
            qr/is duplicate/);
    refused('show alone', $in->('show x; #!'), qr/number of arguments/);
    refused('show twice', $in->("show x \$uri;\nshow x \$host; #!"),
            qr/rule "r" already shows a value as "x": use another name/);
    refused('show without a name', $in->('show "" $uri; #!'), qr/invalid name ""/);
    refused('show a bad pointer', $in->('show x json:a; #!'),
            qr/invalid pointer "json:a": JSON pointer must be empty or start/);
    refused('show a bad variable', $in->('show x $; #!'), qr/invalid variable/);
    refused('redact nothing', $in->('redact; #!'), qr/number of arguments/);
    refused('redact a word', $in->('redact password; #!'),
            qr{cannot redact "password": must be json:/pointer, path:/segments, f});
    refused('redact all', $in->('redact json:; #!'), qr/would redact the whole/);
    refused('redact a bad pointer', $in->('redact json:a; #!'),
            qr/cannot redact "json:a": JSON pointer must be/);
    refused('redact a bad path', $in->('redact path:/reset/; #!'),
            qr{cannot redact "path:/reset/": a path starts with "/" and ends with});
    refused('reveal nothing', $in->('reveal; #!'), qr/number of arguments/);
    refused('reveal no name', $in->('reveal --; #!'),
            qr/cannot reveal "--": name has no letter and no digit/);
    refused('reveal a credential', $in->('reveal authorization; #!'),
            qr/cannot reveal "authorization": it is a credential of the request/);
    refused('reveal what is redacted', $in->("redact form:pin;\nreveal PIN; #!"),
            qr/cannot reveal "PIN": the rule has it in both "redact" and "reveal"/);
    refused('redact what is revealed',
            $in->("reveal release_token;\nredact \$http_release_token; #!"),
            qr/cannot redact "\$http_release_token": the rule has it in both/);
    refused('digest_headers', $in->('digest_headers "X Env"; #!'),
            qr/invalid header "X Env" in "digest_headers": give a header's/);
    refused('bind nothing', $in->('bind; #!'), qr/number of arguments/);
    refused('bind a bad variable', $in->('bind $; #!'), qr/invalid variable/);
    refused('bind a bad pointer', $in->('bind json:a; #!'),
            qr/invalid pointer "json:a"/);
    refused('a capture of another rule', <<'EOF_CONF',
approval_policy p {
    rule a { match $uri "~^/(?<table>[a-z]+)$"; allow; }
    rule r { match $uri /x; deny; summary "drop $approval_arg_table";
    } #!
}
EOF_CONF
            qr/"\$approval_arg_table" in "summary" of rule "r" is always empty, because/);
    refused('a misspelt capture', $in->(
            'match $uri "~^/(?<table>[a-z]+)$"; deny;' . "\n"
            . 'show t "x ${approval_arg_tabel}";') =~ s/\}\s*\}$/} #!\n}/r,
            qr/"\$approval_arg_tabel" in "show" of rule "r" is always empty/);
    refused('a capture of what did not match', $in->(
            'match $uri "!~^/(?<a>x)"; deny;' . "\n"
            . 'summary $approval_arg_a;') =~ s/\}\s*\}$/} #!\n}/r,
            qr/"\$approval_arg_a" in "summary" of rule "r" is always empty/);
    refused('a capture of no rule', $in->('match $uri "~/(?<a>x)"; deny;')
            . 'log_format x "$approval_arg_b";',
            qr/unknown "approval_arg_b" variable: no "match" of any rule has/);
    refused('a capture of no policy', server('return 200 $approval_arg_x;'),
            qr/unknown "approval_arg_x" variable/);

    accepted('captures before and after their use',
             $in->('summary "$approval_arg_a ${approval_arg_b}";'
                   . ' match $uri "~/(?<a>x)"; show y $approval_arg_a;'
                   . ' match json:/x "~(?<b>x)" "~(?<c>y)"; deny;')
             . 'log_format x "$approval_arg_b$approval_arg_c";');
    accepted('everything', held(<<'EOF_RULE'));
        match json:/a/*/b~1c !x <5;
        mcp_tool a ~^b;
        action db.drop;
        risk critical;
        summary "drop $uri";
        show env $http_x_env;
        show rows json:/rows/0;
        redact json:/ssn path:/a/* form:pin $http_x_key $arg_k $cookie_c;
        reveal release_token next-key;
        reason required;
        require 1 of admins;
        deny_after 2;
        comment always;
        timeout 1h;
        hold 10s;
        digest_headers X-Env Host;
        execute_within 30s;
        notify hook;
        mode shadow;
EOF_RULE
};


subtest 'match' => sub {
    my $in = sub { rule("$_[0] #!\ndeny;") };

    refused('no pattern', $in->('match $uri;'), qr/number of arguments/);
    refused('no variable', $in->('match uri /x;'),
            qr{subject "uri" has no variable: use "\$name", "json:/pointer" or});
    refused('the body', $in->('match $request_body x;'),
            qr/"\$request_body" may be empty when rules are judged: use "json:/);
    refused('the body', $in->('match "x${request_body}" x;'),
            qr/"\$request_body" may be empty/);
    refused("match $_->[0]", $in->("match $_->[0];"),
            qr/"\Q$_->[1]\E" @{[$_->[1] =~ m{^!} ? 'always' : 'never']} matches: $_->[2]/)
        for ['$request_method delete', 'delete', 'nginx accepts only upper case'],
            ['$request_method !Get', '!Get', 'nginx accepts only upper case'],
            ['$request_method ^ge', '^ge', 'nginx accepts only upper case'],
            ['$request_method ""', '', 'a method is never empty'],
            ['$uri admin', 'admin', '"\$uri" starts with "/". Use a regex'],
            ['$uri /a *', '*', '"\$uri" starts with "/"'],
            ['$uri ^admin', '^admin', '"\$uri" starts with "/"'],
            ['$uri !admin', '!admin', '"\$uri" starts with "/"'],
            ['$uri ""', '', '"\$uri" starts with "/"'],
            ['$uri /a?b=c', '/a?b=c', '"\$uri" does not include the query'],
            ['$uri ^/a%20b', '^/a%20b', '"\$uri" is decoded. Write the char'],
            ['$host GW.example.com', 'GW.example.com', 'hosts are compared in lo'],
            ['$http_host ^Gw.', '^Gw.', 'hosts are compared in lower case'];
    accepted("match $_", $in->("match $_;"))
        for '$request_method POST !^PROP VERSION-CONTROL ^ ~*^get$',
            '$uri /a ^/b !/c ~admin ^ /100% /5%x !~x \/d',
            '$host gw.example.com ~*GW', '$arg_x \= =x ==x',
            '"$uri$is_args$args" /a?b=c', '$request_uri /a%20b?c';
    refused('a bad variable', $in->('match "$" x;'), qr/invalid variable name/);
    refused('a bad pointer', $in->('match json:a x;'),
            qr/invalid pointer "json:a": JSON pointer must be empty or start wi/);
    refused('a bad escape', $in->('match json:/a~2 x;'),
            qr/invalid pointer "json:\/a~2": "~" in a JSON pointer must be "~0"/);
    refused('a deep pointer', $in->('match json:' . '/a' x 65 . ' x;'),
            qr/JSON pointer has more than 64 segments/);
    refused('no field', $in->('match form: x;'), qr/"form:" has no name of a/);
    refused('a bad regex', $in->('match $uri "~^/(x";'),
            qr/regex "~\^\/\(x" is invalid: missing closing parenthesis/);
    refused('no regex', $in->('match $uri ~;'),
            qr/"~" has no regex: write it without a space before it/);
    refused("an operator: $_->[0]", $in->("match $_->[0] x;"),
            qr/"$_->[1]" is no operator: remove it, as in "match \Q$_->[2]\E"; for the text itself write "\Q$_->[3]\E"/)
        for ['$uri =', '=', '$uri PATTERN', '\='],
            ['$arg_x ==', '==', '$arg_x PATTERN', '\=='],
            ['$http_x !=', '!=', '$http_x !PATTERN', '!\='];
    refused('a name twice', $in->('match $uri "~(?<a>x)"; match $host "~(?<A>y)";'),
            qr/has a group "a", and so does .* of this rule: rename one of them/);
    refused('a name twice', $in->('match $uri "~(?<a>x)(?<b>y)(?<A>z)";'),
            qr/has a group "a", and so does .* of this rule: rename one of them/);
    refused('no number', $in->('match json:/n <many;'),
            qr/compares with "many", which is not a decimal number: write "<100"/);
    refused('a number too large', $in->('match json:/n >9007199254740993;'),
            qr/compares with a number beyond \+-2\^53/);
    refused('two negations', $in->('match $uri !!x;'), qr/negates twice: write/);
    refused('mcp_tool alone', $in->('mcp_tool;'), qr/number of arguments/);
    refused('mcp_tool twice', rule("mcp_tool a;\nmcp_tool b; #!\ndeny;"),
            qr/"mcp_tool" directive is duplicate: list all tools/);
    refused('an unknown variable', rule('match $no_such_thing x; deny;'),
            qr/unknown "no_such_thing" variable/);
};


subtest 'include' => sub {
    my $part = $ngx->path('part.conf');

    $ngx->test_conf(files => { 'part.conf' => "rule a { match \$uri /; deny; }\n",
                               'match.conf' => "match \$uri ^/x;\n",
                               'pass.conf' => "pass /n;\n" });

    accepted('in a policy, a rule and a channel', <<'EOF_CONF');
approval_policy p { include part*.conf; rule b { include match.conf; deny; } }
approval_channel c { include pass.conf; }
EOF_CONF

    accepted('in a policy, a rule and a channel', <<'EOF_CONF');
approval_policy p { rule b { include match.conf; deny; } include part.conf; }
approval_channel c { include pass.conf; }
EOF_CONF

    $ngx->test_conf(files => { 'part.conf' => "rule a {\n    allow x; #!\n}\n" });

    refused('a mistake in it is found there',
            'approval_policy p { include part.conf; }',
            qr/invalid number of arguments in "allow" directive/, $part);
};


subtest 'http, server, location' => sub {
    my $policy = held('');

    accepted('an empty requester', $policy . server('approval p;'
             . ' approval_requester "";'),
             qr/policy "p" requires approvals, but applies where no "approval_re/);
    accepted('no requester', $policy . server("approval p; #!"),
             qr/policy "p" requires approvals, but applies where no "approval_re/);
    accepted('no requester', $policy . server("approval off;\nlocation /x {\n"
             . "approval p; #!\n}"), qr/applies where no "approval_requester" is set/);
    refused('twice', server("approval off;\napproval off; #!"),
            qr/"approval" directive is duplicate/);
    refused('approval in "if"',
            server("location / { if (\$host) {\napproval off; #!\n} }"),
            qr/"approval" directive is not allowed here/);
    refused('store_failure', server('approval_store_failure maybe; #!'),
            qr/invalid value "maybe"/);
    refused('unsigned', server('approval_unsigned_decisions 1; #!'),
            qr/invalid value "1"/);
    refused('disconnect', server('approval_disconnect drop; #!'),
            qr/invalid value "drop" in "approval_disconnect": use "keep" or "cancel" in/);
    refused('max_pending', server('approval_max_pending 0; #!'),
            qr/"approval_max_pending" directive invalid number: use 1 or more/);
    refused('max_pending', server('approval_max_pending x; #!'),
            qr/invalid number/);
    refused('max_pending', server('approval_max_pending 5 for=$x; #!'),
            qr/invalid parameter: use "per=VALUE"/);
    refused('max_pending', server('approval_max_pending 5 per=; #!'),
            qr/invalid parameter: use "per=VALUE"/);
    refused('max_pending twice',
            server("approval_max_pending 5;\napproval_max_pending 5; #!"),
            qr/"approval_max_pending" directive is duplicate/);
    refused("$_ twice", server("$_ \$host;\n$_ \$host; #!"),
            qr/"$_" directive is duplicate/)
        for qw(approval_requester approval_on_behalf approval_reason);
    refused('api in a server', $base . server('approval_api; #!'),
            qr/"approval_api" directive is not allowed here/);
    refused('api without Redis', server("location /a { approval_api; #!\n}"),
            qr/"approval_api" needs "approval_redis URL" and "approval_key FILE"/);
    refused('api twice',
            $base . server("location /a { approval_api;\napproval_api; #!\n}"),
            qr/"approval_api" directive is duplicate/);
    refused('api with a word', $base . server("location /a {approval_api x; #!\n}"),
            qr/invalid parameter: use "approver=VALUE"/);
    refused('api beside proxy_pass', $base . server("location /a {\n"
            . "approval_api; #!\nproxy_pass http://127.0.0.1; }"),
            qr/"approval_api" is in one location with another directive that an/);
    refused('metrics beside proxy_pass', server("location /a {\n"
            . "proxy_pass http://127.0.0.1; approval_metrics; stub_status; #!\n}"),
            qr/"approval_metrics" is in one location with another directive/);
    accepted('the handler is ours', $base . server("location /a {\n"
             . 'proxy_pass http://127.0.0.1; approval_api; }'));
    refused('api gated', $policy . server("approval_requester x;\n"
            . "location /a { approval_api;\napproval p; #!\n}"),
            qr/"approval p" and "approval_api" are in one location, but votes/);
    refused('digest_ignore', server('approval_digest_ignore id; #!'),
            qr/cannot ignore "id": /);
    refused('digest_ignore twice',
            server("approval_digest_ignore off;\napproval_digest_ignore json:/a; #!"),
            qr/"approval_digest_ignore" directive has "off" together with other/);
    refused('zone', 'approval_zone z big; #!', qr/invalid size "big"/);
    refused('a small zone', 'approval_zone z 4k; #!',
            qr/"approval_zone z" is too small: use 32k or more/);
    refused('a zone without a name', 'approval_zone "" 1m; #!',
            qr/invalid name ""/);
    refused('zone twice', "approval_zone z 1m;\napproval_zone y 1m; #!",
            qr/"approval_zone" directive is duplicate/);
    accepted('metrics without a zone', server("location /m { approval_metrics; }"));
    refused('metrics and api', "$base approval_zone z 1m;\n"
            . server("location /m { approval_api;\napproval_metrics; #!\n}"),
            qr/"approval_metrics" directive is in one location with "approval_a/);
    refused('metrics in a server', server('approval_metrics; #!'),
            qr/"approval_metrics" directive is not allowed here/);
    refused('audit twice', "approval_audit a.log;\napproval_audit b.log; #!",
            qr/"approval_audit" directive is duplicate/);
    refused("approval_audit $_", "approval_audit $_; #!",
            qr/"approval_audit .*" is not a path to a file: give a path without/)
        for '""', 'off', 'stderr', 'syslog:server=127.0.0.1',
            'logs/$server_name.jsonl';
    refused('audit', 'approval_audit a.log now; #!', qr/parameter "now"/);

    accepted('all of it', "$policy approval_audit %%PREFIX%%/audit.jsonl;
        approval p; approval_requester \$remote_user;
        approval_on_behalf \$http_x_for; approval_reason \$http_x_why;
        approval_store_failure deny; approval_unsigned_decisions on;
        approval_max_pending 5 per=\$remote_user; approval_disconnect cancel;"
        . server('approval_store_failure allow; approval_max_pending 9;
          location /a { approval_api approver=$remote_user; }
          location /b { approval off; limit_except GET { deny all; } }
          location /c { approval_disconnect keep; if ($host) { set $x 1; } }
          location /d { approval_api; }
          location /m { approval_metrics; }
          location /i { approval_digest_ignore json:/id $arg_t $http_x_id; }
          location /o { approval_digest_ignore off; }')
        . 'approval_zone z 32k;');
    accepted("approval_audit sync=$_", "approval_audit a.log sync=$_;")
        for qw(group always off);
};


subtest 'what is inherited' => sub {
    my $gw = Approval::Gateway->new(defaults => 0, http => <<'EOF_HTTP',
        approval_policy p {
            rule write { match $request_method !GET; deny "p"; }
            rule x { match $uri ^/if/x; deny "p"; }
        }
        approval_policy q { rule all { match $uri ^/; deny "q"; } }
        approval p;
EOF_HTTP
        server => <<'EOF_SERVER');
        location / { proxy_pass %%UP%%; }
        location /own { approval q; proxy_pass %%UP%%;
            location /own/nested { proxy_pass %%UP%%; }
            location /own/off { approval off; proxy_pass %%UP%%;
                location /own/off/on { approval p; proxy_pass %%UP%%; } }
        }
        location /if {
            if ($arg_if) { set $x 1; }
            proxy_pass %%UP%%;
        }
        location /limit { limit_except GET { allow all; } proxy_pass %%UP%%; }
        location /api {
            approval_api approver=$http_x_user;
            limit_except GET { allow all; }
            location /api/nested { proxy_pass %%UP%%; }
        }
        location /metrics {
            approval_metrics;
            if ($http_x_if) { set $x 1; }
            location /metrics/nested { proxy_pass %%UP%%; }
        }
        location /ifapi {
            approval_api approver=$http_x_user;
            if ($http_x_if) { set $x 1; }
        }
        location /ifproxy {
            approval_api approver=$http_x_user;
            if ($http_x_if) { proxy_pass %%UP%%; }
        }
        location /limitproxy {
            approval_metrics;
            limit_except GET { proxy_pass %%UP%%; }
        }
EOF_SERVER

    my $why = sub {
        my ($method, $target, $if) = @_;

        my $r = Approval::Client->new($gw->port)->request(
            $method, $target, headers => ['X-User' => 'alice',
                                   'X-If' => $if]);

        return $r->status == 403 ? $r->json->{detail} // '?' : $r->status;
    };

    is($why->(@$_[0, 1, 3]), $_->[2], "$_->[0] $_->[1]")
        for [GET => '/', 200], [DELETE => '/', 'p'],
            [GET => '/own', 'q'], [GET => '/own/nested', 'q'],
            [DELETE => '/own/off', 200], [DELETE => '/own/off/on', 'p'],
            [GET => '/own/off/on', 200],
            [GET => '/if/x?if=1', 'p'], [GET => '/if/x', 'p'],
            [GET => '/if/y?if=1', 200], [DELETE => '/if/y?if=1', 'p'],
            [GET => '/limit', 200], [DELETE => '/limit', 'p'],
            [GET => '/api/actions', 200], [POST => '/api/actions', 405],
            [GET => '/api/nested', 200], [DELETE => '/api/nested', 'p'],
            [GET => '/metrics', 200], [DELETE => '/metrics', 405],
            [DELETE => '/metrics', 405, 1],
            [GET => '/metrics/nested', 200], [DELETE => '/metrics/nested', 'p'],
            [GET => '/ifapi/actions', 200], [GET => '/ifapi/actions', 200, 1],
            [DELETE => '/ifproxy/actions', 405],
            [DELETE => '/ifproxy/actions', 'p', 1],
            [GET => '/ifproxy/actions', 200, 1],
            [GET => '/limitproxy', 200], [DELETE => '/limitproxy', 'p'];
};


done_testing();
