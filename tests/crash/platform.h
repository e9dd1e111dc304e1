/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The crash checker's side of the seam: as in user space, but each store,
 * flush and fence goes to the recorder in persist.c.
 */
#ifndef DAXCOW_PLATFORM_H
#define plat_store	plat_store_native
#include "../../tools/lib/platform.h"
#undef plat_store
void plat_store(__le64 *word, __le64 value);
#endif
