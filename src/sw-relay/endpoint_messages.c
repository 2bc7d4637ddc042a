/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What is to be said about messages of a VM before and after the library handles them. Both
 * functions run in its event thread, for most requests with the locks of all rings held: like
 * vring_state_changed they write atomics and wait for nothing but workers that are inside a ring.
 */
#include <stdlib.h>

#include <linux/virtio_net.h>

#include <rte_vhost.h>

#include "common/log.h"
#include "common/virtio_features.h"
#include "sw-relay/endpoint_internal.h"
#include "sw-relay/worker_table.h"

/* vhost-user requests */
#define SET_FEATURES 2
#define SET_MEM_TABLE 5
#define RESET_OWNER 4
#define SET_VRING_NUM 8
#define GET_QUEUE_NUM 17
#define SET_VRING_ENABLE 18
#define SEND_RARP 19

#define MQ (1ull << VIRTIO_NET_F_MQ)

/* The head of a vhost-user message, as the extern handlers get it. */
struct vhost_user_head {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
	union {
		uint64_t u64;
		struct {
			uint32_t index;
			uint32_t num;
		} state;
	} payload;
} __attribute__((packed));

/* A VM keeps the features it has begun with, when it connects anew and when it is migrated. The
 * library refuses those that are not offered, and does not say which. */
static void check_features(const struct endpoint *ep, uint64_t features)
{
	const uint64_t excess = features & ~atomic_load(&ep->offered);
	char names[256];

	if (excess)
		log_error("relay %u: the VM has agreed on features that this relay does not offer: "
			  "%s; its connection is closed. Relays between which a VM moves need the "
			  "same VIRTIOFWD_TSO, VIRTIOFWD_MRGBUF, VIRTIOFWD_JUMBO and queue pairs",
			  ep->options.id, feature_names(excess, names, sizeof(names)));
}

/* The library has looked for the end of the ring's parts only when they were mapped, and would go
 * on with another size. A ring that was stopped is not mapped. */
static bool may_resize(int vid, const struct vhost_user_head *head)
{
	struct rte_vhost_vring v = { 0 };

	rte_vhost_get_vhost_vring(vid, head->payload.state.index, &v);
	return head->payload.state.num && (!v.desc || v.size == head->payload.state.num);
}

static void note_memory(struct vm *vm)
{
	struct rte_vhost_memory *memory = NULL;

	if (rte_vhost_get_mem_table(vm->vid, &memory) == 0)
		guard_memory(&vm->guard, memory);
	free(memory);
}

/* The rings of which the message leaves the state as it was. */
static void open_rings(struct vm *vm, const struct vhost_user_head *head)
{
	uint64_t enabled = vm->vdpa ? 0 : atomic_load(&vm->enabled);

	if (head->request == SET_VRING_ENABLE && !head->payload.state.num &&
	    head->payload.state.index < VM_RINGS)
		enabled &= ~(1ull << head->payload.state.index);
	for (; enabled; enabled &= enabled - 1) {
		unsigned int i = __builtin_ctzll(enabled);

		ring_open(&vm->rings[i].fast, vm->vid, i);
	}
}

void endpoint_close_rings(struct vm *vm)
{
	for (unsigned int i = 0; i < VM_RINGS; i++)
		ring_close(&vm->rings[i].fast);
}

static enum rte_vhost_msg_result before_message(int vid, void *message)
{
	struct vhost_user_head *head = message;
	struct vm *vm = endpoint_vm(vid);

	if (!vm || !vm->endpoint)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	guard_current = &vm->guard;
	if (!guard_may_answer(&vm->guard)) {
		log_error("relay %u: the VM does not read answers; its connection is closed",
			  vm->endpoint->options.id);
		return RTE_VHOST_MSG_RESULT_ERR;
	}
	if (vm->memory_lost) {
		log_error("relay %u: the VM's memory cannot be mapped; its connection is closed",
			  vm->endpoint->options.id);
		guard_drop(&vm->guard);
		return RTE_VHOST_MSG_RESULT_ERR;
	}
	endpoint_close_rings(vm);
	switch (head->request) {
	case GET_QUEUE_NUM: /* the library would say 128 */
		head->payload.u64 = vm->endpoint->queues;
		head->size = sizeof(head->payload.u64);
		return RTE_VHOST_MSG_RESULT_REPLY;
	case RESET_OWNER: /* takes all rings away and tells nobody */
		atomic_store(&vm->enabled, 0);
		break;
	case SET_MEM_TABLE: /* there is none when it fails, and afterwards nobody is asked */
		vm->memory_lost = true;
		bridge_memory_changing(&vm->endpoint->bridge, vm);
		break;
	case SET_VRING_NUM:
		if (may_resize(vid, head))
			break;
		log_error("relay %u: the VM gives ring %u, which is in use or has none, the size "
			  "%u; its connection is closed",
			  vm->endpoint->options.id, head->payload.state.index,
			  head->payload.state.num);
		return RTE_VHOST_MSG_RESULT_ERR;
	case SET_FEATURES: /* so does this one with all but the first pair */
		check_features(vm->endpoint, head->payload.u64);
		if (!(head->payload.u64 & MQ))
			atomic_fetch_and(&vm->enabled, 3ull);
		break;
	}
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static enum rte_vhost_msg_result after_message(int vid, void *message)
{
	const struct vhost_user_head *head = message;
	struct vm *vm = endpoint_vm(vid);

	if (!vm || !vm->endpoint)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	switch (head->request) {
	case SET_MEM_TABLE:
		vm->memory_lost = false;
		note_memory(vm);
		bridge_memory_changed(&vm->endpoint->bridge, vm);
		endpoint_work_later();
		break;
	case SEND_RARP:
		rarp_ask(&vm->rarp, head->payload.u64);
		bridge_rarp_asked(&vm->endpoint->bridge, vm);
		workers_poke();
		endpoint_work_later();
		break;
	}
	open_rings(vm, head);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

const struct rte_vhost_user_extern_ops endpoint_message_ops = {
	.pre_msg_handle = before_message,
	.post_msg_handle = after_message,
};
