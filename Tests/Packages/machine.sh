#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The first process of a machine: roots.py starts it in namespaces of its own. It makes a root of a cached one that it does
# not change, lets go of everything else, says that it is ready, and becomes another program. What it mounts is gone with
# the last process in the machine.
#
#   machine.sh ROOT EMPTY-DIRECTORY [--bind DIRECTORY=POINT]... -- PROGRAM...

set -euo pipefail

cached=$1 point=$2
shift 2
ip link set lo up
hostname machine
mount --make-rprivate /
mount -t tmpfs -o mode=755 machine "$point"
mkdir "$point"/{changes,work,root}
mount -t overlay -o "lowerdir=$cached,upperdir=$point/changes,workdir=$point/work" machine "$point/root"
cd "$point/root"

mount -t proc -o nosuid,nodev,noexec proc proc
# The kernel's settings are those of the host.
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755,nosuid tmpfs dev
mkdir dev/{pts,shm}
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs dev/shm
for device in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 666 "dev/${device%:*}" c 1 "${device#*:}"
done
mknod -m 666 dev/tty c 5 0
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for stream in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${stream%:*}" "dev/${stream#*:}"; done

while [[ $1 != -- ]]; do
    [[ $1 == --bind ]]
    mkdir -p "./${2#*=}"
    mount --bind "${2%%=*}" "./${2#*=}"
    mount -o remount,bind,ro "./${2#*=}"
    shift 2
done
shift

pivot_root . .
umount --lazy .
cd /
# systemd's credentials reach a service by a mount that others see.
mount --make-rshared /
printf 'ready\n'
exec env --ignore-environment container=machine PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    "$@" </dev/null >/dev/null 2>&1
