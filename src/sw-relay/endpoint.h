/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * An endpoint is one vhost-user socket with its negotiated state and its VM, joined to at most one
 * backend. The functions here are the control side and belong to the control thread, while the
 * vhost library's event thread reports VMs (endpoint_vhost.c), device threads open and close
 * devices (endpoint_device.c) and workers move packets.
 */
#ifndef VIO4WD_RELAY_ENDPOINT_H
#define VIO4WD_RELAY_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "common/config.h"
#include "common/err.h"
#include "sw-relay/backend.h"
#include "sw-relay/endpoint_serve.h"

#define ENDPOINT_MAX_QUEUES 32 /* queue pairs */

struct endpoint_options {
	unsigned int id;
	char socket[CONFIG_SOCKET_PATH_MAX + 1];
	bool client;	     /* connect to the VM's server socket, and again when it goes */
	uint16_t max_queues; /* queue pairs offered */
	uint16_t mtu;	     /* 0: VIRTIO_NET_F_MTU is not offered */
	bool mrg_rxbuf;
	bool tso;
};

/*
 * A device may take seconds to open. What is asked of one endpoint is done in the order in which it
 * was asked, and different endpoints do not wait for each other. done is called exactly once in the
 * control thread, perhaps before the function returns; err->code is 0 when it worked.
 */
typedef void (*endpoint_done_fn)(unsigned int id, const struct err *err, void *userdata);

void endpoint_add(const struct endpoint_options *options, endpoint_done_fn done, void *userdata);
/* Detaches first. */
void endpoint_remove(unsigned int id, endpoint_done_fn done, void *userdata);
/* Takes over the request's descriptors (sets them to -1). */
void endpoint_attach(unsigned int id, struct backend_request *req, endpoint_done_fn done,
		     void *userdata);
/* Makes the members of an attached bond those of the request; those that cannot be opened are told
 * by the result. Takes over the descriptors likewise. */
void endpoint_members(unsigned int id, struct backend_request *req, endpoint_done_fn done,
		      void *userdata);
void endpoint_detach(unsigned int id, endpoint_done_fn done, void *userdata);
/* Who serves the VM's rings when the device is hardware vDPA (endpoint_serve.h). */
void endpoint_mode(unsigned int id, enum serving wish, endpoint_done_fn done, void *userdata);
/* CPUs of workers, or -1 to let the relay choose; applies to all lanes of the direction. */
int endpoint_pin(unsigned int id, int vf_to_vm, int vm_to_vf, struct err *err);

/*
 * Work that the vhost library's event thread leaves to the control thread: a VM that uses more or
 * fewer queues, or memory of another NUMA node, than the device was set up for. The control
 * thread's loop calls endpoint_work() when endpoint_work_fd() is readable (the fd exists from
 * endpoints_init() on, and is this module's).
 */
int endpoints_init(struct err *err); /* once, after rte_eal_init */
void endpoints_fini(void); /* removes all endpoints and waits for it; before rte_eal_cleanup */
int endpoint_work_fd(void);
void endpoint_work(void);

/* An eventfd (the endpoints') by which kernel vDPA devices tell that their configuration has
 * changed; endpoint_config_changed() follows it: links are looked at, changes are reported. */
int endpoint_config_fd(void);
void endpoint_config_changed(void);

/*
 * The device's link, and why it no longer carries traffic ("" when it does: an error wants a
 * detach). What the device has reported is acted upon: one that needs a restart gets it, one with
 * an error is stopped, one that is gone is detached. -ENOENT when there is no such endpoint or it
 * has no device.
 */
int endpoint_device_state(unsigned int id, bool *link, char *error, size_t size);
/* The members of its bond, as docs/protocol.md has them; NULL when it has none. */
json_object *endpoint_members_json(unsigned int id);
/* Has devices that do not tell of their links looked at; changes are reported. Once a second, or
 * soon again when it returns true. */
bool endpoint_look_at_devices(void);

/* Results of docs/protocol.md; owned by the caller. NULL when there is no such endpoint/device. */
json_object *endpoint_device_json(unsigned int id);
json_object *relay_snapshot_json(void); /* SNAPSHOT */

/*
 * Reported to the control thread's loop by whoever finds out; implemented by the service, callable
 * from any thread, never blocks.
 */
void service_vm_changed(unsigned int id, bool connected);
void service_device_changed(unsigned int id);

#endif
