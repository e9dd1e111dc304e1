# SPDX-License-Identifier: GPL-2.0
# The result as text: a table for each file system, and what is wrong.

def left($n): tostring | . + (" " * ($n - length) // "");
def cell: . // "-" | left(12);
def ordered: reduce .[] as $x ([]; if index([$x]) then . else . + [$x] end);
def heading: if . == "linear" then "dm-linear" else . end;
def of: "\(.place): \(.round): \(.job) \(.key): \(.got // "missing")";

. as $all
| (
  (.places | map(split(" ")[0]) | unique | reverse | .[]) as $fs
| (["linear", "volume", "clone", "snapshots"]
	| map(select("\($fs) \(.)" | IN($all.places[])))) as $columns
| "",
  (($fs | left(34)) + ($columns | map(heading | left(12)) | join(""))),
  ([$all.rows[].round] | ordered[] | . as $round
	| $round,
	  ($all.rows[] | select(.round == $round) | . as $row
		| ("  \(.job) \(.key)" | left(34))
		+ ($columns | map($row.values["\($fs) \(.)"] | cell) | join(""))))
),
# once, below the tables
"",
"Kernel: \(.kernel). Snapshots taken while jobs were running: \(.snapshots).",
"Difference to dm-linear: \(if .differences == [] then "none" else "" end)",
(.differences[] | "  \(of), on dm-linear \(.want // "missing")"),
"Wrong anywhere: \(if .faults == [] then "nothing" else "" end)",
(.faults[] | "  \(of)")
