/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Four ways in which a VM could stop or end a relay, all of them within the vhost-user protocol:
 *
 * Memory. A front end shares a file, and may truncate it afterwards or have said a size that the
 * file never had; touching what is not there raises SIGBUS. The handler puts a page of zeros in the
 * hole, so that whoever touched it (the vhost library with its locks held) goes on, and the VM is
 * dropped. The registers of a device that was pulled out raise the same signal (bars.h).
 *
 * A new table of memory that cannot be mapped. The library has unmapped the old one then, and
 * workers go on with the rings that were in it: SIGSEGV. Pages of zeros are put there as well, but
 * only where this VM's memory was and nothing else is by now. To whoever reads them they are a ring
 * of empty descriptors.
 *
 * The socket. The library reads a message's head when the socket is readable, and then the rest of
 * the message from a blocking socket, in the one thread that serves all sockets. A front end that
 * sends a head alone would stop all of them, and so would one that never reads its answers. The
 * connection gets short timeouts (all known front ends send a message in one piece), and no message
 * is handled while answers wait. The library keeps the descriptor to itself, so it is looked for
 * among those of the process.
 *
 * The call eventfd. The library writes to it from a worker, and its counter may be full: it is made
 * non-blocking. See also worker_watch.c.
 */
#include "sw-relay/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_vhost.h>

#include "sw-relay/bars.h"
#include "sw-relay/endpoint_internal.h"

#define SOCKET_TIMEOUT_US 20000
#define FDS_MAX 65536
#define PAGE_SIZE 4096 /* the smallest; a ring may have only this much */

__thread struct guard *guard_current;

static atomic_bool reported;
static struct sigaction sigsegv_before; /* a sanitizer's */

void guard_report(struct guard *guard, enum guard_fault fault)
{
	if (atomic_fetch_or(&guard->faults, fault) & fault)
		return;
	atomic_store(&reported, true);
	endpoint_work_later();
}

void guard_blocked(struct guard *guard)
{
	if (atomic_fetch_add(&guard->blocked, 1) > 0)
		guard_report(guard, GUARD_BELL);
}

bool guard_reported(void)
{
	return atomic_exchange(&reported, false);
}

/* Fills the hole with zeros; a hugepage's is as large as itself. */
static bool fill_hole(uintptr_t addr)
{
	static const uintptr_t sizes[] = { 1ul << 12, 1ul << 21, 1ul << 30 };

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		void *page = (void *)(addr & ~(sizes[i] - 1));

		if (mmap(page, sizes[i], PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == page)
			return true;
		if (errno != EINVAL) /* which says: not a page of this mapping */
			return false;
	}
	return false;
}

static bool was_mapped(const struct guard *guard, uintptr_t addr)
{
	for (unsigned int i = 0; i < GUARD_RANGES; i++) {
		if (addr - atomic_load(&guard->ranges[i].start) <
		    atomic_load(&guard->ranges[i].size))
			return true;
	}
	return false;
}

/* Another thread may have been faster. */
static bool fill_gap(struct guard *guard, uintptr_t addr)
{
	const uintptr_t page = addr & ~(uintptr_t)(PAGE_SIZE - 1);
	unsigned int i;

	if (mmap((void *)page, PAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != (void *)page)
		return errno == EEXIST;
	i = atomic_fetch_add(&guard->n_pages, 1);
	if (i < GUARD_PAGES)
		atomic_store(&guard->pages[i], page);
	return true;
}

static void remove_pages(struct guard *guard)
{
	unsigned int n = atomic_exchange(&guard->n_pages, 0);

	for (unsigned int i = 0; i < n && i < GUARD_PAGES; i++)
		munmap((void *)atomic_load(&guard->pages[i]), PAGE_SIZE);
}

static void on_sigsegv(int sig, siginfo_t *info, void *context)
{
	struct guard *guard = guard_current;
	uintptr_t addr = (uintptr_t)info->si_addr;
	int saved = errno;

	if (guard && info->si_code == SEGV_MAPERR && was_mapped(guard, addr) &&
	    fill_gap(guard, addr))
		guard_report(guard, GUARD_MEMORY);
	else
		sigaction(SIGSEGV, &sigsegv_before, NULL); /* it is raised again, and is a crash */
	errno = saved;
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	struct guard *guard = guard_current;
	int saved = errno;

	if (bars_fault((uintptr_t)info->si_addr))
		endpoint_work_later();
	else if (guard && info->si_code == BUS_ADRERR && fill_hole((uintptr_t)info->si_addr))
		guard_report(guard, GUARD_MEMORY);
	else
		signal(SIGBUS, SIG_DFL); /* it is raised again, and is a crash */
	errno = saved;
}

int guard_init(struct err *err)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };

	sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, &action, NULL) < 0)
		return err_set(err, -errno, "signals", "sigaction: %s", strerror(errno));
	action.sa_sigaction = on_sigsegv;
	if (sigaction(SIGSEGV, &action, &sigsegv_before) < 0)
		return err_set(err, -errno, "signals", "sigaction: %s", strerror(errno));
	return 0;
}

static bool is_path(int r, const struct sockaddr_un *addr, socklen_t size, const char *path)
{
	return r == 0 && addr->sun_family == AF_UNIX && size > sizeof(sa_family_t) &&
	       strcmp(addr->sun_path, path) == 0;
}

/* The relay's end of a connection to path: a server's has the path as its own name, a client's as
 * its peer's. The other end may be in this process, too, when that is a test. */
static bool is_connection(int fd, const char *path, bool client)
{
	struct sockaddr_un addr = { 0 };
	socklen_t size = sizeof(addr) - 1;
	int listens = 1, r;

	if (client) {
		r = getpeername(fd, (struct sockaddr *)&addr, &size);
		return is_path(r, &addr, size, path);
	}
	r = getsockname(fd, (struct sockaddr *)&addr, &size); /* fails for nearly all of them */
	if (!is_path(r, &addr, size, path))
		return false;
	size = sizeof(listens);
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && !listens;
}

/* Has it been found by guard_connected() before? What that sets is the mark. */
static bool is_marked(int fd)
{
	struct timeval timeout = { 0 };
	socklen_t size = sizeof(timeout);

	getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, &size);
	return timeout.tv_sec || timeout.tv_usec;
}

void guard_connected(struct guard *guard, const char *path, bool client)
{
	static const struct timeval timeout = { .tv_usec = SOCKET_TIMEOUT_US };
	struct rlimit limit = { .rlim_cur = FDS_MAX };
	int end;

	atomic_store(&guard->faults, 0);
	atomic_store(&guard->blocked, 0);
	guard->socket = -1;
	getrlimit(RLIMIT_NOFILE, &limit);
	end = limit.rlim_cur < FDS_MAX ? limit.rlim_cur : FDS_MAX;
	for (int fd = 3; fd < end; fd++) {
		if (!is_connection(fd, path, client) || is_marked(fd))
			continue;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
		guard->socket = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		return;
	}
}

void guard_memory(struct guard *guard, const struct rte_vhost_memory *memory)
{
	unsigned int n = memory->nregions < GUARD_RANGES ? memory->nregions : GUARD_RANGES;

	for (unsigned int i = 0; i < GUARD_RANGES; i++) {
		atomic_store(&guard->ranges[i].size, 0);
		atomic_store(&guard->ranges[i].start,
			     i < n ? memory->regions[i].host_user_addr : 0);
		atomic_store(&guard->ranges[i].size, i < n ? memory->regions[i].size : 0);
	}
}

void guard_disconnected(struct guard *guard)
{
	static const struct rte_vhost_memory nothing;

	guard_memory(guard, &nothing);
	remove_pages(guard);
	if (guard_current == guard)
		guard_current = NULL;
	if (guard->socket >= 0)
		close(guard->socket);
	guard->socket = -1;
	atomic_store(&guard->faults, 0);
}

bool guard_may_answer(const struct guard *guard)
{
	struct pollfd pfd = { .fd = guard->socket, .events = POLLOUT };

	return guard->socket < 0 || poll(&pfd, 1, 0) != 0;
}

static bool is_bell(int fd)
{
	struct stat st;

	return fd < 0 || fstat(fd, &st) < 0 ||
	       !(S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode));
}

void guard_bells(struct guard *guard, int kick_fd, int call_fd)
{
	int flags = call_fd >= 0 ? fcntl(call_fd, F_GETFL) : -1;

	if (flags >= 0 && !(flags & O_NONBLOCK))
		fcntl(call_fd, F_SETFL, flags | O_NONBLOCK);
	if (!is_bell(kick_fd) || !is_bell(call_fd))
		guard_report(guard, GUARD_BELL);
}

void guard_drop(struct guard *guard)
{
	if (guard->socket >= 0)
		shutdown(guard->socket, SHUT_RDWR);
}

uint32_t guard_enforce(struct guard *guard)
{
	uint32_t faults = atomic_exchange(&guard->faults, 0);

	if (faults)
		guard_drop(guard);
	return faults;
}
