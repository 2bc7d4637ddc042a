/* SPDX-License-Identifier: BSD-3-Clause */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compat11/compat11.h"

#define ARGS_MAX 16
#define FIRST 0x100 /* what getopt_long returns for the first of the table */
#define HELP 0x200

static const char *program(char **argv)
{
	const char *slash = strrchr(argv[0], '/');

	return slash ? slash + 1 : argv[0];
}

static void print_help(char **argv, const struct arg *args, const char *operands, const char *about)
{
	printf("usage: %s [OPTION]...%s%s\n\n%s\n\n", program(argv), *operands ? " " : "", operands,
	       about);
	for (; args->name; args++) {
		char left[64];

		snprintf(left, sizeof(left), "%s%c%s--%s%s%s", args->letter ? "-" : "",
			 args->letter ? args->letter : ' ', args->letter ? ", " : "", args->name,
			 args->value ? " " : "", args->value ? args->value : "");
		printf("  %-26s  %s\n", args->letter ? left : left + 1, args->help);
	}
	printf("  %-26s  %s\n", "-h, --help", "this text");
	puts("\nTakes what the program of this name of virtio-forwarder 1.1 takes; see "
	     "virtioforwarder_port_control.py(8).");
}

static bool take_number(char **argv, struct arg *arg)
{
	char *end;

	arg->number = strtod(optarg, &end);
	if (end != optarg && !*end && arg->number >= arg->min && arg->number <= arg->max &&
	    (arg->kind == ARG_REAL || arg->number == (long long)arg->number))
		return true;
	fprintf(stderr, "%s: error: --%s is '%s'; it must be a%s number from %.10g to %.10g\n",
		program(argv), arg->name, optarg, arg->kind == ARG_REAL ? "" : " whole", arg->min,
		arg->max);
	return false;
}

static bool take(int argc, char **argv, struct arg *arg)
{
	arg->given = true;
	switch (arg->kind) {
	case ARG_FLAG:
		return true;
	case ARG_TEXT:
		arg->text = optarg;
		return true;
	case ARG_LIST:
		if (!arg->list)
			arg->list = calloc(argc, sizeof(*arg->list));
		if (arg->list)
			arg->list[arg->n_list++] = optarg;
		return arg->list;
	default:
		return take_number(argv, arg);
	}
}

/* By the letter or the place in the table that getopt_long tells. */
static struct arg *find(struct arg *args, int c)
{
	if (c >= FIRST)
		return &args[c - FIRST];
	while (args->name && args->letter != c)
		args++;
	return args->name ? args : NULL;
}

static void make_options(const struct arg *args, struct option options[ARGS_MAX + 2],
			 char letters[ARGS_MAX + 2])
{
	size_t n = 0;

	*letters++ = 'h';
	for (; args[n].name; n++) {
		options[n].name = args[n].name;
		options[n].has_arg = args[n].kind == ARG_FLAG ? no_argument : required_argument;
		options[n].val = FIRST + n;
		if (args[n].letter) /* only flags have one */
			*letters++ = args[n].letter;
	}
	options[n].name = "help";
	options[n].val = HELP;
	*letters = '\0';
}

int args_parse(int argc, char **argv, struct arg *args, const char *operands, const char *about,
	       const char **operand)
{
	struct option options[ARGS_MAX + 2] = { 0 };
	char letters[ARGS_MAX + 2];
	int c;

	make_options(args, options, letters);
	while ((c = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		struct arg *arg = c == '?' || c == HELP ? NULL : find(args, c);

		if (c == 'h' || c == HELP) {
			print_help(argv, args, operands, about);
			return 0;
		}
		if (!arg || !take(argc, argv, arg))
			return 2;
	}
	if (*operands && optind < argc)
		*operand = argv[optind++];
	if (optind == argc)
		return -1;
	fprintf(stderr, "%s: error: unexpected argument '%s'\n", program(argv), argv[optind]);
	return 2;
}

const struct arg *args_find(const struct arg *args, const char *name)
{
	while (strcmp(args->name, name))
		args++;
	return args;
}

const char *args_text(const struct arg *args, const char *name, const char *fallback)
{
	const struct arg *arg = args_find(args, name);

	/* An empty text is as none to 1.1. */
	return arg->given && *arg->text ? arg->text : fallback;
}
