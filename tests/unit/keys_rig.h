/* SPDX-License-Identifier: Apache-2.0 */
/* The API keys, with their file in a folder of its own. */
#pragma once

#include "control/keys.h"
#include "folder.h"
#include "unit.h"

#define NOW         1764277200ull /* 2025-11-27T21:00:00Z */
#define ERROR_BYTES 4096
#define ID_LENGTH   10
#define KEY_LENGTH  60

struct rig {
	struct folder folder;
	char path[FOLDER_PATH_BYTES];
	char error[ERROR_BYTES];
	struct keys *keys;
	struct keys_made made;
	struct identity who;
};

static inline int keys_read(struct rig *rig)
{
	keys_close(rig->keys);
	rig->keys = NULL;
	rig->error[0] = '\0';
	return keys_open(&rig->keys, rig->path, rig->error, sizeof(rig->error));
}

static inline void rig_open(struct rig *rig)
{
	*rig = (struct rig){0};
	folder_make(&rig->folder);
	folder_file(&rig->folder, rig->path, "keys.json");
	CU_ASSERT_EQUAL_FATAL(keys_read(rig), 0);
}

static inline void rig_close(struct rig *rig)
{
	keys_close(rig->keys);
	folder_remove(&rig->folder);
}

static inline int create(struct rig *rig, const char *name, enum role role, uint64_t expires_s)
{
	return keys_create(rig->keys, name, role, expires_s, "CN=ops", NOW, &rig->made, rig->error,
	                   sizeof(rig->error));
}

static inline int check(struct rig *rig, const char *text, uint64_t now_s)
{
	memset(&rig->who, 0x55, sizeof(rig->who));
	return keys_check(rig->keys, text, now_s, &rig->who);
}

static inline int revoke_id(struct rig *rig, const char *id)
{
	return keys_revoke(rig->keys, id, NOW + 10, rig->error, sizeof(rig->error));
}

static inline size_t list_count(struct rig *rig)
{
	json_t *list = keys_list(rig->keys, NOW);
	size_t count = json_array_size(list);

	json_decref(list);
	return count;
}
