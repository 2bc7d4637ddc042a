/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libsmartcols/libsmartcols.h>

#include "common/text.h"
#include "ctl/output.h"

#define MIN_WIDTH 190
#define WRAP_WIDTH 48

static void put_json(json_object *value, int flags)
{
	fputs(json_object_to_json_string_ext(value, flags | JSON_C_TO_STRING_NOSLASHESCAPE),
	      stdout);
	putchar('\n');
}

void output_json(json_object *value)
{
	put_json(value, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED);
}

void output_json_line(json_object *value)
{
	put_json(value, JSON_C_TO_STRING_PLAIN);
	fflush(stdout);
}

json_object *json_at(json_object *obj, const char *path)
{
	char key[64];
	size_t len;

	for (;;) {
		len = strcspn(path, ".");
		if (len >= sizeof(key) || !json_object_is_type(obj, json_type_object))
			return NULL;
		memcpy(key, path, len);
		key[len] = '\0';
		if (!json_object_object_get_ex(obj, key, &obj))
			return NULL;
		if (!path[len])
			return obj;
		path += len + 1;
	}
}

const char *json_text(json_object *obj, const char *path)
{
	json_object *value = json_at(obj, path);
	const char *text = value ? json_object_get_string(value) : NULL;

	return text && *text ? text : "-";
}

double json_number(json_object *obj, const char *path)
{
	json_object *value = json_at(obj, path);

	return json_object_is_type(value, json_type_double) ||
			       json_object_is_type(value, json_type_int)
		       ? json_object_get_double(value)
		       : 0;
}

bool json_flag(json_object *obj, const char *path)
{
	json_object *value = json_at(obj, path);

	return json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
}

size_t json_length(json_object *array)
{
	return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

const char *json_words(json_object *list, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < json_length(list) && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", i ? " " : "",
					json_object_get_string(json_object_array_get_idx(list, i)));
	return buf;
}

struct output_table {
	struct libscols_table *table;
	struct libscols_line *line;
	size_t column, n_rows;
	int wrapped; /* column whose texts go on below on a terminal; -1: none */
};

struct output_table *output_table_new(const struct ctl *ctl, const struct output_column *columns,
				      size_t n_columns)
{
	struct output_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->wrapped = -1;
	t->table = scols_new_table();
	if (!t->table) {
		free(t);
		return NULL;
	}
	scols_table_enable_noheadings(t->table, ctl->no_headings);
	for (size_t i = 0; i < n_columns; i++) {
		/* Before 2.41, libsmartcols leaves room for headings that are not shown. */
		const char *name = ctl->no_headings ? "" : columns[i].name;
		struct libscols_column *column =
			scols_table_new_column(t->table, name, 0,
					       columns[i].right	 ? SCOLS_FL_RIGHT
					       : columns[i].last ? SCOLS_FL_WRAP
								 : 0);

		if (!column || !columns[i].last)
			continue;
		/* Lines are broken by output_cell, between words. */
		scols_column_set_safechars(column, "\n");
		scols_column_set_wrapfunc(column, scols_wrapnl_chunksize, scols_wrapnl_nextchunk,
					  NULL);
		t->wrapped = (int)i;
	}
	/* A narrower terminal breaks the lines itself: a reason of six columns helps nobody. */
	if (isatty(STDOUT_FILENO) && scols_table_get_termwidth(t->table) < MIN_WIDTH)
		scols_table_set_termwidth(t->table, MIN_WIDTH);
	return t;
}

void output_row(struct output_table *t)
{
	t->line = scols_table_new_line(t->table, NULL);
	t->column = 0;
	t->n_rows++;
}

/* Puts newlines in the place of spaces so that lines have about WRAP_WIDTH bytes. */
static void break_lines(char *text)
{
	char *line = text, *space = NULL;

	for (char *p = text; *p; p++) {
		if (*p != ' ')
			continue;
		if (p - line > WRAP_WIDTH && space) {
			*space = '\n';
			line = space + 1;
		}
		space = p;
	}
	if (strlen(line) > WRAP_WIDTH && space && space > line)
		*space = '\n';
}

void output_cell(struct output_table *t, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	text_clean(text);
	if ((int)t->column == t->wrapped && isatty(STDOUT_FILENO))
		break_lines(text);
	if (t->line)
		scols_line_set_data(t->line, t->column++, *text ? text : "-");
	free(text);
}

static void table_free(struct output_table *t)
{
	scols_unref_table(t->table);
	free(t);
}

void output_table_print(struct output_table *t)
{
	if (t->n_rows)
		scols_print_table(t->table);
	fflush(stdout);
	table_free(t);
}

char *output_table_text(struct output_table *t)
{
	char *text = NULL;

	scols_table_enable_nowrap(t->table, 1);
	if (t->n_rows && scols_print_table_to_string(t->table, &text) < 0)
		text = NULL;
	table_free(t);
	return text ? text : strdup("");
}

/* Three significant digits: 1.23, 12.3, 123. */
static char *format_scaled(char *buf, double value, double step, const char *const *units,
			   size_t n_units)
{
	size_t i = 0;

	while (i + 1 < n_units && value >= step - 0.5) {
		value /= step;
		i++;
	}
	snprintf(buf, OUTPUT_NUMBER, "%.*f %s",
		 i == 0 || value >= 99.95 ? 0
		 : value >= 9.995	  ? 1
					  : 2,
		 value, units[i]);
	return buf;
}

char *format_packets(char *buf, double per_second)
{
	static const char *const units[] = { "pps", "kpps", "Mpps", "Gpps" };

	return format_scaled(buf, per_second, 1000, units, 4);
}

char *format_bits(char *buf, double bytes_per_second)
{
	static const char *const units[] = { "bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s" };

	return format_scaled(buf, bytes_per_second * 8, 1000, units, 5);
}

char *format_bytes(char *buf, double bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };

	return format_scaled(buf, bytes, 1024, units, 6);
}

char *format_duration(char *buf, double seconds)
{
	unsigned long s = seconds > 0 ? (unsigned long)seconds : 0;

	if (s < 60)
		snprintf(buf, OUTPUT_NUMBER, "%lus", s);
	else if (s < 3600)
		snprintf(buf, OUTPUT_NUMBER, "%lum %lus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, OUTPUT_NUMBER, "%luh %lum", s / 3600, s % 3600 / 60);
	else
		snprintf(buf, OUTPUT_NUMBER, "%lud %luh", s / 86400, s % 86400 / 3600);
	return buf;
}

char *format_time(char *buf, double epoch_s)
{
	time_t t = (time_t)epoch_s;
	struct tm tm;

	if (epoch_s <= 0 || !localtime_r(&t, &tm) ||
	    strftime(buf, OUTPUT_NUMBER, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(buf, OUTPUT_NUMBER, "-");
	return buf;
}
