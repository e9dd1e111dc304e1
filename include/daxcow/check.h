/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What can be wrong with a pool, and one way to say where.
 */
#ifndef DAXCOW_CHECK_H
#define DAXCOW_CHECK_H

#include <linux/types.h>

/* name, sentence for people */
#define DAXCOW_BAD_KINDS(X)						\
	X(NONE,		"nothing is wrong")				\
	X(MAGIC,	"not a daxcow pool (no magic number)")		\
	X(VERSION,	"made by another version of the format")	\
	X(FEATURE,	"uses a feature that this version does not know") \
	X(GEOMETRY,	"superblock has an impossible geometry")	\
	X(SUPER_CRC,	"superblock checksum does not match")		\
	X(TRUNCATED,	"pool is larger than its device")		\
	X(CHECK,	"entry check does not match")			\
	X(TYPE,		"entry type is not allowed here")		\
	X(LEVEL,	"entry level is not allowed here")		\
	X(RESERVED,	"entry has reserved bits set")			\
	X(RANGE,	"block number is outside of the pool or reserved") \
	X(ALIGN,	"chunk is not aligned")				\
	X(REUSE,	"block is used for two purposes")		\
	X(RECORD,	"volume record is damaged")			\
	X(RECORD_ID,	"volume record has another id than its place")	\
	X(ID,		"volume has an id that none can have")		\
	X(ZERO,		"zero chunk is not zero")			\
	X(BACKUP,	"backup superblock is damaged")			\
	X(READ,		"memory error while reading")			\
	X(OWNERS,	"reverse map and tables disagree")		\
	X(SPACE,	"free space and tables disagree")

enum daxcow_bad {
#define X(name, text) DAXCOW_BAD_##name,
	DAXCOW_BAD_KINDS(X)
#undef X
};

/**
 * struct daxcow_report - the first thing that was found wrong
 * @bad:	what
 * @block:	block of the pool that it was found in
 * @index:	8-byte word in that block
 * @level:	level of the entry, or -1
 * @volume:	id of the volume that was being walked, or ~0
 * @value:	what was read there
 */
struct daxcow_report {
	enum daxcow_bad bad;
	int level;
	__u64 block;
	__u32 index;
	__u32 volume;
	__u64 value;
};

/* Short name ("CHECK") and sentence of @bad; never NULL. */
const char *daxcow_bad_name(enum daxcow_bad bad);
const char *daxcow_bad_text(enum daxcow_bad bad);

#endif /* DAXCOW_CHECK_H */
