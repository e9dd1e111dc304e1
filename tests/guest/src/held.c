// SPDX-License-Identifier: GPL-2.0
/*
 * held read|write FILE OFFSET LENGTH
 *
 * A read(2) or write(2) of FILE that is held in its middle, as the memory that it is
 * from or to is not there. Prints "held" when it is, and lets go of it when its standard
 * input has a line, or ends; what is written is then bytes of 'h'. Prints what the call
 * returned.
 *
 * Exit status: 0, 2 could not run.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE	4096UL

static struct call {
	int fd, writes;
	off_t at;
	size_t len;
	char *buf;
	ssize_t ret;
	int error;
} call;

static void *make(void *arg)
{
	struct call *c = arg;

	c->ret = c->writes ? pwrite(c->fd, c->buf, c->len, c->at) :
			     pread(c->fd, c->buf, c->len, c->at);
	c->error = errno;
	return NULL;
}

/* The memory's first page is missing until it is given one. */
static int missing(size_t len)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);

	call.buf = mmap(NULL, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (uffd < 0 || call.buf == MAP_FAILED || ioctl(uffd, UFFDIO_API, &api))
		err(2, "userfaultfd");
	reg.range.start = (unsigned long)call.buf;
	reg.range.len = len;
	if (ioctl(uffd, UFFDIO_REGISTER, &reg))
		err(2, "UFFDIO_REGISTER");
	return uffd;
}

static void give(int uffd, size_t len)
{
	static char page[PAGE];
	size_t i;

	memset(page, 'h', sizeof(page));
	for (i = 0; i < len; i += PAGE) {
		struct uffdio_copy copy = {
			.dst = (unsigned long)call.buf + i,
			.src = (unsigned long)page,
			.len = PAGE,
		};

		if (ioctl(uffd, UFFDIO_COPY, &copy) && errno != EEXIST)
			err(2, "UFFDIO_COPY");
	}
}

int main(int argc, char **argv)
{
	struct uffd_msg msg;
	pthread_t thread;
	size_t room;
	char line[64];
	int uffd;

	if (argc != 5 || (strcmp(argv[1], "read") && strcmp(argv[1], "write")))
		errx(2, "usage: held read|write FILE OFFSET LENGTH");
	call.writes = argv[1][0] == 'w';
	call.fd = open(argv[2], call.writes ? O_RDWR | O_CREAT : O_RDONLY, 0600);
	call.at = strtoull(argv[3], NULL, 0);
	call.len = strtoull(argv[4], NULL, 0);
	if (call.fd < 0 || !call.len)
		err(2, "%s", argv[2]);
	room = (call.len + PAGE - 1) / PAGE * PAGE;
	uffd = missing(room);
	if (pthread_create(&thread, NULL, make, &call))
		errx(2, "no thread");
	if (read(uffd, &msg, sizeof(msg)) != sizeof(msg))
		err(2, "userfaultfd");
	printf("held\n");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		line[0] = 0;
	give(uffd, room);
	pthread_join(thread, NULL);
	if (call.ret < 0)
		printf("%s\n", strerror(call.error));
	else
		printf("%zd\n", call.ret);
	return 0;
}
