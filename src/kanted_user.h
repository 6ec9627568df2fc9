/* SPDX-License-Identifier: Apache-2.0 */
/* Whom kanted becomes when all is set up: the config's `user`. What comes afterwards (SIGHUP, new
 * users, new control processes, taking everything down) is done as him, without a capability, in
 * all threads: no kind of port needs one then. A tap goes with its descriptor, an XDP program with
 * its BPF link; sockets' files are his, and so are the folders that they are in. Owner: the main
 * thread. */
#pragma once

#include "config/config.h"

#include <sys/types.h>

struct kanted_user {
	const char *name; /* NULL: kanted stays who it is; all functions do nothing then */
	uid_t uid;
	gid_t gid;
};

/* Finds out who that is, and gives up what is not needed to set up: to be called before any thread
 * is made. An empty name: nobody. Results as in kanted_workers.h. */
int kanted_user_find(struct kanted_user *user, const char *name);

/* Makes this file his. 0; a negative errno. */
int kanted_user_give(const struct kanted_user *user, int fd);

/* Whether a file of this one may be taken up: it is ours, or his. */
bool kanted_user_owns(const struct kanted_user *user, uid_t owner);

/* Makes the folders that he needs, gives him what was made, becomes him, and looks whether he can
 * do what he has to. Results likewise. */
int kanted_user_become(const struct kanted_user *user, const struct config *config,
                       const char *config_path);
