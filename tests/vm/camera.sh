# The capture crate's own tests, on the kernel's virtual camera.
load_cameras 1
run_tests /bin/capture
