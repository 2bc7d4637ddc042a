/* SPDX-License-Identifier: BSD-3-Clause */

/* The process's ZeroMQ context, which is there while somebody uses it. From any thread. */
#ifndef VIO4WD_ZMQ_CONTEXT_H
#define VIO4WD_ZMQ_CONTEXT_H

/* Each successful call needs a zmq_context_put(), after the last socket of its user is closed.
 * NULL with errno when none can be made. */
void *zmq_context_get(void);
void zmq_context_put(void);

#endif
