/* SPDX-License-Identifier: BSD-3-Clause */

/* vio4wdctl doctor: what the daemon tells, the order of findings, their JSON; programs that are
 * run. */
#include <json-c/json.h>

#include "ctl/ctl.h"
#include "doctor_host.h"

FIXTURE(doctor) {
	char root[CONFIG_ROOT_MAX];
	struct doctor d;
};

FIXTURE_SETUP(doctor)
{
	doctor_host_make(self->root);
	ASSERT_EQ(0, doctor_init(&self->d, self->root, CONFIG));
}

FIXTURE_TEARDOWN(doctor)
{
	doctor_free(&self->d);
	config_root_remove(self->root);
}

/* The nth finding, sorted. */
#define EXPECT_FINDING(nth, wanted_check, wanted_severity, text)        \
	do {                                                            \
		const struct finding *f_ = &self->d.findings.list[nth]; \
		ASSERT_LT((size_t)(nth), self->d.findings.n);           \
		EXPECT_STREQ(wanted_check, f_->check);                  \
		EXPECT_EQ(wanted_severity, f_->severity);               \
		EXPECT_TRUE(doctor_finding_is_complete(f_));            \
		EXPECT_NE(NULL, strstr(f_->found, text))                \
		{                                                       \
			TH_LOG("%s", f_->found);                        \
		}                                                       \
	} while (0)

static void run_sorted(struct doctor *d, const struct doctor_area *area)
{
	doctor_run(d, area);
	findings_sort(&d->findings);
}

TEST_F(doctor, no_daemon) {
	err_set(&self->d.daemon_err, -ENOENT, "connect", "vio4wd is not running");
	run_sorted(&self->d, &doctor_daemon);
	EXPECT_FINDING(0, "running", FINDING_NOTE, "vio4wd is not running");
	EXPECT_EQ(1, findings_count(&self->d.findings, FINDING_NOTE));
	EXPECT_EQ(2, findings_count(&self->d.findings, FINDING_OK));
}

TEST_F(doctor, a_daemon_that_is_well) {
	self->d.version = json_tokener_parse("{\"version\":\"" VIO4WD_VERSION "\"}");
	self->d.running_config = config_to_json(self->d.cfg);
	self->d.status = json_tokener_parse("{\"relays\":[{\"id\":1,\"state\":\"active\"}]}");
	doctor_run(&self->d, &doctor_daemon);
	EXPECT_EQ(3, findings_count(&self->d.findings, FINDING_OK));
	EXPECT_EQ(3, self->d.findings.n);
}

TEST_F(doctor, a_daemon_that_is_not) {
	self->d.version = json_tokener_parse("{\"version\":\"0.0.1\"}");
	self->d.running_config = config_to_json(self->d.cfg);
	json_object_object_add(self->d.running_config, "VIRTIOFWD_JUMBO",
			       json_object_new_boolean(true));
	self->d.status = json_tokener_parse("{\"relays\":[{\"id\":3,\"state\":\"failed\","
					    "\"device\":\"ens3.vf3\",\"reason\":\"no link\"}]}");
	run_sorted(&self->d, &doctor_daemon);
	EXPECT_FINDING(0, "relays", FINDING_ERROR, "relay 3 (ens3.vf3) has failed: no link");
	EXPECT_FINDING(1, "running", FINDING_WARNING, "vio4wd 0.0.1 is running");
	EXPECT_FINDING(2, "config", FINDING_NOTE, "something else");
}

TEST_F(doctor, a_daemon_that_falls_silent) {
	self->d.version = json_tokener_parse("{\"version\":\"" VIO4WD_VERSION "\"}");
	err_set(&self->d.daemon_err, -ETIMEDOUT, "call", "vio4wd did not answer within 10.0 s");
	run_sorted(&self->d, &doctor_daemon);
	EXPECT_FINDING(0, "running", FINDING_ERROR, "is running, but: vio4wd did not answer");
}

static const char vfs[] =
	"{\"pfs\":[{\"vfs\":[{\"name\":\"enp1s0.vf0\",\"address\":\"0000:01:10.0\","
	"\"mac\":\"52:54:00:00:00:%s\"}]}]}";

/* The domain of the good host has 52:54:00:00:00:01. */
TEST_F(doctor, a_mac_address_that_has_changed) {
	char text[256];

	self->d.status = json_tokener_parse("{\"relays\":[{\"id\":1,\"address\":\"0000:01:10.0\","
					    "\"socket\":\"/tmp/virtio-forwarder1.sock\"}]}");
	snprintf(text, sizeof(text), vfs, "01");
	self->d.vf_list = json_tokener_parse(text);
	run_sorted(&self->d, &doctor_vf);
	EXPECT_EQ(self->d.findings.n, findings_count(&self->d.findings, FINDING_OK));

	json_object_put(self->d.vf_list);
	snprintf(text, sizeof(text), vfs, "02");
	self->d.vf_list = json_tokener_parse(text);
	run_sorted(&self->d, &doctor_vf);
	EXPECT_FINDING(0, "mac-domain", FINDING_WARNING,
		       "has the MAC address 52:54:00:00:00:01, its VF enp1s0.vf0 has "
		       "52:54:00:00:00:02");
}

TEST_F(doctor, without_rights) {
	self->d.privileged = false;
	run_sorted(&self->d, &doctor_install);
	EXPECT_FINDING(0, "rights", FINDING_NOTE, "not run as root");
}

TEST(order_and_json)
{
	static const struct {
		const char *area, *check;
		enum finding_severity severity;
	} in[] = { { "a", "1", FINDING_OK },	  { "a", "2", FINDING_WARNING },
		   { "b", "3", FINDING_NOTE },	  { "b", "4", FINDING_ERROR },
		   { "c", "5", FINDING_WARNING }, { "a", "6", FINDING_WARNING } };
	static const char sorted[] = "432615";
	struct findings f = { 0 };
	json_object *json, *list;

	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		struct finding *finding = findings_add(&f);

		finding->area = in[i].area;
		finding->check = in[i].check;
		finding->severity = in[i].severity;
		strcpy(finding->found, "a\033b");
	}
	findings_sort(&f);
	/* b with its error, then a and c, whose warnings come first */
	for (size_t i = 0; i < f.n; i++)
		EXPECT_EQ(sorted[i], f.list[i].check[0]);
	json = findings_to_json(&f);
	list = json_object_object_get(json, "findings");
	ASSERT_EQ(6, json_object_array_length(list));
	EXPECT_STREQ("{ \"ok\": 1, \"note\": 1, \"warning\": 3, \"error\": 1 }",
		     json_object_to_json_string(json_object_object_get(json, "counts")));
	EXPECT_STREQ("{ \"area\": \"b\", \"check\": \"4\", \"severity\": \"error\", \"looked_at\": "
		     "null, \"found\": \"a?b\", \"expected\": null, \"action\": null }",
		     json_object_to_json_string(json_object_array_get_idx(list, 0)));
	json_object_put(json);
	findings_free(&f);
}

/* Many findings: the list grows. */
TEST(many)
{
	struct findings f = { 0 };

	for (unsigned int i = 0; i < 100; i++)
		snprintf(findings_add(&f)->found, sizeof(f.beyond.found), "%u", i);
	ASSERT_EQ(100, f.n);
	for (unsigned int i = 0; i < 100; i++)
		EXPECT_EQ(i, (unsigned int)atoi(f.list[i].found));
	findings_free(&f);
}

/* Names are what scripts and users go by: unique, and in the help. */
TEST(names)
{
	for (size_t i = 0; doctor_areas[i]; i++) {
		char line[64];

		snprintf(line, sizeof(line), "\n  %-18s ", doctor_areas[i]->name);
		EXPECT_NE(NULL, strstr(ctl_doctor.help, line))
		{
			TH_LOG("no area %s in the help", doctor_areas[i]->name);
		}
		for (const struct doctor_check *c = doctor_areas[i]->checks; c->name; c++) {
			for (const struct doctor_check *o = c + 1; o->name; o++)
				EXPECT_STRNE(c->name, o->name);
		}
	}
}

TEST_HARNESS_MAIN
