/* SPDX-License-Identifier: BSD-3-Clause */

#include "wire/zmq_context.h"

#include <pthread.h>
#include <stddef.h>

#include <zmq.h>

static pthread_mutex_t context_lock = PTHREAD_MUTEX_INITIALIZER;
static void *context;
static unsigned int context_users;

void *zmq_context_get(void)
{
	void *ret;

	pthread_mutex_lock(&context_lock);
	if (!context)
		context = zmq_ctx_new();
	if (context)
		context_users++;
	ret = context;
	pthread_mutex_unlock(&context_lock);
	return ret;
}

void zmq_context_put(void)
{
	pthread_mutex_lock(&context_lock);
	if (--context_users == 0) {
		zmq_ctx_term(context);
		context = NULL;
	}
	pthread_mutex_unlock(&context_lock);
}
