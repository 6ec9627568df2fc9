/* SPDX-License-Identifier: Apache-2.0 */
/* This machine. */
#include "cli/doctor.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int interface_ioctl(const struct doctor_host *host, const char *name, unsigned long request,
                           struct ifreq *ifreq)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = 0;

	if (fd < 0)
		return -errno;
	snprintf(ifreq->ifr_name, sizeof(ifreq->ifr_name), "%s", name);
	if (ioctl(fd, request, ifreq) < 0)
		r = -errno;
	close(fd);
	return r;
}

/* Its name only those may ask for who may attach one. */
static int xdp_program(const struct doctor_host *host, const char *name,
                       char ret_program[DOCTOR_PROGRAM_BYTES])
{
	struct bpf_xdp_query_opts query = {.sz = sizeof(query)};
	struct bpf_prog_info information = {0};
	__u32 length = sizeof(information);
	unsigned index = if_nametoindex(name);
	int fd, r;

	if (index == 0)
		return -errno;
	r = bpf_xdp_query((int)index, 0, &query);
	if (r < 0)
		return r;
	ret_program[0] = '\0';
	if (query.attach_mode == 0)
		return 0;
	fd = bpf_prog_get_fd_by_id(query.prog_id);
	if (fd < 0)
		return 1;
	if (bpf_obj_get_info_by_fd(fd, &information, &length) == 0)
		snprintf(ret_program, DOCTOR_PROGRAM_BYTES, "%.*s", (int)sizeof(information.name),
		         information.name);
	close(fd);
	return 1;
}

static int try_bind(const struct doctor_host *host, const struct sockaddr *address,
                    socklen_t length, int type)
{
	int fd = socket(address->sa_family, type | SOCK_CLOEXEC, 0);
	int on = 1, r = 0;

	if (fd < 0)
		return -errno;
	/* As kanted sets them; an old connection that lingers is not in the way. */
	if ((type == SOCK_STREAM &&
	     setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0) ||
	    (address->sa_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
	    bind(fd, address, length) < 0)
		r = -errno;
	close(fd);
	return r;
}

static int clock_state(const struct doctor_host *host, struct timex *ret_clock)
{
	*ret_clock = (struct timex){0};
	return adjtimex(ret_clock) < 0 ? -errno : 0;
}

static int room(const struct doctor_host *host, const char *path, struct statvfs *ret_room)
{
	return statvfs(path, ret_room) < 0 ? -errno : 0;
}

static int mount_hugetlbfs(const struct doctor_host *host, const char *path)
{
	bool is_new = mkdir(path, 0755) == 0;
	int r;

	if (!is_new && errno != EEXIST)
		return -errno;
	if (mount("hugetlbfs", path, "hugetlbfs", MS_NOSUID | MS_NODEV, NULL) == 0)
		return 0;
	r = -errno;
	if (is_new)
		(void)rmdir(path);
	return r;
}

static int load_module(const struct doctor_host *host, const char *name)
{
	char program[] = "modprobe", module[64];
	char *arguments[] = {program, module, NULL};
	pid_t pid;
	int r, status;

	snprintf(module, sizeof(module), "%s", name);
	r = posix_spawnp(&pid, program, NULL, NULL, arguments, environ);
	if (r != 0)
		return -r;
	while ((r = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
		;
	if (r < 0)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECANCELED;
}

struct doctor_host doctor_this_host(void)
{
	return (struct doctor_host){
	    .root = "",
	    .ssh_connection = getenv("SSH_CONNECTION"),
	    .interface_ioctl = interface_ioctl,
	    .xdp_program = xdp_program,
	    .bind = try_bind,
	    .clock = clock_state,
	    .room = room,
	    .mount_hugetlbfs = mount_hugetlbfs,
	    .load_module = load_module,
	};
}
