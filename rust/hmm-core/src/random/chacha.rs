//! ChaCha8 in bulk: sixteen blocks of one stream side by side.
//!
//! The generator of `rand` makes four blocks at a time and hands them out through a buffer; filling
//! memory with normals needs neither. The tests hold the words made here to the generator's.

/// Blocks made at once: one per lane of the widest vectors.
pub(super) const BLOCKS: usize = 16;

/// Words of a block.
const WORDS: usize = 16;

/// "expand 32-byte k", the constant of ChaCha with 256-bit keys.
const CONSTANT: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// Where a key stream stands: the key, the stream number and the next block.
pub(super) struct Position {
    pub(super) key: [u32; 8],
    pub(super) stream: u64,
    pub(super) block: u64,
}

macro_rules! quarter_round {
    ($x:ident, $a:literal, $b:literal, $c:literal, $d:literal) => {
        $x[$a] = $x[$a].wrapping_add($x[$b]);
        $x[$d] = ($x[$d] ^ $x[$a]).rotate_left(16);
        $x[$c] = $x[$c].wrapping_add($x[$d]);
        $x[$b] = ($x[$b] ^ $x[$c]).rotate_left(12);
        $x[$a] = $x[$a].wrapping_add($x[$b]);
        $x[$d] = ($x[$d] ^ $x[$a]).rotate_left(8);
        $x[$c] = $x[$c].wrapping_add($x[$d]);
        $x[$b] = ($x[$b] ^ $x[$c]).rotate_left(7);
    };
}

macro_rules! double_round {
    ($x:ident) => {
        quarter_round!($x, 0, 4, 8, 12);
        quarter_round!($x, 1, 5, 9, 13);
        quarter_round!($x, 2, 6, 10, 14);
        quarter_round!($x, 3, 7, 11, 15);
        quarter_round!($x, 0, 5, 10, 15);
        quarter_round!($x, 1, 6, 11, 12);
        quarter_round!($x, 2, 7, 8, 13);
        quarter_round!($x, 3, 4, 9, 14);
    };
}

impl Position {
    /// Word `w` of block `self.block + lane` as `[w][lane]`; moves on by [`BLOCKS`] blocks.
    #[inline(always)]
    #[expect(
        clippy::indexing_slicing,
        reason = "a lane of arrays that have BLOCKS of them; a loop over rows instead would not vectorise"
    )]
    pub(super) fn next_blocks(&mut self, out: &mut [[u32; BLOCKS]; WORDS]) {
        let mut state = [0; WORDS];
        state[..4].copy_from_slice(&CONSTANT);
        state[4..12].copy_from_slice(&self.key);
        state[14] = self.stream as u32;
        state[15] = (self.stream >> 32) as u32;
        // The rounds are written out, not looped over: only an innermost loop is vectorised, and
        // that has to be the one over the lanes.
        for lane in 0..BLOCKS {
            let block = self.block.wrapping_add(lane as u64);
            let mut start = state;
            start[12] = block as u32;
            start[13] = (block >> 32) as u32;
            let mut x = start;
            double_round!(x);
            double_round!(x);
            double_round!(x);
            double_round!(x);
            for ((row, word), start) in out.iter_mut().zip(x).zip(start) {
                row[lane] = word.wrapping_add(start);
            }
        }
        self.block = self.block.wrapping_add(BLOCKS as u64);
    }
}
