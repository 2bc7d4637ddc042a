/* SPDX-License-Identifier: BSD-3-Clause */

/* `vio4wdctl vf`: what it asks, what it prints, and how it waits. */

#include "ctl_fixture.h"

#define VF0                                                                                        \
	"{\"index\":0,\"name\":\"ens3.vf0\",\"address\":\"0000:01:10.0\",\"driver\":\"vfio-pci\"," \
	"\"netdev\":null,\"mac\":\"52:54:00:00:00:a0\",\"vendor\":\"8086\",\"device\":\"10ca\","   \
	"\"numa_node\":0,\"iommu_group\":17,\"shares_group_with\":[],\"relay\":3,"                 \
	"\"state\":\"active\",\"held_by\":\"relay 3\"}"
#define VF1                                                                                        \
	"{\"index\":1,\"name\":\"ens3.vf1\",\"address\":\"0000:01:10.2\",\"driver\":\"igbvf\","    \
	"\"netdev\":\"eth3\",\"mac\":null,\"numa_node\":null,\"iommu_group\":18,"                  \
	"\"shares_group_with\":[\"0000:00:1f.0\",\"0000:00:1f.2\"],\"relay\":null,\"state\":null," \
	"\"held_by\":null}"
#define VF2                                                                                        \
	"{\"index\":2,\"name\":\"ens3.vf2\",\"address\":\"0000:01:10.4\",\"driver\":\"vfio-pci\"," \
	"\"netdev\":null,\"mac\":\"00:00:00:00:00:00\",\"numa_node\":0,\"iommu_group\":19,"        \
	"\"shares_group_with\":[],\"relay\":null,\"state\":null,"                                  \
	"\"held_by\":\"VIRTIOFWD_BIND_VFIO_PCI\"}"
#define ENS3                                                                                              \
	"{\"address\":\"0000:01:00.0\",\"netdev\":\"ens3\",\"driver\":\"igb\",\"vendor\":\"8086\","       \
	"\"device\":\"10c9\",\"numa_node\":0,\"total\":7,\"made\":3,\"made_by\":\"vio4wd\",\"vfs\":[" VF0 \
	"," VF1 "," VF2 "]}"
#define BARE                                                                                \
	"{\"address\":\"0000:02:00.0\",\"netdev\":null,\"driver\":null,\"numa_node\":null," \
	"\"total\":8,\"made\":0,\"made_by\":null,\"vfs\":[]}"

static const char listed[] =
	"ens3 (0000:01:00.0, igb, NUMA node 0): 3 of 7 VFs, made by vio4wd\n"
	"NAME     ADDRESS      DRIVER   NETDEV MAC               NUMA GROUP RELAY STATE\n"
	"ens3.vf0 0000:01:10.0 vfio-pci -      52:54:00:00:00:a0    0    17     3 active\n"
	"ens3.vf1 0000:01:10.2 igbvf    eth3   -                    -    18     - -\n"
	"ens3.vf2 0000:01:10.4 vfio-pci -      -                    0    19     - "
	"bound for VIRTIOFWD_BIND_VFIO_PCI\n"
	"ens3.vf1: its IOMMU group 18 has other devices, too: 0000:00:1f.0 0000:00:1f.2\n";

TEST_F(ctl, list) {
	char expected[2000];

	self->result = "{\"pfs\":[" ENS3 "," BARE "]}";
	EXPECT_EQ(0, run(self, "vf list"));
	EXPECT_STREQ("vf-list", self->method);
	EXPECT_STREQ("{}", self->params);
	snprintf(expected, sizeof(expected), "%s\n0000:02:00.0 (no driver): 0 of 8 VFs\n", listed);
	EXPECT_STREQ(expected, self->out);
	EXPECT_STREQ("", self->error);
	EXPECT_EQ(0, run(self, "vf list 0000:01:00.0 --no-headings"));
	EXPECT_STREQ("{\"pf\":\"0000:01:00.0\"}", self->params);
	EXPECT_EQ(0, strncmp(self->out, "ens3.vf0 0000:01:10.0", 20));
	EXPECT_EQ(NULL, strstr(self->out, "VFs"));
	EXPECT_EQ(NULL, strstr(self->out, "\n\n"));
	EXPECT_EQ(0, run(self, "vf list --json"));
	EXPECT_IN("\"shares_group_with\": [", self->out);
}

TEST_F(ctl, host_without_pf) {
	self->result = "{\"pfs\":[]}";
	EXPECT_EQ(0, run(self, "vf list"));
	EXPECT_STREQ("", self->out);
	EXPECT_IN("this host has no PF", self->error);
	EXPECT_EQ(0, run(self, "vf list --json"));
	EXPECT_STREQ("", self->error);
}

TEST_F(ctl, nonsense_of_a_daemon_is_no_crash) {
	static const char *const results[] = {
		"[]", "{}", "{\"pfs\":5}", "{\"pfs\":[null,5,{\"vfs\":{}},{\"vfs\":[null,{}]}]}",
		"{\"pfs\":[{\"netdev\":\"a\\u001b[2J\",\"made_by\":[],\"vfs\":[{\"mac\":{}}]}]}"
	};

	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		self->result = results[i];
		EXPECT_EQ(0, run(self, "vf list"));
		EXPECT_EQ(NULL, strchr(self->out, '\033'));
		EXPECT_EQ(0, run(self, "vf create ens3 1"));
		EXPECT_EQ(NULL, strchr(self->out, '\033'));
	}
}

TEST_F(ctl, create_and_destroy) {
	self->result = ENS3;
	EXPECT_EQ(0, run(self, "vf create ens3 3"));
	EXPECT_STREQ("vf-create", self->method);
	EXPECT_STREQ("{\"pf\":\"ens3\",\"count\":3}", self->params);
	EXPECT_STREQ(listed, self->out);
	EXPECT_STREQ("", self->error);
	EXPECT_EQ(0, run(self, "vf --force create ens3 3 --json"));
	EXPECT_STREQ("{\"pf\":\"ens3\",\"count\":3,\"force\":true}", self->params);
	EXPECT_IN("\"made\": 3", self->out);
	self->result = BARE;
	EXPECT_EQ(0, run(self, "vf destroy 0000:02:00.0"));
	EXPECT_STREQ("vf-destroy", self->method);
	EXPECT_STREQ("{\"pf\":\"0000:02:00.0\"}", self->params);
	EXPECT_STREQ("0000:02:00.0 (no driver): 0 of 8 VFs\n", self->out);
	EXPECT_EQ(0, run(self, "vf destroy ens3 --force"));
	EXPECT_STREQ("{\"pf\":\"ens3\",\"force\":true}", self->params);
}

/* The scripted refusal is EINVAL, as for a name that is no PF's. */
TEST_F(ctl, suggestions) {
	static const struct {
		const char *line, *said;
	} cases[] = {
		{ "vf create ens33 3",
		  "did you mean ens3? (PFs of this host: ens3, 0000:02:00.0)" },
		{ "vf destroy esn3", "did you mean ens3?" },
		{ "vf list 0000:02:01.0", "did you mean 0000:02:00.0?" },
		{ "vf create something-else 3", "PFs of this host: ens3, 0000:02:00.0" },
	};

	self->result = NULL;
	self->vfs = "{\"pfs\":[" ENS3 "," BARE "]}";
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* vf list of one PF is refused, of all PFs is answered */
		EXPECT_EQ(1, run(self, cases[i].line));
		EXPECT_IN("vio4wdctl: relay 99: ids are 0 to 63\n", self->error);
		EXPECT_IN(cases[i].said, self->error);
		EXPECT_STREQ("", self->out);
	}
	/* a PF that is there was refused for another reason */
	EXPECT_EQ(1, run(self, "vf create ens3 3"));
	EXPECT_STREQ("vio4wdctl: relay 99: ids are 0 to 63\n", self->error);
	EXPECT_EQ(1, run(self, "vf destroy 02:00.0"));
	EXPECT_STREQ("vio4wdctl: relay 99: ids are 0 to 63\n", self->error);
	self->vfs = "{\"pfs\":[]}";
	EXPECT_EQ(1, run(self, "vf create ens3 3"));
	EXPECT_IN("this host has no PF", self->error);
}

TEST_F(ctl, usage_shows_the_right_form) {
	static const struct {
		const char *line, *said;
	} cases[] = {
		{ "vf create", "vf create PF N, as in vf create ens3 4" },
		{ "vf create 4", "the PF is missing" },
		{ "vf create ens3",
		  "how many VFs is missing: vf create PF N, as in vf create ens3 4" },
		{ "vf create 4 ens3", "the PF comes first: vf create ens3 4" },
		{ "vf create ens3 0", "vf destroy ens3 removes them" },
		{ "vf destroy ens3 2", "vf destroy PF removes all VFs of the PF" },
		{ "vf craete ens3 2", "did you mean 'vf create'?" },
		{ "vf remove ens3", "it must be vf list [PF], vf create PF N or vf destroy PF" },
		{ "vf create ens3 2 --forse", "did you mean --force?" },
		{ "vf", "create makes N VFs on a PF" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EXPECT_EQ(2, run(self, cases[i].line));
		EXPECT_IN(cases[i].said, self->error);
		EXPECT_EQ(0, self->requests);
	}
}

TEST_F(ctl, progress_on_a_terminal_only) {
	self->terminal[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	ASSERT_LT(0, self->terminal[0]);
	ASSERT_EQ(0, grantpt(self->terminal[0]));
	ASSERT_EQ(0, unlockpt(self->terminal[0]));
	self->terminal[1] = open(ptsname(self->terminal[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
	ASSERT_LT(0, self->terminal[1]);
	self->result = ENS3;
	self->then = SILENT;
	self->until = "waiting for ens3 to have 3 VFs: 1 s";
	EXPECT_EQ(0, run(self, "vf create ens3 3"));
	EXPECT_IN(self->until, self->error);
	EXPECT_STREQ(listed, self->out);
	/* and the line is gone again */
	EXPECT_STREQ("\r\033[K", self->error + strlen(self->error) - 4);
}

TEST_F(ctl, interrupted) {
	self->then = SILENT;
	EXPECT_EQ(-SIGINT, run_stopped(self, 1, "--runtime-dir %s vf create ens3 3", self->dir));
	EXPECT_STREQ("vio4wdctl: interrupted; vio4wd goes on with it; see 'vio4wdctl vf list "
		     "ens3'\n",
		     self->error);
	EXPECT_STREQ("", self->out);
}

TEST_F(ctl, given_time_limits_hold) {
	self->then = SILENT;
	EXPECT_EQ(3, run(self, "vf create ens3 3 --timeout 0.1"));
	EXPECT_IN("did not answer within 0.1 s", self->error);
}

TEST_HARNESS_MAIN
