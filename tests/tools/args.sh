#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The command line: what is refused before anything is touched.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

expect 0 --help
says out "Exit codes: 0 done"
expect 0 --version
says out "media format 1"
expect 2
expect 2 nonsense
says err nonsense
expect 2 --nonsense

for cmd in format check dedupe start stop status list create snapshot clone rollback \
	   remove resize activate deactivate; do
	expect 0 --help
	says out "  $cmd "
	expect 0 $cmd --help
	says out "Usage: daxcow $cmd"
	# none of them takes that many operands, or they have no such names
	expect 2 $cmd --chunk-offset
	[ $cmd = status ] || expect 2 $cmd
done

# an option belongs to its commands
expect 2 create pool name --size 1G --all
says err "create does not take --all"
expect 2 list pool --force
expect 2 status --no-dax
# operands
expect 2 create pool
says err "usage: daxcow create POOL NAME"
expect 2 rollback pool name
expect 2 format a b

for size in 0 -1 +1 "" 1X 1GB 1MB 1.5G " 1G" "1 G" 20P 99999999999999999999 \
	    18446744073709551615; do
	expect 2 create pool name --size "$size"
done
for id in -1 16777216 x 1x ""; do
	expect 2 create pool name --size 1G --id "$id"
	says err "--id"
done
expect 2 create pool name
says err "--size"
expect 2 create pool name --size 257T
says err "at most 256 TiB"
expect 2 resize pool name 1GB
expect 2 start /dev/null pool --cow 3m
expect 2 format /dev/null --chunk-offset 512
expect 2 format /dev/null --label "$(printf '%064d' 0)"

finish
