/* SPDX-License-Identifier: Apache-2.0 */
#include "control/who.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define BEARER     "Bearer "
#define KEY_PREFIX "kante_"

static enum role unix_role(uid_t uid)
{
	return uid == 0 || uid == geteuid() ? ROLE_admin : ROLE_viewer;
}

/* The file's mode says who gets that far; root and kanted's own user may everything. */
static enum who_verdict of_unix_peer(struct identity *who, int fd, char *ret_reason)
{
	struct ucred peer;
	socklen_t bytes = sizeof(peer);
	struct passwd entry, *found = NULL;
	char names[1024];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) < 0) {
		snprintf(ret_reason, WHO_REASON_BYTES, "the kernel does not say who asks: %s",
		         strerror(errno));
		return WHO_REFUSED;
	}
	getpwuid_r(peer.uid, &entry, names, sizeof(names), &found);
	who->credential = CREDENTIAL_socket;
	who->role = unix_role(peer.uid);
	snprintf(who->name, sizeof(who->name), "uid %u (%s)", peer.uid,
	         found == NULL ? "?" : entry.pw_name);
	snprintf(who->from, sizeof(who->from), "pid %d", peer.pid);
	return WHO_KNOWN;
}

static enum who_verdict of_key(struct exchange *exchange, const char *text, char *ret_reason)
{
	int r = keys_check(exchange->control->keys, text, control_now_s(), &exchange->who);

	if (r == 0)
		return WHO_KNOWN;
	snprintf(ret_reason, WHO_REASON_BYTES, "%s",
	         r == -EKEYEXPIRED   ? "the API key has expired: ask an admin for another"
	         : r == -EKEYREVOKED ? "the API key was revoked: ask an admin for another"
	                             : "no such API key");
	return WHO_REFUSED;
}

static enum who_verdict of_token(struct exchange *exchange, const char *text, char *ret_reason)
{
	char reason[TOKENS_REASON_BYTES];

	if (exchange->control->tokens == NULL) {
		snprintf(ret_reason, WHO_REASON_BYTES,
		         "tokens are not taken here: the config has no `admin.tokens`");
		return WHO_REFUSED;
	}
	if (tokens_check(exchange->control->tokens, text, control_now_s(), &exchange->who,
	                 reason) == 0)
		return WHO_KNOWN;
	snprintf(ret_reason, WHO_REASON_BYTES, "the token is not good: %s", reason);
	return WHO_REFUSED;
}

static enum who_verdict of_bearer(struct exchange *exchange, const struct ip_address *source,
                                  const char *text, char *ret_reason)
{
	struct guard *guard = exchange->control->guard;
	uint64_t now_s = control_monotonic_s();
	uint64_t locked_s = source == NULL ? 0 : guard_locked_s(guard, source, now_s);
	enum who_verdict verdict;

	if (locked_s > 0) {
		snprintf(ret_reason, WHO_REASON_BYTES,
		         "too many wrong credentials from your address: wait %llu s",
		         (unsigned long long)locked_s);
		return WHO_LOCKED;
	}
	text += strspn(text, " ");
	verdict = strncmp(text, KEY_PREFIX, strlen(KEY_PREFIX)) == 0
	              ? of_key(exchange, text, ret_reason)
	              : of_token(exchange, text, ret_reason);
	if (source == NULL)
		return verdict;
	if (verdict == WHO_KNOWN)
		guard_passed(guard, source, now_s);
	else
		guard_failed(guard, source, now_s);
	return verdict;
}

void who_came_from(struct identity *who, const struct ip_address *source, uint16_t port)
{
	char address[IP_ADDRESS_TEXT_MAX];

	ip_address_format(source, address);
	snprintf(who->from, sizeof(who->from), ip_address_is_ip4(source) ? "%s:%u" : "[%s]:%u",
	         address, port);
}

enum who_verdict who_find(struct exchange *exchange, const struct ip_address *source, uint16_t port,
                          SSL *ssl, int fd, char ret_reason[WHO_REASON_BYTES])
{
	struct evkeyvalq *headers = evhttp_request_get_input_headers(exchange->request);
	const char *authorization = evhttp_find_header(headers, "Authorization");
	struct identity *who = &exchange->who;

	if (source != NULL)
		who_came_from(who, source, port);
	if (authorization != NULL) {
		if (strncasecmp(authorization, BEARER, strlen(BEARER)) == 0)
			return of_bearer(exchange, source, authorization + strlen(BEARER),
			                 ret_reason);
		snprintf(
		    ret_reason, WHO_REASON_BYTES,
		    "Authorization is not understood: send `Bearer` and an API key or a token");
		return WHO_REFUSED;
	}
	if (ssl != NULL && tls_identity(exchange->control->tls, ssl, who))
		return WHO_KNOWN;
	if (source == NULL)
		return of_unix_peer(who, fd, ret_reason);
	snprintf(ret_reason, WHO_REASON_BYTES,
	         "no credential: show a client certificate, an API key or a token");
	return WHO_NOBODY;
}
