/* SPDX-License-Identifier: BSD-3-Clause */

/* The methods behind service.c. Most have their result at once; one that a device has to do with
 * has it later, in the control thread. */
#ifndef VIO4WD_RELAY_SERVICE_METHODS_H
#define VIO4WD_RELAY_SERVICE_METHODS_H

#include <stdbool.h>
#include <stddef.h>

#include <json-c/json.h>

#include "common/cpuset.h"
#include "common/err.h"
#include "sw-relay/options.h"

struct rpc_request;
struct answer; /* of a method whose result comes later; service_answer() ends it */

struct method_call {
	json_object *params; /* an object */
	int *fds;	     /* those that are kept are set to -1 */
	size_t n_fds;
	const struct relay_options *options;
	struct cpuset *workers; /* CPUs of the workers that run now */
	json_object *result;	/* set by the method; NULL stands for {} */
	struct answer *answer;	/* taken (set to NULL) by a method that calls service_answer() */
	bool stop;		/* set by the method: end after the reply */
};

/* Implemented by the service. result: ownership passes; NULL stands for {}. */
void service_answer(struct answer *answer, const struct err *err, json_object *result);

/* Returns 0 or the negative errno that is in err; -ENOSYS when there is no such method. When it has
 * taken call->answer, 0 says nothing yet. */
int service_method_call(const char *method, struct method_call *call, struct err *err);

#endif
