/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DAXCOW_FUZZ_OPTIONS_H
#define DAXCOW_FUZZ_OPTIONS_H

/* Where memory came from can be seen in a replay; without it all is twice as fast. */
const char *__asan_default_options(void)
{
	return "malloc_context_size=0:quarantine_size_mb=1:thread_local_quarantine_size_kb=64";
}

#endif /* DAXCOW_FUZZ_OPTIONS_H */
