/* SPDX-License-Identifier: Apache-2.0 */
#include "control/audit_flood.h"

#include "base/bytes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sort {
	char action[AUDIT_FLOOD_ACTION_BYTES]; /* "": nobody's */
	char reason[AUDIT_FLOOD_REASON_BYTES];
	char source[IDENTITY_FROM_BYTES];
	uint64_t since_us;     /* when the second began */
	uint64_t count;        /* within it */
	uint64_t summed_count; /* not yet written */
};

struct audit_flood {
	struct sort sorts[AUDIT_FLOOD_SOURCE_COUNT];
	struct sort others; /* for which there was no room */
};

int audit_flood_create(struct audit_flood **ret_flood)
{
	*ret_flood = calloc(1, sizeof(**ret_flood));
	return *ret_flood == NULL ? -ENOMEM : 0;
}

void audit_flood_destroy(struct audit_flood *flood)
{
	free(flood);
}

/* A clock that was set back ends the second, too. */
static bool is_over(const struct sort *sort, uint64_t now_us)
{
	return now_us - sort->since_us >= AUDIT_FLOOD_WINDOW_US;
}

/* The sort of `wanted`, or one that nobody needs any more and is made it, or NULL. */
static struct sort *find(struct audit_flood *flood, const struct sort *wanted, uint64_t now_us)
{
	struct sort *unused = NULL;

	for (uint32_t i = 0; i < AUDIT_FLOOD_SOURCE_COUNT; i++) {
		struct sort *sort = &flood->sorts[i];

		if (strcmp(sort->source, wanted->source) == 0 &&
		    strcmp(sort->reason, wanted->reason) == 0 &&
		    strcmp(sort->action, wanted->action) == 0 && sort->action[0] != '\0')
			return sort;
		if (unused == NULL && sort->summed_count == 0 &&
		    (sort->action[0] == '\0' || is_over(sort, now_us)))
			unused = sort;
	}
	if (unused != NULL)
		*unused = *wanted;
	return unused;
}

bool audit_flood_takes(struct audit_flood *flood, const struct audit_event *event, uint64_t now_us)
{
	struct sort wanted = {.since_us = now_us}, *sort;

	if (event->kind != AUDIT_login || event->result != AUDIT_REFUSED)
		return false;
	snprintf(wanted.action, sizeof(wanted.action), "%s", event->action);
	snprintf(wanted.reason, sizeof(wanted.reason), "%s",
	         event->reason == NULL ? "" : event->reason);
	if (event->who != NULL)
		audit_source(wanted.source, event->who->from);
	sort = find(flood, &wanted, now_us);
	if (sort == NULL) {
		sort = &flood->others;
		memcpy(sort->action, wanted.action, sizeof(sort->action));
	} else {
		if (is_over(sort, now_us)) {
			sort->since_us = now_us;
			sort->count = 0;
		}
		if (++sort->count <= AUDIT_FLOOD_FREE_COUNT)
			return false;
	}
	sort->summed_count += max_u64(event->count, 1);
	return true;
}

static int flush(struct sort *sort, const char *reason,
                 int (*write)(void *context, const struct audit_event *event), void *context)
{
	struct identity who = {.role = ROLE_none};
	const struct audit_event event = {
	    .kind = AUDIT_login,
	    .result = AUDIT_REFUSED,
	    .action = sort->action,
	    .who = &who,
	    .reason = reason,
	    .count = sort->summed_count,
	};

	int r;

	if (sort->summed_count == 0)
		return 0;
	memcpy(who.from, sort->source, sizeof(who.from));
	r = write(context, &event);
	if (r == 0)
		sort->summed_count = 0;
	return r;
}

int audit_flood_flush(struct audit_flood *flood,
                      int (*write)(void *context, const struct audit_event *event), void *context)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < AUDIT_FLOOD_SOURCE_COUNT; i++)
		r = flush(&flood->sorts[i], flood->sorts[i].reason, write, context);
	return r < 0 ? r
	             : flush(&flood->others, "from too many sources at once to tell them apart",
	                     write, context);
}
