# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Shared by the scripts; sourced, not run.
#
#   $ROOT                  the source tree
#   $CACHE                 everything that is fetched or built, outside the tree:
#                          ${XDG_CACHE_HOME:-$HOME/.cache}/xfrm_ext; safe to delete
#   log TEXT...            progress, to stderr
#   die TEXT...            message to stderr, exit 2
#   quietly LOG CMD...     run CMD with its output in LOG; show LOG's end if it fails
#   lock NAME              wait for and take a lock that is held until the script ends
#   hash_of                hash of standard input, short enough for a file name
#   fetch_deb PKG=VERSION  download a Debian package into the current directory
#   head_says WORD SCRIPT  what the line "# WORD: ..." in the head of a test says
#   with_dependencies CONF PKG...  these packages and all that they depend on, as if nothing
#                          were installed; CONF is from debian_apt
#   debian_apt TYPE SUITE...  an apt configuration that knows these suites of Debian's and
#                          nothing else; TYPE is deb or deb-src. Prints the file, for
#                          apt-get -c

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/xfrm_ext
# Debian's own tools, whatever else the caller's PATH holds.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export ROOT CACHE PATH LC_ALL=C.UTF-8

mkdir -p "$CACHE/locks" "$CACHE/logs"

log() {
	printf '%s\n' "$*" >&2
}

die() {
	log "$(basename "$0"): $*"
	exit 2
}

quietly() {
	local file=$1 rc=0

	shift
	mkdir -p "$(dirname "$file")"
	"$@" >"$file" 2>&1 </dev/null || rc=$?
	if ((rc)); then
		log "--- end of $file"
		tail -n 40 "$file" >&2
		log "--- failed ($rc): $*"
	fi
	return "$rc"
}

lock() {
	local fd

	exec {fd}>"$CACHE/locks/$1"
	flock -n "$fd" && return
	log "waiting for another run that holds $1"
	flock "$fd"
}

hash_of() {
	sha256sum | cut -c1-16
}

head_says() {
	sed -n "/^[^#]/q; s/^# $1: *//p" "$2"
}

# The machine's package lists may be missing or older than the archive. Lists of
# our own need no root.
fetch_deb() {
	local apt=$CACHE/apt
	local own=(-o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache")

	apt-get -q download "$1" && return
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
	apt-get -q "${own[@]}" update && apt-get -q "${own[@]}" download "$1"
}

# The mirrors that this machine's apt takes Debian's main from, as far as they are not
# known to be of somebody else: origin and codename are unknown before the first
# apt-get update. A mirror may lack the other suites; Debian's own has them.
debian_mirrors() {
	if [[ ${XFRM_EXT_DEBIAN_MIRROR-} ]]; then
		echo "$XFRM_EXT_DEBIAN_MIRROR"
		return
	fi
	{
		apt-get indextargets --format "\$(REPO_URI) \$(RELEASE) c:\$(CODENAME) \$(COMPONENT) o:\$(ORIGIN)" \
			'Created-By: Packages' |
			awk '($2 == "bookworm" || $3 == "c:bookworm") && $4 == "main" &&
				($5 == "o:" || $5 == "o:Debian") { print $1 }'
		echo http://deb.debian.org/debian
	} | awk '{ sub("/+$", "") } !seen[$0]++'
}

# Signatures are checked as always, and against Debian's keys only. Needs no root; the
# machine's own configuration, but for proxies and the like, is left out.
debian_apt() {
	local type=$1 suites=("${@:2}") suite mirror from apt
	local keyring=/usr/share/keyrings/debian-archive-keyring.gpg

	[[ -e $keyring ]] || die "missing package: debian-archive-keyring"
	apt=$type$(printf -- '-%s' "${suites[@]}")
	lock "apt-$apt"
	apt=$CACHE/apt/$apt
	mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
	# The user _apt may not be able to enter the cache of root; the machine's hooks
	# after an update are about the machine's lists.
	cat >"$apt/apt.conf" <<-END
		Dir::Etc::SourceList "$apt/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Dir::Etc::Preferences "/dev/null";
		Dir::Etc::PreferencesParts "/dev/null";
		Dir::State "$apt/state";
		Dir::Cache "$apt/cache";
		APT::Sandbox::User "root";
		APT::Update::Error-Mode "any";
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
	END
	while read -r mirror; do
		for suite in "${suites[@]}"; do
			from=$mirror
			[[ $suite != *-security ]] || from=${mirror%/debian}/debian-security
			echo "$type [signed-by=$keyring] $from $suite main"
		done >"$apt/sources.list"
		if apt-get -q -c "$apt/apt.conf" update >&2; then
			echo "$apt/apt.conf"
			return
		fi
	done < <(debian_mirrors)
	log "no mirror has ${suites[*]}: set XFRM_EXT_DEBIAN_MIRROR to one"
	return 1
}

with_dependencies() {
	apt-get -q -c "$1" -o Dir::State::status=/dev/null --no-install-recommends -s \
		install "${@:2}" | awk '$1 == "Inst" { print $2 }'
}
