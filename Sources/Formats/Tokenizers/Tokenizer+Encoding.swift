extension Tokenizer {
  /// The token ids of a text.
  ///
  /// What the vocabulary has no token for becomes the model's unknown token, or vanishes when there is none: the library
  /// does the same. `addSpecialTokens` adds what the post-processor says (a beginning-of-text token, mostly); special tokens
  /// spelled out in the text are always recognised.
  public func encode(_ text: String, addSpecialTokens: Bool = true) -> [Int32] {
    var text = text
    let ids = text.withUTF8 { bytes in workspaces.withWorkspace { encode(bytes, in: $0) } }
    if postProcessors.isEmpty { return ids }
    var encodings = [ids]
    for processor in postProcessors { encodings = processor.process(encodings, addSpecialTokens: addSpecialTokens) }
    return encodings.count == 1 ? encodings[0] : Array(encodings.joined())
  }

  /// Encodes UTF-8 without special tokens: added tokens first, then the pipeline on what lies between them.
  private func encode(_ bytes: UnsafeBufferPointer<UInt8>, in workspace: WorkspacePool.Workspace) -> [Int32] {
    var output: [Int32] = []
    output.reserveCapacity(bytes.count / 4)
    workspace.pattern.refill(for: bytes.count)
    let firstLength = bytes.isEmpty ? 0 : bytes.scalar(at: 0).length
    added.forEachStretch(of: bytes, isNormalized: false) { start, end, id in
      if let id {
        output.append(id)
        return
      }
      let piece = TextPiece(bytes: bytes.part(start, end), startLength: max(0, firstLength - start))
      if normalizers.isEmpty {
        encodeNormalized(piece, in: workspace, into: &output)
        return
      }
      var text = NormalizedText(bytes: Array(piece.bytes), startLength: piece.startLength)
      for normalizer in normalizers { normalizer.normalize(&text, with: workspace.pattern) }
      text.bytes.withUnsafeBufferPointer { buffer in
        encodeNormalized(TextPiece(bytes: buffer, startLength: text.startLength), in: workspace, into: &output)
      }
    }
    return output
  }

  private func encodeNormalized(_ piece: TextPiece, in workspace: WorkspacePool.Workspace, into output: inout [Int32]) {
    added.forEachStretch(of: piece.bytes, isNormalized: true) { start, end, id in
      if let id { output.append(id) } else { split(piece.part(start, end), from: 0, in: workspace, into: &output) }
    }
  }

  /// Runs the pre-tokenizers from a number on, each on the pieces of the one before, and the model on the last pieces.
  private func split(_ piece: TextPiece, from stage: Int, in workspace: WorkspacePool.Workspace, into output: inout [Int32]) {
    guard !piece.bytes.isEmpty else { return }
    guard stage < preTokenizers.count else {
      model.tokenize(piece, with: workspace.model, into: &output)
      return
    }
    preTokenizers[stage].split(piece, with: workspace.pattern) { part in
      split(part, from: stage + 1, in: workspace, into: &output)
    }
  }
}
