// SPDX-License-Identifier: GPL-2.0
/*
 * last-owner STEP
 *
 * A page that two volumes share loses one owner, who writes, while somebody
 * still reads the page on behalf of that owner. The other one is the last owner
 * then, but must not write the page in place, and nobody else may get it: the
 * reader would see what is none of its business.
 *
 * Pool "pool" with volume "a", mounted at /v/a, is there already, for all steps
 * but the first also its clone "b", at /v/b. What "a" reads from is left by "a"
 * first.
 *
 *   make	the files, before the clone
 *   read	read(2) of a page sleeps in the middle, as it faults on the buffer. That
 *		holds up nobody, and it asks anew where the page is
 *   chunk	read(2) of 2 MiB that are one block goes on all the time
 *   pipe	the page is in a pipe, by vmsplice(2)
 *   dma	direct I/O from a mapping, to a device "disk" that is suspended
 *   deleted	the page of a volume is in a pipe, and the volume is deleted
 *   free	both owners leave, and the pool gets full; "b" is gone then
 *
 * Exit status: 0 as it should be, 1 not, 2 could not be tried.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "dm.h"

#define PMD	(2UL << 20)
#define PAGE	4096UL
#define WORDS	1024U
#define PAGES	1024U
#define SIZE	(PAGES * PAGE)
#define DISK	"/dev/mapper/disk"

/* what is where, in a page of the file */
#define OLD(page, word)	((page) << 10 | (word))
#define SPOT	900U		/* the word that "a" stores to */
#define STORE	0xe0000001U
#define OTHER	0xe0000002U
#define FILL	0xee

#define DRAIN	"dmsetup message pool 0 drain >/dev/null 2>&1"

typedef volatile uint32_t word;

static const char *step;
static int bad;

struct file {
	char path[64];
	word *map;
	uint32_t want[PAGES * WORDS];
};

/* a transfer from a file that is held back */
struct transfer {
	pthread_t thread;
	bool write;		/* from a mapping to the disk, not read(2) */
	int fd, uffd;
	char *buf;
	size_t len, off;
	struct uffdio_range missing;
	ssize_t ret;
	atomic_bool done;
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
	fflush(stdout);
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

static struct file *file_at(const char *volume)
{
	struct file *f = calloc(1, sizeof(*f));
	unsigned int i;
	char *p;
	int fd;

	must(f);
	snprintf(f->path, sizeof(f->path), "/v/%s/%s", volume, step);
	for (i = 0; i < PAGES * WORDS; i++)
		f->want[i] = OLD(i / WORDS, i % WORDS);
	fd = open_file(f->path, O_RDWR);
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(p != MAP_FAILED);
	close(fd);
	f->map = (word *)p;
	return f;
}

static void make(const char *name)
{
	static uint32_t buf[PMD / 4];
	char path[64];
	size_t i, n;
	int fd;

	snprintf(path, sizeof(path), "/v/a/%s", name);
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

static uint64_t pfn(const struct file *f, unsigned int page)
{
	static int fd = -1;
	uint64_t entry;

	(void)f->map[page * WORDS];
	if (fd < 0)
		fd = open_file("/proc/self/pagemap", O_RDONLY);
	must(pread(fd, &entry, 8, (uintptr_t)(f->map + page * WORDS) / PAGE * 8) == 8);
	must(entry >> 63);
	return entry & ((1ULL << 55) - 1);
}

static uint64_t shared_pfn(const struct file *a, const struct file *b,
			   unsigned int page)
{
	if (pfn(a, page) != pfn(b, page))
		errx(2, "%s: page %u is not shared", step, page);
	return pfn(a, page);
}

static void compare(const struct file *f)
{
	unsigned int i;

	for (i = 0; i < PAGES * WORDS; i++) {
		if (f->map[i] == f->want[i])
			continue;
		wrong("%s: page %u word %u is %#x and not %#x", f->path,
		      i / WORDS, i % WORDS, f->map[i], f->want[i]);
		return;
	}
}

/* Whoever read may have older or newer bytes of "a", but no others. */
static void is_of_a(const char *who, const uint32_t *buf, size_t len,
		    unsigned int page, unsigned int at)
{
	unsigned int i, n;

	for (i = 0; i < len / 4; i++) {
		n = page * WORDS + at + i;
		if (buf[i] == OLD(n / WORDS, n % WORDS) ||
		    (n % WORDS == SPOT && buf[i] == STORE))
			continue;
		wrong("%s got %#x as page %u word %u", who, buf[i], n / WORDS,
		      n % WORDS);
		return;
	}
}

static void store(struct file *f, unsigned int page, unsigned int at,
		  uint32_t value)
{
	f->map[page * WORDS + at] = value;
	f->want[page * WORDS + at] = value;
}

/* ---- the pool ---- */

/* How many pages of the pool something has a reference to. */
static unsigned int held(void)
{
	FILE *p = popen("dmsetup message pool 0 pages", "r");
	unsigned int n;

	must(p && fscanf(p, "pages %*u mapping %*u share %*u held %u", &n) == 1);
	pclose(p);
	return n;
}

/* How many blocks wait for those who still read them. */
static unsigned int pending(void)
{
	FILE *p = popen("dmsetup message pool 0 stats | sed -n 's/^pending //p'", "r");
	unsigned int n;

	must(p && fscanf(p, "%u", &n) == 1);
	pclose(p);
	return n;
}

/* The pool has some time to forget, wrongly, that a block is read. */
static void wait_for_haste(void)
{
	unsigned int n;

	for (n = 0; n < 10; n++) {
		if (!pending()) {
			wrong("nothing waits for the reader");
			return;
		}
		usleep(50000);
	}
}

static void drain(void)
{
	time_t end = 0;

	while (try(DRAIN)) {
		if (late(&end)) {
			wrong("blocks are still waited for");
			return;
		}
	}
}

/* ---- transfers that are held back ---- */

static void *transfer(void *arg)
{
	struct transfer *t = arg;

	t->ret = t->write ? pwrite(t->fd, t->buf, t->len, t->off) :
			    pread(t->fd, t->buf, t->len, t->off);
	t->done = true;
	return NULL;
}

static void start(struct transfer *t)
{
	must(!pthread_create(&t->thread, NULL, transfer, t));
}

/* Read, and do not get beyond the first half. */
static void start_read(struct transfer *t, const struct file *f,
		       unsigned int page, size_t len)
{
	struct uffdio_api api = { .api = UFFD_API };
	size_t half = len / 2, first = (half + PAGE - 1) & ~(PAGE - 1);
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffd_msg msg;
	struct pollfd p;
	char *m;

	t->uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	must(t->uffd >= 0 && !ioctl(t->uffd, UFFDIO_API, &api));
	m = mmap(NULL, 2 * first, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(m != MAP_FAILED && !madvise(m, 2 * first, MADV_NOHUGEPAGE));
	memset(m, 0x55, first);
	reg.range.start = (uintptr_t)m + first;
	reg.range.len = first;
	must(!ioctl(t->uffd, UFFDIO_REGISTER, &reg));
	t->missing = reg.range;
	t->buf = m + first - half;
	t->len = len;
	t->off = page * PAGE;
	t->fd = open_file(f->path, O_RDONLY);
	start(t);
	p = (struct pollfd){ .fd = t->uffd, .events = POLLIN };
	if (poll(&p, 1, 60000) != 1 ||
	    read(t->uffd, &msg, sizeof(msg)) != sizeof(msg) ||
	    msg.event != UFFD_EVENT_PAGEFAULT)
		errx(2, "%s: the reader does not fault", step);
}

static void join(struct transfer *t)
{
	must(!pthread_join(t->thread, NULL));
	close(t->fd);
	if (t->ret != (ssize_t)t->len)
		errx(2, "%s: %zd bytes transferred", step, t->ret);
}

static void finish_read(struct transfer *t)
{
	if (t->done)
		errx(2, "%s: the reader did not wait", step);
	/* nobody waits for a fault of this range any more */
	must(!ioctl(t->uffd, UFFDIO_UNREGISTER, &t->missing));
	join(t);
	close(t->uffd);
	is_of_a("the reader", (uint32_t *)t->buf, t->len, t->off / PAGE, 0);
}

/* ---- steps ---- */

/* "a" leaves the page, which was shared at @was, and "b" would be alone. */
static void leave(struct file *a, struct file *b, unsigned int page,
		  uint64_t was)
{
	unsigned int i;

	store(a, page, SPOT, STORE);
	if (pfn(a, page) == was)
		wrong("page %u: the store to a shared page did not move it", page);
	/* that it is held has to be seen when "b" writes */
	drain();
	for (i = 0; i < WORDS; i++)
		store(b, page, i, OTHER);
	if (pfn(b, page) == was)
		wrong("page %u is written where it is read", page);
}

/* Nobody holds it: then it is no longer shared, and stays where it is. */
static void leave_for_good(struct file *a, struct file *b, unsigned int page)
{
	uint64_t was = shared_pfn(a, b, page);

	store(a, page, SPOT, STORE);
	drain();
	store(b, page, SPOT, OTHER);
	if (pfn(b, page) != was)
		wrong("the only owner of page %u left it", page);
}

static void end(struct file *a, struct file *b)
{
	drain();
	if (pending())
		wrong("%u blocks are lost", pending());
	compare(a);
	compare(b);
}

static void read_page(void)
{
	struct file *a = file_at("a"), *b = file_at("b");
	struct transfer t = { 0 };

	start_read(&t, a, 77, PAGE);
	/* a reader who takes his time holds up nobody else */
	leave_for_good(a, b, 77);
	if (try("timeout 60 daxcow snapshot pool a probe") ||
	    try("timeout 60 daxcow remove pool probe"))
		wrong("no snapshot while somebody reads");
	finish_read(&t);
	end(a, b);
	leave_for_good(a, b, 600);
	end(a, b);
}

static struct file *read_all_of;
static atomic_bool stop;

static void *read_all(void *arg)
{
	static uint32_t buf[PMD / 4];
	int fd = open_file(read_all_of->path, O_RDONLY);

	memset(buf, 0, sizeof(buf));
	while (!stop) {
		must(pread(fd, buf, PMD, 0) == (ssize_t)PMD);
		is_of_a("the reader", buf, PMD, 0, 0);
	}
	close(fd);
	return arg;
}

/*
 * As soon as a page is the last owner's he stores to it; from the end, so that what is
 * before it is still in one piece, and a reader who is there has a long way to go.
 */
static void read_chunk(void)
{
	struct file *a = file_at("a"), *b = file_at("b");
	unsigned int page = PMD / PAGE, i;
	pthread_t thread;

	shared_pfn(a, b, 0);
	read_all_of = a;
	must(!pthread_create(&thread, NULL, read_all, NULL));
	while (page-- && !bad) {
		store(a, page, SPOT, STORE);
		/* the same as drain(), without a process for it */
		while (dm_message("pool", "drain"))
			usleep(100);
		for (i = 0; i < WORDS; i++)
			store(b, page, i, OTHER);
	}
	stop = true;
	must(!pthread_join(thread, NULL));
	end(a, b);
}

static void put_in_pipe(int *fd, const struct file *a, unsigned int page,
			unsigned int at, size_t len)
{
	struct iovec iov = {
		.iov_base = (void *)(a->map + page * WORDS + at),
		.iov_len = len,
	};
	unsigned int before = held();

	must(!pipe(fd));
	must(vmsplice(fd[1], &iov, 1, 0) == (ssize_t)len);
	if (held() != before + 1)
		errx(2, "%s: the pipe has a copy", step);
}

static void read_pipe(int *fd, unsigned int page, unsigned int at, size_t len)
{
	static uint32_t buf[WORDS];

	must(read(fd[0], buf, len) == (ssize_t)len);
	is_of_a("the other end", buf, len, page, at);
	close(fd[0]);
	close(fd[1]);
}

static void read_by_pipe(void)
{
	struct file *a = file_at("a"), *b = file_at("b");
	uint64_t was = shared_pfn(a, b, 600);
	int fd[2];

	put_in_pipe(fd, a, 600, 100, 1000);
	leave(a, b, 600, was);
	read_pipe(fd, 600, 100, 1000);
	end(a, b);
}

static void read_by_dma(void)
{
	static uint32_t buf[PAGE / 4] __attribute__((aligned(PAGE)));
	struct file *a = file_at("a"), *b = file_at("b");
	struct transfer t = { .write = true, .len = PAGE };
	uint64_t was = shared_pfn(a, b, 600);
	time_t end_time = 0;

	shell("dmsetup suspend --nolockfs disk");
	t.buf = (char *)(a->map + 600 * WORDS);
	t.fd = open_file(DISK, O_RDWR | O_DIRECT);
	start(&t);
	while (!held()) {
		if (late(&end_time) || t.done)
			errx(2, "%s: the page is not held", step);
	}
	leave(a, b, 600, was);
	if (t.done || !held())
		errx(2, "%s: the transfer did not wait", step);
	shell("dmsetup resume disk");
	join(&t);
	t.fd = open_file(DISK, O_RDWR | O_DIRECT);
	must(pread(t.fd, buf, PAGE, 0) == (ssize_t)PAGE);
	close(t.fd);
	is_of_a("the disk", buf, PAGE, 600, 0);
	end(a, b);
}

/* A volume is deleted, whose page is in a pipe, and its origin stores. */
static void deleted(void)
{
	struct file *a, *c;
	uint64_t was;
	int fd[2];

	make(step);
	a = file_at("a");
	shell("daxcow clone pool a c >/dev/null && mkdir -p /v/c");
	shell("mount -o dax=always,nouuid /dev/mapper/pool-c /v/c");
	c = file_at("c");
	was = shared_pfn(a, c, 600);
	put_in_pipe(fd, c, 600, 100, 1000);
	munmap((void *)c->map, SIZE);
	shell("umount /v/c && daxcow deactivate pool c && daxcow remove pool c");
	drain();
	store(a, 600, 101, OTHER);
	if (pfn(a, 600) == was)
		wrong("page 600 is written where it is read");
	read_pipe(fd, 600, 100, 1000);
	drain();
	compare(a);
}

static void use_all(void)
{
	if (!try("xfs_io -d -c 'pwrite -q -b 1m -S %#x 0 1g' /dev/mapper/pool-fill 2>/dev/null", FILL))
		errx(2, "%s: the pool is not full", step);
}

static void both_leave(void)
{
	struct file *a = file_at("a");
	struct transfer t = { 0 };
	unsigned int i;
	int fd[2];

	put_in_pipe(fd, a, 600, 0, PAGE);
	start_read(&t, a, 0, PMD);
	for (i = 0; i < PAGES; i++)
		store(a, i, SPOT, STORE);
	shell("umount /v/b && blkdiscard -f /dev/mapper/pool-b");
	wait_for_haste();

	/* now what is free is used, and what becomes free with the reader */
	shell("daxcow create pool fill --size 1G && daxcow activate pool fill >/dev/null");
	use_all();
	finish_read(&t);
	if (!try(DRAIN))
		wrong("nothing waits for what is in the pipe");
	use_all();
	read_pipe(fd, 600, 0, PAGE);
	shell("daxcow deactivate pool fill && daxcow remove pool fill");
	drain();
	compare(a);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} steps[] = {
		{ "read", read_page },
		{ "chunk", read_chunk },
		{ "pipe", read_by_pipe },
		{ "dma", read_by_dma },
		{ "deleted", deleted },
		{ "free", both_leave },
	};
	unsigned int i, done = 0;

	step = argc == 2 ? argv[1] : "?";
	for (i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		if (!strcmp(step, "make")) {
			/* the clone does not have this one */
			if (steps[i].run != deleted)
				make(steps[i].name);
			done++;
		} else if (!strcmp(step, steps[i].name)) {
			steps[i].run();
			done++;
		}
	}
	if (!done)
		errx(2, "usage: last-owner make|read|chunk|pipe|dma|deleted|free");
	printf("%s: %s\n", step, bad ? "WRONG" : "as it should be");
	return bad;
}
