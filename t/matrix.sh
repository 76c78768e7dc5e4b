#!/bin/bash

# Copyright (C) ngx_http_approval_module contributors
#
# Runs the README's two commands on other releases of Debian, each in a chroot
# of its own, then every way to build, then the tests with Valkey:
#
#     bash t/matrix.sh [--core] [trixie] [forky]      default both
#
#     --core    builds, and runs the tests that another nginx or Redis is most
#               likely to break
#
# As root, with debootstrap.  The chroots stay for the next time.
#
#     APPROVAL_MATRIX=DIR    where, ${XDG_CACHE_HOME:-~/.cache}/approval-matrix
#     APPROVAL_MIRROR=URL    Debian's mirror, by default that of this machine
#
# Status 77: this machine cannot make such a chroot; no test was run.

set -euo pipefail

cd "$(dirname "$0")/.."

# shellcheck source=t/lib/debian.sh
. t/lib/debian.sh

cache=${APPROVAL_MATRIX:-${XDG_CACHE_HOME:-$HOME/.cache}/approval-matrix}
core="t/hold.t t/body.t t/rules.t t/conf.t t/desk.t t/redis.t t/faults.t
      t/shutdown.t t/reload.t t/phases.t t/departed.t t/transparent.t
      t/spec_redis.t t/commands.t t/harness.t t/unit.t t/url.t"
valkey="t/hold.t t/redis.t t/resolve.t t/sentinel.t t/faults.t t/evict.t
        t/gateways.t t/queue.t t/spec_redis.t t/commands.t t/limits.t t/once.t
        t/glass.t"
only_core=no
releases=


die()
{
    echo "matrix.sh: $*" >&2
    exit 1
}


cannot()
{
    echo "matrix.sh: $*" >&2
    exit 77
}


make_chroot()
{
    local root=$cache/$1 scripts=/usr/share/debootstrap/scripts script=

    [ ! -d "$root" ] || return 0

    # a debootstrap that is older than the release

    [ -e $scripts/"$1" ] || script=$scripts/sid

    rm -rf "$root.new"

    # shellcheck disable=SC2086
    debootstrap --variant=minbase "$1" "$root.new" "$mirror" $script \
        > "$cache/$1.log" 2>&1 \
        || cannot "debootstrap $1 failed, see $cache/$1.log"

    # a mirror may stand still for longer than a release file is valid

    echo 'Acquire::Check-Valid-Until "false";' \
        > "$root.new/etc/apt/apt.conf.d/99matrix"

    mv "$root.new" "$root"
}


# what git has, and nothing that was built here

copy_tree()
{
    local to=$cache/$1/src

    rm -rf "$to"
    mkdir "$to"

    git ls-files -z --cached --others --exclude-standard \
        | while IFS= read -r -d '' file; do
              [ ! -e "$file" ] || printf '%s\0' "$file"
          done \
        | xargs -0 cp -p --parents -t "$to"

    cp /etc/resolv.conf "$cache/$1/etc/resolv.conf"

    # npm's way to the registry may need it; a new chroot has no such directory

    mkdir -p "$cache/$1/etc/ssl"
    cp "${NODE_EXTRA_CA_CERTS:-/dev/null}" "$cache/$1/etc/ssl/matrix.pem"
}


# mounts and processes end with the command; tests that mount need a root that
# is a mount

inside()
{
    local root=$cache/$1
    shift

    # shellcheck disable=SC2016
    unshare --mount --pid --fork --kill-child sh -c '
        mount --bind "$1" "$1" && mount -t proc proc "$1/proc" \
            && mount --rbind /dev "$1/dev" && mount --rbind /sys "$1/sys" \
            || exit 1
        root=$1; shift
        exec chroot "$root" env -i HOME=/root LC_ALL=C.UTF-8 \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            ${NODE_EXTRA_CA_CERTS:+NODE_EXTRA_CA_CERTS=/etc/ssl/matrix.pem} \
            APPROVAL_BUILD=/var/tmp/build "$@"' \
        sh "$root" "APPROVAL_MIRROR=$mirror" \
        "APPROVAL_TEST_JOBS=${APPROVAL_TEST_JOBS:-2}" \
        "APPROVAL_TEST_LIMIT=${APPROVAL_TEST_LIMIT:-1500}" \
        sh -c "cd /src && $*"
}


versions()
{
    inside "$1" 'dpkg-query -W -f="\${Package} \${Version}\n" nginx \
        redis-server valkey-server libhiredis-dev curl gcc clang openssl \
        2>/dev/null || :'
}


run_core()
{
    inside "$1" 'apt-get -q update > /dev/null
                 sh conf/packages.sh build core' \
        || cannot "no packages for $1"
    versions "$1"
    inside "$1" "bash t/run.sh --strict --no-install $(echo $core)"
}


run_all()
{
    inside "$1" 'apt-get -q update > /dev/null
                 sh conf/packages.sh build test mcp readers valkey'
    versions "$1"
    inside "$1" bash conf/quickstart.sh --once
    inside "$1" bash t/run.sh --strict
    inside "$1" APPROVAL_REDIS=valkey-server \
        bash t/run.sh --strict "$(echo $valkey)"
    inside "$1" bash t/builds.sh /var/tmp/builds
}


while [ $# -gt 0 ]; do
    case $1 in
        --core)        only_core=yes ;;
        --help)        sed -n 's/^# \{0,1\}//p' "$0"; exit 0 ;;
        trixie|forky)  releases="$releases $1" ;;
        *)             die "no \"$1\": use --core, trixie, forky" ;;
    esac

    shift
done

[ "$(id -u)" = 0 ] || die "run as root: it makes chroots"

command -v debootstrap > /dev/null \
    || die "no debootstrap: install with sh conf/packages.sh chroot"

unshare --mount --pid --fork true \
    || cannot "no mounts of its own: not allowed on this machine"

mkdir -p "$cache"

exec 9> "$cache/lock"
flock 9

for release in ${releases:-trixie forky}; do
    echo "== $release, in $cache"

    make_chroot "$release"
    copy_tree "$release"

    if [ $only_core = yes ]; then
        run_core "$release"
    else
        run_all "$release"
    fi

    echo "== $release passed"
done
