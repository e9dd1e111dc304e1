// SPDX-License-Identifier: GPL-2.0
/*
 * hold-mapped FILE...
 *
 * Map the first 8 KiB of each FILE for reading, say "ready", and until killed read
 * the first word of each again and again: "wrong" when one changes.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE	8192
#define MAX	8

int main(int argc, char **argv)
{
	const volatile uint64_t *at[MAX];
	uint64_t first[MAX];
	int i, fd, n = argc - 1;

	if (n < 1 || n > MAX)
		errx(2, "usage: hold-mapped FILE...");
	for (i = 0; i < n; i++) {
		fd = open(argv[i + 1], O_RDONLY);
		if (fd < 0)
			err(2, "%s", argv[i + 1]);
		at[i] = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
		if (at[i] == MAP_FAILED)
			err(2, "%s: mmap", argv[i + 1]);
		first[i] = at[i][0];
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		for (i = 0; i < n; i++)
			if (at[i][0] != first[i] || at[i][512] != first[i])
				errx(1, "%s: wrong", argv[i + 1]);
		usleep(100);
	}
}
