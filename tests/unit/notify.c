/* SPDX-License-Identifier: Apache-2.0 */
/* What the environment says of the service manager, and what he then hears. */
#include "keeper/notify.h"

#include "folder.h"

#include <stddef.h>

#define HEARD_BYTES 1024

struct rig {
	struct folder folder;
	struct notify notify;
	int fd; /* his */
};

/* Listens at "/…", or at "@…" without a file; false: the kernel takes no such name. */
static bool listen_at(struct rig *rig, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(name);

	memcpy(address.sun_path, name, length);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	rig->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return bind(rig->fd, (struct sockaddr *)&address,
	            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) == 0;
}

static void set_up(struct rig *rig)
{
	*rig = (struct rig){.fd = -1};
	folder_make(&rig->folder);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static void tear_down(struct rig *rig)
{
	notify_destroy(&rig->notify);
	if (rig->fd >= 0)
		close(rig->fd);
	folder_remove(&rig->folder);
}

static const char *heard(struct rig *rig, char text[HEARD_BYTES])
{
	ssize_t n = recv(rig->fd, text, HEARD_BYTES - 1, 0);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static void he_hears_at(const char *name)
{
	char text[HEARD_BYTES];
	struct rig rig;

	set_up(&rig);
	CU_ASSERT_TRUE_FATAL(listen_at(&rig, name));
	setenv("NOTIFY_SOCKET", name, 1);
	notify_create(&rig.notify);
	notify_send(&rig.notify, "READY=%d\nSTATUS=%s", 1, "serves");
	CU_ASSERT_STRING_EQUAL(heard(&rig, text), "READY=1\nSTATUS=serves");
	CU_ASSERT_EQUAL(rig.notify.watchdog_us, 0);
	tear_down(&rig);
}

static void a_path_and_a_name_without_a_file_are_told(void)
{
	const size_t longest = sizeof(((struct sockaddr_un *)0)->sun_path);
	char path[FOLDER_PATH_BYTES], abstract[64];
	struct folder folder;

	folder_make(&folder);
	folder_file(&folder, path, "notify");
	he_hears_at(path);
	/* as long as can be, so without a NUL in the address */
	memset(path + strlen(path), 'x', longest - strlen(path));
	path[longest] = '\0';
	he_hears_at(path);
	snprintf(abstract, sizeof(abstract), "@kante-test-%d", getpid());
	he_hears_at(abstract);
	folder_remove(&folder);
}

static void nobody_is_told_when_nobody_can_be(void)
{
	char longer[200] = "/";
	const char *const names[] = {"", "/", "@", "notify", "vsock:2:1", longer};

	memset(longer + 1, 'x', sizeof(longer) - 2);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct rig rig;

		set_up(&rig);
		setenv("NOTIFY_SOCKET", names[i], 1);
		setenv("WATCHDOG_USEC", "1000000", 1);
		notify_create(&rig.notify);
		CU_ASSERT_EQUAL(rig.notify.fd, -1);
		CU_ASSERT_EQUAL(rig.notify.watchdog_us, 0);
		notify_send(&rig.notify, "READY=1");
		tear_down(&rig);
	}
}

static void no_child_can_speak_in_its_name(void)
{
	struct rig rig;

	set_up(&rig);
	setenv("NOTIFY_SOCKET", "@nobody", 1);
	setenv("WATCHDOG_USEC", "1", 1);
	setenv("WATCHDOG_PID", "1", 1);
	notify_create(&rig.notify);
	CU_ASSERT_PTR_NULL(getenv("NOTIFY_SOCKET"));
	CU_ASSERT_PTR_NULL(getenv("WATCHDOG_USEC"));
	CU_ASSERT_PTR_NULL(getenv("WATCHDOG_PID"));
	CU_ASSERT_TRUE(fcntl(rig.notify.fd, F_GETFD) & FD_CLOEXEC);
	tear_down(&rig);
}

static uint64_t watchdog(const char *us, const char *pid)
{
	struct rig rig;
	uint64_t found;

	set_up(&rig);
	setenv("NOTIFY_SOCKET", "@nobody", 1);
	setenv("WATCHDOG_USEC", us, 1);
	if (pid != NULL)
		setenv("WATCHDOG_PID", pid, 1);
	notify_create(&rig.notify);
	found = rig.notify.watchdog_us;
	tear_down(&rig);
	return found;
}

static void the_watchdog_is_for_this_process_or_for_none(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	CU_ASSERT_EQUAL(watchdog("30000000", pid), 30000000);
	CU_ASSERT_EQUAL(watchdog("30000000", NULL), 30000000);
	CU_ASSERT_EQUAL(watchdog("30000000", "1"), 0);
	CU_ASSERT_EQUAL(watchdog("", NULL), 0);
	CU_ASSERT_EQUAL(watchdog("-1", NULL), 0);
	CU_ASSERT_EQUAL(watchdog("30s", NULL), 0);
	CU_ASSERT_EQUAL(watchdog("99999999999999999999999", NULL), 0);
}

static void one_who_has_gone_or_does_not_listen_harms_nobody(void)
{
	char path[FOLDER_PATH_BYTES], text[HEARD_BYTES];
	struct rig rig;

	set_up(&rig);
	folder_file(&rig.folder, path, "notify");
	setenv("NOTIFY_SOCKET", path, 1);
	notify_create(&rig.notify);
	notify_send(&rig.notify, "READY=1"); /* nobody is there */
	CU_ASSERT_TRUE_FATAL(listen_at(&rig, path));
	/* his queue is full after some of them: the last one waits a second and is given up */
	for (uint32_t i = 0; i < 20 && errno != EAGAIN; i++) {
		errno = 0;
		notify_send(&rig.notify, "READY=1");
	}
	CU_ASSERT_STRING_EQUAL(heard(&rig, text), "READY=1");
	close(rig.fd);
	rig.fd = -1;
	notify_send(&rig.notify, "READY=1");
	tear_down(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"a path and a name without a file are told",
	     a_path_and_a_name_without_a_file_are_told},
	    {"nobody is told when nobody can be", nobody_is_told_when_nobody_can_be},
	    {"no child can speak in its name", no_child_can_speak_in_its_name},
	    {"the watchdog is for this process, or for none",
	     the_watchdog_is_for_this_process_or_for_none},
	    {"one who has gone, or does not listen, harms nobody",
	     one_who_has_gone_or_does_not_listen_harms_nobody},
	};

	return UNIT_RUN("notify", cases);
}
