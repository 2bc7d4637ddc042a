/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * vf_mac_make(): sd_id128_get_machine_app_specific() is HMAC-SHA256, keyed by the machine id, of an
 * application's id. Here the VF's own data are that id, mixed with a constant of ours: so its
 * result is the hash that is wanted, and tells nobody the machine id.
 */
#include "udev/vf_mac.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <systemd/sd-id128.h>

#include "common/cleanup.h"
#include "common/sysfs.h"

#define ADDRESS_OF_DEVICE "0" /* NET_ADDR_PERM, linux/netdevice.h: not random, not set */

static const sd_id128_t vf_mac_id =
	SD_ID128_MAKE(5e, 0b, 67, 0e, 3f, 1c, 4c, 5b, 9d, 6e, 1f, 42, 8a, 37, c1, 90);

int vf_mac_of_interface(const char *root, const struct vf *vf, uint8_t mac[6])
{
	char type[8], address[32];

	if (!vf->netdev[0] ||
	    sysfs_read(root, type, sizeof(type), "/sys/class/net/%s/addr_assign_type", vf->netdev) <
		    0 ||
	    sysfs_read(root, address, sizeof(address), "/sys/class/net/%s/address", vf->netdev) < 0)
		return -ENOENT;
	if (!strcmp(type, ADDRESS_OF_DEVICE) ||
	    sscanf(address, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
		   &mac[4], &mac[5]) != 6)
		return -ENOENT;
	return 0;
}

/* The address that the card was made with, which no setting changes. */
static bool permanent_address(const char *netdev, uint8_t mac[6])
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	static const uint8_t zero[6];
	_Alignas(struct ethtool_perm_addr) uint8_t room[sizeof(struct ethtool_perm_addr) + 32];
	struct ethtool_perm_addr *address = (struct ethtool_perm_addr *)room;
	struct ifreq ifr = { .ifr_data = (void *)address };

	*address = (struct ethtool_perm_addr){ .cmd = ETHTOOL_GPERMADDR, .size = 32 };
	if (fd < 0 || !netdev[0])
		return false;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", netdev);
	if (ioctl(fd, SIOCETHTOOL, &ifr) < 0 || address->size != 6)
		return false;
	memcpy(mac, address->data, 6);
	return memcmp(mac, zero, 6) != 0;
}

int vf_mac_make(const struct vf *vf, uint8_t mac[6], struct err *err)
{
	sd_id128_t id = vf_mac_id, hash;
	uint8_t data[16] = { 0 };
	int rc;

	/* Kind, PF, index; the two kinds of names of a PF must not be mistaken for each other. */
	if (permanent_address(vf->pf_netdev, data + 1)) {
		data[0] = 1;
	} else {
		const struct pci_addr *pf = &vf->pf;

		data[0] = 2;
		memcpy(data + 1, &pf->domain, 4);
		data[5] = pf->bus;
		data[6] = pf->slot << 3 | pf->function;
	}
	data[8] = vf->index >> 8 & 0xff;
	data[9] = vf->index & 0xff;
	for (size_t i = 0; i < sizeof(data); i++)
		id.bytes[i] ^= data[i];
	rc = sd_id128_get_machine_app_specific(id, &hash);
	if (rc < 0)
		return err_set(
			err, rc == -ENOMEDIUM ? -ENOENT : rc, "MAC address",
			"no MAC address can be made for VF %u: this host has no machine id "
			"(/etc/machine-id: %s); make it by systemd-machine-id-setup, or give "
			"the VF an address in VIO4WD_VF_OPTIONS",
			vf->index, strerror(-rc));
	/* IEEE 802, 8.2.2: not a group address, administered locally. */
	memcpy(mac, hash.bytes, 6);
	mac[0] = (mac[0] & ~0x01) | 0x02;
	return 0;
}
