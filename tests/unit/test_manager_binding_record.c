/* SPDX-License-Identifier: BSD-3-Clause */

/* Records of bound VFs in the state file: there and back, and what is not taken. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <kselftest_harness.h>

#include "manager/binding_record.h"

static int parse(const char *text, struct pci_addr *addr, struct binding_state *before, int *owner)
{
	json_object *record = json_tokener_parse(text);
	const int rc = binding_record_parse(record, addr, before, owner);

	json_object_put(record);
	return rc;
}

static bool same(const struct binding_state *a, const struct binding_state *b)
{
	const struct vf_attributes *x = &a->attributes, *y = &b->attributes;

	return !strcmp(a->driver, b->driver) && !strcmp(a->override, b->override) &&
	       x->has_mac == y->has_mac && !memcmp(x->mac, y->mac, sizeof(x->mac)) &&
	       x->vlan == y->vlan && x->qos == y->qos && x->trust == y->trust &&
	       x->spoofchk == y->spoofchk;
}

TEST(there_and_back)
{
	const struct pci_addr addr = { .bus = 1, .slot = 0x10, .function = 2 };
	struct binding_state before = {
		.driver = "igbvf",
		.override = "",
		.attributes = { .has_mac = true,
				.mac = { 0x52, 0x54, 0, 0xa, 0xb, 0xc },
				.vlan = 0,
				.qos = -1,
				.trust = 1,
				.spoofchk = -1 },
	};
	json_object *record = binding_record_make(&addr, &before, 7);
	struct binding_state read;
	struct pci_addr at;
	int owner;

	ASSERT_EQ(0, binding_record_parse(record, &at, &read, &owner));
	EXPECT_TRUE(pci_addr_equal(&addr, &at));
	EXPECT_EQ(7, owner);
	EXPECT_TRUE(same(&before, &read));
	json_object_put(record);
}

TEST(what_was_not_changed_is_left_out)
{
	const struct pci_addr addr = { .bus = 1 };
	struct binding_state before = { .driver = "", .attributes = VF_ATTRIBUTES_UNSET };
	json_object *record = binding_record_make(&addr, &before, BINDING_BY_CONFIG);
	struct binding_state read;
	struct pci_addr at;
	int owner;

	ASSERT_EQ(0, binding_record_parse(record, &at, &read, &owner));
	EXPECT_EQ(BINDING_BY_CONFIG, owner);
	EXPECT_FALSE(read.attributes.has_mac);
	EXPECT_EQ(-1, read.attributes.vlan);
	EXPECT_EQ(-1, read.attributes.trust);
	json_object_put(record);
}

TEST(broken_records)
{
	static const char *const broken[] = {
		"{}",
		"7",
		"{\"address\": \"0000:01:10.0\"}",
		"{\"address\": \"nonsense\", \"driver\": \"igbvf\", \"override\": \"\"}",
		"{\"address\": \"0000:01:10.0\", \"driver\": \"../../x\", \"override\": \"\"}",
		"{\"address\": \"0000:01:10.0\", \"driver\": \"igbvf\", \"override\": 5}",
		"{\"address\": \"0000:01:10.0\", \"driver\": \"a\", \"override\": \"\", "
		"\"mac\": \"52:54:00\"}",
		"{\"address\": \"0000:01:10.0\", \"driver\": \"a\", \"override\": \"\", "
		"\"mac\": \"52:54:00:00:00:00:00\"}",
	};
	struct binding_state read;
	struct pci_addr at;
	int owner;

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		EXPECT_EQ(-EINVAL, parse(broken[i], &at, &read, &owner));
	}
}

TEST(values_out_of_range_are_as_if_not_there)
{
	struct binding_state read;
	struct pci_addr at;
	int owner;

	ASSERT_EQ(0, parse("{\"address\": \"0000:01:10.0\", \"driver\": \"igbvf\", "
			   "\"override\": \"\", \"vlan\": 5000, \"trust\": 2, \"qos\": -3}",
			   &at, &read, &owner));
	EXPECT_EQ(-1, read.attributes.vlan);
	EXPECT_EQ(-1, read.attributes.trust);
	EXPECT_EQ(-1, read.attributes.qos);
}

#define UNSET VF_ATTRIBUTES_UNSET

static const struct binding_plan plan = {
	.driver = "vfio-pci",
	.attributes = { .vlan = 5, .qos = -1, .trust = 1, .spoofchk = -1 },
	.make_mac = true,
};

TEST(first_look_is_what_was_before)
{
	const struct binding_state now = {
		.driver = "igbvf",
		.attributes = { .has_mac = true, .vlan = 7, .qos = 3, .trust = 0, .spoofchk = 1 },
	};
	struct binding_state before = { .attributes = UNSET };

	binding_record_update(&before, false, &now, &plan);
	EXPECT_STREQ("igbvf", before.driver);
	EXPECT_STREQ("", before.override);
	EXPECT_TRUE(before.attributes.has_mac); /* none: one is going to be made */
	EXPECT_EQ(7, before.attributes.vlan);
	EXPECT_EQ(3, before.attributes.qos); /* setting the VLAN clears it */
	EXPECT_EQ(0, before.attributes.trust);
	EXPECT_EQ(-1, before.attributes.spoofchk); /* the plan leaves it alone */
}

TEST(mac_of_the_pf_stays)
{
	const struct binding_state now = {
		.attributes = { .has_mac = true, .mac = { 2 }, .vlan = 0, .qos = 0 }
	};
	struct binding_state before = { .attributes = UNSET };

	binding_record_update(&before, false, &now, &plan);
	EXPECT_FALSE(before.attributes.has_mac);
}

/* A member of a bond, or a stand-in, gets the address of the VM, and its own back. */
TEST(mac_of_the_pf_is_kept_when_the_vm_has_another)
{
	const struct binding_plan member = { .driver = "vfio-pci",
					     .attributes = UNSET,
					     .make_mac = true,
					     .has_vm_mac = true,
					     .vm_mac = { 0x52, 9 } };
	struct binding_state now = { .attributes = { .has_mac = true, .mac = { 2 } } };
	struct binding_state before = { .attributes = UNSET };

	binding_record_update(&before, false, &now, &member);
	ASSERT_TRUE(before.attributes.has_mac);
	EXPECT_EQ(2, before.attributes.mac[0]);
	/* It was set, and is bound once more. */
	memcpy(now.attributes.mac, member.vm_mac, sizeof(now.attributes.mac));
	binding_record_update(&before, true, &now, &member);
	ASSERT_TRUE(before.attributes.has_mac);
	EXPECT_EQ(2, before.attributes.mac[0]);
}

TEST(second_look_after_a_try_that_was_cut_off)
{
	const struct binding_state old = {
		.driver = "igbvf",
		.attributes = { .has_mac = true, .vlan = 7, .qos = 3, .trust = 0, .spoofchk = -1 },
	};
	/* Attributes are set, the driver is not changed yet. */
	struct binding_state now = {
		.driver = "igbvf",
		.attributes = { .has_mac = true,
				.mac = { 0x52, 1, 2, 3, 4, 5 },
				.vlan = 5,
				.qos = 0,
				.trust = 1,
				.spoofchk = 1 },
	};
	struct binding_state before = old;

	binding_record_update(&before, true, &now, &plan);
	EXPECT_TRUE(same(&old, &before));
	/* The driver is taken away, too. */
	now.driver[0] = '\0';
	strcpy(now.override, "vfio-pci");
	binding_record_update(&before, true, &now, &plan);
	EXPECT_TRUE(same(&old, &before));
}

TEST(record_of_a_vf_that_was_made_anew)
{
	const struct binding_state now = { .driver = "",
					   .attributes = { .vlan = 0, .qos = 0, .trust = 0 } };
	struct binding_state before = { .driver = "igbvf",
					.override = "other",
					.attributes = { .vlan = 7, .qos = 3, .trust = 0 } };

	binding_record_update(&before, true, &now, &plan);
	EXPECT_STREQ("", before.driver);
	EXPECT_STREQ("", before.override);
	EXPECT_EQ(0, before.attributes.vlan);
	EXPECT_EQ(0, before.attributes.qos);
}

TEST(switch_between_our_drivers_keeps_what_was_before)
{
	struct binding_state before = { .attributes = VF_ATTRIBUTES_UNSET };
	struct binding_state now = { .driver = "virtio-pci", .attributes = VF_ATTRIBUTES_UNSET };
	struct binding_plan other = { .driver = "vp-vdpa", .attributes = VF_ATTRIBUTES_UNSET };

	binding_record_update(&before, false, &now, &other);
	strcpy(now.driver, "vp-vdpa");
	strcpy(now.override, "vp-vdpa");
	strcpy(other.driver, "vfio-pci");
	binding_record_update(&before, true, &now, &other);
	EXPECT_STREQ("virtio-pci", before.driver);
	EXPECT_STREQ("", before.override);
	/* Somebody has given it back meanwhile, to another driver. */
	strcpy(now.driver, "igbvf");
	strcpy(now.override, "");
	binding_record_update(&before, true, &now, &other);
	EXPECT_STREQ("igbvf", before.driver);
}

TEST_HARNESS_MAIN
