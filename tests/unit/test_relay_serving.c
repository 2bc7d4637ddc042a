/* SPDX-License-Identifier: BSD-3-Clause */

/* Who serves a VM whose device is hardware vDPA, and why. */
#include <errno.h>
#include <string.h>

#include <kselftest_harness.h>
#include <linux/virtio_net.h>

#include "sw-relay/serving.h"

/* What differs from GOOD. */
#pragma GCC diagnostic ignored "-Woverride-init"

#define BIT(n) (1ull << (n))
#define V1 BIT(32)
#define MRG BIT(VIRTIO_NET_F_MRG_RXBUF)
#define CSUM BIT(VIRTIO_NET_F_CSUM)
#define PACKED BIT(34)
#define LOG_ALL BIT(26)

/* A VM that uses what the device has, which can do everything. */
#define GOOD                                                                                  \
	.vm = true, .vm_features = V1 | MRG, .vm_pairs = 1, .features = V1 | MRG, .pairs = 1, \
	.has_positions = true

static const struct {
	const char *name;
	struct serving_facts facts;
	enum serving serving;
	const char *words;
} cases[] = {
	{ "the best", { GOOD }, SERVING_DIRECT, "works on the VM's rings" },
	{ "no VM", { .features = V1, .pairs = 1 }, SERVING_NOTHING, "no VM" },
	{ "no VM, a wish", { .wish = SERVING_SOFTWARE }, SERVING_NOTHING, "no VM" },
	{ "software", { GOOD, .wish = SERVING_SOFTWARE }, SERVING_SOFTWARE, "asked for" },
	{ "shadow", { GOOD, .wish = SERVING_SHADOW }, SERVING_SHADOW, "asked for" },
	{ "direct", { GOOD, .wish = SERVING_DIRECT }, SERVING_DIRECT, "rings" },
	{ "a feature", { GOOD, .vm_features = V1 | CSUM }, SERVING_SOFTWARE, "CSUM" },
	{ "a feature beats a wish",
	  { GOOD, .vm_features = V1 | CSUM, .wish = SERVING_SHADOW },
	  SERVING_SOFTWARE,
	  "CSUM" },
	{ "packed rings",
	  { GOOD, .vm_features = V1 | PACKED, .features = V1 | PACKED },
	  SERVING_SOFTWARE,
	  "RING_PACKED" },
	{ "the library's",
	  { GOOD, .vm_features = V1 | LOG_ALL | BIT(30) | BIT(17) },
	  SERVING_DIRECT,
	  "rings" },
	{ "pairs", { GOOD, .vm_pairs = 4, .pairs = 2 }, SERVING_SOFTWARE, "4 queue pairs" },
	{ "fewer pairs", { GOOD, .vm_pairs = 2, .pairs = 4 }, SERVING_DIRECT, "rings" },
	{ "migration", { GOOD, .logging = true }, SERVING_SHADOW, "migrated" },
	{ "migration beats direct",
	  { GOOD, .logging = true, .wish = SERVING_DIRECT },
	  SERVING_SHADOW,
	  "migrated" },
	{ "migration in software",
	  { GOOD, .logging = true, .wish = SERVING_SOFTWARE },
	  SERVING_SOFTWARE,
	  "asked for" },
	{ "RARP", { GOOD, .announcing = true }, SERVING_SHADOW, "MAC address" },
	{ "RARP in software",
	  { GOOD, .announcing = true, .wish = SERVING_SOFTWARE },
	  SERVING_SOFTWARE,
	  "asked for" },
	{ "RARP, without positions",
	  { GOOD, .announcing = true, .has_positions = false, .now = SERVING_DIRECT },
	  SERVING_SHADOW,
	  "MAC address" },
	{ "what stays is told when RARP goes",
	  { GOOD, .announcing = true, .has_positions = false, .vm_begun = true },
	  SERVING_SHADOW,
	  "start of a ring" },
	{ "begun, with positions", { GOOD, .vm_begun = true }, SERVING_DIRECT, "rings" },
	{ "begun, without",
	  { GOOD, .vm_begun = true, .has_positions = false },
	  SERVING_SHADOW,
	  "start of a ring" },
	{ "begun by the device itself",
	  { GOOD, .vm_begun = true, .has_positions = false, .now = SERVING_DIRECT },
	  SERVING_DIRECT,
	  "rings" },
	{ "a shadow has no way back",
	  { GOOD, .has_positions = false, .now = SERVING_SHADOW },
	  SERVING_SHADOW,
	  "start of a ring" },
	{ "a fresh VM, without positions",
	  { GOOD, .has_positions = false },
	  SERVING_DIRECT,
	  "rings" },
	{ "no software without a pause",
	  { GOOD, .has_positions = false, .wish = SERVING_SOFTWARE },
	  SERVING_NOTHING,
	  "vio4wdctl backend" },
	{ "a feature, no software",
	  { GOOD, .has_positions = false, .vm_features = V1 | CSUM },
	  SERVING_NOTHING,
	  "CSUM" },
};

TEST(decisions)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct serving_decision d;

		serving_decide(&cases[i].facts, &d);
		EXPECT_EQ(cases[i].serving, d.serving)
		{
			TH_LOG("%s: %s (%s)", cases[i].name, serving_name(d.serving), d.reason);
		}
		EXPECT_NE(NULL, strstr(d.reason, cases[i].words))
		{
			TH_LOG("%s: %s", cases[i].name, d.reason);
		}
	}
}

TEST(names)
{
	enum serving wish = SERVING_DIRECT;

	EXPECT_EQ(0, serving_parse("auto", &wish));
	EXPECT_EQ(SERVING_NOTHING, wish);
	for (enum serving s = SERVING_DIRECT; s <= SERVING_SOFTWARE; s++) {
		EXPECT_EQ(0, serving_parse(serving_name(s), &wish));
		EXPECT_EQ(s, wish);
	}
	EXPECT_EQ(-EINVAL, serving_parse("idle", &wish));
	EXPECT_EQ(-EINVAL, serving_parse("", &wish));
}

TEST_HARNESS_MAIN
