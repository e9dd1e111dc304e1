# SPDX-License-Identifier: GPL-2.0
# From lines of file system, place, round, job, key and value to a table of what each
# job said in each place, what differs from dm-linear, and what is wrong anywhere.

def place: "\(.fs) \(.place)";
def row: [.round, .job, .key];

# What has to have been checked
def checks($place):
	["file system"]
	+ if $place == "linear" then [] else ["pages", "verify", "pool", "verify empty"] end
	+ if $place == "clone" or $place == "snapshots" then ["origin"] else [] end
	+ if $place == "snapshots" then
		["taking snapshots", "snapshots as they are", "snapshots replayed"]
	else [] end;

[inputs | split("\t") | {fs: .[0], place: .[1], round: .[2], job: .[3], key: .[4], value: .[5]}]
| . as $facts
| [.[] | {fs, place}] | unique_by(.fs, .place) | . as $places
# a map for each place
| (reduce $facts[] as $f ({}; .[$f | place][$f | row | tojson] = $f.value)) as $found
| (reduce ($facts[] | row) as $r ([]; if index([$r]) then . else . + [$r] end)) as $rows
| [$rows[] | select(.[1] != "checks" and .[1] != "guest")] as $compared
| {
	kernel: $kernel,
	seed: ($seed | tonumber),
	seconds: $seconds,
	snapshots: $snapshots,
	places: [$places[] | place],
	rows: [$rows[] | . as $r | {
		round: .[0], job: .[1], key: .[2],
		values: ($places | map({key: place, value: $found[place][$r | tojson]})
			| from_entries)
	}],
	differences: [
		$places[] | select(.place != "linear") | . as $p | $compared[] | . as $r
		| $found["\($p.fs) linear"][$r | tojson] as $want
		| $found[$p | place][$r | tojson] as $got
		| select($got != $want)
		| {place: ($p | place), round: .[0], job: .[1], key: .[2], want: $want, got: $got}
	],
	# whatever dm-linear does
	faults: [
		($places[] | . as $p | $found[place] as $all
			| ([$rows[][0]] | unique | .[] | select(. != "guest")) as $round
			| checks($p.place)[] as $key
			| {place: ($p | place), $round, job: "checks", $key,
				got: $all[[$round, "checks", $key] | tojson]}
			| select(.got != "clean")),
		($facts[] | select(.job == "guest" and .key == "exit status" and .value != "0")
			| {place: place, round, job, key, got: .value}),
		($places[] | . as $p | $found[place][["guest", "guest", "end"] | tojson]
			| select(. != "reached") | {place: ($p | place), round: "guest", job: "guest",
				key: "end", got: .}),
		# a table in which nothing is done would have no differences either
		($facts[] | select(.place == "linear" and .job != "checks"
				and (.value | test("^(exit|failed|skipped|missing)")))
			| {place: place, round, job, key, got: .value}),
		(if ($compared | length) == 0 then {place: "all", round: "all", job: "all",
			key: "anything", got: null} else empty end)
	]
}
