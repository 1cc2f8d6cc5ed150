//! Tiles of one or two vectors of eight columns. What differs between processors is how four neighbouring elements are
//! multiplied by their weights, and how many windows leave registers for that.
//!
//! A macro, as functions that are generic over a processor would not be compiled for its instructions.

/// `run`, for a processor with such features, whose tiles have so many windows. Where it stands there are also `elements` of
/// a window, four of them in every lane; `weights` of such elements for a vector of columns; and `dot`, which adds the
/// products of both to sums.
macro_rules! tiles {
    ($features:literal, $rows:literal) => {
        /// Runs all tiles.
        ///
        /// # Safety
        /// The processor has the instructions.
        #[target_feature(enable = $features)]
        pub unsafe fn run(operands: &mut Operands<'_>) {
            let rule = Rule::new(operands.job.output);
            operands.tiles(
                |_| $rows,
                |operands, tile| {
                    // SAFETY: this function has the instructions; the tile is one of `operands`.
                    unsafe {
                        match operands.job.members.len() {
                            1 => vectors::<1>(operands, tile, &rule),
                            2 => vectors::<2>(operands, tile, &rule),
                            3 => vectors::<3>(operands, tile, &rule),
                            _ => vectors::<4>(operands, tile, &rule),
                        }
                    }
                },
            );
        }

        /// Picks the tile that wastes least; each pixel is made of `M` windows.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn vectors<const M: usize>(operands: &mut Operands<'_>, tile: &Tile, rule: &Rule) {
            // SAFETY: the caller's promise is handed on; each arm's vectors are the panel's, its rows at least the
            // tile's.
            unsafe {
                match (tile.panel.width / LANES, tile.rows) {
                    (1, 1) => block::<1, 1, 1>(operands, tile, rule),
                    (1, ..=4) => block::<1, 4, M>(operands, tile, rule),
                    (1, _) => block::<1, $rows, M>(operands, tile, rule),
                    (_, 1) => block::<2, 1, 1>(operands, tile, rule),
                    (_, ..=4) => block::<2, 4, M>(operands, tile, rule),
                    (_, _) => block::<2, $rows, M>(operands, tile, rule),
                }
            }
        }

        /// `V` vectors of columns of `R` windows, `M` for each pixel.
        ///
        /// # Safety
        /// The processor has the instructions; `tile` is one of `operands`, with `V` vectors of columns and at most `R`
        /// rows.
        #[target_feature(enable = $features)]
        unsafe fn block<const V: usize, const R: usize, const M: usize>(
            operands: &mut Operands<'_>,
            tile: &Tile,
            rule: &Rule,
        ) {
            let panel = operands.packed.as_ptr().wrapping_add(tile.panel.start);
            let multipliers = panel.wrapping_add(4 * LANES * V);
            let mut packed = multipliers.wrapping_add(4 * LANES * V);
            let steps = operands.job.segment.div_ceil(4);
            // SAFETY: a panel begins with two vectors of V × 8 words, as `packing` says.
            let starts: [_; V] = std::array::from_fn(|v| unsafe { load(panel, v) });
            let mut sums = [starts; R];
            for &offset in &operands.job.offsets {
                let x: [*const u8; R] = std::array::from_fn(|r| {
                    operands.x.as_ptr().wrapping_add(tile.base(r) + offset)
                });
                for step in 0..steps {
                    // SAFETY: the panel has V vectors for each step of each segment.
                    let w: [_; V] = std::array::from_fn(|v| weights(unsafe { load(packed, v) }));
                    packed = packed.wrapping_add(4 * LANES * V);
                    for r in 0..R {
                        // SAFETY: `Convolution::input_bytes` counts every window with its segments in whole steps.
                        let four = unsafe { x[r].add(4 * step).cast::<i32>().read_unaligned() };
                        let four = elements(_mm256_set1_epi32(four));
                        for v in 0..V {
                            sums[r][v] = dot(sums[r][v], four, w[v]);
                        }
                    }
                }
            }
            for pixel in 0..R / M {
                if pixel * M < tile.rows {
                    let mut greatest = sums[pixel * M];
                    for m in 1..M {
                        for v in 0..V {
                            greatest[v] = _mm256_max_epi32(greatest[v], sums[pixel * M + m][v]);
                        }
                    }
                    let out = operands.y.as_mut_ptr().wrapping_add(tile.out(pixel));
                    // SAFETY: the multipliers follow the starts; `Operands` has checked that the columns lie in the
                    // output.
                    unsafe { write(rule.bytes(greatest, multipliers), out, tile.panel.columns) }
                }
            }
        }

        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn load(words: *const u8, v: usize) -> __m256i {
            // SAFETY: the caller's promise: there are more than v vectors.
            unsafe { _mm256_loadu_si256(words.add(4 * LANES * v).cast()) }
        }
    };
}
pub(super) use tiles;
