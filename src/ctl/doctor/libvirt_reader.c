/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The files are read by expat as a stream of elements. Each element that matters has a row in a
 * table by its path, /domain/devices/interface; where a file has the state around it (<domstatus>),
 * that is left out of the path.
 */
#include "ctl/doctor/libvirt_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <expat.h>

#include "common/cleanup.h"

/* --- attributes --- */

/* NULL: there is none. expat's array is name, value, ..., NULL. */
static const char *attribute(const char **attributes, const char *name)
{
	for (; *attributes; attributes += 2) {
		if (!strcmp(attributes[0], name))
			return attributes[1];
	}
	return NULL;
}

static bool attribute_is(const char **attributes, const char *name, const char *wanted)
{
	const char *value = attribute(attributes, name);

	return value && !strcmp(value, wanted);
}

static bool number(const char **attributes, const char *name, unsigned long *value)
{
	const char *text = attribute(attributes, name);
	char *end;

	if (!text)
		return !strcmp(name, "domain"); /* 0 when it is not given */
	*value = strtoul(text, &end, 0);
	return end != text && !*end;
}

void *libvirt_grow(void *list, size_t *n, size_t size)
{
	char *more = reallocarray(*(void **)list, *n + 1, size);

	if (!more)
		return NULL;
	*(void **)list = more;
	memset(more + *n * size, 0, size);
	return more + (*n)++ * size;
}

/* <address domain='0x0000' bus='0x01' slot='0x10' function='0x2'/> */
static void add_function(struct pci_addr **list, size_t *n, const char **attributes)
{
	unsigned long domain = 0, bus = 0, slot = 0, function = 0;
	struct pci_addr addr, *entry;
	char text[64];

	if (!number(attributes, "domain", &domain) || !number(attributes, "bus", &bus) ||
	    !number(attributes, "slot", &slot) || !number(attributes, "function", &function))
		return;
	snprintf(text, sizeof(text), "%04lx:%02lx:%02lx.%lx", domain, bus, slot, function);
	if (pci_addr_parse(&addr, text) < 0)
		return;
	entry = libvirt_grow(list, n, sizeof(*entry));
	if (entry)
		*entry = addr;
}

/* libvirt's sets have exclusions, "1-7,^3". */
static void add_set(struct cpuset *set, const char *value)
{
	_cleanup_free_ char *text = strdup(value ? value : "");
	char *rest = NULL;
	struct cpuset part, without;

	cpuset_clear(&without);
	for (char *word = text ? strtok_r(text, ",", &rest) : NULL; word;
	     word = strtok_r(NULL, ",", &rest)) {
		struct cpuset *to = *word == '^' ? &without : set;

		if (cpuset_parse(&part, word + (*word == '^'), NULL) < 0)
			continue;
		for (int c = cpuset_next(&part, 0); c >= 0; c = cpuset_next(&part, c + 1))
			cpuset_add(to, c);
	}
	for (size_t i = 0; i < sizeof(set->bits) / sizeof(set->bits[0]); i++)
		set->bits[i] &= ~without.bits[i];
}

/* --- elements, when they begin --- */

static void on_domain(struct libvirt_reader *r, const char **attributes)
{
	r->domain.emulated = attribute_is(attributes, "type", "qemu");
}

static void on_cpus(struct libvirt_reader *r, const char **attributes)
{
	add_set(&r->domain.cpus, attribute(attributes, "cpuset"));
}

static void on_nodes(struct libvirt_reader *r, const char **attributes)
{
	add_set(&r->domain.nodes, attribute(attributes, "nodeset"));
}

static void on_hugepages(struct libvirt_reader *r, const char **attributes)
{
	r->memory.hugepages = true;
}

static void on_memory_source(struct libvirt_reader *r, const char **attributes)
{
	r->memory.memfd = attribute_is(attributes, "type", "memfd");
}

static void on_memory_access(struct libvirt_reader *r, const char **attributes)
{
	r->memory.shared = attribute_is(attributes, "mode", "shared");
	r->memory.is_private = attribute_is(attributes, "mode", "private");
}

static void on_cell(struct libvirt_reader *r, const char **attributes)
{
	r->memory.shared_cell |= attribute_is(attributes, "memAccess", "shared");
}

static void on_function(struct libvirt_reader *r, const char **attributes)
{
	add_function(&r->domain.functions, &r->domain.n_functions, attributes);
}

static void on_interface(struct libvirt_reader *r, const char **attributes)
{
	free(r->nic.path);
	r->nic = (struct libvirt_nic){ 0 };
	r->is_vhostuser = attribute_is(attributes, "type", "vhostuser");
}

static void on_mac(struct libvirt_reader *r, const char **attributes)
{
	const char *address = attribute(attributes, "address");

	snprintf(r->nic.mac, sizeof(r->nic.mac), "%s", address ? address : "");
}

static void on_source(struct libvirt_reader *r, const char **attributes)
{
	const char *path = attribute(attributes, "path");

	if (path && !r->nic.path)
		r->nic.path = strdup(path);
	r->nic.client = attribute_is(attributes, "mode", "client");
}

static void on_reconnect(struct libvirt_reader *r, const char **attributes)
{
	r->nic.reconnect = attribute_is(attributes, "enabled", "yes");
}

static void on_forward(struct libvirt_reader *r, const char **attributes)
{
	r->is_pool = attribute_is(attributes, "mode", "hostdev");
}

static void on_pf(struct libvirt_reader *r, const char **attributes)
{
	const char *dev = attribute(attributes, "dev");

	if (dev && !r->pool.pf)
		r->pool.pf = strdup(dev);
}

static void on_pool_function(struct libvirt_reader *r, const char **attributes)
{
	add_function(&r->pool.functions, &r->pool.n_functions, attributes);
}

/* --- and when they end --- */

static void end_domain_name(struct libvirt_reader *r)
{
	if (!r->domain.name)
		r->domain.name = strdup(r->text);
}

static void end_network_name(struct libvirt_reader *r)
{
	if (!r->pool.name)
		r->pool.name = strdup(r->text);
}

static void end_interface(struct libvirt_reader *r)
{
	struct libvirt_nic *nic;

	if (!r->is_vhostuser || !r->nic.path)
		return;
	nic = libvirt_grow(&r->domain.nics, &r->domain.n_nics, sizeof(*nic));
	if (!nic)
		return;
	*nic = r->nic;
	r->nic.path = NULL;
}

#define INTERFACE "/domain/devices/interface"

static const struct element {
	const char *path;
	void (*begin)(struct libvirt_reader *r, const char **attributes);
	void (*end)(struct libvirt_reader *r);
} elements[] = {
	{ "/domain", on_domain },
	{ "/domain/name", NULL, end_domain_name },
	{ "/domain/vcpu", on_cpus },
	{ "/domain/cputune/vcpupin", on_cpus },
	{ "/domain/cputune/emulatorpin", on_cpus },
	{ "/domain/cputune/iothreadpin", on_cpus },
	{ "/domain/numatune/memory", on_nodes },
	{ "/domain/numatune/memnode", on_nodes },
	{ "/domain/memoryBacking/hugepages", on_hugepages },
	{ "/domain/memoryBacking/source", on_memory_source },
	{ "/domain/memoryBacking/access", on_memory_access },
	{ "/domain/cpu/numa/cell", on_cell },
	{ "/domain/devices/hostdev/source/address", on_function },
	{ INTERFACE, on_interface, end_interface },
	{ INTERFACE "/mac", on_mac },
	{ INTERFACE "/source", on_source },
	{ INTERFACE "/source/reconnect", on_reconnect },
	{ INTERFACE "/source/address", on_function },
	/* of a domain that runs: the device that its network gave it */
	{ INTERFACE "/actual/source/address", on_function },
	{ "/network/name", NULL, end_network_name },
	{ "/network/forward", on_forward },
	{ "/network/forward/pf", on_pf },
	{ "/network/forward/address", on_pool_function },
};

static const struct element *find_element(const struct libvirt_reader *r)
{
	for (size_t i = 0; !r->beyond && i < sizeof(elements) / sizeof(elements[0]); i++) {
		if (!strcmp(elements[i].path, r->path))
			return &elements[i];
	}
	return NULL;
}

/* Around the domain or network of one that runs. */
static bool is_wrapper(const struct libvirt_reader *r, const char *name)
{
	return !r->path[0] && (!strcmp(name, "domstatus") || !strcmp(name, "networkstatus"));
}

static void on_begin(void *userdata, const char *name, const char **attributes)
{
	struct libvirt_reader *r = userdata;
	const size_t len = strlen(r->path);
	const struct element *element;

	if (is_wrapper(r, name))
		return;
	if (r->beyond || len + 1 + strlen(name) >= sizeof(r->path))
		r->beyond++;
	else
		snprintf(r->path + len, sizeof(r->path) - len, "/%s", name);
	r->text[0] = '\0';
	element = find_element(r);
	if (element && element->begin)
		element->begin(r, attributes);
}

static void on_end(void *userdata, const char *name)
{
	struct libvirt_reader *r = userdata;
	const struct element *element = find_element(r);

	if (is_wrapper(r, name))
		return;
	if (element && element->end)
		element->end(r);
	if (r->beyond)
		r->beyond--;
	else
		*strrchr(r->path, '/') = '\0';
}

static void on_text(void *userdata, const char *text, int len)
{
	struct libvirt_reader *r = userdata;
	const size_t has = strlen(r->text);

	snprintf(r->text + has, sizeof(r->text) - has, "%.*s", len, text);
}

/* --- files --- */

int libvirt_parse(struct libvirt_reader *r, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	XML_Parser parser = fd >= 0 ? XML_ParserCreate(NULL) : NULL;
	int rc = fd < 0 ? -errno : parser ? 0 : -ENOMEM;
	ssize_t n = 1;

	if (parser) {
		XML_SetUserData(parser, r);
		XML_SetElementHandler(parser, on_begin, on_end);
		XML_SetCharacterDataHandler(parser, on_text);
	}
	while (!rc && n > 0) {
		char buf[8192];

		n = read(fd, buf, sizeof(buf));
		if (n < 0)
			rc = -errno;
		else if (XML_Parse(parser, buf, (int)n, n == 0) != XML_STATUS_OK)
			rc = -EBADMSG;
	}
	if (parser)
		XML_ParserFree(parser);
	return rc;
}
