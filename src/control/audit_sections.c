/* SPDX-License-Identifier: Apache-2.0 */
#include "control/audit_sections.h"

#include <string.h>

#define LAYOUT_NAME(name) #name,

const char *audit_layout_name(enum audit_layout layout)
{
	static const char *const names[] = {AUDIT_LAYOUTS(LAYOUT_NAME)};

	return names[layout];
}

static bool is(const char *text, const char *wanted)
{
	return strcmp(text, wanted) == 0;
}

static bool is_about_the_log(const struct audit_entry *entry)
{
	return strncmp(entry->action, "audit.", strlen("audit.")) == 0;
}

static bool is_log_itself(const struct audit_entry *entry)
{
	return is_about_the_log(entry) && is(entry->kind, "system");
}

static bool is_log_access(const struct audit_entry *entry)
{
	return is_about_the_log(entry) && !is(entry->kind, "system");
}

static bool is_change(const struct audit_entry *entry)
{
	return is(entry->kind, "change");
}

static bool is_credential(const struct audit_entry *entry)
{
	return is(entry->kind, "credential");
}

static bool is_access(const struct audit_entry *entry)
{
	return is(entry->kind, "access");
}

static bool is_access_or_credential(const struct audit_entry *entry)
{
	return is_access(entry) || is_credential(entry);
}

static bool is_refusal(const struct audit_entry *entry)
{
	return is(entry->kind, "refusal");
}

static bool is_login_that_failed(const struct audit_entry *entry)
{
	return is(entry->kind, "login") && !is(entry->result, "ok");
}

static bool is_read(const struct audit_entry *entry)
{
	return is(entry->kind, "read") && !is_about_the_log(entry);
}

static bool is_erasure(const struct audit_entry *entry)
{
	return is(entry->kind, "erasure");
}

static bool is_personal_data(const struct audit_entry *entry)
{
	return is_read(entry) || is_erasure(entry);
}

/* What somebody did who may change what runs or who may what. */
static bool is_administration(const struct audit_entry *entry)
{
	return (is(entry->role, "operator") || is(entry->role, "admin")) &&
	       !is(entry->kind, "login");
}

/* Something is there that was not, or the other way round. */
static bool is_object_made_or_deleted(const struct audit_entry *entry)
{
	bool was = json_object_get(entry->line, "before") != NULL;
	bool is_there = json_object_get(entry->line, "after") != NULL;

	return is_change(entry) && is(entry->result, "ok") && was != is_there;
}

static bool is_use_of_a_role(const struct audit_entry *entry)
{
	return entry->who[0] != '\0' && is(entry->result, "ok");
}

#define LOG_ITSELF                                                                                 \
	"Whether the log is complete: its starts and stops, and lines that were lost, cut by a "   \
	"crash, or deleted with old files."
#define CLIENTS                                                                                    \
	" What the cache's own clients get and set by memcached's protocol is not in this log."

const struct audit_section audit_sections[] = {
    {AUDIT_SOX, AUDIT_LAYOUT_list, is_change, "1", "Changes of what runs",
     "Who changed what and when, what it was before and what it is now (change management)."},
    {AUDIT_SOX, AUDIT_LAYOUT_list, is_access_or_credential, "2", "Access granted and taken away",
     "Who was given which role, key or certificate, by whom, and from whom it was taken (logical "
     "access)."},
    {AUDIT_SOX, AUDIT_LAYOUT_list, is_refusal, "3", "Refusals",
     "What people who are known wanted and were not allowed to do."},
    {AUDIT_SOX, AUDIT_LAYOUT_sources, is_login_that_failed, "4", "Logins that failed",
     "Who tried to get in and was not let in, by source."},
    {AUDIT_SOX, AUDIT_LAYOUT_list, is_log_itself, "5", "The log itself", LOG_ITSELF},

    {AUDIT_GDPR, AUDIT_LAYOUT_list, is_read, "Art. 5(1)(f), 32", "Reads of keys and values",
     "Who saw clients' keys or values, which may be personal data, when, and why." CLIENTS},
    {AUDIT_GDPR, AUDIT_LAYOUT_list, is_erasure, "Art. 17", "Erasures",
     "What was erased, when, who asked for it, and whether it was done."},
    {AUDIT_GDPR, AUDIT_LAYOUT_people, is_personal_data, "Art. 29, 32(4)",
     "Access to personal data by role",
     "In which role people read or erased clients' data, and how often."},
    {AUDIT_GDPR, AUDIT_LAYOUT_list, is_access_or_credential, "Art. 32(1)(b)",
     "Roles and life of credentials",
     "Who can have access to personal data: roles given and taken, keys, tokens and certificates "
     "made, rotated, revoked and expired."},
    {AUDIT_GDPR, AUDIT_LAYOUT_list, is_log_itself, "Art. 5(2)", "The log itself", LOG_ITSELF},

    {AUDIT_PCI_DSS, AUDIT_LAYOUT_list, is_read, "10.2.1.1", "Access to stored data",
     "Every access of a person to keys or values, which may be cardholder data." CLIENTS},
    {AUDIT_PCI_DSS, AUDIT_LAYOUT_list, is_administration, "10.2.1.2", "Administrative actions",
     "Everything that was done, or was tried, in the role of operator or admin."},
    {AUDIT_PCI_DSS, AUDIT_LAYOUT_list, is_log_access, "10.2.1.3", "Access to audit logs",
     "Who looked at this log, verified it, or had a report made."},
    {AUDIT_PCI_DSS, AUDIT_LAYOUT_sources, is_login_that_failed, "10.2.1.4",
     "Invalid logical access attempts: logins",
     "Who tried to get in and was not let in, by source."},
    {AUDIT_PCI_DSS, AUDIT_LAYOUT_list, is_refusal, "10.2.1.4",
     "Invalid logical access attempts: refusals",
     "What people who are known wanted and were not allowed to do."},
    {AUDIT_PCI_DSS, AUDIT_LAYOUT_list, is_access_or_credential, "10.2.1.5",
     "Changes to identification and authentication",
     "Users, roles, keys, tokens and certificates: made, changed, revoked."},
    {AUDIT_PCI_DSS, AUDIT_LAYOUT_list, is_log_itself, "10.2.1.6",
     "Initialisation, start and stop of audit logs", LOG_ITSELF},
    {AUDIT_PCI_DSS, AUDIT_LAYOUT_list, is_object_made_or_deleted, "10.2.1.7",
     "Creation and deletion of system-level objects",
     "What was configured that was not there before, such as a class or a block, and what is not "
     "there any more."},
    {AUDIT_PCI_DSS, AUDIT_LAYOUT_list, is_credential, "8.2, 8.3", "Life of keys and credentials",
     "Keys, tokens and certificates: made, rotated, revoked, expired."},
    {AUDIT_PCI_DSS, AUDIT_LAYOUT_people, is_use_of_a_role, "7.2", "Roles in use",
     "Who used which role, with which credential, and for what."},
};

const uint32_t audit_section_count = sizeof(audit_sections) / sizeof(audit_sections[0]);

static const struct {
	const char *name;
	const char *title;
} standards[] = {
    [AUDIT_SOX] = {"sox", "SOX section 404: changes and access"},
    [AUDIT_GDPR] = {"gdpr", "GDPR: access to personal data"},
    [AUDIT_PCI_DSS] = {"pci-dss", "PCI DSS 4.0.1: requirements 7, 8 and 10"},
};

const char *audit_standard_name(enum audit_standard standard)
{
	return standards[standard].name;
}

const char *audit_standard_title(enum audit_standard standard)
{
	return standards[standard].title;
}

bool audit_standard_parse(enum audit_standard *ret_standard, const char *name)
{
	for (size_t i = 0; i < sizeof(standards) / sizeof(standards[0]); i++)
		if (is(name, standards[i].name)) {
			*ret_standard = (enum audit_standard)i;
			return true;
		}
	return false;
}
