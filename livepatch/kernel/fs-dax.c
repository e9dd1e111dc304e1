// SPDX-License-Identifier: GPL-2.0
#include "../live.h"
#include "../gen/fs/dax.c"

/* All that is called from outside and comes to what has changed. */
struct klp_func live_fs_dax[] __visible = {
	LIVE(dax_dedupe_file_range_compare),
	LIVE(dax_delete_mapping_entry),
	LIVE(dax_file_unshare),
	LIVE(dax_finish_sync_fault),
	LIVE(dax_invalidate_mapping_entry_sync),
	LIVE(dax_iomap_fault),
	LIVE(dax_iomap_rw),
	LIVE(dax_layout_busy_page),
	LIVE(dax_layout_busy_page_range),
	LIVE(dax_lock_mapping_entry),
	LIVE(dax_remap_file_range_prep),
	LIVE(dax_truncate_page),
	LIVE(dax_unlock_mapping_entry),
	LIVE(dax_writeback_mapping_range),
	LIVE(dax_zero_range),
	{ }
};

/*
 * For the other files here. dax_lock_folio() and its counterpart are others than
 * those of that name in the kernel, which nobody calls any more.
 */
extern typeof(dax_invalidate_mapping_entry_sync)
	dax_invalidate_mapping_entry_sync __visible;
extern typeof(dax_lock_mapping_entry) dax_lock_mapping_entry __visible;
extern typeof(dax_unlock_mapping_entry) dax_unlock_mapping_entry __visible;
extern typeof(dax_lock_folio) dax_lock_folio __visible;
extern typeof(dax_unlock_folio) dax_unlock_folio __visible;

extern struct xarray pgmap_array;

static void mark_page(struct page *page)
{
	spinlock_t *lock = dax_page_lock(dax_make_entry(page_to_pfn_t(page), 0));

	spin_lock_irq(lock);
	if (live_is_shared(page))
		page->mapping = live_shared_mark();
	spin_unlock_irq(lock);
}

static void mark_range(struct dev_pagemap *pgmap, int i)
{
	unsigned long pfn = PHYS_PFN(pgmap->ranges[i].start);
	unsigned long end = PHYS_PFN(pgmap->ranges[i].end + 1);

	/* these are the memory of the other pages' structures */
	if (!i && pgmap->flags & PGMAP_ALTMAP_VALID)
		pfn += pgmap->altmap.reserve + pgmap->altmap.free;
	for (; pfn < end; pfn++) {
		struct page *page = pfn_to_page(pfn);

		if (live_is_shared(page))
			mark_page(page);
		if (!(pfn % 1024))
			cond_resched();
	}
}

/* Who makes another meanwhile does it as we do, under the lock. */
void live_mark_pages(bool forget)
{
	struct dev_pagemap *pgmap;
	unsigned long pfn = 0;

	while (xa_find(&pgmap_array, &pfn, ULONG_MAX, XA_PRESENT)) {
		pgmap = get_dev_pagemap(pfn, NULL);
		pfn++;
		if (!pgmap)
			continue;
		for (int i = 0; i < pgmap->nr_range; i++) {
			if (pgmap->type == MEMORY_DEVICE_FS_DAX)
				mark_range(pgmap, i);
			pfn = max_t(unsigned long, pfn,
				    PHYS_PFN(pgmap->ranges[i].end + 1));
		}
		if (forget)
			WRITE_ONCE(pgmap->flags, pgmap->flags & ~LIVE_PGMAP_REMAPS);
		put_dev_pagemap(pgmap);
	}
}

extern typeof(live_mark_pages) live_mark_pages __visible;
