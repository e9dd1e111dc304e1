#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Making pools on files: what is written, and what is refused.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

truncate -s 64M pool
expect 0 format pool --label tank
says out tank
says out 64M
expect 0 check pool
expect 0 format pool --force --json
jq -e '.pool | .size == 67108864 and .chunk_offset == 0 and .label == null and
	.device == "pool" and (.uuid | length) == 36' out >/dev/null ||
	failed "JSON of format: $(cat out)"
[ "$(head -c 8 pool)" = DDAXCOW1 ] || failed "no magic number"
[ "$(stat -c %s pool)" = 67108864 ] || failed "size of the file changed"

# what is there is not destroyed by mistake
cp pool before
expect 6 format pool
says err "use --force"
cmp pool before || failed "a refused format wrote"
expect 0 format pool --force --label new
says out new

# foreign content: XFS at 0, ext4 at 1 KiB, btrfs far behind our superblock
for magic in '0 XFSB\x00\x00\x10\x00' '1080 \x53\xef' '65600 _BHRfS_M'; do
	rm pool
	truncate -s 64M pool
	# blkid wants more than the magic number of all but the last of these
	poke pool "${magic%% *}" "${magic#* }"
	blkid -p pool >/dev/null 2>&1 || continue
	expect 6 format pool
	says err "there is content of type"
	expect 0 format pool --force
	blkid -p pool >/dev/null 2>&1 && failed "old content is still found"
	expect 0 check pool
done
if command -v mkfs.ext4 >/dev/null; then
	mkfs.ext4 -qF pool
	expect 6 format pool
	says err ext4
	expect 0 format pool --force
	blkid -p pool >/dev/null 2>&1 && failed "ext4 is still found"
fi

# sizes
truncate -s 1M small
expect 1 format small
says err "too small"
: >empty
expect 1 format empty
truncate -s $((64 * 1024 * 1024 + 123)) odd
expect 0 format odd --bytes
says out 67108864
expect 0 check odd

# every chunk offset is one that check accepts
for offset in 0 1 254 255 256 510 511; do
	expect 0 format pool --force --chunk-offset $offset --json
	[ "$(jq .pool.chunk_offset out)" = $offset ] ||
		failed "chunk offset $offset became $(jq .pool.chunk_offset out)"
	expect 0 check pool
done

expect 3 format missing
expect 1 format /dev/null
says err "neither a block device nor a file"
expect 1 format .
expect 1 start pool tank
says err "block devices"

# what udev is told; a label from elsewhere cannot say more than that
pool labelled
expect 0 probe labelled
[ "$(sed 1d out)" = DAXCOW_LABEL=tank ] || failed "probe says $(cat out)"
poke labelled 72 'a\nSYSTEMD_WANTS=x'
expect 4 probe labelled
[ -s out ] && failed "probe says $(cat out)"
poke labelled 72 '\0'
expect 0 probe labelled --json
[ "$(jq .pool.label out)" = null ] || failed "probe says $(cat out)"
# a boot sector's end leaves the label, and nobody starts what is below it
cp labelled written
poke written 510 '\125\252'
expect 4 probe written
says err "something else has been written into its first block"
repair=$(sed -n 's/.*if the pool is what you want: //p' err)
bash -c "$repair" 2>err || failed "$repair: $(cat err)"
expect 0 probe written
# what LVM, ext4 and swap leave
for at in 536 1080 4086; do
	poke written $at x
	expect 4 probe written
	bash -c "$repair" 2>err
	expect 0 probe written
done
poke labelled 0 x
expect 4 probe labelled

finish
