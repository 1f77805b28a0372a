extension BytePairEncoding {
  func tokenize(_ piece: TextPiece, with scratch: ModelScratch, into output: inout [Int32]) {
    let hash = piece.bytes.wordHash
    if piece.bytes.count <= WordCache.longestWord, scratch.words.find(piece.bytes, hash, into: &output) { return }
    scratch.result.removeAll(keepingCapacity: true)
    if piece.isByteLevel {
      scratch.letters.removeAll(keepingCapacity: true)
      ByteLevelAlphabet.append(lettersOf: piece.bytes, to: &scratch.letters)
      let letters = scratch.letters
      letters.withUnsafeBufferPointer { tokenizeUnseen($0, with: scratch) }
    } else {
      tokenizeUnseen(piece.bytes, with: scratch)
    }
    output += scratch.result
    scratch.words.insert(piece.bytes, hash, scratch.result)
  }

  private func tokenizeUnseen(_ word: UnsafeBufferPointer<UInt8>, with scratch: ModelScratch) {
    if ignoresMerges, let id = vocabulary.id(of: word) {
      scratch.result.append(id)
      return
    }
    scratch.symbols.removeAll(keepingCapacity: true)
    cutIntoSymbols(word, with: scratch)
    merge(with: scratch)
    for symbol in scratch.symbols where !symbol.isRemoved { scratch.result.append(symbol.id) }
  }

  /// One symbol a scalar; what has no token becomes byte tokens, the unknown token or nothing.
  private func cutIntoSymbols(_ word: UnsafeBufferPointer<UInt8>, with scratch: ModelScratch) {
    func add(_ id: Int32) {
      let index = Int32(truncatingIfNeeded: scratch.symbols.count)
      if index > 0 { scratch.symbols[Int(index) - 1].next = index }
      scratch.symbols.append(MergeSymbol(id: id, previous: index - 1, next: -1))
    }
    // The library adds an unknown token late, when the next known scalar comes: byte tokens overtake it.
    var hasPendingUnknown = false
    var position = 0
    while position < word.count {
      let end = position + word.scalar(at: position).length
      let isWhole = (position == 0 || continuingPrefix.isEmpty) && (end < word.count || endOfWordSuffix.isEmpty)
      var symbol = word.part(position, end)
      if !isWhole {
        scratch.key.removeAll(keepingCapacity: true)
        if position > 0 { scratch.key += continuingPrefix }
        scratch.key += symbol
        if end == word.count { scratch.key += endOfWordSuffix }
      }
      let key = isWhole ? [] : scratch.key
      key.withUnsafeBufferPointer { buffer in
        if !isWhole { symbol = buffer }
        if let id = vocabulary.id(of: symbol) {
          if hasPendingUnknown, let unknown { add(unknown) }
          hasPendingUnknown = false
          add(id)
        } else if let byteTokens, symbol.allSatisfy({ byteTokens[Int($0)] >= 0 }) {
          for byte in symbol { add(byteTokens[Int(byte)]) }
        } else if let unknown {
          if hasPendingUnknown, !fusesUnknown { add(unknown) }
          hasPendingUnknown = true
        }
      }
      position = end
    }
    if hasPendingUnknown, let unknown { add(unknown) }
  }

  /// Merges the pairs in the order of their ranks. A candidate that was overtaken by another merge is passed over.
  private func merge(with scratch: ModelScratch) {
    guard scratch.symbols.count > 1 else { return }
    scratch.queue.removeAll()
    scratch.symbols.withUnsafeMutableBufferPointer { symbols in
      for index in 0..<symbols.count - 1 {
        if let merge = merges.find(symbols[index].id, symbols[index + 1].id) {
          scratch.queue.push(.init(rank: merge.rank, position: index, id: merge.id))
        }
      }
      while let candidate = scratch.queue.pop() {
        let position = candidate.position
        guard !symbols[position].isRemoved, symbols[position].next >= 0 else { continue }
        let right = symbols[Int(symbols[position].next)]
        guard merges.find(symbols[position].id, right.id)?.id == candidate.id else { continue }
        symbols[Int(symbols[position].next)].isRemoved = true
        symbols[position].id = candidate.id
        symbols[position].next = right.next
        if right.next >= 0 { symbols[Int(right.next)].previous = Int32(position) }
        let previous = Int(symbols[position].previous)
        if previous >= 0, let merge = merges.find(symbols[previous].id, candidate.id) {
          scratch.queue.push(.init(rank: merge.rank, position: previous, id: merge.id))
        }
        if right.next >= 0, let merge = merges.find(candidate.id, symbols[Int(right.next)].id) {
          scratch.queue.push(.init(rank: merge.rank, position: position, id: merge.id))
        }
      }
    }
  }
}
