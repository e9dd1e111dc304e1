#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What is read is never written, and what is replaced stays until the new is whole.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

pool good
"$make_pool" good || failed "make-pool"
cp --sparse=always good before
ln good hard
ln -s good soft
mkdir sub
expect 0 pack good pack
expect 0 dump good
cp out text
cp text text.before
cp pack pack.before

# same COMMAND...: refused, as a part of both is the same; nothing was written
same()
{
	expect 2 "$@"
	says err "have blocks in common"
	cmp -s good before || failed "$*: has written to the pool"
	cmp -s pack pack.before || failed "$*: has written to the pack"
	cmp -s text text.before || failed "$*: has written to the text"
	cp --sparse=always before good.copy
	cat good.copy >good
}
for other in good ./sub/../good hard soft; do
	same pack --force good $other
	same pack --force $other good
	same repair --force good $other
	same restore --force text good --data $other
done
same unpack --force pack pack
same restore --force text text --data good
# the shell has opened that one
"$daxcow" dump good 1<>good 2>err && failed "dump to its source"
says err "have blocks in common"
cmp good before || failed "dump has written to its source"

# loop devices: below, two on one file, a part of one, and parts side by side
loops=()
trap 'losetup -d "${loops[@]}" 2>/dev/null; rm -rf "$dir"' EXIT
loop()
{
	local dev

	dev=$(losetup -f --show "$@" 2>/dev/null) || return 1
	loops+=("$dev")
}
if loop good && loop good && loop --offset 1M good && loop "${loops[0]}" &&
	loop --sizelimit 16M good && loop --offset 16M --sizelimit 48M good; then
	for dev in "${loops[@]:1:3}" good soft; do
		same repair --force "${loops[0]}" "$dev"
		same repair --force "$dev" "${loops[0]}"
		same pack --force "${loops[0]}" "$dev"
	done
	expect 1 pack --force before "${loops[1]}"
	says err "a block device"
	expect 4 repair --force "${loops[5]}" "${loops[4]}"
	says err "nothing can be saved"
else
	echo "no loop devices here"
fi

# old COMMAND...: it fails, and the old file is as it was, with nothing beside it
old()
{
	local code=$1

	cp --sparse=always before target
	ls -A >names.before
	shift
	expect "$code" "$@"
	ls -A >names
	cmp target before || failed "$*: has changed the old target"
	cmp names.before names || failed "$*: has left a file: $(diff names.before names)"
}
: >names
head -c 900 pack >short
old 4 unpack --force short target
sed '9s/.*/nonsense/' text >bad
old 4 restore --force bad target --data good
says err "line 9"
sed 's/^root.*/root 17/' text >bad
old 4 restore --force bad target
says err "is before it"
block=$(sed -n 's/^root //p' text)
sed "0,/^  0 block [0-9]*/s//  0 block $block/" text >bad
old 4 restore --force bad target
says err "bad: not a valid pool"
head -n -1 text >bad
old 4 restore --force bad target
truncate -s 1M small
old 1 restore --force text target --data small
says err "cannot read block"
cp --sparse=always before rotten
poke rotten 0 'XXXXXXXXXXXXXXXXXXXXXXXX'
poke rotten $((511 * 4096)) 'XXXXXXXXXXXXXXXX'
old 4 repair --force rotten target

# the same for a device, which has no room for both
if [ ${#loops[@]} = 6 ]; then
	cp --sparse=always before target
	loop target
	dev=${loops[6]}
	for edit in 9s/.*/nonsense/ 's/^root.*/root 17/' /^end/d \
		"0,/^  0 block [0-9]*/s//  0 block $block/"; do
		sed "$edit" text >bad
		expect 4 restore --force bad "$dev" --data good
		cmp "$dev" before || failed "$edit: has changed the device"
	done
	expect 1 restore --force text "$dev" --data small
	cmp "$dev" before || failed "without data: has changed the device"
	expect 2 format --force "$dev" --label "$(printf '%064d' 0)"
	cmp "$dev" before || failed "format has changed the device"
	# too small: told before anything is wiped
	truncate -s 1M tiny
	mkfs.ext4 -q tiny 2>/dev/null || poke tiny 1080 '\x53\xef'
	cp tiny tiny.before
	expect 1 format --force tiny
	cmp tiny tiny.before || failed "format has wiped what it cannot use"
	expect 0 restore --force text "$dev" --data good
	expect 0 check "$dev"
	expect 0 repair --force good "$dev"
	expect 0 check "$dev"
fi

# a limit of the file's size ends them in the middle
for command in "pack --force good target" "unpack --force pack target" \
	"repair --force good target" "restore --force text target --data good"; do
	cp --sparse=always before target
	# shellcheck disable=SC2086 # words
	(ulimit -f 1; trap '' XFSZ; exec "$daxcow" $command) >out 2>err &&
		failed "$command: no error"
	cmp target before || failed "$command: has changed the old target"
	# and a signal
	ls -A >names.before
	# shellcheck disable=SC2086
	timeout -s KILL 0.01 "$daxcow" $command >out 2>err || true
	ls -A >names
	cmp -s target before || [ -s target ] || failed "$command: half a target"
	cmp names.before names || failed "$command: killed, has left a file"
done

# a link stays one, and rights are kept
rm -f target
cp --sparse=always before real
chmod 640 real
ln -s real target
expect 0 pack --force good target
[ -L target ] || failed "replaced the link"
[ "$(stat -c %a real)" = 640 ] || failed "rights: $(stat -c %a real)"
expect 0 unpack target fresh
expect 6 unpack target fresh

finish
