// SPDX-License-Identifier: GPL-2.0
/*
 * Entries: 8 bytes that say where something is and prove that they belong
 * where they stand.
 *
 * The check is a CRC over value and slot. A CRC is linear: it is the sum (XOR) of
 * what each of their bytes adds to it, which is looked up in a table. So the entries of
 * a node that is copied all change by the same bits, and their sum has the check that
 * it should have.
 */
#include "internal.h"

static u16 crc_byte(u16 crc, u8 byte)
{
	int i;

	crc ^= (u16)byte << 8;
	for (i = 0; i < 8; i++)
		crc = (u16)(crc << 1) ^ (crc & 0x8000 ? DAXCOW_ENTRY_CRC_POLY : 0);
	return crc;
}

static u16 *crc_entry(struct entry_crc *crc, unsigned int pos,
		      unsigned int byte)
{
	return pos < 6 ? &crc->value[pos][byte] : &crc->slot[pos - 6][byte];
}

/* The CRC's message is the value's bytes, then the slot's, low byte first. */
void entry_crc_init(struct entry_crc *crc, const u8 *uuid)
{
	unsigned int pos, byte;
	u16 seed = 0xffff;

	for (pos = 0; pos < DAXCOW_UUID_SIZE; pos++)
		seed = crc_byte(seed, uuid[pos]);
	for (pos = 0; pos < 12; pos++)
		seed = crc_byte(seed, 0);
	crc->seed = seed;

	/* of single bits; all else is a sum of these */
	for (byte = 1; byte < 256; byte <<= 1) {
		u16 c = crc_byte(0, byte);

		for (pos = 12; pos-- > 0; c = crc_byte(c, 0))
			*crc_entry(crc, pos, byte) = c;
	}
	for (pos = 0; pos < 12; pos++)
		for (byte = 0; byte < 256; byte++)
			*crc_entry(crc, pos, byte) =
				*crc_entry(crc, pos, byte & (byte - 1)) ^
				*crc_entry(crc, pos, byte & -byte);
}

static inline u16 crc_slot(const struct entry_crc *crc, u64 slot)
{
	return crc->slot[0][slot & 255] ^ crc->slot[1][slot >> 8 & 255] ^
	       crc->slot[2][slot >> 16 & 255] ^ crc->slot[3][slot >> 24 & 255] ^
	       crc->slot[4][slot >> 32 & 255] ^ crc->slot[5][slot >> 40 & 255];
}

static inline u16 crc_value(const struct entry_crc *crc, u64 v)
{
	return crc->value[0][v & 255] ^ crc->value[1][v >> 8 & 255] ^
	       crc->value[2][v >> 16 & 255] ^ crc->value[3][v >> 24 & 255] ^
	       crc->value[4][v >> 32 & 255] ^ crc->value[5][v >> 40 & 255];
}

u64 entry_encode(const struct entry_crc *crc, u64 slot, struct entry e)
{
	u64 v = e.block | (u64)e.level << DAXCOW_ENTRY_LEVEL_SHIFT |
		(u64)e.type << DAXCOW_ENTRY_TYPE_SHIFT;
	u16 check = crc->seed ^ crc_value(crc, v) ^ crc_slot(crc, slot);

	return v | (u64)check << DAXCOW_ENTRY_CHECK_SHIFT;
}

bool entry_check(const struct entry_crc *crc, u64 slot, u64 raw)
{
	u64 v = raw & DAXCOW_ENTRY_VALUE_MASK;

	return (u16)(crc->seed ^ crc_value(crc, v) ^ crc_slot(crc, slot)) ==
	       raw >> DAXCOW_ENTRY_CHECK_SHIFT;
}

/* What an entry changes by when what it names is named at another slot. */
u64 entry_moved(const struct entry_crc *crc, u64 from, u64 to)
{
	return (u64)crc_slot(crc, from ^ to) << DAXCOW_ENTRY_CHECK_SHIFT;
}

/*
 * Check many entries of a block at once: @sum and @index are the sums (XOR) of them and
 * of their indices, @odd tells whether their number is. One that is damaged is seen as
 * by entry_check(), several as by one check for all of them.
 */
bool entries_check(const struct entry_crc *crc, u64 block, u64 sum,
		   unsigned int index, bool odd)
{
	u64 slots = odd ? slot_of(block, index) : index;
	u16 check = crc_value(crc, sum & DAXCOW_ENTRY_VALUE_MASK) ^
		    crc_slot(crc, slots);

	return (u16)(check ^ (odd ? crc->seed : 0)) ==
	       sum >> DAXCOW_ENTRY_CHECK_SHIFT;
}

static const struct {
	const char *name, *text;
} bad_kinds[] = {
#define X(name, text) { #name, text },
	DAXCOW_BAD_KINDS(X)
#undef X
};

const char *daxcow_bad_name(enum daxcow_bad bad)
{
	return bad < ARRAY_SIZE(bad_kinds) ? bad_kinds[bad].name : "UNKNOWN";
}

const char *daxcow_bad_text(enum daxcow_bad bad)
{
	return bad < ARRAY_SIZE(bad_kinds) ? bad_kinds[bad].text :
					     "unknown damage";
}
