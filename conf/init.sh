#!/bin/sh

# Copyright (C) ngx_http_approval_module contributors
#
# Creates the files that a configuration names, with owners and modes that nginx
# can work with, and says what to do next:
#
#     sh conf/init.sh              for the README's gateway
#     sh conf/init.sh CONF...      for these configurations, too
#
# It is installed as approval-init.
#
# It creates missing files below /etc/nginx, and does not change existing ones:
#
#     approval/   keys, secrets, agents, passwords and groups
#     tls/        certificates for a trial: put your own there
#
#     --dir DIR      the directory to use for /etc/nginx
#     --user USER    nginx's workers run as USER; by default as nginx.conf
#                    says, else as www-data, nginx or nobody

set -eu

LC_ALL=C
export LC_ALL

umask 077

self=$(basename "$0")
dir=/etc/nginx
user=
confs=
made=
edit=
work=

readme='
approval_key /etc/nginx/approval/secret;
approval_signing_key /etc/nginx/approval/signing.pem;
approval_group operators alice@example.com bob@example.com;
secret file:/etc/nginx/approval/webhook;
include /etc/nginx/approval/agents;
auth_basic_user_file /etc/nginx/approval/passwords;
server_name gw.example.com;
ssl_certificate /etc/nginx/tls/server.pem;
ssl_certificate_key /etc/nginx/tls/server.key;
'


die()
{
    echo "$self: $*" >&2
    exit 1
}


find_user()
{
    local name

    if [ -n "$user" ]; then
        id -u "$user" > /dev/null 2>&1 || die "unknown user \"$user\""
        return
    fi

    user=$(sed -n 's/^[[:space:]]*user[[:space:]]\{1,\}\([^;[:space:]]*\).*/\1/p' \
               "$dir/nginx.conf" 2>/dev/null | head -n 1)

    for name in $user www-data nginx nobody; do
        if id -u "$name" > /dev/null 2>&1; then
            user=$name
            return
        fi
    done

    die "nginx's workers run as an unknown user: use --user USER"
}


# prints a line KIND FILE [KEY] for each file, without /etc/nginx/; the kind
# depends on the directive that names the file

find_files()
{
    # shellcheck disable=SC2086
    { echo "$readme"; [ -z "$confs" ] || cat $confs; } | awk '

        BEGIN {
            kind["approval_key"] = "secret"
            kind["approval_signing_key"] = "signing"
            kind["approval_redis"] = "password"
            kind["approval_group"] = "group"
            kind["secret"] = "webhook"
            kind["signing_secret"] = "slack"
            kind["url"] = "url"
            kind["auth_basic_user_file"] = "passwords"
            kind["include"] = "agents"
            kind["ssl_client_certificate"] = "authority"
            kind["ssl_trusted_certificate"] = "authority"
            kind["proxy_ssl_trusted_certificate"] = "authority"
        }

        { sub(/#.*/, ""); gsub(/[;"]/, " ") }

        $1 ~ /^(proxy_)?ssl_certificate$/ { certificate = $2; next }

        $1 ~ /^(proxy_)?ssl_certificate_key$/ {
            print "certificate", certificate, $2
            next
        }

        $1 in kind {
            for (i = 2; i <= NF; i++) {
                sub(/^(file:|password_file=)/, "", $i)
                print kind[$1], $i
            }
        }' \
    | grep '^[a-z]* /etc/nginx/\(approval\|tls\)/[A-Za-z0-9._-]*\( \|$\)' \
    | sed 's#/etc/nginx/##g' | awk '!seen[$0]++'
}


# prints the arguments of the directive $1 that are no files, after the sed
# command $2

find_words()
{
    # shellcheck disable=SC2086
    { [ -n "$confs" ] && cat $confs || echo "$readme"; } \
    | sed -n "s/^[[:space:]]*$1[[:space:]]\{1,\}\([^;]*\);.*/\1/p" \
    | tr -d '"' | sed "$2" | tr -s '[:space:]' '\n' | grep -v '^file:' \
    | grep . | sort -u
}


find_people()
{
    find_words approval_group 's/^[^[:space:]]*//'
}


make_signing()
{
    local public="$dir/approval/public.pem"

    openssl genpkey -algorithm ed25519 > "$1"

    if [ ! -e "$public" ]; then
        openssl pkey -in "$1" -pubout > "$public"
        chmod 644 "$public"
    fi
}


make_passwords()
{
    local person password

    for person in $(find_people); do
        password=$(openssl rand -base64 12)
        echo "    $person    $password" >> "$work/notes"
        echo "$person:$(echo "$password" | openssl passwd -6 -stdin)"
    done
}


# longer keys do not fit into a map with the default map_hash_bucket_size

make_agents()
{
    local name

    name=$(basename "$1" s)

    echo "# what each $name sends as Authorization, and its name"
    echo "\"Bearer $(openssl rand -hex 16)\" $name-1;"
}


# makes a self-signed certificate, only for a trial on this machine

make_certificate()
{
    local file="$1" key="$2"
    shift 2

    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -days 365 -keyout "$key.new" -out "$file.new" "$@" 2>/dev/null \
        || die "openssl could not create $file"

    mv "$key.new" "$key"
    mv "$file.new" "$file"
    chmod 644 "$file"
}


subject_names()
{
    local name

    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1'

    for name in $(find_words server_name ''); do
        [ "$name" = _ ] || printf ',DNS:%s' "$name"
    done
}


# files belong to root alone, except those that workers read during requests

give()
{
    chmod "$2" "$1"

    [ "$(id -u)" -ne 0 ] || chown "root:$3" "$1"
}


make()
{
    local kind="$1" file="$dir/$2" key="$dir/${3:-}"

    if [ -e "$file" ]; then
        return
    fi

    case $kind in
    certificate)
        make_certificate "$file" "$key" -subj /CN=localhost \
                         -addext "$(subject_names)"
        ;;

    authority)
        make_certificate "$file" "${file%.pem}.key" \
                         -subj "/CN=$(basename "$file" .pem)"
        ;;

    secret)     openssl rand -base64 32 > "$file.new" ;;
    signing)    make_signing "$file.new" ;;
    webhook)    echo "whsec_$(openssl rand -base64 32)" > "$file.new" ;;
    slack)      openssl rand -hex 16 > "$file.new" ;;
    url)        echo "https://hooks.example.com/put-yours-here" > "$file.new" ;;
    password)   echo "put-the-password-here" > "$file.new" ;;
    passwords)  make_passwords > "$file.new" ;;
    agents)     make_agents "$file" > "$file.new" ;;
    group)      printf '%s\n' alice@example.com bob@example.com > "$file.new" ;;
    esac

    [ ! -e "$file.new" ] || mv "$file.new" "$file"

    case $kind in
    passwords)                  give "$file" 640 "$group" ;;
    slack|url|password|group)   edit="$edit $file" ;;
    esac

    made="$made $file"
}


say()
{
    local name

    echo "nginx's workers run as $user."

    if [ -n "$made" ]; then
        echo
        echo "Created:"
        printf '    %s\n' $made
    fi

    if [ -s "$work/notes" ]; then
        echo
        echo "Approvers and their passwords, which are not shown again:"
        cat "$work/notes"
    fi

    if [ -n "$edit" ]; then
        echo
        echo "Fill in these files: with what Slack, Teams or Redis gave you," \
             "and with the members of groups:"
        printf '    %s\n' $edit
    fi

    echo
    echo "Next: give agents their keys, which are in $dir/approval/agents. Then"

    for name in $confs; do
        [ -e "$dir/conf.d/$(basename "$name")" ] \
            || echo "    cp $name $dir/conf.d/"
    done

    echo "    nginx -t && nginx -s reload"
}


while [ $# -gt 0 ]; do
    case $1 in
    --dir)
        dir=${2:?--dir needs a directory}
        shift
        ;;

    --user)
        user=${2:?--user needs a name}
        shift
        ;;

    --help)
        sed -n '5,/^$/s/^# \{0,1\}//p' "$0" | if [ "$self" = init.sh ]; then
            cat
        else
            sed "s/sh conf.init\.sh/$self/; /^It is installed as/,/^$/d"
        fi
        exit 0
        ;;

    -*)
        die "unknown argument \"$1\", see --help"
        ;;

    *)
        [ -r "$1" ] || die "\"$1\" cannot be read"
        confs="$confs $1"
        ;;
    esac

    shift
done

command -v openssl > /dev/null \
    || die "openssl is missing: install it with apt-get install openssl"

[ -w "$dir" ] || die "\"$dir\" cannot be written: run as root, or use --dir DIR"

find_user
group=$(id -gn "$user")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

mkdir -p "$dir/approval" "$dir/tls"
give "$dir/approval" 750 "$group"
give "$dir/tls" 755 root

find_files > "$work/files"

while read -r kind file key; do
    make "$kind" "$file" "$key"
done < "$work/files"

say
