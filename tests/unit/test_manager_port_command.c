/* SPDX-License-Identifier: BSD-3-Clause */

/* The command file: its lines, and who may have written it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <kselftest_harness.h>

#include "manager/port_command.h"

#include "config_root.h"

#define NAME63 "012345678901234567890123456789012345678901234567890123456789012"

TEST(lines)
{
	static const struct {
		const char *line;
		int code;
		enum port_command_kind kind;
		const char *name;
		int id;
	} rows[] = {
		{ "", 0, PORT_COMMAND_NONE, "", -1 },
		{ " \t\r", 0, PORT_COMMAND_NONE, "", -1 },
		{ "# add_port eth0 1", 0, PORT_COMMAND_NONE, "", -1 },
		{ "add_port eth0", 0, PORT_COMMAND_ADD, "eth0", -1 },
		{ "add_port eth0 0", 0, PORT_COMMAND_ADD, "eth0", 0 },
		{ "  add_port\teth0  63 \r", 0, PORT_COMMAND_ADD, "eth0", 63 },
		{ "add_port " NAME63 " 007", 0, PORT_COMMAND_ADD, NAME63, 7 },
		{ "del_port eth0", 0, PORT_COMMAND_DEL, "eth0", -1 },
		{ "add_port", -EINVAL, 0, NULL, 0 },
		{ "del_port", -EINVAL, 0, NULL, 0 },
		{ "add_port eth0 64", -EINVAL, 0, NULL, 0 },
		{ "add_port eth0 -1", -EINVAL, 0, NULL, 0 },
		{ "add_port eth0 4294967296", -EINVAL, 0, NULL, 0 },
		{ "add_port eth0 99999999999999999999", -EINVAL, 0, NULL, 0 },
		{ "add_port eth0 0x1", -EINVAL, 0, NULL, 0 },
		{ "add_port eth0 1 2", -EINVAL, 0, NULL, 0 },
		{ "del_port eth0 1", -EINVAL, 0, NULL, 0 },
		{ "add_ports eth0", -EINVAL, 0, NULL, 0 },
		{ "add eth0", -EINVAL, 0, NULL, 0 },
		{ "add_port " NAME63 "4 1", -EINVAL, 0, NULL, 0 },
		{ "add_port e\xff 1", -EINVAL, 0, NULL, 0 },
		{ "add_port e\x1b 1", -EINVAL, 0, NULL, 0 },
	};
	struct port_command command;
	struct err err;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		EXPECT_EQ(rows[i].code, port_command_parse(&command, rows[i].line, 64, &err))
		TH_LOG("'%s'", rows[i].line);
		if (rows[i].code)
			continue;
		EXPECT_EQ(rows[i].kind, command.kind);
		EXPECT_STREQ(rows[i].name, command.name);
		EXPECT_EQ(rows[i].id, command.id) TH_LOG("'%s'", rows[i].line);
	}
}

FIXTURE(file) {
	char root[CONFIG_ROOT_MAX];
	char path[CONFIG_ROOT_MAX + 16];
	char *text;
	struct err err;
};

FIXTURE_SETUP(file)
{
	config_root_make(self->root);
	snprintf(self->path, sizeof(self->path), "%s/vio_cmd", self->root);
	self->text = NULL;
	ASSERT_EQ(0, port_command_file_make(self->path, (gid_t)-1, &self->err));
}

FIXTURE_TEARDOWN(file)
{
	free(self->text);
	config_root_remove(self->root);
}

static void write_file(const char *path, const char *text, size_t size)
{
	const int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0 || write(fd, text, size) != (ssize_t)size || close(fd) < 0)
		abort();
}

static off_t size_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 ? -1 : st.st_size;
}

TEST_F(file, is_taken_once) {
	EXPECT_EQ(-EEXIST, port_command_file_make(self->path, (gid_t)-1, &self->err));
	EXPECT_EQ(0, port_command_file_take(self->path, (gid_t)-1, &self->text, &self->err));
	EXPECT_EQ(NULL, self->text);
	write_file(self->path, "a\0b\n", 4);
	ASSERT_EQ(0, port_command_file_take(self->path, (gid_t)-1, &self->text, &self->err));
	EXPECT_STREQ("a?b\n", self->text);
	EXPECT_EQ(0, size_of(self->path));
	free(self->text);
	EXPECT_EQ(0, port_command_file_take(self->path, (gid_t)-1, &self->text, &self->err));
	EXPECT_EQ(NULL, self->text);
}

TEST_F(file, is_left_to_who_has_it_open) {
	int fd;

	write_file(self->path, "half a line", 11);
	fd = open(self->path, O_WRONLY | O_APPEND | O_CLOEXEC);
	EXPECT_EQ(-EAGAIN, port_command_file_take(self->path, (gid_t)-1, &self->text, &self->err));
	EXPECT_EQ(11, size_of(self->path));
	close(fd);
	EXPECT_EQ(0, port_command_file_take(self->path, (gid_t)-1, &self->text, &self->err));
	EXPECT_STREQ("half a line", self->text);
}

TEST_F(file, others_could_have_written) {
	char other[sizeof(self->path) + 8];
	const gid_t mine = getegid();

	snprintf(other, sizeof(other), "%s.other", self->path);
	write_file(self->path, "add_port eth0 1\n", 16);
	EXPECT_EQ(0, chmod(self->path, 0602));
	EXPECT_EQ(-EPERM, port_command_file_take(self->path, mine, &self->text, &self->err));
	EXPECT_EQ(0, chmod(self->path, 0600));
	EXPECT_EQ(0, link(self->path, other));
	EXPECT_EQ(-EPERM, port_command_file_take(self->path, mine, &self->text, &self->err));
	EXPECT_EQ(0, rename(self->path, other) || unlink(self->path));
	EXPECT_EQ(0, symlink(other, self->path));
	EXPECT_EQ(-EPERM, port_command_file_take(self->path, mine, &self->text, &self->err));
	EXPECT_EQ(0, unlink(self->path) || mkfifo(self->path, 0600));
	EXPECT_EQ(-EPERM, port_command_file_take(self->path, mine, &self->text, &self->err));
	EXPECT_EQ(0, unlink(self->path) || mkdir(self->path, 0700));
	EXPECT_EQ(-EPERM, port_command_file_take(self->path, mine, &self->text, &self->err));
	EXPECT_EQ(0, rmdir(self->path));
	EXPECT_EQ(-ENOENT, port_command_file_take(self->path, mine, &self->text, &self->err));
	EXPECT_EQ(NULL, self->text);
	EXPECT_EQ(16, size_of(other));
}

TEST_F(file, is_too_long) {
	EXPECT_EQ(0, truncate(self->path, PORT_COMMAND_FILE_MAX + 1));
	EXPECT_EQ(-EFBIG, port_command_file_take(self->path, (gid_t)-1, &self->text, &self->err));
	EXPECT_EQ(0, truncate(self->path, PORT_COMMAND_FILE_MAX));
	ASSERT_EQ(0, port_command_file_take(self->path, (gid_t)-1, &self->text, &self->err));
	EXPECT_EQ((size_t)PORT_COMMAND_FILE_MAX, strlen(self->text));
}

TEST_HARNESS_MAIN
