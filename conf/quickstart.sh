#!/bin/bash

# Copyright (C) ngx_http_approval_module contributors
#
# Shows on this machine how one request is held, notified, approved and
# executed, and how another one is denied:
#
#     bash conf/quickstart.sh [--once] [--no-install]
#
# It installs missing packages, builds the module, and starts a gateway on
# 127.0.0.1:8080 with its own redis-server, upstream and receiver.  It plays
# both requests, and then runs until Ctrl-C, so that you can try it by hand.
#
#     --once          exit after the two requests; 0 if all went as expected
#     --no-install    install no packages
#     PORT=N          another port, 1024 or higher
#     APPROVAL_BUILD=DIR   where the module is built, .build
#
# Except for the build, it writes only to a temporary directory, which it
# removes at the end.  It touches neither /etc/nginx nor any service.

set -euo pipefail

cd "$(dirname "$0")/.."

port=${PORT:-8080}
build=${APPROVAL_BUILD:-.build}
install=yes
once=no
dir=
servers=()
client=

PATH=$PATH:/usr/sbin:/sbin

agent='Authorization: Bearer agent-7-key'


die()
{
    echo "quickstart.sh: $*" >&2
    exit 1
}


# stops only the processes that this script started

finish()
{
    local rc=$? pid

    trap - EXIT
    trap '' HUP INT TERM PIPE

    if [ $rc -ne 0 ] && [ $rc -lt 128 ] && [ -n "$dir" ]; then
        echo "quickstart.sh: failed; the gateway's log ends with:" >&2
        tail -n 20 "$dir/error.log" >&2 2>/dev/null || :
    fi

    for pid in $client "${servers[@]}"; do
        kill -TERM "$pid" 2>/dev/null || :
    done

    for pid in $client "${servers[@]}"; do
        wait "$pid" 2>/dev/null || :
    done

    [ -z "$dir" ] || rm -rf "$dir"

    exit $rc
}


wait_for()
{
    local what=$1 n
    shift

    for ((n = 0; n < 1000; n++)); do
        if "$@" > /dev/null 2>&1; then
            return 0
        fi

        kill -0 "${servers[@]}" 2>/dev/null \
            || die "one of the servers stopped unexpectedly"

        sleep 0.02
    done

    die "$what did not happen in 20 seconds"
}


say()
{
    printf '\n%-9s %s\n' "$1" "$2"
}


show()
{
    sed 's/^/          /'
}


check()
{
    local what=$1
    shift

    "$@" || die "this check failed: $what"
}


# prints a member of the JSON object on stdin

member()
{
    perl -MJSON::PP -0777 -ne 'BEGIN { $name = shift }
        print decode_json($_)->{$name} // "", "\n"' "$1"
}


http()
{
    curl -sS --noproxy '*' --max-time 30 "$@"
}


same()
{
    [ "$1" = "$2" ]
}


# preparation

check_port()
{
    case $port in
        *[!0-9]* | '') die "PORT=$port is not a number" ;;
    esac

    if [ "$port" -lt 1024 ] || [ "$port" -gt 65535 ]; then
        die "PORT=$port: use one from 1024 to 65535"
    fi

    perl -MIO::Socket::INET -e '
        exit !IO::Socket::INET->new(LocalAddr => "127.0.0.1", ReuseAddr => 1,
                                    LocalPort => $ARGV[0], Listen => 1)' \
         "$port" \
        || die "port $port of 127.0.0.1 is taken: stop what listens there," \
               "or run PORT=$((port + 1)) bash conf/quickstart.sh"
}


# as root, workers run as www-data: only they can enter the directory

make_dir()
{
    dir=$(mktemp -d "${TMPDIR:-/tmp}/approval.XXXXXX")
    mkdir -m 750 "$dir/keys"
    mkdir -m 755 "$dir/temp"

    if [ "$(id -u)" -eq 0 ]; then
        chgrp www-data "$dir" "$dir/keys"
        chmod 710 "$dir"
    fi
}


make_keys()
{
    (
        umask 077
        openssl rand -base64 32 > "$dir/keys/secret"
        openssl genpkey -algorithm ed25519 -out "$dir/keys/signing.pem"
        echo "whsec_$(openssl rand -base64 32)" > "$dir/keys/webhook"
    )

    # the workers read this file at each request

    echo "alice@example.com:$(openssl passwd -apr1 alice)" \
        > "$dir/keys/passwords"
    echo "bob@example.com:$(openssl passwd -apr1 bob)" >> "$dir/keys/passwords"
    chmod 644 "$dir/keys/passwords"
}


start()
{
    local log=$1
    shift

    "$@" > "$log" 2>&1 &
    servers+=($!)
}


start_all()
{
    local user=

    start "$dir/redis.log" \
          redis-server --port 0 --unixsocket "$dir/redis.sock" \
                       --unixsocketperm 777 --save '' --appendonly no \
                       --dir "$dir" --daemonize no

    start "$dir/upstream.log" \
          perl conf/quickstart.pl upstream "$dir/upstream.sock"

    start "$dir/receiver.log" \
          perl conf/quickstart.pl receiver "$dir/receiver.sock" \
                                           "$dir/messages" "$dir/keys/webhook"

    wait_for "the start of redis-server" test -S "$dir/redis.sock"
    wait_for "the start of the upstream" test -S "$dir/upstream.sock"
    wait_for "the start of the receiver" test -S "$dir/receiver.sock"

    sed -e "s#%%DIR%%#$dir#g" -e "s#%%PORT%%#$port#g" \
        -e "s#%%MODULE%%#$module#g" conf/quickstart.conf > "$dir/nginx.conf"

    [ "$(id -u)" -ne 0 ] || user='user www-data;'

    start "$dir/nginx.out" \
          nginx -p "$dir" -e "$dir/error.log" -c "$dir/nginx.conf" -g "$user"

    wait_for "the start of the gateway" grep -q 'is ready' "$dir/error.log"
}


# the two requests

count()
{
    http "http://127.0.0.1:$port/executions" | member executions
}


# sends a request in the background; sets "id" when it is held

hold()
{
    local customer=$1 reason=$2

    wait_for "the end of the one before" idle

    seen=$(wc -l < "$dir/receiver.log")
    answer=$dir/answer.$customer

    say sent "DELETE /customers/$customer by agent-7, \"$reason\""

    http -X DELETE -H "$agent" -H "X-Approval-Reason: $reason" \
         -D "$answer.head" -o "$answer" \
         "http://127.0.0.1:$port/customers/$customer" &
    client=$!

    wait_for "a pending action" pending
    id=$(pending)

    say held "action $id; the connection waits"

    # one for each member of the group

    wait_for "the notification" notified
    say notified "each group member has a message with a personal link"
    tail -n +$((seen + 1)) "$dir/receiver.log" | show

    check "nothing is forwarded yet" same "$(count)" "$forwarded"
    check "the client still waits" kill -0 "$client"
    echo "          the upstream has executed $forwarded so far"
}


idle()
{
    ! pending
}


pending()
{
    local id

    id=$(redis-cli -s "$dir/redis.sock" ZRANGE approval:{00}:pending 0 -1)
    [ -n "$id" ] && echo "$id"
}


# prints the messages that ask for a decision on this action

messages()
{
    grep "\"id\":\"$id\"" "$dir/messages" | grep '"approval.requested"'
}


notified()
{
    [ "$(messages | wc -l)" -ge 2 ]
}


# does what a browser does: opens the link, gets a cookie and the page, and
# sends its form

approve()
{
    local link page nonce

    link=$(messages | grep "\"approver\":\"$1\"" | member url)
    check "the message has a link" test -n "$link"
    check "the messages are signed" \
          same 0 "$(messages | grep -vc '"signature":"good"' || :)"

    page=$(http -L -c "$dir/cookies" -b "$dir/cookies" -H 'Accept: text/html' \
                "$link")
    nonce=$(sed -n 's/.*name="nonce" value="\([^"]*\)".*/\1/p' <<< "$page" \
            | head -n 1)

    check "the page has a form" test -n "$nonce"
    check "the page shows the reason" grep -q 'GDPR request 17' <<< "$page"
    check "opening the link has changed nothing" same "$(count)" "$forwarded"

    say opened "$1 has opened the link: who, what, why, and two forms"
    sed -n '/<h1>/p; /GDPR/p' <<< "$page" \
        | sed 's/<[^>]*>/ /g; s/^ *//; s/  */ /g' | show

    http -o "$dir/page" -b "$dir/cookies" -H 'Accept: text/html' \
         -H "Origin: http://127.0.0.1:$port" \
         --data-urlencode "nonce=$nonce" --data-urlencode decision=approve \
         --data-urlencode "comment=$2" "${link%%\?*}/decision"

    say approved "by $1, \"$2\""
}


story_approved()
{
    hold 4711 'GDPR request 17'
    approve alice@example.com 'checked with legal'

    wait "$client" || die "the held request failed"
    client=

    say answered "the connection gets the upstream's response"
    { head -n 1 "$answer.head"; grep -i '^approval-' "$answer.head"; } \
        | tr -d '\r' | show
    show < "$answer"

    check "the answer is 200" grep -q '^HTTP/1.1 200' "$answer.head"
    check "the upstream saw who approved" \
          same "$(member approved_by < "$answer")" alice@example.com
    check "it was executed once" same "$(count)" 1

    forwarded=1
    trail requested notified viewed voted approved executed
}


story_denied()
{
    hold 4712 'tidying up'

    http -o /dev/null -u bob@example.com:bob \
         -H 'Content-Type: application/json' \
         -d '{"decision":"deny","comment":"4712 is a paying customer"}' \
         "http://127.0.0.1:$port/_desk/actions/$id/decision"

    say denied "by bob@example.com, who has signed in"

    wait "$client" || die "the held request failed"
    client=

    say answered "the connection gets a refusal"
    { head -n 1 "$answer.head"; grep -i '^content-type' "$answer.head"; } \
        | tr -d '\r' | show
    perl -MJSON::PP -0777 -ne '
        print JSON::PP->new->utf8->canonical->pretty->indent_length(2)
                      ->encode(decode_json($_))' "$answer" | show

    check "the answer is 403" grep -q '^HTTP/1.1 403' "$answer.head"
    check "it is problem+json" \
          grep -qi '^content-type: application/problem+json' "$answer.head"
    check "it says that it was denied" \
          same "$(member type < "$answer")" urn:approval:denied
    check "it has the comment" \
          same "$(member comment < "$answer")" '4712 is a paying customer'

    trail requested notified voted denied
}


# waits until this action has audit records of all these types, and shows them

trail()
{
    local type

    for type in "$@"; do
        wait_for "an audit line \"$type\"" \
                 audited "\"type\":\"$type\""
    done

    say audit "the action in the audit trail"
    grep "\"action_id\":\"$id\"" "$dir/audit.jsonl" | perl -MJSON::PP -ne '
        my $line = decode_json($_);
        my $who = $line->{person} // $line->{approvers} // $line->{approver}
                  // $line->{requester} // "";
        $who .= " by $line->{how}" if $line->{how};
        printf "%s  %-10s %s\n", @$line{qw(time type)}, $who' | show
}


audited()
{
    grep "\"action_id\":\"$id\"" "$dir/audit.jsonl" | grep -qF "$1"
}


by_hand()
{
    local curl=curl url=http://127.0.0.1:$port

    if [ -n "${http_proxy:-}${ALL_PROXY:-}${all_proxy:-}" ]; then
        curl="curl --noproxy '*'"
    fi

    cat <<END

Now try it yourself. Messages are printed here as they arrive.

  a request that no rule applies to:
    $curl $url/customers

  a request that is held, in another terminal; it waits at most 10 minutes:
    $curl -i -X DELETE -H '$agent' \\
         -H 'X-Approval-Reason: trying it out' $url/customers/4713

  then open the link that is printed here, in a browser; or the inbox
    $url/_desk/       alice@example.com, password alice; or bob, bob

  or decide from another terminal:
    id=\$($curl -s -u bob@example.com:bob '$url/_desk/actions?state=pending' \\
         | grep -o '"id":"[0-9a-f]*"' | head -n 1 | cut -d '"' -f 4)
    $curl -u bob@example.com:bob -H 'Content-Type: application/json' \\
         -d '{"decision":"approve","comment":"fine"}' \\
         $url/_desk/actions/\$id/decision

  how often the upstream has executed something:
    $curl $url/executions

  configuration, logs and the audit trail are in
    $dir

Ctrl-C stops it all.
END
}


for arg in "$@"; do
    case $arg in
        --once)        once=yes ;;
        --no-install)  install=no ;;
        --help)        sed -n '5,/^$/s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *)             die "unknown argument \"$arg\", see --help" ;;
    esac
done

trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 141' PIPE

check_port

if [ $install = yes ]; then
    sh conf/packages.sh build run
fi

bash conf/build.sh "$build"

module=$(cd "$build" && pwd -P)/ngx_http_approval_module.so

make_dir
make_keys
start_all

echo "the gateway listens on http://127.0.0.1:$port"

forwarded=$(count)
check "the upstream is new" same "$forwarded" 0

story_approved
story_denied

check "one was executed in all" same "$(count)" 1
say "in all" "2 asked, 1 executed, 1 denied"

if [ $once = yes ]; then
    exit 0
fi

by_hand

tail -q -n 0 -F "$dir/receiver.log" 2>/dev/null &
servers+=($!)

wait -n "${servers[@]}" || :
die "one of the servers stopped unexpectedly"
