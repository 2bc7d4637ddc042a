/* SPDX-License-Identifier: BSD-3-Clause */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "compat11/compat11.h"

#define DELAY_MAX 3600000

typedef Virtioforwarder__RelayState State;

static struct arg args[] = {
	ARG_ENDPOINT("stats-ep", "stats"),
	{ .name = "include-inactive", .kind = ARG_FLAG, .help = "relays without VM or device too" },
	{ .name = "delay",
	  .kind = ARG_UINT,
	  .max = DELAY_MAX,
	  .value = "MS",
	  .help = "the window of the rates, in ms (default: 200)" },
	{ .name = "output-format",
	  .kind = ARG_TEXT,
	  .value = "FORMAT",
	  .help = "flat (default) or protobuf" },
	{ .name = "suppress-zero",
	  .letter = 'z',
	  .kind = ARG_FLAG,
	  .help = "no counters that are 0 (flat only)" },
	{ .name = NULL },
};

struct place { /* what is in front of a name */
	uint32_t relay;
	const char *group;
	bool suppress_zero;
};

static void print_word(const struct place *at, const char *name, const char *value)
{
	printf("relay_%u.%s.%s=%s\n", at->relay, at->group, name, value);
}

static void print_count(const struct place *at, const char *name, protobuf_c_boolean has,
			uint64_t value)
{
	if (has && (value || !at->suppress_zero))
		printf("relay_%u.%s.%s=%" PRIu64 "\n", at->relay, at->group, name, value);
}

static void print_cpu(const struct place *at, const char *name, protobuf_c_boolean has,
		      int32_t value)
{
	if (has && (value || !at->suppress_zero))
		printf("relay_%u.%s.%s=%d\n", at->relay, at->group, name, value);
}

static void print_rate(const struct place *at, const char *name, double value)
{
	char buf[REAL_TEXT_MAX];

	print_word(at, name, text_real(value, buf));
}

static const char *flag(protobuf_c_boolean value)
{
	return value ? "True" : "False";
}

/* The group of a direction's numbers names its CPU. */
static void name_group(char *group, size_t size, const char *direction, protobuf_c_boolean has,
		       int32_t cpu)
{
	if (has)
		snprintf(group, size, "%s.cpu_%d", direction, cpu);
	else
		snprintf(group, size, "%s", direction);
}

#define COUNT(at, message, field) print_count(at, #field, (message)->has_##field, (message)->field)
#define RATE(at, message, field) print_rate(at, #field, (message)->field)

static void print_vf_to_vm(const State *s, struct place at)
{
	const Virtioforwarder__RelayState__VFtoVM *up = s->vf_to_vm;
	char group[40];

	at.group = "vf_to_vm";
	print_word(&at, "active", flag(up->active));
	print_word(&at, "internal_state", up->internal_state);
	name_group(group, sizeof(group), "vf_to_vm", s->cpu && s->cpu->has_vf_to_vm,
		   s->cpu ? s->cpu->vf_to_vm : 0);
	at.group = group;
	COUNT(&at, up, pkts_rx_from_vf);
	COUNT(&at, up, bytes_rx_from_vf);
	COUNT(&at, up, pkts_tx_to_vm);
	COUNT(&at, up, bytes_tx_to_vm);
	RATE(&at, up, pkt_rate_rx_from_vf);
	RATE(&at, up, byte_rate_rx_from_vf);
	RATE(&at, up, pkt_rate_tx_to_vm);
	RATE(&at, up, byte_rate_tx_to_vm);
	COUNT(&at, up, pkts_dropped_vm_queue_full);
	COUNT(&at, up, bytes_dropped_vm_queue_full);
	COUNT(&at, up, pkts_dropped_vm_not_connected);
	COUNT(&at, up, bytes_dropped_vm_not_connected);
}

static void print_vm_to_vf(const State *s, struct place at)
{
	const Virtioforwarder__RelayState__VMtoVF *down = s->vm_to_vf;
	char group[40];

	at.group = "vm_to_vf";
	print_word(&at, "active", flag(down->active));
	print_word(&at, "internal_state", down->internal_state);
	name_group(group, sizeof(group), "vm_to_vf", s->cpu && s->cpu->has_vm_to_vf,
		   s->cpu ? s->cpu->vm_to_vf : 0);
	at.group = group;
	COUNT(&at, down, pkts_rx_from_vm);
	COUNT(&at, down, bytes_rx_from_vm);
	COUNT(&at, down, pkts_tx_to_vf);
	COUNT(&at, down, bytes_tx_to_vf);
	RATE(&at, down, pkt_rate_rx_from_vm);
	RATE(&at, down, byte_rate_rx_from_vm);
	RATE(&at, down, pkt_rate_tx_to_vf);
	RATE(&at, down, byte_rate_tx_to_vf);
	COUNT(&at, down, pkts_dropped_vf_queue_full);
	COUNT(&at, down, bytes_dropped_vf_queue_full);
	COUNT(&at, down, pkts_dropped_vf_not_connected);
	COUNT(&at, down, bytes_dropped_vf_not_connected);
}

static void print_flat(const State *s, bool suppress_zero)
{
	struct place at = { s->id, NULL, suppress_zero };

	printf("relay_%u.active=%s\n", s->id, flag(s->active));
	at.group = "cpu";
	if (s->cpu) {
		print_cpu(&at, "vf_to_vm", s->cpu->has_vf_to_vm, s->cpu->vf_to_vm);
		print_cpu(&at, "vm_to_vf", s->cpu->has_vm_to_vf, s->cpu->vm_to_vf);
	}
	at.group = "vf";
	if (s->vf && s->vf->pci_addr_str)
		print_word(&at, "pci_addr_str", s->vf->pci_addr_str);
	at.group = "vhost";
	print_word(&at, "vhost_socket_name", s->vhost->vhost_socket_name);
	print_vf_to_vm(s, at);
	print_vm_to_vf(s, at);
}

int compat11_stats(int argc, char **argv)
{
	const struct arg *delay = args_find(args, "delay");
	Virtioforwarder__StatsResponse *response;
	const char *format;
	int status =
		args_parse(argc, argv, args, "", "Prints the counters of vio4wd's relays.", NULL);

	if (status >= 0)
		return status;
	format = args_text(args, "output-format", "flat");
	if (strcmp(format, "flat") && strcmp(format, "protobuf")) {
		fprintf(stderr, "%s: error: --output-format is '%s'; there are flat and protobuf\n",
			argv[0], format);
		return 2;
	}
	response = call_stats(args_text(args, "stats-ep", ENDPOINT_DIR "stats"),
			      args_find(args, "include-inactive")->given,
			      delay->given ? delay->number : 200);
	if (!response)
		return 1;
	if (!strcmp(format, "protobuf")) {
		text_format_print(&response->base);
		putchar('\n');
	}
	for (size_t i = 0; strcmp(format, "protobuf") && i < response->n_relay; i++)
		print_flat(response->relay[i], args_find(args, "suppress-zero")->given);
	virtioforwarder__stats_response__free_unpacked(response, NULL);
	return 0;
}
