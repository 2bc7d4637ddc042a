/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * vio4wdctl: each command is a thin file that turns its arguments into one call of the manager's
 * control protocol (docs/protocol.md) and the result into a table, or into JSON as it came.
 */
#ifndef VIO4WD_CTL_H
#define VIO4WD_CTL_H

#include <getopt.h>
#include <stdbool.h>

#include <json-c/json.h>

#include "common/err.h"

enum ctl_exit {
	CTL_OK = 0,
	CTL_REFUSED = 1,     /* the reason is on stderr */
	CTL_USAGE = 2,	     /* what was wrong with the command line is on stderr */
	CTL_UNREACHABLE = 3, /* no daemon */
};

#define CTL_DEFAULT_TIMEOUT_MS 10000 /* of an answer */

struct ctl_command;
struct rpc_client;

struct ctl {
	bool json;
	bool no_headings;
	unsigned int timeout_ms; /* 0: not given */
	const char *config_file; /* NULL: the default one, which may be absent */
	const char *runtime_dir; /* NULL: the configuration's */
	const struct ctl_command *command;
	struct rpc_client *client; /* NULL until the first call */
};

struct ctl_command {
	const char *name;
	const char *usage;	      /* behind the name: "ID --cpu A[,B]" */
	const char *summary;	      /* a line of `vio4wdctl --help` */
	const char *help;	      /* the text of `vio4wdctl COMMAND --help`, options included */
	const struct option *options; /* its own, without the global ones; NULL: none */
	/* argv[0] is the command's name. Returns an enum ctl_exit. */
	int (*run)(struct ctl *ctl, int argc, char **argv);
};

extern const struct ctl_command ctl_add, ctl_backend, ctl_config, ctl_doctor, ctl_libvirt_xml,
	ctl_log_level, ctl_pin, ctl_qemu_args, ctl_relays, ctl_reload, ctl_remove, ctl_show,
	ctl_stats, ctl_status, ctl_vdpa, ctl_version, ctl_vf;

/* --- options.c --- */

/*
 * The next option of the command, by getopt_long with options of any place in the line; the global
 * ones are dealt with. Returns its val, -1 at the end (optind is then the first operand), or
 * CTL_OPTION_STOP when the command must return *status at once (--help was given, or an error,
 * which has been told).
 */
#define CTL_OPTION_STOP (-2)
int ctl_getopt(struct ctl *ctl, int argc, char **argv, int *status);
/* The same for what is in front of the command. */
int ctl_getopt_global(struct ctl *ctl, int argc, char **argv, int *status);
/* For commands without options of their own: no more and no less operands than min..max. */
bool ctl_operands(struct ctl *ctl, int argc, char **argv, int min, int max, int *status);

const char *ctl_global_help(void);
/* The command's help on stderr, for a line that has none of its verbs; returns CTL_USAGE. */
int ctl_help_wanted(struct ctl *ctl);

/* Tells what is wrong with the command line and where help is; returns CTL_USAGE. */
int ctl_usage(struct ctl *ctl, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A number of the command line, 0..max; false after telling. */
bool ctl_number(struct ctl *ctl, const char *what, const char *text, unsigned long max,
		unsigned int *value);
bool ctl_seconds(struct ctl *ctl, const char *what, const char *text, double max, unsigned int *ms);

/* --- daemon.c --- */

/*
 * Calls the daemon; params: ownership passes, may be NULL. *result is the caller's. Returns CTL_OK
 * or the exit status, after telling why.
 */
int ctl_call(struct ctl *ctl, const char *method, json_object *params, json_object **result);
/* The same without telling: err has the reason. */
int ctl_try_call(struct ctl *ctl, const char *method, json_object *params, json_object **result,
		 struct err *err);
void ctl_disconnect(struct ctl *ctl);
/* What starts the daemon: "start it with 'systemctl ...'" where systemd runs and has the unit. root
 * is in front of all paths. */
const char *ctl_how_to_start(const char *root);
/* {"id": id} */
json_object *ctl_id_params(unsigned int id);

/* "vio4wdctl: ..." on stderr, whatever came from outside cleaned for the terminal. */
void ctl_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
