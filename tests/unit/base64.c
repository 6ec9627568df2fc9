/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base64.h"

#include "unit.h"

#define BYTES_MAX 64

static bool reads(const char *text, const char *bytes)
{
	uint8_t to[BYTES_MAX];
	size_t length;

	return base64_read((struct slice){(const uint8_t *)text, strlen(text)}, to, sizeof(to),
	                   &length) &&
	       length == strlen(bytes) && memcmp(to, bytes, length) == 0;
}

static bool refuses(const char *text)
{
	uint8_t to[BYTES_MAX];
	size_t length;

	return !base64_read((struct slice){(const uint8_t *)text, strlen(text)}, to, sizeof(to),
	                    &length);
}

/* RFC 4648 10 */
static void test_the_vectors_of_the_rfc_are_read(void)
{
	CU_ASSERT_TRUE(reads("Zg==", "f"));
	CU_ASSERT_TRUE(reads("Zm8=", "fo"));
	CU_ASSERT_TRUE(reads("Zm9v", "foo"));
	CU_ASSERT_TRUE(reads("Zm9vYg==", "foob"));
	CU_ASSERT_TRUE(reads("Zm9vYmE=", "fooba"));
	CU_ASSERT_TRUE(reads("Zm9vYmFy", "foobar"));
	CU_ASSERT_TRUE(reads("+/+/", "\xfb\xff\xbf"));
}

static void test_what_is_written_reads_the_same(void)
{
	uint8_t bytes[48], text[BASE64_BYTES(sizeof(bytes))], back[sizeof(bytes)];

	for (size_t length = 1; length <= sizeof(bytes); length++) {
		size_t back_length = 0;

		for (size_t i = 0; i < length; i++)
			bytes[i] = (uint8_t)(i * 37 + length * 11);
		CU_ASSERT_EQUAL(base64_write(text, (struct slice){bytes, length}) - text,
		                (ptrdiff_t)BASE64_BYTES(length));
		CU_ASSERT_TRUE(base64_read((struct slice){text, BASE64_BYTES(length)}, back, length,
		                           &back_length));
		CU_ASSERT_EQUAL(back_length, length);
		CU_ASSERT_EQUAL(memcmp(back, bytes, length), 0);
		CU_ASSERT_FALSE(base64_read((struct slice){text, BASE64_BYTES(length)}, back,
		                            length - 1, &back_length));
	}
}

static void test_all_else_is_refused(void)
{
	static const char *const texts[] = {"",     "Z",    "Zg",   "Zg=",     "Zg===",  "Z===",
	                                    "====", "Zh==", "Zm9=", "Zm 9v",   "Zm9v\n", "Zm-v",
	                                    "Zm_v", "=Zm9", "Z=m9", "Zg==Zg=="};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		CU_ASSERT_TRUE(refuses(texts[i]));
}

static const struct unit_case cases[] = {
    {"the vectors of the RFC are read", test_the_vectors_of_the_rfc_are_read},
    {"what is written reads the same", test_what_is_written_reads_the_same},
    {"all else is refused", test_all_else_is_refused},
};

int main(void)
{
	return UNIT_RUN("base64", cases);
}
