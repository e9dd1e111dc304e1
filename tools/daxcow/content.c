// SPDX-License-Identifier: GPL-2.0
/*
 * What is on a device before a pool is written to it.
 */
#include <string.h>
#include <blkid/blkid.h>
#include "daxcow.h"
#include "media.h"

static blkid_probe probe_new(const struct media *m)
{
	blkid_probe probe = blkid_new_probe();

	if (!probe)
		return NULL;
	if (blkid_probe_set_device(probe, m->fd, 0, 0) ||
	    blkid_probe_enable_superblocks(probe, 1) ||
	    blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE |
					      BLKID_SUBLKS_MAGIC) ||
	    blkid_probe_enable_partitions(probe, 1) ||
	    blkid_probe_set_partitions_flags(probe, BLKID_PARTS_MAGIC)) {
		blkid_free_probe(probe);
		return NULL;
	}
	return probe;
}

/* XFS mounts without DAX where there is none; ext4 refuses to. */
static const char *ext4_options(blkid_probe probe, bool dax)
{
	const char *size;

	if (dax && !blkid_probe_lookup_value(probe, "BLOCK_SIZE", &size, NULL) &&
	    !strcmp(size, "4096"))
		return "ro,noload,dax=always";
	return "ro,noload";
}

const char *content_mount_options(const char *path, bool dax)
{
	blkid_probe probe = blkid_new_probe_from_filename(path);
	const char *type = NULL, *options = NULL;

	if (!probe)
		return NULL;
	if (!blkid_do_safeprobe(probe))
		blkid_probe_lookup_value(probe, "TYPE", &type, NULL);
	/* XFS also because a snapshot has the identity of its origin */
	if (type && !strcmp(type, "xfs"))
		options = dax ? "ro,norecovery,nouuid,dax=always" : "ro,norecovery,nouuid";
	else if (type && !strcmp(type, "ext4"))
		options = ext4_options(probe, dax);
	blkid_free_probe(probe);
	return options;
}

/* Refuse to destroy what is there; blkid does not know our pools. */
static int look_for_content(const struct media *m, blkid_probe probe)
{
	const char *type = NULL;
	struct daxcow_super super;

	if (!media_super(m, &super))
		return fail(EXIT_EXISTS,
			    "%s: there is a daxcow pool%s%s on it; use --force to destroy it",
			    m->path, super.label[0] ? " labelled " : "",
			    (char *)super.label);
	switch (blkid_do_safeprobe(probe)) {
	case 0:
		if (blkid_probe_lookup_value(probe, "TYPE", &type, NULL))
			blkid_probe_lookup_value(probe, "PTTYPE", &type, NULL);
		return fail(EXIT_EXISTS,
			    "%s: there is content of type %s on it; use --force to destroy it",
			    m->path, type ? type : "unknown");
	case 1:
		return EXIT_DONE;
	case -2:
		return fail(EXIT_EXISTS,
			    "%s: there is content of several types on it; use --force to destroy it",
			    m->path);
	default:
		return fail(EXIT_FAILED, "%s: cannot look for content on it; use --force to go on",
			    m->path);
	}
}

/* Or others would still find the old content, far behind the superblock. */
static void wipe_content(blkid_probe probe)
{
	int rounds = 100;

	while (rounds-- && !blkid_do_probe(probe))
		if (blkid_do_wipe(probe, 0))
			break;
}

int content_make_way(const struct media *m, bool force)
{
	blkid_probe probe = probe_new(m);
	int rc = EXIT_DONE;

	if (!probe && !force)
		return fail(EXIT_FAILED, "%s: cannot look for content on it",
			    m->path);
	if (!force)
		rc = look_for_content(m, probe);
	else if (probe)
		wipe_content(probe);
	if (probe)
		blkid_free_probe(probe);
	return rc;
}
