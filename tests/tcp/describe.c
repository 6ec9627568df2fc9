/* SPDX-License-Identifier: Apache-2.0 */
#include "describe.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
	const char *name;
	enum field field;
} field_names[] = {
    {"seq", FIELD_SEQ},   {"ack", FIELD_ACK},   {"win", FIELD_WIN},       {"len", FIELD_LEN},
    {"data", FIELD_LEN},  {"mss", FIELD_MSS},   {"wscale", FIELD_WSCALE}, {"port", FIELD_PORT},
    {"mac", FIELD_MAC},   {"urg", FIELD_URG},   {"doff", FIELD_DOFF},     {"cut", FIELD_CUT},
    {"step", FIELD_STEP}, {"fill", FIELD_FILL}, {"rawseq", FIELD_RAWSEQ}, {"rtt_ms", FIELD_RTT_MS},
    {"df", FIELD_DF},
};

static const struct {
	const char *name;
	uint8_t flag;
} flag_names[] = {
    {"SYN", FLAG_SYN}, {"ACK", FLAG_ACK}, {"FIN", FLAG_FIN}, {"RST", FLAG_RST}, {"PSH", FLAG_PSH},
    {"URG", FLAG_URG}, {"ECE", FLAG_ECE}, {"CWR", FLAG_CWR}, {"-", 0},
};

static bool wrong(char error[ERROR_MAX], const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, ERROR_MAX, format, arguments);
	va_end(arguments);
	return false;
}

/* A quoted word, resolved into `to`; returns what is behind it in the line, NULL: no end. */
static const char *quoted_copy(const char *from, char **to)
{
	*(*to)++ = *from++;
	while (*from != '"') {
		if (*from == 0)
			return NULL;
		if (*from != '\\') {
			*(*to)++ = *from++;
			continue;
		}
		from++;
		if (*from == 'r' || *from == 'n') {
			*(*to)++ = *from++ == 'r' ? '\r' : '\n';
		} else if (*from == 'x' && isxdigit((uint8_t)from[1]) &&
		           isxdigit((uint8_t)from[2])) {
			*(*to)++ = (char)strtoul((char[3]){from[1], from[2], 0}, NULL, 16);
			from += 3;
		} else if (*from != 0) {
			*(*to)++ = *from++;
		}
	}
	return from + 1;
}

bool words_split(struct words *words, const char *line, char error[ERROR_MAX])
{
	char *to = words->bytes;

	words->count = 0;
	if (strlen(line) >= WORD_BYTES_MAX / 2)
		return wrong(error, "a line that is too long");
	for (;;) {
		while (*line == ' ' || *line == '\t')
			line++;
		if (*line == 0 || *line == '#')
			break;
		if (words->count == WORDS_MAX)
			return wrong(error, "too many words");
		words->word[words->count] = to;
		if (*line == '"') {
			line = quoted_copy(line, &to);
			if (line == NULL)
				return wrong(error, "a quote without an end");
			line += *line == ',';
		} else {
			while (*line != 0 && *line != ' ' && *line != '\t')
				*to++ = *line++;
			/* commas between commands are for people */
			if (to - words->word[words->count] > 1 && to[-1] == ',')
				to--;
		}
		words->length[words->count] = (size_t)(to - words->word[words->count]);
		words->count++;
		*to++ = 0;
	}
	words->word[words->count] = NULL;
	return true;
}

/* Sums of products: "1+3*1448", "-1", "0x58". Moves *text behind what it took. */
static bool sum_parse(int64_t *ret_sum, const char **text)
{
	int64_t sum = 0;
	int64_t sign = 1;

	for (;;) {
		int64_t product = 1;
		char *end;

		if (**text == '-') {
			sign = -1;
			(*text)++;
		}
		do {
			if (**text == '*')
				(*text)++;
			if (!isdigit((uint8_t) * *text))
				return false;
			product *= (int64_t)strtoull(*text, &end, 0);
			*text = end;
		} while ((*text)[0] == '*' && isdigit((uint8_t)(*text)[1]));
		sum += sign * product;
		if (**text != '+' && **text != '-')
			break;
		sign = 1;
		if (**text == '+')
			(*text)++;
	}
	*ret_sum = sum;
	return true;
}

/* As far as `end`, one of whose characters must follow (0 counts). */
static bool number_take(struct number *ret_number, const char **text, const char *ends,
                        char error[ERROR_MAX])
{
	const char *start = *text;
	struct number number = {NUMBER_ANY, 0, 0};

	if (**text == '*') {
		(*text)++;
	} else {
		number.kind = NUMBER_RANGE;
		if (!sum_parse(&number.low, text))
			return wrong(error, "'%s' is no number", start);
		number.high = number.low;
		if ((*text)[0] == '.' && (*text)[1] == '.') {
			*text += 2;
			if (!sum_parse(&number.high, text))
				return wrong(error, "'%s' is no range", start);
		}
	}
	if (**text != 0 && strchr(ends, **text) == NULL)
		return wrong(error, "'%s' is no number", start);
	*ret_number = number;
	return true;
}

bool number_parse(struct number *ret_number, const char *text, char error[ERROR_MAX])
{
	if (text == NULL)
		return wrong(error, "a number is missing");
	return number_take(ret_number, &text, "", error);
}

bool integer_parse(int64_t *ret_integer, const char *text, char error[ERROR_MAX])
{
	struct number number = {0};

	if (!number_parse(&number, text, error))
		return false;
	if (number.kind != NUMBER_RANGE || number.low != number.high)
		return wrong(error, "'%s' is not one number", text);
	*ret_integer = number.low;
	return true;
}

static bool seconds_take(uint64_t *ret_us, const char **text)
{
	char *end;
	uint64_t us, unit = 100000;

	if (!isdigit((uint8_t) * *text))
		return false;
	us = strtoull(*text, &end, 10) * 1000000;
	if (end[0] == '.' && isdigit((uint8_t)end[1]))
		for (end++; isdigit((uint8_t)*end); end++, unit /= 10)
			us += unit * (uint64_t)(*end - '0');
	*text = end;
	*ret_us = us;
	return true;
}

bool seconds_parse(uint64_t *ret_us, const char *text, char error[ERROR_MAX])
{
	const char *at = text;

	if (text == NULL || !seconds_take(ret_us, &at) || *at != 0)
		return wrong(error, "'%s' are no seconds", text == NULL ? "" : text);
	return true;
}

bool connection_parse(uint8_t *ret_index, const char *word)
{
	if (word == NULL || word[0] < 'a' || word[0] > 'z' || word[1] != ':' || word[2] != 0)
		return false;
	*ret_index = (uint8_t)(word[0] - 'a');
	return true;
}

/* "@0.2", "@0.2..0.3" */
static bool time_parse(struct description *description, const char *word, char error[ERROR_MAX])
{
	const char *at = word + 1;

	description->has_time = true;
	if (!seconds_take(&description->from_us, &at))
		return wrong(error, "'%s' is no time", word);
	description->to_us = description->from_us;
	if (at[0] == '.' && at[1] == '.') {
		at += 2;
		if (!seconds_take(&description->to_us, &at))
			return wrong(error, "'%s' is no time", word);
	}
	return *at == 0 ? true : wrong(error, "'%s' is no time", word);
}

/* "11:21,31:41" or "11:21,..."; returns how many words it took, -1: wrong. */
static int sack_parse(struct description *description, const char *word, char error[ERROR_MAX])
{
	const char *at = word;

	description->sack_kind = NUMBER_ANY;
	if (word == NULL || !(isdigit((uint8_t)word[0]) || word[0] == '-' || word[0] == '*'))
		return 0;
	if (word[0] == '*')
		return 1;
	description->sack_kind = NUMBER_RANGE;
	for (;;) {
		struct number start, end;

		if (strcmp(at, "...") == 0) {
			description->sack_more = true;
			return 1;
		}
		if (description->sack_count == SEGMENT_SACK_MAX ||
		    !number_take(&start, &at, ":", error) || *at++ != ':' ||
		    !number_take(&end, &at, ",", error)) {
			wrong(error, "'%s' are no SACK blocks", word);
			return -1;
		}
		description->sack[description->sack_count][0] = (uint32_t)start.low;
		description->sack[description->sack_count++][1] = (uint32_t)end.low;
		if (*at++ == 0)
			return 1;
	}
}

static bool ts_parse(struct description *description, const char *word, char error[ERROR_MAX])
{
	const char *at = word;

	if (word == NULL || !number_take(&description->fields[FIELD_TS_VALUE], &at, ":", error))
		return wrong(error, "a timestamp is missing");
	if (*at == ':') {
		at++;
		return number_take(&description->fields[FIELD_TS_ECHO], &at, "", error);
	}
	return true;
}

static bool raw_options_parse(struct description *description, const char *word,
                              char error[ERROR_MAX])
{
	size_t digits = word == NULL ? 0 : strlen(word);

	if (digits < 2 || digits % 2 != 0 || strncmp(word, "0x", 2) != 0 ||
	    digits / 2 - 1 > SEGMENT_OPTIONS_MAX)
		return wrong(error, "opts wants 0x and up to 40 bytes");
	for (size_t i = 2; i < digits; i += 2) {
		if (!isxdigit((uint8_t)word[i]) || !isxdigit((uint8_t)word[i + 1]))
			return wrong(error, "'%s' are no bytes", word);
		description->raw_options[description->raw_option_bytes++] =
		    (uint8_t)strtoul((char[3]){word[i], word[i + 1], 0}, NULL, 16);
	}
	return true;
}

static bool absent_parse(struct description *description, const char *word, char error[ERROR_MAX])
{
	struct number absent = {NUMBER_ABSENT, 0, 0};

	if (word != NULL && strcmp(word, "ts") == 0)
		description->fields[FIELD_TS_VALUE] = absent;
	else if (word != NULL && strcmp(word, "sack") == 0)
		description->sack_kind = NUMBER_ABSENT;
	else if (word != NULL && strcmp(word, "mss") == 0)
		description->fields[FIELD_MSS] = absent;
	else if (word != NULL && strcmp(word, "wscale") == 0)
		description->fields[FIELD_WSCALE] = absent;
	else
		return wrong(error, "'no' is said of mss, sack, ts and wscale");
	return true;
}

static bool flag_parse(struct description *description, const char *word)
{
	for (size_t i = 0; i < sizeof(flag_names) / sizeof(flag_names[0]); i++) {
		if (strcmp(word, flag_names[i].name) != 0)
			continue;
		description->flags |= flag_names[i].flag;
		return true;
	}
	return false;
}

/* A field at word `i`; returns how many words it has, -1: wrong. */
static int field_parse(struct description *description, const struct words *words, int i,
                       char error[ERROR_MAX])
{
	const char *name = words->word[i];
	const char *value = words->word[i + 1];
	int taken;

	for (size_t k = 0; k < sizeof(field_names) / sizeof(field_names[0]); k++)
		if (strcmp(name, field_names[k].name) == 0)
			return number_parse(&description->fields[field_names[k].field], value,
			                    error)
			           ? 2
			           : -1;
	if (strcmp(name, "sack") == 0) {
		taken = sack_parse(description, value, error);
		return taken < 0 ? -1 : 1 + taken;
	}
	if (strcmp(name, "ts") == 0)
		return ts_parse(description, value, error) ? 2 : -1;
	if (strcmp(name, "no") == 0)
		return absent_parse(description, value, error) ? 2 : -1;
	if (strcmp(name, "opts") == 0)
		return raw_options_parse(description, value, error) ? 2 : -1;
	if (strcmp(name, "bytes") == 0 && value != NULL && value[0] == '"') {
		description->bytes = value + 1;
		description->byte_count = (uint32_t)words->length[i + 1] - 1;
		description->fields[FIELD_LEN] =
		    (struct number){NUMBER_RANGE, description->byte_count, description->byte_count};
		return 2;
	}
	if (strcmp(name, "badsum") == 0) {
		description->bad_checksum = true;
		return 1;
	}
	wrong(error, "'%s' is no word of a segment", name);
	return -1;
}

bool description_parse(struct description *description, const struct words *words, int first,
                       bool is_macro, char error[ERROR_MAX])
{
	int i = first;
	bool any_flag = is_macro;

	*description = (struct description){.times = 1};
	if (words->word[i] != NULL && words->word[i][0] == '@') {
		if (!time_parse(description, words->word[i++], error))
			return false;
	}
	if (connection_parse(&description->connection, words->word[i]))
		i++;
	if (words->word[i] != NULL && isdigit((uint8_t)words->word[i][0])) {
		char *end;

		description->times = (uint32_t)strtoul(words->word[i++], &end, 10);
		if (strcmp(end, "x") != 0 || description->times == 0)
			return wrong(error, "'%s' is no repetition", words->word[i - 1]);
	}
	for (; !is_macro && words->word[i] != NULL && flag_parse(description, words->word[i]); i++)
		any_flag = true;
	if (!any_flag)
		return wrong(error, "flags are missing ('-' for none)");
	while (words->word[i] != NULL) {
		int taken = field_parse(description, words, i, error);

		if (taken < 0)
			return false;
		i += taken;
	}
	return true;
}

bool number_matches(const struct number *number, bool is_there, uint32_t value)
{
	switch (number->kind) {
	case NUMBER_UNSAID: return true;
	case NUMBER_ABSENT: return !is_there;
	case NUMBER_ANY: return is_there;
	case NUMBER_RANGE: break;
	}
	/* sequence numbers wrap: count from the lower end */
	return is_there && value - (uint32_t)number->low <= (uint32_t)(number->high - number->low);
}
