// SPDX-License-Identifier: GPL-2.0
/*
 * What target.h declares.
 */
#include <stdarg.h>
#include "target.h"

/* As scnprintf(): what it wrote, not what it would have. */
int emit(char *at, unsigned int room, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(at, room, fmt, args);
	va_end(args);
	return n < (int)room ? n : (int)room - 1;
}

void uuid_gen(uuid_t *uuid)
{
	static u64 last;

	memset(uuid, 0, sizeof(*uuid));
	last++;
	memcpy(uuid, &last, sizeof(last));
}

int uuid_parse(const char *s, uuid_t *uuid)
{
	static const u8 at[16] = {
		0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34
	};
	unsigned int i;

	for (i = 0; i < 36; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? s[i] != '-' :
							      !isxdigit(s[i]))
			return -EINVAL;
	for (i = 0; i < 16; i++) {
		char hex[3] = { s[at[i]], s[at[i] + 1] };

		uuid->b[i] = strtoul(hex, NULL, 16);
	}
	return 0;
}

/* One '+' may come first, one newline last. */
int kstrtoull(const char *s, unsigned int base, u64 *v)
{
	unsigned long long n;
	char *end;

	s += *s == '+';
	if (!isdigit(*s))
		return -EINVAL;
	errno = 0;
	n = strtoull(s, &end, base);
	if (errno)
		return -ERANGE;
	if (*end == '\n')
		end++;
	if (*end)
		return -EINVAL;
	*v = n;
	return 0;
}

int kstrtou32(const char *s, unsigned int base, u32 *v)
{
	u64 n;
	int ret = kstrtoull(s, base, &n);

	if (!ret && n > UINT_MAX)
		ret = -ERANGE;
	if (!ret)
		*v = n;
	return ret;
}

const char *dm_shift_arg(struct dm_arg_set *as)
{
	if (!as->argc)
		return NULL;
	as->argc--;
	return *as->argv++;
}

int dm_read_arg_group(const struct dm_arg *arg, struct dm_arg_set *as,
		      unsigned int *num, char **error)
{
	const char *s = dm_shift_arg(as);
	char end;

	if (!s || sscanf(s, "%u%c", num, &end) != 1 || *num < arg->min ||
	    *num > arg->max) {
		*error = arg->error;
		return -EINVAL;
	}
	if (*num > as->argc) {
		*error = "Not enough arguments";
		return -EINVAL;
	}
	return 0;
}
