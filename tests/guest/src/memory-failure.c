// SPDX-License-Identifier: GPL-2.0
/*
 * memory-failure [-n N] [-p PFN | -m FILE:PAGE | -c COMMAND] {kill|spare}:FILE:PAGE...
 *
 * N processes (2) map each FILE and read PAGE of it over and over. Then the page
 * frame PFN fails, or the page at FILE:PAGE by MADV_HWPOISON, or whatever COMMAND
 * makes fail. All that read a page to be killed must get SIGBUS, BUS_MCEERR_AR, with
 * the address of the page; what is to be spared must get no signal, and be able to
 * read its page once more.
 *
 * FILE:PAGE@2M: the file is mapped so that a PMD can map it, and does.
 *
 * Exit code: 0 it was so, 1 it was not, 2 could not be tried.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
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

#define PAGE_SIZE	4096ul
#define PMD_SIZE	(2ul << 20)
#define PATIENCE	20	/* seconds until who is to be killed was */

struct target {
	char *file;
	unsigned long page;
	bool spare, huge;
};

struct child {
	pid_t pid;
	const struct target *t;
	bool ended;
};

static sigjmp_buf jump;
static volatile uintptr_t early, fatal;
static volatile int fatal_code;
static volatile sig_atomic_t leave;

static void on_bus(int sig __attribute__((unused)), siginfo_t *si,
		   void *context __attribute__((unused)))
{
	if (si->si_code == BUS_MCEERR_AO) {
		early = (uintptr_t)si->si_addr;
		return;
	}
	fatal = (uintptr_t)si->si_addr;
	fatal_code = si->si_code;
	siglongjmp(jump, 1);
}

static void on_leave(int sig __attribute__((unused)))
{
	leave = 1;
}

static void parse(struct target *t, char *text)
{
	char *colon = strrchr(text, ':'), *end;

	if (!colon)
		errx(2, "%s: FILE:PAGE is wanted", text);
	t->page = strtoul(colon + 1, &end, 10);
	t->huge = !strcmp(end, "@2M");
	*colon = '\0';
	t->file = text;
}

static char *map(const struct target *t)
{
	int fd = open(t->file, O_RDWR);
	size_t len;
	struct stat st;
	char *p, *at;

	if (fd < 0 || fstat(fd, &st))
		err(2, "%s", t->file);
	len = st.st_size;
	p = mmap(NULL, len + PMD_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0);
	at = (char *)(((uintptr_t)p + PMD_SIZE - 1) & ~(PMD_SIZE - 1));
	if (p == MAP_FAILED ||
	    mmap(at, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		 0) == MAP_FAILED)
		err(2, "%s: mmap", t->file);
	close(fd);
	return at;
}

/* Whether a page that was not touched is mapped: it came with another one. */
static bool is_mapped(const volatile char *p)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;

	if (fd < 0 || pread(fd, &entry, sizeof(entry), (uintptr_t)p / PAGE_SIZE *
			    sizeof(entry)) != sizeof(entry))
		err(2, "pagemap");
	close(fd);
	return entry >> 63;
}

static void read_on(const struct target *t, int ready)
{
	struct sigaction sa = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO };
	volatile char *page = map(t) + t->page * PAGE_SIZE;
	struct timespec pause = { .tv_nsec = 2000000 };
	uintptr_t first = (uintptr_t)page;

	sigaction(SIGBUS, &sa, NULL);
	signal(SIGUSR1, on_leave);
	if (!sigsetjmp(jump, 1)) {
		(void)*page;
		if (t->huge && !is_mapped((char *)((uintptr_t)page ^ PMD_SIZE / 2)))
			errx(2, "%s: not mapped by a PMD", t->file);
		if (write(ready, "r", 1) != 1)
			_exit(2);
		while (!leave) {
			(void)*page;
			nanosleep(&pause, NULL);
		}
		(void)*page;
		_exit(early ? 11 : 10);
	}
	if (fatal_code != BUS_MCEERR_AR) {
		fprintf(stderr, "%s: si_code %d\n", t->file, fatal_code);
		_exit(12);
	}
	if ((fatal & ~(PAGE_SIZE - 1)) != first ||
	    (early && (early & ~(PAGE_SIZE - 1)) != first)) {
		fprintf(stderr, "%s: address %#lx, early %#lx, page at %#lx\n",
			t->file, (long)fatal, (long)early, (long)first);
		_exit(13);
	}
	_exit(0);
}

static pid_t start(const struct target *t, int ready)
{
	pid_t pid = fork();

	if (pid < 0)
		err(2, "fork");
	if (!pid)
		read_on(t, ready);
	return pid;
}

static void fail_pfn(const char *pfn)
{
	int fd = open("/sys/kernel/debug/hwpoison/corrupt-pfn", O_WRONLY);

	/* what comes back is the handler's opinion, which the kernel logs as well */
	if (fd < 0)
		err(2, "corrupt-pfn");
	if (write(fd, pfn, strlen(pfn)) < 0)
		printf("corrupt-pfn: %s\n", strerror(errno));
	close(fd);
}

static void fail_madvise(char *where)
{
	struct target t;
	char *p;

	parse(&t, where);
	if (fork())
		return;
	signal(SIGBUS, SIG_DFL);
	p = map(&t) + t.page * PAGE_SIZE;
	(void)*(volatile char *)p;
	if (madvise(p, PAGE_SIZE, MADV_HWPOISON))
		warn("MADV_HWPOISON");
	_exit(0);
}

static const char *said(int status)
{
	if (WIFSIGNALED(status))
		return strsignal(WTERMSIG(status));
	switch (WEXITSTATUS(status)) {
	case 0: return "BUS_MCEERR_AR";
	case 10: return "nothing";
	case 11: return "BUS_MCEERR_AO only";
	case 12: return "another SIGBUS";
	case 13: return "a wrong address";
	default: return "an error";
	}
}

static struct child *find(struct child *c, int nr, pid_t pid)
{
	int i;

	for (i = 0; i < nr; i++)
		if (c[i].pid == pid)
			return &c[i];
	return NULL;
}

/* Collect those that have ended; how many were as they should be. */
static int reap(struct child *c, int nr, int *right, int *wrong)
{
	struct child *one;
	int status, n = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		one = find(c, nr, pid);
		if (!one)
			continue;
		n++;
		one->ended = true;
		if (WIFEXITED(status) && WEXITSTATUS(status) ==
		    (one->t->spare ? 10 : 0)) {
			++*right;
			continue;
		}
		++*wrong;
		printf("%s page %lu: %s\n", one->t->file, one->t->page,
		       said(status));
	}
	return n;
}

static bool any_left(const struct child *c, int nr, bool spare)
{
	int i;

	for (i = 0; i < nr; i++)
		if (!c[i].ended && c[i].t->spare == spare)
			return true;
	return false;
}

static void dismiss(const struct child *c, int nr)
{
	int i;

	for (i = 0; i < nr; i++)
		if (!c[i].ended)
			kill(c[i].pid, SIGUSR1);
}

static int judge(struct child *c, int nr)
{
	struct timespec tick = { .tv_nsec = 20000000 };
	int right = 0, wrong = 0;
	time_t end = time(NULL) + PATIENCE;

	while (any_left(c, nr, false) && time(NULL) < end) {
		reap(c, nr, &right, &wrong);
		nanosleep(&tick, NULL);
	}
	/* who is hit by mistake is hit by now, too */
	dismiss(c, nr);
	while (any_left(c, nr, true) || any_left(c, nr, false)) {
		reap(c, nr, &right, &wrong);
		nanosleep(&tick, NULL);
	}
	printf("%d processes as they should, %d not\n", right, wrong);
	return wrong ? 1 : 0;
}

int main(int argc, char **argv)
{
	char *pfn = NULL, *advise = NULL, *command = NULL, byte;
	int opt, ready[2], n = 2, nr = 0, i;
	struct target *targets;
	struct child *children;

	while ((opt = getopt(argc, argv, "n:p:m:c:")) > 0) {
		switch (opt) {
		case 'n':
			n = atoi(optarg);
			break;
		case 'p':
			pfn = optarg;
			break;
		case 'm':
			advise = optarg;
			break;
		case 'c':
			command = optarg;
			break;
		default:
			return 2;
		}
	}
	targets = calloc(argc, sizeof(*targets));
	children = calloc(argc * n, sizeof(*children));
	if (!targets || !children || pipe(ready))
		err(2, "start");
	for (i = optind; i < argc; i++) {
		struct target *t = &targets[i];
		int k;

		t->spare = !strncmp(argv[i], "spare:", 6);
		parse(t, argv[i] + (t->spare ? 6 : 5));
		t->spare = argv[i][0] == 's';
		for (k = 0; k < n; k++) {
			children[nr].t = t;
			children[nr++].pid = start(t, ready[1]);
		}
	}
	close(ready[1]);
	for (i = 0; i < nr; i++)
		if (read(ready[0], &byte, 1) != 1)
			errx(2, "one of them could not start");
	if (pfn)
		fail_pfn(pfn);
	if (advise)
		fail_madvise(advise);
	if (command && system(command))
		errx(2, "%s", command);
	return judge(children, nr);
}
