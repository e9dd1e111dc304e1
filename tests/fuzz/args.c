// SPDX-License-Identifier: GPL-2.0
/*
 * Text for the module: a table line of a pool or a volume, or messages, a line
 * each, to a small pool. A message that is refused has changed nothing, whatever is
 * done leaves a consistent pool, and an answer is text that fits.
 */
#include "target.h"
#include "options.h"

#define BLOCKS		(DAXCOW_CHUNK_BLOCKS * 16)
#define MAX_ARGS	64
#define MAX_LINES	24

static char *good, *mem;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "FAILED: %s\n", what);
	abort();
}

/* ---- the rest of the module ---- */

int pool_snapshot(struct pool *pool, struct daxcow_volume_desc *d,
		  unsigned int nr)
{
	return daxcow_snapshot(pool->core, d, nr);
}

int pool_delete(struct pool *pool, u32 id)
{
	return daxcow_delete(pool->core, id);
}

int pool_rollback(struct pool *pool, u32 id, u32 from)
{
	return daxcow_rollback(pool->core, id, from);
}

int pool_pages(struct pool *pool, char *result, unsigned int maxlen)
{
	unsigned int sz = 0;

	DMEMIT("pages\n");
	return 1;
}

u64 pool_count_bad(struct pool *pool, u32 volume)
{
	return 0;
}

bool pool_drain(struct pool *pool)
{
	while (daxcow_reclaim_prepare(pool->core))
		while (daxcow_reclaim_run(pool->core))
			;
	return true;
}

bool series_there(void)
{
	return false;
}

const char *pool_mode_name(const struct pool *pool)
{
	return "rw";
}

/* ---- what has to hold ---- */

/* As device mapper does: words between spaces, backslash takes any. */
static unsigned int split(char *line, char **argv)
{
	unsigned int argc = 0;
	char *in = line, *out;

	while (argc < MAX_ARGS) {
		while (isspace((unsigned char)*in))
			in++;
		if (!*in)
			break;
		out = in;
		argv[argc++] = out;
		while (*in && !isspace((unsigned char)*in)) {
			if (*in == '\\' && in[1])
				in++;
			*out++ = *in++;
		}
		if (*in)
			in++;
		*out = '\0';
	}
	return argc;
}

static void pool_line(unsigned int argc, char **argv)
{
	struct pool_args a = { .device = NULL };
	char *error = NULL;
	int ret = pool_args_parse(&a, argc, argv, &error);

	must(ret ? ret == -EINVAL && error : !error && a.device == argv[0],
	     "a pool's line is either refused or not");
	must(ret || argc == 2 || argc == 3u + atoi(argv[2]),
	     "all arguments were looked at");
}

static void volume_line(unsigned int argc, char **argv)
{
	struct volume_args a = { .pool = NULL };
	char *error = NULL;
	int ret = volume_args_parse(&a, argc, argv, &error);

	must(ret ? ret == -EINVAL && error : !error && a.pool == argv[0],
	     "a volume's line is either refused or not");
	must(ret || a.id <= DAXCOW_MAX_ID, "an id that there can be");
	must(ret || !a.no_dax || argc == 4, "no_dax only where it is said");
}

static void message(struct pool *pool, unsigned int argc, char **argv,
		    unsigned int maxlen)
{
	struct daxcow_pool_info before, after;
	char *result = malloc(maxlen);
	int ret;

	must(result, "memory");
	memset(result, 0xff, maxlen);
	daxcow_pool_info(pool->core, &before);
	ret = pool_message(pool, argc, argv, result, maxlen);
	daxcow_pool_info(pool->core, &after);
	must(ret <= 1, "a result that device mapper knows");
	if (ret == 1)
		must(memchr(result, 0, maxlen), "an answer that ends");
	if (ret < 0)
		must(before.nr_volumes == after.nr_volumes &&
		     before.trans == after.trans, "nothing changed");
	free(result);
}

static void messages(char *text, unsigned int maxlen)
{
	struct daxcow_report report;
	char *argv[MAX_ARGS], *line;
	struct pool pool = { 0 };
	unsigned int argc, nr;

	memcpy(mem, good, BLOCKS * DAXCOW_BLOCK_SIZE);
	must(!daxcow_load(&pool.core, mem, BLOCKS, 0, NULL, &report), "load");
	for (nr = 0; nr < MAX_LINES && (line = strsep(&text, "\n")); nr++) {
		argc = split(line, argv);
		if (argc)
			message(&pool, argc, argv, maxlen);
	}
	pool_drain(&pool);
	must(!daxcow_verify(pool.core, &report), "a consistent pool");
	daxcow_unload(pool.core);
}

static void make_good(void)
{
	struct daxcow_params p = { .uuid = (const u8 *)"argsargsargsargs" };
	struct daxcow_volume_desc d = { .name = "base", .size = 400 };
	struct daxcow_volume *vol;
	struct daxcow_pool *pool;
	u64 block;

	good = aligned_alloc(4096, BLOCKS * DAXCOW_BLOCK_SIZE);
	mem = aligned_alloc(4096, BLOCKS * DAXCOW_BLOCK_SIZE);
	must(good && mem, "memory");
	must(!daxcow_format(good, BLOCKS, &p), "format");
	must(!daxcow_load(&pool, good, BLOCKS, 0, NULL, NULL), "load");
	must(!daxcow_create(pool, &d), "create");
	must(!daxcow_open(pool, 0, &vol), "open");
	must(daxcow_provision(vol, 3, 1, &block) == 1, "provision");
	daxcow_close(vol);
	daxcow_unload(pool);
}

/* The first byte says what the text is, the second how much an answer may be. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	char *argv[MAX_ARGS], *text;

	if (!good)
		make_good();
	if (size < 2)
		return 0;
	text = strndup((const char *)data + 2, size - 2);
	must(text, "memory");
	if (data[0] % 8 == 0)
		pool_line(split(text, argv), argv);
	else if (data[0] % 8 == 1)
		volume_line(split(text, argv), argv);
	else
		messages(text, 1 + data[1] * 16);
	free(text);
	return 0;
}
