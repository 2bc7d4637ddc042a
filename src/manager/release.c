/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/release.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include <json-c/json.h>

#include "common/cleanup.h"
#include "manager/binding_record.h"
#include "manager/json_util.h"
#include "manager/state_file.h"
#include "manager/vdpa_make.h"

/* As a manager holds it while it runs. No file: none runs. */
static int lock(const struct config *cfg, int *fd, struct err *err)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/lock", cfg->runtime_dir);
	*fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (*fd < 0 && errno == ENOENT)
		return 0;
	if (*fd < 0)
		return err_set(err, -errno, "lock", "%s: %s", path, strerror(errno));
	if (flock(*fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, -EBUSY, "lock",
			       "vio4wd runs, and its relays use the devices: stop it first "
			       "(systemctl stop virtio-forwarder)");
	return 0;
}

static int release(const char *root, json_object *record, struct err *err)
{
	struct binding_state before;
	char text[PCI_ADDR_STRLEN], device[VDPA_NAME_MAX];
	struct pci_addr addr;
	int owner, rc = 0;

	if (binding_record_parse(record, &addr, &before, &owner) < 0)
		return err_set(err, -EINVAL, "state file", "a record of a bound VF is broken");
	pci_addr_format(&addr, text);
	if (owner >= 0 && vdpa_is_made(root, vdpa_name(owner, device)))
		rc = vdpa_unmake(root, device, err);
	if (!rc)
		rc = binding_restore(root, &addr, &before, err);
	if (rc < 0) {
		printf("%s: %s\n", text, err->text);
		return rc;
	}
	printf("%s: given back (driver %s)\n", text, before.driver[0] ? before.driver : "none");
	return 0;
}

/* Writes what is left of the state, for the next try. */
static void keep(const char *path, json_object *state)
{
	if (json_object_to_file(path, state) < 0)
		fprintf(stderr, "%s: %s\n", path, json_util_get_last_err());
}

int release_devices(const struct config *cfg, const char *root, struct err *err)
{
	json_object *state = NULL, *records, *left;
	_cleanup_close_ int fd = -1;
	char path[4096];
	int rc, worst = 0;

	rc = lock(cfg, &fd, err);
	snprintf(path, sizeof(path), "%s/state.json", cfg->runtime_dir);
	if (!rc)
		rc = state_file_load(path, &state, err);
	if (rc < 0)
		return rc;
	records = json_get_member(state, "bindings", json_type_array);
	left = json_object_new_array();
	for (size_t i = 0; records && i < json_object_array_length(records); i++) {
		json_object *record = json_object_array_get_idx(records, i);

		rc = release(root, record, err);
		if (rc < 0) {
			worst = rc;
			json_object_array_add(left, json_object_get(record));
		}
	}
	if (!records || !json_object_array_length(records))
		printf("no VF has another driver because of vio4wd\n");
	if (state) {
		json_object_object_add(state, "bindings", left);
		keep(path, state);
	} else {
		json_object_put(left);
	}
	json_object_put(state);
	return worst;
}
