#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Where volumes of a pool differ, as a table and as JSON.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

pool good
"$make_pool" good || failed "make-pool"
cp good before

# the snapshot has written block 5 since
expect 0 delta good root snap
says out " 20480 "
says out "both"
[ "$(wc -l <out)" = 2 ] || failed "not one range: $(cat out)"
expect 0 delta --json good id:1 id:2
jq -e '.delta == [{ offset: 20480, length: 4096, where: "both" }]' out >/dev/null ||
	failed "JSON: $(cat out)"

# an empty one
expect 0 delta --json good root id:3
jq -e '.delta | map([.offset, .length, .where]) ==
	[[0, 409600, "left"], [2097152, 2097152, "left"]]' out >/dev/null ||
	failed "JSON: $(cat out)"
expect 0 delta --json good id:3 snap
jq -e '.delta | all(.where == "right")' out >/dev/null || failed "JSON: $(cat out)"
expect 0 delta good snap snap
[ -s out ] && failed "differs from itself: $(cat out)"

expect 3 delta good root nobody
says err "no volume"
cmp good before || failed "delta wrote"
finish
