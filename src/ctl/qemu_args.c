/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "ctl/output.h"
#include "ctl/vm_facts.h"

static void add(json_object *args, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void add(json_object *args, const char *name, const char *fmt, ...)
{
	_cleanup_free_ char *value = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&value, fmt, ap);
	va_end(ap);
	if (n < 0) {
		value = NULL;
		return;
	}
	json_object_array_add(args, json_object_new_string(name));
	json_object_array_add(args, json_object_new_string(value));
}

/* In QEMU's option values a comma is written twice. */
static char *escape_commas(const char *text)
{
	char *copy = malloc(2 * strlen(text) + 1), *p = copy;

	for (; copy && *text; text++) {
		*p++ = *text;
		if (*text == ',')
			*p++ = ',';
	}
	if (copy)
		*p = '\0';
	return copy;
}

static void add_chardev(json_object *args, const struct vm_facts *facts)
{
	_cleanup_free_ char *path = escape_commas(facts->socket);
	const char *how = "server=on,wait=off";

	if (facts->relay_is_server)
		how = facts->qemu_version >= 902 ? "reconnect-ms=1000" : "reconnect=1";
	add(args, "-chardev", "socket,id=vio4wd%u,path=%s,%s", facts->id,
	    path ? path : facts->socket, how);
}

static json_object *make_args(const struct vm_facts *facts)
{
	json_object *args = json_object_new_array();
	char queues[64] = "", device[160] = "", pages[48] = "";
	size_t len = 0;

	if (facts->queues > 1) {
		snprintf(queues, sizeof(queues), ",queues=%u", facts->queues);
		len += (size_t)snprintf(device, sizeof(device), ",mq=on,vectors=%u",
					2 * facts->queues + 2);
	}
	if (facts->disable_legacy)
		len += (size_t)snprintf(device + len, sizeof(device) - len, ",disable-legacy=on");
	if (facts->mac)
		len += (size_t)snprintf(device + len, sizeof(device) - len, ",mac=%s", facts->mac);
	if (!facts->mrg_rxbuf && !facts->vhostdev)
		len += (size_t)snprintf(device + len, sizeof(device) - len, ",mrg_rxbuf=off");
	if (facts->jumbo)
		snprintf(device + len, sizeof(device) - len, ",host_mtu=9000");
	add(args, "-m", "%luM", facts->memory_mib);
	if (facts->vhostdev) {
		add(args, "-netdev", "type=vhost-vdpa,id=vio4wd-net%u,vhostdev=%s%s", facts->id,
		    facts->vhostdev, queues);
		add(args, "-device", "virtio-net-pci,netdev=vio4wd-net%u%s", facts->id, device);
		return args;
	}
	if (facts->page_mib)
		snprintf(pages, sizeof(pages), ",hugetlb=on,hugetlbsize=%uM", facts->page_mib);
	add(args, "-object", "memory-backend-memfd,id=vio4wd-mem,size=%luM,share=on%s",
	    facts->memory_mib, pages);
	add(args, "-machine", "memory-backend=vio4wd-mem");
	add_chardev(args, facts);
	add(args, "-netdev", "vhost-user,id=vio4wd-net%u,chardev=vio4wd%u%s", facts->id, facts->id,
	    queues);
	add(args, "-device", "virtio-net-pci,netdev=vio4wd-net%u%s", facts->id, device);
	return args;
}

static json_object *make_hints(const struct vm_facts *facts)
{
	json_object *hints = json_object_new_array();
	const char *hint[6];
	char about_mac[VM_HINT_MAX];
	size_t n = 0;

	if (facts->vhostdev)
		hint[n++] = "QEMU has to be allowed to lock all of the VM's memory (ulimit -l, "
			    "LimitMEMLOCK=): the kernel pins it for the device";
	else
		hint[n++] = "-m, -object and -machine are once for the whole VM: its memory must "
			    "be shared with the relay";
	if (!facts->vhostdev && facts->relay_is_server && !facts->qemu_version)
		hint[n++] = "QEMU 9.2 and later: reconnect-ms=1000 in place of reconnect=1 "
			    "(--qemu 9.2)";
	if (vm_facts_mac_hint(facts, about_mac, sizeof(about_mac)))
		hint[n++] = about_mac;
	else if (!facts->mac)
		hint[n++] = "without --mac QEMU gives every VM the same address";
	if (!facts->page_mib && !facts->vhostdev)
		hint[n++] = "memory on hugepages is faster: --hugepages";
	for (size_t i = 0; i < n; i++)
		json_object_array_add(hints, json_object_new_string(hint[i]));
	return hints;
}

static const char *element(json_object *array, size_t i)
{
	return json_object_get_string(json_object_array_get_idx(array, i));
}

/* A pair in a line; for a person to paste, so with a backslash, or for $(vio4wdctl ...). */
static void print_args(json_object *args, json_object *hints)
{
	const char *end = isatty(STDOUT_FILENO) ? " \\" : "";
	size_t n = json_length(args);

	for (size_t i = 0; i + 1 < n; i += 2)
		printf("%s %s%s\n", element(args, i), element(args, i + 1), i + 2 < n ? end : "");
	for (size_t i = 0; i < json_length(hints); i++)
		fprintf(stderr, "# %s\n", element(hints, i));
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	json_object *result, *args, *hints;
	struct vm_facts facts;
	int status;
	bool stop;

	status = vm_facts_get(ctl, argc, argv, &facts, &stop);
	if (stop)
		return status;
	args = make_args(&facts);
	hints = make_hints(&facts);
	result = json_object_new_object();
	json_object_object_add(result, "args", args);
	json_object_object_add(result, "hints", hints);
	if (ctl->json)
		output_json(result);
	else
		print_args(args, hints);
	json_object_put(result);
	vm_facts_clear(&facts);
	return CTL_OK;
}

static const struct option options[] = {
	VM_OPTIONS,
	{ "qemu", required_argument, NULL, 'Q' },
	{ 0 },
};

const struct ctl_command ctl_qemu_args = {
	.name = "qemu-args",
	.usage = "ID [--queues N] [--mac MAC] ...",
	.summary = "QEMU arguments for a VM on this relay",
	.help = "Prints the arguments that connect a VM to the relay's socket, for the command line of\n"
		"qemu-system-x86_64: qemu-system-x86_64 $(vio4wdctl qemu-args 1) ... Hints go to\n"
		"stderr. With --json: {args: [...], hints: [...]}.\n\n"
		"Options:\n" VM_OPTIONS_HELP
		"  --qemu VERSION     QEMU's version; from 9.2 on an option has another name\n\n",
	.options = options,
	.run = run,
};
