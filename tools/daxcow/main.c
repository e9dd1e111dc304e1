// SPDX-License-Identifier: GPL-2.0
/*
 * The command line of daxcow.
 */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daxcow.h"
#include <daxcow/format.h>
#include "dm.h"

/**
 * struct command - one subcommand
 * @min:	fewest operands
 * @max:	most operands; MANY for no limit
 * @takes:	keys of the options that it takes, beside those for all
 */
struct command {
	const char *name;
	int (*run)(const struct args *a);
	int min, max;
	const char *takes;
	const char *operands;
	const char *help;
};

#define MANY 0x7fffffff

static const struct command commands[] = {
	{ "format", cmd_format, 1, 1, "fLob", "DEVICE|FILE",
	  "make an empty pool" },
	{ "check", cmd_check, 1, 1, "fb", "DEVICE|FILE",
	  "validate a pool that is not in use; changes nothing" },
	{ "delta", cmd_delta, 3, 3, "b", "DEVICE|FILE LEFT RIGHT",
	  "show where two volumes of a pool that is not in use differ" },
	{ "doctor", cmd_doctor, 0, 0, "", "",
	  "say why there is no DAX here, and what to do" },
	{ "repair", cmd_repair, 2, 2, "fb", "DEVICE|FILE TARGET",
	  "write what can be saved of a damaged pool to another place" },
	{ "pack", cmd_pack, 2, 2, "fb", "DEVICE|FILE PACK",
	  "write the tables of a pool, without the data, to a small file" },
	{ "unpack", cmd_unpack, 2, 2, "fb", "PACK FILE",
	  "make a pool of a pack; its data read as zero" },
	{ "dump", cmd_dump, 1, 1, "f", "DEVICE|FILE",
	  "write the tables of a pool as text" },
	{ "restore", cmd_restore, 2, 2, "fbd", "DUMP TARGET",
	  "make a pool of such a text" },
	{ "probe", cmd_probe, 1, 1, "", "DEVICE|FILE",
	  "say which pool is on a device, as udev reads it" },
	{ "start", cmd_start, 1, 2, "ArweDc", "DEVICE [POOL]",
	  "make the pool on DEVICE usable as POOL (default: its label)" },
	{ "grow", cmd_grow, 1, 1, "b", "POOL",
	  "let a started pool have all of its device, which was made larger" },
	{ "stop", cmd_stop, 1, 1, "", "POOL",
	  "deactivate all volumes of a pool, then the pool" },
	{ "status", cmd_status, 0, 1, "b", "[POOL]",
	  "show all pools, or one in detail" },
	{ "list", cmd_list, 1, 1, "bq", "POOL",
	  "show the volumes of a pool" },
	{ "owners", cmd_owners, 1, 1, "BOPbF",
	  "POOL --block N | --offset OFFSET | --pfn N",
	  "show all volumes that a block of the pool belongs to" },
	{ "dedupe", cmd_dedupe, 1, 1, "SmRCMTXIEWNb", "POOL",
	  "find equal blocks in a pool, and keep one of each" },
	{ "map", cmd_map, 2, 4, "b", "POOL NAME [OFFSET [LENGTH]]",
	  "show where the blocks of a volume lie in the pool" },
	{ "create", cmd_create, 2, 2, "six", "POOL NAME --size SIZE",
	  "make an empty volume; takes no space until it is written" },
	{ "snapshot", cmd_snapshot, 2, MANY, "",
	  "POOL ORIGIN NAME | POOL ORIGIN=NAME...",
	  "make writable snapshots, several of them in one instant" },
	{ "clone", cmd_clone, 3, 3, "nr", "POOL ORIGIN NAME",
	  "make a snapshot and activate it" },
	{ "rollback", cmd_rollback, 3, 3, "", "POOL NAME SNAPSHOT",
	  "give NAME the content that SNAPSHOT has; SNAPSHOT stays" },
	{ "remove", cmd_remove, 2, MANY, "", "POOL NAME...",
	  "delete volumes" },
	{ "resize", cmd_resize, 3, 3, "f", "POOL NAME [+]SIZE",
	  "change the size of a volume, or add to it; shrinking needs --force" },
	{ "activate", cmd_activate, 1, MANY, "anr", "POOL NAME...|--all",
	  "make block devices /dev/mapper/POOL-NAME" },
	{ "deactivate", cmd_deactivate, 1, MANY, "a", "POOL NAME...|--all",
	  "remove these block devices; the volumes stay" },
};

/**
 * struct option_help - one option
 * @flag:	the member of struct args that it sets when it takes no value
 */
struct option_help {
	struct option opt;
	size_t flag;
	const char *value;
	const char *help;
};

#define FLAG(name, key, member, help) \
	{ { name, no_argument, NULL, key }, offsetof(struct args, member), \
	  "", help }
#define VALUE(name, key, value, help) \
	{ { name, required_argument, NULL, key }, 0, " " value, help }

static const struct option_help options[] = {
	FLAG("activate", 'A', activate, "activate all volumes as well"),
	FLAG("all", 'a', all, "all volumes of the pool"),
	VALUE("block", 'B', "N", "the block of the pool with that number"),
	FLAG("bytes", 'b', bytes, "exact sizes in bytes"),
	VALUE("chunk-offset", 'o', "N",
	      "first block that lies on a 2 MiB boundary of physical memory"),
	VALUE("cow", 'c', "auto|4k|2m",
	      "how much to copy when a shared 2 MiB page is written"),
	VALUE("cpu", 'C', "PERCENT", "use no more of one processor"),
	VALUE("data", 'd', "DEVICE|FILE", "the pool that data are copied from"),
	VALUE("domain", 'x', "N",
	      "share domain: dedupe stays inside of it (default: 0)"),
	FLAG("error-if-no-space", 'e', error_if_no_space,
	     "fail writes to a full pool at once"),
	FLAG("estimate", 'E', estimate, "only tell how much could be freed"),
	FLAG("files", 'F', files, "find the files that own it (XFS with rmapbt)"),
	FLAG("follow", 'W', follow, "go on with what changes, until stopped"),
	FLAG("force", 'f', force, "do it in spite of what speaks against it"),
	VALUE("id", 'i', "N", "id of the new volume (default: a free one)"),
	FLAG("ignore-discard", 'D', ignore_discard,
	     "keep blocks that are discarded"),
	VALUE("interval", 'I', "SECONDS", "between two runs (default: 300)"),
	VALUE("label", 'L', "LABEL", "name of the pool"),
	VALUE("low-water", 'w', "SIZE",
	      "send an event when less is free (default: a twentieth)"),
	VALUE("mem", 'm', "SIZE",
	      "use no more memory (default: a sixteenth of all)"),
	VALUE("merges", 'M', "N", "merge no more pairs per second"),
	FLAG("no-dax", 'n', no_dax, "plain block device, without DAX"),
	FLAG("no-nice", 'N', no_nice, "run like any other program"),
	VALUE("offset", 'O', "OFFSET", "the block at that place of the pool's device"),
	VALUE("pfn", 'P', "N", "the block with that page frame number"),
	FLAG("quick", 'q', quick, "leave out what takes time to count"),
	VALUE("rate", 'R', "SIZE", "read no more per second"),
	FLAG("readonly", 'r', readonly, "allow no writes"),
	VALUE("rest", 'T', "N",
	      "take write access from up to N blocks per second"),
	VALUE("size", 's', "SIZE", "size of the volume"),
	VALUE("split", 'X', "N",
	      "split a 2 MiB page to free N blocks (default: 64; 0: never)"),
	VALUE("state", 'S', "DIR", "what the next run needs to know"),
	FLAG("json", 'j', json, "print JSON; sizes are bytes"),
	FLAG("verbose", 'v', verbose, "show what libdevmapper has to say"),
	FLAG("help", 'h', help, "show this help"),
	FLAG("version", 'V', version, "show the version"),
};

/* Taken by every command. */
#define FOR_ALL		"jvhV"
/* With a SIZE for a value. */
#define SIZES		"Rmsw"
/* Those with a short form. */
#define SHORT		"fhjL:s:vV"

static void help_options(const char *takes)
{
	char text[40];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		if (!strchr(takes, options[i].opt.val))
			continue;
		snprintf(text, sizeof(text), "--%s%s", options[i].opt.name,
			 options[i].value);
		if (strchr(SHORT, options[i].opt.val))
			printf("  -%c, %-20s %s\n", options[i].opt.val, text,
			       options[i].help);
		else
			printf("      %-20s %s\n", text, options[i].help);
	}
}

static int help_command(const struct command *cmd)
{
	printf("Usage: daxcow %s [OPTION]...%s%s\n\n%c%s.\n\n", cmd->name,
	       cmd->operands[0] ? " " : "", cmd->operands, cmd->help[0] - 'a' + 'A',
	       cmd->help + 1);
	help_options(cmd->takes);
	help_options(FOR_ALL);
	return EXIT_DONE;
}

static int help_all(void)
{
	size_t i;

	puts("Usage: daxcow COMMAND [OPTION]... [OPERAND]...\n\n"
	     "Thin volumes on persistent memory that share pages under DAX.\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %s%s%s\n      %s\n", commands[i].name,
		       commands[i].operands[0] ? " " : "", commands[i].operands,
		       commands[i].help);
	puts("\nPOOL is the device-mapper name of a started pool or the path of its device,\n"
	     "NAME a volume's name or id:N. SIZE is in bytes, or has the unit K, M, G, T\n"
	     "or P. Options of all commands:\n");
	help_options(FOR_ALL);
	puts("\n\"daxcow COMMAND --help\" shows those of one command; see also daxcow(8).\n\n"
	     "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 not a pool or\n"
	     "damaged, 5 in use, 6 exists already, 7 not in this kernel, 8 pool is full,\n"
	     "9 covered less than asked for, 10 and 11 doctor has a warning or a problem, 130\n"
	     "and 143 ended by a signal.");
	return EXIT_DONE;
}

static int version(void)
{
	printf("daxcow %s (media format %d)\n", DAXCOW_TOOL_VERSION,
	       DAXCOW_VERSION);
	return EXIT_DONE;
}

static int set_value(struct args *a, int key, const char *name,
		     const char *value)
{
	int bad = 0;

	switch (key) {
	case 'B':
		bad = number_parse(value, UINT64_MAX, &a->block);
		break;
	case 'O':
		bad = offset_parse(value, UINT64_MAX, &a->block);
		a->block >>= DAXCOW_BLOCK_SHIFT;
		break;
	case 'P':
		bad = number_parse(value, UINT64_MAX, &a->pfn);
		break;
	case 'C':
		bad = number_parse(value, 100000, &a->cpu) || !a->cpu;
		break;
	case 'I':
		bad = number_parse(value, UINT32_MAX, &a->interval);
		break;
	case 'L':
		a->label = value;
		break;
	case 'M':
		bad = number_parse(value, UINT32_MAX, &a->merges) || !a->merges;
		break;
	case 'R':
		bad = size_parse(value, &a->rate) || !a->rate;
		break;
	case 'S':
		a->state = value;
		break;
	case 'T':
		bad = number_parse(value, UINT32_MAX, &a->rest);
		break;
	case 'c':
		a->cow = value;
		bad = strcmp(value, "auto") && strcmp(value, "4k") &&
		      strcmp(value, "2m");
		break;
	case 'd':
		a->data = value;
		break;
	case 'x':
		bad = number_parse(value, UINT32_MAX, &a->domain);
		break;
	case 'i':
		bad = number_parse(value, DAXCOW_MAX_ID, &a->id);
		break;
	case 'm':
		bad = size_parse(value, &a->mem) || !a->mem;
		break;
	case 'o':
		bad = number_parse(value, DAXCOW_CHUNK_BLOCKS - 1, &a->offset);
		break;
	case 's':
		bad = size_parse(value, &a->size);
		break;
	case 'w':
		bad = size_parse(value, &a->low_water);
		break;
	case 'X':
		bad = number_parse(value, DAXCOW_CHUNK_BLOCKS, &a->split);
		break;
	}
	if (bad)
		return fail(EXIT_USAGE, "--%s: \"%s\" is not a valid value%s", name,
			    value, strchr(SIZES, key) ? ": " SIZE_HELP : "");
	return EXIT_DONE;
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int parse_options(struct args *a, int argc, char **argv, bool *seen)
{
	struct option table[ARRAY_SIZE(options) + 1] = { };
	int key, rc;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++)
		table[i] = options[i].opt;
	while ((key = getopt_long(argc, argv, SHORT, table, NULL)) != -1) {
		if (key == '?')
			return EXIT_USAGE;
		for (i = 0; options[i].opt.val != key; i++)
			;
		seen[i] = true;
		if (!optarg) {
			*((bool *)((char *)a + options[i].flag)) = true;
			continue;
		}
		rc = set_value(a, key, options[i].opt.name, optarg);
		if (rc)
			return rc;
	}
	return EXIT_DONE;
}

/* The command may stand anywhere between the options: getopt sorts. */
static int parse_command(struct args *a, const bool *seen,
			 const struct command **cmdp)
{
	const struct command *cmd;
	size_t i;

	if (!a->words)
		return fail(EXIT_USAGE, "no command given; try daxcow --help");
	cmd = find_command(a->word[0]);
	if (!cmd)
		return fail(EXIT_USAGE, "unknown command \"%s\"; try daxcow --help",
			    a->word[0]);
	*cmdp = cmd;
	a->word++;
	a->words--;
	if (a->help)
		return EXIT_DONE;
	for (i = 0; i < ARRAY_SIZE(options); i++)
		if (seen[i] && !strchr(FOR_ALL, options[i].opt.val) &&
		    !strchr(cmd->takes, options[i].opt.val))
			return fail(EXIT_USAGE, "%s does not take --%s",
				    cmd->name, options[i].opt.name);
	if (a->words < cmd->min || a->words > cmd->max)
		return fail(EXIT_USAGE, "usage: daxcow %s %s", cmd->name,
			    cmd->operands);
	return EXIT_DONE;
}

static int run(int argc, char **argv)
{
	struct args a = {
		.low_water = NOT_GIVEN, .id = NOT_GIVEN, .offset = NOT_GIVEN,
		.block = NOT_GIVEN, .pfn = NOT_GIVEN, .cpu = NOT_GIVEN,
		.merges = NOT_GIVEN, .rest = NOT_GIVEN, .split = NOT_GIVEN,
		.interval = NOT_GIVEN,
	};
	const struct command *cmd = NULL;
	bool seen[ARRAY_SIZE(options)] = { };
	int rc;

	rc = parse_options(&a, argc, argv, seen);
	if (rc)
		return rc;
	if (a.version)
		return version();
	a.words = argc - optind;
	a.word = argv + optind;
	if (a.words && !strcmp(a.word[0], "help")) {
		a.help = true;
		a.word++;
		a.words--;
	}
	if (a.help && !a.words)
		return help_all();
	rc = parse_command(&a, seen, &cmd);
	if (rc)
		return rc;
	if (a.help)
		return help_command(cmd);
	dm_init(a.verbose);
	rc = cmd->run(&a);
	progress_end();
	return rc;
}

int main(int argc, char **argv)
{
	int rc;

	/* what a table may show as it is */
	setlocale(LC_CTYPE, "");
	rc = run(argc, argv);
	if (fflush(stdout) || ferror(stdout))
		rc = fail(EXIT_FAILED, "could not write the output: %s",
			  strerror(errno));
	return rc;
}
