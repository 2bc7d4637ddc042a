/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdio.h>
#include <stdlib.h>

#include "ctl/output.h"
#include "ctl/vm_facts.h"

static void print_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '\'':
			fputs("&apos;", out);
			break;
		default:
			putc(*text, out);
		}
	}
}

static void print_model(FILE *out, const struct vm_facts *facts)
{
	fprintf(out, "  <model type='virtio%s'/>\n",
		facts->disable_legacy ? "-non-transitional" : "");
}

static void print_driver(FILE *out, const struct vm_facts *facts)
{
	const bool mrg_rxbuf = facts->mrg_rxbuf || facts->vhostdev;

	if (facts->queues == 1 && mrg_rxbuf)
		return;
	fputs("  <driver", out);
	if (facts->queues > 1)
		fprintf(out, " queues='%u'", facts->queues);
	if (mrg_rxbuf)
		fputs("/>\n", out);
	else
		fputs(">\n    <host mrg_rxbuf='off'/>\n  </driver>\n", out);
}

static void print_vdpa_interface(FILE *out, const struct vm_facts *facts)
{
	fputs("<interface type='vdpa'>\n", out);
	if (facts->mac)
		fprintf(out, "  <mac address='%s'/>\n", facts->mac);
	fputs("  <source dev='", out);
	print_escaped(out, facts->vhostdev);
	fputs("'/>\n", out);
	print_model(out, facts);
	print_driver(out, facts);
	fputs("</interface>\n", out);
}

static void print_interface(FILE *out, const struct vm_facts *facts)
{
	fputs("<interface type='vhostuser'>\n", out);
	if (facts->mac)
		fprintf(out, "  <mac address='%s'/>\n", facts->mac);
	fputs("  <source type='unix' path='", out);
	print_escaped(out, facts->socket);
	/* libvirt's mode is QEMU's side. */
	if (facts->relay_is_server)
		fputs("' mode='client'>\n    <reconnect enabled='yes' timeout='1'/>\n  </source>\n",
		      out);
	else
		fputs("' mode='server'/>\n", out);
	print_model(out, facts);
	print_driver(out, facts);
	if (facts->jumbo)
		fputs("  <mtu size='9000'/>\n", out);
	fputs("</interface>\n", out);
}

static void print_memory(FILE *out, const struct vm_facts *facts)
{
	fprintf(out, "<memory unit='MiB'>%lu</memory>\n<memoryBacking>\n", facts->memory_mib);
	if (facts->page_mib)
		fprintf(out, "  <hugepages>\n    <page size='%u' unit='MiB'/>\n  </hugepages>\n",
			facts->page_mib);
	fputs("  <source type='memfd'/>\n  <access mode='shared'/>\n</memoryBacking>\n", out);
	fprintf(out, "<vcpu>%u</vcpu>\n<cpu>\n  <numa>\n    <cell id='0' cpus='0", facts->vcpus);
	if (facts->vcpus > 1)
		fprintf(out, "-%u", facts->vcpus - 1);
	fprintf(out, "' memory='%lu' unit='MiB' memAccess='shared'/>\n  </numa>\n</cpu>\n",
		facts->memory_mib);
}

static int print_xml(struct ctl *ctl, const struct vm_facts *facts)
{
	char *interface = NULL, *memory = NULL, buf[VM_HINT_MAX];
	const char *hint = vm_facts_mac_hint(facts, buf, sizeof(buf));
	size_t size;
	FILE *out;

	out = open_memstream(&interface, &size);
	if (!out)
		return CTL_REFUSED;
	if (facts->vhostdev)
		print_vdpa_interface(out, facts);
	else
		print_interface(out, facts);
	fclose(out);
	out = open_memstream(&memory, &size);
	if (!out) {
		free(interface);
		return CTL_REFUSED;
	}
	/* A device reaches the memory of a VM by itself. */
	if (!facts->vhostdev)
		print_memory(out, facts);
	fclose(out);
	if (ctl->json) {
		json_object *result = json_object_new_object();

		json_object_object_add(result, "interface", json_object_new_string(interface));
		json_object_object_add(result, "memory", json_object_new_string(memory));
		json_object_object_add(result, "hints", json_object_new_array());
		if (hint)
			json_object_array_add(json_at(result, "hints"),
					      json_object_new_string(hint));
		output_json(result);
		json_object_put(result);
	} else {
		printf("<!-- in <devices> -->\n%s", interface);
		if (*memory)
			printf("\n<!-- in <domain>, for the whole VM: its memory is shared with the relay -->\n"
			       "%s",
			       memory);
		if (hint)
			fprintf(stderr, "# %s\n", hint);
	}
	free(interface);
	free(memory);
	return CTL_OK;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	struct vm_facts facts;
	int status;
	bool stop;

	status = vm_facts_get(ctl, argc, argv, &facts, &stop);
	if (stop)
		return status;
	status = print_xml(ctl, &facts);
	vm_facts_clear(&facts);
	return status;
}

static const struct option options[] = {
	VM_OPTIONS,
	{ "vcpus", required_argument, NULL, 'v' },
	{ 0 },
};

const struct ctl_command ctl_libvirt_xml = {
	.name = "libvirt-xml",
	.usage = "ID [--queues N] [--mac MAC] ...",
	.summary = "libvirt XML for a VM on this relay",
	.help = "Prints the <interface> element that connects a VM to the relay's socket, and the\n"
		"elements for shared memory that the domain needs for it; hints go to stderr. With\n"
		"--json: {interface, memory, hints}, the first two texts.\n\n"
		"Options:\n" VM_OPTIONS_HELP
		"  --vcpus N          CPUs of the VM, for its NUMA cell (default 1)\n\n",
	.options = options,
	.run = run,
};
