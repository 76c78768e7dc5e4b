package Approval::Commands;

# Copyright (C) ngx_http_approval_module contributors
#
# What the module sends to Redis, as its source has it.
#
#   Approval::Commands::sent()   [ FILE, COMMAND, WORD... ] for each place: with
#                                subcommands and options, without values

use strict;
use warnings;

use Approval::Test;


sub sent {
    my $src = root_dir() . '/src';

    return map({ in_c($_) } glob("$src/event/redis/*.c $src/store/*.c")),
           map({ in_lua($_) } glob("$src/store/*.lua"));
}


# "CLIENT" in the first place of an array, and what is in the next ones

sub in_c {
    my ($path) = @_;

    my ($text, @sent) = (slurp($path));

    while ($text =~ /(?: (?<set> ngx_str_set\( &[\w>-]+ \[ (?<at> \w+ ) \], )
                       | (?<list> [={] \s* )?
                         (?: ngx_http_approval_redis_word | ngx_string ) \(
                       | (?<call> \w+_send\( \w+, )) \s* "([A-Z][A-Z-]+)"/gx)
    {
        my ($word, %is) = ($5, %+);
        my $first = $is{set} ? $is{at} =~ /^(?:0|argc)$/
                             : $is{list} || $is{call};

        push @sent, [ $path =~ s{.*/src/}{}r ] if $first;
        push @{ $sent[-1] }, $word;
    }

    return @sent;
}


# call('SET', KEYS[1], value, 'PX', ttl): the words within its parentheses

sub in_lua {
    my ($path) = @_;

    my ($text, @sent) = (slurp($path));
    my $nested = qr/(\((?:[^()']|'[^']*'|(?-1))*\))/;

    while ($text =~ /\w(?=$nested)/g) {
        my ($command, $rest) = $1 =~ /^\(\s*'([A-Z]{3,})'(.*)\)$/s or next;

        $rest =~ s/$nested//g;
        push @sent, [ $path =~ s{.*/src/}{}r, $command,
                      $rest =~ /'([A-Z]{2,})'/g ];
    }

    return @sent;
}


1;
