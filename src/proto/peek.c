/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/peek.h"

#include "proto/binary.h"
#include "proto/number.h"
#include "proto/text.h"

#define NAME_BYTES_MAX 8 /* of a command that has a key, and the space: "prepend " */
#define NOREPLY        " noreply"
#define NOREPLY_BYTES  (sizeof(NOREPLY) - 1)

/* Of the value behind a line, with the two bytes that end it. `rest` is what comes behind the key:
 * of a meta command the length is the first word of it, of the others the last one; of cas it is
 * not, whose next request is then looked for in the wrong place. */
static uint64_t value_bytes(bool is_meta, struct slice rest)
{
	const uint8_t *end = rest.data + rest.length;
	struct slice word = {end, 0};
	uint64_t bytes = 0;

	if (is_meta) {
		word = line_next_word(&rest);
	} else {
		if (rest.length > NOREPLY_BYTES &&
		    memcmp(end - NOREPLY_BYTES, NOREPLY, NOREPLY_BYTES) == 0)
			word.data -= NOREPLY_BYTES;
		for (; word.data > rest.data && word.data[-1] != ' '; word.length++)
			word.data--;
	}
	return number_parse_u64(word, UINT32_MAX, &bytes) ? bytes + 2 : 0;
}

/* Where the line ends that goes on here; NULL: it is not seen. */
static const uint8_t *line_end(struct slice rest)
{
	if (rest.length >= 2 && rest.data[0] == '\r' && rest.data[1] == '\n')
		return rest.data + 1;
	return memchr(rest.data, '\n', rest.length);
}

/* The first ops are those about keys. */
static bool has_key(enum request_op op)
{
	return op <= REQUEST_INSPECT;
}

static bool writes(enum request_op op)
{
	return op != REQUEST_GET && op != REQUEST_INSPECT;
}

/* The name that a line begins with, of a command with a key. False: it begins otherwise. */
static bool peek_name(struct slice bytes, struct slice *ret_name, enum request_op *ret_op)
{
	size_t length;

	if (bytes.length > 4 && memcmp(bytes.data, "get ", 4) == 0) { /* most do */
		*ret_name = (struct slice){bytes.data, 3};
		*ret_op = REQUEST_GET;
		return true;
	}
	length = bytes_before_blank(bytes.data, min_u64(bytes.length, NAME_BYTES_MAX));
	*ret_name = (struct slice){bytes.data, length};
	return length >= 2 && length < NAME_BYTES_MAX && length + 1 < bytes.length &&
	       bytes.data[length] == ' ' && text_find_op(*ret_name, ret_op) && has_key(*ret_op);
}

static bool peek_line(struct slice bytes, struct peek *ret_peek)
{
	struct slice name, rest;
	enum request_op op;
	const uint8_t *end;

	if (!peek_name(bytes, &name, &op))
		return false;
	rest = (struct slice){bytes.data + name.length + 1, bytes.length - name.length - 1};
	*ret_peek = (struct peek){.key = {rest.data, bytes_before_blank(rest.data, rest.length)},
	                          .writes = writes(op)};
	rest.data += ret_peek->key.length;
	rest.length -= ret_peek->key.length;
	if (ret_peek->key.length == 0 || ret_peek->key.length > KEY_BYTES_MAX)
		return false;
	if (name.data[0] == 'g' && rest.length > 0 && *rest.data == ' ') {
		/* its keys are looked for when it is run: not again and again before that */
		ret_peek->bytes = bytes.length;
		return true;
	}
	end = line_end(rest);
	if (end == NULL)
		return false;
	ret_peek->bytes = (uint64_t)(end + 1 - bytes.data);
	ret_peek->is_get = memcmp(name.data, "get ", 4) == 0 &&
	                   (end == rest.data || (end == rest.data + 1 && *rest.data == '\r'));
	if (request_has_value(op)) {
		rest.length = (size_t)(end - rest.data);
		if (rest.length > 0 && end[-1] == '\r')
			rest.length--;
		ret_peek->bytes += value_bytes(name.length == 2, rest);
	}
	return true;
}

static bool peek_head(struct slice bytes, struct peek *ret_peek)
{
	const uint8_t *head = bytes.data;
	enum request_op op;
	size_t key_at;

	if (bytes.length < BINARY_HEADER_BYTES || !binary_find_op(head[1], &op) || !has_key(op))
		return false;
	key_at = BINARY_HEADER_BYTES + head[4];
	*ret_peek = (struct peek){
	    .key = {head + key_at, load_be16(head + 2)},
	    .writes = writes(op),
	    .bytes = BINARY_HEADER_BYTES + (uint64_t)load_be32(head + 8),
	};
	return ret_peek->key.length > 0 && ret_peek->key.length <= KEY_BYTES_MAX &&
	       key_at + ret_peek->key.length <= bytes.length;
}

bool request_peek(struct slice bytes, struct peek *ret_peek)
{
	if (bytes.length == 0)
		return false;
	return bytes.data[0] == BINARY_MAGIC_REQUEST ? peek_head(bytes, ret_peek)
	                                             : peek_line(bytes, ret_peek);
}
