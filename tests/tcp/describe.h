/* SPDX-License-Identifier: Apache-2.0 */
/* The words of the scenario language: a line cut into words, numbers, and the description of a
 * segment that >>> and <<< lines share. The grammar is in run.c. */
#pragma once

#include "segment.h"

#define WORDS_MAX      64
#define WORD_BYTES_MAX 4096
#define ERROR_MAX      200

/* A line without its comment. Quoted words keep their first quote, so that they are told apart;
 * escapes in them are resolved, so they may hold any byte. */
struct words {
	char *word[WORDS_MAX + 1]; /* the last is NULL */
	size_t length[WORDS_MAX];  /* bytes */
	int count;
	char bytes[WORD_BYTES_MAX];
};

enum number_kind {
	NUMBER_UNSAID,
	NUMBER_ABSENT, /* "no ts": must not be there */
	NUMBER_ANY,    /* "*": must be there, whatever it is */
	NUMBER_RANGE,  /* low … high, both included */
};

struct number {
	enum number_kind kind;
	int64_t low;
	int64_t high;
};

enum field {
	FIELD_SEQ,
	FIELD_ACK,
	FIELD_WIN,
	FIELD_LEN,
	FIELD_MSS,
	FIELD_WSCALE,
	FIELD_TS_VALUE,
	FIELD_TS_ECHO,
	FIELD_PORT,
	FIELD_MAC,
	FIELD_URG,
	FIELD_DOFF,
	FIELD_CUT,
	FIELD_STEP,
	FIELD_FILL,
	FIELD_RAWSEQ,
	FIELD_RTT_MS,
	FIELD_DF,
	FIELD_COUNT,
};

struct description {
	uint8_t connection; /* index: a is 0 */
	uint32_t times;
	uint8_t flags;
	bool has_time;
	bool bad_checksum;
	bool sack_more;             /* further SACK blocks may follow */
	enum number_kind sack_kind; /* RANGE: the blocks below */
	uint32_t sack_count;
	uint32_t sack[SEGMENT_SACK_MAX][2];
	uint64_t from_us; /* of @ */
	uint64_t to_us;
	struct number fields[FIELD_COUNT];
	const char *bytes; /* of "bytes", or NULL; the words' own */
	uint32_t byte_count;
	uint8_t raw_options[SEGMENT_OPTIONS_MAX];
	uint32_t raw_option_bytes;
};

/* All of these: false, and what is wrong in ret_error. */
bool words_split(struct words *ret_words, const char *line, char ret_error[ERROR_MAX]);
bool number_parse(struct number *ret_number, const char *text, char ret_error[ERROR_MAX]);
/* One number, not a range. */
bool integer_parse(int64_t *ret_integer, const char *text, char ret_error[ERROR_MAX]);
/* "1.25", in seconds. */
bool seconds_parse(uint64_t *ret_us, const char *text, char ret_error[ERROR_MAX]);
/* "b:"; false without an error when the word is no such prefix. */
bool connection_parse(uint8_t *ret_index, const char *word);
/* A segment, from the words' `first` on; is_macro: fields only, no flags. */
bool description_parse(struct description *ret_description, const struct words *words, int first,
                       bool is_macro, char ret_error[ERROR_MAX]);

bool number_matches(const struct number *number, bool is_there, uint32_t value);
