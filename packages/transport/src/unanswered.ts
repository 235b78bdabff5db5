/**
 * Unanswered: the calls of a connection that were taken and are not answered yet, oldest first. They are
 * linked through themselves: every call comes and goes, and somebody looks at them once in a blue moon.
 */

/** What can be on such a list. The links are the list's. */
export interface Linked<T> {
  previous: T | undefined
  next: T | undefined
}

export class Unanswered<T extends Linked<T>> {
  #first: T | undefined
  #last: T | undefined

  add(call: T): void {
    const last = this.#last
    call.previous = last
    if (last === undefined) this.#first = call
    else last.next = call
    this.#last = call
  }

  /** Of a call that is on the list. */
  remove(call: T): void {
    const { previous, next } = call
    if (previous === undefined) this.#first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    call.previous = undefined
    call.next = undefined
  }

  /** Calls must not be answered between two steps of it. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (let call = this.#first; call !== undefined; call = call.next) yield call
  }
}
