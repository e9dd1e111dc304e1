// SPDX-License-Identifier: GPL-2.0
/*
 * The recorder: pending stores by cache line, and the image that is durable.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "platform.h"
#include "persist.h"

#define LINE_WORDS	8

struct store {
	u32 word;	/* in the line */
	u64 value;
};

/**
 * struct line - a cache line with stores that are not durable
 * @store:	in program order
 * @flushed:	how many of them a flush has covered since the last fence
 * @nt:		words with non-temporal stores
 */
struct line {
	struct store *store;
	u32 nr, cap, flushed;
	u8 nt;
	u64 nt_value[LINE_WORDS];
	bool dirty;
};

static u64 *mem, *durable;
static size_t nr_lines;
static struct line *lines;
static u32 *dirty, nr_dirty;
static void (*before_fence)(void);
static bool in_hook;
static long drop_flush = -1, drop_fence = -1, flushes, fences;

void persist_drop_flush(long n) { drop_flush = n; }
void persist_drop_fence(long n) { drop_fence = n; }
long persist_flushes(void) { return flushes; }
long persist_fences(void) { return fences; }

void persist_start(void *base, size_t size, void (*hook)(void))
{
	mem = base;
	nr_lines = size / 64;
	durable = malloc(size);
	lines = calloc(nr_lines, sizeof(*lines));
	dirty = calloc(nr_lines, sizeof(*dirty));
	before_fence = hook;
	memcpy(durable, mem, size);
	nr_dirty = 0;
	flushes = 0;
	fences = 0;
}

void persist_stop(void)
{
	size_t i;

	for (i = 0; i < nr_lines; i++)
		free(lines[i].store);
	free(lines);
	free(dirty);
	free(durable);
	mem = NULL;
}

static struct line *line_of(const void *addr, u32 *word)
{
	uintptr_t off = (uintptr_t)addr - (uintptr_t)mem;
	struct line *l;

	if (!mem || (const u64 *)addr < mem || off >= nr_lines * 64)
		return NULL;
	l = &lines[off / 64];
	*word = off % 64 / 8;
	return l;
}

static void mark(struct line *l)
{
	if (!l->dirty)
		dirty[nr_dirty++] = l - lines;
	l->dirty = true;
}

static void push_store(struct line *l, u32 word, u64 value)
{
	if (l->nr == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 4;
		l->store = realloc(l->store, l->cap * sizeof(*l->store));
	}
	l->store[l->nr++] = (struct store) { word, value };
}

void plat_store(__le64 *addr, __le64 value)
{
	u32 word;
	struct line *l = line_of(addr, &word);

	*(volatile __le64 *)addr = value;
	if (!l)
		return;
	mark(l);
	/* stores to one word keep their order, whatever their kind */
	if (l->nt & 1 << word)
		push_store(l, word, l->nt_value[word]);
	l->nt &= ~(1 << word);
	push_store(l, word, value);
}

static bool has_store(const struct line *l, u32 word)
{
	u32 i;

	for (i = 0; i < l->nr; i++)
		if (l->store[i].word == word)
			return true;
	return false;
}

static void store_nt(u64 *addr, u64 value)
{
	u32 word;
	struct line *l = line_of(addr, &word);

	*addr = value;
	if (!l)
		return;
	mark(l);
	if (has_store(l, word)) {
		push_store(l, word, value);
		l->flushed = l->nr;
		return;
	}
	l->nt |= 1 << word;
	l->nt_value[word] = value;
}

void plat_write(void *dst, const void *src, size_t len)
{
	u64 v, *d = dst;
	const char *s = src;

	if (len % 8 || (uintptr_t)dst % 8)
		abort();
	for (; len; len -= 8, s += 8) {
		memcpy(&v, s, 8);
		store_nt(d++, v);
	}
}

void plat_zero(void *dst, size_t len)
{
	u64 *d = dst;

	for (; len; len -= 8)
		store_nt(d++, 0);
}

void plat_flush(const void *addr, size_t len)
{
	const char *p = (const char *)((uintptr_t)addr & ~63UL);
	u32 word;

	if (flushes++ == drop_flush)
		return;
	for (; p < (const char *)addr + len; p += 64) {
		struct line *l = line_of(p, &word);

		if (l)
			l->flushed = l->nr;
	}
}

static void settle(struct line *l)
{
	u64 *d = durable + (l - lines) * LINE_WORDS;
	u32 i;

	for (i = 0; i < l->flushed; i++)
		d[l->store[i].word] = l->store[i].value;
	for (i = 0; i < LINE_WORDS; i++)
		if (l->nt & 1 << i)
			d[i] = l->nt_value[i];
	l->nr -= l->flushed;
	memmove(l->store, l->store + l->flushed, l->nr * sizeof(*l->store));
	l->flushed = 0;
	l->nt = 0;
}

void plat_fence(void)
{
	u32 i, left = 0;

	if (!mem || in_hook)
		return;
	if (before_fence) {
		in_hook = true;
		before_fence();
		in_hook = false;
	}
	if (fences++ == drop_fence)
		return;
	for (i = 0; i < nr_dirty; i++) {
		struct line *l = &lines[dirty[i]];

		settle(l);
		l->dirty = l->nr;
		if (l->nr)
			dirty[left++] = dirty[i];
	}
	nr_dirty = left;
}

void persist_settle(void)
{
	u32 i;

	for (i = 0; i < nr_dirty; i++) {
		lines[dirty[i]].flushed = lines[dirty[i]].nr;
		settle(&lines[dirty[i]]);
		lines[dirty[i]].dirty = false;
	}
	nr_dirty = 0;
}

void persist_image(void *image, uint64_t (*random)(uint64_t n))
{
	u32 i, j, n;

	memcpy(image, durable, nr_lines * 64);
	for (i = 0; i < nr_dirty; i++) {
		struct line *l = &lines[dirty[i]];
		u64 *d = (u64 *)image + (size_t)dirty[i] * LINE_WORDS;

		n = random(l->nr + 1);
		for (j = 0; j < n; j++)
			d[l->store[j].word] = l->store[j].value;
		for (j = 0; j < LINE_WORDS; j++)
			if (l->nt & 1 << j && random(2))
				d[j] = l->nt_value[j];
	}
}
