// SPDX-License-Identifier: GPL-2.0
/*
 * owners-time MAJOR MINOR PFN OWNERS [ask]
 *
 * Ask the pool that is device MAJOR:MINOR for the owners of a page frame, which must be
 * OWNERS, or 0 when it is none of the pool's, and let it fail, unless told only to ask.
 * Prints what each took, in ns for one owner; instructions
 * where the clock counts those (--icount).
 *
 * Exit code: 0 done, 1 they were not found, 2 could not be tried.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <linux/dm-daxcow.h>

#define ROUNDS	16

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* Each volume once. */
static void check(const struct daxcow_owner_range *r, unsigned long nr)
{
	char *seen = calloc(nr + 1, 1);
	unsigned long i;

	for (i = 0; i < nr; i++) {
		if (r[i].volume > nr || seen[r[i].volume])
			errx(1, "volume %u", r[i].volume);
		seen[r[i].volume] = 1;
	}
	free(seen);
}

int main(int argc, char **argv)
{
	struct daxcow_ioc_owners x = { .size = sizeof(x) };
	struct daxcow_owner_range *r;
	unsigned long want, i;
	uint64_t start, asked;
	int fd, fail;

	if (argc < 5)
		errx(2, "usage: owners-time MAJOR MINOR PFN OWNERS [ask]");
	want = strtoul(argv[4], NULL, 0);
	r = calloc(want + 1, sizeof(*r));
	fd = open("/dev/daxcow", O_RDWR);
	fail = open("/sys/kernel/debug/hwpoison/corrupt-pfn", O_WRONLY);
	if (fd < 0 || fail < 0 || !r)
		err(2, "open");
	asked = 0;
	for (i = 0; i < ROUNDS; i++) {
		x.flags = DAXCOW_OWNERS_PFN;
		x.major = atoi(argv[1]);
		x.minor = atoi(argv[2]);
		x.block = strtoul(argv[3], NULL, 0);
		x.nr = want + 1;
		x.owners = (uintptr_t)r;
		start = now();
		if (!ioctl(fd, DAXCOW_IOC_OWNERS, &x) != !!want)
			err(2, "owners");
		asked += now() - start;
		if (!want && errno != ERANGE)
			err(1, "owners");
		if (want && (x.total != want || x.nr != want))
			errx(1, "%llu owners", (unsigned long long)x.total);
	}
	check(r, want);
	if (argc > 5) {
		printf("%lu owners: asked %llu ns each\n", want,
		       (unsigned long long)(asked / ROUNDS / (want ?: 1)));
		return 0;
	}
	start = now();
	if (write(fail, argv[3], strlen(argv[3])) < 0)
		err(2, "corrupt-pfn");
	start = now() - start;
	printf("%lu owners: asked %llu ns each, failed %llu ns each\n", want,
	       (unsigned long long)(asked / ROUNDS / want),
	       (unsigned long long)(start / want));
	return 0;
}
