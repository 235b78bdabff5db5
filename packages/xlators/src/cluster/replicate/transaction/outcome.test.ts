import { Errno, failure } from '@ashlar/core'
import { describe, expect, it } from 'vitest'
import { judge, worstOf } from './outcome.ts'

const ok = { ok: true } as const
const { ENOTCONN, ENOSPC, EEXIST, ENOENT, EIO, ENOTEMPTY } = Errno

describe('what the replies of all bricks mean together', () => {
  it.each([
    ['all did it', [ok, ok, ok], { done: 0b111, failed: 0 }],
    ['one is gone', [ok, failure(ENOTCONN), ok], { done: 0b101, failed: 0b010, errno: ENOTCONN }],
    ['one is full', [ok, ok, failure(ENOSPC)], { done: 0b011, failed: 0b100, errno: ENOSPC }],
    ['nobody answered', [failure(ENOTCONN), failure(ENOTCONN)], { done: 0, failed: 0b11 }],
    // Found by simulation: each had written another part of it.
    ['all fail half way', [failure(EIO), failure(EIO)], { done: 0, failed: 0b11, errno: EIO }],
    ['they refuse for different reasons', [failure(EEXIST), failure(EIO)], { done: 0, failed: 3 }],
  ])('%s', (_, replies, expected) => {
    const outcome = judge(replies, 2 ** replies.length - 1)
    expect(outcome).toMatchObject({
      kind: 'mixed',
      done: expected.done,
      failed: expected.failed,
    })
    if ('errno' in expected) expect(outcome.failure?.errno).toBe(expected.errno)
  })

  it('all refuse for the same reason: nothing has changed, nobody is to blame', () => {
    expect(judge([failure(EEXIST), failure(EEXIST)], 0b11)).toMatchObject({
      kind: 'refused',
      failure: { errno: EEXIST },
    })
  })

  it('who was not asked is not judged', () => {
    expect(judge([ok, undefined, ok], 0b101)).toMatchObject({ done: 0b101, failed: 0 })
  })

  it('who was asked and gave no reply has failed', () => {
    expect(judge([ok, undefined, ok], 0b111)).toMatchObject({ done: 0b101, failed: 0b010 })
  })

  it('a refusal that says nothing of the copy is not blamed', () => {
    const outcome = judge([ok, failure(ENOTEMPTY)], 0b11, errno => errno !== ENOTEMPTY)
    expect(outcome).toMatchObject({ done: 0b01, failed: 0 })
  })

  it('the failure that says most is told', () => {
    expect(worstOf([failure(ENOTCONN), failure(EIO)]).errno).toBe(EIO)
    expect(worstOf([failure(EIO), failure(ENOENT)]).errno).toBe(ENOENT)
    expect(worstOf([failure(ENOTCONN)]).errno).toBe(ENOTCONN)
  })
})
