#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The tables of a pool in a small file, and a pool made of it.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

pool good
"$make_pool" good || failed "make-pool"
cp --sparse=always good before
expect 0 check --json good
jq .check out | grep -v '"device"' >checked

expect 0 pack good pack
says out "Complete     yes"
cmp good before || failed "pack wrote to the pool"
[ "$(stat -c %s pack)" -lt 20000 ] || failed "a pack of $(stat -c %s pack) bytes"
expect 0 unpack pack copy
[ "$(stat -c %s copy)" = "$(stat -c %s good)" ] || failed "another size"
expect 0 check --json copy
jq .check out | grep -v '"device"' | cmp - checked || failed "another pool"
grep -q BBBBBBBBBBBBBBBB copy && failed "there is data in it"

# a pack of that is the same
expect 0 pack copy again
gzip -dc <pack >one
gzip -dc <again >two
cmp one two || failed "a pack of what was unpacked is another one"

# what is damaged stays damaged, in the same place
record=$(grep -abo -m1 DAXCWREC before | head -n 1)
record=${record%%:*}
for place in 0 100 512 520 $((record + 60)) $((record + 257)) $((511 * 4096 + 9)) \
	$((512 * 4096 + 77)); do
	cp --sparse=always before bad
	poke bad "$place" '\x99\x98'
	expect 4 check bad
	sed 's/bad/X/' err >want
	rm -f pack copy
	expect 0 pack bad pack
	expect 0 unpack pack copy
	expect 4 check copy
	sed 's/copy/X/' err | cmp - want ||
		failed "damage at $place: $(cat err) instead of $(cat want)"
done

# nothing is overwritten, and no rubbish believed
expect 6 pack good pack
expect 0 pack --force good pack
expect 6 unpack pack copy
head -c 900 pack >short
expect 4 unpack short new
says err "damaged, or cut off"
expect 4 unpack good other
says err "not a pack"
expect 3 unpack missing other
finish
