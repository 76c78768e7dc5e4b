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
#     defaults => 0   without "approval_requester $http_x_agent" in the server
#     all else is for Approval::Nginx
#   %%UP%% and %%HOOK%% are the URLs of the upstream and of the receiver.
#
#   ->redis ->up ->hook ->ngx ->port
#   ->pending                ids of the open actions, oldest first
#   ->send(METHOD => TARGET, %how)   a client that has sent it; agent => NAME
#   ->hold(METHOD => TARGET, %how)   (client, id): the same, and it is held
#   ->vote(ID, DECISION [, COMMENT [, APPROVER]])   the API's response
#   ->set(ID, VALUE)         writes the decision key, as redis-cli would
#   ->action(ID)             the action as the API has it
#   ->state(ID)              its state, as Redis has it
#   ->audit([TYPE])          the records; ->wait_audit(TYPE, N) waits for N
#   ->hits(TARGET)           how many requests for it the upstream has seen
#   ->clean(NAME)            a test: nothing is held, and nothing will stay

use strict;
use warnings;

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

    $self->{keys} = make_keys($self->{dir});
    $self->{redis} = Approval::Redis->new;
    $self->{hook} = Approval::Receiver->new;
    $self->{up} = Approval::Upstream->new(
        ref $up eq 'CODE' ? (code => $up) : $up ? (answers => $up) : ());

    $self->{ngx} = Approval::Nginx->new(
        http => $self->conf($http // '', $server // '', $defaults), %arg);

    return $self;
}


sub conf {
    my ($self, $http, $server, $defaults) = @_;

    my $requester = $defaults ? 'approval_requester $http_x_agent;' : '';

    my $text = <<"EOF";
    approval_redis @{[ $self->redis->url ]};
    approval_key $self->{keys}{secret};
    approval_signing_key $self->{keys}{signing};
    approval_base_url http://127.0.0.1:%%PORT%%/_approval;
    approval_audit %%PREFIX%%/audit.jsonl;
    approval_group admins alice bob;
    approval_channel hook { type json; pass /_notify; }
    $http
    server {
        listen 127.0.0.1:%%PORT%%;
        $requester
        location = /_status { approval off; stub_status; }
        location /_approval/ { approval_api approver=\$http_x_user; }
        location = /_notify { internal; proxy_pass %%HOOK%%; }
        $server
    }
