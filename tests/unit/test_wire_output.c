/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdlib.h>
#include <string.h>

#include <kselftest_harness.h>

#include "config_root.h"
#include "ctl/output.h"
#include "ctl/relay_view.h"

static const struct output_column columns[] = {
	{ "ID", .right = true },
	{ "DEVICE" },
	{ "REASON", .last = true },
};

TEST(table)
{
	struct ctl ctl = { 0 };
	struct output_table *table = output_table_new(&ctl, columns, 3);
	char *text;

	output_row(table);
	output_cell(table, "%d", 1);
	output_cell(table, "%s", "netdev:veth0");
	output_cell(table, "%s", "a reason\033[2J");
	output_row(table);
	output_cell(table, "%d", 63);
	output_cell(table, "%s", "");
	output_cell(table, "%s", "");
	text = output_table_text(table);
	EXPECT_STREQ("ID DEVICE       REASON\n"
		     " 1 netdev:veth0 a reason?[2J\n"
		     "63 -            -",
		     text);
	free(text);
}

TEST(table_without_headings_and_rows)
{
	struct ctl ctl = { .no_headings = true };
	struct output_table *table = output_table_new(&ctl, columns, 3);
	char *text = output_table_text(table);

	EXPECT_STREQ("", text);
	free(text);
	table = output_table_new(&ctl, columns, 3);
	output_row(table);
	output_cell(table, "1");
	output_cell(table, "a");
	output_cell(table, "b");
	text = output_table_text(table);
	EXPECT_STREQ("1 a b", text);
	free(text);
}

TEST(numbers_have_units)
{
	EXPECT_STREQ("0 pps", PACKETS(0));
	EXPECT_STREQ("999 pps", PACKETS(999));
	EXPECT_STREQ("1.00 kpps", PACKETS(1000));
	EXPECT_STREQ("1.00 kpps", PACKETS(999.6));
	EXPECT_STREQ("14.9 Mpps", PACKETS(14880952));
	EXPECT_STREQ("148 Mpps", PACKETS(148000000));
	EXPECT_STREQ("10.0 Gbit/s", BITS(1250000000));
	EXPECT_STREQ("9.87 Gbit/s", BITS(1233750000));
	EXPECT_STREQ("512 B", BYTES(512));
	EXPECT_STREQ("1.50 KiB", BYTES(1536));
	EXPECT_STREQ("59s", DURATION(59.9));
	EXPECT_STREQ("1h 1m", DURATION(3661));
	EXPECT_STREQ("2d 3h", DURATION(2 * 86400 + 3 * 3600));
	EXPECT_STREQ("-", TIME(0));
}

TEST(members_of_any_type)
{
	json_object *obj = json_tokener_parse(
		"{\"a\": {\"b\": 3, \"c\": \"x\", \"d\": null, \"e\": [1], \"f\": true}, \"n\": null}");

	EXPECT_EQ(3, json_number(obj, "a.b"));
	EXPECT_EQ(0, json_number(obj, "a.c"));
	EXPECT_EQ(0, json_number(obj, "a.b.c"));
	EXPECT_STREQ("x", json_text(obj, "a.c"));
	EXPECT_STREQ("3", json_text(obj, "a.b"));
	EXPECT_STREQ("-", json_text(obj, "a.d"));
	EXPECT_STREQ("-", json_text(obj, "n.x"));
	EXPECT_STREQ("-", json_text(NULL, "x"));
	EXPECT_TRUE(json_flag(obj, "a.f"));
	EXPECT_FALSE(json_flag(obj, "a.b"));
	EXPECT_EQ(1, json_length(json_at(obj, "a.e")));
	EXPECT_EQ(0, json_length(json_at(obj, "a.f")));
	json_object_put(obj);
}

TEST(cpus)
{
	static const char *const cases[][2] = {
		{ "{\"cpus\": {\"vf_to_vm\": [1], \"vm_to_vf\": [1]}}", "1" },
		{ "{\"cpus\": {\"vf_to_vm\": [1, 2], \"vm_to_vf\": [3]}}", "1,2/3" },
		{ "{\"cpus\": {\"vf_to_vm\": [], \"vm_to_vf\": []}}", "-" },
		{ "{}", "-/-" },
	};
	char buf[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_object *obj = json_tokener_parse(cases[i][0]);

		EXPECT_STREQ(cases[i][1], format_cpus(obj, buf, sizeof(buf)));
		json_object_put(obj);
	}
}

TEST(long_lists_are_cut)
{
	json_object *obj = json_tokener_parse("{\"cpus\": {\"vf_to_vm\": [1,2,3,4,5,6,7,8,9]}}");
	char buf[8];

	EXPECT_STREQ("1,2,3,4", format_cpus(obj, buf, sizeof(buf)));
	json_object_put(obj);
}

TEST(drops_and_reason)
{
	json_object *obj = json_tokener_parse(
		"{\"reason\": \"failed: x\", \"next_try_s\": 4.0, \"drops\": {\"queue_full\": "
		"{\"packets\": 3}, \"too_long\": {\"packets\": 0}, \"malformed\": {\"packets\": 1}}}");
	char buf[128];

	EXPECT_STREQ("queue_full 3, malformed 1",
		     format_drops(json_at(obj, "drops"), buf, sizeof(buf)));
	EXPECT_STREQ("failed: x; next try in 4 s", format_reason(obj, buf, sizeof(buf)));
	EXPECT_STREQ("", format_drops(NULL, buf, sizeof(buf)));
	json_object_put(obj);
}

TEST(what_starts_the_daemon)
{
	static const char unit[] = "../../../usr/lib/systemd/system/virtio-forwarder.service";
	char root[CONFIG_ROOT_MAX];

	config_root_make(root);
	EXPECT_STREQ("start vio4wd as root", ctl_how_to_start(root));
	config_root_write(root, unit, "[Unit]\n"); /* a container: no systemd runs */
	EXPECT_STREQ("start vio4wd as root", ctl_how_to_start(root));
	config_root_write(root, "../../../run/systemd/system/x.service", "");
	EXPECT_STREQ("start it with 'systemctl start virtio-forwarder'", ctl_how_to_start(root));
	config_root_remove(root);
}

TEST_HARNESS_MAIN
