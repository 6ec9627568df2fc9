/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/human.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define US_PER_S 1000000u

static void scale(char ret_text[HUMAN_BYTES], double value, double base, const char *const units[])
{
	uint32_t i = 0;

	while (value >= base - 0.5 && units[i + 1] != NULL) {
		value /= base;
		i++;
	}
	snprintf(ret_text, HUMAN_BYTES, "%.*f%s",
	         value == (double)(uint64_t)value || value >= 99.95 ? 0 : 1, value, units[i]);
}

void human_size(char ret_text[HUMAN_BYTES], uint64_t bytes)
{
	static const char *const units[] = {" B",   " KiB", " MiB", " GiB",
	                                    " TiB", " PiB", " EiB", NULL};

	scale(ret_text, (double)bytes, 1024, units);
}

void human_count(char ret_text[HUMAN_BYTES], uint64_t count)
{
	static const char *const units[] = {"", " k", " M", " G", " T", " P", " E", NULL};

	if (count < 10000)
		snprintf(ret_text, HUMAN_BYTES, "%u", (unsigned)count);
	else
		scale(ret_text, (double)count, 1000, units);
}

void human_rate(char ret_text[HUMAN_BYTES], double per_s)
{
	if (per_s > 0 && per_s < 9.95)
		snprintf(ret_text, HUMAN_BYTES, "%.1f", per_s);
	else
		human_count(ret_text, (uint64_t)(per_s + 0.5));
}

void human_share(char ret_text[HUMAN_BYTES], double share)
{
	snprintf(ret_text, HUMAN_BYTES, "%.1f %%", 100 * share);
}

void human_latency(char ret_text[HUMAN_BYTES], uint64_t time_us)
{
	static const char *const units[] = {" us", " ms", " s", NULL};

	scale(ret_text, (double)time_us, 1000, units);
}

void human_duration(char ret_text[HUMAN_BYTES], uint64_t time_us)
{
	uint64_t s = time_us / US_PER_S;
	unsigned long long days = s / 86400;
	unsigned hours = (unsigned)(s / 3600 % 24), minutes = (unsigned)(s / 60 % 60);

	if (time_us != 0 && time_us < 1000)
		snprintf(ret_text, HUMAN_BYTES, "%u us", (unsigned)time_us);
	else if (time_us != 0 && s == 0)
		snprintf(ret_text, HUMAN_BYTES, "%u ms", (unsigned)(time_us / 1000));
	else if (days > 0)
		snprintf(ret_text, HUMAN_BYTES, "%llud %uh", days, hours);
	else if (hours > 0)
		snprintf(ret_text, HUMAN_BYTES, "%uh %umin", hours, minutes);
	else if (minutes > 0)
		snprintf(ret_text, HUMAN_BYTES, "%umin %us", minutes, (unsigned)(s % 60));
	else
		snprintf(ret_text, HUMAN_BYTES, "%us", (unsigned)s);
}

void human_quantity(char ret_text[HUMAN_BYTES], uint64_t value, const char *unit)
{
	if (strcmp(unit, "bytes") == 0)
		human_size(ret_text, value);
	else if (strcmp(unit, "microseconds") == 0)
		human_duration(ret_text, value);
	else
		human_count(ret_text, value);
}

bool human_parse_duration(uint64_t *ret_s, const char *text)
{
	static const struct {
		const char *suffix;
		uint64_t factor;
	} units[] = {{"", 1}, {"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}, {"w", 7 * 86400}};
	uint64_t number = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number))
			return false;
	if (at == text)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(at, units[i].suffix) == 0)
			return !__builtin_mul_overflow(number, units[i].factor, ret_s);
	return false;
}

/* ".25" are 250000 us. Moves `*at` behind them. */
static uint32_t take_fraction(const char **at)
{
	uint32_t us = 0, unit = US_PER_S / 10;

	if (**at != '.')
		return 0;
	for ((*at)++; **at >= '0' && **at <= '9' && unit > 0; (*at)++) {
		us += (uint32_t)(**at - '0') * unit;
		unit /= 10;
	}
	return us;
}

bool human_parse_time(uint64_t *ret_us, const char *text)
{
	struct tm tm = {0}, again;
	const char *at = strptime(text, "%Y-%m-%d", &tm);
	uint32_t us = 0;
	time_t s;

	if (at != NULL && *at == 'T') {
		at = strptime(at, "T%H:%M:%S", &tm);
		if (at == NULL)
			return false;
		us = take_fraction(&at);
		if (*at++ != 'Z')
			return false;
	}
	if (at == NULL || *at != '\0')
		return false;
	again = tm;
	s = timegm(&again);
	/* the 30th of February is another day */
	if (s < 0 || again.tm_mday != tm.tm_mday || again.tm_sec != tm.tm_sec)
		return false;
	*ret_us = (uint64_t)s * US_PER_S + us;
	return true;
}

void human_time(char ret_text[HUMAN_BYTES], uint64_t time_us)
{
	time_t s = (time_t)(time_us / US_PER_S);
	unsigned us = (unsigned)(time_us % US_PER_S);
	struct tm tm;
	size_t used;

	if (gmtime_r(&s, &tm) == NULL || tm.tm_year > 9999 - 1900) {
		snprintf(ret_text, HUMAN_BYTES, "after 9999");
		return;
	}
	used = strftime(ret_text, HUMAN_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
	if (us != 0)
		snprintf(ret_text + used, HUMAN_BYTES - used, ".%06uZ", us);
	else
		snprintf(ret_text + used, HUMAN_BYTES - used, "Z");
}
