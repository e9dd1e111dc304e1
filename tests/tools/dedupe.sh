#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Equal blocks are found, all of them, and nothing is changed by it: daxcow dedupe
# against fake-dedupe.c instead of the kernel, which also fails when it is told to.
# shellcheck source-path=SCRIPTDIR source=lib.sh
# shellcheck disable=SC2317 # functions that are named as arguments
. "$(dirname "$(readlink -f "$0")")/lib.sh"

daxcow=$build/tests/tools/daxcow-fake
fake=$build/tests/tools/dedupe-pool
mkdir dm pool
export FAKE_DM=$dir/dm FAKE_POOL=$dir/pool

# new BLOCKS SEED CONTENTS CHUNKS DOMAINS
new()
{
	rm -rf pool state
	mkdir pool
	"$fake" pool make "$@" || failed "make-pool"
	"$fake" pool table tank
}

# dedupe CODE ARG...: JSON in out
dedupe()
{
	local want=$1 got=0

	shift
	"$daxcow" dedupe tank --no-nice --state "$dir/state" --json "$@" \
		>out 2>err </dev/null || got=$?
	[ "$got" = "$want" ] ||
		failed "dedupe $*: exit code $got instead of $want: $(head -c 300 err)"
	intact
}

json()
{
	jq -e ".dedupe | $1" out >/dev/null || failed "JSON: not $1: $(jq -c . out)"
}

intact()
{
	"$fake" pool check || failed "the volume has changed"
}

# value NAME: used, least, huge, reads, pairs, calls, rested
value()
{
	"$fake" pool show | tr ' ' '\n' | sed -n "s/^$1=//p"
}

exact()
{
	[ "$(value used)" = "$(value least)" ] ||
		failed "$*: $(value used) blocks are left, $(value least) are needed"
}

# the second run has nothing to do
idle()
{
	local reads

	reads=$(value reads)
	dedupe 0 "$@"
	json '.read == 0 and .freed == 0 and .incremental'
	[ "$(value reads)" = "$reads" ] || failed "an unchanged pool was read"
}

# all are found, and each is read once
for seed in 1 2 3; do
	new 16384 $seed 9000 8 2
	before=$(value used)
	dedupe 0 --estimate
	json ".estimate and .freed == 0 and .error == 0 and
		.freeable == $((4096 * (before - $(value least)))) and
		(.owners | map(.blocks) | add) == $before"
	"$fake" pool set reads 0
	dedupe 0 --split 1
	exact "seed $seed"
	[ "$(value reads)" = "$before" ] ||
		failed "$(value reads) blocks were read of $before"
	json ".freed == $((4096 * (before - $(value used)))) and .passes == 1 and
		.blocks == $before and .complete and .worth and .zeroes > 0 and
		.index_bytes_per_block < 17"
	idle --split 1
done

# with an index in several parts the result is the same
new 16384 1 9000 8 2
DAXCOW_TEST_PARTS=3 dedupe 0 --split 1
json '.passes == 3'
exact "three parts"
DAXCOW_TEST_PARTS=3 idle --split 1

# hashes that are equal when blocks are not
new 8192 5 4000 2 1
DAXCOW_TEST_HASH_BITS=8 dedupe 0 --split 1
json '.statuses.differs > 1000'
exact "short hashes"

# chunks as a whole, and what of them is worth a split
new 16384 6 100000000 6 1
"$fake" pool copy 1 3
"$fake" pool copy 1 4
dedupe 0
json '.merged_2m == 2 and .freed >= 2 * 512 * 4096'
[ "$(value huge)" = $((4 * 512)) ] || failed "huge: $(value huge)"
idle
new 16384 7 3000 4 1
dedupe 0 --split 0
[ "$(value huge)" = $((4 * 512)) ] || failed "split: $(value huge)"
idle --split 0
dedupe 0 --split 300
[ "$(value huge)" -gt 0 ] || failed "all are split"
dedupe 0 --split 1
[ "$(value huge)" = 0 ] || failed "not split: $(value huge)"
exact "after a split"

# not worth it
new 8192 8 100000000 0 1
"$daxcow" dedupe tank --no-nice --estimate >out
says out "not worth it"

# few contents: more owners than one block may have
new 16384 9 20 0 1
dedupe 0
json '.statuses.cap > 0'
# how they are divided among blocks is not the best
[ $(($(value used) - $(value least))) -lt 120 ] ||
	failed "cap: $(value used), $(value least)"
idle

# incremental: only what has changed is read
new 16384 10 9000 4 1
dedupe 0 --split 1
"$fake" pool write 200 77
reads=$(value reads)
dedupe 0 --split 1
[ $(($(value reads) - reads)) -le 250 ] || failed "read $(value reads), before $reads"
json '.incremental and .blocks > 0'
# what the writes have left behind in the index is found not to be there any more
exact "incremental"
# the index fills with what has changed, and is made anew
for i in {1..20}; do
	"$fake" pool write 8000 "8$i"
	dedupe 0 --split 1
	exact "index, $i"
	[ "$(jq .dedupe.incremental out)" = true ] || break
done
json '.incremental | not'
# loaded again: begin again
"$fake" pool set instance 99
"$fake" pool write 100 78
dedupe 0 --split 1
json '.incremental | not'
exact "another load"

# faults: data that change, and all that the kernel may answer
for seed in 11 12 13; do
	new 8192 $seed 4000 3 2
	"$fake" pool set change 50
	"$fake" pool set fail 100
	for what in hot pinned eio bad; do
		"$fake" pool mark $what 100
	done
	dedupe 9 --split 1 --rest 0
	json '(.complete | not) and .statuses.stale > 0 and .statuses.pinned > 0 and
		.hot > 0 and .unreadable > 0'
	says err "could not be read or merged"
	"$fake" pool set change 0
	"$fake" pool set fail 0
	for what in hot pinned bad; do
		"$fake" pool mark $what 0
	done
	dedupe 0 --split 1
	exact "after faults"
	# it has read again what it found changed
	dedupe 0 --split 1
	json '.freed == 0 and .blocks < 100'
	idle --split 1
done

# blocks that are hot are left, remembered, and made to rest on demand
new 8192 14 3000 0 1
"$fake" pool mark hot 1000
dedupe 0 --rest 0
json '.hot > 500 and .rested == 0'
before=$(value used)
dedupe 0 --rest 0
json '.hot > 500 and .freed == 0 and .read == 0'
dedupe 0 --rest 100000
json '.rested > 0 and .freed > 0'
[ "$(value rested)" -gt 0 ] || failed "none was made to rest"
exact rest
new 8192 14 3000 0 1
"$fake" pool mark hot 1000
dedupe 0
json '.rested == 0'
dedupe 0
json '.rested > 0'
exact "the second time"

# pinned is what is mapped by several: the other one goes
new 8192 15 3000 0 1
"$fake" pool mark pinned 500
dedupe 0
json '.statuses.pinned > 0'
"$fake" pool mark pinned 0
dedupe 0
exact pinned

# dies ARG...: killed sooner or later
dies()
{
	"$daxcow" dedupe tank --no-nice --state "$dir/state" --split 1 \
		>out 2>err </dev/null &
	"$@" $!
	wait $! 2>/dev/null
	intact
}

after_a_while()
{
	sleep "0.$(printf '%03d' $((RANDOM % 400)))"
	kill -KILL "$1" 2>/dev/null
}

# Killed again and again: wherever it is, and in its merges, so that there is something
# left to do, however fast or slow this machine is.
for parts in 1 3; do
	export DAXCOW_TEST_PARTS=$parts
	new 16384 $((16 + parts)) 7000 6 2
	for merge in 1 2 1 3 1; do
		FAKE_KILL=$merge dies :
	done
	[ "$(value calls)" = 8 ] || failed "not killed in merges: $(value calls)"
	dedupe 0 --split 1
	json '.resumed'
	exact "after kills in merges, $parts parts"
	idle --split 1

	new 16384 $((16 + parts)) 7000 6 2
	"$fake" pool set delay 200
	for _ in 1 2 3 4 5 6; do
		dies after_a_while
	done
	"$fake" pool set delay 0
	dedupe 0 --split 1
	exact "after kills, $parts parts"
	idle --split 1
done
unset DAXCOW_TEST_PARTS

# until COMMAND...: wait for it
until_true()
{
	local _

	for _ in {1..3000}; do
		"$@" && return
		sleep 0.1
	done
	failed "waited in vain for: $*"
}

has_read()
{
	[ "$(value reads)" -gt 0 ]
}

# lines N: the output has so many
lines()
{
	[ "$(wc -l <out)" -ge "$1" ]
}

# a signal: what is under way is ended, and the next run goes on; a megabyte per second
# takes a minute
new 16384 20 7000 0 1
"$daxcow" dedupe tank --no-nice --state "$dir/state" --rate 1M >out 2>err &
pid=$!
until_true has_read
# one at a time
expect 5 dedupe tank --no-nice --state "$dir/state"
intact
kill -INT $pid
wait $pid
[ $? = 130 ] || failed "SIGINT: exit code"
dedupe 0
json '.resumed'
exact "after SIGINT"
"$daxcow" dedupe tank --no-nice --state "$dir/state" --follow --interval 1 >out 2>err &
pid=$!
for n in 1 2; do
	"$fake" pool write 100 79
	until_true lines $n
done
kill -TERM $pid
wait $pid
[ $? = 143 ] || failed "SIGTERM: exit code"
[ "$(wc -l <out)" = 2 ] || failed "follow said: $(cat out)"
says out "tank: read"
intact

# limits, within 10 %, with time that only sleeping takes. within NAME WANT GOT
within()
{
	if [ $((10 * $3)) -lt $((9 * $2)) ] || [ $((10 * $3)) -gt $((11 * $2)) ]; then
		failed "$1: $3 instead of $2"
	fi
}
export FAKE_CLOCK=1
new 16384 21 9000 0 1
dedupe 0 --estimate --rate 20M
within rate 20480 "$(($(jq '.dedupe.rate' out) / 1024))"
dedupe 0 --merges 2000
within merges 2000 "$(jq '.dedupe | (.statuses | add) / .seconds | floor' out)"
new 16384 21 9000 0 1
dedupe 0 --estimate --cpu 2
json '.seconds > 0.3'
unset FAKE_CLOCK
dedupe 0
[ "$(stat -c %a state/tank.state)" = 600 ] || failed "the seed can be read"

# what is refused
expect 2 dedupe tank --mem 63M
expect 2 dedupe tank --split 513
expect 2 dedupe tank --estimate --follow
expect 2 dedupe tank --interval 3
expect 2 dedupe tank --rate 0
expect 3 dedupe nonsense

# what can be freed is estimated from a sample when the table is full; of another seed
# each time, so six standard errors, which are three of what is told, are allowed
new 131072 22 60000 0 1
least=$(value least) used=$(value used)
DAXCOW_TEST_TABLE=65536 dedupe 0 --estimate
json ".error > 0 and ((.freeable / 4096 - $((used - least))) | fabs) < .error / 4096 * 3"

finish
