// SPDX-License-Identifier: GPL-2.0
/*
 * alloc-failures POOL FILE SECOND [STEP]: let each allocation that the module makes, or
 * has made for it, fail in turn: in each kind of table, message, bio and fault.
 *
 * POOL is a running pool; its volume 1 "base" is active as /dev/mapper/POOL-base and
 * not mounted, FILE lies on a volume with id 2 that is mounted with DAX. SECOND is a
 * device with a formatted pool that is not running.
 *
 * An operation is repeated, with the first allocation failing, then the second one,
 * until it gets through without coming to the one that is to fail. Whatever it
 * returns, what is there is as before or as after, and it works when nothing fails.
 * The caller has limited the faults to the module's code. With a STEP only each
 * STEP-th of those after the first eight fails; where that begins is by chance.
 *
 * Exit status: 0 as it should be, 1 not, 2 could not be tried.
 */
#define _GNU_SOURCE
#include <err.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "dm.h"

#define PAGE	4096
#define CHUNK	(2UL << 20)
#define CHUNKS	30	/* of the volume "base" */
#define FAR	(14UL << 20)	/* in the file, which has 16 MiB */
#define MOST	2000	/* allocations of one operation: something is wrong */

static const char *pool, *file, *second;
static int base, fd;
static char *page, *old, *map;
static unsigned int failures;
static const char *doing;
static int nth, step = 1;

static void wrong(const char *what)
{
	printf("%s, allocation %d: %s\n", doing, nth, what);
	failures++;
}

static void must(int ret, const char *what)
{
	if (ret)
		errx(2, "%s: %s: %s", doing, what, strerror(ret));
}

/* ---- the n-th allocation of this task ---- */

static void fail_nth(int n)
{
	int f = open("/proc/thread-self/fail-nth", O_WRONLY);

	if (f < 0 || dprintf(f, "%d", n) < 0)
		err(2, "fail-nth");
	close(f);
}

/* How many it did not come to: 0 when it has failed one. */
static int left(void)
{
	char text[16] = "";
	int f = open("/proc/thread-self/fail-nth", O_RDONLY);

	if (f < 0 || read(f, text, sizeof(text) - 1) < 0)
		err(2, "fail-nth");
	close(f);
	return atoi(text);
}

/* ---- pieces of operations ---- */

static int message(const char *fmt, unsigned int a, unsigned int b)
{
	char text[128];

	snprintf(text, sizeof(text), fmt, a, b);
	return dm_message(pool, text);
}

/* Is there a volume with this id? */
static bool exists(unsigned int id)
{
	char text[32];

	snprintf(text, sizeof(text), "list %u", id);
	must(dm_message(pool, text), "list");
	return *dm_answer() && strtoul(dm_answer(), NULL, 10) == id;
}

static void have(unsigned int id, unsigned int origin)
{
	must(message("create_snap %u %u", id, origin), "a snapshot");
}

static void have_not(unsigned int id)
{
	if (exists(id))
		must(message("delete %u", id, 0), "delete");
}

/* What was to happen did so if and only if there was no error. */
static void all_or_nothing(unsigned int id, int ret, bool there)
{
	if (exists(id) != (ret ? !there : there))
		wrong(ret ? "an error, and yet done" : "no error, and not done");
}

/* ---- operations ---- */

static void no_prepare(void) {}
static void no_check(int ret) { (void)ret; }

static int create(void) { return message("create_thin %u %u", 100, 8192); }
static void create_check(int ret)
{
	all_or_nothing(100, ret, true);
	have_not(100);
}

static int snap(void) { return message("create_snap %u %u", 100, 1); }
static int snap_mounted(void) { return message("create_snap %u %u", 100, 2); }

static int snaps(void)
{
	return dm_message(pool, "create_snaps 100 1 one 101 2 two");
}

static void snaps_check(int ret)
{
	all_or_nothing(101, ret, true);
	have_not(101);
	create_check(ret);
}

static void delete_prepare(void)
{
	if (!exists(100))
		have(100, 1);
}

static int delete(void) { return message("delete %u", 100, 0); }
static void delete_check(int ret)
{
	all_or_nothing(100, ret, false);
	have_not(100);
}

static void rollback_prepare(void)
{
	have(100, 1);
	have(101, 2);
}

static int rollback(void) { return message("rollback %u %u", 100, 101); }
static void rollback_check(int ret)
{
	(void)ret;
	have_not(100);
	have_not(101);
}

static void resize_prepare(void) { have(100, 1); }
static int resize(void) { return message("resize %u %u", 100, 16); }
static void resize_check(int ret)
{
	(void)ret;
	have_not(100);
}

static int trans(void)
{
	return dm_message(pool, "set_transaction_id 0 0");
}

static int stats(void) { return dm_message(pool, "stats"); }
static int list(void) { return dm_message(pool, "list 0"); }
static int usage(void) { return dm_message(pool, "usage 1"); }
static int verify(void) { return dm_message(pool, "verify"); }
static int pages(void) { return dm_message(pool, "pages"); }

/* a table of a volume; the device is there */
static int volume(void)
{
	char args[64];
	int ret;

	snprintf(args, sizeof(args), "/dev/mapper/%s 100", pool);
	ret = dm_load("third", 8192, "daxcow", args);
	return ret ? ret : dm_resume("third");
}

static void volume_prepare(void)
{
	delete_prepare();
	must(dm_create("third"), "a device");
}

static void volume_check(int ret)
{
	(void)ret;
	must(dm_remove("third"), "to remove it");
	have_not(100);
}

/* a table of a pool */
static int pool_table(void)
{
	char args[64];
	int ret;

	snprintf(args, sizeof(args), "%s 0", second);
	ret = dm_load("second", 65536, "daxcow-pool", args);
	return ret ? ret : dm_resume("second");
}

static void pool_prepare(void)
{
	must(dm_create("second"), "a device");
}

static void pool_check(int ret)
{
	(void)ret;
	must(dm_remove("second"), "to remove it");
}

static int suspend(void)
{
	return dm_suspend("tank-base");
}

static void suspend_check(int ret)
{
	if (ret)
		wrong("a volume that cannot be suspended");
	must(dm_resume("tank-base"), "resume");
}

/*
 * Bios, to a chunk that a snapshot has as well. It is another one each time: what
 * is known of a chunk as a whole takes memory when a block of it becomes different.
 */
static off_t at;

static void shared_prepare(void)
{
	uint64_t range[2] = { 0, CHUNKS * CHUNK };

	at = nth % CHUNKS * CHUNK;
	if (ioctl(base, BLKDISCARD, range))
		err(2, "discard");
	must(dm_message(pool, "drain"), "drain");
	memset(page, 0x11, CHUNK);
	if (pwrite(base, page, CHUNK, at) != CHUNK)
		err(2, "a write that nothing is to happen to");
	have(100, 1);
	memset(page, 0x22, CHUNK);
}

/* Each sector is as before or as after, and after when there was no error. */
static void shared_check(int ret, size_t from, size_t len, char after)
{
	size_t i;

	have_not(100);
	if (pread(base, old, CHUNK, at) != CHUNK)
		err(2, "read");
	for (i = 0; i < CHUNK; i += 512) {
		bool in = i >= from && i < from + len;
		char is = old[i];

		if (memcmp(old + i, old + i + 1, 511) ||
		    (is != 0x11 && !(in && is == after)) ||
		    (in && !ret && is != after)) {
			wrong("what was written is not there, or something else");
			return;
		}
	}
}

static int write_page(void)
{
	return pwrite(base, page, PAGE, at + 3 * PAGE) == PAGE ? 0 : errno;
}

static void write_page_check(int ret)
{
	shared_check(ret, 3 * PAGE, PAGE, 0x22);
}

static int write_sector(void)
{
	return pwrite(base, page, 512, at + 3 * PAGE + 512) == 512 ? 0 : errno;
}

static void write_sector_check(int ret)
{
	shared_check(ret, 3 * PAGE + 512, 512, 0x22);
}

static int write_chunk(void)
{
	return pwrite(base, page, CHUNK, at) == CHUNK ? 0 : errno;
}

static void write_chunk_check(int ret)
{
	shared_check(ret, 0, CHUNK, 0x22);
}

static int read_chunk(void)
{
	return pread(base, page, CHUNK, at) == CHUNK ? 0 : errno;
}

static void read_chunk_check(int ret)
{
	(void)ret;
	shared_check(1, 0, 0, 0);
}

static int discard(void)
{
	uint64_t range[2] = { at + PAGE, CHUNK / 2 };

	return ioctl(base, BLKDISCARD, range) ? errno : 0;
}

/* a discard may be left out */
static void discard_check(int ret)
{
	(void)ret;
	shared_check(1, PAGE, CHUNK / 2, 0);
}

static int zeroout(void)
{
	uint64_t range[2] = { at + PAGE, CHUNK / 2 };

	return ioctl(base, BLKZEROOUT, range) ? errno : 0;
}

static void zeroout_check(int ret)
{
	shared_check(ret, PAGE, CHUNK / 2, 0);
}

static int flush(void) { return fsync(base) ? errno : 0; }

/* ---- a file that is mapped, and its volume has a snapshot ---- */

static sigjmp_buf sigbus;
static char content = 1;

static void on_sigbus(int sig __attribute__((unused)))
{
	siglongjmp(sigbus, 1);
}

static void mapped_prepare(void)
{
	content = content % 100 + 1;
	memset(page, content, CHUNK);
	if (pwrite(fd, page, CHUNK, FAR) != CHUNK)
		err(2, "%s", file);
	have(100, 2);
}

/* page 5 is what was stored or written, the others are as they were */
static void mapped_check(int ret, char after)
{
	size_t i;

	have_not(100);
	if (pread(fd, old, CHUNK, FAR) != CHUNK)
		err(2, "read");
	for (i = 0; i < CHUNK; i += PAGE) {
		bool in = i == 5 * PAGE;

		if (old[i] != map[i] ||
		    (old[i] != content && !(in && old[i] == after)) ||
		    (in && !ret && old[i] != after)) {
			wrong("what was stored is not there, or something else");
			return;
		}
	}
}

static int store(void)
{
	if (sigsetjmp(sigbus, 1))
		return -EFAULT;
	*(volatile char *)(map + 5 * PAGE) = content + 1;
	return 0;
}

static void store_check(int ret) { mapped_check(ret, content + 1); }

static int load(void)
{
	volatile char sum = 0;
	size_t i;

	if (sigsetjmp(sigbus, 1))
		return -EFAULT;
	for (i = 0; i < CHUNK; i += PAGE)
		sum += *(volatile char *)(map + i);
	return 0;
}

static void load_prepare(void)
{
	mapped_prepare();
	madvise(map, CHUNK, MADV_DONTNEED);
}

static void load_check(int ret)
{
	(void)ret;
	mapped_check(1, content);
}

static int dax_write(void)
{
	memset(page, content + 1, PAGE);
	return pwrite(fd, page, PAGE, FAR + 5 * PAGE) == PAGE ? 0 : errno;
}

static int punch(void)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 FAR + 5 * PAGE, PAGE / 2) ? errno : 0;
}

static void punch_check(int ret) { mapped_check(ret, 0); }

static const struct {
	const char *name;
	void (*prepare)(void);
	int (*run)(void);
	void (*check)(int ret);
} operations[] = {
	{ "pool table", pool_prepare, pool_table, pool_check },
	{ "volume table", volume_prepare, volume, volume_check },
	{ "suspend", no_prepare, suspend, suspend_check },
	{ "create_thin", no_prepare, create, create_check },
	{ "create_snap", no_prepare, snap, create_check },
	{ "create_snap, mounted", no_prepare, snap_mounted, create_check },
	{ "create_snaps", no_prepare, snaps, snaps_check },
	{ "delete", delete_prepare, delete, delete_check },
	{ "rollback", rollback_prepare, rollback, rollback_check },
	{ "resize", resize_prepare, resize, resize_check },
	{ "set_transaction_id", no_prepare, trans, no_check },
	{ "stats", no_prepare, stats, no_check },
	{ "list", no_prepare, list, no_check },
	{ "usage", no_prepare, usage, no_check },
	{ "verify", no_prepare, verify, no_check },
	{ "pages", no_prepare, pages, no_check },
	{ "write a block", shared_prepare, write_page, write_page_check },
	{ "write a sector", shared_prepare, write_sector, write_sector_check },
	{ "write a chunk", shared_prepare, write_chunk, write_chunk_check },
	{ "read a chunk", shared_prepare, read_chunk, read_chunk_check },
	{ "discard", shared_prepare, discard, discard_check },
	{ "write zeroes", shared_prepare, zeroout, zeroout_check },
	{ "flush", no_prepare, flush, no_check },
	{ "store", mapped_prepare, store, store_check },
	{ "load", load_prepare, load, load_check },
	{ "write to a file", mapped_prepare, dax_write, store_check },
	{ "punch", mapped_prepare, punch, punch_check },
	{ }
};

static int next(int n)
{
	if (n < 8)
		return n + 1;
	return n == 8 ? n + 1 + rand() % step : n + step;
}

/* Returns how many allocations have failed. */
static int each_allocation(unsigned int i)
{
	int failed = 0, ret, rest;

	doing = operations[i].name;
	for (nth = 1; nth < MOST; nth = next(nth)) {
		operations[i].prepare();
		fail_nth(nth);
		ret = operations[i].run();
		rest = left();
		fail_nth(0);
		if (rest && ret)
			wrong("fails though nothing did");
		operations[i].check(ret);
		if (rest)
			break;
		failed++;
	}
	must(dm_message(pool, "verify"), "verify");
	if (strcmp(dm_answer(), "ok\n"))
		wrong(dm_answer());
	return failed;
}

static void set_up(void)
{
	struct sigaction sa = { .sa_handler = on_sigbus, .sa_flags = SA_NODEFER };
	char path[32], name[64];

	snprintf(name, sizeof(name), "%s-base", pool);
	must(dm_path(name, path, sizeof(path)), "the volume");
	base = open(path, O_RDWR | O_DIRECT);
	fd = open(file, O_RDWR);
	if (base < 0 || fd < 0)
		err(2, "cannot open what is needed");
	page = aligned_alloc(CHUNK, CHUNK);
	old = aligned_alloc(CHUNK, CHUNK);
	map = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, FAR);
	if (!page || !old || map == MAP_FAILED)
		err(2, "no memory");
	sigaction(SIGBUS, &sa, NULL);
}

int main(int argc, char **argv)
{
	unsigned int i, all = 0;
	int n;

	if (argc != 4 && argc != 5)
		errx(2, "usage: alloc-failures POOL FILE SECOND [STEP]");
	pool = argv[1];
	file = argv[2];
	second = argv[3];
	if (argc == 5)
		step = atoi(argv[4]);
	if (step < 1)
		errx(2, "no step: %s", argv[4]);
	srand(time(NULL));
	doing = "set up";
	set_up();
	for (i = 0; operations[i].name; i++) {
		n = each_allocation(i);
		printf("%-22s %4d\n", doing, n);
		fflush(stdout);
		all += n;
	}
	printf("%u allocations have failed, %u times with a bad end\n", all, failures);
	return failures || all < 20;
}
