/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel side of the seam: what the engine needs from its surroundings.
 * The user space side, with the same names, is tools/lib/platform.h.
 */
#ifndef DAXCOW_PLATFORM_H
#define DAXCOW_PLATFORM_H

#include <linux/crc32c.h>
#include <linux/errno.h>
#include <linux/libnvdimm.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pfn.h>
#include <linux/sched.h>
#include <linux/seqlock.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

/* Persistence, see <daxcow/pmem.h>. */

static inline __le64 plat_load(const __le64 *word)
{
	return smp_load_acquire(word);
}

static inline void plat_store(__le64 *word, __le64 value)
{
	smp_store_release(word, value);
}

static inline void plat_flush(const void *addr, size_t len)
{
	arch_wb_cache_pmem((void *)addr, len);
}

static inline void plat_fence(void)
{
	pmem_wmb();
}

static inline void plat_write(void *dst, const void *src, size_t len)
{
	memcpy_flushcache(dst, src, len);
}

/* memcpy_flushcache() would not survive poison in @src. */
static inline int plat_copy(void *dst, const void *src, size_t len)
{
	if (copy_mc_to_kernel(dst, src, len))
		return -EIO;
	arch_wb_cache_pmem(dst, len);
	return 0;
}

static inline void plat_zero(void *dst, size_t len)
{
	for (; len >= PAGE_SIZE; len -= PAGE_SIZE, dst += PAGE_SIZE)
		memcpy_flushcache(dst, page_address(ZERO_PAGE(0)), PAGE_SIZE);
	if (len)
		memcpy_flushcache(dst, page_address(ZERO_PAGE(0)), len);
}

static inline int plat_read(void *dst, const void *src, size_t len)
{
	return copy_mc_to_kernel(dst, src, len) ? -EIO : 0;
}

#endif /* DAXCOW_PLATFORM_H */
