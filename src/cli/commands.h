/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that ask a node, as main.c's table calls them. Each returns its exit status. */
#pragma once

#include "cli/command.h"

int status_command(const struct command_call *call);
int whoami_command(const struct command_call *call);
int stats_command(const struct command_call *call);

int hot_command(const struct command_call *call);
int big_command(const struct command_call *call);
int hist_command(const struct command_call *call);
int watch_command(const struct command_call *call);
int capture_command(const struct command_call *call);
int top_command(const struct command_call *call);
int purge_prefix_command(const struct command_call *call);
int purge_class_command(const struct command_call *call);
int purge_all_command(const struct command_call *call);
int class_list_command(const struct command_call *call);

int block_list_command(const struct command_call *call);
int block_add_command(const struct command_call *call);
int block_remove_command(const struct command_call *call);

int key_list_command(const struct command_call *call);
int key_create_command(const struct command_call *call);
int key_revoke_command(const struct command_call *call);

int config_get_command(const struct command_call *call);
int config_set_command(const struct command_call *call);
int config_check_command(const struct command_call *call);
int config_diff_command(const struct command_call *call);
int config_reload_command(const struct command_call *call);
int config_help_command(const struct command_call *call);

int audit_log_command(const struct command_call *call);
int audit_verify_command(const struct command_call *call);
int audit_report_command(const struct command_call *call);

int cert_list_command(const struct command_call *call);
int cert_issue_command(const struct command_call *call);
int cert_revoke_command(const struct command_call *call);
int cert_renew_command(const struct command_call *call);

int token_list_command(const struct command_call *call);
int token_revoke_command(const struct command_call *call);

int user_list_command(const struct command_call *call);
int user_set_command(const struct command_call *call);
int user_remove_command(const struct command_call *call);
