#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# One rule for labels and names; what is there by another is shown without harm.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

daxcow=$build/tests/tools/daxcow-fake
mkdir dm
export FAKE_DM=$dir/dm
# where a terminal shows letters that are not in ASCII, so does the tool
export LC_ALL=C
truncate -s 64M image
dev=$(losetup -f --show image 2>/dev/null) || {
	echo "no loop devices here"
	exit 77
}
trap 'losetup -d "$dev"; rm -rf "$dir"' EXIT

# harmless FILE...: what a terminal does not take for orders
harmless()
{
	LC_ALL=C grep -l '[^[:print:][:space:]]' "$@" && failed "raw: $(cat -v "$@")"
}

# both_ways COMMAND...: for people and as JSON
both_ways()
{
	local json

	for json in "" --json; do
		expect 0 "$@" $json
		harmless out
		[ -z "$json" ] || jq -e . out >/dev/null || failed "$*: no JSON: $(cat -v out)"
	done
}

# the same are refused everywhere, and before anything is written
expect 0 format "$dev" --label tank
expect 0 start "$dev"
expect 0 create tank x --size 1M
cp "$dev" before
for name in a/b 'a b' -a . .. control "$(printf '%064d' 0)" id:1 'a=b' a:b a@b 'a\x2fb' \
	    $'a\nb' $'\e[31mred' $'\xff\xfe' $'\xc3\xa4' $'\xc2\x9b'; do
	expect 2 create tank --size 1M -- "$name"
	harmless err
	expect 2 snapshot tank "x=$name"
	expect 2 format --force --label "$name" "$dev"
	harmless err
	expect 2 start -- "$dev" "$name"
	harmless err
done
expect 2 create tank --size 1M ""
cmp "$dev" before || failed "a refused name has changed the pool"

# and the same are taken
for name in a ... _ +x 9 a.b+c-d_e "$(printf '%063d' 0)"; do
	expect 0 create tank "$name" --size 1M
	expect 0 stop tank
	expect 0 start "$dev" "$name"
	expect 0 stop "$name"
	expect 0 format --force --label "$name" "$dev"
	expect 0 format --force --label tank "$dev"
	expect 0 start "$dev"
done

# A pool that was made by other means: there is a line too many in its label, and half
# a character; the name of a volume is as bad.
expect 0 create tank v --size 1M
expect 0 stop tank
expect 0 dump "$dev"
sed 's/ label=tank/ label=a%0afree%201%1b[31m%ff/; s/ name=v/ name=%1b]0;x%07/' out >text
! cmp -s out text || failed "nothing was edited"
expect 0 restore --force text "$dev"
expect 0 dump "$dev"
harmless out
for command in "check $dev" "delta $dev id:0 id:0" "pack --force $dev packed" \
	       "unpack --force packed other" "repair --force $dev other"; do
	# shellcheck disable=SC2086 # words
	both_ways $command
done
expect 6 format "$dev"
says err 'labelled a\x0afree 1\x1b[31m\xff'
harmless err
expect 2 start "$dev"
harmless err
expect 0 start "$dev" tank
for command in "status tank" "list tank" "activate tank id:0" status; do
	# shellcheck disable=SC2086 # words
	both_ways $command
done
expect 0 status tank --json
jq -e '.pool | (.label | contains("free 1") and contains("xff")) and .free > 50000000' out \
	>/dev/null || failed "the label says what is free: $(cat -v out)"
[ -e dm/tank-id:0 ] || failed "the device of a bad name: $(ls dm)"
expect 0 stop tank

# what looks like a number is none
expect 0 format --force --label 0x10 "$dev"
expect 0 start "$dev"
expect 0 status 0x10 --json
jq -e '.pool.label == "0x10"' out >/dev/null || failed "label: $(cat out)"
expect 0 stop 0x10

# smaller than a block is not empty
head -c 4095 "$dev" >short
: >empty
for file in short empty; do
	expect 4 check $file
	says err "smaller than a block of 4 KiB"
done

finish
