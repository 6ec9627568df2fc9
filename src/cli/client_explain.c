/* SPDX-License-Identifier: Apache-2.0 */
/* Why a node did not answer, or says no, and what to do about it. */
#include "cli/client_internal.h"

#include "cli/terminal.h"

#include <errno.h>
#include <openssl/x509_vfy.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int client_tell(const struct client *client, int status, const char *format, ...)
{
	char *text = NULL, *shown;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	shown = text == NULL ? NULL : terminal_text(text, true);
	if (client->complaint != NULL)
		snprintf(client->complaint, client->complaint_bytes, "%s",
		         shown == NULL ? "not enough memory" : shown);
	else
		fprintf(stderr, "kante %s: %s\n", client->call->command->name,
		        shown == NULL ? "not enough memory" : shown);
	free(text);
	free(shown);
	return status;
}

static int explain_connect(struct client *client, long error)
{
	const char *node = client->node;
	int status = COMMAND_NO_NODE;

	if (client->is_local && (error == ENOENT || error == ENOTDIR))
		return client_tell(
		    client, status,
		    "no node here: %s is not there: start kanted with `admin` in its "
		    "config, or say by --node which other node is meant",
		    node);
	if (client->is_local && (error == EACCES || error == EPERM))
		return client_tell(
		    client, status,
		    "%s: permission denied: run this as root or as kanted's user, or "
		    "ask by --node https://… with a credential",
		    node);
	if (client->is_local)
		return client_tell(client, status,
		                   "%s: %s: nothing listens there: see whether kanted runs", node,
		                   strerror((int)error));
	if (error == ECONNREFUSED)
		return client_tell(client, status,
		                   "%s: connection refused: see whether kanted runs, and whether "
		                   "`admin.listen` and `admin.port` in its config are these",
		                   client->base);
	return client_tell(client, status, "%s: %s: check the address, and the way to it",
	                   client->base, error != 0 ? strerror((int)error) : client->error);
}

static int explain_certificate(struct client *client)
{
	long result = X509_V_OK;

	curl_easy_getinfo(client->curl, CURLINFO_SSL_VERIFYRESULT, &result);
	switch (result) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return client_tell(
		    client, COMMAND_NO_NODE,
		    "%s: its certificate is signed by a CA that is not known: give that CA's by "
		    "--ca (a node's own is ca.crt in its `admin.directory`)",
		    client->base);
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return client_tell(client, COMMAND_NO_NODE,
		                   "%s: its certificate has expired: renew it on the node (`kante "
		                   "cert renew` by its socket), or check this machine's clock",
		                   client->base);
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return client_tell(
		    client, COMMAND_NO_NODE,
		    "%s: its certificate does not hold yet: check this machine's clock",
		    client->base);
	case X509_V_ERR_UNSPECIFIED: /* libcurl did not come to ask OpenSSL */
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return client_tell(client, COMMAND_NO_NODE,
		                   "%s: its certificate is for another name: ask by a name that is "
		                   "in it (%s)",
		                   client->base, client->error);
	default:
		return client_tell(client, COMMAND_NO_NODE, "%s: its certificate is not good: %s",
		                   client->base, X509_verify_cert_error_string(result));
	}
}

static bool shows_certificate(const struct client *client)
{
	return !client->is_local && command_value(client->call, "cert") != NULL;
}

/* With TLS 1.3 a node says that it does not take a certificate when all seems good already, and it
 * depends on the moment whether its reason arrives. */
static int explain_close(struct client *client, const char *node, const char *said)
{
	if (shows_certificate(client))
		return client_tell(client, COMMAND_NO_NODE,
		                   "%s: the node has closed the connection (%s): it may not take "
		                   "--cert: see whether that has expired, was revoked, or is of a "
		                   "CA that the node does not trust",
		                   node, said);
	return client_tell(client, COMMAND_NO_NODE,
	                   "%s: the node has closed the connection (%s): see its log", node, said);
}

int client_explain(struct client *client, CURLcode code)
{
	const char *node = client->is_local ? client->node : client->base;
	const char *said = client->error[0] == '\0' ? curl_easy_strerror(code) : client->error;
	long error = 0;

	switch (code) {
	case CURLE_ABORTED_BY_CALLBACK: return -1; /* is_over() */
	case CURLE_COULDNT_CONNECT:
		curl_easy_getinfo(client->curl, CURLINFO_OS_ERRNO, &error);
		return explain_connect(client, error);
	case CURLE_COULDNT_RESOLVE_HOST:
		return client_tell(client, COMMAND_NO_NODE, "%s: no such host: check --node", node);
	case CURLE_OPERATION_TIMEDOUT:
		return client_tell(
		    client, COMMAND_NO_NODE,
		    "%s: no answer in time: see whether the node lives, or wait longer "
		    "by --timeout",
		    node);
	case CURLE_PEER_FAILED_VERIFICATION: return explain_certificate(client);
	case CURLE_SSL_CACERT_BADFILE:
		return client_tell(client, COMMAND_USAGE, "--ca is no file of certificates: %s",
		                   said);
	case CURLE_SSL_CERTPROBLEM:
		return client_tell(client, COMMAND_USAGE,
		                   "--cert and --key do not go together, or are no PEM: %s", said);
	case CURLE_SSL_CONNECT_ERROR:
		return client_tell(client, COMMAND_NO_NODE,
		                   "%s: TLS does not come about: %s: check --node, and whether the "
		                   "node takes --cert",
		                   node, said);
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR: return explain_close(client, node, said);
	case CURLE_GOT_NOTHING:
		if (shows_certificate(client))
			return explain_close(client, node, said);
		break;
	case CURLE_OUT_OF_MEMORY: return client_tell(client, COMMAND_USAGE, "not enough memory");
	default: break;
	}
	return client_tell(client, COMMAND_NO_NODE,
	                   "%s answers, but not as a Kante node does: check --node (%s)", node,
	                   said);
}

int client_explain_refusal(struct client *client, long status, const char *text)
{
	json_t *reply = json_loads(text, 0, NULL);
	const char *error = json_string_value(json_object_get(reply, "error"));
	int r;

	if (error == NULL)
		r = client_tell(client, COMMAND_NO_NODE,
		                "%s answers, but not as a Kante node does (HTTP %ld): check --node",
		                client->node, status);
	else if (status == 401)
		r = client_tell(client, COMMAND_NO,
		                "the node does not let you in: %s (--cert and --key, or "
		                "--token-file)",
		                error);
	else if (status == 403)
		r = client_tell(client, COMMAND_NO,
		                "%s: ask with a credential that has the role %s", error,
		                role_name(client->role));
	else if (status == 405 || (status == 404 && strncmp(error, "no such path", 12) == 0))
		r = client_tell(client, COMMAND_NO,
		                "the node does not know this command: it is older than kante "
		                "%s: update it",
		                KANTE_VERSION);
	else
		r = client_tell(client, COMMAND_NO, "%s", error);
	json_decref(reply);
	return r;
}
