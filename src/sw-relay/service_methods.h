/* SPDX-License-Identifier: BSD-3-Clause */

/* The methods behind service.c. */
#ifndef VIO4WD_RELAY_SERVICE_METHODS_H
#define VIO4WD_RELAY_SERVICE_METHODS_H

#include <stdbool.h>
#include <stddef.h>

#include <json-c/json.h>

#include "common/cpuset.h"
#include "common/err.h"
#include "sw-relay/options.h"

struct method_call {
	json_object *params; /* an object */
	int *fds;	     /* those that are kept are set to -1 */
	size_t n_fds;
	const struct relay_options *options;
	struct cpuset *workers; /* CPUs of the workers that run now */
	json_object *result;	/* set by the method; NULL stands for {} */
	bool stop;		/* set by the method: end after the reply */
};

/* Returns 0 or the negative errno that is in err; -ENOSYS when there is no such method. */
int service_method_call(const char *method, struct method_call *call, struct err *err);

#endif
