/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <kselftest_harness.h>

#include "manager/socket_access.h"

FIXTURE(access) {
	char dir[64];
	char path[100];
	struct relay_user user;
};

FIXTURE_SETUP(access)
{
	strcpy(self->dir, "/tmp/vio4wd-unit-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(self->path, sizeof(self->path), "%s/s.sock", self->dir);
	self->user = (struct relay_user){
		.name = "relay", .group_name = "relay", .uid = getuid(), .gid = getgid()
	};
}

FIXTURE_TEARDOWN(access)
{
	unlink(self->path);
	rmdir(self->path);
	rmdir(self->dir);
}

static int listener(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 1) < 0)
		return -1;
	return fd;
}

static int prepare(const char *path, const struct relay_user *user)
{
	struct err err = { 0 };
	const int rc = socket_prepare(path, false, user, &err);

	return rc == err.code ? rc : 1;
}

TEST_F(access, nothing_there) {
	EXPECT_EQ(0, prepare(self->path, &self->user));
}

TEST_F(access, stale_socket_goes) {
	close(listener(self->path));
	EXPECT_EQ(0, prepare(self->path, &self->user));
	EXPECT_EQ(-1, access(self->path, F_OK));
}

TEST_F(access, live_socket_stays) {
	int fd = listener(self->path);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EEXIST, prepare(self->path, &self->user));
	EXPECT_EQ(0, access(self->path, F_OK));
	close(fd);
}

TEST_F(access, files_links_and_folders_stay) {
	close(open(self->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	EXPECT_EQ(-EEXIST, prepare(self->path, &self->user));
	ASSERT_EQ(0, unlink(self->path));
	ASSERT_EQ(0, symlink("/nowhere", self->path));
	EXPECT_EQ(-EEXIST, prepare(self->path, &self->user));
	ASSERT_EQ(0, unlink(self->path));
	ASSERT_EQ(0, mkdir(self->path, 0700));
	EXPECT_EQ(-EEXIST, prepare(self->path, &self->user));
}

TEST_F(access, paths) {
	char path[200] = "/tmp/";

	memset(path + 5, 'x', 103);
	EXPECT_EQ(-ENAMETOOLONG, prepare(path, &self->user));
	path[107] = '\0';
	EXPECT_EQ(0, prepare(path, &self->user));
	EXPECT_EQ(-EINVAL, prepare("relative", &self->user));
	EXPECT_EQ(-EINVAL, prepare("/tmp/", &self->user));
	EXPECT_EQ(-ENOENT, prepare("/nowhere/at/all", &self->user));
	EXPECT_EQ(-ENOTDIR, prepare("/etc/passwd/x", &self->user));
}

TEST_F(access, folder_must_be_writable_for_the_relay) {
	self->user.uid = self->user.gid = 12345;
	ASSERT_EQ(0, chmod(self->dir, 0755));
	EXPECT_EQ(-EACCES, prepare(self->path, &self->user));
	ASSERT_EQ(0, chmod(self->dir, 01777));
	EXPECT_EQ(0, prepare(self->path, &self->user));
	/* By one of its supplementary groups. */
	ASSERT_EQ(0, chmod(self->dir, 0770));
	EXPECT_EQ(-EACCES, prepare(self->path, &self->user));
	self->user.gids[0] = getgid();
	self->user.n_gids = 1;
	EXPECT_EQ(0, prepare(self->path, &self->user));
}

TEST_F(access, given_to_its_owner) {
	const struct socket_owner owner = { getuid(), getgid() };
	struct socket_identity identity = { 0 };
	struct stat st;
	struct err err;
	int fd = listener(self->path);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, socket_give(self->path, &owner, &identity, &err));
	EXPECT_EQ(0, stat(self->path, &st));
	EXPECT_EQ(0660, st.st_mode & 07777);
	EXPECT_EQ(st.st_ino, identity.ino);
	close(fd);
}

TEST_F(access, only_our_own_socket_is_removed) {
	struct socket_identity identity = { 0 };
	int fd = listener(self->path);
	char other[120];

	ASSERT_EQ(0, socket_identify(self->path, &identity));
	/* Another one has taken its place; the first is kept so that its inode is not reused. */
	snprintf(other, sizeof(other), "%s/other", self->dir);
	ASSERT_EQ(0, rename(self->path, other));
	close(listener(self->path));
	socket_remove(self->path, &identity);
	EXPECT_EQ(0, access(self->path, F_OK));
	ASSERT_EQ(0, unlink(self->path));
	ASSERT_EQ(0, rename(other, self->path));
	socket_remove(self->path, &identity);
	EXPECT_EQ(-1, access(self->path, F_OK));
	close(fd);
}

TEST_F(access, not_a_socket_is_not_given) {
	const struct socket_owner owner = { getuid(), getgid() };
	struct socket_identity identity = { 0 };
	struct stat st;
	struct err err;

	close(open(self->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0604));
	EXPECT_EQ(-ENOTSOCK, socket_give(self->path, &owner, &identity, &err));
	EXPECT_EQ(0, stat(self->path, &st));
	EXPECT_EQ(0604, st.st_mode & 07777);
}

TEST_F(access, opened_for_the_relay_in_client_mode) {
	struct stat st;
	struct err err;
	int fd = listener(self->path);

	ASSERT_LE(0, fd);
	/* Another user's relay, in the group that the socket has. */
	self->user.uid = 12345;
	ASSERT_EQ(0, chmod(self->path, 0755));
	EXPECT_EQ(1, socket_open_for_relay(self->path, &self->user, &err));
	EXPECT_EQ(0, stat(self->path, &st));
	EXPECT_EQ(0775, st.st_mode & 07777);
	EXPECT_EQ(0, socket_open_for_relay(self->path, &self->user, &err));
	close(fd);
}

TEST_F(access, in_the_place_of_another_group) {
	struct stat st;
	struct err err;
	int fd = listener(self->path);

	ASSERT_LE(0, fd);
	/* As QEMU under libvirt makes it: its group may write already, and is none of the relay's.
	 */
	if (chown(self->path, -1, 54321) < 0)
		SKIP(close(fd), "only root changes groups");
	ASSERT_EQ(0, chmod(self->path, 0775));
	self->user.uid = self->user.gid = 12345;
	EXPECT_EQ(1, socket_open_for_relay(self->path, &self->user, &err));
	EXPECT_EQ(0, stat(self->path, &st));
	EXPECT_EQ(0775, st.st_mode & 07777);
	EXPECT_EQ(getuid(), st.st_uid);
	EXPECT_EQ(12345, st.st_gid);
	EXPECT_EQ(0, socket_open_for_relay(self->path, &self->user, &err));
	close(fd);
}

TEST_HARNESS_MAIN
