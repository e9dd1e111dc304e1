/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What persistent memory holds after a power cut (x86, ADR): stores to one
 * cache line persist in program order, lines in any order, each non-temporal
 * 8-byte word on its own; a flush or a non-temporal store is done when the
 * next fence is. Until then, or without a flush, a store may or may not be
 * there.
 *
 * A state is not written out. Recovery reads it at other addresses, those of
 * the shadow, where nothing is mapped: what a word holds is decided when it is
 * first read, and only as far as that word needs. What recovery does not read
 * cannot change its result, so going through all decisions goes through all
 * states.
 *
 *	persist_first();
 *	do {
 *		recover(persist_shadow());
 *	} while (persist_next());
 *
 * All states between two fences are among those just before the second one:
 * the hook runs there.
 */
#ifndef TESTS_PERSIST_H
#define TESTS_PERSIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Record what happens to [base, base + size), which is persistent now. */
void persist_start(void *base, size_t size);
void persist_stop(void);

/* Back to what was there at the start, in memory and in the medium. */
void persist_restart(void);

/* Called before each fence; NULL for none. Its own stores are not recorded. */
void persist_hook(void (*hook)(void));

/* Whether a power cut now could lose something. */
bool persist_pending(void);

/* Address at which a state after a power cut is read. */
void *persist_shadow(void);
void persist_first(void);
bool persist_next(void);

/* A word of the state, by its address in the shadow. */
uint64_t persist_word(const void *addr);

/* Whether @words words at @addr are all @value in this state. */
bool persist_all(const void *addr, size_t words, uint64_t value);

#endif
