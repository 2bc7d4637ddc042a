/* SPDX-License-Identifier: BSD-3-Clause */

/* Files as they are: the shipped one, one of 1.1, and what is no configuration at all. */
#include <fcntl.h>

#include <kselftest_harness.h>

#include "config_case.h"

FIXTURE(file) {
	struct config_case c;
	char path[CONFIG_ROOT_MAX + 16];
};

FIXTURE_SETUP(file)
{
	config_case_setup(&self->c);
	snprintf(self->path, sizeof(self->path), "%s/config", self->c.root);
}

FIXTURE_TEARDOWN(file)
{
	config_case_teardown(&self->c);
}

static int read_file(struct config_case *c, const char *path)
{
	config_case_reset(c);
	return config_read(path, c->root, &c->cfg, &c->report);
}

static void write_file(const char *path, const char *data, size_t size)
{
	FILE *file = fopen(path, "w");

	if (!file || fwrite(data, 1, size, file) != size || fclose(file))
		abort();
}

/* What config_to_json says, as a string the caller frees. */
static char *all_values(const struct config *cfg)
{
	struct json_object *json = config_to_json(cfg);
	char *text = strdup(json_object_to_json_string(json));

	json_object_put(json);
	return text;
}

static char *load_shipped(void)
{
	char path[512], *text = calloc(1, 65536);
	FILE *file;

	snprintf(path, sizeof(path), "%s/../../conf/virtioforwarder", getenv("UNIT_SOURCE_DIR"));
	file = fopen(path, "r");
	if (!text || !file || !fread(text, 1, 65535, file))
		abort();
	fclose(file);
	return text;
}

/* Takes away the # of every assignment that is a comment. */
static void uncomment(char *text)
{
	for (char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, "#VIRTIOFWD_", 11) || !strncmp(line, "#VIO4WD_", 8))
			*line = ' ';
	}
}

TEST_F(file, the_shipped_file_has_every_default) {
	struct config_case *c = &self->c;
	char *text = load_shipped(), *defaults, *values, name[64];

	ASSERT_EQ(0, config_case_read(c, ""));
	defaults = all_values(c->cfg);
	ASSERT_EQ(0, config_case_read(c, text));
	EXPECT_EQ(0, c->report.n_issues);
	EXPECT_EQ(NULL, strstr(text, "\nVI"))
	{
		TH_LOG("an assignment that is no comment");
	}
	for (size_t i = 0; i < config_n_vars; i++) {
		snprintf(name, sizeof(name), "\n#%s=%s\n", config_vars[i].name,
			 config_vars[i].fallback);
		if (strcmp(config_vars[i].name, "VIRTIOFWD_BINARY"))
			EXPECT_NE(NULL, strstr(text, name))
			{
				TH_LOG("not there: %s", name);
			}
	}

	/* Defaults that look at the host are what they are on a host that has it all. */
	config_root_write(c->root, "../../../usr/local/var/run/openvswitch/db.sock", "");
	uncomment(text);
	ASSERT_EQ(0, config_case_read(c, text))
	{
		TH_LOG("%s", config_case_first(c));
	}
	for (size_t i = 0; i < c->report.n_issues; i++)
		EXPECT_NE(NULL, strstr(c->report.issues[i].text, "this host does not have"));
	values = all_values(c->cfg);
	config_case_read(c, "");
	free(defaults);
	defaults = all_values(c->cfg);
	EXPECT_STREQ(defaults, values);
	free(values);
	free(defaults);
	free(text);
}

/* Every variable that 1.1's own file assigns, with the values that it has. */
TEST_F(file, a_file_of_1_1) {
	static const char text[] =
		"VIRTIOFWD_CPU_MASK=1,2\nVIRTIOFWD_LOG_LEVEL=6\nVIRTIOFWD_IPC_PORT_CONTROL=y\n"
		"VIRTIOFWD_OVSDB_SOCK_PATH=\nVIRTIOFWD_JUMBO=y\nVIRTIOFWD_MRGBUF=y\n"
		"VIRTIOFWD_TSO=\nVIRTIOFWD_SOCKET_OWNER=\nVIRTIOFWD_SOCKET_GROUP=\n"
		"VIRTIOFWD_HUGETLBFS_MOUNT_POINT=/dev/hugepages\nVIRTIOFWD_STATIC_VFS=\n"
		"VIRTIOFWD_DYNAMIC_SOCKETS=\nVIRTIOFWD_CPU_NIC_SAME_NUMA=\n"
		"VIRTIOFWD_VFIO_VF_TOKEN=\nVIO4WD_CORE_SCHED_ENABLE=true\n"
		"VIO4WD_CORE_SCHED_SENSITIVITY=\nVIO4WD_CORE_SCHED_LOG_LEVEL=6\n"
		"VIO4WD_CORE_SCHED_POLL_INTERVAL=\nVIO4WD_CORE_SCHED_GLOBAL_NUMA_OPT=\n"
		"VIRTIOFWD_CPU_PINS=\nVIRTIOFWD_PID_DIR=/var/run\nVIRTIOFWD_ZMQ_CONFIG_EP=\n"
		"VIRTIOFWD_ZMQ_PORT_CONTROL_EP=ipc:///var/run/virtio-forwarder/port_control\n"
		"VIRTIOFWD_ZMQ_STATS_EP=ipc:///var/run/virtio-forwarder/stats\n"
		"VIRTIOFWD_ZMQ_CORE_SCHED_EP=ipc:///var/run/virtio-forwarder/core_sched\n"
		"VIRTIOFWD_SOCKET_DIR=/tmp/virtio-forwarder\nVIRTIOFWD_SOCKET_FNAME_PATTERN=\n"
		"VIRTIOFWD_BINARY=/usr/bin/virtio-forwarder\nVIRTIOFWD_MASTER_LCORE=\n"
		"VIRTIOFWD_VHOST_CLIENT=y\nVIRTIOFWD_ZERO_COPY=\nVIRTIOFWD_BIND_VFIO_PCI=\n";
	struct config_case *c = &self->c;
	char path[CONFIG_SOCKET_PATH_MAX + 1];

	write_file(self->path, text, strlen(text));
	ASSERT_EQ(0, read_file(c, self->path))
	{
		TH_LOG("%s", config_case_first(c));
	}
	EXPECT_EQ(1, c->report.n_issues); /* VIRTIOFWD_BINARY */
	EXPECT_STREQ(self->path, c->cfg->file);
	EXPECT_TRUE(c->cfg->jumbo);
	EXPECT_FALSE(c->cfg->tso);
	EXPECT_EQ(NULL, c->cfg->zmq_config_ep);
	EXPECT_EQ(NULL, c->cfg->vfio_vf_token);
	ASSERT_EQ(0, config_socket_path(c->cfg, 3, path, NULL));
	EXPECT_STREQ("/tmp/virtio-forwarder/virtio-forwarder3.sock", path);
}

/* What `config show` prints can be written into a file, and is read as the same. */
TEST_F(file, values_survive_a_round_trip) {
	struct config_case *c = &self->c;
	struct json_object *json;
	char *before, *after, *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	ASSERT_EQ(0, config_case_read(
			     c, "VIRTIOFWD_STATIC_VFS=(a=1 'vdev:net_null0,x=$y=2')\n"
				"VIO4WD_ALIASES=(a=netdev:eth0 0:0.1=ens3.vf2)\n"
				"VIRTIOFWD_CPU_PINS='1:1,2;2:2'\n"
				"VIRTIOFWD_BIND_VFIO_PCI=ens3:4,01:02.3\n"
				"VIO4WD_AUTO_VFS=ens3:8 VIO4WD_NUM_VFS=ens3=8\n"
				"VIRTIOFWD_SOCKET_OWNER=root VIRTIOFWD_SOCKET_GROUP=root\n"
				"VIO4WD_VF_OPTIONS=(ens3.vf1:vlan=5,qos=1 ens3:trust=1,queues=4)\n"
				"VIO4WD_NR_HUGEPAGES=(0:1 1:2)\n"
				"VIO4WD_SPARE_VFS=(ens3.vf7 05:08.2=ens4)\n"
				"VIO4WD_EXCLUDE=(05:08.1) VIRTIOFWD_PID_DIR='/a b'\n"));
	before = all_values(c->cfg);
	json = config_to_json(c->cfg);
	json_object_object_foreach(json, name, value) {
		if (!json_object_is_type(value, json_type_array)) {
			fprintf(out, "%s='%s'\n", name, json_object_get_string(value));
			continue;
		}
		fprintf(out, "%s=(", name);
		for (size_t i = 0; i < json_object_array_length(value); i++)
			fprintf(out, " '%s'",
				json_object_get_string(json_object_array_get_idx(value, i)));
		fprintf(out, ")\n");
	}
	fclose(out);
	json_object_put(json);
	ASSERT_EQ(0, config_case_read(c, text))
	{
		TH_LOG("%s", config_case_first(c));
	}
	after = all_values(c->cfg);
	EXPECT_STREQ(before, after);
	free(before);
	free(after);
	free(text);
}

TEST_F(file, what_cannot_be_opened) {
	struct config_case *c = &self->c;

	EXPECT_EQ(-ENOENT, read_file(c, self->path));
	ASSERT_EQ(1, c->report.n_issues);
	EXPECT_TRUE(c->report.issues[0].is_error);
	EXPECT_NE(NULL, strstr(config_case_first(c), "No such file"));
	EXPECT_EQ(-EISDIR, read_file(c, c->root));
	EXPECT_NE(NULL, strstr(config_case_first(c), "directory"));
	ASSERT_EQ(0, mkfifo(self->path, 0600));
	EXPECT_EQ(-EINVAL, read_file(c, self->path));
	EXPECT_NE(NULL, strstr(config_case_first(c), "no regular file"));
	EXPECT_EQ(-EINVAL, read_file(c, "/dev/zero"));
}

TEST_F(file, what_may_not_be_read) {
	struct config_case *c = &self->c;
	bool root = geteuid() == 0;

	write_file(self->path, "", 0);
	ASSERT_EQ(0, chmod(self->path, 0));
	if (root)
		ASSERT_EQ(0, seteuid(65534));
	EXPECT_EQ(-EACCES, read_file(c, self->path));
	EXPECT_NE(NULL, strstr(config_case_first(c), "Permission denied"));
	if (root)
		ASSERT_EQ(0, seteuid(0));
}

TEST_F(file, too_long) {
	struct config_case *c = &self->c;

	write_file(self->path, "", 0);
	ASSERT_EQ(0, truncate(self->path, (16 << 20) + 1));
	EXPECT_EQ(-EFBIG, read_file(c, self->path));
	EXPECT_NE(NULL, strstr(config_case_first(c), "16 MiB"));
}

TEST_F(file, no_final_newline_and_empty) {
	struct config_case *c = &self->c;

	write_file(self->path, "", 0);
	EXPECT_EQ(0, read_file(c, self->path));
	EXPECT_EQ(0, c->report.n_issues);
	write_file(self->path, "VIRTIOFWD_LOG_LEVEL=3", 21);
	ASSERT_EQ(0, read_file(c, self->path));
	EXPECT_EQ(3, c->cfg->log_level);
}

TEST_F(file, nul_bytes) {
	static const char text[] = "VIRTIOFWD_LOG_LEVEL=3\n\nVIRTIOFWD_\0JUMBO=y\n";
	struct config_case *c = &self->c;

	write_file(self->path, text, sizeof(text) - 1);
	EXPECT_EQ(-EINVAL, read_file(c, self->path));
	ASSERT_EQ(1, c->report.n_issues);
	EXPECT_EQ(3, c->report.issues[0].line);
	EXPECT_NE(NULL, strstr(config_case_first(c), "NUL byte"));
}

TEST_F(file, binary_garbage) {
	struct config_case *c = &self->c;
	char garbage[8192];
	unsigned int state = 1;

	for (unsigned int round = 0; round < 50; round++) {
		for (size_t i = 0; i < sizeof(garbage); i++) {
			state = state * 1103515245 + 12345;
			garbage[i] = (char)(state >> 16);
			if (!garbage[i] && round % 2)
				garbage[i] = '=';
		}
		EXPECT_EQ(-EINVAL, config_case_read_bytes(c, garbage, sizeof(garbage)));
		EXPECT_NE(0, c->report.n_errors);
		for (size_t i = 0; i < c->report.n_issues; i++)
			EXPECT_EQ(NULL, strpbrk(c->report.issues[i].text, "\n\x1b"));
	}
}

/* A megabyte in one line: as a comment, a name, a value, quotes, an array. */
TEST_F(file, long_lines) {
	static const struct {
		const char *head, *tail;
		int rc;
	} cases[] = {
		{ "# ", "", 0 },
		{ "", "", -EINVAL },
		{ "", "=1", 0 },
		{ "VIRTIOFWD_", "=1", 0 },
		{ "VIRTIOFWD_PID_DIR=/", "", -EINVAL },
		{ "VIRTIOFWD_CPU_MASK=0x", "", -EINVAL },
		{ "VIRTIOFWD_STATIC_VFS=", "=1", -EINVAL },
		{ "VIRTIOFWD_STATIC_VFS=(vdev:", "=1)", -EINVAL },
		{ "VIO4WD_ALIASES=", "=netdev:a", -EINVAL },
		{ "VIO4WD_AUTO_VFS=", ":1", -EINVAL },
		{ "VIRTIOFWD_BIND_VFIO_PCI=", ":1", -EINVAL },
		{ "VIO4WD_VF_OPTIONS=", ":vlan=1", -EINVAL },
		{ "VIO4WD_VF_OPTIONS=ens3:", "=1", -EINVAL },
		{ "VIO4WD_VF_OPTIONS=ens3:vlan=", "", -EINVAL },
		{ "VIO4WD_NR_HUGEPAGES=", ":1", -EINVAL },
		{ "VIRTIOFWD_SOCKET_OWNER=", "", -EINVAL },
		{ "VIRTIOFWD_SOCKET_FNAME_PATTERN=%u", "", -EINVAL },
		{ "VIRTIOFWD_PID_DIR='/", "", -EINVAL },
		{ "VIRTIOFWD_JUMBO=(", "", -EINVAL },
	};
	struct config_case *c = &self->c;
	const size_t size = 1 << 20;
	char *text = malloc(size + 64);

	ASSERT_NE(NULL, text);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t head = strlen(cases[i].head);

		memcpy(text, cases[i].head, head);
		memset(text + head, 'a', size);
		memcpy(text + head + size, cases[i].tail, strlen(cases[i].tail) + 1);
		EXPECT_EQ(cases[i].rc, config_case_read(c, text))
		{
			TH_LOG("%s: %s", cases[i].head, config_case_first(c));
		}
	}
	free(text);
}

TEST_F(file, long_lists) {
	static const char *const heads[] = { "VIRTIOFWD_STATIC_VFS", "VIO4WD_EXCLUDE",
					     "VIO4WD_ALIASES",	     "VIO4WD_AUTO_VFS",
					     "VIO4WD_NUM_VFS",	     "VIRTIOFWD_BIND_VFIO_PCI",
					     "VIRTIOFWD_CPU_PINS",   "VIO4WD_VF_OPTIONS",
					     "VIO4WD_NR_HUGEPAGES",  "VIO4WD_SPARE_VFS" };
	struct config_case *c = &self->c;

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		char *text = NULL;
		size_t size;
		FILE *out = open_memstream(&text, &size);

		fprintf(out, "%s=(", heads[i]);
		for (unsigned int n = 0; n < 50000; n++)
			fputs("x ", out);
		fputs(")", out);
		fclose(out);
		EXPECT_EQ(-EINVAL, config_case_read(c, text));
		EXPECT_EQ(1, c->report.n_errors);
		EXPECT_NE(NULL, strstr(config_case_first(c), "found 50000 entries"));
		free(text);
	}
}

/* No message may be cut before it has said what is allowed. */
TEST(allowed_values_fit_a_message)
{
	char allowed[CONFIG_ALLOWED_MAX];

	for (size_t i = 0; i < config_n_vars; i++) {
		EXPECT_GT(CONFIG_ALLOWED_MAX - 1, strlen(config_allowed(&config_vars[i], allowed)));
		EXPECT_TRUE(config_is_our_name(config_vars[i].name));
		EXPECT_EQ(&config_vars[i], config_var_find(config_vars[i].name));
		EXPECT_NE('\0', config_vars[i].about[0]);
	}
	EXPECT_NE(NULL, config_vars[0].group);
}

TEST_HARNESS_MAIN
