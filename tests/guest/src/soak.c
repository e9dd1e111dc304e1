// SPDX-License-Identifier: GPL-2.0
/*
 * soak LEDGER SECONDS	everything at once, for SECONDS
 * soak LEDGER report	what was done so far, in all boots
 *
 * Pool "pool" is there. Volumes with XFS come and go at /v/SLOT, and all of this
 * goes on at the same time: workers store, write, punch and read in all of them;
 * two managers take snapshots of what is being written to, delete, roll back,
 * mount again, suspend and reload; one process fills the pool and empties it again.
 * It may be killed with the machine at any moment. The next run looks at all
 * volumes before it goes on. See soak.h for how it knows what must be there.
 *
 * Exit status: 0 all is as it must be, 1 something is not, 2 could not run.
 */
#define _GNU_SOURCE
#include <emmintrin.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "soak.h"

#define MANAGERS	2
#define LIVE_MIN	3
#define BATCH		40	/* operations with the same mappings */
#define FULL		8	/* exit status of the tool */
#define SNAPSHOT_MIB	340	/* smallest that XFS likes, and more */

struct shared {
	_Atomic bool stop;
	pthread_rwlock_t lock[SLOTS];	/* read: it stays where it is mounted */
	pthread_rwlock_t tables;	/* write: no table is loaded */
};

static struct shared *s;
static struct ledger *l;
static const char *who = "start";
static unsigned int me;
static uint64_t rng, until;
static char last[300];
static sigjmp_buf no_page;

static uint64_t rnd(uint64_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 11) % n;
}

static uint64_t seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

__attribute__((format(printf, 2, 3), noreturn))
static void die(int status, const char *fmt, ...)
{
	va_list ap;

	s->stop = true;
	printf("FAILED: %s %u: ", who, me);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(" (last: %s, errno %s)\n", last, strerror(errno));
	fflush(stdout);
	/* what that had to say */
	snprintf(last, sizeof(last), "sed 's/^/FAILED: /' /tmp/said.%d 2>/dev/null", getpid());
	if (system(last))
		printf("FAILED: it said nothing\n");
	fflush(stdout);
	_exit(status);
}

#define must(x) do { if (!(x)) die(2, "%s", #x); } while (0)

/* Its exit status; its standard error is for die(). */
__attribute__((format(printf, 1, 2)))
static int shell(const char *fmt, ...)
{
	char cmd[300], all[400];
	va_list ap;
	int ret;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	snprintf(last, sizeof(last), "%s", cmd);
	snprintf(all, sizeof(all), "exec 2>/tmp/said.%d; %s", getpid(), cmd);
	ret = system(all);
	return WIFEXITED(ret) ? WEXITSTATUS(ret) : -1;
}

static void count(enum count what, uint64_t n)
{
	l->count[what] += n;
}

/* ---- files ---- */

static void path_of(unsigned int v, unsigned int file, char *path, size_t size)
{
	snprintf(path, size, "/v/%u/w%u", v, file);
}

static int open_file(unsigned int v, unsigned int file, int flags)
{
	char path[40];
	int fd;

	path_of(v, file, path, sizeof(path));
	fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd < 0)
		die(2, "open %s", path);
	return fd;
}

static uint64_t *map_file(int fd, int flags)
{
	void *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);

	must(p != MAP_FAILED);
	return p;
}

static void verify_block(unsigned int v, unsigned int file, uint64_t block,
			 const volatile uint64_t *p, const char *how, uint64_t *stamp)
{
	struct cell *c = &l->slot[v].now[file][block];
	int bad = check_block(p, file, block, c, stamp);

	if (bad >= 0)
		die(1, "volume %s file %u block %llu word %d is %#llx, which is of write %llu; it must be of %llu to %llu (hole %llu), by %s",
		    l->slot[v].name, file, (unsigned long long)block, bad,
		    (unsigned long long)p[bad], (unsigned long long)p[bad] >> 16,
		    (unsigned long long)c->durable, (unsigned long long)c->begun,
		    (unsigned long long)c->hole, how);
	count(BYTES, PAGE);
}

/*
 * All of a volume that nobody writes to: what it holds from now on is what is
 * found.
 */
static void verify_volume(unsigned int v)
{
	static uint64_t buf[BLOCKS * WORDS];
	uint64_t block, stamp, again;
	unsigned int file;
	uint64_t *map;
	int fd;

	for (file = 0; file < WORKERS; file++) {
		fd = open_file(v, file, O_RDWR);
		map = map_file(fd, MAP_SHARED);
		must(pread(fd, buf, SIZE, 0) == (ssize_t)SIZE);
		for (block = 0; block < BLOCKS; block++) {
			verify_block(v, file, block, buf + block * WORDS, "read",
				     &again);
			verify_block(v, file, block, map + block * WORDS, "mmap",
				     &stamp);
			if (again == stamp && stamp != UNKNOWN && stamp)
				settle(&l->slot[v].now[file][block], stamp);
		}
		munmap(map, SIZE);
		close(fd);
	}
	count(VERIFIED, 1);
}

/* ---- workers ---- */

struct open_volume {
	unsigned int v;
	int fd, direct;
	uint64_t *map, *sync;
};

static void on_sigbus(int sig __attribute__((unused)))
{
	siglongjmp(no_page, 1);
}

static struct cell *cells(const struct open_volume *o)
{
	return l->slot[o->v].now[me];
}

/* Stores to a range; false when a page could not be had: the pool is full. */
static bool store(uint64_t *to, const uint64_t *from, uint64_t nr, bool sync)
{
	uint64_t i;

	if (sigsetjmp(no_page, 1))
		return false;
	for (i = 0; i < nr * WORDS; i++) {
		((volatile uint64_t *)to)[i] = from[i];
		if (sync && i % 8 == 7)
			_mm_clflush(to + i);
	}
	_mm_sfence();
	return true;
}

static bool write_at(int fd, const void *buf, uint64_t block, uint64_t nr)
{
	ssize_t n = pwrite(fd, buf, nr * PAGE, block * PAGE);

	if (n < 0 && errno != ENOSPC)
		die(1, "write");
	return n == (ssize_t)(nr * PAGE);
}

/* Write new stamps to a range, by one of the ways there are. */
static void op_write(const struct open_volume *o, uint64_t block, uint64_t nr)
{
	static uint64_t buf[8 * WORDS] __attribute__((aligned(PAGE)));
	struct cell *c = cells(o) + block;
	uint64_t stamp = ++l->stamp, i;
	unsigned int way = rnd(10);
	bool done, hole = way == 9;

	for (i = 0; i < nr; i++) {
		fill_block(buf + i * WORDS, me, block + i, stamp);
		hole |= c[i].hole > c[i].durable;
		if (way == 9)
			c[i].hole = stamp;
		c[i].begun = stamp;
	}
	snprintf(last, sizeof(last), "way %u, block %llu, %llu blocks", way,
		 (unsigned long long)block, (unsigned long long)nr);
	if (way < 4) {
		done = store(o->map + block * WORDS, buf, nr, false);
		count(STORES, 1);
	} else if (way < 6) {
		done = store(o->sync + block * WORDS, buf, nr, true);
		count(SYNC_STORES, 1);
	} else if (way < 8) {
		done = write_at(o->fd, buf, block, nr);
		count(WRITES, 1);
	} else if (way < 9) {
		done = write_at(o->direct, buf, block, nr);
		count(DIRECT_WRITES, 1);
	} else {
		done = !fallocate(o->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  block * PAGE, nr * PAGE);
		if (!done && errno != ENOSPC)
			die(1, "punch");
		done = done && write_at(o->fd, buf, block, nr);
		count(PUNCHES, 1);
	}
	/* which extents there are is known to be there after this only */
	if (done && hole && fsync(o->fd))
		die(1, "fsync");
	for (i = 0; done && i < nr; i++)
		c[i].durable = stamp;
	if (!done)
		count(REFUSED, 1);
}

static void op_read(const struct open_volume *o, uint64_t block, uint64_t nr)
{
	static uint64_t buf[8 * WORDS] __attribute__((aligned(PAGE)));
	unsigned int way = rnd(3);
	const uint64_t *p = buf;
	uint64_t i, stamp;

	if (way == 2)
		p = o->map + block * WORDS;
	else if (pread(way ? o->direct : o->fd, buf, nr * PAGE, block * PAGE) !=
		 (ssize_t)(nr * PAGE))
		die(1, "read");
	for (i = 0; i < nr; i++)
		verify_block(o->v, me, block + i, p + i * WORDS,
			     way == 2 ? "mmap" : "read", &stamp);
	count(READS, 1);
}

static void batch(unsigned int v)
{
	struct open_volume o = { .v = v };
	unsigned int i;

	o.fd = open_file(v, me, O_RDWR);
	o.direct = open_file(v, me, O_RDWR | O_DIRECT);
	o.map = map_file(o.fd, MAP_SHARED);
	o.sync = map_file(o.fd, MAP_SHARED_VALIDATE | MAP_SYNC);
	for (i = 0; i < BATCH && !s->stop; i++) {
		uint64_t nr = 1 + rnd(8), block = rnd(BLOCKS - nr + 1);
		unsigned int op = rnd(20);

		count(OPS, 1);
		if (op < 13) {
			op_write(&o, block, nr);
		} else if (op < 19) {
			op_read(&o, block, nr);
		} else {
			if (fsync(o.fd))
				die(1, "fsync");
			count(FSYNCS, 1);
		}
	}
	munmap(o.map, SIZE);
	munmap(o.sync, SIZE);
	close(o.fd);
	close(o.direct);
}

static void work(void)
{
	struct sigaction sa = { .sa_handler = on_sigbus, .sa_flags = SA_NODEFER };
	unsigned int v;

	sigaction(SIGBUS, &sa, NULL);
	while (!s->stop) {
		v = rnd(SLOTS);
		if (pthread_rwlock_tryrdlock(&s->lock[v]))
			continue;
		if (l->slot[v].state == LIVE)
			batch(v);
		pthread_rwlock_unlock(&s->lock[v]);
	}
}

/* ---- whole volumes ---- */

static void copy_cells(struct cell to[WORKERS][BLOCKS],
		       struct cell from[WORKERS][BLOCKS])
{
	memcpy(to, from, sizeof(l->slot[0].now));
}

/* Which a pool that is suspended refuses. */
static void activate(const char *name)
{
	pthread_rwlock_rdlock(&s->tables);
	must(!shell("daxcow activate pool %s >/dev/null", name));
	pthread_rwlock_unlock(&s->tables);
}

static void reload_pool(void)
{
	pthread_rwlock_wrlock(&s->tables);
	must(!shell("dmsetup reload pool --table \"$(dmsetup table pool)\" && dmsetup suspend pool && dmsetup resume pool"));
	pthread_rwlock_unlock(&s->tables);
}

static void mount_volume(unsigned int v)
{
	const char *name = l->slot[v].name;

	activate(name);
	must(!shell("mkdir -p /v/%u && mount -t xfs -o dax=always,nouuid /dev/mapper/pool-%s /v/%u",
		    v, name, v));
}

static void unmount_volume(unsigned int v)
{
	must(!shell("umount /v/%u", v));
	must(!shell("daxcow deactivate pool %s", l->slot[v].name));
}

/* What was begun in the origin while its snapshot was taken may be in it. */
static void note_begun(struct slot *to, const struct slot *from)
{
	unsigned int file;
	uint64_t b;

	for (file = 0; file < WORKERS; file++) {
		for (b = 0; b < BLOCKS; b++) {
			to->now[file][b].hole = from->now[file][b].hole;
			to->now[file][b].begun = from->now[file][b].begun;
		}
	}
}

/* @from is written to all the while. */
static void take_snapshot(unsigned int from, unsigned int to)
{
	struct slot *t = &l->slot[to];
	int ret;

	snprintf(t->name, sizeof(t->name), "s%llu", (unsigned long long)l->names++);
	t->from = from;
	copy_cells(t->now, l->slot[from].now);
	t->state = CREATING;
	ret = shell("daxcow snapshot pool %s %s", l->slot[from].name,
		    t->name);
	if (ret) {
		if (ret != FULL)
			die(2, "status %d", ret);
		t->state = FREE;
		count(FULL_POOL, 1);
		return;
	}
	note_begun(t, &l->slot[from]);
	t->state = LIVE;
	mount_volume(to);
	verify_volume(to);
	count(SNAPSHOTS, 1);
}

static unsigned int live(void)
{
	unsigned int v, n = 0;

	for (v = 0; v < SLOTS; v++)
		n += l->slot[v].state == LIVE;
	return n;
}

static void delete_volume(unsigned int v)
{
	unmount_volume(v);
	l->slot[v].state = DELETING;
	must(!shell("daxcow remove pool %s", l->slot[v].name));
	l->slot[v].state = FREE;
	count(DELETES, 1);
}

static void roll_back(unsigned int v, unsigned int from)
{
	int ret;

	unmount_volume(v);
	unmount_volume(from);
	copy_cells(l->slot[v].next, l->slot[from].now);
	l->slot[v].from = from;
	l->slot[v].state = ROLLING;
	ret = shell("daxcow rollback pool %s %s", l->slot[v].name,
		    l->slot[from].name);
	if (ret && ret != FULL)
		die(2, "status %d", ret);
	/* nobody looks at "now" before it is LIVE again */
	if (!ret)
		copy_cells(l->slot[v].now, l->slot[v].next);
	l->slot[v].state = LIVE;
	mount_volume(v);
	mount_volume(from);
	verify_volume(v);
	count(ret ? FULL_POOL : ROLLBACKS, 1);
}

static void manage_one(unsigned int v)
{
	unsigned int other = rnd(SLOTS);
	bool is_live = l->slot[v].state == LIVE;

	if (other == v || pthread_rwlock_trywrlock(&s->lock[other]))
		return;
	if (is_live && live() > LIVE_MIN && !rnd(2)) {
		delete_volume(v);
	} else if (is_live && l->slot[other].state == LIVE && !rnd(3)) {
		roll_back(v, other);
	} else if (is_live) {
		must(!shell("umount /v/%u && mount -t xfs -o dax=always,nouuid /dev/mapper/pool-%s /v/%u",
			    v, l->slot[v].name, v));
		verify_volume(v);
		count(REMOUNTS, 1);
	}
	pthread_rwlock_unlock(&s->lock[other]);
}

/* Something with a volume that stays in use. */
static void manage_used(unsigned int v)
{
	unsigned int to = rnd(SLOTS);

	if (rnd(4) && to != v && !pthread_rwlock_trywrlock(&s->lock[to])) {
		if (l->slot[to].state == FREE)
			take_snapshot(v, to);
		pthread_rwlock_unlock(&s->lock[to]);
	} else if (!rnd(3)) {
		must(!shell("fstrim /v/%u", v));
		count(TRIMS, 1);
	} else if (v % MANAGERS == me) {
		/* of two who suspend it at the same time, one is refused (EINVAL) */
		must(!shell("dmsetup suspend pool-%s && dmsetup resume pool-%s",
			    l->slot[v].name, l->slot[v].name));
		count(RELOADS, 1);
	} else if (!me) {
		reload_pool();
		count(RELOADS, 1);
	}
}

static void manage(void)
{
	unsigned int v;

	while (!s->stop) {
		v = rnd(SLOTS);
		if (rnd(2)) {
			if (pthread_rwlock_tryrdlock(&s->lock[v]))
				continue;
			if (l->slot[v].state == LIVE)
				manage_used(v);
		} else {
			if (pthread_rwlock_trywrlock(&s->lock[v]))
				continue;
			manage_one(v);
		}
		pthread_rwlock_unlock(&s->lock[v]);
		usleep(rnd(200) * 1000);
	}
}

/* ---- filling ---- */

static void fill_until_stopped(const char *path)
{
	static char buf[1 << 20] __attribute__((aligned(PAGE)));
	int fd = open(path, O_WRONLY | O_DIRECT);
	uint64_t i;

	must(fd >= 0);
	memset(buf, 0xf1, sizeof(buf));
	for (i = 0; !s->stop; i++)
		must(pwrite(fd, buf, sizeof(buf), (i % 1024) << 20) ==
		     (ssize_t)sizeof(buf));
	_exit(0);
}

/*
 * A write to a device waits for space, also the last one of the process that
 * fills. What it has written is discarded until it has ended.
 */
static void fill_once(void)
{
	const char *path = "/dev/mapper/pool-fill";
	uint64_t range[2] = { 0, 1ULL << 30 };
	unsigned int i;
	pid_t pid;
	int fd;

	if (shell("daxcow create pool fill --size 1G"))
		return;
	activate("fill");
	fd = open(path, O_WRONLY | O_CLOEXEC);
	must(fd >= 0);
	pid = fork();
	if (!pid)
		fill_until_stopped(path);
	for (i = 0; i < 300 && !s->stop; i++) {
		if (!shell("dmsetup status pool | grep -q out_of_data_space"))
			break;
		usleep(100000);
	}
	sleep(1 + rnd(3));
	kill(pid, SIGKILL);
	while (!waitpid(pid, NULL, WNOHANG)) {
		must(!ioctl(fd, BLKDISCARD, range));
		usleep(10000);
	}
	close(fd);
	must(!shell("daxcow deactivate pool fill && daxcow remove pool fill"));
	count(FILLS, 1);
}

static void fill(void)
{
	uint64_t next;

	while (!s->stop) {
		for (next = seconds() + 5 + rnd(20); seconds() < next && !s->stop;)
			usleep(200000);
		if (!s->stop)
			fill_once();
	}
}

/* ---- from one boot to the next ---- */

static bool listed(const char *name)
{
	return !shell("dmsetup message pool 0 list 0 | grep -q ' %s$'", name);
}

/* Whether the volume has the one or the other, all of it. */
static bool matches(unsigned int v, struct cell model[WORKERS][BLOCKS])
{
	uint64_t block, stamp, *map;
	unsigned int file;
	bool ok = true;
	int fd;

	for (file = 0; file < WORKERS; file++) {
		fd = open_file(v, file, O_RDWR);
		map = map_file(fd, MAP_SHARED);
		for (block = 0; block < BLOCKS; block++)
			ok &= check_block(map + block * WORDS, file, block,
					  &model[file][block], &stamp) < 0;
		munmap(map, SIZE);
		close(fd);
	}
	return ok;
}

static void recover_slot(unsigned int v)
{
	struct slot *slot = &l->slot[v];
	bool there = slot->state != FREE && listed(slot->name);

	switch (slot->state) {
	case FREE:
		return;
	case CREATING:
		if (there)
			note_begun(slot, &l->slot[slot->from]);
		slot->state = there ? LIVE : FREE;
		break;
	case DELETING:
		slot->state = there ? LIVE : FREE;
		break;
	case ROLLING:
	case LIVE:
		if (!there)
			die(1, "volume %s is gone", slot->name);
		break;
	}
	if (slot->state == FREE)
		return;
	mount_volume(v);
	if (slot->state == ROLLING) {
		if (!matches(v, slot->now)) {
			if (!matches(v, slot->next))
				die(1, "volume %s is neither as before nor as after a rollback",
				    slot->name);
			copy_cells(slot->now, slot->next);
		}
		slot->state = LIVE;
	}
}

static void recover(void)
{
	unsigned int v;

	if (listed("fill"))
		must(!shell("daxcow remove pool fill"));
	/* all before one is settled: snapshots look at what their origin had */
	for (v = 0; v < SLOTS; v++)
		recover_slot(v);
	for (v = 0; v < SLOTS; v++)
		if (l->slot[v].state == LIVE)
			verify_volume(v);
	printf("all that the last boot left is there: %u volumes\n", live());
}

static void start_new(void)
{
	static uint64_t buf[BLOCKS * WORDS];
	unsigned int file;
	uint64_t block;
	int fd;

	memset(l, 0, sizeof(*l));
	snprintf(l->slot[0].name, sizeof(l->slot[0].name), "base");
	must(!shell("daxcow create pool base --size %uM", SNAPSHOT_MIB));
	must(!shell("daxcow activate pool base >/dev/null && mkfs.xfs -q /dev/mapper/pool-base"));
	must(!shell("mkdir -p /v/0 && mount -o dax=always /dev/mapper/pool-base /v/0"));
	for (file = 0; file < WORKERS; file++) {
		fd = open_file(0, file, O_RDWR | O_CREAT);
		l->stamp++;
		for (block = 0; block < BLOCKS; block++) {
			fill_block(buf + block * WORDS, file, block, l->stamp);
			settle(&l->slot[0].now[file][block], l->stamp);
		}
		must(write(fd, buf, SIZE) == (ssize_t)SIZE && !fsync(fd));
		close(fd);
	}
	sync();
	l->slot[0].state = LIVE;
	l->magic = MAGIC;
}

static void report(void)
{
	int i;

	for (i = 0; i < COUNTS; i++)
		printf("%-30s %12llu\n", count_names[i],
		       (unsigned long long)l->count[i]);
	fflush(stdout);
}

/* ---- all of it ---- */

static void make_locks(void)
{
	pthread_rwlockattr_t attr;
	unsigned int v;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	for (v = 0; v < SLOTS; v++)
		must(!pthread_rwlock_init(&s->lock[v], &attr));
	must(!pthread_rwlock_init(&s->tables, &attr));
}

static void start(const char *name, void (*fn)(void), unsigned int nr)
{
	unsigned int i;

	fflush(stdout);
	for (i = 0; i < nr; i++) {
		if (fork())
			continue;
		who = name;
		me = i;
		rng += (i + 1) * 0x9e3779b97f4a7c15ULL + (uint64_t)name[0];
		fn();
		_exit(0);
	}
}

static void watch(void)
{
	uint64_t begin = seconds(), next = begin + 10;

	while (seconds() < until && !s->stop) {
		usleep(100000);
		if (seconds() < next)
			continue;
		next += 10;
		printf("%llu s: %llu operations, %llu snapshots, %llu deletes, %llu rollbacks, %llu MiB compared\n",
		       (unsigned long long)(seconds() - begin),
		       (unsigned long long)l->count[OPS],
		       (unsigned long long)l->count[SNAPSHOTS],
		       (unsigned long long)l->count[DELETES],
		       (unsigned long long)l->count[ROLLBACKS],
		       (unsigned long long)l->count[BYTES] >> 20);
		fflush(stdout);
	}
	s->stop = true;
}

static int finish(void)
{
	int status, ret = 0;
	unsigned int v;

	while (wait(&status) > 0)
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			ret = WIFEXITED(status) && ret != 1 ? WEXITSTATUS(status) : 1;
	for (v = 0; v < SLOTS && !ret; v++) {
		if (l->slot[v].state != LIVE)
			continue;
		verify_volume(v);
		unmount_volume(v);
	}
	return ret;
}

int main(int argc, char **argv)
{
	int fd;

	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fd = argc == 3 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
	if (s == MAP_FAILED || fd < 0) {
		fprintf(stderr, "usage: soak LEDGER SECONDS|report\n");
		return 2;
	}
	l = mmap(NULL, sizeof(*l), PROT_READ | PROT_WRITE,
		 MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
	must(l != MAP_FAILED);
	if (!strcmp(argv[2], "report")) {
		report();
		return 0;
	}
	until = seconds() + strtoul(argv[2], NULL, 0);
	rng = time(NULL) * 0x100000001b3ULL + getpid();
	make_locks();
	if (l->magic == MAGIC)
		recover();
	else
		start_new();
	count(BOOTS, 1);
	start("worker", work, WORKERS);
	start("manager", manage, MANAGERS);
	start("filler", fill, 1);
	printf("running\n");
	fflush(stdout);
	watch();
	return finish();
}
