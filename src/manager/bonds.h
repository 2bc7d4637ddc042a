/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The members of a pairing's bond. The pairing knows the bond as its device, which is there as long
 * as one of the members is; here is which of them are there, bound and in the relay's bond, and
 * what has to be done next so that all are that can be. A member that fails is tried again, ever
 * more seldom, and at once when it is another one by the same name; the others do not wait for it.
 *
 * A VF delivers and sends only what has its own MAC address, and whichever member carries has to
 * deliver what the VM is called. So all VFs are given the address of the one that was bound first.
 */
#ifndef VIO4WD_MANAGER_BONDS_H
#define VIO4WD_MANAGER_BONDS_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include "common/devname_bond.h"
#include "common/err.h"
#include "common/pci_addr.h"

struct manager;
struct pairing;

struct bond_member {
	struct devname device;
	/* As the host has it: */
	bool there;
	bool ready; /* a relay can open it */
	uint64_t instance;
	bool has_pci;
	struct pci_addr pci;
	/* As the relay has told: */
	bool in;
	bool link;
	bool active;
	/* Why it is not in; code 0: nothing has failed */
	struct err err;
	unsigned int failures; /* in a row */
	uint64_t retry_at_us;
};

struct bond {
	char text[DEVNAME_MAX]; /* of the device; "": the pairing has no bond */
	size_t n;
	struct bond_member members[BOND_MEMBERS_MAX];
	bool has_mac; /* it is known: */
	uint8_t mac[6];
};

/* The wish as env_look() looks at devices: fills p->seen for a bond. */
void bonds_look(struct pairing *p);
/* Functions that are to stay bound for the pairing; returns how many. */
size_t bonds_functions(const struct pairing *p, struct pci_addr addrs[BOND_MEMBERS_MAX]);
/* The address that the VF is to have as a member of the relay id's bond; NULL: its own. owner may
 * be BINDING_BY_CONFIG. */
const uint8_t *bonds_mac(const struct manager *m, int owner, const struct pci_addr *addr);
/* The bond has this MAC address, as the relay says (NULL: it does not). After bonds_look(). */
void bonds_keep_mac(struct pairing *p, const char *mac);
/* The relay has this function open as a member, or may. */
bool bonds_have(const struct pairing *p, const struct pci_addr *addr);

/* Steps; see struct pairing_env's start. done is called with the result of the relay. */
int bonds_start_bind(struct pairing *p, struct err *err);
/* The parameters of an attach or members call: those that can be opened now. Returns 0 or an error:
 * no member can be. */
int bonds_params(struct pairing *p, json_object *params, struct err *err);
/* The relay's list of members. answer: to a call that has just tried to open them. */
void bonds_told(struct pairing *p, json_object *members, bool answer);

/* "bond" of RELAY in docs/protocol.md; NULL when the pairing has none. */
json_object *bonds_json(const struct pairing *p);

#endif
