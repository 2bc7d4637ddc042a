/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The VFs of a bond: which MAC address they are given, and what becomes of one that may not be
 * taken. The host is a recorded one; binding is scripted.
 */
#include <errno.h>
#include <string.h>

#include <kselftest_harness.h>

#include "manager/bindings.h"
#include "manager/bonds.h"
#include "manager/json_util.h"
#include "manager/manager.h"
#include "manager/vfs.h"

#include "sysfs_tree.h"

#define BOND "bond:net_bonding0,1 0000:01:10.0 0000:01:10.2"
#define OTHER_BOND "bond:net_bonding0,1 0000:01:10.2 0000:01:10.4"

static const struct pci_addr first = { .bus = 1, .slot = 0x10, .function = 0 };
static const struct pci_addr second = { .bus = 1, .slot = 0x10, .function = 2 };
static const struct pci_addr third = { .bus = 1, .slot = 0x10, .function = 4 };
static const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };

FIXTURE(bonds) {
	char root[CONFIG_ROOT_MAX];
	struct manager m;
	struct pairing p;
	struct pairing_extra extra;
	struct err err;
	uint64_t now;
	/* Functions by their number: */
	bool refused[8];
	bool ready[8];
	struct pci_addr taken;
	binding_done_fn done;
};

static FIXTURE_DATA(bonds) * the;

/* --- in the place of bindings.c and vf_count.c --- */

bool bindings_ready(const struct bindings *b, const struct vf *vf, int owner, const char *driver)
{
	return the->ready[vf->addr.function];
}

int bindings_take(struct bindings *b, const struct pci_addr *addr, int owner, const char *driver,
		  binding_done_fn done, void *userdata, struct err *err)
{
	if (the->refused[addr->function])
		return err_set(err, -EPERM, "test", "function %u is refused", addr->function);
	the->taken = *addr;
	the->done = done;
	return 0;
}

bool bindings_mac(const struct bindings *b, const struct pci_addr *addr, uint8_t result[6])
{
	memcpy(result, mac, sizeof(mac));
	result[5] += addr->function;
	return true;
}

bool vf_count_on_hold(const struct vf_counts *counts, const struct pci_addr *pf)
{
	return false;
}

/* --- the environment of the pairing --- */

static uint64_t bonds_now(void *ctx)
{
	return the->now;
}

static void wish(const char *text)
{
	struct pairing *p = &the->p;

	devname_bond_parse(&p->wish.device, text, NULL, NULL);
	strcpy(p->wish.name, "net_bonding0");
	p->wish.has_device = true;
	bonds_look(p);
}

FIXTURE_SETUP(bonds)
{
	struct manager *m = &self->m;

	memset(self, 0, sizeof(*self));
	the = self;
	config_root_make(self->root);
	sysfs_tree_unpack(self->root, "igb-7vfs");
	self->now = 1000000;
	m->root = self->root;
	m->max_relays = 1;
	m->pairings = &self->p;
	m->extra = &self->extra;
	m->env = (struct pairing_env){ .now_us = bonds_now, .ctx = m };
	self->extra.m = m;
	pairing_init(&self->p, 0, &m->env);
	self->p.running = true; /* the steps are the test's */
	wish(BOND);
}

FIXTURE_TEARDOWN(bonds)
{
	config_root_remove(self->root);
}

/* The bind step, which ends as told. Returns how it began. */
static int bind_member(const struct err *end)
{
	struct pairing *p = &the->p;
	int rc;

	p->step = STEP_BIND;
	rc = bonds_start_bind(p, &the->err);
	if (rc < 0) {
		p->step = STEP_NONE;
		return rc;
	}
	the->ready[the->taken.function] = !end->code;
	the->done(end, p);
	bonds_look(p);
	return 0;
}

static const struct err well;

TEST_F(bonds, address_is_that_of_the_first_that_was_bound) {
	const struct err broken = { .code = -EIO, .text = "it is broken" };

	ASSERT_EQ(0, bind_member(&broken));
	EXPECT_TRUE(pci_addr_equal(&first, &self->taken));
	EXPECT_FALSE(bonds_mac(&self->m, 0, &second));
	ASSERT_EQ(0, bind_member(&well));
	EXPECT_TRUE(pci_addr_equal(&second, &self->taken));
	ASSERT_TRUE(bonds_mac(&self->m, 0, &first));
	EXPECT_EQ(mac[5] + second.function, bonds_mac(&self->m, 0, &first)[5]);
	EXPECT_TRUE(bonds_mac(&self->m, 0, &second));
	EXPECT_FALSE(bonds_mac(&self->m, 0, &third));
	EXPECT_FALSE(bonds_mac(&self->m, BINDING_BY_CONFIG, &first));
	/* Who is bound later changes nothing. */
	self->now += PAIRING_RETRY_MAX_US;
	bonds_look(&self->p);
	ASSERT_EQ(0, bind_member(&well));
	EXPECT_TRUE(pci_addr_equal(&first, &self->taken));
	EXPECT_EQ(mac[5] + second.function, bonds_mac(&self->m, 0, &first)[5]);
	/* Another bond has another one. */
	wish(OTHER_BOND);
	EXPECT_FALSE(bonds_mac(&self->m, 0, &second));
}

/* After a restart of the manager, too, while a relay has the bond. */
TEST_F(bonds, address_is_told_by_the_relay) {
	bonds_keep_mac(&self->p, NULL);
	bonds_keep_mac(&self->p, "nonsense");
	EXPECT_FALSE(bonds_mac(&self->m, 0, &first));
	bonds_keep_mac(&self->p, "52:54:00:01:02:03");
	ASSERT_TRUE(bonds_mac(&self->m, 0, &first));
	EXPECT_EQ(0, memcmp(mac, bonds_mac(&self->m, 0, &first), sizeof(mac)));
	self->p.wish.has_device = false;
	bonds_look(&self->p);
	EXPECT_FALSE(bonds_mac(&self->m, 0, &first));
	bonds_keep_mac(&self->p, "52:54:00:01:02:03");
	EXPECT_FALSE(bonds_mac(&self->m, 0, &first));
}

/* It is its own fault alone; the others are bound, and attached. */
TEST_F(bonds, member_that_may_not_be_taken_holds_nobody_back) {
	json_object *params = json_object_new_object(), *list, *shown;

	self->refused[first.function] = true;
	EXPECT_FALSE(self->p.seen.ready);
	ASSERT_EQ(0, bind_member(&well));
	EXPECT_TRUE(pci_addr_equal(&second, &self->taken));
	EXPECT_TRUE(self->p.seen.ready);
	ASSERT_EQ(0, bonds_params(&self->p, params, &self->err));
	list = json_get_member(params, "members", json_type_array);
	ASSERT_EQ(1u, json_object_array_length(list));
	EXPECT_STREQ("0000:01:10.2",
		     json_get_text(json_object_array_get_idx(list, 0), "device", ""));
	shown = bonds_json(&self->p);
	list = json_get_member(shown, "members", json_type_array);
	EXPECT_STREQ("function 0 is refused",
		     json_get_text(json_object_array_get_idx(list, 0), "error", ""));
	EXPECT_EQ(&self->extra.bond.members[0].err, self->p.seen.member_error);
	/* It is tried again. */
	self->now += PAIRING_RETRY_MIN_US;
	bonds_look(&self->p);
	EXPECT_FALSE(self->p.seen.ready);
	json_object_put(shown);
	json_object_put(params);
}

TEST_F(bonds, without_a_member_that_may_be_taken_there_is_a_reason) {
	self->refused[first.function] = self->refused[second.function] = true;
	EXPECT_EQ(-EPERM, bind_member(&well));
	EXPECT_STREQ("function 0 is refused", self->err.text);
}

TEST_HARNESS_MAIN
