# The driver goes away under the daemon and comes back.
. /lib.sh
load_cameras 1
pipeline main "$camera" YUYV 640 480
start
more_frames main-count 25
holds before
ticks normal 10
echo vivid.0 >$driver/unbind
until_it rmmod vivid
[ -e "$camera" ] || echo "FACT gone 1"
until_it logged 'is absent'
ticks away 10
holds away
tell away
load_cameras 1
more_frames main-count 50
holds after
tell end
finish
