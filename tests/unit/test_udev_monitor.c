/* SPDX-License-Identifier: BSD-3-Clause */

/* The monitor as far as it goes without devices and privileges: anybody may listen to uevents.
 * Events are heard in tests/peer and tests/vm. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <kselftest_harness.h>

#include "udev/monitor.h"
#include "udev/pci_sysfs.h"

FIXTURE(monitor) {
	sd_event *event;
	struct err err;
};

FIXTURE_SETUP(monitor)
{
	ASSERT_LE(0, sd_event_new(&self->event));
}

FIXTURE_TEARDOWN(monitor)
{
	sd_event_unref(self->event);
}

static void on_event(const struct vf_event *event, void *userdata)
{
}

static int next_fd(void)
{
	const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

TEST_F(monitor, starts_and_ends) {
	const int before = next_fd();
	struct vf_monitor *monitors[3];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 3; i++) {
			ASSERT_EQ(0, vf_monitor_new(&monitors[i], self->event, on_event, NULL,
						    &self->err));
		}
		ASSERT_LE(0, sd_event_run(self->event, 0));
		for (int i = 0; i < 3; i++)
			vf_monitor_free(monitors[i]);
		EXPECT_EQ(before, next_fd());
	}
	vf_monitor_free(NULL);
}

TEST_F(monitor, does_not_spin) {
	struct vf_monitor *monitor;

	ASSERT_EQ(0, vf_monitor_new(&monitor, self->event, on_event, NULL, &self->err));
	/* Events that the host happens to have are few; then there is nothing to do. */
	for (int i = 0; i < 10000; i++) {
		if (sd_event_run(self->event, 0) == 0)
			break;
		ASSERT_NE(9999, i);
	}
	vf_monitor_free(monitor);
}

TEST(address_of_a_place_in_sysfs)
{
	static const struct {
		const char *path, *addr;
	} cases[] = {
		{ "/devices/pci0000:00/0000:00:03.0", "0000:00:03.0" },
		{ "/devices/pci0000:00/0000:00:03.0/virtio2/net/eth0", "0000:00:03.0" },
		{ "/devices/pci0000:00/0000:00:1c.0/0000:01:10.2/net/enp1s0v1", "0000:01:10.2" },
		{ "/devices/pci10000:00/10000:00:02.0/10000:01:00.0", "10000:01:00.0" },
		{ "../../devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/net/ens1", "0000:3b:00.0" },
		{ "/devices/virtual/net/lo", NULL },
		{ "/devices/pci0000:00", NULL },
		{ "/devices/pci0000:00/pci_bus/0000:00", NULL },
		{ "0000:00:03.0", NULL },
		{ "/", NULL },
		{ "", NULL },
	};
	char text[PCI_ADDR_STRLEN];
	struct pci_addr addr;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ASSERT_EQ(cases[i].addr ? 0 : -ENODEV, pci_addr_of_path(cases[i].path, &addr));
		if (cases[i].addr)
			EXPECT_STREQ(cases[i].addr, pci_addr_format(&addr, text));
	}
}

TEST_HARNESS_MAIN
