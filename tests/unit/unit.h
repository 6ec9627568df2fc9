/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test program shares: its main() lists cases and runs them with CUnit. */
#pragma once

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stddef.h>

struct unit_case {
	const char *claim; /* what holds, as a sentence */
	void (*run)(void);
};

/* Runs all cases; returns the process's exit status. */
static inline int unit_run(const char *suite_name, const struct unit_case *cases, size_t count)
{
	CU_pSuite suite;
	unsigned failures;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	suite = CU_add_suite(suite_name, NULL, NULL);
	for (size_t i = 0; i < count; i++)
		CU_add_test(suite, cases[i].claim, cases[i].run);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures == 0 ? 0 : 1;
}

#define UNIT_RUN(suite_name, cases) unit_run(suite_name, cases, sizeof(cases) / sizeof(cases[0]))
