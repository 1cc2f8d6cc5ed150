//! Sources: a V4L2 camera, a replay of files, a test pattern, sensor series.
