/* SPDX-License-Identifier: Apache-2.0 */
/* Reads configs, and says of each file named whether it is good: a line each, "good", or "bad: "
 * and its first fault. So a thousand of them take no longer than one. */
#include "config/config.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char error[CONFIG_ERROR_BYTES];
		struct config *config = NULL;

		if (config_load(&config, argv[i], error, sizeof(error)) == 0)
			puts("good");
		else
			printf("bad: %.*s\n", (int)strcspn(error, "\n"), error);
		config_destroy(config);
	}
	return 0;
}
