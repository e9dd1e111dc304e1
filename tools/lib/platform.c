// SPDX-License-Identifier: GPL-2.0
/*
 * The user space side of the seam: the checksum, and allocation that can be
 * made to fail.
 */
#include <immintrin.h>
#include "platform.h"

void (*plat_resched)(void);

static long fail_after = -1;

/* Make allocation number @n from now on (0 is the next) fail; < 0: none. */
void plat_fail_alloc(long n)
{
	fail_after = n;
}

void *plat_alloc(size_t size)
{
	if (fail_after >= 0 && fail_after-- == 0)
		return NULL;
	return calloc(1, size ? size : 1);
}

void *plat_alloc_kv(size_t size)
{
	return size > INT_MAX ? NULL : plat_alloc(size);
}

__attribute__((target("sse4.2")))
static u32 crc32c_hw(u32 crc, const u8 *p, size_t len)
{
	while (len--)
		crc = _mm_crc32_u8(crc, *p++);
	return crc;
}

/* Bit by bit: for processors without the instruction, and short inputs. */
static u32 crc32c_soft(u32 crc, const u8 *p, size_t len)
{
	int i;

	while (len--) {
		crc ^= *p++;
		for (i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

/* As the kernel's: no inversion at either end. */
u32 crc32c(u32 crc, const void *data, size_t len)
{
	return __builtin_cpu_supports("sse4.2") ? crc32c_hw(crc, data, len) :
						  crc32c_soft(crc, data, len);
}
