// SPDX-License-Identifier: GPL-2.0
/*
 * The series in patches/linux-6.12 for a kernel that is running.
 *
 * Functions of it are replaced by those of the same source files with the series. The
 * live patch core does that task by task: for a time, the transition, some are in the
 * old code and some in the new. What the two have to agree on is in live.h.
 *
 * From the end of the transition on, live_complete, a driver that asks for it with
 * dax_remaps_get() can have devices that move and share blocks. While one has, the
 * live patch is not to be taken back: the file "enabled" is read-only, and the module
 * has a user. Should it happen all the same, because somebody had the file open
 * before, or because another live patch replaces functions of ours, then ready() is
 * false from before the first task can be in other code. The driver gives out nothing
 * more, and those who have mapped something get SIGBUS where they would have
 * corrupted data.
 */
#include <linux/hash.h>
#include <linux/srcu.h>
#include <linux/utsname.h>
#include <generated/utsrelease.h>
#include <generated/utsversion.h>

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#define LIVE_MAIN
#include "live.h"

#define FAILURE_LOCK_BITS	5

#define MAX_FUNCS		40

/* All tasks are in the new code, and nobody is taking it back. */
static bool live_complete;

/* Live patches that are being loaded, and may be about functions of ours. */
#define MAX_COMING		8
static DEFINE_SPINLOCK(coming_lock);
static const struct module *coming[MAX_COMING];
static unsigned int nr_coming;

/*
 * One per object of the kernel. An object has one array of functions; ours come from
 * several files.
 */
static struct live_object {
	const char *name;
	const struct klp_func *const from[8];
	struct klp_func funcs[MAX_FUNCS];
	/* where the stacks of these functions begin, when we are on top of them */
	struct list_head *stacks[MAX_FUNCS];
} live_objects[] = {
	{
		.name = NULL,
		.from = {
			live_fs_dax, live_dax_super, live_mm_truncate,
			live_mm_memory_failure,
#if !IS_MODULE(CONFIG_EXT4_FS)
			live_ext4_inode, live_ext4_extents,
#endif
		},
	},
#if IS_MODULE(CONFIG_EXT4_FS)
	{ .name = "ext4", .from = { live_ext4_inode, live_ext4_extents } },
#endif
	{ .name = "dm_mod", .from = { live_dm_table } },
	{
		.name = "xfs",
		.from = { live_xfs_mount, live_xfs_notify_failure },
	},
};

static struct klp_object klp_objects[ARRAY_SIZE(live_objects) + 1];
static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = klp_objects,
};

/* of kernel/livepatch/core.c */
extern struct mutex klp_mutex;
extern struct list_head klp_patches;

static DEFINE_MUTEX(users_lock);
static unsigned int nr_users;
static bool (*holder_shared)(struct dax_device *dax_dev, u64 offset);
DEFINE_STATIC_SRCU(holder_srcu);

/* ---- for drivers that move and share blocks ---- */

/*
 * Of a function that others replace, too, it is the last one's that runs.
 *
 * This is asked for each access, so not all functions are looked at. A live patch is put
 * at the end of klp_patches before the first of its functions is put on a stack, and
 * stays there until after the last one was taken off, also when it does so for a module
 * that comes later. Those in front of ours are about other functions, see
 * check_others(). So as long as nobody comes after ours in that list there is nothing to
 * look for. Who is in other code has read the stack that it is on, and then smp_rmb():
 * it finds the list changed. Ours is taken off the stacks before it leaves the list, and
 * is not the last one then.
 */
static bool on_top(void)
{
	if (likely(READ_ONCE(patch.list.next) == &klp_patches))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(live_objects); i++) {
		const struct live_object *o = &live_objects[i];

		for (size_t j = 0; o->funcs[j].old_name; j++) {
			struct list_head *stack = READ_ONCE(o->stacks[j]);

			/* a module that goes, with what of it was replaced, is no harm */
			if (stack && READ_ONCE(o->funcs[j].stack_node.prev) != stack &&
			    READ_ONCE(o->stacks[j]) == stack)
				return false;
		}
	}
	return true;
}

bool live_alone(void)
{
	return READ_ONCE(live_complete) && !READ_ONCE(nr_coming);
}

/*
 * Others come on top when they are loaded, and when a module is loaded that they are
 * about. Who was there for a time has done as it likes with what is shared, so it is not
 * ready again after that.
 */
static bool live_ready(void)
{
	if (!READ_ONCE(live_complete))
		return false;
	if (likely(on_top()))
		return true;
	WRITE_ONCE(live_complete, false);
	pr_warn("another live patch replaces functions of this one: there is no DAX on volumes any more\n");
	return false;
}

static const struct dax_remaps_ops ops = {
	.synchronize	= dax_synchronize,
	.remaps		= dax_remaps,
	.ready		= live_ready,
};

/* /sys/module/dm_daxcow_dax/parameters/ready, for daxcow doctor */
static int get_ready(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%c\n", live_ready() ? 'Y' : 'N');
}

static const struct kernel_param_ops ready_ops = { .get = get_ready };

module_param_cb(ready, &ready_ops, NULL, 0444);
MODULE_PARM_DESC(ready, "Whether volumes that are activated now have DAX");

/* Root cannot open it for writing either. When it is being taken back it goes soon. */
static void protect_enabled(bool on)
{
	static const struct attribute enabled = { .name = "enabled" };

	mutex_lock(&klp_mutex);
	if (patch.enabled &&
	    sysfs_chmod_file(&patch.kobj, &enabled, on ? 0444 : 0644))
		pr_warn("the mode of 'enabled' stays\n");
	mutex_unlock(&klp_mutex);
}

/* The caller has a reference to this module, from symbol_get(), until after the put. */
const struct dax_remaps_ops *
dax_remaps_get(bool (*shared)(struct dax_device *dax_dev, u64 offset))
{
	const struct dax_remaps_ops *ret = ERR_PTR(-EAGAIN);

	mutex_lock(&users_lock);
	if (!live_ready())
		goto out_unlock;
	if (!nr_users)
		protect_enabled(true);
	/* it may have been on its way meanwhile */
	if (!live_ready()) {
		if (!nr_users)
			protect_enabled(false);
		goto out_unlock;
	}
	nr_users++;
	WRITE_ONCE(holder_shared, shared);
	ret = &ops;
out_unlock:
	mutex_unlock(&users_lock);
	return ret;
}
EXPORT_SYMBOL_GPL(dax_remaps_get);

void dax_remaps_put(void)
{
	mutex_lock(&users_lock);
	if (!--nr_users) {
		WRITE_ONCE(holder_shared, NULL);
		synchronize_srcu(&holder_srcu);
		protect_enabled(false);
	}
	mutex_unlock(&users_lock);
}
EXPORT_SYMBOL_GPL(dax_remaps_put);

bool live_holder_shared(struct dax_device *dax_dev, u64 offset)
{
	bool (*shared)(struct dax_device *dax_dev, u64 offset);
	bool ret;
	int id;

	id = srcu_read_lock(&holder_srcu);
	shared = READ_ONCE(holder_shared);
	ret = shared && shared(dax_dev, offset);
	srcu_read_unlock(&holder_srcu, id);
	return ret;
}

/* ---- what struct xfs_mount has no room for ---- */

static struct rw_semaphore failure_locks[1 << FAILURE_LOCK_BITS];
static struct workqueue_struct *removal_wq;

struct removal {
	struct work_struct work;
	struct xfs_mount *mp;
};

struct rw_semaphore *live_failure_lock(const struct xfs_mount *mp)
{
	return &failure_locks[hash_ptr(mp, FAILURE_LOCK_BITS)];
}

void live_queue_removal(struct xfs_mount *mp, work_func_t fn)
{
	struct removal *r = kmalloc(sizeof(*r), GFP_NOFS | __GFP_NOFAIL);

	INIT_WORK(&r->work, fn);
	r->mp = mp;
	queue_work(removal_wq, &r->work);
}

struct xfs_mount *live_removal_mount(struct work_struct *work)
{
	struct removal *r = container_of(work, struct removal, work);
	struct xfs_mount *mp = r->mp;

	kfree(r);
	return mp;
}

/* ---- the live patch ---- */

static struct live_object *live_object_of(const struct klp_object *obj)
{
	return &live_objects[obj - klp_objects];
}

/* The stack of a function begins where the one of those on it that was last does. */
static void find_stacks(struct live_object *o)
{
	for (size_t i = 0; o->funcs[i].old_name; i++)
		o->stacks[i] = o->funcs[i].stack_node.prev;
}

/* For an object that is loaded later: when that has been patched. */
static void post_patch(struct klp_object *obj)
{
	find_stacks(live_object_of(obj));
	if (obj->name)
		return;
	/* the old code has run meanwhile, on devices that are still there */
	if (READ_ONCE(nr_users)) {
		pr_warn("was taken back with volumes in use: they stay without DAX\n");
		return;
	}
	live_forget_devices();
	WRITE_ONCE(live_complete, true);
	live_mark_pages(false);
	pr_info("this kernel can move and share pages under DAX now\n");
}

/* Before the first task is in the old code, or the module that is the object goes. */
static void pre_unpatch(struct klp_object *obj)
{
	struct live_object *o = live_object_of(obj);

	if (!obj->name) {
		WRITE_ONCE(live_complete, false);
		live_mark_pages(false);
	}
	for (size_t i = 0; i < MAX_FUNCS; i++)
		WRITE_ONCE(o->stacks[i], NULL);
}

/* Whether it makes a difference: it may go after it has come, or before. */
static bool note_coming(const struct module *mod, bool is_coming)
{
	unsigned int i = 0;
	bool changed = true;

	spin_lock(&coming_lock);
	while (i < nr_coming && coming[i] != mod)
		i++;
	if (is_coming && i == nr_coming && i < MAX_COMING)
		coming[nr_coming++] = mod;
	else if (!is_coming && i < nr_coming)
		coming[i] = coming[--nr_coming];
	else
		changed = false;
	spin_unlock(&coming_lock);
	return changed;
}

/*
 * One that replaces functions of ours, or all others' as a cumulative one does, does
 * not ask. It is on the functions' stacks from before its code runs.
 */
static int module_changes(struct notifier_block *nb, unsigned long state, void *data)
{
	struct module *mod = data;

	if (mod == THIS_MODULE || !is_livepatch_module(mod))
		return NOTIFY_OK;
	if (note_coming(mod, state == MODULE_STATE_COMING)) {
		live_ready();
		live_mark_pages(false);
	}
	return NOTIFY_OK;
}

static struct notifier_block module_notifier = { .notifier_call = module_changes };

/* A kernel of another build has other code, even where its version is the same. */
static int check_kernel(void)
{
	if (!strcmp(init_utsname()->release, UTS_RELEASE) &&
	    !strcmp(init_utsname()->version, UTS_VERSION))
		return 0;
	pr_err("built for the kernel %s %s, and this is %s %s\n", UTS_RELEASE,
	       UTS_VERSION, init_utsname()->release, init_utsname()->version);
	return -ENODEV;
}

static bool is_ours(const struct klp_object *obj, const char *function)
{
	for (size_t i = 0; i < ARRAY_SIZE(live_objects); i++) {
		const struct live_object *o = &live_objects[i];

		if (!o->name != !obj->name || (o->name && strcmp(o->name, obj->name)))
			continue;
		for (size_t j = 0; o->funcs[j].old_name; j++)
			if (!strcmp(o->funcs[j].old_name, function))
				return true;
	}
	return false;
}

/*
 * Ours would go on with what was fixed there taken back. Called with klp_mutex held: who
 * comes later is seen by live_ready().
 */
static int check_others(struct klp_object *unused)
{
	const struct klp_patch *other;
	const struct klp_object *obj;
	const struct klp_func *func;
	int ret = 0;

	list_for_each_entry(other, &klp_patches, list)
		for (obj = other->objs; obj->funcs && other != &patch; obj++)
			for (func = obj->funcs; func->old_name; func++)
				if (is_ours(obj, func->old_name)) {
					pr_err("the live patch %s has replaced %s() already\n",
					       other->mod->name, func->old_name);
					ret = -EBUSY;
				}
	return ret;
}

static int collect_functions(struct live_object *o, struct klp_object *obj)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(o->from) && o->from[i]; i++)
		for (const struct klp_func *f = o->from[i]; f->old_name; f++) {
			if (n == MAX_FUNCS - 1)
				return -E2BIG;
			o->funcs[n++] = *f;
		}
	obj->name = o->name;
	obj->funcs = o->funcs;
	if (!o->name)
		obj->callbacks.pre_patch = check_others;
	obj->callbacks.post_patch = post_patch;
	obj->callbacks.pre_unpatch = pre_unpatch;
	return 0;
}

static int __init live_init(void)
{
	int ret = check_kernel();

	for (size_t i = 0; i < ARRAY_SIZE(live_objects) && !ret; i++)
		ret = collect_functions(&live_objects[i], &klp_objects[i]);
	if (ret)
		return ret;
	for (size_t i = 0; i < ARRAY_SIZE(failure_locks); i++)
		init_rwsem(&failure_locks[i]);
	removal_wq = alloc_workqueue("dm-daxcow-dax", 0, 0);
	if (!removal_wq)
		return -ENOMEM;
	ret = register_module_notifier(&module_notifier);
	if (ret)
		goto out_wq;
	ret = klp_enable_patch(&patch);
	if (ret)
		goto out_notifier;
	return 0;

out_notifier:
	unregister_module_notifier(&module_notifier);
out_wq:
	destroy_workqueue(removal_wq);
	return ret;
}

static void __exit live_exit(void)
{
	unregister_module_notifier(&module_notifier);
	destroy_workqueue(removal_wq);
	/* a cumulative one takes ours away without a word */
	live_mark_pages(true);
}

module_init(live_init);
module_exit(live_exit);
MODULE_DESCRIPTION("Shared pages under DAX for the kernel that runs");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
