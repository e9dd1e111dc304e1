#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What can be read of a damaged pool is written to another place.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

pool good
"$make_pool" good || failed "make-pool"
cp --sparse=always good before
expect 0 check good --json
jq .check.data out >data

target()
{
	rm -f target
	truncate -s "${1:-64M}" target
}

# nothing wrong: the same pool, and the old one as it was
target
expect 0 repair good target
says out "Losses     0"
cmp good before || failed "repair wrote to its source"
expect 0 check target --json
jq -e '.check.volumes == 3 and .check.label == "tank"' out >/dev/null ||
	failed "JSON: $(cat out)"
jq .check.data out | cmp - data || failed "other data"

# it does not destroy what is there
expect 6 repair good target
says err "use --force"
expect 0 repair --force good target
target 32M
expect 1 repair good target
says err "too small"
expect 3 repair good missing

# one bit: nothing is lost
record=$(grep -abo -m1 DAXCWREC before | head -n 1)
record=${record%%:*}
cp --sparse=always before bad
byte=$(od -An -tu1 -j $((record + 259)) -N 1 before)
poke bad $((record + 259)) "\\x$(printf %x $((byte ^ 16)))"
expect 4 check bad
target
expect 0 repair --json bad target
jq -e '.repair | .fixed == 1 and .losses == 0 and .lost == []' out >/dev/null ||
	failed "JSON: $(cat out)"
expect 0 check target

# more than one: a volume has nothing left
poke bad $((record + 256)) '\xff\xff\xff\xff'
target
expect 4 repair bad target
says err "not all could be saved"
says out "entry check does not match"
expect 0 check target
target
expect 4 repair --json bad target
# not more than there is of the volume
jq -e '.repair.lost | length == 1 and .[0].volume == 1 and .[0].offset == 0 and
	.[0].length == 8388608' out >/dev/null || failed "JSON: $(cat out)"

# many entries, one after the other: a line for each range, all of them in JSON
cp --sparse=always before bad
leaf=$("$daxcow" dump before | sed -n 's/^node \([0-9]*\) 0$/\1/p' | head -n 1)
for entry in 20 21 22 23 30; do
	poke bad $((leaf * 4096 + entry * 8)) '\xff\xff\xff\xff'
done
target
expect 4 repair bad target
[ "$(awk '$1 == 1' out | wc -l)" = 2 ] || failed "lines: $(cat out)"
grep -q '^ *1 *81920 *16K ' out || failed "no range: $(cat out)"
target
expect 4 repair --json bad target
jq -e '[.repair.lost[] | select(.volume == 1)] | length == 5 and .[1].offset == 86016' out \
	>/dev/null || failed "JSON: $(cat out)"

# the superblock, and its backup
cp --sparse=always before bad
poke bad 0 'XXXXXXXXXXXXXXXXXXXXXXXX'
expect 4 check bad
target
expect 0 repair bad target
expect 0 check target
# all of it is zero: no volumes are told, which is no reason to say that none are lost
cp --sparse=always before bad
dd if=/dev/zero of=bad bs=4096 count=1 conv=notrunc status=none
target
expect 4 repair bad target
says out '0 to 16777215'
poke bad $((511 * 4096)) 'XXXXXXXXXXXXXXXX'
target
expect 4 repair bad target
says err "nothing can be saved"
expect 4 check target

finish
