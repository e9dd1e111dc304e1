// SPDX-License-Identifier: GPL-2.0
/*
 * isolation OPERATIONS [SEED [WORKERS [CONTENTS]]]
 *
 * Random operations on an origin and at least eight live snapshots, each with
 * an XFS mounted with DAX at /v/N, by several processes at once; every byte is
 * compared with a model. Pool "pool" with volume "v0", mounted at /v/0, is
 * there already.
 *
 * It goes in rounds. In each, every worker does a number of operations on files
 * of its own in all volumes, and beside them one process does something with a
 * whole volume (snapshot, delete, rollback, remount), which the workers leave
 * alone for this round, so that the model knows what the result is. Each draws
 * what it does from a generator of its own, and volumes come and go between
 * rounds only: the same arguments replay the same operations.
 *
 * With CONTENTS what is written is whole pages that are one of so many, so that there
 * are equal ones to merge.
 *
 * Exit status: 0 equal, 1 a byte differs, 2 could not run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE		4096
#define PAGES		24
#define SIZE		(PAGES * PAGE)
#define VOLUMES		11
#define LIVE		8	/* snapshots that are always there */
#define MAX_WORKERS	4
#define FILES		2	/* of each worker */
#define ROUNDS		16	/* at least */
#define POOL		"/dev/mapper/pool"
/* the pool's backup superblock never changes: something to read by DMA */
#define POOL_BLOCK	511

struct shared {
	bool exists[VOLUMES];
	bool blocked[VOLUMES];	/* left alone for this round */
	bool drop[VOLUMES];	/* its mappings have to go */
	bool stop;
	unsigned int arrived, meetings;
	unsigned long ops, volume_ops[4], bytes;
	unsigned int names;
	char name[VOLUMES][32];
	uint8_t model[VOLUMES][MAX_WORKERS][FILES][SIZE];
};

static struct shared *s;
static int me, workers = 2;
static unsigned long rounds, round_ops, contents;
static uint64_t rng, seed = 1;
static char *map[VOLUMES][FILES];
static char dma_block[PAGE] __attribute__((aligned(PAGE)));
static char last[200];

static uint64_t rnd(uint64_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % n;
}

__attribute__((format(printf, 2, 3)))
static void die(int status, const char *fmt, ...)
{
	va_list ap;

	s->stop = true;
	fprintf(stderr, "worker %d, seed %llu: ", me, (unsigned long long)seed);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, " (last: %s, errno %s)\n", last, strerror(errno));
	_exit(status);
}

#define must(x) do { if (!(x)) die(2, "%s", #x); } while (0)

__attribute__((format(printf, 1, 2)))
static int shell(const char *fmt, ...)
{
	char cmd[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	snprintf(last, sizeof(last), "%.190s", cmd);
	return system(cmd);
}

static int open_file(int v, int f, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/v/%d/w%df%d", v, me, f);
	fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd < 0)
		die(2, "open %s", path);
	return fd;
}

static uint8_t *model(int v, int f)
{
	return s->model[v][me][f];
}

static char *mapping(int v, int f)
{
	if (!map[v][f]) {
		int fd = open_file(v, f, O_RDWR);

		map[v][f] = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
				 fd, 0);
		must(map[v][f] != MAP_FAILED);
		close(fd);
	}
	return map[v][f];
}

static void drop(int v)
{
	int f;

	for (f = 0; f < FILES; f++) {
		if (map[v][f])
			munmap(map[v][f], SIZE);
		map[v][f] = NULL;
	}
}

static void compare(int v, int f, const void *got, size_t off, size_t len,
		    const char *how)
{
	const uint8_t *want = model(v, f) + off, *p = got;
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != want[i])
			die(1, "volume %d (%s) file %d byte %zu is %02x, not %02x, by %s",
			    v, s->name[v], f, off + i, p[i], want[i], how);
	__atomic_fetch_add(&s->bytes, len, __ATOMIC_RELAXED);
}

static void verify(int v, int f)
{
	static uint8_t buf[SIZE];
	int fd;

	if (rnd(2)) {
		compare(v, f, mapping(v, f), 0, SIZE, "mmap");
		return;
	}
	fd = open_file(v, f, O_RDONLY);
	must(pread(fd, buf, SIZE, 0) == SIZE);
	close(fd);
	compare(v, f, buf, 0, SIZE, "read");
}

static void random_bytes(uint8_t *p, size_t len)
{
	uint8_t b = rnd(contents ? contents : 256);
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = b + i;
}

static void op_store(int v, int f, size_t off, size_t len, bool sync)
{
	static uint8_t buf[SIZE];
	char *p = mapping(v, f);

	random_bytes(buf, len);
	if (sync) {
		int fd = open_file(v, f, O_RDWR);

		p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
			 MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
		must(p != MAP_FAILED);
		close(fd);
	}
	memcpy(p + off, buf, len);
	memcpy(model(v, f) + off, buf, len);
	if (sync)
		munmap(p, SIZE);
}

static void op_write(int v, int f, size_t off, size_t len)
{
	static uint8_t buf[SIZE];
	int fd = open_file(v, f, O_RDWR | (rnd(4) ? 0 : O_DSYNC));

	random_bytes(buf, len);
	must(pwrite(fd, buf, len, off) == (ssize_t)len);
	memcpy(model(v, f) + off, buf, len);
	close(fd);
}

/* Whole pages from the mapping of another file, which may be another volume's. */
static void op_direct_write(int v, int f, int v2, int f2)
{
	size_t n = 1 + rnd(4), from = rnd(PAGES - n + 1), to = rnd(PAGES - n + 1);
	int fd = open_file(v, f, O_RDWR | O_DIRECT);

	if (v != v2 || f != f2) {
		must(pwrite(fd, mapping(v2, f2) + from * PAGE, n * PAGE,
			    to * PAGE) == (ssize_t)(n * PAGE));
		memcpy(model(v, f) + to * PAGE, model(v2, f2) + from * PAGE,
		       n * PAGE);
	}
	close(fd);
}

static void op_direct_read(int v, int f, int v2, int f2)
{
	size_t n = 1 + rnd(4), from = rnd(PAGES - n + 1), to = rnd(PAGES - n + 1);
	int fd = open_file(v, f, O_RDWR | O_DIRECT);

	if (v != v2 || f != f2) {
		must(pread(fd, mapping(v2, f2) + to * PAGE, n * PAGE,
			   from * PAGE) == (ssize_t)(n * PAGE));
		memcpy(model(v2, f2) + to * PAGE, model(v, f) + from * PAGE,
		       n * PAGE);
	}
	close(fd);
}

/* A read from a device into a mapping: the pages are pinned for it. */
static void op_dma(int v, int f)
{
	size_t to = rnd(PAGES) * PAGE;
	int fd = open(POOL, O_RDONLY | O_DIRECT | O_CLOEXEC);

	must(fd >= 0);
	must(pread(fd, mapping(v, f) + to, PAGE, (off_t)POOL_BLOCK * PAGE) == PAGE);
	memcpy(model(v, f) + to, dma_block, PAGE);
	close(fd);
}

static void op_private(int v, int f, size_t off, size_t len)
{
	int fd = open_file(v, f, O_RDWR);
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	must(p != MAP_FAILED);
	close(fd);
	if (rnd(2))
		compare(v, f, p, 0, SIZE, "private mmap");
	memset(p + off, 0xee, len);
	compare(v, f, mapping(v, f) + off, off, len, "mmap beside a private one");
	munmap(p, SIZE);
}

static void op_falloc(int v, int f, size_t off, size_t len, int mode)
{
	int fd = open_file(v, f, O_RDWR);

	must(!fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, off, len));
	memset(model(v, f) + off, 0, len);
	close(fd);
}

static void op_truncate(int v, int f, size_t off)
{
	int fd = open_file(v, f, O_RDWR);

	must(!ftruncate(fd, off));
	must(!ftruncate(fd, SIZE));
	memset(model(v, f) + off, 0, SIZE - off);
	close(fd);
}

static void op_reflink(int v, int f)
{
	int from = open_file(v, f, O_RDONLY), to = open_file(v, 1 - f, O_RDWR);

	must(!ioctl(to, FICLONE, from));
	memcpy(model(v, 1 - f), model(v, f), SIZE);
	close(from);
	close(to);
}

static void op_sync(int v, int f)
{
	int fd = open_file(v, f, O_RDWR);

	must(!fsync(fd));
	close(fd);
	must(!msync(mapping(v, f), SIZE, MS_SYNC));
}

static int pick(void)
{
	int v;

	do {
		v = rnd(VOLUMES);
	} while (!s->exists[v] || s->blocked[v]);
	return v;
}

static void file_op(void)
{
	int v = pick(), v2 = pick(), f = rnd(FILES), f2 = rnd(FILES);
	size_t off = rnd(SIZE), len = 1 + rnd(rnd(4) ? 200 : 3 * PAGE);
	int op = rnd(100);

	if (contents) {
		off -= off % PAGE;
		len += PAGE - 1;
		len -= len % PAGE;
	}
	if (off + len > SIZE)
		len = SIZE - off;
	snprintf(last, sizeof(last), "op %d volume %d file %d at %zu+%zu", op, v,
		 f, off, len);
	if (getenv("VERBOSE"))
		fprintf(stderr, "%d: %s; volume %d file %d\n", me, last, v2, f2);
	if (op < 25)
		op_store(v, f, off, len, false);
	else if (op < 32)
		op_store(v, f, off, len, true);
	else if (op < 48)
		op_write(v, f, off, len);
	else if (op < 53)
		op_direct_write(v, f, v2, f2);
	else if (op < 58)
		op_direct_read(v, f, v2, f2);
	else if (op < 63)
		op_dma(v, f);
	else if (op < 68)
		op_private(v, f, off, len);
	else if (op < 72)
		op_falloc(v, f, off, len, FALLOC_FL_ZERO_RANGE);
	else if (op < 76)
		op_falloc(v, f, off, len, FALLOC_FL_PUNCH_HOLE);
	else if (op < 79)
		op_truncate(v, f, off);
	else if (op < 82)
		op_reflink(v, f);
	else if (op < 85)
		op_sync(v, f);
	else
		verify(v, f);
}

/* ---- rounds ---- */

/* Wait for all workers and the one that works on volumes. */
static void meet(void)
{
	unsigned int round = __atomic_load_n(&s->meetings, __ATOMIC_ACQUIRE);

	if (__atomic_add_fetch(&s->arrived, 1, __ATOMIC_ACQ_REL) ==
	    (unsigned int)workers + 1) {
		s->arrived = 0;
		__atomic_add_fetch(&s->meetings, 1, __ATOMIC_ACQ_REL);
		return;
	}
	while (__atomic_load_n(&s->meetings, __ATOMIC_ACQUIRE) == round) {
		if (s->stop)
			_exit(2);
		usleep(200);
	}
}

static void start_rng(void)
{
	rng = seed * 0x9e3779b97f4a7c15ULL + me * 0x100000001b3ULL + 1;
}

static void work(void)
{
	unsigned long r, i;
	int v, f;

	start_rng();
	for (r = 0; r < rounds; r++) {
		meet();
		for (v = 0; v < VOLUMES; v++)
			if (s->drop[v])
				drop(v);
		meet();
		for (i = 0; i < round_ops && !s->stop; i++) {
			file_op();
			__atomic_fetch_add(&s->ops, 1, __ATOMIC_RELAXED);
		}
		meet();
	}
	/* until it is said which volumes the last round has left */
	meet();
	for (v = 0; v < VOLUMES; v++)
		for (f = 0; f < FILES && s->exists[v]; f++)
			verify(v, f);
	_exit(0);
}

/* ---- whole volumes ---- */

enum volume_op { SNAPSHOT, REMOUNT, ROLLBACK, DELETE, VOLUME_OPS };

static int live(void)
{
	int v, n = 0;

	for (v = 1; v < VOLUMES; v++)
		n += s->exists[v];
	return n;
}

static void unmount(int v)
{
	must(!shell("umount /v/%d", v));
	must(!shell("daxcow deactivate pool %s", s->name[v]));
}

static void mount_it(int v)
{
	must(!shell("daxcow activate pool %s >/dev/null", s->name[v]));
	must(!shell("mkdir -p /v/%d && mount -o dax=always,nouuid /dev/mapper/pool-%s /v/%d",
		    v, s->name[v], v));
}

static void vol_snapshot(int from, int to)
{
	snprintf(s->name[to], sizeof(s->name[to]), "s%u", s->names++);
	must(!shell("daxcow snapshot pool %s %s", s->name[from], s->name[to]));
	memcpy(s->model[to], s->model[from], sizeof(s->model[to]));
	mount_it(to);
}

static void vol_delete(int v)
{
	unmount(v);
	must(!shell("daxcow remove pool %s", s->name[v]));
}

static void vol_rollback(int v, int from)
{
	unmount(v);
	unmount(from);
	must(!shell("daxcow rollback pool %s %s", s->name[v], s->name[from]));
	memcpy(s->model[v], s->model[from], sizeof(s->model[v]));
	mount_it(v);
	mount_it(from);
}

/* What to do, with @v, and with @other for a snapshot or a rollback. */
static enum volume_op plan(int *v, int *other)
{
	enum volume_op op = rnd(VOLUME_OPS);
	int to;

	*v = pick();
	for (to = 1; to < VOLUMES && s->exists[to]; to++)
		;
	if (op == SNAPSHOT && to == VOLUMES)
		op = DELETE;
	if (op == DELETE && !*v)
		op = ROLLBACK;
	if (op == DELETE && live() <= LIVE)
		op = SNAPSHOT;
	*other = to;
	while (op == ROLLBACK && (*other == to || *other == *v))
		*other = pick();
	return op;
}

static void volume_round(void)
{
	int v, other;
	enum volume_op op = plan(&v, &other);

	/* mappings of what a snapshot is taken of stay, writable before it */
	s->blocked[v] = true;
	s->drop[v] = op != SNAPSHOT;
	if (op == ROLLBACK) {
		s->blocked[other] = true;
		s->drop[other] = true;
	}
	meet();
	meet();
	if (op == SNAPSHOT)
		vol_snapshot(v, other);
	else if (op == REMOUNT)
		must(!shell("umount /v/%d && mount -o dax=always,nouuid /dev/mapper/pool-%s /v/%d",
			    v, s->name[v], v));
	else if (op == ROLLBACK)
		vol_rollback(v, other);
	else
		vol_delete(v);
	meet();
	if (op == SNAPSHOT)
		s->exists[other] = true;
	else if (op == DELETE)
		s->exists[v] = false;
	memset(s->blocked, 0, sizeof(s->blocked));
	memset(s->drop, 0, sizeof(s->drop));
	s->volume_ops[op]++;
}

static void work_on_volumes(void)
{
	unsigned long r, done, before = 0;

	me = workers;
	start_rng();
	for (r = 0; r < rounds && !s->stop; r++) {
		volume_round();
		done = (r + 1) * 10 / rounds;
		if (done != before)
			printf("%lu0 %%: %lu operations\n", done, s->ops);
		before = done;
		fflush(stdout);
	}
	meet();
	_exit(0);
}

static void start_model(void)
{
	int v, fd;

	fd = open(POOL, O_RDONLY | O_DIRECT);
	must(fd >= 0 && pread(fd, dma_block, PAGE, (off_t)POOL_BLOCK * PAGE) == PAGE);
	close(fd);
	snprintf(s->name[0], sizeof(s->name[0]), "v0");
	s->exists[0] = true;
	for (me = 0; me < workers; me++) {
		for (v = 0; v < FILES; v++) {
			fd = open_file(0, v, O_RDWR | O_CREAT);
			random_bytes(model(0, v), SIZE);
			must(write(fd, model(0, v), SIZE) == SIZE);
			close(fd);
		}
	}
	me = 0;
	for (v = 1; v <= LIVE; v++) {
		vol_snapshot(rnd(v), v);
		s->exists[v] = true;
	}
}

int main(int argc, char **argv)
{
	unsigned long ops = argc > 1 ? strtoul(argv[1], NULL, 0) : 2000;
	int w, status, ret = 0;

	if (argc > 2)
		seed = strtoull(argv[2], NULL, 0);
	if (argc > 3)
		workers = atoi(argv[3]);
	if (argc > 4)
		contents = strtoul(argv[4], NULL, 0);
	if (workers < 1 || workers > MAX_WORKERS || !ops)
		return 2;
	round_ops = ops / workers / ROUNDS;
	round_ops = round_ops < 20 ? 20 : round_ops > 250 ? 250 : round_ops;
	rounds = (ops - 1) / (round_ops * workers) + 1;
	rng = seed;
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		return 2;
	start_model();
	printf("seed %llu: %lu operations by %d workers in %lu rounds\n",
	       (unsigned long long)seed, rounds * round_ops * workers, workers,
	       rounds);
	fflush(stdout);
	for (w = 0; w <= workers; w++) {
		if (fork())
			continue;
		me = w;
		if (w < workers)
			work();
		work_on_volumes();
	}
	while (wait(&status) > 0) {
		if (WIFEXITED(status) && !WEXITSTATUS(status))
			continue;
		/* those that only stopped with it exit with 2 */
		if (ret != 1)
			ret = WIFEXITED(status) ? WEXITSTATUS(status) : 2;
		s->stop = true;
	}
	printf("%lu operations on files; on volumes: %lu snapshots, %lu remounts, %lu rollbacks, %lu deletes; %d live snapshots, %lu bytes compared: %s\n",
	       s->ops, s->volume_ops[SNAPSHOT], s->volume_ops[REMOUNT],
	       s->volume_ops[ROLLBACK], s->volume_ops[DELETE], live(), s->bytes,
	       ret ? "FAILED" : "equal");
	return ret;
}
