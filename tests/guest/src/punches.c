// SPDX-License-Identifier: GPL-2.0
/*
 * punches FILE PAGE
 *
 * Hold page PAGE of FILE, which is on DAX, in a pipe, and try to punch it out, again and
 * again, until standard input ends. Each try waits for the pipe, in vain, and is
 * interrupted after some milliseconds. Prints how many there were.
 *
 * Exit status: 0, 2 could not run.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE	4096UL

static void on_alarm(int sig __attribute__((unused)))
{
}

int main(int argc, char **argv)
{
	struct itimerval tick = { .it_interval.tv_usec = 3000, .it_value.tv_usec = 3000 };
	struct sigaction sa = { .sa_handler = on_alarm };
	struct pollfd in = { .fd = 0, .events = POLLIN };
	unsigned long tries = 0;
	struct iovec v;
	off_t at;
	int fd, end[2];

	if (argc != 3)
		errx(2, "usage: punches FILE PAGE");
	fd = open(argv[1], O_RDWR);
	at = strtoul(argv[2], NULL, 0) * PAGE;
	v.iov_len = PAGE;
	v.iov_base = fd < 0 ? MAP_FAILED :
		     mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);
	if (v.iov_base == MAP_FAILED || pipe(end))
		err(2, "%s", argv[1]);
	*(volatile char *)v.iov_base = 1;
	if (vmsplice(end[1], &v, 1, 0) != (ssize_t)PAGE)
		err(2, "vmsplice");
	puts("held");
	fflush(stdout);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &tick, NULL);
	while (poll(&in, 1, 0) <= 0) {
		if (!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, PAGE) ||
		    errno != EINTR)
			err(2, "punched");
		tries++;
	}
	printf("%lu\n", tries);
	return 0;
}
