# The figures of the demo as text.

def mb: . / 1024 | if . < 9.95 then . * 10 | round / 10 else round end;
def right($n): tostring | (" " * ($n - length) // "") + .;
def left($n): tostring | . + (" " * ($n - length) // "");
def bytes: . / 1024 | mb;

(.clones + 1) as $mounts
| (.tree.kib | mb) as $tree
| "",
"WHAT EACH VOLUME IS SHOWN AND WHAT IT TAKES, IN MB (before the write)",
"",
"volume    size  content  shared with others  its own",
(.daxcow.volumes.volumes[] | (.name | left(6))
	+ (.size | bytes | right(8)) + (.mapped | bytes | right(9))
	+ (.shared | bytes | right(20)) + (.exclusive | bytes | right(10))),
"",
"CODE THAT ALL \($mounts) PYTHONS HAVE MAPPED, IN PAGES OF 4 KIB",
"",
"                         physical pages behind it",
"file                    each      daxcow  dm-thin",
(.thin.code as $thin | .daxcow.code | sort_by(-.pages)[:6][] | .file as $f
	| ($thin | map(select(.file == $f))[0] // { pages: 0, physical: 0 }) as $t
	| ($f | left(22)) + (.pages | right(5)) + (.physical | right(12))
	+ (if $t.pages > 0 then $t.physical / $t.pages | round else "-" end
		| "\(.) x each" | right(13))),
"",
"MEMORY AND SPACE FOR ALL \($mounts) TOGETHER, IN MB",
"",
"                                          daxcow  dm-thin",
([
	["page cache filled by running the programs", "page_cache"],
	["RAM used by that, and by the programs", "programs"],
	["  of it in use, when caches are dropped", "held"]
	][] as [$text, $key] | ($text | left(42))
	+ (.memory.daxcow[$key] | mb | right(6))
	+ (.memory.thin[$key] | mb | right(9))),
("space in the pool" | left(42)) + (.pool_kib.daxcow | mb | right(6))
	+ (.pool_kib.thin | mb | right(9)),
"",
(.checks[] | (if .holds then "  yes  " else "  NO   " end) + .claim),
"",
"\($mounts) mounts of \($tree) MB each are \(.logical_kib | mb) MB of files. daxcow keeps them in "
+ "\(.pool_kib.daxcow | mb) MB of",
"persistent memory, and running programs from all of them took "
+ "\(.memory.daxcow.page_cache | mb) MB of page cache",
"(dm-thin: \(.memory.thin.page_cache | mb) MB, as each mount reads a copy of its own). When \(.write.volume) changed its",
"libc, \(.write.moved | length) of the \(.write.libc_pages) pages became its own; the others did not notice.",
if all(.checks[]; .holds) then "Everything above was checked."
else "NOT everything above is true, see NO." end
