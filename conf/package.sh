#!/bin/bash

# Copyright (C) ngx_http_approval_module contributors
#
# Makes the Debian package libnginx-mod-http-approval, for the release and the
# nginx of this machine:
#
#     bash conf/package.sh [DIRECTORY]       default .build/package
#
# and checks it with lintian, if that is installed.  It needs the packages of
# sh conf/packages.sh build package
#
#     DEBEMAIL=ADDRESS    the package's maintainer

set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd -P)
out=${1:-$root/.build/package}
name=libnginx-mod-http-approval
maintainer=${DEBEMAIL:-maintainers@ngx-http-approval.example}
work=


die()
{
    echo "package.sh: $*" >&2
    exit 1
}


# stable releases have a number, so that a package for an older one is older

package_version()
{
    # shellcheck source=/dev/null
    . /etc/os-release

    echo "$1-1${VERSION_ID:+~deb${VERSION_ID}u1}"
}


# prints CHANGES in Debian's form

changelog()
{
    local release day

    sed -n 's/^Changes with [^ ]* \([^ ]*\) *\(.*\)/\1 \2/p' "$root/CHANGES" \
    | while read -r release day; do
        echo "$name ($(package_version "$release")) unstable; urgency=medium"
        echo
        awk -v version="$release" '
            /^Changes with/  { ours = ($4 == version) }
            ours && /^ /     { sub(/^    \*\) /, "  * ")
                               sub(/^       /, "    "); print }' "$root/CHANGES"
        echo
        echo " -- ngx_http_approval_module contributors <$maintainer> " \
             "$(date -R -u -d "$day")"
        echo
    done
}


command -v dpkg-buildpackage > /dev/null && command -v dh > /dev/null \
    || die "dpkg-buildpackage or dh is missing:" \
           "install with sh conf/packages.sh build package"

version=$(sed -n 's/.*APPROVAL_VERSION *"\(.*\)".*/\1/p' \
              "$root/src/core/version.h")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

source=$work/$name-$version
mkdir "$source"

cd "$root"
cp -R conf config config.make docs src CHANGES LICENSE Makefile README.md \
      SECURITY.md "$source"

cd "$source"
mv conf/debian debian
sed -i "s/@MAINTAINER@/$maintainer/" debian/control
changelog > debian/changelog

dpkg-buildpackage -b -us -uc

mkdir -p "$out"
cp "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo "$out"

if command -v lintian > /dev/null; then
    lintian --allow-root --info --display-info --fail-on error,warning,info \
            "$work"/*.changes
fi

echo "made" "$out"/${name}_*.deb
