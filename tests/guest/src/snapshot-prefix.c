// SPDX-License-Identifier: GPL-2.0
/*
 * snapshot-prefix SNAPSHOTS
 *
 * Take snapshots of volumes while processes write to them. Pool "pool" with the
 * volumes v0 and v1, mounted at /v/v0 and /v/v1, is there already.
 *
 * Each writer stores the numbers 1, 2, 3, ... round robin to its slots, which
 * are one word in each page of its files, so what it has written up to some
 * moment is known from the highest number alone. What a snapshot has of it must
 * be that of a moment, which must be one between the command and its return,
 * and it must be the same when it is read again after the next snapshot: a page
 * that the origin can still write to shows then at the latest.
 *
 * One of the writers goes to both volumes by turns. In a snapshot of both that
 * is taken at once, its files together are that of a moment.
 *
 * Exit status: 0 as it should be, 1 a snapshot is not a prefix or changed, 2
 * could not run.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE	4096UL
#define WORDS	(PAGE / 8)
#define PAGES	256UL		/* of each file */
#define SIZE	(PAGES * PAGE)
#define WRITERS	5
#define FILLED	0x5a5a000000000000ULL

enum way { STORE, SYNC, WRITE };

static const struct writer {
	const char *name;
	unsigned int volumes;	/* that it writes to by turns, from v0 on */
	enum way way[2];
} writers[WRITERS] = {
	{ "store", 1, { STORE } },
	{ "sync", 1, { SYNC } },
	{ "write", 1, { WRITE } },
	{ "pair", 2, { STORE, WRITE } },
	{ "pair-sync", 2, { WRITE, SYNC } },
};

struct progress {
	_Atomic uint64_t begun, done;
};

struct snapshot {
	char name[2][32];	/* of v0 and v1; the latter may be empty */
	const volatile uint64_t *map[WRITERS][2];
	uint64_t last[WRITERS];
};

static struct progress *progress;
static pid_t pid[WRITERS];
static pid_t parent;

__attribute__((format(printf, 2, 3), noreturn))
static void die(int status, const char *fmt, ...)
{
	unsigned int w;
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	for (w = 0; getpid() == parent && w < WRITERS; w++)
		if (pid[w] > 0)
			kill(pid[w], SIGKILL);
	_exit(status);
}

#define must(x) do { if (!(x)) die(2, "%s: %m", #x); } while (0)

__attribute__((format(printf, 1, 2)))
static void shell(const char *fmt, ...)
{
	char cmd[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (system(cmd))
		die(2, "failed: %s", cmd);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

static unsigned long slots(const struct writer *w)
{
	return w->volumes * PAGES;
}

/* Which word of a page is the slot. The others say where they belong. */
static unsigned long slot_word(unsigned long page)
{
	return page * 7 % WORDS;
}

static uint64_t filled(unsigned int w, unsigned int vol, unsigned long word)
{
	return FILLED + ((uint64_t)w << 32) + ((uint64_t)vol << 28) + word;
}

static int open_file(const char *volume, unsigned int w, int flags)
{
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "/v/%s/%s", volume, writers[w].name);
	fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd < 0)
		die(2, "%s: %m", path);
	return fd;
}

static void make_files(void)
{
	static uint64_t buf[PAGES * WORDS];
	unsigned long i, page;
	unsigned int w, v;
	int fd;

	for (w = 0; w < WRITERS; w++) {
		for (v = 0; v < writers[w].volumes; v++) {
			for (i = 0; i < PAGES * WORDS; i++)
				buf[i] = filled(w, v, i);
			for (page = 0; page < PAGES; page++)
				buf[page * WORDS + slot_word(page)] = 0;
			fd = open_file(v ? "v1" : "v0", w, O_RDWR | O_CREAT);
			must(write(fd, buf, SIZE) == (ssize_t)SIZE);
			must(!fsync(fd));
			close(fd);
		}
	}
}

/* What a program for persistent memory does after a store. */
static void write_back(volatile uint64_t *p)
{
	asm volatile("clflush %0; sfence" : "+m" (*p));
}

static void write_numbers(unsigned int w)
{
	volatile uint64_t *map[2];
	int fd[2];
	uint64_t n;
	unsigned int v;

	for (v = 0; v < writers[w].volumes; v++) {
		fd[v] = open_file(v ? "v1" : "v0", w, O_RDWR);
		map[v] = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
			      writers[w].way[v] == SYNC ?
			      MAP_SHARED_VALIDATE | MAP_SYNC : MAP_SHARED, fd[v], 0);
		must(map[v] != MAP_FAILED);
	}
	/* the one that takes snapshots gets a processor when it wants one */
	must(nice(10) != -1);
	for (n = 1; getppid() == parent; n++) {
		unsigned long k = n % slots(&writers[w]);
		unsigned long page = k / writers[w].volumes;
		unsigned long i = page * WORDS + slot_word(page);

		v = k % writers[w].volumes;
		/*
		 * A synchronous fault is one that has metadata to wait for. It
		 * must be the only kind: others mark the inode dirty, too.
		 */
		if (writers[w].way[v] == SYNC)
			must(!fchmod(fd[v], 0600));
		progress[w].begun = n;
		if (writers[w].way[v] == WRITE)
			must(pwrite(fd[v], &n, 8, i * 8) == 8);
		else
			map[v][i] = n;
		if (writers[w].way[v] == SYNC)
			write_back(&map[v][i]);
		progress[w].done = n;
	}
	_exit(0);
}

/* Every writer goes round all of its slots once more. */
static void wait_for_writes(void)
{
	uint64_t until = now_ms() + 60000, from[WRITERS];
	unsigned int w;

	for (w = 0; w < WRITERS; w++)
		from[w] = progress[w].done;
	for (w = 0; w < WRITERS; w++) {
		while (progress[w].done < from[w] + slots(&writers[w])) {
			if (waitpid(-1, NULL, WNOHANG) > 0)
				die(2, "a writer has ended");
			if (now_ms() > until)
				die(2, "%s: stands still", writers[w].name);
			usleep(1000);
		}
	}
}

/* ---- what is in a snapshot ---- */

struct contents {
	uint64_t highest;
	uint64_t slot[2 * PAGES];
	bool seen[2 * PAGES];
};

/* Of the one file in a volume, by read(2) and through the mapping. */
static void load(struct contents *c, const struct snapshot *s, unsigned int w,
		 unsigned int v)
{
	static uint64_t buf[PAGES * WORDS];
	unsigned long page, i, k;
	uint64_t n;
	int fd;

	fd = open_file(s->name[v], w, O_RDONLY);
	must(pread(fd, buf, SIZE, 0) == (ssize_t)SIZE);
	close(fd);
	for (i = 0; i < PAGES * WORDS; i++) {
		page = i / WORDS;
		n = s->map[w][v][i];
		if (n != buf[i])
			die(1, "%s %s: page %lu word %lu is %#llx by mmap and %#llx by read",
			    s->name[v], writers[w].name, page, i % WORDS,
			    (unsigned long long)n, (unsigned long long)buf[i]);
		if (i % WORDS != slot_word(page)) {
			if (n != filled(w, v, i))
				die(1, "%s %s: page %lu word %lu is %#llx, which was never written",
				    s->name[v], writers[w].name, page, i % WORDS,
				    (unsigned long long)n);
			continue;
		}
		k = page * writers[w].volumes + v;
		c->slot[k] = n;
		c->seen[k] = true;
		if (n > c->highest)
			c->highest = n;
	}
}

/* What slot @k holds when @n is the last number written. */
static uint64_t expected(uint64_t n, unsigned long k, unsigned long nr)
{
	uint64_t back = (n - k) % nr;

	return n > back ? n - back : 0;
}

static void check_prefix(const struct contents *c, const struct snapshot *s,
			 unsigned int w)
{
	unsigned long k, nr = slots(&writers[w]);
	uint64_t want;

	for (k = 0; k < nr; k++) {
		if (!c->seen[k])
			continue;
		want = expected(c->highest, k, nr);
		if (c->slot[k] != want)
			die(1, "%s %s: no prefix: %llu is there, but slot %lu has %llu and not %llu",
			    s->name[0], writers[w].name,
			    (unsigned long long)c->highest, k,
			    (unsigned long long)c->slot[k],
			    (unsigned long long)want);
	}
}

static void read_snapshot(struct snapshot *s, unsigned int w, struct contents *c)
{
	unsigned int v;

	memset(c, 0, sizeof(*c));
	for (v = 0; v < writers[w].volumes; v++)
		if (s->name[v][0])
			load(c, s, w, v);
	check_prefix(c, s, w);
}

static void check_first(struct snapshot *s, const uint64_t *done,
			const uint64_t *begun)
{
	static struct contents c;
	unsigned int w, missing;

	for (w = 0; w < WRITERS; w++) {
		read_snapshot(s, w, &c);
		s->last[w] = c.highest;
		/* of one that goes by turns the last may be in the other volume */
		missing = writers[w].volumes == 2 && !s->name[1][0];
		if (c.highest + missing < done[w] || c.highest > begun[w])
			die(1, "%s %s: ends with %llu; written were %llu before, %llu after it was taken",
			    s->name[0], writers[w].name,
			    (unsigned long long)c.highest,
			    (unsigned long long)done[w],
			    (unsigned long long)begun[w]);
	}
}

static void check_again(struct snapshot *s)
{
	static struct contents c;
	unsigned int w;

	for (w = 0; w < WRITERS; w++) {
		read_snapshot(s, w, &c);
		if (c.highest != s->last[w])
			die(1, "%s %s: ended with %llu and now with %llu",
			    s->name[0], writers[w].name,
			    (unsigned long long)s->last[w],
			    (unsigned long long)c.highest);
	}
}

/* ---- snapshots ---- */

static void attach(struct snapshot *s)
{
	unsigned int w, v;
	void *map;
	int fd;

	for (v = 0; v < 2; v++) {
		if (!s->name[v][0])
			continue;
		shell("daxcow activate pool %s >/dev/null", s->name[v]);
		shell("mkdir -p /v/%s && mount -o dax=always,nouuid /dev/mapper/pool-%s /v/%s",
		      s->name[v], s->name[v], s->name[v]);
		for (w = 0; w < WRITERS; w++) {
			if (v >= writers[w].volumes)
				continue;
			fd = open_file(s->name[v], w, O_RDONLY);
			map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
			must(map != MAP_FAILED);
			close(fd);
			s->map[w][v] = map;
		}
	}
}

static void drop(struct snapshot *s)
{
	unsigned int w, v;

	for (v = 0; v < 2; v++) {
		if (!s->name[v][0])
			continue;
		for (w = 0; w < WRITERS; w++)
			if (v < writers[w].volumes)
				munmap((void *)s->map[w][v], SIZE);
		shell("umount /v/%s && rmdir /v/%s", s->name[v], s->name[v]);
		shell("daxcow deactivate pool %s && daxcow remove pool %s",
		      s->name[v], s->name[v]);
	}
}

static unsigned int volume_id(const char *name)
{
	char cmd[200];
	unsigned int id;
	FILE *f;

	snprintf(cmd, sizeof(cmd),
		 "dmsetup message pool 0 list 0 | awk '$NF == \"%s\" { print $1 }'",
		 name);
	f = popen(cmd, "r");
	must(f && fscanf(f, "%u", &id) == 1);
	pclose(f);
	return id;
}

/* By the tool and by messages, of one volume and of both at once. */
static void take(struct snapshot *s, unsigned long i)
{
	unsigned int id = 1000 + 2 * i, v0 = volume_id("v0"), v1 = volume_id("v1");
	const char *a = s->name[0], *b = s->name[1];

	memset(s, 0, sizeof(*s));
	snprintf(s->name[0], sizeof(s->name[0]), "s%lu", i);
	if (i % 2)
		snprintf(s->name[1], sizeof(s->name[1]), "t%lu", i);
	switch (i % 6) {
	case 0:
	case 4:
		shell("dmsetup message pool 0 create_snap %u %u %s", id, v0, a);
		break;
	case 1:
		shell("daxcow snapshot pool v0=%s v1=%s", a, b);
		break;
	case 2:
		shell("daxcow snapshot pool v0 %s", a);
		break;
	case 3:
		shell("dmsetup message pool 0 create_snaps %u %u %s %u %u %s",
		      id, v1, b, id + 1, v0, a);
		break;
	case 5:
		shell("daxcow snapshot pool v1=%s v0=%s", b, a);
		break;
	}
}

int main(int argc, char **argv)
{
	uint64_t done[WRITERS], begun[WRITERS], start;
	struct snapshot snap[2];
	unsigned long i, nr;
	unsigned int w;

	nr = argc == 2 ? strtoul(argv[1], NULL, 0) : 0;
	if (!nr)
		errx(2, "usage: snapshot-prefix SNAPSHOTS");
	parent = getpid();
	start = now_ms();
	progress = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(progress != MAP_FAILED);
	make_files();
	fflush(stdout);
	for (w = 0; w < WRITERS; w++) {
		pid[w] = fork();
		must(pid[w] >= 0);
		if (!pid[w])
			write_numbers(w);
	}
	for (i = 0; i <= nr; i++) {
		struct snapshot *s = &snap[i % 2], *old = &snap[(i + 1) % 2];

		wait_for_writes();
		if (i < nr) {
			for (w = 0; w < WRITERS; w++)
				done[w] = progress[w].done;
			take(s, i);
			for (w = 0; w < WRITERS; w++)
				begun[w] = progress[w].begun;
		}
		if (i) {
			check_again(old);
			drop(old);
		}
		if (i < nr) {
			attach(s);
			check_first(s, done, begun);
		}
	}
	for (w = 0; w < WRITERS; w++) {
		kill(pid[w], SIGKILL);
		must(waitpid(pid[w], NULL, 0) == pid[w]);
		printf("%s: %llu numbers\n", writers[w].name,
		       (unsigned long long)progress[w].done);
	}
	printf("%lu snapshots in %llu s, all are prefixes\n", nr,
	       (unsigned long long)(now_ms() - start) / 1000);
	return 0;
}
