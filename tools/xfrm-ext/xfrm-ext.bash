# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Completion of xfrm-ext's words

# The pref of each rule, spi of each SA and the like: what is there now
_xfrm_ext_values() { # word command...
	"${@:2}" 2>/dev/null | awk -v word="$1" '{ for (i = 1; i < NF; i++) if ($i == word) print $(i + 1) }' | sort -u
}

_xfrm_ext() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} tool=${COMP_WORDS[0]}
	local ext='format trailer iv tx-subspaces tx-base select select-cpus select-dscp select-mask
		select-shift tx-warn rx-subspaces window replay-protection memory-max fastpath spread
		beet-frag echo'
	local commands='show add rule totals monitor capabilities metrics watch doctor ping set save dummy help'
	local id='dst spi mark' word command='' sub='' words='' i

	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $word == -* ]]; then
			[[ $word != -b* ]] || ((++i))
		elif [[ ! $command ]]; then
			command=$word
		elif [[ $command == rule && ! $sub ]]; then
			sub=$word
		fi
	done
	case $prev in
	-b | -batch | key-file | state) compopt -o default; COMPREPLY=(); return ;;
	format) words='esp64 esp eesp' ;;
	trailer) words='end front omit' ;;
	iv) words='explicit implicit' ;;
	select) words='cpu dscp mark flow' ;;
	replay-protection | fastpath | spread | beet-frag | echo | esn | hold) words='on off' ;;
	mode) words='transport tunnel beet' ;;
	flag) words='noecn decap-dscp nopmtudisc wildrecv icmp af-unspec align4 esn' ;;
	family) words='inet inet6' ;;
	encap) words=espinudp ;;
	or) words=plain ;;
	pref) [[ $sub == add ]] || words=$(_xfrm_ext_values pref "$tool" rule list) ;;
	aead | enc | auth-trunc) words=$(_xfrm_ext_values algorithm "$tool" capabilities) ;;
	spi | reply-spi) [[ $command == add ]] || words=$(_xfrm_ext_values spi "$tool" show) ;;
	src | dst | reqid)
		[[ $command == add || $command == rule ]] ||
			words=$(_xfrm_ext_values "$prev" "$tool" show)
		;;
	tx-subspaces | tx-base | select-cpus | select-dscp | select-mask | select-shift | tx-start | \
		tx-warn | rx-subspaces | window | memory-max | mark | mask | if_id | gap | len | \
		interval | timeout | count | size | tfcpad | highest | sub-key | tx-crypt-offset | rx-crypt-offset) ;;
	*)
		case $command in
		'') words="$commands -json -statistics -details -timestamp -batch -4 -6" ;;
		show) words="src dst spi reqid -json -statistics -details" ;;
		add) words="src dst spi mode aead enc auth-trunc key-file reqid mark if_id flag encap
			tfcpad output-mark sel-src sel-dst esn hold tx-start $ext" ;;
		rule)
			case $sub in
			'') words='add delete list flush help' ;;
			add) words="pref family reqid if_id mark src dst plain or $ext" ;;
			delete) words=pref ;;
			esac
			;;
		set) words="$id tx-subspace rx-subspace gap release" ;;
		dummy) words="$id len tx-subspace" ;;
		metrics) words=state ;;
		watch) words='interval count' ;;
		ping) words="$id reply-spi tx-subspace count interval timeout size" ;;
		monitor | capabilities | totals) words='-json -timestamp' ;;
		esac
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _xfrm_ext xfrm-ext
