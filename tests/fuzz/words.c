// SPDX-License-Identifier: GPL-2.0
/*
 * words POOL INPUT...: what the inputs of the fuzzer "load" make of a good pool,
 * and what the engine says of it, for tests/guest/src/damaged-pools.c.
 *
 *   input NAME ok | refused BAD BLOCK WORD
 *   NUMBER-OF-WORD GOOD DAMAGED
 *   ...
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <daxcow/format.h>
#include "damage.h"
#include <daxcow/core.h>

#define INPUT_SIZE	4096

static struct damage_tables tables;
static u64 *pool;
static u64 changed[INPUT_SIZE];
static unsigned int nr_changed;

static void change(void *ctx, u64 word, u64 value)
{
	pool[word] = value;
	changed[nr_changed++] = word;
}

static void print(const char *name, u64 blocks)
{
	const u64 *good = (const u64 *)tables.good;
	struct daxcow_report r = { 0 };
	struct daxcow_pool *p;
	unsigned int i;

	if (!daxcow_load(&p, pool, blocks, DAXCOW_LOAD_RO, NULL, &r)) {
		printf("input %s ok\n", name);
		daxcow_unload(p);
	} else {
		printf("input %s refused %s %llu %u\n", name,
		       daxcow_bad_name(r.bad), (unsigned long long)r.block,
		       r.index);
	}
	for (i = 0; i < nr_changed; i++)
		printf("%llu %llx %llx\n", (unsigned long long)changed[i],
		       (unsigned long long)good[changed[i]],
		       (unsigned long long)pool[changed[i]]);
	while (nr_changed) {
		nr_changed--;
		pool[changed[nr_changed]] = good[changed[nr_changed]];
	}
}

static void *map(const char *name, int flags, off_t *size)
{
	int fd = open(name, O_RDONLY);
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", name);
	p = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (p == MAP_FAILED)
		err(1, "%s", name);
	close(fd);
	*size = st.st_size;
	return p;
}

int main(int argc, char **argv)
{
	u8 data[INPUT_SIZE];
	off_t size;
	int i, fd;
	ssize_t n;

	if (argc < 3)
		errx(2, "usage: words POOL INPUT...");
	pool = map(argv[1], MAP_PRIVATE, &size);
	if (damage_tables(&tables, map(argv[1], MAP_PRIVATE, &size),
			  size / DAXCOW_BLOCK_SIZE))
		errx(1, "%s: not a good pool", argv[1]);
	for (i = 2; i < argc; i++) {
		fd = open(argv[i], O_RDONLY);
		n = fd < 0 ? -1 : read(fd, data, sizeof(data));
		if (n < 0)
			err(1, "%s", argv[i]);
		close(fd);
		damage(&tables, data, n, change, NULL);
		print(strrchr(argv[i], '/') ? strrchr(argv[i], '/') + 1 : argv[i],
		      size / DAXCOW_BLOCK_SIZE);
	}
	return 0;
}
