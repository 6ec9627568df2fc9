/* SPDX-License-Identifier: Apache-2.0 */
#include "tokens_rig.h"

/* A token by the secret, its claims good but for one. */
static void make_but(struct rig *rig, const char *name, json_t *value)
{
	token_make(rig, HEADER("HS256", "hs"), claims_but(rig, name, value), NULL);
}

/* The same with a header that is to be judged. */
static bool header_refused(struct rig *rig, const char *header, const char *reason)
{
	token_make(rig, header, good_claims(rig), NULL);
	return refused(rig, reason);
}

static bool claims_refused(struct rig *rig, const char *claims, const char *reason)
{
	token_make(rig, HEADER("HS256", "hs"), claims, NULL);
	return refused(rig, reason);
}

static bool claim_refused(struct rig *rig, const char *name, json_t *value, const char *reason)
{
	make_but(rig, name, value);
	return refused(rig, reason);
}

static void the_header_names_a_key_or_is_refused(void)
{
	static const char no_kid[] = "its header has no kid: let the issuer say which key it is by";
	char header[512], long_kid[300];
	struct rig rig;

	rig_open(&rig);
	rig.options.key_count = 1;
	rig.keys[0] = rig.keys[2];
	CU_ASSERT_EQUAL_FATAL(tokens_read(&rig), 0); /* also when there is one only */
	CU_ASSERT_TRUE(header_refused(&rig, "{\"alg\":\"HS256\"}", no_kid));
	CU_ASSERT_TRUE(header_refused(&rig, "{\"alg\":\"HS256\",\"kid\":7}", no_kid));
	CU_ASSERT_TRUE(header_refused(&rig, "{\"alg\":\"HS256\",\"kid\":null}", no_kid));
	CU_ASSERT_TRUE(header_refused(&rig, "{\"alg\":\"HS256\",\"kid\":[\"hs\"]}", no_kid));
	CU_ASSERT_TRUE(header_refused(&rig, HEADER("HS256", ""), "no key has the id \"\" (kid)"));
	CU_ASSERT_TRUE(
	    header_refused(&rig, HEADER("HS256", "HS"), "no key has the id \"HS\" (kid)"));
	CU_ASSERT_TRUE(
	    header_refused(&rig, HEADER("HS256", "hs "), "no key has the id \"hs \" (kid)"));
	CU_ASSERT_TRUE(header_refused(&rig, HEADER("HS256", "../../etc/x\\n\\u001b[0m\xc3\xa4"),
	                              "no key has the id \"../../etc/x??[0m??\" (kid)"));
	memset(long_kid, 'k', sizeof(long_kid) - 1);
	long_kid[sizeof(long_kid) - 1] = '\0';
	snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"kid\":\"%s\"}", long_kid);
	CU_ASSERT_TRUE(header_refused(
	    &rig, header,
	    "no key has the id \"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk...\" (kid)"));
	rig_close(&rig);
}

static void a_header_has_nothing_that_is_not_understood(void)
{
	static const char no_object[] = "its header is not a JSON object";
	static const char crit[] = "its header has a crit, of which nothing is known here";
	static const char typ[] = "its header's typ is not JWT";
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_TRUE(
	    header_refused(&rig, "{\"alg\":\"HS256\",\"kid\":\"hs\",\"crit\":[]}", crit));
	CU_ASSERT_TRUE(header_refused(
	    &rig, "{\"alg\":\"HS256\",\"kid\":\"hs\",\"crit\":[\"b64\"],\"b64\":false}", crit));
	CU_ASSERT_TRUE(
	    header_refused(&rig, "{\"alg\":\"HS256\",\"kid\":\"hs\",\"crit\":null}", crit));
	CU_ASSERT_TRUE(
	    header_refused(&rig, "{\"alg\":\"HS256\",\"kid\":\"hs\",\"typ\":\"JOSE\"}", typ));
	CU_ASSERT_TRUE(header_refused(&rig, "{\"alg\":\"HS256\",\"kid\":\"hs\",\"typ\":1}", typ));
	CU_ASSERT_TRUE(
	    header_refused(&rig, "{\"alg\":\"none\",\"alg\":\"HS256\",\"kid\":\"hs\"}", no_object));
	CU_ASSERT_TRUE(
	    header_refused(&rig, "{\"alg\":\"HS256\",\"kid\":\"hs\",\"kid\":\"hs\"}", no_object));
	CU_ASSERT_TRUE(header_refused(
	    &rig, "{\"alg\":\"HS256\",\"kid\":\"hs\",\"\\u006bid\":\"hs\"}", no_object));
	CU_ASSERT_TRUE(header_refused(&rig, "[\"alg\"]", no_object));
	CU_ASSERT_TRUE(header_refused(&rig, "\"alg\"", no_object));
	CU_ASSERT_TRUE(header_refused(&rig, "{", no_object));
	CU_ASSERT_TRUE(header_refused(&rig, HEADER("HS256", "hs") "{}", no_object));
	CU_ASSERT_TRUE(header_refused(&rig, HEADER("HS256", "h\\u0000s"), no_object));
	CU_ASSERT_TRUE(header_refused(&rig, HEADER("HS256", "h\xffs"), no_object));
	/* nothing goes to get a key from where a token says */
	token_make(&rig,
	           "{\"alg\":\"HS256\",\"kid\":\"hs\",\"typ\":\"jwt\",\"jku\":\"http://x/\","
	           "\"x5u\":\"http://x/\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}}",
	           good_claims(&rig), NULL);
	CU_ASSERT_EQUAL(check(&rig), 0);
	rig_close(&rig);
}

static void before_the_signature_a_reason_tells_nothing_of_the_token(void)
{
	struct rig rig;

	rig_open(&rig);
	token_make(&rig, "{\"alg\":\"MARK\",\"kid\":\"rsa\",\"typ\":\"JWT\"}",
	           claims_but(&rig, "iss", json_string("MARK")), NULL);
	CU_ASSERT_EQUAL(check(&rig), -EACCES);
	CU_ASSERT_PTR_NULL(strstr(rig.reason, "MARK"));
	CU_ASSERT_STRING_EQUAL(rig.who.name, "");
	CU_ASSERT_STRING_EQUAL(rig.who.credential_id, "");
	token_make(&rig, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"MARK\"}", "MARK", NULL);
	CU_ASSERT_EQUAL(check(&rig), -EACCES);
	CU_ASSERT_PTR_NULL(strstr(rig.reason, "MARK"));
	token_make(&rig, HEADER("RS256", "rsa"), "MARK", made_keys.other_rsa);
	CU_ASSERT_EQUAL(check(&rig), -EACCES);
	CU_ASSERT_PTR_NULL(strstr(rig.reason, "MARK"));
	rig_close(&rig);
}

static void claims_are_an_object_without_repetition(void)
{
	static const char reason[] = "its claims are not a JSON object, or one is there twice";
	char twice[2 * CLAIMS_MAX];
	struct rig rig;

	rig_open(&rig);
	snprintf(twice, sizeof(twice), "{\"role\":\"viewer\",%s", good_claims(&rig) + 1);
	CU_ASSERT_TRUE(claims_refused(&rig, twice, reason));
	snprintf(twice, sizeof(twice), "{\"e\\u0078p\":1,%s", good_claims(&rig) + 1);
	CU_ASSERT_TRUE(claims_refused(&rig, twice, reason));
	snprintf(twice, sizeof(twice), "{\"exp\":99999999999999999999,\"x\":1}");
	/* libjwt takes it for no JSON either, before it looks at the signature */
	CU_ASSERT_TRUE(claims_refused(&rig, twice,
	                              "not signed by the key \"hs\", or its claims are not JSON"));
	CU_ASSERT_TRUE(claims_refused(&rig, "[]", reason));
	CU_ASSERT_TRUE(
	    claims_refused(&rig, "x", "not signed by the key \"hs\", or its claims are not JSON"));
	rig_close(&rig);
}

static void issuer_and_audience_are_ours(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_TRUE(claim_refused(&rig, "iss", json_string("https://issuer.example/"),
	                             "issuer is \"https://issuer.example/\", not "
	                             "\"https://issuer.example\""));
	CU_ASSERT_TRUE(
	    claim_refused(&rig, "iss", NULL, "no issuer, and not \"https://issuer.example\""));
	CU_ASSERT_TRUE(claim_refused(&rig, "iss", json_pack("[s]", ISSUER),
	                             "no issuer, and not \"https://issuer.example\""));
	CU_ASSERT_TRUE(claim_refused(&rig, "iss", json_string("a\nb\xc3\xa4"),
	                             "issuer is \"a?b??\", not \"https://issuer.example\""));
	CU_ASSERT_TRUE(
	    claim_refused(&rig, "aud", json_string("x"), "audience is \"x\", not \"kante\""));
	CU_ASSERT_TRUE(claim_refused(&rig, "aud", NULL, "no audience, and not \"kante\""));
	CU_ASSERT_TRUE(
	    claim_refused(&rig, "aud", json_integer(1), "no audience, and not \"kante\""));
	CU_ASSERT_TRUE(claim_refused(&rig, "aud", json_pack("{s:s}", "kante", "kante"),
	                             "no audience, and not \"kante\""));
	CU_ASSERT_TRUE(
	    claim_refused(&rig, "aud", json_array(), "audience is a list without \"kante\""));
	CU_ASSERT_TRUE(claim_refused(&rig, "aud", json_pack("[s,i,[s]]", "kante2", 1, "kante"),
	                             "audience is a list without \"kante\""));
	make_but(&rig, "aud", json_pack("[s,s]", "x", "kante"));
	CU_ASSERT_EQUAL(check(&rig), 0);
	rig_close(&rig);
}

static void a_token_counts_in_its_time_with_some_skew(void)
{
	static const struct {
		const char *claim;
		int64_t from_now_s;
		int r;
		const char *reason;
	} tries[] = {
	    {"exp", 1, 0, ""},
	    {"exp", 1 - SKEW_S, 0, ""},
	    {"exp", -SKEW_S, -EKEYEXPIRED, "expired 60 s ago"},
	    {"exp", -(int64_t)NOW, -EKEYEXPIRED, "expired 1764277200 s ago"},
	    {"exp", LIFETIME_S - 10, 0, ""}, /* iat is 10 s ago */
	    {"exp", LIFETIME_S - 9, -EACCES,
	     "made for 86401 s (exp - iat), and at most 86400 are taken"},
	    {"exp", INT64_MAX - (int64_t)NOW, -EACCES,
	     "made for 9223372035090498617 s (exp - iat), and at most 86400 are taken"},
	    {"iat", SKEW_S, 0, ""},
	    {"iat", SKEW_S + 1, -EACCES, "issued 61 s in the future (iat): compare the clocks"},
	    {"iat", INT64_MAX - (int64_t)NOW, -EACCES,
	     "issued 9223372035090498607 s in the future (iat): compare the clocks"},
	    {"iat", 600 - LIFETIME_S, 0, ""},
	    {"iat", 599 - LIFETIME_S, -EACCES,
	     "made for 86401 s (exp - iat), and at most 86400 are taken"},
	    {"iat", -(int64_t)NOW, -EACCES,
	     "made for 1764277800 s (exp - iat), and at most 86400 are taken"},
	    {"nbf", SKEW_S, 0, ""},
	    {"nbf", SKEW_S + 1, -EACCES, "not good for another 61 s (nbf)"},
	    {"nbf", -(int64_t)NOW, 0, ""},
	    {"nbf", INT64_MAX - (int64_t)NOW, -EACCES,
	     "not good for another 9223372035090498607 s (nbf)"},
	};
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		make_but(&rig, tries[i].claim, json_integer((int64_t)NOW + tries[i].from_now_s));
		CU_ASSERT_EQUAL(check(&rig), tries[i].r);
		if (strcmp(rig.reason, tries[i].reason) != 0)
			printf("\n%zu: %s\n", i, rig.reason);
		CU_ASSERT_STRING_EQUAL(rig.reason, tries[i].reason);
		if (tries[i].r == -EKEYEXPIRED)
			CU_ASSERT_STRING_EQUAL(rig.who.credential_id, "id-1");
	}
	rig_close(&rig);
}

static void a_time_is_a_whole_number_of_seconds(void)
{
	static const char *const claims[] = {"exp", "iat", "nbf"};
	struct rig rig;
	char reason[80];

	rig_open(&rig);
	for (size_t i = 0; i < 3; i++) {
		snprintf(reason, sizeof(reason), "%s is not a whole number of seconds since 1970",
		         claims[i]);
		CU_ASSERT_TRUE(claim_refused(&rig, claims[i], json_integer(-1), reason));
		CU_ASSERT_TRUE(claim_refused(&rig, claims[i], json_integer(INT64_MIN), reason));
		CU_ASSERT_TRUE(claim_refused(&rig, claims[i], json_real(NOW + 0.5), reason));
		CU_ASSERT_TRUE(claim_refused(&rig, claims[i], json_real(1e300), reason));
		CU_ASSERT_TRUE(claim_refused(&rig, claims[i], json_string("1764277200"), reason));
		CU_ASSERT_TRUE(claim_refused(&rig, claims[i], json_true(), reason));
		CU_ASSERT_TRUE(claim_refused(&rig, claims[i], json_null(), reason));
		make_but(&rig, claims[i], NULL);
		if (i < 2)
			CU_ASSERT_TRUE(refused(&rig, reason));
	}
	CU_ASSERT_EQUAL(check(&rig), 0); /* without nbf */
	rig_close(&rig);
}

static void the_role_is_one_of_three(void)
{
	static const char *const names[] = {"viewer", "operator", "admin"};
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < 3; i++) {
		make_but(&rig, "role", json_string(names[i]));
		CU_ASSERT_EQUAL(check(&rig), 0);
		CU_ASSERT_STRING_EQUAL(role_name(rig.who.role), names[i]);
	}
	CU_ASSERT_TRUE(claim_refused(&rig, "role", json_string("root"),
	                             "role is \"root\", and not viewer, operator or admin"));
	CU_ASSERT_TRUE(claim_refused(&rig, "role", json_string("none"),
	                             "role is \"none\", and not viewer, operator or admin"));
	CU_ASSERT_TRUE(claim_refused(&rig, "role", json_string("Admin"),
	                             "role is \"Admin\", and not viewer, operator or admin"));
	CU_ASSERT_TRUE(claim_refused(&rig, "role", json_string(""),
	                             "role is \"\", and not viewer, operator or admin"));
	CU_ASSERT_TRUE(claim_refused(&rig, "role", json_pack("[s]", "admin"),
	                             "role is no text, and not viewer, operator or admin"));
	CU_ASSERT_TRUE(claim_refused(&rig, "role", NULL,
	                             "role is no text, and not viewer, operator or admin"));
	rig.options.role_claim = "https://kante.example/role";
	CU_ASSERT_EQUAL_FATAL(tokens_read(&rig), 0);
	make_but(&rig, "https://kante.example/role", json_string("viewer"));
	CU_ASSERT_EQUAL(check(&rig), 0);
	CU_ASSERT_EQUAL(rig.who.role, ROLE_viewer); /* and not operator, as `role` has it */
	good_token_make(&rig, "hs");
	CU_ASSERT_EQUAL(check(&rig), -EACCES);
	rig_close(&rig);
}

static void who_it_is_can_be_shown_to_people(void)
{
	static const char sub[] = "sub is not 1 to 255 printable bytes";
	static const char jti[] = "jti is not 1 to 127 printable bytes";
	char text[257];
	struct rig rig;

	rig_open(&rig);
	memset(text, 'x', sizeof(text) - 1);
	text[256] = '\0';
	CU_ASSERT_TRUE(claim_refused(&rig, "sub", json_string(text), sub));
	CU_ASSERT_TRUE(claim_refused(&rig, "sub", json_string(""), sub));
	CU_ASSERT_TRUE(claim_refused(&rig, "sub", json_string("a\nb"), sub));
	CU_ASSERT_TRUE(claim_refused(&rig, "sub", json_string("\x1b[0m"), sub));
	CU_ASSERT_TRUE(claim_refused(&rig, "sub", json_integer(7), sub));
	CU_ASSERT_TRUE(claim_refused(&rig, "sub", NULL, sub));
	CU_ASSERT_TRUE(claim_refused(&rig, "jti", json_string(text + 128), jti));
	CU_ASSERT_TRUE(claim_refused(&rig, "jti", json_string(""), jti));
	CU_ASSERT_TRUE(claim_refused(&rig, "jti", json_string("a\tb"), jti));
	CU_ASSERT_TRUE(claim_refused(&rig, "jti", json_integer(7), jti));
	make_but(&rig, "sub", json_string(text + 1));
	CU_ASSERT_EQUAL(check(&rig), 0);
	CU_ASSERT_STRING_EQUAL(rig.who.name, text + 1);
	make_but(&rig, "jti", json_string(text + 129));
	CU_ASSERT_EQUAL(check(&rig), 0);
	CU_ASSERT_STRING_EQUAL(rig.who.credential_id, text + 129);
	make_but(&rig, "jti", NULL);
	CU_ASSERT_EQUAL(check(&rig), 0);
	CU_ASSERT_STRING_EQUAL(rig.who.credential_id, "");
	rig_close(&rig);
}

/* JSON as deep as a token can be. */
static void claims_may_be_as_deep_as_they_like(void)
{
	static char claims[5000];
	struct rig rig;
	size_t depth = 2000, length;

	rig_open(&rig);
	length = (size_t)sprintf(claims, "{\"x\":");
	memset(claims + length, '[', depth);
	memset(claims + length + depth, ']', depth);
	strcpy(claims + length + 2 * depth, "}");
	CU_ASSERT_TRUE(claims_refused(&rig, claims, "sub is not 1 to 255 printable bytes"));
	depth = 2400; /* jansson's limit is 2048 */
	memset(claims + length, '[', depth);
	memset(claims + length + depth, ']', depth);
	strcpy(claims + length + 2 * depth, "}");
	CU_ASSERT_TRUE(claims_refused(&rig, claims,
	                              "not signed by the key \"hs\", or its claims are not JSON"));
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"the header names a key or is refused", the_header_names_a_key_or_is_refused},
	    {"a header has nothing that is not understood",
	     a_header_has_nothing_that_is_not_understood},
	    {"before the signature a reason tells nothing of the token",
	     before_the_signature_a_reason_tells_nothing_of_the_token},
	    {"claims are an object without repetition", claims_are_an_object_without_repetition},
	    {"issuer and audience are ours", issuer_and_audience_are_ours},
	    {"a token counts in its time, with some skew",
	     a_token_counts_in_its_time_with_some_skew},
	    {"a time is a whole number of seconds", a_time_is_a_whole_number_of_seconds},
	    {"the role is one of three", the_role_is_one_of_three},
	    {"who it is can be shown to people", who_it_is_can_be_shown_to_people},
	    {"claims may be as deep as they like", claims_may_be_as_deep_as_they_like},
	};
	int r;

	made_keys_make();
	r = UNIT_RUN("tokens_claims", cases);
	made_keys_free();
	return r;
}
