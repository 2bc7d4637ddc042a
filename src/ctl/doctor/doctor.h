/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * vio4wdctl doctor: does this host have what vio4wd and its VMs need? Each area of checks is a file
 * with a table. A check is a function that looks at the facts gathered here and at files below the
 * root, and adds findings; it changes nothing. What a check finds in order it tells, too, with
 * doctor_ok().
 */
#ifndef VIO4WD_CTL_DOCTOR_H
#define VIO4WD_CTL_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <json-c/json.h>

#include "common/config.h"
#include "ctl/doctor/findings.h"
#include "ctl/doctor/libvirt.h"
#include "udev/vf.h"

struct doctor_area;
struct doctor_check;

struct doctor {
	const char *root; /* in front of all paths; "" for the host itself */
	bool privileged;  /* what only root may read can be read */

	const char *config_file; /* as it is named in findings */
	int config_rc;		 /* of config_read() */
	struct config_report config_report;
	struct config *cfg; /* the file's, or the defaults when it cannot be used; never NULL */

	struct vf *vfs; /* VFs of the host that the configuration uses */
	size_t n_vfs;
	struct libvirt libvirt;

	/* Answers of the running daemon; NULL: none, daemon_err tells why. */
	json_object *version, *status, *running_config, *vf_list;
	struct err daemon_err;

	struct findings findings;
	struct finding *last;
	const struct doctor_area *area; /* of the check that runs */
	const struct doctor_check *check;
};

struct doctor_check {
	const char *name; /* "groups"; a key of the JSON result: stable */
	void (*run)(struct doctor *d);
};

struct doctor_area {
	const char *name;		   /* "iommu"; an argument of the command, stable */
	const struct doctor_check *checks; /* the last one has no name */
};

extern const struct doctor_area doctor_cpu, doctor_daemon, doctor_install, doctor_iommu,
	doctor_libvirt, doctor_memory, doctor_config, doctor_socket, doctor_vdpa, doctor_vf;
/* All of them, in the order of a report; the last entry is NULL. */
extern const struct doctor_area *const doctor_areas[];

/*
 * Gathers what several checks look at, below root, of the configuration file with that name (which
 * root is put in front of as well). The daemon is not asked. Returns 0 or -ENOMEM.
 */
int doctor_init(struct doctor *d, const char *root, const char *config_file);
void doctor_free(struct doctor *d);
void doctor_run(struct doctor *d, const struct doctor_area *area);

/* --- for checks; looked_at names the exact files or the command --- */

void doctor_ok(struct doctor *d, const char *looked_at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void doctor_find(struct doctor *d, enum finding_severity severity, const char *looked_at,
		 const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* What belongs to the last doctor_find(), which needs both. */
void doctor_expected(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void doctor_action(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The path is that of a relay's socket, VIRTIOFWD_SOCKET_DIR and the pattern with a number. */
bool doctor_is_socket(const struct doctor *d, const char *path);

/* A path below the root exists; access() with F_OK. */
bool doctor_exists(const struct doctor *d, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The text of a file below the root, of any size up to 4 MiB, NUL-terminated; the caller's, NULL
 * with errno when it cannot be read. */
char *doctor_read(const struct doctor *d, const char *path);
/* An attribute as a number: -1 when there is none. */
long doctor_number(const struct doctor *d, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* An attribute as a set of CPUs or nodes; empty when there is none. */
struct cpuset;
void doctor_cpus(const struct doctor *d, struct cpuset *set, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The word is among the words of a text; words end at spaces, tabs and newlines. */
bool doctor_has_word(const char *text, const char *word);

/* The user of a name: NSS's, below another root that of its etc/passwd. Groups likewise. */
struct doctor_user {
	char name[64];
	uid_t uid;
	gid_t gid;
	gid_t groups[32]; /* gid included */
	int n_groups;
};
bool doctor_user_find(const struct doctor *d, const char *name, struct doctor_user *user);
/* Do the mode bits let the user? want: S_IROTH, S_IWOTH, S_IXOTH or'ed. Root may all. */
struct stat;
bool doctor_user_may(const struct doctor_user *user, const struct stat *st, mode_t want);
bool doctor_group_find(const struct doctor *d, const char *name, gid_t *gid);

/* /dev/... that programs have open: fn is called for each of them that begins with prefix. */
typedef void (*doctor_open_fn)(struct doctor *d, const char *pid, const char *program,
			       const char *path, void *userdata);
void doctor_open_files(struct doctor *d, const char *prefix, doctor_open_fn fn, void *userdata);

/* Where a program is below the root: "/usr/sbin/vio4wd"; false when it is nowhere. */
bool doctor_program(const struct doctor *d, const char *name, char *path, size_t size);

#endif
