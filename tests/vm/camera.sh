ls -l /dev/video* /sys/bus/platform/drivers/vivid
cat /proc/uptime
cat /sys/class/video4linux/video0/name
