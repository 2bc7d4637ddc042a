# SPDX-License-Identifier: BSD-3-Clause
"""What the peer tests and the demonstration are made of: daemons, guests, front ends, networks."""
