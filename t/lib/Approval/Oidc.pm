package Approval::Oidc;

# Copyright (C) ngx_http_approval_module contributors
#
# An OpenID provider, and an OIDC proxy as auth_request asks it: signed tokens,
# really checked.  In core Perl; RS256 by the program openssl.
#
#   my $provider = Approval::Oidc::Provider->new(issuer => 'okta' | 'entra');
#     its login page is /authorize: with "login" the person is signed in, with
#     "flaw" the token has one (see flawed())
#   ->token(NAME [, FLAW])    an ID token, as a program might have
#
#   my $proxy = Approval::Oidc::Proxy->new(provider => $provider, claim =>
#                                          'email', domain => 'example.com');
#     /oauth2/start, /oauth2/callback, and /oauth2/auth: 202 with
#     X-Auth-Request-User and X-Auth-Request-Email, or 401
#
# Both are Approval::Upstream: ->url, ->requests.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256 hmac_sha256_hex);
use File::Temp ();
use HTTP::Tiny;
use JSON::PP ();
use MIME::Base64 qw(encode_base64url decode_base64url encode_base64);
use Time::HiRes qw(time);

our $CLIENT = 'gateway-client';
our $SECRET = 'gateway-client-secret';


sub json { JSON::PP->new->utf8->canonical }

sub random_id { unpack('H*', pack('N4', map { int rand(2 ** 32) } 1 .. 4)) }


sub arguments {
    my ($text) = @_;

    my %arg;

    for my $pair (split /&/, $text // '') {
        my ($name, $value) = map { tr/+/ /r } split(/=/, $pair, 2);

        s/%([0-9A-Fa-f]{2})/chr hex $1/ge for $name, $value //= '';
        $arg{$name} = $value;
    }

    return \%arg;
}


sub query { arguments($_[0]->target =~ /\?(.*)/s ? $1 : '') }

sub escaped { $_[0] =~ s/([^A-Za-z0-9._~-])/sprintf('%%%02X', ord $1)/ger }


sub address {
    my ($base, %arg) = @_;

    return "$base?" . join('&', map { "$_=" . escaped($arg{$_}) }
                                sort keys %arg);
}


sub to { +{ status => 302, headers => [ Location => $_[0], @_[1 .. $#_] ] } }

sub says { +{ status => $_[0], body => "$_[1]\n" } }


# RS256 by openssl; files are gone with the process

sub openssl {
    my ($in, @arg) = @_;

    my $file = File::Temp->new(UNLINK => 1);

    print $file $in;
    close($file) or die $!;

    my $out = qx(openssl @arg $file 2>/dev/null);

    return $? == 0 ? $out : undef;
}


sub rs256 {
    my ($text, $key) = @_;

    return openssl($text, 'dgst', '-sha256', '-sign', $key);
}


sub rs256_verifies {
    my ($text, $signature, $jwk) = @_;

    my $pem = File::Temp->new(UNLINK => 1);
    my $file = File::Temp->new(UNLINK => 1);

    print $pem jwk_pem($jwk);
    print $file $signature;
    close($_) or die $! for $pem, $file;

    return defined openssl($text, 'dgst', '-sha256', '-verify', $pem,
                           '-signature', $file);
}


sub der {
    my ($tag, $content) = @_;

    my $n = length $content;

    return chr($tag) . ($n < 128 ? chr $n : $n < 256 ? pack('CC', 0x81, $n)
                                 : pack('Cn', 0x82, $n)) . $content;
}


sub jwk_pem {
    my ($jwk) = @_;

    my ($n, $e) = map { decode_base64url($jwk->{$_}) } qw(n e);
    my $key = der(0x30, der(0x02, "\0$n") . der(0x02, $e));
    my $rsa = der(0x30, der(0x06, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01")
                        . der(0x05, ''));

    return "-----BEGIN PUBLIC KEY-----\n"
           . encode_base64(der(0x30, $rsa . der(0x03, "\0$key")))
           . "-----END PUBLIC KEY-----\n";
}


package Approval::Oidc::Provider;

use strict;
use warnings;

use parent -norequire, 'Approval::Upstream';

use MIME::Base64 qw(encode_base64url);

my %ISSUER = (
    okta  => 'https://example.okta.com/oauth2/default',
    entra => 'https://login.microsoftonline.com/'
             . '9122040d-6c67-4c5b-b112-36a304b66dad/v2.0',
);


sub new {
    my ($class, %arg) = @_;

    my $dir = Approval::Test::tempdir();

    Approval::Test::run_quiet(qw(openssl genrsa -out), "$dir/$_", 2048)
        for qw(key other);

    return $class->SUPER::new(kind => $arg{issuer}, keys => $dir);
}


sub serve {
    my ($self, @arg) = @_;

    my %code;

    $self->{code} = sub { $self->respond($_[0], \%code) };
    $self->SUPER::serve(@arg);
}


sub issuer { $ISSUER{ $_[0]{kind} } }


sub respond {
    my ($self, $request, $codes) = @_;

    my ($path) = $request->target =~ /^([^?]*)/;

    return $self->keys_document if $path eq '/keys';
    return $self->authorize($request, $codes) if $path eq '/authorize';
    return $self->exchange($request, $codes) if $path eq '/token';

    return Approval::Oidc::says(404, 'no such page');
}


sub keys_document {
    my ($self) = @_;

    my ($modulus) = qx(openssl rsa -in $self->{keys}/key -noout -modulus)
                    =~ /=([0-9A-F]+)/;

    return { headers => [ 'Content-Type' => 'application/json' ],
             body => Approval::Oidc::json->encode({ keys => [ {
                 kty => 'RSA', use => 'sig', alg => 'RS256', kid => 'k1',
                 n => encode_base64url(pack('H*', $modulus)),
                 e => encode_base64url("\x01\x00\x01") } ] }) };
}


sub authorize {
    my ($self, $request, $codes) = @_;

    my $arg = Approval::Oidc::query($request);

    return Approval::Oidc::says(400, 'not an authorization request')
        unless $arg->{response_type} eq 'code'
               && $arg->{client_id} eq $Approval::Oidc::CLIENT
               && $arg->{scope} =~ /\bopenid\b/ && length $arg->{state};

    return Approval::Oidc::says(200, 'Sign in') unless $arg->{login};

    my $code = Approval::Oidc::random_id();

    $codes->{$code} = $arg;

    return Approval::Oidc::to(Approval::Oidc::address(
        $arg->{redirect_uri}, code => $code, state => $arg->{state}));
}


sub exchange {
    my ($self, $request, $codes) = @_;

    my $arg = Approval::Oidc::arguments($request->body);
    my $asked = delete $codes->{ $arg->{code} // '' };

    return Approval::Oidc::says(400, 'invalid_grant')
        unless $asked && $request->method eq 'POST'
               && $arg->{client_secret} eq $Approval::Oidc::SECRET
               && $arg->{redirect_uri} eq $asked->{redirect_uri};

    my $token = $self->token($asked->{login}, $asked->{flaw},
                             nonce => $asked->{nonce});

    return { headers => [ 'Content-Type' => 'application/json' ],
             body => Approval::Oidc::json->encode({
                 token_type => 'Bearer', id_token => $token }) };
}


sub token {
    my ($self, $name, $flaw, %more) = @_;

    my $now = int(Approval::Oidc::time());
    my %head = (typ => 'JWT', alg => 'RS256', kid => 'k1');
    my %claim = (iss => $self->issuer, aud => $Approval::Oidc::CLIENT,
                 iat => $now, exp => $now + 600, %more,
                 $self->person($name));

    my $key = flawed($flaw // '', \%head, \%claim) // "$self->{keys}/key";
    my $text = join('.', map { encode_base64url(Approval::Oidc::json->encode(
                                                $_)) } \%head, \%claim);

    my $signature =
        $head{alg} eq 'none' ? ''
        : $head{alg} eq 'HS256'
        ? Approval::Oidc::hmac_sha256($text, Approval::Oidc::jwk_pem(
              Approval::Oidc::json->decode($self->keys_document->{body})
              ->{keys}[0]))
        : Approval::Oidc::rs256($text, $key eq 'other' ? "$self->{keys}/other"
                                                       : $key);

    return "$text." . encode_base64url($signature);
}


# Okta's "sub" is the user's id; Entra ID's "oid" is, and it says nothing of
# whether an address is verified

sub person {
    my ($self, $name) = @_;

    my $id = substr(Approval::Oidc::hmac_sha256_hex($name, 'id'), 0, 17);
    my $mail = $name =~ /\@/ ? $name : "$name\@example.com";

    return (sub => "00u$id", email => $mail,
            email_verified => JSON::PP::true)
        if $self->{kind} eq 'okta';

    return (sub => "pairwise-$id", oid => "00000000-$id", email => $mail,
            preferred_username => $mail);
}


# each is what a proxy has to refuse; the key that signs, where it is not k1

sub flawed {
    my ($flaw, $head, $claim) = @_;

    my %change = (
        expired    => sub { $claim->{exp} = $claim->{iat} - 60 },
        audience   => sub { $claim->{aud} = 'another-client' },
        issuer     => sub { $claim->{iss} = 'https://evil.example/' },
        nonce      => sub { $claim->{nonce} = 'another' },
        unverified => sub { $claim->{email_verified} = JSON::PP::false },
        none       => sub { $head->{alg} = 'none' },
        hmac       => sub { $head->{alg} = 'HS256' },
    );

    $change{$flaw}->() if $change{$flaw};

    return $flaw eq 'signature' ? 'other' : undef;
}


package Approval::Oidc::Proxy;

use strict;
use warnings;

use parent -norequire, 'Approval::Upstream';

use MIME::Base64 qw(encode_base64url decode_base64url);


sub new {
    my ($class, %arg) = @_;

    my $provider = delete $arg{provider};

    return $class->SUPER::new(
        claim => 'email', %arg, issuer => $provider->issuer,
        at => $provider->url, cookie_key => Approval::Oidc::random_id());
}


sub serve {
    my ($self, @arg) = @_;

    $self->{code} = sub { $self->respond($_[0]) };
    $self->SUPER::serve(@arg);
}


sub respond {
    my ($self, $request) = @_;

    my ($path) = $request->target =~ /^([^?]*)/;

    return $self->sign_in($request) if $path eq '/oauth2/start';
    return $self->callback($request) if $path eq '/oauth2/callback';
    return $self->auth($request) if $path eq '/oauth2/auth';

    return Approval::Oidc::says(404, 'no such page');
}


sub back_to {
    my ($request) = @_;

    return (($request->header('X-Forwarded-Proto') // 'http') . '://'
            . $request->header('Host') . '/oauth2/callback');
}


sub sign_in {
    my ($self, $request) = @_;

    my $rd = Approval::Oidc::query($request)->{rd}
             // $request->header('X-Auth-Request-Redirect') // '/';
    my ($state, $nonce) = map { Approval::Oidc::random_id() } 1 .. 2;
    my $csrf = $self->sealed({ state => $state, nonce => $nonce, rd => $rd,
                               until => time + 600 });

    return Approval::Oidc::to(
        Approval::Oidc::address("$self->{at}/authorize",
            response_type => 'code', client_id => $Approval::Oidc::CLIENT,
            scope => 'openid email', redirect_uri => back_to($request),
            state => $state, nonce => $nonce),
        'Set-Cookie' => "_oauth2_proxy_csrf=$csrf; Path=/; HttpOnly; Secure");
}


sub callback {
    my ($self, $request) = @_;

    my $arg = Approval::Oidc::query($request);
    my $asked = $self->opened($request, '_oauth2_proxy_csrf');

    return Approval::Oidc::says(403, 'not what was asked for')
        unless $asked && ($arg->{state} // '') eq $asked->{state};

    my $answer = HTTP::Tiny->new(timeout => 20)->post_form(
        "$self->{at}/token", { grant_type => 'authorization_code',
            code => $arg->{code} // '', redirect_uri => back_to($request),
            client_id => $Approval::Oidc::CLIENT,
            client_secret => $Approval::Oidc::SECRET });

    return Approval::Oidc::says(403, 'no token') unless $answer->{success};

    my $token = Approval::Oidc::json->decode($answer->{content})->{id_token};
    my ($claim, $why) = $self->claims($token, $asked->{nonce});

    return Approval::Oidc::says(403, $why) unless $claim;

    my $session = $self->sealed({ user => $claim->{sub},
                                  email => $claim->{ $self->{claim} },
                                  until => $claim->{exp} });
    my $rd = $asked->{rd} =~ m{^/(?![/\\])} ? $asked->{rd} : '/';

    return Approval::Oidc::to($rd, 'Set-Cookie' =>
        "_oauth2_proxy=$session; Path=/; HttpOnly; Secure; SameSite=Lax");
}


sub auth {
    my ($self, $request) = @_;

    my $who = $self->opened($request, '_oauth2_proxy');
    my ($bearer) = ($request->header('Authorization') // '')
                   =~ /^Bearer (\S+\.\S+\.\S*)$/;

    if (!$who && $bearer) {
        my ($claim) = $self->claims($bearer);

        $who = { user => $claim->{sub}, email => $claim->{ $self->{claim} } }
            if $claim;
    }

    return Approval::Oidc::says(401, 'Unauthorized') unless $who;

    return { status => 202, headers => [
                 'X-Auth-Request-User' => $who->{user},
                 'X-Auth-Request-Email' => $who->{email} ] };
}


# of a token that is good; or (undef, why it is not)

sub claims {
    my ($self, $token, $nonce) = @_;

    my ($head, $claim, $signature) = split(/\./, $token, 3);

    $_ = eval { Approval::Oidc::json->decode(decode_base64url($_)) }
        for my ($h, $c) = ($head, $claim);

    return (undef, 'no token') unless ref $h eq 'HASH' && ref $c eq 'HASH';
    return (undef, 'algorithm') unless ($h->{alg} // '') eq 'RS256';

    my $keys = HTTP::Tiny->new(timeout => 20)->get("$self->{at}/keys");
    my ($jwk) = grep { $_->{kid} eq ($h->{kid} // '') }
                @{ Approval::Oidc::json->decode($keys->{content})->{keys} };

    return (undef, 'signature')
        unless $jwk && Approval::Oidc::rs256_verifies(
                           "$head.$claim", decode_base64url($signature), $jwk);

    return (undef, 'issuer') unless $c->{iss} eq $self->{issuer};
    return (undef, 'audience') unless $c->{aud} eq $Approval::Oidc::CLIENT;
    return (undef, 'expired') unless $c->{exp} > time;
    return (undef, 'nonce')
        if defined $nonce && ($c->{nonce} // '') ne $nonce;
    return (undef, 'unverified')
        if exists $c->{email_verified} && !$c->{email_verified};
    return (undef, 'no claim') unless length($c->{ $self->{claim} } // '');
    return (undef, 'domain') if $self->{domain}
                                && $c->{email} !~ /\@\Q$self->{domain}\E$/;

    return $c;
}


# a cookie's value: JSON, and a MAC

sub sealed {
    my ($self, $data) = @_;

    my $text = encode_base64url(Approval::Oidc::json->encode($data));

    return "$text." . Approval::Oidc::hmac_sha256_hex($text,
                                                      $self->{cookie_key});
}


sub opened {
    my ($self, $request, $name) = @_;

    my ($text, $mac) = ($request->header('Cookie') // '')
                       =~ /(?:^|;\s*)\Q$name\E=([\w-]+)\.([0-9a-f]+)/;

    return undef unless defined $mac
        && $mac eq Approval::Oidc::hmac_sha256_hex($text, $self->{cookie_key});

    my $data = Approval::Oidc::json->decode(decode_base64url($text));

    return $data->{until} > time ? $data : undef;
}


1;
