# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# For the tests of the tool that need no kernel. They are run through links
# in build/tests/unit, next to which the programs are; a failed expectation is
# told and counted, the exit code says whether there was one.

set -u
build=$(cd "$(dirname "$0")/../.." && pwd)
daxcow=${DAXCOW:-$build/tools/daxcow}
# shellcheck disable=SC2034 # for those who read this file
make_pool=$build/tests/tools/make-pool
failures=0

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1

failed()
{
	echo "FAILED: $*"
	failures=$((failures + 1))
}

# expect CODE ARG...: run the tool; its output is left in out and err
expect()
{
	local want=$1 got=0

	shift
	"$daxcow" "$@" >out 2>err </dev/null || got=$?
	[ "$got" = "$want" ] ||
		failed "daxcow $*: exit code $got instead of $want: $(head -c 300 err)"
	if [ "$want" = 0 ] && [ -s err ]; then
		failed "daxcow $*: said $(head -c 300 err)"
	elif [ "$want" != 0 ] && ! [ -s err ]; then
		failed "daxcow $*: failed without a word"
	fi
}

# says FILE TEXT: out or err contains TEXT
says()
{
	grep -qF -- "$2" "$1" || failed "\"$2\" is not in: $(head -c 300 "$1")"
}

# poke FILE OFFSET BYTES: overwrite in place; BYTES as for printf
poke()
{
	# shellcheck disable=SC2059
	printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

pool()
{
	rm -f "$1"
	truncate -s 64M "$1"
	expect 0 format "$1" --label tank
}

finish()
{
	[ "$failures" = 0 ] || echo "$failures expectations failed"
	[ "$failures" = 0 ]
	exit
}
