// SPDX-License-Identifier: GPL-2.0
/*
 * merge-cancel A B MAJOR MINOR
 *
 * Files A and B have PAGES equal pages each. A write(2) to a page of one of them is
 * held in its middle: what it writes comes from memory that is not there yet. What was
 * there is in the page by then, and the kernel does not keep the address meanwhile: the
 * merge finds the pages different, and nobody waits for anybody.
 *
 *   before  It began before the merge.
 *   after   It began while others of the batch were being merged.
 *
 * Each with the page that is to be kept, and with the one that is to be dropped.
 * Afterwards what was written is in the one file and not in the other.
 *
 * Exit status: 0 it was so, 1 it was not, 2 could not run.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-daxcow.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE	4096
#define PAGES	2000
#define PM_PFN	((1ull << 55) - 1)
#define BEGUN	16	/* bytes that are written before it is held */

#define must(x) do { if (!(x)) err(2, "%s: %s", step, #x); } while (0)

struct file {
	int fd;
	char *map;
};

/* A write to the page at @at, held by memory that is missing. */
struct held {
	pthread_t thread;
	int fd, uffd;
	off_t at;
	char *buf;	/* two pages, of which the second one is missing */
	ssize_t ret;
};

struct merge {
	pthread_t thread;
	struct daxcow_merge_pair pair[PAGES];
	unsigned int nr;
	atomic_bool done;
};

static const char *step;
static int control, pagemap, bad;
static __u32 major, minor;
static struct file file[2];

static void wrong(const char *what)
{
	printf("%s: %s\n", step, what);
	fflush(stdout);
	bad = 1;
}

static __u64 frame(const struct file *f, unsigned int page)
{
	const volatile char *p = f->map + page * PAGE;
	uint64_t e = 0;

	(void)*p;
	must(pread(pagemap, &e, sizeof(e), (uintptr_t)p / PAGE * sizeof(e)) == sizeof(e));
	return e & PM_PFN;
}

static __u64 block(const struct file *f, unsigned int page)
{
	struct daxcow_ioc_owners x = {
		.size = sizeof(x),
		.flags = DAXCOW_OWNERS_PFN,
		.major = major,
		.minor = minor,
		.block = frame(f, page),
	};

	must(!ioctl(control, DAXCOW_IOC_OWNERS, &x));
	return x.block;
}

/* ---- a write that is held ---- */

static void *write_it(void *arg)
{
	struct held *h = arg;

	h->ret = pwrite(h->fd, h->buf + PAGE - BEGUN, PAGE, h->at);
	return NULL;
}

static void hold(struct held *h, const struct file *f, unsigned int page, char c)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffd_msg msg;
	struct pollfd p;

	h->fd = f->fd;
	h->at = (off_t)page * PAGE;
	h->buf = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(h->buf != MAP_FAILED);
	memset(h->buf, c, PAGE);
	h->uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	must(h->uffd >= 0 && !ioctl(h->uffd, UFFDIO_API, &api));
	reg.range.start = (uintptr_t)h->buf + PAGE;
	reg.range.len = PAGE;
	must(!ioctl(h->uffd, UFFDIO_REGISTER, &reg));
	must(!pthread_create(&h->thread, NULL, write_it, h));
	p = (struct pollfd){ .fd = h->uffd, .events = POLLIN };
	must(poll(&p, 1, 60000) == 1);
	must(read(h->uffd, &msg, sizeof(msg)) == sizeof(msg));
	must(msg.event == UFFD_EVENT_PAGEFAULT);
}

static void let_go(struct held *h, char c)
{
	char from[PAGE];
	struct uffdio_copy copy = {
		.dst = (uintptr_t)h->buf + PAGE,
		.src = (uintptr_t)from,
		.len = PAGE,
	};

	memset(from, c, PAGE);
	must(!ioctl(h->uffd, UFFDIO_COPY, &copy));
	must(!pthread_join(h->thread, NULL));
	must(h->ret == PAGE);
	close(h->uffd);
	munmap(h->buf, 2 * PAGE);
}

/* ---- a merge ---- */

static void *merge_it(void *arg)
{
	struct merge *m = arg;
	struct daxcow_ioc_merge x = {
		.size = sizeof(x),
		.major = major,
		.minor = minor,
		.nr = m->nr,
		.pairs = (uintptr_t)m->pair,
	};

	must(!ioctl(control, DAXCOW_IOC_MERGE, &x));
	m->done = true;
	return NULL;
}

static void pair_up(struct merge *m, unsigned int page)
{
	m->pair[m->nr++] = (struct daxcow_merge_pair) {
		.keep = block(&file[0], page),
		.drop = block(&file[1], page),
		.nr = 1,
		.generation = ~0U,
	};
}

static void start(struct merge *m)
{
	m->done = false;
	must(!pthread_create(&m->thread, NULL, merge_it, m));
}

/* ---- what has to be ---- */

static void compare(const struct file *f, unsigned int page, char want)
{
	int i;

	for (i = 0; i < PAGE; i++) {
		if (f->map[page * PAGE + i] == want)
			continue;
		printf("%s: byte %d of file %c is %#x and not %#x\n", step, i,
		       f == file ? 'A' : 'B', f->map[page * PAGE + i], want);
		bad = 1;
		return;
	}
}

static void expect(const struct merge *m, unsigned int i, __u32 status)
{
	if (m->pair[i].status == status)
		return;
	printf("%s: the answer is %u and not %u\n", step, m->pair[i].status, status);
	bad = 1;
}

/* It differs; or was written to since it was looked at. */
static void left_alone(const struct merge *m, unsigned int i)
{
	if (m->pair[i].status != DAXCOW_MERGE_DIFFERS)
		expect(m, i, DAXCOW_MERGE_STALE);
}

static void before(unsigned int page, unsigned int who)
{
	static struct merge m;
	struct held h;

	m.nr = 0;
	pair_up(&m, page);
	hold(&h, &file[who], page, 'x');
	start(&m);
	/* it does not wait for who is held */
	must(!pthread_join(m.thread, NULL));
	let_go(&h, 'x');
	expect(&m, 0, DAXCOW_MERGE_DIFFERS);
	compare(&file[who], page, 'x');
	compare(&file[!who], page, '1');
}

static void after(unsigned int first, unsigned int last, unsigned int who)
{
	static struct merge m;
	unsigned int page, at = first;
	struct held h;

	m.nr = 0;
	for (page = first; page <= last; page++)
		pair_up(&m, page);
	start(&m);
	while (frame(&file[0], at) != frame(&file[1], at) && !m.done)
		;
	hold(&h, &file[who], last, 'y');
	if (m.done)
		wrong("the merge was too fast to see anything");
	/* it does not wait for who is held now */
	must(!pthread_join(m.thread, NULL));
	expect(&m, 0, DAXCOW_MERGE_MERGED);
	left_alone(&m, m.nr - 1);
	let_go(&h, 'y');
	compare(&file[who], last, 'y');
	compare(&file[!who], last, '1');
}

int main(int argc, char **argv)
{
	int i;

	if (argc != 5)
		errx(2, "usage: merge-cancel A B MAJOR MINOR");
	step = "start";
	major = strtoul(argv[3], NULL, 0);
	minor = strtoul(argv[4], NULL, 0);
	control = open("/dev/daxcow", O_RDWR);
	pagemap = open("/proc/self/pagemap", O_RDONLY);
	must(control >= 0 && pagemap >= 0);
	for (i = 0; i < 2; i++) {
		file[i].fd = open(argv[i + 1], O_RDWR);
		must(file[i].fd >= 0);
		file[i].map = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED,
				   file[i].fd, 0);
		must(file[i].map != MAP_FAILED);
	}
	for (i = 0; i < 2; i++) {
		step = i ? "before, dropped" : "before, kept";
		before(i, i);
	}
	for (i = 0; i < 2; i++) {
		step = i ? "after, dropped" : "after, kept";
		after(2 + i * 998, 2 + i * 998 + 997, i);
	}
	return bad;
}
