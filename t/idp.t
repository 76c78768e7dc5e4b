#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Approvers who sign in with an identity provider, a certificate, a password:
# the configurations of conf/examples, driven.

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Example;
use Approval::Oidc;

need_module();
need('redis-server', 'openssl', 'curl');

oidc('okta');
oidc('entra');
certificates();
passwords();

done_testing();


# a person's browser: cookies, and nothing else

sub browser { return { cookies => {}, ports => {} } }


sub cookies {
    my ($browser) = @_;

    my $text = join '; ', map { "$_=$browser->{cookies}{$_}" }
                          sort keys %{ $browser->{cookies} };

    return length $text ? (Cookie => $text) : ();
}


sub visit {
    my ($browser, $port, $target, @headers) = @_;

    my $answer = http_get($port, $target, headers => [
        Accept => 'text/html,*/*;q=0.8', cookies($browser), @headers ]);

    for my $cookie ($answer->headers('Set-Cookie')) {
        $browser->{cookies}{$1} = $2 if $cookie =~ /^([^=]+)=([^;]*)/;
    }

    return $answer;
}


# from any page to the provider, through its login, and back; the last answer

sub sign_in {
    my ($browser, $g, $provider, $target, $login, $flaw) = @_;

    my $answer = visit($browser, $g->port, $target);

    is($answer->status, 302, "$login: is sent to sign in");

    my ($at) = ($answer->header('Location') // '')
               =~ m{^\Q@{[ $provider->url ]}\E(/authorize\?.*)}
        or return $answer;

    is(http_get($provider->port, $at)->body, "Sign in\n",
       'by the provider\'s own page');

    $answer = http_get($provider->port, "$at&login=$login"
                       . ($flaw ? "&flaw=$flaw" : ''));

    my ($back) = $answer->header('Location')
                 =~ m{^http://127\.0\.0\.1(/oauth2/callback\?.*)}
        or return $answer;

    $answer = visit($browser, $g->port, $back);

    return $answer if $answer->status != 302;

    is($answer->header('Location'), $target, 'and back to where one was');

    return visit($browser, $g->port, $answer->header('Location'));
}


sub decide {
    my ($g, $id, $decision, @headers) = @_;

    return http_post($g->port, "/_approval/actions/$id/decision",
                     encode_json({ decision => $decision, comment => 'seen' }),
                     headers => [ 'Content-Type' => 'application/json',
                                  @headers ]);
}


sub oidc {
    my ($kind) = @_;

    my $entra = $kind eq 'entra';
    my $provider = Approval::Oidc::Provider->new(issuer => $kind);
    my $proxy = Approval::Oidc::Proxy->new(provider => $provider,
                    claim => $entra ? 'oid' : 'email',
                    domain => 'example.com');

    # the ids that this provider gives to the two

    my %id = map { my %p = $provider->person($_);
                   $_ => $p{ $entra ? 'oid' : 'sub' } } qw(alice bob);

    my $g = Approval::Example->start('oidc-approvers.conf', put => {
        '127.0.0.1:4180' => '127.0.0.1:' . $proxy->port,
        'pass /_notify;' => 'pass /_notify; per_approver on;',
        '00u1abcd2EFGHijkl3m4' => "$id{alice};\n"
            . "approval_alias bob\@example.com $id{bob}" },
        files => { 'approval/agents' => qq{"Bearer 7" agent-7;\n}
                                        . qq{"Bearer a" Alice\@example.com;\n}
                 });

    my ($client, $id) = $g->hold(DELETE => '/v1/orders/7', '7');
    my $page = "/_approval/actions/$id?from=chat&x=1";

    # in a browser

    my $alice = browser();
    my $answer = sign_in($alice, $g, $provider, $page, 'alice');

    is($answer->status, 200, "$kind: signed in");
    like($answer->body, qr/You are <strong>\Q@{[ $entra ? $id{alice}
         : 'alice@example.com' ]}\E</, 'as the provider says');

    my ($nonce) = $answer->body =~ /name="nonce" value="([^"]+)"/;
    my $form = sub {
        my ($who) = @_;

        return http_post($g->port, "/_approval/actions/$id/decision",
            "nonce=$nonce&decision=approve&comment=seen", headers => [
                'Content-Type' => 'application/x-www-form-urlencoded',
                cookies($who) ]);
    };

    forged($g, $id, $alice, $form);
    flaws($g, $provider, "/_approval/?view=history", $entra);
    bearer($g, $provider, $id);

    ok($client->quiet(0.2), 'nothing of all this has decided');

    $answer = $form->($alice);
    is($answer->status, 200, 'alice approves by the page\'s form');
    is($client->read->status, 200, 'and it is forwarded');
    is($g->up->last->header('Approval-By'), 'alice@example.com',
       'with her name');

    my ($voted) = grep { $_->{type} eq 'voted' } $g->records;

    is($voted->{how}, 'idp', 'on record: how');
    is($voted->{person}, 'alice@example.com', 'and who, by the alias');

    # who asks is who may not decide, whatever the provider calls them

    ($client, $id) = $g->hold(DELETE => '/v1/orders/8', 'a');

    is(decide($g, $id, 'approve', cookies($alice))->json->{type},
       'urn:approval:self-approval', 'alice does not approve her own');

    my $bob = browser();

    sign_in($bob, $g, $provider, "/_approval/actions/$id", 'bob');
    is(decide($g, $id, 'deny', cookies($bob))->status, 200, 'bob denies it');
    is($client->read->status, 403, 'denied');

    personal($g, $provider) unless $entra;
}


# a link of one's own is enough, without signing in

sub personal {
    my ($g, $provider) = @_;

    my ($client, $id) = $g->hold(DELETE => '/v1/orders/9', '7');
    my %link = %{ $g->links($id, 2) };
    my ($target) = $link{'bob@example.com'}
                   =~ m{^http://[^/]+(/_approval/actions/$id\?t=\S+)$}
        or return fail('a link for bob');

    my $browser = browser();
    my $answer = visit($browser, $g->port, $target);

    is($answer->status, 303, 'a personal link opens without signing in');

    $answer = visit($browser, $g->port, "/_approval/actions/$id");
    like($answer->body, qr/You are <strong>bob\@example\.com</, 'as its person');

    my ($nonce) = $answer->body =~ /name="nonce" value="([^"]+)"/;

    is(visit($browser, $g->port, '/_approval/')->status, 302,
       'but for the inbox one signs in');

    (my $bad = $target) =~ s/(.)$/$1 eq 'A' ? 'B' : 'A'/e;

    is(visit(browser(), $g->port, $bad)->status, 302,
       'with a link that is not good one signs in, too');
    is(http_get($g->port, $bad)->status, 401, 'a program cannot');
    is(visit(browser(), $g->port, "/_approval/actions/$id")->status, 302,
       'nor with a link without a token');

    is(http_post($g->port, "/_approval/actions/$id/decision",
                 "nonce=$nonce&decision=approve", headers => [
                     'Content-Type' => 'application/x-www-form-urlencoded',
                     cookies($browser) ])->status, 200, 'bob approves');
    is($client->read->status, 200, 'and it is forwarded');

    my ($voted) = grep { $_->{type} eq 'voted' && $_->{action_id} eq $id }
                  $g->records;

    is($voted->{how}, 'link', 'on record: by a link');

    # signed in as one, with the link of another

    ($client, $id) = $g->hold(DELETE => '/v1/orders/10', '7');

    my $alice = browser();

    sign_in($alice, $g, $provider, '/_approval/', 'alice');
    ($target) = $g->links($id, 2)->{'bob@example.com'}
                =~ m{^http://[^/]+(/\S+)$};
    is(visit($alice, $g->port, $target)->status, 403,
       'alice does not become bob by his link');
    $client->close;
}


# headers and cookies that a client makes up

sub forged {
    my ($g, $id, $alice, $form) = @_;

    my @forged = map { ($_ => 'alice@example.com') }
        qw(X-Auth-Request-Email X-Auth-Request-User X-Forwarded-Email
           X-Forwarded-User X-Remote-User Remote-User);

    is(decide($g, $id, 'approve', @forged)->status, 401,
       'identity headers of the client\'s are not believed');
    is(decide($g, $id, 'approve', Authorization => 'Bearer 7')->status, 401,
       'nor an agent\'s key');
    is(http_get($g->port, '/oauth2/auth', headers => \@forged)->status, 404,
       'nor can one ask the proxy');

    my $mallory = browser();
    my ($session) = $alice->{cookies}{_oauth2_proxy} =~ /^([^.]+)/;

    $mallory->{cookies}{_oauth2_proxy} = "$session." . '0' x 64;
    is($form->($mallory)->status, 401, 'nor a session with another MAC');
    is($form->(browser())->status, 401, 'nor none');

    my $answer = decide($g, $id, 'approve');

    is($answer->status, 401, 'a program gets 401');
    is($answer->header('Location'), undef, 'and no page to sign in');

    $answer = http_get($g->port, "/_approval/status/$id",
                       headers => [ Authorization => 'Bearer 7' ]);
    is($answer->json->{state}, 'pending',
       'requesters ask for the status without signing in');
    is(http_get($g->port, "/_approval/status/$id",
                headers => [ Authorization => 'Bearer a' ])->status, 404,
       'for their own');
    open_paths($g);

    # the address of a page is the client's own

    $answer = visit(browser(), $g->port,
                    "/_approval/actions/x%0d%0aSet-Cookie:%20a=b?%0d%0aX:%20y");

    is($answer->status, 302, 'a page with a line break in its address');
    unlike($answer->raw, qr/^(?:Set-Cookie: a|X:)/mi, 'adds no header');
}


# what asks for no identity, and what does

sub open_paths {
    my ($g) = @_;

    my $manifest = http_get($g->port, '/_approval/manifest');

    is($manifest->status, 200, 'agents read the manifest');
    is($manifest->json->{rules}[0]{rule}, 'delete', 'which has the rules');

    for my $path ('', 'actions', 'grants', 'shadow', 'audit') {
        my $answer = http_get($g->port, "/_approval/$path");

        is($answer->status, 401, "/$path asks a program who it is");
        is($answer->json->{type}, 'urn:approval:identity-required',
           'and says so');

        like(visit(browser(), $g->port, "/_approval/$path")
             ->header('Location') // '', qr{/authorize\?},
             'a browser is sent to sign in') if $path =~ /^(?:|grants)$/;
    }
}


# tokens that are not good leave no session

sub flaws {
    my ($g, $provider, $page, $entra) = @_;

    for my $flaw (qw(expired audience issuer nonce signature none hmac),
                  $entra ? () : 'unverified')
    {
        my $browser = browser();
        my $answer = sign_in($browser, $g, $provider, $page, 'alice', $flaw);

        is($answer->status, 403, "a token with a flaw ($flaw) is refused");
        ok(!$browser->{cookies}{_oauth2_proxy}, 'and no session begins');
    }

    my $browser = browser();
    my $answer = sign_in($browser, $g, $provider, $page, 'eve@evil.example');

    is($answer->status, 403, 'nor one of another company');

    $browser = browser();
    $answer = sign_in($browser, $g, $provider, $page, 'carol');
    is($answer->status, 200, 'a colleague who is in no group signs in');
    unlike($answer->body, qr/orders/, 'and sees nothing');

    my ($id) = $g->pending;
    my %carol = $provider->person('carol');
    my $carol = $entra ? $carol{oid} : $carol{email};

    like($answer->body, qr/You are &quot;\Q$carol\E&quot;, but you are not in/,
         'but who it is, and that this is in no group');

    $answer = decide($g, $id, 'approve', cookies($browser));
    is($answer->json->{type}, 'urn:approval:not-an-approver', 'nor decides');
    like($answer->json->{detail}, qr/^You are "\Q$carol\E", but you are not in/,
         'and is told the same');

    # a callback that another browser began

    my $began = visit(browser(), $g->port, $page)->header('Location');
    my ($at) = $began =~ m{(/authorize\?.*)};
    my ($back) = http_get($provider->port, "$at&login=alice")
                 ->header('Location') =~ m{(/oauth2/callback\?.*)};

    is(visit(browser(), $g->port, $back)->status, 403,
       'a login that was begun elsewhere is refused');
}


# programs with a token of their own

sub bearer {
    my ($g, $provider, $id) = @_;

    my $get = sub {
        my ($token) = @_;

        return http_get($g->port, "/_approval/actions/$id", headers => [
            Accept => 'application/json', Authorization => "Bearer $token" ]);
    };

    is($get->($provider->token('bob'))->json->{id}, $id,
       'a program with a token of bob\'s reads');

    for my $flaw (qw(expired audience issuer signature none hmac)) {
        is($get->($provider->token('bob', $flaw))->status, 401,
           "not with a token that has a flaw ($flaw)");
    }

    my $token = $provider->token('bob');
    my ($head, $claims, $signature) = split /\./, $token;
    my $other = (split /\./, $provider->token('alice'))[1];

    is($get->("$head.$other.$signature")->status, 401,
       'nor with claims that are not what was signed');
}


# --- certificates

sub certificates {
    my $dir = tempdir();

    authority($dir, 'people');
    authority($dir, 'evil');

    certificate($dir, 'people', alice => '/O=Example/OU=People/CN=Alice Adams');
    certificate($dir, 'people', bob => '/O=Example/OU=People/CN=Bob Brown');
    certificate($dir, 'people', carol => '/O=Example/OU=People/CN=Carol');
    certificate($dir, 'people', trick => '/O=Example/OU=People/CN=x,'
                . 'CN=Alice Adams,OU=People,O=Example');
    certificate($dir, 'people', twice => '/O=Example/OU=People/CN=x/'
                . 'CN=Alice Adams');
    certificate($dir, 'people', old => '/O=Example/OU=People/CN=Alice Adams',
                qw(-startdate 20200101000000Z -enddate 20200201000000Z));
    certificate($dir, 'evil', forged => '/O=Example/OU=People/CN=Alice Adams');
    self_signed($dir, 'self', '/O=Example/OU=People/CN=Alice Adams');

    my $g = Approval::Example->start('mtls-approvers.conf', tls => 1,
        files => { 'tls/people-ca.pem' => slurp("$dir/people.crt") });
    my $url = 'https://127.0.0.1:' . $g->port;

    my $held = Approval::Client->curl_start('-k', '-X', 'DELETE', '-H',
        'Authorization: Bearer 7', '--cert', "$dir/carol.crt", '--key',
        "$dir/carol.key", "$url/v1/orders/7");
    my $id = $g->pending;

    # it is put on record a moment after it is stored

    my $asked;

    ok(wait_for(sub {
        ($asked) = grep { $_->{type} eq 'requested' } $g->records;
    }), 'what is asked is on record');

    is_deeply($asked->{tls_client},
              { subject => 'CN=Carol,OU=People,O=Example',
                verify => 'SUCCESS' },
              'the certificate of who asks is on record');

    my $as = sub {
        my ($name, $path, @arg) = @_;

        my @who = $name ? ('--cert', "$dir/$name.crt", '--key',
                           "$dir/$name.key") : ();

        return Approval::Client->curl('-k', @who, @arg,
                                      "$url/_approval/$path");
    };

    my @vote = ('-d', '{"decision":"approve"}', '-H',
                'Content-Type: application/json');
    my $decision = "actions/$id/decision";

    is($as->(undef, $decision, @vote)->status, 401, 'no certificate: nobody');
    is($as->(undef, $decision, @vote, '-H', 'X-SSL-Client-S-DN: '
             . 'CN=Alice Adams,OU=People,O=Example', '-H',
             'X-Client-Verify: SUCCESS')->status, 401,
       'nor by headers that claim one');

    for my $case ([ forged => 'of another CA' ], [ self => 'signed by itself' ],
                  [ old => 'that has expired' ])
    {
        my $answer = $as->($case->[0], $decision, @vote);

        is($answer->status, 400, "a certificate $case->[1] is refused");
        like($answer->body, qr/SSL certificate error/, 'by nginx');
    }

    for my $case ([ carol => 'of somebody else' ],
                  [ trick => 'whose CN spells Alice\'s whole subject' ],
                  [ twice => 'with a second CN' ])
    {
        is($as->($case->[0], $decision, @vote)->json->{type},
           'urn:approval:not-an-approver', "a certificate $case->[1]");
    }

    ok($held->alive, 'nothing of this has decided');

    my $page = $as->('alice', "actions/$id", '-H', 'Accept: text/html');

    like($page->body, qr/You are <strong>CN=Alice Adams,OU=People,O=Example</,
         'the right one: alice');
    like($page->body, qr/certificate of CN=Carol,OU=People,O=Example, SUCCESS/,
         'and she is shown who asks');

    my ($nonce) = $page->body =~ /name="nonce" value="([^"]+)"/;

    is($as->('bob', $decision, '-d', "nonce=$nonce&decision=approve")->status,
       403, 'her form is no use to bob');
    is($as->('alice', $decision, '-d', "nonce=$nonce&decision=approve",
             )->status, 200, 'she approves');
    is($held->read->status, 200, 'and it is forwarded');

    my ($voted) = grep { $_->{type} eq 'voted' } $g->records;

    is($voted->{person}, 'alice@example.com', 'on record, by the alias');
}


sub authority {
    my ($dir, $name) = @_;

    self_signed($dir, $name, "/CN=$name CA");
    spew("$dir/$name.txt", '');
    spew("$dir/$name.serial", "01\n");
    spew("$dir/$name.conf", <<"END");
[ca]
default_ca = this
[this]
database = $dir/$name.txt
serial = $dir/$name.serial
new_certs_dir = $dir
certificate = $dir/$name.crt
private_key = $dir/$name.key
default_md = sha256
default_days = 2
unique_subject = no
policy = any
[any]
O = optional
OU = optional
CN = supplied
END
}


sub self_signed {
    my ($dir, $name, $subject) = @_;

    Approval::Test::run_quiet(qw(openssl req -x509 -newkey ec -pkeyopt
        ec_paramgen_curve:P-256 -nodes -days 2 -subj), $subject,
        '-keyout', "$dir/$name.key", '-out', "$dir/$name.crt");
}


sub certificate {
    my ($dir, $ca, $name, $subject, @dates) = @_;

    Approval::Test::run_quiet(qw(openssl req -newkey ec -pkeyopt
        ec_paramgen_curve:P-256 -nodes -subj), $subject, '-keyout',
        "$dir/$name.key", '-out', "$dir/$name.csr");

    Approval::Test::run_quiet(qw(openssl ca -batch -notext -preserveDN
        -config), "$dir/$ca.conf", '-in', "$dir/$name.csr", '-out',
        "$dir/$name.crt", @dates);
}


# --- passwords

sub passwords {
    my $g = Approval::Example->start('two-person.conf');
    my ($client, $id) = $g->hold(POST => '/users/7/roles', '7',
                                 json => { roles => ['admin'] });
    my %key = (alice => 'YWxpY2U6YWxpY2U=', wrong => 'YWxpY2U6Ym9i',
               bob => 'Ym9iQGV4YW1wbGUuY29tOmJvYg==');

    my $vote = sub {
        my ($key, @headers) = @_;

        return http_post($g->port, "/_desk/actions/$id/decision",
            '{"decision":"approve"}', headers => [
                'Content-Type' => 'application/json', @headers,
                $key ? (Authorization => "Basic $key{$key}") : () ]);
    };

    is($vote->(undef)->status, 401, 'no password: nobody');
    is($vote->('wrong')->status, 401, 'nor with a wrong one');
    is($vote->(undef, 'X-Remote-User' => 'alice')->status, 401,
       'nor by a header');

    # where nobody checks the password, the name is nobody's

    is(http_post($g->port, "/_approval/actions/$id/decision",
                 '{"decision":"approve"}', headers => [
                     'Content-Type' => 'application/json',
                     Authorization => "Basic $key{wrong}" ])->status,
       401, 'nor where it is not asked for');

    my $inbox = http_get($g->port, '/_desk/', headers => [
        Accept => 'text/html', Authorization => "Basic $key{alice}" ]);

    like($inbox->body, qr/Roles of 7/, 'the inbox of who signs in');
    is($vote->('alice')->status, 200, 'the first of two');
    is($vote->('alice')->status, 200, 'once more');
    ok($client->quiet(0.2), 'which is one person');
    is($vote->('bob')->status, 200, 'the second');
    is($client->read->status, 200, 'is enough');
    is($g->up->last->header('Approval-By'), 'alice@example.com, bob@example.com',
       'by both');
}
