# SPDX-License-Identifier: BSD-3-Clause
"""Bad input on the ZeroMQ endpoints and the control socket harms no service and no relay."""
