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

readonly synopsis='usage: install.sh [--prefix DIR] [--uninstall]'

usage() {
    printf 'install: %s\n%s\n' "$1" "$synopsis" >&2
    exit 64
}

here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
prefix='' uninstall=no
while [ $# -gt 0 ]; do
    case $1 in
        --prefix | --prefix=)
            [ -n "${2:-}" ] && [ "$1" = --prefix ] || usage "--prefix takes a directory"
            prefix=$2
            shift
            ;;
        --prefix=*) prefix=${1#*=} ;;
        --uninstall) uninstall=yes ;;
        --help)
            printf '%s\n' "$synopsis"
            exit
            ;;
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
while [ "$prefix" != "${prefix%/}" ]; do prefix=${prefix%/}; done
readonly here prefix

# What was installed, below the prefix: DIGEST and path of each file, `directory` and path, with a slash at its end, of each
# directory that was made.
readonly list=$prefix/lib/pki/installed

paths() { sed 's/^[^ ]*  //'; }

# The digest of a file, or of what a link says.
digest_of() {
    if [ -L "$1" ]; then readlink "$1"; else cat "$1"; fi | sha256sum | cut -d ' ' -f 1
}

# As root: refuses a directory in which somebody else can exchange what is installed. What is root's in a directory with the
# sticky bit can be exchanged by root alone; members of Debian's group staff are trusted with /usr/local.
check_directory() {
    [ "$(id -u)" -eq 0 ] || return 0
    case $(stat -L -c '%u %G %a' "$1") in
        '0 '*' '[1357]???) ;;
        '0 '*[2367]) refuse "everybody can write to $1" "as root, choose a --prefix that only root can write to" ;;
        '0 root '* | '0 staff '*) ;;
        '0 '*[2367]?) refuse "a group can write to $1" "as root, choose a --prefix that only root can write to" ;;
        '0 '*) ;;
        *) refuse "$1 belongs to another user" "run this script as that user, or choose another --prefix" ;;
    esac
}

# Checks each directory on the way that there is.
check_way() {
    [ -z "$1" ] || check_way "${1%/*}"
    [ ! -d "$1/" ] || check_directory "$1/"
}

# Whether a directory on the way from the prefix to a path is a link.
leads_elsewhere() {
    case $1 in
        */*) [ -L "$prefix/${1%/*}" ] || leads_elsewhere "${1%/*}" ;;
        *) return 1 ;;
    esac
}

check_prefix() {
    check_way "$prefix"
    [ ! -d "$prefix/" ] || check_way "$(cd "$prefix/" && pwd -P)"
    [ ! -L "$list" ] && ! leads_elsewhere lib/pki/installed || refuse "$list is a link, or below one"
}

# Removes what the list on standard input names, of directories those that are empty, the deepest first. A file that is not
# the installed one stays.
remove() {
    LC_ALL=C sort -r -k 2 | while read -r digest path; do
        if leads_elsewhere "$path"; then
            printf 'left %s: it is below a link\n' "$prefix/$path"
        elif [ "$digest" = directory ]; then
            rmdir "$prefix/$path" 2>/dev/null || true
        elif [ -e "$prefix/$path" ] || [ -L "$prefix/$path" ]; then
            if [ ! -d "$prefix/$path" ] && [ "$(digest_of "$prefix/$path")" = "$digest" ]; then
                rm -f "$prefix/$path"
            else
                printf 'left %s: it is not what was installed\n' "$prefix/$path"
            fi
        fi
    done
}

check_list() {
    outside=$(paths <"$list" | grep -E -m 1 '^/|(^|/)\.\.(/|$)') || return 0
    refuse "$list names a path outside of $prefix: $outside"
}

check_prefix
work=$(mktemp -d)
stage=''
trap 'rm -rf "$work" ${stage:+"$stage"}' EXIT
trap 'exit 2' HUP INT TERM

if [ "$uninstall" = yes ]; then
    [ -f "$list" ] || refuse "there is no $list: nothing was installed below $prefix by this script"
    check_list
    cp "$list" "$work/old"
    # The list's own directory is the last that becomes empty.
    rm -f "$list"
    remove <"$work/old"
    printf 'removed pki from %s; CA directories, caches and profiles are where they were\n' "$prefix"
    exit
fi

[ -x "$here/bin/pki" ] || refuse "there is no bin/pki beside this script" "unpack the archive, and run install.sh in it"
version=$("$here/bin/pki" --version) || refuse "bin/pki does not run on this system" \
    "it needs Linux on x86-64 with glibc 2.35 or newer; see README.md for what else"

# systemd reads units, users and directories nowhere else.
case $prefix in
    /usr | /usr/local) libraries=lib ;;
    *) libraries=lib/pki ;;
esac
(cd "$here" && find bin $libraries share ! -type d && echo lib/pki/install.sh) | LC_ALL=C sort >"$work/files"
(cd "$here" && echo lib && echo lib/pki && find bin $libraries share -type d) | LC_ALL=C sort -u >"$work/directories"

: >"$work/old"
[ ! -f "$list" ] || {
    check_list
    cp "$list" "$work/old"
}
paths <"$work/old" >"$work/listed"
while IFS= read -r path; do
    ! leads_elsewhere "$path/" || refuse "$prefix/$path is a link, or below one" "choose another --prefix"
    [ ! -d "$prefix/$path" ] || check_directory "$prefix/$path"
done <"$work/directories"
while IFS= read -r path; do
    if [ -e "$prefix/$path" ] || [ -L "$prefix/$path" ]; then
        grep -qxF "$path" "$work/listed" || refuse "$prefix/$path exists and is not of this script" \
            "install below another directory with --prefix, or remove that file if it is an older pki of yours"
    fi
done <"$work/files"

mkdir -p "$prefix/"
check_prefix
[ -w "$prefix/" ] || refuse "you cannot write to $prefix" "run it as root, or choose a --prefix of yours"
# Beside what it replaces, in a directory of its own that nobody else can write to.
stage=$(mktemp -d "$prefix/.pki.XXXXXX")

while IFS= read -r path; do
    source=$here/$path
    mkdir -p "$stage/${path%/*}"
    [ "$path" != lib/pki/install.sh ] || source=$here/install.sh
    case $path in
        bin/* | lib/pki/install.sh) mode=755 ;;
        *) mode=644 ;;
    esac
    if [ -L "$source" ]; then
        cp -P "$source" "$stage/$path"
    else
        install -m "$mode" "$source" "$stage/$path"
    fi
    case $path in
        lib/systemd/*) sed "s:/usr/bin/pki :$prefix/bin/pki :g" "$source" >"$stage/$path" ;;
    esac
    printf '%s  %s\n' "$(digest_of "$stage/$path")" "$path" >>"$work/new"
done <"$work/files"

# The directories that are made now, and those of before, so that they are removed at the end.
while IFS= read -r path; do
    [ -d "$prefix/$path" ] || {
        mkdir "$prefix/$path"
        printf 'directory  %s/\n' "$path" >>"$work/new"
    }
done <"$work/directories"
grep '^directory ' "$work/old" >>"$work/new" || true
write_list() {
    LC_ALL=C sort -u "$@" >"$stage/installed"
    mv -fT "$stage/installed" "$list"
}
# Both, until all is done: an installation that was interrupted can be repeated and removed.
write_list "$work/new" "$work/old"

# A program that is running stays whole.
while IFS= read -r path; do mv -fT "$stage/$path" "$prefix/$path"; done <"$work/files"

# Files that this version no longer has.
grep -v '^directory ' "$work/old" | while read -r digest path; do
    grep -qxF "$path" "$work/files" || printf '%s  %s\n' "$digest" "$path"
done | remove
write_list "$work/new"
printf 'installed %s below %s; to remove it: %s/lib/pki/install.sh --uninstall\n' "$version" "$prefix" "$prefix"
[ "$libraries" = lib ] || printf 'systemd units are installed below /usr and /usr/local only\n'
case :$PATH: in
    *:"$prefix/bin":*) ;;
    *) printf '%s is not on the PATH\n' "$prefix/bin" ;;
esac
