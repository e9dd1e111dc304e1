/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The daxcow media format.
 *
 * A pool is one device, cut into blocks of 4 KiB that are numbered from 0.
 * All integers are little endian.
 *
 *   block 0                  superblock
 *   block NODE_ENTRIES - 1   backup of the superblock's fixed part
 *   zero chunk               one chunk of zeroes, what unmapped blocks read as
 *   the rest                 nodes, volume records and data, in any order
 *
 * Everything that changes is an *entry*: one aligned 8-byte word that is
 * replaced by one store. Nodes are arrays of entries without a header. The
 * superblock's directory entry points to a tree of directory nodes that is
 * indexed by volume id; its leaves point to volume records; the root entry of
 * a record points to a tree of nodes that is indexed by block of the volume.
 * A chunk is NODE_ENTRIES blocks (2 MiB). A level 1 entry of a volume's tree
 * may map a whole chunk.
 *
 * What is not reachable from the superblock is free. Neither free space nor
 * owner counts nor the reverse map are stored.
 */
#ifndef DAXCOW_FORMAT_H
#define DAXCOW_FORMAT_H

#include <linux/types.h>

#define DAXCOW_BLOCK_SHIFT	12
#define DAXCOW_BLOCK_SIZE	(1U << DAXCOW_BLOCK_SHIFT)

/*
 * Entries per node. Only tests build with another value: small nodes give
 * deep trees with few entries. It is part of the superblock, so that a pool
 * of one kind is refused by the other.
 */
#ifndef DAXCOW_NODE_SHIFT
#define DAXCOW_NODE_SHIFT	9
#endif
#define DAXCOW_NODE_ENTRIES	(1U << DAXCOW_NODE_SHIFT)
#define DAXCOW_CHUNK_BLOCKS	DAXCOW_NODE_ENTRIES

/* Highest level of a volume's root node: 4 levels of 512 reach 256 TiB. */
#define DAXCOW_MAX_LEVEL	3
#define DAXCOW_MAX_VOLUME_BLOCKS \
	(1ULL << (DAXCOW_NODE_SHIFT * (DAXCOW_MAX_LEVEL + 1)))

/* Level of the directory's root node; volume ids have 24 bits as in dm-thin. */
#define DAXCOW_DIR_LEVEL	2
#if DAXCOW_NODE_SHIFT * (DAXCOW_DIR_LEVEL + 1) < 24
#define DAXCOW_MAX_ID	((1U << (DAXCOW_NODE_SHIFT * (DAXCOW_DIR_LEVEL + 1))) - 1)
#else
#define DAXCOW_MAX_ID	((1U << 24) - 1)
#endif

/*
 * An entry. An unused one is 0.
 *
 *    0..35  block number, or a value
 *   36..38  level: of the node that is pointed to; 0 or 1 for data (4 KiB or
 *           a chunk); 0 otherwise
 *   39..41  type
 *   42..47  reserved, 0
 *   48..63  check over bits 0..47, the entry's own address and the pool
 *
 * The address is block * NODE_SLOTS + index of the 8-byte word in the pool.
 * The check is a CRC-16, so that every single flipped bit is seen, and a
 * stale or misplaced entry passes once in 65536.
 */
#define DAXCOW_ENTRY_BLOCK_BITS	36
#define DAXCOW_ENTRY_BLOCK_MASK	((1ULL << DAXCOW_ENTRY_BLOCK_BITS) - 1)
#define DAXCOW_ENTRY_LEVEL_SHIFT 36
#define DAXCOW_ENTRY_TYPE_SHIFT	39
#define DAXCOW_ENTRY_RSVD_MASK	(0x3fULL << 42)
#define DAXCOW_ENTRY_CHECK_SHIFT 48
#define DAXCOW_ENTRY_VALUE_MASK	((1ULL << 48) - 1)

/* CRC-16/CCITT; the initial value is the CRC of the pool's uuid from 0xffff. */
#define DAXCOW_ENTRY_CRC_POLY	0x1021

enum daxcow_entry_type {
	DAXCOW_ENTRY_NONE	= 0,
	DAXCOW_ENTRY_DATA	= 1,	/* block, or chunk at level 1 */
	DAXCOW_ENTRY_NODE	= 2,	/* node of a volume's tree */
	DAXCOW_ENTRY_DIR	= 3,	/* node of the directory */
	DAXCOW_ENTRY_RECORD	= 4,	/* volume record */
	DAXCOW_ENTRY_SIZE	= 5,	/* the pool's size in blocks */
	DAXCOW_ENTRY_TRANS	= 6,	/* user space's transaction id */
};

/* 8-byte words in a block: what an entry's address counts in. */
#define DAXCOW_SLOT_SHIFT	9
#define DAXCOW_NODE_SLOTS	(1U << DAXCOW_SLOT_SHIFT)

#define DAXCOW_SUPER_BLOCK	0
#define DAXCOW_BACKUP_BLOCK	(DAXCOW_NODE_ENTRIES - 1)
#define DAXCOW_SUPER_MAGIC	0x31574f4358414444ULL	/* "DDAXCOW1" */
#define DAXCOW_VERSION		1

/* Features: unknown bits of the first kind are ignored, of the second open
 * the pool read-only, of the third refuse it. None is defined yet.
 */
#define DAXCOW_COMPAT_KNOWN	0ULL
#define DAXCOW_RO_COMPAT_KNOWN	0ULL
#define DAXCOW_INCOMPAT_KNOWN	0ULL

#define DAXCOW_UUID_SIZE	16
#define DAXCOW_NAME_SIZE	64	/* with the terminating NUL */

/**
 * struct daxcow_super - block 0; the fixed part also in DAXCOW_BACKUP_BLOCK
 * @magic:	DAXCOW_SUPER_MAGIC
 * @version:	DAXCOW_VERSION; a change of it is incompatible
 * @block_shift: DAXCOW_BLOCK_SHIFT
 * @node_shift:	DAXCOW_NODE_SHIFT
 * @chunk_offset: first block of a chunk, below NODE_ENTRIES: makes chunks
 *		lie at physical addresses that are multiples of their size,
 *		also when the pool is a partition or a logical volume
 * @compat:	feature bits that an old reader may ignore
 * @ro_compat:	feature bits that an old reader may read but not write
 * @incompat:	feature bits that an old reader must refuse
 * @created:	seconds since 1970
 * @uuid:	of the pool; seeds every entry's check
 * @label:	for people, NUL terminated
 * @crc:	CRC32C of the bytes before it, initial value ~0, not inverted
 * @directory:	entry of the directory's root node (not part of @crc)
 * @size:	entry with the pool's size in blocks
 * @trans:	entry with user space's transaction id
 */
struct daxcow_super {
	__le64 magic;
	__le32 version;
	__le16 block_shift;
	__le16 node_shift;
	__le64 chunk_offset;
	__le64 compat;
	__le64 ro_compat;
	__le64 incompat;
	__le64 created;
	__u8 uuid[DAXCOW_UUID_SIZE];
	__u8 label[DAXCOW_NAME_SIZE];
	__u8 pad[116];
	__le32 crc;
	__u8 pad2[256];
	/* a cache line of its own: what changes */
	__le64 directory;
	__le64 size;
	__le64 trans;
	__u8 pad3[4096 - 536];
};

#define DAXCOW_SUPER_FIXED	__builtin_offsetof(struct daxcow_super, crc)
#define DAXCOW_SLOT_DIRECTORY	(__builtin_offsetof(struct daxcow_super, directory) / 8)
#define DAXCOW_SLOT_SIZE	(__builtin_offsetof(struct daxcow_super, size) / 8)
#define DAXCOW_SLOT_TRANS	(__builtin_offsetof(struct daxcow_super, trans) / 8)

#define DAXCOW_RECORD_MAGIC	0x4345525743584144ULL	/* "DAXCWREC" */
#define DAXCOW_NO_ORIGIN	0xffffffffU

/**
 * struct daxcow_record - one volume; written once, but for its root entry
 * @magic:	DAXCOW_RECORD_MAGIC
 * @id:		volume id, also its index in the directory
 * @origin:	id of the volume that this is a snapshot of, or DAXCOW_NO_ORIGIN
 * @size:	in blocks; 0 leaves it to the device-mapper table
 * @created:	seconds since 1970
 * @uuid:	of the volume
 * @name:	for people, NUL terminated, may be empty
 * @domain:	share domain: blocks are merged only with others of the same one
 * @crc:	CRC32C of the bytes before it, initial value ~0, not inverted
 * @root:	entry of the root node, or 0 (not part of @crc)
 */
struct daxcow_record {
	__le64 magic;
	__le32 id;
	__le32 origin;
	__le64 size;
	__le64 created;
	__u8 uuid[DAXCOW_UUID_SIZE];
	__u8 name[DAXCOW_NAME_SIZE];
	__le32 domain;
	__u8 pad[136];
	__le32 crc;
	__le64 root;
	__u8 pad2[4096 - 264];
};

#define DAXCOW_RECORD_FIXED	__builtin_offsetof(struct daxcow_record, crc)
#define DAXCOW_SLOT_ROOT	(__builtin_offsetof(struct daxcow_record, root) / 8)

_Static_assert(sizeof(struct daxcow_super) == 4096, "superblock is a block");
_Static_assert(sizeof(struct daxcow_record) == 4096, "record is a block");
_Static_assert(__builtin_offsetof(struct daxcow_super, crc) == 252, "format");
_Static_assert(__builtin_offsetof(struct daxcow_super, directory) == 512, "format");
_Static_assert(__builtin_offsetof(struct daxcow_record, crc) == 252, "format");
_Static_assert(__builtin_offsetof(struct daxcow_record, root) == 256, "format");

#endif /* DAXCOW_FORMAT_H */
