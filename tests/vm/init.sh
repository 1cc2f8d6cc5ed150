#!/bin/sh
# The guest's first process: brings up what a program of ours needs, runs the cases, and powers off. A line that
# begins with `CASE` is the result of one case, the line `DONE` says that none is missing.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
for module in /modules/*.ko; do
    insmod "$module"
done

# Plugs in virtual cameras that only capture: /dev/video0 and on.
#     load_cameras HOW-MANY
load_cameras() {
    types=0x1
    [ "$1" = 2 ] && types=0x1,0x1
    for module in /modules/camera/*.ko; do
        case $module in
        *vivid.ko) insmod "$module" n_devs="$1" node_types=$types ;;
        # There already where the camera is plugged in again.
        *) insmod "$module" 2>/dev/null ;;
        esac
    done
}

# Runs each test that waits for such a machine by itself, as a case.
#     run_tests PROGRAM
run_tests() {
    for name in $("$1" --list --ignored | sed -n 's/: test$//p'); do
        if "$1" --ignored --exact --nocapture "$name"; then
            echo "CASE $name: passed"
        else
            echo "CASE $name: failed"
        fi
    done
}

. /cases.sh
echo DONE
poweroff -f
