/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/config.h"
#include "common/log.h"
#include "manager/hugepages.h"
#include "manager/manager.h"
#include "manager/release.h"

#define RELAY_PROGRAM "vio4wd-relay"

struct options {
	const char *config_file;
	const char *relay_program;
	bool release_devices;
	bool reserve_hugepages;
};

static void usage(FILE *out)
{
	fprintf(out,
		"Usage: vio4wd [OPTION]...\n"
		"\n"
		"Gives virtual machines virtio network devices whose other end is a VF or another\n"
		"network device: makes vhost-user sockets, attaches devices to them, and starts and\n"
		"watches the relay processes that move the packets.\n"
		"\n"
		"  -c, --config FILE         configuration (default %s)\n"
		"  -r, --relay-program PATH  the relay (default: vio4wd-relay beside this program)\n"
		"      --release-devices     give every VF that was taken its own driver back, and\n"
		"                            end; before the software is removed\n"
		"      --reserve-hugepages   make the hugepages of VIO4WD_NR_HUGEPAGES, and end\n"
		"  -f, --foreground          do not detach; always so, taken for 1.1's scripts\n"
		"  -h, --help                this text\n"
		"  -V, --version             the version\n"
		"\n"
		"Signals: SIGHUP reads the configuration again, SIGTERM and SIGINT stop everything.\n"
		"Exit status: 0 after a stop, 1 when it cannot start, 2 for wrong options, 78 for a\n"
		"broken configuration.\n"
		"See vio4wd(8), virtioforwarder(5), vio4wdctl(1).\n",
		CONFIG_DEFAULT_FILE);
}

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option long_options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "relay-program", required_argument, NULL, 'r' },
		{ "release-devices", no_argument, NULL, 'R' },
		{ "reserve-hugepages", no_argument, NULL, 'H' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:r:fhV", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			options->config_file = optarg;
			break;
		case 'r':
			options->relay_program = optarg;
			break;
		case 'R':
			options->release_devices = true;
			break;
		case 'H':
			options->reserve_hugepages = true;
			break;
		case 'f':
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			printf("vio4wd %s\n", VIO4WD_VERSION);
			return 0;
		default:
			fprintf(stderr, "Try 'vio4wd --help'.\n");
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "vio4wd: unexpected argument '%s'\nTry 'vio4wd --help'.\n",
			argv[optind]);
		return 2;
	}
	return -1;
}

/* All errors of the file, each as FILE:LINE: text. */
static struct config *read_config(const char *file)
{
	struct config_report report = { 0 };
	struct config *cfg = NULL;

	config_read(file, "", &cfg, &report);
	for (size_t i = 0; i < report.n_issues; i++) {
		const struct config_issue *issue = &report.issues[i];
		const int level = issue->is_error ? LOG_ERR : LOG_WARNING;

		if (issue->line)
			log_write(level, "%s:%u: %s", file, issue->line, issue->text);
		else
			log_write(level, "%s: %s", file, issue->text);
	}
	config_report_free(&report);
	return cfg;
}

/* The relay that was installed, or built, together with this program. */
static void find_relay(const char *given, char *path, size_t size)
{
	static const char *const beside[] = { "", "../sw-relay/" };
	char self[PATH_MAX], *slash;
	const ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	snprintf(path, size, "%s", given ? given : RELAY_PROGRAM);
	if (given || n < 0)
		return;
	self[n] = '\0';
	slash = strrchr(self, '/');
	slash[1] = '\0';
	for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
		snprintf(path, size, "%s%s" RELAY_PROGRAM, self, beside[i]);
		if (access(path, X_OK) == 0)
			return;
	}
}

static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int give_back(struct config *cfg)
{
	struct err err = { 0 };
	const int rc = release_devices(cfg, "", &err);

	config_free(cfg);
	if (rc < 0)
		log_error("--release-devices: %s", err.text);
	return rc < 0;
}

/* Every node is tried, whatever comes of another. */
static int reserve_hugepages(struct config *cfg)
{
	int status = 0;

	for (size_t i = 0; i < cfg->n_nr_hugepages; i++) {
		struct err err;

		if (hugepages_reserve("", &cfg->nr_hugepages[i], &err) < 0) {
			log_error("%s", err.text);
			status = 1;
		}
	}
	config_free(cfg);
	return status;
}

int main(int argc, char **argv)
{
	struct options options = { .config_file = CONFIG_DEFAULT_FILE };
	char relay_program[PATH_MAX];
	struct manager *m = NULL;
	struct config *cfg;
	struct err err = { 0 };
	int status;

	status = parse_options(argc, argv, &options);
	if (status >= 0)
		return status;
	log_open("vio4wd", LOG_INFO);
	umask(022);
	cfg = read_config(options.config_file);
	if (!cfg)
		return EX_CONFIG;
	log_set_level(cfg->log_level);
	if (options.release_devices)
		return give_back(cfg);
	if (options.reserve_hugepages)
		return reserve_hugepages(cfg);
	if (geteuid() != 0)
		log_warning("not started as root: relays cannot change their user, and most "
			    "devices cannot be opened");
	find_relay(options.relay_program, relay_program, sizeof(relay_program));
	if (access(relay_program, X_OK) < 0) {
		log_error("%s: %s; give the relay with --relay-program", relay_program,
			  strerror(errno));
		config_free(cfg);
		return 1;
	}
	block_signals();
	log_notice("vio4wd %s starts with %s", VIO4WD_VERSION, options.config_file);
	if (manager_new(&m, options.config_file, relay_program, cfg, &err) < 0) {
		log_error("cannot start: %s", err.text);
		if (m) {
			manager_stop(m);
			manager_run(m);
		}
		status = 1;
	} else {
		status = manager_run(m);
	}
	if (m)
		manager_free(m);
	else
		config_free(cfg);
	log_notice("stopped");
	return status;
}
