// SPDX-License-Identifier: GPL-2.0
/*
 * dax-pin FILE CLONE DEVICE
 *
 * Write to DEVICE with O_DIRECT from a mapping of FILE, which shares its page
 * with CLONE, that is mapped too; then read from it into the mapping. The page
 * is pinned for that.
 *
 * Exit code: 0 done, 1 it takes for ever, 2 could not be done.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE_SIZE 4096

/* an emulated processor needs some milliseconds */
#define PATIENCE 20

static volatile char *map(const char *path, int flags, int prot)
{
	int fd = open(path, flags);
	char *p = mmap(NULL, PAGE_SIZE, prot, MAP_SHARED, fd, 0);

	if (fd < 0 || p == MAP_FAILED)
		err(2, "%s", path);
	close(fd);
	(void)*(volatile char *)p;
	return p;
}

/* In a child, which can be killed while it does not come back. */
static void within_time(void (*fn)(char **argv), char **argv)
{
	pid_t child = fork();
	int i, status;

	if (!child) {
		fn(argv);
		_exit(0);
	}
	for (i = 0; i < PATIENCE * 10; i++) {
		if (waitpid(child, &status, WNOHANG) == child) {
			if (status)
				errx(2, "it failed");
			return;
		}
		usleep(100000);
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	errx(1, "not done within %d s", PATIENCE);
}

static void write_from(char **argv)
{
	volatile char *p = map(argv[1], O_RDONLY, PROT_READ);
	volatile char *q = map(argv[2], O_RDONLY, PROT_READ);
	int fd = open(argv[3], O_WRONLY | O_DIRECT);

	(void)*q;
	if (fd < 0 || write(fd, (void *)p, PAGE_SIZE) != PAGE_SIZE)
		err(2, "write to %s", argv[3]);
	close(fd);
}

static void read_into(char **argv)
{
	volatile char *q = map(argv[2], O_RDONLY, PROT_READ);
	volatile char *p = map(argv[1], O_RDWR, PROT_READ | PROT_WRITE);
	int fd = open(argv[3], O_RDONLY | O_DIRECT);

	(void)*q;
	if (fd < 0 || read(fd, (void *)p, PAGE_SIZE) != PAGE_SIZE)
		err(2, "read from %s", argv[3]);
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		errx(2, "usage: dax-pin FILE CLONE DEVICE");
	within_time(write_from, argv);
	within_time(read_into, argv);
	return 0;
}
