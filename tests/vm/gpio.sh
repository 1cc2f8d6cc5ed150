# The GPIO plugin's own tests, on the machine's PL061.
mount -t debugfs debug /sys/kernel/debug
run_tests /bin/actuate-gpio
