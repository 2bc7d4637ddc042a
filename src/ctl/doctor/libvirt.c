/* SPDX-License-Identifier: BSD-3-Clause */

#include "ctl/doctor/libvirt.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/xpath.h>

#include "common/cleanup.h"

/* --- XML --- */

/* Nothing from the network, no words on stderr, and no entities: libvirt writes none. */
#define PARSE_OPTIONS (XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)

static void cleanup_context(xmlXPathContext **context)
{
	if (*context)
		xmlXPathFreeContext(*context);
}

static void cleanup_object(xmlXPathObject **object)
{
	xmlXPathFreeObject(*object);
}

static void cleanup_doc(xmlDoc **doc)
{
	xmlFreeDoc(*doc);
}

typedef void (*node_fn)(xmlNode *node, void *userdata);

/* Calls fn for each element that the expression selects; returns how many there are. */
static size_t for_each(xmlXPathContext *x, const char *expression, node_fn fn, void *userdata)
{
	_cleanup_(cleanup_object) xmlXPathObject *object =
		xmlXPathEvalExpression((const xmlChar *)expression, x);
	const size_t n = object && object->nodesetval ? (size_t)object->nodesetval->nodeNr : 0;

	for (size_t i = 0; fn && i < n; i++)
		fn(object->nodesetval->nodeTab[i], userdata);
	return n;
}

/* The caller's; NULL when there is none. */
static char *attribute(xmlNode *node, const char *name)
{
	return (char *)xmlGetNoNsProp(node, (const xmlChar *)name);
}

static bool attribute_is(xmlNode *node, const char *name, const char *wanted)
{
	_cleanup_free_ char *value = attribute(node, name);

	return value && !strcmp(value, wanted);
}

static xmlNode *child(xmlNode *node, const char *name)
{
	for (xmlNode *c = node ? node->children : NULL; c; c = c->next) {
		if (c->type == XML_ELEMENT_NODE && !strcmp((const char *)c->name, name))
			return c;
	}
	return NULL;
}

static void keep_content(xmlNode *node, void *text)
{
	if (!*(char **)text)
		*(char **)text = (char *)xmlNodeGetContent(node);
}

static void keep_dev(xmlNode *node, void *text)
{
	if (!*(char **)text)
		*(char **)text = attribute(node, "dev");
}

/* --- pieces --- */

/* One more entry, zeroed, at the end of *list; NULL when memory is short. */
static void *grow(void *list, size_t *n, size_t size)
{
	char *more = reallocarray(*(void **)list, *n + 1, size);

	if (!more)
		return NULL;
	*(void **)list = more;
	memset(more + *n * size, 0, size);
	return more + (*n)++ * size;
}

struct functions {
	struct pci_addr **list;
	size_t *n;
};

static bool number(xmlNode *node, const char *name, unsigned long *value)
{
	_cleanup_free_ char *text = attribute(node, name);
	char *end;

	if (!text)
		return !strcmp(name, "domain"); /* 0 when it is not given */
	*value = strtoul(text, &end, 0);
	return end != text && !*end;
}

/* <address domain='0x0000' bus='0x01' slot='0x10' function='0x2'/> */
static void take_function(xmlNode *node, void *userdata)
{
	const struct functions *functions = userdata;
	unsigned long domain = 0, bus = 0, slot = 0, function = 0;
	char text[64];
	struct pci_addr addr, *entry;

	if (!number(node, "domain", &domain) || !number(node, "bus", &bus) ||
	    !number(node, "slot", &slot) || !number(node, "function", &function))
		return;
	snprintf(text, sizeof(text), "%04lx:%02lx:%02lx.%lx", domain, bus, slot, function);
	if (pci_addr_parse(&addr, text) < 0)
		return;
	entry = grow(functions->list, functions->n, sizeof(*entry));
	if (entry)
		*entry = addr;
}

/* libvirt's sets have exclusions, "1-7,^3". */
static void add_set(struct cpuset *set, char *text)
{
	char *rest = NULL;
	struct cpuset part, without;

	cpuset_clear(&without);
	for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		struct cpuset *to = *word == '^' ? &without : set;

		if (cpuset_parse(&part, word + (*word == '^'), NULL) < 0)
			continue;
		for (int c = cpuset_next(&part, 0); c >= 0; c = cpuset_next(&part, c + 1))
			cpuset_add(to, c);
	}
	for (size_t i = 0; i < sizeof(set->bits) / sizeof(set->bits[0]); i++)
		set->bits[i] &= ~without.bits[i];
}

static void take_cpus(xmlNode *node, void *set)
{
	_cleanup_free_ char *text = attribute(node, "cpuset");

	if (text)
		add_set(set, text);
}

static void take_nodes(xmlNode *node, void *set)
{
	_cleanup_free_ char *text = attribute(node, "nodeset");

	if (text)
		add_set(set, text);
}

static void take_nic(xmlNode *node, void *userdata)
{
	struct libvirt_domain *domain = userdata;
	xmlNode *source = child(node, "source"), *mac = child(node, "mac");
	_cleanup_free_ char *address = mac ? attribute(mac, "address") : NULL;
	_cleanup_free_ char *path = source ? attribute(source, "path") : NULL;
	xmlNode *reconnect = child(source, "reconnect");
	struct libvirt_nic *nic;

	if (!path)
		return;
	nic = grow(&domain->nics, &domain->n_nics, sizeof(*nic));
	if (!nic)
		return;
	nic->path = take_ptr(path);
	nic->client = attribute_is(source, "mode", "client");
	nic->reconnect = reconnect && attribute_is(reconnect, "enabled", "yes");
	snprintf(nic->mac, sizeof(nic->mac), "%s", address ? address : "");
}

/* --- files --- */

static void free_domain(struct libvirt_domain *domain)
{
	for (size_t i = 0; i < domain->n_nics; i++)
		free(domain->nics[i].path);
	free(domain->nics);
	free(domain->functions);
	free(domain->file);
	free(domain->name);
}

static void free_pool(struct libvirt_pool *pool)
{
	free(pool->file);
	free(pool->name);
	free(pool->pf);
	free(pool->functions);
}

static bool is_known(const struct libvirt *l, const char *name)
{
	for (size_t i = 0; i < l->n_domains; i++) {
		if (!strcmp(l->domains[i].name, name))
			return true;
	}
	return false;
}

static void take_domain(struct libvirt *l, xmlXPathContext *x, const char *file, bool running)
{
	/* A memfd is shared unless told otherwise, and needs no file of hugetlbfs. */
	static const char shared[] = "//domain/memoryBacking[access/@mode='shared' or "
				     "(source/@type='memfd' and not(access/@mode='private'))] | "
				     "//domain/cpu/numa/cell[@memAccess='shared']";
	static const char mounted[] =
		"//domain/memoryBacking[hugepages and not(source/@type='memfd')]";
	struct libvirt_domain domain = { .running = running }, *entry;
	struct functions functions = { &domain.functions, &domain.n_functions };

	for_each(x, "//domain/name", keep_content, &domain.name);
	domain.file = strdup(file);
	if (!domain.name || !domain.file || is_known(l, domain.name)) {
		free_domain(&domain);
		return;
	}
	domain.emulated = for_each(x, "//domain[@type='qemu']", NULL, NULL);
	domain.shared_memory = for_each(x, shared, NULL, NULL);
	domain.hugepages = for_each(x, mounted, NULL, NULL);
	for_each(x, "//domain/cputune/vcpupin | //domain/cputune/emulatorpin | //domain/vcpu",
		 take_cpus, &domain.cpus);
	for_each(x, "//domain/numatune/memory | //domain/numatune/memnode", take_nodes,
		 &domain.nodes);
	/* A network's device is in <actual> of a domain that runs. */
	for_each(x,
		 "//devices/hostdev/source/address | //devices/interface/source/address | "
		 "//devices/interface/actual/source/address",
		 take_function, &functions);
	for_each(x, "//devices/interface[@type='vhostuser']", take_nic, &domain);
	entry = grow(&l->domains, &l->n_domains, sizeof(*entry));
	if (entry)
		*entry = domain;
	else
		free_domain(&domain);
}

static bool pool_is_known(const struct libvirt *l, const char *name)
{
	for (size_t i = 0; i < l->n_pools; i++) {
		if (!strcmp(l->pools[i].name, name))
			return true;
	}
	return false;
}

static void take_network(struct libvirt *l, xmlXPathContext *x, const char *file, bool running)
{
	struct libvirt_pool pool = { 0 }, *entry;
	struct functions functions = { &pool.functions, &pool.n_functions };

	if (!for_each(x, "//network/forward[@mode='hostdev']", NULL, NULL))
		return;
	for_each(x, "//network/name", keep_content, &pool.name);
	if (pool.name && pool_is_known(l, pool.name)) {
		free_pool(&pool);
		return;
	}
	pool.file = strdup(file);
	for_each(x, "//network/forward/pf", keep_dev, &pool.pf);
	/* An active network lists the PF's VFs, too. */
	if (!pool.pf)
		for_each(x, "//network/forward/address", take_function, &functions);
	entry = pool.name && pool.file ? grow(&l->pools, &l->n_pools, sizeof(*entry)) : NULL;
	if (entry)
		*entry = pool;
	else
		free_pool(&pool);
}

typedef void (*take_fn)(struct libvirt *l, xmlXPathContext *x, const char *file, bool running);

static void read_file(struct libvirt *l, const char *root, const char *path, take_fn take,
		      bool running)
{
	_cleanup_(cleanup_doc) xmlDoc *doc = xmlReadFile(path, NULL, PARSE_OPTIONS);
	_cleanup_(cleanup_context) xmlXPathContext *x = doc ? xmlXPathNewContext(doc) : NULL;

	if (x)
		take(l, x, path + strlen(root), running);
	else if (!l->broken)
		l->broken = strdup(path + strlen(root));
}

static void read_folder(struct libvirt *l, const char *root, const char *folder, take_fn take,
			bool running)
{
	char pattern[PATH_MAX];
	glob_t found = { 0 };

	snprintf(pattern, sizeof(pattern), "%s%s/*.xml", root, folder);
	if (glob(pattern, 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			read_file(l, root, found.gl_pathv[i], take, running);
	}
	globfree(&found);
}

void libvirt_read(struct libvirt *l, const char *root)
{
	*l = (struct libvirt){ 0 };
	read_folder(l, root, "/run/libvirt/qemu", take_domain, true);
	read_folder(l, root, "/etc/libvirt/qemu", take_domain, false);
	read_folder(l, root, "/run/libvirt/network", take_network, true);
	read_folder(l, root, "/etc/libvirt/qemu/networks", take_network, false);
}

void libvirt_free(struct libvirt *l)
{
	for (size_t i = 0; i < l->n_domains; i++)
		free_domain(&l->domains[i]);
	for (size_t i = 0; i < l->n_pools; i++)
		free_pool(&l->pools[i]);
	free(l->domains);
	free(l->pools);
	free(l->broken);
	*l = (struct libvirt){ 0 };
}
