#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Damage to a pool is found, and told with its place.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

pool good
"$make_pool" good || failed "make-pool"
cp good before
expect 0 check good
says out "Clean"
cmp good before || failed "check wrote"
expect 0 check good --json
jq -e '.check | .clean and .volumes == 3 and .data == (100 + 512 + 1) * 4096 and
	.label == "tank" and .size == 67108864' out >/dev/null ||
	failed "JSON of check: $(cat out)"

# for people only: how far it is
script -qec "$daxcow check good" /dev/null </dev/null >seen
grep -q 'MiB of the pool are in use so far' seen || failed "no progress"
tr '\r' '\n' <seen | grep -q '^.*Clean *yes' || failed "check on a terminal: $(cat seen)"

# damaged WHAT OFFSET BYTES TEXT
damaged()
{
	cp --sparse=always before bad
	poke bad "$2" "$3"
	cmp -s before bad && failed "$1: nothing was changed"
	expect 4 check bad
	says err "$4"
	expect 4 check bad --json
	jq -e '.check | .clean == false and (.reason | length) > 0' out \
		>/dev/null || failed "$1: JSON: $(cat out)"
}

record=$(grep -abo -m1 DAXCWREC before | head -n 1)
record=${record%%:*}
[ -n "$record" ] || failed "there is no record"

damaged magic 0 X "not a daxcow pool"
damaged crc 100 '\x01' "checksum does not match"
damaged directory 512 '\x01\x02\x03' "entry check does not match (block 0, word 64"
damaged size 520 '\x01\x02\x03' "entry check does not match (block 0, word 65"
damaged name $((record + 60)) X "volume record is damaged"
damaged root $((record + 256)) '\xff\xff' "entry check does not match"
says err "of volume id:"
damaged backup $((511 * 4096)) X "backup superblock is damaged"
damaged zero $((512 * 4096 + 77)) X "zero chunk is not zero"

cp --sparse=always before bad
truncate -s 32M bad
expect 4 check bad
says err "larger than its device"
: >bad
expect 4 check bad
truncate -s 64M bad
expect 4 check bad
says err "not a daxcow pool"
expect 3 check missing

finish
