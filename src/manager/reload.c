/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Reading the configuration again. What a running service cannot change keeps its former value and
 * is named in a warning; for that such fields change places between the two configurations.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "manager/bindings.h"
#include "manager/manager.h"

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static void warn(json_object *warnings, const char *variable)
{
	char text[160];

	snprintf(text, sizeof(text), "%s has changed: it takes effect when vio4wd is restarted",
		 variable);
	json_object_array_add(warnings, json_object_new_string(text));
}

#define SWAP(a, b)                         \
	do {                               \
		__typeof__(a) swap_ = (a); \
		(a) = (b);                 \
		(b) = swap_;               \
	} while (0)
#define KEEP_TEXT(field, variable)                             \
	do {                                                   \
		if (!same_text(running->field, read->field)) { \
			SWAP(running->field, read->field);     \
			warn(warnings, variable);              \
		}                                              \
	} while (0)
#define KEEP_VALUE(field, variable)                        \
	do {                                               \
		if (running->field != read->field) {       \
			SWAP(running->field, read->field); \
			warn(warnings, variable);          \
		}                                          \
	} while (0)

static void keep_relay_options(struct config *running, struct config *read, json_object *warnings)
{
	KEEP_VALUE(master_lcore, "VIRTIOFWD_MASTER_LCORE");
	KEEP_TEXT(hugetlbfs_mount, "VIRTIOFWD_HUGETLBFS_MOUNT_POINT");
	KEEP_VALUE(jumbo, "VIRTIOFWD_JUMBO");
	KEEP_VALUE(mrgbuf, "VIRTIOFWD_MRGBUF");
	KEEP_VALUE(tso, "VIRTIOFWD_TSO");
	KEEP_VALUE(zero_copy, "VIRTIOFWD_ZERO_COPY");
	KEEP_TEXT(vfio_vf_token, "VIRTIOFWD_VFIO_VF_TOKEN");
	KEEP_VALUE(cpu_nic_same_numa, "VIRTIOFWD_CPU_NIC_SAME_NUMA");
	KEEP_VALUE(poll_mode, "VIO4WD_POLL_MODE");
	KEEP_VALUE(max_sleep_us, "VIO4WD_MAX_SLEEP_US");
	KEEP_VALUE(hugepages, "VIO4WD_HUGEPAGES");
}

static void keep_places(struct config *running, struct config *read, json_object *warnings)
{
	KEEP_TEXT(ovsdb_sock, "VIRTIOFWD_OVSDB_SOCK_PATH");
	KEEP_TEXT(socket_dir, "VIRTIOFWD_SOCKET_DIR");
	KEEP_TEXT(socket_pattern, "VIRTIOFWD_SOCKET_FNAME_PATTERN");
	KEEP_VALUE(dynamic_sockets, "VIRTIOFWD_DYNAMIC_SOCKETS");
	KEEP_VALUE(vhost_client, "VIRTIOFWD_VHOST_CLIENT");
	KEEP_TEXT(zmq_port_control_ep, "VIRTIOFWD_ZMQ_PORT_CONTROL_EP");
	KEEP_TEXT(zmq_stats_ep, "VIRTIOFWD_ZMQ_STATS_EP");
	KEEP_TEXT(zmq_core_sched_ep, "VIRTIOFWD_ZMQ_CORE_SCHED_EP");
	KEEP_TEXT(zmq_config_ep, "VIRTIOFWD_ZMQ_CONFIG_EP");
	KEEP_VALUE(ipc_port_control, "VIRTIOFWD_IPC_PORT_CONTROL");
	KEEP_VALUE(core_sched_enable, "VIO4WD_CORE_SCHED_ENABLE");
	KEEP_TEXT(pid_dir, "VIRTIOFWD_PID_DIR");
	KEEP_TEXT(runtime_dir, "VIO4WD_RUNTIME_DIR");
	KEEP_TEXT(metrics_listen, "VIO4WD_METRICS_LISTEN");
}

/* A change of NUMA nodes would need other processes. */
static void keep_nodes(struct manager *m, struct config *running, struct config *read,
		       json_object *warnings)
{
	for (int cpu = cpuset_next(&read->cpu_mask, 0); cpu >= 0;
	     cpu = cpuset_next(&read->cpu_mask, cpu + 1)) {
		bool known = false;

		for (size_t i = 0; i < m->n_nodes; i++)
			known |= m->nodes[i] == cpu_numa_node(m->root, cpu);
		if (!known) {
			SWAP(running->cpu_mask, read->cpu_mask);
			warn(warnings, "VIRTIOFWD_CPU_MASK (it adds a NUMA node)");
			return;
		}
	}
}

static int refused(const struct manager *m, const struct config_report *report, struct err *err)
{
	const struct config_issue *first = NULL;

	for (size_t i = 0; i < report->n_issues; i++) {
		const struct config_issue *issue = &report->issues[i];

		if (!issue->is_error)
			continue;
		log_error("%s:%u: %s", m->config_file, issue->line, issue->text);
		if (!first)
			first = issue;
	}
	return err_set(err, -EINVAL, "configuration",
		       "%s:%u: %.300s (%zu error%s in all); the running configuration stays",
		       m->config_file, first ? first->line : 0,
		       first ? first->text : "cannot be read", report->n_errors,
		       report->n_errors == 1 ? "" : "s");
}

static void apply(struct manager *m, struct config *before)
{
	if (before->log_level != m->cfg->log_level) {
		log_set_level(m->cfg->log_level);
		relays_set_log_level(m, m->cfg->log_level);
	}
	if (memcmp(&before->cpu_mask, &m->cfg->cpu_mask, sizeof(before->cpu_mask)))
		relays_set_cpus(m);
	if (!same_text(before->socket_owner, m->cfg->socket_owner) ||
	    !same_text(before->socket_group, m->cfg->socket_group))
		socket_owner_find(&m->owner, m->cfg->socket_owner, m->cfg->socket_group);
	spares_retry(m);
	wishes_reload(m, before);
	bindings_retry(m->bindings);
	manager_run_all(m);
}

int manager_reload(struct manager *m, json_object *warnings, struct err *err)
{
	struct config_report report = { 0 };
	struct config *before = m->cfg, *read = NULL;
	int rc;

	rc = config_read(m->config_file, m->root, &read, &report);
	if (rc < 0) {
		refused(m, &report, err);
		log_error("reload: %s", err->text);
		config_report_free(&report);
		return rc;
	}
	for (size_t i = 0; i < report.n_issues; i++)
		json_object_array_add(warnings, json_object_new_string(report.issues[i].text));
	config_report_free(&report);
	keep_relay_options(before, read, warnings);
	keep_places(before, read, warnings);
	keep_nodes(m, before, read, warnings);
	m->cfg = read;
	m->setup.cfg = read;
	apply(m, before);
	config_free(before);
	for (size_t i = 0; i < json_object_array_length(warnings); i++)
		log_warning("reload: %s",
			    json_object_get_string(json_object_array_get_idx(warnings, i)));
	log_notice("configuration %s read again", m->config_file);
	return 0;
}
