/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As in user space, but that a test gets to know of each word of a table that the engine
 * is about to look at.
 */
#ifndef DAXCOW_PLATFORM_H
#define plat_load	plat_load_native
#include "../../../tools/lib/platform.h"
#undef plat_load

/* of those who want to know, and NULL in others */
__attribute__((weak)) void (*before_load)(void);

static inline __le64 plat_load(const __le64 *word)
{
	if (before_load)
		before_load();
	return plat_load_native(word);
}
#endif
