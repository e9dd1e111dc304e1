# The figures of the benchmark as text.
include "text";

def ns: fixed(0) | grouped;
def us: . / 1000 | fixed(1);
def ms: . / 1000000 | fixed(2);
def of($floor): . / $floor | fixed(1);
def rows($what): .[] | select(.what == $what);

def head: ("snapshots" | right(10)) + ("floor, ns" | right(11)) + ("first" | right(8))
	+ ("others" | right(8)) + ("own" | right(7)) + ("bio" | right(7))
	+ ("bytes/block" | right(13)) + ("owners" | right(8)) + ("ns each" | right(9))
	+ ("held, us" | right(10)) + ("asked, us" | right(11));
def line: . as $r | ($r.n | grouped | right(10)) + ($r.floor | ns | right(11))
	+ ($r.first | of($r.floor) | right(8)) + ($r.others | of($r.floor) | right(8))
	+ ($r.own | of($r.floor) | right(7)) + ($r.bio | of($r.floor) | right(7))
	+ ($r.bytes | fixed(1) | right(13)) + ($r.owners | grouped | right(8))
	+ ($r.asked | ns | right(9)) + ($r.hold | us | right(10))
	+ ($r.hold_asked | us | right(11));

def ended: "  deleted in random order: \(.delete | us) us each, taken apart \(.reclaim | ms) ms each, lock held \(.hold | ms) ms";

"A write after so many snapshots of the volume, times of the floor (4 KiB copied, one",
"store): the first in a 2 MiB region, others, to a block of one's own, a bio to one.",
"",
head, (rows("snapshots") | line), (rows("deletes of snapshots") | ended),
(rows("load, snapshots") | "  load: \(.load | fixed(1)) ns for each entry"),
"",
"The same of so many clones, each with a write in each 2 MiB.",
"",
(head | sub("snapshots"; "   clones")), (rows("clones") | line),
(rows("deletes of clones") | ended),
(rows("load, clones") | "  load: \(.load | fixed(1)) ns for each entry"),
"",
(rows("large") | "A volume of \(.n * 2 / 1024 | fixed(0)) GiB with a block in each 2 MiB: opened in \(.open | us) us, first status \(.status_first | ms) ms, status \(.status | us) us,",
	"discard of all \(.discard | ms) ms, taken apart \(.reclaim | ms) ms, lock held \(.hold | ms) ms."),
(rows("threads") | "Two threads on two volumes: \(.own[1] / .own[0] | fixed(2)) times one thread for blocks of one's own, \(.cow[1] / .cow[0] | fixed(2)) with copies.")
