/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * DPDK and the workers start as root, so threads exist when privileges are dropped. glibc changes
 * the ids of all threads, and with them the kernel clears each one's capabilities. What is per
 * thread and can be given up early (bounding set, no new privileges) is given up before there are
 * threads; the filter of system calls is put on all of them at once.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "sw-relay/sandbox.h"

#define MAX_FILES 65536 /* 32 relays of 32 queue pairs have 4096 eventfds alone */

/* As far as this process may; what is missing shows later, so only say it. */
static void raise_limit(int resource, const char *name, rlim_t wanted)
{
	struct rlimit limit = { wanted, wanted };

	if (setrlimit(resource, &limit) == 0 || getrlimit(resource, &limit) < 0)
		return;
	if (wanted == RLIM_INFINITY || limit.rlim_max < wanted)
		log_notice("the limit %s stays at %lu (raising it needs CAP_SYS_RESOURCE)", name,
			   (unsigned long)limit.rlim_max);
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(resource, &limit);
}

/* With none to lose nothing is called: a unit of systemd may not allow it any more. */
static int set_capabilities(bool keep_permitted)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 },
				      now[_LINUX_CAPABILITY_U32S_3] = { 0 };
	bool none = true;

	if (syscall(SYS_capget, &header, now) < 0)
		return -errno;
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		none &= !now[i].permitted && !now[i].inheritable;
		if (keep_permitted) {
			data[i] = now[i];
			data[i].inheritable = 0;
		}
	}
	return none || syscall(SYS_capset, &header, data) == 0 ? 0 : -errno;
}

int sandbox_prepare(struct err *err)
{
	bool root = geteuid() == 0;
	int r;

	raise_limit(RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK", RLIM_INFINITY);
	raise_limit(RLIMIT_NOFILE, "RLIMIT_NOFILE", MAX_FILES);
	/* EINVAL ends the list of the kernel's capabilities. */
	for (int cap = 0; root && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM)
			return err_set(err, -errno, "capabilities",
				       "cannot clear the bounding set: %m");
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_set(err, -errno, "capabilities", "cannot clear the ambient set: %m");
	r = set_capabilities(root);
	if (r < 0)
		return err_set(err, r, "capabilities", "cannot clear capabilities: %s",
			       strerror(-r));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(err, -errno, "capabilities",
			       "cannot give up gaining privileges: %m");
	return 0;
}

static int change_ids(const struct relay_options *o, struct err *err)
{
	uid_t uid, euid, suid;
	int r;

	if (setgroups(o->n_groups, o->groups) < 0)
		return err_set(err, -errno, "groups", "cannot set the supplementary groups: %m");
	if (setresgid(o->gid, o->gid, o->gid) < 0)
		return err_set(err, -errno, "group", "cannot become group %u: %m", o->gid);
	if (setresuid(o->uid, o->uid, o->uid) < 0)
		return err_set(err, -errno, "user", "cannot become user %u: %m", o->uid);
	if (getresuid(&uid, &euid, &suid) < 0 || uid != o->uid || euid != o->uid || suid != o->uid)
		return err_set(err, -EPERM, "user", "user %u was not taken on", o->uid);
	r = set_capabilities(false);
	if (r < 0)
		return err_set(err, r, "capabilities", "cannot clear capabilities: %s",
			       strerror(-r));
	return 0;
}

#ifdef __SANITIZE_ADDRESS__
#define MAY_BE_TRACED true /* the leak check at the end does it */
#else
#define MAY_BE_TRACED false
#endif

/* A core of the relay has guests' memory in it. */
static void limit_dumps(bool debug)
{
	struct rlimit none = { 0, 0 };

	if (!debug)
		(void)setrlimit(RLIMIT_CORE, &none);
	/* Changing the ids has switched it off. */
	(void)prctl(PR_SET_DUMPABLE, debug || MAY_BE_TRACED, 0, 0, 0);
}

int sandbox_enter(const struct relay_options *o, struct err *err)
{
	int r;

	if (geteuid() != 0) {
		log_info("not started as root: stays user %u, group %u", geteuid(), getegid());
	} else {
		r = change_ids(o, err);
		if (r < 0)
			return r;
	}
	limit_dumps(o->log_level >= LOG_DEBUG);
	return sandbox_filter_syscalls(err);
}
