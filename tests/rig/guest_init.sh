#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The first and only process of the virtual machine of rig/dax.py, run by busybox. What to do stands on the
# kernel's command line: rig=ACTION:FS. Everything it says goes to the serial line; the host judges.
export PATH=/bin:/sbin LD_LIBRARY_PATH=/lib
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in $(cat /modules); do
    modprobe "$module" || echo "NOTE no module $module"
done

ask=$(sed -n 's/.*\brig=\([a-z0-9:]*\).*/\1/p' /proc/cmdline)
action=${ask%%:*}
fs=${ask##*:}
device=/dev/pmem0
mkdir -p /mnt

make() {
    case $1 in
    ext4) mkfs.ext4 -q -F -b 4096 $device ;;
    xfs) mkfs.xfs -q -f -m reflink=0 $device ;;
    esac
}

on() {
    mount -t "$1" -o dax=always $device /mnt || { echo "FAILED mount $1"; return 1; }
}

tries=0
while [ ! -b $device ] && [ "$action" != format ] && [ $tries -lt 50 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
case $action in
format) # an NVDIMM comes raw; this is needed once
    ndctl create-namespace -f -e namespace0.0 -m fsdax -M mem >/dev/null || echo "FAILED ndctl"
    ;;
probe)
    for fs in ext4 xfs; do
        make $fs && on $fs && echo "FS $fs" && rig_guest probe /mnt
        PMEM_IS_PMEM_FORCE=1 rig_guest probe /mnt | sed 's/^/FORCED /'
        umount /mnt
    done
    ;;
new) make "$fs" && on "$fs" && rig_guest append /mnt/log 4 ;;
again) on "$fs" && rig_guest append /mnt/log 4 ;;
check) on "$fs" && rig_guest check /mnt/log && stele verify /mnt/log && umount /mnt ;;
esac
echo "DONE $action"
sync
poweroff -f
