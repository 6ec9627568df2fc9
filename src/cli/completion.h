/* SPDX-License-Identifier: Apache-2.0 */
/* Scripts that let a shell complete the commands, made from their table. They know all by
 * themselves: nothing is run while somebody types. Plain text; nobody's. */
#pragma once

#include "cli/command.h"

void completion_write_bash(const struct commands *all, FILE *to);
void completion_write_zsh(const struct commands *all, FILE *to);
