/* SPDX-License-Identifier: BSD-3-Clause */

#include "sw-relay/closer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* Carries descriptor numbers; a write of one is atomic (pipe(7)). */
static int numbers[2] = { -1, -1 };
static pthread_t thread;

static void *closer_main(void *unused)
{
	int fd;

	while (read(numbers[0], &fd, sizeof(fd)) == sizeof(fd))
		close(fd);
	return NULL;
}

int closer_start(struct err *err)
{
	int r;

	if (pipe2(numbers, O_CLOEXEC) < 0)
		return err_set(err, -errno, "start", "pipe: %s", strerror(errno));
	/* Only the writing side must not wait. */
	if (fcntl(numbers[1], F_SETFL, O_NONBLOCK) < 0)
		r = errno;
	else
		r = pthread_create(&thread, NULL, closer_main, NULL);
	if (r) {
		close(numbers[0]);
		close(numbers[1]);
		numbers[0] = numbers[1] = -1;
		return err_set(err, -r, "start", "closing thread: %s", strerror(r));
	}
	pthread_setname_np(thread, "closer");
	return 0;
}

void closer_stop(void)
{
	if (numbers[1] < 0)
		return;
	close(numbers[1]);
	numbers[1] = -1;
	pthread_join(thread, NULL);
	close(numbers[0]);
	numbers[0] = -1;
}

void closer_close(int fd)
{
	if (numbers[1] < 0 || write(numbers[1], &fd, sizeof(fd)) != sizeof(fd))
		close(fd);
}
