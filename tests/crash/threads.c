// SPDX-License-Identifier: GPL-2.0
/*
 * Two threads, interleaved in all ways at the engine's lock.
 *
 * One does one operation, the other one or two. They are coroutines that
 * change places where the engine takes or drops a lock, before it copies a block
 * without one, before words of tables that are looked at without one, where a reader or
 * a writer has got an address and not yet used it, and where one waits for the other. Each
 * choice of who goes on is tried.
 *
 * At each fence, in each state after a power cut: what has returned is there;
 * what is under way is there or not; and all of it in an order that the
 * threads could have seen. A reader sees what its volume held at a moment
 * between begin and end of the read, whatever became of the block since.
 */
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>
#include "check.h"
#include "persist.h"

#define STACK	(256 * 1024)
#define MAX_OPS	3
#define MAX_CHOICES 200

/**
 * struct thread - one of the two
 * @op:		what it does
 * @nr:		operations
 * @begun:	operations begun
 * @ended:	operations that have returned
 * @failed:	each, with an error: it did nothing
 * @waiting:	for the other one
 */
struct thread {
	ucontext_t context;
	char *stack;
	const struct op *op[MAX_OPS];
	unsigned int nr, begun, ended;
	bool failed[MAX_OPS];
	bool waiting, done;
};

static struct thread thread[2], *current;
static ucontext_t scheduler;
static struct daxcow_pool *pool;
static struct mutex *held;
static const struct thread *holder;
static struct world first;
static unsigned int writers[NR_VOLUMES], frozen[NR_VOLUMES], readers, sections;
static unsigned int direct[NR_VOLUMES][NR_PLACES], bios[NR_VOLUMES][NR_PLACES];
static unsigned char choice[MAX_CHOICES];
static unsigned int nr_choices, at_choice, start;
/* a reader can be interrupted before each word of a table */
static bool each_load;
/* words that who writes has looked at without the lock */
static unsigned int nr_loads;
/* the current thread goes on whatever it does */
static bool goes_on;
/* how many operations of the second had ended when the first's began */
static unsigned int ended_before;

/* ---- where threads change places ---- */

void in_one_go(bool on)
{
	goes_on = on;
}

bool alone(void)
{
	return !current;
}

void switch_threads(void)
{
	if (current && !goes_on)
		swapcontext(&current->context, &scheduler);
}

/* For something that the other one has to do. */
static void wait_while(const unsigned int *busy)
{
	while (current && *busy) {
		current->waiting = true;
		switch_threads();
	}
}

void crash_lock(struct mutex *lock)
{
	if (!current || goes_on)
		return;
	switch_threads();
	while (held == lock) {
		current->waiting = true;
		switch_threads();
	}
	held = lock;
	holder = current;
}

/*
 * Until it takes the next lock a thread is by itself, unless it has stored
 * something that is not durable yet.
 */
void crash_unlock(struct mutex *lock)
{
	(void)lock;
	if (!current || goes_on)
		return;
	held = NULL;
	holder = NULL;
	if (persist_pending())
		switch_threads();
}

void before_copy(void)
{
	if (holder != current)
		switch_threads();
}

void writer_begin(const struct op *op)
{
	while (current && (frozen[op->volume] || bios[op->volume][op->place])) {
		current->waiting = true;
		switch_threads();
	}
	nr_loads = 0;
	direct[op->volume][op->place]++;
	writers[op->volume]++;
}

void writer_end(const struct op *op)
{
	direct[op->volume][op->place]--;
	writers[op->volume]--;
}

void bio_begin(const struct op *op)
{
	wait_while(&direct[op->volume][op->place]);
	bios[op->volume][op->place]++;
}

void bio_end(const struct op *op)
{
	bios[op->volume][op->place]--;
}

void freeze(u32 volume)
{
	frozen[volume]++;
	wait_while(&writers[volume]);
}

void thaw(u32 volume)
{
	frozen[volume]--;
}

void section_begin(void)
{
	sections++;
}

void section_end(void)
{
	sections--;
}

void reader_begin(void)
{
	section_begin();
	readers++;
}

void reader_end(void)
{
	readers--;
	section_end();
}

static bool anybody_writes(void)
{
	unsigned int v, any = 0;

	for (v = 0; v < NR_VOLUMES; v++)
		any += writers[v];
	return any;
}

/*
 * Of who has not the lock: who reads; or has been given write access before, and stands
 * below the root, so that there is something that he has looked at.
 */
void before_load(void)
{
	if (each_load && current == &thread[0] &&
	    (readers || (holder != current && anybody_writes() && ++nr_loads == 2)))
		switch_threads();
}

void grace_period(void)
{
	wait_while(&sections);
}

void rest(void)
{
	while (current && anybody_writes()) {
		current->waiting = true;
		switch_threads();
	}
}

/* ---- what is legal ---- */

/*
 * The second thread's first @nr operations, with the first thread's before
 * number @at of them, or not at all when that is larger.
 */
static void world_of(struct world *w, unsigned int nr, unsigned int at)
{
	unsigned int i;

	*w = first;
	for (i = 0; i <= nr; i++) {
		if (i == at && !thread[0].failed[0])
			world_apply(w, thread[0].op[0], 100);
		if (i < nr && !thread[1].failed[i])
			world_apply(w, thread[1].op[i], 101 + i);
	}
}

static bool legal(const struct world *w)
{
	const struct thread *a = &thread[0], *b = &thread[1];
	unsigned int nr, at;
	struct world want;

	for (nr = b->ended; nr <= b->begun; nr++) {
		for (at = a->begun ? ended_before : nr + 1; at <= nr + 1; at++) {
			if (a->ended && at > nr)
				break;
			world_of(&want, nr, at);
			if (world_equal(w, &want))
				return true;
		}
	}
	return false;
}

static void at_fence(void)
{
	struct thread *me = current;

	/* recovery takes locks of its own */
	current = NULL;
	check_states(legal, NULL, &first);
	current = me;
}

/* The first thread has read. */
static void check_read(const struct op *op)
{
	unsigned int nr;
	struct world w;

	for (nr = ended_before; nr <= thread[1].begun; nr++) {
		world_of(&w, nr, nr + 1);
		if (!memcmp(&w.volume[op->volume].at[op->place], &op_read,
			    sizeof(op_read)))
			return;
	}
	fail("a reader saw %llu %llu %llu", (unsigned long long)op_read.first,
	     (unsigned long long)op_read.word,
	     (unsigned long long)op_read.second);
}

/* ---- running ---- */

static void body(int index)
{
	struct thread *t = &thread[index];
	unsigned int i;

	for (i = 0; i < t->nr; i++) {
		if (!index)
			ended_before = thread[1].ended;
		t->begun++;
		t->failed[i] = op_do(pool, t->op[i], 100 + index + i);
		if (t->op[i]->kind == OP_READ && !t->failed[i])
			check_read(t->op[i]);
		t->ended++;
	}
	t->done = true;
	for (;;)
		switch_threads();
}

static void thread_init(unsigned int index)
{
	struct thread *t = &thread[index];

	if (!t->stack)
		t->stack = malloc(STACK);
	if (!t->stack || getcontext(&t->context))
		abort();
	t->context.uc_stack.ss_sp = t->stack;
	t->context.uc_stack.ss_size = STACK;
	t->begun = 0;
	t->ended = 0;
	t->waiting = false;
	t->done = false;
	memset(t->failed, 0, sizeof(t->failed));
	makecontext(&t->context, (void (*)(void))body, 1, index);
}

/* Who goes on: 0 or 1; -1 at the end. */
static int next(void)
{
	bool can[2];
	int i;

	for (i = 0; i < 2; i++)
		can[i] = !thread[i].done && !thread[i].waiting;
	if (!can[0] && !can[1]) {
		if (!thread[0].done || !thread[1].done)
			fail("both wait for each other");
		return -1;
	}
	if (!can[0] || !can[1])
		return can[1];
	if (at_choice == MAX_CHOICES)
		fail("too many places to switch at");
	if (at_choice == nr_choices)
		choice[nr_choices++] = 0;
	return choice[at_choice++];
}

static void run_schedule(void)
{
	int i;

	pool = start_again(&first);
	held = NULL;
	holder = NULL;
	readers = 0;
	sections = 0;
	memset(writers, 0, sizeof(writers));
	memset(frozen, 0, sizeof(frozen));
	memset(direct, 0, sizeof(direct));
	memset(bios, 0, sizeof(bios));
	thread_init(0);
	thread_init(1);
	at_choice = 0;
	persist_hook(at_fence);
	while ((i = next()) >= 0) {
		current = &thread[i];
		swapcontext(&scheduler, &current->context);
		current = NULL;
		/* it did something: what the other one waits for may be over */
		thread[!i].waiting = false;
	}
	at_fence();
	persist_hook(NULL);
	if (daxcow_verify(pool, NULL) == -EUCLEAN)
		fail("owners in memory are not those in the tables");
	daxcow_unload(pool);
	totals.sequences++;
}

static bool next_schedule(void)
{
	while (nr_choices && choice[nr_choices - 1])
		nr_choices--;
	if (!nr_choices)
		return false;
	choice[nr_choices - 1] = 1;
	return true;
}

static unsigned int index_of(const struct op *op)
{
	return op - op_list_threads;
}

static void explain_threads(void)
{
	unsigned int i;

	current = NULL;
	printf("crash threads %u %u", start, index_of(thread[0].op[0]));
	for (i = 0; i < thread[1].nr; i++)
		printf("%c%u", i ? ',' : ' ', index_of(thread[1].op[i]));
	printf(" %s", each_load ? "w" : "");
	for (i = 0; i < at_choice; i++)
		printf("%u", choice[i]);
	printf("\n  thread 0: %s\n", op_name(thread[0].op[0]));
	for (i = 0; i < thread[1].nr; i++)
		printf("  thread 1: %s\n", op_name(thread[1].op[i]));
}

static void run_all_schedules(void)
{
	nr_choices = 0;
	do {
		run_schedule();
	} while (next_schedule());
}

static void all_schedules(unsigned int a, unsigned int b, unsigned int c)
{
	thread[0].op[0] = &op_list_threads[a];
	thread[0].nr = 1;
	thread[1].op[0] = &op_list_threads[b];
	thread[1].op[1] = &op_list_threads[c];
	thread[1].nr = c < nr_op_list_threads ? 2 : 1;
	run_all_schedules();
}

/*
 * Beside one who holds on to an address two things can happen, of which the
 * second is to use or to give away what the first one set free.
 */
static bool worth_it(unsigned int a, unsigned int b, unsigned int c)
{
	const struct op *list = op_list_threads;
	bool merge;

	/* there is one place for what was read, and that is the first's */
	if (list[b].kind == OP_READ)
		return false;
	/* where there are equal blocks merges are looked at, and nowhere else */
	merge = op_merges(&list[a]) || op_merges(&list[b]);
	if (start == START_EQUAL ? !merge : merge)
		return false;
	if (c == nr_op_list_threads)
		return true;
	return (list[a].kind == OP_READ || list[a].kind == OP_STORE) &&
	       (list[c].kind == OP_STORE || list[c].kind == OP_RECLAIM);
}

/*
 * @nr: how many operations the second thread does, 1 or 2
 * @first_op: only with this one of the first thread; -1 for all
 */
void check_threads(unsigned int nr, int first_op)
{
	unsigned int first = nr > 1 ? 0 : nr_op_list_threads, a, b, c;

	explain = explain_threads;
	memset(&totals, 0, sizeof(totals));
	each_load = nr == 1;
	for (start = 1; start < NR_STARTS; start++) {
		if (start == START_FULL)
			continue;
		start_set(start);
		for (a = 0; a < nr_op_list_threads; a++)
			for (b = 0; b < nr_op_list_threads; b++)
				for (c = first; c <= nr_op_list_threads; c++)
					if ((first_op < 0 || a == (unsigned int)first_op) &&
					    worth_it(a, b, c))
						all_schedules(a, b, c);
	}
}

void replay_threads(char **argv)
{
	char *p;

	memset(&totals, 0, sizeof(totals));
	explain = explain_threads;
	each_load = !argv[3] || *argv[3] == 'w';
	start = strtoul(argv[0], NULL, 0) % NR_STARTS;
	start_set(start);
	thread[0].op[0] = &op_list_threads[strtoul(argv[1], NULL, 0) % nr_op_list_threads];
	thread[0].nr = 1;
	thread[1].nr = 0;
	for (p = strtok(argv[2], ","); p && thread[1].nr < MAX_OPS; p = strtok(NULL, ","))
		thread[1].op[thread[1].nr++] =
			&op_list_threads[strtoul(p, NULL, 0) % nr_op_list_threads];
	if (!argv[3]) {
		run_all_schedules();
		return;
	}
	for (p = argv[3] + each_load; *p && nr_choices < MAX_CHOICES; p++)
		choice[nr_choices++] = *p == '1';
	run_schedule();
}
