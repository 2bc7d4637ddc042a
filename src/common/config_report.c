/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config_report.h"
#include "common/text.h"

static unsigned int count_shown(const struct config_report *report, bool is_error)
{
	unsigned int n = 0;

	for (size_t i = 0; i < report->n_issues; i++)
		n += report->issues[i].is_error == is_error;
	return n;
}

void config_report_add(struct config_report *report, bool is_error, unsigned int line,
		       const char *fmt, ...)
{
	unsigned int shown = count_shown(report, is_error);
	struct config_issue *issues, *issue;
	va_list ap;

	report->n_errors += is_error;
	if (shown > CONFIG_ISSUES_MAX)
		return;
	issues = reallocarray(report->issues, report->n_issues + 1, sizeof(*issues));
	if (!issues)
		return; /* an error still counts, so the file is not taken for a good one */
	report->issues = issues;
	issue = &issues[report->n_issues++];
	issue->is_error = is_error;
	issue->line = line;
	if (shown == CONFIG_ISSUES_MAX) {
		snprintf(issue->text, sizeof(issue->text), "there are more %s than are shown",
			 is_error ? "errors" : "warnings");
		return;
	}
	va_start(ap, fmt);
	vsnprintf(issue->text, sizeof(issue->text), fmt, ap);
	va_end(ap);
	text_clean(issue->text);
}

/* Stable, and there are few. */
void config_report_sort(struct config_report *report)
{
	for (size_t i = 1; i < report->n_issues; i++) {
		struct config_issue moved = report->issues[i];
		size_t to = i;

		for (; to && report->issues[to - 1].line > moved.line; to--)
			report->issues[to] = report->issues[to - 1];
		report->issues[to] = moved;
	}
}

const char *config_quote(const char *value, char buf[CONFIG_QUOTE_MAX])
{
	const int shown = CONFIG_QUOTE_MAX - 8;

	if (strlen(value) <= (size_t)shown)
		snprintf(buf, CONFIG_QUOTE_MAX, "'%s'", value);
	else
		snprintf(buf, CONFIG_QUOTE_MAX, "'%.*s...'", shown - 3, value);
	return buf;
}

void config_report_free(struct config_report *report)
{
	free(report->issues);
	memset(report, 0, sizeof(*report));
}
