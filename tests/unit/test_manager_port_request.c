/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <string.h>

#include <kselftest_harness.h>

#include "manager/port_request.h"

#define OP(name) VIRTIOFORWARDER__PORT_CONTROL_REQUEST__OP__##name

struct row {
	const char *what;
	int op;
	unsigned int n_addrs;
	unsigned int slot, function; /* of all addresses */
	int64_t id;		     /* -1: not given */
	const char *name;
	const char *path;
	bool dynamic;
	int result;
	const char *step;
};

#define LONG_PATH                                                                 \
	"/0123456789012345678901234567890123456789012345678901234567890123456789" \
	"012345678901234567890123456789012345678"

static const struct row table[] = {
	{ "add", OP(ADD), 1, 8, 1, 0, NULL, NULL, false, 0, "" },
	{ "add, last id", OP(ADD), 1, 8, 1, 63, NULL, NULL, false, 0, "" },
	{ "id too high", OP(ADD), 1, 8, 1, 64, NULL, NULL, false, -EINVAL, "virtio_id" },
	{ "id 999", OP(ADD), 1, 8, 1, 999, NULL, NULL, false, -EINVAL, "virtio_id" },
	{ "id 2^32-1", OP(ADD), 1, 8, 1, 0xffffffff, NULL, NULL, false, -EINVAL, "virtio_id" },
	{ "no id", OP(ADD), 1, 8, 1, -1, NULL, NULL, false, -EINVAL, "virtio_id" },
	{ "no address", OP(ADD), 0, 0, 0, 1, NULL, NULL, false, -EINVAL, "pci_addrs" },
	{ "slot", OP(ADD), 1, 32, 0, 1, NULL, NULL, false, -EINVAL, "pci_addrs" },
	{ "function", OP(ADD), 1, 0, 8, 1, NULL, NULL, false, -EINVAL, "pci_addrs" },
	{ "bond", OP(ADD), 2, 1, 0, 1, "net_bonding0", NULL, false, 0, "" },
	{ "bond of 8", OP(ADD), 8, 1, 0, 1, "net_bonding0", NULL, false, 0, "" },
	{ "9 addresses", OP(ADD), 9, 1, 0, 1, "net_bonding0", NULL, false, -E2BIG, "pci_addrs" },
	{ "bond of 1", OP(ADD), 1, 1, 0, 1, "net_bonding0", NULL, false, -EINVAL, "bond members" },
	{ "bond of nothing", OP(ADD), 0, 1, 0, 1, "net_bonding0", NULL, false, -EINVAL,
	  "bond members" },
	{ "bond without name", OP(ADD), 2, 1, 0, 1, NULL, NULL, false, -EINVAL, "bond name" },
	{ "bond, other name", OP(ADD), 2, 1, 0, 1, "bond0", NULL, false, -EINVAL, "bond name" },
	{ "bond, blank in the name", OP(ADD), 2, 1, 0, 1, "net_bonding 0", NULL, false, -EINVAL,
	  "bond name" },
	{ "bond, bad function", OP(ADD), 2, 1, 8, 1, "net_bonding0", NULL, false, -EINVAL,
	  "pci_addrs" },
	{ "bond for a socket", OP(ADD_SOCK), 2, 1, 0, -1, "net_bonding0", "/tmp/a", true, 0, "" },
	{ "remove", OP(REMOVE), 1, 8, 1, 5, NULL, NULL, false, 0, "" },
	{ "remove a bond", OP(REMOVE), 0, 0, 0, 5, "net_bonding0", NULL, false, 0, "" },
	{ "remove another name", OP(REMOVE), 0, 0, 0, 5, "eth0", NULL, false, -EINVAL,
	  "bond name" },
	{ "remove_sock by name", OP(REMOVE_SOCK), 0, 0, 0, -1, "net_bonding0", NULL, true, 0, "" },
	{ "remove nothing", OP(REMOVE), 0, 0, 0, 5, NULL, NULL, false, -EINVAL, "pci_addrs" },
	{ "add_sock", OP(ADD_SOCK), 1, 8, 1, -1, NULL, "/tmp/a", true, 0, "" },
	{ "add_sock, static sockets", OP(ADD_SOCK), 1, 8, 1, -1, NULL, "/tmp/a", false, -EPERM,
	  "dynamic sockets are off" },
	{ "add_sock without path", OP(ADD_SOCK), 1, 8, 1, -1, NULL, NULL, true, -EINVAL,
	  "vhost_path" },
	{ "add_sock with an empty path", OP(ADD_SOCK), 1, 8, 1, -1, NULL, "", true, -EINVAL,
	  "vhost_path" },
	{ "add_sock without device", OP(ADD_SOCK), 0, 0, 0, -1, NULL, "/tmp/a", true, -EINVAL,
	  "pci_addrs" },
	{ "relative path", OP(ADD_SOCK), 1, 8, 1, -1, NULL, "a/b", true, -EINVAL, "vhost_path" },
	{ "long path", OP(ADD_SOCK), 1, 8, 1, -1, NULL, LONG_PATH, true, -ENAMETOOLONG,
	  "vhost_path" },
	{ "longest path", OP(ADD_SOCK), 1, 8, 1, -1, NULL, LONG_PATH + 4, true, -EINVAL,
	  "vhost_path" },
	{ "remove_sock by path", OP(REMOVE_SOCK), 0, 0, 0, -1, NULL, "/tmp/a", true, 0, "" },
	{ "remove_sock by device", OP(REMOVE_SOCK), 1, 8, 1, -1, NULL, NULL, true, 0, "" },
	{ "remove_sock by nothing", OP(REMOVE_SOCK), 0, 0, 0, -1, NULL, NULL, true, -EINVAL,
	  "vhost_path" },
	{ "remove_sock, static sockets", OP(REMOVE_SOCK), 0, 0, 0, -1, NULL, "/tmp/a", false,
	  -EPERM, "dynamic sockets are off" },
	{ "query", OP(QUERY_PCI), 0, 0, 0, -1, NULL, "/tmp/a", false, 0, "" },
	{ "query without path", OP(QUERY_PCI), 0, 0, 0, -1, NULL, NULL, false, -EINVAL,
	  "vhost_path" },
	{ "unknown operation", 17, 1, 8, 1, 1, NULL, NULL, false, -EINVAL, "op" },
};

TEST(every_row)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct row *row = &table[i];
		const struct port_request_facts facts = { 64, row->dynamic };
		Virtioforwarder__PortControlRequest message;
		Virtioforwarder__PortControlRequest__PciAddress addr[32], *addrs[32];
		struct port_request request;
		struct err err = { 0 };

		virtioforwarder__port_control_request__init(&message);
		for (uint32_t j = 0; j < 32; j++) {
			virtioforwarder__port_control_request__pci_address__init(&addr[j]);
			addr[j].bus = 5 + j;
			addr[j].slot = row->slot;
			addr[j].function = row->function;
			addrs[j] = &addr[j];
		}
		message.op = row->op;
		message.n_pci_addrs = row->n_addrs;
		message.pci_addrs = addrs;
		message.has_virtio_id = row->id >= 0;
		message.virtio_id = row->id;
		message.name = (char *)row->name;
		message.vhost_path = (char *)row->path;
		EXPECT_EQ(row->result, port_request_check(&message, &facts, &request, &err))
		TH_LOG("%s: %s", row->what, err.text);
		EXPECT_STREQ(row->step, err.step)
		TH_LOG("%s", row->what);
		if (!row->result && row->n_addrs == 1)
			EXPECT_STREQ("0000:05:08.1", request.device);
	}
}

/* A bond goes on as its canonical text. */
TEST(bond)
{
	static const char *const addresses[] = { "0000:05:08.1", "0000:05:08.2" };
	Virtioforwarder__PortControlRequest__PciAddress addr[2], *addrs[] = { &addr[0], &addr[1] };
	const struct port_request_facts facts = { 64, false };
	Virtioforwarder__PortControlRequest message;
	struct port_request request;
	struct err err = { 0 };

	virtioforwarder__port_control_request__init(&message);
	for (size_t i = 0; i < 2; i++) {
		struct pci_addr parsed;

		pci_addr_parse(&parsed, addresses[i]);
		virtioforwarder__port_control_request__pci_address__init(&addr[i]);
		addr[i].bus = parsed.bus;
		addr[i].slot = parsed.slot;
		addr[i].function = parsed.function;
	}
	message.op = OP(ADD);
	message.has_virtio_id = true;
	message.virtio_id = 1;
	message.name = (char *)"net_bonding0";
	message.n_pci_addrs = 2;
	message.pci_addrs = addrs;
	EXPECT_EQ(0, port_request_check(&message, &facts, &request, &err));
	EXPECT_STREQ("bond:net_bonding0,1 0000:05:08.1 0000:05:08.2", request.device);
	message.has_mode = true;
	message.mode = 7;
	EXPECT_EQ(-EINVAL, port_request_check(&message, &facts, &request, &err));
	EXPECT_STREQ("bond mode", err.step);
	message.mode = 4;
	addrs[1] = &addr[0];
	EXPECT_EQ(-EINVAL, port_request_check(&message, &facts, &request, &err));
	EXPECT_STREQ("bond members", err.step);
}

TEST(what_does_not_parse)
{
	const struct port_request_facts facts = { 64, false };
	struct port_request request;
	struct err err = { 0 };

	EXPECT_EQ(-EBADMSG, port_request_check(NULL, &facts, &request, &err));
	EXPECT_STREQ("malformed request", err.step);
}

TEST_HARNESS_MAIN
