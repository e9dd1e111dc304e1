// SPDX-License-Identifier: GPL-2.0
/*
 * Sizes and numbers on the command line and in output.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daxcow.h"
#include <daxcow/format.h>

static const char units[] = "KMGTP";

int number_parse(const char *text, u64 max, u64 *number)
{
	int base = !strncmp(text, "0x", 2) ? 16 : 10;
	unsigned long long value;
	char *end;

	/* strtoull() takes signs and blanks */
	if (base == 16 ? !isxdigit((unsigned char)text[2]) :
			 !isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, base);
	if (errno || *end || value > max)
		return -EINVAL;
	*number = value;
	return 0;
}

/* A number, with a unit or without. */
static int amount_parse(const char *text, u64 *bytes)
{
	unsigned long long value;
	unsigned int shift = 0;
	const char *unit;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return -EINVAL;
	if (*end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || (end[1] && strcmp(end + 1, "iB")))
			return -EINVAL;
		shift = 10 * (unit - units + 1);
	}
	if (value > (UINT64_MAX - DAXCOW_BLOCK_SIZE) >> shift)
		return -EINVAL;
	*bytes = (u64)value << shift;
	return 0;
}

int size_parse(const char *text, u64 *bytes)
{
	u64 value;

	if (amount_parse(text, &value) || !value)
		return -EINVAL;
	value += DAXCOW_BLOCK_SIZE - 1;
	*bytes = value - value % DAXCOW_BLOCK_SIZE;
	return 0;
}

int offset_parse(const char *text, u64 max, u64 *bytes)
{
	if (number_parse(text, max, bytes) && amount_parse(text, bytes))
		return -EINVAL;
	return *bytes > max ? -EINVAL : 0;
}

/* At most one decimal, cut off: exact figures are what --bytes is for. */
const char *size_format(char text[SIZE_TEXT], u64 bytes)
{
	unsigned long long whole = bytes, tenths = 0;
	int unit = -1;

	while (whole >= 1024 && units[unit + 1]) {
		tenths = whole % 1024 * 10 / 1024;
		whole /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(text, SIZE_TEXT, "%llu", whole);
	else if (tenths)
		snprintf(text, SIZE_TEXT, "%llu.%llu%c", whole, tenths,
			 units[unit]);
	else
		snprintf(text, SIZE_TEXT, "%llu%c", whole, units[unit]);
	return text;
}
