/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What devices and files are made of.
 */
#ifndef DAXCOW_TOOL_STORAGE_H
#define DAXCOW_TOOL_STORAGE_H

#include <sys/types.h>
#include "daxcow.h"

/* An unsigned number in a file of a device's sysfs directory. */
bool sysfs_number(dev_t dev, const char *name, u64 *number);
/* The device that a partition is on. */
bool sysfs_parent(dev_t dev, dev_t *parent);
/* The name of a device-mapper device. */
bool sysfs_dm_name(dev_t dev, char *name, size_t size);

/*
 * Refuse to read @source and write @target when a block is part of both: by
 * another name of the file, a partition, a loop device, or device-mapper.
 * What does not exist has nothing. Says so; returns an exit code.
 */
int storage_distinct(const char *source, const char *target);
/* The same for the standard output. */
int storage_distinct_stdout(const char *source);

#endif /* DAXCOW_TOOL_STORAGE_H */
