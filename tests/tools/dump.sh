#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The tables of a pool as text, and back.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

target()
{
	rm -f "$1"
	truncate -s 64M "$1"
}

pool good
"$make_pool" good || failed "make-pool"
cp --sparse=always good before
expect 0 dump good
cp out text
says text "label=tank"
says text "name=snap"
says text "  1-99 block "
says text "chunk "
cmp good before || failed "dump wrote"

# there and back: to the byte what repair makes of the same pool
target copy
target repaired
expect 0 restore text copy --data good
says out "Volumes   3"
expect 0 repair good repaired
cmp copy repaired || failed "restore made another pool"
expect 0 dump copy
cmp out text || failed "a dump of what was restored is another one"

# without --data they are what is there: a changed name, and a volume less
cp --sparse=always good edited
sed 's/name=snap/name=other%2b1/; /^ *3 volume/d' text >new
cmp -s text new && failed "nothing was edited"
expect 6 restore new edited
expect 0 restore --force new edited
expect 0 check --json edited
jq -e '.check.volumes == 2' out >/dev/null || failed "JSON: $(cat out)"
expect 0 delta --json edited root other+1
jq -e '.delta | length == 1' out >/dev/null || failed "JSON: $(cat out)"
block=$(sed -n 's/^  1-99 block //p' new)
[ "$(tail -c +$((block * 4096 + 1)) edited | head -c 3)" = AAA ] ||
	failed "data have gone"

# share domains are kept
cp --sparse=always good edited
sed 's/domain=0/domain=4294967295/' text >new
expect 0 restore --force new edited
expect 0 dump edited
says out " domain=4294967295 "
expect 0 check edited

# rejects SED TEXT: what an edited dump is refused with
rejects()
{
	sed "$1" text >new
	cmp -s text new && failed "$1: nothing was edited"
	target copy
	expect 4 restore new copy --data good
	says err "$2"
	expect 4 check copy
}
rejects '1s/1/2/' "line 1: not a dump of this version"
rejects 's/^pool blocks=/pool block=/' "line 2: not as in"
rejects 's/blocks=16384/blocks=1/' "out of range"
rejects 's/domain=0/domain=4294967296/' "not as in"
rejects 's/ domain=0//' "not as in"
rejects 's/^node \([0-9]*\) 0/node 0 0/' "no block and level"
rejects '0,/ block /s//  chunk /' "cannot be in a table"
rejects 's/1-99 block [0-9]*/1-99 block 99999999/' "out of range"
rejects '/^end/d' "cut off"
rejects 's/^root.*/root 17/' "no block that is before it"
rejects '/^dir/,/^root/s/ dir [0-9]*/ dir 17/' "names a block that is not before it"
rejects 's/ node [0-9]*/ node 17/' "names a block that is not before it"
rejects 's/ root=[0-9]*/ root=17/' "not as in"
block=$(sed -n 's/^  1-99 block //p' text)
rejects "0,/^  0 block [0-9]*/s//  0 block $(sed -n 's/^root //p' text)/" "not a valid pool"
rejects 's/uuid=0/uuid=x/' "not as in"
rejects 's/label=[^ ]*/label=%a/' "not as in"
rejects 's/^end/END/' "not understood"
truncate -s 1M small
expect 1 restore text small
says err "too small"
expect 3 restore missing copy
expect 3 restore text copy --data missing

# of a damaged pool, what there is
record=$(grep -abo -m1 DAXCWREC before | head -n 1)
record=${record%%:*}
cp --sparse=always before bad
poke bad $((record + 256)) '\xff\xff\xff\xff'
expect 0 dump bad
says out "# lost of volume id:1, offset 0"
cp out text
target copy
expect 0 restore text copy --data bad
expect 0 check copy

finish
