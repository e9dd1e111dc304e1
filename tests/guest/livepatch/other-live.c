// SPDX-License-Identifier: GPL-2.0
/*
 * Somebody else's live patch, for tests.
 *
 * function=NAME	what it replaces: cmdline_proc_show, which nobody minds, or
 *			dax_iomap_rw, or xfs_dax_notify_failure of xfs, which then fail
 * cumulative=1		it replaces all others, too
 */
#include <linux/dax.h>
#include <linux/fs.h>
#include <linux/iomap.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/seq_file.h>

static char *function = "cmdline_proc_show";
module_param(function, charp, 0444);
static bool cumulative;
module_param(cumulative, bool, 0444);

static int other_cmdline(struct seq_file *m, void *v)
{
	seq_puts(m, "another live patch\n");
	return 0;
}

static ssize_t other_rw(struct kiocb *iocb, struct iov_iter *iter,
			const struct iomap_ops *ops)
{
	return -EIO;
}

static int other_failure(struct dax_device *dax_dev, u64 offset, u64 len, int mf_flags)
{
	return -EOPNOTSUPP;
}

static struct klp_func funcs[] = {
	{ .old_name = "cmdline_proc_show", .new_func = other_cmdline },
	{ }
};

static struct klp_object objs[] = {
	{ .funcs = funcs },
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int __init other_init(void)
{
	if (!strcmp(function, "dax_iomap_rw")) {
		funcs[0].old_name = "dax_iomap_rw";
		funcs[0].new_func = other_rw;
	} else if (!strcmp(function, "xfs_dax_notify_failure")) {
		funcs[0].old_name = "xfs_dax_notify_failure";
		funcs[0].new_func = other_failure;
		objs[0].name = "xfs";
	}
	patch.replace = cumulative;
	return klp_enable_patch(&patch);
}

static void __exit other_exit(void)
{
}

module_init(other_init);
module_exit(other_exit);
MODULE_DESCRIPTION("Another live patch, for tests");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
