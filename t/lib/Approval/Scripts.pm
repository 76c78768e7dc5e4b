package Approval::Scripts;

# Copyright (C) ngx_http_approval_module contributors
#
# The store's scripts as Redis runs them, with the keys that the module names,
# and a guard: a script that touches a key that is not in its KEYS fails.
#
#   my $scripts = Approval::Scripts->new(prefix => 'approval:');
#   $redis->cmd($scripts->words(vote => $id, @args));
#
#   ->words(NAME, ID, ARG...)   EVAL ...; ID '' and a shard of 00 where the
#                               script is about no action
#   ->key(ID [, SUFFIX])        of an action
#   ->shared(NAME)              of shard 00: "pending", "per:HASH"
#   ->names                     of all scripts
#   ->history(REDIS, N)         N actions more, as if they had been executed an
#                               hour ago, of every class and requester that
#                               there is, without a document that opens
#   ->text(NAME)                as it is sent, without the guard

use strict;
use warnings;

use Approval::Life;

my @ACTION = qw(create load vote settle consume announce finish drop leave
                overdue renew queue_add queue_claim queue_keep queue_done queue_outcome);

my %ACTION = map { $_ => 1 } @ACTION;

my $GUARD = <<'EOF_LUA';
local real, named = redis, {}

for _, name in ipairs(KEYS) do
    named[name] = true

    if string.match(name, '{(.-)}') ~= string.match(KEYS[1], '{(.-)}') then
        error('KEYS of several slots: ' .. name)
    end
end

local function guard(run, command, ...)
    local args = { ... }
    local last = 1

    if command == 'TIME' or command == 'PUBLISH' then
        last = 0
    elseif command == 'DEL' or command == 'EXISTS' then
        last = #args
    end

    for n = 1, last do
        if not named[args[n]] then
            error(command .. ' of a key that is not in KEYS: ' .. args[n])
        end
    end

    return run(command, ...)
end

local redis = {
    call = function(...) return guard(real.call, ...) end,
    pcall = function(...) return guard(real.pcall, ...) end,
    error_reply = real.error_reply
}
EOF_LUA


sub new {
    my ($class, %how) = @_;

    my $self = bless { prefix => 'approval:', guard => 1, %how }, $class;

    my $dir = Approval::Test::root_dir() . '/src/store';
    my %source = map { m{([^/]+)\.lua$} => Approval::Test::slurp($_) }
                 glob("$dir/*.lua");

    my ($common, $action) = delete @source{qw(common action)};

    $self->{text} = { map { $_ => $common . ($ACTION{$_}
                                             ? Approval::Life::lua($_) . $action
                                             : '')
                                  . $source{$_} } keys %source };

    return $self;
}


sub names { sort keys %{ $_[0]{text} } }

sub text { $_[0]{text}{ $_[1] } // die "no script $_[1]\n" }

sub key {
    my ($self, $id, $suffix) = @_;

    return $self->{prefix} . '{' . substr($id, 0, 2) . "}:$id"
           . ($suffix // '');
}

sub shared { "$_[0]{prefix}\{00}:$_[1]" }


sub words {
    my ($self, $name, $id, @args) = @_;

    my @keys = $self->keys_of($name, $id, @args);

    return (EVAL => ($self->{guard} ? $GUARD : '') . $self->text($name),
            scalar @keys, @keys, $id, @args);
}


sub history {
    my ($self, $redis, $n) = @_;

    my $client = $redis->client(timeout => 600);
    my @by = $redis->keys("$self->{prefix}\{00}:by:*");
    my @class = @{ $client->cmd(HKEYS => $self->shared('classes')) };

    for (my $at = 0; $at < $n; $at += 10000) {
        $client->cmd(EVAL => <<'END', 1 + @by, $self->shared('index'), @by,
local from, n, prefix = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local now = redis.call('TIME')[1] * 1000

for i = from, from + n - 1 do
    local rest = string.format('%030d', i)
    local created = string.format('%013.0f', now - 3600000 - i)
    local key = prefix .. '{00}:00' .. rest
    local class = string.sub(ARGV[4 + i % (#ARGV - 3)], 1, 8)

    redis.call('HSET', key, 's', 'executed', 'x', now, 'd', now, 'o', '{}',
               'b', string.rep('x', 700),
               'k', created .. ' 300000 - - ' .. class)
    redis.call('PEXPIRE', key, 3600000)
    redis.call('ZADD', KEYS[1], 0, 'x' .. class .. created .. rest
               .. string.format('%010.0f', now / 1000 + 3600))
    redis.call('LPUSH', KEYS[2 + i % (#KEYS - 1)], created .. '00' .. rest
               .. string.format('%010.0f', now / 1000 + 3600))
end
END
            $at, $n - $at < 10000 ? $n - $at : 10000, $self->{prefix},
            @class);
    }
}


sub keys_of {
    my ($self, $name, $id, @args) = @_;

    my $own = sub { map { "$self->{prefix}\{" . (substr($id, 0, 2) || '00')
                          . "}:$_" } @_ };
    my $list = sub { my ($begin, $hashes) = @_;
                     map { $own->("$begin$_") } split / /, $hashes };
    my @keys = $ACTION{$name} ? ($self->key($id), $self->key($id, ':decision'),
                                 $self->key($id, ':votes'),
                                 $own->(qw(pending index classes))) : ();

    push @keys, $own->("end:$id")
        if $name =~ /^(?:load|vote|settle|consume|leave)$/;

    if ($name eq 'create') {
        my ($join, $who, $per, $grant, $ticket, $call, $others)
            = @args[0, 1, 2, 9, 11, 12, 16];

        return (@keys, $own->(qw(frozen grants)), $list->('by:', $who),
                $list->('join:', $join), $list->('per:', $per),
                (map { $own->("grant:$_", "end:$_") } split / /, $grant),
                (map { $own->($_, "$_:decision") } split / /, $call),
                $ticket ? $self->key($ticket) : (),
                map { $own->($_, "$_:decision") } split / /, $others);
    }

    if ($name eq 'consume') {
        my ($call, $grant) = @args[5, 6];

        return (@keys, $own->(qw(frozen grants)),
                (map { $own->("$_:decision") } split / /, $call),
                $list->('grant:', $grant));
    }

    return (@keys, $self->key($id, ':deliver'), $own->('deliver'))
        if $name =~ /^queue_/;

    return @keys if @keys;

    my %keys = (
        scan => sub { $own->($self->{scan} // 'pending') },
        list => sub { $own->('index') },
        classes => sub { $own->('classes') },
        by => sub { $list->('by:', $self->{by}) },
        recent => sub { $list->('by:', $self->{by}) },
        reserve => sub { $list->('per:', $self->{per}) },
        give_up => sub { map { $own->($_, "$_:decision") }
                         split / /, $self->{call} },
        grant => sub { ($list->('grant:', $args[0]), $own->('grants')) },
        revoke => sub { ($list->('grant:', $args[0]), $own->('grants'),
                         $list->('end:', $args[0])) },
        end => sub { $list->('end:', $self->{end}) },
        freeze => sub { $own->('frozen') },
        thaw => sub { $own->('frozen') },
        frozen => sub { $own->('frozen') },
        once => sub { $own->("once:$id") },
        passkey => sub { ($own->(qw(passkeys passkeys:used passkeys:ended)),
                          $args[0] eq 'use' ? $own->('once:nonce') : ()) },
        shadow => sub { "$self->{prefix}shadow:$self->{day}" },
    );

    return $keys{$name}->();
}


1;
