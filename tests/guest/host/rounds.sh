# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # used by who reads this
# For tests that kill a guest and boot the next from what it left: an nvdimm that
# stays in $work, a guest in the background that writes to $work/out.
#
# QEMU's memory is the host's page cache, of which killing a process loses
# nothing, not even stores that were never flushed. So these are tests of
# atomicity and of recovery at any moment, none of flushes and fences: that is
# what tests/crash is for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

runner=''
# rounds_begin SIZE: of the nvdimm
rounds_begin() {
	mkdir -p build
	work=$(mktemp -d build/rounds.XXXXXX)
	trap rounds_end EXIT
	trap 'exit 130' INT TERM
	truncate -s "$1" "$work/nvdimm"
}

rounds_end() {
	[ -z "$runner" ] || kill "$runner" 2>/dev/null || true
	rm -rf "$work"
}

fail() {
	echo "FAILED: $*"
	# what programs said, before what the kernel did
	grep -av '^\[' "$work/out" | tail -n 10 || true
	tail -n 15 "$work/out"
	exit 1
}

# guest_start OPTION... -- COMMAND...
guest_start() {
	: >"$work/out"
	tests/guest/run --nvdimm "$work/nvdimm" --pidfile "$work/pid" "$@" \
		>"$work/out" 2>&1 &
	runner=$!
}

# Wait for a line that begins so, or for the guest's end.
guest_says() {
	while ! grep -q "^$1" "$work/out"; do
		kill -0 "$runner" 2>/dev/null || return 0
		sleep 0.2
	done
}

guest_kill() {
	local status=0

	kill -0 "$runner" 2>/dev/null || fail "$1 ended by itself"
	kill -9 "$(cat "$work/pid")"
	wait "$runner" || status=$?
	runner=''
	# 126: ended without a status
	[ $status -eq 126 ] || fail "$1: status $status"
}

guest_end() {
	wait "$runner" || fail "$1"
	runner=''
}
