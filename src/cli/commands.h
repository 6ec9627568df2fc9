/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that ask a node, as main.c's table calls them. Each returns its exit status. */
#pragma once

#include "cli/command.h"

int status_command(const struct command_call *call);
int whoami_command(const struct command_call *call);
int stats_command(const struct command_call *call);

int key_list_command(const struct command_call *call);
int key_create_command(const struct command_call *call);
int key_revoke_command(const struct command_call *call);
