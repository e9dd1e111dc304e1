// SPDX-License-Identifier: GPL-2.0
/*
 * outrun FILE PAGE READY GO
 *
 * Map PAGE of FILE, make READY, wait for GO, and until the page cannot be read, write all
 * of it, store to the mapping, and see whether anybody minds: what is mapped now is good.
 *
 * Exit code: 0 nobody did, 1 SIGBUS, or it was not as expected, 2 could not be tried.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_SIZE	4096
#define TRIES		500	/* of 10 ms */

static void bus(int sig __attribute__((unused)))
{
	static const char text[] = "outrun: SIGBUS\n";

	if (write(2, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

int main(int argc, char **argv)
{
	static char bytes[PAGE_SIZE];
	struct sigaction sa = { .sa_handler = bus };
	volatile char *p;
	int fd, i;
	off_t at;

	if (argc != 5)
		errx(2, "usage: outrun FILE PAGE READY GO");
	at = atol(argv[2]) * PAGE_SIZE;
	fd = open(argv[1], O_RDWR);
	if (fd < 0)
		err(2, "%s", argv[1]);
	p = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);
	if (p == MAP_FAILED || sigaction(SIGBUS, &sa, NULL))
		err(2, "mmap");
	bytes[0] = p[0];
	close(open(argv[3], O_CREAT | O_WRONLY, 0600));
	while (access(argv[4], F_OK))
		usleep(10000);
	for (i = 0; pread(fd, bytes, PAGE_SIZE, at) >= 0; i++) {
		if (i == TRIES)
			errx(2, "the page did not fail");
		usleep(10000);
	}
	memset(bytes, 0x55, sizeof(bytes));
	if (pwrite(fd, bytes, PAGE_SIZE, at) != PAGE_SIZE)
		err(1, "the page cannot be written");
	p[1] = 0x66;
	puts("ahead");
	fflush(stdout);
	for (i = 0; i < TRIES; i++) {
		if (p[0] != 0x55 || p[1] != 0x66)
			errx(1, "the mapping shows something else");
		usleep(10000);
	}
	return 0;
}
