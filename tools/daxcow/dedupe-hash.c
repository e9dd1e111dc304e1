// SPDX-License-Identifier: GPL-2.0
/*
 * Hashes of blocks: XXH3, 128 bits. The dispatcher takes what the processor has; the
 * plain functions of the library are those of the oldest one.
 */
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__) && __has_include("xxh_x86dispatch.h")
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif
#include <daxcow/format.h>
#include "dedupe-hash.h"

void hash_init(struct hasher *h, u64 seed)
{
	const char *bits = getenv("DAXCOW_TEST_HASH_BITS");

	h->seed = seed;
	h->bits = bits ? atoi(bits) : 64;
	if (h->bits < 1 || h->bits > 64)
		h->bits = 64;
}

static struct index_key shorten(const struct hasher *h, XXH128_hash_t hash)
{
	struct index_key key = { hash.high64, hash.low64 };

	if (h->bits < 64) {
		key.hi &= ~0ULL << (64 - h->bits);
		key.lo = 0;
	}
	return key;
}

struct index_key hash_block(const struct hasher *h, const void *data,
			    u32 domain)
{
	struct index_key key;

	key = shorten(h, XXH3_128bits_withSeed(data, DAXCOW_BLOCK_SIZE,
					       h->seed));
	/* odd: no two domains make the same of it */
	key.lo ^= domain * 0x9e3779b97f4a7c15ULL;
	key.lo += (u64)domain << 32;
	return key;
}

struct index_key hash_keys(const struct hasher *h, const struct index_key *key,
			   unsigned int nr)
{
	return shorten(h, XXH3_128bits_withSeed(key, nr * sizeof(*key),
						h->seed));
}

bool is_zero(const void *data)
{
	const u64 *word = data;

	return !word[0] && !memcmp(word, word + 1,
				   DAXCOW_BLOCK_SIZE - sizeof(*word));
}
