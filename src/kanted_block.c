/* SPDX-License-Identifier: Apache-2.0 */
#include "kanted_block.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t count_lines(const char *text)
{
	uint32_t count = 0;

	for (; *text != '\0'; text++)
		count += *text == '\n';
	return count;
}

static bool read_prefix(struct ip_prefix *ret_prefix, const char *text, size_t length)
{
	char line[IP_PREFIX_TEXT_MAX];

	if (length >= sizeof(line))
		return false;
	memcpy(line, text, length);
	line[length] = '\0';
	return ip_prefix_parse(ret_prefix, line) == 0;
}

/* The number of a line that is no prefix; 0: all are. */
static uint32_t read_prefixes(struct ip_prefix *ret_prefixes, const char *text)
{
	for (uint32_t line = 1; *text != '\0'; line++) {
		size_t length = strcspn(text, "\n");

		if (text[length] == '\0' || !read_prefix(&ret_prefixes[line - 1], text, length))
			return line;
		text += length + 1;
	}
	return 0;
}

/* 0 with *ret_blocked, NULL when there are none; a negative errno, and it is said why. */
static int read_list(struct blocked **ret_blocked, const char *text, uint32_t count,
                     struct evbuffer *answer)
{
	struct ip_prefix *prefixes = malloc((count + 1) * sizeof(*prefixes));
	struct blocked *blocked = malloc(blocked_bytes(count));
	uint32_t wrong_line = 0;
	int r = -ENOMEM;

	if (prefixes == NULL || blocked == NULL) {
		evbuffer_add_printf(answer, "error no memory is left\n");
		goto finish;
	}
	wrong_line = read_prefixes(prefixes, text);
	r = wrong_line == 0 ? 0 : -EINVAL;
	if (r < 0) {
		evbuffer_add_printf(answer, "error line %u is no prefix\n", wrong_line);
		goto finish;
	}
	*ret_blocked = NULL;
	if (count > 0) {
		blocked_create(blocked, prefixes, count);
		*ret_blocked = blocked;
		blocked = NULL;
	}
finish:
	free(prefixes);
	free(blocked);
	return r;
}

static void give_back(const struct blocked *blocked)
{
	free((void *)(uintptr_t)blocked);
}

bool kanted_block(struct workers *workers, const char *wanted, const char *text,
                  struct evbuffer *answer)
{
	uint32_t count = count_lines(text);
	const struct blocked *unused = NULL;
	struct blocked *blocked = NULL;
	char counted[16];
	bool counts;

	snprintf(counted, sizeof(counted), "%u", count);
	if (strcmp(counted, wanted) != 0) {
		evbuffer_add_printf(answer, "error the list was cut off\n");
		return false;
	}
	if (count > BLOCKED_COUNT_MAX) {
		evbuffer_add_printf(answer, "error more than %d prefixes\n", BLOCKED_COUNT_MAX);
		return false;
	}
	if (read_list(&blocked, text, count, answer) < 0)
		return false;
	counts = workers_block(workers, blocked, &unused);
	if (counts)
		evbuffer_add_printf(answer, "blocked %u\n", count);
	else
		evbuffer_add_printf(answer, "busy\n");
	give_back(counts ? unused : blocked);
	return counts;
}

void kanted_block_forget(struct workers *workers)
{
	give_back(workers->blocked.before);
	give_back(atomic_load_explicit(&workers->blocked.current, memory_order_relaxed));
}
