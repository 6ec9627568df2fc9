/* SPDX-License-Identifier: Apache-2.0 */
#include "net/address.h"

#include "unit.h"

#include <errno.h>

static void a_prefix_is_written_as_it_is_read(void)
{
	static const struct {
		const char *read, *written;
	} tries[] = {
	    {"198.18.0.0/24", "198.18.0.0/24"},
	    {"198.18.0.2/24", "198.18.0.2/24"}, /* an address with its network */
	    {"198.18.0.2", "198.18.0.2"},
	    {"198.18.0.2/32", "198.18.0.2"},
	    {"0.0.0.0/0", "0.0.0.0/0"},
	    {"255.255.255.255/31", "255.255.255.255/31"},
	    {"fd00::/64", "fd00::/64"},
	    {"FD00:0:0::1", "fd00::1"},
	    {"fd00::1/128", "fd00::1"},
	    {"::/0", "::/0"},
	    {"::1/127", "::1/127"},
	    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124",
	     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124"},
	    /* IPv4 as an IPv6 socket writes it */
	    {"::ffff:198.18.0.0/120", "198.18.0.0/24"},
	    {"::ffff:c612:2", "198.18.0.2"},
	    {"::ffff:0:0/96", "0.0.0.0/0"},
	    /* more than IPv4 */
	    {"::ffff:0:0/95", "::ffff:0.0.0.0/95"},
	    {"::/64", "::/64"},
	};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct ip_prefix prefix, again;
		char text[IP_PREFIX_TEXT_MAX];

		CU_ASSERT_EQUAL_FATAL(ip_prefix_parse(&prefix, tries[i].read), 0);
		ip_prefix_format(&prefix, text);
		CU_ASSERT_STRING_EQUAL(text, tries[i].written);
		CU_ASSERT_EQUAL_FATAL(ip_prefix_parse(&again, text), 0);
		CU_ASSERT_TRUE(ip_address_equal(&again.address, &prefix.address));
		CU_ASSERT_EQUAL(again.length, prefix.length);
	}
}

static void what_is_no_prefix_is_refused(void)
{
	static const char *const tries[] = {
	    "",
	    "/",
	    "/24",
	    "198.18.0.0/",
	    "198.18.0.0/33",
	    "198.18.0.0/-1",
	    "198.18.0.0/+1",
	    "198.18.0.0/ 1",
	    "198.18.0.0/1x",
	    "198.18.0.0/24/24",
	    "198.18.0/24",
	    "198.18.0.256",
	    "198.18.0.0/18446744073709551617",
	    "fd00::/129",
	    "fd00:::/64",
	    "fd00::%lo",
	    " 198.18.0.0",
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	    "host",
	};
	struct ip_prefix prefix;

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		CU_ASSERT_EQUAL(ip_prefix_parse(&prefix, tries[i]), -EINVAL);
}

static void a_prefix_contains_what_begins_as_it_does(void)
{
	static const struct {
		const char *prefix, *inside, *outside;
	} tries[] = {
	    {"198.18.0.0/24", "198.18.0.255", "198.18.1.0"},
	    {"198.18.0.0/23", "198.18.1.255", "198.18.2.0"},
	    {"198.18.0.1", "198.18.0.1", "198.18.0.0"},
	    {"0.0.0.0/0", "255.255.255.255", "::1"},
	    {"fd00::/7", "fcff::1", "fe00::"},
	    {"::/0", "198.18.0.1", NULL},
	};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct ip_address address;
		struct ip_prefix prefix;

		CU_ASSERT_EQUAL(ip_prefix_parse(&prefix, tries[i].prefix), 0);
		CU_ASSERT_EQUAL(ip_address_parse(&address, tries[i].inside), 0);
		CU_ASSERT_TRUE(ip_prefix_contains(&prefix, &address));
		if (tries[i].outside == NULL)
			continue;
		CU_ASSERT_EQUAL(ip_address_parse(&address, tries[i].outside), 0);
		CU_ASSERT_FALSE(ip_prefix_contains(&prefix, &address));
	}
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"a prefix is written as it is read", a_prefix_is_written_as_it_is_read},
	    {"what is no prefix is refused", what_is_no_prefix_is_refused},
	    {"a prefix contains what begins as it does", a_prefix_contains_what_begins_as_it_does},
	};

	return UNIT_RUN("address", cases);
}
