# A daemon starts where there is no camera: what needs none runs, and the camera is taken up when it comes.
. /lib.sh
pipeline main "$camera" YUYV 640 480
[ -e "$camera" ] || echo "FACT gone 1"
start
until_it logged 'is absent'
ticks away 10
tell away
load_cameras 1
echo "FACT plugged-in 1"
until_it has_delivered main-count 1
echo "FACT first-frame 1"
more_frames main-count 25
tell end
finish
