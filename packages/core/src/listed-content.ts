/**
 * The content of small files, sent along with a listing by bricks of ours. Who reads one file of a
 * directory after the other has them then without a request for each.
 */

/**
 * Key of a listing's xdata: the most bytes wanted of a file; in the dict of an entry: its content. Not
 * GlusterFS's key for lookups: its bricks would send as much as there is in one reply.
 */
export const LISTED_CONTENT = 'ashlar.content'
