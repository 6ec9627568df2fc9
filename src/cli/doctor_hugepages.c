/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGES       "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define NODE_PAGES  "/sys/devices/system/node/%s/hugepages/hugepages-2048kB/"
#define LASTING     "/etc/sysctl.d/60-kante.conf"
#define HUGETLBFS   "/dev/hugepages"
#define NODE_BYTES  32
#define NODES_BYTES 256

struct pages {
	uint64_t total;
	uint64_t free; /* not promised to anybody, or a running kanted's */
};

static int pages_read(const struct doctor *doctor, struct pages *ret_pages)
{
	uint64_t total, unused, reserved = 0;
	int r = doctor_read_number(doctor, &total, PAGES "nr_hugepages");

	if (r == 0)
		r = doctor_read_number(doctor, &unused, PAGES "free_hugepages");
	if (r < 0)
		return r;
	(void)doctor_read_number(doctor, &reserved, PAGES "resv_hugepages");
	*ret_pages = (struct pages){
	    .total = total,
	    .free = unused - min_u64(reserved, unused) +
	            doctor->kanted_hugepage_bytes / DOCTOR_PAGE_BYTES,
	};
	return 0;
}

static uint64_t pages_of(uint64_t bytes)
{
	return (bytes + DOCTOR_PAGE_BYTES - 1) / DOCTOR_PAGE_BYTES;
}

/* All that kanted takes in hugepages when it can have them. Items in a file lie on hugepages only
 * if its file system does. */
static uint64_t pages_needed(const struct doctor *doctor)
{
	const struct doctor_need *need = &doctor->need;
	struct doctor_mount mount;
	uint64_t count = pages_of(need->common) + pages_of(need->packets);

	if (doctor->config->memory_file[0] == '\0' ||
	    (doctor_mount_of(doctor, &mount, doctor->config->memory_file) == 0 &&
	     strcmp(mount.type, "hugetlbfs") == 0))
		count += pages_of(need->items);
	return count;
}

/* kanted takes those of the default size. */
static uint64_t default_bytes(const struct doctor *doctor)
{
	uint64_t bytes = DOCTOR_PAGE_BYTES;

	(void)doctor_read_field(doctor, &bytes, "Hugepagesize", "/proc/meminfo");
	return bytes;
}

bool doctor_hugepages_suffice(const struct doctor *doctor)
{
	struct pages pages;

	return pages_read(doctor, &pages) == 0 && pages.free >= pages_needed(doctor) &&
	       default_bytes(doctor) == DOCTOR_PAGE_BYTES;
}

/* fix_value: how many there are to be. */
static int fix_hugepages(const struct doctor *doctor, const struct doctor_finding *finding,
                         char *text, size_t text_bytes)
{
	unsigned long long wanted = finding->fix_value;
	uint64_t before, now = 0;
	char number[24];
	int r = doctor_read_number(doctor, &before, PAGES "nr_hugepages");

	snprintf(number, sizeof(number), "%llu", wanted);
	if (r == 0)
		r = doctor_write(doctor, number, PAGES "nr_hugepages");
	if (r < 0)
		return doctor_fix_failed(text, text_bytes, r, "cannot set " PAGES "nr_hugepages");
	/* The kernel takes fewer without a word when memory is in pieces. */
	r = doctor_read_number(doctor, &now, PAGES "nr_hugepages");
	if (r == 0 && now >= wanted) {
		snprintf(text, text_bytes,
		         "set vm.nr_hugepages to %llu (was %llu); after a reboot, too: echo "
		         "vm.nr_hugepages=%llu >> " LASTING,
		         wanted, (unsigned long long)before, wanted);
		return 0;
	}
	snprintf(number, sizeof(number), "%llu", (unsigned long long)before);
	(void)doctor_write(doctor, number, PAGES "nr_hugepages");
	snprintf(text, text_bytes,
	         "of %llu hugepages the kernel could make %llu only, so there are %llu as before: "
	         "free memory is in pieces; have them reserved at boot: echo "
	         "vm.nr_hugepages=%llu >> " LASTING ", and reboot",
	         wanted, (unsigned long long)now, (unsigned long long)before, wanted);
	return -ENOMEM;
}

/* Without them a device that is given physical addresses does not work at all. */
static enum doctor_level level_without(const struct doctor *doctor)
{
	for (uint32_t i = 0; i < doctor->config->port_count; i++)
		if (doctor->config->ports[i].kind == PORT_PCI &&
		    doctor_pci_is_physical(doctor, &doctor->config->ports[i]))
			return DOCTOR_FAULT;
	return DOCTOR_NOTE;
}

static void say_too_few(struct doctor *doctor, const struct pages *pages, uint64_t needed)
{
	uint64_t more = needed - pages->free, wanted = pages->total + more, available = 0;
	char missing[DOCTOR_SIZE_BYTES], left[DOCTOR_SIZE_BYTES], size[DOCTOR_SIZE_BYTES];
	enum doctor_level level = level_without(doctor);
	struct doctor_finding *finding;

	doctor_format_size(size, needed * DOCTOR_PAGE_BYTES);
	finding =
	    doctor_say(doctor, level, NULL,
	               "%llu pages of 2 MiB are free of %llu, the config needs %llu (%s): %s",
	               (unsigned long long)pages->free, (unsigned long long)pages->total,
	               (unsigned long long)needed, size,
	               level == DOCTOR_FAULT ? "a device without an IOMMU does not work otherwise"
	                                     : "kanted's memory would not be in them, and slower");
	(void)doctor_read_field(doctor, &available, "MemAvailable", "/proc/meminfo");
	if (more * DOCTOR_PAGE_BYTES > available / 2) {
		doctor_format_size(missing, more * DOCTOR_PAGE_BYTES);
		doctor_format_size(left, available);
		doctor_advise(finding,
		              "lower `memory` or `max_connections` in the config, or free memory: "
		              "%s more would be over half of what is available (%s); if it is to "
		              "be: sysctl -w vm.nr_hugepages=%llu",
		              missing, left, (unsigned long long)wanted);
		return;
	}
	doctor_advise(finding, "sysctl -w vm.nr_hugepages=%llu", (unsigned long long)wanted);
	finding->fix = fix_hugepages;
	finding->fix_value = wanted;
}

void doctor_check_hugepages(struct doctor *doctor)
{
	struct doctor_finding *finding;
	uint64_t needed;
	struct pages pages;
	int r = pages_read(doctor, &pages);

	if (r < 0) {
		finding =
		    doctor_say(doctor, DOCTOR_NOTE, NULL,
		               "the kernel has no pages of 2 MiB (" PAGES "): %s", strerror(-r));
		doctor_advise(finding, "use a kernel with CONFIG_HUGETLBFS; in a container, have "
		                       "/sys mounted");
		return;
	}
	if (default_bytes(doctor) != DOCTOR_PAGE_BYTES) {
		finding = doctor_say(doctor, DOCTOR_NOTE, NULL,
		                     "the default size is %llu MiB, and kanted takes 2 MiB: it "
		                     "would get none",
		                     (unsigned long long)(default_bytes(doctor) >> 20));
		doctor_advise(finding, "boot with default_hugepagesz=2M on the kernel's command "
		                       "line");
		return;
	}
	if (doctor->config == NULL) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "%llu pages of 2 MiB are free of %llu",
		           (unsigned long long)pages.free, (unsigned long long)pages.total);
		return;
	}
	needed = pages_needed(doctor);
	if (pages.free < needed) {
		say_too_few(doctor, &pages, needed);
		return;
	}
	doctor_say(doctor, DOCTOR_GOOD, NULL,
	           "%llu pages of 2 MiB are free of %llu, the config needs %llu%s",
	           (unsigned long long)pages.free, (unsigned long long)pages.total,
	           (unsigned long long)needed,
	           doctor->kanted_hugepage_bytes > 0 ? " (those of the kanted that runs are "
	                                               "counted as free)"
	                                             : "");
}

/* Where the memory is, seen from the workers. */
struct nodes {
	struct doctor *doctor;
	uint32_t count;
	uint32_t poor_count;
	char poor[NODE_BYTES]; /* the first one that has too few */
	uint64_t poor_wanted;  /* pages there */
	char text[NODES_BYTES];
};

static bool take_node(void *context, const char *name)
{
	struct nodes *nodes = context;
	const struct doctor *doctor = nodes->doctor;
	size_t used = strlen(nodes->text);
	uint64_t unused = 0, total = 0, share;
	cpu_set_t cores;
	int workers;

	if (strncmp(name, "node", 4) != 0 || strlen(name) >= NODE_BYTES ||
	    strspn(name + 4, "0123456789") != strlen(name + 4) || name[4] == '\0')
		return true;
	(void)doctor_read_number(doctor, &unused, NODE_PAGES "free_hugepages", name);
	(void)doctor_read_number(doctor, &total, NODE_PAGES "nr_hugepages", name);
	(void)doctor_read_cores(doctor, &cores, "/sys/devices/system/node/%s/cpulist", name);
	CPU_AND(&cores, &cores, &doctor->worker_cores);
	workers = CPU_COUNT(&cores);
	nodes->count++;
	snprintf(nodes->text + used, sizeof(nodes->text) - used,
	         "%s%s has %llu free and %d worker%s", used == 0 ? "" : ", ", name,
	         (unsigned long long)unused, workers, workers == 1 ? "" : "s");
	if (workers == 0)
		return true;
	share = pages_needed(doctor) * (uint64_t)workers / doctor->worker_count;
	if (unused >= share)
		return true;
	if (nodes->poor_count++ == 0) {
		snprintf(nodes->poor, sizeof(nodes->poor), "%s", name);
		nodes->poor_wanted = total + share - unused;
	}
	return true;
}

void doctor_check_nodes(struct doctor *doctor)
{
	struct nodes nodes = {.doctor = doctor};
	struct doctor_finding *finding;
	int r;

	if (doctor->worker_count == 0)
		return;
	r = doctor_read_directory(doctor, "/sys/devices/system/node", take_node, &nodes);
	if (r < 0 || nodes.count < 2)
		return; /* all memory is alike */
	if (nodes.poor_count == 0 || doctor->kanted_hugepage_bytes > 0) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "pages of 2 MiB: %s", nodes.text);
		return;
	}
	finding = doctor_say(doctor, DOCTOR_NOTE, NULL,
	                     "pages of 2 MiB: %s: those workers would reach for memory of another "
	                     "node",
	                     nodes.text);
	doctor_advise(finding,
	              "echo %llu > " NODE_PAGES "nr_hugepages, or name cores of one node "
	              "in `workers`",
	              (unsigned long long)nodes.poor_wanted, nodes.poor);
}

static int fix_hugetlbfs(const struct doctor *doctor, const struct doctor_finding *finding,
                         char *text, size_t text_bytes)
{
	char path[DOCTOR_PATH_BYTES];
	int r;

	doctor_path(doctor, path, HUGETLBFS);
	r = doctor->host->mount_hugetlbfs(doctor->host, path);
	if (r < 0)
		return doctor_fix_failed(text, text_bytes, r,
		                         "cannot mount a hugetlbfs at " HUGETLBFS);
	snprintf(text, text_bytes,
	         "mounted a hugetlbfs at " HUGETLBFS
	         "; after a reboot, too: echo 'hugetlbfs " HUGETLBFS
	         " hugetlbfs nosuid,nodev 0 0' >> /etc/fstab");
	return 0;
}

/* Only a memory_file needs it: DPDK and the workers take pages without a file system. */
void doctor_check_hugetlbfs(struct doctor *doctor)
{
	struct doctor_finding *finding;
	struct doctor_mount mount;
	int r = doctor_mount_with(doctor, &mount, "hugetlbfs", NULL);

	if (r == 0) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "is mounted at %s", mount.point);
		return;
	}
	if (r != -ENODATA) {
		doctor_say(doctor, DOCTOR_SKIPPED, NULL, "/proc/self/mountinfo cannot be read: %s",
		           strerror(-r));
		return;
	}
	if (doctor->config != NULL && doctor->config->memory_file[0] == '\0') {
		doctor_say(doctor, DOCTOR_GOOD, NULL,
		           "is not mounted, and nothing of the config asks for it");
		return;
	}
	finding = doctor_say(doctor, DOCTOR_NOTE, NULL,
	                     "is not mounted: a `memory_file` cannot lie in hugepages");
	doctor_advise(finding, "mkdir -p " HUGETLBFS " && mount -t hugetlbfs -o nosuid,nodev "
	                       "hugetlbfs " HUGETLBFS);
	finding->fix = fix_hugetlbfs;
}
