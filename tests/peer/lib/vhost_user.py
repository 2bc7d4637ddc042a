# SPDX-License-Identifier: BSD-3-Clause
"""A vhost-user front end by hand: the protocol, guest memory and rings, and nothing that keeps a
caller from sending what no driver would send."""
