// SPDX-License-Identifier: GPL-2.0
/*
 * Whether the kernel can do what DAX needs of it.
 *
 * That is all of the series in patches/, most of which is behaviour and no interface.
 * A kernel that was built with it exports dax_remaps_get(), and so does the live patch
 * that brings it to one that is running, as soon as all tasks are in the new code. So
 * it is looked for when a volume gets a table, not when this module is built.
 *
 * A table that has found it keeps it, and has DAX. Whoever has an address from
 * direct_access() is in a dax_read_lock() section, which the last table waits for
 * before it lets go: without a table that has DAX there are no addresses, and nothing
 * to wait for when blocks are reclaimed.
 */
#include <linux/dax.h>
#include <linux/err.h>
#include <linux/module.h>

#include "target.h"

typedef const struct series_ops *(*get_fn)(bool (*shared)(struct dax_device *, u64));
typedef void (*put_fn)(void);

static DEFINE_MUTEX(series_lock);
static const struct series_ops *series;
static unsigned int nr_users;

#ifdef DAXCOW_FORCE_DAX

/* Tests see DAX corrupt on a kernel that cannot do it right. */
static void nothing(void)
{
}

static bool never_remaps(struct dax_device *dax_dev)
{
	return false;
}

static bool always_ready(void)
{
	return true;
}

static void series_release(void)
{
}

static const struct series_ops *series_find(void)
{
	static const struct series_ops force = {
		.synchronize = nothing,
		.remaps = never_remaps,
		.ready = always_ready,
	};

	return &force;
}

#else

static put_fn series_put_fn;

static const struct series_ops *series_find(void)
{
	const struct series_ops *ops = NULL;
	get_fn get = (get_fn)__symbol_get("dax_remaps_get");
	put_fn put = (put_fn)__symbol_get("dax_remaps_put");

	if (get && put)
		ops = get(pool_page_shared);
	/* a reference to what both are in stays until series_release() */
	if (get)
		symbol_put_addr(get);
	if (put && IS_ERR_OR_NULL(ops))
		symbol_put_addr(put);
	series_put_fn = put;
	return IS_ERR(ops) ? NULL : ops;
}

static void series_release(void)
{
	series_put_fn();
	symbol_put_addr(series_put_fn);
}

#endif

/**
 * series_get() - begin to have DAX
 *
 * Return: what the kernel does for it, until series_put(); NULL: it cannot, or not yet.
 */
const struct series_ops *series_get(void)
{
	const struct series_ops *ops = NULL;

	mutex_lock(&series_lock);
	if (!nr_users)
		series = series_find();
	/* with users it can only have been taken back by force */
	if (series && series->ready()) {
		ops = series;
		nr_users++;
	} else if (series && !nr_users) {
		series_release();
	}
	mutex_unlock(&series_lock);
	return ops;
}

void series_put(void)
{
	mutex_lock(&series_lock);
	if (!--nr_users)
		series_release();
	mutex_unlock(&series_lock);
}

/* One more user while there is one. */
static const struct series_ops *series_get_live(void)
{
	const struct series_ops *ops = NULL;

	mutex_lock(&series_lock);
	if (nr_users) {
		nr_users++;
		ops = series;
	}
	mutex_unlock(&series_lock);
	return ops;
}

/**
 * series_synchronize() - wait for all who have an address from direct_access()
 *
 * Context: sleeps; see dax_synchronize().
 */
void series_synchronize(void)
{
	const struct series_ops *ops = series_get_live();

	if (!ops)
		return;
	ops->synchronize();
	series_put();
}

/* Whether a device is one that moves its blocks, or is on one. */
bool series_remaps(struct dax_device *dax_dev)
{
	const struct series_ops *ops = series_get();
	bool ret;

	if (!ops)
		return false;
	ret = ops->remaps(dax_dev);
	series_put();
	return ret;
}

/* Whether a volume that is activated now has DAX. */
bool series_there(void)
{
	bool ret = series_get();

	if (ret)
		series_put();
	return ret;
}
