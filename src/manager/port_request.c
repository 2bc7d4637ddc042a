/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/port_request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

typedef Virtioforwarder__PortControlRequest Message;

#define OP(name) VIRTIOFORWARDER__PORT_CONTROL_REQUEST__OP__##name

static int take_address(const Virtioforwarder__PortControlRequest__PciAddress *in,
			struct devname *dev, struct err *err)
{
	if (in->bus > 0xff || in->slot > 0x1f || in->function > 7)
		return err_set(err, -EINVAL, "pci_addrs", "%x:%x:%x.%x is no PCI address",
			       in->domain, in->bus, in->slot, in->function);
	dev->kind = DEVNAME_PCI;
	dev->pci = (struct pci_addr){ in->domain, (uint8_t)in->bus, (uint8_t)in->slot,
				      (uint8_t)in->function };
	pci_addr_format(&dev->pci, dev->text);
	return 0;
}

static bool has_name(const Message *message)
{
	return message->name && *message->name;
}

/* A device of several addresses, which has a name. */
static int take_bond(const Message *message, struct port_request *request, struct err *err)
{
	struct devname members[BOND_MEMBERS_MAX] = { 0 }, bond;
	int rc = 0;

	if (!has_name(message))
		return err_set(err, -EINVAL, "bond name",
			       "several addresses are a bond, and it needs a name, as "
			       "in " BOND_PREFIX "0");
	if (message->n_pci_addrs > BOND_MEMBERS_MAX)
		return err_set(err, -E2BIG, "pci_addrs", "%zu addresses: a bond has at most %d",
			       message->n_pci_addrs, BOND_MEMBERS_MAX);
	for (size_t i = 0; i < message->n_pci_addrs && !rc; i++)
		rc = take_address(message->pci_addrs[i], &members[i], err);
	if (!rc)
		rc = devname_bond_make(&bond, message->name, message->mode, members,
				       message->n_pci_addrs, err);
	if (!rc)
		snprintf(request->device, sizeof(request->device), "%s", bond.text);
	return rc;
}

static int take_device(const Message *message, struct port_request *request, struct err *err)
{
	const bool adds = message->op == OP(ADD) || message->op == OP(ADD_SOCK);
	struct devname dev = { 0 };
	int rc = 0;

	if (!message->n_pci_addrs && !has_name(message))
		return 0;
	if (has_name(message)) {
		rc = devname_bond_check_name(message->name, err);
		if (rc < 0)
			return rc;
	}
	request->has_device = true;
	if (adds && (message->n_pci_addrs > 1 || has_name(message)))
		return take_bond(message, request, err);
	/* What is there goes by its name, or by any address of it. */
	if (has_name(message)) {
		snprintf(request->device, sizeof(request->device), "%s", message->name);
		return 0;
	}
	rc = take_address(message->pci_addrs[0], &dev, err);
	snprintf(request->device, sizeof(request->device), "%s", dev.text);
	return rc;
}

static int take_path(const Message *message, struct port_request *request, struct err *err)
{
	const char *path = message->vhost_path;

	if (!path || !*path)
		return 0;
	if (strlen(path) > CONFIG_SOCKET_PATH_MAX)
		return err_set(err, -ENAMETOOLONG, "vhost_path",
			       "'%.40s...' has %zu bytes, a socket path at most %d", path,
			       strlen(path), CONFIG_SOCKET_PATH_MAX);
	if (path[0] != '/' || !text_is_clean(path))
		return err_set(err, -EINVAL, "vhost_path",
			       "'%s' is not an absolute path of plain UTF-8 text", path);
	snprintf(request->path, sizeof(request->path), "%s", path);
	return 0;
}

static int take_id(const Message *message, const struct port_request_facts *facts,
		   struct port_request *request, struct err *err)
{
	if (!message->has_virtio_id)
		return err_set(err, -EINVAL, "virtio_id", "virtio_id is missing");
	if (message->virtio_id >= facts->max_relays)
		return err_set(err, -EINVAL, "virtio_id", "virtio_id %u: allowed is 0 to %u",
			       message->virtio_id, facts->max_relays - 1);
	request->id = message->virtio_id;
	return 0;
}

static int need(bool given, const char *what, struct err *err)
{
	return given ? 0 : err_set(err, -EINVAL, what, "%s is missing", what);
}

static int check_dynamic(const struct port_request_facts *facts, struct err *err)
{
	if (facts->dynamic_sockets)
		return 0;
	return err_set(err, -EPERM, "dynamic sockets are off",
		       "add_sock and remove_sock need VIRTIOFWD_DYNAMIC_SOCKETS=y");
}

int port_request_check(const Message *message, const struct port_request_facts *facts,
		       struct port_request *request, struct err *err)
{
	int rc;

	memset(request, 0, sizeof(*request));
	if (!message)
		return err_set(err, -EBADMSG, "malformed request", "not a PortControlRequest");
	request->op = message->op;
	request->conditional = message->conditional;
	rc = take_device(message, request, err);
	if (!rc)
		rc = take_path(message, request, err);
	if (rc)
		return rc;
	switch (message->op) {
	case OP(ADD):
		rc = take_id(message, facts, request, err);
		return rc ? rc : need(request->has_device, "pci_addrs", err);
	case OP(REMOVE):
		rc = take_id(message, facts, request, err);
		return rc ? rc : need(request->has_device, "pci_addrs", err);
	case OP(ADD_SOCK):
		rc = check_dynamic(facts, err);
		if (!rc)
			rc = need(request->path[0], "vhost_path", err);
		return rc ? rc : need(request->has_device, "pci_addrs", err);
	case OP(REMOVE_SOCK):
		rc = check_dynamic(facts, err);
		return rc ? rc : need(request->path[0] || request->has_device, "vhost_path", err);
	case OP(QUERY_PCI):
		return need(request->path[0], "vhost_path", err);
	default:
		return err_set(err, -EINVAL, "op", "unknown operation %d", (int)message->op);
	}
}
