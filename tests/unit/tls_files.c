/* SPDX-License-Identifier: Apache-2.0 */
/* The files that TLS is made of: good, wrong, and damaged ones. */
#include "faults.h"
#include "tls_rig.h"

#include <openssl/crypto.h>

static void *allocate(size_t bytes, const char *file, int line)
{
	return fault_hits("memory") ? NULL : malloc(bytes);
}

static void *reallocate(void *memory, size_t bytes, const char *file, int line)
{
	return fault_hits("memory") ? NULL : realloc(memory, bytes);
}

static void release(void *memory, const char *file, int line)
{
	free(memory);
}

/* Opening fails, and says that of that file. */
static void refused(struct rig *rig, int error_number, const char *file, const char *reason)
{
	char want[512];
	int r = rig_try(rig);

	snprintf(want, sizeof(want), "%s: %s", path_in(&rig->folder, file), reason);
	if (r != -error_number)
		printf("\nwant %d, got %d\n", -error_number, r);
	CU_ASSERT_EQUAL(r, -error_number);
	CU_ASSERT_TRUE(text_says(rig, want));
	CU_ASSERT_PTR_NULL(rig->tls);
}

static void what_is_wrong_with_the_servers_files_is_told(void)
{
	struct party client, between, below;
	char *text;
	struct rig rig;

	rig_prepare(&rig);
	unlink(rig.key_path);
	refused(&rig, ENOENT, "server.key", "there is no such file: check the path");
	put_text(&rig.folder, "server.key", "x");
	refused(&rig, EINVAL, "server.key",
	        "no private key in PEM, or a damaged one: put one there");
	put_key(&rig.folder, "server.key", &rig.ca);
	refused(&rig, EINVAL, "server.key",
	        "not the key of the certificate: put the two there that belong together");
	put_key(&rig.folder, "server.key", &rig.server);
	text = get_text(&rig.folder, "server.crt");
	text[strlen(text) / 2] = '\0';
	put_text(&rig.folder, "server.crt", text);
	refused(&rig, EINVAL, "server.crt", "a certificate in it is damaged: put a good one there");
	free(text);
	put_text(&rig.folder, "server.crt", "");
	refused(&rig, EINVAL, "server.crt", "no certificate in PEM in it: put one there");
	unlink(rig.certificate_path);
	CU_ASSERT_EQUAL(mkdir(rig.certificate_path, 0700), 0);
	refused(&rig, EISDIR, "server.crt", "a directory: give the path of a file");
	CU_ASSERT_EQUAL(rmdir(rig.certificate_path), 0);
	client = party_make(&rig.ca, (struct party_options){.name = "x", .purpose = "clientAuth"});
	put_certificate(&rig.folder, "server.crt", &client);
	refused(&rig, EINVAL, "server.crt", "the first certificate in it is no server's: put ");
	/* the wrong order; the CA above the CA forgotten */
	between = party_make(&rig.ca, (struct party_options){.name = "Between", .ca = true});
	below = party_make(&between, (struct party_options){.name = "x"});
	put_key(&rig.folder, "server.key", &below);
	put_certificates(&rig.folder, "server.crt", &below, &rig.ca, &between);
	refused(&rig, EINVAL, "server.crt",
	        "certificate 2 in it is not of the CA that has signed the one before: put them in "
	        "order, the server's first");
	put_certificates(&rig.folder, "server.crt", &below, &between, &rig.ca);
	CU_ASSERT_EQUAL(rig_try(&rig), 0);
	party_free(&client);
	party_free(&between);
	party_free(&below);
	rig_close(&rig);
}

static void keys_that_are_weak_or_locked_are_told(void)
{
	struct party weak;
	FILE *file;
	struct rig rig;

	rig_prepare(&rig);
	weak = party_make(&rig.ca, (struct party_options){.name = "x", .key = EVP_RSA_gen(1024)});
	EVP_PKEY_free(weak.key); /* it is counted twice */
	put_certificate(&rig.folder, "server.crt", &weak);
	put_key(&rig.folder, "server.key", &weak);
	refused(&rig, EINVAL, "server.crt", "ee key too small: use an EC P-256 key, or RSA of ");
	put_certificate(&rig.folder, "server.crt", &rig.server);
	file = file_begin(&rig.folder, "server.key");
	PEM_write_PrivateKey(file, rig.server.key, EVP_aes_128_cbc(),
	                     (const unsigned char *)"secret", 6, NULL, NULL);
	fclose(file);
	refused(&rig, EINVAL, "server.key",
	        "it needs a passphrase: take it off with `openssl pkey`");
	party_free(&weak);
	rig_close(&rig);
}

static void what_is_wrong_with_clients_cas_is_told(void)
{
	struct party other = party_make(NULL, (struct party_options){.name = "Other", .ca = true});
	struct party twin = party_make(NULL, (struct party_options){.name = "CA", .ca = true});
	struct party between;
	struct rig rig;

	rig_prepare(&rig);
	between = party_make(&rig.ca, (struct party_options){.name = "Between", .ca = true});
	unlink(rig.ca_path);
	refused(&rig, ENOENT, "ca.crt", "there is no such file: check the path");
	put_certificates(&rig.folder, "ca.crt", &rig.ca, &rig.server, NULL);
	refused(&rig, EINVAL, "ca.crt", "\"CN=server\" is no CA: leave only CAs in it");
	put_certificate(&rig.folder, "ca.crt", &between);
	refused(&rig, EINVAL, "ca.crt",
	        "who signed \"CN=Between\" is not in it: add all CAs up to the root");
	put_certificates(&rig.folder, "ca.crt", &rig.ca, &other, NULL);
	refused(&rig, EINVAL, "ca.crl",
	        "no list in it is signed by \"CN=Other\": add the CRL of each client CA");
	/* of the same name, and with another key */
	put_certificate(&rig.folder, "ca.crt", &twin);
	refused(&rig, EINVAL, "ca.crl", "no list in it is signed by \"CN=CA\": add ");
	put_certificate(&rig.folder, "ca.crt", &rig.ca);
	put_text(&rig.folder, "ca.crl", "x");
	refused(&rig, EINVAL, "ca.crl", "no CRL in PEM in it: put one there");
	put_text(&rig.folder, "ca.crl", "-----BEGIN X509 CRL-----\nMIIB");
	refused(&rig, EINVAL, "ca.crl", "a list in it is damaged: put a good one there");
	put_lists(&rig.folder, "ca.crl", list_make(&rig.ca, NULL, -60, DAY), NULL);
	put_text(&rig.folder, "own.crt", "x");
	refused(&rig, EINVAL, "own.crt", "no certificate in PEM in it: put one there");
	/* all of it at once, a line each */
	put_text(&rig.folder, "ca.crt", "x");
	unlink(rig.key_path);
	CU_ASSERT_TRUE(rig_try(&rig) < 0);
	CU_ASSERT_TRUE(text_says(&rig, "server.key: there is no such file"));
	CU_ASSERT_TRUE(text_says(&rig, "\n") && text_says(&rig, "ca.crt: no certificate"));
	CU_ASSERT_TRUE(text_says(&rig, "own.crt: no certificate"));
	party_free(&other);
	party_free(&twin);
	party_free(&between);
	rig_close(&rig);
}

static void lifetimes_are_those_of_the_files(void)
{
	const uint64_t now_s = NOW;
	struct tls_lifetimes lifetimes;
	struct party soon, late, server;
	struct rig rig;

	rig_prepare(&rig);
	soon = party_make(NULL, (struct party_options){.name = "A", .ca = true, .to_s = 3 * DAY});
	late = party_make(NULL, (struct party_options){.name = "B", .ca = true, .to_s = 9 * DAY});
	server = party_make(&late, (struct party_options){.name = "x", .to_s = 5 * DAY});
	put_certificates(&rig.folder, "ca.crt", &late, &soon, NULL);
	put_lists(&rig.folder, "ca.crl", list_make(&late, NULL, -60, 4 * DAY),
	          list_make(&soon, NULL, -60, 2 * DAY));
	put_certificate(&rig.folder, "server.crt", &server);
	put_key(&rig.folder, "server.key", &server);
	rig_start(&rig);
	tls_lifetimes(rig.tls, &lifetimes);
	CU_ASSERT_TRUE(lifetimes.certificate_expires_s - now_s - 5 * DAY < 3);
	CU_ASSERT_TRUE(lifetimes.client_ca_expires_s - now_s - 3 * DAY < 3);
	CU_ASSERT_TRUE(lifetimes.crl_expires_s - now_s - 2 * DAY < 3);
	CU_ASSERT_EQUAL(strlen(lifetimes.certificate_fingerprint), 95);
	CU_ASSERT_EQUAL(strspn(lifetimes.certificate_fingerprint, "0123456789ABCDEF:"), 95);
	rig.options.client_ca_path = NULL;
	rig_start(&rig);
	tls_lifetimes(rig.tls, &lifetimes);
	CU_ASSERT_EQUAL(lifetimes.client_ca_expires_s, 0);
	CU_ASSERT_EQUAL(lifetimes.crl_expires_s, 0);
	/* a node whose certificate has expired starts: else nobody could put that right */
	party_free(&server);
	server = party_make(&late, (struct party_options){.name = "x", .from_s = -DAY, .to_s = -9});
	put_certificate(&rig.folder, "server.crt", &server);
	put_key(&rig.folder, "server.key", &server);
	rig_start(&rig);
	tls_lifetimes(rig.tls, &lifetimes);
	CU_ASSERT_TRUE(lifetimes.certificate_expires_s < now_s);
	party_free(&server);
	party_free(&soon);
	party_free(&late);
	rig_close(&rig);
}

/* A file with some bytes changed or cut off is refused or as good as before; who is served is
 * served as before, and a revoked client stays out in any case. */
static void damaged_files_do_no_harm(void)
{
	static const char *const names[] = {"server.crt", "server.key", "ca.crt", "ca.crl",
	                                    "own.crt"};
	const uint64_t seed = (uint64_t)time(NULL);
	uint64_t state = seed, now_s = 100;
	uint32_t refused_count = 0;
	struct party bad;
	struct rig rig;

	printf(" (seed %llu) ", (unsigned long long)seed);
	rig_prepare(&rig);
	bad = party_make(&rig.ca, (struct party_options){.name = "x", .purpose = "clientAuth"});
	put_certificate(&rig.folder, "own.crt", &rig.ca);
	put_lists(&rig.folder, "ca.crl", list_make(&rig.ca, &bad, -60, DAY), NULL);
	rig_start(&rig);
	for (int i = 0; i < 200; i++) {
		const char *name = names[draw(&state) % 5];
		char *good = get_text(&rig.folder, name), *text = strdup(good);
		size_t length = strlen(text);
		enum tls_look first, second;

		for (uint64_t j = draw(&state) % 4; j > 0; j--)
			text[draw(&state) % length] = (char)(draw(&state) % 96 + 32);
		if (draw(&state) % 4 == 0)
			text[draw(&state) % length] = '\0';
		put_text(&rig.folder, name, text);
		first = look(&rig, now_s++);
		second = look(&rig, now_s++);
		CU_ASSERT_TRUE(first != TLS_REFUSED);
		refused_count += second == TLS_REFUSED;
		CU_ASSERT_EQUAL(second == TLS_REFUSED, rig.text[0] != '\0' && second != TLS_READ);
		CU_ASSERT_FALSE(gets_in(&rig, (struct client){.party = &bad}));
		CU_ASSERT_TRUE(gets_in(&rig, (struct client){0}));
		put_text(&rig.folder, name, good);
		(void)look(&rig, now_s++);
		free(good);
		free(text);
	}
	CU_ASSERT_TRUE(refused_count > 100);
	CU_ASSERT_TRUE(shows(&rig, &rig.server));
	party_free(&bad);
	rig_close(&rig);
}

static void without_memory_the_old_goes_on(void)
{
	uint32_t failed = 0;
	bool over = false;
	struct rig rig;

	rig_open_settled(&rig);
	for (uint32_t skip = 0; !over; skip += 1 + skip / 50) {
		struct tls *tls = NULL;
		SSL *ssl;
		int r;

		fault_set("memory", ENOMEM, skip, 1);
		r = tls_open(&tls, &rig.options, rig.text, sizeof(rig.text));
		over = !fault_over();
		fault_clear();
		if (r < 0) {
			CU_ASSERT_PTR_NULL(tls);
			CU_ASSERT_TRUE(rig.text[0] != '\0');
			failed++;
		}
		tls_close(tls);
		fault_set("memory", ENOMEM, skip, 1);
		(void)look_now(&rig, 1000 + 2 * skip);
		fault_clear();
		(void)look(&rig, 1001 + 2 * skip);
		CU_ASSERT_TRUE(shows(&rig, &rig.server));
		fault_set("memory", ENOMEM, skip, 1);
		ssl = tls_accept(rig.tls);
		fault_clear();
		SSL_free(ssl);
		ERR_clear_error();
	}
	CU_ASSERT_TRUE(failed > 50);
	printf(" (%u times) ", failed);
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"what is wrong with the server's files is told",
	     what_is_wrong_with_the_servers_files_is_told},
	    {"keys that are weak or locked are told", keys_that_are_weak_or_locked_are_told},
	    {"what is wrong with clients' CAs is told", what_is_wrong_with_clients_cas_is_told},
	    {"lifetimes are those of the files", lifetimes_are_those_of_the_files},
	    {"damaged files do no harm", damaged_files_do_no_harm},
	    {"without memory the old goes on", without_memory_the_old_goes_on},
	};

	if (CRYPTO_set_mem_functions(allocate, reallocate, release) != 1)
		return 2;
	return UNIT_RUN("tls_files", cases);
}
