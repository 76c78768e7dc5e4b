#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The public keys, and receipts that npm's jose verifies with nothing else but
# their URL.

use lib 't/lib';
use Approval::Test;
use Approval::Gateway;
use Approval::Npm;

use Digest::SHA qw(sha256);
use MIME::Base64 qw(decode_base64url encode_base64url);

need('openssl');
need_module();

my $gw = Approval::Gateway->new(workers => 1, http => <<'EOF',
    approval_policy p { rule r { match $uri ^/held; require admins; action x;
                                 timeout 60s; } }
EOF
    server => <<'EOF');
        approval p;
        location / { proxy_pass %%UP%%; }
        location = /keys/.well-known/jwks.json { approval_api; }
        location /keys/ { approval_api; return 403; }
EOF

my $conf = $gw->ngx->{http};
my $first = $gw->{keys};
my $second = make_keys(tempdir());
my $path = '/.well-known/jwks.json';


sub jwks { http_get($gw->port, ($_[0] // '/_approval') . $path) }


sub x {
    my ($keys) = @_;

    return encode_base64url(
        substr(`openssl pkey -pubin -in $keys->{public} -outform DER`, -32));
}


sub thumbprint {
    my ($keys) = @_;

    return encode_base64url(sha256('{"crv":"Ed25519","kty":"OKP","x":"'
                                   . x($keys) . '"}'));
}


sub receipt {
    my ($target) = @_;

    my ($client, $id) = $gw->hold(GET => $target);

    $gw->vote($id, 'approve');
    is($client->read->status, 200, "$target is executed");

    return $gw->up->last->header('Approval-Receipt');
}


sub kid {
    my ($token) = @_;

    return decode_json(decode_base64url((split(/\./, $token))[0]))->{kid};
}


sub sign_with {
    my (@keys) = @_;

    my $files = join(' ', map { $_->{signing} } @keys);

    $gw->ngx->reload(http => $conf
                     =~ s/(approval_signing_key) \S+;/$1 $files;/r);
}


my $old;

subtest 'one key' => sub {
    my $r = jwks();

    is($r->status, 200, 'without signing in');
    is($r->header('Content-Type'), 'application/jwk-set+json', 'its type');
    is_deeply($r->json->{keys}, [ { kty => 'OKP', crv => 'Ed25519',
        use => 'sig', alg => 'EdDSA', x => x($first),
        kid => thumbprint($first) } ], 'the public key, and no more');

    $old = receipt('/held/1');
    is(kid($old), $r->json->{keys}[0]{kid}, 'which receipts name');

    is(http_post($gw->port, "/_approval$path", 'x')->status, 405, 'POST');
    is(jwks('/keys')->status, 200, 'it may have a location of its own');
    is(http_get($gw->port, '/keys/x')->status, 403, 'where others are not');
};


my $new;

subtest 'rotated' => sub {
    sign_with($second, $first);

    is(join(' ', map { $_->{kid} } @{ jwks()->json->{keys} }),
       join(' ', map { thumbprint($_) } $second, $first), 'both keys');

    $new = receipt('/held/2');
    is(kid($new), thumbprint($second), 'the first one signs');
};


subtest 'jose' => sub {
    need(qw(node npm));

    my $dir = Approval::Npm::install('jose@5');
    my ($head, $claims, $sig) = split(/\./, $new);
    my $url = 'http://127.0.0.1:' . $gw->port . "/_approval$path";

    spew("$dir/verify.mjs", <<'EOF');
import { createRemoteJWKSet, jwtVerify } from 'jose';

const keys = createRemoteJWKSet(new URL(process.argv[2]));

for (const token of process.argv.slice(3)) {
    try {
        const { payload } = await jwtVerify(token, keys, {
            algorithms: ['EdDSA'], typ: 'approval-decision+jwt'
        });
        console.log(`${payload.sta} ${payload.act} ${payload.by}`);
    } catch (e) {
        console.log(e.code);
    }
}
EOF
    my $verify = sub {
        return split(/\n/, `node $dir/verify.mjs $url @_ 2>&1`);
    };

    substr($claims, 20, 1) =~ tr/A-Za-z/B-ZAb-za/;

    my @out = $verify->($new, $old, "$head.$claims.$sig");

    is($out[0], 'approved x alice', 'a receipt');
    is($out[1], 'approved x alice', 'and one of before the rotation');
    is($out[2], 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED', 'not a changed one');

    sign_with($second);

    @out = $verify->($new, $old);
    is($out[0], 'approved x alice', 'without the old key: the new one');
    is($out[1], 'ERR_JWKS_NO_MATCHING_KEY', 'and the old one no more');
};


for my $row ([ "$first->{signing} $first->{signing}", qr/is listed twice/ ],
             [ "$first->{signing} /nowhere", qr{cannot open the file "/nowhere"} ],
             [ "$first->{signing} $first->{public}", qr/no private key/ ])
{
    my ($rc, $out) = Approval::Nginx->test_conf(
        http => "approval_signing_key $row->[0];");

    is($rc, 1, 'refused');
    like($out, $row->[1], 'and why');
}

done_testing;
