#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Votes that a passkey signs, in Chromium with its virtual authenticator: enrol,
# confirm, approve, deny, revoke; what a thief, a gateway, Redis or a clone
# could send instead; and what the offline verifier finds of it.
#
#     APPROVAL_SCREENSHOTS=DIR    pictures of both pages are left there

use lib 't/lib', 't/verifier';
use Approval::Test;
use Approval::Browser;
use Approval::Chat;
use Approval::Gateway;
use AuditForge;
use AuditVerifier;
use MIME::Base64 qw(decode_base64url encode_base64url);

$ENV{APPROVAL_TEST_TIMEOUT} = 900;
Approval::Test::watch_clock();

need('chromium', 'chromedriver', 'openssl');
need_module();

my $secret = '8f742231b10e8888abcd99yyyzzz85a5';
my $slack = Approval::Chat->new('slack', code => undef);
my $slack_url = $slack->url;

my %how = (http => <<"EOC",
    approval_passkey_origin http://localhost:%%PORT%%;

    approval_group team alice bob carol;
    approval_group oncall alice;
    approval_group operators olga;
    approval_operators operators;
    approval_alias alice T01:U0ALICE;

    approval_channel slack { type slack; url $slack_url/hook;
                             signing_secret $secret; }

    approval_policy p {
        rule one { match \$uri ^/one; action db.one; summary "Drop \$arg_t";
                   show table \$arg_t; require admins; vote passkey;
                   timeout 10m; }
        rule told { match \$uri ^/told; require admins; vote passkey;
                    timeout 10m; notify slack; }
        rule two { match \$uri ^/two; require 2 of team; vote passkey;
                   timeout 10m; }
        rule glass { match \$uri ^/glass; require 2 of team; vote passkey;
                     break_glass oncall; timeout 10m; }
        rule any { match \$uri ^/any; require admins; timeout 10m; }
    }

    server {
        listen 127.0.0.1:%%PORT1%%;
        location / { default_type text/html; return 200 "<h1>other</h1>"; }
    }
EOC
    server => <<'EOC');
        location / { approval p; proxy_pass %%UP%%; }
        location = /as {
            add_header Set-Cookie "who=$arg_who; Path=/; HttpOnly";
            return 200 "signed in as $arg_who\n";
        }
        location /idp/ { approval_api approver=$cookie_who; }
EOC

my $gw = Approval::Gateway->new(workers => 2, log_level => 'info', %how);

our $port = $gw->port;
our $base = "http://localhost:$port";
my $browser = Approval::Browser->new;
my $device = $browser->authenticator;
my $none = '0' x 32;


# --- as a person

sub sign_in { $browser->go("$base/as?who=$_[0]") }


sub open_action {
    my ($who, $id) = @_;

    sign_in($who);
    $browser->go("$base/idp/actions/$id");
}


sub page_is {
    my ($like, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    like($browser->text, $like, $name);
}


# a passkey is asked for first: the page that follows comes when it was given

sub press {
    my ($css) = @_;

    $browser->submit($css);
}


sub enrol {
    my ($who, $label) = @_;

    sign_in($who);
    $browser->go("$base/idp/passkeys");
    $browser->type('#label', $label);
    press('form[data-passkey=enrol] button');
    page_is(qr/Enrolled/, "$who enrols $label");

    my ($mine) = grep { $_->{label} eq $label } passkeys($who);

    return $mine->{id};
}


# --- as a program that has the person's session

sub get {
    my ($who, $path, @headers) = @_;

    return http_get($port, "/idp/$path", headers => [ Cookie => "who=$who",
                    @headers ]);
}


sub passkeys {
    my ($who) = @_;

    return @{ get($who, 'passkeys', Accept => 'application/json')
              ->json->{passkeys} };
}


sub post {
    my ($who, $path, %fields) = @_;

    my $body = join '&', map {
        my $value = $fields{$_};
        utf8::encode($value) if utf8::is_utf8($value);
        "$_=" . $value =~ s/([^\w.-])/sprintf('%%%02X', ord $1)/ger
    } sort keys %fields;

    return http_post($port, "/idp/$path", $body, headers => [
        Cookie => "who=$who", Accept => 'text/html', Origin => 'null',
        'Sec-Fetch-Site' => 'same-origin',
        'Content-Type' => 'application/x-www-form-urlencoded' ]);
}


sub field { ($_[0] =~ /name="$_[1]" value="([^"]+)"/)[0] }


sub passkey_form {
    my ($who, $what, $id) = @_;

    my $page = get($who, 'passkeys', Accept => 'text/html')->body;

    return post($who, 'passkeys', nonce => field($page, 'nonce'),
                $what => $id);
}


# what the page of an action has for its script

sub shown {
    my ($who, $id) = @_;

    my $page = get($who, "actions/$id", Accept => 'text/html')->body;

    return { nonce => field($page, 'nonce'),
             challenge => field($page, 'challenge'),
             shown => ($page =~ /data-shown="([0-9a-f]+)"/)[0] };
}


# signs as passkey.js does, on whatever page the browser is

my $SIGN = <<'EOJ';
    const [shown, act, comment, uv] = args;
    const hash = (text) => crypto.subtle.digest('SHA-256',
                               new TextEncoder().encode(text));
    const hex = (b) => [...new Uint8Array(b)].map(
                    (n) => n.toString(16).padStart(2, '0')).join('');
    const url = (b) => btoa(String.fromCharCode(...new Uint8Array(b)))
        .replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
    const { rawId, response } = await navigator.credentials.get({ publicKey: {
        challenge: await hash([shown, act,
                               hex(await hash(comment))].join('\n')),
        rpId: 'localhost', userVerification: uv, timeout: 20000 } });
    return [rawId, response.clientDataJSON, response.authenticatorData,
            response.signature].map(url).join('.');
EOJ

sub sign {
    my ($shown, $act, $comment, %how) = @_;

    $browser->go($how{page} // "$base/as?who=nobody");

    return $browser->async($SIGN, $shown, $act, $comment // '',
                           $how{uv} // 'required');
}


sub decide {
    my ($who, $id, $form, $act, %more) = @_;

    return post($who, "actions/$id/decision", nonce => $form->{nonce},
                challenge => $form->{challenge}, comment => '',
                decision => $act, %more);
}


sub refused {
    my ($answer, $like, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($answer->status, 403, "$name: refused");
    like($answer->body, $like, "$name: and told why");
}


# who can write to Redis puts back what was revoked; on gateways of their own

sub put_back {
    my $mine = Approval::Gateway->new(workers => 2, %how);
    my $redis = $mine->redis;
    my ($stands, $ended) = map { "approval:{00}:$_" }
                           qw(passkeys passkeys:ended);

    local $port = $mine->port;
    local $base = "http://localhost:$port";

    $browser->remove($device);
    $device = $browser->authenticator;

    my $name = enrol('alice', 'revoked soon');

    passkey_form('olga', confirm => $name);
    is(votes_on($mine, 'before')->status, 200, 'control: it votes');

    my $own = $redis->cmd(HGET => $stands, $name);

    passkey_form('alice', revoke => $name);

    my $statement = $redis->cmd(HGET => $ended, $name);

    ok($statement, 'its end stands in Redis, signed');
    refused(votes_on($mine, 'gone'), qr/was revoked/, 'it votes no more');
    is(faults($mine), 0, 'which contradicts nothing');

    $redis->cmd(HSET => $stands, $name, $own);
    refused(votes_on($mine, 'back'), qr/was revoked/,
            'a record that was put back');
    ok(wait_for(sub { faults($mine) }), 'on record as a fault');
    is_deeply([ passkeys('alice') ], [], 'nor is it shown');

    $redis->cmd(HDEL => $ended, $name);
    refused(votes_on($mine, 'forgotten'), qr/was revoked/,
            'and its end deleted: the gateway has seen it');

    # another gateway, or this one after a restart, which has seen nothing

    my $other = bless { %$mine, audit => undef }, 'Approval::Gateway';

    $other->{ngx} = Approval::Nginx->new(workers => 2,
        http => $other->conf($how{http} =~ s/localhost:%%PORT%%/localhost:$port/r,
                             $how{server}, 1, ''));

    is(votes_on($other, 'unseen')->status, 200,
       'control: another gateway, which has not seen it, and no statement');
    $redis->cmd(HSET => $stands, $name, $statement);
    refused(votes_on($other, 'itself'), qr/was revoked/,
            'the statement in the record\'s place is no record in force');
    $redis->cmd(HSET => $stands, $name, $own);
    $redis->cmd(HSET => $ended, $name,
                $statement =~ s/([^.]+)\z/another($1)/er);
    is(votes_on($other, 'foreign')->status, 200,
       'control: a statement that nobody signed ends nothing');
    $redis->cmd(HSET => $ended, $name, $statement);
    refused(votes_on($other, 'known'), qr/was revoked/,
            'while the statement stands');
    ok(wait_for(sub { faults($other) > 1 }), 'on record there, too');
    $redis->cmd(HDEL => $ended, $name);
    refused(votes_on($other, 'later'), qr/was revoked/, 'and ever after');

    # whose record was deleted: it is in the trail, and in a copy of Redis

    $browser->remove($device);
    $device = $browser->authenticator;
    $name = enrol('alice', 'lost soon');
    passkey_form('olga', confirm => $name);
    is(votes_on($mine, 'still-there')->status, 200, 'control: it votes');

    $own = $redis->cmd(HGET => $stands, $name);
    $redis->cmd(HDEL => $stands, $name);
    is_deeply([ passkeys('olga') ], [], 'one that is lost is not listed');
    is(passkey_form('bob', revoke => $name)->status, 404,
       'nor revoked by just anybody');

    sign_in('olga');
    $browser->go("$base/idp/passkeys");
    $browser->click('#lost summary');
    $browser->type('#revoke-id', $name);
    $browser->submit('#lost button');
    page_is(qr/refused from now on/, 'but an operator revokes it by its id');

    my ($said) = grep { ($_->{what} // '') eq 'passkey revoked' }
                 reverse $mine->audit('config');

    is(jws_of($said->{passkey})->{jti}, $name, 'on record, by name');
    is($said->{person}, 'olga', 'with who it was');

    $redis->cmd(HSET => $stands, $name, $own);
    refused(votes_on($mine, 'risen'), qr/was revoked/,
            'its record, put back, is no more in force');
    refused(votes_on($other, 'risen-there'), qr/was revoked/,
            'nor on another gateway');
    is(passkey_form('olga', confirm => $name)->status, 404,
       'and it is not confirmed');

    # a clock that runs ahead, or who writes to Redis, does not prevent it

    $browser->remove($device);
    $device = $browser->authenticator;
    $name = enrol('alice', 'used in the future');
    passkey_form('olga', confirm => $name);
    $redis->cmd(HSET => 'approval:{00}:passkeys:used', $name,
                '1 9999999999999');
    like(passkey_form('olga', revoke => $name)->body, qr/refused from now on/,
         'a last use in the future');

    $mine->wait_signed;
    $mine->clean('revoked by id: clean');
}


# the answer to a denial that the passkey in the browser signs

sub votes_on {
    my ($on, $name) = @_;

    local $port = $on->port;

    my ($held, $id) = $on->hold(GET => "/one?t=$name");
    my $page = shown('alice', $id);
    my $answer = decide('alice', $id, $page, 'deny', comment => $name,
                        assertion => sign($page->{shown}, 'deny', $name));

    if ($answer->status != 200) {
        Approval::Client->new($port)->request(
            DELETE => "/_approval/status/$id",
            headers => [ 'X-Agent' => 'agent-7' ]);
    }

    $held->read;

    return $answer;
}


sub faults {
    my ($on) = @_;

    return scalar grep { ($_->{limit} // '') eq 'passkey' } $on->audit('fault');
}


# --- nobody has a passkey yet

my ($client, $id) = $gw->hold(GET => '/one?t=orders');

is($gw->action($id)->{vote}, 'passkey', 'the action says what it takes');

my $answer = $gw->vote($id, 'approve', 'by API');
is($answer->status, 403, 'a vote without a passkey');
is($answer->json->{type}, 'urn:approval:passkey-required', 'is refused');
is($gw->vote($id, 'deny')->status, 403, 'a denial, too');
is($gw->vote($id, 'comment', 'looks odd')->status, 200, 'a comment needs none');

my $header = get('alice', "actions/$id", Accept => 'text/html')
             ->header('Content-Security-Policy');
like($header, qr/default-src 'none';.*; script-src 'sha256-[^']+' 'self';/,
     'the page runs its own script, and the gateway\'s');
unlike($header, qr/unsafe/, 'and nothing else inline');
like(get('alice', '', Accept => 'text/html')
     ->header('Content-Security-Policy'), qr/script-src 'sha256-[^']+';/,
     'other pages load none');

$answer = http_get($port, '/idp/passkey.js');
is($answer->status, 200, 'the script');
like($answer->header('Content-Type'), qr{^text/javascript}, 'its type');

# --- enrolled, and confirmed by two members of a group

my $alice = enrol('alice', 'laptop');

like($alice, qr/^[0-9a-f]{32}$/, 'it has a name');

my ($config) = grep { ($_->{what} // '') eq 'passkey enrolled' }
    $gw->audit('config');
is($config->{owner}, 'alice', 'on record: whose');
is($config->{person}, 'alice', 'and by whom');

open_action('alice', $id);
press('form.approve button');
page_is(qr/Not signed by your passkey.*nobody has confirmed it/s,
        'it does not count before it is confirmed');
is($gw->state($id), 'pending', 'nothing is decided');

refused(passkey_form('alice', confirm => $alice), qr/never the owner/,
        'confirmed by its owner');
is(get('mallory', 'passkeys')->status, 403, 'who is in no group sees nothing');
is(get('', 'passkeys')->status, 401, 'nor who is not signed in');
is(post('bob', 'passkeys', nonce => 'x', confirm => $alice)->status, 403,
   'another site\'s form confirms nothing');

like(passkey_form('bob', confirm => $alice)->body,
     qr/One more member of the group/, 'bob confirms it');
refused(passkey_form('bob', confirm => $alice), qr/each once/, 'bob again');
is((passkeys('carol'))[0]{state}, 'enrolled', 'one is not enough');
like(passkey_form('carol', confirm => $alice)->body, qr/may sign votes/,
     'carol confirms it');
is_deeply((passkeys('alice'))[0]{confirmed_by}, [qw(bob carol)], 'by whom');
is((passkeys('alice'))[0]{state}, 'confirmed', 'it is confirmed');

# --- approve and deny, on the page

sign_in('alice');
$browser->go("$base/idp/passkeys");
$browser->shot('passkeys');
open_action('alice', $id);
$browser->shot('action-passkey');
$browser->type('#approve-comment', "checked\nwith l\x{e9}gal");
press('form.approve button');
page_is(qr/You approved/, 'approved by passkey');
$answer = $client->read;
is($answer->status, 200, 'executed');

my ($vote) = grep { $_->{decision} eq 'approve' }
             @{ $gw->action($id)->{votes} };
ok($vote->{passkey}, 'the vote says that it was signed');
is($vote->{how}, 'idp', 'and how the person was identified');

my ($approved) = grep { $_->{action_id} eq $id } $gw->audit('approved');
my (undef, $claims) = split /\./, $approved->{decision};
is(decode_json(decode_base64url($claims))->{vot}, 'passkey',
   'the receipt names it');

my ($voted) = grep { $_->{action_id} eq $id && $_->{decision} eq 'approve' }
    $gw->audit('voted');
is($voted->{passkey}, $alice, 'on record: which passkey');

($client, $id) = $gw->hold(GET => '/one?t=users');
open_action('alice', $id);
press('form.deny button');
page_is(qr/You denied/, 'denied by passkey');
is($client->read->status, 403, 'and refused');

# --- messages lead to the page

($client, $id) = $gw->hold(GET => '/told');
$slack->wait_count(1);

my ($message) = $slack->messages;
unlike($message->body, qr/approval_(?:approve|deny)/, 'no button to vote');
like($message->body, qr{actions/$id}, 'but a link');

Approval::Chat::press($port, Approval::Chat::button('approve', $id,
    $gw->action($id)->{digest}, 'T01:U0ALICE',
    response_url => "$slack_url/respond/1"), secret => $secret);
wait_for(sub { grep { $_->target eq '/respond/1' } $slack->messages });
like((grep { $_->target eq '/respond/1' } $slack->messages)[0]->json->{text},
     qr/^A passkey is required/, 'a button that is pressed all the same');
is($gw->state($id), 'pending', 'decides nothing');

# --- what is not this person's signature on this vote

my $told = $id;
my ($other, $other_id) = $gw->hold(GET => '/one?t=other');
my $comment = 'as agreed';
my $form = shown('alice', $id);
my $there = shown('alice', $other_id);
my $signed = sign($form->{shown}, 'approve', $comment);
my $not = qr/created for another vote/;

refused(decide('alice', $other_id, $there, 'approve', comment => $comment,
               assertion => $signed), $not, 'swapped: another action');
refused(decide('alice', $id, $form, 'deny', comment => $comment,
               assertion => $signed), $not, 'swapped: another decision');
refused(decide('alice', $id, $form, 'approve', comment => 'whatever',
               assertion => $signed), $not, 'swapped: another comment');
refused(decide('alice', $id, shown('alice', $id), 'approve',
               comment => $comment, assertion => $signed), $not,
        'swapped: another nonce');
refused(decide('alice', $id, { %$form, challenge => $none . '.x' }, 'approve',
               comment => $comment, assertion => $signed),
        qr/not for this page/, 'a nonce that is not the gateway\'s');
refused(decide('bob', $id, shown('bob', $id), 'approve', comment => $comment,
               assertion => $signed), qr/belongs to somebody else/,
        'swapped: another person');
refused(decide('alice', $id, $form, 'approve', comment => $comment,
               assertion => sign($form->{shown}, 'approve', $comment,
                                 page => 'http://localhost:'
                                         . $gw->ngx->port(1) . '/')),
        qr/page of another origin/, 'wrong origin');
refused(decide('alice', $id, $form, 'approve', comment => $comment,
               assertion => sign($form->{shown}, 'approve', $comment,
                                 uv => 'discouraged')),
        qr/did not verify the user/, 'no user verification');

my @part = split /\./, $signed;

sub changed {
    my ($n, $code) = @_;

    my @new = @part;
    my $raw = decode_base64url($new[$n]);

    $code->(\$raw);
    $new[$n] = encode_base64url($raw);

    return join '.', @new;
}


for my $case (
    [ 'another signature', changed(3, sub { substr(${ $_[0] }, -1) ^= "\1" }) ],
    [ 'another counter', changed(2, sub { substr(${ $_[0] }, 36) ^= "\2" }) ],
    [ 'another site', changed(2, sub { substr(${ $_[0] }, 0, 1) ^= "\1" }) ],
    [ 'other flags', changed(2, sub { substr(${ $_[0] }, 32, 1) ^= "\x10" }) ])
{
    refused(decide('alice', $id, $form, 'approve', comment => $comment,
                   assertion => $case->[1]),
            qr/signature was made by another key/, $case->[0]);
}

for my $case (
    [ 'no signature', join '.', @part[0 .. 2] ], [ 'five parts', "$signed.AA" ],
    [ 'no base64url', "$part[0]=." . join '.', @part[1 .. 3] ],
    [ 'nothing', '...' ], [ 'a long part', 'A' x 6000 . '.AA.AA.AA' ],
    [ 'no authenticator data', "$part[0].$part[1].AA.$part[3]" ],
    [ 'no client data', "$part[0].e30.$part[2].$part[3]" ])
{
    is(decide('alice', $id, $form, 'approve', comment => $comment,
              assertion => $case->[1])->status, 403, "$case->[0]: refused");
}

is($gw->state($id), 'pending', 'nothing was decided');
is(scalar(grep { $_->{decision} ne 'comment' } @{ $gw->action($id)->{votes} }),
   0, 'and there is no vote');
is(scalar(grep { ($_->{why} // '') eq 'passkey-refused' }
          $gw->audit('refused')) > 5, 1, 'it is on record');

# a counter that a clone is behind; the wrong ones above were not taken

is(decide('alice', $id, $form, 'approve', comment => $comment,
          assertion => $signed)->status, 200, 'and this is the vote itself');
is($client->read->status, 200, 'which executes');

my ($key) = $browser->credentials($device);

cmp_ok($key->{signCount}, '>', 3, 'the authenticator counts');
$browser->forget_key($device, $key->{credentialId});
$browser->add_key($device, %$key, signCount => 1);

$form = shown('alice', $other_id);
refused(decide('alice', $other_id, $form, 'approve',
               assertion => sign($form->{shown}, 'approve')),
        qr/counter did not increase/, 'a cloned counter');
$browser->forget_key($device, $key->{credentialId});
$browser->add_key($device, %$key, signCount => 1000);

# replayed: refused before it is a vote, so that nothing hinges on the counter

$form = shown('alice', $other_id);
$signed = sign($form->{shown}, 'deny', 'no');
$gw->redis->cmd(SET => 'approval:{00}:once:'
                       . substr($form->{challenge}, 0, 32), 1, 'PX', 60000);
refused(decide('alice', $other_id, $form, 'deny', comment => 'no',
               assertion => $signed), qr/used before/, 'replayed');
is($gw->state($other_id), 'pending', 'a replay decides nothing');

# what stands in Redis is believed only with the gateway's signature

my $own = $gw->redis->cmd(HGET => 'approval:{00}:passkeys', $alice);
my @jws = split /\./, $own;
my $fake = decode_json(decode_base64url($jws[1]));

$fake->{sub} = 'bob';
$gw->redis->cmd(HSET => 'approval:{00}:passkeys', $alice, join '.', $jws[0],
                encode_base64url(encode_json($fake)), $jws[2]);
$form = shown('bob', $other_id);
refused(decide('bob', $other_id, $form, 'approve',
               assertion => sign($form->{shown}, 'approve')),
        qr/this gateway did not write/, 'a record that Redis made up');
$gw->redis->cmd(HSET => 'approval:{00}:passkeys', $alice, $own);

# --- two people, and an operator who confirms

$browser->remove($device);
$device = $browser->authenticator;

my $bob = enrol('bob', 'phone');

like(passkey_form('olga', confirm => $bob)->body, qr/may sign votes/,
     'an operator suffices');

open_action('bob', $other_id);
press('form.approve button');
page_is(qr/You approved/, 'by another authenticator');
is($other->read->status, 200, 'executed');

($client, $id) = $gw->hold(GET => '/two');

for my $who (qw(alice bob)) {
    if ($who eq 'alice') {
        $browser->remove($device);
        $device = $browser->authenticator;
        $browser->add_key($device, %$key, signCount => 2000);
    } else {
        $browser->remove($device);
        $device = $browser->authenticator;
        $bob = enrol('bob', 'second');
        passkey_form('olga', confirm => $bob);
    }

    open_action($who, $id);
    press('form.approve button');
    page_is(qr/You approved/, "two people: $who");
}

is($client->read->status, 200, 'two people: executed');

# --- break glass is signed, too

($client, $id) = $gw->hold(GET => '/glass');
is(Approval::Client->new($port)->request(
       POST => "/_approval/actions/$id/decision",
       json => { decision => 'approve', comment => 'it burns',
                 break_glass => JSON::PP::true() },
       headers => [ 'X-User' => 'alice' ])->status, 403,
   'break_glass without a passkey');
$browser->remove($device);
$device = $browser->authenticator;
$browser->add_key($device, %$key, signCount => 3000);
open_action('alice', $id);
$browser->click('details:has([name=break_glass]) summary');
$browser->type('#glass-comment', 'it burns');
press('form:has([name=break_glass]) button');
page_is(qr/You approved/, 'break_glass by passkey');
is($client->read->status, 200, 'break_glass: executed');

# --- nothing of this on a rule that takes any vote

($client, $id) = $gw->hold(GET => '/any');
unlike(get('alice', "actions/$id", Accept => 'text/html')->body,
       qr/passkey\.js/, 'any: no script');
is($gw->vote($id, 'approve')->status, 200, 'any: as ever');
is($client->read->status, 200, 'any: executed');

# --- revoked

refused(passkey_form('bob', revoke => $alice), qr/owner or an operator/,
        'revoked by somebody else');
like(passkey_form('alice', revoke => $alice)->body, qr/refused from now on/,
     'revoked by its owner');

($client, $id) = $gw->hold(GET => '/one?t=revoked');
$form = shown('alice', $id);
refused(decide('alice', $id, $form, 'approve',
               assertion => sign($form->{shown}, 'approve')),
        qr/not enrolled, or was revoked/, 'a revoked key');

put_back();

$browser->remove($device);
$device = $browser->authenticator;
$bob = enrol('bob', 'third');
passkey_form('olga', confirm => $bob);
open_action('bob', $id);
press('form.deny button');
page_is(qr/You denied/, 'by a key that is not revoked');
$client->read;
like(passkey_form('olga', revoke => $bob)->body, qr/refused from now on/,
     'an operator revokes');

# --- offline

$gw->wait_signed;
$browser->stop;
$gw->clean;
$gw->ngx->stop;

my $tool = build_dir() . '/approval-audit';
my $public = $gw->{keys}{public};
my $signing = $gw->{keys}{signing};
my $dir = tempdir();
my @records = map { AuditVerifier::record(s/\n\z//r) }
    split /^/, slurp($gw->ngx->path('audit.jsonl'));


sub verify {
    my (@log) = @_;

    my $file = spew("$dir/log.jsonl",
                    join '', map { line($_) } rechain($signing, @log));
    my $out = `$tool verify $file --key $public 2>&1`;

    return ($? >> 8, $out);
}


sub of {
    my ($log, $type, $code) = @_;

    return grep { $_->{type} eq $type && $code->($_) } @$log;
}


sub jws_of { AuditVerifier::parse(decode_base64url((split /\./, $_[0])[1])) }


my ($rc, $out) = verify(@records);
is($rc, 0, 'the trail holds') or diag($out);

# all of them have the gateway's own signature: its key was stolen

my ($one) = map { $_->{action_id} } of(\@records, 'approved',
                                       sub { $_[0]{rule} eq 'one' });
my ($two) = map { $_->{action_id} } of(\@records, 'approved',
                                       sub { $_[0]{rule} eq 'told' });


sub vote_of {
    my ($log, $action, $act) = @_;

    return (of($log, 'voted', sub { $_[0]{action_id} eq $action
                && $_[0]{decision} eq ($act // 'approve') }))[0];
}


sub resign {
    my ($vote, %change) = @_;

    $vote->{vote} = jws($signing, $vote->{vote}, %change);
}


sub psk {
    my (%change) = @_;

    return sub {
        my ($log) = @_;
        my $vote = vote_of($log, $one);
        my $psk = jws_of($vote->{vote})->{psk};

        resign($vote, psk => { %$psk, %change });
        $vote->{passkey} = $change{key} if $change{key};
    };
}


sub part_of {
    my ($n, $code) = @_;

    return sub {
        my ($log) = @_;
        my $vote = vote_of($log, $one);
        my $psk = jws_of($vote->{vote})->{psk};
        my @p = split /\./, $psk->{prf};
        my $raw = decode_base64url($p[$n]);

        $code->(\$raw);
        $p[$n] = encode_base64url($raw);
        resign($vote, psk => { %$psk, prf => join '.', @p });
    };
}


sub config_of {
    my ($what, $code) = @_;

    return sub {
        my ($log) = @_;
        my ($r) = of($log, 'config', sub { ($_[0]{what} // '') eq
                                           "passkey $what" });

        $code->($r, jws_of($r->{passkey}), $log);
    };
}


sub without {
    my ($what) = @_;

    return sub {
        my ($log) = @_;

        @$log = grep { ($_->{what} // '') ne "passkey $what" } @$log;
    };
}


# when Redis took the passkey's signature of a vote

sub taken_at { ${ jws_of($_[0]{vote})->{psk}{at} } }


sub revoked_at {
    my ($time) = @_;

    return config_of('revoked', sub {
        my ($r) = @_;
        my $at = $time->();

        $r->{passkey} = jws($signing, $r->{passkey}, iatms => \$at);
    });
}


my ($last) = sort { $b <=> $a } map { taken_at($_) }
    of(\@records, 'voted', sub { ($_[0]{passkey} // '') eq $alice });


# base64url of something else

sub another { $_[0] =~ s/^(.)/$1 eq 'A' ? 'B' : 'A'/er }


my %forgery = (
    'a vote without its passkey' => [
        'its rule accepts only votes that a passkey signed', sub {
        my $vote = vote_of($_[0], $one);
        resign($vote, psk => undef);
        delete $vote->{passkey};
    } ],
    'a vote that names another passkey' => [
        "the passkey belongs to somebody else", psk(key => $bob) ],
    'a vote that names one of nobody' => [
        'its passkey is not recorded', psk(key => 'f' x 32) ],
    'a vote with another nonce' => [
        'it was created for another vote', psk(non => $none) ],
    'a vote with an assertion of another vote' => [
        'it was created for another vote', sub {
        my $other = jws_of(vote_of($_[0], $two)->{vote})->{psk};
        my $vote = vote_of($_[0], $one);
        my $psk = jws_of($vote->{vote})->{psk};
        resign($vote, psk => { %$psk, prf => $other->{prf} });
    } ],
    'a vote with all of another vote\'s passkey' => [
        'it was created for another vote', sub {
        my $other = jws_of(vote_of($_[0], $two)->{vote})->{psk};
        resign(vote_of($_[0], $one), psk => $other);
    } ],
    'a record that names another passkey than the vote' => [
        'differs from the recorded one', sub {
        vote_of($_[0], $one)->{passkey} = $bob;
    } ],
    'a record that names none' => [
        'differs from the recorded one', sub {
        delete vote_of($_[0], $one)->{passkey};
    } ],
    'an assertion without a signature' => [
        'its authenticator data or signature cannot be read', sub {
        my $vote = vote_of($_[0], $one);
        my $psk = jws_of($vote->{vote})->{psk};
        resign($vote, psk => { %$psk,
                               prf => $psk->{prf} =~ s/\.[^.]*\z//r });
    } ],
    'no assertion' => [
        'the assertion cannot be read', psk(prf => '') ],
    'another signature' => [
        'its signature was made by another key, or for another site',
        part_of(3, sub { substr(${ $_[0] }, -1) ^= "\1" }) ],
    'another counter' => [
        'its signature was made by another key, or for another site',
        part_of(2, sub { substr(${ $_[0] }, 36) ^= "\1" }) ],
    'another site' => [
        'its signature was made by another key, or for another site',
        part_of(2, sub { substr(${ $_[0] }, 0, 1) ^= "\1" }) ],
    'no user verification' => [
        'its authenticator did not verify the user', part_of(2, sub {
        substr(${ $_[0] }, 32, 1) &= "\xfb" }) ],
    'another origin' => [
        'it was created on a page of another origin',
        part_of(1, sub { ${ $_[0] } =~ s/localhost/evil/ }) ],
    'another type' => [
        'its client data has another type',
        part_of(1, sub { ${ $_[0] } =~ s/webauthn\.get/x/ }) ],
    'another challenge' => [
        'it was created for another vote', part_of(1, sub {
        ${ $_[0] } =~ s/"challenge":"\K([^"]+)/another($1)/e }) ],
    'another credential id' => [
        "the assertion belongs to another passkey", part_of(0, sub {
        substr(${ $_[0] }, 0, 1) ^= "\1" }) ],
    'a denial told as an approval' => [
        'it was created for another vote', sub {
        my ($denied) = of($_[0], 'denied', sub { 1 });
        my $vote = vote_of($_[0], $denied->{action_id}, 'deny');
        $vote->{decision} = 'approve';
        resign($vote, act => 'approve');
    } ],
    'another comment' => [
        'it was created for another vote', sub {
        my $vote = vote_of($_[0], $one);
        $vote->{comment} = 'never seen it';
        resign($vote, cmt => 'never seen it');
    } ],
    'another person' => [
        "the passkey belongs to somebody else", sub {
        my $vote = vote_of($_[0], $one);
        @{$vote}{qw(person identity)} = ('bob', 'bob');
        resign($vote, sub => 'bob', idn => 'bob');
    } ],
    'a vote for what was not shown' => [
        'it was created for another vote', sub {
        my ($r) = of($_[0], 'requested', sub { $_[0]{action_id} eq $one });
        $r->{show}{table} = 'harmless';
    } ],
    'a vote on another summary' => [
        'it was created for another vote', sub {
        my ($r) = of($_[0], 'requested', sub { $_[0]{action_id} eq $one });
        $r->{summary} = 'Drop nothing';
    } ],
    'a request that took any vote, and a receipt that says passkey' => [
        'the decision on action', sub {
        my ($r) = of($_[0], 'requested', sub { $_[0]{action_id} eq $one });
        delete $r->{vote};
    } ],
    'a receipt that does not name it' => [
        'the decision on action', sub {
        my ($r) = of($_[0], 'approved', sub { $_[0]{action_id} eq $one });
        $r->{decision} = jws($signing, $r->{decision}, vot => undef);
    } ],
    'an alone vote that was signed as one of many' => [
        'it was created for another vote', sub {
        my $vote = vote_of($_[0], $one);
        $vote->{break_glass} = \\1;
        resign($vote, bg => \\1);
    } ],
    'a vote before the passkey was confirmed' => [
        'nobody had confirmed the passkey', sub {
        psk(at => \'1000')->($_[0]);
    } ],
    'a vote a millisecond after it was revoked' => [
        'the passkey had been revoked',
        revoked_at(sub { $last - 1 }) ],
    'a passkey that nobody enrolled' => [
        'it was never enrolled', without('enrolled') ],
    'a passkey that nobody confirmed' => [
        'nobody had confirmed the passkey', without('confirmed') ],
    'a passkey of another key' => [
        'it differs from the enrolled one', config_of('enrolled', sub {
        my ($r, $claims) = @_;
        $r->{passkey} = jws($signing, $r->{passkey},
                            pub => another($claims->{pub}));
    }) ],
    'a passkey confirmed as another' => [
        'it differs from the enrolled one', config_of('confirmed', sub {
        my ($r, $claims) = @_;
        $r->{passkey} = jws($signing, $r->{passkey},
                            pub => another($claims->{pub}));
    }) ],
    'a passkey confirmed by its owner' => [
        'its owner confirmed it', config_of('confirmed', sub {
        my ($r, $claims) = @_;
        $claims->{cnf}[0]{sub} = 'alice';
        $r->{person} = 'alice';
        $r->{passkey} = jws($signing, $r->{passkey}, cnf => $claims->{cnf});
    }) ],
    'a passkey confirmed by one who is not on record' => [
        'the person who confirmed it is not recorded', sub {
        my @confirmed = of($_[0], 'config', sub { ($_[0]{what} // '') eq
            'passkey confirmed' && $_[0]{owner} eq 'alice' });
        my $first = $confirmed[0];
        @{ $_[0] } = grep { $_ != $first } @{ $_[0] };
    } ],
    'a passkey enrolled by another' => [
        'somebody else than its owner enrolled it',
        config_of('enrolled', sub {
        $_[0]{person} = 'bob';
    }) ],
    'a passkey of another owner than is told' => [
        'it differs from what was signed',
        config_of('confirmed', sub {
        $_[0]{owner} = 'carol';
    }) ],
    'a passkey\'s record that nobody signed' => [
        'the signature of the JWS is invalid', config_of('confirmed', sub {
        $_[0]{passkey} =~ s/([^.]+)\z/another($1)/e;
    }) ],
    'a revocation told as a confirmation' => [
        'it differs from what was signed',
        config_of('revoked', sub {
        $_[0]{what} = 'passkey confirmed';
    }) ],
    'a counter that went back' => [
        "the passkey's counter did not increase", sub {
        my @votes = of($_[0], 'voted',
                       sub { ($_[0]{passkey} // '') eq $alice });
        my $later = taken_at($votes[1]) + 1;
        my $psk = jws_of($votes[0]{vote})->{psk};
        resign($votes[0], psk => { %$psk, at => \$later });
    } ],
);

cmp_ok(scalar keys %forgery, '>=', 20, 'a list of forgeries');

{
    my @log = map { copy($_) } @records;

    revoked_at(sub { $last })->(\@log);
    is((verify(@log))[0], 0, 'control: revoked when the last vote was taken');
}

for my $name (sort keys %forgery) {
    my @log = map { copy($_) } @records;

    my ($why, $forge) = @{ $forgery{$name} };

    $forge->(\@log);

    ($rc, $out) = verify(@log);
    is($rc, 1, "forged: $name");
    like($out, qr/^tampered .*\Q$why\E/m, 'and why');
}

done_testing();
