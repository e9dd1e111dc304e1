// SPDX-License-Identifier: GPL-2.0
/*
 * Files of daxcow dedupe's index, and how much memory they may take.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "dedupe.h"

void index_files_close(struct dedupe *d)
{
	index_close(&d->index);
	index_close(&d->chunks);
	if (d->counted)
		munmap(d->counted, d->nr_counted * sizeof(*d->counted));
	d->counted = NULL;
}

/* What there is beside the parts of the index. */
static u64 other_memory(const struct dedupe *d, u64 chunk_buckets)
{
	return OWN_MEM + index_part_size(chunk_buckets) +
	       (d->kernel.blocks / CHUNK_BLOCKS + 2) * sizeof(*d->counted);
}

static u64 memory_limit(const struct dedupe *d)
{
	u64 all = (u64)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);

	return d->a->mem ? d->a->mem : max(all / 16, MIN_MEM);
}

/*
 * As many parts as it takes, and evenly filled. DAXCOW_TEST_PARTS is a hook for
 * tests, which have no pools of that size.
 */
static int plan(struct dedupe *d, u64 blocks)
{
	const char *test = getenv("DAXCOW_TEST_PARTS");
	struct state *s = &d->store.s;
	u64 limit = memory_limit(d), other;

	s->chunk_buckets = index_buckets(blocks / CHUNK_BLOCKS, 1);
	other = other_memory(d, s->chunk_buckets);
	s->parts = test && atoi(test) > 0 ? atoi(test) : 1;
	for (;; s->parts++) {
		s->buckets = index_buckets(blocks, s->parts);
		if (other + index_part_size(s->buckets) <= limit)
			return EXIT_DONE;
		if (other >= limit || s->parts > 10000)
			return fail(EXIT_FAILED, "%s: a pool of that size needs more than --mem %lluM",
				    d->pool->dm.name,
				    (unsigned long long)limit >> 20);
	}
}

int index_files_counted(struct dedupe *d, bool fresh)
{
	char path[STORE_PATH];
	int fd, err;

	d->nr_counted = d->kernel.blocks / CHUNK_BLOCKS + 2;
	store_path(&d->store, "counted", path);
	/* whatever else may have that file keeps it */
	if (fresh && unlink(path) && errno != ENOENT)
		return fail_errno(errno, "%s", path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (fresh ? O_EXCL : 0), 0600);
	if (fd < 0)
		return fail_errno(errno, "%s", path);
	err = posix_fallocate(fd, 0, d->nr_counted * sizeof(*d->counted));
	if (!err) {
		d->counted = mmap(NULL, d->nr_counted * sizeof(*d->counted),
				  PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		err = d->counted == MAP_FAILED ? errno : 0;
	}
	close(fd);
	if (!err)
		return EXIT_DONE;
	d->counted = NULL;
	return fail_errno(err, "%s", path);
}

static int open_files(struct dedupe *d, bool fresh)
{
	const struct state *s = &d->store.s;
	char path[STORE_PATH];
	int err;

	err = index_open(&d->index, store_path(&d->store, "index", path),
			 s->buckets, s->parts, fresh);
	if (!err)
		err = index_open(&d->chunks,
				 store_path(&d->store, "chunks", path),
				 s->chunk_buckets, 1, fresh);
	if (!err)
		err = index_map(&d->chunks, 0);
	return err;
}

int index_files_make(struct dedupe *d, u64 blocks)
{
	char path[STORE_PATH];
	int rc = plan(d, blocks), err;

	if (rc)
		return rc;
	err = open_files(d, true);
	return err ? fail_errno(-err, "%s", store_path(&d->store, "index",
						       path)) : EXIT_DONE;
}

bool index_files_reuse(struct dedupe *d)
{
	const struct state *s = &d->store.s;

	if (!s->parts || (given(d->a->split, SPLIT_DEFAULT) &&
			  (!s->split || given(d->a->split, SPLIT_DEFAULT) < s->split)))
		return false;
	if (other_memory(d, s->chunk_buckets) + index_part_size(s->buckets) >
	    memory_limit(d))
		return false;
	if (!open_files(d, false))
		return true;
	index_files_close(d);
	return false;
}
