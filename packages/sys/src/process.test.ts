import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { geteuid, setfsgid, setfsuid, setgroups, setThreadName, umask } from './index.ts'

test('the file system identity of a thread is changed and given back', () => {
  const root = geteuid() === 0
  const before = setfsuid(4242)
  expect(before).toBe(geteuid())
  expect(setfsuid(before)).toBe(root ? 4242 : before)
  const group = setfsgid(4343)
  expect(setfsgid(group)).toBe(root ? 4343 : group)
  expect(setfsgid(group)).toBe(group)
  if (!root) expect(setgroups([1, 2])).toBe(-1)
})

test('name and umask', () => {
  expect(setThreadName('ashlar-test')).toBe(0)
  expect(readFileSync('/proc/thread-self/comm', 'utf8').trim()).toBe('ashlar-test')
  const mask = umask(0o027)
  expect(umask(mask)).toBe(0o027)
})
