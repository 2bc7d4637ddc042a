/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Several pairings and their state machines, which compete for spare VFs of one PF: who gets one,
 * who waits, and what happens when it is given up. The host is a recorded one.
 */
#include <string.h>

#include <kselftest_harness.h>

#include "manager/bonds.h"
#include "manager/device.h"
#include "manager/manager.h"
#include "manager/spares.h"
#include "manager/vfs.h"

#include "sysfs_tree.h"

#define PAIRINGS 3
#define STABLE_US 5000000

static const char *const vfs[] = { "0000:01:10.0", "0000:01:10.4", "0000:01:11.0" };
static const char *const spares[] = { "0000:01:10.2", "0000:01:10.6" };

FIXTURE(spares) {
	char root[CONFIG_ROOT_MAX];
	struct manager m;
	struct config cfg;
	struct config_spare entries[2];
	struct pairing pairings[PAIRINGS];
	struct pairing_extra extra[PAIRINGS];
	bool own[PAIRINGS]; /* the wished VF is there and free */
	uint64_t now;
};

static FIXTURE_DATA(spares) * the;

/* --- in the place of manager_device.c, bonds.c and vf_count.c --- */

bool device_resolve(const struct manager *m, const struct devname *dev, struct pci_addr *addr)
{
	*addr = dev->pci;
	return dev->kind == DEVNAME_PCI;
}

bool device_is_same(const struct manager *m, const struct devname *a, const struct devname *b)
{
	return !strcmp(a->text, b->text);
}

bool device_has_function(const struct manager *m, const struct devname *dev,
			 const struct pci_addr *addr)
{
	return dev->kind == DEVNAME_PCI && pci_addr_equal(&dev->pci, addr);
}

bool bonds_have(const struct pairing *p, const struct pci_addr *addr)
{
	return false;
}

const char *device_is_excluded(const struct manager *m, const struct pci_addr *addr)
{
	return NULL;
}

bool vf_count_on_hold(const struct vf_counts *counts, const struct pci_addr *pf)
{
	return false;
}

/* --- the environment of the pairings --- */

static uint64_t spares_now(void *ctx)
{
	return the->now;
}

static uint64_t spares_stable(void *ctx)
{
	return STABLE_US;
}

static int spares_start(struct pairing *p, enum pairing_step step, struct err *err)
{
	p->seen.relay = (struct relay *)the; /* not looked into */
	return 0;
}

static void spares_look(struct pairing *p)
{
	struct device_facts facts;

	device_look(the->root, pairing_target(p), &facts);
	p->seen.own = the->own[p->id];
	p->seen.own_instance = 1;
	p->seen.present = pairing_has_stand_in(p) ? facts.present : the->own[p->id];
	p->seen.instance = facts.instance;
	p->seen.ready = true;
}

static void spares_wake_at(struct pairing *p, uint64_t at_us)
{
}

static void spares_changed(struct pairing *p)
{
}

/* All that is to be done is done, and works. */
static void settle(struct pairing *p)
{
	struct err err = { 0 };

	pairing_run(p);
	while (p->step != STEP_NONE)
		pairing_step_done(p, &err);
}

static void settle_all(void)
{
	for (unsigned int id = 0; id < PAIRINGS; id++)
		settle(&the->pairings[id]);
}

FIXTURE_SETUP(spares)
{
	struct manager *m = &self->m;

	memset(self, 0, sizeof(*self));
	the = self;
	config_root_make(self->root);
	sysfs_tree_unpack(self->root, "igb-7vfs");
	self->now = 1000000;
	m->root = self->root;
	m->cfg = &self->cfg;
	m->max_relays = PAIRINGS;
	m->pairings = self->pairings;
	m->extra = self->extra;
	m->env = (struct pairing_env){
		.now_us = spares_now,
		.start = spares_start,
		.look = spares_look,
		.find_spare = spares_find,
		.is_spare = spares_may_stand_in,
		.spare_failed = spares_failed,
		.stable_us = spares_stable,
		.wake_at = spares_wake_at,
		.changed = spares_changed,
		.ctx = m,
	};
	self->cfg.spare_vfs = self->entries;
	self->cfg.n_spare_vfs = 1;
	for (size_t i = 0; i < 2; i++)
		ASSERT_EQ(0, devname_parse(&self->entries[i].device, spares[i], NULL));
	for (unsigned int id = 0; id < PAIRINGS; id++) {
		struct pairing *p = &self->pairings[id];
		struct own_vf *own = &self->extra[id].own;

		pairing_init(p, id, &m->env);
		snprintf(p->wish.socket, sizeof(p->wish.socket), "/tmp/v%u", id);
		p->wish.has_device = true;
		strcpy(p->wish.name, vfs[id]);
		ASSERT_EQ(0, devname_parse(&p->wish.device, vfs[id], NULL));
		own->known = vf_read(self->root, &p->wish.device.pci, &own->vf, NULL) == 0;
		ASSERT_TRUE(own->known);
		self->own[id] = true;
	}
	settle_all();
	for (unsigned int id = 0; id < PAIRINGS; id++)
		pairing_vm(&self->pairings[id], true);
	settle_all();
}

FIXTURE_TEARDOWN(spares)
{
	for (unsigned int id = 0; id < PAIRINGS; id++)
		pairing_fini(&self->pairings[id]);
	config_root_remove(self->root);
}

static void own_goes(unsigned int id)
{
	the->own[id] = false;
	settle(&the->pairings[id]);
}

static void own_returns(unsigned int id)
{
	the->own[id] = true;
	settle(&the->pairings[id]);
	the->now += STABLE_US;
	settle(&the->pairings[id]);
}

#define EXPECT_DEVICE(id, name) EXPECT_STREQ(name, self->pairings[id].seen.device.text)
#define EXPECT_STATE(id, wanted) EXPECT_EQ(wanted, self->pairings[id].state)

TEST_F(spares, each_has_its_own) {
	for (unsigned int id = 0; id < PAIRINGS; id++) {
		EXPECT_DEVICE(id, vfs[id]);
		EXPECT_STATE(id, PAIRING_ACTIVE);
	}
}

/* The first gets it; the next ones wait, and the first of them to look has it afterwards. */
TEST_F(spares, one_for_several) {
	own_goes(1);
	own_goes(0);
	own_goes(2);
	settle_all();
	EXPECT_DEVICE(1, spares[0]);
	EXPECT_STATE(0, PAIRING_ABSENT);
	EXPECT_STATE(2, PAIRING_ABSENT);
	own_returns(1);
	EXPECT_DEVICE(1, vfs[1]);
	settle_all();
	EXPECT_DEVICE(0, spares[0]);
	EXPECT_STATE(0, PAIRING_ACTIVE);
	EXPECT_STATE(2, PAIRING_ABSENT);
	EXPECT_EQ(&self->pairings[0], spares_pairing(&self->m, &self->entries[0].device.pci));
}

/* One that is chosen is not another's, also while it is being opened. */
TEST_F(spares, one_that_is_being_opened) {
	struct pairing *first = &self->pairings[0];

	self->own[0] = false;
	pairing_run(first);
	ASSERT_EQ(STEP_DETACH, first->step);
	pairing_step_done(first, &(struct err){ 0 });
	ASSERT_EQ(STEP_ATTACH, first->step);
	own_goes(1);
	EXPECT_STATE(1, PAIRING_ABSENT);
	settle_all();
	EXPECT_DEVICE(0, spares[0]);
	EXPECT_STATE(1, PAIRING_ABSENT);
}

/* Until the relay has let it go it is not another's, although nobody wishes for it any more. */
TEST_F(spares, one_that_is_being_given_back) {
	struct pairing *first = &self->pairings[0];

	own_goes(0);
	own_goes(1);
	self->own[0] = true;
	settle(first);
	self->now += STABLE_US;
	pairing_run(first);
	ASSERT_EQ(STEP_DETACH, first->step);
	first->seen.has_pci = true;
	first->seen.pci = self->entries[0].device.pci;
	settle(&self->pairings[1]);
	EXPECT_STATE(1, PAIRING_ABSENT);
	first->seen.has_pci = false;
	settle(first);
	EXPECT_DEVICE(0, vfs[0]);
	settle(&self->pairings[1]);
	EXPECT_DEVICE(1, spares[0]);
}

TEST_F(spares, one_for_each) {
	self->cfg.n_spare_vfs = 2;
	own_goes(2);
	own_goes(0);
	own_goes(1);
	EXPECT_DEVICE(2, spares[0]);
	EXPECT_DEVICE(0, spares[1]);
	EXPECT_STATE(1, PAIRING_ABSENT);
}

/* It is no use to the next one either, until the configuration is read again. */
TEST_F(spares, one_that_cannot_be_opened) {
	struct pairing *first = &self->pairings[0];
	struct err err;

	self->own[0] = false;
	pairing_run(first);
	pairing_step_done(first, &(struct err){ 0 });
	ASSERT_EQ(STEP_ATTACH, first->step);
	err_set(&err, -EIO, "attach", "it does not start");
	pairing_step_done(first, &err);
	settle(first);
	EXPECT_STATE(0, PAIRING_ABSENT);
	own_goes(1);
	EXPECT_STATE(1, PAIRING_ABSENT);
	spares_retry(&self->m);
	settle(&self->pairings[1]);
	EXPECT_DEVICE(1, spares[0]);
}

/* Somebody is given the spare itself: it is for that pairing, and what it stood in for waits. */
TEST_F(spares, one_that_is_wished_for) {
	own_goes(0);
	EXPECT_DEVICE(0, spares[0]);
	self->pairings[1].wish.device = self->entries[0].device;
	settle(&self->pairings[0]);
	EXPECT_STATE(0, PAIRING_ABSENT);
	EXPECT_FALSE(pairing_has_stand_in(&self->pairings[0]));
}

TEST_HARNESS_MAIN
