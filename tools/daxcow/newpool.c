// SPDX-License-Identifier: GPL-2.0
/*
 * A pool that is written block by block, as another one was.
 *
 * Each block keeps its number, so that the tables, whose entries prove where they
 * stand, can be written as they are, and sharing is kept. The superblock is
 * written last: on a device, what was interrupted is no pool. A file is made beside
 * the old one and takes its place in the end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fs.h>
#include <json-c/json.h>
#include <daxcow/pmem.h>
#include "daxcow.h"
#include "newpool.h"

int newpool_open(struct newpool *n, const char *path, u64 nr_blocks, bool force)
{
	int rc;

	*n = (struct newpool) {
		.nr_blocks = nr_blocks, .force = force, .file.fd = -1,
	};
	rc = media_open(&n->media, path, 0);
	if (rc)
		return rc;
	if (nr_blocks > n->media.size >> DAXCOW_BLOCK_SHIFT)
		rc = fail(EXIT_FAILED, "%s: too small, the pool has %llu MiB",
			  path, (unsigned long long)nr_blocks >> 8);
	if (!rc && !force)
		rc = content_make_way(&n->media, false);
	if (rc)
		media_close(&n->media);
	return rc;
}

/* All of a file but its holes. */
static int copy_content(int from, int to, off_t size)
{
	off_t at = 0, start, end;
	ssize_t done;

	if (!ioctl(to, FICLONE, from))
		return 0;
	while (at < size) {
		start = lseek(from, at, SEEK_DATA);
		if (start < 0)
			return errno == ENXIO ? 0 : -errno;
		end = lseek(from, start, SEEK_HOLE);
		if (end < 0)
			return -errno;
		for (at = start; at < end; at += done) {
			off_t in = at, out = at;

			done = copy_file_range(from, &in, to, &out, end - at, 0);
			if (done <= 0)
				return done ? -errno : -EIO;
		}
	}
	return 0;
}

/* The old file stays until the new one is complete. */
static int begin_file(struct newpool *n, bool keep)
{
	struct stat st;
	int rc, fd;

	rc = newfile_create(&n->file, n->media.path, true);
	if (rc)
		return rc;
	if (fstat(n->media.fd, &st) || ftruncate(n->file.fd, st.st_size))
		return fail_errno(errno, "%s", n->media.path);
	if (keep)
		rc = copy_content(n->media.fd, n->file.fd, st.st_size);
	if (rc)
		return fail_errno(-rc, "%s: cannot copy it", n->media.path);
	fd = dup(n->file.fd);
	if (fd < 0)
		return fail_errno(errno, "%s", n->media.path);
	close(n->media.fd);
	n->media.fd = fd;
	return EXIT_DONE;
}

static int begin_device(struct newpool *n)
{
	const char *path = n->media.path;

	media_close(&n->media);
	return media_open(&n->media, path, MEDIA_WRITE);
}

int newpool_begin(struct newpool *n, bool keep)
{
	char *base;
	int rc;

	rc = n->media.block_device ? begin_device(n) : begin_file(n, keep);
	if (!rc && n->nr_blocks > n->media.size >> DAXCOW_BLOCK_SHIFT)
		rc = fail(EXIT_FAILED, "%s: has become smaller", n->media.path);
	if (!rc)
		rc = media_map(&n->media, true);
	if (!rc)
		rc = content_make_way(&n->media, n->force);
	if (rc)
		return rc;
	/* nor may half of a pool be taken for the old one, by its backup */
	base = n->media.base;
	pm_publish((__le64 *)base, 0);
	pm_fence();
	pm_zero(base + ((u64)DAXCOW_BACKUP_BLOCK << DAXCOW_BLOCK_SHIFT),
		DAXCOW_BLOCK_SIZE);
	pm_fence();
	return EXIT_DONE;
}

void newpool_write(struct newpool *n, u64 block, const void *content)
{
	pm_write((char *)n->media.base + (block << DAXCOW_BLOCK_SHIFT), content,
		 DAXCOW_BLOCK_SIZE);
	if (!(++n->blocks % 4096))
		progress("%llu MiB written",
			 (unsigned long long)(n->blocks >> 8));
}

void newpool_super(void *base, const struct daxcow_super *super)
{
	char *mem = base;
	u64 zero = le64_to_cpu(super->chunk_offset) + DAXCOW_CHUNK_BLOCKS;
	struct daxcow_super backup;

	memset(&backup, 0, sizeof(backup));
	memcpy(&backup, super, DAXCOW_SUPER_FIXED + 4);
	pm_zero(mem + (zero << DAXCOW_BLOCK_SHIFT),
		DAXCOW_CHUNK_BLOCKS << DAXCOW_BLOCK_SHIFT);
	pm_write(mem + ((u64)DAXCOW_BACKUP_BLOCK << DAXCOW_BLOCK_SHIFT), &backup,
		 sizeof(backup));
	pm_write(mem + 8, (const char *)super + 8, sizeof(*super) - 8);
	pm_fence();
	pm_publish((__le64 *)mem, DAXCOW_SUPER_MAGIC);
	pm_fence();
}

/* What was written, read as a pool. */
int newpool_finish(struct newpool *n, const struct daxcow_super *super,
		   struct json_object *o)
{
	struct daxcow_report report;
	struct daxcow_pool_info info;
	struct daxcow_pool *pool;
	int rc, err;

	newpool_super(n->media.base, super);
	err = media_load(&n->media, &pool, &report);
	if (err) {
		pm_publish(n->media.base, 0);
		pm_fence();
		return fail(EXIT_DAMAGED, "%s: not a valid pool: %s (block %llu, word %u)",
			    n->media.path, daxcow_bad_text(report.bad),
			    (unsigned long long)report.block, report.index);
	}
	daxcow_pool_info(pool, &info);
	daxcow_unload(pool);
	rc = media_sync(&n->media);
	if (!rc && !n->media.block_device)
		rc = newfile_commit(&n->file);
	json_set_number(o, "volumes", info.nr_volumes);
	json_set_number(o, "data", info.nr_data << DAXCOW_BLOCK_SHIFT);
	json_set_number(o, "metadata", info.nr_meta << DAXCOW_BLOCK_SHIFT);
	return rc;
}

void newpool_close(struct newpool *n)
{
	media_close(&n->media);
	newfile_close(&n->file);
}
