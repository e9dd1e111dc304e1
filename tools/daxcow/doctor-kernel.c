// SPDX-License-Identifier: GPL-2.0
/*
 * daxcow doctor: the kernel, the live patch, and the module.
 */
#include <ctype.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "dm.h"
#include "doctor.h"

#define LIVE_MODULE	"dm-daxcow-dax"
#define LIVE_PATCHES	"/sys/kernel/livepatch"
#define LIVE		LIVE_PATCHES "/dm_daxcow_dax"

/* As README and docs/livepatch.md say. */
#define INSTALL		"install daxcow-dkms and the headers and linux-source-6.12 of this kernel; dpkg-reconfigure daxcow-dkms says why a module could not be built"

enum where {
	NOWHERE,
	IN_KERNEL,
	IN_MODULE,
};

/* Where the function is that stands for all of the series. */
static enum where find_series(void)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	enum where where = NOWHERE;
	char *line = NULL;
	size_t size = 0;

	while (f && where == NOWHERE && getline(&line, &size, f) > 0)
		if (strstr(line, " dax_remaps_get"))
			where = strchr(line, '[') ? IN_MODULE : IN_KERNEL;
	free(line);
	if (f)
		fclose(f);
	return where;
}

/* Whether depmod knows a module; names are written with - or with _. */
static bool module_installed(const char *release, const char *name)
{
	char path[512], *line = NULL;
	bool found = false;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/lib/modules/%s/modules.dep", release);
	f = fopen(path, "re");
	while (f && !found && getline(&line, &size, f) > 0) {
		char *base;

		line[strcspn(line, ":")] = 0;
		base = strrchr(line, '/');
		found = !strncmp(base ? base + 1 : line, name, strlen(name)) &&
			(base ? base + 1 : line)[strlen(name)] == '.';
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

static bool locked_down(void)
{
	char text[64];

	return doctor_read(text, sizeof(text), "/sys/kernel/security/lockdown") &&
	       !strstr(text, "[none]");
}

/* What else keeps a module from being loaded that is there. */
static const char *how_to_load(const char *release, const char *name, const char *command)
{
	if (!module_installed(release, name))
		return INSTALL;
	return locked_down() ?
	       "enrol the key that DKMS signs with (mokutil --import /var/lib/dkms/mok.pub, then reboot): this kernel is locked down" :
	       command;
}

/* ---- the transition: tasks that are in the old code ---- */

struct tasks {
	char text[256];
	unsigned int nr;
	const char *pid;
};

static int look_at_task(const char *tid, void *arg)
{
	struct tasks *t = arg;
	char state[16], comm[32];
	size_t n = strlen(t->text);

	if (!doctor_read(state, sizeof(state), "/proc/%s/task/%s/patch_state", t->pid, tid) ||
	    strcmp(state, "0"))
		return 0;
	t->nr++;
	if (doctor_read(comm, sizeof(comm), "/proc/%s/task/%s/comm", t->pid, tid))
		snprintf(t->text + n, sizeof(t->text) - n, "%s%s (%s)", n ? ", " : "", tid,
			 comm);
	return 0;
}

static int look_at_process(const char *name, void *arg)
{
	struct tasks *t = arg;
	char dir[64];

	if (!isdigit((unsigned char)name[0]))
		return 0;
	snprintf(dir, sizeof(dir), "/proc/%.20s/task", name);
	t->pid = name;
	doctor_each(dir, look_at_task, t);
	return t->nr > 3;
}

static void found_transition(struct doctor *d, bool coming)
{
	struct tasks t = { };

	if (coming)
		doctor_each("/proc", look_at_process, &t);
	doctor_found(d, SEVERITY_PROBLEM, "live-patch-transition", LIVE_MODULE,
		     "wait, or end the tasks that are named: volumes get DAX when they are activated after it",
		     "%s%s%s", coming ? "not all tasks are in the new code yet" :
		     "the live patch is being taken back",
		     t.nr ? ": " : "", t.text);
}

/* ---- other live patches ---- */

/**
 * struct overlap - what another live patch replaces as well
 * @other:	its name
 * @object:	the kernel, vmlinux, or the module that is looked at
 * @text:	what was found
 */
struct overlap {
	const char *other, *object;
	char text[256];
};

/* A function, as NAME,POSITION, that both have. */
static int same_function(const char *name, void *arg)
{
	struct overlap *o = arg;
	char path[512];

	snprintf(path, sizeof(path), LIVE "/%.64s/%.200s", o->object, name);
	/* of a module that is not there the position is not known */
	if (!strchr(name, ',') || access(path, F_OK))
		return 0;
	snprintf(o->text, sizeof(o->text), "%.100s has replaced %.*s()", o->other,
		 (int)strcspn(name, ","), name);
	return 1;
}

static int look_at_object(const char *name, void *arg)
{
	struct overlap *o = arg;
	char dir[512];

	o->object = name;
	snprintf(dir, sizeof(dir), LIVE_PATCHES "/%.200s/%.64s", o->other, name);
	return doctor_each(dir, same_function, arg);
}

static int look_at_patch(const char *name, void *arg)
{
	struct overlap *o = arg;
	char dir[512];

	if (!strcmp(name, "dm_daxcow_dax"))
		return 0;
	o->other = name;
	snprintf(dir, sizeof(dir), LIVE_PATCHES "/%.200s", name);
	return doctor_each(dir, look_at_object, arg);
}

static bool live_patch_works(struct doctor *d)
{
	struct overlap overlap = { };
	char enabled[8], text[8];

	if (!doctor_read(enabled, sizeof(enabled), LIVE "/enabled")) {
		doctor_found(d, SEVERITY_PROBLEM, "live-patch-gone", LIVE_MODULE,
			     "deactivate the volumes, rmmod dm-daxcow-dax, and load it again",
			     "the live patch was taken back, or replaced by another one");
		return false;
	}
	if (doctor_read(text, sizeof(text), LIVE "/transition") && !strcmp(text, "1")) {
		found_transition(d, !strcmp(enabled, "1"));
		return false;
	}
	if (doctor_each(LIVE_PATCHES, look_at_patch, &overlap)) {
		doctor_found(d, SEVERITY_PROBLEM, "live-patch-replaced", LIVE_MODULE,
			     "take the other one back; then deactivate the volumes and load dm-daxcow-dax again",
			     "%s, which the live patch needs", overlap.text);
		return false;
	}
	if (!doctor_read(text, sizeof(text), "/sys/module/dm_daxcow_dax/parameters/ready") ||
	    strcmp(text, "Y")) {
		doctor_found(d, SEVERITY_PROBLEM, "live-patch-off", LIVE_MODULE,
			     "deactivate the volumes, echo 0 >" LIVE "/enabled, rmmod dm-daxcow-dax, and load it again",
			     "another live patch had replaced functions of the live patch for a time");
		return false;
	}
	return true;
}

#define LIVE_TRIES	300	/* of 100 ms */

void doctor_wait_for_live_patch(void)
{
	static int tries;
	char text[8];

	while (tries < LIVE_TRIES &&
	       doctor_read(text, sizeof(text), LIVE "/transition") && !strcmp(text, "1")) {
		progress("waiting for the live patch");
		usleep(100000);
		tries++;
	}
	progress_end();
}

static void found_no_series(struct doctor *d, const char *release)
{
	if (strncmp(release, "6.12.", 5))
		doctor_found(d, SEVERITY_PROBLEM, "kernel-version", "kernel",
			     "boot a kernel 6.12 (Debian 13, or bookworm-backports)",
			     "this is %s, and the live patch is for 6.12", release);
	else if (access(LIVE_PATCHES, F_OK))
		doctor_found(d, SEVERITY_PROBLEM, "kernel-no-livepatch", "kernel",
			     "boot Debian's kernel, or one with patches/linux-6.12",
			     "%s is built without CONFIG_LIVEPATCH and without daxcow's patches",
			     release);
	else
		doctor_found(d, SEVERITY_PROBLEM, "live-patch-missing", "kernel",
			     how_to_load(release, LIVE_MODULE, "modprobe dm-daxcow-dax"),
			     "the live patch dm-daxcow-dax is not loaded, so volumes are plain block devices");
}

/* Who loads the target, as "start" has the kernel do, has the live patch loaded before it. */
static bool will_be_loaded(const char *release)
{
	return !strncmp(release, "6.12.", 5) && !access(LIVE_PATCHES, F_OK) &&
	       !locked_down() && module_installed(release, "dm-daxcow") &&
	       module_installed(release, LIVE_MODULE);
}

int doctor_kernel(struct doctor *d)
{
	bool known = dm_target_known(DM_VOLUME_TARGET);
	struct utsname uts;

	if (uname(&uts))
		return fail_errno(errno, "uname");
	if (!known && find_series() == NOWHERE && will_be_loaded(uts.release)) {
		d->kernel_can = true;
		doctor_found(d, SEVERITY_NOTE, "modules-to-come", "kernel", NULL,
			     "dm-daxcow and dm-daxcow-dax are loaded when the first pool is started");
		return EXIT_DONE;
	}
	switch (find_series()) {
	case IN_KERNEL:
		d->kernel_can = true;
		break;
	case IN_MODULE:
		d->kernel_can = live_patch_works(d);
		break;
	case NOWHERE:
		found_no_series(d, uts.release);
		break;
	}
	if (!known)
		doctor_found(d, SEVERITY_PROBLEM, "module-missing", "dm-daxcow",
			     how_to_load(uts.release, "dm-daxcow", "modprobe dm-daxcow"),
			     "device-mapper does not know the target %s", DM_VOLUME_TARGET);
	return EXIT_DONE;
}
