/* SPDX-License-Identifier: Apache-2.0 */
#include "control/identity.h"

#include "unit.h"

static void each_role_is_known_by_its_name(void)
{
	for (int i = 0; i < ROLE_COUNT; i++) {
		enum role role = ROLE_none;

		CU_ASSERT_TRUE(role_parse(&role, role_name((enum role)i)));
		CU_ASSERT_EQUAL(role, (enum role)i);
	}
}

static void what_is_no_role_is_refused(void)
{
	enum role role = ROLE_viewer;

	CU_ASSERT_FALSE(role_parse(&role, "Admin"));
	CU_ASSERT_FALSE(role_parse(&role, ""));
	CU_ASSERT_FALSE(role_parse(&role, "admin "));
	CU_ASSERT_EQUAL(role, ROLE_viewer);
	CU_ASSERT_STRING_EQUAL(credential_name(CREDENTIAL_certificate), "certificate");
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"each role is known by its name", each_role_is_known_by_its_name},
	    {"what is no role is refused", what_is_no_role_is_refused},
	};

	return UNIT_RUN("identity", cases);
}
