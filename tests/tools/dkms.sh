#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# How the package has its modules built, with the real dkms and kernels that only look like
# some.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

top=$(dirname "$build")
type -P dkms >/dev/null || {
	echo "no dkms here"
	exit 77
}
mkdir -p root/lib/modules root/var/lib/dkms root/usr/src/{daxcow-1.0,daxcow-dax-1.0}
tree=root/usr/src/daxcow-1.0
live_tree=root/usr/src/daxcow-dax-1.0
cp -r "$top"/{Kbuild,dkms.conf} $tree
cp -r "$top"/livepatch/dkms.conf $live_tree
mkdir $live_tree/livepatch
ROOT=$dir/root
export DAXCOW_DKMS_ROOT=$ROOT

# kernel NAME: one whose modules say what they were built from
kernel()
{
	local build=root/lib/modules/$1/build

	mkdir -p "root/lib/modules/$1/kernel" "$build/include"
	touch "$build/.config"
	cat >"$build/Makefile" <<-'END'
		.RECIPEPREFIX = >
		modules:
		>@test ! -e $(CURDIR)/broken || { echo "error: in $(CURDIR)"; false; }
		>echo "char s[] = \"from $$(cksum <$(M)/Kbuild)\";" | \
		> $(CC) -x c -c -o $(M)/dm-daxcow.ko -
		clean:
		>rm -f $(M)/dm-daxcow.ko
	END
}

# the live patch of one that is not there
cat >$live_tree/livepatch/build <<-'END'
	#!/bin/sh
	test ! -e "$1/no-source" || { echo "livepatch: no source" >&2; exit 1; }
	mkdir -p "$2"
	echo "char s[] = \"live for $1\";" | cc -x c -c -o "$2/dm-daxcow-dax.ko" -
END
chmod +x $live_tree/livepatch/build

# live NAME: a kernel that can be patched while it runs
live()
{
	mkdir -p "root/lib/modules/$1/build/include/config"
	echo CONFIG_LIVEPATCH=y >"root/lib/modules/$1/build/include/config/auto.conf"
}

# has_live NAME: it has what is built for it
has_live()
{
	find "root/lib/modules/$1" -name 'dm-daxcow-dax.ko*' -exec cat {} + |
		{ xz -dc 2>/dev/null || cat; } >module
	find "root/lib/modules/$1" -name 'dm-daxcow-dax.ko' -exec cat {} + >>module
	grep -qa "live for .*/$1/" module || failed "$1: has no live patch"
}

# installs CODE [--missing]: run it
installs()
{
	local got=0

	"$top/tools/dkms-build" "${@:2}" >out 2>err </dev/null || got=$?
	[ "$got" = "$1" ] || failed "exit code $got instead of $1: $(cat out err | head -c 900)"
}

# has NAME: a kernel has what is built of the source as it is
has()
{
	find "root/lib/modules/$1" -name 'dm-daxcow.ko*' -exec cat {} + |
		{ xz -dc 2>/dev/null || cat; } >module
	find "root/lib/modules/$1" -name 'dm-daxcow.ko' -exec cat {} + >>module
	grep -qa "from $(cksum <$tree/Kbuild)" module || failed "$1: not the module of this source"
}

none()
{
	[ -z "$(find "root/lib/modules/$1" -name 'dm-daxcow*')" ] || failed "$1: has a module"
}

# state NAME: what a kernel has, and what dkms says of it
state()
{
	find "root/lib/modules/$1" "root/var/lib/dkms" -path "*$1*" -name 'dm-daxcow*' \
		-exec cksum {} + | sort
	dkms status --dkmstree "$ROOT/var/lib/dkms" -k "$1"
}

# keeps NAME: it is as it was when there was "before"
keeps()
{
	state "$1" | diff before - || failed "$1: is not what it was"
}

no_live()
{
	[ -z "$(find "root/lib/modules/$1" -name 'dm-daxcow-dax*')" ] ||
		failed "$1: has a live patch"
}

# none that it is for
kernel 6.1.0-9-amd64
kernel 6.120.1
installs 0
says err "no kernel 6.12"
none 6.1.0-9-amd64

# several, and none of them runs
kernel 6.12.1-a
kernel 6.12.44+b
mkdir -p root/lib/modules/6.12.7-removed
installs 0
says out "6.12.1-a: dm-daxcow installed"
has 6.12.1-a
has 6.12.44+b
none 6.1.0-9-amd64
no_live 6.12.1-a

# a source that has changed; not for who wants only what is missing
echo '# another' >>$tree/Kbuild
state 6.12.1-a >before
kernel 6.12.45+c
installs 0 --missing
has 6.12.45+c
keeps 6.12.1-a
installs 0
has 6.12.1-a
has 6.12.44+b

# one that cannot be built keeps what it has, the others get the new one
state 6.12.1-a >before
touch root/lib/modules/6.12.1-a/build/broken
echo '# a third' >>$tree/Kbuild
installs 1
says err "6.12.1-a: could not be built"
has 6.12.44+b
keeps 6.12.1-a
rm root/lib/modules/6.12.1-a/build/broken
installs 0
has 6.12.1-a

# the live patch: not for all, and not instead of a module that works
kernel 6.12.9-live
live 6.12.9-live
kernel 6.12.10-patched
live 6.12.10-patched
printf '0x0\tdax_remaps_get\tvmlinux\tEXPORT_SYMBOL_GPL\t\n' \
	>root/lib/modules/6.12.10-patched/build/Module.symvers
touch root/lib/modules/6.12.9-live/build/no-source
installs 1
says err "6.12.9-live: no new live patch"
says err "livepatch: no source"
has 6.12.9-live
no_live 6.12.9-live
has 6.12.10-patched
no_live 6.12.10-patched

# its source comes later
rm root/lib/modules/6.12.9-live/build/no-source
touch root/usr/src/linux-source-6.12.tar.xz
installs 0 --missing
has 6.12.9-live
has_live 6.12.9-live
installs 0 --missing
[ ! -s out ] || failed "nothing is missing: $(cat out)"

# it has failed, and nothing has changed: not a minute's work for each package
kernel 6.12.11-nothing
live 6.12.11-nothing
touch root/lib/modules/6.12.11-nothing/build/no-source
installs 1 --missing
says out "6.12.11-nothing: building"
installs 1 --missing
says err "6.12.11-nothing: as before, not all could be built"
grep -q building out && failed "builds again: $(cat out)"
echo another >root/usr/src/linux-source-6.12.tar.xz
installs 1 --missing
says out "6.12.11-nothing: building"
installs 1
says out "6.12.11-nothing: building"
rm -r root/lib/modules/6.12.11-nothing

# an old pair stays together
state 6.12.9-live >before
touch root/lib/modules/6.12.9-live/build/no-source
echo '# a fourth' >>$tree/Kbuild
installs 1
says err "6.12.9-live: keeps the modules that it has"
keeps 6.12.9-live
has 6.12.44+b
rm root/lib/modules/6.12.9-live/build/no-source
installs 0
has 6.12.9-live
has_live 6.12.9-live

# Debian's next build of a kernel has the same name, and refuses the live patch of this one
mkdir -p root/lib/modules/6.12.9-live/build/include/generated
echo '#define UTS_VERSION "2"' >root/lib/modules/6.12.9-live/build/include/generated/utsversion.h
installs 0 --missing
says out "6.12.9-live: dm-daxcow, dm-daxcow-dax installed"
installs 0 --missing
[ ! -s out ] || failed "nothing is missing: $(cat out)"

# what has been built and cannot be installed is not half installed
state 6.12.9-live >before
echo '# a fifth' >>$tree/Kbuild
mkdir bin
cat >bin/dkms <<-'END'
	#!/bin/bash
	case $1$(cat "$FAIL") in
	installonce) [[ $* != *"-m daxcow-dax "* ]] || { : >"$FAIL"; exit 1; } ;;
	installkill) [[ $* != *"-m daxcow-dax "* ]] || { : >"$FAIL"; kill -9 $PPID; exit 1; } ;;
	buildnone)
		if [[ $* == *6.12.10-patched* ]]; then
			: >"$FAIL"
			echo 'Error! the headers are not good enough'
			exit 1
		fi ;;
	installback) : >"$FAIL"; kill -9 $PPID ;;
	buildorphan) : >"$FAIL"; kill -9 $PPID; sleep 2 ;;
	esac
	exec /usr/sbin/dkms "$@"
END
# a disk that is full, here or there
cat >bin/cp <<-'END'
	#!/bin/bash
	case $(cat "$FAIL")${!#} in
	full-modules*/lib/modules/*) ;;
	full-build*/1.0/*/module/*) ;;
	*) exec /bin/cp "$@" ;;
	esac
	head -c 100 "${@: -2:1}" >"${!#}"
	exit 1
END
# killed when half of it is gone
cat >bin/rm <<-'END'
	#!/bin/bash
	case $(cat "$FAIL")${!#} in
	half*/daxcow-dkms/*)
		first=$(find "${!#}/daxcow-dax" -name built 2>/dev/null)
		[ -z "$first" ] || { : >"$FAIL"; /bin/rm -r "$first"; kill -9 $PPID; exit 1; } ;;
	esac
	exec /bin/rm "$@"
END
chmod +x bin/*
export FAIL=$dir/fail
PATH=$dir/bin:$PATH
echo once >fail
installs 1
says err "daxcow-dax could not be installed"
keeps 6.12.9-live
# ... nor is it when it is killed, after the next run, which finds that
echo kill >fail
installs 137
installs 0 --missing
keeps 6.12.9-live
installs 0
has 6.12.9-live
has_live 6.12.9-live
state 6.12.9-live >before
installs 0 --missing
keeps 6.12.9-live

# ... also when it is killed while it puts that back, or when it lets go of that
touch root/lib/modules/6.12.9-live/build/no-source
echo '# a sixth' >>$tree/Kbuild
echo back >fail
installs 137
[ ! -s fail ] || failed "was not killed"
installs 0 --missing
keeps 6.12.9-live
rm root/lib/modules/6.12.9-live/build/no-source
echo half >fail
installs 137
[ ! -s fail ] || failed "was not killed"
touch root/lib/modules/6.12.9-live/build/broken
installs 1
has_live 6.12.9-live
has 6.12.9-live
rm root/lib/modules/6.12.9-live/build/broken
installs 0
state 6.12.9-live >before

# ... and who comes next waits for what it has left running
echo '# a seventh' >>$tree/Kbuild
echo orphan >fail
installs 137
flock -n root/run/daxcow-dkms.lock true && failed "dkms runs without the lock"
installs 0 --missing
keeps 6.12.9-live

# ... and not at all when the package has been removed meanwhile
flock root/run/daxcow-dkms.lock -c 'sleep 2; echo removed >>root/run/daxcow-dkms.lock' &
sleep 0.5
installs 1
says err "the package is being removed"
keeps 6.12.9-live
wait
: >root/run/daxcow-dkms.lock

# one that somebody has put elsewhere is none of this
mkdir root/lib/modules/6.12.9-live/extra
echo mine >root/lib/modules/6.12.9-live/extra/dm-daxcow.ko
installs 0 --missing
installs 0
grep -qx mine root/lib/modules/6.12.9-live/extra/dm-daxcow.ko || failed "it was replaced"
rm -r root/lib/modules/6.12.9-live/extra
installs 0
state 6.12.9-live >before
echo '# an eighth' >>$tree/Kbuild

# a full disk: half a module is none, and what was there is put back when there is room
echo full-build >fail
installs 1
says err "Only a part of it is there"
keeps 6.12.9-live
echo full-modules >fail
installs 1
says err "daxcow cannot be put back as it was"
installs 1 --missing
says err "daxcow cannot be put back as it was"
: >fail
installs 0 --missing
keeps 6.12.9-live
installs 0
has 6.12.9-live
has_live 6.12.9-live

# why it failed is not what another kernel's log says
touch root/lib/modules/6.12.1-a/build/broken
echo none >fail
LC_ALL=C installs 1
says err "/6.12.1-a/build"
says err "Error! the headers are not good enough"
[ "$(grep -c 'error: in' err)" -eq 1 ] || failed "another kernel's reason: $(cat err)"
rm root/lib/modules/6.12.1-a/build/broken

# ... and where there was nothing there is nothing
kernel 6.12.12-new
live 6.12.12-new
echo once >fail
installs 1 --missing
says err "6.12.12-new: daxcow-dax could not be installed"
none 6.12.12-new
installs 0
has 6.12.12-new
has_live 6.12.12-new

# no headers
rm -r root/lib/modules/6.12.44+b/build
installs 1
says err "install linux-headers-6.12.44+b"

# what is built is what the package brings
for conf in dkms.conf livepatch/dkms.conf; do
	grep -qx 'PACKAGE_VERSION="1.0"' "$top/$conf" || failed "$conf: another version"
done

finish
