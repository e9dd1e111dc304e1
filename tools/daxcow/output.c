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

/* What is not UTF-8 would make it no JSON. */
void json_set_text(struct json_object *o, const char *key, const char *text)
{
	char *escaped = text ? text_utf8(text) : NULL;

	if (escaped)
		text = escaped;
	json_object_object_add(o, key, text && *text ?
			       json_object_new_string(text) : NULL);
	free(escaped);
}

void json_set_path(struct json_object *o, const char *key, const char *path)
{
	char *escaped = path ? text_utf8(path) : NULL;

	json_set_text(o, key, escaped ? escaped : path);
	if (escaped)
		json_set_bool(o, "escaped", true);
	free(escaped);
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
		struct libscols_column *c;

		c = scols_table_new_column(table, col->title, 0, flags);
		/* it escapes as we do, and would escape that again */
		if (!c || scols_column_set_safechars(c, "\\")) {
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

static void print_cell(const char *text)
{
	char *shown = text_shown(text);

	puts(shown ? shown : "-");
	free(shown);
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
		if (json_object_object_get_ex(record, col->key, NULL)) {
			printf("%-*s  ", (int)width, col->title);
			print_cell(cell(a, record, col, text));
		}
	json_object_put(record);
	return EXIT_DONE;
}
