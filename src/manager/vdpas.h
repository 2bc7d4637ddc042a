/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * vDPA as a whole: what the kernel has told last of management devices and vDPA devices, and the
 * making and removing of those for pairings. The kernel is asked in the thread for slow calls.
 */
#ifndef VIO4WD_MANAGER_VDPAS_H
#define VIO4WD_MANAGER_VDPAS_H

#include <stdbool.h>
#include <stddef.h>

#include <json-c/json.h>

#include "common/devname.h"
#include "common/err.h"
#include "manager/policy.h"
#include "udev/vf.h"
#include "vdpa/mgmt.h"

struct manager;
struct pairing;
struct vdpas;

typedef void (*vdpas_done_fn)(const struct err *err, void *userdata);

int vdpas_new(struct vdpas **vdpas, struct manager *m, struct err *err);
void vdpas_free(struct vdpas *vdpas);

/* Something may have changed: asks the kernel; manager_run_all() follows. */
void vdpas_refresh(struct vdpas *vdpas);
/* The same after a change of our own: who needs the answer waits for it. */
void vdpas_expect(struct vdpas *vdpas);

/* For struct pairing_env. */
void vdpas_facts(struct pairing *p, const struct devname *device, struct policy_vdpa *facts);
/* Finds out p->seen.made and made_right for the wished device at addr (NULL: it is not there). */
void vdpas_look(struct pairing *p, const struct pci_addr *addr);
/* "/dev/vhost-vdpa-0" of the pairing's device. Returns 0 or -ENODEV, -ENOENT with words. */
int vdpas_path(const struct pairing *p, char *path, size_t size, struct err *err);

/*
 * What hardware can serve VMs with (vdpa_faces.h), from what the relay has found of the vDPA device
 * of a pairing; management devices are heard by vdpas_refresh().
 * told: the DEVICE that the relay has made of it (docs/protocol.md).
 */
void vdpas_learn(struct vdpas *vdpas, unsigned int id, const struct devname *device,
		 json_object *told);
/* {"features", "pairs"}, the caller's to put, or NULL: nothing is known, or nothing is to be
 * considered because such VFs have no vDPA that may be used, or fewer queue pairs than queues,
 * which the configuration asks for (0: any number). */
json_object *vdpas_hardware(const struct vdpas *vdpas, const struct vf *vf, unsigned int queues);

/*
 * Makes the vDPA device of a pairing on a VF, or removes it. Return 0, and done follows later,
 * never from inside; -EAGAIN while other work on it is under way; or an error.
 */
int vdpas_make(struct pairing *p, const struct pci_addr *addr, vdpas_done_fn done, void *userdata,
	       struct err *err);
int vdpas_unmake(struct pairing *p, vdpas_done_fn done, void *userdata, struct err *err);

#endif
