/* SPDX-License-Identifier: Apache-2.0 */
/* The manual page kante(1), made from the table of commands. Plain text; nobody's. */
#pragma once

#include "cli/command.h"

void manual_write(const struct commands *all, FILE *to); /* in mdoc(7) */
