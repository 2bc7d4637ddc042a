# SPDX-License-Identifier: BSD-3-Clause
"""udevd has nothing to complain of in the rules. What they do is seen in tests/vm."""

import re
import subprocess
from pathlib import Path
from typing import List

import pytest
from lib.env import TOP, tool
from lib.process import run
from lib.udevd import PREPARE, RULES, USER, functions

OURS = (TOP / "rules" / RULES).read_text()
# udevadm test reads all rules and then those that match are applied to the device.
TEST = "udevadm test --action={} /sys/bus/pci/devices/{} 2>&1"


def complaints(folder: Path, rules: str) -> List[str]:
    """What udevd says of the file, line by line, while it reads it and applies it to a device."""
    (folder / RULES).write_text(rules)
    device = (functions(network=True) or functions(network=False))[0]
    text = run(
        [tool("unshare"), "--mount", "--propagation", "private", "sh", "-c",
         f"{PREPARE}{USER}cp '{folder / RULES}' /run/udev/rules.d/\n" +
         "\n".join(TEST.format(action, device) for action in ("add", "bind", "remove"))]
    )  # fmt: skip
    assert text.count(f"Reading rules file: /run/udev/rules.d/{RULES}") == 3
    return re.findall(rf"^.*{re.escape(RULES)}:\d+.*$", text, re.MULTILINE)


def test_no_complaints(tmp_path: Path) -> None:
    assert complaints(tmp_path, OURS) == []
    # udevadm has this from version 254 on.
    if subprocess.run(["udevadm", "verify", "--help"], capture_output=True).returncode == 0:
        run(["udevadm", "verify", "--resolve-names=never", tmp_path / RULES])


@pytest.mark.parametrize(
    "right, wrong",
    [('TEST=="physfn"', 'TSET=="physfn"'), ('OWNER="vio4wd"', 'OWNER="vio4wd-nobody"'),
     ('TAG+="vio4wd"', 'TAG=="vio4wd'), ('LABEL="vio4wd_end"', 'LABEL="elsewhere"')],
)  # fmt: skip
def test_complaints_are_seen(tmp_path: Path, right: str, wrong: str) -> None:
    assert right in OURS
    assert complaints(tmp_path, OURS.replace(right, wrong))
