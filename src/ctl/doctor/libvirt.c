/* SPDX-License-Identifier: BSD-3-Clause */

#include "ctl/doctor/libvirt.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/doctor/libvirt_reader.h"

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

static void take_domain(struct libvirt *l, struct libvirt_reader *r)
{
	struct libvirt_domain *entry, *domain = &r->domain;
	const struct libvirt_memory *m = &r->memory;

	if (!domain->name || !domain->file || is_known(l, domain->name))
		return;
	/* A memfd is shared unless told otherwise, and needs no file of hugetlbfs. */
	domain->shared_memory = m->shared || m->shared_cell || (m->memfd && !m->is_private);
	domain->hugepages = m->hugepages && !m->memfd;
	entry = libvirt_grow(&l->domains, &l->n_domains, sizeof(*entry));
	if (!entry)
		return;
	*entry = *domain;
	*domain = (struct libvirt_domain){ 0 };
}

static bool pool_is_known(const struct libvirt *l, const char *name)
{
	for (size_t i = 0; i < l->n_pools; i++) {
		if (!strcmp(l->pools[i].name, name))
			return true;
	}
	return false;
}

static void take_pool(struct libvirt *l, struct libvirt_reader *r)
{
	struct libvirt_pool *entry, *pool = &r->pool;

	if (!r->is_pool || !pool->name || !pool->file || pool_is_known(l, pool->name))
		return;
	entry = libvirt_grow(&l->pools, &l->n_pools, sizeof(*entry));
	if (!entry)
		return;
	*entry = *pool;
	*pool = (struct libvirt_pool){ 0 };
}

/* path is below root. */
static void read_file(struct libvirt *l, const char *path, const char *name, bool running)
{
	struct libvirt_reader r = { .domain.running = running };

	r.domain.file = strdup(name);
	r.pool.file = strdup(name);
	if (libvirt_parse(&r, path) == 0) {
		take_domain(l, &r);
		take_pool(l, &r);
	} else if (!l->broken) {
		l->broken = strdup(name);
	}
	free(r.nic.path);
	free_domain(&r.domain);
	free_pool(&r.pool);
}

static void read_folder(struct libvirt *l, const char *root, const char *folder, bool running)
{
	char pattern[PATH_MAX];
	glob_t found = { 0 };

	snprintf(pattern, sizeof(pattern), "%s%s/*.xml", root, folder);
	if (glob(pattern, 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			read_file(l, found.gl_pathv[i], found.gl_pathv[i] + strlen(root), running);
	}
	globfree(&found);
}

void libvirt_read(struct libvirt *l, const char *root)
{
	*l = (struct libvirt){ 0 };
	read_folder(l, root, "/run/libvirt/qemu", true);
	read_folder(l, root, "/etc/libvirt/qemu", false);
	read_folder(l, root, "/run/libvirt/network", true);
	read_folder(l, root, "/etc/libvirt/qemu/networks", false);
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
