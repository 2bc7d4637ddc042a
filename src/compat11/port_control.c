/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/pci_addr.h"
#include "common/suggest.h"
#include "compat11/compat11.h"
#include "wire/zmq_client.h"

typedef Virtioforwarder__PortControlRequest Request;
typedef Virtioforwarder__PortControlRequest__PciAddress Address;
typedef Virtioforwarder__PortControlResponse Response;

#define OP(name) VIRTIOFORWARDER__PORT_CONTROL_REQUEST__OP__##name

static const char *const op_names[] = {
	[OP(ADD)] = "add",
	[OP(REMOVE)] = "remove",
	[OP(ADD_SOCK)] = "add_sock",
	[OP(REMOVE_SOCK)] = "remove_sock",
	[OP(QUERY_PCI)] = "query_pci",
};

#define N_OPS (sizeof(op_names) / sizeof(op_names[0]))

static struct arg args[] = {
	{ .name = "virtio-id",
	  .kind = ARG_UINT,
	  .max = UINT32_MAX,
	  .value = "N",
	  .help = "relay to add to or remove from" },
	{ .name = "pci-addr",
	  .kind = ARG_LIST,
	  .value = "A",
	  .help = "PCI address, e.g. 0000:11:22.3; several are the members of a bond" },
	{ .name = "name", .kind = ARG_TEXT, .value = "NAME", .help = "of the bond" },
	{ .name = "mode",
	  .kind = ARG_UINT,
	  .max = 6,
	  .value = "0..6",
	  .help = "of the bond: 0 round robin, 1 active backup (default), 2 balance,\n"
		  "                              3 broadcast, 4 LACP, 5 TLB, 6 ALB" },
	{ .name = "vhost-path",
	  .kind = ARG_TEXT,
	  .value = "PATH",
	  .help = "vhost-user socket, for add_sock, remove_sock and query_pci" },
	{ .name = "conditional", .kind = ARG_FLAG, .help = "what would change nothing succeeds" },
	ARG_ENDPOINT("zmq_ep", "port_control"),
	{ .name = NULL },
};

static int read_op(const char *program, const char *text)
{
	struct suggestion s = SUGGESTION_FOR(text ? text : "");

	for (size_t i = 0; text && i < N_OPS; i++) {
		if (!strcmp(text, op_names[i]))
			return i;
		suggestion_offer(&s, op_names[i]);
	}
	if (!text)
		fprintf(stderr, "%s: error: the operation is missing; see --help\n", program);
	else if (suggestion_is_close(&s))
		fprintf(stderr, "%s: error: unknown operation '%s'; did you mean '%s'?\n", program,
			text, s.best);
	else
		fprintf(stderr,
			"%s: error: unknown operation '%s'; there are add, remove, add_sock, "
			"remove_sock and query_pci\n",
			program, text);
	return -1;
}

/* n addresses into one piece of memory, and pointers to them; false after a message. */
static bool read_addresses(const char *program, const struct arg *arg, Address *addresses,
			   Address **pointers)
{
	for (size_t i = 0; i < arg->n_list; i++) {
		struct pci_addr addr;

		if (pci_addr_parse(&addr, arg->list[i]) < 0) {
			fprintf(stderr,
				"%s: error: Badly formatted PCI address '%s'; it is xxxx:xx:xx.x or "
				"xx:xx.x\n",
				program, arg->list[i]);
			return false;
		}
		virtioforwarder__port_control_request__pci_address__init(&addresses[i]);
		addresses[i].domain = addr.domain;
		addresses[i].bus = addr.bus;
		addresses[i].slot = addr.slot;
		addresses[i].function = addr.function;
		pointers[i] = &addresses[i];
	}
	return true;
}

static void fill(Request *request, int op)
{
	request->op = op;
	request->has_virtio_id = args_find(args, "virtio-id")->given;
	request->virtio_id = args_find(args, "virtio-id")->number;
	request->has_conditional = true;
	request->conditional = args_find(args, "conditional")->given;
	if (args_find(args, "name")->given) {
		request->name = (char *)args_find(args, "name")->text;
		request->has_mode = true;
		request->mode =
			args_find(args, "mode")->given ? args_find(args, "mode")->number : 1;
	}
	request->vhost_path = (char *)args_find(args, "vhost-path")->text;
}

static int ask(const Request *request)
{
	Response *response =
		call_endpoint(args_text(args, "zmq_ep", ENDPOINT_DIR "port_control"),
			      &request->base, &virtioforwarder__port_control_response__descriptor,
			      ZMQ_CLIENT_TIMEOUT_MS);
	int status;

	if (!response)
		return 1;
	status = response->status != VIRTIOFORWARDER__PORT_CONTROL_RESPONSE__STATUS__OK;
	if (status) {
		text_format_print(&response->base);
		putchar('\n');
	} else if (request->op == OP(QUERY_PCI)) {
		puts(response->query_string ? response->query_string : "");
	}
	virtioforwarder__port_control_response__free_unpacked(response, NULL);
	return status;
}

int compat11_port_control(int argc, char **argv)
{
	Request request = VIRTIOFORWARDER__PORT_CONTROL_REQUEST__INIT;
	const struct arg *pci = args_find(args, "pci-addr");
	const char *operand = NULL;
	Address *addresses = NULL, **pointers = NULL;
	int op, status = args_parse(
			argc, argv, args, "OP",
			"Adds and removes devices of vio4wd. OP is add, remove, add_sock, "
			"remove_sock or query_pci.",
			&operand);

	if (status >= 0)
		return status;
	op = read_op(argv[0], operand);
	if (op < 0)
		return 2;
	addresses = calloc(pci->n_list + 1, sizeof(*addresses));
	pointers = calloc(pci->n_list + 1, sizeof(*pointers));
	if (!addresses || !pointers) {
		fputs("out of memory\n", stderr);
		status = 1;
	} else if (!read_addresses(argv[0], pci, addresses, pointers)) {
		status = 1; /* as 1.1 */
	} else {
		request.pci_addrs = pointers;
		request.n_pci_addrs = pci->n_list;
		fill(&request, op);
		status = ask(&request);
	}
	free(addresses);
	free(pointers);
	return status;
}
