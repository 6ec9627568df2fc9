/* SPDX-License-Identifier: Apache-2.0 */
/* The command `doctor`. */
#pragma once

#include "cli/command.h"

extern const struct command_option doctor_command_options[];

#define DOCTOR_COMMAND_DETAILS                                                                     \
	"Without --config, /etc/kante/kante.yaml is taken if it is there; with none, only the\n"   \
	"host is looked at. It needs no running kanted; what a running one holds counts as\n"      \
	"free. Run it as the user that kanted runs as.\n"                                          \
	"\n"                                                                                       \
	"--fix reserves hugepages (never more than half of the memory that is available),\n"       \
	"mounts a hugetlbfs, loads vfio-pci, raises net.core.somaxconn, sets the governor of "     \
	"the\n"                                                                                    \
	"workers' cores to performance, and brings up interfaces of xdp ports. It says what it\n"  \
	"did, and how to have it after a reboot, too. It touches no interface that the default\n"  \
	"route or an SSH session goes through, and takes no device from its driver.\n"             \
	"\n"                                                                                       \
	"Exit status: 0 good, but for notes; 1 warnings: something will go wrong; 2 faults:\n"     \
	"kanted will not start, or not serve; 3 wrong arguments."

int doctor_command(const struct command_call *call);
