/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/relay_json.h"

#include <stdio.h>
#include <string.h>

#include "manager/json_util.h"
#include "manager/vdpa_make.h"
#include "manager/vdpas.h"

static const char *const direction_names[N_DIRECTIONS] = { "vf_to_vm", "vm_to_vf" };

static const struct sampler_endpoint *counters(unsigned int id, const struct sampler_view *view)
{
	static const struct sampler_endpoint none;

	return view && view->endpoints[id].known ? &view->endpoints[id] : &none;
}

static const struct sampler_rates *rates(unsigned int id, const struct sampler_view *view, int d)
{
	static const struct sampler_rates none;

	return view ? &view->rates[id][d] : &none;
}

static json_object *short_rates(unsigned int id, const struct sampler_view *view)
{
	json_object *json = json_object_new_object();

	for (int d = 0; d < N_DIRECTIONS; d++) {
		json_object *direction = json_object_new_object();

		json_put_number(direction, "packets", rates(id, view, d)->packets_out);
		json_put_number(direction, "bytes", rates(id, view, d)->bytes_out);
		json_object_object_add(json, direction_names[d], direction);
	}
	return json;
}

static json_object *short_drops(unsigned int id, const struct sampler_view *view)
{
	const struct sampler_endpoint *endpoint = counters(id, view);
	json_object *json = json_object_new_object();

	for (int d = 0; d < N_DIRECTIONS; d++) {
		uint64_t sum = 0;

		for (int i = 0; i < N_DROPS; i++)
			sum += endpoint->counts[d].drop_packets[i];
		json_put_int(json, direction_names[d], sum);
	}
	return json;
}

static json_object *cpus_json(const struct manager *m, unsigned int id)
{
	json_object *endpoint = sampler_endpoint_json(m->sampler, id);
	json_object *json = json_object_new_object();

	for (int d = 0; d < N_DIRECTIONS; d++) {
		json_object *direction =
			json_get_member(endpoint, direction_names[d], json_type_object);
		json_object *cpus = json_get_member(direction, "cpus", json_type_array);

		json_object_object_add(json, direction_names[d],
				       cpus ? json_object_get(cpus) : json_object_new_array());
	}
	return json;
}

/* What its socket does not offer, because hardware and software have to be able to serve the VM. */
static void put_masked(json_object *json, const struct manager *m, const struct pairing *p)
{
	json_object *device = json_get_member(sampler_endpoint_json(m->sampler, p->id), "device",
					      json_type_object);

	json_put_shared(json, "masked", json_get_member(device, "masked", json_type_array));
}

static bool hardware_serves(const struct pairing *p)
{
	return p->seen.device.text[0] && p->seen.backend != POLICY_SOFTWARE;
}

/* Attached by vDPA: who serves the rings, and what is known of the device; else null. */
static json_object *vdpa_json(const struct manager *m, const struct pairing *p)
{
	const struct pairing_extra *extra = &m->extra[p->id];
	json_object *device = json_get_member(sampler_endpoint_json(m->sampler, p->id), "device",
					      json_type_object);
	/* DPDK's has neither a name nor a file. */
	const bool dpdk = p->seen.backend == POLICY_DPDK_VDPA;
	char name[VDPA_NAME_MAX], path[VDPA_PATH_MAX];
	json_object *json;

	if (!pairing_is_handed_out(p) && !hardware_serves(p))
		return NULL;
	json = json_object_new_object();
	json_put_text(json, "device", dpdk ? NULL : vdpa_name(p->id, name));
	json_put_text(json, "path",
		      dpdk || vdpas_path(p, path, sizeof(path), NULL) < 0 ? NULL : path);
	json_put_text(json, "mode", p->wish.handed_out ? NULL : extra->mode);
	json_put_text(json, "mode_reason", p->wish.handed_out ? NULL : extra->mode_reason);
	json_put_shared(json, "switches", json_get_member(device, "switches", json_type_int));
	json_put_shared(json, "last_switch_us",
			json_get_member(device, "last_switch_us", json_type_int));
	return json;
}

/* What is to be told of a vDPA device that nothing is wrong with is who serves its VM, and why;
 * without a VM, why it was chosen. */
static void reason_of(const struct manager *m, const struct pairing *p, char *buf, size_t size)
{
	const struct pairing_extra *extra = &m->extra[p->id];

	if (pairing_settles(p) && !pairing_failure(p) && p->seen.link)
		snprintf(buf, size,
			 "software: %s was lost and is back; hardware serves when it has been "
			 "there for %u s (VIO4WD_VDPA_STABLE_SECONDS)",
			 p->wish.name, m->cfg->vdpa_stable_s);
	else if (hardware_serves(p) && p->seen.link && !pairing_failure(p) && !p->waiting[0] &&
		 extra->mode_reason[0] && strcmp(extra->mode, "idle") != 0)
		snprintf(buf, size, "%s: %s", extra->mode, extra->mode_reason);
	else
		pairing_reason(p, buf, size);
}

static void put_state(json_object *json, const struct manager *m, const struct pairing *p)
{
	const uint64_t now = manager_now_us(m);
	const struct pairing_failure *failure = pairing_failure(p);
	char reason[sizeof(failure->error.text)];

	reason_of(m, p, reason, sizeof(reason));
	json_put_text(json, "state", pairing_state_name(p->state));
	json_put_text(json, "reason", reason);
	if (failure && failure->retry_at_us > now)
		json_put_number(json, "next_try_s", (failure->retry_at_us - now) / 100000 / 10.0);
	else
		json_put_shared(json, "next_try_s", NULL);
}

json_object *relay_json(const struct manager *m, unsigned int id, const struct sampler_view *view)
{
	const struct pairing *p = &m->pairings[id];
	char text[PCI_ADDR_STRLEN];
	struct pci_addr addr;
	json_object *json = json_id(id);
	json_object *vm =
		json_get_member(sampler_endpoint_json(m->sampler, id), "vm", json_type_object);

	json_put_text(json, "device", p->wish.has_device ? p->wish.name : NULL);
	json_object_object_add(json, "bond", bonds_json(p));
	json_put_text(json, "stand_in", pairing_has_stand_in(p) ? p->stand_in.text : NULL);
	json_put_text(json, "address",
		      p->wish.has_device && device_resolve(m, pairing_target(p), &addr)
			      ? pci_addr_format(&addr, text)
			      : NULL);
	json_put_text(json, "backend",
		      pairing_is_handed_out(p) ? policy_backend_name(POLICY_VDPA)
		      : p->seen.device.text[0] ? policy_backend_name(p->seen.backend)
					       : NULL);
	json_put_text(json, "backend_wanted", config_backend_name(p->wish.backend));
	json_object_object_add(json, "vdpa", vdpa_json(m, p));
	put_masked(json, m, p);
	put_state(json, m, p);
	json_put_text(json, "as", p->wish.handed_out ? "vhost-vdpa" : "socket");
	json_put_text(json, "socket",
		      p->wish.handed_out  ? NULL
		      : p->seen.socket[0] ? p->seen.socket
		      : p->wish.socket[0] ? p->wish.socket
					  : NULL);
	json_put_text(json, "mode", m->cfg->vhost_client ? "client" : "server");
	json_put_bool(json, "vm", p->seen.vm);
	json_put_int(json, "queues", p->seen.vm ? json_get_int(vm, "queues", 0) : 0);
	json_object_object_add(json, "cpus", cpus_json(m, id));
	json_put_bool(json, "pinned", p->wish.pin[VF_TO_VM] >= 0 || p->wish.pin[VM_TO_VF] >= 0);
	if (p->seen.relay)
		json_put_int(json, "process", p->seen.relay->number);
	else
		json_put_shared(json, "process", NULL);
	json_put_text(json, "origin", pairing_origin_name(p->wish.origin));
	json_put_text(json, "interface", p->wish.port[0] ? p->wish.port : NULL);
	json_put_bool(json, "link", p->seen.link);
	json_object_object_add(json, "rates", short_rates(id, view));
	json_object_object_add(json, "drops", short_drops(id, view));
	return json;
}

static json_object *warnings_json(const struct config *cfg)
{
	struct config_warning warnings[CONFIG_OFFLOAD_WARNINGS_MAX];
	const size_t n = config_offload_warnings(cfg, warnings);
	json_object *list = json_object_new_array();
	char text[300];

	for (size_t i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "%s: %s", warnings[i].name, warnings[i].text);
		json_object_array_add(list, json_object_new_string(text));
	}
	return list;
}

static json_object *history_json(const struct pairing *p)
{
	const unsigned int first =
		p->n_history > PAIRING_HISTORY ? p->n_history - PAIRING_HISTORY : 0;
	json_object *history = json_object_new_array();

	for (unsigned int i = first; i < p->n_history; i++) {
		const struct pairing_event *e = &p->history[i % PAIRING_HISTORY];
		json_object *event = json_object_new_object();

		json_put_int(event, "time", e->time_s);
		json_put_text(event, "text", e->text);
		json_object_array_add(history, event);
	}
	return history;
}

json_object *relay_show_json(const struct manager *m, unsigned int id,
			     const struct sampler_view *view)
{
	json_object *endpoint = sampler_endpoint_json(m->sampler, id);
	json_object *json = relay_json(m, id, view);

	json_put_shared(json, "vm_detail", json_get_member(endpoint, "vm", json_type_object));
	json_put_shared(json, "device_detail",
			json_get_member(endpoint, "device", json_type_object));
	json_put_shared(json, "lanes", json_get_member(endpoint, "lanes", json_type_array));
	json_object_object_add(json, "warnings", warnings_json(m->cfg));
	json_object_object_add(json, "history", history_json(&m->pairings[id]));
	return json;
}

static json_object *direction_json(const struct sampler_endpoint *endpoint,
				   const struct sampler_rates *r, int d)
{
	const struct sampler_counts *counts = &endpoint->counts[d];
	json_object *json = json_object_new_object();
	json_object *drops = json_object_new_object();
	json_object *per_second = json_object_new_object();

	json_put_bool(json, "active", endpoint->active[d]);
	json_put_int(json, "packets_in", counts->packets_in);
	json_put_int(json, "bytes_in", counts->bytes_in);
	json_put_int(json, "packets_out", counts->packets_out);
	json_put_int(json, "bytes_out", counts->bytes_out);
	for (int i = 0; i < N_DROPS; i++) {
		json_object *drop = json_object_new_object();

		json_put_int(drop, "packets", counts->drop_packets[i]);
		json_put_int(drop, "bytes", counts->drop_bytes[i]);
		json_object_object_add(drops, sampler_drop_names[i], drop);
	}
	json_object_object_add(json, "drops", drops);
	json_put_number(per_second, "packets_in", r->packets_in);
	json_put_number(per_second, "bytes_in", r->bytes_in);
	json_put_number(per_second, "packets_out", r->packets_out);
	json_put_number(per_second, "bytes_out", r->bytes_out);
	json_object_object_add(json, "rates", per_second);
	return json;
}

json_object *stats_json(const struct manager *m, unsigned int id, const struct sampler_view *view)
{
	const struct sampler_endpoint *endpoint = counters(id, view);
	const struct pairing *p = &m->pairings[id];
	json_object *json = json_id(id);

	json_put_text(json, "device", p->wish.has_device ? p->wish.name : NULL);
	for (int d = 0; d < N_DIRECTIONS; d++)
		json_object_object_add(json, direction_names[d],
				       direction_json(endpoint, rates(id, view, d), d));
	return json;
}

/* Resident memory and the hugepages it holds. */
static int64_t memory_kb(pid_t pid)
{
	char path[64], line[256];
	int64_t sum = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = pid ? fopen(path, "re") : NULL;
	while (f && fgets(line, sizeof(line), f)) {
		long long kb;

		if (sscanf(line, "VmRSS: %lld", &kb) == 1 ||
		    sscanf(line, "HugetlbPages: %lld", &kb) == 1)
			sum += kb;
	}
	if (f)
		fclose(f);
	return sum;
}

json_object *process_json(const struct manager *m, unsigned int number)
{
	const struct relay *relay = m->processes[number];
	json_object *snapshot = sampler_process_json(m->sampler, number);
	json_object *json = json_object_new_object();
	json_object *workers = json_get_member(snapshot, "workers", json_type_array);

	json_put_int(json, "process", number);
	json_put_int(json, "pid", relay->pid);
	json_put_text(json, "state", relay_state_name(relay->state));
	json_put_text(json, "reason", relay->reason);
	json_put_int(json, "numa_node", relay->numa_node);
	json_put_int(json, "restarts", relay->restarts);
	json_put_int(json, "started", relay->started);
	json_put_int(json, "ports", relays_ports(m, relay, NULL));
	json_put_int(json, "max_ports", relay->max_ports);
	json_put_int(json, "endpoints", relays_endpoints(m, relay));
	json_put_int(json, "memory_kb", memory_kb(relay->pid));
	json_object_object_add(json, "workers",
			       workers ? json_object_get(workers) : json_object_new_array());
	json_put_shared(json, "resources",
			json_get_member(snapshot, "resources", json_type_object));
	return json;
}
