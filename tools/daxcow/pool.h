/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A started pool and its volumes, as the kernel describes them.
 */
#ifndef DAXCOW_TOOL_POOL_H
#define DAXCOW_TOOL_POOL_H

#include <stdio.h>
#include "daxcow.h"
#include <daxcow/format.h>
#include "dm.h"

#define UUID_TEXT 37

/**
 * struct volume - one volume
 * @origin:	id, or DAXCOW_NO_ORIGIN
 * @size:	in bytes, 0 when only a table knows
 * @domain:	share domain
 * @name:	may be empty
 * @open:	it is active, or about to be
 * @device:	name of its active device, or empty; see volume_find_device()
 * @chosen:	named on the command line
 */
struct volume {
	u32 id, origin, domain;
	u64 size, created;
	unsigned int open;
	char uuid[UUID_TEXT];
	char name[DAXCOW_NAME_SIZE];
	char device[DM_NAME_SIZE];
	bool chosen;
};

/**
 * struct pool - a started pool
 * @uuid:	empty when it cannot be told
 * @volume:	sorted by id
 * @lock:	keeps other runs of the tool from changing the pool meanwhile
 * @tidy:	what other runs left is theirs no more
 */
struct pool {
	struct dm_dev dm;
	char uuid[UUID_TEXT];
	struct volume *volume;
	size_t volumes;
	int lock;
	bool tidy;
};

/*
 * Find a pool by the name of its device and, but for pool_find(), read its
 * volumes. These say what is wrong and return an exit code.
 */
int pool_find(struct pool *pool, const char *name);
int pool_open(struct pool *pool, const char *name);
/* The device-mapper uuid of the pool with that superblock. */
void pool_uuid(const struct daxcow_super *super, char uuid[DM_ID_SIZE]);
int pool_open_locked(struct pool *pool, const char *name);
/* Give up the lock, which keeps the pool's device open, and what is reserved. */
void pool_unlock(struct pool *pool);
void pool_close(struct pool *pool);
/* A pool's device that a killed start has left without a table. */
bool pool_unfinished(const struct dm_dev *dev);
/* Also as its device is, or after a failure. Then volumes are activated so, too. */
bool pool_read_only(const struct pool *pool);

/* A volume by its name or "id:N"; says so and sets *@rc when there is none. */
struct volume *pool_volume(struct pool *pool, const char *name, int *rc);
/* The lowest id from @from on that is not used, nor that of an origin, nor reserved. */
u32 pool_free_id(const struct pool *pool, u32 from);

/*
 * reservation.c: ids and names that a run goes on to use while others have the lock. It
 * begins with the lock held, so that to look and to reserve is one step; a run that ends,
 * in whatever way, has none any more.
 */
void pool_reserve_id(const struct pool *pool, u32 id);
void pool_reserve_name(const struct pool *pool, const char *name);
/* By another run. */
bool pool_id_reserved(const struct pool *pool, u32 id);
bool pool_name_reserved(const struct pool *pool, const char *name);
/* Let others have the lock, and take it back; then the volumes have to be read again. */
void pool_lend_lock(const struct pool *pool);
void pool_take_lock(const struct pool *pool);
/* Read the volumes again; says what is wrong. */
int pool_reread(struct pool *pool);

/* What to call a volume: its name, or "id:N". */
#define VOLUME_TEXT (DAXCOW_NAME_SIZE + 16)
const char *volume_text(const struct volume *v, char text[VOLUME_TEXT]);

/* Send a message that has no answer; @what is said when it fails. */
__printf(3, 4)
int pool_message(const struct pool *pool, const char *what,
		 const char *fmt, ...);
/* A message with an answer, which is freed by the caller and never NULL. */
__printf(3, 4)
int pool_ask(const struct pool *pool, char **answer, const char *fmt, ...);

/* /dev/daxcow, for its ioctls; says what is wrong. */
int control_open(int *fd);

/*
 * devices.c: find the devices of all volumes, which looks at all devices of the machine,
 * or that of one. With the lock, what killed runs left of them goes or is finished. These
 * say what is wrong and return an exit code.
 */
int pool_devices(struct pool *pool);
int volume_find_device(struct pool *pool, struct volume *v);

/* active.c: the volumes' devices */
int volume_activate(const struct args *a, const struct pool *pool,
		    struct volume *v);
int volume_deactivate(const struct pool *pool, struct volume *v);
/* For people the nodes of those that are active, in JSON all. */
int print_volumes(const struct args *a, const struct pool *pool,
		  struct volume *const *v, size_t nr);

#endif /* DAXCOW_TOOL_POOL_H */
