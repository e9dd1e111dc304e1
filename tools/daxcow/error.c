// SPDX-License-Identifier: GPL-2.0
/*
 * What went wrong, for people and as an exit code; and progress.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "daxcow.h"

enum exit_code exit_code_of(int err)
{
	switch (err) {
	case 0:
		return EXIT_DONE;
	case ENOENT:
	case ENXIO:
	case ENODEV:
	case ENODATA:
		return EXIT_NOT_FOUND;
	case EUCLEAN:
	case EMEDIUMTYPE:
		return EXIT_DAMAGED;
	case EBUSY:
	case ETXTBSY:
		return EXIT_BUSY;
	case EEXIST:
		return EXIT_EXISTS;
	case ENOSPC:
		return EXIT_NO_SPACE;
	case ENOPKG:
		return EXIT_NO_KERNEL;
	default:
		return EXIT_FAILED;
	}
}

/* Where the words of strerror() would mislead. */
static const char *error_text(int err)
{
	switch (err) {
	case EUCLEAN:
		return "the pool is damaged (see dmesg; stop it and run daxcow check)";
	case EMEDIUMTYPE:
		return "not a daxcow pool";
	case EPROTONOSUPPORT:
		return "made by another version of the format";
	case ENOSPC:
		return "the pool is full (remove volumes or enlarge its device)";
	case EROFS:
		return "the pool is read-only (see dmesg)";
	case EOPNOTSUPP:
		return "the module does not know the request (see dmesg)";
	case EINVAL:
		return "the kernel refused it (see dmesg)";
	case EBUSY:
		return "in use by a mount, a started pool or another device";
	case ENOPKG:
		return "no access to device-mapper (are you root? else \"modprobe dm-mod\")";
	case EPERM:
	case EACCES:
		return "not permitted (are you root?)";
	default:
		return strerror(err);
	}
}

/* Names, labels and paths in it may be anything. */
static void say(const char *fmt, va_list ap)
{
	char *text = NULL, *shown;

	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	shown = text ? text_shown(text) : NULL;
	/* without memory, better than nothing */
	fputs(shown ? shown : fmt, stderr);
	free(shown);
	free(text);
}

int fail(enum exit_code code, const char *fmt, ...)
{
	va_list ap;

	progress_end();
	fputs("daxcow: ", stderr);
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return code;
}

int fail_errno(int err, const char *fmt, ...)
{
	va_list ap;

	progress_end();
	fputs("daxcow: ", stderr);
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", error_text(err));
	return exit_code_of(err);
}

static bool in_progress;

void progress(const char *fmt, ...)
{
	va_list ap;

	if (!isatty(STDERR_FILENO))
		return;
	fputs("\r\033[K", stderr);
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	fflush(stderr);
	in_progress = true;
}

/* Leaves an empty line for what is said next. */
void progress_end(void)
{
	if (in_progress)
		fputs("\r\033[K", stderr);
	in_progress = false;
}
