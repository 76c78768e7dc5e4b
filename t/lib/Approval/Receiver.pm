package Approval::Receiver;

# Copyright (C) ngx_http_approval_module contributors
#
# Where a channel's notifications arrive: an Approval::Upstream (see there for
# the rest of the methods) that answers by a script.
#
#   my $receiver = Approval::Receiver->new(script => [ ANSWER, ... ]);
#                        one answer a delivery, the last one stays; without a
#                        script each gets 204
#   ->script(ANSWER, ...)      a new script, from its beginning
#   ->messages                 the deliveries (Approval::Message), as ->requests
#   ->verify(MESSAGE, SECRET)  '' if the Standard Webhooks headers are right,
#                              or what is wrong with them

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_base64);
use MIME::Base64 qw(decode_base64);
use Time::HiRes qw(time);

use parent -norequire, 'Approval::Upstream';

use Approval::Upstream;


sub new {
    my ($class, %arg) = @_;

    my $script = delete $arg{script};

    return $class->SUPER::new($script ? (answers => { '*' => $script }) : (),
                              %arg);
}


sub defaults {
    return (default => { status => 204 });
}


sub script {
    my ($self, @answers) = @_;

    $self->answer('*' => \@answers);
}


sub messages {
    my ($self) = @_;

    return $self->requests;
}


sub verify {
    my ($self, $message, $secret) = @_;

    my ($id, $time, $signed) = map { $message->header("webhook-$_") // '' }
                                   qw(id timestamp signature);

    return 'no webhook-id' if $id eq '';
    return "webhook-timestamp \"$time\"" unless $time =~ /^\d+$/;
    return 'webhook-timestamp is not now' if abs(time() - $time) > 60;

    my $key = decode_base64($secret =~ s/^whsec_//r);
    my $want = hmac_sha256_base64(join('.', $id, $time, $message->body), $key);

    $want .= '=' while length($want) % 4;

    return '' if grep { $_ eq "v1,$want" } split(/ /, $signed);
    return "webhook-signature \"$signed\", not v1,$want";
}


1;
