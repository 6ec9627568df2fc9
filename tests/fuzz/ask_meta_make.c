/* SPDX-License-Identifier: Apache-2.0 */
/* Meta commands: every flag with every command, in any order, and what can be wrong with them. */
#include "ask_meta.h"

#define WORDS_MAX 20 /* of a line */

#define BAD_FORMAT "CLIENT_ERROR bad command line format\r\n"
#define BAD_TOKEN  "CLIENT_ERROR bad token in command line format\r\n"
#define BAD_BASE64 "CLIENT_ERROR error decoding key\r\n"
#define DUPLICATE  "CLIENT_ERROR duplicate flag\r\n"

/* In the order of their letters, so that a list of all of them has no duplicates. */
static const char letters[] = "CDEFIJLMNOPRTbcfhklqstuvx";

static bool takes_mode(char command)
{
	return command == 's' || command == 'a';
}

static void make_mode(struct ask_flag *flag, struct input *input)
{
	static const char *const modes[] = {"S", "E", "A", "P", "R", "I", "D", "+", "-"};
	uint8_t kind = input_u8(input);
	const char *mode = kind == 255   ? ""
	                   : kind == 254 ? "set"
	                   : kind == 253 ? "x"
	                                 : modes[kind % COUNT_OF(modes)];

	flag->is_bad = strlen(mode) != 1;
	strcpy(flag->token, mode);
}

static void make_opaque(struct ask_flag *flag, struct input *input)
{
	static const char opaque[] = "0123456789abcdefghijklmnopqrstu!x";
	uint8_t kind = input_u8(input);
	size_t length = kind >= 252 ? sizeof(opaque) - 1 : kind >= 240 ? 32 : kind % 12;

	memcpy(flag->token, opaque, length);
}

static void make_number(struct ask_flag *flag, uint64_t number)
{
	flag->number = number;
	sprintf(flag->token, "%llu", (unsigned long long)number);
}

static void make_bad_number(struct ask_flag *flag, struct input *input)
{
	static const char *const bad[] = {"", "x", "1x", "-", "18446744073709551616", "1.0"};

	flag->is_bad = true;
	strcpy(flag->token, bad[input_u8(input) % COUNT_OF(bad)]);
}

static void make_token(struct ask_flag *flag, struct ask *ask, struct input *input,
                       const struct model *model)
{
	switch (flag->letter) {
	case 'M': make_mode(flag, input); return;
	case 'O': make_opaque(flag, input); return;
	case 'P':
	case 'L': strcpy(flag->token, "any"); return;
	case 'C':
	case 'D':
	case 'E':
	case 'F':
	case 'J':
	case 'N':
	case 'R':
	case 'T': break;
	default: return; /* it has none, but one does no harm */
	}
	if (input_u8(input) >= 252) {
		make_bad_number(flag, input);
		return;
	}
	switch (flag->letter) {
	case 'C':
	case 'E': make_number(flag, ask_cas(input, model, ask->keys[0])); return;
	case 'F': make_number(flag, ask_client_flags(input)); return;
	case 'D':
	case 'J': make_number(flag, ask_number(input)); return;
	default:
		flag->exptime = ask_exptime(input, model);
		sprintf(flag->token, "%lld", (long long)flag->exptime);
	}
}

/* What matters to the command more often than the rest. */
static uint8_t choose_letter(char command, struct input *input)
{
	uint8_t kind = input_u8(input);
	const char *favourites = command == 'g'   ? "vtcfhslkqTNRuE"
	                         : command == 's' ? "CICITTFEMNckqs"
	                         : command == 'd' ? "IITTxxCEFqkOCb"
	                                          : "NJDTMCEvctqkNv";

	if (kind == 255)
		return (uint8_t) "zA1B~\x7f\xff"[input_u8(input) % 7];
	return (uint8_t)(kind < 140 ? favourites[kind % 14]
	                            : letters[kind % (sizeof(letters) - 1)]);
}

/* A flag that is there already is made only when it is to be wrong. */
static void make_flag(struct ask *ask, struct input *input, const struct model *model,
                      uint8_t letter)
{
	struct ask_flag flag = {.letter = letter};

	if (ask->meta.flag_count == ASK_FLAGS_MAX)
		return;
	if (ask_flag_of(ask, (char)letter) != NULL && input_u8(input) < 250)
		return;
	make_token(&flag, ask, input, model);
	ask->meta.flags[ask->meta.flag_count++] = flag;
}

static void make_flags(struct ask *ask, struct input *input, const struct model *model)
{
	uint8_t count = input_u8(input);

	if (count >= 254) { /* so many that the line is too long, or all but */
		count = (uint8_t)(count == 254 ? sizeof(letters) - 1 : 15 + input_u8(input) % 5);
		for (uint8_t i = 0; i < count; i++)
			make_flag(ask, input, model, (uint8_t)letters[i]);
		return;
	}
	if (takes_mode(ask->meta.command) && count % 2 == 0)
		make_flag(ask, input, model, 'M');
	for (uint8_t i = 0; i < count / 2 % 8; i++)
		make_flag(ask, input, model, choose_letter(ask->meta.command, input));
}

/* What is wrong with a flag's token. */
static const char *token_fault(uint8_t letter)
{
	switch (letter) {
	case 'F': return BAD_FORMAT;
	case 'J': return "CLIENT_ERROR invalid numeric initial value\r\n";
	case 'D': return "CLIENT_ERROR invalid numeric delta value\r\n";
	case 'M': return "CLIENT_ERROR incorrect length for M token\r\n";
	default: return BAD_TOKEN;
	}
}

/* What is told of the flags, or NULL: of a bad token only when nothing else is wrong behind it. */
static const char *flags_fault(const struct ask *ask)
{
	uint32_t word_count = ask->meta.command == 's' ? 3 : 2;
	const char *fault = NULL;
	bool seen[256] = {false};

	for (uint32_t i = 0; i < ask->meta.flag_count; i++) {
		const struct ask_flag *flag = &ask->meta.flags[i];

		if (++word_count > WORDS_MAX)
			return "CLIENT_ERROR options flags are too long\r\n";
		if (flag->letter >= 127 || seen[flag->letter])
			return DUPLICATE;
		seen[flag->letter] = true;
		if (strchr(letters, flag->letter) == NULL)
			return "CLIENT_ERROR invalid flag\r\n";
		if (flag->is_bad)
			fault = token_fault(flag->letter);
	}
	return fault;
}

static const char *fault_of(struct ask *ask)
{
	const char *fault = flags_fault(ask);
	const struct ask_flag *opaque = ask_flag_of(ask, 'O');
	const struct ask_flag *mode = ask_flag_of(ask, 'M');
	uint8_t letter = mode == NULL ? 0 : (uint8_t)mode->token[0];

	if (fault != NULL)
		return ask->meta.command == 'a' ? "CLIENT_ERROR invalid or duplicate flag\r\n"
		                                : fault;
	if (opaque != NULL && strlen(opaque->token) > 32)
		fault = "CLIENT_ERROR opaque token too long\r\n";
	if (letter != 0 && ask->meta.command == 's' && strchr("SEAPR", letter) == NULL)
		fault = "CLIENT_ERROR invalid mode for ms M token\r\n";
	if (letter != 0 && ask->meta.command == 'a' && strchr("ID+-", letter) == NULL)
		fault = "CLIENT_ERROR invalid mode for ma M token\r\n";
	return fault;
}

static void add_flags(struct ask *ask)
{
	for (uint32_t i = 0; i < ask->meta.flag_count; i++) {
		const struct ask_flag *flag = &ask->meta.flags[i];

		ask_print(&ask->bytes, " %c%s", flag->letter, flag->token);
	}
}

static void add_key(struct ask *ask)
{
	ask_add(&ask->bytes, SLICE_LITERAL(" "));
	if (ask->meta.in_base64)
		ask_add_base64(&ask->bytes, ask->keys[0]);
	else
		ask_add(&ask->bytes, ask->keys[0]);
}

static void end_line(struct ask *ask, struct input *input)
{
	static const char *const ends[] = {"\r\n", "\r\n", "\r\n", "\n", " \r\n"};

	ask_add(&ask->bytes, ask_slice(ends[input_u8(input) % COUNT_OF(ends)]));
}

/* Of an item that is made, Kante tells by a `t` behind T or N what both leave in the end: memcached
 * tells what was there when the `t` came. So the generator says both only without `t`. */
static void avoid_late_ttl(struct ask *ask)
{
	struct ask_meta *meta = &ask->meta;

	if (ask_flag_of(ask, 'T') == NULL || ask_flag_of(ask, 'N') == NULL)
		return;
	for (uint32_t i = 0; i < meta->flag_count; i++)
		if (meta->flags[i].letter == 't')
			meta->flags[i--] = meta->flags[--meta->flag_count];
}

/* Key and flags; where the key is one that must be in base64, it is. */
static void choose(struct ask *ask, struct input *input, const struct model *model, char command)
{
	ask->meta.command = command;
	ask->keys[0] = ask_key(input, true);
	make_flags(ask, input, model);
	avoid_late_ttl(ask);
	if (ask_flag_of(ask, 'b') == NULL &&
	    (slice_equal(ask->keys[0], ask_key_at(6)) || slice_equal(ask->keys[0], ask_key_at(7))))
		make_flag(ask, input, model, 'b');
	ask->meta.in_base64 = ask_flag_of(ask, 'b') != NULL;
	ask->meta.is_quiet = ask_flag_of(ask, 'q') != NULL;
	ask->text = fault_of(ask);
}

static void make_line(struct ask *ask, struct input *input, ask_answer answer)
{
	ask_print(&ask->bytes, "m%c", ask->meta.command);
	add_key(ask);
	add_flags(ask);
	end_line(ask, input);
	ask->at_end = ask->text == NULL ? answer : ask_meta_answer_error;
}

void ask_meta_get(struct ask *ask, struct input *input, const struct model *model)
{
	choose(ask, input, model, 'g');
	make_line(ask, input, ask_meta_answer_get);
}

static void make_delete(struct ask *ask, struct input *input, const struct model *model)
{
	choose(ask, input, model, 'd');
	make_line(ask, input, ask_meta_answer_delete);
}

static void make_delta(struct ask *ask, struct input *input, const struct model *model)
{
	const struct ask_flag *mode;

	choose(ask, input, model, 'a');
	mode = ask_flag_of(ask, 'M');
	ask->delta.is_decrement = mode != NULL && (mode->token[0] == 'D' || mode->token[0] == '-');
	make_line(ask, input, ask_meta_answer_delta);
}

static enum model_mode mode_of(const struct ask *ask)
{
	const struct ask_flag *mode = ask_flag_of(ask, 'M');

	switch (mode == NULL ? 'S' : mode->token[0]) {
	case 'E': return MODEL_ADD;
	case 'A': return MODEL_APPEND;
	case 'P': return MODEL_PREPEND;
	case 'R': return ask_flag_of(ask, 'C') == NULL ? MODEL_REPLACE : MODEL_CAS;
	default: return ask_flag_of(ask, 'C') == NULL ? MODEL_SET : MODEL_CAS;
	}
}

static void make_store(struct ask *ask, struct input *input, const struct model *model)
{
	const struct ask_flag *flag;
	struct ask value = {0};
	uint8_t kind;

	choose(ask, input, model, 's');
	ask_value(&value, ask->keys[0], input, model);
	ask->store.mode = mode_of(ask);
	ask->store.key = ask->keys[0];
	flag = ask_flag_of(ask, 'F');
	ask->store.client_flags = flag == NULL ? 0 : (uint32_t)flag->number;
	flag = ask_flag_of(ask, 'C');
	ask->store.expected_cas = flag == NULL ? 0 : flag->number;
	flag = ask_flag_of(ask, 'E');
	ask->store.cas = (struct model_cas){flag != NULL, flag == NULL ? 0 : flag->number};
	ask->store.takes_older = ask_flag_of(ask, 'I') != NULL;
	ask->store.in_base64 = ask->meta.in_base64;
	ask->value_bytes = value.value_bytes;
	ask_print(&ask->bytes, "ms");
	add_key(ask);
	ask_print(&ask->bytes, " %llu", (unsigned long long)ask->value_bytes);
	add_flags(ask);
	end_line(ask, input);
	ask->head_bytes = ask->bytes.length;
	ask->value_at = ask->bytes.length;
	ask_add(&ask->bytes, ask_own_value(&value));
	ask_destroy(&value);
	kind = input_u8(input);
	ask->bad_value = kind >= 250;
	ask_add(&ask->bytes, ask_slice(ask->bad_value ? "\n\r" : "\r\n"));
	/* a bad line takes its value with it */
	ask->at_head = ask->text == NULL ? ask_meta_answer_store_begin : ask_meta_answer_error;
	ask->at_end = ask->text == NULL ? ask_meta_answer_store : NULL;
}

static void make_inspect(struct ask *ask, struct input *input, const struct model *model)
{
	ask->meta.command = 'e';
	ask->keys[0] = ask_key(input, true);
	ask->meta.in_base64 = input_u8(input) % 2 == 0 ||
	                      slice_equal(ask->keys[0], ask_key_at(6)) ||
	                      slice_equal(ask->keys[0], ask_key_at(7));
	if (ask->meta.in_base64)
		ask->meta.flags[ask->meta.flag_count++] = (struct ask_flag){.letter = 'b'};
	make_line(ask, input, ask_meta_answer_inspect);
}

/* Lines whose reply does not depend on what is stored. */
static const char *const known_lines[][2] = {
    {"mn", "MN\r\n"},
    {"mn a b", "MN\r\n"},
    {"mg", BAD_FORMAT},
    {"ms", BAD_FORMAT},
    {"ms a", BAD_FORMAT},
    {"ms a x", BAD_FORMAT},
    {"ms a -1", BAD_FORMAT},
    {"ms a 2147483646", BAD_FORMAT},
    {"ms a 4294967296 T0", BAD_FORMAT},
    {"md", BAD_FORMAT},
    {"ma", BAD_FORMAT},
    {"me", BAD_FORMAT},
    {"mx a", "ERROR\r\n"},
    {"mgg a", "ERROR\r\n"},
    {"mg a\x01 v", BAD_FORMAT},
    {"mg a\x7f", BAD_FORMAT},
    {"md \x1f q", BAD_FORMAT},
    {"mg !!!! b k", BAD_BASE64},
    {"mg Zm9 b", BAD_BASE64},
    {"mg Zm9=Zm9v b", BAD_BASE64},
    {"md Zm9v= b q", BAD_BASE64},
    {"me Zm9 b", BAD_FORMAT},
};

static void make_known(struct ask *ask, struct input *input, const struct model *model)
{
	const char *const *known = known_lines[input_u8(input) % COUNT_OF(known_lines)];

	ask_add(&ask->bytes, ask_slice(known[0]));
	end_line(ask, input);
	ask->text = known[1];
	ask->at_end = ask_meta_answer_error;
}

void ask_meta(struct ask *ask, struct input *input, const struct model *model)
{
	uint8_t kind = input_u8(input);

	if (kind < 96)
		ask_meta_get(ask, input, model);
	else if (kind < 168)
		make_store(ask, input, model);
	else if (kind < 196)
		make_delete(ask, input, model);
	else if (kind < 228)
		make_delta(ask, input, model);
	else if (kind < 242)
		make_inspect(ask, input, model);
	else
		make_known(ask, input, model);
}

void ask_all_of(struct ask *ask, uint32_t index)
{
	static const char all[] = "bkvsfcthlu";

	ask->meta.command = 'g';
	ask->keys[0] = ask_key_at(index);
	ask->meta.in_base64 = true;
	for (const char *letter = all; *letter != '\0'; letter++)
		ask->meta.flags[ask->meta.flag_count++] =
		    (struct ask_flag){.letter = (uint8_t)*letter};
	make_line(ask, &(struct input){0}, ask_meta_answer_get);
}
