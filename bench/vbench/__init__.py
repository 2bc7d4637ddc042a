# SPDX-License-Identifier: BSD-3-Clause
"""Benchmarks of vio4wd by paired windows; see ../README.md for the method."""
