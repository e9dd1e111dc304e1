// SPDX-License-Identifier: GPL-2.0
/*
 * damaged-pools DEVICE WORDS: damage the pool on DEVICE as tests/fuzz/words says,
 * and load it with device mapper. The kernel has to come to the verdict that the
 * engine came to outside of it, and name the same place. What it accepts it has to
 * find consistent, and what it accepted or refused is the next one's good pool.
 *
 * Exit status: 0 as it should be, 1 not, 2 could not be tried.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "dm.h"

#define MAX_WORDS 512

struct word {
	unsigned long long number, good, bad;
};

static const char *device;
static int dev, kmsg;
static struct word word[MAX_WORDS];
static unsigned int nr_words, inputs, accepted, failures;
/* of the input that is being read */
static char name[64], bad[32];
static unsigned long long block;
static unsigned int index_in_block;

static void put(bool damaged)
{
	unsigned int i;

	for (i = 0; i < nr_words; i++)
		if (pwrite(dev, damaged ? &word[i].bad : &word[i].good, 8,
			   word[i].number * 8) != 8)
			err(2, "%s", device);
	if (fsync(dev))
		err(2, "%s", device);
}

/* Is there a line with @want in the kernel log since the last call? */
static bool logged(const char *want)
{
	bool found = false;
	char line[8192];
	ssize_t n;

	while ((n = read(kmsg, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		if (n <= 0)
			continue;
		line[n] = '\0';
		found |= !!strstr(line, want);
	}
	return found;
}

/* Make the pool's device with its table: an errno when the pool is refused. */
static int pool_start(void)
{
	char args[128];
	int ret;

	if (dm_create("tank"))
		errx(2, "cannot make a device");
	snprintf(args, sizeof(args), "%s 0", device);
	ret = dm_load("tank", lseek(dev, 0, SEEK_END) / 512, "daxcow-pool", args);
	return ret ? ret : dm_resume("tank");
}

static bool pool_verify(void)
{
	return !dm_message("tank", "verify") && !strcmp(dm_answer(), "ok\n");
}

static void pool_stop(void)
{
	if (dm_remove("tank"))
		errx(2, "cannot remove it");
}

static void wrong(const char *what)
{
	printf("%s: %s\n", name, what);
	failures++;
}

static void try(void)
{
	char want[96];
	int ret;

	if (!inputs++)
		logged("");
	put(true);
	ret = pool_start();
	if (!strcmp(bad, "ok")) {
		if (ret)
			wrong("was refused");
		else if (!pool_verify())
			wrong("is not consistent");
		accepted++;
	} else if (!ret) {
		wrong("was accepted");
	} else if (strcmp(bad, "MAGIC")) {
		snprintf(want, sizeof(want), ": block %llu, word %u, ", block,
			 index_in_block);
		if (!logged(want))
			wrong("another place was named");
	}
	pool_stop();
	put(false);
	nr_words = 0;
}

int main(int argc, char **argv)
{
	char line[256], verdict[16];
	FILE *in;

	if (argc != 3)
		errx(2, "usage: damaged-pools DEVICE WORDS");
	device = argv[1];
	dev = open(device, O_RDWR);
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	in = fopen(argv[2], "r");
	if (dev < 0 || kmsg < 0 || !in)
		err(2, "cannot open what is needed");
	while (fgets(line, sizeof(line), in)) {
		if (!strncmp(line, "input ", 6)) {
			if (name[0])
				try();
			snprintf(bad, sizeof(bad), "ok");
			if (sscanf(line, "input %63s %15s %31s %llu %u", name,
				   verdict, bad, &block, &index_in_block) < 2)
				errx(2, "cannot read: %s", line);
		} else if (nr_words == MAX_WORDS ||
			   sscanf(line, "%llu %llx %llx", &word[nr_words].number,
				  &word[nr_words].good, &word[nr_words].bad) != 3) {
			errx(2, "cannot read: %s", line);
		} else {
			nr_words++;
		}
	}
	if (name[0])
		try();
	printf("%u damaged pools, %u accepted and consistent, %u wrong\n", inputs,
	       accepted, failures);
	return failures || !inputs || !accepted;
}
