"""Convolution and its gradients: which algorithm each shape gets, why, and every constant that decides it.

Images are channels-last in memory, and all work is done in tiles of sums that stay in registers (see _simd). c is the
number of input channels and o that of output channels in one group; g is the gradient of the result. A vector holds
LANES values, 8 of float32 or 4 of float64; a register of a tile holds as many or, with AVX-512, twice as many. The
first row that matches decides:

    shape                                  algorithm                              why

    the result: _forward
    one pixel, one group,                  the matrix product of pixels           it is one
        o >= PRODUCT_FROM                      and channels
    more taps than LONGEST_SUM             parts of channels, rows, columns,      sums stay accurate
                                               added pairwise
    one group, stride 1 along a row,       tiles of channels by adjacent          fewer idle lanes than with
        o in PLANE_OUTPUTS, c in               pixels: _planes                        the next row's algorithm
        PLANE_INPUTS, if it takes fewer
        multiply-adds
    one group, o below a register's        tiles of groups of adjacent            lanes without a channel
        lanes                                  pixels: _neighbours                    would be idle
    any other                              tiles of pixels by one or two          each loaded value is used
                                               registers of channels                  many times

    the gradient for the input: _input_grad
    one group, stride 1, padding less      the result's algorithm for g and       it is a convolution
        than the window, c >= FLIP_FROM        the flipped weight
    the same with fewer channels, if it    the same                               LeNet's second layer would
        takes no more multiply-adds                                                   take 2.5 times as many
    any other                              each pixel of g sends its products     with a stride, flipped windows
                                               back to the image                      would mostly meet zeros

    the gradient for the weight: _weight_grad
    more pixels of g than MOST_PIXELS,     parts of images, rows, columns,        sums stay accurate
        or in a row than LONGEST_ROW           added pairwise
    one group, c >= PACK_FROM, o > LANES   images and g packed, block by block,   tiles read memory in order, and
                                               for PACKED_TILES                       it stays in the L1 cache
    one group, adjacent pixels of g        the algorithms below, with these       lanes without a channel
        fit two vectors                        pixels as the channels of one          would be idle
    one group, o and rows of the kernel    tiles of channels of g by the rows     each value of g is used for all
        in CHANNEL_TILES                       of a window                            rows of the kernel
    one group, rows and run lengths of     tiles of a whole window by             as many sums as there are
        the kernel in WHOLE_KERNELS            channels of g                          registers for
    any other                              tiles of a window's row by             packing does not pay for few
                                               channels of g                          channels

The order of sums. A result: the bias, then the rows of the kernel, its columns, the input channels. A gradient for the
input: the same, or first the products of each row of the kernel, output channel by output channel, then from pixel to
pixel. A gradient for the weight: the pixels of a chunk in the order of memory, then the chunks in order. Chunks depend
on the shapes alone, so any number of threads gives the same bits. The choice between algorithms with different orders
depends on vectors of LANES, so all CPUs give the same bits: a wider register holds more elements of a result, each
summed as before. Tiles of planes, of whole kernels and of channels sum in the order of the algorithm they replace.

Measured, each compared with the code before it: 128 chunks of a result, which end together, made convolutions with many
channels 1.02 to 1.1 times as fast; keeping the padded image for the gradient of the weight saved 50 of 1,450
microseconds of a step of the course network; masking, padding and summing g in one pass, together with that, saved a
tenth of such a step. Registers of 64 bytes made LeNet's layers 1.5 to 1.9 times as fast, but the weight gradient of the
first only 1.2 times, and layers with many channels 1.7 to 2.1 times: more than four fifths of the peak of the
arithmetic units (docs/peers.md).

Later: tiles of planes took 0.6 of the time for LeNet's first layer, 0.45 for the course network's, and 0.57 for the
input gradient of its second; tiles of whole kernels took 0.67 for the weight gradients of these first layers, tiles of
channels 0.59 for that of the course network's second.

Everything that depends on shapes, strides and dtypes alone is found by one look-up: a plan, a function of the arrays.
"""

from __future__ import annotations

from .._parts import PRODUCTS
from .._width import IS_WIDE, VECTOR_BYTES, WIDE_BYTES

# --- which algorithm

PRODUCT_FROM = VECTOR_BYTES // 4 + 1  # output channels: with fewer, lanes of the product's vectors are idle
FLIP_FROM = 16  # input channels from which on flipping the weight always pays
FLIP_BELOW = 8  # input channels up to which it may pay
FLIP_ROWS = (14,)  # of the tiles with which that is estimated
PACK_FROM = 16  # input channels from which on packing pays

# --- sums that are split to stay accurate: few networks have longer ones

LONGEST_SUM = 4 * PRODUCTS  # taps of a kernel in all channels
MOST_PIXELS = 32 * PRODUCTS  # of g: their products are summed in 8 to 16 chunks
LONGEST_ROW = 2 * PRODUCTS  # of g; a chunk has at least one row

# --- chunks

RESULT_CHUNKS = 128  # of a result, or of a gradient for the input
PADDED_CHUNKS = 32  # of a copy with padding: to begin a chunk takes as long as to copy two rows of 28 pixels
SUM_CHUNKS = 16  # of the gradient of a weight
LARGEST_SUMMAND = 2**18  # values in all chunks of such a gradient together, if there are more than eight chunks
SUMMAND_ROWS = 6  # rows of a packed chunk's sums are rounded up to multiples of this
SUMMED_ROWS = 128  # rows of g, masked by a relu, in one sum for the bias

# --- tiles, by their width in registers: as many rows as leave registers for weights. Two passes with fewer rows are
# better, and at least eight sums, since each multiply-add waits four cycles for the one before.

Tiles = dict[int, tuple[int, ...]]
RESULT_TILES: Tiles = {1: (14, 12, 10, 8), 2: (7, 6, 5)} if IS_WIDE else {1: (14,), 2: (5, 4)}
PLANE_OUTPUTS, PLANE_INPUTS = (4, 6), (1, 4, 8)  # channels
DIRECT_TILES: Tiles = {1: (30, 15, 12, 6), 2: (14, 10, 8, 6)} if IS_WIDE else {1: (12, 6), 2: (6,)}
WHOLE_KERNELS = (
    ((5, 5), (5, 6), (3, 3), (3, 4), (3, 6), (3, 9)) if IS_WIDE else ((3, 3), (3, 4))
)  # rows, and values in each
CHANNEL_TILES = {(8, 3): 12} if IS_WIDE else {}  # (channels of g, rows of the kernel): the shortest run
PACKED_TILES: Tiles = {1: (16, 12, 8), 2: (8,)} if IS_WIDE else {2: (6,)}
SENT_ROWS = (10, 5)  # for runs of up to a vector, and for longer ones: the order of sums depends on them

# --- blocks that stay in a cache

WEIGHTS_AT_ONCE = 8192 // WIDE_BYTES  # rows of weights, 16 kB of the L1 cache: all tiles of a row take these in
PACKED_PIXELS = 256  # of a packed block
SUMMED_COLUMNS, SUMMED_CHANNELS = 128, 8  # of chunks that are summed: they fill whole cache lines
