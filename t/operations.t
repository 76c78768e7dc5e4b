# Copyright (C) ngx_http_approval_module contributors
#
# What docs/operations.md tells operators to do, done as it is written there:
# keys, the Redis users, rotation of keys and of files, an outage; and how
# docs/security.md verifies a receipt, and whether docs/troubleshooting.md quotes
# messages that exist.

use Approval::Commands;
use Approval::Test;

need('redis-server', 'openssl');
need_module();

# messages, but for nginx's own; strings in C and in shell may go over lines

{
    my $source = join '', map { slurp($_) }
                 glob(root_dir() . '/src/*/*.c'),
                 glob(root_dir() . '/src/*/*/*.c'),
                 glob(root_dir() . '/src/*/*.def'),
                 glob(root_dir() . '/src/*.c'),
                 map { root_dir() . "/conf/$_.sh" } qw(build quickstart);

    $source =~ s/"\s*\n\s*"//g;
    $source =~ s/\\"/"/g;

    my @lines = grep { /^\| `/ && !/\(nginx's\)/ }
                split /^/, slurp(root_dir() . '/docs/troubleshooting.md');

    my @missing;

    for my $line (@lines) {
        my ($message) = $line =~ /^\| `([^`]+)`/;

        push @missing, grep { index($source, $_) < 0 }
                       map { s/^\W+|[\s:]+$//gr }
                       grep { /\w{3}/ } split /<[^>]*>|8080|127\.0\.0\.1/,
                                         $message;
    }

    cmp_ok(scalar @lines, '>', 40, 'messages are documented');
    is_deeply(\@missing, [], 'and all of them exist');
}


# the fenced block of the documentation that has this text

sub block {
    my ($text, $file) = @_;

    $file //= 'docs/operations.md';

    my $doc = slurp(root_dir() . "/$file");

    for my $block ($doc =~ /^```\w*\n(.*?)^```$/msg) {
        return $block if $block =~ $text;
    }

    die "$file has no block with $text";
}


# keys: the commands, in another directory

my $dir = tempdir();

{
    my $commands = block(qr/openssl genpkey/);

    mkdir("$dir/keys", 0700) or die $!;

    is(system("set -e; cd $dir/keys; $commands") >> 8, 0,
       'the commands make keys');
    ok(-s "$dir/keys/$_", "$_ is there")
        for qw(secret signing.pem public.pem webhook);
}


# the Redis users: every command that the gateway needs, and no other

my @users = map { block(qr/^user $_ /m) =~ s/\\\n\s*//gr } qw(approval bot);
my ($password, $secret) = map { />(\S+)/ } @users;

{
    my %may = map { $_ => 1 } $users[0] =~ /\+(\S+)/g;
    my %sent = map { lc(join '|', $_->[1] =~ /^(?:CLIENT|SCRIPT)$/
                                  ? @$_[1, 2] : $_->[1]) => 1 }
               grep { $_->[1] ne 'AUTH' && $_->[0] !~ /sentinel/ }
               Approval::Commands::sent();

    is_deeply([ sort keys %may ], [ sort keys %sent ],
              'the user may call what the module sends, and nothing else');
}

my $redis = Approval::Redis->new(conf => join('', @users));
my $up = Approval::Upstream->new;
my $hook = Approval::Receiver->new;
my $url = $redis->tcp_url =~ s{//}{//approval\@}r;

my $ngx = Approval::Nginx->new(
    workers => 2, files => { password => "$password\n" }, http => <<"EOF");
    approval_redis $url password_file=%%PREFIX%%/password;
    approval_key $dir/keys/secret;
    approval_signing_key $dir/keys/signing.pem;
    approval_base_url http://127.0.0.1:%%PORT%%/_approval;
    approval_audit %%PREFIX%%/audit.jsonl;
    approval_group admins alice bob;
    approval_channel hook { type json; pass /_notify;
                            secret file:$dir/keys/webhook; }

    approval_policy p {
        rule short {
            match \$uri ^/short;
            require admins;
            timeout 3s;
        }
        rule held {
            match \$uri ^/held;
            require admins;
            notify hook;
        }
    }

    server {
        listen 127.0.0.1:%%PORT%%;
        approval p;
        approval_requester \$http_x_agent;
        approval_max_pending 50 per=\$http_x_agent;
        approval_disconnect cancel;
        location / { proxy_pass @{[ $up->url ]}; }
        location /held/bot { approval_unsigned_decisions on;
                             proxy_pass @{[ $up->url ]}; }
        location /_approval/ { approval_api approver=\$http_x_user; }
        location = /_notify { internal; proxy_pass @{[ $hook->url ]}; }
    }
EOF

my $port = $ngx->port;


sub pending { @{ $redis->cmd(ZRANGE => 'approval:{00}:pending', 0, -1) } }


sub hold {
    my ($target) = @_;

    my %before = map { $_ => 1 } pending();
    my $client = Approval::Client->new($port);

    $client->send(POST => $target, body => 'x=1',
                  headers => [ 'X-Agent' => 'agent-7' ]);

    my $new = wait_for(sub {
        my @new = grep { !$before{$_} } pending();
        return @new && \@new;
    }) // die "$target is not held";

    return ($client, $new->[0]);
}


sub vote {
    my ($id, $decision) = @_;

    return http_post($port, "/_approval/actions/$id/decision",
                     encode_json({ decision => $decision, comment => 'c' }),
                     headers => [ 'Content-Type' => 'application/json',
                                  'X-User' => 'alice' ]);
}


sub denied {
    return map { my %entry = @$_; "$entry{reason}: $entry{object}" }
           @{ $redis->cmd('ACL', 'LOG') };
}


{
    $ngx->log_like(qr/approval_redis "[^"]*" is ready/, 'the user may connect');
    $ngx->log_unlike(qr/refuses client tracking/, 'and gets pushes');

    my ($one, $id) = hold('/held/1');
    my $other = Approval::Client->new($port);

    $other->send(POST => '/held/1', body => 'x=1',
                 headers => [ 'X-Agent' => 'agent-7' ]);

    wait_for(sub {
        slurp($ngx->path('audit.jsonl')) =~ /"type":"joined"/
    }) or die 'the second one does not join';

    is(vote($id, 'comment')->status, 200, 'a comment is stored');
    is(vote($id, 'approve')->status, 200, 'so is a vote');

    is_deeply([ sort map { $_->read->status } $one, $other ], [ 200, 409 ],
              'one of two that wait for the same is executed');

    my $held;
    ($held, $id) = hold('/held/2');
    vote($id, 'deny');
    is($held->read->status, 403, 'a denial arrives');

    ($held) = hold('/held/3');
    $held->close;
    ok(wait_for(sub { !pending() }), 'a withdrawal is stored');

    ($held) = hold('/short');
    is($held->read->json->{type}, 'urn:approval:expired',
       'an expiry is stored');

    my $list = http_get($port, '/_approval/actions?limit=200',
                        headers => [ 'X-User' => 'alice' ])->json->{actions};

    is_deeply([ map { $_->{state} } @$list ],
              [ qw(expired cancelled denied executed) ], 'the list reads all');

    ($held, $id) = hold('/held/4');
    $redis->cmd(SET => "approval:{00}:$id:decision", 'approve');
    ok(wait_for(sub { !$redis->cmd(EXISTS => "approval:{00}:$id:decision") }),
       'a decision that is not signed is removed');
    vote($id, 'deny');
    $held->read;

    is_deeply([ denied() ], [], 'Redis has refused nothing');
}


# the chat bot

{
    my $bot = $redis->client;
    my ($held, $id) = hold('/held/bot');

    $bot->cmd(AUTH => 'bot', $secret);

    for my $words ([ GET => "approval:{00}:$id" ], [ DEL => "approval:{00}:$id" ],
                   [ HGETALL => "approval:{00}:$id" ], [ 'FLUSHALL' ],
                   [ GET => "approval:{00}:$id:decision" ],
                   [ SET => 'approval:{00}:pending', 'x' ])
    {
        my $reply = $bot->try(@$words);
        like(ref $reply ? $$reply : 'done', qr/^NOPERM/,
             "the bot may not $words->[0] $words->[-1]");
    }

    is($bot->cmd(SET => "approval:{00}:$id:decision", 'approve', 'NX'), 'OK',
       'the bot may decide');
    is($held->read->status, 200, 'and it is honoured where that is on');
}


# the user is taken away, and comes back

{
    my $mark = $ngx->mark;
    my (undef, @user) = split ' ', $users[0];

    $redis->cmd(ACL => DELUSER => 'approval');
    $ngx->log_like(qr/is unavailable: WRONGPASS: the user or the password is/,
                   'without its user: logged', since => $mark);
    is(http_post($port, '/held/user', 'x=1',
                 headers => [ 'X-Agent' => 'agent-7' ])->status, 503,
       'without its user: refused');

    $mark = $ngx->mark;
    $redis->cmd(ACL => SETUSER => @user);
    ok(wait_for(sub {
        2 <= (() = $ngx->log_lines(qr/approval_redis "[^"]*" is ready/,
                                   since => $mark))
    }), 'the user is back, for both workers');
}


# the receipt of the last execution, with what has nothing of ours

{
    my ($held, $id) = hold('/held/9');

    vote($id, 'approve');
    $held->read;

    my $receipt = $up->last->header('Approval-Receipt');
    my $bad = $receipt =~ s/\.(.)/$1 eq 'e' ? '.f' : '.e'/er;

    my $shell = block(qr/openssl pkeyutl/, 'docs/security.md');
    my $run = sub {
        return system('sh', '-c', "cd $dir/keys && receipt=$_[0] && { $shell }"
                                  . ' >/dev/null 2>&1');
    };

    is($run->($receipt), 0, 'openssl verifies the receipt');
    isnt($run->($bad), 0, 'and not another one');

    SKIP: {
        skip('no node', 2) unless grep { -x "$_/node" } split /:/, $ENV{PATH};

        my $js = block(qr/verifyReceipt/, 'docs/security.md');

        spew("$dir/verify.js", $js . <<'END');
const pem = require('fs').readFileSync(process.argv[2]);
console.log(JSON.stringify(verifyReceipt(process.argv[3], pem)));
END

        my $claims = `node $dir/verify.js $dir/keys/public.pem $receipt`;
        $claims = eval { decode_json($claims) } // {};

        is_deeply([ @$claims{qw(jti sta sub by rul)} ],
                  [ $id, 'approved', 'agent-7', ['alice'], 'held' ],
                  'so does node, and it reads the claims');

        `node $dir/verify.js $dir/keys/public.pem $bad 2>&1`;
        isnt($?, 0, 'and not another one');
    }
}


# a new secret first, the old one second

{
    my ($held, $id) = hold('/held/5');
    my $old = slurp("$dir/keys/secret");

    spew("$dir/keys/secret", `openssl rand -base64 32` . $old);
    $ngx->reload;

    is(vote($id, 'approve')->status, 200,
       'after the rotation an action of before can be decided');
    is($held->read->status, 200, 'and is executed');
}


# rotation of the trail

{
    my $file = $ngx->path('audit.jsonl');

    rename($file, "$file.1") or die "rename: $!";
    $ngx->reopen;

    my ($held, $id) = hold('/held/6');
    vote($id, 'deny');
    $held->read;

    ok(wait_for(sub { -e $file && slurp($file) =~ /"$id"/ }),
       'after USR1 the new file is written');
    unlike(slurp("$file.1"), qr/"$id"/, 'and the old one is not');
}


# an outage

{
    my ($held, $id) = hold('/held/7');

    wait_for(sub {
        slurp($ngx->path('audit.jsonl')) =~ /"action_id":"$id".*"notified"/
    }) or die 'nobody is notified';

    $redis->pause;

    my $refused = Approval::Client->new($port)->request(
        POST => '/held/8', headers => [ 'X-Agent' => 'agent-7' ]);

    is($refused->status, 503, 'while Redis hangs, gated requests get 503');
    is($refused->json->{type}, 'urn:approval:store-unavailable', 'that says so');
    ok($refused->header('Retry-After'), 'and when to try again');
    is(http_get($port, '/free')->status, 200, 'others do not notice');
    ok($held->quiet(0.2), 'and what was held before waits on');

    $redis->resume;

    ok(wait_for(sub { vote($id, 'approve')->status == 200 }),
       'when it is back, it can be decided');
    is($held->read->status, 200, 'and is executed');
}

done_testing();
