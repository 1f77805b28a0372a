import CKernels
import Foundation
import Testing

extension KernelTests {
  @Suite struct Distributions {
    static let kernels = ["dso_summarize_logits", "dso_kl_divergence", "dso_sum_squares", "dso_sum_squared_differences"]

    /// Sums in double of up to some thousand terms: 1e-12 is far above their error and far below what the report shows.
    @Test func matchesDoublePrecision() {
      var numbers = TestNumbers(seed: 41)
      for count in boundaries + [5000] {
        let p = numbers.floats(count, -20...20), q = zip(p, numbers.floats(count, -0.5...0.5)).map { $0 + $1 }
        func lse(_ row: [Float]) -> Double {
          let most = Double(row.max() ?? 0)
          return most + log(row.reduce(0) { $0 + exp(Double($1) - most) })
        }
        let (a, b) = (lse(p), lse(q))
        let divergence = zip(p, q).reduce(0.0) { $0 + exp(Double($1.0) - a) * ((Double($1.0) - a) - (Double($1.1) - b)) }
        let squares = p.reduce(0.0) { $0 + Double($1) * Double($1) }
        let differences = zip(p, q).reduce(0.0) { $0 + (Double($1.0) - Double($1.1)) * (Double($1.0) - Double($1.1)) }
        for set in allSets {
          with(set) {
            let summary = dso_summarize_logits(p, Int64(count))
            #expect(abs(summary.log_sum_exp - a) <= 1e-12 * max(1, abs(a)), "\(name(set)) \(count)")
            #expect(summary.max == p.max())
            #expect(Int(summary.argmax) == p.firstIndex(of: summary.max), "\(name(set)) \(count)")
            #expect(abs(dso_kl_divergence(p, a, q, b, Int64(count)) - divergence) <= 1e-12, "\(name(set)) \(count)")
            #expect(dso_kl_divergence(p, a, p, a, Int64(count)) == 0, "\(name(set)) of itself \(count)")
            #expect(abs(dso_sum_squares(p, Int64(count)) - squares) <= 1e-12 * squares)
            #expect(abs(dso_sum_squared_differences(p, q, Int64(count)) - differences) <= 1e-12 * max(differences, 1e-30))
          }
        }
      }
    }

    @Test func firstOfEqualElementsIsTheLargest() {
      for set in allSets {
        for at in [0, 5, 16, 31, 40] {
          var row = [Float](repeating: 1, count: 45)
          for later in stride(from: at, to: 45, by: 3) { row[later] = 3 }
          #expect(with(set) { dso_summarize_logits(row, 45).argmax } == Int64(at), "\(name(set))")
        }
      }
    }

    @Test func infinitiesAndNaN() {
      for set in allSets {
        with(set) {
          var row = [Float](repeating: -.infinity, count: 40)
          #expect(dso_summarize_logits(row, 40).log_sum_exp == -.infinity, "\(name(set))")
          row[37] = 2
          let one = dso_summarize_logits(row, 40)
          #expect(one.log_sum_exp == 2 && one.argmax == 37, "\(name(set))")
          // A token excluded by both adds nothing; one that only the other row excludes makes the divergence infinite.
          #expect(dso_kl_divergence(row, 2, row, 2, 40) == 0, "\(name(set))")
          var other = row
          other[37] = -.infinity
          other[3] = 1
          #expect(dso_kl_divergence(row, 2, other, 1, 40) == .infinity, "\(name(set))")
          row[5] = .nan
          #expect(dso_summarize_logits(row, 40).log_sum_exp.isNaN, "\(name(set))")
          row[5] = .infinity
          #expect(dso_summarize_logits(row, 40).log_sum_exp == .infinity, "\(name(set))")
        }
      }
    }
  }
}
