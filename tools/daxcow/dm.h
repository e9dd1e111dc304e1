/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tool asks of device-mapper. Functions return 0 or a negative errno
 * and print nothing; -ENOPKG when there is no device-mapper to talk to.
 */
#ifndef DAXCOW_TOOL_DM_H
#define DAXCOW_TOOL_DM_H

#include "daxcow.h"

#define DM_POOL_TARGET		"daxcow-pool"
#define DM_VOLUME_TARGET	"daxcow"
#define DM_UUID_PREFIX		"DAXCOW-"

#define DM_NAME_SIZE	128
#define DM_ID_SIZE	129
#define DM_PARAMS_SIZE	1024

/**
 * struct dm_dev - a device with one table line, as far as we look at it
 * @start:	of the line, in sectors
 * @length:	in sectors
 * @live:	it has been resumed with a table
 * @pending:	a table is loaded that waits for that
 */
struct dm_dev {
	char name[DM_NAME_SIZE];
	char uuid[DM_ID_SIZE];
	char target[17];
	char params[DM_PARAMS_SIZE];
	u64 start, length;
	u32 major, minor;
	int open_count;
	bool readonly, suspended, live, pending;
};

void dm_init(bool verbose);

/* Table or status of a device. -ENXIO when there is none of that name. */
int dm_table(const char *name, struct dm_dev *dev);
int dm_table_of_uuid(const char *uuid, struct dm_dev *dev);
int dm_status(const char *name, struct dm_dev *dev);
/* Calls @fn for each line of a device's table until it returns non-zero. */
int dm_segments(const char *name,
		int (*fn)(const struct dm_dev *segment, void *arg), void *arg);
/*
 * Calls @fn for each device with a table of @target until it returns non-zero;
 * without @target, for each device, whatever its state.
 */
int dm_each(const char *target, int (*fn)(const struct dm_dev *dev, void *arg),
	    void *arg);
/* Whether the kernel knows a target; may load its module. */
bool dm_target_known(const char *target);

/*
 * Make a device out of name, uuid, target, params, length and readonly. Its
 * node in /dev/mapper is there on return. @hidden keeps other subsystems from
 * looking for content on it.
 */
int dm_create(const struct dm_dev *dev, bool hidden);
/* Replace the table of a device by that of @dev. */
int dm_reload(const struct dm_dev *dev);
/* Let a loaded table take effect. */
int dm_resume(const char *name);
int dm_remove(const char *name);
/* Make the node of a device, if it is not there. */
void dm_node(const char *name);

/* Send a message; @answer, when not NULL, is set to its text or to NULL. */
int dm_message(const char *name, const char *text, char **answer);

#endif /* DAXCOW_TOOL_DM_H */
