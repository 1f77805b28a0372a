import Distribution
import ModelGraph

extension ProcessGroup {
  /// Puts statistics that one process each has gathered into the hands of all; Gram matrices stay where they are.
  /// - Parameter owners: who has gathered those of which value.
  func exchange(_ statistics: inout [ValueID: InputStatistics], of owners: [ValueID: Int]) throws {
    guard !isAlone else { return }
    for root in 0..<count {
      let values = owners.filter { $0.value == root }.keys.sorted { $0.index < $1.index }
      guard !values.isEmpty else { continue }
      let found = try broadcast(values.map { rank == root ? statistics[$0]?.columns : nil }, from: root)
      guard rank != root else { continue }
      for (value, columns) in zip(values, found) { statistics[value] = columns.map(InputStatistics.init) }
    }
  }

  /// The statistics of some values, in a message for each kind of number.
  /// - Parameter all: at that process; nil for values that nothing came by. The others give as many.
  private func broadcast(_ all: [InputStatistics.Columns?], from root: Int) throws -> [InputStatistics.Columns?] {
    var (notes, floats, doubles, counts): ([Int], [Float], [Double], [UInt64]) = ([], [], [], [])
    for columns in all {
      let histogram = columns?.histogram
      notes += [columns == nil ? 0 : 1, columns?.tokens ?? 0, columns?.absmax.count ?? 0, columns?.sums.count ?? 0]
      notes += [histogram?.counts.count ?? 0, histogram?.total ?? 0]
      floats += columns?.absmax ?? []
      floats += columns?.sums ?? []
      floats.append(histogram?.absmax ?? 0)
      doubles += columns?.absoluteSums ?? []
      doubles += columns?.squareSums ?? []
      counts += histogram?.counts ?? []
    }
    notes = try broadcast(notes, from: root)
    var rest = try (
      floats: broadcast(floats, from: root)[...], doubles: broadcast(doubles, from: root)[...], counts: broadcast(counts, from: root)[...]
    )
    return stride(from: 0, to: notes.count, by: 6).map { place in
      let (width, sums, bins) = (notes[place + 2], notes[place + 3], notes[place + 4])
      var columns = InputStatistics.Columns(
        tokens: notes[place + 1], absmax: rest.floats.take(width), absoluteSums: rest.doubles.take(width),
        squareSums: rest.doubles.take(width), sums: rest.floats.take(sums))
      let peak = rest.floats.take(1)
      if bins > 0 {
        columns.histogram = MagnitudeHistogram(counts: rest.counts.take(bins), total: notes[place + 5], absmax: peak.first ?? 0)
      }
      return notes[place] == 1 ? columns : nil
    }
  }
}

extension ArraySlice {
  /// The first elements, which it has no more behind.
  fileprivate mutating func take(_ count: Int) -> [Element] {
    defer { self = dropFirst(count) }
    return Array(prefix(count))
  }
}
