import Compression
import Diagnostics

/// The contracts of a recipe's passes, held against each other: whether their order keeps them, and if not, which one would.
struct PassOrder {
  typealias Property = PassContract.Property

  private let names: [String]
  private let contracts: [PassContract]
  /// What the model has before any pass.
  private let given: Set<Property>
  /// Passes up to which an order is looked for: the search takes 2^passes steps at most.
  private static let searched = 12

  init(_ passes: [any RecipePass.Type], given: Set<Property>) {
    names = passes.map { $0.identifier }
    contracts = passes.map { $0.contract }
    self.given = given
  }

  /// Why a pass cannot stand where it does.
  private enum Conflict {
    case notFirst
    case clash(Property)
    case missing(Property)
  }

  private func conflict(of pass: Int, isFirst: Bool, with established: Set<Property>) -> Conflict? {
    let contract = contracts[pass]
    func least(_ properties: Set<Property>) -> Property? { properties.min { $0.rawValue < $1.rawValue } }
    if contract.comesFirst, !isFirst { return .notFirst }
    if let clash = least(contract.forbids.intersection(established)) { return .clash(clash) }
    return least(contract.requires.subtracting(established)).map { .missing($0) }
  }

  private func established(by passes: some Sequence<Int>) -> Set<Property> {
    passes.reduce(into: given) { $0.formUnion(contracts[$1].establishes) }
  }

  /// An order of some of the passes that keeps all contracts, as near to the given one as the first passes allow; nil where there is none.
  func working(_ subset: [Int]) -> [Int]? {
    // What passes bring about does not depend on their order: a set of them that leads nowhere does so however it was reached.
    var dead = Set<Set<Int>>()
    func complete(_ order: [Int]) -> [Int]? {
      if order.count == subset.count { return order }
      let used = Set(order)
      guard !dead.contains(used) else { return nil }
      let state = established(by: order)
      for pass in subset where !used.contains(pass) && conflict(of: pass, isFirst: order.isEmpty, with: state) == nil {
        if let found = complete(order + [pass]) { return found }
      }
      dead.insert(used)
      return nil
    }
    return complete([])
  }

  /// What is wrong with the order as given; nil when nothing is.
  var error: RecipeError? {
    var state = given
    for pass in names.indices {
      if let conflict = conflict(of: pass, isFirst: pass == 0, with: state) {
        return RecipeError(names[pass], problem(conflict, at: pass), remedy: remedy(conflict), kind: .badConfiguration)
      }
      state.formUnion(contracts[pass].establishes)
    }
    return nil
  }

  private func problem(_ conflict: Conflict, at pass: Int) -> String {
    switch conflict {
    case .notFirst: return "cannot come behind \(names[pass - 1]): it changes the model that all passes are about"
    case .missing(let property): return "needs a model with \(property.rawValue), which nothing before it brings about"
    case .clash(let property):
      guard !given.contains(property), let earlier = (0..<pass).last(where: { contracts[$0].establishes.contains(property) }) else {
        return "cannot work on a model that has \(property.rawValue) already"
      }
      return "cannot come behind \(names[earlier]), which leaves \(property.rawValue)"
    }
  }

  private func remedy(_ conflict: Conflict) -> String {
    let all = Array(names.indices)
    if all.count <= Self.searched, let order = working(all) {
      return "the order that works is \(order.map { names[$0] }.joined(separator: ", "))"
    }
    switch conflict {
    case .clash(let property) where given.contains(property): return "start from a checkpoint without, or leave the pass out"
    case .missing(let property) where !contracts.contains(where: { $0.establishes.contains(property) }):
      return "let a pass come before it that does, or leave it out"
    default: break
    }
    if let pair = exclusivePair() { return "no order works: \(pair), so leave one of them out" }
    return all.count <= Self.searched ? "no order of these passes works: leave some out" : "list them in another order, or leave some out"
  }

  /// Most often two passes exclude each other whatever stands around them.
  private func exclusivePair() -> String? {
    var kinds: [Int] = []
    for pass in names.indices {
      let name = names[pass]
      if let same = kinds.first(where: { names[$0] == name }) {
        if working([same]) != nil, working([same, pass]) == nil { return "\(name) cannot stand twice" }
        continue
      }
      let excluded = kinds.first { working([$0]) != nil && working([pass]) != nil && working([$0, pass]) == nil }
      if let excluded { return "\(names[excluded]) and \(name) exclude each other" }
      kinds.append(pass)
    }
    return nil
  }
}
