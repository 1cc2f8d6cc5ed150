# Two cameras, each with a pipeline of its own; one of them fails, and the other goes on.
. /lib.sh
load_cameras 2
pipeline main /dev/video0 YUYV 640 480
pipeline other /dev/video1 GREY 320 180
start
more_frames main-count 25
more_frames other-count 25
holds before
tell both
press "Inject Fatal Streaming Error" /dev/video1
until_it logged 'is lost'
more_frames main-count 25
more_frames other-count 25
holds after
tell end
finish
