/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdio.h>
#include <stdlib.h>

#include "compat11/compat11.h"
#include "wire/zmq_client.h"

typedef Virtioforwarder__StatsResponse Stats;
typedef Virtioforwarder__CoreSchedRequest Request;
typedef Virtioforwarder__CoreSchedRequest__RelayCPU Entry;
typedef Virtioforwarder__CoreSchedResponse Response;

static struct arg args[] = {
	{ .name = "virtio-cpu",
	  .kind = ARG_LIST,
	  .value = "RN:Ci,Cj",
	  .help = "serve relay RN by CPU Ci (VM to VF) and Cj (VF to VM); repeatable" },
	{ .name = "print-core-map", .kind = ARG_FLAG, .help = "print who is where, and end" },
	ARG_ENDPOINT("stats-ep", "stats"),
	ARG_ENDPOINT("sched-ep", "core_sched"),
	{ .name = NULL },
};

/* The relay whose direction is the i-th on that CPU, or -1. */
static int relay_on(const Stats *stats, uint32_t cpu, size_t i, bool vm_to_vf)
{
	for (size_t k = 0; k < stats->n_relay; k++) {
		const Virtioforwarder__RelayState__CPU *at = stats->relay[k]->cpu;
		const bool here = at && (vm_to_vf ? at->has_vm_to_vf : at->has_vf_to_vm) &&
				  (uint32_t)(vm_to_vf ? at->vm_to_vf : at->vf_to_vm) == cpu;

		if (here && i-- == 0)
			return stats->relay[k]->id;
	}
	return -1;
}

/* A line ends where its last word does. */
struct line {
	char text[16384];
	size_t length, end;
};

static void line_add(struct line *line, size_t spaces, const char *word)
{
	const size_t room = sizeof(line->text) - line->length;
	const int n = snprintf(line->text + line->length, room, "%s%*s", word, (int)spaces, "");

	if (n < 0 || (size_t)n >= room)
		return;
	if (*word && *word != ' ')
		line->end = line->length + n - spaces;
	line->length += n;
}

static void line_print(const struct line *line)
{
	printf("%.*s\n", (int)line->end, line->text);
}

static void print_ruler(size_t n_workers)
{
	const size_t width = n_workers ? 11 * n_workers - 3 : 0;

	for (size_t i = 0; i < width; i++)
		putchar('=');
	putchar('\n');
}

static bool print_row(const Stats *stats, const Response *cores, size_t row)
{
	struct line line = { .length = 0 };

	for (size_t i = 0; i < cores->n_eal_cores; i++) {
		char words[2][12] = { "  ", "  " };

		for (unsigned int d = 0; d < 2; d++) {
			const int id = relay_on(stats, cores->eal_cores[i], row, d == 0);

			if (id >= 0)
				snprintf(words[d], sizeof(words[d]), "%02d", id);
		}
		line_add(&line, 4, words[0]);
		line_add(&line, 3, words[1]);
	}
	if (line.end)
		line_print(&line);
	return line.end;
}

/* A column for each worker: on the left whose VM-to-VF direction it serves, on the right VF to VM.
 */
static void print_map(const Stats *stats, const Response *cores)
{
	struct line line = { .length = 0 };

	print_ruler(cores->n_eal_cores);
	for (size_t i = 0; i < cores->n_eal_cores; i++) {
		char word[24];

		snprintf(word, sizeof(word), "== %02u ==", cores->eal_cores[i]);
		line_add(&line, 3, word);
	}
	line_print(&line);
	for (size_t row = 0; print_row(stats, cores, row); row++)
		;
	print_ruler(cores->n_eal_cores);
}

static bool read_entry(Entry *entry, const char *text)
{
	int end = 0;

	virtioforwarder__core_sched_request__relay_cpu__init(entry);
	if (sscanf(text, "%d:%d,%d%n", &entry->relay_number, &entry->virtio2vf_cpu,
		   &entry->vf2virtio_cpu, &end) == 3 &&
	    !text[end])
		return true;
	puts("Invalid virtio-cpu command line format. Usage: virtio-cpu=n:c1,c2");
	return false;
}

static bool update(const Request *request)
{
	Response *response =
		call_endpoint(args_text(args, "sched-ep", ENDPOINT_DIR "core_sched"),
			      &request->base, &virtioforwarder__core_sched_response__descriptor,
			      ZMQ_CLIENT_TIMEOUT_MS);
	bool ok;

	if (!response)
		return false;
	ok = response->status == VIRTIOFORWARDER__CORE_SCHED_RESPONSE__STATUS__OK;
	printf("Scheduler response: %s\n", ok ? "OK" : "ERROR");
	if (!ok)
		fprintf(stderr, "refused: %s (error %d)\n",
			response->error_code_source ? response->error_code_source : "no reason",
			response->error_code);
	virtioforwarder__core_sched_response__free_unpacked(response, NULL);
	return ok;
}

/* All entries of the command line, in one request. */
static int pin(const struct arg *arg)
{
	Request request = VIRTIOFORWARDER__CORE_SCHED_REQUEST__INIT;
	Entry *entries = calloc(arg->n_list, sizeof(*entries));
	Entry **pointers = calloc(arg->n_list, sizeof(*pointers));
	bool ok = entries && pointers;

	for (size_t i = 0; ok && i < arg->n_list; i++) {
		ok = read_entry(&entries[i], arg->list[i]);
		if (ok)
			printf("Setting relay %d=%d,%d\n", entries[i].relay_number,
			       entries[i].virtio2vf_cpu, entries[i].vf2virtio_cpu);
		pointers[i] = &entries[i];
	}
	request.op = VIRTIOFORWARDER__CORE_SCHED_REQUEST__OP__UPDATE;
	request.relay_cpu_map = pointers;
	request.n_relay_cpu_map = arg->n_list;
	ok = ok && update(&request);
	free(entries);
	free(pointers);
	return !ok;
}

int compat11_core_pinner(int argc, char **argv)
{
	const struct arg *pins = args_find(args, "virtio-cpu");
	const char *stats_ep, *title = "Worker cores affinities:";
	Response *cores;
	Stats *stats = NULL;
	int status =
		args_parse(argc, argv, args, "",
			   "Prints which worker CPUs serve which relays, and moves relays.", NULL);

	if (status >= 0)
		return status;
	status = 0;
	stats_ep = args_text(args, "stats-ep", ENDPOINT_DIR "stats");
	cores = call_cores(args_text(args, "sched-ep", ENDPOINT_DIR "core_sched"));
	if (!cores)
		return 1;
	if (pins->n_list && !args_find(args, "print-core-map")->given) {
		status = pin(pins);
		title = "New worker core mapping:";
	}
	if (!status)
		stats = call_stats(stats_ep, false, 0);
	if (stats) {
		puts(title);
		print_map(stats, cores);
		virtioforwarder__stats_response__free_unpacked(stats, NULL);
	}
	virtioforwarder__core_sched_response__free_unpacked(cores, NULL);
	return !stats;
}
