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
	EXPECT_EQ(0, memcmp(&before, &read, sizeof(read)));
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

TEST_HARNESS_MAIN
