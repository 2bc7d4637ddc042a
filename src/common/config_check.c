/* SPDX-License-Identifier: BSD-3-Clause */

/* What no variable can see alone. A field that is NULL was wrong itself, and enough was said. */
#include <string.h>

#include "common/config_report.h"
#include "common/config_table.h"

static unsigned int line_of(const struct config_parser *p, const char *name)
{
	return p->lines[config_var_find(name) - config_vars];
}

static void check_socket_path(struct config_parser *p)
{
	unsigned int line = line_of(p, "VIRTIOFWD_SOCKET_DIR");
	const char *name = "VIRTIOFWD_SOCKET_DIR";
	char path[CONFIG_SOCKET_PATH_MAX + 1];
	struct err err;

	if (!p->cfg->socket_dir || !p->cfg->socket_pattern)
		return;
	if (!line) {
		name = "VIRTIOFWD_SOCKET_FNAME_PATTERN";
		line = line_of(p, name);
	}
	if (config_socket_path(p->cfg, CONFIG_MAX_RELAYS - 1, path, &err) < 0)
		config_report_error(p->report, line, "%s: %s", name, err.text);
}

static void check_endpoints(struct config_parser *p)
{
	const struct {
		const char *name, *endpoint;
	} all[] = {
		{ "VIRTIOFWD_ZMQ_PORT_CONTROL_EP", p->cfg->zmq_port_control_ep },
		{ "VIRTIOFWD_ZMQ_STATS_EP", p->cfg->zmq_stats_ep },
		{ "VIRTIOFWD_ZMQ_CORE_SCHED_EP", p->cfg->zmq_core_sched_ep },
		{ "VIRTIOFWD_ZMQ_CONFIG_EP", p->cfg->zmq_config_ep },
	};

	for (size_t i = 1; i < sizeof(all) / sizeof(all[0]); i++)
		for (size_t j = 0; j < i; j++) {
			unsigned int line = line_of(p, all[i].name);

			if (!all[i].endpoint || !all[j].endpoint ||
			    strcmp(all[i].endpoint, all[j].endpoint))
				continue;
			config_report_error(
				p->report, line ? line : line_of(p, all[j].name),
				"%s: found %s, which %s has, too; allowed: an endpoint of "
				"its own, or empty",
				all[i].name, QUOTE(all[i].endpoint), all[j].name);
		}
}

/* Anybody who can reach the address could put packets into VMs. */
static void check_migration(struct config_parser *p)
{
	const char *listen = p->cfg->migration_listen, *name = "VIO4WD_MIGRATION_LISTEN";

	if (!listen || p->cfg->migration_key || line_of(p, "VIO4WD_MIGRATION_KEY"))
		return;
	if (!strncmp(listen, "127.", 4) || !strncmp(listen, "[::1]:", 6))
		return;
	config_report_error(
		p->report, line_of(p, name),
		"%s: found %s without VIO4WD_MIGRATION_KEY; allowed: a loopback address, "
		"or any address with keys",
		name, QUOTE(listen));
}

size_t config_offload_warnings(const struct config *cfg,
			       struct config_warning warnings[CONFIG_OFFLOAD_WARNINGS_MAX])
{
	size_t n = 0;

	if (cfg->zero_copy)
		warnings[n++] = (struct config_warning){
			"VIRTIOFWD_ZERO_COPY",
			"packets are copied: DPDK's vhost library can no longer send a VM's "
			"packets from where they are; set it to false",
		};
	if (cfg->jumbo && !cfg->mrgbuf)
		warnings[n++] = (struct config_warning){
			"VIRTIOFWD_MRGBUF",
			"off, with VIRTIOFWD_JUMBO: a VM whose driver gives buffers of 1500 bytes "
			"receives no longer packets, which are dropped and counted as too_long; "
			"set it to true",
		};
	return n;
}

static void check_offloads(struct config_parser *p)
{
	struct config_warning warnings[CONFIG_OFFLOAD_WARNINGS_MAX];
	const size_t n = config_offload_warnings(p->cfg, warnings);

	for (size_t i = 0; i < n; i++)
		config_report_warning(p->report, line_of(p, warnings[i].name), "%s: %s",
				      warnings[i].name, warnings[i].text);
}

void config_check(struct config_parser *p)
{
	check_offloads(p);
	check_socket_path(p);
	check_endpoints(p);
	check_migration(p);
}
