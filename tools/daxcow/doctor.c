// SPDX-License-Identifier: GPL-2.0
/*
 * daxcow doctor: why there is no DAX here, and what to do.
 *
 * It looks at the kernel, at the memory, and at each pool with its volumes, what is
 * stacked on these, and where they are mounted. It changes nothing, but that asking for
 * the target may load its module.
 */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <json-c/json.h>
#include "doctor.h"

static const char *const severities[] = {
	[SEVERITY_NOTE] = "note",
	[SEVERITY_WARNING] = "warning",
	[SEVERITY_PROBLEM] = "problem",
};

void doctor_found(struct doctor *d, enum severity level, const char *kind,
		  const char *subject, const char *remedy, const char *fmt, ...)
{
	struct json_object *o = json_object_new_object();
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_set_text(o, "severity", severities[level]);
	json_set_text(o, "kind", kind);
	json_set_text(o, "subject", subject);
	json_set_text(o, "text", text);
	json_set_text(o, "remedy", remedy);
	json_object_array_add(d->findings, o);
	if (level > d->worst)
		d->worst = level;
}

bool doctor_read(char *text, size_t size, const char *fmt, ...)
{
	char path[512];
	va_list ap;
	bool ret;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	f = fopen(path, "re");
	if (!f)
		return false;
	ret = fgets(text, size, f);
	fclose(f);
	if (ret)
		text[strcspn(text, "\n")] = 0;
	return ret;
}

int doctor_each(const char *dir, int (*fn)(const char *name, void *arg), void *arg)
{
	struct dirent *e;
	DIR *d = opendir(dir);
	int ret = 0;

	if (!d)
		return 0;
	while (!ret && (e = readdir(d)))
		if (e->d_name[0] != '.')
			ret = fn(e->d_name, arg);
	closedir(d);
	return ret;
}

int doctor_block(const char *name, struct block *b)
{
	unsigned int major, minor;
	char text[128];

	*b = (struct block) { };
	snprintf(b->name, sizeof(b->name), "%s", name);
	if (!doctor_read(text, sizeof(text), "/sys/class/block/%s/dev", name) ||
	    sscanf(text, "%u:%u", &major, &minor) != 2)
		return -ENODEV;
	b->dev = makedev(major, minor);
	/* a partition has the queue of its disk */
	b->dax = (doctor_read(text, sizeof(text), "/sys/class/block/%s/queue/dax", name) ||
		  doctor_read(text, sizeof(text), "/sys/class/block/%s/../queue/dax",
			      name)) && !strcmp(text, "1");
	b->read_only = doctor_read(text, sizeof(text), "/sys/class/block/%s/ro", name) &&
		       !strcmp(text, "1");
	if (doctor_read(text, sizeof(text), "/sys/class/block/%s/start", name))
		b->start = strtoull(text, NULL, 10);
	b->suspended = doctor_read(text, sizeof(text), "/sys/class/block/%s/dm/suspended",
				   name) && !strcmp(text, "1");
	doctor_read(b->dm_name, sizeof(b->dm_name), "/sys/class/block/%s/dm/name", name);
	return 0;
}

static const char *member(struct json_object *o, const char *key)
{
	return json_object_get_string(json_object_object_get(o, key));
}

static void print_findings(const struct doctor *d)
{
	size_t i, nr = json_object_array_length(d->findings);

	for (i = 0; i < nr; i++) {
		struct json_object *o = json_object_array_get_idx(d->findings, i);
		const char *remedy = member(o, "remedy");
		char *subject = text_shown(member(o, "subject"));
		/* with names in it that anybody may have chosen */
		char *text = text_shown(member(o, "text"));

		printf("%-8s %s: %s\n", member(o, "severity"),
		       subject ? subject : "", text ? text : "");
		if (remedy)
			printf("         -> %s\n", remedy);
		free(subject);
		free(text);
	}
	if (d->worst < SEVERITY_WARNING)
		puts("Nothing is in the way of DAX.");
}

int cmd_doctor(const struct args *a)
{
	static const enum exit_code codes[] = {
		[SEVERITY_NOTE] = EXIT_DONE,
		[SEVERITY_WARNING] = EXIT_WARNING,
		[SEVERITY_PROBLEM] = EXIT_PROBLEM,
	};
	struct doctor d = { .findings = json_object_new_array() };
	int rc;

	rc = geteuid() ? fail(EXIT_FAILED, "device-mapper and devices are asked, which takes root") :
			 doctor_kernel(&d);
	if (!rc)
		rc = doctor_memory(&d);
	if (!rc)
		rc = doctor_pools(&d);
	if (rc) {
		json_object_put(d.findings);
		return rc;
	}
	if (a->json)
		print_rows(a, "findings", json_object_get(d.findings), NULL);
	else
		print_findings(&d);
	json_object_put(d.findings);
	return codes[d.worst];
}
