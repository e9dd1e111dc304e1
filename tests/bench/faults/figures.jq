# From lines {kernel, place, state, operation, found} to the figures of the measurement,
# and what they have to be.

# Name, state, operation, and which of the pages: "first" those that are the first ones of
# their 2 MiB, "rest" the others.
def rows: [
	["read fault, own page", "own", "fault-read", "rest"],
	["read fault, shared page", "shared", "fault-read", "rest"],
	["write fault, own page", "own", "fault-write", "rest"],
	["write fault, CoW: first in 2 MiB", "shared", "fault-write", "first"],
	["write fault, CoW: others", "shared", "fault-write", "rest"],
	["write fault, hole in the file: first in 2 MiB", "hole", "fault-write", "first"],
	["write fault, hole in the file: others", "hole", "fault-write", "rest"],
	["store after read, own page", "own", "fault-upgrade", "rest"],
	["store after read, CoW: first in 2 MiB", "shared", "fault-upgrade", "first"],
	["store after read, CoW: others", "shared", "fault-upgrade", "rest"],
	["2 MiB read fault, own", "own", "huge-read", "first"],
	["2 MiB read fault, shared", "shared", "huge-read", "first"],
	["2 MiB write fault, own", "own", "huge-write", "first"],
	["2 MiB write fault, CoW", "shared", "huge-write", "first"],
	["O_DIRECT read, own", "own", "direct-read", "rest"],
	["O_DIRECT read, shared", "shared", "direct-read", "rest"],
	["O_DIRECT write, own", "own", "direct-write", "rest"],
	["O_DIRECT write, CoW: first in 2 MiB", "shared", "direct-write", "first"],
	["O_DIRECT write, CoW: others", "shared", "direct-write", "rest"],
	["O_DIRECT write, hole in the file: first in 2 MiB", "hole", "direct-write", "first"],
	["O_DIRECT write, hole in the file: others", "hole", "direct-write", "rest"],
	["read fault, own page in 512 MiB", "large", "fault-read", "rest"],
	["write fault, own page in 512 MiB", "large", "fault-write", "rest"],
	["O_DIRECT read, own, in 512 MiB", "large", "direct-read", "rest"],
	["O_DIRECT write, own, in 512 MiB", "large", "direct-write", "rest"],
	["bio read, own", "bio-own", "direct-read", "rest"],
	["bio read, shared", "bio-shared", "direct-read", "rest"],
	["bio read, hole", "bio-hole", "direct-read", "rest"],
	["bio overwrite", "bio-own", "direct-write", "rest"],
	["bio first write: first in 2 MiB", "bio-hole", "direct-write", "first"],
	["bio first write: others", "bio-hole", "direct-write", "rest"],
	["bio CoW: first in 2 MiB", "bio-shared", "direct-write", "first"],
	["bio CoW: others", "bio-shared", "direct-write", "rest"],
	(("", "bio-") as $bio | ("1", "100", "1000") as $n | ("first", "rest") as $part
	| select($bio != "" or $n != "1000")
	| [(if $bio == "" then "write fault, CoW" else "bio CoW" end)
		+ " after \($n) snapshots: "
		+ (if $part == "first" then "first in 2 MiB" else "others" end),
		$bio + "snapshots-" + $n,
		(if $bio == "" then "fault-write" else "direct-write" end), $part])
] | map({ name: .[0], state: .[1], operation: .[2], part: .[3] });

def places: ["volume", "linear", "xfs", "thin", "snapshot"];

# dm-linear shares nothing and has no holes: what it is compared with is the same
# operation on what it has. Of files with holes it is such a file.
def alike($state): if $state == "hole" or $state == "large" then $state
	elif $state | startswith("bio-") then "bio-own" else "own" end;

def median: sort | .[length / 2 | floor];

# of repeats of a measurement
def summary: select(length > 0) | (map(.median) | median) as $m | {
	n: (map(.n) | add),
	repeats: length,
	median: $m,
	# in percent: how far repeats are from each other
	spread: (if $m == 0 then 0 else 100 * (map(.median) | max - min) / $m end),
	mean: (map(.mean) | add / length),
	low: (map(.low) | min),
	high: (map(.high) | max)
};

# . : the lines of one kernel
def figure($place; $row): (if $place == "volume" and ($row.state | contains("snapshots-"))
		then "snapshots" else $place end) as $p
	| (if $place == "linear" then alike($row.state) else $row.state end) as $s
	| map(select(.place == $p and .state == $s and .operation == $row.operation)
		| .found[$row.part]) | summary;

def ratio($a; $b): if $a == null or $b == null then null else $a / $b end;

def figures_of: . as $lines | {
	floor: (map(select(.place == "floor"))[0].found),
	rows: [rows[] as $row | $row
		+ { places: ([places[] as $p | { key: $p, value: ($lines
			| first(figure($p; $row), null)) }] | from_entries) }
		| .ratio = ratio(.places.volume.median; .places.linear.median)]
};

def off($a; $b): if $a == null or $b == null then null else 100 * ($a / $b - 1) end;

def more: if .ratio == null then null
	else .places.volume.median - .places.linear.median end;

# What is compared: each row is there, and says so when it is not to be had. Nothing is
# wrong with less: dm-linear takes more on Debian's configuration, and copying does not.
def compared($what; $a; $b; $most): off($a; $b) as $off
	| { row: .name, what: $what, of: $a, to: $b, off: $off, most: $most,
		holds: ($off != null and $off <= $most) };

# XFS without daxcow, in percent. The copy of 2 MiB takes more: it is flushed, which the
# stock kernel leaves out, and loses the copy when the power fails. See docs/speed.md.
def xfs_most: if .name == "2 MiB write fault, CoW" then 6 else 3 end;

def comparisons($k): [
	range($k.live.rows | length) as $i | $k.live.rows[$i] as $live
	| $k.patched.rows[$i] as $patched | $k.stock.rows[$i] as $stock
	| $live
	| (compared("volume"; $live.ratio; $patched.ratio; 5)
		| .more = [$live, $patched | more]),
	(select($live.places.xfs)
		| compared("xfs"; $live.places.xfs.median; $stock.places.xfs.median;
			xfs_most))
];

(group_by(.kernel) | map({ key: .[0].kernel, value: figures_of }) | from_entries)
| { kernels: ., comparisons: comparisons(.) }
