/* SPDX-License-Identifier: BSD-3-Clause */

/* Filling struct config_report (config.h). */
#ifndef VIO4WD_CONFIG_REPORT_H
#define VIO4WD_CONFIG_REPORT_H

#include "common/config.h"

/* Of errors and of warnings, each; that there are more is said. So warnings never hide an error. */
#define CONFIG_ISSUES_MAX 200

void config_report_add(struct config_report *report, bool is_error, unsigned int line,
		       const char *fmt, ...) __attribute__((format(printf, 4, 5)));
#define config_report_error(report, line, ...) config_report_add(report, true, line, __VA_ARGS__)
#define config_report_warning(report, line, ...) config_report_add(report, false, line, __VA_ARGS__)

/* Puts the issues in the order of the lines they are about. */
void config_report_sort(struct config_report *report);

/* A value as it is shown in a message: quoted, shortened when it is long. Lives as long as buf. */
#define CONFIG_QUOTE_MAX 96
const char *config_quote(const char *value, char buf[CONFIG_QUOTE_MAX]);
#define QUOTE(value) config_quote(value, (char[CONFIG_QUOTE_MAX]){ 0 })

#endif
