import Foundation
import StructuredData
import Synchronization
import Testing

@Suite("Templates and the stack")
struct TemplateStackTests {
  /// As deep as is allowed, on the half megabyte that threads have on some platforms.
  @Test func theDeepestTemplateFitsASmallStack() throws {
    let open = 60
    let brackets = "{{ \(String(repeating: "([", count: open / 2))1\(String(repeating: "])", count: open / 2)) }}"
    let blocks = String(repeating: "{% if true %}", count: 90) + String(repeating: "{% endif %}", count: 90)
    let recursion = "{% macro f(n) %}{% if true %}{{ (f((n + 1)) ~ '') | trim }}{% endif %}{% endmacro %}{{ f(0) }}"
    let values = "{% set ns = namespace(x=[1]) %}{% for a in range(150) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}{{ ns.x | tojson }}"
    let outcomes = Mutex<[String]>([])
    let done = DispatchSemaphore(value: 0)
    let thread = Thread {
      for source in [brackets, blocks, recursion, values] {
        let outcome: String
        do throws(TemplateError) { outcome = try Template(source, named: "t").render([:]).text.isEmpty ? "empty" : "text" } catch {
          outcome = "\(error.cause)"
        }
        outcomes.withLock { $0.append(outcome) }
      }
      done.signal()
    }
    thread.stackSize = 512 << 10
    thread.start()
    done.wait()
    #expect(outcomes.withLock { $0 } == ["text", "empty", "limit", "text"])
  }
}
