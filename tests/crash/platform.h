/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The crash checker's side of the seam: as in user space, but what touches the
 * pool goes to the recorder in persist.c, and locks to the scheduler in
 * threads.c.
 */
#ifndef DAXCOW_PLATFORM_H
#define plat_store	plat_store_native
#define plat_load	plat_load_native
#define plat_read	plat_read_native
#include "../../tools/lib/platform.h"
#undef plat_store
#undef plat_load
#undef plat_read
__le64 plat_load(const __le64 *word);
void plat_store(__le64 *word, __le64 value);
int plat_read(void *dst, const void *src, size_t len);

#ifdef MUTANT
/* as plat_write() and others, but for the bytes staying in the cache */
void plat_write_cached(void *dst, const void *src, size_t len);
#define pm_write_cached(d, s, n)	plat_write_cached(d, s, n)
#define pm_copy_cached(d, s, n)		(plat_write_cached(d, s, n), 0)
#define pm_zero_cached(d, n)		plat_write_cached(d, NULL, n)
#endif

void before_copy(void);
static inline int crash_copy(void *dst, const void *src, size_t len)
{
	before_copy();
	return plat_copy(dst, src, len);
}

#define plat_copy	crash_copy

#undef mutex_lock
#undef mutex_trylock
#undef mutex_unlock
bool alone(void);
void crash_lock(struct mutex *lock);
void crash_unlock(struct mutex *lock);
#define mutex_lock(l)	crash_lock(l)
/* Beside another thread it is always the other who was quicker. */
#define mutex_trylock(l) (alone() ? crash_lock(l), true : false)
#define mutex_unlock(l)	crash_unlock(l)
#endif
