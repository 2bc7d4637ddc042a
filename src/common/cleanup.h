/* SPDX-License-Identifier: BSD-3-Clause */

/* Scope-bound ownership: `_cleanup_close_ int fd = -1;`, `_cleanup_free_ char *p = NULL;`. */
#ifndef VIO4WD_CLEANUP_H
#define VIO4WD_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_free_ _cleanup_(cleanup_free)

/* Takes the value out of an owned variable so that its cleanup does nothing. */
#define take_fd(fd)                  \
	({                           \
		int take_fd_ = (fd); \
		(fd) = -1;           \
		take_fd_;            \
	})
#define take_ptr(p)                            \
	({                                     \
		__typeof__(p) take_ptr_ = (p); \
		(p) = NULL;                    \
		take_ptr_;                     \
	})

#endif
