// SPDX-License-Identifier: GPL-2.0
/*
 * What daxcow dedupe asks of the kernel.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <libdevmapper.h>
#include "dedupe-kernel.h"

int kernel_open(struct kernel *k, const struct pool *pool)
{
	char path[DM_NAME_SIZE + 64];
	int rc;

	*k = (struct kernel) {
		.control = -1,
		.device = -1,
		.major = pool->dm.major,
		.minor = pool->dm.minor,
		.blocks = pool->dm.length << 9 >> DAXCOW_BLOCK_SHIFT,
	};
	rc = control_open(&k->control);
	if (rc)
		return rc;
	/* not through the page cache, which would keep what has changed */
	snprintf(path, sizeof(path), "%s/%s", dm_dir(), pool->dm.name);
	k->device = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (k->device >= 0)
		return EXIT_DONE;
	rc = fail_errno(errno, "%s", path);
	kernel_close(k);
	return rc;
}

void kernel_close(struct kernel *k)
{
	if (k->device >= 0)
		close(k->device);
	if (k->control >= 0)
		close(k->control);
	k->device = -1;
	k->control = -1;
}

/*
 * A call holds locks that writers need. At idle priority it could be kept from the
 * processor with one of them in its hands, for as long as anybody else has something to
 * do. Who may not leave that priority stays there.
 */
static int call(const struct kernel *k, unsigned long nr, void *x)
{
	const struct sched_param none = { };
	bool idle = sched_getscheduler(0) == SCHED_IDLE &&
		    !sched_setscheduler(0, SCHED_OTHER, &none);
	int err = ioctl(k->control, nr, x) ? -errno : 0;

	if (idle)
		sched_setscheduler(0, SCHED_IDLE, &none);
	return err;
}

int kernel_blocks(const struct kernel *k, struct daxcow_ioc_blocks *x)
{
	x->size = sizeof(*x);
	x->major = k->major;
	x->minor = k->minor;
	return call(k, DAXCOW_IOC_BLOCKS, x);
}

int kernel_merge(const struct kernel *k, struct daxcow_ioc_merge *x)
{
	x->size = sizeof(*x);
	x->major = k->major;
	x->minor = k->minor;
	return call(k, DAXCOW_IOC_MERGE, x);
}

int kernel_read(const struct kernel *k, void *buf, u64 block, u32 nr)
{
	size_t size = (size_t)nr << DAXCOW_BLOCK_SHIFT, done = 0;
	ssize_t n;

	while (done < size) {
		n = pread(k->device, (char *)buf + done, size - done,
			  (block << DAXCOW_BLOCK_SHIFT) + done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		done += n;
	}
	return 0;
}
