# The capture crate's own tests, on the kernel's virtual camera.
run_tests /bin/capture
