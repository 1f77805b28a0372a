extension PatternMatcher {
  /// Runs the program from an instruction to its `accept`; returns the end of the match, or -1.
  mutating func run(from first: Int, at start: Int) -> Int {
    let base = frameCount
    var counter = first
    var position = start
    while true {
      budget -= 1
      if budget <= 0 {
        frameCount = base
        return -1
      }
      let instruction = instructions[counter]
      let isMatch: Bool
      switch instruction.operation {
      case .accept:
        frameCount = base
        return position
      case .byte:
        isMatch = position < text.count && text[position] == UInt8(truncatingIfNeeded: instruction.first)
        position += 1
      case .scalar:
        isMatch = takes(at: &position) { $0 == UInt32(bitPattern: instruction.first) }
      case .set:
        isMatch = takes(at: &position) { contains(Int(instruction.first), $0) }
      case .repeatSet:
        let end = takeRun(instruction, counter, position)
        isMatch = end >= 0
        position = end
      case .peekSet:
        let isMember = position < text.count && contains(Int(instruction.first), text.scalar(at: position).value)
        isMatch = isMember != instruction.isNegated
      case .choice:
        let number = Int(instruction.first)
        let mask = mask(choices[number], masksAt: number * 128, at: position)
        guard mask != 0 else {
          isMatch = false
          break
        }
        let rest = mask & (mask - 1)
        if rest != 0, !push(.init(kind: .choice, instruction: instruction.first, position: position, mask: rest)) { return fail(base) }
        counter = Int(alternatives[Int(choices[number].first) + mask.trailingZeroBitCount].target)
        continue
      case .split:
        if !push(.init(kind: .resume, instruction: instruction.second, position: position)) { return fail(base) }
        counter = Int(instruction.first)
        continue
      case .jump:
        counter = Int(instruction.first)
        continue
      case .mark:
        let slot = Int(instruction.first)
        if !push(.init(kind: .restoreSlot, instruction: instruction.first, position: scratch.slots[slot])) { return fail(base) }
        scratch.slots[slot] = position
        isMatch = true
      case .leaveIfUnmoved:
        if scratch.slots[Int(instruction.first)] == position {
          counter = Int(instruction.second)
          continue
        }
        isMatch = true
      case .lookahead:
        isMatch = (run(from: counter + 1, at: position) >= 0) != instruction.isNegated
        counter = Int(instruction.first) - 1
      case .lookbehind:
        isMatch = looksBack(instruction, from: counter + 1, at: position) != instruction.isNegated
        counter = Int(instruction.first) - 1
      case .atomic:
        let end = run(from: counter + 1, at: position)
        isMatch = end >= 0
        position = end
        counter = Int(instruction.first) - 1
      case .assertion:
        isMatch = PatternAssertion(rawValue: instruction.first).map { holds($0, at: position) } ?? false
      }
      if isMatch {
        counter += 1
      } else if !backtrack(to: base, &counter, &position) {
        return -1
      }
    }
  }

  @inline(__always)
  private func takes(at position: inout Int, _ accepts: (UInt32) -> Bool) -> Bool {
    guard position < text.count else { return false }
    let scalar = text.scalar(at: position)
    guard accepts(scalar.value) else { return false }
    position += scalar.length
    return true
  }

  private mutating func fail(_ base: Int) -> Int {
    // The stack is full: give the whole search up, as when the steps run out.
    budget = 0
    frameCount = base
    return -1
  }

  @inline(__always)
  private mutating func push(_ frame: PatternScratch.Frame) -> Bool {
    if frameCount == scratch.capacity, !scratch.grow() { return false }
    (scratch.frames + frameCount).initialize(to: frame)
    frameCount += 1
    return true
  }

  /// A run of one set; returns its end, or -1 when it is too short.
  @inline(__always)
  private mutating func takeRun(_ instruction: PatternProgram.Instruction, _ counter: Int, _ start: Int) -> Int {
    let set = Int(instruction.first)
    let minimum = Int(instruction.second)
    let most = instruction.third < 0 ? Int.max : Int(instruction.third)
    if instruction.greed == .lazy {
      let taken = run(of: set, from: start, atMost: minimum)
      guard taken.count == minimum else { return -1 }
      let frame = PatternScratch.Frame(
        kind: .takeMore, instruction: Int32(counter), position: taken.end, limit: most == .max ? .max : most - minimum)
      return frame.limit == 0 || push(frame) ? taken.end : fail(0)
    }
    let taken = run(of: set, from: start, atMost: most)
    budget -= taken.count
    guard taken.count >= minimum else { return -1 }
    if instruction.greed == .greedy, taken.count > minimum {
      let limit = minimum == 0 ? start : run(of: set, from: start, atMost: minimum).end
      let frame = PatternScratch.Frame(
        kind: .giveBack, instruction: Int32(counter + 1), position: text.scalarStart(before: taken.end), limit: limit)
      guard push(frame) else { return fail(0) }
    }
    return taken.end
  }

  /// Whether the nested program matches the scalars right before a position.
  private mutating func looksBack(_ instruction: PatternProgram.Instruction, from first: Int, at position: Int) -> Bool {
    var start = position
    for _ in 0..<Int(instruction.second) {
      guard start > 0 else { return false }
      start = text.scalarStart(before: start)
    }
    return run(from: first, at: start) >= 0
  }

  /// Goes to the latest way back above `base`; false when there is none.
  @inline(__always)
  private mutating func backtrack(to base: Int, _ counter: inout Int, _ position: inout Int) -> Bool {
    while frameCount > base {
      let frame = scratch.frames + (frameCount - 1)
      switch frame.pointee.kind {
      case .resume:
        counter = Int(frame.pointee.instruction)
        position = frame.pointee.position
        frameCount -= 1
        return true
      case .choice:
        let mask = frame.pointee.mask
        let first = Int(choices[Int(frame.pointee.instruction)].first)
        counter = Int(alternatives[first + mask.trailingZeroBitCount].target)
        position = frame.pointee.position
        frame.pointee.mask = mask & (mask - 1)
        if frame.pointee.mask == 0 { frameCount -= 1 }
        return true
      case .giveBack:
        counter = Int(frame.pointee.instruction)
        position = frame.pointee.position
        if position > frame.pointee.limit { frame.pointee.position = text.scalarStart(before: position) } else { frameCount -= 1 }
        return true
      case .takeMore:
        let taken = run(of: Int(instructions[Int(frame.pointee.instruction)].first), from: frame.pointee.position, atMost: 1)
        guard taken.count == 1 else {
          frameCount -= 1
          continue
        }
        counter = Int(frame.pointee.instruction) + 1
        position = taken.end
        frame.pointee.position = taken.end
        if frame.pointee.limit != .max { frame.pointee.limit -= 1 }
        if frame.pointee.limit == 0 { frameCount -= 1 }
        return true
      case .restoreSlot:
        scratch.slots[Int(frame.pointee.instruction)] = frame.pointee.position
        frameCount -= 1
      }
    }
    return false
  }
}
