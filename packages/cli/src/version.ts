/** The version that every program of the house prints. */

export const VERSION = '0.1.0'
