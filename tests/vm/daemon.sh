# The daemon and the kernel's virtual camera: what it refuses at the start, and a camera that goes and comes back.
camera=/edgemill/pipelines/camera.toml
driver=/sys/bus/platform/drivers/vivid
load_cameras 1

# What is wrong with a camera ends the daemon with the exit code for devices and says what to do. Each has a board of
# its own, since one board runs one daemon.
#     refused NAME SED-SCRIPT TEXT
refused() {
    mkdir -p /tmp/$1/pipelines
    cp /edgemill/board.toml /tmp/$1
    sed "$2" $camera >/tmp/$1/pipelines/camera.toml
    timeout 30 /bin/edgemilld run --config /tmp/$1/pipelines/camera.toml >/tmp/$1/log 2>&1
    code=$?
    cat /tmp/$1/log
    if [ $code = 6 ] && grep -q "$3" /tmp/$1/log; then
        echo "CASE $1: passed"
    else
        echo "CASE $1: exit code $code, or the message is another"
    fi
}

# Waits, 30 seconds at most, for a file to contain a text.
heard() {
    for _ in $(seq 300); do
        grep -q "$1" "$2" && return 0
        usleep 100000
    done
    return 1
}

refused no-format 's,640,641,; s,YUYV,GREY,' 'does not offer GREY 641x480; it offers YUYV 320x180'
refused no-rate 's,rate-hz = 25,rate-hz = 24,' 'does not do 24 frames a second'

/bin/edgemilld run --config $camera --report /tmp/report.json >/tmp/daemon 2>&1 &
daemon=$!
sleep 3
refused busy '' 'camera /dev/video0 is busy'
echo vivid.0 >$driver/unbind
heard 'is lost: No such device' /tmp/daemon && echo "CASE unplug: passed" || echo "CASE unplug: nothing in the log"
echo vivid.0 >$driver/bind
sleep 4
kill -TERM $daemon
wait $daemon
code=$?
cat /tmp/daemon /tmp/report.json
if [ $code = 0 ] && grep -q '"restarts": [1-9]' /tmp/report.json; then
    echo "CASE recovery: passed"
else
    echo "CASE recovery: exit code $code, or no restart in the report"
fi
