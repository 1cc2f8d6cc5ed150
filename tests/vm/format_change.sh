# The format changes: by the pipeline's file, while frames flow; and by another program, while the camera is away.
. /lib.sh
changed_by_another() {
    echo vivid.0 >$driver/bind
    other=$(vivid "$camera" format RGB3 1280 720) && return 0
    echo vivid.0 >$driver/unbind
    sleep 5
    return 1
}
load_cameras 1
pipeline main "$camera" YUYV 640 480
start
more_frames main-count 25
holds before
echo "FACT format-first 1 $(vivid $camera format)"
pipeline main "$camera" GREY 320 180
kill -HUP "$daemon"
until_it logged 'configuration read again'
more_frames main-count 25
echo "FACT format-reloaded 1 $(vivid $camera format)"
tell reloaded
echo vivid.0 >$driver/unbind
until_it logged 'is absent'
# The other program must be there before the daemon is: it tries in ever longer intervals.
sleep 8
until_it changed_by_another
echo "FACT format-other 1 $other"
more_frames main-count 25
echo "FACT format-again 1 $(vivid $camera format)"
pipeline main "$camera" YUYV 640 480
kill -HUP "$daemon"
more_frames main-count 25
echo "FACT format-last 1 $(vivid $camera format)"
holds after
tell end
finish
