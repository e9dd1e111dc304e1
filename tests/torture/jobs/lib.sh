# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # used by who reads this
# What all jobs are made of. A job is called as
#
#	JOB STEP DIR [VARIANT]
#
# with one of these steps, and the seconds it may take in T:
#
#   prepare    files that are there before, on a clone in shared blocks
#   run        the work, at least once, again and again until T is over
#   verify     after the file system was unmounted and mounted again
#   snapshot   in a clone of a snapshot that was taken meanwhile: for a program, the
#              files are as if it had been killed
#
# Lines "= KEY VALUE" are what is compared with dm-linear. They must not tell how much
# was done, as this depends on the time. What else is printed is shown when something
# is wrong.
set -euo pipefail
step=$1 dir=$2 variant=${3:-}
export t=/t

say() {
	echo "= $*"
}

# amount SHORT LONG: how much is to be done
amount() {
	[ "${SHORT:-}" ] && echo "$1" || echo "$2"
}

# turns COMMAND...: with the number of the turn as last word
turns() {
	local n=0 end=$((SECONDS + T))

	while [ $n -eq 0 ] || [ $SECONDS -lt $end ]; do
		n=$((n + 1))
		"$@" $n
	done
}

declare -A first
# same KEY VALUE: in every turn
same() {
	if [ "${first[$1]:=$2}" != "$2" ]; then
		echo "$1 was ${first[$1]} and is $2"
		return 1
	fi
}

# remember VALUE, remembered VALUE: from run to verify, and not where it could be damaged
kept=/tmp/torture/kept.${dir##*/}
remember() {
	echo "$1" >"$kept"
}

remembered() {
	[ "$(cat "$kept")" = "$1" ] && return
	echo "the content was $(cat "$kept") and is $1"
	return 1
}

# All files below a directory: what is in them, and their names.
content_of() {
	(cd "$1" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum) |
		sha256sum | cut -c1-10
}
