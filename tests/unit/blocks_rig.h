/* SPDX-License-Identifier: Apache-2.0 */
/* The block list, with its file in a folder of its own. */
#pragma once

#include "control/blocks.h"
#include "folder.h"
#include "unit.h"

#define NOW         1764277200ull /* 2025-11-27T21:00:00Z */
#define ERROR_BYTES 4096

#define PREFIX_COUNT_MAX 16

struct rig {
	struct folder folder;
	char path[FOLDER_PATH_BYTES];
	char error[ERROR_BYTES];
	struct blocks *blocks;
	struct blocks_added added;
	char expired[256]; /* names of those, a blank behind each */
	uint32_t expired_count;
};

static inline int blocks_read(struct rig *rig)
{
	blocks_close(rig->blocks);
	rig->blocks = NULL;
	rig->error[0] = '\0';
	return blocks_open(&rig->blocks, rig->path, rig->error, sizeof(rig->error));
}

static inline void rig_open(struct rig *rig)
{
	*rig = (struct rig){0};
	folder_make(&rig->folder);
	folder_file(&rig->folder, rig->path, "blocks.json");
	CU_ASSERT_EQUAL_FATAL(blocks_read(rig), 0);
}

static inline void rig_close(struct rig *rig)
{
	blocks_close(rig->blocks);
	folder_remove(&rig->folder);
}

static inline struct ip_prefix prefix(const char *text)
{
	struct ip_prefix parsed = {0};
	char error[ERROR_BYTES];

	CU_ASSERT_EQUAL(blocks_parse(&parsed, text, error, sizeof(error)), 0);
	return parsed;
}

/* Prefixes with blanks between them. */
static inline int add_until(struct rig *rig, const char *texts, uint64_t expires_s,
                            const char *reason)
{
	struct ip_prefix prefixes[PREFIX_COUNT_MAX];
	struct blocks_wanted wanted = {
	    .prefixes = prefixes, .expires_s = expires_s, .by = "CN=ops", .reason = reason};
	char copy[256], *rest = copy, *text;

	snprintf(copy, sizeof(copy), "%s", texts);
	while ((text = strsep(&rest, " ")) != NULL)
		prefixes[wanted.count++] = prefix(text);
	wanted.count = blocks_sort(prefixes, wanted.count);
	return blocks_add(rig->blocks, &wanted, NOW, &rig->added, rig->error, sizeof(rig->error));
}

static inline int add(struct rig *rig, const char *texts)
{
	return add_until(rig, texts, 0, "");
}

static inline int take_off(struct rig *rig, const char *text)
{
	struct ip_prefix parsed = prefix(text);

	return blocks_remove(rig->blocks, &parsed, rig->error, sizeof(rig->error));
}

static inline void note_expired(void *context, const struct block_entry *entry)
{
	struct rig *rig = context;
	size_t used = strlen(rig->expired);
	char text[IP_PREFIX_TEXT_MAX];

	ip_prefix_format(&entry->prefix, text);
	snprintf(rig->expired + used, sizeof(rig->expired) - used, "%s ", text);
}

static inline int expire(struct rig *rig, uint64_t now_s)
{
	rig->expired[0] = '\0';
	return blocks_expire(rig->blocks, now_s, note_expired, rig, &rig->expired_count, rig->error,
	                     sizeof(rig->error));
}

static inline uint32_t list_count(const struct rig *rig)
{
	uint32_t count;

	blocks_list(rig->blocks, &count);
	return count;
}

/* True: these are on the list, in that order, a blank between. */
static inline bool lists(const struct rig *rig, const char *texts)
{
	char text[IP_PREFIX_TEXT_MAX], all[1024] = "";
	uint32_t count;
	const struct block_entry *list = blocks_list(rig->blocks, &count);

	for (uint32_t i = 0; i < count; i++) {
		size_t used = strlen(all);

		ip_prefix_format(&list[i].prefix, text);
		snprintf(all + used, sizeof(all) - used, "%s%s", i == 0 ? "" : " ", text);
	}
	return strcmp(all, texts) == 0;
}
