// SPDX-License-Identifier: GPL-2.0
/*
 * stuck read|write FILE
 *
 * read(2) or write(2) of FILE, which does not come back: the second half of the
 * buffer is registered with userfaultfd, and nobody resolves the fault. Says
 * "stuck" when it is, and waits to be killed.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096UL

static char *buf;
static int fd;

static void *transfer(void *arg)
{
	ssize_t n = strcmp(arg, "write") ? pread(fd, buf, 2 * PAGE, 0) :
					   pwrite(fd, buf, 2 * PAGE, 0);

	errx(2, "it came back with %zd", n);
}

int main(int argc, char **argv)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct pollfd p = { .events = POLLIN };
	pthread_t thread;

	if (argc != 3)
		errx(2, "usage: stuck read|write FILE");
	fd = open(argv[2], O_RDWR);
	buf = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	p.fd = syscall(__NR_userfaultfd, O_CLOEXEC);
	reg.range.start = (uintptr_t)buf + PAGE;
	reg.range.len = PAGE;
	if (fd < 0 || buf == MAP_FAILED || p.fd < 0 ||
	    ioctl(p.fd, UFFDIO_API, &api) || ioctl(p.fd, UFFDIO_REGISTER, &reg))
		err(2, "%s", argv[2]);
	memset(buf, 'n', PAGE);
	if (pthread_create(&thread, NULL, transfer, argv[1]))
		err(2, "pthread_create");
	if (poll(&p, 1, 60000) != 1)
		errx(2, "no fault");
	printf("stuck\n");
	fflush(stdout);
	pause();
	return 2;
}
