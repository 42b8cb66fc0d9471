#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs pki from this archive, or a newer version over an older one, and removes it again. It enables nothing, and
# leaves alone what pki has made: CA directories, caches and profiles.
#
#   ./install.sh [--prefix DIR]                 installs below /usr/local, or DIR
#   PREFIX/lib/pki/install.sh --uninstall       removes what was installed

set -eu
umask 022

refuse() {
    printf 'install: %s\n' "$1" >&2
    [ -z "${2:-}" ] || printf '         %s\n' "$2" >&2
    exit 2
}

usage() {
    printf 'install: %s\nusage: install.sh [--prefix DIR] [--uninstall]\n' "$1" >&2
    exit 64
}

here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
prefix='' uninstall=no
while [ $# -gt 0 ]; do
    case $1 in
        --prefix)
            [ -n "${2:-}" ] || usage "--prefix takes a directory"
            prefix=$2
            shift
            ;;
        --uninstall) uninstall=yes ;;
        *) usage "unknown option: $1" ;;
    esac
    shift
done
# A copy of this script is installed two directories below the prefix.
[ -n "$prefix" ] || case $here in
    */lib/pki) prefix=${here%/lib/pki} ;;
    *) prefix=/usr/local ;;
esac
case $prefix in
    /*) ;;
    *) prefix=$PWD/$prefix ;;
esac
case $prefix in
    *[!A-Za-z0-9/._+-]*) refuse "the prefix has characters that unit files cannot hold: $prefix" ;;
esac
readonly here prefix

# What was installed: a path below the prefix on each line, a directory's with a slash at its end.
readonly list=$prefix/lib/pki/installed

is_listed() { [ -f "$list" ] && grep -qxF "$1" "$list"; }

# Removes what the list on standard input names, of directories those that are empty, the deepest first.
remove() {
    LC_ALL=C sort -r | while IFS= read -r path; do
        case /$path/ in
            */../* | //*) refuse "$list names a path outside of $prefix: $path" ;;
            *//) rmdir "$prefix/$path" 2>/dev/null || true ;;
            *) rm -f "$prefix/$path" ;;
        esac
    done
}

if [ "$uninstall" = yes ]; then
    [ -f "$list" ] || refuse "there is no $list: nothing was installed below $prefix by this script"
    work=$(mktemp)
    trap 'rm -f "$work"' EXIT
    cp "$list" "$work"
    # The list's own directory is the last that becomes empty.
    rm -f "$list"
    remove <"$work"
    printf 'removed pki from %s; CA directories, caches and profiles are where they were\n' "$prefix"
    exit
fi

[ -x "$here/bin/pki" ] || refuse "there is no bin/pki beside this script" "unpack the archive, and run install.sh in it"
version=$("$here/bin/pki" --version) || refuse "bin/pki does not run on this system" \
    "it needs Linux on x86-64 with glibc 2.35 or newer; see README.md for what else"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$here" && find bin lib share ! -type d && echo lib/pki/install.sh) | LC_ALL=C sort >"$work/files"

while IFS= read -r path; do
    if [ -e "$prefix/$path" ] || [ -L "$prefix/$path" ]; then
        is_listed "$path" || refuse "$prefix/$path exists and is not of this script" \
            "install below another directory with --prefix, or remove that file if it is an older pki of yours"
    fi
done <"$work/files"

# The directories that are made now, and those of before, so that they are removed at the end.
make_directory() {
    [ -d "$prefix/$1" ] || {
        case $1 in */*) make_directory "${1%/*}" ;; esac
        mkdir "$prefix/$1"
        printf '%s/\n' "$1" >>"$work/new"
    }
}

mkdir -p "$prefix"
[ -w "$prefix" ] || refuse "you cannot write to $prefix" "run it as root, or choose a --prefix of yours"
cp "$work/files" "$work/new"
(cd "$here" && find bin lib share -type d && echo lib/pki) | LC_ALL=C sort -u >"$work/directories"
while IFS= read -r path; do make_directory "$path"; done <"$work/directories"
: >"$work/old"
[ ! -f "$list" ] || cp "$list" "$work/old"
grep '/$' "$work/old" >>"$work/new" || true
# Both, until all is done: an installation that was interrupted can be repeated and removed.
write_list() {
    LC_ALL=C sort -u "$@" >"$list.new"
    mv -f "$list.new" "$list"
}
write_list "$work/new" "$work/old"
LC_ALL=C sort "$work/new" >"$work/wanted"

while IFS= read -r path; do
    source=$here/$path
    [ "$path" != lib/pki/install.sh ] || source=$here/install.sh
    case $path in
        lib/systemd/*) sed "s:\(^ExecStart=\|'\)pki :\1$prefix/bin/pki :" "$source" >"$prefix/$path.new" ;;
        *) cp -P "$source" "$prefix/$path.new" ;;
    esac
    # A program that is running stays whole.
    mv -f "$prefix/$path.new" "$prefix/$path"
done <"$work/files"

LC_ALL=C comm -23 "$work/old" "$work/wanted" | grep -v '/$' >"$work/gone" || true
remove <"$work/gone"
write_list "$work/new"
printf 'installed %s below %s; to remove it: %s/lib/pki/install.sh --uninstall\n' "$version" "$prefix" "$prefix"
