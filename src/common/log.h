/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Log lines, with the syslog severities of VIRTIOFWD_LOG_LEVEL (0 emergency .. 7 debug).
 *
 * Goes to stderr: with the "<n>" prefix when the journal reads it, else with the time and the
 * program's name. Safe from any thread; a line is written by one write(2).
 */
#ifndef VIO4WD_LOG_H
#define VIO4WD_LOG_H

#include <stdbool.h>
#include <syslog.h>

/* program must stay valid (argv[0]'s last part, or "vio4wd-relay 0"). */
void log_open(const char *program, int level);
void log_set_level(int level);
int log_level(void);

void log_write(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_write(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

#endif
