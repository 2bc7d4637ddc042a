/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The manager's parts and how they know each other. One of these per process; everything runs on
 * its event loop.
 */
#ifndef VIO4WD_MANAGER_H
#define VIO4WD_MANAGER_H

#include <stdbool.h>

#include <systemd/sd-event.h>

#include "common/config.h"
#include "manager/bonds.h"
#include "manager/netlinks.h"
#include "manager/pairing.h"
#include "manager/relay_process.h"
#include "manager/relay_user.h"
#include "manager/socket_access.h"
#include "manager/socket_watch.h"
#include "manager/spares.h"
#include "manager/state_file.h"

#define MANAGER_MAX_PROCESSES 16
#define MANAGER_PORT_CONTROL_TIMEOUT_US 900000ull /* 1.1's clients get an answer within 1 s */
#define MANAGER_CONTROL_TIMEOUT_US 8000000ull
#define MANAGER_MTU_ORDINARY 1500 /* VIRTIOFWD_JUMBO */
#define MANAGER_MTU_JUMBO 9000

struct bindings;
struct jobs;
struct port_control;
struct sampler;
struct svc_control;
struct svc_zmq;
struct vdpas;
struct vf;
struct vf_counts;
struct vf_monitor;
struct manager;

struct pairing_extra { /* what the manager keeps beside a pairing, same index */
	struct manager *m;
	sd_event_source *alarm;
	struct socket_identity socket;
	enum pairing_state logged;
	uint64_t attached_us; /* when the last attach step began */
	struct bond bond;
	struct own_vf own; /* the wished VF as it was when it was there */
	bool auto_there;   /* the VF that VIO4WD_AUTO_VFS has for this id */
	/* Of an attached vDPA device, as the relay has told last: */
	char mode[16];
	char mode_reason[POLICY_TEXT_MAX];
	bool shadow; /* direct was refused while the mode is changed */
};

enum manager_phase { MANAGER_STARTING, MANAGER_READY, MANAGER_STOPPING };

struct manager {
	sd_event *event;
	enum manager_phase phase;
	struct config *cfg;
	const char *config_file;
	char relay_program[4096];
	const char *root; /* of sysfs paths: "" */
	int64_t started;  /* seconds since the epoch */
	int lock_fd;
	bool made_runtime_dir;
	char pid_file[4096];

	struct relay_user user;
	struct socket_owner owner;
	struct relay_setup setup;
	struct pairing_env env;
	unsigned int max_relays;
	struct pairing *pairings; /* max_relays of them */
	struct pairing_extra *extra;
	int nodes[MANAGER_MAX_PROCESSES]; /* NUMA nodes with worker CPUs */
	size_t n_nodes;
	struct relay *processes[MANAGER_MAX_PROCESSES]; /* by number */
	bool run_all; /* pairings wait for one another: run them all */
	sd_event_source *run_all_source;

	struct jobs *jobs;
	struct bindings *bindings;
	struct vdpas *vdpas;
	struct vf_counts *vf_counts;
	/* The instance of each spare that could not be opened; 0: none. */
	uint64_t spare_failed[CONFIG_LIST_MAX];
	struct vf_monitor *vf_monitor;
	struct netlinks *netlinks;
	struct socket_watch *watch; /* client mode */
	struct state_file *state;
	struct json_object *saved; /* what was last given to state */
	uint64_t saved_seq;
	struct saving *savings; /* operations that wait for the state file */
	sd_event_source *saving_timer;
	struct sampler *sampler;
	struct svc_control *control;
	struct svc_zmq *zmq;
	struct port_control *port_control;
	sd_event_source *stop_deadline;
	char status[320];   /* last told to the service manager */
	uint64_t status_us; /* and when */
};

/* manager.c */
int manager_new(struct manager **m, const char *config_file, const char *relay_program,
		struct config *cfg, struct err *err);
int manager_run(struct manager *m); /* until it was stopped; returns the exit status */
void manager_stop(struct manager *m);
void manager_free(struct manager *m);
/* All pairings, soon: after a change that others may wait for. */
void manager_run_all(struct manager *m);
void manager_path(const struct manager *m, char *buf, size_t size, const char *name);
uint64_t manager_now_us(const struct manager *m); /* monotonic */

/* manager_env.c: pairings touch the world through this. */
void manager_env_init(struct manager *m);
void manager_socket_gone(struct manager *m, struct pairing *p);
/* What a relay has told of a vDPA device; NULL: nothing new. */
void manager_take_mode(struct pairing *p, const char *mode, const char *reason);

/* manager_device.c: the devices of pairings. */
/* The PCI function that a name stands for now. */
bool device_resolve(const struct manager *m, const struct devname *dev, struct pci_addr *addr);
/* The functions that a device is now: none, one, or those of a bond's members; returns how many. */
size_t device_functions(const struct manager *m, const struct devname *dev,
			struct pci_addr addrs[BOND_MEMBERS_MAX]);
/* One of these is addr. */
bool device_has_function(const struct manager *m, const struct devname *dev,
			 const struct pci_addr *addr);
/* They are one device; of a bond: they have one in common. */
bool device_is_same(const struct manager *m, const struct devname *a, const struct devname *b);
/* The device as clients of 1.1 know it: a VF by its PCI address, whatever its name, and what stands
 * in for it by that one's, where the packets are. Returns
 * buf, which has DEVNAME_MAX bytes, or a text that lives as long as the wish. */
const char *device_shown(const struct manager *m, const struct pairing *p, char *buf);
/* An entry of VIO4WD_EXCLUDE is this function, or NULL. */
const char *device_is_excluded(const struct manager *m, const struct pci_addr *addr);
/* What VIO4WD_VF_OPTIONS says of a VF that is relay owner's (-1: nobody's); of one that stands in
 * for another, what it says of that. */
void device_vf_options(const struct manager *m, const struct vf *vf, int owner,
		       struct config_vf_options *options);
/* A device that another relay id is still opening or giving back. */
bool device_held_by_other(const struct pairing *p, struct err *err);
/* For struct pairing_env. */
int env_admit(struct pairing *p, const struct pairing_op *op, struct err *err);
void env_look(struct pairing *p);

/* relays.c: the processes as a whole. */
extern const struct relay_events manager_relay_events;
int relays_start(struct manager *m, struct err *err);
/* The process that serves p, with so many DPDK ports for its device, or has to; NULL with a reason
 * when there can be none. p->move is set when the endpoint must leave its process first. */
struct relay *relays_place(struct manager *m, struct pairing *p, unsigned int ports, int numa_node,
			   struct err *err);
/* At the end of a stop that has taken too long. */
void relays_abandon(struct manager *m);
/* Some process was found running and has not told yet what it serves. */
bool relays_unknown(const struct manager *m);
/* How many DPDK ports of a relay process a device takes. */
unsigned int relays_ports_of(const struct devname *dev);
unsigned int relays_ports(const struct manager *m, const struct relay *relay,
			  const struct pairing *except);
unsigned int relays_endpoints(const struct manager *m, const struct relay *relay);
/* After a change of the CPU mask or of the log level. */
void relays_set_cpus(struct manager *m);
void relays_set_log_level(struct manager *m, int level);

/* wishes.c: configuration and state file -> wishes. */
void wishes_from_config(struct manager *m);
void wishes_restore(struct manager *m);
struct json_object *wishes_to_json(const struct manager *m); /* what the state file holds */
/* There is something at a clean stop that the next start has to know: wishes that differ from the
 * configuration, VFs whose driver was changed, or that were made. */
bool wishes_worth_keeping(const struct manager *m);
/* Tells the differences between two configurations to the pairings. */
void wishes_reload(struct manager *m, const struct config *before);
/* The name users see (the alias where there is one) and the device behind it. */
int wishes_device(const struct manager *m, const char *text, struct pairing_wish *wish,
		  struct err *err);
/* The same for a bond of devices, each called by any of its names. */
int wishes_bond(const struct manager *m, const char *name, unsigned int mode,
		const char *const *members, size_t n, struct pairing_wish *wish, struct err *err);
/* The same for the device that is to be taken from p: it may be called by any of its names, and a
 * bond by its own or by one of its members'. */
int wishes_device_of(const struct manager *m, const struct pairing *p, const char *text,
		     struct pairing_wish *wish, struct err *err);
bool wishes_pin_is_worker(const struct manager *m, int cpu);

/* saving.c: operations are answered when what they changed is on disk. */
/* Calls fn when all that has changed until now is on disk, or at once when it is. */
void saving_then(struct manager *m, void (*fn)(void *userdata), void *userdata);
void saving_finish(struct pairing *p, struct pairing_op *op);
void saving_done(uint64_t seq, const struct err *err, void *userdata);
void saving_changed(struct manager *m); /* wishes may have changed without an operation */
void saving_flush(struct manager *m);

/* reload.c: reads the configuration again. Returns 0 or the error; warnings: array of texts. */
int manager_reload(struct manager *m, struct json_object *warnings, struct err *err);

/* startup.c: directories, lock, PID file. */
int startup_directories(struct manager *m, struct err *err);
int startup_lock(struct manager *m, struct err *err);
int startup_pid_file(struct manager *m, struct err *err);
void startup_limits(void);
void startup_clean(struct manager *m); /* at a clean stop: removes what was made */
/* Makes the directory of an ipc endpoint. */
int startup_ipc_directory(const char *endpoint, struct err *err);

static inline struct pairing_extra *manager_extra(const struct pairing *p)
{
	const struct manager *m = p->env->ctx;

	return &m->extra[p->id];
}

#endif
