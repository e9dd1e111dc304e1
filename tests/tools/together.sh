#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# While a snapshot waits for a file system, other commands go on, and nobody takes the
# id or the name that it is to have.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

daxcow=$build/tests/tools/daxcow-fake
mkdir -p dev/mapper
export FAKE_DM_NODES=$dir/dev FAKE_DM=$dir/dev/mapper
truncate -s 64M image
dev=$(losetup -f --show image 2>/dev/null) || {
	echo "no loop devices here"
	exit 77
}
trap 'losetup -d "$dev"; rm -rf "$dir"' EXIT
# long for a busy machine; what hangs does so for ever
printf '#!/bin/sh\nexec timeout 60 "%s" "$@"\n' "$daxcow" >quick
chmod +x quick

# begin COMMAND...: it waits in the freeze
begin()
{
	FAKE_DM_FREEZE=$dir/frozen "$daxcow" "$@" >slow.out 2>slow.err </dev/null &
	slow=$!
	until [ -e frozen ]; do
		kill -0 $slow || break
		sleep 0.1
	done
}

# ends CODE
ends()
{
	local got=0

	rm -f frozen
	wait "$slow" || got=$?
	[ $got = "$1" ] || failed "it ended with $got, not $1: $(cat slow.err)"
}

# quickly CODE ARG...: it does not wait for the other one
quickly()
{
	daxcow=$dir/quick expect "$@"
	if ! [ -e frozen ] || ! kill -0 "$slow"; then
		failed "$*: the other one is over"
	fi
}

# has TEXT: ids, origins and names of all volumes
has()
{
	local got

	expect 0 list tank --json --quick
	got=$(jq -r '[.volumes[] | "\(.id)<\(.origin_id // "-") \(.name)"] | join(", ")' out)
	[ "$got" = "$1" ] || failed "there is $got, not $1"
}

expect 0 format "$dev" --label tank
expect 0 start "$dev"
expect 0 create tank base --size 1M
expect 0 create tank other --size 1M
begin snapshot tank base=one other=two
quickly 0 create tank three --size 1M
quickly 0 snapshot tank three four
quickly 0 clone tank other five
quickly 0 deactivate tank five
quickly 0 remove tank four
quickly 0 resize tank other 2M
quickly 0 rollback tank base three
quickly 5 create tank one --size 1M
says err '"one" is being taken'
quickly 5 snapshot tank base two
quickly 5 clone tank other two
quickly 5 create tank six --size 1M --id 2
quickly 6 create tank three --size 1M
ends 0
has '0<- base, 1<- other, 2<0 one, 3<1 two, 4<- three, 6<1 five'

# the id of what it is of is not given to another one
begin snapshot tank base seven
quickly 0 remove tank base
quickly 0 create tank eight --size 1M
quickly 5 create tank nine --size 1M --id 0
ends 3
says slow.err "cannot take the snapshot"
has '1<- other, 2<0 one, 3<1 two, 4<- three, 6<1 five, 7<- eight'

# one that is killed reserves nothing any more
begin snapshot tank two base
quickly 5 create tank base --size 1M
kill -KILL $slow
wait $slow 2>/dev/null
rm frozen
expect 0 create tank base --size 1M
has '1<- other, 2<0 one, 3<1 two, 4<- three, 5<- base, 6<1 five, 7<- eight'

# a clone is activated as soon as it is there
begin clone tank base ten
quickly 0 activate tank two
ends 0
[ "$(cat slow.out)" = "$dir/dev/mapper/tank-ten" ] || failed "clone: $(cat slow.out slow.err)"
expect 0 stop tank
expect 0 check "$dev"
finish
