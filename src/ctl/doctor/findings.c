/* SPDX-License-Identifier: BSD-3-Clause */

#include "ctl/doctor/findings.h"

#include <stdlib.h>
#include <string.h>

#include "common/text.h"

#define STEP 32 /* entries that the list grows by */

static const char *const severities[] = { "ok", "note", "warning", "error" };

const char *finding_severity_name(enum finding_severity severity)
{
	return severities[severity];
}

struct finding *findings_add(struct findings *f)
{
	struct finding *list = f->list;

	if (f->n % STEP == 0)
		list = reallocarray(f->list, f->n + STEP, sizeof(*list));
	if (!list) {
		f->out_of_memory = true;
		return &f->beyond;
	}
	f->list = list;
	memset(&list[f->n], 0, sizeof(*list));
	return &list[f->n++];
}

static enum finding_severity worst_of_area(const struct findings *f, const char *area)
{
	enum finding_severity worst = FINDING_OK;

	for (size_t i = 0; i < f->n; i++) {
		if (!strcmp(f->list[i].area, area) && f->list[i].severity > worst)
			worst = f->list[i].severity;
	}
	return worst;
}

/* Appends to sorted what is of that area and severity. */
static size_t take(const struct findings *f, const char *area, enum finding_severity severity,
		   struct finding *sorted, size_t n)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->list[i].severity == severity && !strcmp(f->list[i].area, area))
			sorted[n++] = f->list[i];
	}
	return n;
}

static bool is_first_of_area(const struct findings *f, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (!strcmp(f->list[k].area, f->list[i].area))
			return false;
	}
	return true;
}

void findings_sort(struct findings *f)
{
	struct finding *sorted = reallocarray(NULL, f->n + STEP, sizeof(*sorted));
	size_t n = 0;

	if (!sorted)
		return;
	for (int worst = FINDING_ERROR; worst >= FINDING_OK; worst--) {
		for (size_t i = 0; i < f->n; i++) {
			const char *area = f->list[i].area;

			if (!is_first_of_area(f, i) || (int)worst_of_area(f, area) != worst)
				continue;
			for (int s = FINDING_ERROR; s >= FINDING_OK; s--)
				n = take(f, area, s, sorted, n);
		}
	}
	memcpy(f->list, sorted, n * sizeof(*sorted));
	free(sorted);
}

size_t findings_count(const struct findings *f, enum finding_severity severity)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += f->list[i].severity == severity;
	return n;
}

void findings_free(struct findings *f)
{
	free(f->list);
	*f = (struct findings){ 0 };
}

static void put(json_object *json, const char *key, const char *text)
{
	char clean[sizeof(((struct finding *)0)->found)];

	strncpy(clean, text, sizeof(clean) - 1);
	clean[sizeof(clean) - 1] = '\0';
	text_clean(clean);
	json_object_object_add(json, key, *clean ? json_object_new_string(clean) : NULL);
}

json_object *findings_to_json(const struct findings *f)
{
	json_object *list = json_object_new_array(), *counts = json_object_new_object();
	json_object *result = json_object_new_object();

	for (size_t i = 0; i < f->n; i++) {
		const struct finding *finding = &f->list[i];
		json_object *json = json_object_new_object();

		put(json, "area", finding->area);
		put(json, "check", finding->check);
		put(json, "severity", severities[finding->severity]);
		put(json, "looked_at", finding->looked_at);
		put(json, "found", finding->found);
		put(json, "expected", finding->expected);
		put(json, "action", finding->action);
		json_object_array_add(list, json);
	}
	for (int s = FINDING_OK; s < FINDING_SEVERITIES; s++)
		json_object_object_add(counts, severities[s],
				       json_object_new_int64((int64_t)findings_count(f, s)));
	json_object_object_add(result, "findings", list);
	json_object_object_add(result, "counts", counts);
	return result;
}
