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

kernel_dir() {
	echo "$CACHE/linux-$(kernel_version)"
}

# Hash of files and words: what a cached thing was made from.
key_of() {
	cat "$@" | sha256sum | cut -c1-16
}
