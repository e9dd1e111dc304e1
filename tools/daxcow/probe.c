// SPDX-License-Identifier: GPL-2.0
/*
 * daxcow probe: what udev is told of a device. What it reads may have been written by
 * anybody: what is printed can be parsed, whatever that is.
 */
#include <stdio.h>
#include <string.h>
#include <json-c/json.h>
#include <uuid/uuid.h>
#include "daxcow.h"
#include "media.h"

static int show(const struct args *a, const struct media *m)
{
	struct daxcow_super super;
	char uuid[UUID_STR_LEN];
	const char *label = (char *)super.label;
	struct json_object *o;
	int err = media_super(m, &super);

	if (err)
		return fail_errno(-err, "%s", m->path);
	if (media_must_be_whole(m, &super))
		return EXIT_DAMAGED;
	/* one that "start" would not take: no line breaks, no options */
	if (*label && name_check("label", label))
		return EXIT_DAMAGED;
	uuid_unparse_lower(super.uuid, uuid);
	if (!a->json) {
		printf("DAXCOW_UUID=%s\nDAXCOW_LABEL=%s\n", uuid, label);
		return EXIT_DONE;
	}
	o = json_object_new_object();
	json_set_text(o, "uuid", uuid);
	json_set_text(o, "label", label);
	return print_record(a, "pool", o, NULL);
}

int cmd_probe(const struct args *a)
{
	struct media m;
	int rc = media_open(&m, a->word[0], MEDIA_SHARED);

	if (rc)
		return rc;
	rc = show(a, &m);
	media_close(&m);
	return rc;
}
