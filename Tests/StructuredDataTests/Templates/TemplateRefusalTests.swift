import Diagnostics
import StructuredData
import Testing

@Suite("Templates refuse what they cannot do")
struct TemplateRefusalTests {
  /// The error that reading or rendering ends with; nil when it succeeds.
  static func failure(
    _ source: String, _ variables: JSONObject = [:], limits: TemplateLimits = TemplateLimits()
  ) -> TemplateError? {
    do throws(TemplateError) {
      _ = try Template(source, named: "chat.jinja").render(variables, limits: limits)
      return nil
    } catch {
      return error
    }
  }

  @Test(arguments: [
    ("{% include 'x' %}", "include"), ("{% call f() %}{% endcall %}", "call"), ("{% block a %}{% endblock %}", "block"),
    ("{{ 1 | wordwrap }}", "wordwrap"), ("{{ 1 is nonsense }}", "nonsense"), ("{{ 'a'.zfill(3) }}", "zfill"),
    ("{% for x in [] recursive %}{% endfor %}", "recursive"), ("{{ f(*x) }}", "spreading"), ("{{ 2 ** -1 }}", "**"),
    ("{{ {}.items }}", "method"), ("{{ {1: 2} }}", "key"), ("{% macro f() %}{{ varargs }}{% endmacro %}{{ f() }}", "varargs"),
    ("{{ [1] | map('string') }}", "generator"), ("{{ ('a' | safe) + '<' }}", "safe"), ("{{ 0x10 }}", "decimal"),
    ("{{ 1e400 }}", "range"), ("{{ 9223372036854775807 + 1 }}", "64 bits"), ("{{ '\\N{BULLET}' }}", "name"),
    ("{{ [1] | batch(2) | list }}", "batch"), ("{{ joiner() }}", "joiner"), ("{{ '%5d' % 3 }}", "format"),
  ])
  func namesWhatIsNotSupported(_ source: String, _ word: String) throws {
    let error = try #require(Self.failure(source), "\(source)")
    #expect(error.cause == .unsupported, "\(error)")
    #expect(error.problem.contains(word), "\(error)")
    #expect(error.subject == "chat.jinja")
    #expect(error.kind == .badData)
  }

  @Test(arguments: [
    "{% break %}", "{% macro f() %}{% continue %}{% endmacro %}",
    "{% for x in y %}{% generation %}{% break %}{% endgeneration %}{% endfor %}",
    "{% else %}", "{% set true = 1 %}", "{{ ( }}", "{% if %}{% endif %}", "{{ a b }}", "{{ }}", "{% raw %}",
  ])
  func refusesMalformedText(_ source: String) throws { #expect(Self.failure(source)?.cause == .syntax, "\(source)") }

  @Test func saysWhichLineAndWhatTheTemplateSays() throws {
    let error = try #require(Self.failure("a\n{% if true %}\n{{ raise_exception('only users') }}\n{% endif %}"))
    #expect(error.cause == .refused)
    #expect(error.problem == "line 3 of the template: the template refuses: only users")
    #expect(Self.failure("{{ strftime_now('%d') }}")?.cause == .evaluation)
  }

  /// Work without end, strings without end, nesting without end.
  @Test(
    arguments: [
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{% set ns = namespace(x='ab') %}{% for a in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
      "{% set ns = namespace(x=[1]) %}{% for a in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
      "{% set ns = namespace(x=[1]) %}{% for a in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}",
      "{% set ns = namespace(x={}) %}{% for a in range(9999) %}{% set ns.x = {'a': ns.x} %}{% endfor %}",
      "{% set ns = namespace(x=1) %}{% for a in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
      "{% set ns = namespace(x=1) %}{% for a in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}",
      "{% set ns = namespace(x=1) %}{% for a in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x == ns.x }}",
      "{{ 'a' * 999999999999 }}", "{{ [1] * 999999999999 }}", "{{ range(999999999) }}",
      "{% for a in range(99999) %}{{ 'a' * 99999 }}{% endfor %}", "{{ ('a' * 9999999) | replace('a', 'b' * 99999) }}",
      "{% for a in range(99999) %}{% set x = namespace() %}{% endfor %}",
      "{% for a in range(99999) %}{% macro f() %}{% endmacro %}{% endfor %}",
      String(repeating: "(", count: 5000) + "1" + String(repeating: ")", count: 5000),
    ].map { $0.utf8.first == UInt8(ascii: "(") ? "{{ \($0) }}" : $0 } + [
      "{{ \(String(repeating: "not ", count: 5000))1 }}", "{{ 1\(String(repeating: " + 1", count: 5000)) }}",
      "{{ x\(String(repeating: ".a", count: 5000)) }}", "{{ x\(String(repeating: " or x", count: 5000)) }}",
      String(repeating: "{% if true %}", count: 5000), "{{ 1\(String(repeating: " if 1", count: 5000)) }}",
      "{{ \(String(repeating: "-", count: 5000))1 }}", "{{ \(String(repeating: "[", count: 5000) + String(repeating: "]", count: 5000)) }}",
    ])
  func boundsHostileWork(_ source: String) throws {
    let error = try #require(Self.failure(source, limits: TemplateLimits(steps: 400_000, bytes: 1 << 20)), "\(source.prefix(200))")
    #expect(error.cause == .limit, "\(source.prefix(100)): \(error)")
  }

  /// Objects that hold one another are let go of without recursion.
  @Test func survivesChainsOfObjects() {
    let chain = "{% set ns = namespace(x=1) %}{% for a in range(9000) %}{% set n = namespace(p=ns.x) %}{% set ns.x = n %}{% endfor %}ok"
    #expect(Self.failure(chain) == nil)
    let loops = """
      {% set ns = namespace(l=1) %}{% for i in range(90000) %}{% set before = ns.l %}{% for x in [1] %}{% set ns.l = loop %}{% endfor %}\
      {% endfor %}{{ ns.l.index }}
      """
    #expect(Self.failure(loops) == nil)
  }

  @Test func canonicalEquivalenceIsNotEquality() throws {
    let output = try Template("{{ '\u{e9}' == 'e\u{301}' }}{{ 'e' in 'e\u{301}' }}{{ 'e\u{301}' | length }}", named: "t").render([:])
    #expect(output.text == "FalseTrue2")
  }

  @Test func variablesGoBeforeGlobals() throws {
    #expect(try Template("{{ range }}", named: "t").render(["range": "mine"]).text == "mine")
  }

  @Test func generationInsideOfAMacroHasNoPlace() throws {
    let source = "{% macro say(x) %}{% generation %}{{ x }}{% endgeneration %}{% endmacro %}{{ say('a') }}"
    let template = try Template(source, named: "t")
    #expect(template.marksGeneration)
    let output = try template.render([:])
    #expect(output.text == "a")
    #expect(output.generationRanges == nil)
  }
}
