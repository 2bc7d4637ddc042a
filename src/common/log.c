/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/text.h"

static const char *log_program = "vio4wd";
static atomic_int log_max = LOG_INFO;
static bool log_to_journal;

/* The journal names the socket behind stderr in JOURNAL_STREAM as device:inode
 * (systemd.exec(5)); anything else reads the lines as a person does. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void log_open(const char *program, int level)
{
	log_program = program;
	log_to_journal = stderr_is_journal();
	log_set_level(level);
}

void log_set_level(int level)
{
	atomic_store_explicit(&log_max, level, memory_order_relaxed);
}

int log_level(void)
{
	return atomic_load_explicit(&log_max, memory_order_relaxed);
}

void log_write(int level, const char *fmt, ...)
{
	static const char *const names[] = { "emergency", "alert",  "critical", "error",
					     "warning",	  "notice", "info",	"debug" };
	char line[1024];
	int n, start;
	va_list ap;

	if (level > log_level())
		return;
	if (log_to_journal) {
		n = snprintf(line, sizeof(line), "<%d>", level);
	} else {
		struct timespec now;
		struct tm tm;

		clock_gettime(CLOCK_REALTIME, &now);
		localtime_r(&now.tv_sec, &tm);
		n = snprintf(line, sizeof(line), "%02d:%02d:%02d.%03ld %s: %s: ", tm.tm_hour,
			     tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000, log_program,
			     names[level]);
	}
	start = n;
	va_start(ap, fmt);
	n += vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);
	text_clean(line + start);
	if ((size_t)n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return; /* nowhere left to complain */
}
