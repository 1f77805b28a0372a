/// The `loop` of a running `for`: it draws elements as they are needed, one ahead only when the template asks what comes next.
final class TemplateLoopState {
  typealias Source = () throws(TemplateError) -> TemplateValue?
  let depth: Int
  private var draw: Source?
  private var ahead: [TemplateValue] = []
  private var isExhausted = false
  private(set) var index = -1
  private(set) var previous: TemplateValue?
  private(set) var current: TemplateValue?

  init(depth: Int, draw: @escaping Source) {
    self.depth = depth
    self.draw = draw
  }

  func advance() throws(TemplateError) -> TemplateValue? {
    let next = try peek()
    guard let next else { return nil }
    ahead.removeFirst()
    previous = current
    current = next
    index += 1
    return next
  }

  func peek() throws(TemplateError) -> TemplateValue? {
    if ahead.isEmpty, !isExhausted {
      if let value = try draw?() { ahead.append(value) } else { isExhausted = true }
    }
    return ahead.first
  }

  func length() throws(TemplateError) -> Int {
    while !isExhausted {
      if let value = try draw?() { ahead.append(value) } else { isExhausted = true }
    }
    return index + 1 + ahead.count
  }

  /// Lets go of what the loop drew from: a template may keep the loop beyond its end.
  func finish() {
    draw = nil
    isExhausted = true
  }
}
