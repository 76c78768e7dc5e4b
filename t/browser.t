#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# The approvers' pages in a real browser: from the message's link to the
# decision, on a phone and on a desktop, with pages' scripts off and on; hostile
# requests; a link scanner; keyboard, labels, contrast.
#
#     APPROVAL_SCREENSHOTS=DIR    pictures of all pages are left there

use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Browser;
use Approval::Gateway;

need('chromium', 'chromedriver', 'openssl');
need_module();


# What a page must not let run, and must not hide.

my $mark = "window.pwned=1;document.title='pwned';alert(1)";

my @corpus = (
    "<script>$mark</script>",
    "\"><img src=x onerror=\"$mark\">",
    "'><svg onload=\"$mark\">",
    "</textarea></pre></title></style><script>$mark</script>",
    "javascript:$mark",
    '<a href="https://evil.example/">Approve</a>',
    '<meta http-equiv="refresh" content="0;url=https://evil.example/">',
    '*bold* <!channel> <@U0> <https://evil.example/|Approve>',
    '[Approve](https://evil.example/) # big **bold** `code` ![](x)',
    '{{nonce}} {{>style.css}} {{#votes}}',
    '&lt;script&gt; &#60;script&#62; &amp;amp; %3Cscript%3E',
    "bidi \x{202e}drow\x{202c} \x{2066}x\x{2069}",
    "zero\x{200b}\x{200d}\x{feff}width\x{ad}",
    "stack" . "\x{301}" x 50,
    'W' x 700,
);

my $evil = join(' ', @corpus);
my $bytes = $evil;
utf8::encode($bytes);

my $gw = Approval::Gateway->new(
    files => { passwords => "alice:{PLAIN}open sesame\n" },
    up => { '/raw' => { headers => [ 'Content-Type' =>
                                     'text/html; charset=utf-8' ],
                        body => "<title>raw</title>" . $bytes =~ s{<meta.*?>}{}r },
            '*' => { body => "done\n" } },
    http => <<'EOC',
    approval_channel personal { type json; pass /_notify; per_approver on; }
    client_max_body_size 2m;

    approval_group operators olga;
    approval_operators operators;

    approval_policy hostile {
        strict_path off;
        rule hostile {
            match $uri ^/hostile;
            action x.hostile;
            risk medium;
            summary "Hostile: $http_x_evil";
            show header $http_x_evil;
            show body json:/evil;
            require 2 of admins;
            notify personal;
        }
    }

    approval_policy desk {
        rule drop {
            match $uri ^/drop;
            action db.drop;
            risk high;
            summary "Drop table $arg_table on production";
            show table $arg_table;
            show rows json:/rows;
            require admins;
            notify personal;
        }
        rule critical {
            match $uri ^/critical;
            action db.destroy;
            risk critical;
            summary "Delete the database $arg_db";
            require admins;
            notify personal;
        }
        rule again {
            match $uri ^/again;
            action svc.restart;
            summary "Restart $arg_what";
            require admins;
            remember 1h per $request_method$uri uses=5;
        }
        rule small {
            match $uri ^/small;
            action svc.reload;
            risk low;
            summary "Reload $arg_what";
            show unit $arg_what;
            require admins;
        }
        rule short {
            match $uri ^/short;
            action x.short;
            require admins;
            timeout 3s;
            notify personal;
        }
        rule gone {
            match $uri ^/gone;
            action x.gone;
            require admins;
            notify personal;
        }
    }
EOC
    server => <<'EOC');
        location / {
            approval desk;
            proxy_pass %%UP%%;
        }
        location /gone {
            approval desk;
            approval_disconnect cancel;
            proxy_pass %%UP%%;
        }
        location /hostile {
            approval hostile;
            approval_on_behalf $http_x_for;
            proxy_pass %%UP%%;
        }
        location = /raw { proxy_pass %%UP%%; }
        location = /as {
            add_header Set-Cookie "who=$arg_who; Path=/; HttpOnly";
            return 200 "signed in as $arg_who\n";
        }
        location /idp/ { approval_api approver=$cookie_who; }
        location /basic/ {
            auth_basic approvers;
            auth_basic_user_file %%PREFIX%%/passwords;
            approval_api approver=$remote_user;
        }
EOC

my $port = $gw->port;
my $base = "http://127.0.0.1:$port";
my $off = Approval::Browser->new(javascript => 0);
my $on = Approval::Browser->new;

my @body = (json => { sql => "DROP TABLE orders;\n-- 3 a.m. clean-up",
                      rows => 48_211_907, password => 'hunter2' });
my @why = (headers => [ 'X-Approval-Reason' =>
                        'Table is empty since the migration (OPS-4711)' ]);


sub message {
    my ($id, $approver) = @_;

    return wait_for(sub {
        (grep { $_->{id} eq $id && $_->{links}{approver} eq $approver }
         map { $_->json->{data} } $gw->hook->messages)[0] })
        // BAIL_OUT("no message to $approver");
}


sub link_of { message(@_)->{links}{url} }


sub sign_in {
    my ($browser, $who) = @_;

    $browser->go("$base/as?who=$who");
}


sub page_is {
    my ($browser, $like, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    like($browser->text, $like, $name);
}


# --- what is true of every page

my $ACTIVE = <<'EOJ';
    const bad = [];

    if (window.pwned || document.title == 'pwned') bad.push('a script ran');

    for (const e of document.querySelectorAll('*')) {
        if (e.matches('head > link[rel=icon][href^="data:image/svg+xml,"]')
            || (e.matches('head > script:not([src])')
                && e.textContent.startsWith('/*\n * Copyright (C) ngx_http_')))
            continue;

        if (!/^(html|head|meta|title|style|body|header|nav|main|footer|section|article|h1|h2|h3|p|a|br|strong|span|code|pre|dl|dt|dd|ul|ol|li|q|blockquote|time|form|input|textarea|label|button|select|option|details|summary|div|noscript|iframe)$/i
             .test(e.tagName)) bad.push('<' + e.tagName + '>');

        for (const a of e.attributes) {
            if (/^(on|style$|srcdoc$)/i.test(a.name)) bad.push(a.name);
            if (/^(href|src|action|formaction)$/i.test(a.name)
                && new URL(a.value, location).origin != location.origin)
                bad.push(a.name + '=' + a.value);
        }
    }

    const seen = document.title + document.documentElement.textContent;

    if (/[\u0000-\u0008\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/
        .test(seen)) bad.push('invisible characters');

    return bad.join(', ');
EOJ

my $SHAPE = <<'EOJ';
    const bad = [], one = (css) => {
        if (document.querySelectorAll(css).length != 1) bad.push('not one ' + css);
    };

    for (const css of ['main', 'body > header', 'h1', 'footer', 'title'])
        one(css);

    if (document.documentElement.lang != 'en') bad.push('no lang');
    if (!document.title.trim()) bad.push('no title');

    for (const e of document.querySelectorAll('input:not([type=hidden]), select, textarea'))
        if (!e.labels.length || !e.labels[0].textContent.trim())
            bad.push('no label: ' + e.name);

    for (const e of document.querySelectorAll('button, a, summary'))
        if (!e.textContent.trim()) bad.push('no name: ' + e.outerHTML);

    for (const e of document.querySelectorAll('button, a.button, input:not([type=hidden]), select, textarea, summary'))
        if (e.checkVisibility() && e.getBoundingClientRect().height < 44)
            bad.push('too small for a finger: ' + e.outerHTML);

    for (const e of document.querySelectorAll('[aria-labelledby]'))
        for (const id of e.getAttribute('aria-labelledby').split(' '))
            if (!document.getElementById(id)) bad.push('labelled by nothing');

    const colour = (e) => getComputedStyle(e).backgroundColor;
    const risks = [...document.querySelectorAll('.tag.risk-high, .tag.risk-critical')]
        .map(colour);

    for (const e of document.querySelectorAll('button, .button'))
        if (risks.includes(colour(e))) bad.push('a button looks like a risk');

    const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
    if (new Set(ids).size != ids.length) bad.push('an id stands twice');

    const width = document.scrollingElement.scrollWidth;
    if (width > arguments[0]) bad.push('it is ' + width + ' wide');

    return bad.join('\n');
EOJ

# WCAG 2: text 4.5, large text 3; borders of fields 3

my $CONTRAST = <<'EOJ';
    const parse = (s) => {
        const n = s.match(/[\d.]+/g).map(Number);
        return n.length < 4 ? [n[0], n[1], n[2], 1] : n;
    };
    const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3]))
                                    .concat(1);
    const light = (c) => {
        const [r, g, b] = c.map((v) => (v /= 255) <= 0.03928 ? v / 12.92
                                       : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ratio = (a, b) => {
        const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
        return (x + 0.05) / (y + 0.05);
    };
    const back = (e) => {
        const layers = [];
        for ( ; e; e = e.parentElement)
            layers.push(parse(getComputedStyle(e).backgroundColor));
        layers.push([255, 255, 255, 1]);
        return layers.reverse().reduce((b, a) => over(a, b));
    };
    const bad = [];
    let n = 0;

    for (const e of document.body.querySelectorAll('*')) {
        if (!e.checkVisibility()) continue;

        const s = getComputedStyle(e), size = parseFloat(s.fontSize);
        const large = size >= 24 || (size >= 18.66 && s.fontWeight >= 700);
        const text = [...e.childNodes].some((c) => c.nodeType == 3
                                                   && c.data.trim());

        if (text || e.matches('input, textarea, select')) {
            const b = back(e), r = ratio(over(parse(s.color), b), b);
            n++;
            if (r < (large ? 3 : 4.5))
                bad.push(`${e.tagName} ${e.className}: ${r.toFixed(2)}`);
        }

        if (e.matches('input:not([type=hidden]), textarea, select')) {
            const b = back(e.parentElement);
            const r = ratio(over(parse(s.borderTopColor), b), b);
            if (r < 3) bad.push(`${e.tagName}'s border: ${r.toFixed(2)}`);
        }
    }

    return n ? bad.join('\n') : 'no text';
EOJ

# What a screen reader says: everything that it can go to has a name of its own.

my %NAMED = map { $_ => 1 } qw(form search region navigation group button link
    textbox combobox checkbox DisclosureTriangle Iframe);


sub spoken {
    my ($browser, $role) = @_;

    return map { $_->{name}{value} // '' }
           grep { !$_->{ignored} && $_->{role}{value} eq $role }
           @{ $browser->cdp('Accessibility.getFullAXTree')->{nodes} };
}


sub good_names {
    my ($browser, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my (@bad, %seen);
    for my $node (@{ $browser->cdp('Accessibility.getFullAXTree')->{nodes} }) {
        my ($role, $said) = ($node->{role}{value} // '',
                             $node->{name}{value} // '');

        next if $node->{ignored} || !$NAMED{$role};

        # the summary names its details

        next if $role eq 'group' && $said eq ''
                && $browser->cdp('DOM.describeNode',
                       { backendNodeId => $node->{backendDOMNodeId} })
                   ->{node}{nodeName} eq 'DETAILS';

        push @bad, "a $role without a name" if $said !~ /\w/;
        push @bad, "two of $role $said"
            if $role =~ /^(?:form|search|region|button)\z/
               && $said !~ /^Show date picker/
               && $seen{"$role $said"}++;
    }

    is(join("\n", @bad), '', "$name: names for a screen reader");
}


sub good_page {
    my ($browser, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    for my $size (qw(phone desktop)) {
        my $width = $size eq 'phone' ? 360 : 1280;

        $browser->$size;
        is($browser->js($SHAPE, $width), '', "$name: well formed, $size");

        for my $dark (0, 1) {
            my $light = $dark ? 'dark' : 'light';

            $browser->dark($dark);
            $browser->shot("$name-$size-$light");

            is($browser->js($CONTRAST), '', "$name: contrast, $size $light");
        }
    }

    $browser->dark(0);
    is($browser->js($ACTIVE), '', "$name: nothing active");
    good_names($browser, $name);
}


# Every control is reached by Tab, and one sees where one is.

my $CONTROLS = <<'EOJ';
    const all = () => [...document.querySelectorAll(
        'a, button, input:not([type=hidden]), select, textarea, summary, [tabindex]')]
        .filter((x) => x.checkVisibility())
EOJ

my $WATCH = <<'EOJ';
    document.activeElement.blur();
    window.visited = [];

    if (!window.watched) document.addEventListener('focusin', (event) => {
        const e = event.target, s = getComputedStyle(e);

        window.visited.push({ here: all().indexOf(e),
            what: e.tagName + ' ' + (e.id || e.innerText.slice(0, 20)),
            ring: s.outlineStyle != 'none' && parseFloat(s.outlineWidth) >= 2 });
    });

    window.watched = true;
EOJ

sub good_keyboard {
    my ($browser, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $count = $browser->js("$CONTROLS; return all().length");

    $browser->js("$CONTROLS; $WATCH");
    $browser->key(('Tab') x ($count + 9));

    my (@order, @dim);

    for my $at (@{ $browser->js('return window.visited') }) {
        next if $at->{here} < 0 || (@order && $at->{here} == $order[-1]);
        last if @order && $at->{here} == $order[0];

        push @order, $at->{here};
        push @dim, $at->{what} unless $at->{ring};
    }

    # from where one was last

    push @order, shift @order while @order && $order[0] > $order[-1];

    is("@order", join(' ', 0 .. $count - 1), "$name: Tab goes everywhere");
    is("@dim", '', "$name: focus is seen");
}


# --- the checks find what they are made for

$on->go("$base/raw");
wait_for(sub { defined $on->alert }, 20);
is($on->alert, '1', 'a page that escapes nothing runs the corpus');
$on->post('/alert/accept') while defined $on->alert;
like($on->js($ACTIVE), qr/a script ran.*<SCRIPT>.*onerror/s,
     'and is found to be active');

$off->go("$base/raw");
is($off->title, 'raw', 'without JavaScript no script runs');

# --- from the message to the decision

for my $how ([ $off, 'phone', 'no JavaScript' ],
             [ $off, 'desktop', 'no JavaScript' ],
             [ $on, 'phone', 'JavaScript' ], [ $on, 'desktop', 'JavaScript' ])
{
    my ($browser, $size, $scripts) = @$how;
    my $name = "$size, $scripts";

    for my $act (qw(approve deny)) {
        my ($client, $id) = $gw->hold(POST => "/drop?table=$act", @why, @body);
        my $comment = "seen on $name";

        $browser->forget;
        $browser->$size;
        $browser->go(link_of($id, 'alice'));

        unlike($browser->url, qr/t=/, "$name: the token is not in the address");
        page_is($browser, qr/Drop table \Q$act\E on production.*high risk|
                             high\ risk.*Drop\ table\ \Q$act\E/sx,
                "$name: what it is about");
        page_is($browser, qr/OPS-4711/, "$name: why");
        unlike($browser->source, qr/hunter2/, "$name: and no secret");

        $browser->type("form.$act textarea", $comment);
        $browser->submit("form.$act button");

        page_is($browser, $act eq 'approve' ? qr/You approved/ : qr/You denied/,
                "$name: $act");

        my $answer = $client->read;

        is($answer->status, $act eq 'approve' ? 200 : 403, "$name: decided");

        my ($vote) = @{ $gw->action($id)->{votes} };

        is_deeply([ @$vote{qw(approver how decision comment)} ],
                  [ 'alice', 'link', $act, $comment ], "$name: the vote");
    }
}

# --- the page itself

my ($client, $id) = $gw->hold(POST => '/drop?table=orders', @why, @body);

$on->forget;
$on->go(link_of($id, 'alice'));
good_page($on, 'action');
good_keyboard($on, 'action');

my %said = map { $_ => [ spoken($on, $_) ] } qw(form button link);

for my $act (qw(Deny Approve)) {
    for my $role (qw(form button link)) {
        ok((grep { $_ eq "$act Drop table orders on production" }
            @{ $said{$role} }), "a screen reader says what this $role does")
            or diag(join("\n", @{ $said{$role} }));
    }
}

$on->type('#deny-comment', 'typed');
$on->click('summary');
good_keyboard($on, 'action, all open');

$on->js('document.querySelector("form.deny button").focus()');
$on->js('document.documentElement.dataset.before = 1');
$on->key('Enter');
ok(wait_for(sub { eval { $on->text =~ /You denied/ } }),
   'the keyboard alone decides');
is($client->read->status, 403, 'denied by keyboard');
good_page($on, 'result');

# --- at 3 a.m.: the decision is in reach, and what is long is folded

for my $browser ($off, $on) {
    ($client, $id) = $gw->hold(
        POST => '/drop?table=orders&' . 'x' x 1200, @why,
        json => { names => [ map { "row $_" } 1 .. 3000 ] });

    $browser->forget;
    $browser->phone;
    $browser->go(link_of($id, 'alice'));

    ok($browser->js('return document.documentElement.scrollHeight') < 3000,
       'a long request is no long page');
    like($browser->text,
         qr/Request line of 12\d\d characters.*Body of \d{5} bytes/s,
         'its size is said');
    unlike($browser->text, qr/row 900/, 'and it is folded');

    $browser->click('#request ~ details:last-of-type summary');
    ok(wait_for(sub { $browser->text =~ /row 900/ }), 'until one opens it')
        or diag($browser->text);

    my $seen = "const b = document.querySelector(arguments[0])
                                  .getBoundingClientRect();
                return b.top >= 0 && b.bottom <= innerHeight";

    for my $act (qw(deny approve)) {
        $browser->js('scrollTo(0, 0)');
        is($browser->js($seen, ".bar .$act"), 1, "$act is on the screen");
        $browser->click(".bar .$act");
        is($browser->js($seen, "form.$act"), 1, '... and leads to its form');
        is($browser->js('const b = (css) => document.querySelector(css)
                                                    .getBoundingClientRect();
                         return b(".bar").bottom <= b("form.deny").top'), 1,
           '... and the bar is out of the way');
    }

    like($browser->js('return document.querySelector(".bar p").innerText'),
         qr/high risk Drop table orders/, 'the bar says what it decides');

    $browser->submit('form.deny button');
    $client->read;
}

# --- critical: only with the code from the message

($client, $id) = $gw->hold(POST => '/critical?db=payroll', @why, @body);

my $code = message($id, 'bob')->{code};
like($code, qr/^\d{6}\z/, 'the message has a code');

for my $browser ($off, $on) {
    $browser->forget;
    $browser->phone;
    $browser->go(link_of($id, 'bob'));
    unlike($browser->source, qr/\Q$code\E/, 'the page does not tell it');

    $browser->click('form.approve button');
    is($gw->state($id), 'pending', 'no code: not even sent');

    $browser->type('#code', sprintf('%06d', ($code + 1) % 1_000_000));
    $browser->submit('form.approve button');
    page_is($browser, qr/Wrong code/, 'not the code');
}

good_page($on, 'refused');
$on->go(link_of($id, 'bob'));
good_page($on, 'critical');
$on->type('#code', $code);
$on->submit('form.approve button');
page_is($on, qr/You approved/, 'the code');
is($client->read->status, 200, 'and it is approved');

# --- by identity: the inbox

my @held = map { [ $gw->hold(POST => "/drop?table=t$_", @why, @body) ] } 1 .. 3;

for my $browser ($off, $on) {
    $browser->forget;
    $browser->phone;
    $browser->go("http://alice:open%20sesame\@127.0.0.1:$port/basic/");
    page_is($browser, qr/Waiting for you.*Drop table t1/s,
            'the inbox, by a password');
}

good_page($on, 'inbox');
good_keyboard($on, 'inbox');

sign_in($on, 'bob');
$on->go("$base/idp/");
$on->submit("a[href='actions/$held[0][1]']");
page_is($on, qr/You are bob/, 'from the inbox to the action');
good_page($on, 'signed-in');
good_keyboard($on, 'signed in');
$on->submit('form.approve button');
page_is($on, qr/You approved/, 'approved by identity');
is($held[0][0]->read->status, 200, 'and forwarded');

$on->go("$base/idp/?view=history");
page_is($on, qr/History.*Drop table/s, 'the history');
good_page($on, 'history');
good_keyboard($on, 'history');
$on->phone;
ok($on->js('return document.querySelector(".actions li")'
           . '.getBoundingClientRect().bottom <= innerHeight'),
   'on a phone its first card is seen, and not the search alone');
$on->desktop;
$on->click('.find summary');
good_page($on, 'history-search');
good_keyboard($on, 'history, open');
$on->type('#rule', 'critical');
$on->submit('form[role=search] button');
like($on->one('.find:not([open]) summary .tag') && $on->text,
     qr/Search\s+rule critical/, 'folded, it says what was searched for');
page_is($on, qr/Delete the database payroll/, 'a search');
is(scalar($on->all('.actions li')), 1, 'finds what was asked for');

$on->cdp('Emulation.setTimezoneOverride', { timezoneId => 'Asia/Tokyo' });
$on->go("$base/idp/?view=history");
$on->click('.find summary');
unlike($on->text, qr/UTC/, 'days of the reader\'s zone');
$on->js('document.querySelector("#since").value = "2026-01-02";'
        . 'document.querySelector("#until").value = "2026-01-02"');
$on->submit('form[role=search] button');
like($on->url, qr/since=2026-01-01T15%3A00%3A00.000Z
                  &until=2026-01-02T14%3A59%3A59.999Z/x, 'begin and end there');
like($on->text, qr/from Jan 2, 2026, 00:00 GMT\+9\s+to Jan 2, 2026, 23:59 GMT/,
     'which it says');
$on->click('.find summary');
is($on->js('return document.querySelector("#since").value'
           . ' + document.querySelector("#until").value'),
   '2026-01-022026-01-02', 'and shows again');
$on->cdp('Emulation.setTimezoneOverride', { timezoneId => '' });

$off->forget;
sign_in($off, 'bob');
$off->go("$base/idp/?view=history&since=2026-01-02&until=2026-01-02");
$off->click('.find summary');
like($off->text, qr/from 2026-01-02 00:00:00 UTC.*From \(UTC\)/s,
     'without a script in UTC');

$on->go("$base/idp/story?of=$held[0][1]");
page_is($on, qr/Who signed off.*Drop table t1.*voted.*executed/s,
        'who signed off on it');
unlike($on->js('return document.querySelector("article time").textContent'),
       qr/^\d{4}-/, 'in the reader\'s zone as well');
good_page($on, 'story');
good_keyboard($on, 'story');

# --- several at once, without a script, by the keyboard

my @low = map { [ $gw->hold(GET => "/small?what=s$_", @why) ] } 1 .. 3;

sign_in($off, 'alice');
$off->phone;
$off->go("$base/idp/");
$off->submit('a[href="?view=several"]');
page_is($off, qr/Decide several.*Reload s1.*Reload s2.*Reload s3/s,
        'the page for several');
is(scalar($off->all('.actions li')), 3, 'has those of low risk');
unlike($off->text, qr/Drop table/, 'and none of high risk');
good_page($off, 'several');

sign_in($on, 'alice');
$on->go("$base/idp/?view=several");
good_keyboard($on, 'several');

$off->click("#a-$low[$_][1] label") for 0, 1;
is($off->js('return getComputedStyle(document.querySelector(".chosen"),'
            . ' "::before").content'), 'counter(chosen) " "', 'counts them');
$off->type('#comment', 'new certificate');
$gw->vote($low[1][1], 'deny', 'no', 'bob');
$low[1][0]->read;
$off->submit('.bar button.approve');
page_is($off, qr/1 of 2 votes were accepted.*Already decided.*Reload s2.*By bob/s,
        'says what became of each');
page_is($off, qr/By bob.*You approved.*Reload s1/s, 'what was refused first');
good_page($off, 'several-result');
is($low[0][0]->read->status, 200, 'what was approved is forwarded');
$gw->vote($low[2][1], 'deny', '', 'bob');
$low[2][0]->read;

# --- who may not, and too late

sign_in($on, 'mallory');
$on->go("$base/idp/actions/$held[1][1]");
page_is($on, qr/Not an approver/, 'not yours');
good_page($on, 'not-yours');

sign_in($on, 'nobody');
$on->go("$base/idp/");
page_is($on, qr/No action is waiting for you/, 'nothing for others');
good_page($on, 'empty');

$on->forget;
$on->go("$base/idp/actions/$held[1][1]");
page_is($on, qr/Who are you/, 'nobody');
good_page($on, 'nobody');

sign_in($_, 'alice') for $on, $off;
$off->go("$base/idp/actions/$held[1][1]");
$gw->vote($held[1][1], 'approve', 'I was first', 'bob');
is($held[1][0]->read->status, 200, 'approved by another');
$off->type('#deny-comment', 'too late');
$off->submit('form.deny button');
page_is($off, qr/Already decided.*by bob/s, 'decided already');
good_page($off, 'decided');
$off->submit('a.button');
page_is($off, qr/Voting has ended/, 'and the action says so');
good_page($off, 'over');

my ($own, $mine) = $gw->hold(POST => '/drop?table=own', agent => 'alice');
$on->go("$base/idp/actions/$mine");
page_is($on, qr/somebody else must decide/, 'one\'s own');
is(scalar($on->all('form.approve, form.deny')), 0, 'has no buttons');
good_page($on, 'own');
$on->js(<<'EOJ', $mine);
    document.querySelector('main').innerHTML += '<form method="post" id="own"'
        + ` action="${arguments[0]}/decision"><input name="decision"`
        + ' value="approve"><button>x</button></form>';
EOJ
$on->submit('#own button');
page_is($on, qr/Your own request/, 'nor may it be sent');
good_page($on, 'self');
$gw->vote($mine, 'deny', '', 'bob');
is($own->read->status, 403, 'denied by another');

my ($leaver, $gone) = $gw->hold(GET => '/gone');
$off->go("$base/idp/actions/$gone");
$leaver->close;
ok(wait_for(sub { $gw->action($gone)->{state} eq 'cancelled' }), 'cancelled');
$off->submit('form.approve button');
page_is($off, qr/withdrawn or cancelled/, 'the requester has gone');
good_page($off, 'cancelled');

my ($late, $lapsed) = $gw->hold(GET => '/short');
$off->go("$base/idp/actions/$lapsed");
is($late->read->status, 403, 'nobody decided in time');
$off->submit('form.approve button');
page_is($off, qr/Expired/, 'expired');
good_page($off, 'expired');

# --- what changes under one's eyes

my ($watched, $seen) = $gw->hold(POST => '/drop?table=seen', @why, @body);

for my $browser ($on, $off) {
    $browser->go("$base/idp/actions/$seen");
    $browser->type('#deny-comment', 'half a thought');
}

like($on->js('return document.querySelector("dd time").textContent'),
     qr/^[^U]*\d:\d\d.* \(\d+ (?:s|min) ago\)$/, 'when, in the reader\'s zone');
like($off->one('dd time') && $off->text, qr/\d\d:\d\d:\d\d UTC/,
     'and in UTC without a script');

my $left = 'return document.querySelector("[data-until]").textContent';
my $first = $on->js($left);
like($first, qr/^\d+ min \d+ s$/, 'how long is left');
ok(wait_for(sub { $on->js($left) ne $first }, 60), 'counts down');

my $frame = 'const f = document.querySelector("iframe").contentDocument;'
            . 'return f && f.body ? f.body.textContent : ""';
ok(wait_for(sub { $off->js($frame) =~ /Waiting for a decision/ }, 60),
   'without a script a frame says so');
is(scalar($on->all('iframe')), 0, 'and with one there is none');

$gw->vote($seen, 'deny', 'bob was first', 'bob');
$watched->read;

ok(wait_for(sub { $on->text =~ /while this page was open: denied/ }, 60),
   'decided: the page changes');
page_is($on, qr/Voting has ended.*bob was first/s, 'and says by whom');
like($on->title, qr/denied/, 'so does its title');
is($on->js('return [...document.querySelectorAll("form button")]'
           . '.filter((b) => !b.disabled).length'), 0, 'nothing to press');
is(scalar($on->all('.bar')), 0, 'no bar');

ok(wait_for(sub { $off->js($frame) =~ /Voting has ended/ }, 60),
   'without a script the frame does');

is($_->js('return document.querySelector("#deny-comment").value'),
   'half a thought', 'what was typed is there') for $on, $off;

good_page($on, 'changed');

my @cards = map { [ $gw->hold(GET => "/small?what=c$_") ] } 1 .. 2;

$off->go("$base/idp/");
is(scalar($off->all('meta[http-equiv=refresh]')), 1,
   'without a script the inbox looks again');

$on->go("$base/idp/?view=several");
is(scalar($on->all('meta[http-equiv=refresh]')), 0, 'with one it does not');
$on->click("#a-$cards[0][1] label");
$on->type('#comment', 'half of another');

push @cards, [ $gw->hold(GET => '/small?what=c3') ];
ok(wait_for(sub { $on->js('return !!document.getElementById(arguments[0])',
                          "a-$cards[2][1]") }, 60), 'a new card appears');
is($on->js('return document.querySelector(".actions li:last-child").id'),
   "a-$cards[2][1]", 'at the end');

$gw->vote($cards[1][1], 'deny', '', 'bob');
$cards[1][0]->read;
ok(wait_for(sub { $on->all("#a-$cards[1][1].gone") }, 60),
   'one that was decided is marked');
is($on->js('return document.querySelectorAll(".actions li")[1].id'),
   "a-$cards[1][1]", 'where it was');
is($on->js('return document.querySelectorAll("input:checked").length'
           . ' + document.querySelector("#comment").value'),
   '1half of another', 'what was ticked and typed stays');
good_page($on, 'several-changed');
$on->click("#a-$cards[2][1] label");
$on->submit('.bar button.approve');
page_is($on, qr/2 of 2 votes were accepted/, 'and both are decided');
$_->read for $cards[0][0], $cards[2][0];

# --- what is remembered, and what is stopped

for my $browser ($off, $on) {
    my ($asks, $grant) = $gw->hold(POST => '/again?what=web', agent => 'robot');
    $gw->vote($grant, 'approve', '', 'bob');
    is($asks->read->status, 200, 'approved, and remembered');
    is($gw->send(POST => '/again?what=web', agent => 'robot')->read->status,
       200, 'it passes');

    $browser->forget;
    sign_in($browser, 'alice');
    $browser->go("$base/idp/?view=history");
    $browser->click('.find summary');
    $browser->type('#approver', 'bob');
    $browser->submit('.search button');
    page_is($browser, qr/svc\.restart.*POST\ gw\.example\/again.*
                         bob:\ approve/sx, 'history: who decided on what');
    $browser->go("$base/idp/?view=history");
    $browser->click('.find summary');
    $browser->type('#approver', 'olga');
    $browser->submit('.search button');
    page_is($browser, qr/No action that you may see matches/,
            'and who did not');

    $browser->forget;
    $browser->phone;
    sign_in($browser, 'alice');
    $browser->go("$base/idp/");
    $browser->submit('a[href="grants"]');
    page_is($browser, qr/svc\.restart.*robot.*1 of 5 times.*by.*bob/si,
            'the grants that are in force');

    if ($browser == $on) {
        good_page($on, 'grants');
        good_keyboard($on, 'grants');
    }

    $browser->submit('form.deny button');
    page_is($browser, qr/Revoked/, 'revoked');
    $browser->submit('a.button');
    page_is($browser, qr/No grant is in force/, 'none is left');

    ($asks, $grant) = $gw->hold(POST => '/again?what=web', agent => 'robot');
    ok($grant, 'and one is asked again');

    unlike($browser->source, qr/href="[^"]*freeze"/, 'she is no operator');
    $browser->forget;
    sign_in($browser, 'olga');
    $browser->go("$base/idp/");
    $browser->submit('a[href="freeze"]');
    page_is($browser, qr/Nothing is frozen/, 'what is frozen');
    $browser->type('#requester', 'robot');
    $browser->type('#requester-comment', 'runs <b>wild</b>');
    $browser->submit('form:has(#requester) button');
    page_is($browser, qr/Frozen.*ended: 1\./s, 'a requester is stopped');
    is($asks->read->json->{type}, 'urn:approval:frozen', 'what waited ends');
    $browser->submit('a.button');
    page_is($browser, qr/Requester robot.*by olga, until thawed.*<b>/s,
            'who, by whom and why');

    if ($browser == $on) {
        good_page($on, 'freeze');
        good_keyboard($on, 'freeze');
    }

    $browser->submit('.actions form button');
    page_is($browser, qr/Thawed/, 'thawed');

    ($asks, $grant) = $gw->hold(POST => '/again?what=db', agent => 'robot');
    ok($grant, 'and it may ask again');
    $gw->vote($grant, 'deny', '', 'bob');
    $asks->read;
}

# --- hostile requests: one field after the other, then 1 MB of it

my $json = encode_json({ evil => $evil, "$evil" => [ @corpus ],
                         'zz' => 'B' x (1_000_000) });

my ($bad, $worse) = $gw->hold(
    POST => '/hostile?q=' . join('', map { $_ eq ' ' ? '+' : $_ }
                                 split(//, $bytes)),
    agent => '<img/src=x/onerror=alert(1)>*bold*[x](http://evil.example)',
    headers => [ 'Content-Type' => 'application/json', 'X-Evil' => $bytes,
                 'User-Agent' => $bytes, 'X-Approval-Reason' => $bytes,
                 'X-For' => '<script>alert(1)</script>' ],
    body => $json);

BAIL_OUT('the hostile request was not held') unless $worse;

my $hostile = link_of($worse, 'alice');
my $hidden = $gw->action($worse)->{body_hidden};

ok($hidden > 900_000, 'most of 1 MB is not shown');

$on->forget;
$on->go($hostile);
page_is($on, qr/\Q$hidden\E bytes hidden.*\Q$hidden\E bytes of the body/s,
        'which is said, and again where it is decided');
page_is($on, qr/<script>window\.pwned.*<U\+202E>drow.*<U\+200B>/s,
        'what is shown is shown as it is');

# summary, header and the two that are shown: cut where a value is longer

my $cut = () = $on->text =~ /… \(\d+ bytes hidden\)/g;

ok($cut >= 4, "and of $cut values the same");
good_page($on, 'hostile');
good_keyboard($on, 'hostile');

$on->type('#deny-comment', 'to be cleared');
$on->js('arguments[0].value = arguments[1]',
        { 'element-6066-11e4-a52e-4f735466cecf' => $on->one('#approve-comment') },
        substr($evil, 0, 1900));
$on->submit('form.approve button');
page_is($on, qr/still waiting for others/, 'a hostile comment');
good_page($on, 'hostile-result');

$on->cdp('Page.enable');
$on->cdp('Page.setBypassCSP', { enabled => JSON::PP::true });

for my $path ("actions/$worse", '', '?view=history') {
    sign_in($on, 'bob');
    $on->go("$base/idp/$path");
    ok(!defined $on->alert, "no dialog: /$path");
    page_is($on, qr/<script>window\.pwned/, "the corpus stands there: /$path");
    good_page($on, 'hostile-' . ($path =~ /view/ ? 'history'
                                 : $path ? 'voted' : 'inbox'));
}

$on->go("$base/idp/?view=history&requester=" . join('', map {
    sprintf('%%%02X', ord) } split(//, substr($bytes, 0, 500))));
is($on->js($ACTIVE), '', 'nor does the search run it');

$off->forget;
$off->phone;
$off->go(link_of($worse, 'bob'));
is($off->js($ACTIVE), '', 'and nothing without JavaScript');
$off->type('form.deny textarea', 'no');
$off->submit('form.deny button');
page_is($off, qr/You denied/, 'denied');
is($bad->read->status, 403, 'the hostile request is refused');

# --- a scanner: opens, asks for the head of, and submits all that it sees

$on->cdp('Page.setBypassCSP', { enabled => JSON::PP::false });

sub everything {
    my $redis = $gw->redis->client;
    my %all;

    for my $key ($gw->redis->keys) {
        my $type = $redis->cmd(TYPE => $key);

        $all{$key} = $type eq 'string' ? $redis->cmd(GET => $key)
                   : $type eq 'hash' ? { @{ $redis->cmd(HGETALL => $key) } }
                   : $type eq 'list' ? $redis->cmd(LRANGE => $key, 0, -1)
                   : $type eq 'zset' ? $redis->cmd(ZRANGE => $key, 0, -1,
                                                   'WITHSCORES')
                   : $redis->cmd(XLEN => $key) if $type ne 'stream';
    }

    return encode_json(\%all);
}


my ($scanned, $prey) = $gw->hold(POST => '/drop?table=scanned', @why, @body);
my $personal = link_of($prey, 'alice');
my $before = everything();
my $records = () = $gw->audit;
my %sent;

sub scan {
    my ($url, $depth, $seen) = @_;

    return if $seen->{$url}++ || $url !~ /^\Q$base\E/;

    for my $method (qw(HEAD GET)) {
        $sent{$method}++;
        Approval::Client->new($port)->request($method => substr($url,
                                                              length $base));
    }

    $on->go($url);

    my @forms = @{ $on->js(<<'EOJ') };
        return [...document.forms].map((f) => [f.method, f.action,
            new URLSearchParams(new FormData(f)).toString()]);
EOJ
    my @links = @{ $on->js('return [...document.links].map((a) => a.href)') };

    # as it would be without the cookie, and in the browser when it is gone

    for my $form (@forms) {
        my ($method, $action, $fields) = @$form;

        $sent{uc $method}++;
        Approval::Client->new($port)->request(
            uc $method => substr($action, length $base), body => $fields,
            headers => [ 'Content-Type' =>
                         'application/x-www-form-urlencoded' ]);
    }

    for my $n (0 .. $#forms) {
        $on->go($url);
        $on->forget;
        $on->js('document.forms[arguments[0]].submit()', $n);
        wait_for(sub { eval { $on->text =~ /Who are you/ } }, 5);
        page_is($on, qr/Who are you/, "form $n is refused: who is it?");
        $sent{submit}++;
    }

    return unless $depth;

    scan($_, $depth - 1, $seen) for @links;
}


$on->forget;
scan($personal, 2, {});
scan("$base/_approval/", 1, {});

ok($sent{HEAD} && $sent{GET} && $sent{POST} >= 3 && $sent{submit} >= 3,
   'the scanner was thorough');
is(everything(), $before, 'and has changed nothing in Redis');
is(join(' ', grep { !/^(?:viewed|checkpoint)\z/ } map { $_->{type} }
             ($gw->audit)[$records .. scalar(() = $gw->audit) - 1]), '',
   'the trail knows of views only');
is($gw->action($prey)->{state}, 'pending', 'the action waits');

$gw->vote($_, 'deny', '', 'bob') for $prey, $held[2][1];
$_->read for $scanned, $held[2][0];

$_->stop for $on, $off;
$gw->clean;

done_testing();
