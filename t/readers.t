#!/usr/bin/perl

# Copyright (C) ngx_http_approval_module contributors
#
# Real readers behind a real gateway.  Policies and requests come by chance
# (Approval::Spelling); each request goes through a plain nginx first, whose
# reader says what the request is, then through the gateway.  Always:
#
#   - no reader executes without a decision what a rule requires or denies;
#     the rule is judged on what the reader itself reports;
#   - what it executes after an approval is what the approver was shown, where
#     it was shown;
#   - under a policy that concerns nothing each answer is that of the plain
#     nginx, byte for byte.
#
# At the end faults are planted into the module, and must be found.  A failure
# prints the seed, the policy and the request, without what is not needed.
#
#   APPROVAL_FULL=1       many more, with another seed each time
#   APPROVAL_SEED=N       this seed
#   APPROVAL_READERS=a,b  these readers

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Approval::Test;
use Approval::Fault;
use Approval::Gateway;
use Approval::Readers;
use Approval::Spelling;

use Time::HiRes qw(time);

my $full = $ENV{APPROVAL_FULL} // 0;
my $seed = $ENV{APPROVAL_SEED} // ($full ? time() % 1e6 : 9);

$ENV{APPROVAL_TEST_TIMEOUT} //= 3600 if $full;

need_module();

my $readers = Approval::Readers->new(split /,/, $ENV{APPROVAL_READERS} // '');
my @readers = $readers->names;

# policies; requests for each of them and each reader; the same for nothing

my $policies = $full ? 60 : 16;
my ($each, $free) = $full ? (60, 1500) : slow() > 2 ? (6, 42) : (16, 120);

# source, place, what stands there instead, what is to be found, and what is odd
# about the requests that show it

my @faults = (
    [ 'no fact is bound', 'gate/judge/bind.c',
      qr/if \(!ngx_http_approval_bind_ignored\(bind->lcf, facts\[i\]\)\) \{/
          => 'if (0) {', qr/another than approved/ ],
    [ 'a name has no spellings', 'core/reading_field.c',
      qr/as == APPROVAL_NAME_OTHER \? as : APPROVAL_NAME_SPELLING/
          => 'as == APPROVAL_NAME_SAME ? as : APPROVAL_NAME_OTHER',
      qr/without a decision/, qr/name, / ],
    [ 'nobody routes by letters of any case', 'core/match_pattern.c',
      qr/if \(a != b\) \{/
          => 'if (a != b || text.data[i] != value.data[i]) {',
      qr/without a decision/, qr/path: (?:all )?upper case/ ],
);

# these only a few requests show

push @faults,
    [ 'no two copies are a list', 'core/reading_field.c',
      qr/if \(same > 1\) \{/ => 'if (0) {',
      qr/without a decision/ ],
    [ 'nobody ends a field at a semicolon', 'core/reading_field.c',
      qr/field_walk\(&f, query, "&;", 0\)/
          => 'field_walk(&f, query, "&", 0)',
      qr/without a decision/ ],
    [ 'a backslash is no slash to anybody', 'core/reading_path.c',
      qr/\(steps & PATH_BACKSLASH\) && p\[i\] == '\\\\'/ => '0',
      qr/without a decision/ ] if $full;

my %shapes = (
    plain => { conf => 'location / { UP }' },
    slash => { conf => 'location / { UP/ }' },
    break => { prefix => '/api',
               conf => 'location / { UP } location /api/ {
                        rewrite ^/api(/.*)$ $1 break; UP }' },
    last => { prefix => '/old',
              conf => 'rewrite ^/old(/.*)$ $1 last; location / { UP }' },
    named => { conf => 'root %%PREFIX%%/none; location @up { UP }
                        location / { try_files $uri @up; }' },
    raw => { port => 2, conf => 'location / { UP }' },
    host => { host => '$http_host', conf => 'location / { UP }' },
);


# The servers of both nginx: one for each policy and reader

sub servers {
    my ($gated, @policies) = @_;

    my $text = <<'EOF';
    proxy_next_upstream off;
    server { listen 127.0.0.1:%%PORT1%% default_server; return 404; }
    server { listen 127.0.0.1:%%PORT2%% default_server; return 404;
             underscores_in_headers on; merge_slashes off; }
EOF

    for my $policy (@policies) {
        my $shape = $shapes{ $policy->{shape} };
        my $port = $shape->{port} // 1;
        my $host = $shape->{host} // '$host';

        $text .= $policy->{text} if $gated;

        for my $reader (@readers) {
            my $up = 'http://127.0.0.1:' . $readers->port($reader);
            my $conf = $shape->{conf} =~ s{UP(/?)}{proxy_pass $up$1;}gr;
            my $name = host($policy, $reader);

            my $gate = $gated ? "approval $policy->{name};"
                                . 'approval_requester $http_x_agent;' : '';

            $text .= <<"EOF";
    server {
        listen 127.0.0.1:%%PORT$port%%;
        server_name $name;
        proxy_set_header Host $host;
        proxy_set_header X-Place $name;
        $gate
        $conf
    }
EOF
        }
    }

    return $text;
}


sub host {
    my ($policy, $reader) = @_;

    return "$policy->{name}.$reader.example";
}


my $gen = Approval::Spelling->new($seed);

my @judged = map { $gen->policy("p$_") } 1 .. $policies;
my @shapes = sort keys %shapes;

$judged[$_]{shape} = $shapes[ $_ % @shapes ] for 0 .. $#judged;

# what the client sent is not what the reader gets where it is rewritten

for my $policy (grep { $_->{text} =~ /\$request_uri/ } @judged) {
    $policy->{shape} = 'plain';
}

my @nothing = map { { %{ $gen->nothing("none_$_") }, shape => $_ } } @shapes;

my %how = (log_level => 'notice', workers => 2);
my $hash = 'server_names_hash_max_size 4096;'
           . ' server_names_hash_bucket_size 128;';

my $plain = Approval::Nginx->new(%how, module => 0,
    http => "$hash server { listen 127.0.0.1:%%PORT%%; return 404; }\n"
            . servers(0, @judged, @nothing));

our $gw = gateway();
our (%count, %wrong, %granted, @found, $planted);


sub gateway {
    return Approval::Gateway->new(%how, http => $hash . servers(1, @judged,
                                                                @nothing));
}


my ($probes, %executed);
our $turn = 0;

my %place = map { my $policy = $_;
                  map { lc host($policy, $_) => $policy } @readers }
            @judged, @nothing;


# One request: its answer, and what the reader has executed

sub answer {
    my ($nginx, $reader, $request, @headers) = @_;

    my ($client, $probe) = ask($nginx, $request, @headers);

    return ($client->try_read(60), executions($reader, $probe));
}


sub ask {
    my ($nginx, $request, @headers) = @_;

    my $probe = 'n' . ++$probes;
    my $shape = $shapes{ $request->{shape} };
    my $client = Approval::Client->new($nginx->port($shape->{port} // 1));

    $client->{sent} = [ $request->{method} ];
    $client->write(Approval::Spelling::bytes($request,
        [ 'X-Probe' => $probe ], [ 'X-Agent' => 'agent-7' ], @headers));

    $count{requests}++;

    return ($client, $probe);
}


sub executions {
    my ($reader, $probe) = @_;

    return @{ $readers->reports($reader)->{$probe} // [] };
}


sub wrong {
    my ($what, $request, %more) = @_;

    my $policy = $request->{policy};

    push @found, $what;

    return if $wrong{ $policy->{name} }++ >= 3 || $planted;

    $request = minimal($request, $what);

    diag("$what\n  seed $seed, ", join(', ', @{ $request->{odd} }), "\n",
         map({ "  $_: " . shown($more{$_}) . "\n" } sort keys %more),
         '  request: ', shown(Approval::Spelling::bytes($request)), "\n",
         "  shape $policy->{shape}\n", $policy->{text});
}


# what can be left out of a request, and it still does that

sub minimal {
    my ($request, $what) = @_;

    local $planted = 'less';
    local (%count, %wrong);

    for my $list (qw(query headers cookies fields)) {
        for my $i (reverse 0 .. $#{ $request->{$list} }) {
            my $less = { %$request, $list => [ @{ $request->{$list} } ] };

            splice(@{ $less->{$list} }, $i, 1);

            local @found;
            $less->{check}->($less);

            $request = $less if grep { $_ eq $what } @found;
        }
    }

    return $request;
}


sub shown {
    my ($what) = @_;

    my $text = ref $what ? encode_json($what) : $what;

    return $text =~ s/([\r\n\\])/{ "\r" => '\r', "\n" => '\n',
                                   '\\' => '\\\\' }->{$1}/ger
                 =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ger;
}


# What a policy says to what a reader has read: the outcomes that can be, in
# order, until a rule holds for all that the reader has for a value

sub outcomes {
    my ($policy, $report) = @_;

    my @found;

    for my $rule (@{ $policy->{rules} }) {
        next if $rule->{shadow};

        my ($may, $must) = (1, 1);

        for my $cond (@{ $rule->{conds} }) {
            my @views = Approval::Readers::views($report, $cond->{fact});
            my @holds = grep { any($cond, $_) } @views;
            my $routed = defined $report->{route} && $cond->{fact} eq '$uri'
                         ? any($cond, [ $report->{route} ], qr/^!?[^~]/) : 0;

            $may &&= @holds || $routed;
            $must &&= @holds == @views;
        }

        push @found, $rule if $may;
        return @found if $must;
    }

    return (@found, { name => 'default', outcome => $policy->{default} });
}


sub any {
    my ($cond, $view, $like) = @_;

    return scalar grep { Approval::Policies::holds($_, $view, $cond->{fact}) }
                       grep { !$like || /$like/ } @{ $cond->{patterns} };
}


sub sensitive {
    my ($policy, $report) = @_;

    return grep { $_->{outcome} ne 'allow' } outcomes($policy, $report);
}


sub texts_of {
    my ($report, $fact) = @_;

    return join "\0", sort map { $_->[0] // '' }
                               Approval::Readers::views($report, $fact);
}


# Where a grant of that rule holds, made for what the reader now has

sub is_granted {
    my ($policy, $report) = @_;

    for my $rule (sensitive($policy, $report)) {
        return 0 if $rule->{outcome} eq 'deny' || !$rule->{per};
        return 1 if $granted{"$report->{place} $rule->{name} "
                             . texts_of($report, $rule->{per})};
    }

    return 0;
}


# the values that an approval by these rules is for

sub bound {
    my ($report, @rules) = @_;

    my %used = ('$host' => 1);

    for my $rule (@rules) {
        $used{$_} = 1 for map({ $_->{fact} } @{ $rule->{conds} }),
                          @{ $rule->{show} }, $rule->{per} // ();
    }

    return encode_json([ @$report{qw(place method paths query form json)},
                         map { "$_=" . texts_of($report, $_) }
                             sort keys %used ]);
}


# Under a policy

sub probe {
    my ($policy, $reader, $odd) = @_;

    my $request;

    # how the one before went must not change it: that may depend on the time

    do {
        $gen->turn(++$turn);
        $request = $gen->request($policy, host($policy, $reader),
                                 $shapes{ $policy->{shape} }{prefix});
    } while $odd && !grep { $_ =~ $odd } @{ $request->{odd} };

    @$request{qw(policy shape reader check)}
        = ($policy, $policy->{shape}, $reader, \&judge);

    judge($request);
}


sub judge {
    my ($request) = @_;

    my ($policy, $reader) = @$request{qw(policy reader)};
    my ($reference, $asked) = answer($plain, $reader, $request);

    if (!$reference || !$asked) {
        $count{'not executed'}++;
        return;
    }

    return wait_for_people($request, $asked) if $gen->chance(10);

    my ($answer, @done) = answer($gw->ngx, $reader, $request,
                                 [ Prefer => 'respond-async' ]);

    return wrong('no answer', $request) unless $answer;

    executed($request, undef, $answer, @done);

    my $id = $answer->status == 202 && $answer->header('Approval-Id');

    $count{held}++ if $id;
    $count{refused}++ if $answer->body =~ /"urn:approval:/;

    return approve($request, $asked, $id) if $id;

    # what passes unasked is what would pass without the module

    wrong('not what passes a plain nginx', $request, with => $done[0],
          without => $asked)
        if @done && bound($done[0], @{ $policy->{rules} })
                    ne bound($asked, @{ $policy->{rules} });
}


# The same for a client that waits on its connection

sub wait_for_people {
    my ($request, $asked) = @_;

    my ($policy, $reader) = @$request{qw(policy reader)};
    my %before = map { $_ => 1 } $gw->pending;
    my ($client, $probe) = ask($gw->ngx, $request);
    my ($id, $approved);

    wait_for(sub {
        ($id) = grep { !$before{$_} } $gw->pending;
        return $id || $client->answered;
    });

    if ($id) {
        my @early = executions($reader, $probe);
        my $action = $gw->action($id);

        wrong('executed before the decision', $request) if @early;
        is_shown($request, $asked, $action);

        $count{"held on a connection"}++;
        $approved = approval($policy, $action, $asked);
        $gw->vote($id, 'approve');
    }

    my $answer = $client->try_read(60)
        or return wrong('no answer', $request);

    executed($request, $approved, $answer, executions($reader, $probe));
}


# what a reader has executed: with that decision, or without one

sub executed {
    my ($request, $approved, $answer, @done) = @_;

    return unless @done;

    my $report = $done[0];
    my $policy = $place{ lc $report->{place} };

    $count{executed}++;
    $executed{ $request->{reader} }++;

    wrong('executed twice', $request) if @done > 1;
    wrong('executed and refused', $request, answer => $answer->raw)
        if $answer->body =~ /"urn:approval:/ || $answer->status == 202;

    my @rules = sensitive($policy, $report) or return;

    return if is_granted($policy, $report)
              || $approved && is_approved($approved, $report, @rules);

    wrong($approved ? 'executed is another than approved'
                    : 'executed without a decision', $request,
          rule => join(' ', map { "$_->{name} $_->{outcome}" } @rules),
          reader => $report, answer => $answer->status,
          $approved ? (approved => $approved->{report}) : ());
}


# the same values, and no rule that did not concern what was asked

sub is_approved {
    my ($approved, $report, @rules) = @_;

    my %known = map { $_->{name} => 1 } $approved->{rule},
                sensitive($approved->{policy}, $approved->{report});

    return bound($report, $approved->{rule})
           eq bound($approved->{report}, $approved->{rule})
           && !grep { !$known{ $_->{name} } } @rules;
}


sub approve {
    my ($request, $asked, $id) = @_;

    my ($policy, $reader) = @$request{qw(policy reader)};
    my $action = $gw->action($id);

    is_shown($request, $asked, $action);

    return $gw->vote($id, 'deny') if $gen->chance(20);

    $gw->vote($id, 'approve');
    $count{approved}++;

    my $approved = approval($policy, $action, $asked);
    my @ticket = $gen->chance(50) ? ([ 'Approval-Id' => $id ]) : ();

    my $other = $gen->respell($request, map { host($_, $reader) } @judged);

    if ($gen->chance(60)) {
        my ($answer, @done) = answer($gw->ngx, $reader, $other, @ticket,
                                     [ Prefer => 'respond-async' ]);

        executed($other, $approved, $answer, @done) if $answer;
        $count{'another redeemed'}++ if @done;
        close_action($answer);
    }

    my ($answer, @done) = answer($gw->ngx, $reader, $request, @ticket,
                                 [ Prefer => 'respond-async' ]);

    executed($request, $approved, $answer, @done);

    # once more, it is another action

    ($answer, @done) = answer($gw->ngx, $reader, $request, @ticket,
                              [ Prefer => 'respond-async' ]);

    executed($request, undef, $answer, @done);
    close_action($answer);
}


# so that nothing joins it later

sub close_action {
    my ($answer) = @_;

    $gw->vote($answer->header('Approval-Id'), 'deny')
        if $answer && $answer->status == 202;
}


# what an approval is for, and the grant that it may bring

sub approval {
    my ($policy, $action, $asked) = @_;

    my $rule = rule_of($policy, $action);

    $granted{"$asked->{place} $rule->{name} "
             . texts_of($asked, $rule->{per})} = 1 if $rule->{per};

    return { policy => $policy, report => $asked, rule => $rule };
}


# What the reader has for each value that the rule uses is shown, in any of its
# spellings, and so are the method and the place

sub is_shown {
    my ($request, $report, $action) = @_;

    my $policy = $request->{policy};
    my $rule = rule_of($policy, $action);

    my $all = join "\n", map { folded($_) }
                         strings({ map { $_ => $action->{$_} }
                                   grep { $_ ne 'request' } keys %$action });

    wrong('another place is shown', $request, shown => $action)
        if $action->{policy} ne $policy->{name}
           || ($action->{host} // '') !~ /^\Q$request->{host}\E/i;

    for my $fact ('$request_method', map({ $_->{fact} } @{ $rule->{conds} }),
                  @{ $rule->{show} })
    {
        next if $fact =~ /^\$cookie/;

        for my $view (Approval::Readers::views($report, $fact)) {
            my $text = folded($view->[0] // next);

            next if $text !~ /^[ -~]*\z/
                    || !grep { index($all, $_) < 0 }
                             $fact =~ /^\$(?:http_|request_method)/
                             ? split(/, ?/, $text) : $text;

            return wrong("a value of $fact that is not shown", $request,
                         value => $text, shown => $action);
        }
    }
}


sub rule_of {
    my ($policy, $action) = @_;

    my ($rule) = grep { $_->{name} eq $action->{rule} } @{ $policy->{rules} };

    return $rule;
}


sub folded {
    my ($text) = @_;

    1 while $text =~ s/%([0-9a-f]{2})/chr hex $1/gei;

    return lc $text =~ tr{/}{}sr;
}


sub strings {
    my ($what) = @_;

    return map { strings($_) } @$what if ref $what eq 'ARRAY';
    return map { ($_, strings($what->{$_})) } sort keys %$what
        if ref $what eq 'HASH';
    return $what // ();
}


# Under a policy that concerns nothing

sub same {
    my ($policy, $reader) = @_;

    my $from = $gen->pick(@judged);
    my $request = $gen->request($from, host($policy, $reader),
                                $shapes{ $policy->{shape} }{prefix});

    @$request{qw(policy shape reader check)}
        = ($policy, $policy->{shape}, $reader, \&compare);

    compare($request);
}


sub compare {
    my ($request) = @_;

    my @answers;

    for my $nginx ($plain, $gw->ngx) {
        my ($answer) = answer($nginx, $request->{reader}, $request);

        push @answers, $answer ? comparable($answer->raw) : '';
    }

    $count{compared}++;

    wrong('not the same answer', $request, with => $answers[1],
          without => $answers[0]) if $answers[0] ne $answers[1];
}


sub comparable {
    my ($text) = @_;

    $text =~ s/^Date: .*\r$/Date:\r/mg;
    $text =~ s/("x-probe":\s*\[?|"probe":\s*)"n\d+"/$1/g;
    $text =~ s/Content-Length: \d+/Content-Length:/;

    return $text;
}


# Does the test find that fault?

sub is_found {
    my ($name, $file, $from, $to, $what, $odd) = @_;

    local $planted = $name;
    local $turn = 0;
    local (%count, %wrong, %granted, @found);

    my $dir = Approval::Fault::plant($file, $from, $to);

    # only while it starts: what it has loaded stays

    local $gw = do { local $ENV{APPROVAL_BUILD} = $dir; gateway() };

    ROUND: for (1 .. 40) {
        for my $policy (@judged) {
            for my $reader (@readers) {
                probe($policy, $reader, $odd);
                last ROUND if grep { /$what/ } @found;
            }
        }
    }

    ok(scalar(grep { /$what/ } @found),
       "planted: $name: found by $count{requests} requests");
}


for my $policy (@judged) {
    for my $reader (@readers) {
        probe($policy, $reader) for 1 .. $each;
    }

    is($wrong{ $policy->{name} } // 0, 0, "$policy->{name}, $policy->{shape}");
}

for my $policy (@nothing) {
    for my $reader (@readers) {
        same($policy, $reader) for 1 .. $free / @readers;
    }

    is($wrong{ $policy->{name} } // 0, 0,
       "nothing is concerned, $policy->{shape}");
}

is_found(@$_) for @faults;

note("seed $seed: ", join ', ', map { "$_ $count{$_}" } sort keys %count);

ok($count{$_}, "there was something $_") for qw(held refused executed approved);
ok($executed{$_} && $readers->alive($_), "also by $_") for @readers;

done_testing();
