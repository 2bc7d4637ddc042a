/* SPDX-License-Identifier: BSD-3-Clause */

/* A folder in the place of the host's root, with the files of sysfs that a test wants. */
#ifndef VIO4WD_TEST_CONFIG_ROOT_H
#define VIO4WD_TEST_CONFIG_ROOT_H

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_ROOT_MAX 128

static inline void config_root_make(char root[CONFIG_ROOT_MAX])
{
	const char *tmp = getenv("TMPDIR");

	snprintf(root, CONFIG_ROOT_MAX, "%.80s/vio4wd-unit-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(root))
		abort();
}

/* path is below /sys/devices/system; the folders are made. */
static inline void config_root_write(const char *root, const char *path, const char *text)
{
	char full[512];
	FILE *file;

	snprintf(full, sizeof(full), "%s/sys/devices/system/%s", root, path);
	for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(full, 0755);
		*slash = '/';
	}
	file = fopen(full, "w");
	if (!file || fputs(text, file) < 0 || fclose(file))
		abort();
}

static inline int config_root_unlink(const char *path, const struct stat *st, int type,
				     struct FTW *ftw)
{
	return remove(path);
}

static inline void config_root_remove(const char *root)
{
	nftw(root, config_root_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
