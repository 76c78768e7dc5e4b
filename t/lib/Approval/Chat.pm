package Approval::Chat;

# Copyright (C) ngx_http_approval_module contributors
#
# Fake chats: receivers (Approval::Receiver, see there) that refuse, as the
# vendors' documentation says, whole messages for a wrong size, field, type or
# character.
#
#   my $slack = Approval::Chat->new('slack', %how);
#     or 'teams', 'mattermost', 'discord' (.../slack), 'ntfy' (templates)
#     answers of the script come after the checks: what is wrong gets 400
#   ->shown             of Mattermost, Discord, ntfy: what people would read
#
#   ->faults            what was wrong with each message that was refused
#
#   Approval::Chat::button(ACT, ID, DIGEST, 'TEAM:USER', %more)
#                       what Slack posts when one is pressed
#   Approval::Chat::press(PORT, PAYLOAD, secret => SECRET, %how)   posts it,
#                       signed; when => TIME, sign => SIGNATURE, tamper => 1
#
#   Approval::Chat::slack_fault(BODY)   '' or why Slack would refuse it
#   Approval::Chat::teams_fault(BODY)   the same of Teams

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_hex);
use Encode ();
use JSON::PP ();

use parent -norequire, 'Approval::Receiver';

use Approval::Receiver;

my %CHECK = (slack => \&slack_fault, teams => \&teams_fault,
             mattermost => \&mattermost_fault, discord => \&discord_fault,
             ntfy => \&ntfy_fault);
my %SHOWN = (mattermost => \&text_of, discord => \&text_of,
             ntfy => \&ntfy_text);
my %GOOD = (slack => { status => 200, body => 'ok' },
            teams => { status => 202 },
            mattermost => { status => 200, body => 'ok' },
            discord => { status => 200, body => 'ok' },
            ntfy => { status => 200, body => '{"event":"message"}' });


sub new {
    my ($class, $kind, %arg) = @_;

    my $check = $CHECK{$kind};

    my $self = $class->SUPER::new(
        code => sub {
            my $fault = $check->($_[0]->body, $_[0]);

            return undef unless $fault;
            return { status => 400, body => Encode::encode_utf8($fault) };
        }, %arg, default => $GOOD{$kind});

    $self->{check} = $check;
    $self->{shown} = $SHOWN{$kind};

    return $self;
}


sub faults {
    my ($self) = @_;

    return grep { $_ } map { $self->{check}->($_->body, $_) } $self->messages;
}


sub shown {
    my ($self) = @_;

    return map { $self->{shown}->($_->body, $_) } $self->messages;
}


sub parse {
    my ($body) = @_;

    return eval { JSON::PP->new->utf8->decode($body) };
}


sub button {
    my ($act, $id, $digest, $who, %more) = @_;

    my ($team, $user) = split /:/, $who;

    return { type => 'block_actions', team => { id => $team },
             user => { id => $user, team_id => $team, name => 'alice' },
             message => { text => 'x' },
             actions => [ { action_id => "approval_$act", type => 'button',
                            value => "$id $digest" } ], %more };
}


sub press {
    my ($port, $payload, %how) = @_;

    my $json = Approval::Test::encode_json($payload);

    $json =~ s/([^A-Za-z0-9])/sprintf('%%%02X', ord $1)/ge;

    my $body = "payload=$json";
    my $when = $how{when} // time;
    my $sign = $how{sign} // 'v0=' . hmac_sha256_hex("v0:$when:$body",
                                                     $how{secret});

    $body .= 'x' if $how{tamper};

    return Approval::Test::http_post($port, '/_approval/slack', $body,
        headers => [ 'Content-Type' => 'application/x-www-form-urlencoded',
                     'X-Slack-Request-Timestamp' => $when,
                     'X-Slack-Signature' => $sign ]);
}


# Slack: characters are counted

sub slack_fault {
    my ($body) = @_;

    my $m = parse($body);

    return 'invalid_payload' unless ref $m eq 'HASH';

    for my $name (qw(unfurl_links unfurl_media)) {
        return "$name is not false"
            unless JSON::PP::is_bool($m->{$name}) && !$m->{$name};
    }

    return 'no text' unless length($m->{text} // '') && !ref $m->{text};
    return 'text is too long' if length $m->{text} > 40000;
    return 'text: ' . unsafe($m->{text}) if unsafe($m->{text});
    return 'invalid_blocks' unless ref $m->{blocks} eq 'ARRAY';

    my @blocks = @{ $m->{blocks} };

    return 'too many blocks' if @blocks < 1 || @blocks > 50;

    for my $n (0 .. $#blocks) {
        my $fault = slack_block($blocks[$n]);
        return "blocks[$n]: $fault" if $fault;
    }

    return '';
}


sub slack_block {
    my ($block) = @_;

    my $type = $block->{type} // '';

    if ($type eq 'header') {
        return only($block, qw(type text))
               || slack_text($block->{text}, 150, 'plain_text');
    }

    if ($type eq 'section') {
        my $fields = $block->{fields};
        my $fault = only($block, qw(type text fields));

        return $fault if $fault;
        return 'neither text nor fields' unless $block->{text} || $fields;

        if ($block->{text}) {
            $fault = slack_text($block->{text}, 3000);
            return $fault if $fault;
        }

        return '' unless $fields;
        return 'fields: ' . @$fields if @$fields < 1 || @$fields > 10;

        return (grep { $_ } map { slack_text($_, 2000) } @$fields)[0] // '';
    }

    return "unknown type \"$type\"" unless $type eq 'actions';

    my @elements = @{ $block->{elements} // [] };
    my %seen;

    return 'elements: ' . @elements if @elements < 1 || @elements > 25;

    for my $button (@elements) {
        my $fault = slack_button($button);
        return $fault if $fault;
        return 'action_id twice' if $seen{ $button->{action_id} }++;
    }

    return only($block, qw(type elements block_id));
}


sub slack_button {
    my ($button) = @_;

    return 'no button' unless $button->{type} eq 'button';
    return 'value' if length($button->{value} // '') > 2000;
    return 'action_id' if length($button->{action_id} // '') > 255;
    return 'url' if length($button->{url} // '') > 3000;
    return 'style' if exists $button->{style}
                      && $button->{style} !~ /^(?:primary|danger)$/;

    if (my $confirm = $button->{confirm}) {
        my $fault = only($confirm, qw(title text confirm deny))
                    || slack_text($confirm->{title}, 100, 'plain_text')
                    || slack_text($confirm->{text}, 300)
                    || slack_text($confirm->{confirm}, 30, 'plain_text')
                    || slack_text($confirm->{deny}, 30, 'plain_text');
        return "confirm: $fault" if $fault;
    }

    return only($button, qw(type text value action_id url style confirm))
           || slack_text($button->{text}, 75, 'plain_text');
}


sub slack_text {
    my ($text, $max, $want) = @_;

    return 'no text object' unless ref $text eq 'HASH';

    my ($type, $s) = ($text->{type} // '', $text->{text} // '');

    return "type $type" if $want && $type ne $want;
    return 'empty' if $s eq '';
    return length($s) . " characters, $max allowed" if length $s > $max;

    if ($type eq 'plain_text') {
        return only($text, qw(type text emoji)) || unsafe($s);
    }

    return "type $type" unless $type eq 'mrkdwn';

    # the only formatted text is our link

    return 'mrkdwn with foreign text'
        unless $s =~ m{^<https?://[\w.:/~-]+(?:\?t=[\w.~-]+)?\|Open\ the
                        \ request>$}x;

    return only($text, qw(type text verbatim));
}


# control characters of Slack, and what hides text from people

sub unsafe {
    my ($s) = @_;

    return 'a bare < or >' if $s =~ /[<>]/;
    return 'a bare &' if $s =~ /&(?!amp;|lt;|gt;)/;
    return 'an invisible character' if $s =~ /[\x00-\x08\x0b-\x1f\x7f-\x9f]
        |[\x{200b}-\x{200f}\x{202a}-\x{202e}\x{2060}-\x{2069}\x{feff}]/x;

    return '';
}


sub only {
    my ($hash, @known) = @_;

    my %known = map { $_ => 1 } @known;

    return (map { "unknown member $_" } grep { !$known{$_} }
            sort keys %$hash)[0] // '';
}


# Mattermost and Discord take "text" of what Slack takes, ignore blocks, and
# render Markdown: where there is no text there is no message

sub text_of {
    my $m = parse($_[0]);

    return ref $m eq 'HASH' ? $m->{text} // '' : '';
}


sub mattermost_fault {
    my ($body, $request) = @_;

    return 'Content-Type' unless $request->header('Content-Type')
                                 =~ m{^application/json\b};
    return 'no JSON' unless ref parse($body) eq 'HASH';

    return markdown_fault(text_of($body), 16383);
}


sub discord_fault {
    my ($body, $request) = @_;

    return 'not the endpoint for Slack\'s messages'
        unless $request->target =~ m{^/api/webhooks/\d+/[\w-]+/slack$};

    return markdown_fault(text_of($body), 2000);
}


sub markdown_fault {
    my ($text, $max) = @_;

    return 'empty' unless length $text;
    return length($text) . ' characters' if length $text > $max;

    my $bare = $text =~ s{https?://[\w.:/~-]+(?:\?t=[\w.~-]+)?$}{}r;

    return "Markdown or a mention: $bare" if $bare =~ /[\[\]<>*_`!{}~|#@\n]/;
    return "another link: $bare" if $bare =~ m{://|www\.};

    return '';
}


# ntfy with templates: "t" and "m" of the query, filled from the JSON body

sub ntfy_text {
    my ($body, $request) = @_;

    my %arg = map { s/%([0-9A-F]{2})/chr hex $1/ger }
              map { split /=/, $_, 2 }
              split /&/, ($request->target =~ /\?(.*)/ ? $1 : '');
    my $data = parse($body);

    return '' unless ($arg{tpl} // '') eq '1' && ref $data eq 'HASH';

    for my $text (@arg{qw(t m)}) {
        $text =~ s/\{\{\.([\w.]+)\}\}/member($data, split m{\.}, $1)/ge;
    }

    return "$arg{t}\n$arg{m}";
}


sub member {
    my ($data, @names) = @_;

    $data = ref $data eq 'HASH' ? $data->{$_} : undef for @names;

    return $data // '<no value>';
}


sub ntfy_fault {
    my ($body, $request) = @_;

    return 'the body is larger than 128 KB' if length $body > 131072;

    my $text = ntfy_text($body, $request);

    return 'no template, or no JSON' unless $text =~ /^[^\n]+\n./;
    return 'a value is missing' if $text =~ /<no value>/;
    return length($text) . ' bytes'
        if length(Encode::encode_utf8($text)) > 4096;

    return '';
}


# Teams

my %ELEMENT = (
    TextBlock => [qw(type text size weight wrap style spacing)],
    FactSet   => [qw(type facts)],
    Container => [qw(type style items)],
);


sub teams_fault {
    my ($body) = @_;

    return length($body) . ' bytes' if length $body > 28 * 1024;

    my $m = parse($body);

    return 'no JSON' unless ref $m eq 'HASH';
    return 'type' unless ($m->{type} // '') eq 'message';
    return 'attachments' unless @{ $m->{attachments} // [] } == 1;

    my $attachment = $m->{attachments}[0];
    my $card = $attachment->{content};

    return 'contentType' unless ($attachment->{contentType} // '')
                         eq 'application/vnd.microsoft.card.adaptive';
    return 'no AdaptiveCard' unless ($card->{type} // '') eq 'AdaptiveCard';
    return "version $card->{version}" unless $card->{version} eq '1.4';

    my $fault = only($card, qw($schema type version msteams body actions));
    return $fault if $fault;

    for my $element (@{ $card->{body} }) {
        $fault = teams_element($element);
        return $fault if $fault;
    }

    for my $action (@{ $card->{actions} // [] }) {
        return "action $action->{type}" if $action->{type} ne 'Action.OpenUrl';
        return "url $action->{url}" if $action->{url} !~ m{^https?://[\w.:]+/};
    }

    return '';
}


sub teams_element {
    my ($element) = @_;

    my $type = $element->{type} // '';

    return "unknown element \"$type\"" unless $ELEMENT{$type};

    my $fault = only($element, @{ $ELEMENT{$type} });
    return "$type: $fault" if $fault;

    return teams_text($element->{text}) if $type eq 'TextBlock';

    if ($type eq 'FactSet') {
        return (grep { $_ } map { teams_text($_->{title})
                                  || teams_text($_->{value}) }
                @{ $element->{facts} })[0] // '';
    }

    return (grep { $_ } map { teams_element($_) } @{ $element->{items} })[0]
           // '';
}


# Markdown that is not escaped

sub teams_text {
    my ($s) = @_;

    return 'no text' unless length($s // '');

    my $bare = $s =~ s/\\[^A-Za-z0-9\s]//gr;

    return "Markdown: $s" if $bare =~ /[\[\]<>*_`!{}~|#]/;
    return 'a link' if $bare =~ m{https?:|www\.};
    return 'an invisible character' if unsafe($bare =~ s/&//gr);

    return '';
}


1;
