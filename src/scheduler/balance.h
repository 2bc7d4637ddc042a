/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Which worker serves which direction of which relay: a pure function of the measured loads.
 *
 * How uneven the loads of workers are is told by their coefficient of variation (standard deviation
 * by mean): 0 when all have the same, sqrt(n - 1) when one of n has everything. A new assignment is
 * made of the present one, step by step: each step is the one move, or exchange of two, after which
 * the loads are most even. The steps are taken only when all of them together lower the coefficient
 * by more than the sensitivity; steps that hardly change it are none. So a load that stays as it
 * is, but for noise, leads to nothing once it is balanced.
 */
#ifndef VIO4WD_SCHEDULER_BALANCE_H
#define VIO4WD_SCHEDULER_BALANCE_H

#include <stdbool.h>
#include <stddef.h>

struct balance_worker {
	unsigned int cpu;
	double load; /* what cannot be moved; 1.0 is the whole CPU; the same unit in all of this */
};

struct balance_flow { /* a direction of a relay */
	double load;
	size_t worker; /* index of its worker: where it is, and after balance() where it is to be */
};

struct balance_result {
	double before, after; /* coefficients of variation: now, and as proposed */
	size_t moves;	      /* flows whose worker was changed; 0: all stay */
};

/* Below that share of a CPU on the busiest worker there is nothing worth a move. */
#define BALANCE_IDLE 0.05

/*
 * All workers can take all flows. n_workers is at least 1, every flow's worker below it; loads are
 * finite and not negative. Cannot fail.
 */
struct balance_result balance(const struct balance_worker *workers, size_t n_workers,
			      struct balance_flow *flows, size_t n_flows, double sensitivity);

#endif
