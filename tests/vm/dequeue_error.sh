# The stream fails, and fails to start again at first: dequeuing, queueing, starting, and asking for buffers.
. /lib.sh
load_cameras 1
pipeline main "$camera" YUYV 640 480
start
more_frames main-count 25
holds before
for button in "Inject Fatal Streaming Error" "Inject VIDIOC_QBUF Error"; do
    press "$button"
    until_it logged 'is lost'
    more_frames main-count 25
done
for button in "Inject VIDIOC_STREAMON Error" "Inject VIDIOC_REQBUFS Error"; do
    press "$button"
    press "Inject Fatal Streaming Error"
    until_it logged 'does not start'
    more_frames main-count 25
done
holds after
tell end
finish
