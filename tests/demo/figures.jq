# From what the guest has found to the figures of the demo, and what they have
# to be for its claims to be true. Sizes are in KiB unless they say bytes.

def usage($m):
	{
		mounting: ($m.start.free - $m.mounted.free),
		page_cache: ($m.running.cached - $m.mounted.cached),
		programs: ($m.mounted.free - $m.running.free),
		programs_available: ($m.mounted.available - $m.running.available),
		held: ($m.mounted.free - $m.held.free)
	};

def total($code):
	{
		pages: ($code | map(.pages) | add),
		physical: ($code | map(.physical) | add),
		one_pfn: ($code | map(.one_pfn) | add),
		in_pmem: ($code | map(.in_pmem) | add)
	};

def volume($list; $name): $list.volumes[] | select(.name == $name);

def claim($holds; $text): { claim: $text, holds: $holds };

. as $f
| (.clones + 1) as $mounts
| .write.volume as $writer
| .memory = { daxcow: usage(.daxcow.memory), thin: usage(.thin.memory) }
| .code_total = { daxcow: total(.daxcow.code), thin: total(.thin.code) }
| .pool_kib = {
	daxcow: ((.daxcow.pool.running.pool | .data + .metadata) / 1024),
	daxcow_filled: ((.daxcow.pool.filled.pool | .data + .metadata) / 1024),
	thin: (.thin.pool.running | .data + .metadata),
	thin_filled: (.thin.pool.filled | .data + .metadata)
}
| .logical_kib = .tree.kib * $mounts
| .seconds = $seconds
| .checks = [
	claim(.daxcow.mounts == $mounts;
		"\($mounts) file systems are mounted with DAX at the same time"),
	claim(.daxcow.running == $mounts and .daxcow.answers == 1;
		"the programs gave one and the same answer in all of them"),
	claim(.code_total.daxcow | .pages > 300 and .one_pfn == .pages;
		"every page of code that they all have mapped is one physical page"),
	claim(.code_total.daxcow | .in_pmem == .pages;
		"these pages are in the persistent memory, none is a copy in RAM"),
	claim(.memory.daxcow.page_cache < 8192;
		"running them has put nothing into the page cache"),
	claim(all(.daxcow.volumes.volumes[] | select(.name != "base");
		.exclusive * 10 < .mapped);
		"more than 90 % of every clone is shared"),
	claim(.pool_kib.daxcow < .tree.kib * 2;
		"all volumes take less than two copies of the tree would"),
	claim(.thin.running == $mounts and .thin.answers == 1 and
		.daxcow.answers == .thin.answers and .same_answers;
		"on dm-thin the same programs gave the same answers"),
	claim(.code_total.thin | .pages > 300 and .in_pmem == 0 and
		.physical == .pages * $mounts;
		"with dm-thin every mount has a copy of its own of each page"),
	claim(.memory.thin.page_cache > 10 * .memory.daxcow.page_cache and
		.memory.thin.held > .memory.daxcow.held;
		"with dm-thin they need more memory"),
	claim(.write.before.distinct == .write.libc_pages;
		"before the write all \($mounts) libc are the same physical pages"),
	claim(.write.patched_same_sum == false and
		.write.pfn.before != .write.pfn.after and
		(.write.banner.patched | contains("Stable release"));
		"\($writer) has changed its libc, and got another physical page for it"),
	claim(.write.moved == [.write.page];
		"that is the only one of the \(.write.libc_pages) pages that is another one now"),
	claim(.write.others_same_sum == .write.others and
		.write.others_same_pfns == .write.others and
		.write.pfn.others == .write.pfn.before and
		(.write.banner.base | contains("stable release"));
		"in the \(.write.others) others libc has the checksum and the pages that it had"),
	claim(.write.file_in == 1; "the file that it made is only there"),
	claim(.write.runs == $mounts; "all programs ran on meanwhile"),
	claim(all(.write.volumes.volumes[] | select(.name != $writer);
			.exclusive <= volume($f.daxcow.volumes; .name).exclusive)
		and volume(.write.volumes; $writer).exclusive >
			volume(.daxcow.volumes; $writer).exclusive;
		"of all volumes only \($writer) has grown"),
	claim(.check.check.clean; "daxcow check finds the pool clean, xfs_repair the file systems")
]
