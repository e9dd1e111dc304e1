// SPDX-License-Identifier: GPL-2.0
/*
 * control MAJOR MINOR BLOCK VOLUME
 *
 * The ioctls of /dev/daxcow as their header says: sizes and what is behind them,
 * flags, pages, who may. BLOCK of the pool MAJOR:MINOR has several owners, VOLUME
 * is one of them, with several extents.
 *
 * Exit status: 0 as it should be, 1 not.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-daxcow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int fd;

/* A structure of a later kernel, which has more at its end. */
struct longer {
	struct daxcow_ioc_owners x;
	char more[64];
};

static void want(int error, unsigned long cmd, void *x, const char *what)
{
	int got = ioctl(fd, cmd, x) ? errno : 0;

	if (got != error)
		errx(1, "%s: %s and not %s", what, strerror(got), strerror(error));
	printf("%s: %s\n", what, strerror(got));
}

static void sizes(struct daxcow_ioc_owners good)
{
	struct longer l = { .x = good };

	l.x.size = sizeof(l);
	want(0, DAXCOW_IOC_OWNERS, &l, "a longer structure");
	if (l.x.size != sizeof(l) || !l.x.total)
		errx(1, "not answered");
	l = (struct longer) { .x = good };
	l.x.size = sizeof(l);
	l.more[63] = 1;
	want(E2BIG, DAXCOW_IOC_OWNERS, &l, "a longer one that says something");
	l = (struct longer) { .x = good };
	l.x.size = sizeof(good) - 1;
	want(EINVAL, DAXCOW_IOC_OWNERS, &l, "a structure that is too short");
	l.x.size = 0;
	want(EINVAL, DAXCOW_IOC_OWNERS, &l, "no size");
	l.x.size = 1 << 20;
	want(EINVAL, DAXCOW_IOC_OWNERS, &l, "a size without measure");
	want(EFAULT, DAXCOW_IOC_OWNERS, (void *)8, "no structure");
	want(ENOTTY, _IOWR(DAXCOW_IOC_MAGIC, 99, int), &l, "an unknown call");
}

static void values(struct daxcow_ioc_owners good)
{
	struct daxcow_ioc_owners x = good;

	x.flags = 0x80;
	want(EINVAL, DAXCOW_IOC_OWNERS, &x, "an unknown flag");
	x = good;
	x.block = ~0ULL >> 1;
	want(ERANGE, DAXCOW_IOC_OWNERS, &x, "a block behind the end");
	x.flags = DAXCOW_OWNERS_PFN;
	x.block = 1;
	want(ERANGE, DAXCOW_IOC_OWNERS, &x, "a page that is not the pool's");
	x = good;
	x.minor = 1 << 20;
	want(ENXIO, DAXCOW_IOC_OWNERS, &x, "no device number");
	x.major = 1;
	x.minor = 3;
	want(ENXIO, DAXCOW_IOC_OWNERS, &x, "no pool");
	x = good;
	x.owners = 8;
	want(EFAULT, DAXCOW_IOC_OWNERS, &x, "no room at all");
}

/* One at a time they are the same as together. */
static void owner_pages(struct daxcow_ioc_owners good)
{
	struct daxcow_owner_range all[4096], one;
	struct daxcow_ioc_owners x = good;
	__u64 total, i;

	x.owners = (unsigned long)all;
	x.nr = 4096;
	want(0, DAXCOW_IOC_OWNERS, &x, "all owners");
	total = x.total;
	if (x.use != DAXCOW_USE_DATA || total < 2 || x.nr != total)
		errx(1, "%u of %llu owners", x.nr, (unsigned long long)total);
	for (i = 0; i <= total; i++) {
		x = good;
		x.first = i;
		x.owners = (unsigned long)&one;
		x.nr = 1;
		if (ioctl(fd, DAXCOW_IOC_OWNERS, &x) || x.total != total ||
		    x.nr != (i == total ? 0 : 1) ||
		    (x.nr && memcmp(&one, &all[i], sizeof(one))))
			errx(1, "owner %llu", (unsigned long long)i);
	}
}

static void map_pages(struct daxcow_ioc_map good)
{
	struct daxcow_extent all[4096], one;
	struct daxcow_ioc_map x = good;
	unsigned int nr, i = 0;

	x.extents = (unsigned long)all;
	x.nr = 4096;
	want(0, DAXCOW_IOC_MAP, &x, "the whole map");
	nr = x.nr;
	if (nr < 2 || x.start < x.end)
		errx(1, "%u extents", nr);
	x = good;
	x.extents = (unsigned long)&one;
	do {
		x.nr = 1;
		if (ioctl(fd, DAXCOW_IOC_MAP, &x) || x.nr > 1 ||
		    (x.nr && (i == nr || memcmp(&one, &all[i], sizeof(one)))))
			errx(1, "extent %u of %u", i, nr);
		i += x.nr;
	} while (x.start < x.end);
	if (i != nr)
		errx(1, "%u extents of %u", i, nr);
	x = good;
	want(EINVAL, DAXCOW_IOC_MAP, &x, "no room for an extent");
	x.nr = 1;
	x.flags = 1;
	want(EINVAL, DAXCOW_IOC_MAP, &x, "an unknown flag");
	x.flags = 0;
	x.volume = 999999;
	want(ENOENT, DAXCOW_IOC_MAP, &x, "no volume");
}

int main(int argc, char **argv)
{
	struct daxcow_ioc_owners owners = { .size = sizeof(owners) };
	struct daxcow_ioc_map map = { .size = sizeof(map), .end = ~0ULL };

	if (argc != 5)
		errx(1, "usage: control MAJOR MINOR BLOCK VOLUME");
	fd = open("/dev/daxcow", O_RDWR);
	if (fd < 0)
		err(1, "/dev/daxcow");
	owners.major = atoi(argv[1]);
	owners.minor = atoi(argv[2]);
	map.major = owners.major;
	map.minor = owners.minor;
	owners.block = strtoull(argv[3], NULL, 0);
	map.volume = atoi(argv[4]);
	sizes(owners);
	owner_pages(owners);
	owners.nr = 1;
	values(owners);
	map_pages(map);
	if (setuid(65534))
		err(1, "setuid");
	want(EPERM, DAXCOW_IOC_OWNERS, &owners, "somebody else");
	return 0;
}
