/* SPDX-License-Identifier: BSD-3-Clause */

#include "ctl/doctor/denials.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

#include "common/cleanup.h"

#define TAIL (1 << 20)	  /* bytes of a log that are read */
#define ENTRIES_MAX 20000 /* of the journal */
#define APPARMOR "apparmor=\"DENIED\""

static void cleanup_journal(sd_journal **journal)
{
	sd_journal_close(*journal);
}

/* The socket's path up to its number: "/tmp/virtio-forwarder". */
static void socket_stem(const struct config *cfg, char *stem, size_t size)
{
	snprintf(stem, size, "%s/%.*s", cfg->socket_dir, (int)strcspn(cfg->socket_pattern, "%"),
		 cfg->socket_pattern);
}

static const char *file_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool denials_match(const struct config *cfg, const char *line)
{
	char stem[2 * PATH_MAX];
	const char *const ours[] = { stem, cfg->runtime_dir, "/dev/vhost-vdpa", "vio4wd" };

	if (!strstr(line, APPARMOR) && !(strstr(line, "avc:") && strstr(line, "denied")))
		return false;
	socket_stem(cfg, stem, sizeof(stem));
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (strstr(line, ours[i]))
			return true;
	}
	/* SELinux names the last part of a path only. */
	return *file_part(stem) && !strstr(line, APPARMOR) && strstr(line, file_part(stem));
}

static void take_line(struct denials *denials, const struct config *cfg, const char *line)
{
	if (!denials_match(cfg, line))
		return;
	denials->n++;
	denials->apparmor = strstr(line, APPARMOR);
	snprintf(denials->last, sizeof(denials->last), "%s", line);
}

static void read_log(struct denials *denials, const char *root, const char *name,
		     const struct config *cfg)
{
	char path[PATH_MAX], *save = NULL;
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t n;

	snprintf(path, sizeof(path), "%s%s", root, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	text = malloc(TAIL + 1);
	if (fd < 0 || !text || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	n = pread(fd, text, TAIL, st.st_size > TAIL ? st.st_size - TAIL : 0);
	if (n <= 0)
		return;
	text[n] = '\0';
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		take_line(denials, cfg, line);
}

static void take_entry(struct denials *denials, sd_journal *journal, const struct config *cfg)
{
	_cleanup_free_ char *line = NULL;
	const void *data;
	size_t size;

	if (sd_journal_get_data(journal, "MESSAGE", &data, &size) < 0)
		return;
	line = strndup(data, size);
	if (line)
		take_line(denials, cfg, line);
}

/* Entries of the audit subsystem and of the kernel, of this boot, the last ones. */
static void read_journal(struct denials *denials, const char *root, const struct config *cfg)
{
	_cleanup_(cleanup_journal) sd_journal *journal = NULL;
	char match[64] = "_BOOT_ID=", id[SD_ID128_STRING_MAX];
	sd_id128_t boot;
	int rc;

	if (*root)
		rc = sd_journal_open_directory(&journal, root, SD_JOURNAL_OS_ROOT);
	else
		rc = sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
	if (rc < 0 || sd_id128_get_boot(&boot) < 0)
		return;
	strcat(match, sd_id128_to_string(boot, id));
	sd_journal_add_match(journal, "_TRANSPORT=audit", 0);
	sd_journal_add_match(journal, "_TRANSPORT=kernel", 0);
	sd_journal_add_conjunction(journal);
	sd_journal_add_match(journal, match, 0);
	if (sd_journal_seek_tail(journal) < 0 ||
	    sd_journal_previous_skip(journal, ENTRIES_MAX) <= 0)
		return;
	do {
		take_entry(denials, journal, cfg);
	} while (sd_journal_next(journal) > 0);
}

void denials_find(struct denials *denials, const char *root, const struct config *cfg)
{
	*denials = (struct denials){ 0 };
	read_log(denials, root, "/var/log/kern.log", cfg);
	read_log(denials, root, "/var/log/audit/audit.log", cfg);
	read_journal(denials, root, cfg);
}
