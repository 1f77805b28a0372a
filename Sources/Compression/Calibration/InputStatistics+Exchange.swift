import Distribution

extension ProcessGroup {
  /// Statistics that one process has gathered, at all of them; the Gram matrix stays with it.
  /// - Parameter statistics: at that process; nil where nothing came by.
  func broadcast(_ statistics: InputStatistics?, from root: Int) throws -> InputStatistics? {
    let own = statistics?.columns
    let notes = try broadcast(
      [own == nil ? 0 : 1, own?.tokens ?? 0, own?.histogram == nil ? 0 : 1, own?.histogram?.total ?? 0], from: root)
    guard notes.count == 4, notes[0] == 1 else { return nil }
    var columns = InputStatistics.Columns(
      tokens: notes[1], absmax: try broadcast(own?.absmax ?? [], from: root),
      absoluteSums: try broadcast(own?.absoluteSums ?? [], from: root),
      squareSums: try broadcast(own?.squareSums ?? [], from: root), sums: try broadcast(own?.sums ?? [], from: root))
    if notes[2] == 1 {
      columns.histogram = MagnitudeHistogram(
        counts: try broadcast(own?.histogram?.counts ?? [], from: root), total: notes[3],
        absmax: try broadcast([own?.histogram?.absmax ?? 0], from: root).first ?? 0)
    }
    return rank == root ? statistics : InputStatistics(columns)
  }
}
