// SPDX-License-Identifier: GPL-2.0
/*
 * dax-buffers short FILE
 * dax-buffers hole FILE
 * dax-buffers random ROUNDS SEED FILE [CLONE]
 *
 * read(2) and write(2) of a DAX file with memory that is not there.
 *
 * short	a write of 5000 bytes to a shared block, of which 100 can be read, has
 *	to leave the rest of the block as it was
 * hole	a hole is read to memory that does not exist
 * random	offsets and lengths by chance, with memory that has never been
 *	touched, ends early, is resolved by userfaultfd one page at a time, is a
 *	mapping of the file, or several of these in a row. FILE is compared with what
 *	should be there. With CLONE all of FILE is shared anew for each round, and
 *	CLONE must stay what it was
 *
 * Exit status: 0 as it should be, 1 not, 2 could not be tried.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE	4096UL
#define PAGES	64UL
#define SIZE	(PAGES * PAGE)
#define MOST	(8 * PAGE)

static char want[SIZE], got[SIZE], clone_is[SIZE];
static char *map;
static int fd, uffd, bad;

#define must(x) do { if (!(x)) err(2, "line %d: %s", __LINE__, #x); } while (0)

static char *reserve(size_t len)
{
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(p != MAP_FAILED && !madvise(p, len, MADV_NOHUGEPAGE));
	return p;
}

static int open_file(const char *path, int flags)
{
	int f = open(path, flags | O_CLOEXEC, 0600);

	if (f < 0)
		err(2, "%s", path);
	return f;
}

static void compare(const char *what, const char *a, const char *b, size_t len)
{
	size_t i;

	for (i = 0; i < len && a[i] == b[i]; i++)
		;
	if (i == len)
		return;
	printf("%s: byte %zu is %#x and not %#x\n", what, i, a[i] & 0xff,
	       b[i] & 0xff);
	bad = 1;
}

static void compare_file(const char *how)
{
	must(pread(fd, got, SIZE, 0) == (ssize_t)SIZE);
	compare(how, got, want, SIZE);
	compare("mapping", map, want, SIZE);
}

/* ---- one by one ---- */

static int short_write(const char *path)
{
	char *p = reserve(2 * PAGE) + PAGE - 100;
	ssize_t n;

	fd = open_file(path, O_RDWR);
	must(pread(fd, want, 2 * PAGE, 0) == 2 * (ssize_t)PAGE);
	memset(p, 'n', 100);
	memset(want, 'n', 100);
	must(!munmap(p + 100, PAGE));
	n = pwrite(fd, p, 5000, 0);
	if (n != 100) {
		printf("100 bytes can be written, not %zd\n", n);
		return 1;
	}
	must(pread(fd, got, 2 * PAGE, 0) == 2 * (ssize_t)PAGE);
	compare(path, got, want, 2 * PAGE);
	return bad;
}

static int read_hole(const char *path)
{
	char *p = reserve(PAGE);
	ssize_t n;

	must(!munmap(p, PAGE));
	fd = open_file(path, O_RDWR | O_CREAT | O_TRUNC);
	must(!ftruncate(fd, PAGE));
	n = read(fd, p, 100);
	if (n != -1 || errno != EFAULT)
		printf("a hole is read to nowhere: %zd\n", n);
	return n != -1 || errno != EFAULT;
}

/* ---- by chance ---- */

/* Of what the missing pages are made when they are missed. */
static char *missing, content[MOST + PAGE];

static void *resolve(void *arg)
{
	struct uffdio_copy copy;
	struct uffd_msg msg;

	while (read(uffd, &msg, sizeof(msg)) == sizeof(msg)) {
		copy = (struct uffdio_copy){
			.dst = msg.arg.pagefault.address & ~(PAGE - 1),
			.len = PAGE,
		};
		copy.src = (uintptr_t)content + copy.dst - (uintptr_t)missing;
		if (ioctl(uffd, UFFDIO_COPY, &copy) && errno != EEXIST)
			err(2, "UFFDIO_COPY");
	}
	return arg;
}

static void start_resolving(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	pthread_t thread;

	missing = reserve(MOST + PAGE);
	uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	reg.range.start = (uintptr_t)missing;
	reg.range.len = MOST + PAGE;
	must(uffd >= 0 && !ioctl(uffd, UFFDIO_API, &api) &&
	     !ioctl(uffd, UFFDIO_REGISTER, &reg));
	must(!pthread_create(&thread, NULL, resolve, NULL));
}

static void fill(char *p, size_t len)
{
	static unsigned int n;

	for (; len--; n++)
		*p++ = n / 3 ^ n >> 8;
}

enum kind { FRESH, ENDS, USERFAULT, SAME, OTHER, KINDS };

/*
 * Memory of a kind, for @len bytes at @pos of the file, of which *@room exist. For
 * writing it has what is now in @new.
 */
static char *memory(enum kind kind, int writes, size_t pos, size_t len,
		    size_t *room, char *new)
{
	size_t off = rand() % PAGE, from;
	char *p;

	*room = len;
	fill(new, len);
	switch (kind) {
	case ENDS:
		p = reserve(MOST + 3 * PAGE);
		off = (off + len - rand() % len) & ~(PAGE - 1);
		must(!munmap(p + off, MOST + 3 * PAGE - off));
		*room = off < len ? off : len;
		p += off - *room;
		if (writes)
			memcpy(p, new, *room);
		return p;
	case USERFAULT:
		must(!madvise(missing, MOST + PAGE, MADV_DONTNEED));
		memset(content, 0, sizeof(content));
		if (writes)
			memcpy(content + off, new, len);
		return missing + off;
	case SAME:
		memcpy(new, want + pos, len);
		return map + pos;
	case OTHER:
		from = pos < SIZE / 2 ? SIZE / 2 : 0;
		from += rand() % (SIZE / 2 - len + 1);
		memcpy(new, want + from, len);
		if (!writes) {
			/* the file is written by reading it */
			memmove(want + from, want + pos, len);
		}
		return map + from;
	default:
		p = reserve(MOST + PAGE) + off;
		if (writes)
			memcpy(p, new, len);
		return p;
	}
}

static void release(enum kind kind, char *p)
{
	/* of what ends early the little that is left may stay */
	if (kind == FRESH)
		munmap((void *)((uintptr_t)p & ~(PAGE - 1)), MOST + PAGE);
}

/* How much of @ret a transfer that had room for @room of @len may have done. */
static void count(const char *what, ssize_t ret, size_t room, size_t len)
{
	if (ret == (ssize_t)room || (ret == -1 && errno == EFAULT && !room))
		return;
	printf("%s of %zu bytes, of which %zu exist: %zd (%s)\n", what, len,
	       room, ret, ret < 0 ? strerror(errno) : "");
	bad = 1;
}

static void write_one(enum kind kind, size_t pos, size_t len)
{
	static char new[MOST];
	size_t room;
	char *p = memory(kind, 1, pos, len, &room, new);
	ssize_t ret = pwrite(fd, p, len, pos);

	count("write", ret, room, len);
	if (ret > 0)
		memcpy(want + pos, new, ret);
	release(kind, p);
}

static void read_one(enum kind kind, size_t pos, size_t len)
{
	static char new[MOST];
	size_t room;
	char *p = memory(kind, 0, pos, len, &room, new);
	ssize_t ret = pread(fd, p, len, pos);

	count("read", ret, room, len);
	if (ret > 0 && kind != OTHER && kind != SAME)
		compare("read", p, want + pos, ret);
	release(kind, p);
}

/* Pieces of several kinds, one of them a mapping of what is written. */
static void write_pieces(size_t pos)
{
	static char new[3][MOST];
	size_t len = 1 + rand() % (2 * PAGE), room, i, at = pos;
	const enum kind kind[3] = { FRESH, SAME, USERFAULT };
	struct iovec v[3];

	for (i = 0; i < 3; i++, at += len)
		v[i] = (struct iovec){
			memory(kind[i], 1, at, len, &room, new[i]), len };
	count("writev", pwritev(fd, v, 3, pos), 3 * len, 3 * len);
	for (i = 0; i < 3; i++)
		memcpy(want + pos + i * len, new[i], len);
	release(FRESH, v[0].iov_base);
}

static void one_round(void)
{
	static const char * const name[] = {
		"never touched", "ends early", "userfaultfd", "same place",
		"other place",
	};
	enum kind kind = rand() % KINDS;
	size_t len = rand() % 3 ? 1 + rand() % MOST :
				  PAGE * (1 + rand() % (MOST / PAGE));
	size_t pos = rand() % (SIZE - len + 1);

	if (kind == OTHER)
		pos = pos % (SIZE / 2 - len + 1) + (rand() & 1 ? SIZE / 2 : 0);
	if (!(rand() % 3))
		pos &= ~(PAGE - 1);
	if (!(rand() % 6))
		write_pieces(pos % (SIZE - 6 * PAGE));
	else if (rand() & 1)
		write_one(kind, pos, len);
	else
		read_one(kind, pos, len);
	compare_file(name[kind]);
}

static void share(int clone)
{
	must(!ioctl(clone, FICLONE, fd));
	memcpy(clone_is, want, SIZE);
}

static int by_chance(char **argv, int clones)
{
	unsigned int n, rounds = atoi(argv[0]);
	int clone = -1;

	srand(atoi(argv[1]));
	fd = open_file(argv[2], O_RDWR | O_CREAT | O_TRUNC);
	if (clones)
		clone = open_file(argv[3], O_RDWR | O_CREAT | O_TRUNC);
	fill(want, SIZE);
	must(pwrite(fd, want, SIZE, 0) == (ssize_t)SIZE && !fsync(fd));
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(map != MAP_FAILED);
	start_resolving();
	for (n = 0; n < rounds && !bad; n++) {
		if (clones)
			share(clone);
		one_round();
		if (clones) {
			must(pread(clone, got, SIZE, 0) == (ssize_t)SIZE);
			compare("clone", got, clone_is, SIZE);
		}
		if (bad)
			printf("in round %u, seed %s\n", n, argv[1]);
	}
	return bad;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "short"))
		return short_write(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "hole"))
		return read_hole(argv[2]);
	if (argc >= 5 && !strcmp(argv[1], "random"))
		return by_chance(argv + 2, argc > 5);
	errx(2, "usage: dax-buffers short|hole FILE | random ROUNDS SEED FILE [CLONE]");
}
