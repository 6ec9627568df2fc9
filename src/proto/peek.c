/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/peek.h"

#include "proto/binary.h"
#include "proto/line.h"
#include "proto/number.h"

#define NAME_BYTES_MAX 8 /* of a command that has a key, and the space: "prepend " */

#define OPCODE_GET   0x00
#define OPCODE_GETQ  0x09
#define OPCODE_GETK  0x0c
#define OPCODE_GETKQ 0x0d

/* Of the value that follows a line; 0: none does. `rest` is what comes behind the key. */
static uint64_t value_bytes(struct slice name, struct slice rest)
{
	uint32_t words_before = 2; /* set key flags exptime bytes */
	uint64_t bytes = 0;
	struct slice word;

	if (name.data[0] == 'm')
		words_before = 0; /* ms key bytes */
	do
		word = line_next_word(&rest);
	while (words_before-- > 0);
	return number_parse_u64(word, UINT32_MAX, &bytes) ? bytes + 2 : 0;
}

static bool has_value(struct slice name)
{
	switch (name.data[0]) {
	case 's':
	case 'r':
	case 'p': return true;
	case 'c': return name.length == 3; /* cas */
	case 'a': return name.length == 3 || name.length == 6;
	case 'm': return name.data[1] == 's';
	default: return false;
	}
}

/* Where the line ends that goes on here; NULL: it is not seen. */
static const uint8_t *line_end(struct slice rest)
{
	if (rest.length >= 2 && rest.data[0] == '\r' && rest.data[1] == '\n')
		return rest.data + 1;
	return memchr(rest.data, '\n', rest.length);
}

/* Bytes of the command's name; 0: there is none with a key. */
static size_t name_bytes(struct slice bytes)
{
	size_t length;

	if (bytes.length > 4 && memcmp(bytes.data, "get ", 4) == 0)
		return 3;
	length = bytes_before_blank(bytes.data, min_u64(bytes.length, NAME_BYTES_MAX));
	if (length < 2 || length == NAME_BYTES_MAX || length + 1 >= bytes.length ||
	    bytes.data[length] != ' ')
		return 0;
	return length;
}

static bool peek_line(struct slice bytes, struct peek *ret_peek)
{
	struct slice name = {bytes.data, name_bytes(bytes)};
	struct slice rest;
	const uint8_t *end;

	if (name.length == 0)
		return false;
	rest = (struct slice){bytes.data + name.length + 1, bytes.length - name.length - 1};
	ret_peek->key = (struct slice){rest.data, bytes_before_blank(rest.data, rest.length)};
	rest.data += ret_peek->key.length;
	rest.length -= ret_peek->key.length;
	if (ret_peek->key.length == 0 || ret_peek->key.length > KEY_BYTES_MAX)
		return false;
	if (name.data[0] == 'g' && rest.length > 0 && *rest.data == ' ') {
		/* its keys are looked for when it is run: not again and again before that */
		ret_peek->is_get = false;
		ret_peek->writes = false;
		ret_peek->bytes = bytes.length;
		return true;
	}
	end = line_end(rest);
	if (end == NULL)
		return false;
	ret_peek->bytes = (uint64_t)(end + 1 - bytes.data);
	ret_peek->writes = name.data[0] != 'g' && name.data[1] != 'g';
	ret_peek->is_get = memcmp(name.data, "get ", 4) == 0 &&
	                   (end == rest.data || (end == rest.data + 1 && *rest.data == '\r'));
	if (has_value(name)) {
		rest.length = (size_t)(end - rest.data);
		if (rest.length > 0 && end[-1] == '\r')
			rest.length--;
		ret_peek->bytes += value_bytes(name, rest);
	}
	return true;
}

static bool peek_head(struct slice bytes, struct peek *ret_peek)
{
	const uint8_t *head = bytes.data;
	size_t key_at;

	if (bytes.length < BINARY_HEADER_BYTES)
		return false;
	key_at = BINARY_HEADER_BYTES + head[4];
	*ret_peek = (struct peek){
	    .key = {head + key_at, load_be16(head + 2)},
	    .writes = head[1] != OPCODE_GET && head[1] != OPCODE_GETQ && head[1] != OPCODE_GETK &&
	              head[1] != OPCODE_GETKQ,
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
