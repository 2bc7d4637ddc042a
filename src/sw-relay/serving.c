/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Direct is the aim. What is in its way, in this order: the VM uses something that the device has
 * not (software), its memory is being watched (shadow), the device cannot begin where the rings are
 * (shadow), or a frame of ours is to be sent (shadow).
 */
#include "sw-relay/serving.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "common/virtio_features.h"

#define BIT(n) (1ull << (n))
#define PROTOCOL_FEATURES 30 /* VHOST_USER_F_PROTOCOL_FEATURES */
/* The library finishes these itself, whatever the device has. */
#define LIBRARYS                                                                                \
	(BIT(PROTOCOL_FEATURES) | BIT(VHOST_F_LOG_ALL) | BIT(VIRTIO_NET_F_CTRL_VQ) |            \
	 BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT(VIRTIO_NET_F_MTU) | \
	 BIT(VIRTIO_NET_F_MAC))

static const char *const names[] = {
	[SERVING_NOTHING] = "idle",
	[SERVING_DIRECT] = "direct",
	[SERVING_SHADOW] = "shadow",
	[SERVING_SOFTWARE] = "software",
};

const char *serving_name(enum serving serving)
{
	return names[serving];
}

int serving_parse(const char *text, enum serving *wish)
{
	if (!strcmp(text, "auto")) {
		*wish = SERVING_NOTHING;
		return 0;
	}
	for (unsigned int i = SERVING_DIRECT; i <= SERVING_SOFTWARE; i++) {
		if (!strcmp(text, names[i])) {
			*wish = i;
			return 0;
		}
	}
	return -EINVAL;
}

uint64_t serving_lacks(uint64_t wanted, uint64_t device)
{
	return wanted & ~(device | LIBRARYS);
}

static void say(struct serving_decision *d, enum serving serving, const char *reason)
{
	d->serving = serving;
	snprintf(d->reason, sizeof(d->reason), "%s", reason);
}

/* The device cannot serve this VM. */
static bool is_beyond(const struct serving_facts *f, struct serving_decision *d)
{
	const uint64_t lacking = serving_lacks(f->vm_features, f->features) |
				 (f->vm_features & BIT(VIRTIO_F_RING_PACKED));

	d->serving = SERVING_SOFTWARE;
	if (lacking) {
		const char *name = feature_name(__builtin_ctzll(lacking));

		snprintf(d->reason, sizeof(d->reason),
			 "the VM has agreed on %s, which the device cannot serve; it did so before "
			 "the device was attached",
			 name ? name : "an unknown feature");
		return true;
	}
	if (f->vm_pairs > f->pairs)
		snprintf(d->reason, sizeof(d->reason),
			 "the VM uses %u queue pairs, the device has %u", f->vm_pairs, f->pairs);
	return f->vm_pairs > f->pairs;
}

/* With direct it has been at the start when the device began, and the device has gone on since. */
static bool cannot_begin(const struct serving_facts *f)
{
	if (f->has_positions || f->now == SERVING_DIRECT)
		return false;
	return f->now == SERVING_SHADOW || f->vm_begun;
}

static void decide(const struct serving_facts *f, struct serving_decision *d)
{
	if (!f->vm)
		say(d, SERVING_NOTHING, "no VM is connected");
	else if (f->wish == SERVING_SOFTWARE)
		say(d, SERVING_SOFTWARE, "asked for");
	else if (is_beyond(f, d))
		return;
	else if (f->wish == SERVING_SHADOW)
		say(d, SERVING_SHADOW, "asked for");
	else if (f->logging)
		say(d, SERVING_SHADOW,
		    "the VM is being migrated: what is written to its memory is recorded");
	else if (cannot_begin(f))
		say(d, SERVING_SHADOW,
		    "the device begins at the start of a ring only; direct when the VM sets up its "
		    "rings anew");
	else if (f->announcing)
		say(d, SERVING_SHADOW,
		    "the VM was migrated: the network is told where its MAC address is now");
	else
		say(d, SERVING_DIRECT, "the device works on the VM's rings");
}

void serving_decide(const struct serving_facts *facts, struct serving_decision *decision)
{
	size_t len;

	decide(facts, decision);
	if (decision->serving != SERVING_SOFTWARE || serving_has_software(facts->has_positions))
		return;
	/* There is software for it all the same: with the VF on vfio-pci. */
	decision->serving = SERVING_NOTHING;
	len = strlen(decision->reason);
	snprintf(decision->reason + len, sizeof(decision->reason) - len,
		 "; `vio4wdctl backend ID sw`?");
}
