/* SPDX-License-Identifier: Apache-2.0 */
/* Classes of keys, by prefix: the operator's rules for what is worth how much. A key is of the
 * class with the longest prefix that it begins with; class 0 has all others' keys. Owner: whoever
 * made it; not changed afterwards, so every worker reads it. */
#pragma once

#include "base/bytes.h"

#define CLASS_COUNT_MAX        64 /* class 0 included */
#define CLASS_NAME_BYTES       32
#define CLASS_PREFIX_BYTES     250
#define CLASS_PRIORITY_MAX     9
#define CLASS_PRIORITY_DEFAULT 5

struct class_rules {
	char name[CLASS_NAME_BYTES + 1];
	uint8_t prefix_bytes;
	uint8_t prefix[CLASS_PREFIX_BYTES];
	uint32_t priority;  /* 0 … CLASS_PRIORITY_MAX; with the policy `priority` the lowest go
	                     * first */
	uint32_t share_min; /* percent of all that is held, below which none of it goes for want
	                     * of memory */
	uint32_t share_max; /* percent, above which it goes first */
	uint32_t ttl_default_s; /* of what is stored without an expiry; 0: it has none */
	uint32_t ttl_max_s;     /* of all; 0: any */
	uint32_t rate_max;      /* requests a second, of all workers together; 0: any number */
};

struct classes {
	uint32_t count; /* at least 1 */
	struct class_rules rules[CLASS_COUNT_MAX];
	/* For a key's first byte the class with the longest prefix that begins so, and for that the
	 * next one; 0: there is none. */
	uint8_t first[UINT8_MAX + 1];
	uint8_t next[CLASS_COUNT_MAX];
};

/* Class 0 alone, called "default", without rules. */
void classes_create(struct classes *classes);

/* Whether there is anything to go by. */
bool classes_have_rules(const struct classes *classes);

/* One more; or, if its prefix is empty, class 0's rules. There is room, and no other has the
 * prefix. */
void classes_add(struct classes *classes, const struct class_rules *rules);

static inline bool class_has(const struct class_rules *rules, struct slice key)
{
	return rules->prefix_bytes <= key.length &&
	       memcmp(rules->prefix, key.data, rules->prefix_bytes) == 0;
}

static inline uint32_t classes_of(const struct classes *classes, struct slice key)
{
	uint32_t class = key.length == 0 ? 0 : classes->first[key.data[0]];

	while (class != 0 && !class_has(&classes->rules[class], key))
		class = classes->next[class];
	return class;
}
