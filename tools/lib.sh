# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Sourced by the set-up scripts: where things are kept, and how failures are told.

cache=${VIO4WD_CACHE:-/var/cache/vio4wd}

say() {
	printf '== %s\n' "$*"
}

# die WHAT NEXT-STEP
die() {
	printf 'error: %s\n' "$1" >&2
	[ $# -lt 2 ] || printf '       %s\n' "$2" >&2
	exit 1
}

make_cache() {
	mkdir -p "$cache" 2>/dev/null || true
	[ -w "$cache" ] ||
		die "the cache folder $cache cannot be written by $(id -un)" \
			"run it as root (sudo make setup), or set VIO4WD_CACHE to a folder of yours"
}

is_debian() {
	[ -r /etc/debian_version ] && command -v apt-get >/dev/null
}

codename() {
	# shellcheck source=/dev/null
	(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
}

# Runs a command quietly; shows what it printed only when it fails.
quietly() {
	local out
	if ! out=$("$@" 2>&1); then
		printf '%s\n' "$out" | tail -n 20 >&2
		return 1
	fi
}

# known PACKAGE: apt has a candidate for it. A fresh image has no package lists at all.
known() {
	[ -n "$(apt-cache "${@:2}" policy "$1" | sed -n 's/^ *Candidate: \([^(].*\)/\1/p')" ]
}

update_lists() {
	say "reading the package lists (apt-get update)"
	quietly apt-get -q update ||
		die "apt-get update failed" "is the mirror in /etc/apt reachable from this machine?"
}

# download PACKAGE FOLDER [APT-OPTION...]: the .deb apt would install now, alone in FOLDER.
download() {
	local package=$1 folder=$2
	shift 2
	rm -rf "$folder" && mkdir -p "$folder"
	(cd "$folder" && quietly apt-get -q -o APT::Sandbox::User=root "$@" download "$package") ||
		die "cannot download the package $package" \
			"is the mirror in /etc/apt reachable? (apt-get update, then again)"
}
