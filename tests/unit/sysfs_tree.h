/* SPDX-License-Identifier: BSD-3-Clause */

/* The trees of tests/sysfs (its `record` tells the format) in a folder in the place of the host's
 * root; and single files and links in it. */
#ifndef VIO4WD_TEST_SYSFS_TREE_H
#define VIO4WD_TEST_SYSFS_TREE_H

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_root.h"

/* Makes the folders above path, and path itself when it ends in a slash. */
static inline void sysfs_tree_folders(const char *root, const char *path)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (mkdir(full, 0755) < 0 && errno != EEXIST)
			abort();
		*slash = '/';
	}
}

static inline void sysfs_tree_file(const char *root, const char *path, const char *text)
{
	char full[PATH_MAX];
	FILE *file;

	sysfs_tree_folders(root, path);
	snprintf(full, sizeof(full), "%s%s", root, path);
	file = fopen(full, "w");
	if (!file || fputs(text, file) < 0 || fclose(file))
		abort();
}

static inline void sysfs_tree_link(const char *root, const char *path, const char *target)
{
	char full[PATH_MAX];

	sysfs_tree_folders(root, path);
	snprintf(full, sizeof(full), "%s%s", root, path);
	if (symlink(target, full) < 0)
		abort();
}

/* The path, and what is below it when it is a folder. */
static inline void sysfs_tree_remove(const char *root, const char *path)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", root, path);
	nftw(full, config_root_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static inline FILE *sysfs_tree_open(const char *name, const char *suffix)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/../sysfs/%s.%s", getenv("UNIT_SOURCE_DIR"), name, suffix);
	file = fopen(path, "r");
	if (!file) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		abort();
	}
	return file;
}

static inline void sysfs_tree_line(const char *root, char *line)
{
	char *mark;

	if ((mark = strstr(line, " = "))) {
		*mark = '\0';
		mark[strlen(mark + 3) + 3] = '\n'; /* as sysfs has it; was the terminator */
		sysfs_tree_file(root, line, mark + 3);
	} else if ((mark = strstr(line, " -> "))) {
		*mark = '\0';
		sysfs_tree_link(root, line, mark + 4);
	} else {
		sysfs_tree_folders(root, line);
	}
}

/* Unpacks tests/sysfs/NAME.tree below root, an existing folder. */
static inline void sysfs_tree_unpack(const char *root, const char *name)
{
	FILE *file = sysfs_tree_open(name, "tree");
	char line[PATH_MAX + 256] = "";

	/* Room for one more character behind the text. */
	while (fgets(line, sizeof(line) - 1, file)) {
		line[strcspn(line, "\n")] = '\0';
		line[strlen(line) + 1] = '\0';
		if (line[0] && line[0] != '#')
			sysfs_tree_line(root, line);
	}
	fclose(file);
}

#endif
