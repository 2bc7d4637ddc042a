/* SPDX-License-Identifier: BSD-3-Clause */

/* PF and its VFs (docs/protocol.md) for people. */
#ifndef VIO4WD_CTL_VF_VIEW_H
#define VIO4WD_CTL_VF_VIEW_H

#include "ctl/output.h"

/* A line about the PF, a table of its VFs, and what is to be said of single ones. */
void print_pf(struct ctl *ctl, json_object *pf);
/* The interface, or the address of a PF that has none. */
const char *pf_name(json_object *pf);
/* The VF that serves a relay id; NULL when there is none. pfs as vf-list has it. */
json_object *vf_of_relay(json_object *pfs, unsigned int id);

#endif
