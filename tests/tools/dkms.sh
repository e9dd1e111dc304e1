#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make dkms-install, with the real dkms and kernels that only look like some.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

top=$(dirname "$build")
type -P dkms >/dev/null || {
	echo "no dkms here"
	exit 77
}
mkdir -p tree/tools root/lib/modules
cp -r "$top"/{Kbuild,dkms.conf,drivers,include} tree
cp "$top/tools/dkms-install" tree/tools
export ROOT=$dir/root

# kernel NAME: one whose modules say what they were built from
kernel()
{
	local build=root/lib/modules/$1/build

	mkdir -p "root/lib/modules/$1/kernel" "$build/include"
	touch "$build/.config"
	cat >"$build/Makefile" <<-'END'
		.RECIPEPREFIX = >
		modules:
		>test ! -e $(CURDIR)/broken
		>echo "char s[] = \"from $$(cksum <$(M)/Kbuild)\";" | \
		> $(CC) -x c -c -o $(M)/dm-daxcow.ko -
		clean:
		>rm -f $(M)/dm-daxcow.ko
	END
}

# installs CODE: run it
installs()
{
	local got=0

	tree/tools/dkms-install >out 2>err </dev/null || got=$?
	[ "$got" = "$1" ] || failed "exit code $got instead of $1: $(cat out err | head -c 900)"
}

# has NAME: a kernel has what is built of the source as it is
has()
{
	find "root/lib/modules/$1" -name 'dm-daxcow.ko*' -exec cat {} + |
		{ xz -dc 2>/dev/null || cat; } >module
	find "root/lib/modules/$1" -name 'dm-daxcow.ko' -exec cat {} + >>module
	grep -qa "from $(cksum <tree/Kbuild)" module || failed "$1: not the module of this source"
}

none()
{
	[ -z "$(find "root/lib/modules/$1" -name 'dm-daxcow*')" ] || failed "$1: has a module"
}

# none that it is for
installs 1
says err "no kernel here"
says err "found: none"
kernel 6.1.0-9-amd64
kernel 6.120.1
installs 1
says err "found: 6.1.0-9-amd64 6.120.1"
[ ! -e root/usr ] || failed "left a source behind"

# several, and none of them runs
kernel 6.12.1-a
kernel 6.12.44+b
mkdir -p root/lib/modules/6.12.7-removed
installs 0
says out "installed for 6.12.1-a 6.12.44+b"
has 6.12.1-a
has 6.12.44+b
none 6.1.0-9-amd64

# a source that has changed
echo '# another' >>tree/Kbuild
touch tree/drivers/new
installs 0
has 6.12.1-a
has 6.12.44+b
rm tree/drivers/new
installs 0
[ ! -e root/usr/src/daxcow-1.0/drivers/new ] || failed "kept a file that is no more"

# one that cannot be built keeps what it has, the others get the new one
find root/lib/modules/6.12.1-a -name 'dm-daxcow*' -exec cksum {} + >before
touch root/lib/modules/6.12.1-a/build/broken
echo '# a third' >>tree/Kbuild
installs 1
says err "6.12.1-a: could not be built"
says err "1 of 2 kernels"
has 6.12.44+b
find root/lib/modules/6.12.1-a -name 'dm-daxcow*' -exec cksum {} + | cmp -s - before ||
	failed "6.12.1-a: has lost its module"
rm root/lib/modules/6.12.1-a/build/broken
installs 0
has 6.12.1-a

# no headers
rm -r root/lib/modules/6.12.44+b/build
installs 1
says err "install linux-headers-6.12.44+b"

# the targets of make are these
grep -q 'tools/dkms-install$' "$top/Makefile" || failed "make dkms-install is something else"

finish
