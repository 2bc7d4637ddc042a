/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Any bytes as a configuration file: the parser must not crash, hang or leak, a failure must come
 * with an error, and what was accepted must be usable.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "common/config_table.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* Asking by the very name of an entry must find it. */
static void use_vf_options(const struct config *cfg, const struct config_vf_options *options)
{
	struct config_vf_options merged;
	char why[CONFIG_WHY_MAX];

	config_vf_options_of(cfg, options->device, NULL, NULL, NULL, 0, &merged);
	must(merged.has_mac >= options->has_mac && (merged.vlan >= 0) >= (options->vlan >= 0) &&
	     (merged.trust >= 0) >= (options->trust >= 0) &&
	     (merged.spoofchk >= 0) >= (options->spoofchk >= 0) &&
	     (merged.queues > 0) >= (options->queues > 0));
	must(merged.qos < 0 || merged.vlan > 0);
	config_use_of(cfg, options->device, NULL, options->device, NULL, 0, why);
	must(text_is_clean(why));
}

static void use(const struct config *cfg)
{
	struct json_object *json = config_to_json(cfg);
	char path[CONFIG_SOCKET_PATH_MAX + 1];
	struct devname dev;

	must(json != NULL);
	must(text_is_clean(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN)));
	json_object_put(json);
	must(cpuset_count(&cfg->cpu_mask) > 0);
	for (unsigned int id = 0; id < CONFIG_MAX_RELAYS; id++)
		must(config_socket_path(cfg, id, path, NULL) == 0);
	for (size_t i = 0; i < cfg->n_static_vfs; i++) {
		must(cfg->static_vfs[i].id < CONFIG_MAX_RELAYS);
		must(config_resolve_device(cfg, cfg->static_vfs[i].device, &dev, NULL) == 0);
	}
	for (size_t i = 0; i < cfg->n_vf_options; i++)
		use_vf_options(cfg, &cfg->vf_options[i]);
	for (size_t i = 0; i < cfg->n_cpu_pins; i++)
		must(cpuset_has(&cfg->cpu_mask, cfg->cpu_pins[i].vf_to_vm) &&
		     cpuset_has(&cfg->cpu_mask, cfg->cpu_pins[i].vm_to_vf));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_report report = { 0 };
	struct config *cfg = NULL;
	int rc = config_parse((const char *)data, size, "", &cfg, &report);

	must(rc == 0 || rc == -EINVAL);
	must((rc == 0) == (cfg != NULL));
	must((rc == 0) == (report.n_errors == 0));
	for (size_t i = 0; i < report.n_issues; i++)
		must(text_is_clean(report.issues[i].text) && report.issues[i].text[0]);
	if (cfg)
		use(cfg);
	config_free(cfg);
	config_report_free(&report);
	return 0;
}
