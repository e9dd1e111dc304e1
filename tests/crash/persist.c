// SPDX-License-Identifier: GPL-2.0
/*
 * The recorder: stores that are pending, by cache line; and the states that
 * memory may be in, one after the other.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "platform.h"
#include "persist.h"
#include "world.h"

#define LINE_WORDS	8

/* More for one fence is no test any more; something is not what it should be. */
#define MAX_CHOICES	16384

struct store {
	u32 word;	/* in the line */
	u64 value;
};

/**
 * struct line - a cache line with stores that are not durable
 * @store:	in program order
 * @flushed:	how many of them a flush has covered since the last fence
 * @nt:		words with non-temporal stores
 * @nt_value:	theirs
 * @dirty:	there are any
 * @written:	since the start
 * @lo:		in this state, at least so many of @store have persisted
 * @hi:		at most so many
 * @nt_decided:	of @nt, those that this state has decided
 * @nt_there:	of these, those that have persisted
 * @open:	@lo to @nt_there are in use
 */
struct line {
	struct store *store;
	u32 nr, cap, flushed;
	u8 nt;
	u64 nt_value[LINE_WORDS];
	bool dirty, written, open;
	u32 lo, hi;
	u8 nt_decided, nt_there;
};

struct choice {
	u32 index, nr;
};

static u64 *mem, *durable, *start;
static char *shadow;
static size_t size;
static struct line *lines;
static u32 *dirty, nr_dirty, *written, nr_written, *opened, nr_opened;
static struct choice choice[MAX_CHOICES];
static u32 nr_choices, at_choice;
static void (*before_fence)(void);
static bool in_hook;

void persist_start(void *base, size_t bytes)
{
	size_t nr = bytes / 64;

	mem = base;
	size = bytes;
	durable = malloc(size);
	start = malloc(size);
	lines = calloc(nr, sizeof(*lines));
	dirty = calloc(nr, sizeof(*dirty));
	written = calloc(nr, sizeof(*written));
	opened = calloc(nr, sizeof(*opened));
	shadow = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!durable || !start || !lines || !dirty || !written || !opened ||
	    shadow == MAP_FAILED)
		abort();
	memcpy(durable, mem, size);
	memcpy(start, mem, size);
	nr_dirty = 0;
	nr_written = 0;
	nr_opened = 0;
}

void persist_stop(void)
{
	size_t i;

	for (i = 0; i < size / 64; i++)
		free(lines[i].store);
	free(lines);
	free(dirty);
	free(written);
	free(opened);
	free(durable);
	free(start);
	munmap(shadow, size);
	mem = NULL;
}

void persist_restart(void)
{
	u32 i;

	for (i = 0; i < nr_written; i++) {
		struct line *l = &lines[written[i]];
		size_t word = (size_t)written[i] * LINE_WORDS;

		memcpy(mem + word, start + word, 64);
		memcpy(durable + word, start + word, 64);
		l->nr = 0;
		l->flushed = 0;
		l->nt = 0;
		l->dirty = false;
		l->written = false;
	}
	nr_written = 0;
	nr_dirty = 0;
}

void persist_hook(void (*hook)(void))
{
	before_fence = hook;
}

bool persist_pending(void)
{
	return nr_dirty;
}

/* ---- recording ---- */

static bool in_shadow(const void *addr)
{
	return (const char *)addr >= shadow && (const char *)addr < shadow + size;
}

static struct line *line_of(const void *addr, u32 *word)
{
	uintptr_t off = (uintptr_t)addr - (uintptr_t)mem;

	if (!mem || (const u64 *)addr < mem || off >= size)
		return NULL;
	*word = off % 64 / 8;
	return &lines[off / 64];
}

static void mark(struct line *l)
{
	if (in_hook) {
		fprintf(stderr, "recovery writes\n");
		abort();
	}
	if (!l->dirty)
		dirty[nr_dirty++] = l - lines;
	if (!l->written)
		written[nr_written++] = l - lines;
	l->dirty = true;
	l->written = true;
}

static void push_store(struct line *l, u32 word, u64 value)
{
	if (l->nr == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 4;
		l->store = realloc(l->store, l->cap * sizeof(*l->store));
		if (!l->store)
			abort();
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

#ifdef MUTANT
void plat_write_cached(void *dst, const void *src, size_t len)
{
	__le64 v = 0, *d = dst;
	const char *s = src;

	for (; len; len -= 8, s += 8) {
		if (src)
			memcpy(&v, s, 8);
		plat_store(d++, v);
	}
}
#endif

void plat_flush(const void *addr, size_t len)
{
	const char *p = (const char *)((uintptr_t)addr & ~63UL);
	u32 word;

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
	for (i = 0; i < nr_dirty; i++) {
		struct line *l = &lines[dirty[i]];

		settle(l);
		l->dirty = l->nr;
		if (l->nr)
			dirty[left++] = dirty[i];
	}
	nr_dirty = left;
}

/* ---- states ---- */

void *persist_shadow(void)
{
	return shadow;
}

static void close_lines(void)
{
	while (nr_opened)
		lines[opened[--nr_opened]].open = false;
	at_choice = 0;
}

void persist_first(void)
{
	nr_choices = 0;
	close_lines();
}

/* The next state; false when this was the last one. */
bool persist_next(void)
{
	close_lines();
	while (nr_choices && choice[nr_choices - 1].index + 1 ==
			     choice[nr_choices - 1].nr)
		nr_choices--;
	if (!nr_choices)
		return false;
	choice[nr_choices - 1].index++;
	return true;
}

static u32 choose(u32 nr)
{
	if (at_choice == nr_choices) {
		if (nr_choices == MAX_CHOICES) {
			fprintf(stderr, "recovery reads what is not decided, without end\n");
			abort();
		}
		choice[nr_choices++] = (struct choice) { 0, nr };
	}
	return choice[at_choice++].index;
}

static u64 nt_word(struct line *l, u32 word, u64 old)
{
	u8 bit = 1 << word;

	if (l->nt_value[word] == old)
		return old;
	if (!(l->nt_decided & bit)) {
		l->nt_decided |= bit;
		if (choose(2))
			l->nt_there |= bit;
	}
	return l->nt_there & bit ? l->nt_value[word] : old;
}

/*
 * How many of the line's stores have persisted is known to be lo .. hi. Each
 * value that @word takes on in there is a choice, and narrows that down.
 */
static u64 ordered_word(struct line *l, u32 word, u64 old)
{
	u32 from[LINE_WORDS * 8], nr = 1, i;
	u64 value[LINE_WORDS * 8];

	for (i = 0; i < l->lo; i++)
		if (l->store[i].word == word)
			old = l->store[i].value;
	from[0] = l->lo;
	value[0] = old;
	for (i = l->lo; i < l->hi; i++) {
		if (l->store[i].word != word || l->store[i].value == value[nr - 1])
			continue;
		if (nr == ARRAY_SIZE(from))
			abort();
		from[nr] = i + 1;
		value[nr++] = l->store[i].value;
	}
	if (nr == 1)
		return value[0];
	i = choose(nr);
	if (i + 1 < nr)
		l->hi = from[i + 1] - 1;
	l->lo = from[i];
	return value[i];
}

uint64_t persist_word(const void *addr)
{
	size_t word = ((const char *)addr - shadow) / 8;
	struct line *l = &lines[word / LINE_WORDS];
	u32 in_line = word % LINE_WORDS;

	if (!l->dirty)
		return durable[word];
	if (!l->open) {
		l->open = true;
		l->lo = 0;
		l->hi = l->nr;
		l->nt_decided = 0;
		l->nt_there = 0;
		opened[nr_opened++] = l - lines;
	}
	if (l->nt & 1 << in_line)
		return nt_word(l, in_line, durable[word]);
	return ordered_word(l, in_line, durable[word]);
}

bool persist_all(const void *addr, size_t words, uint64_t value)
{
	const u64 *p = addr;
	size_t i;

	for (i = 0; i < words; i++)
		if (persist_word(p + i) != value)
			return false;
	return true;
}

__le64 plat_load(const __le64 *word)
{
	if (in_shadow(word))
		return persist_word(word);
	before_load();
	return plat_load_native(word);
}

int plat_read(void *dst, const void *src, size_t len)
{
	const u64 *s = src;
	char *d = dst;
	u64 v;

	if (!in_shadow(src))
		return plat_read_native(dst, src, len);
	for (; len; len -= 8, d += 8) {
		v = persist_word(s++);
		memcpy(d, &v, 8);
	}
	return 0;
}
