/* SPDX-License-Identifier: Apache-2.0 */
/* What the authority does not do, and what it says then. */
#include "authority_rig.h"

#include <fcntl.h>
#include <sys/file.h>

static void names_that_are_no_files_are_refused(void)
{
	static const char *const bad[] = {
	    "",       ".",
	    "..",     ".hidden",
	    "a/b",    "../admin",
	    "a b",    "a\nb",
	    "a\x1b",  "k\xc3\xa4the",
	    "a=b",    "a,b",
	    "a+OU=x", "0123456789012345678901234567890123456789012345678901234567890123x"};
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(issue(&rig, bad[i], ROLE_viewer, 1, NOW), -EINVAL);
		CU_ASSERT_TRUE(error_says(&rig, "cannot be a file's: give one of 1 to 64 letters, "
		                                "digits, '.', '-' and '_'"));
	}
	CU_ASSERT_EQUAL(issue(&rig,
	                      "0123456789012345678901234567890123456789012345678901234567890123",
	                      ROLE_viewer, 1, NOW),
	                0);
	CU_ASSERT_EQUAL(issue(&rig, "a", ROLE_none, 1, NOW), -EINVAL);
	CU_ASSERT_TRUE(error_says(&rig, "the role none is no client's: give another"));
	CU_ASSERT_EQUAL(issue(&rig, "a", ROLE_viewer, 0, NOW), -EINVAL);
	CU_ASSERT_EQUAL(issue(&rig, "a", ROLE_viewer, UINT64_MAX, NOW), -EINVAL);
	CU_ASSERT_EQUAL(issue(&rig, "a", ROLE_viewer, UINT64_MAX / DAY, NOW), -EINVAL);
	CU_ASSERT_EQUAL(issue(&rig, "a", ROLE_viewer, 3650, NOW + 1), -EINVAL);
	CU_ASSERT_EQUAL(run(&rig, "ls clients"), 0);
	CU_ASSERT_STRING_EQUAL(rig.output + strlen(rig.output) - strlen("admin.crt\nadmin.key\n"),
	                       "admin.crt\nadmin.key\n");
	rig_close(&rig);
}

static int make_named(struct rig *rig, const char *node, const char *address)
{
	const char *const addresses[] = {address};
	uint32_t made;

	return authority_make(rig->directory, node, addresses, address == NULL ? 0 : 1, NOW, &made,
	                      rig->error, sizeof(rig->error));
}

static void a_nodes_name_may_be_any_printable_text(void)
{
	static const char *const bad[] = {
	    "",
	    "a\nb",
	    "a\x7f",
	    "\x1b[2J",
	    "a\xc2\x9b",
	    "\xff",
	    "k\xc3",
	    "\xed\xa0\x80",
	    "0123456789012345678901234567890123456789012345678901234567890123x"};
	struct rig rig;

	rig_prepare(&rig);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(make_named(&rig, bad[i], NULL), -EINVAL);
		CU_ASSERT_TRUE(error_says(&rig, "cannot be a certificate's: give one of 1 to 64 "
		                                "bytes of UTF-8, without control bytes"));
		CU_ASSERT_NOT_EQUAL(access(rig.directory, F_OK), 0);
	}
	CU_ASSERT_EQUAL(make_named(&rig, "K\xc3\xa4the, O=x/CN=\"y\"+#1", NULL), 0);
	run(&rig,
	    "openssl x509 -in server.crt -noout -subject -nameopt utf8,esc_2253,sep_comma_plus");
	CU_ASSERT_STRING_EQUAL(rig.output, "subject=CN=K\xc3\xa4the\\, O=x/CN=\\\"y\\\"\\+#1\n");
	/* no host's name, so there is none */
	run(&rig, "openssl x509 -in server.crt -noout -ext subjectAltName");
	CU_ASSERT_TRUE(says(&rig, "    DNS:localhost, IP Address:127.0.0.1"));
	CU_ASSERT_EQUAL(run(&rig, "openssl verify -x509_strict -CAfile ca.crt server.crt"), 0);
	rig_close(&rig);
}

static void what_is_no_address_is_refused(void)
{
	static const char *const bad[] = {"",        "1.2.3.4/24",   "a b", "[::1]", "::1%lo",
	                                  "*.x.org", "a,IP:1.2.3.4", "-x",  ".x",    "x\n"};
	const char *many[AUTHORITY_ADDRESS_COUNT_MAX + 1];
	struct rig rig;
	uint32_t made;

	rig_prepare(&rig);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(make_named(&rig, NODE, bad[i]), -EINVAL);
		CU_ASSERT_TRUE(error_says(&rig, "is neither an IP address nor a host's name: give "
		                                "one of these"));
		CU_ASSERT_NOT_EQUAL(access(rig.directory, F_OK), 0);
	}
	for (size_t i = 0; i <= AUTHORITY_ADDRESS_COUNT_MAX; i++)
		many[i] = "192.0.2.1";
	CU_ASSERT_EQUAL(authority_make(rig.directory, NODE, many, AUTHORITY_ADDRESS_COUNT_MAX + 1,
	                               NOW, &made, rig.error, sizeof(rig.error)),
	                -EINVAL);
	CU_ASSERT_TRUE(error_says(&rig, "65 addresses: 64 are the most it can have"));
	rig_close(&rig);
}

static void a_directory_that_others_can_write_to_is_refused(void)
{
	struct rig rig;

	rig_open(&rig);
	for (mode_t mode = 0720; mode != 0; mode = mode == 0720 ? 0702 : 0) {
		chmod(rig.directory, mode);
		CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 1, NOW), -EPERM);
		CU_ASSERT_TRUE(error_says(&rig,
		                          "/tls: others can write to it: chmod go-w, and look "
		                          "whether anybody has"));
		CU_ASSERT_EQUAL(make_named(&rig, NODE, NULL), -EPERM);
		CU_ASSERT_PTR_NULL(
		    authority_list(rig.directory, NOW, rig.error, sizeof(rig.error)));
		CU_ASSERT_FALSE(refresh(&rig, NOW));
		CU_ASSERT_TRUE(error_says(&rig, "others can write to it"));
	}
	chmod(rig.directory, 0755);
	chmod(path_in(&rig.folder, "tls/clients"), 0777);
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 1, NOW), -EPERM);
	CU_ASSERT_TRUE(error_says(&rig, "/tls/clients: others can write to it"));
	chmod(path_in(&rig.folder, "tls/clients"), 0700);
	chmod(path_in(&rig.folder, "tls/ca.key"), 0640);
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 1, NOW), -EPERM);
	CU_ASSERT_TRUE(error_says(&rig, "/tls/ca.key: a private key that is not its owner's alone: "
	                                "chmod 600"));
	chmod(path_in(&rig.folder, "tls/ca.key"), 0600);
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 1, NOW), 0);
	rig_close(&rig);
}

/* Who runs `kante` as root must not take the files away from the control process. */
static void roots_files_belong_to_the_directorys_owner(void)
{
	struct rig rig;

	if (geteuid() != 0) {
		printf(" (not root: left out) ");
		return;
	}
	rig_open(&rig);
	run(&rig, "chown -R %d:%d .", NOBODY, NOBODY);
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 1, NOW), 0);
	CU_ASSERT_EQUAL(revoke_at(&rig, rig.serial, NOW), 0);
	run(&rig, "find . ! -user %d", NOBODY);
	CU_ASSERT_STRING_EQUAL(rig.output, "");
	run(&rig, "rm -r *");
	make_at(&rig, NOW);
	run(&rig, "find . ! -user %d -o ! -group %d", NOBODY, NOBODY);
	CU_ASSERT_STRING_EQUAL(rig.output, "");
	/* but nobody else's directory is used by one who is not root */
	run(&rig, "chown %d .; chmod 755 .", NOBODY - 1);
	CU_ASSERT_EQUAL_FATAL(seteuid(NOBODY), 0);
	CU_ASSERT_EQUAL(issue(&rig, "more", ROLE_viewer, 1, NOW), -EACCES); /* its parent is ours */
	CU_ASSERT_EQUAL(seteuid(0), 0);
	chmod(rig.folder.path, 0755);
	CU_ASSERT_EQUAL_FATAL(seteuid(NOBODY), 0);
	CU_ASSERT_EQUAL(issue(&rig, "more", ROLE_viewer, 1, NOW), -EPERM);
	CU_ASSERT_EQUAL(seteuid(0), 0);
	CU_ASSERT_TRUE(error_says(&rig, "it belongs to another user: chown it to the one that this "
	                                "runs as"));
	/* one that nobody can write to */
	run(&rig, "chown %d .; chmod 500 .", NOBODY);
	CU_ASSERT_EQUAL_FATAL(seteuid(NOBODY), 0);
	CU_ASSERT_EQUAL(revoke_at(&rig, "00", NOW), -ENOENT);
	CU_ASSERT_EQUAL(renew(&rig), -EACCES);
	CU_ASSERT_EQUAL(seteuid(0), 0);
	CU_ASSERT_TRUE(error_says(&rig, "/tls/server.crt: no permission: check its owner and mode, "
	                                "and its directory's"));
	run(&rig, "ls -A");
	CU_ASSERT_STRING_EQUAL(rig.output, "ca.crl\nca.crt\nca.key\nclients\nissued.json\n"
	                                   "server.crt\nserver.key\n");
	rig_close(&rig);
}

static void a_servers_certificate_of_another_ca_is_not_renewed(void)
{
	struct party server =
	    party_make(NULL, (struct party_options){.name = "x", .purpose = "serverAuth"});
	struct rig rig;
	char *text;

	rig_open(&rig);
	put_certificate(&rig.folder, "tls/server.crt", &server);
	put_key(&rig.folder, "tls/server.key", &server);
	text = get_text(&rig.folder, "tls/server.crt");
	CU_ASSERT_EQUAL(renew(&rig), -EPERM);
	CU_ASSERT_TRUE(error_says(&rig,
	                          "/tls/server.crt: another CA has signed it: renew it there, "
	                          "or take it away"));
	CU_ASSERT_EQUAL(make_at(&rig, NOW), 0);
	run(&rig, "cat server.crt");
	CU_ASSERT_STRING_EQUAL(rig.output, text);
	/* a link that leads nowhere yet is his as well */
	run(&rig, "rm server.*; ln -s ../later/tls.crt server.crt");
	CU_ASSERT_EQUAL(make_at(&rig, NOW), 0);
	run(&rig, "readlink server.crt");
	CU_ASSERT_STRING_EQUAL(rig.output, "../later/tls.crt\n");
	free(text);
	/* what cannot be read is replaced */
	run(&rig, "rm server.crt; echo x >server.crt");
	CU_ASSERT_EQUAL(renew(&rig), 0);
	party_free(&server);
	rig_close(&rig);
}

static void another_process_is_not_disturbed(void)
{
	struct rig rig;
	json_t *list;
	int fd;

	rig_open(&rig);
	fd = open(rig.directory, O_RDONLY | O_DIRECTORY);
	CU_ASSERT_EQUAL_FATAL(flock(fd, LOCK_EX), 0);
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 1, NOW), -EBUSY);
	CU_ASSERT_TRUE(error_says(&rig, "/tls: another process is changing it: try again"));
	CU_ASSERT_EQUAL(make_named(&rig, NODE, NULL), -EBUSY);
	list = authority_list(rig.directory, NOW, rig.error, sizeof(rig.error));
	CU_ASSERT_EQUAL(json_array_size(list), 2);
	json_decref(list);
	close(fd);
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 1, NOW), 0);
	rig_close(&rig);
}

static void damaged_records_are_told_and_left_alone(void)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
	    {"", "/tls/issued.json: line 1: "},
	    {"{\n\n\"a\": ]", "/tls/issued.json: line 3: "},
	    {"[]", "not what was written here: restore it from a backup"},
	    {"{\"crl_number\": -1, \"issued\": []}", "not what was written here"},
	    {"{\"crl_number\": 1, \"crl_number\": 2, \"issued\": []}", "line 1: duplicate"},
	    {"{\"crl_number\": 1, \"issued\": {}}", "not what was written here"},
	    {"{\"crl_number\": 1, \"issued\": [7]}", "certificate 1 in it is not what was written"},
	    {"{\"crl_number\": 1, \"issued\": [{\"name\": \"a\", \"serial\": \"0g\", \"role\": "
	     "\"admin\", \"issued\": 1, \"expires\": 2, \"revoked\": 0}]}",
	     "certificate 1 in it"},
	    {"{\"crl_number\": 1, \"issued\": [{\"name\": \"a\", \"serial\": \"0A\", \"role\": "
	     "\"root\", \"issued\": 1, \"expires\": 2, \"revoked\": 0}]}",
	     "certificate 1 in it"},
	    {"{\"crl_number\": 1, \"issued\": [{\"name\": \"a\", \"serial\": \"0A\", \"role\": "
	     "\"admin\", \"issued\": 1, \"expires\": 99999999999999999, \"revoked\": 0}]}",
	     "certificate 1 in it"},
	    {"{\"crl_number\": 1, \"issued\": [{\"name\": \"a\", \"serial\": \"0A\", \"role\": "
	     "\"admin\", \"issued\": 1, \"expires\": 2}]}",
	     "certificate 1 in it"},
	};
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *after;

		put_text(&rig.folder, "tls/issued.json", cases[i].text);
		CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 1, NOW), -EINVAL);
		CU_ASSERT_TRUE(error_says(&rig, cases[i].error));
		CU_ASSERT_TRUE(error_says(&rig, ": restore it from a backup"));
		CU_ASSERT_PTR_NULL(
		    authority_list(rig.directory, NOW, rig.error, sizeof(rig.error)));
		after = get_text(&rig.folder, "tls/issued.json");
		CU_ASSERT_STRING_EQUAL(after, cases[i].text);
		free(after);
	}
	/* the next list would be an empty one */
	run(&rig, "rm issued.json");
	CU_ASSERT_FALSE(refresh(&rig, NOW));
	CU_ASSERT_TRUE(error_says(&rig, "/tls/issued.json: it is gone, and who is revoked with "
	                                "it: restore it from a backup, or take ca.crl away"));
	run(&rig, "rm ca.crl");
	CU_ASSERT_TRUE(refresh(&rig, NOW));
	rig_close(&rig);
}

static void damaged_keys_and_certificates_are_told(void)
{
	struct party other = party_make(NULL, (struct party_options){.name = "x", .ca = true});
	char *text, *at;
	struct rig rig;

	rig_open(&rig);
	run(&rig, "cp ca.key k; cp ca.crt c");
	put_text(&rig.folder, "tls/ca.key", "-----BEGIN PRIVATE KEY-----\nMIGH");
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 1, NOW), -EINVAL);
	CU_ASSERT_TRUE(error_says(&rig, "/tls/ca.key: no private key in PEM, or a damaged one"));
	run(&rig, "openssl pkey -in k -aes128 -passout pass:x -out ca.key");
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 1, NOW), -EINVAL);
	CU_ASSERT_TRUE(error_says(&rig, "/tls/ca.key: it needs a passphrase: take it off with "));
	put_key(&rig.folder, "tls/ca.key", &other);
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 1, NOW), -EINVAL);
	CU_ASSERT_TRUE(
	    error_says(&rig, "/tls/ca.key: not the key of its certificate, or damaged: "));
	run(&rig, "cp k ca.key; head -c 300 c >ca.crt");
	CU_ASSERT_EQUAL(revoke_at(&rig, "00", NOW), -EINVAL);
	CU_ASSERT_TRUE(
	    error_says(&rig, "/tls/ca.crt: a certificate in it is damaged: put a good "));
	put_text(&rig.folder, "tls/ca.crt", "");
	CU_ASSERT_EQUAL(renew(&rig), -EINVAL);
	CU_ASSERT_TRUE(error_says(&rig, "/tls/ca.crt: no certificate in PEM in it"));
	run(&rig, "cp server.crt ca.crt; cp server.key ca.key");
	CU_ASSERT_EQUAL(revoke_at(&rig, "00", NOW), -EINVAL);
	CU_ASSERT_TRUE(error_says(&rig, "/tls/ca.crt: not a CA's certificate: restore it"));
	/* one whose secret half is damaged, with its certificate and without */
	run(&rig, "cp c ca.crt");
	text = get_text(&rig.folder, "tls/k");
	at = strchr(text, '\n') + 1 + 55; /* in the middle of it */
	*at = *at == 'A' ? 'B' : 'A';
	put_text(&rig.folder, "tls/ca.key", text);
	put_text(&rig.folder, "tls/server.key", text);
	free(text);
	CU_ASSERT_EQUAL(renew(&rig), -EINVAL);
	CU_ASSERT_TRUE(
	    error_says(&rig, "/tls/ca.key: not the key of its certificate, or damaged: "));
	run(&rig, "rm ca.crt");
	CU_ASSERT_EQUAL(make_named(&rig, NODE, NULL), -EINVAL);
	CU_ASSERT_TRUE(
	    error_says(&rig, "/tls/ca.key: not the key of its certificate, or damaged: "));
	run(&rig, "cp c ca.crt; cp k ca.key; rm server.crt");
	CU_ASSERT_EQUAL(make_named(&rig, NODE, NULL), -EINVAL);
	CU_ASSERT_TRUE(error_says(&rig, "/tls/server.key: not the key of its certificate, or "));
	run(&rig, "rm ca.crt; mkdir ca.crt");
	CU_ASSERT_EQUAL(renew(&rig), -EISDIR);
	party_free(&other);
	rig_close(&rig);
}

static void a_directory_that_is_none_is_told(void)
{
	char deep[128], *long_path = malloc(8192);
	uint32_t made;
	struct rig rig;

	rig_prepare(&rig);
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 1, NOW), -ENOENT);
	CU_ASSERT_TRUE(
	    error_says(&rig, "/tls: there is no such file or directory: check the path"));
	CU_ASSERT_PTR_NULL(authority_list(rig.directory, NOW, rig.error, sizeof(rig.error)));
	snprintf(deep, sizeof(deep), "%s/a/b", rig.folder.path);
	CU_ASSERT_EQUAL(
	    authority_make(deep, NODE, NULL, 0, NOW, &made, rig.error, sizeof(rig.error)), -ENOENT);
	put_text(&rig.folder, "tls", "");
	CU_ASSERT_EQUAL(make_named(&rig, NODE, NULL), -ENOTDIR);
	CU_ASSERT_TRUE(error_says(&rig, "/tls: not a directory: give the path of one"));
	memset(long_path, 'x', 8191);
	long_path[8191] = '\0';
	CU_ASSERT_EQUAL(
	    authority_make(long_path, NODE, NULL, 0, NOW, &made, rig.error, sizeof(rig.error)),
	    -ENAMETOOLONG);
	free(long_path);
	rig_close(&rig);
}

static void ten_thousand_are_the_most(void)
{
	FILE *file;
	struct rig rig;

	rig_open(&rig);
	file = file_begin(&rig.folder, "tls/issued.json");
	fputs("{\"crl_number\": 1, \"issued\": [", file);
	for (int i = 0; i < 10000; i++)
		fprintf(file,
		        "%s\n{\"name\": \"c%d\", \"serial\": \"%032X\", \"role\": \"viewer\", "
		        "\"issued\": 1, \"expires\": %llu, \"revoked\": %d}",
		        i > 0 ? "," : "", i, i + 1, (unsigned long long)NOW + DAY, i % 2);
	fputs("]}", file);
	fclose(file);
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 1, NOW), -ENOSPC);
	CU_ASSERT_TRUE(error_says(&rig, "10000 certificates are in it: wait until one "));
	CU_ASSERT_EQUAL(revoke_at(&rig, "00000000000000000000000000000001", NOW), 0);
	CU_ASSERT_EQUAL(run(&rig, "openssl crl -in ca.crl -noout -text -CAfile ca.crt | grep -c "
	                          "Serial"),
	                0);
	CU_ASSERT_STRING_EQUAL(rig.output, "verify OK\n5001\n");
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 1, NOW + UINT64_C(367) * DAY), 0);
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"names that are no files' are refused", names_that_are_no_files_are_refused},
	    {"a node's name may be any printable text", a_nodes_name_may_be_any_printable_text},
	    {"what is no address is refused", what_is_no_address_is_refused},
	    {"a directory that others can write to is refused",
	     a_directory_that_others_can_write_to_is_refused},
	    {"root's files belong to the directory's owner",
	     roots_files_belong_to_the_directorys_owner},
	    {"a server's certificate of another CA is not renewed",
	     a_servers_certificate_of_another_ca_is_not_renewed},
	    {"another process is not disturbed", another_process_is_not_disturbed},
	    {"damaged records are told, and left alone", damaged_records_are_told_and_left_alone},
	    {"damaged keys and certificates are told", damaged_keys_and_certificates_are_told},
	    {"a directory that is none is told", a_directory_that_is_none_is_told},
	    {"ten thousand are the most", ten_thousand_are_the_most},
	};

	return UNIT_RUN("authority_refusals", cases);
}
