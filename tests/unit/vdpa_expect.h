/* SPDX-License-Identifier: BSD-3-Clause */

/* What the fixtures around a scripted device share. Included after kselftest_harness.h; a fixture
 * has the device as `fake`, and the error of what was called last as `err`. */
#ifndef VIO4WD_TEST_VDPA_EXPECT_H
#define VIO4WD_TEST_VDPA_EXPECT_H

#include <string.h>

#define PATH "/dev/vhost-vdpa-0"

/* The device was asked for exactly this since the last time. */
#define EXPECT_LOG(what)                             \
	do {                                         \
		EXPECT_STREQ(what, self->fake->log); \
		self->fake->log[0] = '\0';           \
	} while (0)
#define EXPECT_SAID(words)                             \
	EXPECT_NE(NULL, strstr(self->err.text, words)) \
	{                                              \
		TH_LOG("said: %s", self->err.text);    \
	}

#endif
