/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How pool memory is written. Nothing else stores to it: a lint greps for
 * that and the crash checker, which replaces the plat_*() functions by ones
 * that record, depends on it.
 *
 * Persist order, for those who add a publish:
 *
 *   P1  content (pm_write, pm_copy, pm_zero, a new node's pm_store and pm_flush)
 *       -- pm_fence() before --
 *   P2  the entry that makes it reachable (pm_publish: store and flush)
 *       -- pm_fence() before --
 *   P3  anybody acts on it: the lock is dropped, the caller is answered
 *
 * P1 before P2 because a crash between them must find the old tree or all of
 * the new one. P2 before P3 because whoever sees the entry may store behind
 * it, flush and acknowledge that: a crash must not take the entry back. Since
 * write intents are decided under the pool's lock nobody sees one earlier.
 *
 * pm_write(), pm_copy() and pm_zero() write back by themselves: they need the
 * fence, and no flush. pm_store() needs both.
 */
#ifndef DAXCOW_PMEM_H
#define DAXCOW_PMEM_H

#include "platform.h"
#include <daxcow/format.h>

/* An 8-byte word of the pool; single-copy atomic. */
static inline u64 pm_load(const __le64 *word)
{
	return le64_to_cpu(plat_load(word));
}

static inline void pm_store(__le64 *word, u64 value)
{
	plat_store(word, cpu_to_le64(value));
}

static inline void pm_flush(const void *addr, size_t len)
{
	plat_flush(addr, len);
}

static inline void pm_fence(void)
{
	plat_fence();
}

/* The one store that makes a change real; pm_fence() before and after. */
static inline void pm_publish(__le64 *word, u64 value)
{
	pm_store(word, value);
	pm_flush(word, sizeof(*word));
}

/* Write to the pool from ordinary memory. */
static inline void pm_write(void *dst, const void *src, size_t len)
{
	plat_write(dst, src, len);
}

/*
 * Copy from the pool to the pool. @src may be poisoned: 0 or -EIO, in which
 * case some of @dst was written.
 */
static inline int pm_copy(void *dst, const void *src, size_t len)
{
	return plat_copy(dst, src, len);
}

static inline void pm_zero(void *dst, size_t len)
{
	plat_zero(dst, len);
}

/* Copy from the pool to ordinary memory: 0 or -EIO. */
static inline int pm_read(void *dst, const void *src, size_t len)
{
	return plat_read(dst, src, len);
}

#endif /* DAXCOW_PMEM_H */
