/// A template in the part of Jinja that Hugging Face chat templates use, read once and rendered with values.
///
/// It renders as the transformers library does: `trim_blocks`, `lstrip_blocks`, the loop controls, `raise_exception`, `strftime_now`,
/// its `tojson`, and a sandbox in which nothing but a namespace can change. What a template asks for beyond that is an error
/// that names it, at the latest when it is reached; nothing is passed over. Templates are taken for hostile: nesting, steps and output
/// are bounded.
public struct Template: Sendable {
  /// How the template is named in errors.
  public let name: String
  /// Whether it marks with `{% generation %}` what the assistant says.
  public let marksGeneration: Bool
  let statements: [TemplateStatement]

  /// Reads a template.
  public init(_ source: String, named name: String) throws(TemplateError) {
    self.name = name
    do throws(TemplateError) {
      guard source.utf8.count <= Self.maximumLength else {
        throw TemplateError(.limit, "more than \(Self.maximumLength) bytes", line: 0)
      }
      var parser = try TemplateParser(source)
      statements = try parser.template()
      marksGeneration = parser.hasGeneration
    } catch {
      throw error.inFile(name)
    }
  }

  /// Bytes of the longest template that is read.
  public static let maximumLength = 4 << 20

  /// The text that the template makes of some variables.
  ///
  /// - Parameter date: what `strftime_now` tells; without one, a template that calls it fails.
  public func render(
    _ variables: JSONObject, date: TemplateDate? = nil, limits: TemplateLimits = TemplateLimits()
  ) throws(TemplateError) -> TemplateOutput {
    do throws(TemplateError) { return try TemplateEvaluator.render(statements, variables: variables, date: date, limits: limits) } catch {
      throw error.inFile(name)
    }
  }
}

/// What rendering a template gave.
public struct TemplateOutput: Sendable, Hashable {
  public let text: String
  /// Where the text of `{% generation %}` blocks is, as ranges of UTF-8 bytes, in their order. Nil when such a block stands where its
  /// text is not printed at once (in a macro, a block `set`), so that its place cannot be told.
  public let generationRanges: [Range<Int>]?
}

/// How much work a template may make.
public struct TemplateLimits: Sendable, Hashable {
  /// Expressions evaluated and statements run; long values count more.
  public var steps: Int
  /// UTF-8 bytes of the output, and of every string on the way.
  public var bytes: Int
  /// Expressions, blocks and macro calls inside of one another.
  public var depth: Int

  public init(steps: Int = 5_000_000, bytes: Int = 64 << 20, depth: Int = 120) {
    self.steps = steps
    self.bytes = bytes
    self.depth = depth
  }
}

/// A date as `strftime_now` tells it, in local time.
public struct TemplateDate: Sendable, Hashable {
  public var year: Int
  /// From 1.
  public var month: Int
  /// From 1.
  public var day: Int
  /// From 0, which is Sunday.
  public var weekday: Int
  public var hour: Int
  public var minute: Int
  public var second: Int

  public init(year: Int, month: Int, day: Int, weekday: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
    self.year = year
    self.month = month
    self.day = day
    self.weekday = weekday
    self.hour = hour
    self.minute = minute
    self.second = second
  }

  private static let months = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
  ]
  private static let days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]

  /// The date in a `strftime` format, in English; the directive when it is not supported.
  func text(_ format: String) -> Result<String, UnknownDirective> {
    var result = ""
    var scalars = format.unicodeScalars.makeIterator()
    while let scalar = scalars.next() {
      guard scalar == "%" else {
        result.unicodeScalars.append(scalar)
        continue
      }
      guard let directive = scalars.next() else { return .failure(UnknownDirective(text: "%")) }
      guard let part = part(directive) else { return .failure(UnknownDirective(text: "%\(directive)")) }
      result += part
    }
    return .success(result)
  }

  struct UnknownDirective: Error { let text: String }

  private func part(_ directive: Unicode.Scalar) -> String? {
    func padded(_ number: Int, _ width: Int = 2) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
    let month = Self.months.indices.contains(month - 1) ? Self.months[month - 1] : ""
    let day = Self.days.indices.contains(weekday) ? Self.days[weekday] : ""
    switch directive {
    case "Y": return padded(year, 4)
    case "y": return padded(year % 100)
    case "m": return padded(self.month)
    case "d": return padded(self.day)
    case "B": return month
    case "b": return String(month.prefix(3))
    case "A": return day
    case "a": return String(day.prefix(3))
    case "H": return padded(hour)
    case "I": return padded((hour + 11) % 12 + 1)
    case "p": return hour < 12 ? "AM" : "PM"
    case "M": return padded(minute)
    case "S": return padded(second)
    case "F": return "\(padded(year, 4))-\(padded(self.month))-\(padded(self.day))"
    case "T": return "\(padded(hour)):\(padded(minute)):\(padded(second))"
    case "%": return "%"
    default: return nil
    }
  }
}
