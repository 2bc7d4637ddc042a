/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Writes the source of virtioforwarder(5): the template, with the variables of the configuration
 * table in the place of its line @REFERENCE@.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config_table.h"

/* Every sign that means something to scdoc is written for itself. */
static void print_plain(const char *text)
{
	for (; *text; text++) {
		if (strchr("\\*_#[]|<>+.", *text))
			putchar('\\');
		putchar(*text);
	}
}

static void print_strong(const char *text)
{
	putchar('*');
	print_plain(text);
	putchar('*');
}

static void print_variable(const struct config_var *var)
{
	char allowed[CONFIG_ALLOWED_MAX];

	if (var->group)
		printf("## %s\n\n", var->group);
	print_strong(var->name);
	if (var->other_name) {
		printf(", ");
		print_strong(var->other_name);
	}
	printf("\n\t");
	print_plain(var->about);
	printf("\n\n\tDefault: ");
	if (*var->fallback)
		print_strong(var->fallback);
	else
		printf("none");
	printf(". Allowed: ");
	print_plain(config_allowed(var, allowed));
	printf(".\n\n");
}

int main(int argc, char **argv)
{
	FILE *template = argc == 2 ? fopen(argv[1], "r") : NULL;
	char line[1024];

	if (!template) {
		fprintf(stderr, "usage: %s TEMPLATE: cannot open the template\n", argv[0]);
		return EXIT_FAILURE;
	}
	while (fgets(line, sizeof(line), template)) {
		if (strcmp(line, "@REFERENCE@\n")) {
			fputs(line, stdout);
			continue;
		}
		for (size_t i = 0; i < config_n_vars; i++)
			print_variable(&config_vars[i]);
	}
	fclose(template);
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
