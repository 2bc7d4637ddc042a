/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "sw-relay/options.h"

#define DEFAULT_MEMORY_MB 1024
#define DEFAULT_MAX_SLEEP_US 50

enum {
	OPT_RELAY = 256,
	OPT_SOCKET,
	OPT_CPUS,
	OPT_CONTROL_CPU,
	OPT_NUMA_NODE,
	OPT_USER,
	OPT_GROUP,
	OPT_GROUPS,
	OPT_POLL,
	OPT_MAX_SLEEP_US,
	OPT_HUGEPAGES,
	OPT_MEMORY,
	OPT_VF_TOKEN,
	OPT_LOG_LEVEL,
};

static const struct option long_options[] = {
	{ "relay", required_argument, NULL, OPT_RELAY },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "control-cpu", required_argument, NULL, OPT_CONTROL_CPU },
	{ "numa-node", required_argument, NULL, OPT_NUMA_NODE },
	{ "user", required_argument, NULL, OPT_USER },
	{ "group", required_argument, NULL, OPT_GROUP },
	{ "groups", required_argument, NULL, OPT_GROUPS },
	{ "poll", required_argument, NULL, OPT_POLL },
	{ "max-sleep-us", required_argument, NULL, OPT_MAX_SLEEP_US },
	{ "hugepages", required_argument, NULL, OPT_HUGEPAGES },
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "vf-token", required_argument, NULL, OPT_VF_TOKEN },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static void print_help(void)
{
	printf("Usage: vio4wd-relay --relay N --socket PATH --cpus LIST [OPTION...]\n"
	       "The datapath of vio4wd; started by vio4wd(8) as root, runs without privileges.\n"
	       "\n"
	       "  --relay N             number of this relay process\n"
	       "  --socket PATH         socket on which the manager is served (mode 0600)\n"
	       "  --cpus LIST           CPUs of the workers: 1,2 or 2-5 or 0x6\n"
	       "  --control-cpu N       CPU of the control thread (default 0)\n"
	       "  --numa-node N         NUMA node this relay is for (default 0)\n"
	       "  --user NAME|UID       user to become; needed when started as root\n"
	       "  --group NAME|GID      group to become (default: the user's)\n"
	       "  --groups NAME,...     supplementary groups, for VMs' sockets and /dev/vfio\n"
	       "  --poll adaptive|busy  sleep when idle, or never (default adaptive)\n"
	       "  --max-sleep-us N      longest sleep without an interrupt, 1..1000000 "
	       "(default %u)\n"
	       "  --hugepages yes|no    memory of hugepages, or ordinary memory (default yes)\n"
	       "  --memory MB           how much ordinary memory, with --hugepages no "
	       "(default %u)\n"
	       "  --vf-token UUID       token for VFs whose PF is on vfio-pci\n"
	       "  --log-level N         0 (emergency) .. 7 (debug) (default 6)\n"
	       "  --help, --version\n",
	       DEFAULT_MAX_SLEEP_US, DEFAULT_MEMORY_MB);
}

static int usage(struct err *err, const char *option, const char *value, const char *allowed)
{
	return err_set(err, -EINVAL, "options", "--%s %s: %s", option, value, allowed);
}

static int parse_number(const char *text, long min, long max, long *value)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < min || n > max)
		return -EINVAL;
	*value = n;
	return 0;
}

static int parse_uint(const char *option, const char *text, long min, long max, unsigned int *value,
		      struct err *err)
{
	long n;

	if (parse_number(text, min, max, &n) < 0)
		return err_set(err, -EINVAL, "options",
			       "--%s %s: a number from %ld to %ld is allowed", option, text, min,
			       max);
	*value = n;
	return 0;
}

static int parse_user(struct relay_options *o, const char *text, bool *gid_known, struct err *err)
{
	const struct passwd *pw;
	long uid;

	if (parse_number(text, 0, UINT32_MAX - 1l, &uid) == 0) {
		o->uid = uid;
		pw = getpwuid(uid);
	} else {
		pw = getpwnam(text);
		if (!pw)
			return usage(err, "user", text,
				     "there is no such user; make it, or name another one");
		o->uid = pw->pw_uid;
	}
	o->has_user = true;
	if (pw && !*gid_known) {
		o->gid = pw->pw_gid;
		*gid_known = true;
	}
	return 0;
}

static int lookup_group(const char *option, const char *text, gid_t *gid, struct err *err)
{
	const struct group *gr;
	long n;

	if (parse_number(text, 0, UINT32_MAX - 1l, &n) == 0) {
		*gid = n;
		return 0;
	}
	gr = getgrnam(text);
	if (!gr)
		return usage(err, option, text,
			     "there is no such group; make it, or name another one");
	*gid = gr->gr_gid;
	return 0;
}

static int parse_groups(struct relay_options *o, const char *text, struct err *err)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *name;

	if (!copy)
		return err_set(err, -ENOMEM, "options", "out of memory");
	while ((name = strsep(&rest, ","))) {
		int r;

		if (!*name)
			continue;
		if (o->n_groups == OPTIONS_MAX_GROUPS)
			return usage(err, "groups", text, "at most 32 groups are allowed");
		r = lookup_group("groups", name, &o->groups[o->n_groups], err);
		if (r < 0)
			return r;
		o->n_groups++;
	}
	return 0;
}

static int parse_choice(const char *option, const char *text, const char *yes, const char *no,
			bool *value, struct err *err)
{
	*value = strcmp(text, yes) == 0;
	if (!*value && strcmp(text, no) != 0)
		return err_set(err, -EINVAL, "options", "--%s %s: %s or %s is allowed", option,
			       text, yes, no);
	return 0;
}

static int check(const struct relay_options *o, bool has_id, bool gid_known, struct err *err)
{
	if (!has_id || !o->socket || !cpuset_count(&o->cpus))
		return err_set(err, -EINVAL, "options", "--relay, --socket and --cpus are needed");
	if (o->has_user && !gid_known)
		return err_set(err, -EINVAL, "options",
			       "--user %u has no entry in the user database: --group is needed",
			       o->uid);
	if (geteuid() == 0 && !o->has_user)
		return err_set(err, -EINVAL, "options",
			       "started as root, --user is needed: the user to become");
	if (geteuid() == 0 && (o->uid == 0 || o->gid == 0))
		return err_set(err, -EINVAL, "options",
			       "--user and --group must not be root's: the relay reads what guests "
			       "write");
	return 0;
}

enum options_result options_parse(struct relay_options *o, int argc, char **argv, struct err *err)
{
	const char *user = NULL;
	unsigned int number = 0;
	bool has_id = false, gid_known = false, busy = false;
	int c, r = 0;

	*o = (struct relay_options){
		.worker.max_sleep_us = DEFAULT_MAX_SLEEP_US,
		.hugepages = true,
		.memory_mb = DEFAULT_MEMORY_MB,
		.log_level = 6,
	};
	opterr = 0;
	while (r == 0 && (c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		switch (c) {
		case OPT_RELAY:
			r = parse_uint("relay", optarg, 0, 9999, &o->id, err);
			has_id = true;
			break;
		case OPT_SOCKET:
			o->socket = optarg;
			break;
		case OPT_CPUS:
			r = cpuset_parse(&o->cpus, optarg, err);
			if (r < 0)
				err_prefix(err, "--cpus");
			break;
		case OPT_CONTROL_CPU:
			r = parse_uint("control-cpu", optarg, 0, CPUSET_MAX_CPU, &o->control_cpu,
				       err);
			break;
		case OPT_NUMA_NODE:
			r = parse_uint("numa-node", optarg, 0, 1023, &number, err);
			o->numa_node = (int)number;
			break;
		case OPT_USER:
			user = optarg;
			break;
		case OPT_GROUP:
			r = lookup_group("group", optarg, &o->gid, err);
			gid_known = true;
			break;
		case OPT_GROUPS:
			r = parse_groups(o, optarg, err);
			break;
		case OPT_POLL:
			r = parse_choice("poll", optarg, "busy", "adaptive", &busy, err);
			o->worker.busy_poll = busy;
			break;
		case OPT_MAX_SLEEP_US:
			r = parse_uint("max-sleep-us", optarg, 1, 1000000, &o->worker.max_sleep_us,
				       err);
			break;
		case OPT_HUGEPAGES:
			r = parse_choice("hugepages", optarg, "yes", "no", &o->hugepages, err);
			break;
		case OPT_MEMORY:
			r = parse_uint("memory", optarg, 32, 1 << 20, &o->memory_mb, err);
			break;
		case OPT_VF_TOKEN:
			o->vf_token = optarg;
			break;
		case OPT_LOG_LEVEL:
			r = parse_uint("log-level", optarg, 0, 7, &number, err);
			o->log_level = (int)number;
			break;
		case 'h':
			print_help();
			return OPTIONS_DONE;
		case 'V':
			printf("vio4wd-relay %s\n", VIO4WD_VERSION);
			return OPTIONS_DONE;
		case ':':
			r = err_set(err, -EINVAL, "options", "%s needs a value; see --help",
				    argv[optind - 1]);
			break;
		default:
			r = err_set(err, -EINVAL, "options", "%s: no such option; see --help",
				    argv[optind - 1]);
		}
	}
	if (r == 0 && optind < argc)
		r = err_set(err, -EINVAL, "options", "%s: unexpected; see --help", argv[optind]);
	if (r == 0 && user)
		r = parse_user(o, user, &gid_known, err);
	if (r == 0)
		r = check(o, has_id, gid_known, err);
	return r < 0 ? OPTIONS_USAGE : OPTIONS_RUN;
}
