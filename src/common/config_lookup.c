/* SPDX-License-Identifier: BSD-3-Clause */

/* Questions to a configuration that has been read. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/config.h"
#include "common/suggest.h"

static const struct config_alias *find_alias(const struct config *cfg, const char *text)
{
	char canonical[PCI_ADDR_STRLEN];
	struct pci_addr addr;

	if (pci_addr_parse(&addr, text) == 0)
		text = pci_addr_format(&addr, canonical);
	for (size_t i = 0; i < cfg->n_aliases; i++)
		if (!strcmp(cfg->aliases[i].name, text))
			return &cfg->aliases[i];
	return NULL;
}

int config_resolve_device(const struct config *cfg, const char *text, struct devname *dev,
			  struct err *err)
{
	const struct config_alias *alias = find_alias(cfg, text);
	struct suggestion near = SUGGESTION_FOR(text);

	if (alias) {
		*dev = alias->device;
		return 0;
	}
	if (devname_parse(dev, text, err) == 0)
		return 0;
	for (size_t i = 0; i < cfg->n_aliases; i++)
		suggestion_offer(&near, cfg->aliases[i].name);
	if (suggestion_is_close(&near))
		return err_set(err, -EINVAL, "device name",
			       "'%s' is no device name and no alias; did you mean '%s'?", text,
			       near.best);
	return -EINVAL;
}

const char *config_device_name(const struct config *cfg, const struct devname *dev)
{
	for (size_t i = 0; i < cfg->n_aliases; i++)
		if (!strcmp(cfg->aliases[i].device.text, dev->text))
			return cfg->aliases[i].name;
	return dev->text;
}

/* The pattern has one %u and no other %, which the parser has seen to. */
int config_socket_path(const struct config *cfg, unsigned int id,
		       char path[CONFIG_SOCKET_PATH_MAX + 1], struct err *err)
{
	const char *percent = strchr(cfg->socket_pattern, '%');
	const char *slash = strcmp(cfg->socket_dir, "/") ? "/" : "";
	int len;

	len = snprintf(path, CONFIG_SOCKET_PATH_MAX + 1, "%s%s%.*s%u%s", cfg->socket_dir, slash,
		       (int)(percent - cfg->socket_pattern), cfg->socket_pattern, id, percent + 2);
	if (len > CONFIG_SOCKET_PATH_MAX)
		return err_set(err, -ENAMETOOLONG, "socket path",
			       "the socket path of relay %u has %d bytes, %d fit; shorten "
			       "VIRTIOFWD_SOCKET_DIR or VIRTIOFWD_SOCKET_FNAME_PATTERN",
			       id, len, CONFIG_SOCKET_PATH_MAX);
	return 0;
}

static const char *const backend_names[] = {
	[CONFIG_BACKEND_AUTO] = "auto",
	[CONFIG_BACKEND_VDPA] = "vdpa",
	[CONFIG_BACKEND_SW] = "sw",
};

const char *config_backend_name(enum config_backend backend)
{
	return backend_names[backend];
}

int config_backend_parse(const char *text, enum config_backend *backend)
{
	for (size_t i = 0; i < sizeof(backend_names) / sizeof(backend_names[0]); i++)
		if (!strcmp(text, backend_names[i])) {
			*backend = i;
			return 0;
		}
	return -EINVAL;
}
