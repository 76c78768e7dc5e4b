package Approval::Example;

# Copyright (C) ngx_http_approval_module contributors
#
# A file of conf/examples as it stands, but for the addresses and the places of
# files.
#
#   my $text  = Approval::Example::fit(NAME);       for nginx -t
#   my %files = Approval::Example::files();         what the examples name
#
#   my $g = Approval::Example->start(NAME, %how);   a gateway of its own
#     tls   => 1           it listens with TLS, by the certificate of files()
#     put   => { FROM => TO, ... }   further addresses
#     files => { NAME => TEXT }      over those of files()
#     hook  => RECEIVER
#   ->redis ->up ->hook ->ngx ->port
#   ->pending([ID...])   the id of the first open action that is none of these
#   ->hold(METHOD => TARGET, KEY, %how)   (client, id): an agent's request that
#                        is held; KEY is that of approval/agents
#   ->links(ID, N)       { person => personal link }, when N have been told
#   ->records            the audit trail

use strict;
use warnings;

use Approval::Test;

my ($keys, $tls);

my %SECRET = (webhook => 'whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=',
              slack => 'https://hooks.example.com/services/T0/B0/x',
              'slack-leads' => 'https://hooks.example.com/services/T0/B1/y',
              teams => 'https://hooks.example.com/workflows/x?sig=y',
              'slack-signing' => '8f742231b10e8888abcd99yyyzzz85a5',
              redis => 'unused');

my %PEM = ('server.key' => 'key', 'gateway.key' => 'key');


for my $name (qw(redis up hook ngx)) {
    no strict 'refs';
    *$name = sub { $_[0]{$name} };
}


sub files {
    if (!$tls) {
        $tls = tempdir();
        $keys = make_keys(tempdir());

        Approval::Test::run_quiet(qw(openssl req -x509 -newkey ec -pkeyopt),
            qw(ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 2),
            '-keyout', "$tls/key", '-out', "$tls/pem");
    }

    return (
        'approval/secret'      => slurp($keys->{secret}),
        'approval/signing.pem' => slurp($keys->{signing}),
        'approval/passwords'   => join('', map { "$_->[0]:"
                                    . crypt($_->[1], '$6$salt') . "\n" }
                                    [ alice => 'alice' ],
                                    [ 'bob@example.com' => 'bob' ],
                                    [ 'carol@example.com' => 'carol' ]),
        'approval/agents'      => qq{"Bearer 7" agent-7;\n"Bearer a" Alice;\n},
        'approval/pipelines'   => qq{"Bearer 7" shop-main;\n},
        'approval/oncall'      => "# this week\nalice\@example.com\n",
        'approval/owners'      => "alice\@example.com\nbob\@example.com\n",
        'approval/sre'         => "alice\@example.com\nbob\@example.com\n",
        (map { +"approval/$_" => "$SECRET{$_}\n" } keys %SECRET),
        (map { +"tls/$_" => slurp("$tls/" . ($PEM{$_} // 'pem')) }
             qw(server.pem server.key clients-ca.pem cluster-ca.pem
                people-ca.pem gateway.pem gateway.key ca.pem)),
    );
}


sub fit {
    my ($name, %how) = @_;

    my $text = slurp(root_dir() . "/conf/examples/$name");
    my $redis = $how{redis} ? $how{redis}->url : 'unix:/nowhere/redis.sock';
    my $listen = 'listen 127.0.0.1:%%PORT%%';
    my $scheme = $how{tls} ? 'https' : 'http';

    $text =~ s{/etc/nginx/(approval|tls)/}{%%PREFIX%%/$1/}g;
    $text =~ s{/etc/ssl/certs/ca-certificates\.crt}{%%PREFIX%%/tls/ca.pem}g;
    $text =~ s{/var/log/nginx/}{%%PREFIX%%/}g;
    $text =~ s{listen 443}{$listen}g;

    return $text unless %how;

    $text =~ s{^approval_redis .*$}{approval_redis $redis;}m;
    $text =~ s{\Q$listen\E[^;]*}{$listen}g unless $how{tls};
    $text =~ s{127\.0\.0\.1:9000}{'127.0.0.1:' . $how{up}->port}ge;
    $text =~ s{^\s+resolver .*$}{}m;
    $text =~ s{https://hooks\.example\.com}{$how{hook}->url}ge;
    $text =~ s{https://\w+\.example\.com/_approval}
              {$scheme://127.0.0.1:%%PORT%%/_approval}x;

    my $put = $how{put} // {};

    $text =~ s/\Q$_\E/$put->{$_}/g for sort keys %$put;

    return $text;
}


sub start {
    my ($class, $name, %arg) = @_;

    my $self = bless { redis => Approval::Redis->new,
                       up => Approval::Upstream->new,
                       hook => $arg{hook} // Approval::Receiver->new }, $class;

    my %files = (files(), %{ $arg{files} // {} });

    s{https://hooks\.example\.com}{$self->hook->url}ge for values %files;

    $self->{ngx} = Approval::Nginx->new(
        http => fit($name, %$self, map { $_ => $arg{$_} } qw(tls put)),
        files => \%files);

    return $self;
}


sub port { $_[0]->ngx->port }


sub open_actions {
    my ($self) = @_;

    return @{ $self->redis->cmd(ZRANGE => 'approval:pending', 0, -1) };
}


sub pending {
    my ($self, @known) = @_;

    my %known = map { $_ => 1 } @known;

    return wait_for(sub { (grep { !$known{$_} } $self->open_actions)[0] });
}


sub hold {
    my ($self, $method, $target, $key, %how) = @_;

    my $headers = delete $how{headers} // [];
    my @known = $self->open_actions;
    my $client = Approval::Client->new($self->port);

    $client->send($method => $target, %how,
                  headers => [ Authorization => "Bearer $key", @$headers ]);

    return ($client, $self->pending(@known));
}


sub links {
    my ($self, $id, $n) = @_;

    my %links;

    wait_for(sub {
        %links = ();

        for my $message ($self->hook->messages) {
            my $event = decode_json($message->body);
            my $data = $event->{data};

            $links{ $data->{links}{approver} } = $data->{links}{url}
                if $event->{type} eq 'approval.requested'
                   && $data->{id} eq $id;
        }

        return keys %links >= $n;
    });

    return \%links;
}


sub records {
    my ($self) = @_;

    return map { decode_json($_) }
           split /^/, slurp($self->ngx->path('approval.jsonl'));
}


1;
