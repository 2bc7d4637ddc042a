/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/pci_addr.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Reads 1 to max_digits hexadecimal digits and moves *p behind them. */
static bool take_hex(const char **p, unsigned int max_digits, uint32_t *value)
{
	unsigned int digits = 0;

	*value = 0;
	for (; hex_digit(**p) >= 0; (*p)++) {
		if (++digits > max_digits)
			return false;
		*value = *value << 4 | (uint32_t)hex_digit(**p);
	}
	return digits > 0;
}

static bool take_char(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

/* "BUS:SLOT.FUNCTION" with the given separators, up to the end of the text. */
static bool take_bdf(const char *p, char sep, char dot, struct pci_addr *addr)
{
	uint32_t bus, slot, function;

	if (!take_hex(&p, 2, &bus) || !take_char(&p, sep) || !take_hex(&p, 2, &slot) ||
	    !take_char(&p, dot) || !take_hex(&p, 1, &function) || *p)
		return false;
	if (slot > 31 || function > 7)
		return false;
	addr->bus = bus;
	addr->slot = slot;
	addr->function = function;
	return true;
}

int pci_addr_parse(struct pci_addr *addr, const char *text)
{
	struct pci_addr found = { 0 };
	const char *p = text;

	if (!strncmp(text, "pci_", 4)) {
		p += 4;
		if (!take_hex(&p, 8, &found.domain) || !take_char(&p, '_') ||
		    !take_bdf(p, '_', '_', &found))
			return -EINVAL;
	} else if (!take_bdf(text, ':', '.', &found)) {
		if (!take_hex(&p, 8, &found.domain) || !take_char(&p, ':') ||
		    !take_bdf(p, ':', '.', &found))
			return -EINVAL;
	}
	*addr = found;
	return 0;
}

char *pci_addr_format(const struct pci_addr *addr, char *buf)
{
	snprintf(buf, PCI_ADDR_STRLEN, "%04x:%02x:%02x.%x", addr->domain, addr->bus, addr->slot,
		 addr->function);
	return buf;
}

bool pci_addr_equal(const struct pci_addr *a, const struct pci_addr *b)
{
	return a->domain == b->domain && a->bus == b->bus && a->slot == b->slot &&
	       a->function == b->function;
}
