/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor_command.h"

#include "cli/doctor.h"
#include "cli/terminal.h"

#include <stdlib.h>
#include <unistd.h>

#define CONFIG_PATH_DEFAULT "/etc/kante/kante.yaml"

const struct command_option doctor_command_options[] = {
    {"config", 'c', "FILE", "The config that kanted is to run with"},
    {"fix", '\0', NULL, "Mend what can be mended safely"},
    {"json", '\0', NULL, "Print JSON, for programs"},
    {"list", '\0', NULL, "Only list what is looked at"},
    {"no-color", '\0', NULL, "Never in colour; nor with NO_COLOR set, or where no terminal is"},
    {0},
};

static int print_json(const struct doctor_report *report, const struct doctor_options *options)
{
	json_t *json = doctor_report_json(report, options);
	int r;

	if (json == NULL) {
		fputs("kante doctor: not enough memory\n", stderr);
		return -1;
	}
	r = json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
	return r;
}

int doctor_command(const struct command_call *call)
{
	struct doctor_host host = doctor_this_host();
	struct doctor_options options = {
	    .host = &host,
	    .config_path = command_value(call, "config"),
	};
	struct doctor_report *report;
	struct config *config = NULL;
	char faults[CONFIG_ERROR_BYTES] = "";
	int status = COMMAND_USAGE;

	if (command_value(call, "list") != NULL) {
		doctor_print_checks(stdout);
		return 0;
	}
	report = calloc(1, sizeof(*report));
	if (report == NULL) {
		fputs("kante doctor: not enough memory\n", stderr);
		return status;
	}
	if (options.config_path == NULL && access(CONFIG_PATH_DEFAULT, F_OK) == 0)
		options.config_path = CONFIG_PATH_DEFAULT;
	if (options.config_path != NULL &&
	    config_load(&config, options.config_path, faults, sizeof(faults)) == 0)
		options.config = config;
	options.config_faults = faults;
	doctor_examine(report, &options);
	if (command_value(call, "fix") != NULL) {
		doctor_mend(report, &options);
		doctor_examine(report, &options);
	}
	status = doctor_exit_status(report);
	if (command_value(call, "json") != NULL) {
		if (print_json(report, &options) < 0)
			status = COMMAND_USAGE;
	} else {
		doctor_print(report, stdout, terminal_width(stdout),
		             terminal_wants_colour(stdout) &&
		                 command_value(call, "no-color") == NULL);
	}
	config_destroy(config);
	free(report);
	return status;
}
