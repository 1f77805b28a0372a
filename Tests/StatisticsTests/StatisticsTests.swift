import Testing

@testable import Statistics

@Suite struct StatisticsTests {
  @Test func quantilesInterpolate() {
    let values = [1.0, 2, 3, 4]
    #expect(quantile(0, ofSorted: values) == 1)
    #expect(quantile(0.5, ofSorted: values) == 2.5)
    #expect(quantile(1, ofSorted: values) == 4)
    #expect(abs(quantile(0.9, ofSorted: values) - 3.7) < 1e-12)
    #expect(quantile(0.5, ofSorted: []) == 0)
  }

  @Test func standardErrorOfClusters() throws {
    let mean = ClusteredMean(clusters: [1, 2, 3, 4])
    #expect(mean.mean == 2.5)
    #expect(abs(try #require(mean.standardError) - 0.645_497_224_367_902_8) < 1e-12)
    #expect(ClusteredMean(clusters: [1]).standardError == nil)
    #expect(ClusteredMean(clusters: [1]).interval == nil)
  }

  // From tables of Student's distribution.
  @Test(arguments: [(1, 12.7062), (8, 2.3060), (10, 2.2281), (30, 2.0423), (71, 1.9939), (1000, 1.9623)])
  func quantiles(_ degrees: Int, _ value: Double) { #expect(abs(StudentDistribution.quantile(degrees: degrees) - value) < 2e-4) }

  // From tables of Student's distribution, and 0.5 at 1 of Cauchy's.
  @Test(arguments: [(12.7062, 1, 0.05), (1, 1, 0.5), (4.3027, 2, 0.05), (2.2281, 10, 0.05), (3.6459, 30, 0.001), (-1.9623, 1000, 0.05)])
  func tails(_ t: Double, _ degrees: Int, _ expected: Double) {
    #expect(abs(StudentDistribution.tails(t, degrees: degrees) - expected) < 2e-5)
  }

  @Test func tailsAtTheEnds() {
    #expect(StudentDistribution.tails(0, degrees: 7) == 1)
    #expect(StudentDistribution.tails(.infinity, degrees: 7) == 0)
    #expect(StudentDistribution.tails(.nan, degrees: 0) == 1)
    #expect(StudentDistribution.tails(1e300, degrees: 1_000_000) == 0)
  }
}
