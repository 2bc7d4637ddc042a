/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_config.h>
#include <rte_version.h>

#include "common/cleanup.h"
#include "common/config.h"
#include "common/log.h"
#include "common/pci_addr.h"
#include "sw-relay/eal.h"
#include "sw-relay/endpoint.h"
#include "sw-relay/service_methods.h"
#include "sw-relay/service_params.h"

#define MAX_ID INT32_MAX /* the manager's limit is configured there */
#define MIN_MTU 68	 /* the least that IPv4 and VIRTIO_NET_F_MTU allow */
#define MAX_MTU 9710	 /* room for headers in buffers for 9000 bytes */

static int param_id(const struct method_call *call, unsigned int *id, struct err *err)
{
	int64_t n;
	int r = param_int(call->params, "id", 0, MAX_ID, &n, err);

	if (r == 0)
		*id = n;
	return r;
}

static json_object *cpus_json(const struct cpuset *cpus)
{
	json_object *list = json_object_new_array();

	for (int cpu = cpuset_next(cpus, 0); cpu >= 0; cpu = cpuset_next(cpus, cpu + 1))
		json_object_array_add(list, json_object_new_int(cpu));
	return list;
}

static int do_hello(struct method_call *call, struct err *err)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "version", json_object_new_string(VIO4WD_VERSION));
	json_object_object_add(o, "dpdk", json_object_new_string(rte_version()));
	json_object_object_add(o, "pid", json_object_new_int(getpid()));
	json_object_object_add(o, "relay", json_object_new_int((int)call->options->id));
	json_object_object_add(o, "numa_node", json_object_new_int(call->options->numa_node));
	json_object_object_add(o, "max_ports", json_object_new_int(RTE_MAX_ETHPORTS));
	json_object_object_add(o, "hugepages", json_object_new_boolean(call->options->hugepages));
	json_object_object_add(o, "workers", cpus_json(call->workers));
	call->result = o;
	return 0;
}

static int read_mode(json_object *params, bool *client, struct err *err)
{
	char mode[16];
	int r = param_string(params, "mode", mode, sizeof(mode), err);

	if (r < 0)
		return r;
	*client = strcmp(mode, "client") == 0;
	if (!*client && strcmp(mode, "server") != 0)
		return err_set(err, -EINVAL, "params",
			       "\"mode\" is \"%s\": \"server\" or \"client\" is allowed", mode);
	return 0;
}

/* 0 stands for: not said. */
static int read_mtu(json_object *params, uint16_t *mtu, struct err *err)
{
	int64_t n;
	int r = param_int(params, "mtu", 0, MAX_MTU, &n, err);

	if (r < 0)
		return r;
	if (n != 0 && n < MIN_MTU)
		return err_set(err, -EINVAL, "params", "\"mtu\" is %d: 0 or %d to %d is allowed",
			       (int)n, MIN_MTU, MAX_MTU);
	*mtu = n;
	return 0;
}

static void answer_done(unsigned int id, const struct err *err, void *answer)
{
	service_answer(answer, err, NULL);
}

static void device_done(unsigned int id, const struct err *err, void *answer)
{
	service_answer(answer, err, err->code ? NULL : endpoint_device_json(id));
}

static int do_endpoint_add(struct method_call *call, struct err *err)
{
	struct endpoint_options o = { 0 };
	int64_t queues;
	int r;

	r = param_id(call, &o.id, err);
	if (r < 0)
		return r;
	r = param_string(call->params, "socket", o.socket, sizeof(o.socket), err);
	if (r < 0)
		return r;
	r = read_mode(call->params, &o.client, err);
	if (r < 0)
		return r;
	r = param_int(call->params, "queues", 1, ENDPOINT_MAX_QUEUES, &queues, err);
	if (r < 0)
		return r;
	o.max_queues = queues;
	r = read_mtu(call->params, &o.mtu, err);
	if (r < 0)
		return r;
	r = param_bool(call->params, "mrg_rxbuf", &o.mrg_rxbuf, err);
	if (r < 0)
		return r;
	r = param_bool(call->params, "tso", &o.tso, err);
	if (r < 0)
		return r;
	endpoint_add(&o, answer_done, take_ptr(call->answer));
	return 0;
}

static int do_endpoint_remove(struct method_call *call, struct err *err)
{
	unsigned int id = 0;
	int r = param_id(call, &id, err);

	if (r == 0)
		endpoint_remove(id, answer_done, take_ptr(call->answer));
	return r;
}

static int read_pci(json_object *params, struct backend_request *req, struct err *err)
{
	struct devname *dev = &req->device;
	char text[64];
	int r = param_string(params, "pci", text, sizeof(text), err);

	if (r < 0)
		return r;
	if (pci_addr_parse(&dev->pci, text) < 0)
		return err_set(err, -EINVAL, "params", "\"pci\" is \"%s\": no PCI address", text);
	dev->kind = DEVNAME_PCI;
	return param_string_optional(params, "vdpa_args", req->vdpa_args, sizeof(req->vdpa_args),
				     err);
}

static int read_vdev(json_object *params, struct devname *dev, struct err *err)
{
	int r = param_string(params, "driver_name", dev->driver_name, sizeof(dev->driver_name),
			     err);

	if (r < 0)
		return r;
	dev->kind = DEVNAME_VDEV;
	return param_string_optional(params, "driver_args", dev->driver_args,
				     sizeof(dev->driver_args), err);
}

/* Hardware vDPA: the function is known by its address, and opened by its character device. */
static int read_vdpa(json_object *params, struct backend_request *req, struct err *err)
{
	char name[DEVNAME_MAX];
	int r;

	memcpy(name, req->device.text, sizeof(name));
	r = devname_parse(&req->device, name, err);
	return r < 0 ? r : param_string(params, "path", req->chardev, sizeof(req->chardev), err);
}

static int read_device(json_object *params, struct backend_request *req, struct err *err)
{
	struct devname *dev = &req->device;
	char kind[16];
	int r;

	r = param_string(params, "device", dev->text, sizeof(dev->text), err);
	if (r < 0)
		return r;
	r = param_string(params, "kind", kind, sizeof(kind), err);
	if (r < 0)
		return r;
	if (strcmp(kind, "pci") == 0)
		return read_pci(params, req, err);
	if (strcmp(kind, "vdev") == 0)
		return read_vdev(params, dev, err);
	if (strcmp(kind, "netdev") == 0) {
		dev->kind = DEVNAME_NETDEV;
		return param_string(params, "netdev", dev->netdev, sizeof(dev->netdev), err);
	}
	if (strcmp(kind, "vdpa") == 0)
		return read_vdpa(params, req, err);
	if (strcmp(kind, "bond") == 0) {
		req->device.kind = DEVNAME_BOND;
		return 0; /* what else there is of it is read_bond()'s */
	}
	return err_set(err, -EINVAL, "params",
		       "\"kind\" is \"%s\": \"pci\", \"vdev\", \"netdev\", \"vdpa\" or "
		       "\"bond\" is allowed",
		       kind);
}

static int read_member(json_object *o, unsigned int i, struct backend_request *req, struct err *err)
{
	struct backend_request one = { 0 };
	int r;

	if (!json_object_is_type(o, json_type_object))
		return err_set(err, -EINVAL, "params",
			       "\"members\" has something in it that is "
			       "no object");
	r = read_device(o, &one, err);
	if (r == 0 && (one.chardev[0] || one.vdpa_args[0] ||
		       (one.device.kind != DEVNAME_PCI && one.device.kind != DEVNAME_VDEV)))
		r = err_set(err, -EINVAL, "params", "%s cannot be a member of a bond",
			    one.device.text);
	req->members[i] = one.device;
	return r;
}

/* The members of a bond, each as a device of its own. */
static int read_members(json_object *params, struct backend_request *req, struct err *err)
{
	json_object *list;
	int r = 0;

	if (!json_object_object_get_ex(params, "members", &list) ||
	    !json_object_is_type(list, json_type_array))
		return err_set(err, -EINVAL, "params", "\"members\" is no list");
	if (json_object_array_length(list) > BOND_MEMBERS_MAX)
		return err_set(err, -E2BIG, "params", "\"members\": a bond has at most %d",
			       BOND_MEMBERS_MAX);
	req->n_members = json_object_array_length(list);
	for (unsigned int i = 0; i < req->n_members && r == 0; i++)
		r = read_member(json_object_array_get_idx(list, i), i, req, err);
	return r;
}

static int read_bond(json_object *params, struct backend_request *req, struct err *err)
{
	struct devname *dev = &req->device;
	int64_t mode = 0;
	int r;

	dev->kind = DEVNAME_BOND;
	r = param_string(params, "name", dev->driver_name, sizeof(dev->driver_name), err);
	if (r == 0)
		r = devname_bond_check_name(dev->driver_name, err);
	if (r == 0)
		r = param_int(params, "bond_mode", 0, BOND_MODE_MAX, &mode, err);
	dev->mode = mode;
	return r < 0 ? r : read_members(params, req, err);
}

/* What hardware could serve the VM with, when software does now. */
static int read_hardware(json_object *params, struct hardware_face *hardware, struct err *err)
{
	int64_t features, pairs;
	json_object *o;
	int r;

	if (!json_object_object_get_ex(params, "hardware", &o) || !o)
		return 0;
	if (!json_object_is_type(o, json_type_object))
		return err_set(err, -EINVAL, "params", "\"hardware\" is no object");
	r = param_int(o, "features", 0, INT64_MAX, &features, err);
	if (r == 0)
		r = param_int(o, "pairs", 1, UINT16_MAX, &pairs, err);
	if (r == 0)
		*hardware = (struct hardware_face){ (uint64_t)features, (uint16_t)pairs };
	return r;
}

/* How many queue pairs are asked for; without a number as many as the endpoint offers. */
static int read_queues(json_object *params, uint16_t *queues, struct err *err)
{
	int64_t n = 0;
	int r = 0;

	if (json_object_object_get_ex(params, "queues", NULL))
		r = param_int(params, "queues", 0, ENDPOINT_MAX_QUEUES, &n, err);
	*queues = (uint16_t)n;
	return r;
}

static int do_attach(struct method_call *call, struct err *err)
{
	struct backend_request req = { .fds = call->fds, .n_fds = call->n_fds };
	unsigned int id = 0;
	int r;

	r = param_id(call, &id, err);
	if (r < 0)
		return r;
	r = read_device(call->params, &req, err);
	if (r == 0 && req.device.kind == DEVNAME_BOND)
		r = read_bond(call->params, &req, err);
	if (r < 0)
		return r;
	r = read_mtu(call->params, &req.mtu, err);
	if (r < 0)
		return r;
	r = read_hardware(call->params, &req.hardware, err);
	if (r < 0)
		return r;
	r = read_queues(call->params, &req.max_queues, err);
	if (r < 0)
		return r;
	endpoint_attach(id, &req, device_done, take_ptr(call->answer));
	return 0;
}

static int do_members(struct method_call *call, struct err *err)
{
	struct backend_request req = { .fds = call->fds, .n_fds = call->n_fds };
	unsigned int id = 0;
	int r = param_id(call, &id, err);

	if (r == 0)
		r = read_members(call->params, &req, err);
	if (r == 0)
		endpoint_members(id, &req, device_done, take_ptr(call->answer));
	return r;
}

static int do_detach(struct method_call *call, struct err *err)
{
	unsigned int id = 0;
	int r = param_id(call, &id, err);

	if (r == 0)
		endpoint_detach(id, answer_done, take_ptr(call->answer));
	return r;
}

static int do_mode(struct method_call *call, struct err *err)
{
	enum serving wish;
	unsigned int id = 0;
	char mode[16];
	int r;

	r = param_id(call, &id, err);
	if (r == 0)
		r = param_string(call->params, "mode", mode, sizeof(mode), err);
	if (r < 0)
		return r;
	if (serving_parse(mode, &wish) < 0)
		return err_set(err, -EINVAL, "params",
			       "\"mode\" is \"%s\": \"auto\", \"direct\", \"shadow\" or "
			       "\"software\" is allowed",
			       mode);
	endpoint_mode(id, wish, device_done, take_ptr(call->answer));
	return 0;
}

static int do_pin(struct method_call *call, struct err *err)
{
	int64_t vf_to_vm, vm_to_vf;
	unsigned int id = 0;
	int r;

	r = param_id(call, &id, err);
	if (r < 0)
		return r;
	r = param_int(call->params, "vf_to_vm", -1, CPUSET_MAX_CPU, &vf_to_vm, err);
	if (r < 0)
		return r;
	r = param_int(call->params, "vm_to_vf", -1, CPUSET_MAX_CPU, &vm_to_vf, err);
	if (r < 0)
		return r;
	return endpoint_pin(id, (int)vf_to_vm, (int)vm_to_vf, err);
}

static int do_workers(struct method_call *call, struct err *err)
{
	struct cpuset cpus;
	int r;

	r = param_cpus(call->params, "cpus", &cpus, err);
	if (r < 0)
		return r;
	r = workers_set(&cpus, err);
	if (r == 0)
		*call->workers = cpus;
	return r;
}

static int do_log_level(struct method_call *call, struct err *err)
{
	int64_t level;
	int r = param_int(call->params, "level", LOG_EMERG, LOG_DEBUG, &level, err);

	if (r < 0)
		return r;
	log_set_level((int)level);
	eal_set_log_level((int)level);
	return 0;
}

static int do_stats(struct method_call *call, struct err *err)
{
	call->result = relay_snapshot_json();
	if (!call->result)
		return err_set(err, -ENOMEM, "stats", "out of memory");
	return 0;
}

static int do_stop(struct method_call *call, struct err *err)
{
	call->stop = true;
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct method_call *call, struct err *err);
} methods[] = {
	{ "hello", do_hello },
	{ "endpoint_add", do_endpoint_add },
	{ "endpoint_remove", do_endpoint_remove },
	{ "attach", do_attach },
	{ "members", do_members },
	{ "detach", do_detach },
	{ "mode", do_mode },
	{ "pin", do_pin },
	{ "workers", do_workers },
	{ "log_level", do_log_level },
	{ "stats", do_stats },
	{ "stop", do_stop },
};

int service_method_call(const char *method, struct method_call *call, struct err *err)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(methods[i].name, method) == 0)
			return methods[i].run(call, err);
	}
	return err_set(err, -ENOSYS, "method", "%s: there is no such method", method);
}
