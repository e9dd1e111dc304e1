// SPDX-License-Identifier: GPL-2.0
/*
 * isolation OPERATIONS [SEED [WORKERS]]
 *
 * Random operations on an origin and at least eight live snapshots, each with
 * an XFS mounted with DAX at /v/N, by several processes at once; every byte is
 * compared with a model. Pool "pool" with volume "v0", mounted at /v/0, is
 * there already.
 *
 * Each worker has files of its own in all volumes, and draws what it does from
 * a generator of its own, seeded by SEED: the same seed replays it. What
 * concerns a whole volume (snapshot, delete, rollback, remount) is done by one
 * worker while the others stand still, so that the model knows what the
 * result is. The volume's mappings are dropped by all for that.
 *
 * Exit status: 0 equal, 1 a byte differs, 2 could not run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
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
#define POOL		"/dev/mapper/pool"
/* the pool's backup superblock never changes: something to read by DMA */
#define POOL_BLOCK	511

struct shared {
	pthread_rwlock_t still;
	pthread_mutex_t volume_op;
	bool exists[VOLUMES];
	bool blocked[VOLUMES];
	unsigned int want_drop[VOLUMES];
	unsigned int dropped[MAX_WORKERS][VOLUMES];
	bool done[MAX_WORKERS];
	bool stop;
	unsigned long ops, volume_ops, bytes;
	unsigned int names;
	char name[VOLUMES][32];
	uint8_t model[VOLUMES][MAX_WORKERS][FILES][SIZE];
};

static struct shared *s;
static int me, workers = 2;
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

/* Somebody wants to unmount: let go, and say so. */
static void heed(void)
{
	int v;

	for (v = 0; v < VOLUMES; v++) {
		unsigned int want = __atomic_load_n(&s->want_drop[v],
						    __ATOMIC_ACQUIRE);

		if (s->dropped[me][v] == want)
			continue;
		drop(v);
		__atomic_store_n(&s->dropped[me][v], want, __ATOMIC_RELEASE);
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
	uint8_t b = rnd(256);
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

static int pick(bool ready)
{
	int v;

	do {
		v = rnd(VOLUMES);
	} while (!s->exists[v] || (ready && s->blocked[v]));
	return v;
}

static void file_op(void)
{
	int v = pick(true), v2 = pick(true), f = rnd(FILES), f2 = rnd(FILES);
	size_t off = rnd(SIZE), len = 1 + rnd(rnd(4) ? 200 : 3 * PAGE);
	int op = rnd(100);

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

/* ---- whole volumes, by one worker ---- */

static int live(void)
{
	int v, n = 0;

	for (v = 1; v < VOLUMES; v++)
		n += s->exists[v];
	return n;
}

/* All let go of the volume; until unblock() nobody touches it. */
static void block(int v)
{
	unsigned int want;
	int w;

	s->blocked[v] = true;
	want = __atomic_add_fetch(&s->want_drop[v], 1, __ATOMIC_ACQ_REL);
	for (w = 0; w < workers; w++) {
		while (!s->done[w] && w != me &&
		       __atomic_load_n(&s->dropped[w][v], __ATOMIC_ACQUIRE) !=
		       want) {
			if (s->stop)
				_exit(2);
			usleep(1000);
		}
	}
	heed();
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
	s->exists[to] = true;
}

static void vol_delete(int v)
{
	unmount(v);
	must(!shell("daxcow remove pool %s", s->name[v]));
	s->exists[v] = false;
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

static void volume_op(void)
{
	int v, to, op;

	if (pthread_mutex_trylock(&s->volume_op))
		return;
	v = pick(false);
	for (to = 1; to < VOLUMES && s->exists[to]; to++)
		;
	op = rnd(4);
	if (op == 0 && to == VOLUMES)
		op = 3;
	if (op == 3 && (live() <= LIVE || !v))
		op = to < VOLUMES ? 0 : 1;
	if (op == 2)
		to = pick(false);
	if (op == 2 && to == v)
		op = 1;
	if (op)
		block(v);
	if (op == 2)
		block(to);
	pthread_rwlock_wrlock(&s->still);
	if (op == 0)
		vol_snapshot(v, to);
	else if (op == 1)
		must(!shell("umount /v/%d && mount -o dax=always,nouuid /dev/mapper/pool-%s /v/%d",
			    v, s->name[v], v));
	else if (op == 2)
		vol_rollback(v, to);
	else
		vol_delete(v);
	s->blocked[v] = false;
	s->blocked[to % VOLUMES] = false;
	s->volume_ops++;
	pthread_rwlock_unlock(&s->still);
	pthread_mutex_unlock(&s->volume_op);
}

static void work(unsigned long ops)
{
	unsigned long i;
	int v, f;

	rng = seed * 0x9e3779b97f4a7c15ULL + me * 0x100000001b3ULL + 1;
	for (i = 0; i < ops && !s->stop; i++) {
		heed();
		if (!rnd(250)) {
			volume_op();
			continue;
		}
		pthread_rwlock_rdlock(&s->still);
		heed();
		file_op();
		pthread_rwlock_unlock(&s->still);
		__atomic_fetch_add(&s->ops, 1, __ATOMIC_RELAXED);
	}
	for (v = 0; v < VOLUMES; v++)
		drop(v);
	s->done[me] = true;
	/* what others do to volumes must be over before all is compared */
	pthread_mutex_lock(&s->volume_op);
	for (v = 0; v < VOLUMES; v++)
		for (f = 0; f < FILES && s->exists[v]; f++)
			verify(v, f);
	for (v = 0; v < VOLUMES; v++)
		drop(v);
	pthread_mutex_unlock(&s->volume_op);
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
	for (v = 1; v <= LIVE; v++)
		vol_snapshot(rnd(v), v);
}

static void init_shared(void)
{
	pthread_mutexattr_t ma;
	pthread_rwlockattr_t ra;

	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		exit(2);
	pthread_mutexattr_init(&ma);
	pthread_mutexattr_setpshared(&ma, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&s->volume_op, &ma);
	pthread_rwlockattr_init(&ra);
	pthread_rwlockattr_setpshared(&ra, PTHREAD_PROCESS_SHARED);
	pthread_rwlockattr_setkind_np(&ra, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&s->still, &ra);
}

int main(int argc, char **argv)
{
	unsigned long ops = argc > 1 ? strtoul(argv[1], NULL, 0) : 2000;
	int w, status, ret = 0;

	if (argc > 2)
		seed = strtoull(argv[2], NULL, 0);
	if (argc > 3)
		workers = atoi(argv[3]);
	if (workers < 1 || workers > MAX_WORKERS)
		return 2;
	rng = seed;
	init_shared();
	start_model();
	printf("seed %llu: %lu operations by %d workers\n",
	       (unsigned long long)seed, ops, workers);
	fflush(stdout);
	for (w = 0; w < workers; w++) {
		if (fork())
			continue;
		me = w;
		work(ops / workers);
	}
	while (wait(&status) > 0)
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			ret = WIFEXITED(status) ? WEXITSTATUS(status) : 2;
	printf("%lu operations on files, %lu on volumes, %d live snapshots, %lu bytes compared: %s\n",
	       s->ops, s->volume_ops, live(), s->bytes, ret ? "FAILED" : "equal");
	return ret;
}
