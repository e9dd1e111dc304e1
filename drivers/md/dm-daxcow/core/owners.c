// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptors: the owners of a block, as slots of the entries that name it.
 *
 * All under the pool's lock. Up to two owners are stored in the descriptor;
 * from the third on all are in a sorted array, so that finding one among many
 * (a node below a thousand snapshots) is a binary search.
 */
#include "internal.h"

#define ARRAY_MIN 8

static void desc_set_nr(struct desc *d, u64 nr)
{
	d->a = (d->a & ~(3ULL << DESC_NR_SHIFT)) | nr << DESC_NR_SHIFT;
}

static void desc_set_slot(struct desc *d, u64 slot)
{
	d->a = (d->a & ~DESC_SLOT_MASK) | slot;
}

/* Index of the first slot in @arr that is not below @slot. */
static u32 array_find(const struct owner_array *arr, u64 slot)
{
	const u64 *at = arr->slot + arr->first;
	u32 lo = 0, hi = arr->nr;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (at[mid] < slot)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void array_insert(struct owner_array *arr, u64 slot)
{
	u32 i = array_find(arr, slot);
	u64 *at = arr->slot + arr->first;

	if (arr->first && (i < arr->nr / 2 || arr->first + arr->nr == arr->cap)) {
		memmove(at - 1, at, i * sizeof(slot));
		arr->first--;
		at--;
	} else {
		memmove(at + i + 1, at + i, (arr->nr - i) * sizeof(slot));
	}
	at[i] = slot;
	arr->nr++;
}

static void array_remove(struct owner_array *arr, u32 i)
{
	u64 *at = arr->slot + arr->first;

	arr->nr--;
	if (i < arr->nr / 2) {
		memmove(at + 1, at, i * sizeof(*at));
		arr->first++;
	} else {
		memmove(at + i, at + i + 1, (arr->nr - i) * sizeof(*at));
	}
}

/* Whether it is there. */
static bool array_has(const struct owner_array *arr, u64 slot, u32 *i)
{
	*i = array_find(arr, slot);
	return *i < arr->nr && arr->slot[arr->first + *i] == slot;
}

static struct owner_array *array_alloc(u32 cap)
{
	struct owner_array *arr;

	arr = kvzalloc(sizeof(*arr) + cap * sizeof(u64), GFP_KERNEL);
	if (arr)
		arr->cap = cap;
	return arr;
}

u64 desc_owner(const struct desc *d, u32 i)
{
	const struct owner_array *arr = desc_array(d);

	if (arr)
		return arr->slot[arr->first + i];
	return i ? d->b : d->a & DESC_SLOT_MASK;
}

/* An array with room for @cap owners instead of what there is. */
static int array_enlarge(struct desc *d, u32 cap)
{
	struct owner_array *arr = desc_array(d), *bigger;
	u32 i, nr = desc_owners(d);

	bigger = array_alloc(cap);
	if (!bigger)
		return -ENOMEM;
	for (i = 0; i < nr; i++)
		array_insert(bigger, desc_owner(d, i));
	kvfree(arr);
	desc_set_slot(d, 0);
	desc_set_nr(d, DESC_NR_ARRAY);
	d->b = (uintptr_t)bigger;
	return 0;
}

static int array_add(struct desc *d, u64 slot)
{
	struct owner_array *arr = desc_array(d);
	int ret = 0;

	if (!arr || arr->nr == arr->cap)
		ret = array_enlarge(d, arr ? arr->cap * 2 : ARRAY_MIN);
	if (!ret)
		array_insert(desc_array(d), slot);
	return ret;
}

/* Returns 0 or -ENOMEM, with nothing changed. */
int desc_owner_add(struct desc *d, u64 slot)
{
	u32 nr = desc_owners(d);

	if (nr >= 2 || desc_array(d))
		return array_add(d, slot);
	if (nr)
		d->b = slot;
	else
		desc_set_slot(d, slot);
	desc_set_nr(d, nr + 1);
	return 0;
}

/*
 * See that @nr more owners can be added without fail. One who goes away before may
 * take the room back. Returns 0 or -ENOMEM.
 */
int desc_owner_reserve(struct desc *d, u32 nr)
{
	struct owner_array *arr = desc_array(d);
	u32 cap = ARRAY_MIN;

	nr += desc_owners(d);
	if (nr <= 2 || (arr && nr <= arr->cap))
		return 0;
	while (cap < nr)
		cap *= 2;
	return array_enlarge(d, cap);
}

static bool array_del(struct desc *d, u64 slot)
{
	struct owner_array *arr = desc_array(d);
	u64 a, b;
	u32 i;

	if (!array_has(arr, slot, &i))
		return false;
	array_remove(arr, i);
	if (arr->nr > 2)
		return true;
	/* an array that was made for more than came may have fewer */
	a = arr->nr ? desc_owner(d, 0) : 0;
	b = arr->nr == 2 ? desc_owner(d, 1) : 0;
	desc_set_slot(d, a);
	desc_set_nr(d, arr->nr);
	d->b = b;
	kvfree(arr);
	return true;
}

bool desc_owner_has(const struct desc *d, u64 slot)
{
	const struct owner_array *arr = desc_array(d);
	u32 i, nr = desc_owners(d);

	if (arr)
		return array_has(arr, slot, &i);
	for (i = 0; i < nr; i++)
		if (desc_owner(d, i) == slot)
			return true;
	return false;
}

/* Never fails to take away what is there; false when it is not. */
bool desc_owner_del(struct desc *d, u64 slot)
{
	u32 nr = desc_owners(d);

	if (desc_array(d))
		return array_del(d, slot);
	if (nr == 2 && d->b == slot) {
		desc_set_nr(d, 1);
		return true;
	}
	if (!nr || (d->a & DESC_SLOT_MASK) != slot)
		return false;
	desc_set_slot(d, nr == 2 ? d->b : 0);
	desc_set_nr(d, nr - 1);
	return true;
}

/* The same owner under another address: nobody leaves, nothing can fail. */
void desc_owner_move(struct desc *d, u64 from, u64 to)
{
	struct owner_array *arr = desc_array(d);
	u32 i;

	if (arr) {
		if (!array_has(arr, from, &i))
			return;
		array_remove(arr, i);
		array_insert(arr, to);
	} else if (desc_owners(d) == 2 && d->b == from) {
		d->b = to;
	} else if (desc_owners(d) && (d->a & DESC_SLOT_MASK) == from) {
		desc_set_slot(d, to);
	}
}

/* Returns 0 or -ENOMEM. */
int desc_copy(struct desc *to, const struct desc *from)
{
	const struct owner_array *arr = desc_array(from);
	struct owner_array *copy;

	*to = *from;
	if (!arr)
		return 0;
	copy = array_alloc(arr->cap);
	if (!copy) {
		memset(to, 0, sizeof(*to));
		return -ENOMEM;
	}
	memcpy(copy->slot, arr->slot + arr->first, arr->nr * sizeof(u64));
	copy->nr = arr->nr;
	to->b = (uintptr_t)copy;
	return 0;
}

void desc_drop(struct desc *d)
{
	kvfree(desc_array(d));
	memset(d, 0, sizeof(*d));
}

void desc_pending_add(struct desc *d)
{
	d->a += 1ULL << DESC_PENDING_SHIFT;
}

void desc_pending_del(struct desc *d)
{
	d->a -= 1ULL << DESC_PENDING_SHIFT;
}
