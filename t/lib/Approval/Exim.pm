package Approval::Exim;

# Copyright (C) ngx_http_approval_module contributors
#
# A mail server: Exim 4, as Debian has it, that keeps what it accepts.
#
#   my $exim = Approval::Exim->new(certificate => FILE, key => FILE,
#                                  user => 'USER:PASSWORD');
#   ->port ->tls_port    SMTP, with STARTTLS where there is a certificate; and
#                        with TLS from the start
#   ->mails              the accepted ones (Approval::Mail), oldest first
#   ->wait_count(N)
#   ->log                its main log
#   ->clear              forgets the mails
#
# AUTH is offered over TLS only, and with "user" needed.  A mail to unknown@ is
# refused by 550, to later@ by 451.
#
# Only root may start it as a server.  It gives up root's rights where its
# configuration is not Debian's own, so it runs as Debian-exim from the start.

use strict;
use warnings;

use POSIX ();

use Approval::Mail;
use Approval::Process;


sub new {
    my ($class, %arg) = @_;

    my $self = bless { %arg, dir => Approval::Test::tempdir() }, $class;

    my ($uid, $gid) = (getpwnam('Debian-exim'))[2, 3];

    mkdir("$self->{dir}/$_") for qw(spool mail);

    for (1 .. 10) {
        $self->{port} = Approval::Test::free_port();
        $self->{tls_port} = Approval::Test::free_port();
        Approval::Test::spew("$self->{dir}/exim.conf", $self->conf);

        chmod(0755, $self->{dir});
        chown($uid, $gid, map { "$self->{dir}$_" } '', qw(/spool /mail));

        $self->{process} = Approval::Process->start(
            stderr => "$self->{dir}/stderr",
            code => sub {
                $( = $gid;
                $) = "$gid $gid";
                POSIX::setuid($uid);

                exec('/usr/sbin/exim4', '-C', "$self->{dir}/exim.conf",
                     '-bdf');
            });

        return $self if $self->wait_ready;

        $self->{process}->kill_group;
    }

    die "exim did not start:\n" . $self->log;
}


for my $name (qw(port tls_port dir)) {
    no strict 'refs';
    *$name = sub { $_[0]{$name} };
}


sub conf {
    my ($self) = @_;

    my $dir = $self->{dir};
    my $tls = $self->{certificate}
        ? "tls_advertise_hosts = *\ntls_certificate = $self->{certificate}\n"
          . "tls_privatekey = $self->{key}\n"
          . "tls_on_connect_ports = $self->{tls_port}\n"
        : "tls_advertise_hosts =\n";
    my ($deny, $auth) = ('', '');

    if (defined $self->{user}) {
        my ($user, $password) = split(/:/, $self->{user}, 2);
        my $name = $self->{mechanism} // 'PLAIN';
        my ($prompts, @got) = $name eq 'LOGIN' ? ('User : Password', 1, 2)
                                               : (':', 2, 3);

        $deny = "  deny !authenticated = *\n";
        $auth = <<"END";
\L$name\E:
  driver = plaintext
  public_name = $name
  server_prompts = $prompts
  server_condition = \${if and{{eq{\$auth$got[0]}{$user}}{eq{\$auth$got[1]}{$password}}}}
  server_set_id = \$auth$got[0]
  server_advertise_condition = \${if def:tls_in_cipher}
END
    }

    return <<"END";
daemon_smtp_ports = $self->{port} : $self->{tls_port}
local_interfaces = 127.0.0.1
spool_directory = $dir/spool
log_file_path = $dir/%slog
pid_file_path = $dir/pid
primary_hostname = mx.test
keep_environment =
add_environment = PATH=/usr/bin:/bin
host_lookup =
log_selector = +smtp_protocol_error +tls_sni +smtp_connection +smtp_no_mail
acl_smtp_rcpt = rcpt
acl_smtp_data = accept
deliver_drop_privilege
smtp_accept_max_per_connection = 100
$tls
begin acl
rcpt:
$deny  deny condition = \${if eq{\$local_part}{unknown}}
  defer condition = \${if eq{\$local_part}{later}}
  accept

begin routers
all:
  driver = accept
  transport = store

begin transports
store:
  driver = appendfile
  directory = $dir/mail
  maildir_format
  envelope_to_add
  return_path_add

begin authenticators
$auth
END
}


sub wait_ready {
    my ($self) = @_;

    my $ready = Approval::Test::wait_for(sub {
        return 'gone' unless $self->{process}->alive;
        return $self->log =~ /listening for SMTP/;
    });

    return $ready && $ready ne 'gone';
}


sub log {
    my ($self) = @_;

    return join '', map { -e $_ ? Approval::Test::slurp($_) : () }
                    map { "$self->{dir}/$_" } qw(mainlog paniclog stderr);
}


sub mails {
    my ($self) = @_;

    # Exim delivers side by side: by what we wrote into them

    return sort { $a->time <=> $b->time || $a->arrived <=> $b->arrived }
           map { Approval::Mail->read($_) }
           grep { !$self->{seen}{$_} } glob("$self->{dir}/mail/new/*");
}


sub wait_count {
    my ($self, $n) = @_;

    return Approval::Test::wait_for(sub { (my @m = $self->mails) >= $n });
}


sub clear {
    my ($self) = @_;

    $self->{seen}{$_} = 1 for glob("$self->{dir}/mail/new/*");
}


1;
