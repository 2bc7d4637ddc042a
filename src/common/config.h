/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The configuration file, /etc/default/virtioforwarder: shell-style assignments that are parsed and
 * never executed. Every program of the project reads it through this module; what each variable
 * means is in virtioforwarder(5), which is written from the same table as the parser.
 */
#ifndef VIO4WD_CONFIG_H
#define VIO4WD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cpuset.h"
#include "common/devname.h"
#include "common/err.h"

#define CONFIG_DEFAULT_FILE "/etc/default/virtioforwarder"
#define CONFIG_MAX_RELAYS 64	   /* default number of relay ids, 0..63 as in 1.1 */
#define CONFIG_LIST_MAX 1024	   /* entries of a list */
#define CONFIG_SOCKET_PATH_MAX 107 /* sizeof(sockaddr_un.sun_path) - 1 */

enum config_backend { CONFIG_BACKEND_AUTO, CONFIG_BACKEND_VDPA, CONFIG_BACKEND_SW };
enum config_poll_mode { CONFIG_POLL_ADAPTIVE, CONFIG_POLL_BUSY };

struct config_pairing { /* VIRTIOFWD_STATIC_VFS */
	char *device;	/* as written, an alias possibly */
	unsigned int id;
};

struct config_pin { /* VIRTIOFWD_CPU_PINS */
	unsigned int id;
	unsigned int vf_to_vm; /* CPU numbers; both the same when one was given */
	unsigned int vm_to_vf;
};

struct config_bind { /* VIRTIOFWD_BIND_VFIO_PCI: an address, or a netdev's VFs */
	bool is_pci;
	struct pci_addr pci;
	char netdev[16];
	unsigned int count; /* of the netdev's VFs; 0 = all */
};

struct config_auto_vfs { /* VIO4WD_AUTO_VFS: VF n of pf is relay first_id + n */
	char *pf;
	unsigned int first_id;
};

struct config_num_vfs { /* VIO4WD_NUM_VFS */
	char *pf;
	unsigned int count;
};

struct config_vf_options { /* VIO4WD_VF_OPTIONS: what a VF is to be like when it is used */
	char *device; /* canonical: a VF, or a PF (interface or address), which is all of its VFs */
	bool has_mac; /* of a single VF only */
	uint8_t mac[6];
	unsigned int queues; /* pairs that its VM may have; 0: as many as there are */
	int vlan;	     /* 1..4094, 0: none; -1: not given, here and below */
	int qos;	     /* 0..7 */
	int trust;	     /* 0 or 1 */
	int spoofchk;	     /* 0 or 1 */
};

#define CONFIG_QUEUES_MAX 32 /* pairs that a VM is offered */

struct config_spare { /* VIO4WD_SPARE_VFS */
	struct devname device;
	char *pf; /* for whose VFs: canonical; NULL: of its own PF */
};

#define CONFIG_VF_OPTIONS_UNSET                                    \
	{                                                          \
		.vlan = -1, .qos = -1, .trust = -1, .spoofchk = -1 \
	}

struct config_node_pages {  /* VIO4WD_NR_HUGEPAGES */
	int node;	    /* -1: the kernel spreads them */
	unsigned int pages; /* of 2 MiB */
};

struct config_alias { /* VIO4WD_ALIASES */
	char *name;   /* canonical spelling when it is a PCI address */
	struct devname device;
};

struct config {
	char *file; /* where it was read from */

	struct cpuset cpu_mask; /* shrunk to what the host has when it is the default */
	bool cpu_mask_is_default;
	int master_lcore;
	int log_level;
	char *ovsdb_sock;
	char *hugetlbfs_mount;
	char *socket_owner; /* a name, a number, or "": the daemon's own */
	char *socket_group;
	char *socket_dir;
	char *socket_pattern; /* exactly one %u */
	struct config_pairing *static_vfs;
	size_t n_static_vfs;
	struct config_pin *cpu_pins;
	size_t n_cpu_pins;
	bool dynamic_sockets;
	bool vhost_client;
	bool jumbo;
	bool mrgbuf;
	bool tso;
	bool zero_copy;
	char *zmq_port_control_ep; /* NULL when the variable is empty: the endpoint is not opened */
	char *zmq_stats_ep;
	char *zmq_core_sched_ep;
	char *zmq_config_ep;
	bool ipc_port_control;
	struct config_bind *bind_vfio_pci;
	size_t n_bind_vfio_pci;
	char *vfio_vf_token; /* NULL or a UUID; "0" has become the well-known token */
	bool cpu_nic_same_numa;
	char *pid_dir;

	bool core_sched_enable;
	double core_sched_sensitivity;
	int core_sched_log_level;
	unsigned int core_sched_poll_interval; /* seconds */
	bool core_sched_global_numa_opt;

	enum config_backend backend;
	struct config_auto_vfs *auto_vfs;
	size_t n_auto_vfs;
	struct config_num_vfs *num_vfs;
	size_t n_num_vfs;
	struct config_vf_options *vf_options; /* in the order of the file: later ones win */
	size_t n_vf_options;
	struct config_node_pages *nr_hugepages; /* none: the host's own number stays */
	size_t n_nr_hugepages;
	char **exclude; /* device names, canonical */
	size_t n_exclude;
	struct config_spare *spare_vfs;
	size_t n_spare_vfs;
	struct config_alias *aliases;
	size_t n_aliases;
	char *uio_driver;
	enum config_poll_mode poll_mode;
	unsigned int max_sleep_us;
	unsigned int vdpa_stable_s;
	bool hugepages;
	char *metrics_listen;
	char *runtime_dir;
	char *migration_listen;
	char *migration_key;
	char *migration_peers;
};

/* One line of config_read's report. */
struct config_issue {
	bool is_error;	   /* else a warning */
	unsigned int line; /* 0 when it is about the whole file */
	char text[480];	   /* "VIRTIOFWD_CPU_MASK: '1,x' ...: found .., allowed .." without file and
			      line */
};

struct config_report {
	struct config_issue *issues;
	size_t n_issues;
	size_t n_errors;
};

/*
 * Reads file (all of it: every error is reported, not only the first). root is prepended to the
 * sysfs paths that are looked at ("" for the host itself). *cfg is set when there was no error and
 * is freed with config_free; report is filled in both cases and freed with config_report_free.
 * Returns 0, -EINVAL when there was an error, or the negative errno of opening the file (which is
 * in the report, too).
 */
int config_read(const char *file, const char *root, struct config **cfg,
		struct config_report *report);
void config_free(struct config *cfg);
void config_report_free(struct config_report *report);

/*
 * Of a valid configuration: what of the offloads of packets works, and not as the variables say.
 * Returns how many there are; the texts are constants.
 */
#define CONFIG_OFFLOAD_WARNINGS_MAX 2
struct config_warning {
	const char *name; /* of the variable */
	const char *text; /* what holds, and what to do */
};
size_t config_offload_warnings(const struct config *cfg,
			       struct config_warning warnings[CONFIG_OFFLOAD_WARNINGS_MAX]);

/* The configuration in force as a JSON object, variable -> value, in the order of the table.
 * The caller owns the result. */
struct json_object;
struct json_object *config_to_json(const struct config *cfg);

/* Resolves an alias (of VIO4WD_ALIASES) or parses the name itself. */
int config_resolve_device(const struct config *cfg, const char *text, struct devname *dev,
			  struct err *err);

/* The name under which users know a device: its alias, else its canonical spelling. Lives as long
 * as cfg and dev. */
const char *config_device_name(const struct config *cfg, const struct devname *dev);

/* The socket path of a relay id: directory and pattern put together; checked to fit. */
int config_socket_path(const struct config *cfg, unsigned int id,
		       char path[CONFIG_SOCKET_PATH_MAX + 1], struct err *err);

/*
 * What VIO4WD_VF_OPTIONS says of VF number index of a PF, all entries taken together: those of the
 * VF win over those of its PF, and later ones of the file over earlier ones; a VLAN and its qos are
 * one thing. A MAC address counts for the VF only, never for all VFs of a PF. Whatever names the VF
 * may be NULL or "": vf_name ("ens3.vf2"), vf_address and pf_address (canonical), pf_netdev.
 * merged->device is NULL: there is nothing to free.
 */
void config_vf_options_of(const struct config *cfg, const char *vf_name, const char *vf_address,
			  const char *pf_netdev, const char *pf_address, unsigned int index,
			  struct config_vf_options *merged);

/*
 * Does the configuration name this VF: VIRTIOFWD_STATIC_VFS, VIO4WD_SPARE_VFS, an alias that leads
 * to it, VIRTIOFWD_BIND_VFIO_PCI, or VIO4WD_AUTO_VFS or VIO4WD_NUM_VFS with its PF? False when
 * VIO4WD_EXCLUDE names it or its PF. The VF is named as above.
 */
bool config_uses(const struct config *cfg, const char *vf_name, const char *vf_address,
		 const char *pf_netdev, const char *pf_address, unsigned int index);

enum config_use { CONFIG_UNUSED, CONFIG_USED, CONFIG_EXCLUDED };
/* The same, and in words which variable says so; why may be NULL. */
#define CONFIG_WHY_MAX 600
enum config_use config_use_of(const struct config *cfg, const char *vf_name, const char *vf_address,
			      const char *pf_netdev, const char *pf_address, unsigned int index,
			      char why[CONFIG_WHY_MAX]);
/* The same for what is no VF: a PF (its VFs by PF.vfN count, those by address are to be asked for
 * one by one), or a function or an interface by itself. Either name may be NULL. */
enum config_use config_use_of_device(const struct config *cfg, const char *netdev,
				     const char *address, char why[CONFIG_WHY_MAX]);

const char *config_backend_name(enum config_backend backend); /* "auto", "vdpa", "sw" */
int config_backend_parse(const char *text, enum config_backend *backend);

#endif
