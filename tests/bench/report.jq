# The figures of the measurement as text.

include "text";

def percent: if . == null then "-" else fixed(2) + " %" end;
def mib: . / 1048576 | fixed(1);

def rows: [
	["blocks of files", (.blocks | grouped)],
	["  of zeroes", (.zeroes | grouped)],
	["could be freed at best", (.optimum | grouped)],
	["  of all", (.optimum_percent | percent)],
	["  when a block has 256 owners at most", (.optimum_cap | grouped)],
	["  by 2 MiB of a file", (.optimum_2m | grouped)],
	["estimate", (.estimate | grouped)],
	["  off by, in points", (.estimate_off_points | fixed(3))],
	["freed, as the tool says", (.freed | grouped)],
	["  of them files'", (.found | grouped)],
	["  of what could be at best", (.found_percent | percent)],
	["  by 2 MiB", (.freed_2m | grouped)],
	["  more tables for that", (.tables_grew | grouped)],
	["second run: freed", (.second.freed | grouped)],
	["second run: bytes read", (.second.read | grouped)],
	["incremental run: changed by files", (.incremental.changed | grouped)],
	["  read", (.incremental.read | grouped)],
	["  changed to what was there already", (.incremental.duplicates | grouped)],
	["  freed", (.incremental.freed | grouped)],
	["most memory, MiB", (.memory | mib)],
	["duperemove: freed", (.duperemove.found // "-" | grouped)],
	["  of what could be at best", (.duperemove.found_percent | percent)],
	["  most memory, MiB", (.duperemove.memory | mib)],
	["  its time, in runs of daxcow dedupe", (if .duperemove.ended then "" else "> " end)
		+ (.duperemove.time_ratio | fixed(1))],
	["checksums before and after", (if .same then "equal" else "DIFFER" end)],
	["called", (if .worth then "worth it" else "not worth it" end)]
];

"",
(.sets | to_entries[] | "set \(.key): \(.value.packages | join(", "))"),
"",
("BLOCKS OF 4 KIB" | left(43)) + (.sets | keys_unsorted | map("set \(.)" | right(14)) | add),
"",
([.sets[] | rows] | transpose[] | (.[0][0] | left(43)) + (map(.[1] | right(14)) | add)),
"",
(.instructions | "With a processor that is counted (\(.blocks | grouped) blocks, \(.merged | grouped) merged): \(.per_merged_page | fixed(0)) instructions",
	"per merged block, with reading all blocks; an estimate takes \(.per_page_estimated | fixed(0)) per block."),
"",
(.checks[] | (if .holds then "  yes  " else "  NO   " end) + .claim)
