// A program with one race, or with none but what looks like one where the order of libraries is not seen: Scripts/test-threads holds the
// sanitizer to finding the first and passing over the second before it believes it about anything else.
//   races mutex|loop ordered|raced

import Dispatch
import Foundation
import Synchronization

final class Shared: @unchecked Sendable {
  var value = 0
  let locked = Mutex(0)
}

let shared = Shared()
let isRaced = CommandLine.arguments.last == "raced"
/// Long enough that the other threads come while one is at it.
let rounds = 2000

func work(_ index: Int) {
  for _ in 0..<rounds {
    if isRaced {
      shared.value += 1
    } else {
      shared.locked.withLock { _ in shared.value += 1 }
    }
  }
}

switch CommandLine.arguments.dropFirst().first {
case "mutex":
  let threads = (0..<4).map { index in
    let done = DispatchSemaphore(value: 0)
    Thread {
      work(index)
      done.signal()
    }.start()
    return done
  }
  for thread in threads { thread.wait() }
case "loop":
  // Every piece has a place of its own, unless they are to share one.
  let places = UnsafeMutablePointer<Int>.allocate(capacity: 64)
  nonisolated(unsafe) let shown = places
  for round in 0..<50 {
    places.initialize(repeating: round, count: 64)
    DispatchQueue.concurrentPerform(iterations: 64) { index in
      for _ in 0..<rounds { shown[isRaced ? 0 : index] += index }
    }
    shared.value += (0..<64).reduce(0) { $0 + places[$1] }
  }
default: exit(64)
}
print(shared.value)
