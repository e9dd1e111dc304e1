// SPDX-License-Identifier: GPL-2.0
/*
 * A pool's device, or a file in its place, without the kernel's target.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>
#include <linux/fs.h>
#include "daxcow.h"
#include "dm.h"
#include "media.h"
#include "storage.h"

int media_open(struct media *m, const char *path, int flags)
{
	int mode = flags & MEDIA_WRITE ? O_RDWR : O_RDONLY;
	struct stat st;
	int rc;

	*m = (struct media) { .path = path, .fd = -1 };
	if (stat(path, &st))
		return fail_errno(errno, "%s", path);
	/* a shell has not emptied that for us when it is a device */
	rc = storage_distinct_stdout(path);
	if (rc)
		return rc;
	m->block_device = S_ISBLK(st.st_mode);
	if (!m->block_device && !S_ISREG(st.st_mode))
		return fail(EXIT_FAILED, "%s: neither a block device nor a file",
			    path);
	/* on a block device, O_EXCL asks whether a file system or dm has it */
	if (m->block_device && !(flags & MEDIA_SHARED))
		mode |= O_EXCL;
	m->fd = open(path, mode | O_CLOEXEC);
	if (m->fd < 0)
		return fail_errno(errno, "%s", path);
	m->dev = st.st_rdev;
	m->size = st.st_size;
	if (m->block_device && ioctl(m->fd, BLKGETSIZE64, &m->size)) {
		rc = fail_errno(errno, "%s: cannot tell its size", path);
		media_close(m);
		return rc;
	}
	m->size -= m->size % DAXCOW_BLOCK_SIZE;
	/* what a started pool stores does not pass through the cache */
	if (m->block_device)
		ioctl(m->fd, BLKFLSBUF, 0);
	return EXIT_DONE;
}

/*
 * A memory error in the pool arrives as a signal wherever the engine happens
 * to be: there is nothing to return to.
 */
static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	static const char text[] =
		"\ndaxcow: memory error in the pool (or no space for a sparse file)\n";

	(void)sig, (void)info, (void)context;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(EXIT_FAILED);
	_exit(EXIT_DAMAGED);
}

int media_map(struct media *m, bool writable)
{
	struct sigaction sa = {
		.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO,
	};
	int prot = PROT_READ | (writable ? PROT_WRITE : 0);

	if (!m->size)
		return fail(EXIT_DAMAGED, "%s: empty, or smaller than a block of 4 KiB",
			    m->path);
	m->base = mmap(NULL, m->size, prot, MAP_SHARED, m->fd, 0);
	if (m->base == MAP_FAILED) {
		m->base = NULL;
		return fail_errno(errno, "%s: cannot map it", m->path);
	}
	sigaction(SIGBUS, &sa, NULL);
	return EXIT_DONE;
}

/* A few times a second are enough for who looks, and cost nothing. */
static void show_progress(void *ctx, u64 blocks)
{
	static struct timespec shown;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_sec == shown.tv_sec &&
	    now.tv_nsec - shown.tv_nsec < 200 * 1000 * 1000)
		return;
	shown = now;
	progress("reading the tables: %llu MiB of the pool are in use so far",
		 (unsigned long long)blocks >> (20 - DAXCOW_BLOCK_SHIFT));
}

int media_load(const struct media *m, struct daxcow_pool **poolp,
	       struct daxcow_report *report)
{
	static const struct daxcow_host host = { .progress = show_progress };
	int err;

	err = daxcow_load(poolp, m->base, m->size >> DAXCOW_BLOCK_SHIFT,
			  DAXCOW_LOAD_RO, &host, report);
	progress_end();
	return err;
}

int media_sync(struct media *m)
{
	if (msync(m->base, m->size, MS_SYNC) || fsync(m->fd))
		return fail_errno(errno, "%s: cannot write", m->path);
	if (m->block_device)
		ioctl(m->fd, BLKFLSBUF, 0);
	return EXIT_DONE;
}

void media_close(struct media *m)
{
	if (m->base)
		munmap(m->base, m->size);
	if (m->fd >= 0)
		close(m->fd);
	m->base = NULL;
	m->fd = -1;
}

/* A block at once, or, when there is a memory error in it, in sectors. */
int media_read_sector(void *reader, u64 block, unsigned int sector, void *buf)
{
	struct media_reader *r = reader;
	off_t at = (off_t)block << DAXCOW_BLOCK_SHIFT;

	if (r->block != block) {
		r->block = DAXCOW_HOLE;
		if (pread(r->media->fd, r->content, sizeof(r->content), at) !=
		    sizeof(r->content))
			return pread(r->media->fd, buf, 512, at + sector * 512) ==
			       512 ? 0 : -EIO;
		r->block = block;
	}
	memcpy(buf, r->content + sector * 512, 512);
	return 0;
}

int media_super(const struct media *m, struct daxcow_super *super)
{
	ssize_t n = pread(m->fd, super, sizeof(*super), 0);

	if (n < 0)
		return -errno;
	if (n != sizeof(*super) ||
	    le64_to_cpu(super->magic) != DAXCOW_SUPER_MAGIC)
		return -EMEDIUMTYPE;
	/* for those who print them */
	super->label[sizeof(super->label) - 1] = 0;
	return 0;
}

static bool all_zero(const u8 *bytes, size_t nr)
{
	while (nr && !*bytes) {
		bytes++;
		nr--;
	}
	return !nr;
}

int media_must_be_whole(const struct media *m, const struct daxcow_super *super)
{
	if (all_zero(super->pad2, sizeof(super->pad2)) &&
	    all_zero(super->pad3, sizeof(super->pad3)))
		return EXIT_DONE;
	return fail(EXIT_DAMAGED, "%s: there is a pool, and something else has been written into its first block, such as a partition table or a file system; if the pool is what you want: for at in 256,256 536,3560; do dd if=/dev/zero of=%s bs=1 seek=${at%%,*} count=${at#*,} conv=notrunc; done",
		    m->path, m->path);
}

/* The first segment of a linear dm device. */
static bool linear_parent(dev_t dev, dev_t *parent, u64 *sectors)
{
	char name[DM_NAME_SIZE];
	unsigned long long offset;
	unsigned int maj, min;
	struct dm_dev table;

	if (!sysfs_dm_name(dev, name, sizeof(name)))
		return false;
	if (dm_table(name, &table) || strcmp(table.target, "linear") ||
	    sscanf(table.params, "%u:%u %llu", &maj, &min, &offset) != 3)
		return false;
	*sectors = offset;
	*parent = makedev(maj, min);
	return true;
}

u64 media_address(const struct media *m)
{
	u64 address = 0, sectors, start;
	dev_t dev = m->dev;
	int depth;

	if (!m->block_device)
		return 0;
	for (depth = 0; depth < 16; depth++) {
		if (sysfs_number(dev, "partition", &start)) {
			if (!sysfs_number(dev, "start", &sectors) ||
			    !sysfs_parent(dev, &dev))
				return 0;
		} else if (!linear_parent(dev, &dev, &sectors)) {
			break;
		}
		address += sectors << 9;
	}
	/* of a pmem namespace; others have no such file, or a useless one */
	if (sysfs_number(dev, "device/resource", &start))
		address += start;
	return address;
}
