/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/config.h"
#include "common/text.h"
#include "ctl/ctl.h"
#include "wire/rpc.h"

#define DEFAULT_RUNTIME_DIR "/run/virtio-forwarder"

void ctl_error(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text_clean(text);
	fprintf(stderr, "vio4wdctl: %s\n", text);
}

/* The control socket's path. A broken configuration file gives the default one: the daemon may
 * run with what it read before the file was broken. */
static int find_socket(struct ctl *ctl, char **path, struct err *err)
{
	const char *file = ctl->config_file ? ctl->config_file : CONFIG_DEFAULT_FILE;
	struct config_report report = { 0 };
	const char *dir = ctl->runtime_dir;
	struct config *cfg = NULL;
	int ret = 0;

	if (!dir) {
		ret = config_read(file, "", &cfg, &report);
		if (ret == -ENOENT && !ctl->config_file)
			ret = 0;
		dir = cfg ? cfg->runtime_dir : DEFAULT_RUNTIME_DIR;
	}
	if (ret < 0 && ctl->config_file && ret != -EINVAL) {
		err_set(err, ret, "configuration", "%s: %s", file, strerror(-ret));
	} else {
		ret = asprintf(path, "%s/control", dir) < 0 ? -ENOMEM : 0;
		if (ret < 0)
			err_set(err, ret, "socket", "out of memory");
	}
	config_report_free(&report);
	config_free(cfg);
	return ret;
}

static void explain_permission(const char *path, struct err *err)
{
	const struct group *group = NULL;
	struct stat st;

	if (stat(path, &st) == 0 && st.st_gid != 0)
		group = getgrgid(st.st_gid);
	if (group)
		err_set(err, -EACCES, "connect",
			"no permission for %s: run this as root or as a member of the group %s",
			path, group->gr_name);
	else
		err_set(err, -EACCES, "connect", "no permission for %s: run this as root", path);
}

const char *ctl_how_to_start(const char *root)
{
	/* systemd.unit(5), "Unit File Load Path" */
	static const char *const folders[] = { "etc", "run", "usr/local/lib", "usr/lib", "lib" };
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/run/systemd/system", root);
	for (size_t i = 0; access(path, F_OK) == 0 && i < sizeof(folders) / sizeof(folders[0]);
	     i++) {
		char unit[PATH_MAX];

		snprintf(unit, sizeof(unit), "%s/%s/systemd/system/virtio-forwarder.service", root,
			 folders[i]);
		if (access(unit, F_OK) == 0)
			return "start it with 'systemctl start virtio-forwarder'";
	}
	return "start vio4wd as root";
}

static int connect_daemon(struct ctl *ctl, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	int ret;

	ret = find_socket(ctl, &path, err);
	if (ret < 0)
		return CTL_REFUSED;
	ret = rpc_client_connect(&ctl->client, path, err);
	if (ret == 0)
		return CTL_OK;
	if (ret == -EACCES || ret == -EPERM)
		explain_permission(path, err);
	else if (ret == -ENOENT || ret == -ECONNREFUSED)
		err_set(err, ret, "connect",
			"vio4wd is not running (%s: %s): %s, or name its directory with "
			"--runtime-dir or --config",
			path, ret == -ENOENT ? "no such socket" : "nobody listens",
			ctl_how_to_start(""));
	else
		err_prefix(err, "vio4wd cannot be reached");
	return CTL_UNREACHABLE;
}

void ctl_disconnect(struct ctl *ctl)
{
	rpc_client_free(ctl->client);
	ctl->client = NULL;
}

int ctl_try_call(struct ctl *ctl, const char *method, json_object *params, json_object **result,
		 struct err *err)
{
	unsigned int timeout_ms;
	int ret;

	if (!ctl->client) {
		ret = connect_daemon(ctl, err);
		if (ret != CTL_OK) {
			json_object_put(params);
			return ret;
		}
	}
	timeout_ms = ctl->timeout_ms ? ctl->timeout_ms : CTL_DEFAULT_TIMEOUT_MS;
	ret = rpc_client_call(ctl->client, method, params, timeout_ms, result, err);
	if (ret == 0)
		return CTL_OK;
	if (!rpc_client_lost(ctl->client))
		return CTL_REFUSED;
	ctl_disconnect(ctl);
	if (ret == -ETIMEDOUT)
		err_set(err, ret, "call",
			"vio4wd did not answer within %.1f s; look at its log, or give it more time "
			"with --timeout",
			timeout_ms / 1000.0);
	return CTL_UNREACHABLE;
}

int ctl_call(struct ctl *ctl, const char *method, json_object *params, json_object **result)
{
	struct err err = { 0 };
	int status = ctl_try_call(ctl, method, params, result, &err);

	if (status != CTL_OK)
		ctl_error("%s", err.text);
	return status;
}

json_object *ctl_id_params(unsigned int id)
{
	json_object *params = json_object_new_object();

	json_object_object_add(params, "id", json_object_new_int64(id));
	return params;
}
