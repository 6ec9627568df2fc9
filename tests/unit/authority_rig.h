/* SPDX-License-Identifier: Apache-2.0 */
/* An authority in a directory of its own, and the command `openssl` to judge it by. */
#pragma once

#include "certificates_rig.h"
#include "control/authority.h"

#include <errno.h>
#include <stdarg.h>

#define NODE    "node-1.example.org"
#define NOBODY  65534
#define NOW     ((uint64_t)time(NULL))
#define SECONDS UINT64_C(1)

struct rig {
	struct folder folder;
	char directory[96];
	char error[1024];
	char serial[IDENTITY_CREDENTIAL_BYTES];
	char output[65536]; /* of the last command */
};

static inline void rig_prepare(struct rig *rig)
{
	*rig = (struct rig){0};
	folder_open(&rig->folder);
	snprintf(rig->directory, sizeof(rig->directory), "%s/tls", rig->folder.path);
}

static inline uint32_t make_at(struct rig *rig, uint64_t now_s)
{
	uint32_t made = 99;
	int r = authority_make(rig->directory, NODE, NULL, 0, now_s, &made, rig->error,
	                       sizeof(rig->error));

	if (r < 0)
		printf("\n%d: %s\n", r, rig->error);
	CU_ASSERT_EQUAL_FATAL(r, 0);
	CU_ASSERT_STRING_EQUAL(rig->error, "");
	return made;
}

static inline void rig_open(struct rig *rig)
{
	rig_prepare(rig);
	CU_ASSERT_EQUAL(make_at(rig, NOW),
	                AUTHORITY_MADE_CA | AUTHORITY_MADE_SERVER | AUTHORITY_MADE_ADMIN);
}

static inline void rig_close(struct rig *rig)
{
	folder_close(&rig->folder);
}

/* Runs it in the authority's directory. Returns its exit status. */
static inline int run(struct rig *rig, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline int run(struct rig *rig, const char *format, ...)
{
	char command[1024], whole[1280];
	va_list arguments;
	FILE *output;
	int status;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	snprintf(whole, sizeof(whole), "cd %s && { %s; } 2>&1", rig->directory, command);
	output = popen(whole, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(output);
	rig->output[fread(rig->output, 1, sizeof(rig->output) - 1, output)] = '\0';
	status = pclose(output);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline bool says(struct rig *rig, const char *text)
{
	if (strstr(rig->output, text) != NULL)
		return true;
	printf("\n\"%s\" is not in:\n%s\n", text, rig->output);
	return false;
}

static inline int issue(struct rig *rig, const char *name, enum role role, uint64_t days,
                        uint64_t now_s)
{
	return authority_issue(rig->directory, name, role, days, now_s, rig->serial, rig->error,
	                       sizeof(rig->error));
}

static inline int revoke_at(struct rig *rig, const char *serial, uint64_t now_s)
{
	return authority_revoke(rig->directory, serial, now_s, rig->error, sizeof(rig->error));
}

static inline bool refresh(struct rig *rig, uint64_t now_s)
{
	return authority_refresh_crl(rig->directory, now_s, rig->error, sizeof(rig->error));
}

static inline int renew(struct rig *rig)
{
	return authority_renew_server(rig->directory, NODE, NULL, 0, NOW, rig->error,
	                              sizeof(rig->error));
}

static inline bool error_says(struct rig *rig, const char *text)
{
	if (strstr(rig->error, text) != NULL && strchr(rig->error, '\n') == NULL)
		return true;
	printf("\nwant: %s\ngot: %s\n", text, rig->error);
	return false;
}

static inline const char *field(const json_t *list, size_t index, const char *name)
{
	const char *text = json_string_value(json_object_get(json_array_get(list, index), name));

	return text == NULL ? "" : text;
}
