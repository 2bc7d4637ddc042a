/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config_report.h"
#include "common/text.h"

void config_report_add(struct config_report *report, bool is_error, unsigned int line,
		       const char *fmt, ...)
{
	struct config_issue *issues, *issue;
	va_list ap;

	report->n_errors += is_error;
	if (report->n_issues > CONFIG_ISSUES_MAX)
		return;
	issues = reallocarray(report->issues, report->n_issues + 1, sizeof(*issues));
	if (!issues)
		return; /* an error still counts, so the file is not taken for a good one */
	report->issues = issues;
	issue = &issues[report->n_issues++];
	issue->is_error = is_error;
	issue->line = line;
	if (report->n_issues > CONFIG_ISSUES_MAX) {
		issue->line = 0;
		snprintf(issue->text, sizeof(issue->text), "there is more; mend these first");
		return;
	}
	va_start(ap, fmt);
	vsnprintf(issue->text, sizeof(issue->text), fmt, ap);
	va_end(ap);
	text_clean(issue->text);
}

/* Stable, and there are few. The line that says that there is more stays the last. */
void config_report_sort(struct config_report *report)
{
	size_t n = report->n_issues < CONFIG_ISSUES_MAX ? report->n_issues : CONFIG_ISSUES_MAX;

	for (size_t i = 1; i < n; i++) {
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
