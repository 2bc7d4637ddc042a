/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What the kernel tells of vDPA comes by netlink, which may wait: it is asked in the thread for
 * slow calls, and made into JSON on the event loop.
 */
#include "manager/svc_vdpa.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/virtio_features.h"
#include "manager/jobs.h"
#include "manager/json_util.h"
#include "manager/manager.h"
#include "manager/vdpa_make.h"
#include "udev/vf.h"
#include "vdpa/sysfs.h"
#include "wire/rpc.h"

#define MAX_QUEUES 129		    /* 64 pairs and the control queue */
#define COUNTERS_DEADLINE_US 300000 /* a client that draws every second is not held up */

struct listing {
	struct manager *m;
	struct rpc_request *req;
	struct job job;
	struct vdpa_mgmtdev *mgmt;
	size_t n_mgmt;
	struct vdpa_device *devices;
	size_t n_devices;
	struct vdpa_net_config *configs; /* of devices; without anything: not told */
	struct vf *vfs;
	size_t n_vfs;
	struct err err;
};

static void listing_free(struct listing *l)
{
	free(l->mgmt);
	free(l->devices);
	free(l->configs);
	free(l->vfs);
	free(l);
}

static struct listing *listing_of(struct job *job)
{
	return (struct listing *)((char *)job - offsetof(struct listing, job));
}

static void run_list(struct job *job)
{
	struct listing *l = listing_of(job);
	int rc;

	rc = vdpa_mgmtdev_list(&l->mgmt, &l->n_mgmt, &l->err);
	if (!rc)
		rc = vdpa_device_list(&l->devices, &l->n_devices, &l->err);
	/* A kernel without vDPA has none of either. */
	if (rc == -EOPNOTSUPP)
		l->err.code = 0;
	if (rc < 0)
		return;
	l->configs = calloc(l->n_devices + 1, sizeof(*l->configs));
	for (size_t i = 0; l->configs && i < l->n_devices; i++) {
		if (vdpa_device_config(l->devices[i].name, &l->configs[i], NULL) < 0)
			l->configs[i] = (struct vdpa_net_config){ 0 };
	}
	vf_enumerate(l->m->root, &l->vfs, &l->n_vfs, NULL);
}

/* linux/virtio_ids.h */
static const char *class_name(unsigned int device_id)
{
	static const char *const classes[] = {
		[1] = "net",	[2] = "block",	[3] = "console", [4] = "rng", [8] = "scsi",
		[18] = "input", [19] = "vsock", [20] = "crypto", [26] = "fs",
	};

	return device_id < sizeof(classes) / sizeof(classes[0]) ? classes[device_id] : NULL;
}

static json_object *names_of(uint64_t bits, const char *(*name_of)(unsigned int bit))
{
	json_object *list = json_object_new_array();
	char text[16];

	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name = name_of(bit);

		if (!(bits >> bit & 1))
			continue;
		snprintf(text, sizeof(text), "%u", bit);
		json_object_array_add(list, json_object_new_string(name ? name : text));
	}
	return list;
}

static void put_count(json_object *json, const char *key, uint32_t count)
{
	if (count)
		json_put_int(json, key, count);
	else
		json_put_shared(json, key, NULL);
}

static void full_name(const char *bus, const char *name, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s%s", bus, bus[0] ? "/" : "", name);
}

static const struct vf *vf_of(const struct listing *l, const struct vdpa_mgmtdev *mgmt)
{
	for (size_t i = 0; i < l->n_vfs; i++) {
		if (vdpa_mgmtdev_is_of(l->m->root, mgmt, &l->vfs[i].addr))
			return &l->vfs[i];
	}
	return NULL;
}

static json_object *mgmt_json(const struct listing *l, const struct vdpa_mgmtdev *mgmt)
{
	json_object *json = json_object_new_object();
	const struct vf *vf = vf_of(l, mgmt);
	char text[VDPA_NAME_MAX + 32];

	full_name(mgmt->bus, mgmt->name, text, sizeof(text));
	json_put_text(json, "name", text);
	json_object_object_add(json, "classes", names_of(mgmt->classes, class_name));
	put_count(json, "max_virtqueues", mgmt->max_vqs);
	json_object_object_add(json, "features", names_of(mgmt->features, feature_name));
	json_put_text(json, "vf", vf ? vf_name(vf, text, sizeof(text)) : NULL);
	json_put_text(json, "address", vf ? pci_addr_format(&vf->addr, text) : NULL);
	return json;
}

static void put_driver(json_object *json, const char *root, const char *name)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *slash;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/sys/bus/vdpa/devices/%s/driver", root, name);
	n = readlink(path, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = '\0';
	slash = strrchr(target, '/');
	json_put_text(json, "driver", slash ? slash + 1 : NULL);
	json_put_text(json, "path",
		      vdpa_chardev(root, name, path, sizeof(path), NULL) < 0 ? NULL : path);
}

static void put_config(json_object *json, const struct vdpa_net_config *config)
{
	const uint8_t *m = config->mac;
	char mac[18];

	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
		 m[5]);
	json_put_text(json, "mac", config->has_mac ? mac : NULL);
	put_count(json, "mtu", config->has_mtu ? config->mtu : 0);
	put_count(json, "queue_pairs", config->has_max_vqp ? config->max_vqp : 0);
	if (config->has_link)
		json_put_bool(json, "link", config->link);
	else
		json_put_shared(json, "link", NULL);
	json_object_object_add(json, "features", names_of(config->features, feature_name));
	json_object_object_add(json, "negotiated", names_of(config->negotiated, feature_name));
}

static void put_relay(json_object *json, const struct manager *m, const char *device)
{
	char name[VDPA_NAME_MAX];

	for (unsigned int id = 0; id < m->max_relays; id++) {
		if (strcmp(device, vdpa_name(id, name)) != 0 || !m->pairings[id].seen.made)
			continue;
		json_put_int(json, "relay", id);
		json_put_text(json, "state", pairing_state_name(m->pairings[id].state));
		return;
	}
	json_put_shared(json, "relay", NULL);
	json_put_shared(json, "state", NULL);
}

static json_object *device_json(const struct listing *l, size_t i)
{
	static const struct vdpa_net_config unknown;
	const struct vdpa_device *device = &l->devices[i];
	json_object *json = json_object_new_object();
	char text[VDPA_NAME_MAX + 32];

	json_put_text(json, "name", device->name);
	full_name(device->mgmt_bus, device->mgmt_name, text, sizeof(text));
	json_put_text(json, "management", text);
	json_put_text(json, "class", class_name(device->device_id));
	put_count(json, "max_virtqueues", device->max_vqs);
	put_count(json, "max_ring_size", device->max_vq_size);
	put_driver(json, l->m->root, device->name);
	put_config(json, l->configs ? &l->configs[i] : &unknown);
	put_relay(json, l->m, device->name);
	return json;
}

static void list_done(struct job *job)
{
	struct listing *l = listing_of(job);
	json_object *result, *management, *devices;

	if (l->err.code) {
		rpc_reply_error(l->req, &l->err);
		listing_free(l);
		return;
	}
	result = json_object_new_object();
	management = json_object_new_array();
	devices = json_object_new_array();
	for (size_t i = 0; i < l->n_mgmt; i++)
		json_object_array_add(management, mgmt_json(l, &l->mgmt[i]));
	for (size_t i = 0; i < l->n_devices; i++)
		json_object_array_add(devices, device_json(l, i));
	json_object_object_add(result, "management", management);
	json_object_object_add(result, "devices", devices);
	rpc_reply(l->req, result);
	listing_free(l);
}

int svc_vdpa_list(struct manager *m, struct rpc_request *req, json_object *params, struct err *err)
{
	struct listing *l = calloc(1, sizeof(*l));

	if (!l)
		return err_set(err, -ENOMEM, "vDPA", "out of memory");
	l->m = m;
	l->req = req;
	l->job = (struct job){ .what = "list vDPA", .run = run_list, .done = list_done };
	jobs_submit(m->jobs, &l->job);
	return 0;
}

/* --- counters --- */

struct counted {      /* one device */
	size_t index; /* in the list of the answer */
	char name[VDPA_NAME_MAX];
	json_object *counters; /* NULL: it does not count */
};

struct counting {
	struct rpc_request *req; /* NULL: it was answered */
	json_object *result;
	sd_event_source *deadline;
	struct job job;
	struct counted *devices;
	size_t n;
};

static void count_queue(struct counted *device, unsigned int queue,
			const struct vdpa_counter *counters, size_t n)
{
	if (!device->counters)
		device->counters = json_object_new_array();
	for (size_t i = 0; i < n; i++) {
		json_object *counter = json_object_new_object();

		json_put_int(counter, "queue", queue);
		json_put_text(counter, "name", counters[i].name);
		json_put_int(counter, "value", (int64_t)counters[i].value);
		json_object_array_add(device->counters, counter);
	}
}

/* Until a virtqueue is asked for that it does not have. */
static void count(struct counted *device)
{
	for (unsigned int queue = 0; queue < MAX_QUEUES; queue++) {
		_cleanup_free_ struct vdpa_counter *counters = NULL;
		size_t n = 0;

		if (vdpa_device_vstats(device->name, queue, &counters, &n, NULL) < 0)
			return;
		count_queue(device, queue, counters, n);
	}
}

static void run_count(struct job *job)
{
	struct counting *c = (struct counting *)((char *)job - offsetof(struct counting, job));

	for (size_t i = 0; i < c->n; i++)
		count(&c->devices[i]);
}

static void answer(struct counting *c)
{
	rpc_reply(c->req, c->result);
	c->req = NULL;
	c->result = NULL;
	c->deadline = sd_event_source_disable_unref(c->deadline);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
	answer(userdata);
	return 0;
}

static void count_done(struct job *job)
{
	struct counting *c = (struct counting *)((char *)job - offsetof(struct counting, job));
	json_object *relays = json_get_member(c->result, "relays", json_type_array);

	for (size_t i = 0; i < c->n; i++) {
		if (c->req && c->devices[i].counters)
			json_object_object_add(
				json_object_array_get_idx(relays, c->devices[i].index),
				"device_counters", json_object_get(c->devices[i].counters));
		json_object_put(c->devices[i].counters);
	}
	if (c->req)
		answer(c);
	free(c->devices);
	free(c);
}

/* The devices that the answer has to tell of. */
static void find_devices(const struct manager *m, struct counting *c)
{
	json_object *relays = json_get_member(c->result, "relays", json_type_array);

	for (size_t i = 0; i < json_object_array_length(relays); i++) {
		const int64_t id = json_get_int(json_object_array_get_idx(relays, i), "id", 0);

		if (m->pairings[id].seen.backend != POLICY_VDPA)
			continue;
		c->devices[c->n].index = i;
		vdpa_name(id, c->devices[c->n++].name);
	}
}

void svc_vdpa_reply_stats(struct manager *m, struct rpc_request *req, json_object *result)
{
	struct counting *c = calloc(1, sizeof(*c));

	if (c)
		c->devices = calloc(m->max_relays, sizeof(*c->devices));
	if (!c || !c->devices) {
		free(c);
		rpc_reply(req, result);
		return;
	}
	c->req = req;
	c->result = result;
	find_devices(m, c);
	if (!c->n || sd_event_add_time_relative(m->event, &c->deadline, CLOCK_MONOTONIC,
						COUNTERS_DEADLINE_US, 1000, on_deadline, c) < 0) {
		answer(c);
		free(c->devices);
		free(c);
		return;
	}
	c->job = (struct job){ .what = "count vDPA", .run = run_count, .done = count_done };
	jobs_submit(m->jobs, &c->job);
}
