# More damaged frames than there are buffers: one that was not given back each time would leave none.
. /lib.sh
load_cameras 1
pipeline main "$camera" YUYV 640 480
start
more_frames main-count 10
holds before
for _ in $(seq 40); do
    press "Inject V4L2_BUF_FLAG_ERROR"
    usleep 100000
done
more_frames main-count 25
holds after
tell end
finish
