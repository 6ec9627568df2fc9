/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates of the node's own CA: which there are, a new one, no more of one; and a new one for
 * the server. */
#include "control/api.h"

#include "control/authority.h"
#include "control/certificates.h"
#include "control/kept.h"
#include "control/private_file.h"
#include "control/server.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ERROR_BYTES      1024
#define PATH_BYTES       (ADMIN_PATH_BYTES + AUTHORITY_NAME_BYTES_MAX + 32)
#define PEM_BYTES_MAX    65536
#define CLIENT_DAYS      365
#define OWN_CERTIFICATES "set `admin.listen` in the config, and they are made with the next start"

static const struct admin *admin_of(const struct exchange *exchange)
{
	return &exchange->control->config->admin;
}

/* Whether there is a CA of the node's own. False: it was refused, and is gone. */
static bool check_has_ca(struct exchange *exchange)
{
	const struct admin *admin = admin_of(exchange);

	if (admin->listen_count > 0 && (!admin->certificate_given || !admin->client_ca_given))
		return true;
	exchange_refuse(
	    exchange, 409,
	    admin->listen_count == 0
	        ? "there is no HTTPS, and so no certificates: " OWN_CERTIFICATES
	        : "all certificates are of others' making, as the config says: issue and "
	          "revoke them there");
	return false;
}

/* Whether clients' certificates are of that CA. False: it was refused, and is gone. */
static bool check_signs_clients(struct exchange *exchange)
{
	if (!check_has_ca(exchange))
		return false;
	if (!admin_of(exchange)->client_ca_given)
		return true;
	exchange_refuse(exchange, 409,
	                "who is let in is signed by %s, as the config says: issue and revoke there",
	                admin_of(exchange)->client_ca);
	return false;
}

void api_certificates_list(struct exchange *exchange)
{
	char error[ERROR_BYTES];
	json_t *list;

	if (!check_has_ca(exchange))
		return;
	list = authority_list(admin_of(exchange)->directory, control_now_s(), error, sizeof(error));
	if (list == NULL)
		exchange_refuse(exchange, HTTP_SERVUNAVAIL, "%s", error);
	else
		exchange_reply(exchange, HTTP_OK, json_pack("{s:o}", "certificates", list));
}

/* `no_entry`: what it is when something is not there. */
static int status_of(int error, int no_entry)
{
	switch (error) {
	case -EINVAL: return 400;
	case -ENOENT: return no_entry;
	case -EEXIST:
	case -EALREADY:
	case -EPERM:
	case -EKEYEXPIRED: return 409;
	default: return HTTP_SERVUNAVAIL;
	}
}

static void write_down(struct exchange *exchange, struct audit_event *event, int r,
                       const char *error)
{
	event->kind = AUDIT_credential;
	event->who = &exchange->who;
	event->result = r < 0 ? AUDIT_FAILED : AUDIT_OK;
	event->reason = r < 0 ? error : NULL;
	audit_append(exchange->control->audit, event, control_now_us());
}

/* What is in a file, for a reply; null: it cannot be read. */
static json_t *file_text(const char *path, bool is_secret)
{
	char ignored[ERROR_BYTES], *text = NULL;
	struct faults faults;
	size_t length = 0;
	json_t *json = NULL;

	faults_create(&faults, path, ignored, sizeof(ignored));
	if (private_file_read(&text, &length, path, PEM_BYTES_MAX, is_secret, &faults) == 0)
		json = json_stringn(text, length);
	private_file_release(text, length);
	return json == NULL ? json_null() : json;
}

static json_t *issued(const struct admin *admin, const char *name, const char *serial)
{
	char certificate[PATH_BYTES], key[PATH_BYTES], ca[PATH_BYTES];

	snprintf(certificate, sizeof(certificate), "%s/clients/%s.crt", admin->directory, name);
	snprintf(key, sizeof(key), "%s/clients/%s.key", admin->directory, name);
	snprintf(ca, sizeof(ca), "%s/ca.crt", admin->directory);
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:s}", "name", name, "serial", serial,
	                 "certificate", file_text(certificate, false), "key", file_text(key, true),
	                 "ca", file_text(ca, false), "certificate_file", certificate, "key_file",
	                 key);
}

void api_certificates_issue(struct exchange *exchange)
{
	const char *name = NULL, *role_text = NULL;
	char serial[IDENTITY_CREDENTIAL_BYTES] = "", error[ERROR_BYTES];
	struct audit_event event = {.action = "certificate.issue"};
	json_int_t days = CLIENT_DAYS;
	json_error_t wrong;
	enum role role;
	json_t *after;
	int r;

	if (json_unpack_ex(exchange->body, &wrong, JSON_STRICT, "{s:s, s:s, s?:I}", "name", &name,
	                   "role", &role_text, "days", &days) < 0) {
		exchange_refuse(exchange, 400,
		                "not a certificate to be issued: %s: give \"name\", \"role\" and "
		                "perhaps \"days\"",
		                exchange->body == NULL ? "there is no body" : wrong.text);
		return;
	}
	if (!role_parse(&role, role_text) || role == ROLE_none || days < 1) {
		exchange_refuse(exchange, 400,
		                "no such role, or no days: roles are viewer, operator and admin, "
		                "and days are 1 at least");
		return;
	}
	if (!check_signs_clients(exchange))
		return;
	r = authority_issue(admin_of(exchange)->directory, name, role, (uint64_t)days,
	                    control_now_s(), serial, error, sizeof(error));
	after = json_pack("{s:s, s:s, s:s, s:I}", "name", name, "role", role_text, "serial", serial,
	                  "days", days);
	event.target = name;
	event.after = after;
	write_down(exchange, &event, r, error);
	json_decref(after);
	if (r < 0)
		exchange_refuse(exchange, status_of(r, 409), "%s", error);
	else
		exchange_reply(exchange, 201, issued(admin_of(exchange), name, serial));
}

/* However they are written: "0a:1b" is "A1B". */
static bool same_serial(const char *a, const char *b)
{
	a += strspn(a, "0:");
	b += strspn(b, "0:");
	for (;;) {
		a += strspn(a, ":");
		b += strspn(b, ":");
		if (toupper((unsigned char)*a) != toupper((unsigned char)*b))
			return false;
		if (*a == '\0')
			return true;
		a++;
		b++;
	}
}

void api_certificates_revoke(struct exchange *exchange)
{
	struct control *control = exchange->control;
	const char *serial = exchange->argument;
	struct audit_event event = {.action = "certificate.revoke", .target = serial};
	json_t *before = json_pack("{s:s}", "state", "good");
	json_t *after = json_pack("{s:s}", "state", "revoked");
	char error[ERROR_BYTES];
	bool is_own, has_changed;
	int r;

	if (!check_signs_clients(exchange))
		goto finish;
	r = authority_revoke(admin_of(exchange)->directory, serial, control_now_s(), error,
	                     sizeof(error));
	event.before = before;
	event.after = after;
	write_down(exchange, &event, r, error);
	if (r < 0) {
		exchange_refuse(exchange, status_of(r, HTTP_NOTFOUND), "%s", error);
		goto finish;
	}
	/* who revokes his own hears of it, and is ended by the look that comes each second */
	is_own = exchange->who.credential == CREDENTIAL_certificate &&
	         same_serial(exchange->who.credential_id, serial);
	has_changed = !is_own && certificates_read(control, true);
	exchange_reply(exchange, HTTP_OK,
	               json_pack("{s:s, s:s}", "serial", serial, "state", "revoked"));
	/* the last, as the exchange's own connection may be among those that end */
	if (has_changed)
		server_look_at_certificates(control->server);
finish:
	json_decref(before);
	json_decref(after);
}

void api_certificates_renew_server(struct exchange *exchange)
{
	struct control *control = exchange->control;
	struct audit_event event = {.action = "certificate.renew", .target = "server"};
	struct tls_lifetimes before, after;
	char error[ERROR_BYTES];
	json_t *old, *fresh;
	json_error_t wrong;
	bool has_changed;
	int r;

	if (exchange->body != NULL &&
	    json_unpack_ex(exchange->body, &wrong, JSON_STRICT, "{}") < 0) {
		exchange_refuse(exchange, 400, "this takes nothing: %s: send {}", wrong.text);
		return;
	}
	if (!check_has_ca(exchange))
		return;
	if (admin_of(exchange)->certificate_given) {
		exchange_refuse(exchange, 409,
		                "the server's certificate is %s, as the config says: put a new one "
		                "there, and it is read by itself",
		                admin_of(exchange)->certificate);
		return;
	}
	tls_lifetimes(control->tls, &before);
	r = certificates_renew(admin_of(exchange), error, sizeof(error));
	has_changed = r == 0 && certificates_read(control, true);
	tls_lifetimes(control->tls, &after);
	old = json_pack("{s:s, s:o}", "fingerprint", before.certificate_fingerprint, "expires",
	                kept_time(before.certificate_expires_s));
	fresh = json_pack("{s:s, s:o}", "fingerprint", after.certificate_fingerprint, "expires",
	                  kept_time(after.certificate_expires_s));
	event.before = old;
	event.after = r < 0 ? NULL : fresh;
	write_down(exchange, &event, r, error);
	json_decref(old);
	if (r < 0) {
		json_decref(fresh);
		exchange_refuse(exchange, status_of(r, 409), "%s", error);
		return;
	}
	json_object_set_new(fresh, "certificate_file",
	                    json_string(admin_of(exchange)->certificate));
	exchange_reply(exchange, HTTP_OK, fresh);
	if (has_changed)
		server_look_at_certificates(control->server);
}
