/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The system calls that are left, each with its reason. What is not listed fails with EPERM and is
 * logged by the kernel's audit; what only somebody who has taken over the process would call ends
 * it.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/vfio.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "sw-relay/sandbox.h"

#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

static const int allowed[] = {
	/* memory: the C library, mempools that grow (memfd_create of hugepages), guests' memory,
	 * NUMA placement of pools and of the vhost library's tables */
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(mprotect),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(memfd_create),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(mlock),
	SCMP_SYS(munlock),
	SCMP_SYS(mincore),
	SCMP_SYS(mbind),
	SCMP_SYS(get_mempolicy),
	SCMP_SYS(set_mempolicy),
	SCMP_SYS(move_pages),
	SCMP_SYS(getcpu),

	/* threads: workers come and go, the vhost library's event thread starts with the first
	 * socket; clone has a rule of its own */
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(futex),
	SCMP_SYS(exit),
	SCMP_SYS(sched_setaffinity),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getparam),
	SCMP_SYS(sched_getscheduler),
	SCMP_SYS(sched_get_priority_min),
	SCMP_SYS(sched_get_priority_max),
	SCMP_SYS(gettid),
	SCMP_SYS(set_tid_address),
	SCMP_SYS(membarrier),

	/* time: the loop's timers, DPDK's delays, measuring */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(timerfd_gettime),
	SCMP_SYS(getrusage),
	SCMP_SYS(times),

	/* files: sysfs and /dev/vfio of a device that is attached, /proc/self for statistics,
	 * net_pcap's files, drivers' shared objects, the log */
	SCMP_SYS(openat),
	SCMP_SYS(open),
	SCMP_SYS(close),
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(lseek),
	SCMP_SYS(fstat),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(getdents64),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getcwd),
	SCMP_SYS(statfs),
	SCMP_SYS(fstatfs),
	SCMP_SYS(fcntl),
	SCMP_SYS(flock),
	SCMP_SYS(dup),
	SCMP_SYS(dup2),
	SCMP_SYS(dup3),
	SCMP_SYS(pipe2),
	SCMP_SYS(fsync),
	SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat),
	SCMP_SYS(rmdir),

	/* sockets of VMs: made, given the right mode, and removed again */
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(umask),
	SCMP_SYS(chmod),
	SCMP_SYS(fchmod),
	SCMP_SYS(fchmodat),
	SCMP_SYS(chown),
	SCMP_SYS(fchownat),
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(connect),
	SCMP_SYS(shutdown),

	/* talking: vhost-user, the manager, systemd, packet sockets */
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(recvfrom),

	/* waiting: the loop, sleeping workers, DPDK's interrupt thread, kicks and calls */
	SCMP_SYS(epoll_create),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
	SCMP_SYS(eventfd2),
	SCMP_SYS(signalfd4),

	/* signals: SIGTERM by signalfd, abort() */
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(tgkill),
	SCMP_SYS(restart_syscall),

	/* the process itself: identity for messages, random numbers, limits read, the end */
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getresuid),
	SCMP_SYS(getresgid),
	SCMP_SYS(getgroups),
	SCMP_SYS(capget),
	SCMP_SYS(uname),
	SCMP_SYS(sysinfo),
	SCMP_SYS(getrlimit),
	SCMP_SYS(prlimit64),
	SCMP_SYS(getrandom),
	SCMP_SYS(exit_group),

#ifdef __SANITIZE_ADDRESS__
	/* AddressSanitizer: its leak check at the end stops all threads from a child */
	SCMP_SYS(clone),
	SCMP_SYS(ptrace),
	SCMP_SYS(wait4),
	SCMP_SYS(prctl),
	SCMP_SYS(kill),
	SCMP_SYS(arch_prctl),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(getdents),
#endif
};

/* Not userfaultfd: a VM can make the vhost library call it (POSTCOPY_ADVISE), and must not be able
 * to end the relay so. */
static const int deadly[] = {
	/* another program, another identity, other processes */
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(fork),
	SCMP_SYS(vfork),
	SCMP_SYS(setuid),
	SCMP_SYS(setgid),
	SCMP_SYS(setreuid),
	SCMP_SYS(setregid),
	SCMP_SYS(setresuid),
	SCMP_SYS(setresgid),
	SCMP_SYS(setfsuid),
	SCMP_SYS(setfsgid),
	SCMP_SYS(setgroups),
	SCMP_SYS(capset),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(pidfd_getfd),
#ifndef __SANITIZE_ADDRESS__
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
#endif
	/* another view of the host */
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(pivot_root),
	SCMP_SYS(chroot),
	SCMP_SYS(unshare),
	SCMP_SYS(setns),
	SCMP_SYS(move_mount),
	SCMP_SYS(fsopen),
	SCMP_SYS(open_tree),
	SCMP_SYS(open_by_handle_at),
	/* the kernel */
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(reboot),
	SCMP_SYS(swapon),
	SCMP_SYS(swapoff),
	SCMP_SYS(iopl),
	SCMP_SYS(ioperm),
	SCMP_SYS(add_key),
	SCMP_SYS(keyctl),
	SCMP_SYS(request_key),
};

/* ioctls by their type byte (bits 8 to 15) or whole */
static const struct {
	unsigned long mask;
	unsigned long value;
} ioctls[] = {
	/* VFIO: a group into a container, a device out of the group, its registers, its interrupts,
	 * the memory it may reach */
	{ 0xffffffff, VFIO_GET_API_VERSION },
	{ 0xffffffff, VFIO_CHECK_EXTENSION },
	{ 0xffffffff, VFIO_SET_IOMMU },
	{ 0xffffffff, VFIO_GROUP_GET_STATUS },
	{ 0xffffffff, VFIO_GROUP_SET_CONTAINER },
	{ 0xffffffff, VFIO_GROUP_UNSET_CONTAINER },
	{ 0xffffffff, VFIO_GROUP_GET_DEVICE_FD },
	{ 0xffffffff, VFIO_DEVICE_GET_INFO },
	{ 0xffffffff, VFIO_DEVICE_GET_REGION_INFO },
	{ 0xffffffff, VFIO_DEVICE_GET_IRQ_INFO },
	{ 0xffffffff, VFIO_DEVICE_SET_IRQS },
	{ 0xffffffff, VFIO_IOMMU_GET_INFO },
	{ 0xffffffff, VFIO_IOMMU_MAP_DMA },
	{ 0xffffffff, VFIO_IOMMU_UNMAP_DMA },
	{ 0xff00, 0xaf << 8 }, /* vhost-vdpa */
	{ 0xff00, 0x1b << 8 }, /* RDMA: drivers of ConnectX */
	{ 0xff00, 0x89 << 8 }, /* network interfaces: link, MTU, name (setting needs more rights) */
	{ 0xffffffff, FIONREAD }, /* waiting bytes of a socket */
	{ 0xffffffff, FIONBIO },
	{ 0xffffffff, TCGETS }, /* isatty() */
};

static int add_simple(scmp_filter_ctx ctx, uint32_t action, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int r = seccomp_rule_add(ctx, action, calls[i], 0);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Rules that look at arguments. */
static int add_checked(scmp_filter_ctx ctx)
{
	static const int families[] = { AF_UNIX, AF_NETLINK }; /* VMs; drivers of ConnectX */
	/* names of threads; how exactly a worker sleeps */
	static const int prctls[] = { PR_SET_NAME, PR_SET_TIMERSLACK };
	int r;

	/* Threads only. clone3's arguments cannot be seen; without it the C library uses clone. */
	r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
			     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (r < 0 && r != -EEXIST)
		return r;
	r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (r < 0)
		return r;
	for (size_t i = 0; i < N_ELEMENTS(families); i++) {
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_EQ, families[i]));
		if (r < 0)
			return r;
	}
	r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1,
			     SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	if (r < 0)
		return r;
	for (size_t i = 0; i < N_ELEMENTS(ioctls); i++) {
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_MASKED_EQ, ioctls[i].mask, ioctls[i].value));
		if (r < 0)
			return r;
	}
	/* The kernel has reset the device when it was opened. DPDK would do it once more, a tenth
	 * of a second for each VF; it goes on when it is told that the device cannot be reset. */
	r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(ioctl), 1,
			     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, VFIO_DEVICE_RESET));
	if (r < 0)
		return r;
	for (size_t i = 0; i < N_ELEMENTS(prctls); i++) {
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				     SCMP_A0(SCMP_CMP_EQ, prctls[i]));
		if (r < 0 && r != -EEXIST)
			return r;
	}
	return 0;
}

int sandbox_filter_syscalls(struct err *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = -ENOMEM;

	if (!ctx)
		goto out;
	r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r < 0)
		goto out;
	/* Kernels before 4.14 cannot log. A balanced tree halves what a call costs. */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_LOG, 1);
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	r = add_simple(ctx, SCMP_ACT_ALLOW, allowed, N_ELEMENTS(allowed));
	if (r < 0)
		goto out;
	r = add_simple(ctx, SCMP_ACT_KILL_PROCESS, deadly, N_ELEMENTS(deadly));
	if (r < 0)
		goto out;
	r = add_checked(ctx);
	if (r < 0)
		goto out;
	r = seccomp_load(ctx);

out:
	if (ctx)
		seccomp_release(ctx);
	if (r < 0)
		return err_set(err, r, "seccomp",
			       "the system calls cannot be limited: %s (the kernel needs "
			       "CONFIG_SECCOMP_FILTER)",
			       strerror(-r));
	return 0;
}
