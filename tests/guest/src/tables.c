// SPDX-License-Identifier: GPL-2.0
/*
 * tables MAJOR MINOR BLOCKS
 *
 * Of the pool that is device MAJOR:MINOR, print each table and record among its first
 * BLOCKS blocks: "BLOCK USE OWNERS VOLUME START NR", of the first owner, in blocks.
 *
 * Exit code: 0 done, 2 could not be done.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <linux/dm-daxcow.h>

int main(int argc, char **argv)
{
	struct daxcow_owner_range r;
	struct daxcow_ioc_owners x;
	unsigned long block;
	int fd;

	if (argc != 4)
		errx(2, "usage: tables MAJOR MINOR BLOCKS");
	fd = open("/dev/daxcow", O_RDWR);
	if (fd < 0)
		err(2, "/dev/daxcow");
	for (block = 0; block < strtoul(argv[3], NULL, 0); block++) {
		x = (struct daxcow_ioc_owners) {
			.size = sizeof(x),
			.major = atoi(argv[1]),
			.minor = atoi(argv[2]),
			.block = block,
			.nr = 1,
			.owners = (uintptr_t)&r,
		};
		if (ioctl(fd, DAXCOW_IOC_OWNERS, &x))
			err(2, "block %lu", block);
		if (x.use != DAXCOW_USE_TABLE && x.use != DAXCOW_USE_RECORD)
			continue;
		printf("%lu %s %llu %u %llu %llu\n", block,
		       x.use == DAXCOW_USE_TABLE ? "table" : "record",
		       (unsigned long long)x.total, r.volume,
		       (unsigned long long)r.start, (unsigned long long)r.nr);
	}
	return 0;
}
