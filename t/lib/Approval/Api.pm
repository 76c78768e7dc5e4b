package Approval::Api;

# Copyright (C) ngx_http_approval_module contributors
#
# Fakes of the services that conf/templates/ is for: receivers (see
# Approval::Receiver) that refuse what the vendors' documentation says they
# refuse.
#
#   my $jira = Approval::Api->new('jira', %how);
#     or 'pagerduty', 'servicenow', 'discord', 'mattermost'
#   ->faults            what was wrong with each message

use strict;
use warnings;

use Encode ();
use JSON::PP ();
use List::Util qw(sum0);

use parent -norequire, 'Approval::Receiver';

use Approval::Receiver;

my %CHECK = (pagerduty => \&pagerduty, jira => \&jira,
             servicenow => \&servicenow, discord => \&discord,
             mattermost => \&mattermost);

my $LINK = qr{http://127\.0\.0\.1:\d+/_approval/actions/[0-9a-f]{32}};


sub new {
    my ($class, $kind, %arg) = @_;

    my $check = $CHECK{$kind};
    my $n = 0;

    my $self = $class->SUPER::new(
        code => sub {
            my ($request) = @_;
            my ($fault, $answer) = $check->($request, ++$n);

            return { status => 400, body => Encode::encode_utf8($fault) }
                if $fault;
            return $answer;
        }, %arg);

    $self->{check} = $check;

    return $self;
}


sub faults {
    my ($self) = @_;

    return grep { $_ } map { ($self->{check}->($_, 0))[0] } $self->messages;
}


sub parse {
    my ($request) = @_;

    return undef unless ($request->header('Content-Type') // '')
                        eq 'application/json';
    return eval { JSON::PP->new->utf8->decode($request->body) };
}


# what is not of the kind "NAME => text, MAX": the first that is wrong

sub texts {
    my ($hash, %max) = @_;

    for my $name (sort keys %max) {
        my $text = $hash->{$name};

        return "no $name" if !defined $text || ref $text || $text eq '';
        return "$name: " . length($text) . ' characters'
            if length $text > $max{$name};
    }

    return '';
}


# Events API v2, "Send an alert event"

sub pagerduty {
    my ($request) = @_;

    my $m = parse($request) or return 'invalid JSON';

    return 'not /v2/enqueue' unless $request->target eq '/v2/enqueue';
    return 'too large' if length $request->body > 512 * 1024;
    return 'event_action' unless ($m->{event_action} // '')
                                 =~ /^(?:trigger|acknowledge|resolve)$/;
    return 'Length of routing_key is incorrect (should be 32 characters)'
        if length($m->{routing_key} // '') != 32;

    my $fault = texts($m, dedup_key => 255)
                || texts($m->{payload} // {}, summary => 1024, source => 255);

    return $fault if $fault;
    return 'severity' unless ($m->{payload}{severity} // '')
                             =~ /^(?:critical|error|warning|info)$/;
    return 'timestamp' unless ($m->{payload}{timestamp} // '')
                        =~ /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/;
    return 'custom_details' unless ref $m->{payload}{custom_details} eq 'HASH';

    for my $link (@{ $m->{links} // [] }) {
        return 'links' unless ($link->{href} // '') =~ /^$LINK$/;
    }

    return ('', { status => 202, body => '{"status":"success"}' });
}


# REST API v3: "Create issue", "Add comment"

sub jira {
    my ($request, $n) = @_;

    my $m = parse($request) or return 'invalid JSON';

    return 'unauthorized' unless ($request->header('Authorization') // '')
                                 eq 'Basic Z3c6dG9rZW4=';

    if ($request->target =~ m{^/rest/api/3/issue/[A-Z]+-\d+/comment$}) {
        my $fault = document($m->{body});

        return $fault if $fault;
        return ('', { status => 201, body => '{"id":"10000"}' });
    }

    return 'no such resource' unless $request->target eq '/rest/api/3/issue';

    my $f = $m->{fields} // {};
    my $fault = texts($f, summary => 255) || document($f->{description});

    return $fault if $fault;
    return 'summary has lines' if $f->{summary} =~ /[\r\n]/;
    return 'project' unless ($f->{project}{key} // '') eq 'OPS';
    return 'issuetype' unless ($f->{issuetype}{name} // '') eq 'Task';
    return 'labels' if grep { /\s/ } @{ $f->{labels} // [] };

    return ('', { status => 201, body => qq({"id":"1$n","key":"OPS-$n",)
                  . qq("self":"https://jira.example/rest/api/3/issue/1$n"}) });
}


# Atlassian Document Format, as far as we use it

my %CHILD = (doc => qr/^(?:paragraph|bulletList|codeBlock)$/,
             paragraph => qr/^text$/, codeBlock => qr/^text$/,
             bulletList => qr/^listItem$/, listItem => qr/^paragraph$/);


sub document {
    my ($doc) = @_;

    return 'no document' unless ref $doc eq 'HASH'
        && ($doc->{type} // '') eq 'doc' && ($doc->{version} // 0) == 1;
    return 'document too large' if length(JSON::PP->new->encode($doc)) > 32767;

    return node($doc);
}


sub node {
    my ($node) = @_;

    my $type = $node->{type};

    if ($type eq 'text') {
        return 'empty text' unless length($node->{text} // '');

        for my $mark (@{ $node->{marks} // [] }) {
            return 'mark' unless $mark->{type} eq 'link'
                                 && $mark->{attrs}{href} =~ /^$LINK$/;
        }

        return '';
    }

    return "unknown node $type" unless $CHILD{$type};
    return "$type has no content" unless @{ $node->{content} // [] };

    for my $child (@{ $node->{content} }) {
        return "$child->{type} in $type"
            unless ($child->{type} // '') =~ $CHILD{$type};

        my $fault = node($child);
        return $fault if $fault;
    }

    return '';
}


# Table API

sub servicenow {
    my ($request, $n) = @_;

    my $m = parse($request) or return 'invalid JSON';
    my $id = sprintf('%032x', $n);

    return 'a member is no string' if grep { ref } values %$m;

    if ($request->method eq 'PATCH') {
        return 'no such record' unless $request->target
            =~ m{^/api/now/table/incident/[0-9a-f]{32}\?sysparm_fields=sys_id$};

        my $fault = texts($m, work_notes => 4000);

        return $fault if $fault;
        return 'close_code and close_notes are mandatory'
            if ($m->{state} // '') eq '6'
               && texts($m, close_code => 40, close_notes => 4000);

        return ('', { status => 200,
                      body => qq({"result":{"sys_id":"$id"}}) });
    }

    return 'no such table' unless $request->method eq 'POST'
        && $request->target eq '/api/now/table/incident?sysparm_fields=sys_id';

    for my $name (qw(urgency impact)) {
        return $name unless ($m->{$name} // '') =~ /^[123]$/;
    }

    my $fault = texts($m, short_description => 160, description => 4000 * 4,
                      correlation_id => 100, assignment_group => 40);

    return $fault if $fault;
    return ('', { status => 201, body => qq({"result":{"sys_id":"$id"}}) });
}


# "Execute Webhook"; what a requester says stands in code only

sub discord {
    my ($request) = @_;

    my $m = parse($request) or return 'invalid JSON';

    return 'no such webhook' unless $request->target
                                    =~ m{^/api/webhooks/\d+/[\w-]+$};

    my $fault = texts($m, content => 2000);

    return $fault if $fault;
    return 'mentions are allowed' unless ref $m->{allowed_mentions} eq 'HASH'
        && ref $m->{allowed_mentions}{parse} eq 'ARRAY'
        && !@{ $m->{allowed_mentions}{parse} };
    return 'embeds' if @{ $m->{embeds} // [] } > 10;

    my $sum = 0;

    for my $embed (@{ $m->{embeds} // [] }) {
        $fault = texts($embed, title => 256, description => 4096);
        return $fault if $fault;

        my @fields = @{ $embed->{fields} // [] };

        return 'fields' if @fields > 25;

        for my $field (@fields) {
            $fault = texts($field, name => 256, value => 1024)
                     || markup($field->{value});
            return $fault if $fault;
        }

        return 'url' unless ($embed->{url} // '') =~ /^$LINK$/;

        $fault = markup($embed->{description});
        return $fault if $fault;

        $sum += sum0(map { length } $embed->{title}, $embed->{description},
                     map { ($_->{name}, $_->{value}) } @fields);
    }

    return "$sum characters in embeds" if $sum > 6000;
    return markup($m->{content}) || ('', { status => 204 });
}


sub mattermost {
    my ($request) = @_;

    my $m = parse($request) or return 'invalid JSON';
    my $fault = texts($m, text => 16383) || markup($m->{text});

    return $fault if $fault;

    for my $a (@{ $m->{attachments} // [] }) {
        $fault = texts($a, fallback => 16383, text => 16383)
                 || markup($a->{text}) || markup($a->{fallback})
                 || (map { texts($_, title => 200, value => 16383)
                           || markup($_->{value}) } @{ $a->{fields} })[0];

        return $fault if $fault;
        return 'color' unless ($a->{color} // '') =~ /^#[0-9a-f]{6}$/;
    }

    return ('', { status => 200, body => 'ok' });
}


# outside of code there is our link, and the words of the template

sub markup {
    my ($text) = @_;

    my $fence = '```';

    $text =~ s/^$fence\n.*?\n$fence$//msg;
    $text =~ s/`[^`\n]+`//g;
    $text =~ s/ \[Open the request\]\($LINK\)//;
    $text =~ s/^Code to enter when approving: \d{6}$//m;

    return $text =~ /^\s*$/ ? '' : "not in code: $text";
}


1;
