// SPDX-License-Identifier: GPL-2.0
/*
 * Results, as tables for people or as JSON for programs.
 *
 * Everything is built as JSON first; what people see is a rendering of it, so
 * the two cannot drift apart. Sizes in JSON are always bytes.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <json-c/json.h>
#include <libsmartcols/libsmartcols.h>
#include "daxcow.h"

void json_set_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, text && *text ?
			       json_object_new_string(text) : NULL);
}

/* Bytes of the character at @s, or 0 when it is not UTF-8. */
static size_t utf8_size(const u8 *s)
{
	size_t size = *s < 0x80 ? 1 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : 4, i;
	u32 c = *s & (0xff >> (size + 1));

	if (size == 1)
		return 1;
	/* the rest of a character, or more than there is */
	if (*s < 0xc2 || *s > 0xf4)
		return 0;
	for (i = 1; i < size; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	/* longer than it has to be, half of a pair, or more than there is */
	if (c < (size == 2 ? 0x80 : size == 3 ? 0x800 : 0x10000) ||
	    c >> 11 == 0x1b || c > 0x10ffff)
		return 0;
	return size;
}

void json_set_path(struct json_object *o, const char *key, const char *path)
{
	const u8 *s = (const u8 *)path;
	char *text, *to;
	size_t size;

	while (s && *s && utf8_size(s))
		s += utf8_size(s);
	text = s && *s ? malloc(4 * strlen(path) + 1) : NULL;
	if (!text) {
		json_set_text(o, key, path);
		return;
	}
	to = text;
	for (s = (const u8 *)path; *s; s += size ? size : 1) {
		size = *s == '\\' ? 0 : utf8_size(s);
		if (size)
			to = (char *)memcpy(to, s, size) + size;
		else
			to += sprintf(to, "\\x%02x", *s);
	}
	*to = 0;
	json_set_text(o, key, text);
	json_set_bool(o, "escaped", true);
	free(text);
}

void json_set_number(struct json_object *o, const char *key, u64 number)
{
	json_object_object_add(o, key, json_object_new_uint64(number));
}

void json_set_bool(struct json_object *o, const char *key, bool value)
{
	json_object_object_add(o, key, json_object_new_boolean(value));
}

static int print_json(const char *key, struct json_object *value)
{
	struct json_object *top = json_object_new_object();

	json_object_object_add(top, key, value);
	puts(json_object_to_json_string_ext(top, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_SPACED |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(top);
	return EXIT_DONE;
}

#define CELL_TEXT 256

static const char *cell(const struct args *a, struct json_object *row,
			const struct column *col, char text[CELL_TEXT])
{
	struct json_object *value;
	char size[SIZE_TEXT];
	struct tm tm;
	time_t when;

	if (!json_object_object_get_ex(row, col->key, &value) || !value)
		return "-";
	if (json_object_is_type(value, json_type_boolean))
		return json_object_get_boolean(value) ? "yes" : "no";
	if (col->kind == COLUMN_BYTES && !a->bytes) {
		snprintf(text, CELL_TEXT, "%s",
			 size_format(size, json_object_get_uint64(value)));
	} else if (col->kind == COLUMN_TIME) {
		when = json_object_get_int64(value);
		if (!localtime_r(&when, &tm) ||
		    !strftime(text, CELL_TEXT, "%F %R", &tm))
			return "-";
	} else {
		return json_object_get_string(value);
	}
	return text;
}

static struct libscols_table *table_new(const struct column *columns)
{
	struct libscols_table *table = scols_new_table();
	const struct column *col;

	if (!table)
		return NULL;
	for (col = columns; col->key; col++) {
		int flags = col->kind == COLUMN_NUMBER ||
			    col->kind == COLUMN_BYTES ? SCOLS_FL_RIGHT : 0;

		if (!scols_table_new_column(table, col->title, 0, flags)) {
			scols_unref_table(table);
			return NULL;
		}
	}
	return table;
}

int print_rows(const struct args *a, const char *key, struct json_object *rows,
	       const struct column *columns)
{
	struct libscols_table *table;
	int rc = EXIT_DONE;
	size_t i, c;

	progress_end();
	if (a->json)
		return print_json(key, rows);
	table = table_new(columns);
	if (!table) {
		json_object_put(rows);
		return fail(EXIT_FAILED, "out of memory");
	}
	for (i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);
		struct libscols_line *line = scols_table_new_line(table, NULL);
		char text[CELL_TEXT];

		for (c = 0; line && columns[c].key; c++)
			scols_line_set_data(line, c, cell(a, row, &columns[c],
							  text));
	}
	if (json_object_array_length(rows) && scols_print_table(table))
		rc = fail(EXIT_FAILED, "could not print the table");
	scols_unref_table(table);
	json_object_put(rows);
	return rc;
}

/* One member a line; those that are not there are left out. */
int print_record(const struct args *a, const char *key,
		 struct json_object *record, const struct column *columns)
{
	const struct column *col;
	char text[CELL_TEXT];
	size_t width = 0;

	progress_end();
	if (a->json)
		return print_json(key, record);
	for (col = columns; col->key; col++)
		if (strlen(col->title) > width)
			width = strlen(col->title);
	for (col = columns; col->key; col++)
		if (json_object_object_get_ex(record, col->key, NULL))
			printf("%-*s  %s\n", (int)width, col->title,
			       cell(a, record, col, text));
	json_object_put(record);
	return EXIT_DONE;
}
