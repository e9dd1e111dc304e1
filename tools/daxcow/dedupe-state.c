// SPDX-License-Identifier: GPL-2.0
/*
 * What a run of daxcow dedupe leaves for the next one: a small file, which is
 * replaced as a whole, beside the index.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dedupe.h"
#include "newfile.h"

#define STATE_MAGIC	"DXCDEDUP"
/* Of another version, or another size of integers: begin again. */
#define STATE_VERSION	1
/* More ranges are made coarser. */
#define MANY_RANGES	65536

int ranges_add(struct ranges *r, u64 start, u64 nr)
{
	struct range *last = r->nr ? &r->range[r->nr - 1] : NULL, *more;

	if (last && start >= last->start && start <= last->start + last->nr) {
		last->nr = max(last->nr, start + nr - last->start);
		return 0;
	}
	if (r->nr >= 2 * MANY_RANGES)
		ranges_tidy(r);
	more = array_room(r->range, r->nr, sizeof(*more));
	if (!more)
		return -ENOMEM;
	r->range = more;
	r->range[r->nr++] = (struct range) { start, nr };
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct range *r = a, *s = b;

	return r->start < s->start ? -1 : r->start > s->start;
}

/* Those that touch, or have no more than @gap between them, become one. */
static void join(struct ranges *r, u64 gap)
{
	size_t i, nr = 0;

	for (i = 0; i < r->nr; i++) {
		struct range *last = nr ? &r->range[nr - 1] : NULL;

		if (last && r->range[i].start <= last->start + last->nr + gap)
			last->nr = max(last->nr, r->range[i].start +
				       r->range[i].nr - last->start);
		else
			r->range[nr++] = r->range[i];
	}
	r->nr = nr;
}

void ranges_tidy(struct ranges *r)
{
	u64 gap;

	if (!r->nr)
		return;
	qsort(r->range, r->nr, sizeof(*r->range), by_start);
	join(r, 0);
	for (gap = CHUNK_BLOCKS; r->nr > MANY_RANGES; gap *= 2)
		join(r, gap);
}

void ranges_clear(struct ranges *r)
{
	free(r->range);
	*r = (struct ranges) { };
}

const char *store_path(const struct store *st, const char *suffix,
		       char path[STORE_PATH])
{
	snprintf(path, STORE_PATH, "%s/%s.%s", st->dir, st->name, suffix);
	return path;
}

int store_reset(struct store *st)
{
	ranges_clear(&st->last);
	ranges_clear(&st->next);
	st->s = (struct state) { .version = STATE_VERSION };
	memcpy(st->s.magic, STATE_MAGIC, sizeof(st->s.magic));
	if (getrandom(&st->s.seed, sizeof(st->s.seed), 0) !=
	    sizeof(st->s.seed))
		return fail_errno(errno, "cannot get random bytes");
	return EXIT_DONE;
}

static u32 checksum(const struct store *st)
{
	size_t skip = offsetof(struct state, crc) + sizeof(st->s.crc);
	u32 crc;

	crc = crc32c(~0U, (const char *)&st->s + skip, sizeof(st->s) - skip);
	crc = crc32c(crc, st->last.range, st->last.nr * sizeof(struct range));
	return crc32c(crc, st->next.range, st->next.nr * sizeof(struct range));
}

static bool read_ranges(FILE *f, struct ranges *r, u64 nr)
{
	struct range in;

	while (nr-- && fread(&in, sizeof(in), 1, f) == 1)
		if (ranges_add(r, in.start, in.nr))
			return false;
	return nr == UINT64_MAX;
}

/* What cannot be used is as good as none. */
static bool load(struct store *st, const char *path)
{
	FILE *f = fopen(path, "re");
	bool good;

	if (!f)
		return false;
	good = fread(&st->s, sizeof(st->s), 1, f) == 1 &&
	       !memcmp(st->s.magic, STATE_MAGIC, sizeof(st->s.magic)) &&
	       st->s.version == STATE_VERSION &&
	       read_ranges(f, &st->last, st->s.nr_last) &&
	       read_ranges(f, &st->next, st->s.nr_next) &&
	       checksum(st) == st->s.crc;
	fclose(f);
	return good;
}

int store_open(struct store *st, const char *dir, const char *name)
{
	char path[STORE_PATH];

	*st = (struct store) { .dir = dir, .name = name, .lock = -1 };
	if (mkdir(dir, 0700) && errno != EEXIST)
		return fail_errno(errno, "%s", dir);
	st->lock = open(store_path(st, "lock", path),
			O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (st->lock < 0)
		return fail_errno(errno, "%s", path);
	if (flock(st->lock, LOCK_EX | LOCK_NB))
		return fail(EXIT_BUSY, "%s: another dedupe works on this pool",
			    name);
	if (load(st, store_path(st, "state", path)))
		return EXIT_DONE;
	return store_reset(st);
}

void store_close(struct store *st)
{
	ranges_clear(&st->last);
	ranges_clear(&st->next);
	if (st->lock >= 0)
		close(st->lock);
	st->lock = -1;
}

static bool write_ranges(FILE *f, const struct ranges *r)
{
	return !r->nr || fwrite(r->range, sizeof(*r->range), r->nr, f) == r->nr;
}

static bool write_all(const struct store *st, FILE *f)
{
	return fwrite(&st->s, sizeof(st->s), 1, f) == 1 &&
	       write_ranges(f, &st->last) && write_ranges(f, &st->next);
}

int store_save(struct store *st)
{
	char path[STORE_PATH];
	struct newfile file;
	bool good = false;
	FILE *f = NULL;
	int fd, rc;

	ranges_tidy(&st->next);
	st->s.nr_last = st->last.nr;
	st->s.nr_next = st->next.nr;
	st->s.crc = checksum(st);
	store_path(st, "state", path);
	rc = newfile_create(&file, path, true);
	if (rc)
		return rc;
	/* whoever knows the seed can make blocks of one hash */
	fd = fchmod(file.fd, 0600) ? -1 : dup(file.fd);
	if (fd >= 0)
		f = fdopen(fd, "w");
	if (f) {
		good = write_all(st, f);
		good = !fclose(f) && good;
	}
	rc = good ? newfile_commit(&file) : fail_errno(errno, "%s", path);
	newfile_close(&file);
	return rc;
}
