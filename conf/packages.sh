#!/bin/sh

# Copyright (C) ngx_http_approval_module contributors
#
# The only list of the Debian packages.  Installs those that are missing:
#
#     sh conf/packages.sh [build] [run] [test] [memcheck] [mcp] [readers]
#                         [package] [chroot] [compile] [core] [clang]
#                         [valkey]
#
# mcp: for the official SDK in t/mcp_sdk.t, if there is no npm yet.
# readers: mcp, and what else t/readers.t needs.
# package: for conf/package.sh, which makes and checks a Debian package.
# chroot: for t/long, which makes fresh machines.
# compile: build without nginx itself, for another nginx than Debian's.
# It starts no service.  --list only prints the names.

set -e

compile="gcc libc6-dev make dpkg-dev libcurl4-openssl-dev libfido2-dev
         libhiredis-dev libjansson-dev libpcre2-dev libssl-dev zlib1g-dev"
build="nginx nginx-dev $compile"
run="nginx redis-server openssl ca-certificates curl perl"
core="python3"
test="chromium chromium-driver libnginx-mod-http-js libnginx-mod-http-lua
      libnginx-mod-nchan exim4-daemon-light git rsyslog spin man-db
      wget httpie skopeo docker-registry kubernetes-client"
memcheck="valgrind"
bench="wrk libnginx-mod-http-lua"
mcp="nodejs npm"
readers="php-cli python3-flask ruby-sinatra ruby-rack ruby-webrick puma"
package="build-essential debhelper fakeroot lintian"
clang="clang libclang-rt-dev"
valkey="valkey-server"
chroot="debootstrap git iproute2 util-linux"

# another node comes with its own npm, and Debian's npm does not work with it

if command -v npm > /dev/null; then
    mcp=
fi

# Debian's kubectl cannot be installed beside another one

if command -v kubectl > /dev/null; then
    test=${test%kubernetes-client}
fi

# Rack 3 has its handlers for servers in a package of their own

if ! grep -q '^VERSION_CODENAME=bookworm$' /etc/os-release; then
    readers="$readers ruby-rackup"
fi

only_list=no
names=

for group in "${@:-build}"; do
    case $group in
        --list)    only_list=yes ;;
        build)     names="$names $build" ;;
        compile)   names="$names $compile" ;;
        run)       names="$names $run" ;;
        core)      names="$names $run $core" ;;
        test)      names="$names $run $core $test" ;;
        memcheck)  names="$names $memcheck" ;;
        bench)     names="$names $run $memcheck $bench" ;;
        mcp)       names="$names $mcp" ;;
        readers)   names="$names $mcp $readers" ;;
        package)   names="$names $package" ;;
        clang)     names="$names $clang" ;;
        valkey)    names="$names $valkey" ;;
        chroot)    names="$names $chroot" ;;
        *)         echo "packages.sh: no group \"$group\"" >&2; exit 2 ;;
    esac
done

names=$(printf '%s\n' $names | sort -u)

if [ $only_list = yes ]; then
    printf '%s\n' $names
    exit 0
fi

missing=

for name in $names; do
    state=$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null || :)

    if [ "$state" != installed ]; then
        missing="$missing $name"
    fi
done

if [ -z "$missing" ]; then
    exit 0
fi

echo "installing:$missing"

if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo > /dev/null; then
        echo "packages.sh: run as root: apt-get install$missing" >&2
        exit 1
    fi

    exec sudo sh "$0" "$@"
fi


# invoke-rc.d runs this file; the exit code 101 forbids starting and reloading

policy=/usr/sbin/policy-rc.d

if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    trap 'exit 1' HUP INT TERM

    printf '#!/bin/sh\nexit 101\n' > $policy
    chmod 755 $policy
fi

DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND

apt-get -q update
apt-get -q -y --no-install-recommends install $missing
