// SPDX-License-Identifier: GPL-2.0
/*
 * Persistence in user space: cache flushes and non-temporal stores. The crash
 * checker has its own.
 */
#include <cpuid.h>
#include <immintrin.h>
#include "platform.h"

#define CACHE_LINE 64

static bool cpu_has(unsigned int bit)
{
	unsigned int a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit;
}

__attribute__((target("clwb")))
static void flush_clwb(const char *p, const char *end)
{
	for (; p < end; p += CACHE_LINE)
		_mm_clwb((void *)p);
}

__attribute__((target("clflushopt")))
static void flush_clflushopt(const char *p, const char *end)
{
	for (; p < end; p += CACHE_LINE)
		_mm_clflushopt((void *)p);
}

static void flush_clflush(const char *p, const char *end)
{
	for (; p < end; p += CACHE_LINE)
		_mm_clflush(p);
}

void plat_flush(const void *addr, size_t len)
{
	static void (*flush)(const char *p, const char *end);
	const char *p = (const char *)((uintptr_t)addr & ~(CACHE_LINE - 1UL));

	if (!flush)
		flush = cpu_has(bit_CLWB) ? flush_clwb :
			cpu_has(bit_CLFLUSHOPT) ? flush_clflushopt :
						  flush_clflush;
	flush(p, (const char *)addr + len);
}

void plat_fence(void)
{
	_mm_sfence();
}

/* Whole words go past the cache, the rest through it. */
void plat_write(void *dst, const void *src, size_t len)
{
	char *d = dst;
	const char *s = src;

	if ((uintptr_t)d % 8 || len % 8) {
		memcpy(d, s, len);
		plat_flush(d, len);
		return;
	}
	for (; len && ((uintptr_t)d % 16 || len < 64); len -= 8, d += 8, s += 8) {
		long long v;

		memcpy(&v, s, 8);
		_mm_stream_si64((long long *)d, v);
	}
	for (; len >= 64; len -= 64, d += 64, s += 64) {
		__m128i v0 = _mm_loadu_si128((const __m128i *)s);
		__m128i v1 = _mm_loadu_si128((const __m128i *)(s + 16));
		__m128i v2 = _mm_loadu_si128((const __m128i *)(s + 32));
		__m128i v3 = _mm_loadu_si128((const __m128i *)(s + 48));

		_mm_stream_si128((__m128i *)d, v0);
		_mm_stream_si128((__m128i *)(d + 16), v1);
		_mm_stream_si128((__m128i *)(d + 32), v2);
		_mm_stream_si128((__m128i *)(d + 48), v3);
	}
	for (; len; len -= 8, d += 8, s += 8) {
		long long v;

		memcpy(&v, s, 8);
		_mm_stream_si64((long long *)d, v);
	}
}

void plat_zero(void *dst, size_t len)
{
	char *d = dst;

	if ((uintptr_t)d % 16 || len % 16) {
		memset(d, 0, len);
		plat_flush(d, len);
		return;
	}
	for (; len; len -= 16, d += 16)
		_mm_stream_si128((__m128i *)d, _mm_setzero_si128());
}
