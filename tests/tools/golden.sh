#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The golden images in tests/golden, packs of pools as they are and as they must
# not be: what the tool says of each is as it was. make-golden makes them the same
# once more; if that is to change, so does the format, and old pools need to load.
#
# With GOLDEN_UPDATE=1 they are written.
# shellcheck source-path=SCRIPTDIR source=lib.sh
golden=$(dirname "$(readlink -f "$0")")/../golden
. "$(dirname "$(readlink -f "$0")")/lib.sh"
make_golden=${make_pool%/*}/make-golden

# verdict IMAGE: exit code of check, and what it says of the damage
verdict()
{
	"$daxcow" check "$1" >out 2>err
	echo "exit $?"
	sed "s/$1/POOL/" err
}

count=0
for name in $("$make_golden" --list); do
	rm -f made pack unpacked
	"$make_golden" "$name" made || failed "make-golden $name"
	expect 0 pack made pack
	gzip -dc <pack >packed
	expect 0 unpack pack unpacked
	verdict unpacked >said
	rm unpacked
	if [ -n "${GOLDEN_UPDATE:-}" ]; then
		gzip -9n <packed >"$golden/$name.pack"
		cp said "$golden/$name.check"
	fi
	gzip -dc <"$golden/$name.pack" | cmp - packed ||
		failed "$name is made differently now"
	expect 0 unpack "$golden/$name.pack" unpacked
	verdict unpacked | cmp - "$golden/$name.check" ||
		failed "$name: $(cat err)"
	count=$((count + 1))
done
[ "$count" = "$(find "$golden" -name '*.pack' | wc -l)" ] ||
	failed "there are images that nobody makes"
[ "$count" -gt 30 ] || failed "only $count images"
echo "$count golden images"
finish
