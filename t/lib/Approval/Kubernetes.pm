package Approval::Kubernetes;

# Copyright (C) ngx_http_approval_module contributors
#
# A small Kubernetes API server behind a gateway with
# conf/examples/kubernetes.conf, and kubectl in front of it.
#
#   my $k = Approval::Kubernetes->start(put => { FROM => TO });
#     put   of Approval::Example
#   ->gateway                the Approval::Example
#   ->user                   curl's arguments: the certificate of "dev"
#   ->kubectl(ARG...)        starts it; environment before: { NAME => VALUE }
#   ->said(JOB)              its status, and what it has printed
#   ->done                   what the API server was told to do: "METHOD PATH",
#                            without queries, of all requests but those that
#                            only read what a rule does not concern
#
# Any object of its resources is there until it is deleted, and never changes.
# Pods run nothing: exec and the like are answered so.

use strict;
use warnings;

use Approval::Example;
use Approval::Test;

my %RESOURCES = (
    'api/v1' => [
        [ 'pods', 'Pod', 1 ], [ 'pods/exec', 'PodExecOptions', 1 ],
        [ 'pods/eviction', 'Eviction', 1 ], [ 'secrets', 'Secret', 1 ],
        [ 'pods/ephemeralcontainers', 'Pod', 1 ],
        [ 'services', 'Service', 1 ], [ 'namespaces', 'Namespace', 0 ],
        [ 'nodes', 'Node', 0 ],
    ],
    'apis/apps/v1' => [
        [ 'deployments', 'Deployment', 1 ],
        [ 'deployments/scale', 'Scale', 1 ],
    ],
    'apis/policy/v1' => [], 'apis/policy/v1beta1' => [],
);

my %SPEC = (
    Pod => { nodeName => 'node-1',
             containers => [ { name => 'main', image => 'web' } ] },
    Deployment => {
        replicas => 3, selector => { matchLabels => { app => 'web' } },
        template => { metadata => { labels => { app => 'web' } },
                      spec => { containers => [ { name => 'main',
                                                  image => 'web' } ] } } },
    Scale => { replicas => 3 },
);

my %STATUS = (
    Pod => { phase => 'Running', conditions => [ { type => 'Ready',
                                                   status => 'True' } ] },
    Scale => { replicas => 3 },
);


sub gateway { $_[0]{gateway} }

sub user { @{ $_[0]{user} } }


sub start {
    my ($class, %arg) = @_;

    my %gone;
    my $port = free_port();
    my $up = Approval::Upstream->new(code => sub { api($_[0], \%gone) });
    my $g = Approval::Example->start('kubernetes.conf', init => 1, up => $up,
        put => { '127.0.0.1:6443' => "127.0.0.1:$port", %{ $arg{put} // {} } });

    my $self = bless { gateway => $g, dir => tempdir() }, $class;
    my @cert = $g->certificate('cluster-ca', '/CN=kubernetes',
                               'subjectAltName=DNS:kubernetes.default.svc');
    my $tls = $g->ngx->path('tls');

    Approval::Nginx->new(module => 0, http => <<"END");
        server {
            listen 127.0.0.1:$port ssl;
            ssl_certificate $cert[1];
            ssl_certificate_key $cert[3];
            ssl_client_certificate $tls/gateway.pem;
            ssl_verify_client on;
            location / { proxy_pass @{[ $up->url ]}; }
        }
END

    $self->{user} = [ $g->certificate('clients-ca', '/CN=dev') ];

    spew("$self->{dir}/config", <<"END");
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u, namespace: prod}}]
clusters:
- name: c
  cluster:
    server: https://127.0.0.1:@{[ $g->port ]}
    certificate-authority: $tls/server.pem
users:
- name: u
  user: {client-certificate: $self->{user}[1], client-key: $self->{user}[3]}
END

    return $self;
}


sub kubectl {
    my ($self, @arg) = @_;

    my %env = ref $arg[0] ? %{ shift @arg } : ();
    my $out = tempdir() . '/out';

    return { out => $out, process => Approval::Process->start(
        cmd => [ 'kubectl', @arg ], stdout => $out, stderr => "$out.err",
        env => { HOME => $self->{dir}, KUBECONFIG => "$self->{dir}/config",
                 %env }) };
}


sub said {
    my ($self, $job) = @_;

    $job->{process}->wait_exit(120 * slow()) or die "kubectl has not ended\n";

    return ($job->{process}->status,
            slurp($job->{out}) . slurp("$job->{out}.err"));
}


sub done {
    my ($self) = @_;

    return grep { !/^GET/ || m{/(?:exec|attach|portforward|proxy)(?:/|$)}
                  || m{^GET /api/v1/.*secrets} }
           map { $_->method . ' ' . $_->target =~ s/\?.*//r }
           $self->gateway->up->requests;
}


# the API server

sub api {
    my ($request, $gone) = @_;

    my ($path, $query) = split(/\?/, $request->target, 2);
    my $method = $request->method;

    $path =~ s{^/|/$}{}g;

    return found({ major => 1, minor => '33', gitVersion => 'v1.33.0' })
        if $path eq 'version';
    return found({ kind => 'APIVersions', versions => [ 'v1' ] })
        if $path eq 'api';
    return found(groups()) if $path eq 'apis';
    return found(resources($path)) if $RESOURCES{$path};

    my ($space, $plural, $name, $sub) = $path =~ m{
        ^(?:api/v1|apis/[^/]+/[^/]+)/(?:watch/)?
         (?:namespaces/([^/]+)/(?=[^/]))?
         ([^/]+)(?:/([^/]+)(?:/([^/]+).*)?)?$}x
        or return missing($path);

    return { body => "the proxied answer\n" } if ($sub // '') eq 'proxy';

    return failure(400, 'BadRequest', "$name runs no such thing")
        if ($sub // '') =~ /^(?:exec|attach|portforward)$/;

    my ($kind) = map { $_->[1] } grep { $_->[0] eq $plural }
                                 map { @$_ } values %RESOURCES
        or return missing($path);

    my $key = join '/', $plural, $space // '', $name // '';

    if ($method eq 'DELETE' || ($sub // '') eq 'eviction') {
        $gone->{$key} = 1;

        return found({ kind => 'Status', apiVersion => 'v1', metadata => {},
                       status => 'Success' });
    }

    my $of = $space // 'prod';

    if (!defined $name && $method eq 'GET') {
        my ($on) = ($query // '') =~ /spec.nodeName(?:%3D|=)([^&%]+)/i;
        my ($one) = ($query // '') =~ /metadata.name(?:%3D|=)([^&%]+)/i;
        my @names = grep { !$gone->{"$plural/$of/$_"} }
                    $one // (defined $on ? "on-$on" : "$plural-1");

        return found({ kind => "${kind}List", apiVersion => version($path),
                       metadata => { resourceVersion => '1' },
                       items => [ map { object($path, $kind, $of, $_) }
                                      @names ] });
    }

    return missing($path) if $method eq 'GET' && $gone->{$key};

    # newer kubectl creates by protobuf

    $name //= eval { $request->json->{metadata}{name} } // 'unnamed';
    $kind = 'Scale' if ($sub // '') eq 'scale';

    return found(object($path, $kind, $space, $name),
                 $method eq 'POST' ? 201 : 200);
}


sub version {
    my ($path) = @_;

    return 'autoscaling/v1' if $path =~ m{/scale$};

    return $path =~ m{^apis/([^/]+/[^/]+)} ? $1 : 'v1';
}


sub object {
    my ($path, $kind, $space, $name) = @_;

    return {
        kind => $kind, apiVersion => version($path),
        metadata => { name => $name, uid => "uid-$name",
                      resourceVersion => '1',
                      creationTimestamp => '2026-01-01T00:00:00Z',
                      defined $space ? (namespace => $space) : () },
        $kind eq 'Secret' ? (data => { password => 'c2VzYW1l' })
                          : (spec => $SPEC{$kind} // {}),
        status => $STATUS{$kind} // {},
    };
}


sub groups {
    return { kind => 'APIGroupList', apiVersion => 'v1', groups => [
        map {
            my ($name, @versions) = @$_;
            my @all = map { { groupVersion => "$name/$_", version => $_ } }
                          @versions;

            { name => $name, versions => \@all, preferredVersion => $all[0] }
        } [ 'apps', 'v1' ], [ 'policy', 'v1', 'v1beta1' ] ] };
}


sub resources {
    my ($path) = @_;

    return { kind => 'APIResourceList', apiVersion => 'v1',
             groupVersion => version($path), resources => [
        map {
            my ($name, $kind, $namespaced) = @$_;

            { name => $name, singularName => '', kind => $kind,
              namespaced => $namespaced ? JSON::PP::true : JSON::PP::false,
              $kind eq 'Eviction' ? (group => 'policy', version => 'v1') : (),
              $kind eq 'Scale' ? (group => 'autoscaling', version => 'v1')
                               : (),
              verbs => [ qw(create delete deletecollection get list patch
                            update watch) ] }
        } @{ $RESOURCES{$path} } ] };
}


sub found {
    my ($object, $status) = @_;

    return { status => $status // 200, body => encode_json($object),
             headers => [ 'Content-Type' => 'application/json' ] };
}


sub failure {
    my ($code, $reason, $message) = @_;

    return found({ kind => 'Status', apiVersion => 'v1', metadata => {},
                   status => 'Failure', reason => $reason, code => $code,
                   message => $message, details => {} }, $code);
}


sub missing { failure(404, 'NotFound', "$_[0] not found") }


1;
