package Approval::Browser;

# Copyright (C) ngx_http_approval_module contributors
#
# Headless Chromium, driven over chromedriver's HTTP JSON interface.
#
#   my $browser = Approval::Browser->new(%how);
#     javascript => 0     pages' scripts are off, as a person may set it
#
#   ->phone ->desktop           360x740 with touch; 1280x900
#   ->dark(1) ->dark(0)         what prefers-color-scheme says
#   ->go(URL) ->url ->title ->text ->source
#   ->all(CSS)                  elements; ->one(CSS) the only one, or dies
#   ->click(CSS) ->type(CSS, TEXT)
#   ->submit(CSS)               clicks, and waits for the page that follows
#   ->js(SCRIPT, ARG...)        the value that SCRIPT returns; also with
#                               javascript => 0, which is about pages' scripts
#   ->async(SCRIPT, ARG...)     the same, of a promise that SCRIPT returns
#   ->authenticator(%options)   a virtual one, with a person who consents:
#                               internal, of CTAP 2, which verifies its user;
#                               ->credentials(ID) ->forget_key(ID, KEY)
#                               ->add_key(ID, %key) ->remove(ID)
#   ->cdp(METHOD, PARAMS)       the DevTools protocol
#   ->key(NAME...)              keys pressed: Tab, Enter
#   ->alert                     the text of an open dialog, or undef
#   ->forget                    no cookies, as somebody else's browser
#   ->shot(NAME)                a picture of the whole page in the directory of
#                               APPROVAL_SCREENSHOTS, where that is set
#   ->stop

use strict;
use warnings;

use HTTP::Tiny;
use JSON::PP ();
use MIME::Base64 qw(decode_base64);

use Approval::Process;

my $ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

my %KEY = (Tab => "\x{e004}", Enter => "\x{e007}");


sub new {
    my ($class, %arg) = @_;

    my $self = bless { javascript => 1, json => JSON::PP->new->utf8,
                       http => HTTP::Tiny->new(timeout => 60 *
                                               Approval::Test::slow()),
                       dir => Approval::Test::tempdir(), %arg }, $class;

    Approval::Test::register($self);

    $self->start_driver;
    $self->start_session;
    $self->desktop;

    return $self;
}


sub start_driver {
    my ($self) = @_;

    for my $try (1 .. 5) {
        my $port = Approval::Test::free_port();

        $self->{base} = "http://127.0.0.1:$port";
        $self->{process} = Approval::Process->start(
            cmd => [ 'chromedriver', "--port=$port" ],
            env => { HOME => $self->{dir}, TMPDIR => $self->{dir} },
            stdout => "$self->{dir}/driver.log",
            stderr => "$self->{dir}/driver.log");

        return if Approval::Test::wait_for(sub {
            !$self->{process}->alive
                or eval { $self->call(GET => '/status')->{ready} } })
            && $self->{process}->alive;

        $self->{process}->kill_group;
    }

    die "chromedriver did not start:\n"
        . Approval::Test::slurp("$self->{dir}/driver.log");
}


sub start_session {
    my ($self) = @_;

    my @args = qw(--headless --no-sandbox --disable-gpu --disable-quic
                  --disable-dev-shm-usage --disable-background-networking
                  --disable-component-update --disable-sync --no-first-run);

    # nothing but the gateway is to be reached

    push @args, '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1,'
                . ' EXCLUDE localhost';

    my %prefs = (credentials_enable_service => JSON::PP::false);

    if (!$self->{javascript}) {
        $prefs{'profile.managed_default_content_settings.javascript'} = 2;
    }

    my $session = $self->call(POST => '/session', { capabilities => {
        alwaysMatch => {
            browserName => 'chrome',
            unhandledPromptBehavior => 'ignore',
            'goog:chromeOptions' => {
                args => [ @args, "--user-data-dir=$self->{dir}/profile" ],
                prefs => \%prefs,
                binary => program('chromium'),
            },
        },
    } });

    $self->{session} = "/session/$session->{sessionId}";
    $self->{browser} = $session->{capabilities}{'goog:processID'};
}


sub program {
    my ($name) = @_;

    my ($path) = grep { -x } map { "$_/$name" } split(/:/, $ENV{PATH});

    return $path // die "no $name";
}


sub call {
    my ($self, $method, $path, $data) = @_;

    my $response = $self->{http}->request($method, "$self->{base}$path", {
        headers => { 'Content-Type' => 'application/json' },
        $method eq 'POST' ? (content => $self->{json}->encode($data // {}))
                          : () });

    my $value = eval { $self->{json}->decode($response->{content})->{value} };

    if (!$response->{success}) {
        my $what = ref $value ? "$value->{error}: $value->{message}"
                              : $response->{content};

        die "$method $path: ", $what =~ s/\n.*//sr, "\n";
    }

    return $value;
}


sub get { $_[0]->call(GET => "$_[0]{session}$_[1]") }

sub post { $_[0]->call(POST => "$_[0]{session}$_[1]", $_[2]) }

sub url { $_[0]->get('/url') }

sub title { $_[0]->get('/title') }

sub source { $_[0]->get('/source') }

sub text { $_[0]->js('return document.body.innerText') }

sub go { $_[0]->post('/url', { url => $_[1] }) }

sub phone { $_[0]->size(360, 740, 1) }

sub desktop { $_[0]->size(1280, 900, 0) }


sub size {
    my ($self, $width, $height, $mobile) = @_;

    $self->cdp('Emulation.setDeviceMetricsOverride', {
        width => $width, height => $height, deviceScaleFactor => 1 + $mobile,
        mobile => $mobile ? JSON::PP::true : JSON::PP::false });
}


sub dark {
    my ($self, $on) = @_;

    $self->cdp('Emulation.setEmulatedMedia', { features => [ {
        name => 'prefers-color-scheme', value => $on ? 'dark' : 'light' } ] });
}


sub all {
    my ($self, $css) = @_;

    return map { $_->{$ELEMENT} }
           @{ $self->post('/elements', { using => 'css selector',
                                         value => $css }) };
}


sub one {
    my ($self, $css) = @_;

    my @found = $self->all($css);

    die @found . " elements are \"$css\"\n" if @found != 1;

    return $found[0];
}


# as a person does, who scrolls up to it what is behind a bar

sub click {
    my ($self, $css) = @_;

    $self->js('document.querySelector(arguments[0])'
              . '.scrollIntoView({ block: "center" })', $css);
    $self->post('/element/' . $self->one($css) . '/click');
}


sub type {
    my ($self, $css, $text) = @_;

    $self->post('/element/' . $self->one($css) . '/value',
                { text => "$text" });
}


# the page before has the mark, the one that follows has not

sub submit {
    my ($self, $css) = @_;

    $self->js('document.documentElement.dataset.before = 1');
    $self->click($css);

    Approval::Test::wait_for(sub { eval { $self->js(
        'return document.readyState == "complete"
                && !document.documentElement.dataset.before') } })
        or die "nothing follows on \"$css\"\n";
}


sub js {
    my ($self, $script, @args) = @_;

    return $self->post('/execute/sync', { script => $script,
                                          args => \@args });
}


sub async {
    my ($self, $script, @args) = @_;

    my $got = $self->post('/execute/async', { script => <<"EOJ",
        const done = arguments[arguments.length - 1];
        (async (...args) => { $script })(...arguments)
            .then((value) => done({ value }),
                  (error) => done({ error: String(error) }));
EOJ
                                              args => \@args });

    die "$got->{error}\n" if defined $got->{error};

    return $got->{value};
}


sub authenticator {
    my ($self, %options) = @_;

    my $yes = JSON::PP::true;

    return $self->post('/webauthn/authenticator', {
        protocol => 'ctap2', transport => 'internal', hasResidentKey => $yes,
        hasUserVerification => $yes, isUserVerified => $yes,
        isUserConsenting => $yes, %options });
}


sub credentials { @{ $_[0]->get("/webauthn/authenticator/$_[1]/credentials") } }


sub forget_key {
    my ($self, $id, $key) = @_;

    $self->call(DELETE => "$self->{session}/webauthn/authenticator/$id"
                . "/credentials/$key");
}


sub add_key {
    my ($self, $id, %key) = @_;

    $self->post("/webauthn/authenticator/$id/credential", \%key);
}


sub remove {
    my ($self, $id) = @_;

    $self->call(DELETE => "$self->{session}/webauthn/authenticator/$id");
}


sub cdp {
    my ($self, $method, $params) = @_;

    return $self->post('/goog/cdp/execute', { cmd => $method,
                                              params => $params // {} });
}


sub key {
    my ($self, @names) = @_;

    $self->post('/actions', { actions => [ {
        type => 'key', id => 'keyboard',
        actions => [ map { my $key = $KEY{$_} or die "no key $_";
                           map { { type => $_, value => $key } }
                               'keyDown', 'keyUp' } @names ],
    } ] });
}


sub alert { eval { $_[0]->get('/alert/text') } }

sub forget { $_[0]->cdp('Network.clearBrowserCookies') }


# of a page that is very long, its beginning and its end

sub shot {
    my ($self, $name) = @_;

    my $dir = $ENV{APPROVAL_SCREENSHOTS} or return;
    my ($width, $height) = @{ $self->js(
        'const e = document.documentElement;
         return [e.clientWidth, e.scrollHeight]') };
    my $most = 2400;

    $self->shot_part("$dir/$name.png", 0, $width,
                     $height > $most ? $most : $height);
    $self->shot_part("$dir/$name-end.png", $height - $most, $width, $most)
        if $height > 2 * $most;
}


sub shot_part {
    my ($self, $file, $top, $width, $height) = @_;

    my $png = $self->cdp('Page.captureScreenshot', {
        format => 'png', captureBeyondViewport => JSON::PP::true,
        clip => { x => 0, y => $top, width => $width, height => $height,
                  scale => 1 } });

    Approval::Test::spew($file, decode_base64($png->{data}));
}


sub stop {
    my ($self) = @_;

    my $process = delete $self->{process} or return;

    eval { $self->call(DELETE => $self->{session}) } if $self->{session};

    # what has not ended by itself; its pid is the driver's word

    kill('KILL', $self->{browser})
        if $self->{browser} && -e "/proc/$self->{browser}"
           && Approval::Test::slurp("/proc/$self->{browser}/cmdline")
              =~ /\Q$self->{dir}\E/;

    $process->kill_group;
}


sub finish { $_[0]->stop }

sub abandon { $_[0]->stop }


1;
