// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel as daxcow dedupe sees it, with the pool of fake-pool.h in the directory
 * $FAKE_POOL. Linked in place of tools/daxcow/dedupe-kernel.c.
 *
 * A call that was made is carried out even if the tool is killed meanwhile, and nothing
 * is ever seen half done. So a process of its own does it, the server, and the pool is
 * locked from before the server is told until it is done: the lock is on the open file
 * that both have. The server ends when the tool does.
 *
 * $FAKE_KILL=N kills the tool in its Nth merge. With $FAKE_CLOCK set, time passes for
 * the tool only while it sleeps.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include "dedupe-kernel.h"
#include "fake-pool.h"

/**
 * struct exchange - memory of the tool and the server
 * @err:	what the call returns
 * @merge:	what it is, with @pair; else @blocks with @run
 */
struct exchange {
	int err;
	bool is_merge;
	struct daxcow_ioc_blocks blocks;
	struct daxcow_ioc_merge merge;
	union {
		struct daxcow_run run[DAXCOW_MERGE_PAIRS];
		struct daxcow_merge_pair pair[DAXCOW_MERGE_PAIRS];
	};
};

static struct fake fake;
static struct exchange *exchange;

/* ---- blocks ---- */

static bool alike(const struct daxcow_run *a, const struct daxcow_run *b)
{
	return a->block + a->nr == b->block && a->owners == b->owners &&
	       a->generation == b->generation && a->domain == b->domain &&
	       a->flags == b->flags && !(a->flags & DAXCOW_RUN_CHUNK);
}

static struct daxcow_run run_at(u64 block)
{
	const struct fake_block *b = &fake.p->block[block];

	return (struct daxcow_run) {
		.block = block,
		.nr = b->chunk ? FAKE_CHUNK : 1,
		.owners = b->owners,
		.generation = b->generation,
		.domain = b->domain,
		.flags = (b->chunk ? DAXCOW_RUN_CHUNK : 0) |
			 (b->hot ? DAXCOW_RUN_HOT : 0) |
			 (b->bad == 1 ? DAXCOW_RUN_BAD : 0),
	};
}

static int list_blocks(struct daxcow_ioc_blocks *x, struct daxcow_run *run)
{
	u32 nr = 0;

	if (!x->nr || x->pad)
		return -EINVAL;
	if (x->flags & DAXCOW_BLOCKS_BEGIN && fake.p->used) {
		fake.p->generation++;
		fake.p->used = 0;
	}
	x->generation = fake.p->generation;
	x->instance = fake.p->instance;
	x->end = min(x->end, fake.p->blocks);
	while (x->start < x->end) {
		const struct fake_block *b = &fake.p->block[x->start];
		u64 block = x->start - (b->chunk ? x->start % FAKE_CHUNK : 0);
		struct daxcow_run r = run_at(block);

		if (r.owners && r.generation >= x->since) {
			if (nr && alike(&run[nr - 1], &r))
				run[nr - 1].nr++;
			else if (nr == x->nr)
				break;
			else
				run[nr++] = r;
		}
		x->start = block + r.nr;
	}
	x->nr = nr;
	return 0;
}

/* ---- merge ---- */

static bool any(u64 block, u32 nr, bool (*what)(const struct fake_block *b))
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (what(&fake.p->block[block + i]))
			return true;
	return false;
}

static bool is_hot(const struct fake_block *b)
{
	return b->hot && b->owners == 1;
}

static bool is_pinned(const struct fake_block *b)
{
	return b->pinned;
}

static bool is_bad(const struct fake_block *b)
{
	return b->bad;
}

static u32 stale_from;

static bool is_stale(const struct fake_block *b)
{
	return !b->owners || b->generation >= stale_from;
}

/* Something is written to one of the two, which may be hot, and perhaps nobody notices. */
static void change(const struct daxcow_merge_pair *p)
{
	struct fake_block *b;
	char data[DAXCOW_BLOCK_SIZE];
	u64 at = p->drop;
	u32 generation;

	if (p->keep != DAXCOW_MERGE_ZERO && fake_random(fake.p, 2))
		at = p->keep;
	b = &fake.p->block[at];
	if (b->owners != 1)
		return;
	memset(data, fake_random(fake.p, 256), sizeof(data));
	memcpy(data, &fake.p->random, sizeof(u64));
	generation = b->generation;
	fake_write(&fake, b->first, data, b->domain);
	if (fake_random(fake.p, 2)) {
		b->generation = generation;
		b->hot = fake_random(fake.p, 2);
	}
}

static void rest(u64 block, u32 nr, u32 *left)
{
	u32 i;

	for (i = 0; i < nr && *left; i++) {
		if (!fake.p->block[block + i].hot)
			continue;
		fake.p->block[block + i].hot = 0;
		fake.p->rested++;
		--*left;
	}
}

static int refuse(const struct daxcow_merge_pair *p)
{
	bool zero = p->keep == DAXCOW_MERGE_ZERO;
	const struct fake_block *keep = &fake.p->block[zero ? 0 : p->keep];
	const struct fake_block *drop = &fake.p->block[p->drop];

	if (p->keep == p->drop)
		return DAXCOW_MERGE_SAME;
	stale_from = min(p->generation, fake.p->generation + 1);
	if (any(p->drop, p->nr, is_stale) ||
	    (!zero && any(p->keep, p->nr, is_stale)))
		return DAXCOW_MERGE_STALE;
	if (any(p->drop, p->nr, is_bad) || (!zero && any(p->keep, p->nr, is_bad)))
		return DAXCOW_MERGE_BAD;
	if (!zero && keep->domain != drop->domain)
		return DAXCOW_MERGE_DOMAIN;
	if (!zero && keep->owners + drop->owners > DAXCOW_OWNER_CAP)
		return DAXCOW_MERGE_CAP;
	if (p->nr == 1 && drop->chunk && !(p->flags & DAXCOW_PAIR_SPLIT))
		return DAXCOW_MERGE_HUGE;
	if (any(p->drop, p->nr, is_hot) || (!zero && any(p->keep, p->nr, is_hot)))
		return DAXCOW_MERGE_HOT;
	if (any(p->drop, p->nr, is_pinned))
		return DAXCOW_MERGE_PINNED;
	return 0;
}

static bool equal(const struct daxcow_merge_pair *p)
{
	size_t size = (size_t)p->nr << DAXCOW_BLOCK_SHIFT;
	const char *drop = fake_data(&fake, p->drop);

	if (p->keep == DAXCOW_MERGE_ZERO)
		return !drop[0] && !memcmp(drop, drop + 1, size - 1);
	return !memcmp(drop, fake_data(&fake, p->keep), size);
}

static void merge(const struct daxcow_merge_pair *p)
{
	u32 i;

	if (p->nr == 1 && fake.p->block[p->drop].chunk)
		fake_split(&fake, p->drop);
	for (i = 0; i < p->nr; i++) {
		const struct fake_block *b = &fake.p->block[p->drop + i];

		while (b->owners) {
			u32 owner = b->first;

			fake_disown(&fake, owner);
			if (p->keep != DAXCOW_MERGE_ZERO)
				fake_own(&fake, owner, p->keep + i);
		}
	}
}

static u32 one_pair(const struct daxcow_merge_pair *p, u32 *left, __u64 *freed)
{
	static const u8 failures[] = {
		DAXCOW_MERGE_NOT_TRIED, DAXCOW_MERGE_HOT, DAXCOW_MERGE_PINNED,
		DAXCOW_MERGE_NO_MEMORY, DAXCOW_MERGE_STALE, DAXCOW_MERGE_BAD,
	};
	int status;

	fake.p->pairs++;
	if (fake_random(fake.p, 1000) < fake.p->change)
		change(p);
	if (fake_random(fake.p, 1000) < fake.p->fail)
		return failures[fake_random(fake.p, sizeof(failures))];
	rest(p->drop, p->nr, left);
	if (p->keep != DAXCOW_MERGE_ZERO)
		rest(p->keep, p->nr, left);
	status = refuse(p);
	if (status)
		return status;
	if (!equal(p))
		return DAXCOW_MERGE_DIFFERS;
	merge(p);
	*freed += p->nr;
	return DAXCOW_MERGE_MERGED;
}

static int merge_pairs(struct daxcow_ioc_merge *x, struct daxcow_merge_pair *pair)
{
	u32 i, left = x->rest;

	fake.p->calls++;
	x->freed = 0;
	for (i = 0; i < x->nr; i++) {
		if (pair[i].nr != 1 && (pair[i].nr != FAKE_CHUNK ||
					pair[i].drop % FAKE_CHUNK))
			return -EINVAL;
		pair[i].status = one_pair(&pair[i], &left, &x->freed);
		if (fake.p->delay)
			usleep(fake.p->delay);
	}
	x->rest -= left;
	return 0;
}

/* ---- the server ---- */

/* Out of reach of the terminal's signals, and without files that the tool locks. */
static void serve(int from)
{
	int lock = fcntl(fake.lock, F_DUPFD, 5);
	char c = 0;

	setsid();
	if (lock < 0 || dup2(from, 3) < 0 || dup2(lock, 4) < 0)
		_exit(1);
	fake.lock = 4;
	close_range(5, ~0U, 0);
	while (read(3, &c, 1) == 1) {
		struct exchange *x = exchange;

		x->err = x->is_merge ? merge_pairs(&x->merge, x->pair) :
				       list_blocks(&x->blocks, x->run);
		fake_unlock(&fake);
		if (send(3, &c, 1, MSG_NOSIGNAL) != 1)
			break;
	}
	_exit(0);
}

int kernel_open(struct kernel *k, const struct pool *pool)
{
	const char *dir = getenv("FAKE_POOL");
	int fd[2];

	*k = (struct kernel) { .control = -1, .device = -1 };
	if (!dir || (!fake.p && !fake_open(&fake, dir, 0, 0)))
		return fail(EXIT_NO_KERNEL, "%s: no pool in $FAKE_POOL",
			    pool->dm.name);
	k->blocks = fake.p->blocks;
	if (!exchange)
		exchange = mmap(NULL, sizeof(*exchange), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (exchange == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
		return fail_errno(errno, "the fake kernel");
	k->device = fork();
	if (!k->device) {
		/* or it would not see the tool's end */
		close(fd[1]);
		serve(fd[0]);
	}
	close(fd[0]);
	k->control = fd[1];
	return k->device < 0 ? fail_errno(errno, "the fake kernel") : EXIT_DONE;
}

void kernel_close(struct kernel *k)
{
	if (k->control < 0)
		return;
	close(k->control);
	while (waitpid(k->device, NULL, 0) < 0 && errno == EINTR)
		;
	k->control = -1;
}

/* The server is told with the pool locked, and unlocks it. */
static int call(const struct kernel *k)
{
	static int merges;
	const char *at = getenv("FAKE_KILL");
	ssize_t n;
	char c = 0;

	if (send(k->control, &c, 1, MSG_NOSIGNAL) != 1)
		return -EIO;
	if (exchange->is_merge && at && ++merges == atoi(at))
		raise(SIGKILL);
	do {
		n = read(k->control, &c, 1);
	} while (n < 0 && errno == EINTR);
	return n == 1 ? exchange->err : -EIO;
}

int kernel_blocks(const struct kernel *k, struct daxcow_ioc_blocks *x)
{
	struct daxcow_run *run = (void *)(uintptr_t)x->runs;
	int err;

	if (x->nr > ARRAY_SIZE(exchange->run))
		return -EINVAL;
	fake_lock(&fake);
	exchange->is_merge = false;
	exchange->blocks = *x;
	err = call(k);
	if (err)
		return err;
	*x = exchange->blocks;
	memcpy(run, exchange->run, x->nr * sizeof(*run));
	return 0;
}

int kernel_merge(const struct kernel *k, struct daxcow_ioc_merge *x)
{
	struct daxcow_merge_pair *pair = (void *)(uintptr_t)x->pairs;
	int err;

	if (x->nr > DAXCOW_MERGE_PAIRS)
		return -EINVAL;
	fake_lock(&fake);
	exchange->is_merge = true;
	exchange->merge = *x;
	memcpy(exchange->pair, pair, x->nr * sizeof(*pair));
	err = call(k);
	if (err)
		return err;
	*x = exchange->merge;
	memcpy(pair, exchange->pair, x->nr * sizeof(*pair));
	return 0;
}

int kernel_read(const struct kernel *k, void *buf, u64 block, u32 nr)
{
	int err = 0;
	u32 i;

	if ((uintptr_t)buf % DAXCOW_BLOCK_SIZE || block + nr > fake.p->blocks)
		return -EINVAL;
	fake_lock(&fake);
	for (i = 0; i < nr; i++)
		if (fake.p->block[block + i].bad)
			err = -EIO;
	if (!err) {
		memcpy(buf, fake_data(&fake, block), (size_t)nr << DAXCOW_BLOCK_SHIFT);
		fake.p->reads += nr;
	}
	fake_unlock(&fake);
	return err;
}

/* ---- time, by the linker's --wrap ---- */

static struct timespec slept;

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	if (id != CLOCK_MONOTONIC || !getenv("FAKE_CLOCK"))
		return __real_clock_gettime(id, t);
	*t = slept;
	return 0;
}

int __wrap_nanosleep(const struct timespec *t, struct timespec *left)
{
	if (!getenv("FAKE_CLOCK"))
		return __real_nanosleep(t, left);
	/* no sleep takes no time: who waits for the rest of a nanosecond gets there */
	slept.tv_nsec += t->tv_nsec + 1;
	slept.tv_sec += t->tv_sec + slept.tv_nsec / 1000000000;
	slept.tv_nsec %= 1000000000;
	return 0;
}
