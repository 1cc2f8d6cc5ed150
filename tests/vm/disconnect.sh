# The camera is pulled out, three times. It comes back when nobody holds it open any more.
. /lib.sh
load_cameras 1
pipeline main "$camera" YUYV 640 480
start
more_frames main-count 25
holds before
ticks normal 4
for _ in 1 2 3; do
    press Disconnect
    more_frames main-count 25
done
ticks after 4
holds after
tell end
finish
