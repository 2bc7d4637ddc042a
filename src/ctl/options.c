/* SPDX-License-Identifier: BSD-3-Clause */

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/suggest.h"
#include "ctl/ctl.h"

#define OPTIONS_MAX 32

enum { OPT_JSON = 0x100, OPT_CONFIG, OPT_RUNTIME_DIR, OPT_NO_HEADINGS, OPT_TIMEOUT, OPT_HELP };

static const struct option global_options[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "runtime-dir", required_argument, NULL, OPT_RUNTIME_DIR },
	{ "no-headings", no_argument, NULL, OPT_NO_HEADINGS },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "help", no_argument, NULL, OPT_HELP },
};

static const char global_help[] =
	"Global options:\n"
	"  --json             print the result as JSON; its keys are stable\n"
	"  --config FILE      read the runtime directory from this configuration file\n"
	"                     (default: /etc/default/virtioforwarder)\n"
	"  --runtime-dir DIR  the daemon's socket is DIR/control (default: VIO4WD_RUNTIME_DIR of\n"
	"                     the configuration, else /run/virtio-forwarder)\n"
	"  --no-headings      tables without their first line\n"
	"  --timeout SECONDS  longest wait for an answer (default: 10)\n"
	"  --help             this text\n"
	"\n"
	"Exit status: 0 done, 1 refused (the reason is on stderr), 2 wrong usage,\n"
	"3 the daemon cannot be reached.\n";

int ctl_usage(struct ctl *ctl, const char *fmt, ...)
{
	const char *name = ctl->command ? ctl->command->name : NULL;
	va_list ap;

	fputs("vio4wdctl: ", stderr);
	if (name)
		fprintf(stderr, "%s: ", name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry 'vio4wdctl %s%s--help'.\n", name ? name : "", name ? " " : "");
	return CTL_USAGE;
}

static int print_help(FILE *out, const struct ctl_command *command)
{
	fprintf(out, "Usage: vio4wdctl [OPTION...] %s%s%s\n\n%s%s", command->name,
		*command->usage ? " " : "", command->usage, command->help, global_help);
	return CTL_OK;
}

int ctl_help_wanted(struct ctl *ctl)
{
	print_help(stderr, ctl->command);
	return CTL_USAGE;
}

/* What getopt_long calls '?' or ':'. */
static int option_error(struct ctl *ctl, const struct option *all, const char *arg, int c)
{
	struct suggestion s = { .distance = UINT_MAX };
	char name[SUGGEST_MAX_LEN + 1];

	if (c == ':')
		return ctl_usage(ctl, "%s needs a value", arg);
	if (strncmp(arg, "--", 2) != 0)
		return ctl_usage(ctl, "unknown option %s", arg);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(arg + 2, "="), arg + 2);
	s.word = name;
	for (; all->name; all++) {
		if (strcmp(all->name, name) == 0)
			return ctl_usage(ctl, "--%s takes no value", name);
		suggestion_offer(&s, all->name);
	}
	if (suggestion_is_close(&s))
		return ctl_usage(ctl, "unknown option --%s; did you mean --%s?", name, s.best);
	return ctl_usage(ctl, "unknown option --%s", name);
}

static bool set_global(struct ctl *ctl, int c, int *status)
{
	switch (c) {
	case OPT_JSON:
		ctl->json = true;
		return true;
	case OPT_CONFIG:
		ctl->config_file = optarg;
		return true;
	case OPT_RUNTIME_DIR:
		ctl->runtime_dir = optarg;
		return true;
	case OPT_NO_HEADINGS:
		ctl->no_headings = true;
		return true;
	case OPT_TIMEOUT:
		if (ctl_seconds(ctl, "--timeout", optarg, 3600, &ctl->timeout_ms))
			return true;
		*status = CTL_USAGE;
		return false;
	default: /* OPT_HELP */
		*status = print_help(stdout, ctl->command);
		return false;
	}
}

static int next_option(struct ctl *ctl, const char *order, const struct option *own, int argc,
		       char **argv, int *status)
{
	struct option all[OPTIONS_MAX] = { 0 };
	size_t n = sizeof(global_options) / sizeof(global_options[0]);
	int c;

	memcpy(all, global_options, sizeof(global_options));
	for (; own && own->name && n < OPTIONS_MAX - 1; own++)
		all[n++] = *own;
	opterr = 0;
	for (;;) {
		c = getopt_long(argc, argv, order, all, NULL);
		if (c == 'h')
			c = OPT_HELP;
		if (c < OPT_JSON || c > OPT_HELP)
			break;
		/* Without a command the caller has the help. */
		if (!ctl->command && c == OPT_HELP)
			return 'h';
		if (!set_global(ctl, c, status))
			return CTL_OPTION_STOP;
	}
	if (c == '?' || c == ':') {
		*status = option_error(ctl, all, argv[optind - 1], c);
		return CTL_OPTION_STOP;
	}
	return c;
}

int ctl_getopt(struct ctl *ctl, int argc, char **argv, int *status)
{
	return next_option(ctl, ":h", ctl->command->options, argc, argv, status);
}

int ctl_getopt_global(struct ctl *ctl, int argc, char **argv, int *status)
{
	static const struct option version[] = { { "version", no_argument, NULL, 'V' }, { 0 } };

	return next_option(ctl, "+:hV", version, argc, argv, status);
}

bool ctl_operands(struct ctl *ctl, int argc, char **argv, int min, int max, int *status)
{
	int n;

	if (!ctl->command->options && ctl_getopt(ctl, argc, argv, status) != -1)
		return false;
	n = argc - optind;
	if (n < min)
		*status = ctl_usage(ctl, "an argument is missing: %s", ctl->command->usage);
	else if (n > max)
		*status = ctl_usage(ctl, "unexpected argument '%s'", argv[optind + max]);
	return n >= min && n <= max;
}

bool ctl_number(struct ctl *ctl, const char *what, const char *text, unsigned long max,
		unsigned int *value)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || n > max) {
		ctl_usage(ctl, "%s is '%s'; it must be a number from 0 to %lu", what, text, max);
		return false;
	}
	*value = (unsigned int)n;
	return true;
}

bool ctl_seconds(struct ctl *ctl, const char *what, const char *text, double max, unsigned int *ms)
{
	double s;
	char *end;

	s = strtod(text, &end);
	if (!isdigit((unsigned char)*text) || *end || !(s >= 0.001 && s <= max)) {
		ctl_usage(ctl, "%s is '%s'; it must be seconds, up to %.0f", what, text, max);
		return false;
	}
	*ms = (unsigned int)(s * 1000);
	return true;
}

const char *ctl_global_help(void)
{
	return global_help;
}
