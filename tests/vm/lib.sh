# What scripts with a daemon in them have in common. They only bring about what is to be seen and say what they see, in
# lines that begin with FACT, STATUS, COUNTS, LOG or REPORT; the case judges.
board=/edgemill/board.toml
camera=/dev/video0
driver=/sys/bus/platform/drivers/vivid
mkdir -p /edgemill/pipelines
dmesg -n 1

# A camera, and a stage that takes its frames and counts them.
#     pipeline NAME DEVICE FORMAT WIDTH HEIGHT
pipeline() {
    cat >"/edgemill/pipelines/$1.toml" <<END
name = "$1"

[[stage]]
name = "camera"
source = "v4l"
params = { device = "$2", format = "$3", width = $4, height = $5, rate-hz = 25 }

[[stage]]
name = "$1-count"
plugin = "probe"
input = { from = "camera", overflow = "block", capacity = 4 }
params = { role = "sink", kind = "image", path = "/tmp/counts" }
END
}

start() {
    edgemilld run --config /edgemill/pipelines --report /tmp/report.json >/tmp/daemon 2>&1 &
    daemon=$!
}

status() {
    edgemill status --json --board "$board" 2>/dev/null | tr -d '\n'
}

# Says how the daemon is now.
#     tell WHEN
tell() {
    echo "STATUS $1 $(status)"
}

# Frames that a stage has taken so far.
delivered() {
    status | sed -n "s/.*\"name\": *\"$1\"[^}]*\"delivered\": *\([0-9]*\).*/\1/p"
}

# Waits, two minutes at most, until a command goes well. Where it does not, or the daemon has ended, there is nothing
# more to see.
#     until_it COMMAND…
until_it() {
    for _ in $(seq 600); do
        "$@" && return 0
        [ -d "/proc/$daemon" ] || break
        usleep 200000
    done
    sed 's/^/LOG /' /tmp/daemon
    echo "FACT gave-up-on 1 $*"
    echo DONE
    poweroff -f
}

has_delivered() {
    now=$(delivered "$1")
    [ "${now:-0}" -ge "$2" ]
}

# Waits for so many frames more than there are.
#     more_frames STAGE COUNT
more_frames() {
    before=$(delivered "$1")
    until_it has_delivered "$1" $((${before:-0} + $2))
}

logged() {
    grep -q "$1" /tmp/daemon
}

# Everything the daemon holds: descriptors, and mappings of the camera's buffers.
#     holds WHEN
holds() {
    echo "FACT fds-$1 $(ls /proc/$daemon/fd | wc -l)"
    echo "FACT maps-$1 $(grep -c /dev/video /proc/$daemon/maps)"
}

# The daemon's processor time during so many seconds, in hundredths of a second.
#     ticks WHEN SECONDS
ticks() {
    before=$(awk '{ print $14 + $15 }' /proc/$daemon/stat)
    sleep "$2"
    echo "FACT ticks-$1 $(($(awk '{ print $14 + $15 }' /proc/$daemon/stat) - before))"
}

press() {
    vivid "${2:-$camera}" control "$1" 1 && echo "FACT pressed 1 $1"
}

# Ends the daemon, and says all that it and the stages counted.
finish() {
    kill -TERM "$daemon"
    wait "$daemon"
    echo "FACT exit $?"
    sed 's/^/LOG /' /tmp/daemon
    sed 's/^/COUNTS /' /tmp/counts
    echo "REPORT $(tr -d '\n' </tmp/report.json)"
}
