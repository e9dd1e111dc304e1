// SPDX-License-Identifier: GPL-2.0
#include "../live.h"
#include "../gen/drivers/nvdimm/pmem.c"

bool live_pmem_pfn_shared(struct dev_pagemap *pgmap, unsigned long pfn)
{
	return pmem_pagemap_pfn_shared(pgmap, pfn);
}

extern typeof(live_pmem_pfn_shared) live_pmem_pfn_shared __visible;
