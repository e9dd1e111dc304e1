// SPDX-License-Identifier: GPL-2.0
/*
 * pinned-page STEP
 *
 * Snapshots of a volume while DMA to or from its pages is under way: direct
 * I/O between a mapping and the device "disk", which is suspended meanwhile.
 * Pool "pool" with volume "base", mounted at /v/base, is there already.
 *
 * DMA has an address and asks nobody, so the origin has to keep a page that is
 * written to, and the snapshot needs a copy. Only half of each page is
 * transferred: the other half is stored to in between, which must not take the
 * page away from under the DMA either.
 *
 *   one	a read into one page, mapped by a PTE
 *   many	into several
 *   pmd	into some pages of a mapping by PMDs
 *   pmd-store	the same, and a store next to them before the data comes
 *   twice	into a page that two snapshots are taken of meanwhile
 *   joint	the same, in one instant
 *   busy	a write from a page that both have mapped: is it done at all?
 *   out	a write from pages that origin and snapshot share; both store
 *   owner	a write from pages whose owners leave, and the pool gets full
 *
 * Exit status: 0 as it should be, 1 not, 2 could not be tried.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PMD	(2UL << 20)
#define PAGE	4096UL
#define WORDS	1024U
#define PAGES	1024U
#define SIZE	(PAGES * PAGE)
#define PART	2048U		/* of each page that goes by DMA */
#define SPOT	1000U		/* a word of the other half */
#define MAX	8		/* pages */
#define DISK	"/dev/mapper/disk"

/* what is where, in a page by file and in a part by disk */
#define OLD(page, word)	((page) << 10 | (word))
#define DMA(part, word)	(0xd0000000U | (part) << 10 | (word))
#define STORE	0xe0000001U
#define OTHER	0xe0000002U
#define FILL	0xee

typedef volatile uint32_t word;

static int bad;
static const char *step;

/* a file of 4 MiB, and what should be in it */
struct file {
	char path[64];
	word *map;
	uint32_t want[PAGES * WORDS];
};

/* a transfer that is held back */
struct dma {
	unsigned int nr, page[MAX];
	pid_t pid;
};

__attribute__((format(printf, 1, 2)))
static void wrong(const char *fmt, ...)
{
	va_list ap;

	printf("%s: ", step);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	bad = 1;
}

#define must(x) do { if (!(x)) err(2, "%s: %s", step, #x); } while (0)

__attribute__((format(printf, 1, 2)))
static int try(const char *fmt, ...)
{
	char cmd[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return system(cmd);
}

#define shell(...) do { \
	if (try(__VA_ARGS__)) \
		errx(2, "%s: failed in line %d", step, __LINE__); \
} while (0)

static bool late(time_t *end)
{
	if (!*end)
		*end = time(NULL) + 60;
	usleep(2000);
	return time(NULL) > *end;
}

/* ---- files ---- */

static int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		err(2, "%s: %s", step, path);
	return fd;
}

/* By PMDs if possible, or at an address where only PTEs are. */
static word *map_file(const char *path, bool pmd)
{
	int fd = open_file(path, O_RDWR);
	char *p = mmap(NULL, SIZE + 2 * PMD, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(p != MAP_FAILED);
	p = (char *)(((uintptr_t)p + PMD - 1) & ~(PMD - 1));
	if (!pmd)
		p += PAGE;
	p = mmap(p, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	must(p != MAP_FAILED);
	close(fd);
	return (word *)p;
}

static struct file *file_at(const char *volume, bool pmd)
{
	struct file *f = calloc(1, sizeof(*f));
	unsigned int i;

	must(f);
	snprintf(f->path, sizeof(f->path), "/v/%s/%s", volume, step);
	for (i = 0; i < PAGES * WORDS; i++)
		f->want[i] = OLD(i / WORDS, i % WORDS);
	f->map = map_file(f->path, pmd);
	return f;
}

static void make(const char *volume)
{
	static uint32_t buf[PMD / 4];
	char path[64];
	size_t i, n;
	int fd;

	snprintf(path, sizeof(path), "/v/%s/%s", volume, step);
	shell("xfs_io -f -c 'extsize 2m' %s", path);
	fd = open_file(path, O_RDWR);
	/* in pieces that a device can give 2 MiB of memory to */
	must(!fallocate(fd, 0, 0, SIZE));
	for (n = 0; n < SIZE; n += PMD) {
		for (i = 0; i < PMD / 4; i++)
			buf[i] = OLD((n / 4 + i) / WORDS, i % WORDS);
		must(pwrite(fd, buf, PMD, n) == (ssize_t)PMD);
	}
	must(!fsync(fd));
	close(fd);
}

static uint64_t pfn(word *map, unsigned int page)
{
	static int fd = -1;
	uint64_t entry;

	(void)map[page * WORDS];
	if (fd < 0)
		fd = open_file("/proc/self/pagemap", O_RDONLY);
	must(pread(fd, &entry, 8, (uintptr_t)(map + page * WORDS) / PAGE * 8) == 8);
	must(entry >> 63);
	return entry & ((1ULL << 55) - 1);
}

static void compare(const struct file *f, const char *when)
{
	static uint32_t buf[PAGES * WORDS];
	int fd = open_file(f->path, O_RDONLY);
	unsigned int i;

	must(pread(fd, buf, SIZE, 0) == (ssize_t)SIZE);
	close(fd);
	for (i = 0; i < PAGES * WORDS; i++) {
		if (f->map[i] == f->want[i] && buf[i] == f->want[i])
			continue;
		wrong("%s, %s: page %u word %u is %#x by mmap, %#x by read, not %#x",
		      f->path, when, i / WORDS, i % WORDS, f->map[i], buf[i],
		      f->want[i]);
		return;
	}
}

static void store(struct file *f, unsigned int page, unsigned int at,
		  uint32_t value)
{
	f->map[page * WORDS + at] = value;
	f->want[page * WORDS + at] = value;
}

/* ---- direct I/O that is held back ---- */

static void make_disk(void)
{
	static uint32_t buf[MAX * PART / 4] __attribute__((aligned(PAGE)));
	int fd = open_file(DISK, O_RDWR | O_DIRECT);
	unsigned int i;

	for (i = 0; i < MAX * PART / 4; i++)
		buf[i] = DMA(i / (PART / 4), i % (PART / 4));
	must(pwrite(fd, buf, sizeof(buf), 0) == sizeof(buf));
	close(fd);
}

/* How many pages of the pool something has a reference to. */
static unsigned int held(void)
{
	FILE *p = popen("dmsetup message pool 0 pages", "r");
	unsigned int n;

	must(p && fscanf(p, "pages %*u mapping %*u share %*u held %u", &n) == 1);
	pclose(p);
	return n;
}

static char state_of(pid_t pid)
{
	char path[64], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	must(f && fscanf(f, "%*d %*s %c", &state) == 1);
	fclose(f);
	return state;
}

static void transfer(const struct dma *d, word *map, bool read)
{
	int fd = open_file(DISK, O_RDWR | O_DIRECT);
	struct iovec iov[MAX];
	unsigned int i;
	ssize_t n;

	for (i = 0; i < d->nr; i++)
		iov[i] = (struct iovec) {
			.iov_base = (void *)(map + d->page[i] * WORDS),
			.iov_len = PART,
		};
	n = read ? preadv(fd, iov, d->nr, 0) : pwritev(fd, iov, d->nr, 0);
	if (n != (ssize_t)(d->nr * PART))
		err(2, "%s: transferred %zd", step, n);
	for (i = 0; read && i < d->nr * (PART / 4); i++) {
		unsigned int part = i / (PART / 4), at = i % (PART / 4);
		uint32_t got = map[d->page[part] * WORDS + at];

		if (got == DMA(part, at))
			continue;
		wrong("the reader sees page %u word %u as %#x and not %#x",
		      d->page[part], at, got, DMA(part, at));
		break;
	}
	fflush(stdout);
	_exit(bad);
}

/* Start it, by a mapping of its own, and wait until it has its pages. */
static void hold(struct dma *d, const char *path, bool pmd, bool read)
{
	unsigned char vec[PMD / PAGE];
	unsigned int i, present = 0;
	time_t end = 0;
	word *map;

	must(!held());
	shell("dmsetup suspend --nolockfs disk");
	fflush(stdout);
	d->pid = fork();
	must(d->pid >= 0);
	if (!d->pid) {
		map = map_file(path, pmd);
		if (pmd) {
			map[SPOT] = OLD(0, SPOT);
			must(!mincore((void *)map, PMD, vec));
			for (i = 0; i < PMD / PAGE; i++)
				present += vec[i] & 1;
			if (present != PMD / PAGE)
				errx(2, "%s: there is no PMD", step);
		}
		transfer(d, map, read);
	}
	while (held() != d->nr || state_of(d->pid) != 'D') {
		if (late(&end) || waitpid(d->pid, NULL, WNOHANG))
			errx(2, "%s: the pages are not held", step);
	}
}

static void let_go(struct dma *d)
{
	time_t end = 0;
	int status;

	if (held() != d->nr || state_of(d->pid) != 'D')
		errx(2, "%s: the pages were let go early", step);
	shell("dmsetup resume disk");
	must(waitpid(d->pid, &status, 0) == d->pid);
	must(WIFEXITED(status) && WEXITSTATUS(status) != 2);
	bad |= WEXITSTATUS(status);
	while (held())
		if (late(&end))
			errx(2, "%s: pages stay held", step);
}

static bool transferred(const struct dma *d, unsigned int page)
{
	unsigned int i;

	for (i = 0; i < d->nr; i++)
		if (d->page[i] == page)
			return true;
	return false;
}

/* ---- volumes ---- */

static struct file *attach(const char *volume, bool pmd)
{
	shell("daxcow activate pool %s >/dev/null", volume);
	shell("mkdir -p /v/%s && mount -o dax=always,nouuid /dev/mapper/pool-%s /v/%s",
	      volume, volume, volume);
	return file_at(volume, pmd);
}

static struct file *snapshot(const char *origin, const char *name, bool pmd)
{
	if (try("timeout 60 daxcow snapshot pool %s %s", origin, name)) {
		wrong("no snapshot can be taken");
		exit(bad);
	}
	return attach(name, pmd);
}

static void detach(struct file *f, const char *volume)
{
	munmap((void *)f->map, SIZE);
	free(f);
	shell("umount /v/%s", volume);
	shell("daxcow deactivate pool %s", volume);
	shell("daxcow remove pool %s", volume);
}

/* Blocks that were left are free, or the next owner's alone. 0: all of them. */
static int drain(void)
{
	return try("dmsetup message pool 0 drain >/dev/null 2>&1");
}

/* ---- steps ---- */

/* The snapshot has pages of its own where the origin's are written to. */
static void compare_pfns(const struct dma *d, const struct file *f,
			 const struct file *s, const uint64_t *before)
{
	unsigned int i, same = 0;

	for (i = 0; i < PAGES; i++) {
		bool own = transferred(d, i), shared;

		shared = pfn(s->map, i) == before[i];
		same += shared;
		if (pfn(f->map, i) != before[i])
			wrong("the snapshot moved page %u of the origin", i);
		if (shared == own)
			wrong("page %u is %s by the snapshot", i,
			      own ? "written to and shared" : "not shared");
	}
	printf("%s: %u pages held, the snapshot shares %u of %u\n", step, d->nr,
	       same, PAGES);
}

/* A second snapshot of the same origin: none, after the first one, with it. */
enum second { NONE, AFTER, TOGETHER };

static void read_into(struct dma *d, bool pmd, bool stores, enum second second)
{
	static uint64_t before[PAGES];
	struct file *f, *s, *s2 = NULL;
	unsigned int i, k;

	make("base");
	make_disk();
	f = file_at("base", pmd);
	hold(d, f->path, pmd, true);
	for (i = 0; i < PAGES; i++)
		before[i] = pfn(f->map, i);
	if (second == TOGETHER) {
		if (try("timeout 60 daxcow snapshot pool base=s base=s2"))
			errx(2, "%s: no snapshots can be taken", step);
		s = attach("s", pmd);
		s2 = attach("s2", pmd);
		compare_pfns(d, f, s2, before);
	} else {
		s = snapshot("base", "s", pmd);
	}
	compare_pfns(d, f, s, before);
	compare(s, "at first");
	if (second == AFTER)
		s2 = snapshot("base", "s2", pmd);
	if (s2)
		compare(s2, "at first");
	for (i = 0; stores && i < d->nr; i++) {
		store(f, d->page[i], SPOT, STORE);
		store(f, d->page[i] + 1, SPOT, STORE);
		store(f, d->page[i] - 1, SPOT, STORE);
		if (pfn(f->map, d->page[i]) != before[d->page[i]])
			wrong("a store moved page %u, which is held", d->page[i]);
	}
	compare(f, "after stores");
	compare(s, "after stores to the origin");

	let_go(d);
	for (i = 0; i < d->nr; i++)
		for (k = 0; k < PART / 4; k++)
			f->want[d->page[i] * WORDS + k] = DMA(i, k);
	compare(f, "with the data");
	compare(s, "after the data came to the origin");
	if (s2)
		compare(s2, "after the data came to the origin");

	for (i = 0; i < d->nr; i++) {
		store(f, d->page[i], SPOT + 1, STORE);
		store(s, d->page[i], SPOT + 2, OTHER);
	}
	compare(f, "at last");
	compare(s, "at last");
	if (s2)
		detach(s2, "s2");
	detach(s, "s");
	munmap((void *)f->map, SIZE);
	free(f);
}

/*
 * What was written out may be older or newer, as those who store while they
 * write have to expect, but it is the writer's own.
 */
static void compare_disk(const struct dma *d, uint32_t newer)
{
	static uint32_t buf[MAX * PART / 4] __attribute__((aligned(PAGE)));
	int fd = open_file(DISK, O_RDWR | O_DIRECT);
	unsigned int i;

	must(pread(fd, buf, sizeof(buf), 0) == sizeof(buf));
	close(fd);
	for (i = 0; i < d->nr * (PART / 4); i++) {
		unsigned int page = d->page[i / (PART / 4)];

		if (buf[i] == OLD(page, i % (PART / 4)) || buf[i] == newer)
			continue;
		wrong("from page %u word %u was written %#x", page,
		      i % (PART / 4), buf[i]);
		return;
	}
}

static void write_from_shared(struct dma *d)
{
	struct file *f, *s;
	unsigned int i;

	make("base");
	make_disk();
	/* write permission from making the file ends with a snapshot */
	f = file_at("base", false);
	detach(snapshot("base", "none", false), "none");
	hold(d, f->path, false, false);
	s = snapshot("base", "s", false);
	compare(s, "at first");
	/* the first to store leaves the page to the other */
	for (i = 0; i < d->nr; i++)
		store(f, d->page[i], 7, STORE);
	if (!drain())
		printf("%s: nothing waits for the pages that are held\n", step);
	for (i = 0; i < d->nr; i++)
		store(s, d->page[i], 8, OTHER);
	let_go(d);
	compare_disk(d, STORE);
	compare(f, "at last");
	compare(s, "at last");
	detach(s, "s");
	munmap((void *)f->map, SIZE);
	free(f);
}

static void write_from_mapped(struct dma *d)
{
	struct file *f, *s;
	time_t end = 0;
	int status;

	make("base");
	make_disk();
	f = file_at("base", false);
	s = snapshot("base", "s", false);
	compare(f, "at first");
	compare(s, "at first");
	fflush(stdout);
	d->pid = fork();
	must(d->pid >= 0);
	if (!d->pid)
		transfer(d, f->map, false);
	while (!waitpid(d->pid, &status, WNOHANG)) {
		if (late(&end)) {
			wrong("the write does not end (state %c)", state_of(d->pid));
			kill(d->pid, SIGKILL);
			must(waitpid(d->pid, &status, 0) == d->pid);
			exit(bad);
		}
	}
	must(WIFEXITED(status) && !WEXITSTATUS(status));
	compare_disk(d, OLD(d->page[0], 0));
	detach(s, "s");
	munmap((void *)f->map, SIZE);
	free(f);
}

static void write_from_left(struct dma *d)
{
	struct file *f, *s;
	unsigned int i, k;
	time_t end = 0;

	shell("daxcow create pool first --size 320M");
	shell("daxcow activate pool first >/dev/null");
	shell("mkfs.xfs -q /dev/mapper/pool-first 2>/dev/null");
	shell("mkdir -p /v/first && mount -o dax=always,nouuid /dev/mapper/pool-first /v/first");
	make("first");
	make_disk();
	s = snapshot("first", "second", false);
	hold(d, s->path, false, false);
	/* not before: who writes would inherit it, and it has to go */
	f = file_at("first", false);
	for (i = 0; i < PAGES; i++)
		if (pfn(f->map, i) != pfn(s->map, i))
			errx(2, "%s: page %u is not shared", step, i);

	/* one owner stores, the other is deleted */
	for (i = 0; i < d->nr; i++)
		for (k = 0; k < WORDS; k++)
			store(s, d->page[i], k, STORE);
	detach(f, "first");
	if (!drain())
		wrong("nothing waits for the pages that are held");

	/* now what is free is used */
	shell("daxcow create pool fill --size 1G && daxcow activate pool fill >/dev/null");
	if (!try("xfs_io -d -c 'pwrite -q -b 1m -S %#x 0 1g' /dev/mapper/pool-fill 2>/dev/null", FILL))
		errx(2, "%s: the pool is not full", step);
	let_go(d);
	compare_disk(d, STORE);
	compare(s, "at last");
	while (drain())
		if (late(&end))
			errx(2, "%s: pages are still waited for", step);
	shell("daxcow deactivate pool fill && daxcow remove pool fill");
	detach(s, "second");
}

int main(int argc, char **argv)
{
	struct dma one = { .nr = 1, .page = { 77 } };
	struct dma many = { .nr = 6, .page = { 3, 4, 9, 200, 511, 1000 } };
	struct dma pmd = { .nr = 3, .page = { 100, 101, 300 } };

	step = argc == 2 ? argv[1] : "?";
	if (!strcmp(step, "one"))
		read_into(&one, false, true, NONE);
	else if (!strcmp(step, "many"))
		read_into(&many, false, true, NONE);
	else if (!strcmp(step, "pmd"))
		read_into(&pmd, true, false, NONE);
	else if (!strcmp(step, "pmd-store"))
		read_into(&pmd, true, true, NONE);
	else if (!strcmp(step, "twice"))
		read_into(&one, false, false, AFTER);
	else if (!strcmp(step, "joint"))
		read_into(&one, false, false, TOGETHER);
	else if (!strcmp(step, "busy"))
		write_from_mapped(&one);
	else if (!strcmp(step, "out"))
		write_from_shared(&many);
	else if (!strcmp(step, "owner"))
		write_from_left(&many);
	else
		errx(2, "usage: pinned-page one|many|pmd|pmd-store|twice|joint|busy|out|owner");
	printf("%s: %s\n", step, bad ? "WRONG" : "as it should be");
	return bad;
}
