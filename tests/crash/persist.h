/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What persistent memory holds after a power cut (x86, ADR): stores to one
 * cache line persist in program order, lines in any order, each non-temporal
 * 8-byte word on its own; a flush or a non-temporal store is done when the
 * next fence is. Until then, or without a flush, a store may or may not be
 * there.
 */
#ifndef TESTS_PERSIST_H
#define TESTS_PERSIST_H

#include <stddef.h>
#include <stdint.h>

/* Record what happens to [base, base + size). @hook runs before each fence. */
void persist_start(void *base, size_t size, void (*hook)(void));
void persist_stop(void);

/* Everything so far becomes persistent: the start of a test. */
void persist_settle(void);

/*
 * Write one possible state after a power cut now to @image. @random(n) gives
 * a number below n. A @random that always gives 0 loses all it may.
 */
void persist_image(void *image, uint64_t (*random)(uint64_t n));

/* Mutants: leave out flush or fence number @n of the run (from 0; -1 none). */
void persist_drop_flush(long n);
void persist_drop_fence(long n);
long persist_flushes(void);
long persist_fences(void);

#endif
