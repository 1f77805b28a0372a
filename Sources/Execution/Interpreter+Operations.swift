import CKernels
import ModelGraph
import Tensors

extension Interpreter {
  func embed(_ tokens: [Int32], _ table: LoadedParameter, width: Int) -> Matrix {
    let output = Matrix(uninitializedRows: tokens.count, columns: width)
    pool.ranges(of: tokens.count, grain: 16) { range in
      for row in range { table.copyRow(Int(tokens[row]), to: output.row(row)) }
    }
    return output
  }

  /// Normalises every run of `width` features: heads are rows too.
  func rmsNorm(_ x: Matrix, _ gain: LoadedParameter, epsilon: Float, width: Int) -> Matrix {
    let output = Matrix(uninitializedRows: x.rows, columns: x.columns)
    let runs = x.rows * (x.columns / width)
    pool.ranges(of: runs, grain: max(1, 16_384 / width)) { range in
      let offset = range.lowerBound * width
      dso_rms_norm(
        x.pointer + offset, Int64(width), gain.vector, output.pointer + offset, Int64(width), Int64(range.count), Int64(width),
        epsilon)
    }
    return output
  }

  /// - Parameter inverse: turns back, which is also what the gradient does.
  func rotate(
    _ x: Matrix, _ rotary: RotaryEmbedding, _ layout: SequenceLayout, inPlace: Bool, inverse: Bool = false
  ) -> Matrix {
    let output = inPlace ? x : copy(x)
    let last = zip(layout.positions, layout.lengths).map(+).max() ?? 0
    let table = rotaryTables.table(for: rotary, positions: last)
    let sines = inverse ? table.sines.map(-) : table.sines
    let half = rotary.rotaryDimension / 2
    // Pieces of sequences, so that one long one is cut as well.
    let pieces = layout.sequences.flatMap { sequence in
      stride(from: 0, to: sequence.length, by: 64).map { begin in
        (row: sequence.row + begin, length: min(64, sequence.length - begin), position: sequence.position + begin)
      }
    }
    pool.run(pieces.count) { index, _ in
      let piece = pieces[index]
      let offset = piece.position * half
      table.cosines.withUnsafeBufferPointer { cosines in
        sines.withUnsafeBufferPointer { sines in
          guard let cosines = cosines.baseAddress, let sines = sines.baseAddress else { return }
          dso_rotary(
            output.row(piece.row) + rotary.offset, Int64(output.columns), Int64(piece.length), Int64(rotary.heads),
            Int64(rotary.headDimension), Int64(rotary.rotaryDimension), rotary.interleaved ? 1 : 0, cosines + offset,
            sines + offset, Int64(half))
        }
      }
    }
    return output
  }

  func layerNorm(_ x: Matrix, gain: LoadedParameter, bias: LoadedParameter, epsilon: Float) -> Matrix {
    let output = Matrix(uninitializedRows: x.rows, columns: x.columns)
    let width = Int64(x.columns)
    pool.ranges(of: x.rows, grain: max(1, 16_384 / max(1, x.columns))) { range in
      let begin = range.lowerBound
      dso_layer_norm(x.row(begin), width, gain.vector, bias.vector, output.row(begin), width, Int64(range.count), width, epsilon)
    }
    return output
  }

  /// - Parameter parameters: gain, bias and steepness.
  func dynamicTanh(_ x: Matrix, _ parameters: [LoadedParameter]) -> Matrix {
    let output = Matrix(uninitializedRows: x.rows, columns: x.columns)
    let width = Int64(x.columns)
    let (gain, bias, steepness) = (parameters[0].vector, parameters[1].vector, parameters[2].vector.first ?? 0)
    pool.ranges(of: x.rows, grain: max(1, 4096 / max(1, x.columns))) { range in
      let begin = range.lowerBound
      dso_dynamic_tanh(x.row(begin), width, steepness, gain, bias, output.row(begin), width, Int64(range.count), width)
    }
    return output
  }

  /// Positions are counted in the sequence, what is in the cache included.
  func addRow(_ x: Matrix, _ table: LoadedParameter, _ choice: RowChoice, _ layout: SequenceLayout) -> Matrix {
    let output = copy(x)
    let row = Matrix(rows: 1, columns: x.columns)
    for (first, length, position) in layout.sequences {
      for index in 0..<length {
        switch choice {
        case .position: table.copyRow(position + index, to: row.pointer)
        case .constant(let number): if index == 0 { table.copyRow(number, to: row.pointer) }
        }
        dso_add(row.pointer, output.row(first + index), Int64(x.columns))
      }
    }
    return output
  }

  func activate(_ x: Matrix, _ activation: Activation, inPlace: Bool) -> Matrix {
    let output = inPlace ? x : Matrix(uninitializedRows: x.rows, columns: x.columns)
    pool.ranges(of: x.values, grain: 8192) { range in
      for begin in stride(from: range.lowerBound, to: range.upperBound, by: Self.ones.count) {
        let count = min(Self.ones.count, range.upperBound - begin)
        dso_gated_activation(activation.kernel, x.pointer + begin, Self.ones, output.pointer + begin, Int64(count))
      }
    }
    return output
  }

  /// What an activation without a gate is multiplied by.
  static let ones = [Float](repeating: 1, count: 4096)

  func gate(_ gate: Matrix, _ up: Matrix, _ activation: Activation, inPlace: Bool) -> Matrix {
    let output = inPlace ? gate : Matrix(uninitializedRows: gate.rows, columns: gate.columns)
    pool.ranges(of: gate.rows * gate.columns, grain: 8192) { range in
      dso_gated_activation(
        activation.kernel, gate.pointer + range.lowerBound, up.pointer + range.lowerBound,
        output.pointer + range.lowerBound, Int64(range.count))
    }
    return output
  }

  func add(_ left: Matrix, _ right: Matrix, leftSpent: Bool, rightSpent: Bool) -> Matrix {
    let target = leftSpent ? left : rightSpent ? right : copy(left)
    let other = target === right && left !== right ? left : right
    pool.ranges(of: target.rows * target.columns, grain: 16_384) { range in
      dso_add(other.pointer + range.lowerBound, target.pointer + range.lowerBound, Int64(range.count))
    }
    return target
  }

  func scale(_ x: Matrix, by factor: Float, inPlace: Bool) -> Matrix {
    let output = inPlace ? x : Matrix(uninitializedRows: x.rows, columns: x.columns)
    pool.ranges(of: x.values, grain: 16_384) { range in
      dso_scaled_copy(x.pointer + range.lowerBound, factor, output.pointer + range.lowerBound, Int64(range.count))
    }
    return output
  }

  /// - Parameter parameters: magnitude, norm, and a bias when there is a third.
  func setMagnitude(_ x: Matrix, _ parameters: [LoadedParameter], inPlace: Bool) -> Matrix {
    let output = inPlace ? x : copy(x)
    let factors = zip(parameters[0].vector, parameters[1].vector).map { $1 > 0 ? $0 / $1 : 0 }
    let bias = parameters.count > 2 ? parameters[2].vector : nil
    pool.ranges(of: x.rows, grain: max(1, 16_384 / max(1, x.columns))) { range in
      for row in range {
        dso_scale_elements(output.row(row), factors, 1, Int64(x.columns))
        if let bias { dso_add(bias, output.row(row), Int64(x.columns)) }
      }
    }
    return output
  }

  func copy(_ x: Matrix) -> Matrix {
    let output = Matrix(uninitializedRows: x.rows, columns: x.columns)
    output.pointer.update(from: x.pointer, count: x.rows * x.columns)
    return output
  }
}

extension Activation {
  var kernel: dso_activation {
    switch self {
    case .silu: DSO_ACTIVATION_SILU
    case .geluTanh: DSO_ACTIVATION_GELU_TANH
    case .geluErf: DSO_ACTIVATION_GELU_ERF
    case .relu: DSO_ACTIVATION_RELU
    case .reluSquared: DSO_ACTIVATION_RELU_SQUARED
    }
  }
}
