/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/relay_args.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"

/* Memory of a relay that cannot take hugepages as it needs them: address space that is reserved at
 * start, of which only what is used costs anything. */
#define RELAY_MEMORY_MB 2048

#define UNQUOTED "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+.,:/@=%"

static void arg(struct relay_args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void arg(struct relay_args *a, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	if (a->n >= RELAY_ARGS_MAX || vasprintf(&text, fmt, ap) < 0)
		a->failed = true;
	else
		a->argv[a->n++] = text;
	va_end(ap);
}

static void fill_user(struct relay_args *a, const struct relay_user *user)
{
	arg(a, "--user");
	arg(a, "%s", user->name);
	arg(a, "--group");
	arg(a, "%s", user->group_name);
	if (user->groups[0]) {
		arg(a, "--groups");
		arg(a, "%s", user->groups);
	}
}

static void fill_memory(struct relay_args *a, const struct config *cfg)
{
	arg(a, "--hugepages");
	arg(a, "%s", cfg->hugepages ? "yes" : "no");
	if (!cfg->hugepages) {
		arg(a, "--memory");
		arg(a, "%u", RELAY_MEMORY_MB);
	}
	if (cfg->vfio_vf_token) {
		arg(a, "--vf-token");
		arg(a, "%s", cfg->vfio_vf_token);
	}
}

int relay_args_fill(struct relay_args *a, const struct relay *relay, bool with_user,
		    struct err *err)
{
	const struct config *cfg = relay->setup->cfg;
	char cpus[1024];

	*a = (struct relay_args){ 0 };
	cpuset_format(&relay->cpus, cpus, sizeof(cpus));
	arg(a, "%s", relay->setup->program);
	arg(a, "--relay");
	arg(a, "%u", relay->number);
	arg(a, "--socket");
	arg(a, "%s", relay->socket);
	arg(a, "--cpus");
	arg(a, "%s", cpus);
	arg(a, "--control-cpu");
	arg(a, "%d", cfg->master_lcore);
	arg(a, "--numa-node");
	arg(a, "%d", relay->numa_node);
	if (with_user)
		fill_user(a, relay->setup->user);
	arg(a, "--poll");
	arg(a, "%s", cfg->poll_mode == CONFIG_POLL_BUSY ? "busy" : "adaptive");
	arg(a, "--max-sleep-us");
	arg(a, "%u", cfg->max_sleep_us);
	fill_memory(a, cfg);
	arg(a, "--log-level");
	arg(a, "%d", log_level());
	if (!a->failed)
		return 0;
	relay_args_free(a);
	return err_set(err, -ENOMEM, "start", "out of memory");
}

void relay_args_free(struct relay_args *a)
{
	for (unsigned int i = 0; i < a->n; i++)
		free(a->argv[i]);
	*a = (struct relay_args){ 0 };
}

int relay_args_text(const struct relay_args *a, char **text, struct err *err)
{
	_cleanup_free_ char *all = NULL;
	size_t len = 1, used = 0;

	for (unsigned int i = 1; i < a->n; i++) {
		if (!a->argv[i][0] || a->argv[i][strspn(a->argv[i], UNQUOTED)])
			return err_set(err, -EINVAL, "start",
				       "'%s' cannot be an option of a unit: only letters, digits "
				       "and _-+.,:/@=%% can",
				       a->argv[i]);
		len += strlen(a->argv[i]) + 1;
	}
	all = malloc(len);
	if (!all)
		return err_set(err, -ENOMEM, "start", "out of memory");
	for (unsigned int i = 1; i < a->n; i++)
		used += sprintf(all + used, "%s%s", i > 1 ? " " : "", a->argv[i]);
	all[used] = '\0';
	*text = take_ptr(all);
	return 0;
}
