import Foundation
import StructuredData
import Testing

/// What `make-template-fixtures.py` rendered with Jinja2.
enum TemplateFixtures {
  static let all: JSONValue? = {
    guard let file = Bundle.module.resourceURL?.appendingPathComponent("TemplateFixtures/templates.json") else { return nil }
    return try? JSONValue(parsing: String(contentsOf: file, encoding: .utf8))
  }()

  static let date = TemplateDate(year: 2025, month: 3, day: 7, weekday: 5, hour: 14, minute: 5, second: 9)

  /// Renders, and says where the outcome differs from what the fixture expects; nil when it does not.
  static func difference(_ source: String, _ variables: JSONObject, _ expected: JSONValue) -> String? {
    do throws(TemplateError) {
      let output = try Template(source, named: "fixture").render(variables, date: date)
      guard let text = expected["text"]?.string else { return "rendered \(output.text.debugDescription), which should fail" }
      if !output.text.utf8.elementsEqual(text.utf8) { return "\(output.text.debugDescription), not \(text.debugDescription)" }
      let ranges = expected["ranges"]?.array?.map { $0.array?.compactMap(\.integer) ?? [] }
      let found = output.generationRanges?.map { [$0.lowerBound, $0.upperBound] }
      return ranges == found ? nil : "generation at \(String(describing: found)), not \(String(describing: ranges))"
    } catch {
      guard let wanted = expected["fails"]?.string else { return "failed: \(error)" }
      return "\(error.cause)" == wanted ? nil : "failed as \(error.cause), not \(wanted): \(error)"
    }
  }
}

@Suite("Templates render as with Jinja2")
struct TemplateGoldenTests {
  @Test func rendersConversations() throws {
    let fixtures = try #require(TemplateFixtures.all)
    let cases = try #require(fixtures["cases"]?.array)
    let conversations = try #require(fixtures["conversations"]?.array)
    #expect(cases.count >= 300)
    for entry in cases {
      let name = try #require(entry["template"]?.string)
      let source = try #require(fixtures["templates"]?[name]?.string)
      let conversation = try #require(entry["conversation"]?.integer)
      var variables: JSONObject = ["bos_token": "<s>", "eos_token": "</s>"]
      variables["messages"] = conversations[conversation]
      for member in try #require(entry["options"]?.object).members { variables[member.key] = member.value }
      let difference = TemplateFixtures.difference(source, variables, entry)
      #expect(difference == nil, "\(name), conversation \(conversation), \(variables.keys)")
    }
  }

  @Test(arguments: ["expressions", "fragments"])
  func evaluates(_ kind: String) throws {
    let fixtures = try #require(TemplateFixtures.all)
    let cases = try #require(fixtures[kind]?.array)
    #expect(cases.count >= 70)
    let values = try #require(fixtures["values"]?.object)
    for entry in cases {
      let source = try #require(entry["source"]?.string)
      let difference = TemplateFixtures.difference(kind == "expressions" ? "{{ \(source) }}" : source, values, entry)
      #expect(difference == nil, "\(source)")
    }
  }
}
