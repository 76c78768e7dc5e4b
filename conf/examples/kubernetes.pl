#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Makes the "match" lines of rules for the Kubernetes API from the words of its
# RBAC. A comment in a rule says what the rule is about:
#
#     #= VERBS RESOURCES [NAMESPACES]
#
#     VERBS       get, list, watch, create, update, patch, delete,
#                 deletecollection; * for all
#     RESOURCES   pods, deployments.apps, pods/exec; * for all, without
#                 subresources
#     NAMESPACES  prod* for all that begin so; * for all; nothing where the
#                 resources are in none
#
# Several of a kind are separated by commas. The lines below the comment that
# match $request_method and $uri are made anew:
#
#     perl -i kubernetes.pl /etc/nginx/conf.d/kubernetes.conf

use strict;
use warnings;

my %METHODS = (
    get => 'GET HEAD', list => 'GET HEAD', watch => 'GET HEAD',
    create => 'POST', update => 'PUT', patch => 'PATCH', delete => 'DELETE',
    deletecollection => 'DELETE',
);

my $made;

while (my $line = <>) {
    next if $made
            && $line =~ /^\s*(?:match \$(?:request_method|uri)\s|"~\^)/;

    print $line;

    if ($made = $line =~ /^(\s*)#= (\S+) (\S+)(?: (\S+))?$/) {
        print lines($1, $2, $3, $4);

    } elsif ($line =~ /^\s*#=/) {
        fail('not "#= VERBS RESOURCES [NAMESPACES]"');
    }
}


sub lines {
    my ($indent, $verbs, $resources, $namespaces) = @_;

    my @verbs = $verbs eq '*' ? sort keys %METHODS : split(/,/, $verbs);
    my %verb = map { $_ => 1 } @verbs;
    my (%methods, %subs, @names);

    for my $verb (@verbs) {
        my $methods = $METHODS{$verb} or fail(qq{there is no verb "$verb"});

        $methods{$_} = 1 for split(/ /, $methods);
    }

    for my $resource (split(/,/, $resources)) {
        my ($name, $sub) = $resource =~ m{^([^/]+/?)(.*)$}
            or fail(qq{no resource: "$resource"});

        push @names, $name if !$subs{$name};
        push @{ $subs{$name} }, $sub;
    }

    my @methods = sort keys %methods;
    my @uris = map { uri($_, join(',', @{ $subs{$_} }), $namespaces, %verb) }
                   @names;

    return ($verbs eq '*' ? '' : "${indent}match \$request_method @methods;\n")
           . "${indent}match \$uri "
           . join("\n$indent           ", map { qq{"$_"} } @uris) . ";\n";
}


# of one resource; a slash at the end is the same to the API server

sub uri {
    my ($name, $sub, $namespaces, %verb) = @_;

    my ($resource, $group) = $name =~ m{^([^./]+)(?:\.([^/]+))?/?$}
        or fail(qq{no resource: "$name"});

    my $api = defined $group ? 'apis/' . glob_of($group) . '/[^/]+'
              : $resource eq '*' ? '(?:api/[^/]+|apis/[^/]+/[^/]+)'
              : 'api/v1';
    my $space = defined $namespaces
                ? '/namespaces/(?<namespace>' . glob_of($namespaces) . ')' : '';
    my $what = '/(?<resource>' . glob_of($resource) . ')';
    my $one = '/(?<name>[^/]+)';

    # what follows "proxy" is a path of the pod's own

    if ($sub ne '') {
        return "~^/$api$space$what$one/(?<sub>" . glob_of($sub) . ')'
               . ($sub eq 'proxy' ? '(?:/|$)' : '/?$');
    }

    $api .= '(?:/watch)?' if $verb{watch};

    return "~^/$api$space/?\$" if $space && $resource eq 'namespaces';

    # a list may be that of all namespaces

    $space = "(?:$space)?" if $space && ($verb{list} || $verb{watch});

    if (!grep { $verb{$_} } qw(get update patch delete)) {
        $one = '';

    } elsif (grep { $verb{$_} } qw(list watch create deletecollection)) {
        $one = "(?:$one)?";
    }

    return "~^/$api$space$what$one/?\$";
}


sub glob_of {
    my ($text) = @_;

    $text =~ /^[a-z0-9.,*-]+$/ or fail(qq{not a name: "$text"});

    return $text =~ s/\./\\./gr =~ s{\*}{[^/]*}gr =~ s/,/|/gr;
}


sub fail {
    my ($why) = @_;

    die "$ARGV:$.: $why\n";
}
