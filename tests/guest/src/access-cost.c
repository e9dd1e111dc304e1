// SPDX-License-Identifier: GPL-2.0
/*
 * access-cost OPERATION PATH [SLOT]
 * access-cost snapshots POOL ORIGIN FROM TO OPERATION PATH
 * access-cost floor
 *
 * What accesses to scattered pages cost, in nanoseconds, which are instructions in a guest
 * with --icount. PATH, a file or a block device, is taken for slots of 64 KiB, the
 * smallest block of dm-thin, or of SLOT KiB, and one page of each of 4,096 slots is
 * accessed: first of one slot in each 2 MiB, then of the others. Prints both as JSON.
 *
 * fault-read, fault-write	the first access through a mapping; 4 KiB at a time
 * fault-upgrade		a store to what has been read through that mapping
 * huge-read, huge-write	the first access to each 2 MiB that can be mapped at once
 * read, write			pread(2), pwrite(2) of 4 KiB
 * direct-read, direct-write	the same with O_DIRECT
 *
 * "snapshots" takes snapshots of volume ORIGIN, ids FROM to TO, by messages to POOL, and
 * after each does OPERATION to some pages. It measures nothing. "floor" is what cannot be
 * avoided: the clock, which all others have been freed from, an empty system call, the
 * first store to a page without a file, and copying 4 KiB past the cache.
 */
#define _GNU_SOURCE
#include <emmintrin.h>
#include <err.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dm.h"

#define PAGE		4096UL
#define HUGE		(2UL << 20)
#define SLOTS		4096
/* pages that are written between two snapshots */
#define BETWEEN		16

#define must(x) do { if (!(x)) err(2, "line %d: %s", __LINE__, #x); } while (0)

static const struct operation {
	const char *name;
	void (*access)(size_t off);
	bool mapped;
	bool huge;
	bool direct;
} *op;

static volatile char *map;
static char *buf;
static int fd;
static size_t slot_size = 64UL << 10;
static uint64_t cost[SLOTS], clock_cost;
static unsigned int order[SLOTS];

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* ---- the operations ---- */

static void load(size_t off)
{
	(void)map[off];
}

static void store(size_t off)
{
	map[off] = 1;
}

static void file_read(size_t off)
{
	must(pread(fd, buf, PAGE, off) == (ssize_t)PAGE);
}

static void file_write(size_t off)
{
	must(pwrite(fd, buf, PAGE, off) == (ssize_t)PAGE);
}

static void syscall_empty(size_t off)
{
	(void)off;
	syscall(__NR_getppid);
}

static void nothing(size_t off)
{
	(void)off;
}

static void copy_past_cache(size_t off)
{
	const long long *from = (void *)buf;
	long long *to = (long long *)(map + off);

	for (size_t i = 0; i < PAGE / sizeof(*to); i += 4) {
		_mm_stream_si64(to + i, from[i]);
		_mm_stream_si64(to + i + 1, from[i + 1]);
		_mm_stream_si64(to + i + 2, from[i + 2]);
		_mm_stream_si64(to + i + 3, from[i + 3]);
	}
	_mm_sfence();
}

static const struct operation operations[] = {
	{ "fault-read", .access = load, .mapped = true },
	{ "fault-write", .access = store, .mapped = true },
	{ "fault-upgrade", .access = store, .mapped = true },
	{ "huge-read", .access = load, .mapped = true, .huge = true },
	{ "huge-write", .access = store, .mapped = true, .huge = true },
	{ "read", .access = file_read },
	{ "write", .access = file_write },
	{ "direct-read", .access = file_read, .direct = true },
	{ "direct-write", .access = file_write, .direct = true },
	{ }
};

static void choose(const char *name)
{
	op = operations;
	while (op->name && strcmp(op->name, name))
		op++;
	if (!op->name)
		errx(2, "no operation %s", name);
}

/* ---- which pages ---- */

/* A number that looks like chance, and is the same each time. */
static unsigned int mixed(unsigned int x)
{
	x = (x ^ (x >> 16)) * 0x45d9f3b;
	x = (x ^ (x >> 16)) * 0x45d9f3b;
	return x ^ (x >> 16);
}

static size_t page_of(unsigned int slot)
{
	return slot * slot_size + mixed(slot) % (slot_size / PAGE) * PAGE;
}

static void swap(unsigned int *a, unsigned int *b)
{
	unsigned int x = *a;

	*a = *b;
	*b = x;
}

static void shuffle(unsigned int *at, unsigned int nr)
{
	for (unsigned int i = nr; i > 1; i--)
		swap(&at[i - 1], &at[mixed(i) % i]);
}

/* One slot of each 2 MiB comes first. */
static void choose_order(unsigned int nr)
{
	unsigned int per_huge = HUGE / slot_size, regions = nr / per_huge;

	for (unsigned int i = 0; i < regions; i++)
		for (unsigned int j = 0; j < per_huge; j++)
			order[j * regions + i] = i * per_huge + (j + mixed(i)) % per_huge;
	shuffle(order, regions);
	shuffle(order + regions, nr - regions);
}

/* Pages of 4 KiB are mapped where none of 2 MiB can be. */
static void map_file(size_t size, int flags)
{
	char *p = mmap(NULL, size + 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(p != MAP_FAILED);
	p = (char *)(((uintptr_t)p + HUGE - 1) & ~(HUGE - 1));
	if (!op || !op->huge)
		p += PAGE;
	map = mmap(p, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
	/* where there is a page cache it reads the one page, and maps that */
	must(map != MAP_FAILED && !madvise((char *)map, size, MADV_RANDOM));
}

/* ---- measuring ---- */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void print(const char *name, unsigned int from, unsigned int nr)
{
	uint64_t sum = 0, *at = cost + from;

	qsort(at, nr, sizeof(*at), by_value);
	for (unsigned int i = 0; i < nr; i++)
		sum += at[i];
	printf("\"%s\":{\"n\":%u,\"median\":%llu,\"mean\":%llu,\"low\":%llu,\"high\":%llu}",
	       name, nr, (unsigned long long)at[nr / 2], (unsigned long long)(sum / nr),
	       (unsigned long long)at[nr / 10], (unsigned long long)at[nr - 1 - nr / 10]);
}

static void measure(void (*access)(size_t off), unsigned int nr, bool huge)
{
	for (unsigned int i = 0; i < nr; i++) {
		size_t off = huge ? i * HUGE : page_of(order[i]);
		uint64_t start = now();

		access(off);
		start = now() - start;
		cost[i] = start > clock_cost ? start - clock_cost : 0;
	}
}

static void prepare(const char *path, unsigned int slots)
{
	fd = open(path, (op->direct ? O_DIRECT : 0) | O_RDWR);
	if (fd < 0)
		err(2, "%s", path);
	if (op->mapped)
		map_file(slots * slot_size, MAP_SHARED);
	choose_order(slots);
}

static void measure_clock(void)
{
	measure(nothing, SLOTS, true);
	qsort(cost, SLOTS, sizeof(*cost), by_value);
	clock_cost = cost[SLOTS / 2];
}

static void operate(const char *path, unsigned int slots)
{
	unsigned int first = slots * slot_size / HUGE;

	prepare(path, slots);
	if (!strcmp(op->name, "fault-upgrade"))
		for (unsigned int i = 0; i < slots; i++)
			load(page_of(order[i]));
	measure(op->access, op->huge ? first : slots, op->huge);
	printf("{");
	print("first", 0, first);
	if (!op->huge) {
		printf(",");
		print("rest", first, slots - first);
	}
	printf("}\n");
}

static void snapshots(char **argv)
{
	unsigned int from = atoi(argv[2]), to = atoi(argv[3]), next = 0;
	char text[64];

	choose(argv[4]);
	prepare(argv[5], SLOTS);
	for (unsigned int id = from; id <= to; id++) {
		snprintf(text, sizeof(text), "create_snap %u %s", id, argv[1]);
		errno = dm_message(argv[0], text);
		must(!errno);
		for (unsigned int i = 0; i < BETWEEN; i++)
			op->access(page_of(order[mixed(next++) % SLOTS]));
	}
}

static void floors(void)
{
	printf("{\"clock\":%llu,", (unsigned long long)clock_cost);
	measure(syscall_empty, SLOTS, true);
	print("syscall", 0, SLOTS);
	fd = -1;
	map_file(SLOTS * slot_size, MAP_PRIVATE | MAP_ANONYMOUS);
	must(!madvise((char *)map, SLOTS * slot_size, MADV_NOHUGEPAGE));
	choose_order(SLOTS);
	measure(store, SLOTS, false);
	printf(",");
	/* without those that needed a page table */
	print("anonymous", SLOTS * slot_size / HUGE, SLOTS - SLOTS * slot_size / HUGE);
	measure(copy_past_cache, SLOTS, false);
	printf(",");
	print("copy", 0, SLOTS);
	printf("}\n");
}

int main(int argc, char **argv)
{
	must(!posix_memalign((void **)&buf, PAGE, PAGE));
	memset(buf, 0x5a, PAGE);
	memset(cost, 1, sizeof(cost));
	measure_clock();
	if (argc == 2 && !strcmp(argv[1], "floor")) {
		floors();
	} else if (argc == 8 && !strcmp(argv[1], "snapshots")) {
		snapshots(argv + 2);
	} else if (argc == 3 || argc == 4) {
		if (argc == 4)
			slot_size = strtoul(argv[3], NULL, 10) << 10;
		must(slot_size >= PAGE && slot_size <= HUGE && !(HUGE % slot_size));
		choose(argv[1]);
		operate(argv[2], op->huge ? SLOTS / 4 : SLOTS);
	} else {
		errx(2, "usage: access-cost OPERATION PATH [SLOT]");
	}
	return 0;
}
