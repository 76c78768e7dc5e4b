package Approval::Example;

# Copyright (C) ngx_http_approval_module contributors
#
# A file of conf/examples as it stands, or README.md's gateway, but for the
# addresses and the places of files, which are those that conf/init.sh makes.
#
#   my $text  = Approval::Example::fit(NAME);       for nginx -t
#   my %files = Approval::Example::files();         what the examples name
#
#   my $g = Approval::Example->start(NAME, %how);   a gateway of its own
#     init  => 1           as after conf/init.sh, with its owners and modes, with
#                          TLS, and by the names of the file; else with agents,
#                          passwords and secrets that tests know, over TCP
#     tls   => 1           it listens with TLS, by the certificate of files()
#     put   => { FROM => TO, ... }   further addresses
#     files => { NAME => TEXT }      over those of files()
#     hook  => RECEIVER
#     up    => SERVER
#     smtp  => EXIM      where mails go, after init
#     told  => N         people that the example tells of each request, default 1
#     runs  => CODE      how much was executed, default what the upstream has got
#   ->redis ->up ->hook ->smtp ->ngx ->port
#   ->said               what conf/init.sh has said
#   ->key([FILE])        what the first of approval/agents sends, after init
#   ->password(NAME)     of an approver, after init
#   ->curl(ARG...) ->curl_start(ARG...)   by the names of the file: trusting
#                        tls/server.pem, all names are this gateway
#   ->certificate(CA, SUBJECT [, EXTENSION])
#                        curl's arguments: by an authority of init's
#   ->pending([ID...])   the id of the first open action that is none of these
#   ->hold(METHOD => TARGET, KEY, %how)   (client, id): an agent's request that
#                        is held; KEY is that of approval/agents
#   ->links(ID, N, NAME...)
#                        { person => personal link }, when N have been told,
#                        and these; with "smtp", { address => link }
#   ->asked              the id of the next action, when people are told
#   ->vote(ID, DECISION, COMMENT [, PERSON...])
#                        by personal links, that of any if there is no PERSON;
#                        the statuses
#   ->records([TYPE [, ID]])  the audit trail
#   ->joined(ID [, N])   whether the action is joined N times, 1 by default
#   ->messages           { action => how many messages ask people }
#   ->counts(NAME, ASKED, EXECUTED)
#                        tests: since the last time people were asked so often,
#                        with a message for each, and so much was executed

use strict;
use warnings;

use Approval::Test;

my $HOOKS = 'https://hooks.example.com';

my %KNOWN = (
    'approval/agents'        => qq{"Bearer 7" agent-7;\n"Bearer a" Alice;\n},
    'approval/pipelines'     => qq{"Bearer 7" shop-main;\n},
    'approval/oncall'        => "# this week\nalice\@example.com\n",
    'approval/slack'         => "$HOOKS/services/T01ABCDEF/B0/x\n",
    'approval/slack-leads'   => "$HOOKS/services/T01ABCDEF/B1/y\n",
    'approval/slack-signing' => "8f742231b10e8888abcd99yyyzzz85a5\n",
    'approval/teams'         => "$HOOKS/workflows/x?sig=y\n",
    'approval/smtp'          => "smtp://gw:secret\@smtp.example.com:587\n",
    'approval/passwords'     => join('', map { "$_->[0]:"
                                    . crypt($_->[1], '$6$salt') . "\n" }
                                    [ alice => 'alice' ],
                                    [ 'bob@example.com' => 'bob' ],
                                    [ 'carol@example.com' => 'carol' ]),
);

my %made;


for my $name (qw(redis up hook smtp ngx said)) {
    no strict 'refs';
    *$name = sub { $_[0]{$name} };
}


# what it says; the authorities of the system are the gateway's own certificate

sub init {
    my ($dir, @conf) = @_;

    my $root = root_dir();
    my @path = map { $_ eq 'README.md' ? () : "$root/conf/examples/$_" } @conf;
    my $out = tempdir() . '/init';

    my $init = Approval::Process->start(
        cmd => [ 'sh', "$root/conf/init.sh", '--dir', $dir, '--user',
                 $> == 0 ? 'nobody' : getpwuid($>), @path ],
        stdout => $out, stderr => $out);

    $init->wait_exit(120 * slow()) or die 'conf/init.sh does not end';
    $init->status == 0 or die 'conf/init.sh: ' . slurp($out);

    spew("$dir/tls/ca.pem", slurp("$dir/tls/server.pem"));

    return slurp($out);
}


sub files {
    if (!%made) {
        my $dir = tempdir();

        init($dir, map { s{.*/}{}r } glob(root_dir() . '/conf/examples/*.conf'));

        %made = map { substr($_, 1 + length $dir) => slurp($_) }
                    glob("$dir/approval/* $dir/tls/*");
    }

    return (%made, %KNOWN);
}


sub text_of {
    my ($name) = @_;

    return slurp(root_dir() . "/conf/examples/$name") if $name ne 'README.md';

    my ($text) = slurp(root_dir() . '/README.md')
                 =~ /^```nginx\n(user .*?)^```$/ms;
    my $temp = join '', map { "${_}_temp_path %%PREFIX%%/${_}_temp;\n" }
                            qw(client_body proxy fastcgi uwsgi scgi);

    $text =~ s{^user .*$}{daemon off; pid %%PREFIX%%/nginx.pid;
                          error_log %%PREFIX%%/error.log debug;}m;
    $text =~ s{^load_module .*$}{load_module %%MODULE%%;}m;
    $text =~ s{^http \{$}{http \{ $temp access_log %%PREFIX%%/access.log;}m;

    return $text;
}


sub fit {
    my ($name, %how) = @_;

    my $text = text_of($name);
    my $redis = !$how{redis} ? 'unix:/nowhere/redis.sock'
                : $how{init} ? $how{redis}->tcp_url : $how{redis}->url;
    my $listen = 'listen 127.0.0.1:%%PORT%%';
    my $scheme = $how{tls} ? 'https' : 'http';

    $text =~ s{/etc/nginx/(approval|tls)/}{%%PREFIX%%/$1/}g;
    $text =~ s{/etc/ssl/certs/ca-certificates\.crt}{%%PREFIX%%/tls/ca.pem}g;
    $text =~ s{/var/log/nginx/}{%%PREFIX%%/}g;
    $text =~ s{listen 443}{$listen}g;

    return $text unless %how;

    $text =~ s{^(\s*)approval_redis .*$}{$1approval_redis $redis;}m;
    $text =~ s{\Q$listen\E[^;]*}{$listen}g unless $how{tls};
    $text =~ s{127\.0\.0\.1:9000}{'127.0.0.1:' . $how{up}->port}ge;
    $text =~ s{http://127\.0\.0\.1:9001}{$how{hook}->url}ge;
    $text =~ s{^\s+resolver .*$}{}m;
    $text =~ s{\Q$HOOKS\E}{$how{hook}->url}ge;
    $text =~ s{https://\w+\.example\.com/_approval}
              {$scheme://127.0.0.1:%%PORT%%/_approval}x unless $how{init};

    my $put = $how{put} // {};

    $text =~ s/\Q$_\E/$put->{$_}/g for sort keys %$put;

    return $text;
}


sub start {
    my ($class, $name, %arg) = @_;

    my $self = bless { redis => Approval::Redis->new,
                       up => $arg{up} // Approval::Upstream->new,
                       hook => $arg{hook} // Approval::Receiver->new,
                       smtp => $arg{smtp}, told => $arg{told} // 1,
                       runs => $arg{runs} // sub { $_[0]->up->count },
                       known => [], seen => [ 0, 0, 0 ] }, $class;

    my %how = (%$self, map { $_ => $arg{$_} } qw(tls put init));

    $how{tls} = 1 if $arg{init};

    my $conf = $name eq 'README.md' ? 'raw' : 'http';
    my %files = $arg{init} ? () : (files(), %{ $arg{files} // {} });

    s{\Q$HOOKS\E}{$self->hook->url}ge for values %files;

    $self->{ngx} = Approval::Nginx->new($conf => fit($name, %how),
                                        files => \%files, start => 0);

    $self->after_init($name) if $arg{init};
    $self->ngx->start;

    return $self;
}


# what is to be filled in is the receiver's address

sub after_init {
    my ($self, $name) = @_;

    my $prefix = $self->ngx->prefix;
    my $url = $self->hook->url;

    $self->{said} = init($prefix, $name);

    for my $file (glob("$prefix/approval/*")) {
        my $text = slurp($file);
        spew($file, $text) if $text =~ s{\Q$HOOKS\E}{$url}g;
    }

    spew("$prefix/approval/smtp", 'smtp://127.0.0.1:' . $self->smtp->port)
        if $self->smtp;
}


sub key {
    my ($self, $file) = @_;

    my ($key) = slurp($self->ngx->path('approval/' . ($file // 'agents')))
                =~ /^"(Bearer \S+)" \S+-1;$/m;

    return $key;
}


sub password {
    my ($self, $name) = @_;

    my ($password) = $self->said =~ /^ +\Q$name\E +(\S+)$/m;

    return $password;
}


sub curl { my ($self, @arg) = @_; return $self->curl_start(@arg)->read }

sub curl_start {
    my ($self, @arg) = @_;

    return Approval::Client->curl_start(
        '--cacert', $self->ngx->path('tls/server.pem'), '--connect-to',
        '::127.0.0.1:' . $self->port, @arg);
}


sub port { $_[0]->ngx->port }


sub certificate {
    my ($self, $ca, $subject, $extension) = @_;

    my $tls = $self->ngx->path('tls');
    my $file = tempdir() . '/c';

    Approval::Test::run_quiet(qw(openssl req -newkey ec -pkeyopt
        ec_paramgen_curve:P-256 -nodes -subj), $subject, '-keyout',
        "$file.key", '-out', "$file.csr");
    spew("$file.ext", defined $extension ? "$extension\n" : '');
    Approval::Test::run_quiet(qw(openssl x509 -req -days 2 -CAcreateserial
        -CA), "$tls/$ca.pem", '-CAkey', "$tls/$ca.key", '-in', "$file.csr",
        '-extfile', "$file.ext", '-out', "$file.crt");

    return ('--cert', "$file.crt", '--key', "$file.key");
}


sub open_actions {
    my ($self) = @_;

    return @{ $self->redis->cmd(ZRANGE => 'approval:{00}:pending', 0, -1) };
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
    my ($self, $id, $n, @names) = @_;

    my %links;

    wait_for(sub {
        %links = $self->smtp ? $self->mailed($id) : $self->posted($id);

        return keys %links >= $n && !grep { !$links{$_} } @names;
    });

    return \%links;
}


sub posted {
    my ($self, $id) = @_;

    return map { $_->{links}{approver} => $_->{links}{url} }
           grep { $_->{id} eq $id }
           map { $_->{data} } grep { $_->{type} eq 'approval.requested' }
           map { decode_json($_->body) } $self->hook->messages;
}


sub mailed {
    my ($self, $id) = @_;

    return map { $_->text =~ m{^\ {4}(\S+/\Q$id\E\?t=\S+)$}m
                 ? ($_->to => $1) : () } $self->smtp->mails;
}


sub asked {
    my ($self) = @_;

    my $known = $self->{known};
    my $id = $self->pending(@$known) or die "nobody is asked\n";

    push @$known, $id;
    $self->links($id, $self->{told});

    return $id;
}


sub vote {
    my ($self, $id, $decision, $comment, @people) = @_;

    my $links = $self->links($id, @people ? 1 : $self->{told}, @people);
    my @status;

    for my $person (@people ? @people : (sort keys %$links)[0]) {
        my $url = $links->{$person} // 'https://none.example.com/';

        push @status, $self->curl(-H => 'Content-Type: application/json',
            -d => encode_json({ decision => $decision, comment => $comment }),
            $url =~ s{(?=\?|$)}{/decision}r)->status;
    }

    return "@status";
}


sub records {
    my ($self, $type, $id) = @_;

    return grep { !defined $type || $_->{type} eq $type }
           grep { !defined $id || ($_->{action_id} // '') eq $id }
           map { decode_json($_) } grep { /\n\z/ }
           split /^/, slurp($self->ngx->path('approval.jsonl'));
}


sub joined {
    my ($self, $id, $n) = @_;

    return wait_for(sub { $self->records('joined', $id) >= ($n // 1) }, 30);
}


sub messages {
    my ($self) = @_;

    my %asked;

    for my $message (map { decode_json($_->body) } $self->hook->messages) {
        $asked{ $message->{data}{id} }++
            if $message->{type} eq 'approval.requested';
    }

    return \%asked;
}


sub counts {
    my ($self, $name, $asks, $executed) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my (@now, @new);
    my @want = ($asks, $asks * $self->{told}, $executed);
    my $seen = $self->{seen};

    wait_for(sub {
        my $messages = 0;

        $messages += $_ for values %{ $self->messages };
        @now = (scalar $self->records('requested'), $messages,
                $self->{runs}->($self));
        @new = map { $now[$_] - $seen->[$_] } 0 .. 2;

        return !grep { $new[$_] < $want[$_] } 0 .. 2;
    });

    is($new[0], $want[0], "$name: people asked");
    is($new[1], $want[1], "$name: messages");
    is($new[2], $want[2], "$name: executions");

    $self->{seen} = \@now;
}


1;
