import CKernels
import Testing

/// All kernel tests. They force the instruction set, which is global, so they run one after the other.
@Suite(.serialized)
enum KernelTests {
  /// The sets this machine can run besides the portable one.
  static let fastSets = [DSO_ISA_AVX2, DSO_ISA_AVX512, DSO_ISA_NEON, DSO_ISA_NEON_I8MM].filter { dso_isa_available($0) != 0 }
  static let allSets = [DSO_ISA_PORTABLE] + fastSets

  /// Runs `body` with a set forced, and goes back to the one in use before.
  static func with<Result>(_ set: dso_isa, _ body: () throws -> Result) rethrows -> Result {
    let before = dso_isa_current()
    #expect(dso_isa_force(set) == 1)
    defer { _ = dso_isa_force(before) }
    return try body()
  }

  static func name(_ set: dso_isa) -> String { String(cString: dso_isa_name(set)) }

  /// On both sides of every width of vectors and panels.
  static let boundaries = [1, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129]
}

extension KernelTests {
  @Suite struct Dispatch {
    @Test func portableIsAlwaysThere() {
      #expect(dso_isa_available(DSO_ISA_PORTABLE) == 1)
      #expect(dso_isa_available(dso_isa_current()) == 1)
    }

    @Test func setsOfAnotherMachineAreRefused() {
      let foreign = dso_isa_available(DSO_ISA_NEON) != 0 ? DSO_ISA_AVX2 : DSO_ISA_NEON
      let before = dso_isa_current()
      #expect(dso_isa_force(foreign) == 0)
      #expect(dso_isa_current() == before)
    }

    @Test func namesAreTheDocumentedOnes() {
      let sets = [DSO_ISA_PORTABLE, DSO_ISA_AVX2, DSO_ISA_AVX512, DSO_ISA_NEON, DSO_ISA_NEON_I8MM]
      #expect(sets.map(name) == ["portable", "avx2", "avx512", "neon", "neon-i8mm"])
    }

    /// The list in C is the one truth: a kernel added there without a test here is found.
    @Test func everyKernelIsTested() throws {
      var listed: Set<String> = []
      for index in 0..<dso_kernel_count() {
        listed.insert(String(cString: try #require(dso_kernel_name(index))))
      }
      let tested =
        Products.kernels + CodeProducts.kernels + Attention.kernels + QuantizedCache.kernels + Normalization.kernels + Rotary.kernels
        + Activations.kernels + Distributions.kernels + Conversions.kernels + Packing.kernels + Grid.kernels
        + Gradients.kernels + TrainingProducts.kernels + GridSearch.kernels + LearnedRounding.kernels + StepSizes.kernels
        + Factorization.kernels + SelectedAttention.kernels + NearestRounding.kernels + WideProducts.kernels + MemoryBound.kernels
        + DynamicTanh.kernels + Blocks.kernels + AffineSearch.kernels
      #expect(Set(tested) == listed)
      #expect(dso_kernel_name(-1) == nil)
      #expect(dso_kernel_name(dso_kernel_count()) == nil)
    }
  }
}
