#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Each command that the module sends, with its subcommands and options, is in
# Redis 6.2: a newer Redis says since when it has each of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Commands;
use Approval::Redis;
use Approval::Test;

need('redis-server');

my $OLDEST = '6.2.0';

my @redis = map { Approval::Redis->new(%$_) } { }, { sentinel => 1 };

plan(skip_all => 'Redis 7 knows since when')
    if $redis[0]->cmd(INFO => 'server') !~ /^redis_version:(?:[7-9]|\d\d)/m;

my (%docs, %since);


# of a command or a subcommand, by whichever of both servers has it

sub docs {
    my ($name) = @_;

    for my $redis (@redis) {
        my $reply = $docs{$redis}{$name} //= $redis->cmd(COMMAND => DOCS => $name);

        return { @{ $reply->[1] } } if @$reply;
    }

    return undef;
}


# [ TOKEN, since when ] of all options

sub tokens {
    my ($arguments, $since) = @_;

    return map {
        my %argument = @$_;
        my $from = newest($since, $argument{since} // '0');

        (defined $argument{token} ? [ $argument{token}, $from ] : (),
         tokens($argument{arguments} // [], $from));
    } @$arguments;
}


sub newest {
    my ($newest) = sort { version->parse("v$b") <=> version->parse("v$a") } @_;

    return $newest;
}


# since when there is all of it, or what Redis does not know

sub since {
    my ($command, @words) = @_;

    my $docs = docs($command) // return "no $command";

    if ($docs->{subcommands} && @words) {
        $command .= '|' . shift @words;
        $docs = docs($command) // return "no $command";
    }

    my $since = $docs->{since};
    my %tokens = map { $_->[0] => $_->[1] }
                 tokens($docs->{arguments} // [], $since);

    for my $word (@words) {
        $since = newest($since, $tokens{$word} // return "no $command $word");
    }

    return $since;
}


# the check finds what it is made for

is(since(@{ $_->[0] }), $_->[1], "@{ $_->[0] }: $_->[1]")
    for [ [ 'SET', 'PX' ], '2.6.12' ], [ [ 'SET', 'PXAT' ], '6.2.0' ],
        [ [ 'EXPIRE', 'NX' ], '7.0.0' ], [ [ 'CLIENT', 'NO-EVICT' ], '7.0.0' ],
        [ [ 'LMPOP' ], '7.0.0' ], [ [ 'SET', 'NO' ], 'no SET NO' ],
        [ [ 'CLIENT', 'NO' ], 'no CLIENT|NO' ], [ [ 'NO' ], 'no NO' ];

my @sent = Approval::Commands::sent();
my %sent = map { $_->[1] => 1 } @sent;

cmp_ok(scalar @sent, '>', 150, 'commands are looked at');
ok($sent{$_}, "such as $_")
    for qw(AUTH CLIENT EVALSHA EVAL INFO MGET SENTINEL WAIT HRANDFIELD TIME);

for my $place (@sent) {
    my ($file, @words) = @$place;
    my $since = since(@words);

    push @{ $since{$since} }, "$file: @words"
        if $since !~ /^\d/ || newest($since, $OLDEST) ne $OLDEST;
}

is_deeply(\%since, {}, "all of them are in Redis $OLDEST");

done_testing();
