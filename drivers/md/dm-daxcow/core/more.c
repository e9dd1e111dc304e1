// SPDX-License-Identifier: GPL-2.0
/*
 * The table of those pairs that a descriptor has no room for, see owners.c.
 */
#include "internal.h"

u64 more_key(struct entry e)
{
	return e.block << 1 | is_chunk(e);
}

static struct more **more_bucket(const struct mores *m, u64 key)
{
	return &m->bucket[(key * 0x9e3779b97f4a7c15ULL >> 32) % m->nr_buckets];
}

static struct more **more_find(const struct mores *m, u64 key)
{
	struct more **p = m->nr_buckets ? more_bucket(m, key) : NULL;

	while (p && *p && (*p)->key != key)
		p = &(*p)->next;
	return p && *p ? p : NULL;
}

static size_t more_size(u32 cap)
{
	return sizeof(struct more) + cap * sizeof(struct pair);
}

/* Without memory the chains are longer. */
static int buckets_grow(struct mores *m)
{
	u32 nr = m->nr_buckets ? m->nr_buckets * 2 : 64, i;
	struct more **old = m->bucket, *more;
	u32 nr_old = m->nr_buckets;

	m->bucket = kvcalloc(nr, sizeof(*m->bucket), GFP_KERNEL);
	if (!m->bucket) {
		m->bucket = old;
		return old ? 0 : -ENOMEM;
	}
	m->nr_buckets = nr;
	m->bytes += (nr - nr_old) * sizeof(*m->bucket);
	for (i = 0; i < nr_old; i++) {
		while ((more = old[i])) {
			struct more **to = more_bucket(m, more->key);

			old[i] = more->next;
			more->next = *to;
			*to = more;
		}
	}
	kvfree(old);
	return 0;
}

/* Room for @nr pairs that @d has beside the first. Returns 0 or -ENOMEM. */
int more_room(struct daxcow_pool *pool, struct desc *d, u64 key, u32 nr)
{
	struct mores *m = &pool->mores;
	struct more **p = d->a & DESC_MORE ? more_find(m, key) : NULL;
	u32 cap = 2;
	struct more *more;

	if (p && (*p)->cap >= nr)
		return 0;
	if (m->nr >= m->nr_buckets * 2 && buckets_grow(m))
		return -ENOMEM;
	while (cap < nr)
		cap *= 2;
	more = kvzalloc(more_size(cap), GFP_KERNEL);
	if (!more)
		return -ENOMEM;
	m->bytes += more_size(cap);
	p = d->a & DESC_MORE ? more_find(m, key) : NULL;
	if (p) {
		struct more *old = *p;

		memcpy(more, old, more_size(old->nr));
		*p = more;
		m->bytes -= more_size(old->cap);
		kvfree(old);
	} else {
		p = more_bucket(m, key);
		more->next = *p;
		*p = more;
		m->nr++;
	}
	more->key = key;
	more->cap = cap;
	d->a |= DESC_MORE;
	return 0;
}

struct more *more_of(const struct daxcow_pool *pool, const struct desc *d,
		     u64 key)
{
	struct more **p = d->a & DESC_MORE ? more_find(&pool->mores, key) : NULL;

	return p ? *p : NULL;
}

void more_drop(struct daxcow_pool *pool, struct desc *d, u64 key)
{
	struct more **p = d->a & DESC_MORE ? more_find(&pool->mores, key) : NULL;
	struct more *more;

	d->a &= ~DESC_MORE;
	if (!p)
		return;
	more = *p;
	*p = more->next;
	pool->mores.nr--;
	pool->mores.bytes -= more_size(more->cap);
	kvfree(more);
}

void mores_exit(struct daxcow_pool *pool)
{
	struct mores *m = &pool->mores;
	struct more *more;
	u32 i;

	for (i = 0; i < m->nr_buckets; i++) {
		while ((more = m->bucket[i])) {
			m->bucket[i] = more->next;
			kvfree(more);
		}
	}
	kvfree(m->bucket);
}

/* In how many ways there are owners: 0 or 1, and more after merges. */
u32 owner_pairs(struct daxcow_pool *pool, struct entry e)
{
	const struct desc *d = entry_desc(pool, e);
	const struct more *more = more_of(pool, d, more_key(e));

	return !desc_count(d) ? 0 : more ? more->nr + 1 : 1;
}
