# From what the guests have found to the figures of the measurement, and what they
# have to be. Blocks are of 4 KiB.

def percent($a; $b): if $a == null or $b == 0 then null else 100 * $a / $b end;
def blocks: . / 4096;
def claim($holds; $text): { claim: $text, holds: $holds };

def figures:
	.optimum as $o
	| .first.dedupe as $f
	| .estimate.dedupe as $e
	| (.places.before.stored - .places.after.stored) as $found
	# one that was stopped says nothing
	| (if .duperemove.ended then .plain.before.stored - .plain.after.stored
		else null end) as $plain
	| {
		packages,
		files: $o.files,
		blocks: $o.blocks,
		zeroes: $o.zeroes,
		optimum: $o.optimum,
		optimum_percent: percent($o.optimum; $o.blocks),
		optimum_cap: $o.optimum_cap,
		optimum_2m: $o.by_2m,
		most_owners: $o.most_owners,
		stored_as_expected: (.places.before.files == $o.blocks and
			.places.before.stored == $o.blocks),
		# of the files; what is freed has also blocks of the file systems
		found: $found,
		found_percent: percent($found; $o.optimum_cap),
		freed: ($f.freed | blocks),
		freed_percent: percent($f.freed | blocks; $o.optimum_cap),
		freed_2m: ($f.freeable_2m | blocks),
		pool_shrank: ((.before.pool.data - .after.pool.data) | blocks),
		tables_grew: ((.after.pool.metadata - .before.pool.metadata) | blocks),
		estimate: ($e.freeable | blocks),
		estimate_error: ($e.error | blocks),
		estimate_off_points: (percent($e.freeable - $f.freed;
			$e.blocks * 4096) | fabs),
		worth: ($e.worth and $f.worth),
		says: ($f.remark // ""),
		second: {
			freed: (.second.dedupe.freed | blocks),
			read: .second.dedupe.read
		},
		incremental: {
			changed: (.change.copied + .change.written),
			duplicates: .change.copied,
			read: .incremental.dedupe.blocks_read,
			freed: (.incremental.dedupe.freed | blocks)
		},
		memory: $f.memory,
		index_bytes_per_block: $f.index_bytes_per_block,
		statuses: ($f.statuses | with_entries(select(.value > 0))),
		duperemove: {
			found: $plain,
			found_percent: percent($plain; $o.optimum_cap),
			ended: .duperemove.ended,
			memory: (.duperemove.kib * 1024),
			time_ratio: (.duperemove.seconds / $f.seconds)
		},
		seconds: { daxcow: $f.seconds, duperemove: .duperemove.seconds },
		complete: ($f.complete and $e.complete),
		same: .same,
		clean: .check.check.clean
	};

def claims($name):
	claim(.same; "\($name): all files have the checksums that they had"),
	claim(.clean; "\($name): daxcow check finds the pool clean, xfs_repair the file systems"),
	claim(.stored_as_expected; "\($name): the files were in as many blocks as optimum.py cut them into"),
	claim(.pool_shrank == .freed; "\($name): the pool has as much more space as the tool says"),
	claim(.estimate_off_points <= 2;
		"\($name): the estimate is within 2 points of what is freed"),
	claim(.second.freed == 0 and .second.read == 0;
		"\($name): a second run reads and frees nothing"),
	claim(.incremental.freed >= .incremental.duplicates;
		"\($name): after changes a run frees what was there already"),
	if $name == "D" then
		claim(.worth | not; "\($name): is called not worth it")
	else
		claim(.found_percent >= 99.9 and .freed_percent >= 99.9;
			"\($name): 99.9 % of what could be freed at best is freed"),
		claim(.worth; "\($name): is not called not worth it")
	end;

def instructions:
	.first.dedupe as $f
	| .estimate.dedupe as $e
	| ($f.merged_4k + $f.merged_2m * 512 + $f.zeroes) as $merged
	| {
		blocks: $f.blocks,
		merged: $merged,
		run: ($f.seconds * 1e9),
		per_merged_page: ($f.seconds * 1e9 / $merged),
		per_page_estimated: ($e.seconds * 1e9 / $e.blocks)
	};

{
	sets: (.sets | map_values(figures)),
	instructions: (.icount | instructions),
	seconds: $seconds
}
| .checks = [.sets | to_entries[] | .key as $k | .value | claims($k)]
