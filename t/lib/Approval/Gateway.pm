package Approval::Gateway;

# Copyright (C) ngx_http_approval_module contributors
#
# A whole gateway for a test: Redis, upstream, receiver, nginx with an audit
# file, the approvers' API at /_approval/ and stub_status at /_status.
#
#   my $gw = Approval::Gateway->new(http => '...', server => '...', %how);
#     http     in http { }; the policies stand here.  Group "admins" (alice,
#              bob) and channel "hook" are there.
#     server   in the server that listens on %%PORT%%
#     up       => ANSWERS or CODE of the upstream, default 200 "ok\n"
#     audit    => PARAMETERS of approval_audit
#     redis    => PARAMETERS of approval_redis; a slow machine is no fault of
#                 Redis, so it may take longer to answer than by default
#     server_is => { }   of Approval::Redis
#     defaults => 0   without "approval_requester $http_x_agent" in the server
#     repeat   => TIME of approval_repeat, undef for the default; 0, unless
#                 named: what a test has denied it asks for again at once
#     all else is for Approval::Nginx
#   %%UP%%, %%HOOK%% and %%REDIS%% are the URLs of the upstream, the receiver
#   and, over TCP, the Redis.
#
#   ->redis ->up ->hook ->ngx ->port
#   ->pending                ids of the open actions, oldest first
#   ->send(METHOD => TARGET, %how)   a client that has sent it; agent => NAME
#   ->hold(METHOD => TARGET, %how)   (client, id): the same, and it is held
#   ->vote(ID, DECISION [, COMMENT [, APPROVER]])   the API's response
#   ->key(ID [, SUFFIX])     its key in Redis
#   ->set(ID, VALUE)         writes the decision key, as redis-cli would
#   ->action(ID)             the action as the API has it
#   ->state(ID)              its state, as Redis has it
#   ->audit([TYPE])          the records; ->wait_audit(TYPE, N) waits for N;
#                            {audit_file} is where they are, if elsewhere
#   ->wait_signed            waits until each writer has signed its last record
#   ->hits(TARGET)           how many requests for it the upstream has seen
#   ->lost(N)                N requests died with a worker: nginx counts on
#   ->clean(NAME)            tests: nothing is held, nothing will stay,
#                            approval-audit finds no tampering in the trail,
#                            each action went from state to state as the
#                            scripts allow, and no record has a member "request"

use strict;
use warnings;

use Approval::Life;
use Approval::Test;


for my $name (qw(redis up hook ngx)) {
    no strict 'refs';
    *$name = sub { $_[0]{$name} };
}


sub new {
    my ($class, %arg) = @_;

    my $self = bless { dir => tempdir() }, $class;

    my ($http, $server, $up) = delete @arg{qw(http server up)};
    my $defaults = delete $arg{defaults} // 1;
    my $audit = delete $arg{audit} // '';

    $self->{repeat} = exists $arg{repeat} ? delete $arg{repeat} : 0;

    $self->{redis_is} = delete $arg{redis} // 'timeout=10s';

    $self->{keys} = make_keys($self->{dir});
    $self->{redis} = Approval::Redis->new(all_end => 1,
                                          %{ delete $arg{server_is} // {} });
    $self->{hook} = Approval::Receiver->new;
    $self->{up} = Approval::Upstream->new(
        ref $up eq 'CODE' ? (code => $up) : $up ? (answers => $up) : ());

    $self->{ngx} = Approval::Nginx->new(
        http => $self->conf($http // '', $server // '', $defaults, $audit),
        %arg);

    return $self;
}


sub conf {
    my ($self, $http, $server, $defaults, $audit) = @_;

    my $requester = $defaults ? 'approval_requester $http_x_agent;' : '';
    my $repeat = defined $self->{repeat} ? "approval_repeat $self->{repeat};"
                                         : '';

    my $text = <<"EOF";
    approval_redis @{[ $self->redis->url ]} $self->{redis_is};
    approval_key $self->{keys}{secret};
    approval_signing_key $self->{keys}{signing};
    approval_base_url http://127.0.0.1:%%PORT%%/_approval;
    approval_audit %%PREFIX%%/audit.jsonl $audit;
    approval_group admins alice bob;
    approval_channel hook { type json; pass /_notify; }
    $repeat
    $http
    server {
        listen 127.0.0.1:%%PORT%%;
        server_name gw.example;
        $requester
        location = /_status { approval off; stub_status; }
        location /_approval/ { approval_api approver=\$http_x_user; }
        location = /_notify { internal; proxy_pass %%HOOK%%; }
        $server
    }
EOF

    $text =~ s/%%UP%%/$self->up->url/ge;
    $text =~ s/%%HOOK%%/$self->hook->url/ge;
    $text =~ s/%%REDIS%%/$self->redis->tcp_url/ge;

    return $text;
}


sub port { $_[0]->ngx->port }


sub pending {
    my ($self) = @_;

    my ($shards) = $self->{redis_is} =~ /shards=(\d+)/;

    return map { @{ $self->redis->cmd(ZRANGE => sprintf(
                        'approval:{%02x}:pending', $_), 0, -1) } }
               0 .. ($shards // 1) - 1;
}


# of an action

sub key {
    my ($self, $id, $suffix) = @_;

    return 'approval:{' . substr($id, 0, 2) . "}:$id" . ($suffix // '');
}


sub send {
    my ($self, $method, $target, %how) = @_;

    my $client = Approval::Client->new($how{port} // $self->port);

    $client->send($method, $target, who(%how));

    return $client;
}


sub who {
    my (%how) = @_;

    my $agent = exists $how{agent} ? $how{agent} : 'agent-7';
    my @headers = (Host => 'gw.example', @{ $how{headers} // [] });

    push @headers, 'X-Agent' => $agent if defined $agent;

    return (%how, headers => \@headers);
}


sub hold {
    my ($self, $method, $target, %how) = @_;

    my %before = map { $_ => 1 } $self->pending;
    my $client = $self->send($method, $target, %how);

    my ($id, $answered);

    wait_for(sub {
        $answered = $client->answered;
        ($id) = grep { !$before{$_} } $self->pending;
        return $id || $answered;
    });

    # on record, so that somebody is told of it, and Redis knows that

    wait_for(sub {
        return !defined $self->redis->cmd(HGET => $self->key($id), 'u')
               && grep { ($_->{action_id} // '') eq $id }
                       $self->audit('requested');
    }) if $id;

    if (!$id) {
        my $answer = $client->try_read(0);
        diag("$method $target was not held: ",
             $answer ? $answer->raw : 'no answer');
    }

    return ($client, $id);
}


sub vote {
    my ($self, $id, $decision, $comment, $approver) = @_;

    return Approval::Client->new($self->port)->request(
        POST => "/_approval/actions/$id/decision",
        json => { decision => $decision, comment => $comment // '' },
        headers => [ 'X-User' => $approver // 'alice' ]);
}


sub set {
    my ($self, $id, $value) = @_;

    return $self->redis->cmd(SET => $self->key($id, ':decision'), $value);
}


sub action {
    my ($self, $id) = @_;

    return http_get($self->port, "/_approval/actions/$id",
                    headers => [ 'X-User' => 'alice',
                                 Accept => 'application/json' ])->json;
}


sub state {
    my ($self, $id) = @_;

    return $self->redis->cmd(HGET => $self->key($id), 's') // 'gone';
}


# parsed once; a file that is another, or shorter, is read anew

sub audit {
    my ($self, $type) = @_;

    my $file = $self->{audit_file} // $self->ngx->path('audit.jsonl');

    if (open(my $fh, '<:raw', $file)) {
        my ($inode, $size) = (stat $fh)[1, 7];
        my $seen = $self->{audit};

        if (!$seen || $seen->{inode} != $inode || $seen->{size} > $size) {
            $seen = $self->{audit} = { inode => $inode, size => 0,
                                       records => [] };
        }

        seek($fh, $seen->{size}, 0);

        while (my $line = <$fh>) {
            last unless $line =~ /\n\z/;

            $seen->{size} += length $line;
            push @{ $seen->{records} }, decode_json($line);
        }
    }

    return grep { !defined $type || $_->{type} eq $type }
                @{ $self->{audit} ? $self->{audit}{records} : [] };
}


sub wait_audit {
    my ($self, $type, $n) = @_;

    return wait_for(sub { (my @records = $self->audit($type)) >= $n });
}


sub wait_signed {
    my ($self) = @_;

    return wait_for(sub {
        my %last = map { $_->{writer} => $_->{type} } $self->audit;

        return %last && !grep { $_ ne 'checkpoint' } values %last;
    });
}


sub hits {
    my ($self, $target) = @_;

    return scalar grep { $_->target eq $target } $self->up->requests;
}


sub lost { $_[0]{lost} = $_[1] }


# what nginx counts as being written is a request that has no end yet

sub clean {
    my ($self, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $writing = 1 + ($self->{lost} // 0);
    my ($status, @ids, @keys);

    my $clean = wait_for(sub {
        $status = http_get($self->port, '/_status')->body;
        @ids = $self->pending;
        return $status =~ /Writing: $writing / && !@ids;
    });

    @keys = grep { !/\}:passkeys(?::used|:ended)?$/ } $self->redis->keys_without_ttl;

    my $good = ok($clean && !@keys, $name // 'nothing is left behind');

    diag($status, "open: @ids\nwithout TTL: @keys") unless $good;

    # its end may not be covered yet

    my $tool = build_dir() . '/approval-audit';
    my $file = $self->ngx->path('audit.jsonl');
    my $found = `$tool verify -q --key $self->{keys}{public} $file 2>&1`;

    my $holds = ok($? >> 8 == 0 || $? >> 8 == 2, 'the trail holds');

    diag($found) unless $holds;

    # also without the tool: by the table of the store's scripts

    my @faults = Approval::Life::faults($self->audit);
    my $lives = is_deeply(\@faults, [], 'each action lived as it may');

    my @told = grep { exists $_->{request} } $self->audit;
    my $mute = is_deeply(\@told, [], 'no record has what no rule declares');

    return $good && $holds && $lives && $mute;
}


1;
