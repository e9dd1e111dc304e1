#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Pools and volumes, against the engine instead of the kernel (fake-dm.c).
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

# json FILTER: what jq makes of out
json()
{
	jq -e "$1" out >/dev/null || failed "JSON: not $1: $(cat out)"
}

# starting
expect 4 start "$dev" tank
says err "not a daxcow pool"
expect 0 status
[ -s out ] && failed "status without pools: $(cat out)"
expect 0 format "$dev"
expect 2 start "$dev"
says err "has no label"
expect 2 start "$dev" a/b
expect 0 format --force "$dev" --label tank
FAKE_DM_NO_TARGET=1 expect 7 start "$dev"
says err "modprobe dm-daxcow"
expect 0 start "$dev" --cow 2m --error-if-no-space --low-water 1M
says out tank
grep -qaF ' 256 2 error_if_no_space cow_2m' dm/tank || failed "table"
expect 0 start "$dev"
says out tank
expect 0 start "$dev" tank
expect 5 start "$dev" other
says err 'is started as "tank" already'
expect 3 list other
says err "daxcow status"
cp "$dev" copy
copy=$(losetup -f --show copy)
expect 5 start "$copy"
says err 'a copy of the pool "tank"'
losetup -d "$copy"

# creating
expect 0 create tank base --size 8M
expect 0 create tank db --size 4097 --json
json '.volumes[0] | .id == 1 and .name == "db" and .pool == "tank" and
	.device == null and (.uuid | length) == 36'
expect 6 create tank base --size 8M
expect 6 create tank other --size 8M --id 1
says err "with id 1 already"
expect 0 create tank far --size 256T --id 16777215
expect 0 create tank apart --size 8M --id 7 --domain 3
expect 0 snapshot tank apart apart2
expect 0 list --json tank
jq -e '[.volumes[] | select(.domain == 3).name] | sort == ["apart", "apart2"]' out >/dev/null ||
	failed "domains: $(cat out)"
expect 0 remove tank apart apart2
expect 2 create tank other --size 8M --domain 4294967296
expect 2 create tank other --size 100GB
says err 'as in 100G'
for name in a/b 'a b' "" -a "$(printf '%064d' 0)" 'id:1' 'a=b' $'a\nb'; do
	expect 2 create tank --size 1M -- "$name"
done
expect 0 list tank --json
json '.volumes | length == 3 and .[1].size == 8192 and
	.[2].size == 281474976710656 and .[0].mapped == 0'
expect 0 list "$dev"
says out 256T

# snapshots
expect 0 snapshot tank base monday
expect 0 snapshot tank base=b2 id:1=d2 monday=m2 --json
json '[.volumes[].id] == [3, 4, 5]'
expect 6 snapshot tank base=b3 db=b2
expect 2 snapshot tank base=b3 db=b3
expect 3 snapshot tank base=b3 nonsense=d3
expect 3 snapshot tank id:99 b3
expect 2 snapshot tank id:x b3
expect 2 snapshot tank base
expect 2 snapshot tank a b c
expect 0 list tank --quick
says out monday
grep -q b3 out && failed "half of a snapshot: $(cat out)"
expect 0 list tank --json --quick
json '.volumes[] | select(.name == "m2") | .origin == "monday" and
	.origin_id == 2'
json '.volumes[0] | has("mapped") | not'

# activating
expect 2 activate tank
expect 2 activate tank base --all
expect 3 activate tank base nonsense
[ -e dm/tank-base ] && failed "activated although another name is wrong"
expect 0 activate tank base id:1
says out /dev/mapper/tank-base
says out /dev/mapper/tank-db
expect 0 activate tank base
says out /dev/mapper/tank-base
expect 0 clone tank base copy --no-dax
[ "$(cat out)" = /dev/mapper/tank-copy ] || failed "clone: $(cat out)"
grep -qaF ' 6 1 no_dax' dm/tank-copy || failed "table of a clone"
: >dm/tank-m2
expect 0 deactivate tank m2
rm dm/tank-m2
expect 0 list tank --json --quick
json '[.volumes[] | select(.device != null)] | length == 3'

# what is active stays
expect 5 remove tank monday base
expect 5 rollback tank base monday
expect 5 resize tank base 4M --force
expect 0 list tank --quick
says out monday
: >dm/tank-base.open
expect 5 deactivate tank db base copy
says err "unmounted during a snapshot"
[ -e dm/tank-copy ] && failed "stopped at the first that is in use"
expect 5 stop tank
says err /dev/mapper/tank-base
rm dm/tank-base.open

# sizes
expect 0 resize tank base 16M
expect 0 deactivate tank base
expect 2 resize tank base 4M
says err "--force"
expect 0 resize tank base 4M --force
expect 1 rollback tank base monday
says err "resize base first"
expect 0 resize tank base +1M
expect 0 list tank --json --quick
json '.volumes[] | select(.name == "base") | .size == 5242880'
expect 2 resize tank base +
expect 2 resize tank base 1GB
says err 'as in 100G'
expect 2 resize tank base +15E
expect 2 resize tank base +16383P
expect 2 resize tank base +256T
says err 'at most 256 TiB'
expect 0 resize tank base 8M
expect 0 activate tank monday
expect 5 rollback tank base monday
expect 0 deactivate tank monday
expect 0 rollback tank base monday
expect 0 list tank --bytes
expect 3 rollback tank base nonsense

# a clone that cannot be activated is not there either
head -c "$(stat -c %s dm/tank)" /dev/zero >dm/tank-late
expect 6 clone tank base late
says err "there is another device called tank-late"
rm dm/tank-late
expect 0 clone tank base late
expect 0 deactivate tank late
expect 0 remove tank late

# removing
expect 3 remove tank b2 nonsense
expect 2 remove tank b2 id:4 b2
says err "b2 is given twice"
expect 0 remove tank b2 id:4 id:16777215
expect 0 list tank --json --quick
json '[.volumes[].name] == ["base", "db", "monday", "m2", "copy"]'
expect 0 create tank again --size 1M --json
json '.volumes[0].id == 3'
expect 0 remove tank monday
expect 0 list tank
says out id:2

# status, and the end
expect 0 status
says out tank
expect 0 status /dev/mapper/tank --json
json '.pool | .name == "tank" and .mode == "rw" and .size == 67108864 and
	.volumes == 5 and .label == "tank" and .needs_check == false and
	.free % 4096 == 0 and .free > 50000000 and .dax == "yes"'
json '.pool.used_percent == 4'
expect 0 grow tank --json
json '.pool | .size == 67108864 and .before == 67108864'
expect 0 status tank
says out "Whole chunks of 2 MiB free"
says out "Figure of tomorrow"
grep -qE "^(NAME|SIZE|FREE)|_" out && failed "no words for people: $(cat out)"
expect 0 stop "$dev"
[ -z "$(ls dm)" ] || failed "left over: $(ls dm)"
expect 0 check "$dev"
expect 0 start --activate --readonly --json "$dev" again
json '.pool.volumes == 5'
[ -e dm/again-m2 ] || failed "not activated"
expect 0 deactivate again --all

# the id of an origin that is gone is not another one's
expect 0 create again first --size 1M
expect 0 snapshot again first second
expect 0 remove again first
expect 0 snapshot again second third --json
json '.volumes[0].id == 8'
expect 0 list again --json --quick
json '.volumes[] | select(.name == "third") | .origin == "second"'
json '.volumes[] | select(.name == "second") | .origin | test("second|third") | not'
expect 0 remove again second third

# what can be activated is; a second start finishes the work
head -c "$(stat -c %s dm/again)" /dev/zero >dm/again-db
expect 9 start --activate "$dev" again
says err "there is another device called again-db"
says err "1 of 5 volumes are not active"
says out again
for name in base m2 copy; do
	[ -e dm/again-$name ] || failed "$name is not active"
done
rm dm/again-db
expect 0 start --activate "$dev"
[ -e dm/again-db ] || failed "the second start did not finish"
expect 0 start --activate "$dev" again
expect 0 stop again

finish
