package Approval::Policies;

# Copyright (C) ngx_http_approval_module contributors
#
# Policies by chance, the same for the same seed.
#
#   my $gen = Approval::Policies->new(SEED);
#   $gen->number(N) ->pick(ANY...) ->chance(PERCENT)
#   $gen->policy(NAME)       { name, text, default, rules }; a rule has name,
#                            outcome, shadow, conds, show, per; a condition a
#                            fact and its patterns
#   $gen->nothing(NAME)      one of all kinds of subjects that never holds
#   $gen->value(FACT)        one that a rule may ask for; ->values(FACT): all
#   Approval::Policies::holds(PATTERN, VIEW, FACT)

use strict;
use warnings;

my @METHODS = qw(GET POST PUT DELETE);
my @NAMES = qw(amount env op a_b);
my @WORDS = qw(prod dev drop list);
my @NUMBERS = qw(5 900 1200 5000);
my @PATHS = ('/admin/del', '/admin/users/7', '/admin/users/bob',
             '/v1/things/42', '/v1/things/a%2Fb', '/files/a/b.txt', '/pub/x',
             '/pub/list', '/');


sub new {
    my ($class, $seed) = @_;

    my $self = bless { seed => $seed }, $class;

    $self->turn(0);

    return $self;
}


# What comes after turn N is the same for the same seed, whatever came before.

sub turn {
    my ($self, $n) = @_;

    $self->{state} = ($self->{seed} + $n * 7919) * 2654435761 % 2**32;
    $self->number(2) for 1 .. 8;
}


# Perl's own rand() is used for ports and the like, too

sub number {
    my ($self, $n) = @_;

    $self->{state} = ($self->{state} * 1664525 + 1013904223) % 2**32;

    return int($self->{state} / 2**32 * $n);
}


sub pick {
    my ($self, @from) = @_;

    return $from[ $self->number(scalar @from) ];
}


sub chance { $_[0]->number(100) < $_[1] }


sub policy {
    my ($self, $name) = @_;

    my $policy = { name => $name,
                   default => $self->chance(15) ? 'deny' : 'allow' };

    my $n = 1 + $self->number(3);

    $policy->{rules} = [ map { $self->rule("r$_") } 1 .. $n ];

    if ($policy->{default} eq 'deny') {
        push @{ $policy->{rules} }, {
            name => 'open', outcome => 'allow', show => [],
            conds => [ cond('$uri', '^/pub/', '^/files/') ] };
    }

    $policy->{text} = text($policy);

    return $policy;
}


sub rule {
    my ($self, $name) = @_;

    my $rule = { name => $name, show => [],
                 outcome => $self->pick(qw(require require require deny
                                           allow)) };

    my %used;

    for (1 .. 1 + $self->number(2)) {
        my $cond = $self->condition;
        push @{ $rule->{conds} }, $cond unless $used{ $cond->{fact} }++;
    }

    # form and json in one rule can never hold

    my @body = grep { $_->{fact} =~ /^(?:form|json)/ } @{ $rule->{conds} };
    if (@body > 1 && $body[0]{fact} =~ /^form/ ne $body[1]{fact} =~ /^form/) {
        $rule->{conds} = [ grep { $_ != $body[1] } @{ $rule->{conds} } ];
    }

    return $rule unless $rule->{outcome} eq 'require';

    $rule->{shadow} = $self->chance(8);

    if ($self->chance(60)) {
        my $fact = $self->fact;

        push @{ $rule->{show} }, $fact unless $fact =~ /^form/ || @body
                                              && $body[0]{fact} =~ /^form/;
    }

    $rule->{per} = $self->pick('$arg_amount', '$arg_env', '$http_x_env',
                               '$uri') if $self->chance(15);

    return $rule;
}


sub fact {
    my ($self) = @_;

    my $name = $self->pick(@NAMES);

    return $self->pick("\$arg_$name", "\$arg_$name", "\$arg_$name",
                       "form:$name", "json:/$name", 'json:/item/env',
                       '$http_x_env', '$http_x_amount', '$cookie_env');
}


sub condition {
    my ($self) = @_;

    my $kind = $self->number(10);

    return cond('$request_method', $self->chance(20)
                ? '!' . $self->pick(@METHODS) : $self->pick(@METHODS))
        if $kind == 0;
    return cond('$uri', $self->pick(
        '^/admin/', '/admin/del', '~^/admin/users/[^/]+$', '~^/v1/things/.+$',
        '~^/v1/things/[^/]+$', '~*^/ADMIN/', '!^/pub/', '^/v1', '/v1/things/42',
        '~/del$', '!~^/(pub|files)/'))
        if $kind < 5;
    return cond('$request_uri', $self->pick('^/admin', '~^/v1/things/'))
        if $kind == 5 && $self->chance(30);

    my $fact = $self->fact;
    my $word = $self->pick(@WORDS);

    return cond($fact, $self->pick('>1000', '<10', '!<1000', '5000'))
        if $fact =~ /amount/;
    return cond($fact, $self->pick($word, $word, "!$word", '^' . substr($word,
                                   0, 2), "~^$word\$", "~*^$word\$"));
}


sub cond {
    my ($fact, @patterns) = @_;

    return { fact => $fact, patterns => \@patterns };
}


sub text {
    my ($policy) = @_;

    my $text = "approval_policy $policy->{name} {\n"
               . "    default $policy->{default};\n";

    for my $rule (@{ $policy->{rules} }) {
        $text .= "    rule $rule->{name} {\n";

        for my $cond (@{ $rule->{conds} }) {
            $text .= "        match $cond->{fact} "
                     . join(' ', map { "\"$_\"" } @{ $cond->{patterns} })
                     . ";\n";
        }

        $text .= $rule->{outcome} eq 'require'
                 ? "        require admins; timeout 300s;\n"
                 : "        $rule->{outcome};\n";

        my $n;
        $text .= '        show v' . ++$n . " $_;\n" for @{ $rule->{show} };
        $text .= "        mode shadow;\n" if $rule->{shadow};
        $text .= "        remember 1m per $rule->{per};\n" if $rule->{per};
        $text .= "    }\n";
    }

    return "$text}\n";
}


sub nothing {
    my ($self, $name) = @_;

    my $policy = { name => $name, default => 'allow', rules => [] };

    $policy->{text} = <<"EOF";
approval_policy $name {
    rule method { match \$request_method PURGE; deny; }
    rule path   { match \$uri ^/never/ ~/never\$; require admins; }
    rule raw    { match \$request_uri ^/never; deny; }
    rule arg    { match \$arg_never 1 >5; match \$uri ^/; deny; }
    rule header { match \$http_x_never ~.; require admins; }
    rule cookie { match \$cookie_never ~.; require admins; }
    rule host   { match \$host never.example; deny; }
    rule json   { match \$http_x_never 1; match json:/op drop; deny; }
    rule form   { match \$uri ^/never; match form:op drop; require admins; }
    rule both   { match \$arg_amount >1000; match \$cookie_never 1; deny; }
}
EOF

    return $policy;
}


# what there is for a fact

sub values {
    my ($self, $fact) = @_;

    return $fact =~ /uri$/ ? @PATHS
         : $fact eq '$request_method' ? @METHODS
         : $fact =~ /amount/i ? @NUMBERS : @WORDS;
}


sub value { $_[0]->pick($_[0]->values($_[1])) }


# Does a pattern hold for what a reader has?  What is absent is the empty
# string where it is a variable; of a body nothing but a negation holds then.

sub holds {
    my ($pattern, $view, $fact) = @_;

    return !holds($1, $view, $fact) if $pattern =~ /^!(.*)/s;

    my ($text, @numbers) = @$view;

    return scalar grep { $_ < $1 } @numbers if $pattern =~ /^<(.*)/;
    return scalar grep { $_ > $1 } @numbers if $pattern =~ /^>(.*)/;

    if (!defined $text) {
        return 0 if $fact =~ /^(?:form|json):/;
        $text = '';
    }

    return scalar $text =~ /$1/i if $pattern =~ /^~\*(.*)/s;
    return scalar $text =~ /$1/ if $pattern =~ /^~(.*)/s;
    return scalar $text =~ /^\Q$1/ if $pattern =~ /^\^(.*)/s;

    return $text eq $pattern;
}


1;
