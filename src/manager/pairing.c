/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The machine has no memory of how it got somewhere. pairing_next_step compares what is wished with
 * what is seen and names the one step that comes next; pairing_run starts it; its end changes what
 * is seen, and the comparison is made again. Events may therefore come in any order: they only
 * change what is seen. The state that users read is derived in the same way (state_of), never set.
 *
 * A failed step is held back until its retry time. It holds back nothing else: a device can be
 * removed while its attach waits for the next try.
 */
#include "manager/pairing.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "manager/pairing_stand_in.h"

static const char *const state_names[] = {
	[PAIRING_FREE] = "free",	   [PAIRING_ABSENT] = "absent",
	[PAIRING_BINDING] = "binding",	   [PAIRING_PROVISIONING] = "provisioning",
	[PAIRING_PROBING] = "probing",	   [PAIRING_LISTENING] = "listening",
	[PAIRING_CONNECTED] = "connected", [PAIRING_ACTIVE] = "active",
	[PAIRING_FAILED] = "failed",
};

static const char *const step_names[] = {
	[STEP_NONE] = "nothing",
	[STEP_DETACH] = "detach",
	[STEP_UNPROVISION] = "remove vDPA device",
	[STEP_RELEASE] = "give back",
	[STEP_ENDPOINT_REMOVE] = "remove socket",
	[STEP_ENDPOINT_ADD] = "make socket",
	[STEP_PIN] = "pin",
	[STEP_BIND] = "bind",
	[STEP_PROVISION] = "make vDPA device",
	[STEP_ATTACH] = "attach",
	[STEP_MEMBERS] = "change members",
	[STEP_MODE] = "change mode",
};

static const char *const origin_names[] = {
	[PAIRING_ORIGIN_NONE] = NULL,	      [PAIRING_ORIGIN_STATIC] = "static",
	[PAIRING_ORIGIN_CONTROL] = "control", [PAIRING_ORIGIN_PORT_CONTROL] = "port_control",
	[PAIRING_ORIGIN_AUTO] = "auto",	      [PAIRING_ORIGIN_OVSDB] = "ovsdb",
};

const char *pairing_state_name(enum pairing_state state)
{
	return state_names[state];
}

const char *pairing_step_name(enum pairing_step step)
{
	return step_names[step];
}

const char *pairing_origin_name(enum pairing_origin origin)
{
	return origin_names[origin];
}

int pairing_origin_parse(const char *text, enum pairing_origin *origin)
{
	for (unsigned int i = PAIRING_ORIGIN_STATIC; i <= PAIRING_ORIGIN_OVSDB; i++) {
		if (!strcmp(text, origin_names[i])) {
			*origin = i;
			return 0;
		}
	}
	return -EINVAL;
}

void pairing_note(struct pairing *p, const char *fmt, ...)
{
	struct pairing_event *e = &p->history[p->n_history++ % PAIRING_HISTORY];
	va_list ap;

	e->time_s = time(NULL);
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
}

void pairing_init(struct pairing *p, unsigned int id, const struct pairing_env *env)
{
	memset(p, 0, sizeof(*p));
	p->id = id;
	p->env = env;
	p->random = (id + 1) * 0x9e3779b97f4a7c15ull;
	p->wish.pin[VF_TO_VM] = p->wish.pin[VM_TO_VF] = -1;
	p->seen.pin[VF_TO_VM] = p->seen.pin[VM_TO_VF] = -1;
	p->seen.mode_told = PAIRING_MODE_UNKNOWN;
}

void pairing_fini(struct pairing *p)
{
	while (p->ops) {
		struct pairing_op *op = p->ops;

		p->ops = op->next;
		err_set(&op->err, -ESHUTDOWN, "stop", "vio4wd is being stopped");
		p->env->finish(p, op);
	}
	p->n_ops = 0;
}

static bool pins_differ(const struct pairing *p)
{
	return p->wish.pin[VF_TO_VM] != p->seen.pin[VF_TO_VM] ||
	       p->wish.pin[VM_TO_VF] != p->seen.pin[VM_TO_VF];
}

/* The attached device is the one that is to serve by the backend that it is to have, and nothing is
 * wrong with it. */
static bool attached_is_right(const struct pairing *p)
{
	return p->wish.has_device && !strcmp(pairing_target(p)->text, p->seen.device.text) &&
	       p->seen.backend == p->decision.backend && p->seen.present &&
	       !p->seen.device_error[0];
}

static bool vdpa_is_wished(const struct pairing *p)
{
	return p->wish.has_device && p->seen.present && p->decision.backend == POLICY_VDPA;
}

/* There is a vDPA device that nothing needs, or that is not as it must be. */
static bool made_in_vain(const struct pairing *p)
{
	const bool in_use = p->seen.device.text[0] && p->seen.backend == POLICY_VDPA;

	return p->seen.made && !in_use && !(p->wish.has_device && p->undecided) &&
	       !(vdpa_is_wished(p) && p->seen.made_here);
}

bool pairing_waits_for_removal(const struct pairing *p)
{
	return made_in_vain(p) && p->seen.made_here && p->failed[STEP_UNPROVISION].times;
}

bool pairing_is_handed_out(const struct pairing *p)
{
	return vdpa_is_wished(p) && p->wish.handed_out && p->seen.made_right;
}

/* A device that is handed out takes the place of the socket. */
static const char *wished_socket(const struct pairing *p)
{
	return p->wish.has_device && p->wish.handed_out ? "" : p->wish.socket;
}

/* Of a device that is handed out, which no relay opens. */
static enum pairing_step hand_out_step(const struct pairing *p)
{
	if (!p->seen.present)
		return STEP_NONE;
	if (!p->seen.ready)
		return STEP_BIND;
	return p->seen.made_right ? STEP_NONE : STEP_PROVISION;
}

static bool held(const struct pairing *p, enum pairing_step step, uint64_t now_us)
{
	return p->failed[step].times && now_us < p->failed[step].retry_at_us;
}

/* The step, unless it has to wait for its next try. */
static enum pairing_step unless_held(const struct pairing *p, enum pairing_step step,
				     uint64_t now_us)
{
	return held(p, step, now_us) ? STEP_NONE : step;
}

/* Whose mode the relay has to be told. */
static enum config_backend wished_mode(const struct pairing *p, uint64_t now_us)
{
	if (p->wish.backend == CONFIG_BACKEND_AUTO && now_us < p->stable_at_us)
		return CONFIG_BACKEND_SW;
	return p->wish.backend;
}

bool pairing_settles(const struct pairing *p)
{
	return p->seen.device.text[0] && p->seen.backend == POLICY_VDPA &&
	       wished_mode(p, p->env->now_us(p->env->ctx)) != p->wish.backend;
}

/* What comes next on the way to an attached device. */
static enum pairing_step opening_step(const struct pairing *p)
{
	if (!p->seen.ready)
		return STEP_BIND;
	if (p->decision.backend == POLICY_VDPA && !p->seen.made_right)
		return STEP_PROVISION;
	return STEP_ATTACH;
}

enum pairing_step pairing_next_step(const struct pairing *p, uint64_t now_us)
{
	const bool attached = p->seen.device.text[0];

	if (p->step != STEP_NONE)
		return STEP_NONE;
	if (attached && (!attached_is_right(p) || p->wish.handed_out))
		return unless_held(p, STEP_DETACH, now_us);
	if (p->seen.socket[0] && (strcmp(p->seen.socket, wished_socket(p)) || p->move))
		return unless_held(p, STEP_ENDPOINT_REMOVE, now_us);
	/* What cannot be removed or given back now stops nothing else. */
	if (made_in_vain(p) && !held(p, STEP_UNPROVISION, now_us))
		return STEP_UNPROVISION;
	if (p->seen.held && !made_in_vain(p) && !held(p, STEP_RELEASE, now_us))
		return STEP_RELEASE;
	/* But the driver is not taken from below it. */
	if (pairing_waits_for_removal(p))
		return STEP_NONE;
	if (p->wish.has_device && p->wish.handed_out)
		return unless_held(p, hand_out_step(p), now_us);
	if (!p->wish.socket[0])
		return STEP_NONE;
	if (!p->seen.socket[0])
		return unless_held(p, STEP_ENDPOINT_ADD, now_us);
	if (pins_differ(p) && !held(p, STEP_PIN, now_us))
		return STEP_PIN;
	if (attached && p->seen.backend == POLICY_VDPA &&
	    p->seen.mode_told != (int)wished_mode(p, now_us))
		return unless_held(p, STEP_MODE, now_us);
	if (attached && p->seen.members_differ)
		return unless_held(p, p->seen.ready ? STEP_MEMBERS : STEP_BIND, now_us);
	if (p->wish.has_device && !attached && p->seen.present && now_us >= p->rest_until_us)
		return unless_held(p, opening_step(p), now_us);
	return STEP_NONE;
}

const struct pairing_failure *pairing_failure(const struct pairing *p)
{
	static const enum pairing_step order[] = {
		STEP_ENDPOINT_ADD, STEP_BIND,	     STEP_PROVISION, STEP_ATTACH,
		STEP_DETACH,	   STEP_UNPROVISION, STEP_RELEASE,   STEP_ENDPOINT_REMOVE,
		STEP_MEMBERS,	   STEP_MODE,	     STEP_PIN
	};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (p->failed[order[i]].times)
			return &p->failed[order[i]];
	}
	return NULL;
}

static enum pairing_state opening_state(const struct pairing *p)
{
	switch (opening_step(p)) {
	case STEP_BIND:
		return PAIRING_BINDING;
	case STEP_PROVISION:
		return PAIRING_PROVISIONING;
	default:
		return PAIRING_PROBING;
	}
}

static enum pairing_state state_of(const struct pairing *p)
{
	const bool up = p->seen.device.text[0] && attached_is_right(p);

	if (up)
		return p->seen.vm ? PAIRING_ACTIVE : PAIRING_LISTENING;
	if (p->step == STEP_DETACH)
		return p->state; /* until it is gone */
	if (p->failed[STEP_ENDPOINT_ADD].times)
		return PAIRING_FAILED;
	if (p->wish.has_device && !p->seen.present)
		return PAIRING_ABSENT;
	if (p->failed[STEP_BIND].times || p->failed[STEP_PROVISION].times ||
	    p->failed[STEP_ATTACH].times || pairing_waits_for_removal(p))
		return PAIRING_FAILED;
	if (pairing_is_handed_out(p))
		return PAIRING_LISTENING;
	if (p->wish.has_device)
		return opening_state(p);
	return p->seen.vm ? PAIRING_CONNECTED : PAIRING_FREE;
}

bool pairing_in_use(const struct pairing *p)
{
	return p->wish.socket[0] || p->wish.has_device || p->seen.socket[0] ||
	       p->seen.device.text[0];
}

bool pairing_settled(const struct pairing *p)
{
	return p->step == STEP_NONE &&
	       pairing_next_step(p, p->env->now_us(p->env->ctx)) == STEP_NONE;
}

void pairing_reason(const struct pairing *p, char *buf, size_t size)
{
	const struct pairing_failure *failure = pairing_failure(p);

	if (failure)
		snprintf(buf, size, "%s", failure->error.text);
	else if (p->waiting[0])
		snprintf(buf, size, "%s", p->waiting);
	else if (p->state == PAIRING_ABSENT && p->seen.absent[0])
		snprintf(buf, size, "%s", p->seen.absent);
	else if (p->state == PAIRING_ABSENT)
		snprintf(buf, size, "%s does not exist yet; it is attached when it appears (%s)",
			 p->wish.name,
			 p->wish.device.kind == DEVNAME_BOND ? "none of its members is there"
			 : p->wish.device.kind == DEVNAME_NETDEV
				 ? "`ip link` shows the interfaces that there are"
				 : "`vio4wdctl vf list` shows the VFs that there are");
	else if (p->seen.device.text[0] && p->seen.members[0])
		snprintf(buf, size, "%s", p->seen.members);
	else if (p->seen.device.text[0] && !p->seen.link)
		snprintf(buf, size, "%s has no link", pairing_target_name(p));
	else if (pairing_has_stand_in(p))
		pairing_stand_in_reason(p, buf, size);
	else if (p->wish.has_device)
		snprintf(buf, size, "%s", p->decision.reason);
	else
		buf[0] = '\0';
}

const char *pairing_vdpa_driver(const struct pairing *p)
{
	return p->decision.backend == POLICY_VDPA ? p->decision.driver : NULL;
}

static void clear_failure(struct pairing *p, enum pairing_step step)
{
	memset(&p->failed[step], 0, sizeof(p->failed[step]));
}

void pairing_retry_now(struct pairing *p)
{
	memset(p->failed, 0, sizeof(p->failed));
	p->vdpa_failed[0] = '\0';
	p->crashes = 0;
}

/* Doubles from try to try, with up to a quarter more so that many do not come at once. */
static uint64_t retry_delay(struct pairing *p, unsigned int times)
{
	uint64_t delay = PAIRING_RETRY_MIN_US << (times < 6 ? times : 6);

	if (delay > PAIRING_RETRY_MAX_US)
		delay = PAIRING_RETRY_MAX_US;
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return delay + p->random % (delay / 4);
}

/* Hardware that cannot be had is no failure when software will do: the next decision knows. */
static bool does_without(struct pairing *p, enum pairing_step step, const struct err *err)
{
	if ((step != STEP_BIND && step != STEP_PROVISION && step != STEP_ATTACH) ||
	    p->decision.backend != POLICY_VDPA || p->decision.wanted != CONFIG_BACKEND_AUTO ||
	    p->wish.backend != CONFIG_BACKEND_AUTO || err->code == -ENODEV)
		return false;
	pairing_note(p, "%s failed, software serves: %s", step_names[step], err->text);
	snprintf(p->vdpa_failed, sizeof(p->vdpa_failed), "%s", err->text);
	return true;
}

/* Nor that software does not serve while hardware settles. */
static bool settles_without(struct pairing *p, enum pairing_step step)
{
	if (step != STEP_MODE || p->step_mode == p->wish.backend)
		return false;
	p->stable_at_us = 0;
	return true;
}

/* Software cannot have this vDPA device as it is: it gets the VF itself, which is opened anew. */
static bool opens_anew(struct pairing *p, enum pairing_step step, const struct err *err)
{
	if (step != STEP_MODE || err->code != -EOPNOTSUPP || p->wish.backend != CONFIG_BACKEND_SW ||
	    pairing_decide(p, &p->wish, NULL))
		return false;
	pairing_note(p, "%s is opened anew: %s", p->seen.device.text, err->text);
	return p->decision.backend != p->seen.backend;
}

static void step_failed(struct pairing *p, enum pairing_step step, const struct err *err)
{
	struct pairing_failure *failure = &p->failed[step];

	if (does_without(p, step, err) || settles_without(p, step) || opens_anew(p, step, err))
		return;
	if (!failure->times || strcmp(failure->error.text, err->text))
		pairing_note(p, "%s failed: %s", step_names[step], err->text);
	failure->error = *err;
	failure->retry_at_us = p->env->now_us(p->env->ctx) + retry_delay(p, failure->times);
	failure->times++;
}

static void forget_device(struct pairing *p)
{
	memset(&p->seen.device, 0, sizeof(p->seen.device));
	p->seen.device_error[0] = '\0';
	p->adopted = false;
	p->seen.has_pci = false;
	p->seen.link = false;
	p->seen.backend = POLICY_SOFTWARE;
	p->seen.mode_told = PAIRING_MODE_UNKNOWN;
}

/* From now on the device must be stable for a while, if it was lost. */
static void settle(struct pairing *p)
{
	if (p->vdpa_lost && p->seen.backend == POLICY_VDPA && p->env->stable_us)
		p->stable_at_us = p->env->now_us(p->env->ctx) + p->env->stable_us(p->env->ctx);
	p->vdpa_lost = false;
}

/* What a finished step has changed. */
static void step_succeeded(struct pairing *p, enum pairing_step step)
{
	switch (step) {
	case STEP_DETACH:
		pairing_note(p, "%s detached", devname_label(&p->seen.device));
		if (p->seen.backend == POLICY_VDPA && (p->seen.device_error[0] || !p->seen.present))
			p->vdpa_lost = true;
		if (p->seen.device_error[0] && p->seen.has_pci)
			p->rest_until_us = p->env->now_us(p->env->ctx) + PAIRING_REST_US;
		forget_device(p);
		break;
	case STEP_UNPROVISION:
		pairing_note(p, "vDPA device removed");
		p->seen.made = p->seen.made_here = p->seen.made_right = false;
		break;
	case STEP_RELEASE:
		p->seen.held = false;
		break;
	case STEP_BIND:
		pairing_note(p, "%s bound for the relay", devname_label(&p->step_device));
		break;
	case STEP_PROVISION:
		pairing_note(p, "vDPA device made on %s", p->step_device.text);
		break;
	case STEP_MODE:
		p->seen.mode_told = p->step_mode;
		break;
	case STEP_MEMBERS:
		break; /* noted one by one */
	case STEP_ENDPOINT_REMOVE:
		pairing_note(p, "socket %s removed", p->seen.socket);
		p->seen.socket[0] = '\0';
		forget_device(p);
		p->seen.pin[VF_TO_VM] = p->seen.pin[VM_TO_VF] = -1;
		p->seen.vm = false;
		p->seen.relay = NULL;
		p->move = false;
		break;
	case STEP_ENDPOINT_ADD:
		pairing_note(p, "socket %s made", p->step_socket);
		memcpy(p->seen.socket, p->step_socket, sizeof(p->seen.socket));
		break;
	case STEP_PIN:
		memcpy(p->seen.pin, p->step_pin, sizeof(p->seen.pin));
		break;
	case STEP_ATTACH:
		pairing_note(p, "%s attached", devname_label(&p->step_device));
		p->seen.device = p->step_device;
		p->seen.backend = p->step_backend;
		/* How it begins is the relay's choice, as for 'auto'. */
		p->seen.mode_told = CONFIG_BACKEND_AUTO;
		p->seen.ifindex = p->step_ifindex;
		p->seen.has_pci = p->step_has_pci;
		p->seen.pci = p->step_pci;
		p->seen.device_error[0] = '\0';
		p->seen.link = true;
		p->crashes = 0;
		if (!pairing_has_stand_in(p))
			p->own_failures = 0;
		settle(p);
		if (p->ops && p->ops->kind == OP_BACKEND && p->detach_us)
			p->switch_us = p->env->now_us(p->env->ctx) - p->detach_us;
		break;
	case STEP_NONE:
		break;
	}
	clear_failure(p, step);
}

void pairing_step_done(struct pairing *p, const struct err *err)
{
	const enum pairing_step step = p->step;
	const bool undo =
		step == STEP_DETACH || step == STEP_UNPROVISION || step == STEP_ENDPOINT_REMOVE;

	p->step = STEP_NONE;
	if (err->code == 0 || (undo && (err->code == -ENOENT || err->code == -ENODEV))) {
		step_succeeded(p, step);
	} else if (err->code == -ECONNRESET) {
		/* A device that takes the relay with it must not do so for ever. */
		if (step == STEP_ATTACH && ++p->crashes > 1) {
			struct err crash;

			err_set(&crash, -ECONNRESET, "attach",
				"%s: the relay process ended while it opened the device; its log "
				"says why",
				devname_label(&p->step_device));
			step_failed(p, step, &crash);
		}
	} else {
		step_failed(p, step, err);
	}
	pairing_run(p);
}

void pairing_relay_lost(struct pairing *p, const char *why)
{
	if (p->seen.socket[0] || p->seen.device.text[0])
		pairing_note(p, "%s", why);
	p->seen.socket[0] = '\0';
	forget_device(p);
	p->seen.pin[VF_TO_VM] = p->seen.pin[VM_TO_VF] = -1;
	p->seen.vm = false;
	p->move = false;
	pairing_run(p);
}

void pairing_adopt(struct pairing *p, struct relay *relay, const char *socket,
		   const struct devname *device, enum policy_backend backend, bool vm)
{
	p->seen.relay = relay;
	snprintf(p->seen.socket, sizeof(p->seen.socket), "%s", socket);
	if (device)
		p->seen.device = *device;
	p->adopted = device != NULL;
	p->seen.backend = backend;
	p->seen.mode_told = PAIRING_MODE_UNKNOWN;
	p->seen.link = device != NULL;
	p->seen.vm = vm;
	/* Not known: a step that sets them again harms nothing. */
	p->seen.pin[VF_TO_VM] = p->seen.pin[VM_TO_VF] = -2;
	pairing_note(p, "found in a running relay process");
}

void pairing_vm(struct pairing *p, bool connected)
{
	if (p->seen.vm == connected)
		return;
	p->seen.vm = connected;
	pairing_note(p, connected ? "VM connected" : "VM disconnected");
	pairing_run(p);
}

void pairing_device(struct pairing *p, bool link, const char *error)
{
	if (!p->seen.device.text[0])
		return;
	if (p->seen.link != link)
		pairing_note(p, "link %s", link ? "up" : "down");
	p->seen.link = link;
	if (error && !p->seen.device_error[0]) {
		snprintf(p->seen.device_error, sizeof(p->seen.device_error), "%s", error);
		pairing_note(p, "%s: %s", devname_label(&p->seen.device), error);
	}
	pairing_run(p);
}

static void update_state(struct pairing *p)
{
	const enum pairing_state state = state_of(p);

	if (state != p->state) {
		p->state = state;
		p->env->changed(p);
	}
}

static void set_alarm(struct pairing *p, uint64_t now)
{
	const uint64_t deadline = pairing_ops_deadline(p);
	uint64_t at = deadline;

	for (int step = 0; step < N_STEPS; step++) {
		if (held(p, step, now) && (!at || p->failed[step].retry_at_us < at))
			at = p->failed[step].retry_at_us;
	}
	if (p->rest_until_us > now && (!at || p->rest_until_us < at))
		at = p->rest_until_us;
	if (p->stable_at_us > now && (!at || p->stable_at_us < at))
		at = p->stable_at_us;
	if (p->seen.members_at_us > now && (!at || p->seen.members_at_us < at))
		at = p->seen.members_at_us;
	if (p->own_at_us > now && (!at || p->own_at_us < at))
		at = p->own_at_us;
	p->env->wake_at(p, at);
}

int pairing_decide(struct pairing *p, const struct pairing_wish *wish, struct err *err)
{
	struct policy_facts facts = { .device = &wish->device, .wanted = wish->backend };
	struct policy_decision decision;
	int rc;

	if (p->env->vdpa)
		p->env->vdpa(p, &wish->device, &facts.vdpa);
	facts.vdpa.failed = p->vdpa_failed;
	rc = policy_decide(&facts, &decision, err);
	p->undecided = rc == -EAGAIN && facts.vdpa.asking;
	/* What its management device lacks is known as long as the VF is on the driver of vDPA,
	 * and must not be forgotten when it leaves that for software. */
	if (!rc && wish->backend == CONFIG_BACKEND_AUTO && facts.vdpa.bound && !p->vdpa_failed[0])
		snprintf(p->vdpa_failed, sizeof(p->vdpa_failed), "%s", decision.missing);
	if (!rc)
		p->decision = decision;
	else
		p->decision.needs_port = decision.needs_port;
	return rc;
}

int pairing_decide_target(struct pairing *p, struct err *err)
{
	struct pairing_wish wish = p->wish;

	wish.device = *pairing_target(p);
	wish.backend = pairing_target_backend(p);
	return pairing_decide(p, &wish, err);
}

/* What an earlier manager has decided stands, as long as it is what is wished. */
static void decide_as_attached(struct pairing *p)
{
	if (p->decision.backend != p->seen.backend || !p->decision.reason[0])
		snprintf(p->decision.reason, sizeof(p->decision.reason), "%s: as the relay has it",
			 policy_backend_name(p->seen.backend));
	p->decision.backend = p->seen.backend;
	p->decision.wanted = pairing_target_backend(p);
	p->decision.needs_port = pairing_target(p)->kind != DEVNAME_NETDEV;
	/* All but the kernel's vDPA has no modes that a relay would have to be told. */
	if (p->seen.backend != POLICY_VDPA)
		p->seen.mode_told = p->wish.backend;
}

/*
 * The backend is decided when a device is opened and when another one is wished. While a device is
 * attached nothing that changes around it takes it away from its VM.
 */
static void decide(struct pairing *p)
{
	const bool attached = p->seen.device.text[0];
	const bool is_vdpa = attached && p->seen.backend == POLICY_VDPA;
	const bool adopted = attached && p->seen.mode_told == PAIRING_MODE_UNKNOWN;

	if (!p->wish.has_device || p->step != STEP_NONE)
		return;
	/* A vDPA device has a mode for each wish: it stays. */
	if (is_vdpa || (adopted && pairing_target_backend(p) != CONFIG_BACKEND_VDPA)) {
		if (adopted || p->decision.wanted != pairing_target_backend(p))
			decide_as_attached(p);
	} else if (!attached || p->decision.wanted != pairing_target_backend(p)) {
		pairing_decide_target(p, NULL);
	}
}

/* A device that has come (again) is tried at once, whatever happened to it before. */
static void look_at_device(struct pairing *p)
{
	const uint64_t instance = p->seen.instance;
	const bool present = p->seen.present;
	bool other;

	decide(p);
	p->env->look(p);
	other = p->seen.present != present || p->seen.instance != instance;
	if (p->seen.present && other)
		p->rest_until_us = 0;
	/* Nor is what is not there to blame for what happened to it. */
	if (other) {
		clear_failure(p, STEP_BIND);
		clear_failure(p, STEP_PROVISION);
		clear_failure(p, STEP_ATTACH);
		p->vdpa_failed[0] = '\0';
	}
}

static void look(struct pairing *p)
{
	do
		look_at_device(p);
	while (pairing_choose_device(p));
}

static bool opens_device(enum pairing_step step)
{
	return step == STEP_BIND || step == STEP_PROVISION || step == STEP_ATTACH;
}

/* Starts the next step; false when there is nothing more to do now. */
static bool start_next(struct pairing *p)
{
	const bool moving = p->move;
	struct err err = { 0 };
	enum pairing_step step;
	int rc;

	look(p);
	step = pairing_next_step(p, p->env->now_us(p->env->ctx));
	p->waiting[0] = '\0';
	if (step == STEP_NONE)
		return false;
	memcpy(p->step_socket, p->wish.socket, sizeof(p->step_socket));
	memcpy(p->step_pin, p->wish.pin, sizeof(p->step_pin));
	p->step_device = *pairing_target(p);
	p->step_mode = wished_mode(p, p->env->now_us(p->env->ctx));
	if (step == STEP_DETACH)
		p->detach_us = p->env->now_us(p->env->ctx);
	p->step = step;
	rc = opens_device(step) ? pairing_decide_target(p, &err) : 0;
	p->step_backend = p->decision.backend;
	if (!rc)
		rc = p->env->start(p, step, &err);
	if (!rc)
		return false;
	p->step = STEP_NONE;
	if (rc == -EAGAIN) {
		snprintf(p->waiting, sizeof(p->waiting), "%s", err.text);
		return p->move && !moving;
	}
	step_failed(p, step, &err);
	return true;
}

void pairing_run(struct pairing *p)
{
	if (p->running)
		return;
	p->running = true;
	do {
		while (start_next(p))
			;
		update_state(p);
	} while (pairing_ops_advance(p));
	update_state(p);
	set_alarm(p, p->env->now_us(p->env->ctx));
	p->running = false;
}
