# SPDX-License-Identifier: BSD-3-Clause
"""Broken configuration files: every error is told with its line, nothing starts, a reload keeps
what runs."""
