/* SPDX-License-Identifier: Apache-2.0 */
#include "control/authority_internal.h"

#include "base/assert.h"
#include "config/file.h"
#include "control/pem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLIENTS "clients"

/* A file's other names while it is replaced; no client's file ends like that. */
#define STAGED_SUFFIX ".new"
#define SAVED_SUFFIX  ".old"

#define OTHER_NAME_BYTES (AUTHORITY_FILE_NAME_BYTES + sizeof(STAGED_SUFFIX))

_Static_assert(sizeof(STAGED_SUFFIX) == sizeof(SAVED_SUFFIX), "OTHER_NAME_BYTES is for both");

int authority_refuse(struct authority *authority, int error_number, const char *file,
                     const char *format, ...)
{
	char path[PATH_MAX + AUTHORITY_FILE_NAME_BYTES], reason[512];
	struct faults faults;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	snprintf(path, sizeof(path), "%s%s%s", authority->directory, file[0] == '\0' ? "" : "/",
	         file);
	faults_create(&faults, path, authority->error, authority->error_bytes);
	faults_add(&faults, 0, "", "%s", reason);
	return -error_number;
}

int authority_refuse_openssl(struct authority *authority, const char *file)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	int error_number = pem_no_memory() ? ENOMEM : EIO;

	authority_refuse(authority, error_number, file, "it cannot be made: %s",
	                 reason == NULL ? "OpenSSL does not say why" : reason);
	ERR_clear_error();
	return -error_number;
}

static int refuse_system(struct authority *authority, int error_number, const char *file)
{
	const char *reason = strerror(error_number);

	switch (error_number) {
	case ENOENT: reason = "there is no such file or directory: check the path"; break;
	case EACCES:
	case EPERM: reason = "no permission: check its owner and mode, and its directory's"; break;
	case ENOTDIR: reason = "not a directory: give the path of one"; break;
	case EROFS: reason = "the file system is read-only: give another directory"; break;
	case ENOSPC:
	case EDQUOT: reason = "the disk is full: make room"; break;
	}
	return authority_refuse(authority, error_number, file, "%s", reason);
}

/* Who can write to a directory can put his own keys there. */
static int check_directory(struct authority *authority, int fd, const char *name)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return refuse_system(authority, errno, name);
	if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return authority_refuse(authority, EPERM, name,
		                        "others can write to it: chmod go-w, and look whether "
		                        "anybody has");
	if (status.st_uid != 0 && status.st_uid != geteuid() && geteuid() != 0)
		return authority_refuse(authority, EPERM, name,
		                        "it belongs to another user: chown it to the one that "
		                        "this runs as");
	if (name[0] == '\0') {
		authority->owner = status.st_uid;
		authority->group = status.st_gid;
		authority->gives_away = geteuid() == 0 && status.st_uid != 0;
	}
	return 0;
}

int authority_open(struct authority *authority, const char *directory, enum authority_use use,
                   uint64_t now_s, char *error, size_t error_bytes)
{
	int r;

	ASSERT(error_bytes > 0);
	*authority = (struct authority){
	    .directory = directory,
	    .fd = -1,
	    .now_s = now_s,
	    .error = error,
	    .error_bytes = error_bytes,
	};
	error[0] = '\0';
	if (strlen(directory) >= PATH_MAX)
		return refuse_system(authority, ENAMETOOLONG, "");
	if (use == AUTHORITY_BEGIN && mkdir(directory, 0700) == 0)
		authority->made_directory = true;
	else if (use == AUTHORITY_BEGIN && errno != EEXIST)
		return refuse_system(authority, errno, "");
	authority->fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (authority->fd < 0)
		return refuse_system(authority, errno, "");
	r = check_directory(authority, authority->fd, "");
	if (r < 0 || use == AUTHORITY_READ)
		return r;
	if (flock(authority->fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return authority_refuse(authority, EBUSY, "",
		                        "another process is changing it: try again");
	return refuse_system(authority, errno, "");
}

static const char *other_name(char ret_name[OTHER_NAME_BYTES], const char *file, const char *suffix)
{
	snprintf(ret_name, OTHER_NAME_BYTES, "%s%s", file, suffix);
	return ret_name;
}

void authority_close(struct authority *authority)
{
	char name[OTHER_NAME_BYTES];

	for (uint32_t i = 0; i < authority->staged_count; i++)
		(void)unlinkat(authority->fd, other_name(name, authority->staged[i], STAGED_SUFFIX),
		               0);
	if (authority->made_clients)
		(void)unlinkat(authority->fd, CLIENTS, AT_REMOVEDIR);
	if (authority->made_directory)
		(void)rmdir(authority->directory);
	if (authority->fd >= 0)
		close(authority->fd);
	json_decref(authority->records);
	X509_free(authority->certificate);
	EVP_PKEY_free(authority->key);
}

int authority_has(struct authority *authority, const char *file, bool *ret_has)
{
	struct stat status;

	/* a link is there, wherever it leads to */
	*ret_has = fstatat(authority->fd, file, &status, AT_SYMLINK_NOFOLLOW) == 0;
	return *ret_has || errno == ENOENT ? 0 : refuse_system(authority, errno, file);
}

int authority_read(struct authority *authority, const char *file, char **ret_text,
                   size_t *ret_length)
{
	char path[PATH_MAX + AUTHORITY_FILE_NAME_BYTES];
	struct faults faults;

	snprintf(path, sizeof(path), "%s/%s", authority->directory, file);
	faults_create(&faults, path, authority->error, authority->error_bytes);
	return file_read(ret_text, ret_length, path, AUTHORITY_FILE_BYTES_MAX, &faults);
}

int authority_read_certificate(struct authority *authority, const char *file,
                               X509 **ret_certificate)
{
	STACK_OF(X509) *certificates = NULL;
	const char *refusal;
	char *text;
	size_t length;
	int r = authority_read(authority, file, &text, &length);

	if (r < 0)
		return r;
	r = pem_certificates(&certificates, text, length, &refusal);
	free(text);
	if (r < 0)
		return authority_refuse(authority, -r, file, "%s", refusal);
	*ret_certificate = sk_X509_shift(certificates);
	sk_X509_pop_free(certificates, X509_free);
	return 0;
}

int authority_read_key(struct authority *authority, const char *file, EVP_PKEY **ret_key)
{
	struct stat status;
	const char *refusal;
	char *text;
	size_t length;
	int r;

	if (fstatat(authority->fd, file, &status, 0) < 0)
		return refuse_system(authority, errno, file);
	if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return authority_refuse(authority, EPERM, file,
		                        "a private key that is not its owner's alone: chmod 600, "
		                        "and make a new one if anybody may have read it");
	r = authority_read(authority, file, &text, &length);
	if (r < 0)
		return r;
	r = pem_key(ret_key, text, length, &refusal);
	OPENSSL_cleanse(text, length);
	free(text);
	return r < 0 ? authority_refuse(authority, -r, file, "%s", refusal) : 0;
}

/* clients/, when it is not there. */
static int make_clients(struct authority *authority)
{
	int fd, r;

	if (mkdirat(authority->fd, CLIENTS, 0700) == 0)
		authority->made_clients = true;
	else if (errno != EEXIST)
		return refuse_system(authority, errno, CLIENTS);
	fd = openat(authority->fd, CLIENTS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return refuse_system(authority, errno, CLIENTS);
	r = check_directory(authority, fd, CLIENTS);
	if (r == 0 && authority->made_clients && authority->gives_away &&
	    fchown(fd, authority->owner, authority->group) < 0)
		r = refuse_system(authority, errno, CLIENTS);
	close(fd);
	return r;
}

static int write_whole(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, bytes, length);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			bytes += n;
			length -= (size_t)n;
		}
	}
	return 0;
}

int authority_stage(struct authority *authority, const char *file, mode_t mode, const void *bytes,
                    size_t length)
{
	char name[OTHER_NAME_BYTES];
	int fd, r = 0;

	ASSERT(authority->staged_count < AUTHORITY_STAGED_COUNT_MAX);
	ASSERT(strlen(file) < AUTHORITY_FILE_NAME_BYTES);
	if (strncmp(file, CLIENTS "/", sizeof(CLIENTS)) == 0)
		r = make_clients(authority);
	if (r < 0)
		return r;
	other_name(name, file, STAGED_SUFFIX);
	(void)unlinkat(authority->fd, name, 0); /* of somebody who was killed */
	fd =
	    openat(authority->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return refuse_system(authority, errno, file);
	snprintf(authority->staged[authority->staged_count++], AUTHORITY_FILE_NAME_BYTES, "%s",
	         file);
	r = write_whole(fd, bytes, length);
	if (r == 0 && authority->gives_away && fchown(fd, authority->owner, authority->group) < 0)
		r = -errno;
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r < 0 ? refuse_system(authority, -r, file) : 0;
}

/* Secrets in a memory BIO are wiped when it is freed. */
static int stage_bio(struct authority *authority, const char *file, mode_t mode, BIO *bio)
{
	char *text;
	long length = BIO_get_mem_data(bio, &text);

	return authority_stage(authority, file, mode, text, (size_t)length);
}

int authority_stage_key(struct authority *authority, const char *file, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int r;

	if (bio == NULL || PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
		r = authority_refuse_openssl(authority, file);
	else
		r = stage_bio(authority, file, AUTHORITY_SECRET_MODE, bio);
	BIO_free(bio);
	return r;
}

int authority_stage_certificate(struct authority *authority, const char *file, mode_t mode,
                                X509 *certificate)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int r;

	if (bio == NULL || PEM_write_bio_X509(bio, certificate) != 1)
		r = authority_refuse_openssl(authority, file);
	else
		r = stage_bio(authority, file, mode, bio);
	BIO_free(bio);
	return r;
}

/* Keeps what is there under another name. 0; -ENOENT: nothing is. */
static int save(struct authority *authority, const char *file)
{
	char name[OTHER_NAME_BYTES];

	other_name(name, file, SAVED_SUFFIX);
	(void)unlinkat(authority->fd, name, 0);
	return linkat(authority->fd, file, authority->fd, name, 0) < 0 ? -errno : 0;
}

static int put_in_place(struct authority *authority, const char *file)
{
	char name[OTHER_NAME_BYTES];

	other_name(name, file, STAGED_SUFFIX);
	return renameat(authority->fd, name, authority->fd, file) < 0 ? -errno : 0;
}

static void put_back(struct authority *authority, const char *file, bool saved)
{
	char name[OTHER_NAME_BYTES];

	if (saved)
		(void)renameat(authority->fd, other_name(name, file, SAVED_SUFFIX), authority->fd,
		               file);
	else
		(void)unlinkat(authority->fd, file, 0);
}

static int sync_directories(struct authority *authority)
{
	int clients, r = 0;

	if (fsync(authority->fd) < 0)
		return -errno;
	clients = openat(authority->fd, CLIENTS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (clients < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fsync(clients) < 0)
		r = -errno;
	close(clients);
	return r;
}

int authority_commit(struct authority *authority)
{
	bool saved[AUTHORITY_STAGED_COUNT_MAX] = {false};
	uint32_t count = authority->staged_count, placed = count;
	char name[OTHER_NAME_BYTES];
	const char *file = "";
	int r = 0;

	for (uint32_t i = 0; i < count && r == 0; i++) {
		file = authority->staged[i];
		r = save(authority, file);
		saved[i] = r == 0;
		if (r == -ENOENT)
			r = 0;
	}
	while (r == 0 && placed > 0) {
		file = authority->staged[placed - 1];
		r = put_in_place(authority, file);
		if (r == 0)
			placed--;
	}
	if (r == 0) {
		file = "";
		r = sync_directories(authority);
	}
	for (uint32_t i = placed; i < count && r < 0; i++)
		put_back(authority, authority->staged[i], saved[i]);
	for (uint32_t i = 0; i < count; i++)
		if (saved[i])
			(void)unlinkat(authority->fd,
			               other_name(name, authority->staged[i], SAVED_SUFFIX), 0);
	if (r < 0)
		return refuse_system(authority, -r, file);
	authority->staged_count = 0;
	authority->made_clients = authority->made_directory = false;
	return 0;
}
