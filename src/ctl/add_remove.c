/* SPDX-License-Identifier: BSD-3-Clause */

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/config.h"
#include "common/devname_bond.h"
#include "ctl/ctl.h"
#include "ctl/output.h"

struct pairing_args {
	bool has_id;
	unsigned int id;
	const char *devices[BOND_MEMBERS_MAX];
	size_t n_devices;
	const char *bond; /* its name */
	bool has_mode;
	unsigned int mode;
	const char *backend;
	const char *as;
	bool conditional;
};

/* 1, or active-backup. */
static bool parse_mode(struct ctl *ctl, const char *text, struct pairing_args *args)
{
	args->has_mode = true;
	for (args->mode = 0; args->mode <= BOND_MODE_MAX; args->mode++) {
		if (!strcmp(text, devname_bond_mode_name(args->mode)))
			return true;
	}
	return ctl_number(ctl, "--mode", text, BOND_MODE_MAX, &args->mode);
}

static bool parse(struct ctl *ctl, int argc, char **argv, struct pairing_args *args, int *status)
{
	enum config_backend backend;
	int c;

	while ((c = ctl_getopt(ctl, argc, argv, status)) != -1) {
		switch (c) {
		case 'i':
			if (!ctl_number(ctl, "--id", optarg, UINT_MAX, &args->id))
				goto usage;
			args->has_id = true;
			break;
		case 'd':
			if (args->n_devices == BOND_MEMBERS_MAX) {
				ctl_usage(ctl, "--device is there more than %d times",
					  BOND_MEMBERS_MAX);
				goto usage;
			}
			args->devices[args->n_devices++] = optarg;
			break;
		case 'o':
			args->bond = optarg;
			break;
		case 'm':
			if (!parse_mode(ctl, optarg, args))
				goto usage;
			break;
		case 'b':
			if (config_backend_parse(optarg, &backend) < 0) {
				ctl_usage(ctl, "--backend is '%s'; it must be auto, sw or vdpa",
					  optarg);
				goto usage;
			}
			args->backend = optarg;
			break;
		case 'a':
			if (strcmp(optarg, "socket") != 0 && strcmp(optarg, "vhost-vdpa") != 0) {
				ctl_usage(ctl, "--as is '%s'; it must be socket or vhost-vdpa",
					  optarg);
				goto usage;
			}
			args->as = optarg;
			break;
		case 'c':
			args->conditional = true;
			break;
		default:
			return false;
		}
	}
	return true;
usage:
	*status = CTL_USAGE;
	return false;
}

static json_object *bond_params(const struct pairing_args *args)
{
	json_object *bond = json_object_new_object();
	json_object *members = json_object_new_array();

	json_object_object_add(bond, "name", json_object_new_string(args->bond));
	if (args->has_mode)
		json_object_object_add(bond, "mode", json_object_new_int((int)args->mode));
	for (size_t i = 0; i < args->n_devices; i++)
		json_object_array_add(members, json_object_new_string(args->devices[i]));
	json_object_object_add(bond, "members", members);
	return bond;
}

static json_object *make_params(const struct pairing_args *args)
{
	json_object *params = ctl_id_params(args->id);

	if (args->bond)
		json_object_object_add(params, "bond", bond_params(args));
	else if (args->n_devices)
		json_object_object_add(params, "device", json_object_new_string(args->devices[0]));
	if (args->backend)
		json_object_object_add(params, "backend", json_object_new_string(args->backend));
	if (args->as)
		json_object_object_add(params, "as", json_object_new_string(args->as));
	if (args->conditional)
		json_object_object_add(params, "conditional", json_object_new_boolean(1));
	return params;
}

/* What add needs, and does not go together. Returns the status. */
static int check_add(struct ctl *ctl, const struct pairing_args *args)
{
	if (!args->has_id || !args->n_devices)
		return ctl_usage(ctl, "%s is missing", args->has_id ? "--device" : "--id");
	if (!args->bond && args->has_mode)
		return ctl_usage(ctl, "--mode is of a bond: name it by --bond");
	if (!args->bond && args->n_devices > 1)
		return ctl_usage(ctl, "several devices are a bond: name it, as in --bond %s0",
				 BOND_PREFIX);
	return CTL_OK;
}

static int run_add(struct ctl *ctl, int argc, char **argv)
{
	struct pairing_args args = { 0 };
	json_object *result;
	int status = CTL_OK;

	if (!parse(ctl, argc, argv, &args, &status) ||
	    !ctl_operands(ctl, argc, argv, 0, 0, &status))
		return status;
	status = check_add(ctl, &args);
	if (status != CTL_OK)
		return status;
	status = ctl_call(ctl, "add", make_params(&args), &result);
	if (status != CTL_OK)
		return status;
	if (ctl->json)
		output_json(result);
	else if (!strcmp(json_text(result, "as"), "vhost-vdpa"))
		printf("relay %u: %s, %s, vhost-vdpa device %s\n", args.id,
		       json_text(result, "device"), json_text(result, "state"),
		       json_text(result, "vdpa.path"));
	else
		printf("relay %u: %s, %s, socket %s (%s mode)\n", args.id,
		       json_text(result, "device"), json_text(result, "state"),
		       json_text(result, "socket"), json_text(result, "mode"));
	/* A wrong name looks like a device that is yet to come. */
	if (!strcmp(json_text(result, "state"), "absent"))
		ctl_error("%s", json_text(result, "reason"));
	json_object_put(result);
	return CTL_OK;
}

static int run_remove(struct ctl *ctl, int argc, char **argv)
{
	struct pairing_args args = { 0 };
	json_object *result;
	int status = CTL_OK;

	if (!parse(ctl, argc, argv, &args, &status) ||
	    !ctl_operands(ctl, argc, argv, 0, 1, &status))
		return status;
	if ((optind < argc) == args.has_id)
		return ctl_usage(ctl, "name the relay once: remove ID, or remove --id ID");
	if (args.n_devices > 1)
		return ctl_usage(ctl, "--device is there twice: a bond goes by its name");
	if (optind < argc && !ctl_number(ctl, "ID", argv[optind], UINT_MAX, &args.id))
		return CTL_USAGE;
	status = ctl_call(ctl, "remove", make_params(&args), &result);
	if (status != CTL_OK)
		return status;
	if (ctl->json)
		output_json(result);
	json_object_put(result);
	return CTL_OK;
}

static const struct option add_options[] = {
	{ "id", required_argument, NULL, 'i' },	     { "device", required_argument, NULL, 'd' },
	{ "bond", required_argument, NULL, 'o' },    { "mode", required_argument, NULL, 'm' },
	{ "backend", required_argument, NULL, 'b' }, { "as", required_argument, NULL, 'a' },
	{ "conditional", no_argument, NULL, 'c' },   { 0 },
};

static const struct option remove_options[] = {
	{ "id", required_argument, NULL, 'i' },
	{ "device", required_argument, NULL, 'd' },
	{ "conditional", no_argument, NULL, 'c' },
	{ 0 },
};

const struct ctl_command ctl_add = {
	.name = "add",
	.usage = "--id N --device D [--bond NAME --device D...] [--backend B]",
	.summary = "pair a relay with a device",
	.help = "Attaches a device to a relay; the relay's socket then has that device behind it. The\n"
		"pairing lasts until it is removed or vio4wd is stopped; VIRTIOFWD_STATIC_VFS in the\n"
		"configuration is for those that shall always be there.\n\n"
		"Options:\n"
		"  --id N             the relay\n"
		"  --device D         0000:05:08.1 (a PCI function), ens3.vf2 (VF 2 of a PF),\n"
		"                     netdev:NAME (a Linux network interface), vdev:ARGS (a DPDK\n"
		"                     virtual device, as in vdev:net_null0,copy=1), or an alias of\n"
		"                     the configuration\n"
		"  --bond NAME        2 to 8 devices as one, each with a --device of its own; NAME\n"
		"                     begins with net_bonding, and remove and port control know it\n"
		"  --mode M           of the bond: 0 balance-rr, 1 active-backup (the default),\n"
		"                     2 balance-xor, 3 broadcast, 4 802.3ad (LACP), 5 balance-tlb,\n"
		"                     6 balance-alb\n"
		"  --backend B        auto (hardware vDPA where the device has it, else software), sw,\n"
		"                     or vdpa (hardware or an error); default: the configuration's\n"
		"  --as socket        behind the relay's vhost-user socket (the default)\n"
		"  --as vhost-vdpa    no socket: a vDPA device is made on the VF, and its file\n"
		"                     /dev/vhost-vdpa-N is QEMU's to open (VIRTIOFWD_SOCKET_OWNER and\n"
		"                     _GROUP); no relay process can help out then\n"
		"  --conditional      no error when this pairing is there already\n\n",
	.options = add_options,
	.run = run_add,
};

const struct ctl_command ctl_remove = {
	.name = "remove",
	.usage = "ID [--device D]",
	.summary = "take the device away from a relay",
	.help = "Detaches the device of a relay. The socket stays, and so does the connection of its\n"
		"VM.\n\n"
		"Options:\n"
		"  --id N             the relay, in place of ID\n"
		"  --device D         refuse when another device than this one is attached; of a bond\n"
		"                     its name, or one of its devices\n"
		"  --conditional      no error when none is attached\n\n",
	.options = remove_options,
	.run = run_remove,
};
