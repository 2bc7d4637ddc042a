/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/relay_env.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "manager/relay_args.h"

static void env_path(const struct relay *relay, char *buf, size_t size)
{
	snprintf(buf, size, RELAY_UNIT_DIR "/relay-%u.env", relay->number);
}

static int options(const struct relay *relay, char **text, struct err *err)
{
	struct relay_args args;
	int rc;

	rc = relay_args_fill(&args, relay, false, err);
	if (rc < 0)
		return rc;
	rc = relay_args_text(&args, text, err);
	relay_args_free(&args);
	return rc;
}

int relay_env_write(const struct relay *relay, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	char path[64];
	int rc;

	rc = options(relay, &text, err);
	if (rc < 0)
		return rc;
	env_path(relay, path, sizeof(path));
	mkdir(RELAY_UNIT_DIR, 0755); /* where the manager's unit does not */
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || dprintf(fd, "VIO4WD_RELAY_ARGS=\"%s\"\n", text) < 0)
		return err_set(err, -errno, "start", "%s: %s", path, strerror(errno));
	return 0;
}

void relay_env_remove(const struct relay *relay)
{
	char path[64];

	env_path(relay, path, sizeof(path));
	unlink(path);
}
