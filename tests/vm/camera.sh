# The capture crate's own tests, on the kernel's virtual camera.
/bin/capture --ignored --test-threads=1 --nocapture && echo "CASE capture: passed" || echo "CASE capture: failed"
