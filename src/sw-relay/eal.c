/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Addresses for devices are virtual ones always: physical ones are not shown to a process without
 * privileges, so memory that is added later would have none. Nothing is shared with other DPDK
 * processes and nothing is left on hugetlbfs.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include "common/log.h"
#include "sw-relay/eal.h"

/* What the relay's own objects and one endpoint's pool of buffers take at least. */
#define MIN_HUGEPAGE_MB 64

#define MAX_ARGS 24
#define SHORTEST_SLEEP_US 50

static FILE *log_stream;

/* A line of DPDK's log, put together from the pieces that were written of it. The stream's lock
 * is held by whoever writes. */
static struct {
	char text[900];
	size_t len;
	int level;
} log_line;

static void log_line_end(void)
{
	while (log_line.len && isspace((unsigned char)log_line.text[log_line.len - 1]))
		log_line.len--;
	if (log_line.len)
		log_write(log_line.level, "dpdk: %.*s", (int)log_line.len, log_line.text);
	log_line.len = 0;
}

static ssize_t log_stream_write(void *cookie, const char *buf, size_t size)
{
	int level = rte_log_cur_msg_loglevel();

	/* 1 (emergency) .. 8 (debug), and negative when it is not known. What DPDK calls info are
	 * its own steps, several lines for each socket and VM: debugging for an administrator. */
	log_line.level = level >= (int)RTE_LOG_EMERG ? level - (int)RTE_LOG_EMERG : LOG_INFO;
	if (log_line.level == LOG_INFO)
		log_line.level = LOG_DEBUG;
	for (size_t i = 0; i < size; i++) {
		if (buf[i] == '\n' || log_line.len == sizeof(log_line.text))
			log_line_end();
		if (buf[i] != '\n')
			log_line.text[log_line.len++] = buf[i] == '\t' ? ' ' : buf[i];
	}
	return size;
}

static int open_log(int level, struct err *err)
{
	log_stream = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = log_stream_write });
	if (!log_stream)
		return err_set(err, -errno, "log", "cannot open a stream for DPDK's log: %m");
	/* DPDK flushes after each message, so that one write is one message. */
	setvbuf(log_stream, NULL, _IOFBF, 4096);
	rte_openlog_stream(log_stream);
	eal_set_log_level(level);
	return 0;
}

void eal_set_log_level(int level)
{
	uint32_t dpdk = (uint32_t)level + RTE_LOG_EMERG;

	if (level == LOG_INFO)
		dpdk = RTE_LOG_NOTICE; /* see log_stream_write() */
	rte_log_set_global_level(dpdk);
	rte_log_set_level_pattern("*", level >= LOG_DEBUG ? RTE_LOG_DEBUG : RTE_LOG_INFO);
}

static unsigned long read_count(const char *dir, const char *name)
{
	char path[384];
	unsigned long n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%lu", &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

static int check_hugepages(struct err *err)
{
	unsigned long free_kb = 0, total = 0, unused = 0;
	DIR *dir = opendir("/sys/kernel/mm/hugepages");
	const struct dirent *e;

	while (dir && (e = readdir(dir))) {
		unsigned long kb, n;

		if (sscanf(e->d_name, "hugepages-%lukB", &kb) != 1)
			continue;
		n = read_count(e->d_name, "free_hugepages");
		free_kb += n * kb;
		unused += n;
		total += read_count(e->d_name, "nr_hugepages");
	}
	if (dir)
		closedir(dir);
	if (free_kb >= MIN_HUGEPAGE_MB * 1024)
		return 0;
	return err_set(
		err, -ENOMEM, "hugepages",
		"this host has %lu hugepages, of which %lu (%lu MB) are free, and at least "
		"%u MB are needed, more with many VMs: run `sysctl vm.nr_hugepages=1024`, or "
		"set VIO4WD_HUGEPAGES=false to use ordinary memory (virtual and Linux "
		"network devices only)",
		total, unused, free_kb / 1024, MIN_HUGEPAGE_MB);
}

/*
 * How drivers wait for their devices: asleep. Loops count such waits to know the time, and a sleep
 * is always longer than it should be; so in a row of equal ones some are left out.
 */
static void delay(unsigned int us)
{
	static __thread unsigned int last_us;
	static __thread uint64_t overslept; /* cycles */
	uint64_t wanted = rte_get_tsc_hz() / US_PER_S * us;
	uint64_t start = rte_rdtsc();

	if (us < SHORTEST_SLEEP_US) {
		rte_delay_us_block(us);
		return;
	}
	if (us != last_us)
		overslept = 0;
	last_us = us;
	if (overslept >= wanted) {
		overslept -= wanted;
		return;
	}
	rte_delay_us_sleep(us);
	overslept += rte_rdtsc() - start - wanted;
}

int eal_start(const struct relay_options *o, struct err *err)
{
	char prefix[64], lcores[32], memory[16], program[] = "vio4wd-relay";
	const char *args[MAX_ARGS];
	int n = 0, r;

	if (o->hugepages) {
		r = check_hugepages(err);
		if (r < 0)
			return r;
	}
	r = open_log(o->log_level, err);
	if (r < 0)
		return r;
	snprintf(prefix, sizeof(prefix), "--file-prefix=vio4wd-relay-%u-%d", o->id, (int)getpid());
	snprintf(lcores, sizeof(lcores), "0@%u", o->control_cpu);
	snprintf(memory, sizeof(memory), "%u", o->memory_mb);

	args[n++] = program;
	args[n++] = prefix;
	args[n++] = "--lcores";
	args[n++] = lcores;
	args[n++] = "--no-telemetry";
	args[n++] = "--iova-mode=va";
	/* An allow list with a device that is no NIC: none is taken at start, each can be added. */
	args[n++] = "-a";
	args[n++] = "0000:00:00.0";
	if (o->hugepages) {
		args[n++] = "--in-memory";
	} else {
		args[n++] = "--no-huge";
		args[n++] = "--no-shconf";
		args[n++] = "-m";
		args[n++] = memory;
	}
	if (o->vf_token) {
		args[n++] = "--vfio-vf-token";
		args[n++] = o->vf_token;
	}
	args[n] = NULL;
	if (rte_eal_init(n, (char **)args) < 0) {
		int code = rte_errno ? rte_errno : EIO;

		return err_set(err, -code, "rte_eal_init",
			       "DPDK does not start: %s; its messages in the log say more",
			       rte_strerror(code));
	}
	rte_delay_us_callback_register(delay);
	/* Nothing is shared with other processes, so it is empty, and nobody would remove it. */
	rmdir(rte_eal_get_runtime_dir());
	return 0;
}

void eal_stop(void)
{
	rte_eal_cleanup();
	rte_openlog_stream(NULL);
	if (log_stream)
		fclose(log_stream);
	log_stream = NULL;
}
