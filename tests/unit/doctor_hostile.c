/* SPDX-License-Identifier: Apache-2.0 */
/* What a machine's files say is another kernel's, another program's, or damaged: whatever it is,
 * all checks come to an end, with text that can be printed. */
#include "doctor_rig.h"

#include "base/random.h"

#include <ftw.h>
#include <time.h>

#define ROUNDS     25
#define FILE_COUNT 512

struct files {
	char paths[FILE_COUNT][512];
	uint32_t count;
};

static struct files files;

static int take(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	if (type == FTW_F && files.count < FILE_COUNT)
		snprintf(files.paths[files.count++], sizeof(files.paths[0]), "%s", path);
	return 0;
}

/* Bytes changed, cut off, doubled, or others altogether. */
static void spoil(const char *path, struct random *random)
{
	static const char *const texts[] = {"",
	                                    "-1\n",
	                                    "18446744073709551615\n",
	                                    "99999999999999999999",
	                                    "0-99999\n",
	                                    "%s%n%d\n",
	                                    "\n\n\n",
	                                    ": : : :\n",
	                                    "max\n",
	                                    "4294967296 4294967296\n",
	                                    "\xff\xfe\x01\x02\n"};
	char text[65536];
	FILE *file = fopen(path, "r+e");
	size_t length, count = 1 + random_below(random, 8);

	if (file == NULL)
		return;
	length = fread(text, 1, sizeof(text) / 4, file);
	rewind(file);
	switch (random_below(random, 5)) {
	case 0:
		length = 0;
		for (size_t i = 0; i < count; i++)
			length += (size_t)snprintf(
			    text + length, 64, "%s",
			    texts[random_below(random, sizeof(texts) / sizeof(texts[0]))]);
		break;
	case 1:
		for (size_t i = 0; length > 0 && i < count; i++)
			text[random_below(random, length)] = (char)random_u64(random);
		break;
	case 2: length = length == 0 ? 0 : random_below(random, length); break;
	case 3:
		memcpy(text + length, text, length);
		length *= 2;
		break;
	default: /* a line without an end */
		memset(text, 'a' + (int)random_below(random, 26), sizeof(text));
		length = sizeof(text);
	}
	(void)fwrite(text, 1, length, file);
	fflush(file);
	(void)!ftruncate(fileno(file), (off_t)length);
	fclose(file);
}

static void expect_text(const char *text, size_t bytes)
{
	size_t length = strnlen(text, bytes);

	CU_ASSERT_TRUE_FATAL(length < bytes);
	for (size_t i = 0; i < length; i++)
		CU_ASSERT_TRUE_FATAL((unsigned char)text[i] >= ' ' && text[i] != 0x7f);
}

static void expect_findings(const struct rig *rig)
{
	char *text = NULL;
	size_t bytes;
	FILE *file = open_memstream(&text, &bytes);

	CU_ASSERT_TRUE(rig->report.finding_count > 5);
	for (uint32_t i = 0; i < rig->report.finding_count; i++) {
		const struct doctor_finding *finding = &rig->report.findings[i];

		if (finding->found[0] == '\0')
			printf("\n%s found nothing\n", finding->check);
		CU_ASSERT_TRUE(finding->found[0] != '\0');
		expect_text(finding->found, sizeof(finding->found));
		expect_text(finding->mend, sizeof(finding->mend));
		expect_text(finding->about, sizeof(finding->about));
	}
	doctor_print(&rig->report, file, 80, true);
	fclose(file);
	free(text);
}

static void test_spoilt_files_spoil_nothing_else(void)
{
	static const char *const configs[] = {
	    NULL,
	    "workers: 2\nmemory_file: /dev/shm/kante\n" RIG_XDP,
	    "workers: [4, 5]\n" RIG_PCI,
	    "memory_file: /dev/hugepages/kante\nauth_file: /etc/kante/users\n" RIG_SOCKET,
	    RIG_TAP,
	};
	uint64_t seed = (uint64_t)time(NULL);
	struct random random;
	struct rig rig;

	if (getenv("KANTE_SEED") != NULL)
		seed = strtoull(getenv("KANTE_SEED"), NULL, 10);
	printf("\nKANTE_SEED=%llu\n", (unsigned long long)seed);
	random = random_seeded(seed);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		rig_open(&rig);
		rig_file(&rig, "etc/kante/users", "alice:x\n");
		rig_process(&rig, 321, random_below(&random, 2) ? "kanted" : "memcached", 55);
		files.count = 0;
		CU_ASSERT_EQUAL_FATAL(nftw(rig.root, take, 16, FTW_PHYS), 0);
		for (uint32_t i = 0; i < files.count; i++)
			if (random_below(&random, 4) == 0)
				spoil(files.paths[i], &random);
		rig.bind_tcp = random_below(&random, 2) ? -EADDRINUSE : 0;
		rig.room.f_bsize = random_below(&random, 2) ? random_u64(&random) : 0;
		for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
			rig_examine(&rig, configs[i]);
			expect_findings(&rig);
			rig_mend(&rig);
			rig_examine(&rig, configs[i]);
			expect_findings(&rig);
		}
		rig_close(&rig);
	}
}

static void test_an_empty_machine_is_looked_at(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_remove(&rig, "*");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "interface", DOCTOR_FAULT, "no such interface", NULL);
	rig_expect(&rig, "hugepages", DOCTOR_NOTE, "the kernel has no pages", NULL);
	expect_findings(&rig);
	rig_examine(&rig, NULL);
	expect_findings(&rig);
	rig_close(&rig);
}

static void test_a_fifo_in_a_files_place_hangs_nobody(void)
{
	char path[128];
	struct rig rig;

	rig_open(&rig);
	rig_remove(&rig, "proc/meminfo");
	rig_remove(&rig, "proc/sys/vm/overcommit_memory");
	snprintf(path, sizeof(path), "%s/proc/meminfo", rig.root);
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
	snprintf(path, sizeof(path), "%s/proc/sys/vm/overcommit_memory", rig.root);
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "overcommit", DOCTOR_SKIPPED, "cannot be read", NULL);
	rig_close(&rig);
}

/* As many findings as there can be. */
static void test_all_ports_have_room(void)
{
	char config[2048] = "ports:\n";
	struct rig rig;

	rig_open(&rig);
	rig_file(&rig, "proc/sys/kernel/osrelease", "2.4.0\n");
	rig_file(&rig, "proc/sys/net/core/bpf_jit_enable", "0\n");
	for (unsigned i = 0; i < PORT_COUNT_MAX; i++) {
		char name[IFNAMSIZ], line[256];

		snprintf(name, sizeof(name), "eth%u", i);
		rig_interface(&rig, name, NULL);
		snprintf(line, sizeof(line),
		         "  - {kind: xdp, interface: %s, tcp: %u, udp: %u, allow: any}\n", name,
		         i + 1, i + 1);
		strcat(config, line);
	}
	rig_examine(&rig, config);
	CU_ASSERT_TRUE(rig.report.finding_count > 8 * PORT_COUNT_MAX);
	expect_findings(&rig);
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"spoilt files spoil nothing else", test_spoilt_files_spoil_nothing_else},
	    {"an empty machine is looked at", test_an_empty_machine_is_looked_at},
	    {"a FIFO in a file's place hangs nobody", test_a_fifo_in_a_files_place_hangs_nobody},
	    {"all ports have room", test_all_ports_have_room},
	};

	return UNIT_RUN("doctor_hostile", cases);
}
