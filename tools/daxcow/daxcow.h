/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The command daxcow: what all of its parts share.
 */
#ifndef DAXCOW_TOOL_H
#define DAXCOW_TOOL_H

#include "platform.h"

struct json_object;

#define __printf(fmt, arg)	__attribute__((__format__(printf, fmt, arg)))

/* Exit codes; daxcow(8) and --help list them, scripts rely on them. */
enum exit_code {
	EXIT_DONE	= 0,
	EXIT_FAILED	= 1,	/* none of the others */
	EXIT_USAGE	= 2,	/* wrong command line */
	EXIT_NOT_FOUND	= 3,	/* no such device, pool or volume */
	EXIT_DAMAGED	= 4,	/* not a pool, or a damaged one */
	EXIT_BUSY	= 5,	/* in use */
	EXIT_EXISTS	= 6,	/* name, id or other content is there already */
	EXIT_NO_KERNEL	= 7,	/* device-mapper or the module is missing */
	EXIT_NO_SPACE	= 8,	/* the pool is full */
	EXIT_PARTIAL	= 9,	/* done, but for less than was asked for */
	EXIT_WARNING	= 10,	/* doctor: there is DAX, but see what it says */
	EXIT_PROBLEM	= 11,	/* doctor: there is no DAX because of what it says */
};

/**
 * struct args - a parsed command line
 *
 * An option means the same in every command, so there is one set. Each
 * command of the table in main.c lists those that it takes.
 * @size:	of --size, in bytes, or 0
 * @low_water:	of --low-water, in bytes, or NOT_GIVEN
 * @id:		of --id, or NOT_GIVEN
 * @domain:	of --domain
 * @offset:	of --chunk-offset, in blocks, or NOT_GIVEN
 * @block:	of --block, or of --offset, or NOT_GIVEN
 * @pfn:	of --pfn, or NOT_GIVEN
 * @cpu:	of --cpu, in percent, or NOT_GIVEN
 * @merges:	of --merges, per second, or NOT_GIVEN
 * @rest:	of --rest, per second, or NOT_GIVEN
 * @split:	of --split, in blocks, or NOT_GIVEN
 * @interval:	of --interval, in seconds, or NOT_GIVEN
 * @mem:	of --mem, in bytes, or 0
 * @rate:	of --rate, in bytes per second, or 0
 * @state:	of --state
 * @word:	operands: what is left without the options
 */
struct args {
	bool activate, all, bytes, error_if_no_space, files, force, help;
	bool ignore_discard, json, no_dax, quick, readonly, verbose, version;
	bool estimate, follow, no_nice;
	const char *cow, *data, *label, *state;
	u64 size, low_water, id, domain, offset, block, pfn;
	u64 cpu, merges, rest, split, interval, mem, rate;
	int words;
	char **word;
};

#define NOT_GIVEN	UINT64_MAX

/* Commands, by file. Each returns an exit code. */
int cmd_format(const struct args *a);
int cmd_check(const struct args *a);
int cmd_dedupe(const struct args *a);
int cmd_delta(const struct args *a);
int cmd_doctor(const struct args *a);
int cmd_dump(const struct args *a);
int cmd_probe(const struct args *a);
int cmd_pack(const struct args *a);
int cmd_repair(const struct args *a);
int cmd_restore(const struct args *a);
int cmd_unpack(const struct args *a);
int cmd_start(const struct args *a);
int cmd_grow(const struct args *a);
int cmd_stop(const struct args *a);
int cmd_status(const struct args *a);
int cmd_list(const struct args *a);
int cmd_owners(const struct args *a);
int cmd_map(const struct args *a);
int cmd_create(const struct args *a);
int cmd_snapshot(const struct args *a);
int cmd_clone(const struct args *a);
int cmd_rollback(const struct args *a);
int cmd_remove(const struct args *a);
int cmd_resize(const struct args *a);
int cmd_activate(const struct args *a);
int cmd_deactivate(const struct args *a);

/* error.c */

/* Say on stderr what is wrong; returns @code, so that it can be handed on. */
__printf(2, 3)
int fail(enum exit_code code, const char *fmt, ...);
/* The same for a failed call with an errno: its meaning is appended. */
__printf(2, 3)
int fail_errno(int err, const char *fmt, ...);
enum exit_code exit_code_of(int err);
/* A line that is replaced by the next; only when stderr is a terminal. */
__printf(1, 2)
void progress(const char *fmt, ...);
void progress_end(void);

/* content.c */

/*
 * With which options the file system on a block device is mounted when the device cannot
 * be written, as its log may have to be replayed. NULL for none that is known.
 */
const char *content_mount_options(const char *path, bool dax);

/* text.c */

/* Why a pool or a volume cannot have that name, or a pool that label; or NULL. */
const char *name_fault(const char *name);
/* The same: says so, and that it is @what. Returns an exit code. */
int name_check(const char *what, const char *name);
/*
 * These return a copy, to be freed, in which the bytes that others would choke on are
 * \xNN: those that are not UTF-8, and then all backslashes as well (NULL when there is
 * nothing to do); or those that a terminal does not show (NULL without memory).
 */
char *text_utf8(const char *text);
char *text_shown(const char *text);

/* size.c */

#define SIZE_TEXT 24

/* Bytes, or with K, M, G, T, P; rounded up to whole blocks. 0 or -EINVAL. */
int size_parse(const char *text, u64 *bytes);
/* What it takes, for messages. */
#define SIZE_HELP "bytes, or a number with the unit K, M, G, T or P, as in 100G"
/* A number up to @max, decimal or 0x. 0 or -EINVAL. */
int number_parse(const char *text, u64 max, u64 *number);
/* Bytes as either of these two takes them, up to @max, 0 and what is no whole block too. */
int offset_parse(const char *text, u64 max, u64 *bytes);
/* "1.5G"; returns @text. */
const char *size_format(char text[SIZE_TEXT], u64 bytes);

/*
 * For an array of @nr elements, one after the other, with capacities that are powers
 * of two: where it is once there is room for one more, or NULL.
 */
static inline void *array_room(void *array, size_t nr, size_t size)
{
	if (nr & (nr - 1))
		return array;
	return reallocarray(array, nr ? 2 * nr : 1, size);
}

/* output.c */

enum column_kind {
	COLUMN_TEXT,
	COLUMN_NUMBER,
	COLUMN_BYTES,
	COLUMN_TIME,
};

/**
 * struct column - how to show one member of a JSON object to people
 * @key:	of the member; NULL ends an array of columns
 * @title:	header of the column, or what stands before the value
 */
struct column {
	const char *key;
	const char *title;
	enum column_kind kind;
};

/* The print functions take over the objects that they are given. */
int print_rows(const struct args *a, const char *key, struct json_object *rows,
	       const struct column *columns);
int print_record(const struct args *a, const char *key,
		 struct json_object *record, const struct column *columns);
/* Any bytes; see text_utf8(). Of a path, a second member "escaped" is then true. */
void json_set_text(struct json_object *o, const char *key, const char *text);
void json_set_path(struct json_object *o, const char *key, const char *path);
void json_set_number(struct json_object *o, const char *key, u64 number);
void json_set_bool(struct json_object *o, const char *key, bool value);

#endif /* DAXCOW_TOOL_H */
