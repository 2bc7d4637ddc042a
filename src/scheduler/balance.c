/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The mean does not change when flows move, so that the most even loads are those with the least
 * sum of squares. Moving a load of d from a worker with a to one with b changes that sum by 2d(b -
 * a + d); an exchange is a move of the difference.
 */
#include "scheduler/balance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

#define SAME 1e-6
#define STEP_MIN 0.01 /* of the coefficient; steps that bring less are not worth a move */

struct step {
	double change; /* of the sum of squares; negative: better */
	size_t flow, to;
	size_t other; /* the flow that goes the other way, or NO_OTHER */
};

#define NO_OTHER ((size_t)-1)

static double variation(const double *loads, size_t n)
{
	double sum = 0, squares = 0;

	for (size_t i = 0; i < n; i++)
		sum += loads[i];
	if (sum <= 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		squares += (loads[i] - sum / n) * (loads[i] - sum / n);
	return sqrt(squares / n) / (sum / n);
}

static double change_of(const double *loads, size_t from, size_t to, double load)
{
	return 2 * load * (loads[to] - loads[from] + load);
}

static void offer_moves(struct step *best, const double *loads, size_t n_workers,
			const struct balance_flow *flow, size_t index)
{
	for (size_t to = 0; to < n_workers; to++) {
		const double change = change_of(loads, flow->worker, to, flow->load);

		if (to != flow->worker && change < best->change)
			*best = (struct step){ change, index, to, NO_OTHER };
	}
}

/* Exchanges move two, and so must really be better. */
static void offer_exchanges(struct step *best, const double *loads,
			    const struct balance_flow *flows, size_t n_flows, size_t index)
{
	const struct balance_flow *flow = &flows[index];

	for (size_t other = 0; other < n_flows; other++) {
		const size_t to = flows[other].worker;
		const double more = flow->load - flows[other].load;
		const double change = change_of(loads, flow->worker, to, more);

		if (to != flow->worker && more > 0 && change < best->change * (1 + SAME))
			*best = (struct step){ change, index, to, other };
	}
}

static struct step best_step(const double *loads, size_t n_workers,
			     const struct balance_flow *flows, size_t n_flows)
{
	struct step best = { .change = 0 };

	for (size_t i = 0; i < n_flows; i++)
		offer_moves(&best, loads, n_workers, &flows[i], i);
	for (size_t i = 0; i < n_flows; i++)
		offer_exchanges(&best, loads, flows, n_flows, i);
	return best;
}

static void move(double *loads, struct balance_flow *flow, size_t to)
{
	loads[flow->worker] -= flow->load;
	loads[to] += flow->load;
	flow->worker = to;
}

/* False when there is no step left that is worth it. */
static bool take_step(double *loads, size_t n_workers, struct balance_flow *flows, size_t n_flows)
{
	const double before = variation(loads, n_workers);
	const struct step step = best_step(loads, n_workers, flows, n_flows);
	size_t from;

	if (step.change >= 0)
		return false;
	from = flows[step.flow].worker;
	move(loads, &flows[step.flow], step.to);
	if (step.other != NO_OTHER)
		move(loads, &flows[step.other], from);
	if (before - variation(loads, n_workers) >= STEP_MIN)
		return true;
	move(loads, &flows[step.flow], from);
	if (step.other != NO_OTHER)
		move(loads, &flows[step.other], step.to);
	return false;
}

static double busiest(const double *loads, size_t n)
{
	double most = 0;

	for (size_t i = 0; i < n; i++)
		most = fmax(most, loads[i]);
	return most;
}

struct balance_result balance(const struct balance_worker *workers, size_t n_workers,
			      struct balance_flow *flows, size_t n_flows, double sensitivity)
{
	_cleanup_free_ double *loads = calloc(n_workers, sizeof(*loads));
	_cleanup_free_ struct balance_flow *now = calloc(n_flows + 1, sizeof(*now));
	struct balance_result result = { 0 };

	if (!loads || !now)
		return result; /* all stay */
	memcpy(now, flows, n_flows * sizeof(*flows));
	for (size_t i = 0; i < n_workers; i++)
		loads[i] = workers[i].load;
	for (size_t i = 0; i < n_flows; i++)
		loads[flows[i].worker] += flows[i].load;
	result.before = result.after = variation(loads, n_workers);
	if (busiest(loads, n_workers) < BALANCE_IDLE)
		return result;
	while (take_step(loads, n_workers, flows, n_flows))
		;
	result.after = variation(loads, n_workers);
	if (result.before - result.after <= sensitivity) {
		memcpy(flows, now, n_flows * sizeof(*flows));
		return result;
	}
	for (size_t i = 0; i < n_flows; i++)
		result.moves += flows[i].worker != now[i].worker;
	return result;
}
