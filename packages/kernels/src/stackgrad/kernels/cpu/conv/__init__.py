"""Convolution and its gradients: which way each shape takes, why, and every constant that decides it.

Images lie in memory with their channels side by side, and all work is in tiles of sums that stay in registers (see
_simd). c are the input and o the output channels of one group, g is the gradient of the result; a vector holds LANES
values, 8 of float32 or 4 of float64. The first row that fits is the way:

    shape                                  way                                    why

    the result: _forward
    one pixel, one group,                  the matrix product of pixels           it is one
        o >= PRODUCT_FROM                      and channels
    more taps than LONGEST_SUM             parts of channels, rows, columns,      sums keep their digits
                                               added by halves
    one group, o below LANES               tiles of groups of neighbouring        lanes without a channel
                                               pixels: _neighbours                    would idle
    any other                              tiles of pixels by one or two          a value that is loaded is used
                                               vectors of channels                    many times

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
                                               for tiles of 6 by two vectors          it stays in the first level
    one group, o up to two vectors         tiles as below, neighbouring pixels    as above
        together                               of g as the channels of one
    any other                              tiles of what a window's row reads     nothing is packed for few
                                               by channels of g                       channels

Sums go in this order. A result: the bias, then the rows of the kernel, its columns, the input channels. A gradient for
the input: the same, or first what each row of the kernel sends, output channel by output channel, then from pixel to
pixel. A gradient for the weight: the pixels of a chunk in the order of memory, then the chunks in theirs. Chunks follow
from the shapes alone, so that any number of threads gives the same bits.

Measured, each beside what was there before: 128 chunks of a result, which end together, gave 1.02 to 1.1 times with
many channels; the padded image kept for the gradient of the weight saved 50 of 1,450 microseconds of a step of the
course network; masking g, padding it and summing it up in one pass, with that, a tenth of such a step. Convolutions of
many channels reach four fifths of the speed of the largest BLAS product (docs/performance.md).

What follows from shapes, strides and dtypes alone is found by one look-up: a plan, which is a function of the arrays.
"""

from __future__ import annotations

from .._parts import PRODUCTS
from .._pointers import VECTOR_BYTES

# --- which way

PRODUCT_FROM = VECTOR_BYTES // 4 + 1  # output channels: fewer leave lanes of the product's vectors idle
FLIP_FROM = 16  # input channels from which on the flipped weight always pays
FLIP_BELOW = 8  # and up to which it may
PACK_FROM = 16  # input channels from which on it pays to pack

# --- sums that are cut, lest they lose digits: few networks have longer ones

LONGEST_SUM = 4 * PRODUCTS  # taps of a kernel, all channels counted
MOST_PIXELS = 32 * PRODUCTS  # of g, whose products are summed in 8 to 16 chunks
LONGEST_ROW = 2 * PRODUCTS  # of g, of which a chunk has one at least

# --- chunks

RESULT_CHUNKS = 128  # of a result, or of an image's gradient
SUM_CHUNKS = 16  # of the gradient of a weight
LARGEST_SUMMAND = 2**18  # values in all chunks of such a gradient together, where these would be more than eight
SUMMED_ROWS = 128  # of g masked by a relu, in one sum for the bias

# --- tiles, by the vectors they are wide: rows that leave registers for weights. Fewer rows twice is better.

RESULT_TILES = {1: (14,), 2: (5, 4)}
SENT_TILES = {1: 10, 2: 5}
DIRECT_TILES = ((6, 1), (12, 1), (6, 2))  # rows and vectors
PACKED_ROWS, PACKED_VECTORS = 6, 2

# --- blocks that stay in a cache

WEIGHTS_AT_ONCE = 256  # rows of weights, 16 kB of the first level: all tiles of a row take these in before the next
PACKED_PIXELS = 256  # of a packed block
SUMMED_COLUMNS, SUMMED_CHANNELS = 128, 8  # of chunks that are summed: a line of the cache is filled at once
