/* SPDX-License-Identifier: BSD-3-Clause */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compat11/compat11.h"

#define INDENT 2

const char *text_real(double value, char buf[REAL_TEXT_MAX])
{
	int precision = 0, exponent;

	if (isnan(value) || isinf(value)) {
		strcpy(buf, isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
		return buf;
	}
	do
		snprintf(buf, REAL_TEXT_MAX, "%.*e", precision, value);
	while (strtod(buf, NULL) != value && precision++ < 17);
	exponent = atoi(strchr(buf, 'e') + 1);
	if (exponent < -4 || exponent >= 16)
		return buf;
	precision -= exponent;
	snprintf(buf, REAL_TEXT_MAX, "%.*f", precision > 1 ? precision : 1, value);
	return buf;
}

static void print_text(const char *text)
{
	putchar('"');
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		static const char plain[] = "\n\r\t\"'\\", letters[] = "nrt\"'\\";
		const char *special = strchr(plain, *p);

		if (special)
			printf("\\%c", letters[special - plain]);
		else if (*p < 0x20 || *p >= 0x7f)
			printf("\\%03o", *p);
		else
			putchar(*p);
	}
	putchar('"');
}

static void print_message(const ProtobufCMessage *message, unsigned int indent);

static size_t value_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_UINT64:
		return sizeof(uint64_t);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	default:
		return sizeof(uint32_t); /* also of int32, enum and float */
	}
}

static void print_scalar(const ProtobufCFieldDescriptor *field, const void *value)
{
	const ProtobufCEnumValue *name;
	char buf[REAL_TEXT_MAX];

	switch (field->type) {
	case PROTOBUF_C_TYPE_ENUM:
		name = protobuf_c_enum_descriptor_get_value(field->descriptor, *(const int *)value);
		if (name)
			fputs(name->name, stdout);
		else
			printf("%d", *(const int *)value);
		break;
	case PROTOBUF_C_TYPE_INT32:
		printf("%d", *(const int32_t *)value);
		break;
	case PROTOBUF_C_TYPE_UINT32:
		printf("%u", *(const uint32_t *)value);
		break;
	case PROTOBUF_C_TYPE_UINT64:
		printf("%llu", (unsigned long long)*(const uint64_t *)value);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		fputs(*(const protobuf_c_boolean *)value ? "true" : "false", stdout);
		break;
	case PROTOBUF_C_TYPE_FLOAT:
		fputs(text_real(*(const float *)value, buf), stdout);
		break;
	default: /* the protocol has no other types but text */
		print_text(*(char *const *)value);
		break;
	}
}

static void print_value(const ProtobufCFieldDescriptor *field, const void *value,
			unsigned int indent)
{
	printf("%*s%s", (int)indent, "", field->name);
	if (field->type != PROTOBUF_C_TYPE_MESSAGE) {
		fputs(": ", stdout);
		print_scalar(field, value);
		putchar('\n');
		return;
	}
	puts(" {");
	print_message(*(ProtobufCMessage *const *)value, indent + INDENT);
	printf("%*s}\n", (int)indent, "");
}

static bool is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const char *base = (const char *)message;

	if (field->label == PROTOBUF_C_LABEL_REQUIRED)
		return true;
	if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE) {
		const void *value = *(void *const *)(base + field->offset);

		return value && value != field->default_value;
	}
	return *(const protobuf_c_boolean *)(base + field->quantifier_offset);
}

static void print_message(const ProtobufCMessage *message, unsigned int indent)
{
	const char *base = (const char *)message;

	for (unsigned int i = 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
		const char *value = base + field->offset;

		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			const size_t n = *(const size_t *)(base + field->quantifier_offset);
			const char *list = *(char *const *)value;

			for (size_t k = 0; k < n; k++)
				print_value(field, list + k * value_size(field->type), indent);
		} else if (is_set(message, field)) {
			print_value(field, value, indent);
		}
	}
}

void text_format_print(const ProtobufCMessage *message)
{
	print_message(message, 0);
}
