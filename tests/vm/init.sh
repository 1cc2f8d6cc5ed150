#!/bin/sh
# The guest's first process: brings up what a program of ours needs, runs the cases, and powers off. A line that
# begins with `CASE` is the result of one case, the line `DONE` says that none is missing.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
for module in /modules/*.ko; do
    case $module in
    *vivid.ko) insmod "$module" n_devs=1 node_types=0x1 ;;
    *) insmod "$module" ;;
    esac
done
. /cases.sh
echo DONE
poweroff -f
