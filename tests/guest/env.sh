# shellcheck shell=bash
# Sourced by the scripts here: where things are.
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/daxcow
BUILD=$TOP/build
export TOP CACHE BUILD

die() {
	echo "${0##*/}: $*" >&2
	exit 127
}

# The Debian version that everything is built from, such as 6.12.117.
kernel_version() {
	dpkg-query -W -f '${Version}' linux-source-6.12 | sed 's/-.*//'
}

# What Debian calls its own kernel of that version, as in linux-headers-NAME.
stock_name() {
	local pattern
	pattern=linux-headers-$(kernel_version)+
	{ dpkg-query -W -f '${Package}\n' "$pattern*" 2>/dev/null ||
		apt-cache pkgnames "$pattern"; } |
		sed -n 's/^linux-headers-\(.*-cloud-amd64\)$/\1/p' | grep .
}

kernel_dir() {
	echo "$CACHE/linux-$(kernel_version)"
}

# Hash of files and words: what a cached thing was made from.
key_of() {
	cat "$@" | sha256sum | cut -c1-16
}
