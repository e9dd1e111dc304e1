// SPDX-License-Identifier: GPL-2.0
/*
 * Text that others have written: what may be a name, and how to show what may not.
 */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>
#include "daxcow.h"
#include <daxcow/format.h>

/* Names of device-mapper that are taken, and those that a path has. */
static bool is_reserved(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..") ||
	       !strcmp(name, "control");
}

static bool is_name_char(char c)
{
	return isascii(c) && (isalnum((unsigned char)c) || strchr("._+-", c));
}

/* What udev and libdevmapper leave as it is, and what is no option. */
const char *name_fault(const char *name)
{
	size_t i = 0;

	while (name[i] && is_name_char(name[i]))
		i++;
	if (name[i] || !i || name[0] == '-')
		return "names are made of letters, digits and ._+- and do not begin with -";
	if (i >= DAXCOW_NAME_SIZE)
		return "names have at most 63 characters";
	return is_reserved(name) ? "in /dev/mapper that is something else" : NULL;
}

int name_check(const char *what, const char *name)
{
	const char *fault = name_fault(name);

	return fault ? fail(EXIT_USAGE, "%s \"%s\": %s", what, name, fault) :
		       EXIT_DONE;
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
	/*
	 * Longer than it has to be, half of a pair, more than there is, or a control
	 * character that terminals obey.
	 */
	if (c < (size == 2 ? 0xa0 : size == 3 ? 0x800 : 0x10000) ||
	    c >> 11 == 0x1b || c > 0x10ffff)
		return 0;
	return size;
}

/* @text with each byte that @size_of does not know as \xNN. */
static char *escape(const char *text, size_t (*size_of)(const u8 *s))
{
	char *escaped = malloc(4 * strlen(text) + 1), *to = escaped;
	const u8 *s = (const u8 *)text;
	size_t size;

	if (!escaped)
		return NULL;
	for (; *s; s += size ? size : 1) {
		size = size_of(s);
		if (size)
			to = (char *)memcpy(to, s, size) + size;
		else
			to += sprintf(to, "\\x%02x", *s);
	}
	*to = 0;
	return escaped;
}

/* So that what is escaped can be told from what was there. */
static size_t utf8_but_backslash(const u8 *s)
{
	return *s == '\\' ? 0 : utf8_size(s);
}

char *text_utf8(const char *text)
{
	const u8 *s = (const u8 *)text;

	while (*s && utf8_size(s))
		s += utf8_size(s);
	return *s ? escape(text, utf8_but_backslash) : NULL;
}

/* Bytes of the character at @s, or 0 when a terminal would not show it. */
static size_t shown_size(const u8 *s)
{
	mbstate_t state = { };
	size_t size;
	wchar_t c;

	size = mbrtowc(&c, (const char *)s, MB_LEN_MAX, &state);
	return size <= MB_LEN_MAX && iswprint(c) ? size : 0;
}

char *text_shown(const char *text)
{
	return escape(text, shown_size);
}
