/// The value below which a share of a sorted sample lies, interpolated linearly between neighbours (the common definition, type 7).
public func quantile(_ share: Double, ofSorted values: [Double]) -> Double {
  guard let last = values.last else { return 0 }
  let place = share * Double(values.count - 1)
  let index = Int(place.rounded(.down))
  guard index + 1 < values.count else { return last }
  return values[index] + (place - Double(index)) * (values[index + 1] - values[index])
}
