/* SPDX-License-Identifier: Apache-2.0 */
#include "config/diff.h"

#include "config/settings.h"

#include <errno.h>
#include <stdlib.h>

/* A list of differences under way; side 0 is before, side 1 after. */
struct differ {
	struct config_diff *diff;
	struct config_settings *sides[2];
	bool has_failed; /* for want of memory */
};

static char *copy(const char *text)
{
	return text == NULL ? NULL : strdup(text);
}

/* `path` is taken; NULL: there was no memory for it. */
static void add(struct differ *differ, char *path, const char *before, const char *after,
                bool restart)
{
	struct config_diff *diff = differ->diff;
	struct config_difference *list = reallocarray(diff->list, diff->count + 1, sizeof(*list));
	struct config_difference *difference;

	if (list == NULL) {
		free(path);
		differ->has_failed = true;
		return;
	}
	diff->list = list;
	difference = &list[diff->count++];
	*difference = (struct config_difference){path, copy(before), copy(after), restart};
	differ->has_failed |= path == NULL || (before != NULL && difference->before == NULL) ||
	                      (after != NULL && difference->after == NULL);
}

static void add_setting(struct differ *differ, const struct config_setting *setting,
                        const char *before, const char *after)
{
	const char *dot = setting->group[0] == '\0' ? "" : ".";
	char *path;

	if (asprintf(&path, "%s%s%s", setting->group, dot, setting->parameter->name) < 0)
		path = NULL;
	add(differ, path, before, after, setting->parameter->effect == CONFIG_RESTART);
}

/* A group that is on one side only. */
static void add_group(struct differ *differ, uint32_t side, uint32_t first, uint32_t count)
{
	const struct config_settings *settings = differ->sides[side];
	char *text = NULL;
	size_t length;
	FILE *to = open_memstream(&text, &length);

	if (to == NULL) {
		differ->has_failed = true;
		return;
	}
	config_settings_write(to, settings, first, count);
	if (fclose(to) != 0)
		differ->has_failed = true;
	else
		add(differ, strdup(settings->list[first].group), side == 0 ? text : NULL,
		    side == 1 ? text : NULL, true);
	free(text);
}

static bool has_group(const struct config_settings *settings, const char *group)
{
	for (uint32_t i = 0; i < settings->count; i++)
		if (strcmp(settings->list[i].group, group) == 0)
			return true;
	return false;
}

/* NULL: there is none. */
static const struct config_setting *find(const struct config_settings *settings,
                                         const struct config_setting *like)
{
	for (uint32_t i = 0; i < settings->count; i++)
		if (settings->list[i].parameter == like->parameter &&
		    strcmp(settings->list[i].group, like->group) == 0)
			return &settings->list[i];
	return NULL;
}

/* Of side 0 what is another or gone, of side 1 what is new. */
static void diff_group(struct differ *differ, uint32_t side, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		const struct config_setting *setting = &differ->sides[side]->list[i];
		const struct config_setting *other = find(differ->sides[1 - side], setting);

		if (other == NULL)
			add_setting(differ, setting, side == 0 ? setting->value : NULL,
			            side == 1 ? setting->value : NULL);
		else if (side == 0 && strcmp(setting->value, other->value) != 0)
			add_setting(differ, setting, setting->value, other->value);
	}
}

static void diff_side(struct differ *differ, uint32_t side)
{
	const struct config_settings *settings = differ->sides[side];
	uint32_t count;

	for (uint32_t first = 0; first < settings->count; first += count) {
		count = config_settings_group(settings, first);
		if (has_group(differ->sides[1 - side], settings->list[first].group))
			diff_group(differ, side, first, count);
		else
			add_group(differ, side, first, count);
	}
}

int config_diff_create(struct config_diff **ret_diff, const struct config *before,
                       const struct config *after)
{
	struct differ differ = {.diff = calloc(1, sizeof(*differ.diff))};
	int r = differ.diff == NULL ? -ENOMEM : 0;

	if (r == 0)
		r = config_settings_create(&differ.sides[0], before);
	if (r == 0)
		r = config_settings_create(&differ.sides[1], after);
	if (r == 0) {
		diff_side(&differ, 0);
		diff_side(&differ, 1);
		r = differ.has_failed ? -ENOMEM : 0;
	}
	config_settings_destroy(differ.sides[0]);
	config_settings_destroy(differ.sides[1]);
	if (r < 0)
		config_diff_destroy(differ.diff);
	else
		*ret_diff = differ.diff;
	return r;
}

void config_diff_destroy(struct config_diff *diff)
{
	if (diff == NULL)
		return;
	for (uint32_t i = 0; i < diff->count; i++) {
		free(diff->list[i].path);
		free(diff->list[i].before);
		free(diff->list[i].after);
	}
	free(diff->list);
	free(diff);
}
