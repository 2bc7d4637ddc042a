/* SPDX-License-Identifier: BSD-3-Clause */

#include "common/devname_bond.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP "bond"
#define MARK "bond:"

static const char *const mode_names[BOND_MODE_MAX + 1] = {
	"balance-rr", "active-backup", "balance-xor", "broadcast",
	"802.3ad",    "balance-tlb",   "balance-alb",
};

const char *devname_bond_mode_name(unsigned int mode)
{
	return mode <= BOND_MODE_MAX ? mode_names[mode] : "unknown";
}

bool devname_is_bond(const char *text)
{
	return strncmp(text, MARK, strlen(MARK)) == 0;
}

int devname_bond_check_name(const char *name, struct err *err)
{
	const size_t len = strlen(name);
	bool good = strncmp(name, BOND_PREFIX, strlen(BOND_PREFIX)) == 0 && len <= BOND_NAME_MAX;

	for (size_t i = 0; good && i < len; i++)
		good = isalnum((unsigned char)name[i]) || name[i] == '_';
	if (good)
		return 0;
	return err_set(err, -EINVAL, "bond name",
		       "'%.40s' is no name of a bond: it begins with " BOND_PREFIX
		       ", as in " BOND_PREFIX "0, and has letters, digits and _, at most %d",
		       name, BOND_NAME_MAX);
}

int devname_bond_check_mode(unsigned int mode, struct err *err)
{
	if (mode <= BOND_MODE_MAX)
		return 0;
	return err_set(err, -EINVAL, "bond mode",
		       "%u is no mode of a bond: 0 balance-rr, 1 active-backup, 2 balance-xor, "
		       "3 broadcast, 4 802.3ad (LACP), 5 balance-tlb, 6 balance-alb",
		       mode);
}

int devname_bond_check_count(const char *name, size_t n, struct err *err)
{
	if (n > BOND_MEMBERS_MAX)
		return err_set(err, -E2BIG, "bond members",
			       "%s: %zu devices: a bond has at most %d", name, n, BOND_MEMBERS_MAX);
	if (n < BOND_MEMBERS_MIN)
		return err_set(err, -EINVAL, "bond members",
			       "%s: a bond has at least %d devices, not %zu", name,
			       BOND_MEMBERS_MIN, n);
	return 0;
}

static int check_members(const char *name, const struct devname *members, size_t n, struct err *err)
{
	int r = devname_bond_check_count(name, n, err);

	for (size_t i = 0; i < n && r == 0; i++) {
		if (members[i].kind == DEVNAME_BOND)
			return err_set(err, -EINVAL, "bond members",
				       "%s: %s is a bond itself, and cannot be in one", name,
				       members[i].driver_name);
		if (members[i].kind == DEVNAME_NETDEV)
			return err_set(err, -EOPNOTSUPP, "bond members",
				       "%s: %s is a Linux network interface, of which Linux makes "
				       "bonds: make one by `ip link add bond0 type bond`, and pair "
				       "with that",
				       name, members[i].text);
		for (size_t j = 0; j < i; j++) {
			if (strcmp(members[i].text, members[j].text) == 0)
				return err_set(err, -EINVAL, "bond members", "%s has %s twice",
					       name, members[i].text);
		}
	}
	return r;
}

int devname_bond_make(struct devname *bond, const char *name, unsigned int mode,
		      const struct devname *members, size_t n, struct err *err)
{
	size_t len = 0;
	int r = devname_bond_check_name(name, err);

	memset(bond, 0, sizeof(*bond));
	if (r == 0)
		r = devname_bond_check_mode(mode, err);
	if (r == 0)
		r = check_members(name, members, n, err);
	if (r < 0)
		return r;
	bond->kind = DEVNAME_BOND;
	bond->mode = mode;
	snprintf(bond->driver_name, sizeof(bond->driver_name), "%s", name);
	for (size_t i = 0; i < n; i++)
		len += strlen(members[i].text) + 1;
	if (strlen(MARK) + strlen(name) + strlen(",1") + len >= sizeof(bond->text))
		return err_set(err, -ENAMETOOLONG, "bond members",
			       "%s: the names of its devices have more than %d characters "
			       "together",
			       name, DEVNAME_MAX - 1);
	for (size_t i = 0, at = 0; i < n; i++)
		at += (size_t)snprintf(bond->driver_args + at, sizeof(bond->driver_args) - at,
				       "%s%s", i ? " " : "", members[i].text);
	snprintf(bond->text, sizeof(bond->text), MARK "%s,%u %.*s", name, mode, (int)len,
		 bond->driver_args);
	return 0;
}

/* Takes the members out of a list with blanks between them. Returns how many, more than there is
 * room for included. */
static int take_members(const char *list, struct devname members[BOND_MEMBERS_MAX], struct err *err)
{
	char text[DEVNAME_MAX];
	int n = 0;

	while (*list) {
		const size_t len = strcspn(list, " ");
		int r;

		snprintf(text, sizeof(text), "%.*s", (int)len, list);
		r = n < BOND_MEMBERS_MAX ? devname_parse(&members[n], text, err) : 0;
		if (r < 0)
			return r;
		n++;
		list += len + (list[len] == ' ');
	}
	return n;
}

static int broken(const char *text, struct err *err)
{
	return err_set(err, -EINVAL, STEP,
		       "'%.100s' is no bond, as in " MARK BOND_PREFIX "0,1 DEVICE DEVICE", text);
}

int devname_bond_parse(struct devname *bond, const char *text, struct devname *members,
		       struct err *err)
{
	struct devname own[BOND_MEMBERS_MAX];
	struct devname *list = members ? members : own;
	const char *comma = strchr(text, ',');
	char name[BOND_NAME_MAX + 2];
	int n, r;

	if (!devname_is_bond(text) || strlen(text) >= DEVNAME_MAX || !comma ||
	    !isdigit((unsigned char)comma[1]) || comma[2] != ' ')
		return broken(text, err);
	snprintf(name, sizeof(name), "%.*s", (int)(comma - text - strlen(MARK)),
		 text + strlen(MARK));
	n = take_members(comma + 3, list, err);
	if (n < 0)
		return n;
	r = n > BOND_MEMBERS_MAX ? devname_bond_check_count(name, n, err)
				 : devname_bond_make(bond, name, comma[1] - '0', list, n, err);
	return r < 0 ? r : n;
}

size_t devname_bond_members(const struct devname *bond, struct devname members[BOND_MEMBERS_MAX])
{
	struct devname same;
	int n = devname_bond_parse(&same, bond->text, members, NULL);

	return n < 0 ? 0 : (size_t)n;
}
