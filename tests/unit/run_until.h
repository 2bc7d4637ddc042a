/* SPDX-License-Identifier: BSD-3-Clause */

/* Runs self->event until cond or the deadline. Included after kselftest_harness.h. */
#ifndef VIO4WD_TEST_RUN_UNTIL_H
#define VIO4WD_TEST_RUN_UNTIL_H

#include <stdint.h>
#include <time.h>

#include <systemd/sd-event.h>

#define DEADLINE_US 5000000 /* ends what hangs */

#define RUN_UNTIL(cond)                                                    \
	({                                                                 \
		uint64_t now_, end_;                                       \
		sd_event_now(self->event, CLOCK_MONOTONIC, &now_);         \
		end_ = now_ + DEADLINE_US;                                 \
		while (!(cond) && now_ < end_) {                           \
			sd_event_run(self->event, 20000);                  \
			sd_event_now(self->event, CLOCK_MONOTONIC, &now_); \
		}                                                          \
		EXPECT_TRUE(cond);                                         \
	})

#endif
