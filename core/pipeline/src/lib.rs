//! Packets, pools, channels, stages and the exact account of all that flows.
