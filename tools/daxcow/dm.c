// SPDX-License-Identifier: GPL-2.0
/*
 * What the tool asks of device-mapper.
 *
 * Names in /dev/mapper are made by udev where it runs, else by libdevmapper.
 * A cookie waits for the first and does nothing in the second case.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libdevmapper.h>
#include "dm.h"

__printf(5, 6)
static void log_nothing(int level, const char *file, int line, int class,
			const char *fmt, ...)
{
	(void)level, (void)file, (void)line, (void)class, (void)fmt;
}

/* Commands explain their failures themselves; the library's words are extra. */
void dm_init(bool verbose)
{
	if (!verbose)
		dm_log_with_errno_init(log_nothing);
}

static int run(struct dm_task *task)
{
	int err;

	if (dm_task_run(task))
		return 0;
	err = dm_task_get_errno(task);
	return err ? -err : -EIO;
}

static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

/* Says nothing of the table. */
static void read_info(struct dm_task *task, const struct dm_info *info,
		      struct dm_dev *dev)
{
	memset(dev, 0, sizeof(*dev));
	copy(dev->name, sizeof(dev->name), dm_task_get_name(task));
	copy(dev->uuid, sizeof(dev->uuid), dm_task_get_uuid(task));
	dev->major = info->major;
	dev->minor = info->minor;
	dev->open_count = info->open_count;
	dev->readonly = info->read_only;
	dev->suspended = info->suspended;
	dev->live = info->live_table;
	dev->pending = info->inactive_table;
}

/* The next line of the table; returns where to go on, or NULL. */
static void *read_line(struct dm_task *task, void *next, struct dm_dev *dev)
{
	char *target = NULL, *params = NULL;
	u64 start = 0, length = 0;

	next = dm_get_next_target(task, next, &start, &length, &target,
				  &params);
	copy(dev->target, sizeof(dev->target), target);
	copy(dev->params, sizeof(dev->params), params);
	dev->start = start;
	dev->length = length;
	return next;
}

/*
 * Ask about a device with that name or, without one, uuid: the task with the answer,
 * and what it says of no line.
 */
static int ask(int type, const char *name, const char *uuid,
	       struct dm_task **taskp, struct dm_dev *dev)
{
	struct dm_task *task = dm_task_create(type);
	struct dm_info info;
	int err = -ENXIO;

	if (!task)
		return -ENOPKG;
	/* fails for what cannot be a name */
	if (!(name ? dm_task_set_name(task, name) :
		     dm_task_set_uuid(task, uuid)))
		goto out_destroy;
	err = run(task);
	if (err)
		goto out_destroy;
	err = -ENXIO;
	if (!dm_task_get_info(task, &info) || !info.exists)
		goto out_destroy;
	read_info(task, &info, dev);
	*taskp = task;
	return 0;
out_destroy:
	dm_task_destroy(task);
	return err;
}

static int query(int type, const char *name, const char *uuid,
		 struct dm_dev *dev)
{
	struct dm_task *task;
	int err = ask(type, name, uuid, &task, dev);

	if (err)
		return err;
	read_line(task, NULL, dev);
	dm_task_destroy(task);
	return 0;
}

int dm_segments(const char *name,
		int (*fn)(const struct dm_dev *segment, void *arg), void *arg)
{
	struct dm_task *task;
	struct dm_dev dev;
	void *next = NULL;
	int err;

	err = ask(DM_DEVICE_TABLE, name, NULL, &task, &dev);
	if (err)
		return err;
	do {
		next = read_line(task, next, &dev);
		err = fn(&dev, arg);
	} while (next && !err);
	dm_task_destroy(task);
	return err;
}

int dm_table(const char *name, struct dm_dev *dev)
{
	return query(DM_DEVICE_TABLE, name, NULL, dev);
}

int dm_table_of_uuid(const char *uuid, struct dm_dev *dev)
{
	return query(DM_DEVICE_TABLE, NULL, uuid, dev);
}

int dm_status(const char *name, struct dm_dev *dev)
{
	return query(DM_DEVICE_STATUS, name, NULL, dev);
}

int dm_each(const char *target, int (*fn)(const struct dm_dev *dev, void *arg),
	    void *arg)
{
	struct dm_task *task = dm_task_create(DM_DEVICE_LIST);
	struct dm_names *names;
	struct dm_dev dev;
	int err;

	if (!task)
		return -ENOPKG;
	err = run(task);
	names = err ? NULL : dm_task_get_names(task);
	while (!err && names && names->dev) {
		/* one that is gone by now is none of ours */
		if (!dm_table(names->name, &dev) &&
		    (!target || !strcmp(dev.target, target)))
			err = fn(&dev, arg);
		if (!names->next)
			break;
		names = (void *)((char *)names + names->next);
	}
	dm_task_destroy(task);
	return err;
}

bool dm_target_known(const char *target)
{
	struct dm_task *task = dm_task_create(DM_DEVICE_LIST_VERSIONS);
	struct dm_versions *v;
	bool known = false;

	if (!task)
		return false;
	v = run(task) ? NULL : dm_task_get_versions(task);
	while (v && !known) {
		known = !strcmp(v->name, target);
		if (!v->next)
			break;
		v = (void *)((char *)v + v->next);
	}
	dm_task_destroy(task);
	return known;
}

static int run_and_wait(struct dm_task *task, u16 udev_flags)
{
	u32 cookie = 0;
	int err;

	if (!dm_task_set_cookie(task, &cookie, udev_flags))
		return -ENOMEM;
	err = run(task);
	dm_udev_wait(cookie);
	return err;
}

static int create(const struct dm_dev *dev)
{
	struct dm_task *task = dm_task_create(DM_DEVICE_CREATE);
	int err = -ENOMEM;

	if (!task)
		return -ENOPKG;
	if (dm_task_set_name(task, dev->name) &&
	    (!dev->uuid[0] || dm_task_set_uuid(task, dev->uuid)))
		err = run(task);
	dm_task_destroy(task);
	return err;
}

/* It takes effect when the device is resumed. */
static int load(const struct dm_dev *dev)
{
	struct dm_task *task = dm_task_create(DM_DEVICE_RELOAD);
	int err = -ENOMEM;

	if (!task)
		return -ENOPKG;
	if (dm_task_set_name(task, dev->name) &&
	    dm_task_add_target(task, 0, dev->length, dev->target,
			       dev->params) &&
	    (!dev->readonly || dm_task_set_ro(task)))
		err = run(task);
	dm_task_destroy(task);
	return err;
}

static int simple(int type, const char *name, u16 udev_flags)
{
	struct dm_task *task = dm_task_create(type);
	int err = -ENOMEM;

	if (!task)
		return -ENOPKG;
	/*
	 * No table that is loaded here needs what is above to be frozen, which takes as
	 * long as its users like, nor that writes come to an end, which may wait for
	 * space.
	 */
	if (dm_task_set_name(task, name) &&
	    (type != DM_DEVICE_SUSPEND ||
	     (dm_task_skip_lockfs(task) && dm_task_no_flush(task)))) {
		/* udev may have it open for a moment */
		if (type == DM_DEVICE_REMOVE)
			dm_task_retry_remove(task);
		err = type == DM_DEVICE_SUSPEND ? run(task) :
				run_and_wait(task, udev_flags);
	}
	dm_task_destroy(task);
	return err;
}

/* In steps: the library's way to do all of them at once loses the errno. */
int dm_create(const struct dm_dev *dev, bool hidden)
{
	u16 flags = 0;
	int err;

	if (hidden)
		flags = DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG |
			DM_UDEV_DISABLE_DISK_RULES_FLAG |
			DM_UDEV_DISABLE_OTHER_RULES_FLAG;
	err = create(dev);
	if (err)
		return err;
	err = load(dev);
	if (!err)
		err = simple(DM_DEVICE_RESUME, dev->name, flags);
	if (err)
		simple(DM_DEVICE_REMOVE, dev->name, 0);
	return err;
}

int dm_reload(const struct dm_dev *dev)
{
	int err = load(dev);

	if (!err)
		err = simple(DM_DEVICE_SUSPEND, dev->name, 0);
	return err ? err : simple(DM_DEVICE_RESUME, dev->name, 0);
}

int dm_resume(const char *name)
{
	return simple(DM_DEVICE_RESUME, name, 0);
}

void dm_node(const char *name)
{
	dm_mknodes(name);
}

int dm_remove(const char *name)
{
	return simple(DM_DEVICE_REMOVE, name, 0);
}

int dm_message(const char *name, const char *text, char **answer)
{
	struct dm_task *task = dm_task_create(DM_DEVICE_TARGET_MSG);
	const char *response;
	int err = -ENOMEM;

	if (!task)
		return -ENOPKG;
	if (dm_task_set_name(task, name) && dm_task_set_sector(task, 0) &&
	    dm_task_set_message(task, text))
		err = run(task);
	if (!err && answer) {
		response = dm_task_get_message_response(task);
		*answer = response ? strdup(response) : NULL;
		if (response && !*answer)
			err = -ENOMEM;
	}
	dm_task_destroy(task);
	return err;
}
