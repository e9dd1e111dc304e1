#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Completion in bash, against the commands that the tool has.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

top=$(dirname "$build")
# shellcheck source=../../tools/daxcow/completion.bash
. "$top/tools/daxcow/completion.bash"

# The tool, with a pool that is started. One of its volumes has a name from elsewhere.
daxcow()
{
	case $* in
	*--help) "$build/tools/daxcow" "$@" ;;
	status) printf 'POOL MODE\ntank rw\nstore rw\n' ;;
	"list --quick tank")
		# shellcheck disable=SC2016 # it must not be run
		printf 'NAME SIZE\nbase 1G\nbase.monday 1G\n$(touch${IFS}hit) 1G\n-x 1G\n' ;;
	esac
}

# completes "WORDS" WANTED...: the last of WORDS is where the cursor is
completes()
{
	local line=$1 got

	shift
	read -r -a COMP_WORDS <<<"$line"
	[[ $line != *" " ]] || COMP_WORDS+=("")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	_daxcow
	got=$(printf '%s\n' "${COMPREPLY[@]}" | sort | xargs)
	[ "$got" = "$(printf '%s\n' "$@" | sort | xargs)" ] ||
		failed "\"$line\" completes to \"$got\", not \"$*\""
}

# all commands, as the source has them
mapfile -t commands < <(sed -n 's/^\t{ "\([a-z]*\)", cmd_.*/\1/p' "$top/tools/daxcow/main.c")
[ ${#commands[@]} -gt 20 ] || failed "found only the commands ${commands[*]}"
completes "daxcow " "${commands[@]}"
completes "daxcow re" remove repair resize restore

# all operands are of a kind that is known, and all options are there
for command in "${commands[@]}"; do
	while read -r kind; do
		[ -z "$kind" ] || _daxcow_operand "$kind" tank "" >/dev/null ||
			failed "$command: completion does not know what $kind is"
	done < <(_daxcow_usage "$command")
	mapfile -t options < <("$build/tools/daxcow" "$command" --help |
		grep -oE '^ +(-., )?--[a-z-]+' | grep -oE -- '--.*')
	[ ${#options[@]} -ge 4 ] || failed "$command: has the options ${options[*]}"
	completes "daxcow $command --" "${options[@]}"
done

# pools and volumes
completes "daxcow list " store tank
completes "daxcow list tank "
completes "daxcow remove tank base" base base.monday
completes "daxcow remove tank base base.m" base.monday
completes "daxcow snapshot tank " base base.monday
completes "daxcow rollback tank base " base base.monday
completes "daxcow create --size 1G t" tank
completes "daxcow create -s 1G t" tank
completes "daxcow dedupe --follow t" tank
completes "daxcow remove other "
[ ! -e hit ] || failed "a name was run"

# devices and files
touch pool.img
completes "daxcow check p" pool.img
completes "daxcow check --force p" pool.img

finish
