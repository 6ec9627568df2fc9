/* SPDX-License-Identifier: Apache-2.0 */
#include "store/classes.h"

#include "base/assert.h"

void classes_create(struct classes *classes)
{
	*classes = (struct classes){
	    .count = 1,
	    .rules = {{.name = "default", .priority = CLASS_PRIORITY_DEFAULT, .share_max = 100}},
	};
}

bool classes_have_rules(const struct classes *classes)
{
	const struct class_rules *rules = &classes->rules[0];

	return classes->count > 1 || rules->share_max < 100 || rules->share_min > 0 ||
	       rules->ttl_default_s > 0 || rules->ttl_max_s > 0 || rules->rate_max > 0;
}

void classes_add(struct classes *classes, const struct class_rules *rules)
{
	uint8_t *at;

	if (rules->prefix_bytes == 0) {
		classes->rules[0] = *rules;
		return;
	}
	ASSERT(classes->count < CLASS_COUNT_MAX);
	classes->rules[classes->count] = *rules;
	at = &classes->first[rules->prefix[0]];
	while (*at != 0 && classes->rules[*at].prefix_bytes > rules->prefix_bytes)
		at = &classes->next[*at];
	classes->next[classes->count] = *at;
	*at = (uint8_t)classes->count++;
}
