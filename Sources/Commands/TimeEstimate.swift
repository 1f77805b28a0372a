/// How long a stage still takes, from how its share of the work has grown.
///
/// Half of the pace is that of the whole stage, half that of its last part: a slow beginning is forgotten, and a single slow piece does not
/// turn everything over. Between two pieces of news the time that passes is taken off.
struct TimeEstimate {
  /// The least that must be known before anything is said.
  private static let leastShare = 0.02
  private static let leastSeconds = 0.3
  /// How much of the time so far counts as the last part.
  private static let recentPart = 0.5
  /// Places of the past that are remembered; every other one is forgotten when there are more.
  private static let mostPlaces = 128

  private struct Place {
    let seconds: Double
    let share: Double
  }

  private var places: [Place] = []
  /// Where the places are this close together, the last one moves on.
  private var spacing = 0.0

  /// - Parameters:
  ///   - share: of the stage that is done; the first one tells where a resumed stage began.
  ///   - seconds: since the stage began.
  mutating func add(share: Double, at seconds: Double) {
    guard share.isFinite, seconds.isFinite else { return }
    let share = max(share, places.last?.share ?? 0)
    let place = Place(seconds: max(seconds, places.last?.seconds ?? 0), share: min(1, share))
    // Always kept: where it began, and where it is.
    if places.count >= 2, place.seconds - places[places.count - 2].seconds < spacing { places.removeLast() }
    places.append(place)
    guard places.count > Self.mostPlaces, let first = places.first, let last = places.last else { return }
    spacing = 2 * (last.seconds - first.seconds) / Double(Self.mostPlaces)
    places = places.indices.filter { $0 % 2 == 0 || $0 == places.count - 1 }.map { places[$0] }
  }

  /// Seconds until the stage is done; nil while nothing can be said.
  /// - Parameter now: seconds since the stage began.
  func secondsLeft(at now: Double) -> Double? {
    guard let first = places.first, let last = places.last else { return nil }
    if last.share >= 1 { return 0 }
    guard last.share - first.share >= Self.leastShare, last.seconds - first.seconds >= Self.leastSeconds else { return nil }
    let overall = (last.seconds - first.seconds) / (last.share - first.share)
    let begin = last.seconds - Self.recentPart * (last.seconds - first.seconds)
    var pace = overall
    if let earlier = places.last(where: { $0.seconds <= begin }), last.share > earlier.share {
      pace = (overall + (last.seconds - earlier.seconds) / (last.share - earlier.share)) / 2
    }
    let left = pace * (1 - last.share)
    // News that is late means that a piece is slow, not that the end is here.
    return max(left - max(0, now - last.seconds), left * 0.1)
  }
}
