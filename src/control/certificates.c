/* SPDX-License-Identifier: Apache-2.0 */
#include "control/certificates.h"

#include "base/log.h"
#include "control/authority.h"

#include <unistd.h>

#define ERROR_BYTES 4096

/* Whom the server's certificate is for. */
struct names {
	char node[256];
	const char *addresses[ADMIN_LISTEN_COUNT_MAX];
	char texts[ADMIN_LISTEN_COUNT_MAX][IP_ADDRESS_TEXT_MAX];
};

static void names_find(struct names *names, const struct admin *admin)
{
	*names = (struct names){.node = "kante"};
	gethostname(names->node, sizeof(names->node) - 1);
	for (uint32_t i = 0; i < admin->listen_count; i++) {
		ip_address_format(&admin->listen[i], names->texts[i]);
		names->addresses[i] = names->texts[i];
	}
}

int certificates_make(const struct admin *admin)
{
	char error[ERROR_BYTES];
	struct names names;
	uint32_t made;
	int r;

	names_find(&names, admin);
	r = authority_make(admin->directory, names.node, names.addresses, admin->listen_count,
	                   control_now_s(), &made, error, sizeof(error));
	if (r < 0) {
		log_lines(LOG_LEVEL_ERROR, error);
		return r;
	}
	if (made & AUTHORITY_MADE_CA)
		log_info("made a private CA: %s/ca.crt is what clients trust", admin->directory);
	if (made & AUTHORITY_MADE_SERVER)
		log_info("made the server's certificate: %s/server.crt", admin->directory);
	if (made & AUTHORITY_MADE_ADMIN)
		log_info("made an admin's certificate: %s/clients/admin.crt and .key",
		         admin->directory);
	return 0;
}

int certificates_renew(const struct admin *admin, char *error, size_t error_bytes)
{
	struct names names;

	names_find(&names, admin);
	return authority_renew_server(admin->directory, names.node, names.addresses,
	                              admin->listen_count, control_now_s(), error, error_bytes);
}

bool certificates_read(struct control *control, bool now)
{
	struct audit_event event = {.kind = AUDIT_credential, .action = "certificate.read"};
	char text[ERROR_BYTES];
	enum tls_look look;

	if (control->tls == NULL)
		return false;
	look = tls_look(control->tls, now, control_now_s(), text, sizeof(text));
	if (look == TLS_SAME)
		return false;
	if (look == TLS_READ) {
		counter_add(&control->counters.certificates_read, 1);
		log_info("%s", text);
	} else {
		counter_add(&control->counters.certificates_refused, 1);
		log_lines(LOG_LEVEL_ERROR, text);
		event.result = AUDIT_FAILED;
	}
	event.reason = text;
	audit_append(control->audit, &event, control_now_us());
	return look == TLS_READ;
}
