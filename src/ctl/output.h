/* SPDX-License-Identifier: BSD-3-Clause */

/* Results on stdout: JSON as it came, tables with libsmartcols, numbers with units. */
#ifndef VIO4WD_CTL_OUTPUT_H
#define VIO4WD_CTL_OUTPUT_H

#include <stddef.h>

#include "ctl/ctl.h"

void output_json(json_object *value);
/* In one line, for repeated output. */
void output_json_line(json_object *value);

/* --- members of results, with a neutral value where they are missing or of another type --- */

/* The value at a path of keys like "vm.rings"; NULL when there is none. */
json_object *json_at(json_object *obj, const char *path);
const char *json_text(json_object *obj, const char *path); /* "-" when there is none */
double json_number(json_object *obj, const char *path);
bool json_flag(json_object *obj, const char *path);
size_t json_length(json_object *array); /* 0 for NULL */
/* ["a", "b"] as "a b" in buf, which is returned; what does not fit is cut off. */
const char *json_words(json_object *list, char *buf, size_t size);

/* --- tables --- */

struct output_column {
	const char *name;
	bool right; /* numbers */
	bool last;  /* takes the rest of the line, and goes on below it on a terminal */
};

struct output_table;
struct output_table *output_table_new(const struct ctl *ctl, const struct output_column *columns,
				      size_t n_columns);
void output_row(struct output_table *table);
/* The next cell of the row; empty text shows as "-". Text from outside is cleaned. */
void output_cell(struct output_table *table, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Prints the table (nothing for an empty one) and frees it. */
void output_table_print(struct output_table *table);
/* The same as text without the last newline, for tests; the caller's. */
char *output_table_text(struct output_table *table);

/* --- numbers for people; buf has OUTPUT_NUMBER bytes and is returned --- */

#define OUTPUT_NUMBER 32
char *format_packets(char *buf, double per_second);    /* "1.23 Mpps" */
char *format_bits(char *buf, double bytes_per_second); /* "9.87 Gbit/s" */
char *format_bytes(char *buf, double bytes);	       /* "1.5 MiB" */
char *format_duration(char *buf, double seconds);      /* "3h 12m" */
char *format_time(char *buf, double epoch_s);	       /* local time */
#define PACKETS(v) format_packets((char[OUTPUT_NUMBER]){ 0 }, v)
#define BITS(v) format_bits((char[OUTPUT_NUMBER]){ 0 }, v)
#define BYTES(v) format_bytes((char[OUTPUT_NUMBER]){ 0 }, v)
#define DURATION(v) format_duration((char[OUTPUT_NUMBER]){ 0 }, v)
#define TIME(v) format_time((char[OUTPUT_NUMBER]){ 0 }, v)

#endif
