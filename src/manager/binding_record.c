/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "manager/binding_record.h"
#include "manager/json_util.h"
#include "udev/device_node.h"
#include "udev/vdpa_driver.h"

static void put_mac(json_object *json, const struct vf_attributes *attrs)
{
	char text[18];
	const uint8_t *m = attrs->mac;

	if (!attrs->has_mac)
		return;
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
		 m[5]);
	json_put_text(json, "mac", text);
}

static int get_mac(const char *text, struct vf_attributes *attrs)
{
	unsigned int m[6];
	char rest;

	if (!text)
		return 0;
	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5],
		   &rest) != 6)
		return -EINVAL;
	for (int i = 0; i < 6; i++)
		attrs->mac[i] = m[i];
	attrs->has_mac = true;
	return 0;
}

json_object *binding_record_make(const struct pci_addr *addr, const struct binding_state *before,
				 int owner)
{
	json_object *json = json_object_new_object();
	const struct vf_attributes *attrs = &before->attributes;
	char text[PCI_ADDR_STRLEN];

	json_put_text(json, "address", pci_addr_format(addr, text));
	json_put_int(json, "owner", owner);
	json_put_text(json, "driver", before->driver);
	json_put_text(json, "override", before->override);
	put_mac(json, attrs);
	json_put_int(json, "vlan", attrs->vlan);
	json_put_int(json, "qos", attrs->qos);
	json_put_int(json, "trust", attrs->trust);
	json_put_int(json, "spoofchk", attrs->spoofchk);
	return json;
}

static int get_driver(json_object *record, const char *key, char driver[VF_DRIVER_MAX])
{
	const char *text = json_get_text(record, key, NULL);

	/* It becomes part of a path. */
	if (!text || strlen(text) >= VF_DRIVER_MAX || strchr(text, '/') || !strcmp(text, ".."))
		return -EINVAL;
	snprintf(driver, VF_DRIVER_MAX, "%s", text);
	return 0;
}

static int get_number(json_object *record, const char *key, int max)
{
	const int64_t value = json_get_int(record, key, -1);

	return value >= 0 && value <= max ? (int)value : -1;
}

int binding_record_parse(json_object *record, struct pci_addr *addr, struct binding_state *before,
			 int *owner)
{
	struct vf_attributes *attrs = &before->attributes;
	const char *text = json_get_text(record, "address", "");

	*before = (struct binding_state){ .attributes = VF_ATTRIBUTES_UNSET };
	if (pci_addr_parse(addr, text) < 0 || get_driver(record, "driver", before->driver) < 0 ||
	    get_driver(record, "override", before->override) < 0 ||
	    get_mac(json_get_text(record, "mac", NULL), attrs) < 0)
		return -EINVAL;
	*owner = (int)json_get_int(record, "owner", BINDING_BY_CONFIG);
	attrs->vlan = get_number(record, "vlan", 4094);
	attrs->qos = get_number(record, "qos", 7);
	attrs->trust = get_number(record, "trust", 1);
	attrs->spoofchk = get_number(record, "spoofchk", 1);
	return 0;
}

static int before_value(int recorded, int now, int planned)
{
	return planned == -1 ? -1 : now == planned ? recorded : now;
}

static bool is_zero_mac(const struct vf_attributes *attrs)
{
	static const uint8_t zero[6];

	return attrs->has_mac && !memcmp(attrs->mac, zero, sizeof(zero));
}

static const uint8_t *planned_mac(const struct binding_plan *plan)
{
	return plan->attributes.has_mac ? plan->attributes.mac
	       : plan->has_vm_mac	? plan->vm_mac
					: NULL;
}

/* Only what is going to be changed belongs into the record. */
static void attributes_before(struct vf_attributes *before, const struct vf_attributes *now,
			      const struct binding_plan *plan, bool recorded)
{
	const struct vf_attributes *planned = &plan->attributes;
	const struct vf_attributes old = *before;
	const uint8_t *mac = planned_mac(plan);
	const bool made = recorded && is_zero_mac(&old);

	*before = (struct vf_attributes)VF_ATTRIBUTES_UNSET;
	if (recorded && (mac ? now->has_mac && !memcmp(now->mac, mac, sizeof(now->mac)) : made)) {
		before->has_mac = old.has_mac;
		memcpy(before->mac, old.mac, sizeof(old.mac));
	} else if (now->has_mac && (mac || is_zero_mac(now))) {
		before->has_mac = true;
		memcpy(before->mac, now->mac, sizeof(now->mac));
	}
	before->vlan = before_value(recorded ? old.vlan : now->vlan, now->vlan, planned->vlan);
	/* The PF has a VLAN and its priority as one: setting one without the other clears that. */
	if (planned->vlan >= 0 || planned->qos >= 0)
		before->qos = before->vlan == now->vlan || !recorded ? now->qos : old.qos;
	before->trust = before_value(recorded ? old.trust : now->trust, now->trust, planned->trust);
	before->spoofchk = before_value(recorded ? old.spoofchk : now->spoofchk, now->spoofchk,
					planned->spoofchk);
}

void binding_record_update(struct binding_state *before, bool recorded,
			   const struct binding_state *now, const struct binding_plan *plan)
{
	/* A switch from one of our drivers to another leaves what was there before the first. */
	const bool ours =
		recorded && (!strcmp(now->override, plan->driver) ||
			     (now->override[0] && !strcmp(now->override, before->driver)) ||
			     device_node_of_driver(now->override) || vdpa_driver_is(now->override));

	attributes_before(&before->attributes, &now->attributes, plan, recorded);
	if (ours)
		return;
	memcpy(before->driver, now->driver, sizeof(now->driver));
	memcpy(before->override, now->override, sizeof(now->override));
}
