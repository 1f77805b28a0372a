import Foundation
import Statistics

/// What one model predicts of every scored token.
public struct ModelScores: Sendable {
  /// Negative log-likelihood of the true token in nats, window after window.
  public internal(set) var losses: [Double] = []
  /// Whether the likeliest token was the true one.
  public internal(set) var correct: [Bool] = []
}

/// Perplexity with the standard error that its mean loss implies.
public struct Perplexity: Sendable, Hashable {
  public let value: Double
  public let standardError: Double?
}

/// The accuracy of a model, alone or against a reference, over one text.
public struct Accuracy: Sendable {
  public let text: String
  public let context: Int
  public let model: ModelScores
  public let reference: ModelScores?
  /// KL(reference || model) of every scored prediction in nats; empty without a reference.
  public let divergences: [Double]
  /// How many predictions had the same likeliest token in both.
  public let agreements: Int

  /// Predictions scored.
  public var tokens: Int { model.losses.count }
  private var perWindow: Int { context - 1 }

  fileprivate func windowMeans(_ values: [Double]) -> [Double] {
    stride(from: 0, to: values.count, by: perWindow).map { start in
      values[start..<start + perWindow].reduce(0, +) / Double(perWindow)
    }
  }

  private func perplexity(_ scores: ModelScores) -> Perplexity {
    let mean = ClusteredMean(clusters: windowMeans(scores.losses))
    let value = exp(mean.mean)
    return Perplexity(value: value, standardError: mean.standardError.map { $0 * value })
  }

  public var modelPerplexity: Perplexity { perplexity(model) }
  public var referencePerplexity: Perplexity? { reference.map(perplexity) }

  /// Perplexity of the model over the reference's, and its 95 % interval from the differences of paired windows.
  public var perplexityRatio: (value: Double, interval: ClosedRange<Double>?)? {
    guard let reference else { return nil }
    let differences = zip(model.losses, reference.losses).map(-)
    let mean = ClusteredMean(clusters: windowMeans(differences))
    return (exp(mean.mean), mean.interval.map { exp($0.lowerBound)...exp($0.upperBound) })
  }

  public struct Divergence: Sendable, Hashable {
    public let mean: Double
    public let standardError: Double?
    public let median, p95, p99, p999, max: Double
  }

  /// KL divergence per token: mean with clustered standard error, and quantiles.
  public var klDivergence: Divergence? {
    guard !divergences.isEmpty else { return nil }
    let mean = ClusteredMean(clusters: windowMeans(divergences))
    let sorted = divergences.sorted()
    return Divergence(
      mean: mean.mean, standardError: mean.standardError, median: quantile(0.5, ofSorted: sorted),
      p95: quantile(0.95, ofSorted: sorted), p99: quantile(0.99, ofSorted: sorted), p999: quantile(0.999, ofSorted: sorted),
      max: sorted[sorted.count - 1])
  }

  /// Share of predictions whose likeliest token is the same in both.
  public var topTokenAgreement: Double? {
    reference == nil ? nil : Double(agreements) / Double(max(1, tokens))
  }

  /// Predictions that became right, and that became wrong (Dutta et al. 2024, "Accuracy is not all you need").
  public var flips: (gained: Int, lost: Int)? {
    guard let reference else { return nil }
    var (gained, lost) = (0, 0)
    for (now, before) in zip(model.correct, reference.correct) where now != before {
      if now { gained += 1 } else { lost += 1 }
    }
    return (gained, lost)
  }
}

extension Accuracy {
  /// Mean negative log-likelihood of every window, in nats.
  public var windowLosses: [Double] { windowMeans(model.losses) }
  /// Mean KL divergence of every window, in nats.
  public var windowDivergences: [Double] { windowMeans(divergences) }
}
