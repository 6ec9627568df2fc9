/* SPDX-License-Identifier: Apache-2.0 */
#include "control/audit_verify.h"

#include "control/audit_walk.h"

int audit_verify(const char *directory, struct audit_verdict *ret_verdict, audit_fault_fn *fault,
                 void *context)
{
	const struct audit_walk_options options = {
	    .directory = directory, .fault = fault, .context = context};
	struct audit_walk_result result;
	int r = audit_walk(&result, &options);

	*ret_verdict = result.verdict;
	return r;
}

int audit_each(const char *directory, uint64_t from_us, uint64_t to_us,
               bool (*line)(void *context, const json_t *line), audit_fault_fn *fault,
               void *context)
{
	const struct audit_walk_options options = {
	    .directory = directory,
	    .fault = fault,
	    .line = line,
	    .from_us = from_us,
	    .to_us = to_us,
	    .context = context,
	};
	struct audit_walk_result result;

	return audit_walk(&result, &options);
}
