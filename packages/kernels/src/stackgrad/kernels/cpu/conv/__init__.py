"""Convolution and its gradients: which way each shape takes, why, and every constant that decides it.

Images lie in memory with their channels side by side, and all work is in tiles of sums that stay in registers (see
_simd). c are the input and o the output channels of one group, g is the gradient of the result; a vector holds LANES
values, 8 of float32 or 4 of float64, and a register of a tile as many or, with AVX-512, twice as many. The first row
that fits is the way:

    shape                                  way                                    why

    the result: _forward
    one pixel, one group,                  the matrix product of pixels           it is one
        o >= PRODUCT_FROM                      and channels
    more taps than LONGEST_SUM             parts of channels, rows, columns,      sums keep their digits
                                               added by halves
    one group, stride 1 in a row, o in     tiles of channels by neighbouring      fewer lanes idle than by the
        PLANE_OUTPUTS, c in PLANE_INPUTS,      pixels: _planes                        next row's way
        where it takes fewer multiply-adds
    one group, o below a register's        tiles of groups of neighbouring        lanes without a channel
        lanes                                  pixels: _neighbours                    would idle
    any other                              tiles of pixels by one or two          a value that is loaded is used
                                               registers of channels                  many times

    the gradient for the input: _input_grad
    one group, stride 1, padding less      the result's way for g and the         it is a convolution
        than the window, c >= FLIP_FROM        weight, flipped
    the same with fewer channels, where    the same                               LeNet's second layer would
        it takes no more multiply-adds                                                take 2.5 times as many
    any other                              each pixel of g sends its products     with a stride, flipped windows
                                               back to the image                      meet zeros for the most part

    the gradient for the weight: _weight_grad
    more pixels of g than MOST_PIXELS,     parts of images, rows, columns,        sums keep their digits
        or in a row than LONGEST_ROW           added by halves
    one group, c >= PACK_FROM, o > LANES   images and g packed, block by block,   tiles read memory in order, and
                                               for PACKED_TILES                       it stays in the first level
    one group, o up to two vectors         tiles as below, neighbouring pixels    as above
        together                               of g as the channels of one
    one group, o and rows of the kernel    tiles of channels of g by what a       a value of g is used for all
        in CHANNEL_TILES                       window's rows read                     rows of the kernel
    one group, what a window reads in      tiles of that by channels of g         as many sums as there are
        WHOLE_KERNELS                                                                 registers for
    any other                              tiles of what a window's row reads     nothing is packed for few
                                               by channels of g                       channels

Sums go in this order. A result: the bias, then the rows of the kernel, its columns, the input channels. A gradient for
the input: the same, or first what each row of the kernel sends, output channel by output channel, then from pixel to
pixel. A gradient for the weight: the pixels of a chunk in the order of memory, then the chunks in theirs. Chunks follow
from the shapes alone, so that any number of threads gives the same bits. So do the ways that differ in their order,
which are told by vectors of LANES, so that all CPUs give the same bits: a wider register holds more elements of a
result, each of which is summed as before. Tiles of planes, and those of whole kernels or of channels, sum in the order
of the way that they stand in for.

Measured, each beside what was there before: 128 chunks of a result, which end together, gave 1.02 to 1.1 times with
many channels; the padded image kept for the gradient of the weight saved 50 of 1,450 microseconds of a step of the
course network; masking g, padding it and summing it up in one pass, with that, a tenth of such a step. Registers of 64
bytes gave 1.5 to 1.9 times with the layers of LeNet, but 1.2 for the weight of its first, and 1.7 to 2.1 times with
many channels: more than four fifths of what the arithmetic units can do (docs/peers.md).

Later: tiles of planes took 0.6 of the time for LeNet's first layer, 0.45 for the course network's, and 0.57 for the
gradient for the input of its second; tiles of whole kernels 0.67 for the weights of these first layers, tiles of
channels 0.59 for those of the course network's second.

What follows from shapes, strides and dtypes alone is found by one look-up: a plan, which is a function of the arrays.
"""

from __future__ import annotations

from .._parts import PRODUCTS
from .._width import IS_WIDE, VECTOR_BYTES, WIDE_BYTES

# --- which way

PRODUCT_FROM = VECTOR_BYTES // 4 + 1  # output channels: fewer leave lanes of the product's vectors idle
FLIP_FROM = 16  # input channels from which on the flipped weight always pays
FLIP_BELOW = 8  # and up to which it may
FLIP_ROWS = (14,)  # of the tiles by which that is told
PACK_FROM = 16  # input channels from which on it pays to pack

# --- sums that are cut, lest they lose digits: few networks have longer ones

LONGEST_SUM = 4 * PRODUCTS  # taps of a kernel, all channels counted
MOST_PIXELS = 32 * PRODUCTS  # of g, whose products are summed in 8 to 16 chunks
LONGEST_ROW = 2 * PRODUCTS  # of g, of which a chunk has one at least

# --- chunks

RESULT_CHUNKS = 128  # of a result, or of an image's gradient
SUM_CHUNKS = 16  # of the gradient of a weight
LARGEST_SUMMAND = 2**18  # values in all chunks of such a gradient together, where these would be more than eight
SUMMAND_ROWS = 6  # of what a chunk gives are rounded up to so many, where images are packed
SUMMED_ROWS = 128  # of g masked by a relu, in one sum for the bias

# --- tiles, by the registers they are wide: rows that leave registers for weights. Fewer rows twice is better, and
# eight sums at least, since each multiply-add waits four cycles for the one before.

Tiles = dict[int, tuple[int, ...]]
RESULT_TILES: Tiles = {1: (14, 12, 10, 8), 2: (7, 6, 5)} if IS_WIDE else {1: (14,), 2: (5, 4)}
PLANE_OUTPUTS, PLANE_INPUTS = (4, 6), (1, 4, 8)  # channels
DIRECT_TILES: Tiles = {1: (30, 15, 12, 6), 2: (14, 10, 8, 6)} if IS_WIDE else {1: (12, 6), 2: (6,)}
WHOLE_KERNELS = (
    ((5, 5), (5, 6), (3, 3), (3, 4), (3, 6), (3, 9)) if IS_WIDE else ((3, 3), (3, 4))
)  # rows, values in each
CHANNEL_TILES = {(8, 3): 12} if IS_WIDE else {}  # channels of g by rows of the kernel, from so long a run on
PACKED_TILES: Tiles = {1: (16, 12, 8), 2: (8,)} if IS_WIDE else {2: (6,)}
SENT_ROWS = (10, 5)  # up to a vector of values in a run, and more: they decide an order

# --- blocks that stay in a cache

WEIGHTS_AT_ONCE = 8192 // WIDE_BYTES  # rows of weights, 16 kB of the first level: taken in by all tiles of a row
PACKED_PIXELS = 256  # of a packed block
SUMMED_COLUMNS, SUMMED_CHANNELS = 128, 8  # of chunks that are summed: a line of the cache is filled at once
