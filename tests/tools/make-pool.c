// SPDX-License-Identifier: GPL-2.0
/*
 * make-pool FILE: fill a formatted file with volumes, as the kernel would.
 *
 *   id 1 "root"  8 MiB, blocks 0..99 and a whole chunk written
 *   id 2 "snap"  snapshot of root, block 5 written since
 *   id 3         4 MiB, no name, empty
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "platform.h"
#include <daxcow/core.h>

#define MIB (0x100000ULL >> DAXCOW_BLOCK_SHIFT)

static int write_blocks(struct daxcow_pool *pool, u32 id, u64 vblk, u64 nr)
{
	struct daxcow_volume *vol;
	u64 block;
	long n = 0;
	int err;

	err = daxcow_open(pool, id, &vol);
	if (err)
		return err;
	for (; nr; nr -= n, vblk += n) {
		n = daxcow_provision(vol, vblk, nr, &block);
		if (n < 0)
			break;
		memset(daxcow_block_addr(pool, block), 0x40 + id,
		       n << DAXCOW_BLOCK_SHIFT);
	}
	daxcow_close(vol);
	return n < 0 ? n : 0;
}

static int fill(struct daxcow_pool *pool)
{
	static const u8 uuid[3][DAXCOW_UUID_SIZE] = { { 1 }, { 2 }, { 3 } };
	struct daxcow_volume_desc root = {
		.id = 1, .size = 8 * MIB, .uuid = uuid[0], .name = "root",
	};
	struct daxcow_volume_desc snap = {
		.id = 2, .origin = 1, .uuid = uuid[1], .name = "snap",
	};
	struct daxcow_volume_desc empty = {
		.id = 3, .size = 4 * MIB, .uuid = uuid[2],
	};
	int err;

	err = daxcow_create(pool, &root);
	if (!err)
		err = write_blocks(pool, 1, 0, 100);
	if (!err)
		err = write_blocks(pool, 1, DAXCOW_CHUNK_BLOCKS,
				   DAXCOW_CHUNK_BLOCKS);
	if (!err)
		err = daxcow_snapshot(pool, &snap, 1);
	if (!err)
		err = write_blocks(pool, 2, 5, 1);
	if (!err)
		err = daxcow_create(pool, &empty);
	return err;
}

int main(int argc, char **argv)
{
	struct daxcow_pool *pool;
	struct stat st;
	void *base;
	int fd, err;

	fd = argc == 2 ? open(argv[1], O_RDWR) : -1;
	if (fd < 0 || fstat(fd, &st)) {
		fprintf(stderr, "usage: make-pool FILE\n");
		return 2;
	}
	base = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    0);
	if (base == MAP_FAILED)
		return 1;
	err = daxcow_load(&pool, base, st.st_size >> DAXCOW_BLOCK_SHIFT, 0,
			  NULL, NULL);
	if (!err) {
		err = fill(pool);
		daxcow_unload(pool);
	}
	if (err)
		fprintf(stderr, "make-pool: %s\n", strerror(-err));
	return err ? 1 : 0;
}
