# SPDX-License-Identifier: BSD-3-Clause
"""A host without IOMMU: no VF can be given to a relay, and the host's own interfaces can."""

from pathlib import Path
from typing import Iterator

import pytest
from lib.daemon import Daemon
from sriov import Function
from vf_bench import bench_of_module, bindings

MACHINE = "igb-noiommu"
VF = "0000:01:10.0"


@pytest.fixture(scope="module")
def daemon(hugepages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with bench_of_module(hugepages, tmp_path_factory.mktemp("noiommu")) as bench:
        bench.pf.set_vfs(2)
        for vf in bench.pf.vfs():
            vf.wait_udev()
        made = bench.daemon(VIRTIOFWD_STATIC_VFS=["netdev:enp1s0v1=0"])
        made.wait_state(0, "listening")
        yield made


def _refuse(daemon: Daemon, *words: str) -> None:
    vf = Function(VF)
    start = len(daemon.log_text())
    said = daemon.ctl("add", "--id", 1, "--device", VF, status=1).err
    for word in (VF, *words):
        assert word in said, said
    assert said.strip().removeprefix("vio4wdctl: ") in daemon.log_text()[start:]
    assert said.strip().removeprefix("vio4wdctl: ")[:100] in daemon.ctl("show", 1).out
    assert (vf.driver, vf.override) == ("igbvf", None)
    assert not bindings(daemon)
    assert daemon.relay(1)["device"] is None
    assert daemon.relay(0)["state"] == "listening"


def test_no_iommu(daemon: Daemon) -> None:
    assert Function(VF).group is None
    _refuse(daemon, "no IOMMU", "intel_iommu=on", "firmware")


@pytest.mark.parametrize("driver", ["uio_pci_generic", "igb_uio"])
def test_uio(daemon: Daemon, driver: str) -> None:
    """What 1.1 took in place of an IOMMU gives an unprivileged relay nothing."""
    daemon.write_config(VIO4WD_UIO_DRIVER=driver)
    daemon.ctl("reload")
    _refuse(daemon, driver, "VIO4WD_UIO_DRIVER=vfio-pci", "IOMMU")
