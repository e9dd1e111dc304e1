/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What comes before a source file of the kernel in the live patch.
 *
 * All of the file is compiled with -fwhole-program: what the tables of LIVE() name,
 * or a __visible declaration, and what these need is kept. What the kernel did when
 * it booted is not done again: nothing is exported, registered or initialised.
 */
#ifndef DAXCOW_LIVE_H
#define DAXCOW_LIVE_H

#include <linux/dax.h>
#include <linux/init.h>
#include <linux/jump_label.h>
#include <linux/livepatch.h>
#include <linux/magic.h>
#include <linux/memremap.h>
#include <linux/module.h>
#include <linux/tracepoint.h>
#include <linux/workqueue.h>

struct pmem_device;
struct xfs_mount;

#ifndef LIVE_MAIN

#undef EXPORT_SYMBOL
#undef EXPORT_SYMBOL_GPL
#undef EXPORT_TRACEPOINT_SYMBOL_GPL
#define EXPORT_SYMBOL(sym)
#define EXPORT_SYMBOL_GPL(sym)
#define EXPORT_TRACEPOINT_SYMBOL_GPL(sym)
#undef core_initcall
#undef fs_initcall
#undef late_initcall
#undef subsys_initcall
#undef module_init
#undef module_exit
#define core_initcall(fn)
#define fs_initcall(fn)
#define late_initcall(fn)
#define subsys_initcall(fn)
#define module_init(fn)
#define module_exit(fn)
#undef module_param
#undef module_param_named
#define module_param(name, type, perm)
#define module_param_named(name, value, type, perm)
#undef MODULE_ALIAS
#undef MODULE_AUTHOR
#undef MODULE_DESCRIPTION
#undef MODULE_LICENSE
#undef MODULE_PARM_DESC
#undef MODULE_SOFTDEP
#define MODULE_ALIAS(x)
#define MODULE_AUTHOR(x)
#define MODULE_DESCRIPTION(x)
#define MODULE_LICENSE(x)
#define MODULE_PARM_DESC(name, x)
#define MODULE_SOFTDEP(x)

/*
 * LIVE_LATE: of a module that may be loaded after this one. Nothing of it is there yet
 * when jump labels and static calls are set up: look at the keys, and go through the
 * iterators.
 */
#ifdef LIVE_LATE
#define static_key_false(key)		unlikely(static_key_enabled(key))
#undef static_branch_likely
#undef static_branch_unlikely
#define static_branch_likely(x)		likely(static_key_enabled(&(x)->key))
#define static_branch_unlikely(x)	unlikely(static_key_enabled(&(x)->key))
#undef __DO_TRACE_CALL
#define __DO_TRACE_CALL(name, args)	__traceiter_##name(NULL, args)
#endif

#endif

/* The kernel's function of this name is replaced by that of this file. */
#define LIVE(fn) { .old_name = #fn, .new_func = (fn) }

extern struct klp_func live_fs_dax[], live_dax_super[], live_mm_truncate[],
	live_mm_memory_failure[], live_dm_table[], live_ext4_inode[],
	live_ext4_extents[], live_xfs_mount[], live_xfs_notify_failure[];

/* ---- what the files in overlay/ call ---- */

/* XFS is there when one of its files is written to. */
const struct iomap_ops *xfs_dax_rw_iomap_ops(struct inode *inode);
extern const struct iomap_ops xfs_dax_write_iomap_ops;

/* XFS zeroes and unshares with its own, which end what they have not begun. */
static inline const struct iomap_ops *live_write_ops(const struct inode *inode,
						     const struct iomap_ops *ops)
{
	return inode->i_sb->s_magic == XFS_SUPER_MAGIC ? &xfs_dax_write_iomap_ops : ops;
}

/*
 * All tasks are in the new code, and none is going back to the old one, or may be
 * about to. Otherwise both run, and the marks are such that both can read them.
 */
bool live_alone(void);

/*
 * That a device moves and shares blocks is said in the series by a bit of each DAX
 * entry. The old code has made entries without, and would take the bit for one of
 * the page frame. So it is said of all pages that come from the same place. It is not
 * taken back before the live patch is, and costs nothing but time where it is not
 * true.
 */
#define LIVE_PGMAP_REMAPS	BIT(30)

static inline bool live_remaps(unsigned long pfn)
{
	struct page *page = pfn_to_page(pfn);

	return is_zone_device_page(page) &&
	       READ_ONCE(page->pgmap->flags) & LIVE_PGMAP_REMAPS;
}

static inline void live_mark_remaps(unsigned long pfn)
{
	struct page *page = pfn_to_page(pfn);

	/* flags are written by nobody else once there are pages */
	if (is_zone_device_page(page) && !live_remaps(pfn))
		WRITE_ONCE(page->pgmap->flags,
			   page->pgmap->flags | LIVE_PGMAP_REMAPS);
}

/*
 * The old code knows the mark of pages with several users that it makes itself. It is
 * one that who pins pages takes for an anonymous page.
 */
#define LIVE_OLD_SHARED		((void *)PAGE_MAPPING_ANON)

static inline bool live_is_shared(const struct page *page)
{
	return page->mapping == PAGE_MAPPING_DAX_SHARED ||
	       page->mapping == LIVE_OLD_SHARED;
}

/* With the lock held that live_mark_pages() takes. */
static inline void *live_shared_mark(void)
{
	return live_alone() ? PAGE_MAPPING_DAX_SHARED : LIVE_OLD_SHARED;
}

/*
 * @pfn_shared of struct dev_pagemap_ops is not there. Of the memory that file systems
 * use under DAX it is pmem that takes failures, and that implements it.
 */
static inline bool live_is_pmem(const struct dev_pagemap *pgmap)
{
	return pgmap->type == MEMORY_DEVICE_FS_DAX && pgmap->ops &&
	       pgmap->ops->memory_failure;
}

bool live_pmem_pfn_shared(struct dev_pagemap *pgmap, unsigned long pfn);

/* Nor is @shared of struct dax_holder_operations: dax_remaps_get() was told. */
bool live_holder_shared(struct dax_device *dax_dev, u64 offset);

/*
 * struct dax_device has no room for @holder_calls, but of its flags only the lower
 * half is used.
 */
#define LIVE_HOLDER_CALL	BIT(32)
#define live_holder_calls(dax_dev)	((atomic_long_t *)&(dax_dev)->flags)

/*
 * Nor has struct xfs_mount. The lock may be that of several mounts: then an unmount
 * waits for the others as well.
 */
struct rw_semaphore *live_failure_lock(const struct xfs_mount *mp);
void live_queue_removal(struct xfs_mount *mp, work_func_t fn);
struct xfs_mount *live_removal_mount(struct work_struct *work);

/*
 * No device moves its blocks now. A new one can have the memory of one that did, and the
 * flags of that, when the live patch was taken back by force in between.
 */
void live_forget_devices(void);

/*
 * live_alone() has changed: mark the pages that are shared accordingly. It reads struct
 * page of all memory that is used under DAX. @forget: also which of it moves.
 */
void live_mark_pages(bool forget);

/*
 * A pmem cache of dm-writecache writes to the addresses that it gets when it is set
 * up, for ever. The series has it refuse a device that moves blocks. It cannot be
 * replaced: it leaves functions of its own in timers and work, which would be ours.
 * So it does not get such a device, whatever for.
 */
struct dm_target;
struct dm_dev;
bool live_refuses(const struct dm_target *ti, const struct dm_dev *dev);

#endif
