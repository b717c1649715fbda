"""Convolution and its gradients: one kernel of tiles, see `_tile`, that reads an image by windows (`_walk`).

    result     rows: one operand's channels           columns: pixels, or channels and taps
        right      (column, d) is a pixel of `image`. Its row is the sum of an index that depends on the column and one
                   that depends on d; so is its column. Pixels beyond the edges are 0
        left       (row, d) in the order of memory

                         rows         columns           d, over which products are summed  row of the pixel that is read
    convolution      out channel  n, y, x           in channel, tap row, tap column    y stride + tap dilation - padding
    input gradient   in channel   n, y, x           out channel, tap row, tap column   of g: see `_input_grad`
    weight gradient  out channel  in channel, taps  n, y, x                            tap dilation + y stride - padding

n counts the images of a batch. In the code, `image` is the operand that is read by windows: x, or g for the input
gradient.

    blocks     |group 0: tile 0, 1, 2 ... by rows|group 1|...|  and all of these again for the next piece of d

Both columns and d consist of three indices; the last one varies fastest. A thread reads at one d at a time, DEPTH after
the previous one, which it finds by additions: the inner loop has no divisions. Adjacent threads take adjacent d: that
is the memory order of weights, and the taps of a few pixels are in the same lines of an image.

Operands may have any strides. Depthwise convolutions, with one channel per group, use one row of a tile.
"""
