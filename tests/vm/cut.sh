# One boot of a box whose power was cut: says what the cut has left, sets the store back, and begins the operation that
# the next cut falls into. The script before this one says what that is, in `before` and `operation`.
board=/edgemill/board.toml

start() {
    rm -f /tmp/decisions
    edgemilld run --config /edgemill/pipelines >/tmp/daemon 2>&1 &
    daemon=$!
}

# Waits, a minute at most, for the daemon to have decided something.
decided() {
    for _ in $(seq 600); do
        [ -s /tmp/decisions ] && return 0
        [ -d /proc/$daemon ] || break
        usleep 100000
    done
    sed 's/^/LOG /' /tmp/daemon
    return 1
}

# The models as the daemon that runs has them, and what it decided.
tell() {
    echo "MODELS $(edgemill model list --json --board $board | tr -d '\n')"
    echo "DECISION $(head -n 1 /tmp/decisions)"
}

chmod 600 /edgemill/keys/*
mkdir /site
mount -t ext4 /dev/vda /site
if [ -d /site/before ]; then
    start
    decided && tell
    kill -TERM $daemon
    wait $daemon
    rm -rf /site/store
else
    edgemill model install /edgemill/1.emp --board $board
    before
    mv /site/store /site/before
fi
cp -a /site/before /site/store
sync
start
decided || echo FAILED
echo BEGIN
if operation; then echo END; else echo FAILED; fi
sleep 1000
