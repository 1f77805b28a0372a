import Foundation

extension CompressionReport {
  /// Counts between ascending edges: `counts[i]` values lie in `edges[i]..<edges[i + 1]`, the last bin includes its upper edge.
  ///
  /// The edges are log-spaced; the first may be 0, its bin then holds everything too small for the rest.
  public struct Histogram: Sendable, Equatable {
    public let edges: [Double]
    public let counts: [Int]

    /// Nil unless there is one edge more than counts (and at least one bin), edges ascend from 0 or more and are finite, and
    /// no count is negative.
    public init?(edges: [Double], counts: [Int]) {
      guard !counts.isEmpty, edges.count == counts.count + 1, counts.allSatisfy({ $0 >= 0 }), let first = edges.first,
        first >= 0, edges.allSatisfy(\.isFinite), zip(edges, edges.dropFirst()).allSatisfy({ $0 < $1 })
      else { return nil }
      self.edges = edges
      self.counts = counts
    }

    /// Log-spaced edges: 0, then `perDecade` bins a decade from 10^`decades.lowerBound` to 10^`decades.upperBound`.
    public static func logarithmicEdges(decades: ClosedRange<Int> = -10...2, perDecade: Int = 4) -> [Double] {
      let steps = max(1, perDecade)
      let span = decades.upperBound - decades.lowerBound
      return [0] + (0...max(1, span * steps)).map { pow(10, Double(decades.lowerBound) + Double($0) / Double(steps)) }
    }

    /// Counts the values; those above the last edge go into the last bin, those that are not finite nowhere.
    public init?(values: some Sequence<Double>, edges: [Double] = logarithmicEdges()) {
      var counts = [Int](repeating: 0, count: max(0, edges.count - 1))
      guard !counts.isEmpty else { return nil }
      for value in values where value.isFinite {
        var low = 0
        var high = counts.count
        // The last edge that is not above the value.
        while high - low > 1 {
          let middle = (low + high) / 2
          if edges[middle] <= value { low = middle } else { high = middle }
        }
        counts[low] += 1
      }
      self.init(edges: edges, counts: counts)
    }

    /// As a Double: counts read from a file may not fit when added.
    var total: Double { counts.reduce(0) { $0 + Double($1) } }
  }
}

extension CompressionReport.Histogram: ReportSection {
  init(reader: ReportReader) throws(ReportError) {
    guard
      let histogram = CompressionReport.Histogram(
        edges: try reader.doubles("edges") ?? [], counts: try reader.counts("counts") ?? [])
    else { throw ReportError(reader.path, "expected ascending edges, one more than counts, and counts of zero or more") }
    self = histogram
  }

  func write(to writer: inout ReportWriter) {
    writer.set("edges", edges)
    writer.set("counts", counts)
  }
}
