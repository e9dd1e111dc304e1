// SPDX-License-Identifier: GPL-2.0
/*
 * When the last one left a block, see reclaim.c: epochs, of which a descriptor has room
 * for a part of the number only.
 */
#include "internal.h"

/* What a state can tell apart. */
#define NR_EPOCHS	(DESC_STATE_MASK + 1 - STATE_LEFT)

u32 state_of_epoch(u64 epoch)
{
	return STATE_LEFT + epoch % NR_EPOCHS;
}

/* Whether somebody who left may still look, in @epoch, when those up to @ended have ended. */
bool state_left(u64 epoch, u64 ended, u32 state)
{
	u64 ago;

	if (state < STATE_LEFT)
		return false;
	ago = epoch + NR_EPOCHS - (state - STATE_LEFT);
	return ago % NR_EPOCHS < epoch - ended;
}

static void desc_forget(const struct daxcow_pool *pool, struct desc *d)
{
	if (desc_state(d) >= STATE_LEFT && !state_left(pool->epoch, pool->ended, desc_state(d)))
		desc_set_state(d, STATE_OPEN);
}

/*
 * A descriptor has room for a part of the number of an epoch only, which comes back.
 * So all are visited before it does, some chunks after each grace period; as far as
 * *@work goes.
 */
void space_forget(struct daxcow_pool *pool, long *work)
{
	u32 i;

	for (; pool->nr_forget && *work > 0; pool->nr_forget--) {
		struct chunk *chunk = &pool->chunks[pool->forget];

		desc_forget(pool, &chunk->desc);
		for (i = 0; chunk->split && i < DAXCOW_CHUNK_BLOCKS; i++)
			desc_forget(pool, &chunk->split->desc[i]);
		*work -= chunk->split ? DAXCOW_CHUNK_BLOCKS : 1;
		if (++pool->forget == pool->nr_chunks)
			pool->forget = 0;
	}
}
