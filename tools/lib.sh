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

# candidate PACKAGE [APT-OPTION...]: the version apt would install, without its epoch.
candidate() {
	apt-cache "${@:2}" policy "$1" | sed -n 's/^ *Candidate: \([0-9]*:\)\?\(.*\)/\2/p'
}

# one_dependency PACKAGE PATTERN [APT-OPTION...]: the package it depends on whose name has the form.
one_dependency() {
	apt-cache "${@:3}" depends "$1" | sed -n "s/^ *Depends: \\($2\\)\$/\\1/p" | head -n 1
}

# The host's Debian sources, one line each: URI, release, component.
debian_sources() {
	apt-get indextargets --format \
		'$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)' \
		'Created-By: Packages' "Architecture: $(dpkg --print-architecture)" |
		sed -n 's/^Debian|//p' | sort -u
}

# choose_suite PACKAGE VERSION: sets suite to the host's backports when its own sources have no such
# or later version, else to nothing.
choose_suite() {
	suite=
	known "$1" || update_lists
	known "$1" ||
		die "apt knows no package $1" "is Debian's main component in /etc/apt/sources.list?"
	dpkg --compare-versions "$(candidate "$1")" ge "$2" || suite=$(codename)-backports
}

# own_apt FOLDER SUITE [RELEASE]: an apt configuration in FOLDER with the host's Debian sources and SUITE
# (may be empty) of the same mirror, which comes first; apt's options for it are in apt_options. RELEASE
# stands in for the host's: only that one, and nothing counts as installed.
own_apt() {
	local folder=$1 suite=$2 other=${3:-} uri release component
	local key=/usr/share/keyrings/debian-archive-keyring.gpg
	[ -r "$key" ] && key="[signed-by=$key]" || key=
	rm -rf "$folder"
	mkdir -p "$folder/lists/partial" "$folder/archives/partial" "$folder/parts"
	while IFS='|' read -r uri release component; do
		if [ "$component" = main ] && [ "$release" = "$(codename)" ]; then
			echo "deb $key $uri ${other:-$release} main"
			[ -z "$suite" ] || echo "deb $key $uri $suite main"
		elif [ -z "$other" ]; then
			echo "deb $key $uri $release $component"
		fi
	done < <(debian_sources) >"$folder/sources.list"
	if [ -n "$suite$other" ] && ! grep -q " ${suite:-$other} " "$folder/sources.list"; then
		die "no Debian mirror with the release $(codename) in apt's configuration" \
			"${suite:-$other} is looked for on that mirror"
	fi
	apt_options=(
		-o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts="$folder/parts"
		-o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder"
		-o Dir::Cache::Archives="$folder/archives" -o APT::Sandbox::User=root
		-o APT::Get::List-Cleanup=false -o Acquire::Languages=none -o Debug::NoLocking=true
		${suite:+-o "APT::Default-Release=$suite"}
	)
	if [ -n "$other" ]; then
		: >"$folder/status"
		apt_options+=(-o "Dir::State::status=$folder/status")
	fi
	quietly apt-get -q "${apt_options[@]}" update ||
		die "the package lists of ${suite:-the mirror} cannot be read" \
			"is the mirror in /etc/apt reachable, and does it carry ${suite:-them}?"
}
