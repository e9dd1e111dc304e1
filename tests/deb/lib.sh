# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For the scripts here: Debian's releases, and what runs inside of a root.
# shellcheck source=../guest/env.sh
. "$(dirname "${BASH_SOURCE[0]}")/../guest/env.sh"
export DEB=$CACHE/deb
ARCHIVE=${DEBIAN_ARCHIVE:-http://deb.debian.org}
KEYS=/usr/share/keyrings/debian-archive-keyring.gpg

suite_of() {
	case $1 in
	12) echo bookworm ;;
	13) echo trixie ;;
	*) die "which Debian is \"$1\"? 12 or 13" ;;
	esac
}

sources_of() {
	local suite
	suite=$(suite_of "$1")
	printf "deb [signed-by=$KEYS] $ARCHIVE/%s main\n" "debian $suite" \
		"debian $suite-updates" "debian-security $suite-security"
}

# in_root ROOT COMMAND...: as in a container of that root, without a network
in_root() {
	local root=$1
	shift
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
		DEBIAN_FRONTEND=noninteractive \
		unshare --net --mount --pid --fork --mount-proc="$root/proc" \
		chroot "$root" "$@" </dev/null
}
