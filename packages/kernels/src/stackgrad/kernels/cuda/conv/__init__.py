"""Convolution and its gradients: one kernel of tiles, see `_tile`, that reads an image by windows (`_walk`).

    result     rows: one operand's channels           columns: pixels, or channels and taps
    right      (column, d) is a pixel that is read. Its row is the sum of one index that belongs to the column and one
               that belongs to d; so is its column. What lies beyond the edges is 0
    left       (row, d) as it lies in memory

                     rows         columns           d, over which products are added   row of the pixel that is read
    convolution      out channel  n, y, x           in channel, tap row, tap column    y stride + tap dilation - padding
    input gradient   in channel   n, y, x           out channel, tap row, tap column   of g: see `_input_grad`
    weight gradient  out channel  in channel, taps  n, y, x                            tap dilation + y stride - padding

n counts the images of a batch. In the code, `image` is what is read by windows: x, or for the input gradient g.

    blocks     |group 0: tile 0, 1, 2 ... by rows|group 1|...|  and all of these again for the next piece of d

Both columns and d are three indices, of which the last counts fastest. A thread reads at one d in each step, DEPTH
after the one before, which takes some additions; nothing is divided in the inner loop. Neighbouring threads take
neighbouring d: weights lie so in memory, and the taps of a few pixels lie in the same lines of an image.

Operands may have any strides. Depthwise convolutions, of one channel a group, use one row of a tile.
"""
