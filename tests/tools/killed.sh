#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Each command is killed at every step; what it left does not stop the next one.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

daxcow=$build/tests/tools/daxcow-fake
mkdir dm
export FAKE_DM=$dir/dm
truncate -s 64M image
dev=$(losetup -f --show image 2>/dev/null) || {
	echo "no loop devices here"
	exit 77
}
trap 'losetup -d "$dev"; rm -rf "$dir"' EXIT

expect 0 format "$dev" --label tank
expect 0 start "$dev"
expect 0 create tank a --size 1M
expect 0 create tank b --size 1M
expect 0 activate tank a
cp -r dm dm.clean
cp "$dev" clean

# a pool with two volumes, of which one is active
fresh()
{
	rm -f dm/*
	cp dm.clean/* dm
	cp clean "$dev"
}

# killed STATE NEXT COMMAND...: killed at each step; then NEXT and the rest succeed
killed()
{
	local state=$1 next=$2 n got

	shift 2
	for ((n = 1; n < 100; n++)); do
		fresh
		[ "$state" != stopped ] || expect 0 stop tank
		got=0
		FAKE_DM_KILL=$n "$daxcow" "$@" >out 2>err </dev/null || got=$?
		[ $got = 137 ] || break
		# it can be seen
		"$daxcow" status --json >seen 2>err
		[ -z "$(ls dm)" ] || grep -q '"tank"' seen ||
			failed "$*: killed at $n: not seen: $(ls dm)"
		# after its last step a command has done what it was for
		case $next in
		remove*)
			"$daxcow" list tank | grep -q 'tank-b' && expect 0 deactivate tank b
			;;
		esac
		# shellcheck disable=SC2086 # words
		expect 0 $next
		[ ! -e dm/tank ] || expect 0 stop tank
		[ -z "$(ls dm)" ] || failed "$*: killed at $n: left $(ls dm)"
	done
	[ "$got" = 0 ] || failed "$*: exit code $got in the end: $(cat err)"
	expect 0 check "$dev"
	[ "$n" -gt 2 ] || failed "$*: not killed once"
	echo "$*: killed at $((n - 1)) steps"
}

killed stopped "start $dev" start "$dev"
killed stopped "start --activate $dev" start --activate "$dev"
killed running "activate tank b" activate tank b
killed running "stop tank" activate tank --all
killed running "deactivate tank --all" activate tank --all
killed running "remove tank b" activate tank b
killed running "activate tank --all" clone tank a c
killed running "deactivate tank --all" deactivate tank --all
killed running "stop tank" deactivate tank --all
killed running "resize tank a 2M" resize tank a 2M
killed running "activate tank a" resize tank a 2M
killed running "list tank" snapshot tank a s
killed running "list tank" create tank c --size 1M
killed running "list tank" remove tank b
killed stopped "format --force $dev" start "$dev"

# the device that the pool is on was made larger
truncate -s 96M image
losetup -c "$dev"
killed running "grow tank" grow tank
expect 0 grow tank --json
[ "$(jq .pool.before out)" = $((96 << 20)) ] || failed "not grown: $(cat out)"

# a table that waits may be somebody's who has not resumed yet: only grow takes it
for n in 1 2 3 4; do
	fresh
	FAKE_DM_KILL=$n "$daxcow" grow tank >out 2>err
	waits=$(ls dm/tank.pending* 2>/dev/null)
	[ -z "$waits" ] || break
done
[ -n "$waits" ] || failed "grow was killed, and no table waits"
expect 0 create tank z --size 1M
expect 0 list tank
[ "$(ls dm/tank.pending*)" = "$waits" ] || failed "somebody's table was resumed"
expect 0 grow tank
[ -z "$(ls dm/tank.pending* 2>/dev/null)" ] || failed "a table waits still"

# a start that was killed can be finished by another name
fresh
expect 0 stop tank
FAKE_DM_KILL=4 "$daxcow" start "$dev" 2>/dev/null
expect 0 start "$dev" other
expect 0 stop other
[ -z "$(ls dm)" ] || failed "left over: $(ls dm)"

# and stopped by its device, as the unit does, and its name
fresh
expect 0 stop tank
FAKE_DM_KILL=2 "$daxcow" start "$dev" 2>/dev/null
expect 0 stop "$dev"
[ -z "$(ls dm)" ] || failed "left over: $(ls dm)"
expect 3 stop "$dev"
FAKE_DM_KILL=2 "$daxcow" start "$dev" 2>/dev/null
expect 3 list tank
says err "was interrupted"
expect 0 status
says out unfinished
expect 0 stop tank
[ -z "$(ls dm)" ] || failed "left over: $(ls dm)"

finish
