// SPDX-License-Identifier: GPL-2.0
/*
 * daxcow doctor: persistent memory, in whatever shape it is.
 */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "doctor.h"
#include "media.h"
#include "pool.h"

#define FSDAX	"ndctl create-namespace --force --reconfig=NAMESPACE --mode=fsdax (this loses what is on it)"

struct memory {
	struct doctor *d;
	unsigned int nr;	/* block devices */
	unsigned int nr_devdax;
	dev_t pool[64];		/* what pools are on */
	unsigned int nr_pools;
};

static bool is_pmem(const char *name)
{
	return !strncmp(name, "pmem", 4) && isdigit((unsigned char)name[4]);
}

/* What a virtio device is for the host is a file of its own, in its page cache. */
static bool is_asynchronous(const char *name)
{
	char path[128], target[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/class/block/%.64s", name);
	return realpath(path, target) && strstr(target, "/virtio");
}

/* When there is a pool elsewhere, what another device cannot do is in nobody's way. */
static enum severity unused(const struct memory *m, enum severity level)
{
	return m->nr_pools ? SEVERITY_NOTE : level;
}

static void look_at_no_dax(struct memory *m, const struct block *b)
{
	/* pmem0s, and a namespace without struct pages or on memory that has none */
	if (strchr(b->name + 4, 's'))
		doctor_found(m->d, unused(m, SEVERITY_PROBLEM), "memory-mode", b->name, FSDAX,
			     "the namespace is in sector mode, which has no DAX");
	else
		doctor_found(m->d, unused(m, SEVERITY_PROBLEM), "memory-mode", b->name, FSDAX,
			     "the namespace is in a mode without DAX: it has no struct pages");
}

static bool has_pool(const struct memory *m, const struct block *b)
{
	unsigned int i;

	for (i = 0; i < m->nr_pools; i++)
		if (m->pool[i] == b->dev)
			return true;
	return false;
}

static bool is_started(const struct daxcow_super *super)
{
	char uuid[DM_ID_SIZE];
	struct dm_dev dev;

	pool_uuid(super, uuid);
	return !dm_table_of_uuid(uuid, &dev);
}

/*
 * One with a label is started at boot. A pool begins its large pages where those of the
 * memory do, wherever it is itself.
 */
static void look_for_pool(struct memory *m, const struct block *b)
{
	struct daxcow_super super;
	struct media media;
	char path[80];

	snprintf(path, sizeof(path), "/dev/%.64s", b->name);
	if (access(path, R_OK) || media_open(&media, path, MEDIA_SHARED))
		return;
	/* the memory that another device stands on, and the pool on that, has it too */
	if (!media_super(&media, &super) && super.label[0] && !is_started(&super))
		doctor_found(m->d, SEVERITY_WARNING, "pool-stopped", b->name,
			     "daxcow start, which says why if it cannot be; daxcow check looks at all of it",
			     "there is a pool on it, \"%s\", which is not started", super.label);
	else if (b->start % 4096)
		doctor_found(m->d, unused(m, SEVERITY_WARNING), "memory-huge-pages", b->name,
			     "make the partition anew, at a multiple of 2 MiB",
			     "the partition does not begin at a multiple of 2 MiB: a file system on it, not in a pool, is mapped by small pages only");
	media_close(&media);
}

static int look_at_block(const char *name, void *arg)
{
	struct memory *m = arg;
	char bad[64];
	struct block b;

	if (!is_pmem(name) || doctor_block(name, &b))
		return 0;
	m->nr++;
	if (!b.dax)
		look_at_no_dax(m, &b);
	if (b.start % 8)
		doctor_found(m->d, unused(m, SEVERITY_PROBLEM), "memory-alignment", name,
			     "make the partition anew, at a multiple of 2 MiB",
			     "the partition does not begin at a multiple of 4 KiB");
	else if (b.dax && !has_pool(m, &b))
		look_for_pool(m, &b);
	if (is_asynchronous(name))
		doctor_found(m->d, unused(m, SEVERITY_PROBLEM), "memory-asynchronous", name,
			     "give the virtual machine an NVDIMM instead of virtio-pmem",
			     "the host keeps stores only when it is asked to (virtio-pmem): no pool can be there");
	if (b.read_only)
		doctor_found(m->d, SEVERITY_WARNING, "memory-read-only", name,
			     "blockdev --setrw, if it may be written", "the device is read-only");
	if (doctor_read(bad, sizeof(bad), "/sys/class/block/%s/badblocks", name) && bad[0])
		doctor_found(m->d, SEVERITY_WARNING, "memory-bad", name,
			     "a file system or pool that writes over them gets good ones; see ndctl list --media-errors",
			     "there are bad blocks: %s", bad);
	return 0;
}

static int look_at_devdax(const char *name, void *arg)
{
	struct memory *m = arg;
	char driver[128];

	snprintf(driver, sizeof(driver), "/sys/bus/dax/devices/%.64s/driver", name);
	if (access(driver, F_OK))
		return 0;
	m->nr_devdax++;
	doctor_found(m->d, SEVERITY_NOTE, "memory-devdax", name, FSDAX,
		     "this memory is in devdax mode: it is no block device, and cannot hold a pool");
	return 0;
}

static int note_pool(const struct dm_dev *dev, void *arg)
{
	struct memory *m = arg;
	unsigned int major, minor;

	if (sscanf(dev->params, "%u:%u", &major, &minor) == 2 &&
	    m->nr_pools < ARRAY_SIZE(m->pool))
		m->pool[m->nr_pools++] = makedev(major, minor);
	return 0;
}

int doctor_memory(struct doctor *d)
{
	struct memory m = { .d = d };

	/* without device-mapper there are none */
	dm_each(DM_POOL_TARGET, note_pool, &m);
	doctor_each("/sys/class/block", look_at_block, &m);
	doctor_each("/sys/bus/dax/devices", look_at_devdax, &m);
	if (!m.nr)
		doctor_found(d, SEVERITY_PROBLEM, "memory-none", "memory",
			     m.nr_devdax ? FSDAX :
			     "boot with memmap=SIZE!START, or give the machine an NVDIMM (docs/memory.md)",
			     "there is no persistent memory that could hold a pool (/dev/pmem*)");
	return EXIT_DONE;
}
