/* SPDX-License-Identifier: Apache-2.0 */
/* kante-control: the control process of kanted, which starts it (keeper/child.c). */
#include "base/log.h"
#include "control/api.h"
#include "control/authority.h"
#include "control/blocking.h"
#include "control/certificates.h"
#include "control/endpoint.h"
#include "control/link.h"
#include "control/running.h"
#include "control/server.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <nss.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ERROR_BYTES   4096
#define PATH_BYTES    (ADMIN_PATH_BYTES + 32)
#define ALIVE_S       2
#define CRL_LOOK_S    3600
#define EXPIRY_LOOK_S 60

uint64_t control_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t control_now_s(void)
{
	return control_now_us() / 1000000;
}

uint64_t control_monotonic_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec;
}

/* What it needs. */

static int fail(const char *error, int r)
{
	log_lines(LOG_LEVEL_ERROR, error);
	return r;
}

static int directories_make(const struct admin *admin, char *audit_path, size_t bytes)
{
	snprintf(audit_path, bytes, "%s/audit", admin->directory);
	if ((mkdir(admin->directory, 0700) < 0 && errno != EEXIST) ||
	    (mkdir(audit_path, 0700) < 0 && errno != EEXIST)) {
		int r = -errno;

		log_error(
		    "admin.directory: %s cannot be made: %s: make it, for kanted's user alone",
		    audit_path, strerror(errno));
		return r;
	}
	return 0;
}

static int tls_start(struct control *control)
{
	const struct admin *admin = &control->config->admin;
	struct tls_rule rules[TLS_RULE_COUNT_MAX];
	char own_ca[PATH_BYTES];
	struct tls_options options = {
	    .certificate_path = admin->certificate,
	    .key_path = admin->key,
	    .client_ca_path = admin->client_ca,
	    .crl_path = admin->crl[0] == '\0' ? NULL : admin->crl,
	    .own_ca_path = own_ca,
	    .rules = rules,
	    .rule_count = admin->client_count,
	};
	char error[ERROR_BYTES];
	int r;

	snprintf(own_ca, sizeof(own_ca), "%s/ca.crt", admin->directory);
	for (uint32_t i = 0; i < admin->client_count; i++)
		rules[i] =
		    (struct tls_rule){admin->clients[i].match, (enum role)admin->clients[i].role};
	if (!admin->certificate_given || !admin->client_ca_given) {
		r = certificates_make(admin);
		if (r < 0)
			return r;
	}
	r = tls_open(&control->tls, &options, error, sizeof(error));
	return r < 0 ? fail(error, r) : 0;
}

static int tokens_start(struct control *control)
{
	const struct admin_tokens *given = &control->config->admin.tokens;
	struct token_key keys[ADMIN_KEY_COUNT_MAX];
	char revoked[PATH_BYTES], error[ERROR_BYTES];
	struct tokens_options options = {
	    .issuer = given->issuer,
	    .audience = given->audience,
	    .role_claim = given->role_claim,
	    .skew_s = given->skew_s,
	    .lifetime_s_max = given->lifetime_s_max,
	    .keys = keys,
	    .key_count = given->key_count,
	    .revoked_path = revoked,
	};
	int r;

	for (uint32_t i = 0; i < given->key_count; i++)
		keys[i] = (struct token_key){given->keys[i].id,
		                             (enum token_algorithm)given->keys[i].algorithm,
		                             given->keys[i].file};
	snprintf(revoked, sizeof(revoked), "%s/tokens-revoked.json",
	         control->config->admin.directory);
	r = tokens_open(&control->tokens, &options, error, sizeof(error));
	return r < 0 ? fail(error, r) : 0;
}

static int audit_start(struct control *control, const char *path)
{
	struct audit_options options = {
	    .directory = path,
	    .file_bytes_max = control->config->admin.audit.file_bytes_max,
	    .kept_count_max = control->config->admin.audit.files_kept_max,
	};
	struct audit_event event = {.kind = AUDIT_system, .action = "control.started"};
	char error[ERROR_BYTES];
	int r = audit_open(&control->audit, &options, control_now_us(), error, sizeof(error));

	if (r < 0)
		return fail(error, r);
	audit_append(control->audit, &event, control_now_us());
	return 0;
}

static int parts_start(struct control *control, char *audit_path)
{
	char path[PATH_BYTES], error[ERROR_BYTES];
	uint64_t key[2];
	int r;

	r = directories_make(&control->config->admin, audit_path, PATH_BYTES);
	if (r < 0)
		return r;
	r = audit_start(control, audit_path);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/keys.json", control->config->admin.directory);
	r = keys_open(&control->keys, path, error, sizeof(error));
	if (r < 0)
		return fail(error, r);
	RAND_bytes((unsigned char *)key, sizeof(key));
	r = guard_create(&control->guard, key);
	if (r < 0)
		return r;
	if (control->config->admin.tokens.issuer[0] != '\0') {
		r = tokens_start(control);
		if (r < 0)
			return r;
	}
	if (control->config->admin.listen_count > 0) {
		r = tls_start(control);
		if (r < 0)
			return r;
	}
	r = blocking_start(control);
	if (r < 0)
		return r;
	return server_create(&control->server, control);
}

/* Running. */

static void certificates_look(struct control *control, bool now)
{
	if (certificates_read(control, now))
		server_look_at_certificates(control->server);
}

/* An own list of the revoked is never to expire. */
static void crl_look(struct control *control)
{
	const struct admin *admin = &control->config->admin;
	char error[ERROR_BYTES] = "";

	if (control->tls == NULL || admin->client_ca_given)
		return;
	if (authority_refresh_crl(admin->directory, control_now_s(), error, sizeof(error)))
		log_info("%s: signed anew", admin->crl);
	else if (error[0] != '\0')
		log_lines(LOG_LEVEL_ERROR, error);
}

static void audit_look(struct control *control)
{
	const char *failure = audit_failure(control->audit);
	struct audit_state state;

	audit_tick(control->audit, control_now_us());
	audit_state(control->audit, &state);
	if (failure != NULL && counter_read(&control->counters.audit_fails) == 0)
		log_error("audit: %s", failure);
	if (failure == NULL && counter_read(&control->counters.audit_fails) != 0)
		log_info("audit: it can be written again");
	counter_set(&control->counters.audit_seq, state.seq);
	counter_set(&control->counters.audit_lost, state.lost_count);
	counter_set(&control->counters.audit_fails, failure != NULL);
}

static void on_second(evutil_socket_t fd, short events, void *context)
{
	struct control *control = context;
	uint64_t now_s = control_monotonic_s();

	audit_look(control);
	certificates_look(control, false);
	running_look(control, false);
	blocking_look(control);
	if (now_s % EXPIRY_LOOK_S == 0)
		server_look_at_certificates(control->server);
	if (now_s % CRL_LOOK_S == 0)
		crl_look(control);
	server_tick(control->server);
	if (now_s % ALIVE_S == 0)
		link_tell(control->link_fd, "alive");
}

static void on_signal(evutil_socket_t number, short events, void *context)
{
	struct control *control = context;

	if (number != SIGHUP) {
		event_base_loopbreak(control->base);
		return;
	}
	certificates_look(control, true);
	running_look(control, true);
}

/* kanted is gone. */
static void on_link(evutil_socket_t fd, short events, void *context)
{
	struct control *control = context;

	event_base_loopbreak(control->base);
}

static int run(struct control *control)
{
	static const struct timeval second = {.tv_sec = 1};
	struct event *list[] = {
	    event_new(control->base, -1, EV_PERSIST, on_second, control),
	    event_new(control->base, control->link_fd, EV_READ, on_link, control),
	    evsignal_new(control->base, SIGTERM, on_signal, control),
	    evsignal_new(control->base, SIGINT, on_signal, control),
	    evsignal_new(control->base, SIGHUP, on_signal, control),
	};
	int r = 0;

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (list[i] == NULL || event_add(list[i], i == 0 ? &second : NULL) < 0)
			r = -ENOMEM;
	if (r == 0)
		r = link_tell(control->link_fd, "ready");
	if (r == 0)
		event_base_loop(control->base, 0);
	else
		log_error("the control process cannot begin: %s", strerror(-r));
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (list[i] != NULL)
			event_free(list[i]);
	return r;
}

static void stop(struct control *control)
{
	struct audit_event event = {.kind = AUDIT_system, .action = "control.stopped"};

	server_destroy(control->server);
	api_config_stop(control);
	blocking_stop(control);
	if (control->audit != NULL)
		audit_append(control->audit, &event, control_now_us());
	tls_close(control->tls);
	tokens_close(control->tokens);
	guard_destroy(control->guard);
	keys_close(control->keys);
	audit_close(control->audit);
	running_stop(control);
	if (control->base != NULL)
		event_base_free(control->base);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"endpoints", no_argument, NULL, 'e'},
	    {"version", no_argument, NULL, 'v'},
	    {0},
	};
	struct control control = {.link_fd = LINK_FD};
	char audit_path[PATH_BYTES];
	int option, r;

	while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (option == 'v') {
			puts("kante-control " KANTE_VERSION);
			return EXIT_SUCCESS;
		}
		if (option == 'e') { /* for the test that holds them against openapi.yaml */
			endpoint_list();
			return EXIT_SUCCESS;
		}
		if (option == 'c')
			control.config_path = optarg;
	}
	if (control.config_path == NULL || fcntl(LINK_FD, F_GETFD) < 0) {
		fputs(
		    "kante-control is started by kanted, when its config has a section `admin:`\n",
		    stderr);
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* a core would have the CA's key in it */
	fcntl(LINK_FD, F_SETFD, FD_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
	/* of names in filters: a name server's silence is not to stop all else */
	__nss_configure_lookup("hosts", "files");
	umask(077);
	control.base = event_base_new();
	r = control.base == NULL ? -ENOMEM : running_start(&control);
	if (r == 0)
		r = parts_start(&control, audit_path);
	if (r == 0)
		r = run(&control);
	stop(&control);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
