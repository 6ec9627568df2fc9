/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEVICES     "/sys/bus/pci/devices/"
#define NAME_BYTES  64
#define OTHERS_SHOW 3 /* devices of a group that are named */

/* What to know about a PCI device. */
struct device {
	const struct port_options *port;
	char about[DOCTOR_ABOUT_BYTES];
	char driver[NAME_BYTES]; /* "": none */
	char group[NAME_BYTES];  /* of the IOMMU, "": none */
};

static void device_look(const struct doctor *doctor, const struct port_options *port,
                        struct device *ret_device)
{
	ret_device->port = port;
	doctor_about_port(ret_device->about, port);
	doctor_read_link(doctor, ret_device->driver, NAME_BYTES, DEVICES "%s/driver", port->name);
	doctor_read_link(doctor, ret_device->group, NAME_BYTES, DEVICES "%s/iommu_group",
	                 port->name);
}

/* The next port of the kind whose device is there. */
static bool device_next(const struct doctor *doctor, uint32_t *index, struct device *ret_device)
{
	for (; doctor->config != NULL && *index < doctor->config->port_count; ++*index) {
		const struct port_options *port = &doctor->config->ports[*index];

		if (port->kind != PORT_PCI || !doctor_exists(doctor, DEVICES "%s", port->name))
			continue;
		device_look(doctor, port, ret_device);
		++*index;
		return true;
	}
	return false;
}

static bool is_one_of(const char *name, const char *const names[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* DPDK drives it beside its kernel driver. */
static bool is_bifurcated(const struct device *device)
{
	static const char *const drivers[] = {"mlx5_core", "mlx4_core"};

	return is_one_of(device->driver, drivers, sizeof(drivers) / sizeof(drivers[0]));
}

static bool is_uio(const struct device *device)
{
	static const char *const drivers[] = {"uio_pci_generic", "igb_uio"};

	return is_one_of(device->driver, drivers, sizeof(drivers) / sizeof(drivers[0]));
}

static bool is_without_iommu(const struct doctor *doctor)
{
	char text[8];

	(void)doctor_read(doctor, text, sizeof(text),
	                  "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
	return text[0] == 'Y' || text[0] == '1';
}

/* In the mode without an IOMMU a device has a group of its own, which says so. */
static bool group_is_unsafe(const struct doctor *doctor, const struct device *device)
{
	char name[NAME_BYTES];

	(void)doctor_read(doctor, name, sizeof(name), "/sys/kernel/iommu_groups/%s/name",
	                  device->group);
	return strcmp(name, "vfio-noiommu") == 0;
}

bool doctor_pci_is_physical(const struct doctor *doctor, const struct port_options *port)
{
	struct device device;

	if (!doctor_exists(doctor, DEVICES "%s", port->name))
		return false;
	device_look(doctor, port, &device);
	return is_uio(&device) || (!is_bifurcated(&device) &&
	                           (device.group[0] == '\0' || group_is_unsafe(doctor, &device)));
}

static int fix_vfio(const struct doctor *doctor, const struct doctor_finding *finding, char *text,
                    size_t text_bytes)
{
	int r = doctor->host->load_module(doctor->host, "vfio-pci");

	if (r == -ECANCELED)
		snprintf(text, text_bytes, "modprobe vfio-pci has failed, and said why");
	else if (r < 0)
		doctor_fix_failed(text, text_bytes, r, "cannot run modprobe vfio-pci");
	if (r < 0)
		return r;
	snprintf(text, text_bytes,
	         "loaded vfio-pci; after a reboot, too: echo vfio-pci > "
	         "/etc/modules-load.d/kante.conf");
	return 0;
}

void doctor_check_vfio(struct doctor *doctor)
{
	struct doctor_finding *finding;
	struct device device;
	uint32_t index = 0;
	bool is_needed = false;

	while (device_next(doctor, &index, &device))
		is_needed |= !is_bifurcated(&device) && !is_uio(&device);
	if (!is_needed)
		return;
	if (doctor_exists(doctor, "/sys/bus/pci/drivers/vfio-pci")) {
		doctor_say(doctor, DOCTOR_GOOD, NULL, "is loaded");
		return;
	}
	finding =
	    doctor_say(doctor, DOCTOR_FAULT, NULL, "is not loaded: no device can be bound to it");
	doctor_advise(finding, "modprobe vfio-pci");
	finding->fix = fix_vfio;
}

/* The network interfaces of a device: in its net/, or a virtio device has them. */
struct interfaces {
	const struct doctor *doctor;
	const char *device;
	char names[DOCTOR_ABOUT_BYTES];
	char lifeline[IFNAMSIZ]; /* "": none */
	char why[DOCTOR_ABOUT_BYTES];
};

static bool take_interface(void *context, const char *name)
{
	struct interfaces *interfaces = context;
	size_t used = strlen(interfaces->names);

	snprintf(interfaces->names + used, sizeof(interfaces->names) - used, "%s%s",
	         used == 0 ? "" : ", ", name);
	if (interfaces->lifeline[0] == '\0' && strlen(name) < IFNAMSIZ &&
	    doctor_is_lifeline(interfaces->doctor, name, interfaces->why))
		snprintf(interfaces->lifeline, IFNAMSIZ, "%s", name);
	return true;
}

static bool take_child(void *context, const char *name)
{
	struct interfaces *interfaces = context;
	char path[DOCTOR_PATH_BYTES];

	if (strcmp(name, "net") == 0)
		snprintf(path, sizeof(path), DEVICES "%s/net", interfaces->device);
	else if (strncmp(name, "virtio", 6) == 0)
		snprintf(path, sizeof(path), DEVICES "%s/%s/net", interfaces->device, name);
	else
		return true;
	(void)doctor_read_directory(interfaces->doctor, path, take_interface, interfaces);
	return true;
}

static void say_kernels(struct doctor *doctor, const struct device *device)
{
	struct interfaces interfaces = {.doctor = doctor, .device = device->port->name};
	char path[DOCTOR_PATH_BYTES];
	struct doctor_finding *finding;

	snprintf(path, sizeof(path), DEVICES "%s", device->port->name);
	(void)doctor_read_directory(doctor, path, take_child, &interfaces);
	if (interfaces.lifeline[0] != '\0') {
		finding = doctor_say(doctor, DOCTOR_FAULT, device->about,
		                     "is bound to %s, and its interface %s %s: taking it would cut "
		                     "this machine off",
		                     device->driver, interfaces.lifeline, interfaces.why);
		doctor_advise(finding,
		              "name another device, or make it a port of the kind xdp (interface: "
		              "%s), which leaves it to the kernel",
		              interfaces.lifeline);
		return;
	}
	finding = doctor_say(doctor, DOCTOR_FAULT, device->about, "is bound to %s%s%s%s",
	                     device->driver[0] == '\0' ? "no driver" : device->driver,
	                     interfaces.names[0] == '\0' ? "" : " (interface ", interfaces.names,
	                     interfaces.names[0] == '\0' ? "" : ")");
	doctor_advise(finding, "modprobe vfio-pci && dpdk-devbind.py --bind=vfio-pci %s%s",
	              device->port->name,
	              device->driver[0] == '\0' ? "" : " (the kernel loses it)");
}

/* An IOMMU group goes to one process at a time. */
static void say_vfio(struct doctor *doctor, const struct device *device)
{
	char path[DOCTOR_PATH_BYTES];
	const char *prefix = group_is_unsafe(doctor, device) ? "noiommu-" : "";
	struct doctor_finding *finding;
	int fd;

	doctor_path(doctor, path, "/dev/vfio/%s%s", prefix, device->group);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		close(fd);
		doctor_say(doctor, DOCTOR_GOOD, device->about, "is bound to %s, and free",
		           device->driver);
		return;
	}
	finding =
	    doctor_say(doctor, errno == EBUSY && doctor->kanted != 0 ? DOCTOR_NOTE : DOCTOR_FAULT,
	               device->about, "is bound to %s, but /dev/vfio/%s%s cannot be opened: %s",
	               device->driver, prefix, device->group,
	               errno == EBUSY ? "another process has it" : strerror(errno));
	if (errno == EBUSY)
		doctor_advise(
		    finding,
		    "`fuser -v /dev/vfio/%s%s` says who: stop it, if that is not the kanted of "
		    "this config",
		    prefix, device->group);
	else
		doctor_advise(finding,
		              "start kanted as root, or give its user the device: chown USER "
		              "/dev/vfio/%s%s",
		              prefix, device->group);
}

void doctor_check_devices(struct doctor *doctor)
{
	for (uint32_t i = 0; doctor->config != NULL && i < doctor->config->port_count; i++) {
		const struct port_options *port = &doctor->config->ports[i];
		struct doctor_finding *finding;
		struct device device;

		if (port->kind != PORT_PCI)
			continue;
		device_look(doctor, port, &device);
		if (!doctor_exists(doctor, DEVICES "%s", port->name)) {
			finding = doctor_say(doctor, DOCTOR_FAULT, device.about,
			                     "there is no such device");
			doctor_advise(finding,
			              "write `device` as `lspci -D` or `dpdk-devbind.py --status` "
			              "shows it");
		} else if (strcmp(device.driver, "vfio-pci") == 0 && device.group[0] != '\0') {
			say_vfio(doctor, &device);
		} else if (is_bifurcated(&device) || is_uio(&device) ||
		           strcmp(device.driver, "vfio-pci") == 0) {
			doctor_say(doctor, DOCTOR_GOOD, device.about, "is bound to %s",
			           device.driver);
		} else {
			say_kernels(doctor, &device);
		}
	}
}

/* What else is in a group: VFIO gives a group away only whole. Bridges may stay. */
struct group {
	const struct doctor *doctor;
	const char *own;
	uint32_t count;
	uint32_t others_count;
	char others[DOCTOR_LIST_BYTES];
};

static bool take_member(void *context, const char *name)
{
	static const char *const harmless[] = {"", "vfio-pci", "pci-stub", "pcieport", "shpchp"};
	struct group *group = context;
	size_t used = strlen(group->others);
	char driver[NAME_BYTES];

	group->count++;
	doctor_read_link(group->doctor, driver, sizeof(driver), DEVICES "%s/driver", name);
	if (strcmp(name, group->own) == 0 ||
	    is_one_of(driver, harmless, sizeof(harmless) / sizeof(harmless[0])))
		return true;
	if (group->others_count++ < OTHERS_SHOW)
		snprintf(group->others + used, sizeof(group->others) - used, "%s%s (%s)",
		         used == 0 ? "" : ", ", name, driver);
	return true;
}

static void say_group(struct doctor *doctor, const struct device *device)
{
	struct group group = {.doctor = doctor, .own = device->port->name};
	char path[DOCTOR_PATH_BYTES];
	struct doctor_finding *finding;

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%s/devices", device->group);
	(void)doctor_read_directory(doctor, path, take_member, &group);
	if (group.others_count == 0) {
		doctor_say(doctor, DOCTOR_GOOD, device->about,
		           "is in group %s, which has %u device%s and none of another driver",
		           device->group, group.count, group.count == 1 ? "" : "s");
		return;
	}
	finding = doctor_say(doctor, DOCTOR_FAULT, device->about,
	                     "group %s also has %u device%s of other drivers: %s%s; VFIO gives it "
	                     "away only whole",
	                     device->group, group.others_count, group.others_count == 1 ? "" : "s",
	                     group.others, group.others_count > OTHERS_SHOW ? ", …" : "");
	doctor_advise(finding,
	              "bind these to vfio-pci, too, if the kernel can do without them, or put "
	              "the card into another slot");
}

static void check_group(struct doctor *doctor, const struct device *device)
{
	struct doctor_finding *finding;

	if (device->group[0] != '\0' && !group_is_unsafe(doctor, device)) {
		say_group(doctor, device);
		return;
	}
	if (device->group[0] != '\0' || is_without_iommu(doctor)) {
		finding =
		    doctor_say(doctor, DOCTOR_WARNING, device->about,
		               "is used without an IOMMU: the device can write to all memory, "
		               "and values are copied");
		doctor_advise(finding,
		              "turn the IOMMU (VT-d, AMD-Vi) on in the firmware, and boot with "
		              "intel_iommu=on iommu=pt (AMD: iommu=pt)");
		return;
	}
	finding = doctor_say(doctor, DOCTOR_FAULT, device->about,
	                     "this machine uses no IOMMU: vfio-pci cannot give the device away");
	doctor_advise(finding,
	              "turn the IOMMU (VT-d, AMD-Vi) on in the firmware, and boot with "
	              "intel_iommu=on iommu=pt (AMD: iommu=pt); in a virtual machine without one: "
	              "echo 1 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
}

void doctor_check_iommu(struct doctor *doctor)
{
	struct device device;
	uint32_t index = 0;

	while (device_next(doctor, &index, &device)) {
		if (is_uio(&device)) {
			struct doctor_finding *finding =
			    doctor_say(doctor, DOCTOR_WARNING, device.about,
			               "%s uses no IOMMU: the device can write to all memory, and "
			               "values are copied",
			               device.driver);

			doctor_advise(finding, "dpdk-devbind.py --bind=vfio-pci %s",
			              device.port->name);
		} else if (!is_bifurcated(&device)) {
			check_group(doctor, &device);
		}
	}
}
