/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <string.h>

#include <kselftest_harness.h>

#include "manager/policy.h"

#define VF "0000:05:08.1"
#define MGMT "pci/" VF
#define AUTO CONFIG_BACKEND_AUTO
#define SW CONFIG_BACKEND_SW
#define VDPA CONFIG_BACKEND_VDPA

static const struct {
	const char *device;
	enum config_backend wanted;
	struct policy_vdpa vdpa;
	int result;
	enum policy_backend backend;
	bool needs_port;
	const char *words; /* in the reason or the error */
} table[] = {
	/* What is no PCI function has no vDPA, whatever the kernel says. */
	{ "vdev:net_null0", AUTO, {}, 0, POLICY_SOFTWARE, true, "net_null0 is a virtual device" },
	{ "vdev:net_null0", SW, {}, 0, POLICY_SOFTWARE, true, "asked for" },
	{ "vdev:net_null0", VDPA, {}, -EOPNOTSUPP, 0, true, "virtual device" },
	{ "netdev:veth0", AUTO, { .asking = true }, 0, POLICY_SOFTWARE, false, "not a VF" },
	{ "netdev:veth0", SW, {}, 0, POLICY_SOFTWARE, false, "asked for" },
	{ "netdev:veth0", VDPA, {}, -EOPNOTSUPP, 0, false, "not a VF" },
	/* A VF that nothing offers vDPA for. */
	{ VF, AUTO, {}, 0, POLICY_SOFTWARE, true, "software: no vDPA management device on " VF },
	{ VF, VDPA, {}, -EOPNOTSUPP, 0, true, "no vDPA management device on " VF },
	{ "ens3.vf2", AUTO, {}, 0, POLICY_SOFTWARE, true, "no vDPA management device" },
	/* It is not known yet, and only who wants to know waits. */
	{ VF, AUTO, { .asking = true }, -EAGAIN, 0, true, "waiting" },
	{ VF, VDPA, { .asking = true }, -EAGAIN, 0, true, "waiting" },
	{ VF, SW, { .asking = true }, 0, POLICY_SOFTWARE, true, "asked for" },
	{ VF, VDPA, { .absent = true }, -EAGAIN, 0, true, "does not exist yet" },
	{ VF, SW, { .absent = true }, 0, POLICY_SOFTWARE, true, "asked for" },
	/* A management device is there. */
	{ VF, AUTO, { .mgmt = MGMT }, 0, POLICY_VDPA, true, "vdpa: " MGMT " offers it" },
	{ VF, VDPA, { .mgmt = MGMT }, 0, POLICY_VDPA, true, MGMT " offers it" },
	{ VF, SW, { .mgmt = MGMT }, 0, POLICY_SOFTWARE, true, "asked for" },
	{ VF,
	  AUTO,
	  { .mgmt = MGMT, .no_net = true },
	  0,
	  POLICY_SOFTWARE,
	  true,
	  MGMT " makes no network devices" },
	{ VF,
	  AUTO,
	  { .mgmt = MGMT, .min_pairs = 4, .max_known = true, .max_pairs = 1 },
	  0,
	  POLICY_SOFTWARE,
	  true,
	  MGMT " offers 1 queue pair of 4, which VIO4WD_VF_OPTIONS asks for" },
	{ VF,
	  VDPA,
	  { .mgmt = MGMT, .min_pairs = 4, .max_known = true, .max_pairs = 2 },
	  -EOPNOTSUPP,
	  0,
	  true,
	  "2 queue pairs of 4" },
	{ VF,
	  AUTO,
	  { .mgmt = MGMT, .min_pairs = 4, .max_known = true, .max_pairs = 4 },
	  0,
	  POLICY_VDPA,
	  true,
	  "offers it" },
	{ VF,
	  VDPA,
	  { .mgmt = MGMT, .max_known = true, .max_pairs = 1 },
	  0,
	  POLICY_VDPA,
	  true,
	  "offers it" },
	{ VF, VDPA, { .mgmt = MGMT, .min_pairs = 4 }, 0, POLICY_VDPA, true, "offers it" },
	/* A driver that would make one. */
	{ VF,
	  AUTO,
	  { .driver = "vp-vdpa" },
	  0,
	  POLICY_VDPA,
	  true,
	  "vdpa: the driver vp-vdpa offers it for " VF },
	{ VF,
	  AUTO,
	  { .driver = "vp-vdpa", .bound = true },
	  0,
	  POLICY_SOFTWARE,
	  true,
	  "its driver vp-vdpa offers none" },
	{ VF,
	  VDPA,
	  { .driver = "vp-vdpa", .bound = true },
	  -EOPNOTSUPP,
	  0,
	  true,
	  "its driver vp-vdpa offers none" },
	/* What speaks against it. */
	{ VF,
	  AUTO,
	  { .mgmt = MGMT, .flaw = "it drops frames" },
	  0,
	  POLICY_SOFTWARE,
	  true,
	  "software: it drops frames" },
	{ VF,
	  VDPA,
	  { .mgmt = MGMT, .flaw = "it drops frames" },
	  -EOPNOTSUPP,
	  0,
	  true,
	  "it drops frames" },
	{ VF,
	  AUTO,
	  { .driver = "vp-vdpa", .failed = "no IOMMU" },
	  0,
	  POLICY_SOFTWARE,
	  true,
	  "software: vDPA was tried: no IOMMU" },
	/* A vDPA driver of DPDK: when it is asked for, and the kernel has nothing. */
	{ VF,
	  VDPA,
	  { .dpdk_args = "class=vdpa" },
	  0,
	  POLICY_DPDK_VDPA,
	  true,
	  "dpdk-vdpa: asked for; a vDPA driver of DPDK takes " VF },
	{ VF,
	  AUTO,
	  { .dpdk_args = "class=vdpa" },
	  0,
	  POLICY_SOFTWARE,
	  true,
	  "no vDPA management device" },
	{ VF, SW, { .dpdk_args = "class=vdpa" }, 0, POLICY_SOFTWARE, true, "asked for" },
	{ VF,
	  VDPA,
	  { .driver = "ifcvf", .dpdk_args = "vdpa=1" },
	  0,
	  POLICY_VDPA,
	  true,
	  "the driver ifcvf offers it" },
	{ VF,
	  VDPA,
	  { .mgmt = MGMT, .no_net = true, .dpdk_args = "vdpa=1" },
	  0,
	  POLICY_DPDK_VDPA,
	  true,
	  "DPDK" },
	{ VF, VDPA, { .asking = true, .dpdk_args = "vdpa=1" }, -EAGAIN, 0, true, "waiting" },
};

TEST(every_row)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct policy_decision decision = { 0 };
		struct policy_facts facts = { .wanted = table[i].wanted, .vdpa = table[i].vdpa };
		struct devname device;
		struct err err = { 0 };

		ASSERT_EQ(0, devname_parse(&device, table[i].device, &err));
		facts.device = &device;
		EXPECT_EQ(table[i].result, policy_decide(&facts, &decision, &err))
		TH_LOG("row %zu: %s", i, table[i].device);
		EXPECT_EQ(table[i].needs_port, decision.needs_port);
		EXPECT_EQ(table[i].wanted, decision.wanted);
		EXPECT_NE(NULL,
			  strstr(table[i].result ? err.text : decision.reason, table[i].words))
		TH_LOG("row %zu: %s", i, table[i].result ? err.text : decision.reason);
		if (!table[i].result)
			EXPECT_EQ(table[i].backend, decision.backend)
		TH_LOG("row %zu", i);
	}
}

TEST(driver_is_of_vdpa_only)
{
	struct policy_facts facts = { .wanted = AUTO, .vdpa = { .driver = "vp-vdpa" } };
	struct policy_decision decision;
	struct devname device;

	ASSERT_EQ(0, devname_parse(&device, VF, NULL));
	facts.device = &device;
	EXPECT_EQ(0, policy_decide(&facts, &decision, NULL));
	EXPECT_STREQ("vp-vdpa", decision.driver);
	facts.wanted = SW;
	EXPECT_EQ(0, policy_decide(&facts, &decision, NULL));
	EXPECT_STREQ("", decision.driver);
}

TEST(arguments_are_of_dpdk_only)
{
	struct policy_facts facts = { .wanted = VDPA, .vdpa = { .dpdk_args = "vdpa=1" } };
	struct policy_decision decision;
	struct devname device;

	ASSERT_EQ(0, devname_parse(&device, VF, NULL));
	facts.device = &device;
	EXPECT_EQ(0, policy_decide(&facts, &decision, NULL));
	EXPECT_STREQ("vdpa=1", decision.dpdk_args);
	EXPECT_STREQ("", decision.driver);
	EXPECT_STREQ("dpdk-vdpa", policy_backend_name(decision.backend));
	facts.wanted = SW;
	EXPECT_EQ(0, policy_decide(&facts, &decision, NULL));
	EXPECT_EQ(NULL, decision.dpdk_args);
}

TEST_HARNESS_MAIN
