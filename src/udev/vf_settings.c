/* SPDX-License-Identifier: BSD-3-Clause */

#include "udev/vf_settings.h"

#include <errno.h>
#include <string.h>

#include "udev/vf_mac.h"

int vf_settings(const char *root, const struct vf *vf, struct vf_attributes *attributes,
		struct err *err)
{
	uint8_t own[6];
	int rc;

	rc = sriov_get_attributes(vf->pf_netdev, vf->index, attributes, err);
	if (rc == -ENODEV) {
		sriov_settle(root, &vf->pf);
		rc = sriov_get_attributes(vf->pf_netdev, vf->index, attributes, err);
		/* There is such a VF: it is the PF's driver that tells of none (virtio_net). */
		if (rc == -ENODEV)
			return err_set(err, -EOPNOTSUPP, "PF",
				       "the driver of %s does not tell what its VFs are set to",
				       vf->pf_netdev);
	}
	if (rc || vf_mac_of_interface(root, vf, own) < 0)
		return rc;
	if (memcmp(own, attributes->mac, sizeof(own)) != 0) {
		/* Or it has just got another one (udevd gives them to new interfaces): the kernel
		 * answers when such a change is complete. */
		rc = sriov_get_attributes(vf->pf_netdev, vf->index, attributes, err);
		if (rc || vf_mac_of_interface(root, vf, own) < 0)
			return rc;
	}
	if (!memcmp(own, attributes->mac, sizeof(own)))
		memset(attributes->mac, 0, sizeof(attributes->mac));
	return 0;
}
