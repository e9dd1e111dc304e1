/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Entries, as they are stored and decoded: see entry.c. A part of internal.h.
 */
#ifndef DAXCOW_WORDS_H
#define DAXCOW_WORDS_H

/**
 * struct entry - a decoded entry
 */
struct entry {
	enum daxcow_entry_type type;
	int level;
	u64 block;
};

/* One table per byte of value and slot: the lookups do not wait for each other. */
struct entry_crc {
	u16 value[6][256];
	u16 slot[6][256];
	u16 seed;
};

void entry_crc_init(struct entry_crc *crc, const u8 *uuid);
u64 entry_encode(const struct entry_crc *crc, u64 slot, struct entry e);
bool entry_check(const struct entry_crc *crc, u64 slot, u64 raw);
u64 entry_moved(const struct entry_crc *crc, u64 from, u64 to);
bool entries_check(const struct entry_crc *crc, u64 block, u64 sum,
		   unsigned int index, bool odd);

static inline struct entry entry_decode(u64 raw)
{
	return (struct entry) {
		.type = raw >> DAXCOW_ENTRY_TYPE_SHIFT & 7,
		.level = raw >> DAXCOW_ENTRY_LEVEL_SHIFT & 7,
		.block = raw & DAXCOW_ENTRY_BLOCK_MASK,
	};
}

static inline bool is_chunk(struct entry e)
{
	return e.type == DAXCOW_ENTRY_DATA && e.level == 1;
}

static inline u64 slot_of(u64 block, unsigned int index)
{
	return block << DAXCOW_SLOT_SHIFT | index;
}

static inline u64 slot_block(u64 slot)
{
	return slot >> DAXCOW_SLOT_SHIFT;
}

static inline unsigned int slot_index(u64 slot)
{
	return slot & (DAXCOW_NODE_SLOTS - 1);
}

#endif /* DAXCOW_WORDS_H */
