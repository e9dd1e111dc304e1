# The figures of the measurement as text.
include "text";

def number: if . == null then "–" else fixed(0) | grouped end;
def factor: if . == null then "–" else fixed(2) end;

# Without DAX a fault is one of the page cache.
def cell($place): . as $row | .places[$place].median | number
	+ if ($place == "thin" or $place == "snapshot") and . != null
		and ($row.operation | startswith("fault-")) then "*" else "" end;

def table: .rows[] | select(any(.places[]; .)) | (.name | left(54)) + (cell("volume") | right(10))
	+ (.places.volume.mean | number | right(10)) + (cell("linear") | right(10))
	+ (.ratio | factor | right(7)) + (cell("xfs") | right(11))
	+ (cell("thin") | right(10)) + (cell("snapshot") | right(12));

def spread: [.rows[].places[] | .spread // empty] | max | fixed(1);

def kernel($name): select(.rows != null)
	| "",
	"KERNEL \($name): instructions; most that repeats differ by: \(spread) %",
	"",
	("" | left(54)) + ("daxcow" | right(10)) + ("(mean)" | right(10))
		+ ("linear" | right(10)) + ("ratio" | right(7))
		+ ("XFS, pmem" | right(11)) + ("thin" | right(10))
		+ ("snapshot" | right(12)),
	table,
	"the floor: system call \(.floor.syscall.median | number), page fault without a file \(.floor.anonymous.median | number), copying 4 KiB past the cache \(.floor.copy.median | number)";

def percent: if . == null then "–" else
	(if . < 0 then "-" else "+" end) + (fabs | fixed(1)) + " %" end;
def verdict: if .holds then "" elif .off == null then "   NOT THERE"
	else "   NO" end;

def title($what; $text): ($text | left(54)) + ("live" | right(10))
	+ (if $what == "volume" then "patched" else "stock" end | right(10))
	+ ("max +\(.comparisons | map(select(.what == $what))[0].most) %" | right(10))
	+ if $what == "volume" then "   more than linear: live, patched" else "" end;

def more: if .what == "volume" then
	(.more[0] | number | right(12)) + (.more[1] | number | right(12)) else "" end;

def compared($what; $text; text): "",
	title($what; $text),
	"",
	(.comparisons[] | select(.what == $what)
		| (.row | left(54)) + (.of | text | right(10)) + (.to | text | right(10))
			+ (.off | percent | right(10)) + more + verdict);

(.kernels | to_entries[] | .key as $name | .value | kernel($name)),
"",
"–  is not to be had: dm-linear and a device without dm share no blocks and have no holes,",
"   dm-snapshot has no holes. XFS shares files, not devices. dm-thin and dm-snapshot have no",
"   DAX; a store to a shared page is one to the page cache there and copies nothing yet.",
"   With many snapshots only volumes are measured: dm-snapshot copies a block for each.",
"*  without DAX: a page of the page cache, read from the device, and not written back yet.",
"linear: where it has no such row, the same operation on what it has; so has the ratio.",
"XFS, pmem: XFS on the device itself. What is shared there is so by reflink.",
"O_DIRECT makes no difference to a file under DAX: read(2) and write(2) are the same.",
compared("volume"; "DAXCOW / LINEAR"; factor),
compared("xfs"; "XFS WITHOUT DAXCOW"; number)
