/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/pci_addr.h"
#include "common/suggest.h"
#include "ctl/ctl.h"
#include "ctl/progress.h"
#include "ctl/vf_view.h"

#define VFS_MAX 65535 /* NumVFs of SR-IOV has 16 bits */
#define LIST_TIMEOUT_MS 60000
#define CHANGE_TIMEOUT_MS 600000 /* a PF's driver may take minutes */
#define PFS_SHOWN 8

static const char no_pfs[] =
	"this host has no PF: no network device here says that it can make VFs";
static const char forms[] = "vf list [PF], vf create PF N or vf destroy PF";

/* The interfaces of the PFs that there are: "ens3, ens4". */
static void list_pfs(json_object *pfs, char *buf, size_t size)
{
	size_t len = 0, n = json_length(pfs);

	buf[0] = '\0';
	for (size_t i = 0; i < n && i < PFS_SHOWN && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", i ? ", " : "",
					pf_name(json_object_array_get_idx(pfs, i)));
	if (n > PFS_SHOWN && len < size)
		snprintf(buf + len, size - len, " and %zu more", n - PFS_SHOWN);
}

/* The daemon has refused the PF: which one may have been meant? Nothing is said when it was refused
 * for another reason than its name. */
static void suggest_pf(struct ctl *ctl, const char *name)
{
	char names[400], address[PCI_ADDR_STRLEN];
	json_object *result, *pfs;
	struct suggestion near;
	struct pci_addr addr;
	struct err err;

	if (pci_addr_parse(&addr, name) == 0)
		name = pci_addr_format(&addr, address);
	near = (struct suggestion)SUGGESTION_FOR(name);
	if (ctl_try_call(ctl, "vf-list", NULL, &result, &err) != CTL_OK)
		return;
	pfs = json_at(result, "pfs");
	for (size_t i = 0; i < json_length(pfs); i++) {
		json_object *pf = json_object_array_get_idx(pfs, i);

		suggestion_offer(&near, pf_name(pf));
		suggestion_offer(&near, json_text(pf, "address"));
	}
	list_pfs(pfs, names, sizeof(names));
	if (!json_length(pfs))
		ctl_error("%s", no_pfs);
	else if (near.distance > 0 && suggestion_is_close(&near))
		ctl_error("did you mean %s? (PFs of this host: %s)", near.best, names);
	else if (near.distance > 0)
		ctl_error("PFs of this host: %s", names);
	json_object_put(result);
}

struct long_call {
	const char *method;
	const char *pf;		       /* NULL: all */
	const char *what, *afterwards; /* of progress_begin() */
	unsigned int timeout_ms;
};

static int call(struct ctl *ctl, const struct long_call *c, json_object *params,
		json_object **result)
{
	struct progress *progress;
	struct err err = { 0 };
	int status;

	if (!ctl->timeout_ms)
		ctl->timeout_ms = c->timeout_ms;
	progress = progress_begin(c->what, c->afterwards);
	status = ctl_try_call(ctl, c->method, params, result, &err);
	progress_end(progress);
	if (status == CTL_OK)
		return status;
	ctl_error("%s", err.text);
	if (status == CTL_REFUSED && c->pf && (err.code == -ENODEV || err.code == -EINVAL))
		suggest_pf(ctl, c->pf);
	return status;
}

static json_object *pf_params(const char *pf)
{
	json_object *params = json_object_new_object();

	if (pf)
		json_object_object_add(params, "pf", json_object_new_string(pf));
	return params;
}

static int list(struct ctl *ctl, int argc, char **argv)
{
	const struct long_call c = {
		.method = "vf-list",
		.pf = argc > 0 ? argv[0] : NULL,
		.what = "vio4wd to look at the VFs",
		.afterwards = "nothing was changed",
		.timeout_ms = LIST_TIMEOUT_MS,
	};
	json_object *result, *pfs;
	int status;

	if (argc > 1)
		return ctl_usage(ctl, "unexpected argument '%s': vf list [PF]", argv[1]);
	status = call(ctl, &c, pf_params(c.pf), &result);
	if (status != CTL_OK)
		return status;
	pfs = json_at(result, "pfs");
	if (ctl->json) {
		output_json(result);
	} else {
		for (size_t i = 0; i < json_length(pfs); i++) {
			if (i && !ctl->no_headings)
				putchar('\n');
			print_pf(ctl, json_object_array_get_idx(pfs, i));
		}
		if (!json_length(pfs))
			ctl_error("%s", no_pfs);
	}
	json_object_put(result);
	return CTL_OK;
}

static int change(struct ctl *ctl, const char *method, const char *pf, unsigned int count,
		  bool force)
{
	char what[200], afterwards[300];
	const struct long_call c = {
		.method = method,
		.pf = pf,
		.what = what,
		.afterwards = afterwards,
		.timeout_ms = CHANGE_TIMEOUT_MS,
	};
	json_object *params = pf_params(pf), *result;
	int status;

	if (count)
		json_object_object_add(params, "count", json_object_new_int64(count));
	if (force)
		json_object_object_add(params, "force", json_object_new_boolean(1));
	snprintf(what, sizeof(what), "%.100s to have %u VF%s", pf, count, count == 1 ? "" : "s");
	snprintf(afterwards, sizeof(afterwards),
		 "vio4wd goes on with it; see 'vio4wdctl vf list %.100s'", pf);
	status = call(ctl, &c, params, &result);
	if (status != CTL_OK)
		return status;
	if (ctl->json)
		output_json(result);
	else
		print_pf(ctl, result);
	json_object_put(result);
	return CTL_OK;
}

static bool is_number(const char *text)
{
	return *text && strspn(text, "0123456789") == strlen(text);
}

static int create(struct ctl *ctl, int argc, char **argv, bool force)
{
	unsigned int count;

	if (argc == 0)
		return ctl_usage(ctl, "PF and number are missing: vf create PF N, as in vf create "
				      "ens3 4");
	if (argc == 1 && is_number(argv[0]))
		return ctl_usage(ctl, "the PF is missing: vf create PF N, as in vf create ens3 %s",
				 argv[0]);
	if (argc == 1)
		return ctl_usage(ctl,
				 "how many VFs is missing: vf create PF N, as in vf create %s "
				 "4",
				 argv[0]);
	if (argc > 2)
		return ctl_usage(ctl, "unexpected argument '%s': vf create PF N", argv[2]);
	if (is_number(argv[0]) && !is_number(argv[1]))
		return ctl_usage(ctl, "the PF comes first: vf create %s %s", argv[1], argv[0]);
	if (!ctl_number(ctl, "the number of VFs", argv[1], VFS_MAX, &count))
		return CTL_USAGE;
	if (!count)
		return ctl_usage(ctl, "0 is no number of VFs to make; vf destroy %s removes them",
				 argv[0]);
	return change(ctl, "vf-create", argv[0], count, force);
}

static int destroy(struct ctl *ctl, int argc, char **argv, bool force)
{
	if (argc == 0)
		return ctl_usage(ctl, "the PF is missing: vf destroy PF, as in vf destroy ens3");
	if (argc > 1)
		return ctl_usage(ctl,
				 "unexpected argument '%s': vf destroy PF removes all VFs of "
				 "the PF",
				 argv[1]);
	return change(ctl, "vf-destroy", argv[0], 0, force);
}

static int unknown_verb(struct ctl *ctl, const char *text)
{
	static const char *const verbs[] = { "list", "create", "destroy" };
	struct suggestion near = SUGGESTION_FOR(text);

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		suggestion_offer(&near, verbs[i]);
	if (suggestion_is_close(&near))
		return ctl_usage(ctl, "unknown verb '%s'; did you mean 'vf %s'?", text, near.best);
	return ctl_usage(ctl, "unknown verb '%s'; it must be %s", text, forms);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	int status = CTL_OK, c;
	bool force = false;
	const char *verb;

	while ((c = ctl_getopt(ctl, argc, argv, &status)) != -1) {
		if (c != 'f')
			return status;
		force = true;
	}
	if (optind >= argc)
		return ctl_help_wanted(ctl);
	verb = argv[optind];
	argc -= optind + 1;
	argv += optind + 1;
	if (strcmp(verb, "create") == 0)
		return create(ctl, argc, argv, force);
	if (strcmp(verb, "destroy") == 0)
		return destroy(ctl, argc, argv, force);
	if (strcmp(verb, "list") != 0)
		return unknown_verb(ctl, verb);
	if (force)
		return ctl_usage(ctl, "--force is for create and destroy; vf list changes nothing");
	return list(ctl, argc, argv);
}

static const struct option options[] = { { "force", no_argument, NULL, 'f' }, { 0 } };

const struct ctl_command ctl_vf = {
	.name = "vf",
	.usage = "list [PF] | create PF N | destroy PF",
	.summary = "the VFs of the host: show, make and remove them",
	.help = "A PF is named by its interface (ens3) or its address (0000:01:00.0).\n\n"
		"list shows the PFs of the host and their VFs: driver, interface, MAC address as the\n"
		"PF holds it, NUMA node, IOMMU group, and the relay that a VF is paired with.\n\n"
		"create makes N VFs on a PF that has none, or another number than N. It is refused for\n"
		"more than the hardware has, while VFs of the PF are paired, and when somebody else\n"
		"has made the VFs that there are. VIO4WD_NUM_VFS does it when the PF appears.\n\n"
		"destroy removes all VFs of a PF; it is refused while VFs are paired, and when\n"
		"somebody else has made them.\n\n"
		"create and destroy return when it is done; a PF's driver may take minutes (the\n"
		"default of --timeout is 600 here).\n\n"
		"Options:\n"
		"  --force            create, destroy: release VFs that are paired first, in order; they\n"
		"                     are paired again when they return\n\n",
	.options = options,
	.run = run,
};
