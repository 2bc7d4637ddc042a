/* SPDX-License-Identifier: BSD-3-Clause */

/* Waiting for the kernel to tell that something about its devices has changed: whatever it was, the
 * caller looks again. In a thread that may wait. */
#ifndef VIO4WD_UDEV_UEVENTS_H
#define VIO4WD_UDEV_UEVENTS_H

#include <stdbool.h>

/* Events from now on; a descriptor to close(), or a negative errno. */
int uevents_open(void);
/* False: there was none within ms milliseconds. With a negative fd it only lets that time pass. */
bool uevents_wait(int fd, int ms);

#endif
