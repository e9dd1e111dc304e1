// SPDX-License-Identifier: GPL-2.0
/*
 * Makes and checks the pools of fake-pool.h.
 *
 * usage: dedupe-pool DIR make BLOCKS SEED CONTENTS CHUNKS DOMAINS
 *	BLOCKS of the pool; of CONTENTS different contents, one of 50 blocks zero; the
 *	first CHUNKS chunks are mapped as a whole
 *        dedupe-pool DIR check	nothing that was written has changed
 *        dedupe-pool DIR show	used, different: blocks; read; pairs; rested
 *        dedupe-pool DIR set MEMBER N
 *        dedupe-pool DIR mark FLAG N	N random blocks are hot, pinned, bad, eio
 *        dedupe-pool DIR write N SEED	N random blocks of what is there already
 *        dedupe-pool DIR copy FROM TO	copy the content of a chunk to another one
 *        dedupe-pool DIR table NAME	a device-mapper table for fake-dm.c
 */
#include "dm.h"
#include "fake-pool.h"

#define SHARE_EACH 16

static struct fake f;
static u64 contents;

static int die(const char *what)
{
	fprintf(stderr, "dedupe-pool: %s\n", what);
	exit(2);
}

/* Number 0 is zero. With very many contents there is nothing that is there twice. */
static void content(char *data, u64 number)
{
	u64 *w = (u64 *)data, x = number * 0x9e3779b97f4a7c15ULL;
	int i;

	for (i = 0; i < 512; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		w[i] = x;
	}
}

static u64 some_content(void)
{
	return contents > f.p->blocks * 100 || fake_random(f.p, 50) ?
		1 + fake_random(f.p, contents) : 0;
}

static int pool_make(const char *dir, char **arg)
{
	u64 blocks = strtoull(arg[0], NULL, 0), chunks, domains, b, i, owner = 0;
	char data[DAXCOW_BLOCK_SIZE];

	if (!fake_open(&f, dir, blocks, blocks * 2))
		return die("cannot make the files");
	f.p->random = strtoull(arg[1], NULL, 0) * 2 + 1;
	contents = strtoull(arg[2], NULL, 0);
	chunks = strtoull(arg[3], NULL, 0);
	domains = strtoull(arg[4], NULL, 0);
	for (i = 0; i < 10; i++)
		f.p->instance = fake_random(f.p, 0) ^ f.p->random;
	f.p->generation = 1;
	for (b = FAKE_CHUNK; b < blocks; b++) {
		struct fake_block *at = &f.p->block[b];

		/* a tenth is free */
		at->chunk = b < (chunks + 1) * FAKE_CHUNK;
		if (!at->chunk && !fake_random(f.p, 10))
			continue;
		content(data, some_content());
		memcpy(fake_data(&f, b), data, sizeof(data));
		at->domain = b / FAKE_CHUNK % domains;
		for (i = 0; i < (at->chunk || b % SHARE_EACH ? 1 : 3); i++) {
			f.owner[owner].hash = fake_hash(data);
			fake_own(&f, owner++, b);
		}
	}
	return 0;
}

static int pool_copy(char **arg)
{
	u64 from = strtoull(arg[0], NULL, 0) * FAKE_CHUNK, i;
	u64 to = strtoull(arg[1], NULL, 0) * FAKE_CHUNK;

	for (i = 0; i < FAKE_CHUNK; i++) {
		struct fake_block *b = &f.p->block[to + i];

		memcpy(fake_data(&f, to + i), fake_data(&f, from + i),
		       DAXCOW_BLOCK_SIZE);
		f.owner[b->first].hash = fake_hash(fake_data(&f, to + i));
	}
	return 0;
}

static int pool_check(void)
{
	u64 i, owners = 0, sum = 0;

	for (i = 0; i < f.p->volume; i++) {
		const struct fake_owner *o = &f.owner[i];
		static const char zero[DAXCOW_BLOCK_SIZE];

		if (fake_hash(o->block ? fake_data(&f, o->block) : zero) !=
		    o->hash) {
			printf("block %llu of the volume has changed\n",
			       (unsigned long long)i);
			return 1;
		}
		owners += !!o->block;
	}
	for (i = 0; i < f.p->blocks; i++) {
		sum += f.p->block[i].owners;
		if (f.p->block[i].owners > 256)
			die("more than 256 owners");
	}
	return owners == sum ? 0 : die("owners are lost");
}

/**
 * struct key - what makes two blocks equal
 */
struct key {
	u64 hash;
	u32 domain, owners;
};

static int by_key(const void *a, const void *b)
{
	const struct key *k = a, *l = b;

	if (k->hash != l->hash)
		return k->hash < l->hash ? -1 : 1;
	return k->domain < l->domain ? -1 : k->domain > l->domain;
}

/* What has to stay when one is kept of each. Zeroes have the hash 0. */
static u64 different(struct key *key, u64 nr)
{
	u64 i, n = 0, owners = 0;

	qsort(key, nr, sizeof(*key), by_key);
	for (i = 0; i < nr; i++) {
		if (!key[i].hash)
			continue;
		if (i && !by_key(&key[i], &key[i - 1])) {
			owners += key[i].owners;
			continue;
		}
		n += owners ? (owners + 255) / 256 : 0;
		owners = key[i].owners;
	}
	return n + (owners ? (owners + 255) / 256 : 0);
}

static int pool_show(void)
{
	struct key *key = calloc(f.p->blocks, sizeof(*key));
	u64 i, nr = 0, huge = 0;

	for (i = 0; i < f.p->blocks; i++) {
		const struct fake_block *b = &f.p->block[i];

		huge += b->chunk;
		if (b->owners)
			key[nr++] = (struct key) {
				fake_hash(fake_data(&f, i)), b->domain,
				b->owners,
			};
	}
	printf("used=%llu least=%llu huge=%llu reads=%llu pairs=%llu calls=%llu rested=%u\n",
	       (unsigned long long)nr, (unsigned long long)different(key, nr),
	       (unsigned long long)huge, (unsigned long long)f.p->reads,
	       (unsigned long long)f.p->pairs,
	       (unsigned long long)f.p->calls, f.p->rested);
	free(key);
	return 0;
}

static int pool_set(char **arg)
{
	u64 n = strtoull(arg[1], NULL, 0);

	if (!strcmp(arg[0], "change"))
		f.p->change = n;
	else if (!strcmp(arg[0], "fail"))
		f.p->fail = n;
	else if (!strcmp(arg[0], "instance"))
		f.p->instance = n;
	else if (!strcmp(arg[0], "delay"))
		f.p->delay = n;
	else if (!strcmp(arg[0], "reads"))
		f.p->reads = n;
	else
		return die("no such member");
	return 0;
}

/* 0 for all of them: they are not any more. */
static int pool_mark(char **arg)
{
	u64 n = strtoull(arg[1], NULL, 0), i;

	for (i = 0; i < (n ? n : f.p->blocks); i++) {
		u64 at = n ? fake_random(f.p, f.p->blocks) : i;
		struct fake_block *b = &f.p->block[at];

		if (n && (!b->owners || b->chunk))
			continue;
		if (!strcmp(arg[0], "hot"))
			b->hot = !!n;
		else if (!strcmp(arg[0], "pinned"))
			b->pinned = !!n;
		else if (b->bad && !n)
			fake_touch(&f, at);
		if (!strcmp(arg[0], "bad") || !strcmp(arg[0], "eio"))
			b->bad = n ? 1 + !strcmp(arg[0], "eio") : 0;
	}
	return 0;
}

static int pool_write(char **arg)
{
	u64 n = strtoull(arg[0], NULL, 0), from, to;
	char data[DAXCOW_BLOCK_SIZE];

	f.p->random = strtoull(arg[1], NULL, 0) * 2 + 1;
	while (n--) {
		u32 domain = 0;

		from = fake_random(f.p, f.p->volume);
		to = fake_random(f.p, f.p->volume);
		if (f.owner[from].block)
			domain = f.p->block[f.owner[from].block].domain;
		else
			continue;
		memcpy(data, fake_data(&f, f.owner[from].block), sizeof(data));
		if (fake_random(f.p, 4) == 0)
			content(data, f.p->random);
		fake_write(&f, to, data, domain);
	}
	return 0;
}

static int pool_table(char **arg)
{
	struct dm_dev dev = { .target = DM_POOL_TARGET, .major = 254, .live = true };
	char path[4096];
	FILE *out;

	snprintf(dev.name, sizeof(dev.name), "%s", arg[0]);
	dev.length = f.p->blocks << 3;
	snprintf(path, sizeof(path), "%s/%s", getenv("FAKE_DM"), arg[0]);
	out = fopen(path, "w");
	if (!out || fwrite(&dev, sizeof(dev), 1, out) != 1)
		return die("cannot write the table");
	return fclose(out);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return die("usage");
	if (!strcmp(argv[2], "make") && argc == 8)
		return pool_make(argv[1], argv + 3);
	if (!fake_open(&f, argv[1], 0, 0))
		return die("no pool there");
	fake_lock(&f);
	if (!strcmp(argv[2], "check"))
		return pool_check();
	if (!strcmp(argv[2], "show"))
		return pool_show();
	if (!strcmp(argv[2], "table") && argc == 4)
		return pool_table(argv + 3);
	if (argc != 5)
		return die("usage");
	if (!strcmp(argv[2], "set"))
		return pool_set(argv + 3);
	if (!strcmp(argv[2], "mark"))
		return pool_mark(argv + 3);
	if (!strcmp(argv[2], "write"))
		return pool_write(argv + 3);
	return strcmp(argv[2], "copy") ? die("usage") : pool_copy(argv + 3);
}
