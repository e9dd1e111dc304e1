/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The user space side of the seam: what the engine needs from its
 * surroundings, under the names that the kernel uses. The kernel side is
 * drivers/md/dm-daxcow/platform.h, the crash checker's tests/crash/platform.h
 * replaces the persistence functions.
 */
#ifndef DAXCOW_PLATFORM_H
#define DAXCOW_PLATFORM_H

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#define cpu_to_le16(x)	((__le16)htole16(x))
#define cpu_to_le32(x)	((__le32)htole32(x))
#define cpu_to_le64(x)	((__le64)htole64(x))
#define le16_to_cpu(x)	le16toh((u16)(x))
#define le32_to_cpu(x)	le32toh((u32)(x))
#define le64_to_cpu(x)	le64toh((u64)(x))

#define READ_ONCE(x)		(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v)	(*(volatile __typeof__(x) *)&(x) = (v))
#define smp_load_acquire(p)	__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define smp_store_release(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)

#define noinline_for_stack	__attribute__((noinline))
#define xchg(p, v)		__atomic_exchange_n(p, v, __ATOMIC_SEQ_CST)
#define smp_mb()		__atomic_thread_fence(__ATOMIC_SEQ_CST)
/* Looks at what others may be changing. */
#define __no_kcsan		__attribute__((no_sanitize("thread")))

struct seqcount {
	unsigned int sequence;
};

#define seqcount_t		struct seqcount
#define seqcount_init(s)	((s)->sequence = 0)

static inline void raw_write_seqcount_begin(seqcount_t *s)
{
	unsigned int was = __atomic_load_n(&s->sequence, __ATOMIC_RELAXED);

	__atomic_store_n(&s->sequence, was + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static inline void raw_write_seqcount_end(seqcount_t *s)
{
	unsigned int was = __atomic_load_n(&s->sequence, __ATOMIC_RELAXED);

	__atomic_store_n(&s->sequence, was + 1, __ATOMIC_RELEASE);
}

static inline unsigned int raw_read_seqcount(const seqcount_t *s)
{
	return __atomic_load_n(&s->sequence, __ATOMIC_ACQUIRE);
}

static inline int read_seqcount_retry(const seqcount_t *s, unsigned int start)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&s->sequence, __ATOMIC_RELAXED) != start;
}

#define min(a, b)	((a) < (b) ? (a) : (b))
#define max(a, b)	((a) > (b) ? (a) : (b))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define unlikely(x)	__builtin_expect(!!(x), 0)
#define likely(x)	__builtin_expect(!!(x), 1)

struct mutex {
	pthread_mutex_t m;
};

#define mutex_init(l)		pthread_mutex_init(&(l)->m, NULL)
#define mutex_destroy(l)	pthread_mutex_destroy(&(l)->m)
#define mutex_lock(l)		pthread_mutex_lock(&(l)->m)
#define mutex_trylock(l)	(!pthread_mutex_trylock(&(l)->m))
#define mutex_unlock(l)		pthread_mutex_unlock(&(l)->m)
#define lockdep_assert_held(l)	((void)(l))

/* Where the engine has given its lock away, and goes on after that; a test may. */
extern void (*plat_resched)(void);
#define cond_resched()		do { if (plat_resched) plat_resched(); } while (0)

/*
 * Tests make the n-th allocation from now on fail, see plat_fail_alloc().
 */
#define GFP_KERNEL	0
void *plat_alloc(size_t size);
void *plat_alloc_kv(size_t size);
void plat_fail_alloc(long n);
/* The kernel's kvmalloc() and its like give no more than INT_MAX bytes. */
#define kvzalloc(size, gfp)	plat_alloc_kv(size)
#define kvcalloc(n, size, gfp)	plat_alloc_kv((size_t)(n) * (size))
#define vcalloc(n, size)	plat_alloc((size_t)(n) * (size))
#define vzalloc(size)		plat_alloc(size)
#define kvfree(p)		free(p)
#define vfree(p)		free(p)

static inline unsigned int hweight64(u64 x)
{
	return __builtin_popcountll(x);
}

static inline unsigned long __ffs64(u64 x)
{
	return __builtin_ctzll(x);
}

u32 crc32c(u32 crc, const void *data, size_t len);

/* Persistence, see <daxcow/pmem.h>. */

static inline __le64 plat_load(const __le64 *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void plat_store(__le64 *word, __le64 value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

void plat_flush(const void *addr, size_t len);
void plat_fence(void);
void plat_write(void *dst, const void *src, size_t len);
void plat_zero(void *dst, size_t len);

static inline int plat_copy(void *dst, const void *src, size_t len)
{
	plat_write(dst, src, len);
	return 0;
}

static inline int plat_read(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
	return 0;
}

#endif /* DAXCOW_PLATFORM_H */
