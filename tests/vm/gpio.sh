# The GPIO plugin's own tests, on the machine's PL061.
mount -t debugfs debug /sys/kernel/debug
/bin/actuate-gpio --ignored --test-threads=1 --nocapture && echo "CASE gpio: passed" || echo "CASE gpio: failed"
