/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/text_admin.h"

#include "proto/number.h"

#define MEMLIMIT_MIB_MIN     8
#define MEMLIMIT_MIB_MAX     1000000000
#define LRU_PERCENT_MAX      80
#define CRAWLER_SLEEP_US_MAX 1000000
#define CLASS_MAX            63 /* of memcached's … */
#define CLASS_OF_ALL         1  /* … but here there is only this one */

#define IS(slice, text) slice_equal(slice, SLICE_LITERAL(text))

static enum parse_verdict answer(struct request *request, struct slice text)
{
	request->op = REQUEST_ANSWERED;
	request->argument = text;
	return PARSE_DONE;
}

#define ANSWER(request, text) answer(request, SLICE_LITERAL(text "\r\n"))

/* Digits, with a fraction or without. *ret_positive: it is more than 0. */
static bool parse_decimal(struct slice text, bool *ret_positive)
{
	size_t digit_count = 0, point_count = 0;

	*ret_positive = false;
	for (size_t i = 0; i < text.length; i++) {
		uint8_t byte = text.data[i];

		if (byte == '.')
			point_count++;
		else if (byte >= '0' && byte <= '9')
			digit_count++;
		else
			return false;
		*ret_positive = *ret_positive || byte >= '1';
	}
	return digit_count > 0 && point_count <= 1;
}

/* <level> [noreply] */
enum parse_verdict text_parse_verbosity(const struct line *line, struct request *request,
                                        struct refusal *refusal)
{
	struct words words;
	uint64_t level;

	line_split(line->rest, &words);
	if (words.count != 1 && words.count != 2)
		return refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, false);
	request->noreply = words.noreply;
	if (!number_parse_u64(words.word[0], UINT32_MAX, &level))
		return refusal_of(refusal, REFUSAL_BAD_FORMAT, words.noreply);
	return ANSWER(request, "OK");
}

/* <MiB> [noreply] */
enum parse_verdict text_parse_cache_memlimit(const struct line *line, struct request *request,
                                             struct refusal *refusal)
{
	struct words words;

	line_split(line->rest, &words);
	if (words.count != 1 && words.count != 2)
		return refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, false);
	request->noreply = words.noreply;
	if (!number_parse_u64(words.word[0], UINT32_MAX, &request->delta))
		return refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, words.noreply);
	if (request->delta < MEMLIMIT_MIB_MIN)
		return ANSWER(request, "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m");
	if (request->delta > MEMLIMIT_MIB_MAX)
		return ANSWER(request, "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes");
	return PARSE_DONE;
}

/* prefix <prefix> [noreply], class <name> [noreply]: Kante's own. */
enum parse_verdict text_parse_purge(const struct line *line, struct request *request,
                                    struct refusal *refusal)
{
	struct words words;
	bool is_class;

	line_split(line->rest, &words);
	request->noreply = words.noreply;
	if (words.count != (words.noreply ? 3 : 2))
		return refusal_of(refusal, REFUSAL_BAD_PURGE, words.noreply);
	is_class = IS(words.word[0], "class");
	if ((!is_class && !IS(words.word[0], "prefix")) || !line_key_is_good(line, words.word[1]))
		return refusal_of(refusal, REFUSAL_BAD_PURGE, words.noreply);
	request->modifiers = is_class ? REQUEST_OF_CLASS : 0;
	request->key = words.word[1];
	return PARSE_DONE;
}

/* reassign <from> <to> */
static enum parse_verdict parse_reassign(const struct words *words, struct request *request,
                                         struct refusal *refusal)
{
	int64_t from, to;

	if (!number_parse_i64(words->word[1], &from) || !number_parse_i64(words->word[2], &to))
		return refusal_of(refusal, REFUSAL_BAD_FORMAT, false);
	if (from == to)
		return ANSWER(request, "SAME src and dst class are identical");
	return ANSWER(request, "BADCLASS invalid src or dst class id");
}

/* automove <0|1|2>, automove ratio <fraction> */
static enum parse_verdict parse_automove(const struct words *words, struct request *request,
                                         struct refusal *refusal)
{
	uint64_t level;
	bool positive;

	request->noreply = words->noreply;
	if (IS(words->word[1], "ratio")) {
		if (words->count < 3 || !parse_decimal(words->word[2], &positive))
			return refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, words->noreply);
		return ANSWER(request, "OK");
	}
	if (!number_parse_u64(words->word[1], UINT32_MAX, &level))
		return refusal_of(refusal, REFUSAL_BAD_FORMAT, words->noreply);
	if (level > 2)
		return refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, words->noreply);
	return ANSWER(request, "OK");
}

enum parse_verdict text_parse_slabs(const struct line *line, struct request *request,
                                    struct refusal *refusal)
{
	struct words words;

	line_split(line->rest, &words);
	if (words.count == 3 && IS(words.word[0], "reassign"))
		return parse_reassign(&words, request, refusal);
	if (words.count >= 2 && IS(words.word[0], "automove"))
		return parse_automove(&words, request, refusal);
	return refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, false);
}

/* tune <hot %> <warm %> <hot factor> <warm factor> */
static enum parse_verdict parse_tune(const struct words *words, struct request *request,
                                     struct refusal *refusal)
{
	uint64_t hot, warm;
	bool hot_positive, warm_positive;

	if (!number_parse_u64(words->word[1], UINT32_MAX, &hot) ||
	    !number_parse_u64(words->word[2], UINT32_MAX, &warm) ||
	    !parse_decimal(words->word[3], &hot_positive) ||
	    !parse_decimal(words->word[4], &warm_positive))
		return refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, words->noreply);
	if (hot + warm > LRU_PERCENT_MAX)
		return ANSWER(request, "ERROR hot and warm pcts must not exceed 80");
	if (!hot_positive || !warm_positive)
		return ANSWER(request, "ERROR hot/warm age factors must be greater than 0");
	return ANSWER(request, "OK");
}

enum parse_verdict text_parse_lru(const struct line *line, struct request *request,
                                  struct refusal *refusal)
{
	struct words words;
	int64_t ttl;

	line_split(line->rest, &words);
	request->noreply = words.noreply;
	if (words.count >= 5 && IS(words.word[0], "tune"))
		return parse_tune(&words, request, refusal);
	if (words.count >= 2 && IS(words.word[0], "mode") &&
	    (IS(words.word[1], "flat") || IS(words.word[1], "segmented")))
		return ANSWER(request, "OK");
	if (words.count >= 2 && IS(words.word[0], "temp_ttl") &&
	    number_parse_i64(words.word[1], &ttl))
		return ANSWER(request, "OK");
	return refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, words.noreply);
}

/* all, or numbers of classes with commas between them. *ret_has_items: the one with items is among
 * them. */
static bool classes_are_good(struct slice classes, bool *ret_has_items)
{
	const uint8_t *at = classes.data, *end = classes.data + classes.length;

	*ret_has_items = IS(classes, "all");
	if (*ret_has_items)
		return true;
	for (;;) {
		const uint8_t *comma = memchr(at, ',', (size_t)(end - at));
		struct slice class = {at, (size_t)((comma == NULL ? end : comma) - at)};
		uint64_t number;

		if (!number_parse_u64(class, CLASS_MAX, &number) || number == 0)
			return false;
		*ret_has_items = *ret_has_items || number == CLASS_OF_ALL;
		if (comma == NULL)
			return true;
		at = comma + 1;
	}
}

static enum parse_verdict dump(struct request *request, enum dump_form form, uint64_t count_max)
{
	request->op = REQUEST_DUMP;
	request->dump = form;
	request->delta = count_max;
	return PARSE_DONE;
}

/* metadump, mgdump, and our own survey: hash is an order, and the only one there is here. */
static enum parse_verdict parse_dump(const struct words *words, struct request *request)
{
	bool has_items = IS(words->word[1], "hash");

	enum dump_form form = DUMP_METADUMP;

	if (!has_items && !classes_are_good(words->word[1], &has_items))
		return ANSWER(request, "BADCLASS invalid class id");
	if (IS(words->word[0], "mgdump"))
		form = DUMP_MGDUMP;
	else if (IS(words->word[0], "survey"))
		form = DUMP_SURVEY;
	return dump(request, form, has_items ? UINT64_MAX : 0);
}

/* stats cachedump <class> <count>: 0 is all. */
enum parse_verdict text_parse_cachedump(const struct words *words, struct request *request,
                                        struct refusal *refusal)
{
	uint64_t class, count_max;

	if (words->count < 3)
		return ANSWER(request, "CLIENT_ERROR bad command line");
	if (!number_parse_u64(words->word[1], UINT32_MAX, &class) ||
	    !number_parse_u64(words->word[2], UINT32_MAX, &count_max))
		return refusal_of(refusal, REFUSAL_BAD_FORMAT, false);
	if (class > CLASS_MAX)
		return ANSWER(request, "CLIENT_ERROR Illegal slab id");
	if (class != CLASS_OF_ALL)
		return ANSWER(request, "END");
	return dump(request, DUMP_CACHEDUMP, count_max == 0 ? UINT64_MAX : count_max);
}

/* There is nothing to crawl for: expired segments come back by themselves. */
static enum parse_verdict parse_crawler_number(const struct words *words, struct request *request,
                                               struct refusal *refusal)
{
	bool has_items;
	uint64_t number;

	if (IS(words->word[0], "metadump") || IS(words->word[0], "mgdump") ||
	    IS(words->word[0], "survey"))
		return parse_dump(words, request);
	if (IS(words->word[0], "crawl"))
		return classes_are_good(words->word[1], &has_items)
		           ? ANSWER(request, "OK")
		           : ANSWER(request, "BADCLASS invalid class id");
	if (!IS(words->word[0], "tocrawl") && !IS(words->word[0], "sleep"))
		return refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, false);
	if (!number_parse_u64(words->word[1], UINT32_MAX, &number))
		return refusal_of(refusal, REFUSAL_BAD_FORMAT, false);
	if (IS(words->word[0], "sleep") && number > CRAWLER_SLEEP_US_MAX)
		return ANSWER(request, "CLIENT_ERROR sleep must be one second or less");
	return ANSWER(request, "OK");
}

enum parse_verdict text_parse_lru_crawler(const struct line *line, struct request *request,
                                          struct refusal *refusal)
{
	struct words words;

	line_split(line->rest, &words);
	if (words.count == 2)
		return parse_crawler_number(&words, request, refusal);
	if (words.count == 1 && (IS(words.word[0], "enable") || IS(words.word[0], "disable")))
		return ANSWER(request, "OK");
	return refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, false);
}

/* [<kind>…], fetchers when none is named. What memcached has of itself and not of its clients is
 * taken, and never happens here. */
enum parse_verdict text_parse_watch(const struct line *line, struct request *request,
                                    struct refusal *refusal)
{
	static const struct {
		struct slice name;
		uint32_t kind;
	} kinds[] = {
	    {SLICE_LITERAL("fetchers"), WATCH_FETCHERS},
	    {SLICE_LITERAL("mutations"), WATCH_MUTATIONS},
	    {SLICE_LITERAL("evictions"), WATCH_EVICTIONS},
	    {SLICE_LITERAL("connevents"), WATCH_CONNECTIONS},
	    {SLICE_LITERAL("deletions"), WATCH_DELETIONS},
	    {SLICE_LITERAL("sysevents"), 0},
	    {SLICE_LITERAL("rawcmds"), 0},
	};
	const size_t kind_count = sizeof(kinds) / sizeof(kinds[0]);
	struct slice rest = line->rest;
	struct slice word = line_next_word(&rest);

	if (word.length == 0)
		request->delta = WATCH_FETCHERS;
	for (; word.length > 0; word = line_next_word(&rest)) {
		size_t i = 0;

		while (i < kind_count && !slice_equal(kinds[i].name, word))
			i++;
		if (i == kind_count)
			return refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, false);
		request->delta |= kinds[i].kind;
	}
	return PARSE_DONE;
}

#ifdef KANTE_DEBUG_TIME
/* p, r, or seconds: pauses the clock, lets it go on, advances it. It never goes back. */
enum parse_verdict text_parse_debugtime(const struct line *line, struct request *request,
                                        struct refusal *refusal)
{
	struct words words;

	line_split(line->rest, &words);
	if (words.count != 1)
		return refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, false);
	if (IS(words.word[0], "p"))
		request->debug_time = DEBUG_TIME_PAUSE;
	else if (IS(words.word[0], "r"))
		request->debug_time = DEBUG_TIME_RESUME;
	else if (!number_parse_u64(words.word[0], INT32_MAX, &request->delta))
		return refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, false);
	return PARSE_DONE;
}
#endif
