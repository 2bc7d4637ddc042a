/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <string.h>

#include <kselftest_harness.h>

#include "manager/policy.h"

static const struct {
	const char *device;
	enum config_backend wanted;
	bool vdpa_offered;
	int result;
	bool needs_port;
	const char *words; /* in the reason or the error */
} table[] = {
	{ "vdev:net_null0", CONFIG_BACKEND_AUTO, false, 0, true, "net_null0 is a virtual device" },
	{ "vdev:net_null0", CONFIG_BACKEND_SW, false, 0, true, "asked for" },
	{ "vdev:net_null0", CONFIG_BACKEND_VDPA, false, -EOPNOTSUPP, true, "virtual device" },
	{ "netdev:veth0", CONFIG_BACKEND_AUTO, false, 0, false, "not a VF" },
	{ "netdev:veth0", CONFIG_BACKEND_SW, false, 0, false, "asked for" },
	{ "netdev:veth0", CONFIG_BACKEND_VDPA, false, -EOPNOTSUPP, false, "not a VF" },
	{ "0000:05:08.1", CONFIG_BACKEND_AUTO, false, 0, true,
	  "no vDPA management device on 0000:05:08.1" },
	{ "0000:05:08.1", CONFIG_BACKEND_VDPA, false, -EOPNOTSUPP, true,
	  "no vDPA management device on 0000:05:08.1" },
	{ "0000:05:08.1", CONFIG_BACKEND_AUTO, true, 0, true, "drives no vDPA hardware" },
	{ "0000:05:08.1", CONFIG_BACKEND_VDPA, true, -EOPNOTSUPP, true, "drives no vDPA hardware" },
	{ "ens3.vf2", CONFIG_BACKEND_AUTO, false, 0, true, "no vDPA management device" },
};

TEST(every_row)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct policy_decision decision = { 0 };
		struct policy_facts facts = { .wanted = table[i].wanted,
					      .vdpa_offered = table[i].vdpa_offered };
		struct devname device;
		struct err err = { 0 };

		ASSERT_EQ(0, devname_parse(&device, table[i].device, &err));
		facts.device = &device;
		EXPECT_EQ(table[i].result, policy_decide(&facts, &decision, &err))
		TH_LOG("%s", table[i].device);
		EXPECT_EQ(table[i].needs_port, decision.needs_port);
		EXPECT_NE(NULL,
			  strstr(table[i].result ? err.text : decision.reason, table[i].words))
		TH_LOG("%s: %s", table[i].device, table[i].result ? err.text : decision.reason);
		if (!table[i].result)
			EXPECT_EQ(POLICY_SOFTWARE, decision.backend);
	}
}

TEST_HARNESS_MAIN
