/* SPDX-License-Identifier: BSD-3-Clause */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/cpuset.h"
#include "common/sysfs.h"

#define LONG_BITS (8 * sizeof(unsigned long))
#define CPU_LIST_MAX 32768 /* bytes of a sysfs CPU list; every second one of 8192 CPUs fits */

void cpuset_clear(struct cpuset *set)
{
	memset(set, 0, sizeof(*set));
}

void cpuset_add(struct cpuset *set, unsigned int cpu)
{
	if (cpu <= CPUSET_MAX_CPU)
		set->bits[cpu / LONG_BITS] |= 1ul << (cpu % LONG_BITS);
}

bool cpuset_has(const struct cpuset *set, unsigned int cpu)
{
	return cpu <= CPUSET_MAX_CPU && set->bits[cpu / LONG_BITS] >> (cpu % LONG_BITS) & 1;
}

unsigned int cpuset_count(const struct cpuset *set)
{
	unsigned int n = 0;

	for (size_t i = 0; i < sizeof(set->bits) / sizeof(set->bits[0]); i++)
		n += __builtin_popcountl(set->bits[i]);
	return n;
}

int cpuset_next(const struct cpuset *set, unsigned int from)
{
	for (unsigned int cpu = from; cpu <= CPUSET_MAX_CPU; cpu++)
		if (cpuset_has(set, cpu))
			return (int)cpu;
	return -1;
}

int cpuset_format(const struct cpuset *set, char *buf, size_t size)
{
	size_t len = 0;

	if (size)
		buf[0] = '\0';
	for (int first = cpuset_next(set, 0); first >= 0;) {
		int last = first;

		while (cpuset_has(set, last + 1))
			last++;
		len += snprintf(len < size ? buf + len : NULL, len < size ? size - len : 0,
				last == first	    ? "%s%d"
				: last == first + 1 ? "%s%d,%d"
						    : "%s%d-%d",
				len ? "," : "", first, last);
		first = cpuset_next(set, last + 1);
	}
	return (int)len;
}

static void skip_blanks(const char **p)
{
	while (**p == ' ' || **p == '\t')
		(*p)++;
}

static int take_cpu(const char **p, const char *text, unsigned int *cpu, struct err *err)
{
	unsigned long value = 0;

	if (!isdigit((unsigned char)**p))
		return err_set(err, -EINVAL, "CPU list", "'%.40s' has no CPU number at '%.20s'",
			       text, *p);
	for (; isdigit((unsigned char)**p); (*p)++) {
		value = value * 10 + (**p - '0');
		if (value > CPUSET_MAX_CPU)
			return err_set(err, -EINVAL, "CPU list",
				       "'%.40s' has a CPU number above %d", text, CPUSET_MAX_CPU);
	}
	*cpu = value;
	return 0;
}

static int parse_hex(struct cpuset *set, const char *text, struct err *err)
{
	const char *digits = text + 2;
	size_t n = strlen(digits);

	if (!n)
		return err_set(err, -EINVAL, "CPU mask", "'%s' has no hexadecimal digits", text);
	for (size_t i = 0; i < n; i++) {
		char c = (char)tolower((unsigned char)digits[i]);
		unsigned int value, low;

		if (!isxdigit((unsigned char)c))
			return err_set(err, -EINVAL, "CPU mask",
				       "'%.40s' is not hexadecimal at '%.20s'", text, digits + i);
		value = isdigit((unsigned char)c) ? c - '0' : c - 'a' + 10;
		if (!value)
			continue;
		if (n - 1 - i > CPUSET_MAX_CPU / 4)
			return err_set(err, -EINVAL, "CPU mask",
				       "'%.40s' has a CPU number above %d", text, CPUSET_MAX_CPU);
		low = (n - 1 - i) * 4;
		for (unsigned int bit = 0; bit < 4; bit++)
			if (value >> bit & 1)
				cpuset_add(set, low + bit);
	}
	return 0;
}

int cpuset_parse(struct cpuset *set, const char *text, struct err *err)
{
	const char *p = text;

	cpuset_clear(set);
	skip_blanks(&p);
	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))
		return parse_hex(set, p, err);
	for (;;) {
		unsigned int first, last;

		skip_blanks(&p);
		if (take_cpu(&p, text, &first, err) < 0)
			return -EINVAL;
		last = first;
		if (*p == '-') {
			p++;
			if (take_cpu(&p, text, &last, err) < 0)
				return -EINVAL;
		}
		if (last < first)
			return err_set(err, -EINVAL, "CPU list",
				       "'%.40s' has the range %u-%u, which ends before it begins",
				       text, first, last);
		for (unsigned int cpu = first; cpu <= last; cpu++)
			cpuset_add(set, cpu);
		skip_blanks(&p);
		if (!*p)
			return 0;
		if (*p++ != ',')
			return err_set(err, -EINVAL, "CPU list",
				       "'%.40s' has '%c' where a comma is expected", text, p[-1]);
	}
}

static int read_list(struct cpuset *set, const char *root, const char *path, struct err *err)
{
	_cleanup_free_ char *text = malloc(CPU_LIST_MAX);
	int rc;

	if (!text)
		return err_set(err, -ENOMEM, "CPU list", "%s%s: out of memory", root, path);
	rc = sysfs_read(root, text, CPU_LIST_MAX, "%s", path);
	if (rc < 0)
		return err_set(err, rc, "CPU list", "cannot read %s%s: %s", root, path,
			       strerror(-rc));
	if (!*text) { /* a node that has memory only */
		cpuset_clear(set);
		return 0;
	}
	rc = cpuset_parse(set, text, err);
	return rc < 0 ? err_prefix(err, "%s%s", root, path) : 0;
}

int cpuset_online(struct cpuset *set, const char *root, struct err *err)
{
	return read_list(set, root, "/sys/devices/system/cpu/online", err);
}

int cpuset_of_node(struct cpuset *set, const char *root, int numa_node, struct err *err)
{
	char path[64];
	int rc;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist", numa_node);
	rc = read_list(set, root, path, err);
	if (rc == -ENOENT && numa_node <= 0) /* a kernel without NUMA: all CPUs are on node 0 */
		return cpuset_online(set, root, err);
	return rc;
}

int cpu_numa_node(const char *root, unsigned int cpu)
{
	char path[PATH_MAX];
	struct dirent *entry;
	int node = 0;
	DIR *dir;

	if (snprintf(path, sizeof(path), "%s/sys/devices/system/cpu/cpu%u", root, cpu) >=
	    (int)sizeof(path))
		return 0;
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		char rest;

		if (sscanf(entry->d_name, "node%d%c", &node, &rest) == 1)
			break;
		node = 0;
	}
	closedir(dir);
	return node;
}
