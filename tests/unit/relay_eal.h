/* SPDX-License-Identifier: BSD-3-Clause */

/* DPDK in a unit test: on ordinary memory, without devices. Included after kselftest_harness.h. */
#ifndef VIO4WD_TEST_RELAY_EAL_H
#define VIO4WD_TEST_RELAY_EAL_H

#include <sched.h>

#include <rte_eal.h>
#include <rte_mbuf.h>

static struct rte_mempool *test_pool;
static cpu_set_t test_cpus; /* that may be used; the EAL leaves the tests' own thread one */

/* Small mbufs, so that ordinary frames already make chains where a test wants them. */
static inline int relay_test_main(int argc, char **argv, unsigned int n_mbufs, uint16_t room)
{
	static char *eal[] = {
		"test",		  "--no-huge",	    "--no-pci",	     "-m", "256", "--no-shconf",
		"--no-telemetry", "--iova-mode=va", "--log-level=4", "-c", "1",	  NULL
	};

	if (sched_getaffinity(0, sizeof(test_cpus), &test_cpus) < 0)
		return KSFT_FAIL;
	if (rte_eal_init(sizeof(eal) / sizeof(eal[0]) - 1, eal) < 0)
		return KSFT_FAIL;
	test_pool = rte_pktmbuf_pool_create("test", n_mbufs, 32, 0, RTE_PKTMBUF_HEADROOM + room, 0);
	if (!test_pool)
		return KSFT_FAIL;
	/* Tests run in children, which share the pool's memory one after the other. */
	return test_harness_run(argc, argv);
}

#endif
