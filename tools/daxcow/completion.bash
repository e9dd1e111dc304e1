# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# bash completion for daxcow
#
# Commands, options and what the operands are is asked of the command's own help, so
# there is no second list of them here.

_daxcow_ask()
{
	daxcow "$@" 2>/dev/null </dev/null
}

# The names in the first column of a table. A pool may have others, from elsewhere:
# what a shell would not take as they are.
_daxcow_column()
{
	_daxcow_ask "$@" | awk 'NR > 1 && $1 ~ /^[A-Za-z0-9._+][A-Za-z0-9._+-]*$/ { print $1 }'
}

_daxcow_commands()
{
	_daxcow_ask --help | sed -n 's/^  \([a-z]\{1,\}\)\( .*\)\{0,1\}$/\1/p'
}

# _daxcow_options [COMMAND]
_daxcow_options()
{
	_daxcow_ask "$@" --help | sed -n 's/^ *\(-[a-zA-Z], \)\{0,1\}\(--[a-z-]*\).*/\2/p'
}

# _daxcow_takes_value COMMAND OPTION: the value stands after one space, help after several
_daxcow_takes_value()
{
	_daxcow_ask ${1:+"$1"} --help | grep -qE -- "(^ +|, )$2( [A-Z]+|, --[a-z]+ [A-Z]+| auto)"
}

# _daxcow_usage COMMAND: a line for each of its operands, of those before the first |
_daxcow_usage()
{
	_daxcow_ask "$1" --help | sed -n '1 {
		s/^Usage: daxcow [a-z]* \[OPTION\]\.\.\. *//
		s/ | .*//; s/ --.*//; s/[][]//g; s/ \{1,\}/\n/g; p
	}'
}

# _daxcow_operand KIND POOL CUR: what may stand there
_daxcow_operand()
{
	case $1 in
	POOL) _daxcow_column status ;;
	NAME* | ORIGIN* | SNAPSHOT) _daxcow_column list --quick "$2" ;;
	DEVICE) compgen -f -- "${3:-/dev/pmem}" || true ;;
	DEVICE\|FILE | TARGET | PACK | DUMP | FILE) compgen -f -- "$3" || true ;;
	LEFT | RIGHT | SIZE | +SIZE | OFFSET | LENGTH) ;;	# the pool is not started; a number
	*) return 1 ;;
	esac
}

# Which command it is, how many operands stand between it and the cursor, and the first.
_daxcow_place()
{
	local i word
	command='' operands=0 pool=''
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $word == -* ]]; then
			! _daxcow_takes_value "$command" "$word" || i=$((i + 1))
		elif [ -z "$command" ]; then
			command=$word
		else
			[ $operands -gt 0 ] || pool=$word
			operands=$((operands + 1))
		fi
	done
}

_daxcow_words()
{
	local usage last
	if [[ $cur == -* ]]; then
		_daxcow_options ${command:+"$command"}
	elif [ -z "$command" ]; then
		_daxcow_commands
	else
		mapfile -t usage < <(_daxcow_usage "$command")
		last=$((${#usage[@]} - 1))
		# only the last one may be there several times
		if [ $operands -le $last ]; then
			_daxcow_operand "${usage[operands]}" "$pool" "$cur"
		elif [[ ${usage[last]:-} == *...* ]]; then
			_daxcow_operand "${usage[last]}" "$pool" "$cur"
		fi
	fi
}

_daxcow()
{
	local cur=${COMP_WORDS[COMP_CWORD]} command operands pool word
	COMPREPLY=()
	_daxcow_place
	# not compgen -W, which would expand what the words are made of
	while read -r word; do
		[[ $word != "$cur"* ]] || COMPREPLY+=("$word")
	done < <(_daxcow_words)
}

complete -o filenames -F _daxcow daxcow
