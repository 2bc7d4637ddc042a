/* SPDX-License-Identifier: BSD-3-Clause */

/* What checks of a host have found: four texts each, for an administrator and for scripts. */
#ifndef VIO4WD_CTL_DOCTOR_FINDINGS_H
#define VIO4WD_CTL_DOCTOR_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

#include <json-c/json.h>

enum finding_severity {
	FINDING_OK,
	FINDING_NOTE,	 /* nothing has to be done, but it is good to know */
	FINDING_WARNING, /* something will be slow, or fail later */
	FINDING_ERROR,	 /* something does not work */
};
#define FINDING_SEVERITIES 4

struct finding {
	enum finding_severity severity;
	const char *area, *check; /* names of tables of checks: they live as long as the program */
	char looked_at[480];	  /* the files or the command */
	char found[480];
	char expected[240]; /* "" for FINDING_OK, as action */
	char action[480];
};

struct findings {
	struct finding *list;
	size_t n;
	bool out_of_memory;    /* there were more */
	struct finding beyond; /* takes the texts of what there was no memory for */
};

/* An empty finding at the end of the list: valid until the next call. Never NULL. */
struct finding *findings_add(struct findings *f);
/* Puts areas with the gravest findings first, and these first within their area; otherwise the
 * order stays. */
void findings_sort(struct findings *f);
size_t findings_count(const struct findings *f, enum finding_severity severity);
void findings_free(struct findings *f);

const char *finding_severity_name(enum finding_severity severity); /* "ok", "note", ... */

/* {"findings": [...], "counts": {severity: number}}; the caller's. */
json_object *findings_to_json(const struct findings *f);

#endif
