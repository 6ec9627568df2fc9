/* SPDX-License-Identifier: Apache-2.0 */
/* `kante doctor`: what is wrong with this node as a host for kanted, and how to mend it. Each check
 * looks at one thing of the system (and the config, where there is one), and says what it found.
 * It needs no running kanted; what a running one holds counts as free. Owner: the command. */
#pragma once

#include "config/config.h"

#include <jansson.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/timex.h>

enum doctor_level {
	DOCTOR_GOOD,
	DOCTOR_SKIPPED, /* could not be looked at: `found` says why */
	DOCTOR_NOTE,    /* works; could be faster or safer */
	DOCTOR_WARNING, /* works now; something will go wrong */
	DOCTOR_FAULT,   /* kanted will not start, or not serve, like that */
	DOCTOR_LEVEL_COUNT,
};

/* "good", "skipped", … */
const char *doctor_level_name(enum doctor_level level);

/* A command with a path in it is never cut. */
#define DOCTOR_TEXT_BYTES        (CONFIG_FILE_PATH_BYTES + 512)
#define DOCTOR_ABOUT_BYTES       128
#define DOCTOR_FINDING_COUNT_MAX 256
#define DOCTOR_PROGRAM_BYTES     32

/* The machine that is looked at. All that is a file is read below `root`, so that a test can have a
 * machine of its own; what is no file is asked for by these. */
struct doctor_host {
	const char *root;           /* "": this machine */
	const char *ssh_connection; /* the environment's SSH_CONNECTION, or NULL */
	/* About a network interface: 0, or a negative errno. */
	int (*interface_ioctl)(const struct doctor_host *host, const char *name,
	                       unsigned long request, struct ifreq *ifreq);
	/* The XDP program on an interface: 1 and its name ("": nobody may see it), 0: there is
	 * none; a negative errno. */
	int (*xdp_program)(const struct doctor_host *host, const char *name,
	                   char ret_program[DOCTOR_PROGRAM_BYTES]);
	/* Whether a socket of that type could be bound there: 0, or a negative errno. */
	int (*bind)(const struct doctor_host *host, const struct sockaddr *address,
	            socklen_t length, int type);
	/* adjtimex(2) and statvfs(3): 0, or a negative errno. */
	int (*clock)(const struct doctor_host *host, struct timex *ret_clock);
	int (*room)(const struct doctor_host *host, const char *path, struct statvfs *ret_room);
	/* For --fix: 0, or a negative errno; -ECANCELED: modprobe has said why on stderr. */
	int (*mount_hugetlbfs)(const struct doctor_host *host, const char *path);
	int (*load_module)(const struct doctor_host *host, const char *name);
};

struct doctor_host doctor_this_host(void);

struct doctor_options {
	const struct doctor_host *host;
	const char *config_path;     /* NULL: none; only the host is looked at */
	const struct config *config; /* NULL: none, or it could not be read: */
	const char *config_faults;   /* a line a fault */
};

struct doctor;
struct doctor_finding;

/* What --fix does: the same as `mend`, done; safe: it takes nothing away from anybody, and can be
 * undone. 0 with what was done, and how to make it last, in `text`; a negative errno with why not,
 * and then all is as it was. */
typedef int doctor_fix(const struct doctor *doctor, const struct doctor_finding *finding,
                       char *text, size_t text_bytes);

struct doctor_finding {
	const char *check;              /* "hugepages", "file limit" */
	char about[DOCTOR_ABOUT_BYTES]; /* "port xdp eth1"; "": the host */
	enum doctor_level level;
	char found[DOCTOR_TEXT_BYTES];
	char mend[DOCTOR_TEXT_BYTES]; /* a command or a sentence; "": nothing to do */
	doctor_fix *fix;              /* NULL: it is not for a program to do */
	uint64_t fix_value;           /* for fix */
};

struct doctor_deed {
	const char *check;
	char about[DOCTOR_ABOUT_BYTES];
	int result; /* of the fix */
	char text[DOCTOR_TEXT_BYTES];
};

struct doctor_report {
	uint32_t finding_count;
	uint32_t deed_count;
	struct doctor_finding findings[DOCTOR_FINDING_COUNT_MAX];
	struct doctor_deed deeds[DOCTOR_FINDING_COUNT_MAX];
};

/* The checks, in their order. */
struct doctor_check {
	const char *name;
	const char *help;
	void (*run)(struct doctor *doctor);
};

extern const struct doctor_check doctor_checks[];
extern const uint32_t doctor_check_count;

/* Runs all checks; findings that are there already are forgotten, deeds are not. */
void doctor_examine(struct doctor_report *report, const struct doctor_options *options);

/* Runs the fix of every finding that has one. What has become of it an examination shows. */
void doctor_mend(struct doctor_report *report, const struct doctor_options *options);

/* 0: all is good, but for notes and what was skipped; 1: there are warnings; 2: there are faults,
 * or something was to be fixed and could not. */
int doctor_exit_status(const struct doctor_report *report);

/* What is looked at, a line a check. */
void doctor_print_checks(FILE *to);

/* width: of the terminal, in columns; 0: lines are not broken. */
void doctor_print(const struct doctor_report *report, FILE *to, uint32_t width, bool with_colour);

/* {status, config, counts: {good, skipped, note, warning, fault}, findings: [{check, about, level,
 * found, mend, fixable}], fixes: [{check, about, done, text}]}. NULL: there is no memory. */
json_t *doctor_report_json(const struct doctor_report *report,
                           const struct doctor_options *options);
