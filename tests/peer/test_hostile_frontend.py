# SPDX-License-Identifier: BSD-3-Clause
"""A VM that breaks the rules is dropped with a line in the log; other VMs go on."""
