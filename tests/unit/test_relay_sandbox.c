/* SPDX-License-Identifier: BSD-3-Clause */

/* What is left of root's powers once the sandbox is entered: nothing, in every thread. Each test
 * is a process of its own. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <kselftest_harness.h>

#include "sw-relay/sandbox.h"

#define OTHER_UID 65534
#define OTHER_GID 65533

static pthread_barrier_t ready;

static void *wait_for_end(void *arg)
{
	pthread_barrier_wait(&ready);
	for (;;)
		pause();
	return NULL;
}

static bool start_thread(void)
{
	pthread_t thread;
	bool ok;

	pthread_barrier_init(&ready, NULL, 2);
	ok = pthread_create(&thread, NULL, wait_for_end, NULL) == 0;
	if (ok)
		pthread_barrier_wait(&ready);
	return ok;
}

static bool enter(struct __test_metadata *_metadata)
{
	struct relay_options options = { .has_user = true,
					 .uid = OTHER_UID,
					 .gid = OTHER_GID,
					 .groups = { 65532 },
					 .n_groups = 1,
					 .log_level = 3 };
	struct err err = { 0 };
	int r = sandbox_prepare(&err);

	if (r == 0 && !start_thread())
		r = -EAGAIN;
	if (r == 0)
		r = sandbox_enter(&options, &err);
	EXPECT_EQ(0, r)
	{
		TH_LOG("%s", err.text);
	}
	return r == 0;
}

/* A line of /proc/self/task/TID/status, without its name. */
static void status_line(const char *tid, const char *name, char *value, size_t size)
{
	char path[300], line[256];
	FILE *f;

	*value = '\0';
	snprintf(path, sizeof(path), "/proc/self/task/%s/status", tid);
	f = fopen(path, "r");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		size_t len = strlen(name);

		if (strncmp(line, name, len) == 0 && line[len] == ':') {
			snprintf(value, size, "%s", line + len + 1);
			value[strcspn(value, "\n")] = '\0';
		}
	}
	fclose(f);
}

#define AS_ROOT             \
	if (geteuid() != 0) \
	SKIP(return, "needs root to be dropped")

TEST(every_thread_has_nothing)
{
	static const struct {
		const char *name;
		const char *value;
	} lines[] = {
		{ "CapInh", "\t0000000000000000" },
		{ "CapPrm", "\t0000000000000000" },
		{ "CapEff", "\t0000000000000000" },
		{ "CapBnd", "\t0000000000000000" },
		{ "CapAmb", "\t0000000000000000" },
		{ "NoNewPrivs", "\t1" },
		{ "Seccomp", "\t2" },
		{ "Uid", "\t65534\t65534\t65534\t65534" },
		{ "Groups", "\t65532 " },
		{ "Gid", "\t65533\t65533\t65533\t65533" },
	};
	unsigned int threads = 0;
	const struct dirent *e;
	DIR *dir;

	AS_ROOT;
	ASSERT_TRUE(enter(_metadata));
	ASSERT_TRUE(start_thread()); /* and those that come later */
	dir = opendir("/proc/self/task");
	ASSERT_TRUE(dir);
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		threads++;
		for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
			char value[200];

			status_line(e->d_name, lines[i].name, value, sizeof(value));
			EXPECT_STREQ(lines[i].value, value)
			{
				TH_LOG("%s of thread %s", lines[i].name, e->d_name);
			}
		}
	}
	closedir(dir);
	EXPECT_LE(3, threads);
}

TEST(what_the_relay_needs_works)
{
	struct sockaddr sa;
	int fd, pair[2];

	AS_ROOT;
	ASSERT_TRUE(enter(_metadata));
	fd = memfd_create("x", MFD_CLOEXEC);
	EXPECT_LE(0, fd);
	EXPECT_EQ(0, ftruncate(fd, 4096));
	EXPECT_TRUE(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED);
	close(fd);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	EXPECT_LE(0, fd);
	memset(&sa, 0, sizeof(sa));
	sa.sa_family = AF_UNIX;
	EXPECT_EQ(0, bind(fd, &sa, sizeof(sa.sa_family)));
	EXPECT_EQ(0, listen(fd, 1));
	close(fd);
	EXPECT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	EXPECT_EQ(0, prctl(PR_SET_NAME, "name"));
	EXPECT_EQ(0, prctl(PR_SET_TIMERSLACK, 5000));
	EXPECT_TRUE(start_thread());
}

TEST(the_rest_is_refused)
{
	struct rlimit core;

	AS_ROOT;
	ASSERT_TRUE(enter(_metadata));
	EXPECT_EQ(-1, socket(AF_INET, SOCK_STREAM, 0));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, socket(AF_PACKET, SOCK_RAW, 0));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, sethostname("x", 1));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, open("/etc/shadow", O_RDONLY));
	EXPECT_EQ(0, getrlimit(RLIMIT_CORE, &core));
	EXPECT_EQ(0, core.rlim_cur);
}

/* A device is reset when it is opened; DPDK is told that it need not do so again. */
TEST(a_device_is_not_reset_twice)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	AS_ROOT;
	ASSERT_TRUE(enter(_metadata));
	EXPECT_EQ(-1, ioctl(fd, VFIO_DEVICE_RESET));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(fd, VFIO_DEVICE_GET_INFO, NULL));
	EXPECT_EQ(ENOTTY, errno); /* by the file, not by the filter */
	EXPECT_EQ(-1, ioctl(fd, VFIO_DEVICE_IOEVENTFD, NULL));
	EXPECT_EQ(EPERM, errno);
	close(fd);
}

TEST_SIGNAL(another_program_is_deadly, SIGSYS)
{
	if (geteuid() != 0 || !enter(_metadata))
		raise(SIGSYS);
	execl("/bin/true", "true", NULL);
}

TEST_SIGNAL(another_user_is_deadly, SIGSYS)
{
	if (geteuid() != 0 || !enter(_metadata))
		raise(SIGSYS);
	(void)!setuid(0);
}

TEST_SIGNAL(a_mount_is_deadly, SIGSYS)
{
	if (geteuid() != 0 || !enter(_metadata))
		raise(SIGSYS);
	mount("none", "/mnt", "tmpfs", 0, NULL);
}

/* Threads that are there before the filter are under it, too. */
static void *mount_when_told(void *arg)
{
	pthread_barrier_wait(&ready);
	pthread_barrier_wait(&ready);
	mount("none", "/mnt", "tmpfs", 0, NULL);
	return NULL;
}

TEST_SIGNAL(older_threads_are_under_the_filter, SIGSYS)
{
	struct err err;
	pthread_t thread;

	pthread_barrier_init(&ready, NULL, 2);
	pthread_create(&thread, NULL, mount_when_told, NULL);
	pthread_barrier_wait(&ready);
	if (geteuid() != 0 || sandbox_prepare(&err) < 0 || sandbox_filter_syscalls(&err) < 0)
		raise(SIGSYS);
	pthread_barrier_wait(&ready);
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0) {
		printf("TAP version 13\n1..0 # SKIP no seccomp here (under valgrind there is none)\n");
		return KSFT_PASS;
	}
	return test_harness_run(argc, argv);
}
