/* SPDX-License-Identifier: Apache-2.0 */
/* Writes what the build and the tests want to have of the tables of the config. */
#include "config/describe.h"

#include <stdlib.h>

static int write_schema(FILE *to)
{
	json_t *schema = describe_schema();
	int r = schema == NULL ? -1 : json_dumpf(schema, to, JSON_INDENT(2));

	json_decref(schema);
	fputc('\n', to);
	return r;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int r = 0;

	if (strcmp(what, "manual") == 0)
		describe_manual(stdout);
	else if (strcmp(what, "example") == 0)
		describe_example(stdout);
	else if (strcmp(what, "schema") == 0)
		r = write_schema(stdout);
	else if (strcmp(what, "help") == 0)
		r = describe_help(stdout, argc > 2 ? argv[2] : NULL, 80);
	else
		r = -1;
	if (r < 0 || fflush(stdout) != 0 || ferror(stdout)) {
		fputs("config-describe manual | example | schema | help [PARAMETER]\n", stderr);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
