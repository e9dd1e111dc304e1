// SPDX-License-Identifier: GPL-2.0
/*
 * merge-race A B MAJOR MINOR ROUNDS [SEED]
 *
 * One process writes the first page of file A, by stores, by MAP_SYNC stores and by
 * write(2), and now and then has it written back, so that it is clean for a moment;
 * half of the time it is equal to the first page of file B. Others ask for the two to
 * be merged, again and again, the one into the other and the other way round. After
 * each write A must be what was written, and B what it always was.
 *
 * Exit status: 0 it was so, and some were merged, 1 it was not, 2 could not run.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-daxcow.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE		4096
#define PM_PFN		((1ull << 55) - 1)
#define MERGERS		2
#define PAIRS		2000
#define ANSWERS		(DAXCOW_MERGE_NO_MEMORY + 1)

struct shared {
	volatile bool stop;
	unsigned long answer[ANSWERS];
};

static struct shared *s;
static const char *path[2];
static __u32 major, minor;
static uint64_t rng;

static uint64_t rnd(uint64_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 11) % n;
}

static char *map(const char *name, int flags, int prot)
{
	int fd = open(name, O_RDWR);
	char *p;

	if (fd < 0)
		err(2, "%s", name);
	p = mmap(NULL, PAGE, prot, flags, fd, 0);
	if (p == MAP_FAILED)
		err(2, "%s: mmap", name);
	close(fd);
	return p;
}

/* ---- who merges ---- */

static uint64_t frame(int pagemap, const volatile char *p)
{
	uint64_t e = 0;

	(void)*p;
	if (pread(pagemap, &e, sizeof(e), (uintptr_t)p / PAGE * sizeof(e)) != sizeof(e))
		err(2, "pagemap");
	return e & PM_PFN;
}

static __u64 block_of(int control, uint64_t pfn)
{
	struct daxcow_ioc_owners x = {
		.size = sizeof(x),
		.flags = DAXCOW_OWNERS_PFN,
		.major = major,
		.minor = minor,
		.block = pfn,
	};

	return ioctl(control, DAXCOW_IOC_OWNERS, &x) ? 0 : x.block;
}

/*
 * The pair is the first of a batch, and the others are nothing but what takes time
 * between the moment it is looked at first and the generation that begins then.
 */
static void merge_often(void)
{
	static struct daxcow_merge_pair pair[PAIRS];
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	int control = open("/dev/daxcow", O_RDWR);
	char *p[2] = {
		map(path[0], MAP_SHARED, PROT_READ),
		map(path[1], MAP_SHARED, PROT_READ),
	};

	if (control < 0 || pagemap < 0)
		err(2, "/dev/daxcow");
	while (!s->stop) {
		unsigned int a = rnd(2), i;
		struct daxcow_ioc_merge x = {
			.size = sizeof(x),
			.major = major,
			.minor = minor,
			.nr = 1 + rnd(PAIRS),
			.rest = rnd(2),
			.pairs = (uintptr_t)pair,
		};

		pair[0].keep = block_of(control, frame(pagemap, p[a]));
		pair[0].drop = block_of(control, frame(pagemap, p[!a]));
		if (!pair[0].keep || !pair[0].drop)
			continue;
		for (i = 0; i < x.nr; i++) {
			if (i)
				pair[i] = pair[0];
			if (i)
				pair[i].drop = pair[0].keep;
			pair[i].nr = 1;
			pair[i].generation = ~0U;
		}
		if (ioctl(control, DAXCOW_IOC_MERGE, &x))
			err(2, "merge");
		__atomic_fetch_add(&s->answer[pair[0].status], 1, __ATOMIC_RELAXED);
	}
	_exit(0);
}

/* ---- who writes ---- */

static void compare(const char *p, const char *want, const char *what,
		    unsigned long round, unsigned int way)
{
	int i;

	for (i = 0; i < PAGE; i++) {
		if (p[i] == want[i])
			continue;
		s->stop = true;
		errx(1, "round %lu, way %u: byte %d of %s is %#x and not %#x", round,
		     way, i, what, p[i], want[i]);
	}
}

static void write_often(unsigned long rounds)
{
	char *a = map(path[0], MAP_SHARED, PROT_READ | PROT_WRITE);
	char *sync = map(path[0], MAP_SHARED_VALIDATE | MAP_SYNC,
			 PROT_READ | PROT_WRITE);
	char *b = map(path[1], MAP_SHARED, PROT_READ);
	int fd = open(path[0], O_RDWR);
	char equal[PAGE], want[PAGE], got[PAGE];
	unsigned long i;

	memcpy(equal, b, PAGE);
	for (i = 0; i < rounds && !s->stop; i++) {
		unsigned int way = rnd(4);

		memcpy(want, equal, PAGE);
		if (rnd(2))
			want[rnd(PAGE)] ^= 1 + rnd(255);
		if (way == 0)
			memcpy(a, want, PAGE);
		else if (way == 1)
			memcpy(sync, want, PAGE);
		else if (pwrite(fd, want, PAGE, 0) != PAGE)
			err(2, "write");
		if (rnd(2) && msync(a, PAGE, MS_SYNC))
			err(2, "msync");
		if (!rnd(8))
			usleep(rnd(3000));
		compare(a, want, "A", i, way);
		compare(b, equal, "B", i, way);
		if (pread(fd, got, PAGE, 0) != PAGE)
			err(2, "read");
		compare(got, want, "A, read,", i, way);
	}
	s->stop = true;
}

int main(int argc, char **argv)
{
	static const char *const name[ANSWERS] = {
		"not tried", "merged", "same", "differs", "stale", "hot",
		"pinned", "cap", "bad", "domain", "huge", "no memory",
	};
	int i, status, bad = 0;

	if (argc < 6)
		errx(2, "usage: merge-race A B MAJOR MINOR ROUNDS [SEED]");
	path[0] = argv[1];
	path[1] = argv[2];
	major = strtoul(argv[3], NULL, 0);
	minor = strtoul(argv[4], NULL, 0);
	rng = argc > 6 ? strtoull(argv[6], NULL, 0) * 2 + 1 : 1;
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		return 2;
	for (i = 0; i <= MERGERS; i++) {
		if (fork())
			continue;
		rng += i * 77;
		if (i < MERGERS)
			merge_often();
		write_often(strtoul(argv[5], NULL, 0));
		_exit(0);
	}
	while (wait(&status) > 0) {
		if (!WIFEXITED(status))
			bad = 2;
		else if (WEXITSTATUS(status) && bad != 1)
			bad = WEXITSTATUS(status);
		if (bad)
			s->stop = true;
	}
	for (i = 0; i < ANSWERS; i++)
		if (s->answer[i])
			printf("%s: %lu\n", name[i], s->answer[i]);
	return bad ? bad : s->answer[DAXCOW_MERGE_MERGED] ? 0 : 1;
}
