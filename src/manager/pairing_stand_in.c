/* SPDX-License-Identifier: BSD-3-Clause */

#include "manager/pairing_stand_in.h"

#include <stdio.h>
#include <string.h>

bool pairing_has_stand_in(const struct pairing *p)
{
	return p->stand_in.text[0];
}

const struct devname *pairing_target(const struct pairing *p)
{
	return pairing_has_stand_in(p) ? &p->stand_in : &p->wish.device;
}

const char *pairing_target_name(const struct pairing *p)
{
	return pairing_has_stand_in(p) ? p->stand_in.text : p->wish.name;
}

enum config_backend pairing_target_backend(const struct pairing *p)
{
	return pairing_has_stand_in(p) ? CONFIG_BACKEND_SW : p->wish.backend;
}

void pairing_stand_in_reason(const struct pairing *p, char *buf, size_t size)
{
	const uint64_t now = p->env->now_us(p->env->ctx);

	if (!p->own_at_us)
		snprintf(buf, size, "software: %s stands in for %s since that is gone",
			 p->stand_in.text, p->wish.name);
	else
		snprintf(buf, size,
			 "software: %s stands in for %s, which is there and %s in %llu s",
			 p->stand_in.text, p->wish.name,
			 p->own_failures ? "is tried again" : "serves again",
			 (unsigned long long)(p->own_at_us > now ? p->own_at_us - now : 0) /
				 1000000);
}

/* The failure of a step that opens the device, or NULL. */
static const struct err *opening_failure(const struct pairing *p)
{
	static const enum pairing_step steps[] = { STEP_BIND, STEP_PROVISION, STEP_ATTACH };

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (p->failed[steps[i]].times)
			return &p->failed[steps[i]].error;
	}
	return NULL;
}

/* One that is there and cannot be opened is tried again, ever more seldom: each try takes the VM's
 * traffic away for a moment. */
static uint64_t own_delay(const struct pairing *p)
{
	uint64_t delay = p->env->stable_us ? p->env->stable_us(p->env->ctx) : 0;

	if (p->own_failures && delay < PAIRING_RETRY_MIN_US)
		delay = PAIRING_RETRY_MIN_US;
	return delay << (p->own_failures < 6 ? p->own_failures : 6);
}

static void stand_in(struct pairing *p, const struct devname *spare)
{
	const struct err *failure = opening_failure(p);

	if (!p->seen.own)
		p->own_failures = 0;
	else if (failure)
		p->own_failures++;
	p->stand_in = *spare;
	p->own_instance = p->seen.own_instance;
	p->own_at_us = p->seen.own ? p->env->now_us(p->env->ctx) + own_delay(p) : 0;
	if (p->seen.own)
		pairing_note(p, "%s stands in for %s: %s", spare->text, p->wish.name,
			     failure ? failure->text : "as the relay has it");
	else
		pairing_note(p, "%s stands in for %s, which is gone", spare->text, p->wish.name);
}

/* The wished device has to have been there for a while without a break. */
static bool own_is_back(struct pairing *p)
{
	const uint64_t now = p->env->now_us(p->env->ctx);

	if (!p->seen.own) {
		p->own_at_us = 0;
	} else if (!p->own_at_us || p->seen.own_instance != p->own_instance) {
		p->own_failures = 0;
		p->own_instance = p->seen.own_instance;
		p->own_at_us = now + own_delay(p);
		pairing_note(p, "%s is back", p->wish.name);
	}
	return p->own_at_us && now >= p->own_at_us;
}

static bool stand_in_ends(struct pairing *p)
{
	const struct err *failure = opening_failure(p);

	if (!p->wish.has_device || p->wish.handed_out)
		return true;
	if (failure)
		p->env->spare_failed(p, failure);
	if (failure || !p->env->is_spare(p, &p->stand_in)) {
		pairing_note(p, "%s stands in no longer", p->stand_in.text);
		return true;
	}
	if (!own_is_back(p))
		return false;
	pairing_note(p, "%s serves again in place of %s", p->wish.name, p->stand_in.text);
	return true;
}

bool pairing_choose_device(struct pairing *p)
{
	const bool adopted = p->adopted;
	struct devname spare;

	if (!p->env->find_spare || p->step != STEP_NONE)
		return false;
	p->adopted = false;
	if (pairing_has_stand_in(p)) {
		if (!stand_in_ends(p))
			return false;
		memset(&p->stand_in, 0, sizeof(p->stand_in));
		p->own_at_us = 0;
		return true;
	}
	if (!p->wish.has_device || p->wish.handed_out || p->wish.device.kind == DEVNAME_BOND)
		return false;
	/* An earlier manager has chosen it, and the relay has it. */
	if (adopted && strcmp(p->seen.device.text, p->wish.device.text) &&
	    p->env->is_spare(p, &p->seen.device))
		spare = p->seen.device;
	else if (p->ops || !p->seen.vm || (p->seen.own && !opening_failure(p)) ||
		 !p->env->find_spare(p, &spare))
		return false;
	stand_in(p, &spare);
	return true;
}
