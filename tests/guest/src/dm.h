/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Device mapper by its ioctls: no process for each call, and the call is made by
 * who makes it. All return 0 or an errno.
 */
#ifndef DAXCOW_GUEST_DM_H
#define DAXCOW_GUEST_DM_H

#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

static struct {
	struct dm_ioctl head;
	char data[16384];
} dm_request;

static int dm_call(unsigned long cmd, const char *name)
{
	static int control = -1;
	struct dm_ioctl *h = &dm_request.head;

	if (control < 0)
		control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	h->version[0] = DM_VERSION_MAJOR;
	h->data_size = sizeof(dm_request);
	h->data_start = sizeof(*h);
	snprintf(h->name, sizeof(h->name), "%s", name);
	return ioctl(control, cmd, &dm_request) ? errno : 0;
}

static int dm_simple(unsigned long cmd, const char *name, unsigned int flags)
{
	memset(&dm_request, 0, sizeof(dm_request));
	dm_request.head.flags = flags;
	return dm_call(cmd, name);
}

static inline int dm_create(const char *name)
{
	return dm_simple(DM_DEV_CREATE, name, 0);
}

static inline int dm_remove(const char *name)
{
	return dm_simple(DM_DEV_REMOVE, name, 0);
}

static inline int dm_suspend(const char *name)
{
	return dm_simple(DM_DEV_SUSPEND, name, DM_SUSPEND_FLAG);
}

static inline int dm_resume(const char *name)
{
	return dm_simple(DM_DEV_SUSPEND, name, 0);
}

static inline int dm_load(const char *name, unsigned long long sectors,
			  const char *target, const char *args)
{
	struct dm_target_spec *spec = (void *)dm_request.data;

	memset(&dm_request, 0, sizeof(dm_request));
	dm_request.head.target_count = 1;
	spec->length = sectors;
	snprintf(spec->target_type, sizeof(spec->target_type), "%s", target);
	snprintf((char *)(spec + 1), 512, "%s", args);
	return dm_call(DM_TABLE_LOAD, name);
}

/* What it answers is in dm_answer(). */
static inline int dm_message(const char *name, const char *text)
{
	struct dm_target_msg *msg = (void *)dm_request.data;

	memset(&dm_request, 0, sizeof(dm_request));
	snprintf(msg->message, 1024, "%s", text);
	return dm_call(DM_TARGET_MSG, name);
}

static inline const char *dm_answer(void)
{
	return dm_request.head.flags & DM_DATA_OUT_FLAG ?
		(char *)&dm_request + dm_request.head.data_start : "";
}

/* The device's node; there is no udev. */
static inline int dm_path(const char *name, char *path, size_t size)
{
	int ret = dm_simple(DM_DEV_STATUS, name, 0);

	snprintf(path, size, "/dev/dm-%u", minor(dm_request.head.dev));
	return ret;
}

#endif /* DAXCOW_GUEST_DM_H */
