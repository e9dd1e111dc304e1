/* SPDX-License-Identifier: GPL-2.0 */
/*
 * daxcow doctor: what it has found, and where it looks.
 */
#ifndef DAXCOW_TOOL_DOCTOR_H
#define DAXCOW_TOOL_DOCTOR_H

#include <sys/types.h>
#include "daxcow.h"

enum severity {
	SEVERITY_NOTE,		/* good to know */
	SEVERITY_WARNING,	/* there is DAX, but not as one would expect it */
	SEVERITY_PROBLEM,	/* no DAX because of this */
};

/**
 * struct doctor - an examination
 * @findings:	what was found, in the order in which it should be mended
 * @worst:	of them; valid when there are findings
 * @kernel_can:	volumes that are activated now have DAX
 */
struct doctor {
	struct json_object *findings;
	enum severity worst;
	bool kernel_can;
};

/**
 * struct block - a block device, as sysfs shows it
 * @name:	of the kernel
 * @dm_name:	of device-mapper, or empty
 * @suspended:	who reads from it waits
 * @start:	of a partition, in sectors
 */
struct block {
	char name[64], dm_name[128];
	dev_t dev;
	bool dax, read_only, suspended;
	u64 start;
};

/*
 * Note a finding. @kind is for scripts, and stable; @subject is the device, mount or
 * what else it is about; @remedy says what to do, and may be NULL.
 */
__printf(6, 7)
void doctor_found(struct doctor *d, enum severity level, const char *kind,
		  const char *subject, const char *remedy, const char *fmt, ...);

/* Parts, each of which notes what it finds. They say what fails, and return exit codes. */
int doctor_kernel(struct doctor *d);
int doctor_memory(struct doctor *d);
int doctor_pools(struct doctor *d);

/*
 * The live patch that has just been loaded is on its way to all tasks, which the kernel
 * pushes when they sleep for 15 seconds. In all, a process waits for half a minute.
 */
void doctor_wait_for_live_patch(void);

/* The first line of a file, without its end; false when it cannot be read. */
__printf(3, 4)
bool doctor_read(char *text, size_t size, const char *fmt, ...);
/* A device by its kernel's name; 0 or -ENODEV. */
int doctor_block(const char *name, struct block *b);
/* Calls @fn for each name in a directory that can be read, until it returns non-zero. */
int doctor_each(const char *dir, int (*fn)(const char *name, void *arg), void *arg);

#endif /* DAXCOW_TOOL_DOCTOR_H */
