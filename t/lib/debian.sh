# Copyright (C) ngx_http_approval_module contributors
#
# For t/builds.sh and t/matrix.sh: this Debian, and where its packages are.

release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)

mirror=${APPROVAL_MIRROR:-$(sed -n 's,.*\(https*://[^ ]*/debian\)/* *.*,\1,p' \
    /etc/apt/sources.list /etc/apt/sources.list.d/*.list \
    /etc/apt/sources.list.d/*.sources 2> /dev/null | grep -v '/archive/' \
    | head -n 1 || :)}
mirror=${mirror:-http://deb.debian.org/debian}


# may this release skip that?  t/skips: MODES FILE REASON: CAUSE

listed_skip()
{
    grep -q "^$release  *$1  *$2.*: *[^ ]" t/skips
}
